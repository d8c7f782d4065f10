//! A penalty on what a layer says makes its code sparse; a penalty on its weights makes the weights sparse.

use dfdx::prelude::{Trace, WithEmptyTape};
use kernels::{ActivationKind, cross_entropy_mean};
use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Seed, Table};
use layers::params::DeviceError;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Draw, Net, Plan, accuracy, he_net, train};
use super::{Data, at_least_one, at_least_two};
use crate::regularize::activity::activity;
use crate::regularize::penalty::Penalty;

/// One network with two kinds of penalties.
#[derive(Debug)]
pub struct SparseCodes;

/// What may vary in [`SparseCodes`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SparseCodesConfig {
    /// Runs of each penalty, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for SparseCodesConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 30, train_images: 500, test_images: 5000 }
    }
}

impl ExperimentConfig for SparseCodesConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 6, train_images: 150, test_images: 200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`SparseCodes`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SparseCodesReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Hidden units.
    pub hidden: usize,
    /// The penalties; none first.
    pub codes: Vec<Code>,
    /// Share of active units without a penalty over that with the middle penalty on activations, by seed.
    pub sparser: Measured,
    /// Test accuracy with the middle penalty on activations less that without, in points, by seed.
    pub cost: Measured,
    /// All of it as a table.
    pub table: Table,
}

/// One penalty.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Code {
    /// What it acts on, and its factor.
    pub name: String,
    /// Percent of the hidden units that a test image switches on, over seeds.
    pub active: Measured,
    /// Percent of the hidden units that no test image switches on, over seeds.
    pub silent: Measured,
    /// Percent of the weights of the hidden layer that are zero, over seeds.
    pub zeros: Measured,
    /// Test accuracy in percent, over seeds.
    pub accuracy: Measured,
}

#[derive(Clone, Copy)]
enum Kind {
    None,
    Activity(f64),
    Weights(f64),
}

const HIDDEN: usize = 128;
const BATCH: usize = 50;
const RATE: f64 = 0.05;
/// Step of the proximal operator: the learning rate over 1 − momentum, what a gradient does in the long run.
const PROXIMAL_STEP: f64 = 0.5;
/// The middle one of the penalties on activations.
const MIDDLE: usize = 2;
const KINDS: [(&str, Kind); 7] = [
    ("none", Kind::None),
    ("activations, 0.003", Kind::Activity(0.003)),
    ("activations, 0.01", Kind::Activity(0.01)),
    ("activations, 0.03", Kind::Activity(0.03)),
    ("weights, 0.0001", Kind::Weights(1e-4)),
    ("weights, 0.0003", Kind::Weights(3e-4)),
    ("weights, 0.001", Kind::Weights(1e-3)),
];

/// One run.
struct Run {
    active: f64,
    silent: f64,
    zeros: f64,
    accuracy: f64,
}

