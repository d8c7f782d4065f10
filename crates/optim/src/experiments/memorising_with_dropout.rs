//! A regulariser that keeps a network from learning noise by heart, and hardly from learning digits.

use dfdx::prelude::{Module, Trace};
use kernels::{ActivationKind, cross_entropy_mean, try_dropout, try_gaussian_noise};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Draw, Loss, Net, Plan, accuracy, he_net, train};
use super::{Data, at_least_one, at_least_two};
use crate::regularize::memorization::randomize_labels;

/// Dropout and noise on the pixels while a network learns real digits, and the same with random labels.
#[derive(Debug)]
pub struct MemorisingWithDropout;

/// What may vary in [`MemorisingWithDropout`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct MemorisingWithDropoutConfig {
    /// Starts, orders and draws of the labels, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Hidden units of each of the two layers
    #[arg(long)]
    pub hidden: usize,
    /// Images to train with
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for MemorisingWithDropoutConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 20, hidden: 256, train_images: 1000, test_images: 4000 }
    }
}

impl ExperimentConfig for MemorisingWithDropoutConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 12, hidden: 48, train_images: 200, test_images: 300 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("hidden", self.hidden)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`MemorisingWithDropout`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemorisingWithDropoutReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// One for each regulariser, the first without any.
    pub ways: Vec<Way>,
    /// Percent of the random labels learnt without a regulariser less that with dropout ½, paired by seed.
    pub noise_not_learnt: Measured,
    /// Percent of the real digits read in training without a regulariser less that with dropout ½.
    pub digits_not_learnt: Measured,
    /// Test accuracy on real digits with dropout ½ less that without, in points.
    pub gain: Measured,
    /// As text.
    pub table: Table,
}

/// One regulariser, on both kinds of labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Way {
    /// What it is called.
    pub name: String,
    /// Percent of the training digits that are read as labelled at the end, real labels.
    pub real: Measured,
    /// The same with random labels.
    pub random: Measured,
    /// Percent of new digits that are read, after training on real labels.
    pub test: Measured,
    /// Percent of the random labels learnt after each pass, mean over seeds.
    pub learnt: Vec<f64>,
}

/// What acts while training.
#[derive(Clone, Copy, Debug)]
enum Kind {
    None,
    Noise(f64),
    Dropout(f64),
}

const KINDS: [(&str, Kind); 5] = [
    ("none", Kind::None),
    ("input noise, 0.3", Kind::Noise(0.3)),
    ("dropout, 0.25", Kind::Dropout(0.25)),
    ("dropout, 0.5", Kind::Dropout(0.5)),
    ("dropout, 0.75", Kind::Dropout(0.75)),
];
/// Place of dropout ½ among them.
const HALF: usize = 3;

/// One training: percent of the training images read as labelled after each pass, and of new ones at the end.
struct Run {
    learnt: Vec<f64>,
    test: f64,
}

impl Run {
    fn end(&self) -> f64 {
        self.learnt.last().copied().unwrap_or(f64::NAN)
    }
}

