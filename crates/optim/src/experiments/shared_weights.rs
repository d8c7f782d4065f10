//! Two tasks with few examples: apart, drawn to each other, and with one set of weights.

use datasets::{digits, mnist};
use dfdx::nn::{BuildOnDevice, Module};
use dfdx::prelude::{AsArray, Backward, Cpu, DeviceBuildExt, Trace};
use kernels::random::Key;
use kernels::{ClassLoss, Classes, class_loss_mean, cross_entropy_mean};
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured,
};
use lab::{Plot, Seed, Table};
use layers::Step;
use layers::init::{self, Fan, Init, gain};
use layers::modules::Relu;
use layers::params::Parameter;
use layers::prelude::Linear;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, percent_equal};
use super::typed_runs::rows;
use super::{at_least_one, at_least_two};
use crate::optimizers::{Momentum, Sgd, SgdConfig};
use crate::regularize::multitask::{MultiTask, joint};
use crate::regularize::tying::distance;

/// Weights that two networks share, not at all, softly or altogether.
#[derive(Debug)]
pub struct SharedWeights;

/// What may vary in [`SharedWeights`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SharedWeightsConfig {
    /// Runs, each with its own training digits, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of descent
    #[arg(long)]
    pub steps: usize,
    /// Digits to train with, for each of two hands, at most 400
    #[arg(long)]
    pub train_images: usize,
    /// The same where they are many, at most 400
    #[arg(long)]
    pub many_images: usize,
}

impl Default for SharedWeightsConfig {
    fn default() -> Self {
        Self { seeds: 10, steps: 600, train_images: 20, many_images: 100 }
    }
}

impl ExperimentConfig for SharedWeightsConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 60, train_images: 20, many_images: 50 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("steps", self.steps)?;
        for (field, value) in [("train_images", self.train_images), ("many_images", self.many_images)] {
            at_least_one(field, value)?;
            if value > 400 {
                return Err(lab::Error::Config { field, rule: "at most 400", value: value.to_string() });
            }
        }
        Ok(self)
    }
}

/// What [`SharedWeights`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SharedWeightsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Digits to train with, for each hand: few, and many.
    pub train_images: [usize; 2],
    /// Two hands, few digits: apart first, then the factors of the penalty, one network for both last.
    pub tied: Vec<Tied>,
    /// The same with many digits.
    pub tied_many: Vec<Tied>,
    /// Distance of two weights apart over that with the largest factor, by seed.
    pub drawn_nearer: Measured,
    /// Two questions: test error of "which digit?" alone less that with a trunk that the second shares, in points, by seed.
    pub related_gain: Measured,
    /// The same with a second question whose answers are drawn.
    pub unrelated_gain: Measured,
    /// Test error of "which digit?" alone, percent.
    pub alone: Measured,
    /// With the shared trunk.
    pub together: Measured,
    /// With the trunk shared with the drawn answers.
    pub with_noise: Measured,
    /// Two hands as a table, few digits and many.
    pub table: Table,
    /// Two questions as a table.
    pub tasks_table: Table,
}

/// One way to tie two networks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tied {
    /// How.
    pub name: String,
    /// Percent of the test digits of the first collection read wrong, over seeds.
    pub scanned: Measured,
    /// Of the second.
    pub mnist: Measured,
    /// Fewer errors than apart, mean of both, in points, by seed.
    pub gain: Measured,
    /// Root mean square of the difference of the two networks' weights, over seeds.
    pub apart: Measured,
}

const PIXELS: usize = 64;
const HIDDEN: usize = 32;
const BATCH: usize = 25;
const RATE: f64 = 0.05;
/// Factors of the penalty.
const FACTORS: [f64; 4] = [0.0, 0.001, 0.01, 0.1];
/// Digits whose second question is answered in training.
const OTHERS: usize = 500;
/// A row of a task that another task's digits fill.
const IGNORED: usize = 99;
/// Digits to test with: at the end of each collection.
const TEST: usize = 800;

