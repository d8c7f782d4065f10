//! Smoothed labels on clothes: how far the logits go, how certain the network is, and how much it reads.

use super::at_least;
use super::clothes::{Reader, Standard, cycle, device};
use crate::vgg::VggMini;
use datasets::Batches;
use dfdx::prelude::{Cpu, DeviceBuildExt, Gradients, Trace};
use kernels::random::Key;
use kernels::{ClassLoss, Classes, try_class_loss_mean};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
    Trainer,
};
use layers::dropout::reseed;
use layers::{Adam, AdamConfig};
use optim::calibration::{probabilities, reliability};
use serde::{Deserialize, Serialize};

/// A small VGG with hard and with smoothed labels.
#[derive(Debug)]
pub struct LabelSmoothing;

/// What may vary in [`LabelSmoothing`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LabelSmoothingConfig {
    /// Trainings with each kind of labels, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: u64,
    /// Training images, from the first
    #[arg(long)]
    pub images: usize,
    /// Test images, from the first
    #[arg(long)]
    pub test_images: usize,
    /// Probability that is taken from the true class and given to all alike
    #[arg(long)]
    pub smoothing: f64,
}

impl Default for LabelSmoothingConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 12, images: 1000, test_images: 400, smoothing: 0.1 }
    }
}

impl ExperimentConfig for LabelSmoothingConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, images: 50, test_images: 50, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        at_least("test_images", self.test_images, 1)?;
        if self.smoothing > 0.0 && self.smoothing < 1.0 {
            return Ok(self);
        }
        let (field, rule) = ("smoothing", "above 0 and below 1");
        Err(lab::Error::Config { field, rule, value: self.smoothing.to_string() })
    }
}

/// What [`LabelSmoothing`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LabelSmoothingReport {
    /// Whether images and epochs are enough for claims about a trained network.
    pub is_full: bool,
    /// Where the optimum of smoothed labels has the gap: $\ln((K(1-\varepsilon) + \varepsilon)/\varepsilon)$.
    pub optimum: f64,
    /// Hard labels.
    pub hard: Vec<Labelled>,
    /// Smoothed labels.
    pub smooth: Vec<Labelled>,
    /// The same as text.
    pub table: Table,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Labelled {
    /// Test accuracy.
    pub accuracy: f64,
    /// Expected calibration error on the test images, [`BINS`] bins.
    pub calibration_error: f64,
    /// Mean probability of the class that it reads in each test image.
    pub certainty: f64,
    /// Cross-entropy with the hard labels of the test images, nats.
    pub cross_entropy: f64,
    /// Mean gap of the training images.
    pub gap: f64,
    /// Training images by the gap of the true class's logit over the mean of the others, [`COUNTED`] bins of
    /// [`GAPS`]; what lies outside counts in the last or the first.
    pub gaps: Vec<usize>,
}

/// Bins of the calibration error (Guo et al. 2017).
pub const BINS: usize = 15;
/// Gaps that are counted.
pub const GAPS: (f64, f64) = (-5.0, 25.0);
/// Bins that they are counted in.
pub const COUNTED: usize = 60;
const CLASSES: usize = 10;

fn logits(net: &<VggMini as Reader>::Net, data: &Standard) -> Result<Vec<f64>, lab::Error> {
    let rows: Vec<usize> = (0..data.images.len()).collect();
    let mut logits = Vec::with_capacity(rows.len() * CLASSES);
    for rows in rows.chunks(100) {
        let batch = <VggMini as Reader>::read(net, data.batch(rows, (0, 0))).map_err(device)?;
        logits.extend(batch.as_vec().into_iter().map(f64::from));
    }
    Ok(logits)
}