impl Experiment for MemorisingWithDropout {
    type Config = MemorisingWithDropoutConfig;
    type Report = MemorisingWithDropoutReport;
    const ABOUT: About = About {
        name: "memorising-with-dropout",
        lecture: 6,
        paper: "Arpit et al. (2017), A closer look at memorization in deep networks, arXiv:1706.05394, section 5",
        claim: "Dropout keeps a network from learning random labels by heart, with hardly a loss on real digits, in \
                training or in test",
        sources: &[
            include_str!("memorising_with_dropout.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../chain.rs"),
            include_str!("../regularize/memorization.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (training, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let mut runs: Vec<[Vec<Run>; 2]> = Vec::new();
        for (done, (_, kind)) in KINDS.into_iter().enumerate() {
            lab.progress("regularisers", done as u64, KINDS.len() as u64, None)?;
            let mut both = [Vec::new(), Vec::new()];
            for &seed in &seeds {
                both[0].push(fit(config, kind, &training, &test, seed)?);
                let labels = randomize_labels(&training.labels, CLASSES, 1.0, &mut seed.key("labels").rng());
                let shuffled = Digits { labels, ..training.clone() };
                both[1].push(fit(config, kind, &shuffled, &test, seed)?);
            }
            runs.push(both);
        }
        let over = |values: Vec<f64>| Measured::over(&values);
        let ends = |runs: &[Run]| runs.iter().map(Run::end).collect::<Vec<_>>();
        let less = |a: Vec<f64>, b: Vec<f64>| over(a.iter().zip(&b).map(|(a, b)| a - b).collect());
        let tests = |way: usize| runs[way][0].iter().map(|run| run.test).collect::<Vec<_>>();
        let mut table = Table::new([
            "regulariser",
            "random labels learnt, %",
            "real labels learnt, %",
            "new digits read, %",
        ]);
        let mut ways = Vec::new();
        for (way, (name, _)) in KINDS.into_iter().enumerate() {
            let [real, random] = &runs[way];
            let mean =
                |epoch: usize| random.iter().map(|run| run.learnt[epoch]).sum::<f64>() / random.len() as f64;
            let way = Way {
                name: name.into(),
                real: over(ends(real)),
                random: over(ends(random)),
                test: over(tests(way)),
                learnt: (0..config.epochs).map(mean).collect(),
            };
            table.row([name.into(), way.random.to_string(), way.real.to_string(), way.test.to_string()]);
            ways.push(way);
        }
        Ok(MemorisingWithDropoutReport {
            is_full: config.epochs >= 20 && config.train_images >= 1000 && config.hidden >= 256,
            noise_not_learnt: less(ends(&runs[0][1]), ends(&runs[HALF][1])),
            digits_not_learnt: less(ends(&runs[0][0]), ends(&runs[HALF][0])),
            gain: less(tests(HALF), tests(0)),
            ways,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        // Pilot in PyTorch, seeds 100 to 102: random labels 96.4 ± 1.4 % without, 43.4 ± 4.4 % with dropout 0.5; real labels
        // 100 and 99.4 ± 0.1 %; new digits 89.9 ± 0.1 and 90.0 ± 0.7 %.
        let full = report.is_full;
        vec![
            Check::new(
                "dropout-hinders-learning-by-heart",
                "random labels learnt without a regulariser less those with dropout 0.5, in points",
                report.noise_not_learnt,
                Bound::AtLeast(if full { 35.0 } else { 10.0 }),
                BoundSource::Pilot,
            )
            .baseline("the same of real labels", report.digits_not_learnt.mean)
            .reason_if_failed("masks that are the same in every step"),
            Check::new(
                "dropout-lets-digits-pass",
                "real digits read in training without a regulariser less those with dropout 0.5, in points",
                report.digits_not_learnt,
                Bound::AtMost(if full { 2.0 } else { 25.0 }),
                BoundSource::Pilot,
            )
            .baseline("the same of random labels", report.noise_not_learnt.mean)
            .reason_if_failed("too few passes for a network of which half is missing"),
            Check::new(
                "new-digits-are-read-as-well",
                "new digits read with dropout 0.5 less those without, in points",
                report.gain,
                Bound::AtLeast(if full { -2.0 } else { -25.0 }),
                BoundSource::Pilot,
            )
            .baseline("without, in %", report.ways[0].test.mean)
            .reason_if_failed("too few passes for a network of which half is missing"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let epochs = |values: &[f64]| -> Vec<(f64, f64)> {
            values.iter().enumerate().map(|(k, &value)| ((k + 1) as f64, value)).collect()
        };
        let drawn = report.ways.iter().filter(|way| !way.name.starts_with("input noise"));
        let plot = drawn.fold(
            Plot::new(Axis::linear("passes"), Axis::linear("random labels learnt, %").range(0.0, 100.0)),
            |plot, way| plot.line(Line::new(&way.name, epochs(&way.learnt))),
        );
        vec![Figure::new(
            "learnt",
            "The more units are missing, the slower noise is learnt by heart. Percent of the training digits that are read as \
             their random labels say, all units present, against passes; mean over seeds.",
            "Four rising curves over the passes. Without a regulariser nearly everything is learnt; with dropout of a quarter \
             less, with one half about half of it, with three quarters hardly more than guessing.",
            plot,
        )]
    }
}

fn fit(
    config: &MemorisingWithDropoutConfig,
    kind: Kind,
    training: &Digits,
    test: &Digits,
    seed: Seed,
) -> Result<Run, lab::Error> {
    let widths = [training.features, config.hidden, config.hidden, CLASSES];
    let mut net = he_net(&widths, ActivationKind::Relu, seed.key("weights"))?;
    let plan =
        Plan { epochs: config.epochs, batch: 50, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0 };
    let mut sgd = plan.optimizer(&net)?;
    let mut learnt = Vec::new();
    train(
        &mut net,
        &mut sgd,
        training.len(),
        plan,
        seed.key("order"),
        |net, draw| loss(net, training, kind, &draw),
        |_, net, _| {
            learnt.push(accuracy(net, training)?);
            Ok(true)
        },
    )?;
    Ok(Run { learnt, test: accuracy(&net, test)? })
}

fn loss(net: &Net, set: &Digits, kind: Kind, draw: &Draw) -> Result<Loss, lab::Error> {
    let (x, labels) = set.batch(&draw.rows);
    let x = x.leaky_trace();
    let output = match kind {
        Kind::None => net.forward(x),
        Kind::Noise(deviation) => {
            net.forward(try_gaussian_noise(x, deviation, draw.key).map_err(lab::Error::unit)?)
        }
        // ANCHOR: dropout
        Kind::Dropout(rate) => {
            let dropped = |layer, a| {
                let key = draw.key.fold(layer as u64);
                Ok(try_dropout(a, rate, key).unwrap_or_else(|error| panic!("{error}")))
            };
            net.try_forward_with(x, dropped)
                .map_err(|error| lab::Error::unit(layers::params::DeviceError::new(error)))?
        } // ANCHOR_END: dropout
    };
    Ok(cross_entropy_mean(output, &labels))
}