type Reader = (Linear<PIXELS, HIDDEN, Relu>, Linear<HIDDEN, CLASSES>);
type Both = MultiTask<Linear<PIXELS, HIDDEN, Relu>, (Linear<HIDDEN, CLASSES>, Linear<HIDDEN, 2>)>;
type Model = <Reader as BuildOnDevice<Cpu, f32>>::Built;

impl Experiment for SharedWeights {
    type Config = SharedWeightsConfig;
    type Report = SharedWeightsReport;
    const ABOUT: About = About {
        name: "shared-weights",
        lecture: 6,
        paper: "Goodfellow, Bengio & Courville (2016), sections 7.7 and 7.9; Caruana (1997), Multitask learning",
        claim: "With twenty digits each, two readers of different hands err less when their weights are drawn to each other, with a \
                hundred they do not; and digits are read better with a trunk that a second question about others shares",
        sources: &[
            include_str!("shared_weights.rs"),
            include_str!("digit_nets.rs"),
            include_str!("typed_runs.rs"),
            include_str!("../regularize/tying.rs"),
            include_str!("../regularize/multitask.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (scanned, mnist) = (scanned(), shrunken());
        let seeds = lab.seeds(config.seeds);
        let counts = [config.train_images, config.many_images];
        // By count and way: errors of both hands, and the distance, seed by seed.
        let mut runs: [Vec<Vec<[f64; 3]>>; 2] = [vec![Vec::new(); WAYS], vec![Vec::new(); WAYS]];
        let mut tasks: [Vec<f64>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("seeds", done as u64, seeds.len() as u64, None)?;
            for (count, runs) in counts.into_iter().zip(&mut runs) {
                let factors = FACTORS.map(Some).into_iter().chain([None]);
                for (factor, runs) in factors.zip(runs) {
                    runs.push(two_readers((config.steps, count), factor, [&scanned, &mnist], seed)?);
                }
            }
            for (errors, second) in tasks.iter_mut().zip([Second::Absent, Second::Parity, Second::Drawn]) {
                errors.push(two_questions(config, second, &scanned, seed)?);
            }
        }
        let [few, many] = [0, 1].map(|k| tied(&runs[k]));
        let mut table = Table::new([
            "digits each",
            "weights",
            "test error, UCI's digits, %",
            "test error, MNIST's, %",
            "gain over apart, points",
            "distance of two weights",
        ]);
        for (count, ways) in counts.into_iter().zip([&few, &many]) {
            for way in ways {
                table.row([
                    count.to_string(),
                    way.name.clone(),
                    way.scanned.to_string(),
                    way.mnist.to_string(),
                    way.gain.to_string(),
                    way.apart.to_string(),
                ]);
            }
        }
        let less = |index: usize| {
            let pairs = tasks[0].iter().zip(&tasks[index]);
            Measured::over(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
        };
        let [alone, together, with_noise] = [0, 1, 2].map(|index| Measured::over(&tasks[index]));
        let mut tasks_table = Table::new(["which digit, and", "test error, %", "gain over alone, points"]);
        for (name, error, gain) in [
            ("nothing else", alone, Measured::exact(0.0)),
            ("odd or even, of other digits", together, less(1)),
            ("answers that are drawn, of the same others", with_noise, less(2)),
        ] {
            tasks_table.row([name.to_owned(), error.to_string(), gain.to_string()]);
        }
        Ok(SharedWeightsReport {
            is_full: config.steps >= 600 && counts == [20, 100],
            train_images: counts,
            drawn_nearer: Measured::over(
                &runs[0][0]
                    .iter()
                    .zip(&runs[0][FACTORS.len() - 1])
                    .map(|(a, b)| a[2] / b[2])
                    .collect::<Vec<_>>(),
            ),
            tied: few,
            tied_many: many,
            related_gain: less(1),
            unrelated_gain: less(2),
            alone,
            together,
            with_noise,
            table,
            tasks_table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let mean = |way: &Tied| (way.scanned.mean + way.mnist.mean) / 2.0;
        let ([apart, weak, ..], [apart_many, .., one_many]) = (&report.tied[..], &report.tied_many[..])
        else {
            return Vec::new();
        };
        let mut checks = vec![
            // Pilot on seeds 100 to 109: 253 ± 95.
            Check::new(
                "penalty-draws-together",
                "root mean square of the difference of two weights, few digits: apart over that with the largest factor",
                report.drawn_nearer,
                Bound::AtLeast(if report.is_full { 30.0 } else { 2.0 }),
                BoundSource::Pilot,
            )
            .baseline("no penalty", 1.0)
            .reason_if_failed("a factor too small to be felt in so many steps"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "tying-helps-with-few",
                    "test error of two readers with 20 digits each: apart less weakly tied, mean of both, in points",
                    weak.gain,
                    Bound::AtLeast(0.0), // what a penalty that says "these are alike" is for
                    BoundSource::Paper,
                )
                .baseline("apart, mean of both, %", mean(apart))
                .reason_if_failed("two hands so different that each misleads the other"),
                // Pilot on seeds 100 to 109: -4.4 ± 1.5.
                Check::new(
                    "one-network-hurts-with-many",
                    "test error of two readers with 100 digits each: apart less one network for both, mean, in points",
                    one_many.gain,
                    Bound::AtMost(-1.5),
                    BoundSource::Pilot,
                )
                .baseline("apart, mean of both, %", mean(apart_many))
                .reason_if_failed("hands that are more alike than they look"),
                Check::new(
                    "related-task-helps",
                    "test error of \"which digit?\" alone less that with a trunk that \"odd or even?\" shares, in points",
                    report.related_gain,
                    Bound::AtLeast(0.0),
                    BoundSource::Paper,
                )
                .baseline("with answers that are drawn, in points", report.unrelated_gain.mean)
                .reason_if_failed("two questions that look at different strokes"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let panel = |count: usize, ways: &[Tied]| {
            Plot::new(
                Axis::linear("test error, %").range(0.0, 60.0),
                Axis::categories("", ways.iter().map(|way| way.name.clone())),
            )
            .title(format!("{count} digits of each"))
            .bars("UCI", ways.iter().map(|way| (way.scanned.mean, way.scanned.sd)))
            .bars("MNIST", ways.iter().map(|way| (way.mnist.mean, way.mnist.sd)))
        };
        let [few, many] = report.train_images;
        vec![Figure::new(
            "tied",
            format!(
                "Weights that two readers share hurt once there are examples enough. Percent of new digits read wrong, two \
                 collections with {few} or {many} digits each to train with; mean and one standard deviation of {} seeds.",
                report.related_gain.n
            ),
            "Two panels of horizontal bars in five groups: two networks apart, three factors of the penalty, one network for both; in \
             each group a bar for the digits of UCI and a longer one for those of MNIST. The groups of the first panel are nearly \
             alike; in the second the bars grow from apart to one network.",
            Body::Panels {
                panels: vec![panel(few, &report.tied), panel(many, &report.tied_many)],
                columns: 2,
            },
        )]
    }
}

/// The ways to tie two networks: factors, and one network.
const WAYS: usize = FACTORS.len() + 1;

/// What one number of digits gave, way by way.
fn tied(runs: &[Vec<[f64; 3]>]) -> Vec<Tied> {
    let over = |way: usize, which: usize| {
        Measured::over(&runs[way].iter().map(|run| run[which]).collect::<Vec<_>>())
    };
    let gain = |way: usize| {
        let pairs = runs[0].iter().zip(&runs[way]);
        let gain = |(a, b): (&[f64; 3], &[f64; 3])| (a[0] + a[1] - b[0] - b[1]) / 2.0;
        Measured::over(&pairs.map(gain).collect::<Vec<_>>())
    };
    let names = FACTORS.iter().map(|factor| match factor {
        0.0 => "apart".to_owned(),
        _ => format!("tied, {factor}"),
    });
    let tied = |(way, name)| Tied {
        name,
        scanned: over(way, 0),
        mnist: over(way, 1),
        gain: gain(way),
        apart: over(way, 2),
    };
    names.chain(["one network".to_owned()]).enumerate().map(tied).collect()
}

/// The scanned digits of UCI, 8 × 8 pixels, in one fixed order.
fn scanned() -> Digits {
    let images = digits().permuted(0);
    let x = (0..images.len()).flat_map(|i| images.unit_values::<f32>(i)).collect();
    Digits { x, labels: images.labels(), features: PIXELS }
}

/// As many of MNIST's digits, their border of two pixels cut off and means of 3 × 3 pixels taken.
fn shrunken() -> Digits {
    let images = mnist().select(0..1797);
    let mut x = Vec::new();
    for i in 0..images.len() {
        let pixels: Vec<f32> = images.unit_values::<f32>(i).collect();
        for (row, column) in (0..8).flat_map(|row| (0..8).map(move |column| (row, column))) {
            let places = (0..3).flat_map(|y| (0..3).map(move |x| (y, x)));
            let sum: f32 = places.map(|(y, x)| pixels[(2 + 3 * row + y) * 28 + 2 + 3 * column + x]).sum();
            x.push(sum / 9.0);
        }
    }
    Digits { x, labels: images.labels(), features: PIXELS }
}

/// He's weights, no biases.
fn he(p: &Parameter) -> Init {
    match p.ndim() {
        2 => Init::he_normal(p, Fan::In, gain::RELU),
        _ => Init::Constant(0.0),
    }
}

fn rule() -> SgdConfig {
    SgdConfig { learning_rate: RATE, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 }
}

/// `count` numbers of digits that are not for testing.
fn drawn(set: &Digits, count: usize, key: Key) -> Vec<usize> {
    key.permutation(set.len() - TEST).into_iter().take(count).collect()
}

/// Minibatches of `examples`, without an end.
fn batch(examples: &[usize], step: u64, key: Key) -> Vec<usize> {
    let order = key.fold(step).permutation(examples.len());
    order.into_iter().take(BATCH).map(|i| examples[i]).collect()
}

/// Test errors in percent of both hands, and how far apart the weights are, after so many steps with so many digits; one
/// network for both without a factor.
fn two_readers(
    (steps, count): (usize, usize),
    factor: Option<f64>,
    sets: [&Digits; 2],
    seed: Seed,
) -> Result<[f64; 3], lab::Error> {
    let unit = |error: crate::Error| lab::Error::unit(error);
    let mut a: Model = Cpu::default().build_module::<Reader, f32>();
    init::draw(&mut a, he, seed.key("weights")).map_err(lab::Error::unit)?;
    let (mut b, keys) =
        (Cpu::default().build_module::<Reader, f32>(), [seed.key("scanned"), seed.key("mnist")]);
    init::draw(&mut b, he, seed.key("weights")).map_err(lab::Error::unit)?; // the same start: units that belong together
    let examples = [0, 1].map(|k| drawn(sets[k], count, keys[k]));
    let [mut of_a, mut of_b] = [
        Sgd::try_new(&a, rule()).map_err(lab::Error::unit)?,
        Sgd::try_new(&b, rule()).map_err(lab::Error::unit)?,
    ];
    for step in 0..steps as u64 {
        let [first, second] = [0, 1].map(|k| {
            let (x, labels) = rows::<PIXELS>(sets[k], &batch(&examples[k], step, keys[k].fold(1)));
            move |model: &Model| cross_entropy_mean(model.forward(x.leaky_trace()), &labels)
        });
        // ANCHOR: tied
        match factor {
            Some(factor) => {
                let penalty = distance(&a, &b, factor).map_err(unit)?;
                let mut gradients = (first(&a) + second(&b) + penalty).backward();
                of_a.step(&mut a, &mut gradients)?;
                of_b.step(&mut b, &mut gradients)?;
            }
            None => {
                let mut gradients = (first(&a) + second(&a)).backward();
                of_a.step(&mut a, &mut gradients)?;
            }
        }
        // ANCHOR_END: tied
    }
    let second = if factor.is_some() { &b } else { &a };
    let difference = distance(&a, second, 1.0).map_err(unit)?;
    let apart = f64::from(difference.array()) / layers::params::count(&a) as f64;
    Ok([error(&a, sets[0]), error(second, sets[1]), apart.sqrt()])
}

/// Percent of the test digits that are read wrong.
fn error(model: &Model, set: &Digits) -> f64 {
    let (x, labels) = rows::<PIXELS>(set, &(set.len() - TEST..set.len()).collect::<Vec<_>>());
    100.0 - percent_equal(&largest(&model.forward(x).as_vec()), &labels)
}

fn largest(votes: &[f32]) -> Vec<usize> {
    let largest = |row: &[f32]| (0..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    votes.chunks(CLASSES).map(largest).collect()
}

/// What the second head is asked.
#[derive(Clone, Copy, PartialEq)]
enum Second {
    /// Nothing.
    Absent,
    /// Odd or even, of other digits than those of the first.
    Parity,
    /// Answers that are drawn once, for the same others.
    Drawn,
}

/// Test error in percent of "which digit?".
fn two_questions(
    config: &SharedWeightsConfig,
    second: Second,
    set: &Digits,
    seed: Seed,
) -> Result<f64, lab::Error> {
    let unit = |error: crate::Error| lab::Error::unit(error);
    let mut model = Cpu::default().build_module::<Both, f32>();
    init::draw(&mut model, he, seed.key("weights")).map_err(lab::Error::unit)?;
    let mut sgd = Sgd::try_new(&model, rule()).map_err(lab::Error::unit)?;
    let chosen = drawn(set, config.many_images + OTHERS, seed.key("questions"));
    let (own, others) = chosen.split_at(config.many_images);
    let (key, answers) = (seed.key("order"), seed.key("answers").permutation(2 * set.len()));
    let weight = if second == Second::Absent { 0.0 } else { 1.0 };
    for step in 0..config.steps as u64 {
        // ANCHOR: heads
        let (own, others) = (batch(own, step, key), batch(others, step, key.fold(1)));
        let (x, _) = rows::<PIXELS>(set, &[&own[..], &others[..]].concat());
        let which = own.iter().map(|&i| set.labels[i]);
        let other = others.iter().map(|&i| match second {
            Second::Drawn => answers[i] % 2,
            _ => set.labels[i] % 2,
        });
        let nothing = |count: usize| std::iter::repeat_n(IGNORED, count);
        let which: Vec<usize> = which.chain(nothing(others.len())).collect();
        let other: Vec<usize> = nothing(own.len()).chain(other).collect();
        let (first_head, second_head) = model.forward(x.leaky_trace());
        let plain = ClassLoss::CrossEntropy { label_smoothing: 0.0 };
        let rows = Classes { ignored: Some(IGNORED), ..Classes::default() };
        let losses = [
            class_loss_mean(first_head, &which, plain, rows),
            class_loss_mean(second_head, &other, plain, rows),
        ];
        let loss = joint(losses, [1.0, weight]).map_err(unit)?;
        // ANCHOR_END: heads
        sgd.step(&mut model, &mut loss.backward())?;
    }
    let (x, labels) = rows::<PIXELS>(set, &(set.len() - TEST..set.len()).collect::<Vec<_>>());
    let (votes, _) = model.forward(x);
    Ok(100.0 - percent_equal(&largest(&votes.as_vec()), &labels))
}

#[cfg(test)]
mod tests {
    use super::{PIXELS, TEST, batch, drawn, scanned, shrunken};
    use kernels::random::Key;

    #[test]
    fn shrunken_digits_keep_their_ink() {
        let (small, large) = (shrunken(), datasets::mnist());
        assert_eq!((small.x.len(), small.labels.len()), (1797 * PIXELS, 1797));
        // MNIST's digits lie in the middle 20 x 20 pixels: nothing is in the border that is cut off.
        for i in [0, 17, 1796] {
            let ink: f32 = large.unit_values::<f32>(i).sum();
            let kept: f32 = small.row(i).iter().sum::<f32>() * 9.0;
            assert!((ink - kept).abs() < 0.02 * ink, "digit {i}: {ink}, {kept} kept");
        }
    }

    #[test]
    fn training_digits_are_never_tested() {
        let set = scanned();
        let chosen = drawn(&set, 400, Key::new(1));
        assert!(chosen.iter().all(|&i| i < set.len() - TEST));
        assert!(batch(&chosen, 3, Key::new(2)).iter().all(|i| chosen.contains(i)));
    }
}