impl Experiment for SparseCodes {
    type Config = SparseCodesConfig;
    type Report = SparseCodesReport;
    const ABOUT: About = About {
        name: "sparse-codes",
        lecture: 6,
        paper: "Goodfellow, Bengio & Courville (2016), Deep learning, section 7.10",
        claim: "A penalty on activations silences most hidden units for an image and keeps the weights dense, a penalty on \
                weights makes some of them zero and leaves as many units on or more, and neither costs much accuracy",
        sources: &[
            include_str!("sparse_codes.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../regularize/activity.rs"),
            include_str!("../regularize/penalty.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let mut runs: Vec<Vec<Run>> = Vec::new();
        for (done, (_, kind)) in KINDS.into_iter().enumerate() {
            lab.progress("penalties", done as u64, KINDS.len() as u64, None)?;
            let run = seeds.iter().map(|&seed| measured(config, kind, &train, &test, seed));
            runs.push(run.collect::<Result<_, _>>()?);
        }
        let over = |runs: &[Run], value: fn(&Run) -> f64| {
            Measured::over(&runs.iter().map(value).collect::<Vec<_>>())
        };
        let codes: Vec<Code> = KINDS
            .iter()
            .zip(&runs)
            .map(|((name, _), runs)| Code {
                name: (*name).to_owned(),
                active: over(runs, |run| run.active),
                silent: over(runs, |run| run.silent),
                zeros: over(runs, |run| run.zeros),
                accuracy: over(runs, |run| run.accuracy),
            })
            .collect();
        let paired = |value: fn(&Run, &Run) -> f64| {
            let pairs = runs[0].iter().zip(&runs[MIDDLE]);
            Measured::over(&pairs.map(|(none, middle)| value(none, middle)).collect::<Vec<_>>())
        };
        let mut table = Table::new([
            "penalty on",
            "units on for an image, %",
            "units never on, %",
            "weights that are zero, %",
            "test accuracy, %",
        ]);
        for code in &codes {
            table.row([
                code.name.clone(),
                code.active.to_string(),
                code.silent.to_string(),
                code.zeros.to_string(),
                code.accuracy.to_string(),
            ]);
        }
        Ok(SparseCodesReport {
            is_full: config.epochs >= 30 && config.train_images >= 500,
            hidden: HIDDEN,
            sparser: paired(|none, middle| none.active / middle.active),
            cost: paired(|none, middle| middle.accuracy - none.accuracy),
            codes,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [none, _, middle, _, _, weights, _] = &report.codes[..] else { return Vec::new() };
        let mut checks = vec![
            Check::new(
                "activity-leaves-weights-dense",
                "percent of the weights that are zero with a penalty on activations",
                middle.zeros,
                Bound::AtMost(0.0), // the difference that the book draws between the two
                BoundSource::Paper,
            )
            .baseline("with a penalty on weights", weights.zeros.mean)
            .reason_if_failed("a subgradient step that stops at zero"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "activity-makes-codes-sparse",
                    "share of active units without a penalty over that with the middle one on activations",
                    report.sparser,
                    Bound::AtLeast(4.8), // pilot on seeds 100 to 102: 5.98 ± 0.37
                    BoundSource::Pilot,
                )
                .baseline("the same for the penalty on weights", none.active.mean / weights.active.mean)
                .reason_if_failed("a penalty too weak to be heard beside the loss"),
                Check::new(
                    "weights-become-zero",
                    "percent of the weights that are zero with the middle penalty on weights",
                    weights.zeros,
                    Bound::AtLeast(17.0), // pilot on seeds 100 to 102: 18.3 ± 0.1
                    BoundSource::Pilot,
                )
                .baseline("with a penalty on activations", middle.zeros.mean)
                .reason_if_failed("few steps: a proximal step moves a weight by little"),
                Check::new(
                    "sparsity-costs-little",
                    "test accuracy with the middle penalty on activations less that without, in points",
                    report.cost,
                    Bound::AtLeast(-1.2), // pilot on seeds 100 to 102: 0.35 ± 0.51
                    BoundSource::Pilot,
                )
                .baseline("without, %", none.accuracy.mean)
                .reason_if_failed("so many silent units that too few are left"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = || report.codes.iter().map(|code| code.name.clone());
        let bars = |value: fn(&Code) -> Measured| {
            report.codes.iter().map(value).map(|m| (m.mean, m.sd)).collect::<Vec<_>>()
        };
        vec![Figure::new(
            "shares",
            format!(
                "Each penalty makes sparse what it acts on. Percent of {} hidden units that a test image switches on, and percent \
                 of the weights of these units that are zero; mean and one standard deviation of {} seeds.",
                report.hidden, report.codes[0].active.n
            ),
            "Horizontal bars in seven groups: no penalty, three on activations, three on weights. On activations the bar of active \
             units becomes short and that of zero weights is absent; on weights the bar of zeros becomes longer, and so does \
             that of active units.",
            Plot::new(Axis::linear("percent").range(0.0, 100.0), Axis::categories("", names()))
                .bars("units on for an image", bars(|code| code.active))
                .bars("weights that are zero", bars(|code| code.zeros)),
        )]
    }
}

fn measured(
    config: &SparseCodesConfig,
    kind: Kind,
    set: &Digits,
    test: &Digits,
    seed: Seed,
) -> Result<Run, lab::Error> {
    let mut net = he_net(&[set.features, HIDDEN, CLASSES], ActivationKind::Relu, seed.key("weights"))?;
    let plan =
        Plan { epochs: config.epochs, batch: BATCH, learning_rate: RATE, momentum: 0.9, weight_decay: 0.0 };
    let mut sgd = plan.optimizer(&net)?;
    // ANCHOR: step
    let step = |net: &mut Net, draw: Draw| {
        if let Kind::Weights(factor) = kind {
            let weights = kernels::flat_mut(&mut net.layers[0].weight);
            let mut w: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
            Penalty::L1(factor).prox(&mut w, PROXIMAL_STEP).map_err(lab::Error::unit)?;
            weights.iter_mut().zip(w).for_each(|(to, w)| *to = w as f32);
        }
        let (x, labels) = set.batch(&draw.rows);
        let mut code = None;
        let votes = net.try_forward_with(x.leaky_trace(), |_, a| {
            code = Some(a.with_empty_tape()); // the same tensor: what the penalty says reaches the hidden layer
            Ok(a)
        });
        let loss = cross_entropy_mean(votes.map_err(device)?, &labels);
        Ok(match (kind, code) {
            (Kind::Activity(factor), Some(code)) => {
                loss + activity(code, factor).map_err(lab::Error::unit)?
            }
            _ => loss,
        })
    };
    // ANCHOR_END: step
    train(&mut net, &mut sgd, set.len(), plan, seed.key("order"), step, |_, _, _| Ok(true))?;
    let mut on = vec![0_usize; HIDDEN];
    net.try_forward_with(test.whole(), |_, a| {
        for row in a.as_vec().chunks(HIDDEN) {
            row.iter().zip(&mut on).for_each(|(&a, on)| *on += usize::from(a > 0.0));
        }
        Ok(a)
    })
    .map_err(device)?;
    let weights = net.layers[0].weight.as_vec();
    let percent = |part: usize, of: usize| 100.0 * part as f64 / of as f64;
    Ok(Run {
        active: percent(on.iter().sum(), HIDDEN * test.len()),
        silent: percent(on.iter().filter(|&&on| on == 0).count(), HIDDEN),
        zeros: percent(weights.iter().filter(|&&w| w == 0.0).count(), weights.len()),
        accuracy: accuracy(&net, test)?,
    })
}

fn device(error: impl std::fmt::Display + std::fmt::Debug) -> lab::Error {
    lab::Error::unit(DeviceError::new(error))
}
