//! How certain a network may be: overconfidence after many epochs, a temperature, and smoothed labels.

use dfdx::prelude::{Module, Trace};
use kernels::{ActivationKind, ClassLoss, Classes, class_loss_mean};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Draw, Net, Plan, he_net, train};
use super::{Data, at_least_one, at_least_two};
use crate::calibration::{Bin, probabilities, reliability, temperature};

/// A network that has learnt its images by heart, before and after calibration.
#[derive(Debug)]
pub struct Calibration;

/// What may vary in [`Calibration`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct CalibrationConfig {
    /// Starts and orders of the images, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with, and as many to fit the temperature with
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
    /// Hidden units
    #[arg(long)]
    pub hidden: usize,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 30, train_images: 1000, test_images: 4000, hidden: 128 }
    }
}

impl ExperimentConfig for CalibrationConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 20, train_images: 300, test_images: 600, hidden: 32 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        at_least_one("hidden", self.hidden)?;
        Ok(self)
    }
}

/// What [`Calibration`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CalibrationReport {
    /// Whether the runs are as long as the bounds on smoothing are for.
    pub is_full: bool,
    /// Label smoothing ε of each network.
    pub smoothing: Vec<f64>,
    /// Expected calibration error of the test images, by ε, over seeds.
    pub error: Vec<Measured>,
    /// The same after dividing the votes by the temperature.
    pub scaled_error: Vec<Measured>,
    /// The temperature, fitted on images of its own.
    pub temperature: Vec<Measured>,
    /// Share of the test images that are read.
    pub accuracy: Vec<Measured>,
    /// Error with the temperature over the error without, ε = 0, seed by seed.
    pub ratio: Measured,
    /// Images whose answer the temperature changes.
    pub changed_answers: usize,
    /// The ε of the lowest calibration error without a temperature.
    pub best_smoothing: f64,
    /// Bins of the first seed without smoothing: mean certainty and share of right answers, before and after.
    pub before: Vec<(f64, f64)>,
    /// After dividing by the temperature.
    pub after: Vec<(f64, f64)>,
    /// The numbers as text.
    pub table: Table,
}

const SMOOTHING: [f64; 5] = [0.0, 0.02, 0.05, 0.1, 0.2];
const BINS: usize = 15;
/// A bin with fewer images is not drawn.
const DRAWN: usize = 20;

