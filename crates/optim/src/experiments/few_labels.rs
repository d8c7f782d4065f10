//! Ten labels of each digit, and a thousand digits without.

use dfdx::prelude::{Backward, Cpu, HasShape, Module, NoneTape, OwnedTape, Trace};
use kernels::random::Key;
use kernels::{ActivationKind, cross_entropy_mean, softmax, try_dropout};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Seed, Table};
use layers::Step;
use layers::params::DeviceError;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Loss, Net, Plan, accuracy, he_net, tensor};
use super::{Data, at_least_one, at_least_two};
use crate::chain::Batch;
use crate::regularize::augment::{Augment, Shift};
use crate::regularize::semi_supervised::{TemporalEnsemble, consistency, entropy, ramp_up};

/// A network with few labels, alone and with three ways to learn from digits without.
#[derive(Debug)]
pub struct FewLabels;

/// What may vary in [`FewLabels`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct FewLabelsConfig {
    /// Runs of each way, each with its own labelled digits, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the digits without labels
    #[arg(long)]
    pub epochs: usize,
    /// Labelled digits of each class
    #[arg(long)]
    pub labels_per_class: usize,
    /// Digits to test with, at most 600
    #[arg(long)]
    pub test_images: usize,
}

impl Default for FewLabelsConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 80, labels_per_class: 10, test_images: 500 }
    }
}

impl ExperimentConfig for FewLabelsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 6, labels_per_class: 10, test_images: 300 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("labels_per_class", self.labels_per_class)?;
        at_least_one("test_images", self.test_images)?;
        for (field, value, most) in
            [("labels_per_class", self.labels_per_class, 50), ("test_images", self.test_images, 600)]
        {
            if value > most {
                let rule = if most == 50 { "at most 50" } else { "at most 600" };
                return Err(lab::Error::Config { field, rule, value: value.to_string() });
            }
        }
        Ok(self)
    }
}

/// What [`FewLabels`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FewLabelsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Digits with a label.
    pub labelled: usize,
    /// Digits that train, with a label or without.
    pub all: usize,
    /// The ways; labels alone first.
    pub ways: Vec<Way>,
    /// Passes over all digits at which the accuracy was taken.
    pub epochs: Vec<usize>,
    /// All of it as a table.
    pub table: Table,
}

/// One way to learn.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Way {
    /// Its name.
    pub name: String,
    /// Test accuracy in percent at the end, over seeds.
    pub accuracy: Measured,
    /// The same less that of the labels alone with the same noise, in points, by seed.
    pub gain: Measured,
    /// Test accuracy by pass, per seed.
    pub curves: Vec<Vec<f64>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Noisy,
    Twice,
    Temporal,
    Entropy,
}

const KINDS: [(&str, Kind); 5] = [
    ("labels alone", Kind::Plain),
    ("labels, with noise", Kind::Noisy),
    ("Π-model", Kind::Twice),
    ("temporal", Kind::Temporal),
    ("entropy", Kind::Entropy),
];
/// Labels alone with the noise of the others.
const NOISY: usize = 1;
const HIDDEN: usize = 128;
const BATCH: usize = 50;
/// Digits without labels in a step.
const UNLABELLED: usize = 100;
/// Digits that train.
const ALL: usize = 1100;
const RATE: f64 = 0.05;
const DROPOUT: f64 = 0.5;
/// Weight of the entropy; that of the two others is the paper's for the Pi-model, a hundred times the share of labels
/// (its temporal ensembling has 30).
const ENTROPY: f64 = 0.1;
const PAPERS_WEIGHT: f64 = 100.0;
const DECAY: f64 = 0.6;