fn trained(
    label_smoothing: f64,
    seed: lab::Seed,
    config: &LabelSmoothingConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Labelled, lab::Error> {
    const BATCH: usize = 50;
    const LARGEST_RATE: f64 = 4e-3;
    let mut net = Cpu::seed_from_u64(seed.value()).build_module::<VggMini, f32>();
    reseed(&mut net, seed.key("dropout")).map_err(lab::Error::unit)?;
    let mut adam = Adam::try_new(&net, AdamConfig::default())?;
    let batches = Batches::new(data[0].images.len(), BATCH, seed.value());
    let cycle = cycle(LARGEST_RATE, batches.len() * config.epochs as usize)?;
    let entropy = ClassLoss::CrossEntropy { label_smoothing };
    let mut loss =
        |net: &mut <VggMini as Reader>::Net, rows: &Vec<usize>, _: Key, gradients: Gradients<f32, Cpu>| {
            let x = data[0].batch(rows, (0, 0)).traced(gradients);
            let logits = <VggMini as Reader>::learn(net, x).map_err(device)?;
            let labels = data[0].images.batch_labels(rows);
            try_class_loss_mean(logits, &labels, entropy, Classes::default()).map_err(lab::Error::unit)
        };
    Trainer::new(
        format!("smoothing {label_smoothing}, seed {seed}"),
        config.epochs,
        batches,
        seed.key("steps"),
    )
    .schedule(cycle)
    .run(lab, &mut net, &mut adam, &mut loss)?;

    let labels = data[1].images.labels();
    let probabilities = probabilities(&logits(&net, &data[1])?, CLASSES, 1.0).map_err(lab::Error::unit)?;
    let reliability = reliability(&probabilities, CLASSES, &labels, BINS).map_err(lab::Error::unit)?;
    let surprise = |(row, label): (&[f64], &usize)| -row[*label].max(f64::MIN_POSITIVE).ln();
    let entropies: Vec<f64> = probabilities.chunks(CLASSES).zip(&labels).map(surprise).collect();
    let certainties: Vec<f64> =
        probabilities.chunks(CLASSES).map(|row| row.iter().copied().fold(0.0, f64::max)).collect();
    let gap = |(row, label): (&[f64], &usize)| {
        let others: f64 = row.iter().sum::<f64>() - row[*label];
        row[*label] - others / (CLASSES - 1) as f64
    };
    let train = data[0].images.labels();
    let all: Vec<f64> = logits(&net, &data[0])?.chunks(CLASSES).zip(&train).map(gap).collect();
    let mut gaps = vec![0; COUNTED];
    for gap in &all {
        let bin = (gap - GAPS.0) / (GAPS.1 - GAPS.0) * COUNTED as f64;
        gaps[(bin.max(0.0) as usize).min(COUNTED - 1)] += 1;
    }
    Ok(Labelled {
        accuracy: data[1].accuracy::<VggMini>(&net, (0, 0))?,
        calibration_error: reliability.expected_error,
        certainty: Measured::over(&certainties).mean,
        cross_entropy: Measured::over(&entropies).mean,
        gap: Measured::over(&all).mean,
        gaps,
    })
}

impl Experiment for LabelSmoothing {
    type Config = LabelSmoothingConfig;
    type Report = LabelSmoothingReport;
    const ABOUT: About = About {
        name: "label-smoothing",
        lecture: 14,
        paper: "Szegedy et al. (2016), Rethinking the Inception architecture for computer vision, section 7; Müller, \
                Kornblith & Hinton (2019), When does label smoothing help?",
        claim: "Smoothed labels keep the gap of the logits below its finite optimum, make a small VGG less wrong about its \
                own certainty, and cost it no accuracy",
        sources: &[include_str!("smoothing.rs"), include_str!("clothes.rs"), include_str!("../vgg.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let tested = config.test_images.min(split.test.len());
        let data = Standard::both(&split.train.select(0..rows), &split.test.select(0..tested));
        let (mut hard, mut smooth) = (vec![], vec![]);
        for seed in lab.seeds(config.seeds) {
            hard.push(trained(0.0, seed, config, &data, lab)?);
            smooth.push(trained(config.smoothing, seed, config, &data, lab)?);
        }
        let (classes, epsilon) = (CLASSES as f64, config.smoothing);
        let full = LabelSmoothingConfig::default();
        Ok(LabelSmoothingReport {
            is_full: config.epochs >= full.epochs && rows >= full.images && tested >= full.test_images,
            optimum: ((classes * (1.0 - epsilon) + epsilon) / epsilon).ln(),
            table: table(&hard, &smooth),
            hard,
            smooth,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        if !report.is_full {
            // A few steps leave both gaps near the start: what can be said is that smoothing does not widen them.
            let wider: Vec<f64> =
                report.smooth.iter().zip(&report.hard).map(|(s, h)| s.gap - h.gap).collect();
            return vec![
                Check::new(
                    "never-wider",
                    "mean gap of the logits with smoothed labels minus that with hard ones",
                    Measured::over(&wider),
                    Bound::AtMost(0.0),
                    BoundSource::Paper,
                )
                .reason_if_failed("the loss is not that of smoothed labels"),
            ];
        }
        let over = |f: &dyn Fn(&Labelled, &Labelled) -> f64| {
            let pairs = report.smooth.iter().zip(&report.hard);
            Measured::over(&pairs.map(|(smooth, hard)| f(smooth, hard)).collect::<Vec<_>>())
        };
        let mean =
            |f: fn(&Labelled) -> f64| Measured::over(&report.hard.iter().map(f).collect::<Vec<_>>()).mean;
        vec![
            Check::new(
                "gap-stays-finite",
                "mean gap of the logits of training images with smoothed labels, over the optimum's ln 91",
                over(&|smooth, _| smooth.gap / report.optimum),
                // Pilot, seeds 100 to 102: 1.0405 ± 0.0049; three standard deviations above, rounded up.
                Bound::AtMost(1.06),
                BoundSource::Pilot,
            )
            .baseline("hard labels", mean(|hard| hard.gap) / report.optimum)
            .reason_if_failed("too few passes over the images"),
            Check::new(
                "calibration",
                "expected calibration error with smoothed labels minus that with hard ones",
                over(&|smooth, hard| smooth.calibration_error - hard.calibration_error),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .baseline("hard labels", mean(|hard| hard.calibration_error))
            .reason_if_failed("12 passes with dropout leave hard labels little too certain, and smoothed ones make the network doubt what it \
                 reads rightly"),
            Check::new(
                "accuracy",
                "test accuracy with smoothed labels minus that with hard ones",
                over(&|smooth, hard| smooth.accuracy - hard.accuracy),
                Bound::AtLeast(0.0),
                BoundSource::Paper,
            )
            .baseline("hard labels", mean(|hard| hard.accuracy))
            .reason_if_failed("400 images: one is 0.0025"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let all = |networks: &[Labelled]| -> Vec<usize> {
            (0..COUNTED).map(|bin| networks.iter().map(|network| network.gaps[bin]).sum()).collect()
        };
        let (hard, smooth) = (all(&report.hard), all(&report.smooth));
        let highest = hard.iter().chain(&smooth).copied().max().unwrap_or_default() as f64;
        vec![Figure::new(
            "gaps",
            "Smoothed labels say when to stop. Logit of the true class minus the mean of the others, for the training images \
             of all networks: hard labels push it up without end, smoothed ones gather it at ln 91.",
            "Two histograms over the gap and a vertical line at 4.5: that of smoothed labels gathers below and about the \
             line, that of hard labels is wider and reaches far beyond it.",
            Plot::new(Axis::linear("gap of the logits"), Axis::linear("training images"))
                .histogram("hard labels", GAPS, hard)
                .histogram("smoothed labels", GAPS, smooth)
                .vertical("", report.optimum)
                // Beside its line: above it stand the names of the histograms.
                .text("ln 91", (report.optimum - 1.9, 0.95 * highest)),
        )]
    }
}

fn table(hard: &[Labelled], smooth: &[Labelled]) -> Table {
    let mut table = Table::new([
        "labels",
        "test accuracy",
        "mean certainty",
        "calibration error",
        "cross-entropy",
        "gap",
    ]);
    for (name, networks) in [("hard", hard), ("smoothed", smooth)] {
        let over = |f: fn(&Labelled) -> f64, decimals: usize| {
            let measured = Measured::over(&networks.iter().map(f).collect::<Vec<_>>());
            format!("{:.decimals$} ± {:.decimals$}", measured.mean, measured.sd)
        };
        table.row([
            name.to_owned(),
            over(|n| n.accuracy, 3),
            over(|n| n.certainty, 3),
            over(|n| n.calibration_error, 3),
            over(|n| n.cross_entropy, 2),
            over(|n| n.gap, 1),
        ]);
    }
    table
}