impl Experiment for Calibration {
    type Config = CalibrationConfig;
    type Report = CalibrationReport;
    const ABOUT: About = About {
        name: "calibration",
        lecture: 5,
        paper: "Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks",
        claim: "A network that fits a thousand digits is too certain; one temperature, fitted on other images, halves its \
                calibration error and changes no answer",
        sources: &[
            include_str!("calibration.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../calibration.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (all, test) = Digits::split(Data::Mnist, 2 * config.train_images, config.test_images)?;
        let half = |rows: std::ops::Range<usize>| Digits {
            x: all.x[rows.start * all.features..rows.end * all.features].to_vec(),
            labels: all.labels[rows].to_vec(),
            features: all.features,
        };
        let images = config.train_images;
        let (training, validation) = (half(0..images), half(images..2 * images));
        let seeds = lab.seeds(config.seeds);
        let mut judged: Vec<Vec<Judged>> = Vec::new();
        for (done, smoothing) in SMOOTHING.into_iter().enumerate() {
            lab.progress("networks", done as u64, SMOOTHING.len() as u64, None)?;
            let judge = |seed: &lab::Seed| {
                let net = fit(config, &training, smoothing, *seed)?;
                judge(&net, &validation, &test).map_err(lab::Error::unit)
            };
            judged.push(seeds.iter().map(judge).collect::<Result<_, lab::Error>>()?);
        }
        let over = |value: &dyn Fn(&Judged) -> f64| -> Vec<Measured> {
            judged.iter().map(|all| Measured::over(&all.iter().map(value).collect::<Vec<_>>())).collect()
        };
        let (error, scaled_error) = (over(&|j| j.error), over(&|j| j.scaled_error));
        let (temperature, accuracy) = (over(&|j| j.temperature), over(&|j| j.accuracy));
        let best =
            (0..SMOOTHING.len()).fold(0, |best, i| if error[i].mean < error[best].mean { i } else { best });
        let mut table = Table::new([
            "smoothing ε",
            "test accuracy",
            "calibration error",
            "temperature",
            "calibration error with it",
        ]);
        for (index, smoothing) in SMOOTHING.iter().enumerate() {
            let cells =
                [&accuracy, &error, &temperature, &scaled_error].map(|cells| cells[index].to_string());
            let [a, b, c, d] = cells;
            table.row([smoothing.to_string(), a, b, c, d]);
        }
        let first = &judged[0][0];
        let drawn = |bins: &[Bin]| -> Vec<(f64, f64)> {
            bins.iter().filter(|bin| bin.count >= DRAWN).map(|bin| (bin.confidence, bin.accuracy)).collect()
        };
        let ratios: Vec<f64> = judged[0].iter().map(|j| j.scaled_error / j.error).collect();
        Ok(CalibrationReport {
            is_full: config.epochs >= 30 && config.train_images >= 1000,
            smoothing: SMOOTHING.to_vec(),
            ratio: Measured::over(&ratios),
            changed_answers: judged.iter().flatten().map(|j| j.changed).sum(),
            best_smoothing: SMOOTHING[best],
            before: drawn(&first.bins[0]),
            after: drawn(&first.bins[1]),
            error,
            scaled_error,
            temperature,
            accuracy,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        // Pilot on seeds 100 to 103: temperature 1.802 ± 0.041, ratio of the errors 0.265 ± 0.038; the quick version, seeds
        // 100 to 105: 1.633 ± 0.035. That one temperature changes no answer is a theorem: it divides all votes alike.
        let mut checks = vec![
            Check::new(
                "too-certain",
                "temperature of the network without smoothing: above 1 it is too certain",
                report.temperature[0],
                Bound::AtLeast(if report.is_full { 1.65 } else { 1.5 }),
                BoundSource::Pilot,
            )
            .baseline("calibrated", 1.0)
            .reason_if_failed("too few epochs to become certain"),
            Check::new(
                "answers-stay",
                "test images whose answer the temperature changes",
                Measured::exact(report.changed_answers as f64),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("votes that are equal to the last bit"),
        ];
        if report.is_full {
            checks.push(
                Check::new(
                    "temperature-repairs",
                    "calibration error with the temperature over that without",
                    report.ratio,
                    Bound::AtMost(0.4),
                    BoundSource::Pilot,
                )
                .baseline("calibration error without", report.error[0].mean)
                .reason_if_failed("too few images for the temperature"),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![Figure::new(
            "reliability",
            "Before, the network is right less often than it says; after dividing its votes by one number the points lie \
             on the diagonal. Share of right answers against mean certainty, bins of the test images, first seed without \
             label smoothing.",
            "A diagonal and two sets of points over certainties from a third to one. One set lies below the diagonal almost \
             everywhere, the other close to it.",
            Plot::new(
                Axis::linear("certainty").range(0.0, 1.0),
                Axis::linear("share of right answers").range(0.0, 1.0),
            )
            .line(Line::new("as certain as right", [(0.0, 0.0), (1.0, 1.0)]))
            .scatter("before", report.before.iter().copied())
            .scatter("with a temperature", report.after.iter().copied()),
        )]
    }
}

/// What a network says of the test images.
struct Judged {
    error: f64,
    scaled_error: f64,
    temperature: f64,
    accuracy: f64,
    changed: usize,
    bins: [Vec<Bin>; 2],
}

fn votes(net: &Net, set: &Digits) -> Vec<f64> {
    let output: crate::chain::Batch<f32, dfdx::prelude::Cpu> = net.forward(set.whole());
    output.as_vec().into_iter().map(f64::from).collect()
}

// ANCHOR: judge
/// Fits the temperature on `validation` and judges with and without it on `test`.
fn judge(net: &Net, validation: &Digits, test: &Digits) -> Result<Judged, crate::Error> {
    let fitted = temperature(&votes(net, validation), CLASSES, &validation.labels)?;
    let votes = votes(net, test);
    let said = [probabilities(&votes, CLASSES, 1.0)?, probabilities(&votes, CLASSES, fitted)?];
    let plain = reliability(&said[0], CLASSES, &test.labels, BINS)?;
    let scaled = reliability(&said[1], CLASSES, &test.labels, BINS)?;
    let answer = |row: &[f64]| (0..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    let rows = said[0].chunks(CLASSES).zip(said[1].chunks(CLASSES));
    let right: f64 = plain.bins.iter().map(|bin| bin.count as f64 * bin.accuracy).sum();
    Ok(Judged {
        error: plain.expected_error,
        scaled_error: scaled.expected_error,
        temperature: fitted,
        accuracy: right / test.len() as f64,
        changed: rows.filter(|(a, b)| answer(a) != answer(b)).count(),
        bins: [plain.bins, scaled.bins],
    })
}
// ANCHOR_END: judge

fn fit(
    config: &CalibrationConfig,
    set: &Digits,
    label_smoothing: f64,
    seed: lab::Seed,
) -> Result<Net, lab::Error> {
    let plan =
        Plan { epochs: config.epochs, batch: 50, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0 };
    let widths = [set.features, config.hidden, CLASSES];
    let mut net = he_net(&widths, ActivationKind::Relu, seed.key("weights"))?;
    let mut sgd = plan.optimizer(&net)?;
    let loss = |net: &mut Net, draw: Draw| {
        let (x, labels) = set.batch(&draw.rows);
        let loss = ClassLoss::CrossEntropy { label_smoothing };
        Ok(class_loss_mean(net.forward(x.leaky_trace()), &labels, loss, Classes::default()))
    };
    train(&mut net, &mut sgd, set.len(), plan, seed.key("order"), loss, |_, _, _| Ok(true))?;
    Ok(net)
}