impl Experiment for FewLabels {
    type Config = FewLabelsConfig;
    type Report = FewLabelsReport;
    const ABOUT: About = About {
        name: "few-labels",
        lecture: 6,
        paper: "Laine & Aila (2017), Temporal ensembling for semi-supervised learning; Grandvalet & Bengio (2004)",
        claim: "With ten labels for each digit, asking a thousand others for the same answer twice reads more digits than the \
                labels alone",
        sources: &[
            include_str!("few_labels.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../regularize/augment.rs"),
            include_str!("../regularize/semi_supervised.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Digits, ALL, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let mut curves: Vec<Vec<Vec<f64>>> = vec![Vec::new(); KINDS.len()];
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("seeds", done as u64, seeds.len() as u64, None)?;
            let labelled = some_of_each(&train, config.labels_per_class, seed.key("labels"));
            for (index, (_, kind)) in KINDS.into_iter().enumerate() {
                curves[index].push(trained(config, kind, &train, &labelled, &test, seed)?);
            }
        }
        let last = |index: usize| curves[index].iter().map(|curve| curve[curve.len() - 1]);
        let ways: Vec<Way> = KINDS
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Way {
                name: (*name).to_owned(),
                accuracy: Measured::over(&last(index).collect::<Vec<_>>()),
                gain: Measured::over(&last(index).zip(last(NOISY)).map(|(a, b)| a - b).collect::<Vec<_>>()),
                curves: curves[index].clone(),
            })
            .collect();
        let mut table =
            Table::new(["way", "test accuracy, %", "gain over labels alone with the same noise, points"]);
        for way in &ways {
            table.row([way.name.clone(), way.accuracy.to_string(), way.gain.to_string()]);
        }
        Ok(FewLabelsReport {
            is_full: config.epochs >= 80 && config.labels_per_class == 10,
            labelled: CLASSES * config.labels_per_class,
            all: train.len(),
            ways,
            epochs: recorded(config.epochs),
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        if !report.is_full {
            return Vec::new();
        }
        let noisy = report.ways[NOISY].accuracy.mean;
        let check = |id: &str, claim: &str, way: usize, reason: &str| {
            Check::new(id, claim, report.ways[way].gain, Bound::AtLeast(0.0), BoundSource::Paper)
                .baseline("labels alone, with the same noise, %", noisy)
                .reason_if_failed(reason)
        };
        vec![
            check(
                "same-answer-twice",
                "test accuracy of the Π-model less that of its labels alone with the same noise, in points",
                2,
                "noise that changes no answer teaches nothing",
            ),
            check(
                "same-answer-as-before",
                "test accuracy of temporal ensembling less that of its labels alone with the same noise, in points",
                3,
                "early answers that are wrong, and remembered",
            ),
            check(
                "sure-answers",
                "test accuracy with entropy minimisation less that of its labels alone with the same noise, in points",
                4,
                "digits on the wrong side of a boundary are made sure as well",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let steps: Vec<f64> = report.epochs.iter().map(|&epoch| epoch as f64).collect();
        let mut plot = Plot::new(
            Axis::linear("passes over the digits without labels"),
            Axis::linear("test accuracy, %"),
        );
        for way in &report.ways[NOISY..] {
            // Bands would lie on each other, and the first passes would take most of the height.
            let mut line = Line::over_seeds(way.name.clone(), &steps, &way.curves);
            line.band = None;
            line.points.drain(..steps.len() / 4);
            plot = plot.line(line);
        }
        let plot = plot.horizontal("without noise", report.ways[0].accuracy.mean);
        vec![Figure::new(
            "accuracy",
            format!(
                "What digits without labels are worth beside {} labels. Test accuracy while training, {} digits of which all but \
                 these have no label; from a quarter of the passes on, mean of {} choices of the labelled ones.",
                report.labelled, report.all, report.ways[0].accuracy.n
            ),
            "Four rising curves over the passes: labels alone with noise on the images and the units, and three ways to use digits \
             without labels; a level line for the labels alone without noise.",
            plot,
        )]
    }
}

/// Every fourth pass, and the last.
fn recorded(epochs: usize) -> Vec<usize> {
    (1..=epochs).filter(|epoch| epoch % 4 == 0 || *epoch == epochs).collect()
}

/// So many numbers of each class, drawn by `key`.
fn some_of_each(set: &Digits, per_class: usize, key: Key) -> Vec<usize> {
    let mut left = [per_class; CLASSES];
    let order = key.permutation(set.len());
    let chosen = order.into_iter().filter(|&i| {
        let left = &mut left[set.labels[i]];
        let is_wanted = *left > 0;
        *left -= usize::from(is_wanted);
        is_wanted
    });
    chosen.collect()
}

/// Test accuracies in percent after the recorded passes.
fn trained(
    config: &FewLabelsConfig,
    kind: Kind,
    set: &Digits,
    labelled: &[usize],
    test: &Digits,
    seed: Seed,
) -> Result<Vec<f64>, lab::Error> {
    let unit = |error: crate::Error| lab::Error::unit(error);
    let mut net = he_net(&[set.features, HIDDEN, CLASSES], ActivationKind::Relu, seed.key("weights"))?;
    let plan = Plan {
        epochs: config.epochs,
        batch: UNLABELLED,
        learning_rate: RATE,
        momentum: 0.9,
        weight_decay: 0.0,
    };
    let mut sgd = plan.optimizer(&net)?;
    let mut ensemble = TemporalEnsemble::try_new(set.len(), CLASSES, DECAY).map_err(unit)?;
    let weight = PAPERS_WEIGHT * labelled.len() as f64 / set.len() as f64;
    let (order, passes) = (seed.key("order"), recorded(config.epochs));
    let (mut right, mut step) = (Vec::new(), 0_u64);
    let length = (config.epochs * set.len().div_ceil(UNLABELLED)) as u64 / 2;
    for epoch in 1..=config.epochs {
        for rows in order.fold(epoch as u64).permutation(set.len()).chunks(UNLABELLED) {
            let key = seed.key("noise").fold(step);
            let own: Vec<usize> = key
                .fold(9)
                .permutation(labelled.len())
                .into_iter()
                .take(BATCH)
                .map(|i| labelled[i])
                .collect();
            let ramp = ramp_up(step, length.max(1)).map_err(unit)?;
            let supervised = if kind == Kind::Plain {
                let (x, labels) = set.batch(&own);
                cross_entropy_mean(net.forward(x.leaky_trace()), &labels)
            } else {
                let labels: Vec<usize> = own.iter().map(|&i| set.labels[i]).collect();
                cross_entropy_mean(noisy_votes(&net, set, &own, key.fold(1))?, &labels)
            };
            // ANCHOR: loss
            let loss: Loss = match kind {
                Kind::Plain | Kind::Noisy => supervised,
                Kind::Twice => {
                    let once = noisy_votes(&net, set, rows, key.fold(2))?;
                    let again = noisy_votes(&net, set, rows, key.fold(3))?;
                    supervised + consistency(once, again).map_err(unit)? * (ramp * weight) as f32
                }
                Kind::Temporal => {
                    let now = noisy_votes(&net, set, rows, key.fold(2))?;
                    let before = ensemble.targets(rows).map_err(unit)?;
                    let answers = softmax(now.retaped::<NoneTape>());
                    ensemble.update(rows, &matrix(&answers)).map_err(unit)?;
                    supervised + consistency(now, logits(&before)).map_err(unit)? * (ramp * weight) as f32
                }
                Kind::Entropy => {
                    let votes = noisy_votes(&net, set, rows, key.fold(2))?;
                    supervised + entropy(votes).map_err(unit)? * (ramp * ENTROPY) as f32
                }
            };
            // ANCHOR_END: loss
            sgd.step(&mut net, &mut loss.backward())?;
            step += 1;
        }
        if passes.contains(&epoch) {
            right.push(accuracy(&net, test)?);
        }
    }
    Ok(right)
}

/// Votes for these digits, moved by up to a pixel and with half of the hidden units missing: the noise of one evaluation.
fn noisy_votes(
    net: &Net,
    set: &Digits,
    rows: &[usize],
    key: Key,
) -> Result<Batch<f32, Cpu, OwnedTape<f32, Cpu>>, lab::Error> {
    let mut rng = key.rng();
    let shift = Shift { max: 1 };
    let moved = rows.iter().flat_map(|&i| shift.apply(set.row(i), set.size(), &mut rng)).collect();
    let x = tensor(moved, (rows.len(), set.features));
    let dropped = |_, a| Ok(try_dropout(a, DROPOUT, key.fold(1)).unwrap_or_else(|error| panic!("{error}")));
    net.try_forward_with(x.leaky_trace(), dropped).map_err(|error| lab::Error::unit(DeviceError::new(error)))
}

/// Probabilities as a matrix, a row for each digit.
fn matrix(answers: &Batch<f32, Cpu>) -> DMatrix<f64> {
    let (rows, classes) = *answers.shape();
    DMatrix::from_row_iterator(rows, classes, answers.as_vec().into_iter().map(f64::from))
}

/// Votes whose softmax these probabilities are; all equal where there are none yet.
fn logits(answers: &DMatrix<f64>) -> Batch<f32, Cpu> {
    let values =
        answers.row_iter().flat_map(|row| row.iter().map(|p| p.max(1e-8).ln() as f32).collect::<Vec<_>>());
    tensor(values.collect(), answers.shape())
}

#[cfg(test)]
mod tests {
    use super::{Digits, logits, matrix, some_of_each};
    use kernels::random::Key;
    use nalgebra::dmatrix;

    #[test]
    fn so_many_of_each_class() {
        let labels: Vec<usize> = (0..200).map(|i| i * i % 10).collect();
        let set = Digits { x: vec![0.0; 200], labels: labels.clone(), features: 1 };
        let chosen = some_of_each(&set, 3, Key::new(0));
        for class in 0..10 {
            let want = labels.iter().filter(|&&label| label == class).count().min(3);
            assert_eq!(chosen.iter().filter(|&&i| labels[i] == class).count(), want, "class {class}");
        }
    }

    #[test]
    fn logits_of_answers_are_answers_again() {
        let answers = dmatrix![0.7, 0.2, 0.1; 0.25, 0.25, 0.5];
        assert!((matrix(&kernels::softmax(logits(&answers))) - answers).amax() < 1e-6);
    }
}
