//! Does one sweep of two hundred steps find a usable learning rate?

use datasets::Batches;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
};
use layers::StepError;
use layers::prelude::*;
use serde::{Deserialize, Serialize};

use super::at_least_one;
use super::mnist_runs::{Shallow, ShallowModel, data, measure, train};
use crate::optimizers::{Sgd, SgdConfig};
use crate::range_test::{RangeTestConfig, range_test};

/// The range test on MNIST, and training with what it suggests.
#[derive(Debug)]
pub struct LearningRateRange;

/// What may vary in [`LearningRateRange`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LearningRateRangeConfig {
    /// Starts and orders of the images, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of a sweep, 50 to 400
    #[arg(long)]
    pub steps: u64,
    /// Images to learn from, 640 to 8000
    #[arg(long)]
    pub images: usize,
}

impl Default for LearningRateRangeConfig {
    fn default() -> Self {
        Self { seeds: 5, steps: 200, images: 4000 }
    }
}

impl ExperimentConfig for LearningRateRangeConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 2000, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        let refuse = |field, rule, value: String| Err(lab::Error::Config { field, rule, value });
        if !(640..=8000).contains(&self.images) {
            return refuse("images", "640 to 8000", self.images.to_string());
        }
        if !(50..=400).contains(&self.steps) {
            return refuse("steps", "50 to 400", self.steps.to_string());
        }
        at_least_one("seeds", self.seeds.saturating_sub(1))?;
        Ok(self)
    }
}

/// What [`LearningRateRange`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LearningRateRangeReport {
    /// Suggested rate of each seed.
    pub suggestions: Vec<f64>,
    /// Rate at which the sweep of each seed ended, or the largest that was tried.
    pub divergences: Vec<f64>,
    /// Training loss after one epoch at a hundredth of the suggested rate, at the suggested rate, and at ten times it.
    pub losses: [Vec<f64>; 3],
    /// Whether the default numbers of sweeps and images were taken.
    pub is_full: bool,
    /// (rate, average loss) of the first sweep.
    pub sweep: Vec<(f64, f64)>,
}

impl Experiment for LearningRateRange {
    type Config = LearningRateRangeConfig;
    type Report = LearningRateRangeReport;
    const ABOUT: About = About {
        name: "learning-rate-range",
        lecture: 8,
        paper: "Smith (2017), Cyclical learning rates for training neural networks",
        claim: "One sweep over seven powers of ten suggests a learning rate that trains a network to half the loss of a hundredth \
                of it, and to half the loss of ten times it",
        sources: &[
            include_str!("learning_rate_range.rs"),
            include_str!("mnist_runs.rs"),
            include_str!("../range_test.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = data(config.images)?;
        let seeds = lab.seeds(config.seeds);
        let (mut suggestions, mut divergences) = (Vec::new(), Vec::new());
        let mut losses = [Vec::new(), Vec::new(), Vec::new()];
        let mut sweep = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("seeds", done as u64, seeds.len() as u64, None)?;
            let start = Cpu::seed_from_u64(seed.value()).build_module::<Shallow, f32>();
            let mut model = start.clone();
            let mut sgd = Sgd::try_new(&model, SgdConfig::default()).map_err(lab::Error::unit)?;
            let batches = Batches::new(config.images, 64, seed.value());
            let order: Vec<Vec<usize>> =
                (0..).flat_map(|epoch| batches.epoch(epoch)).take(config.steps as usize).collect();
            let loss = |model: &ShallowModel, step: u64| {
                let rows = &order[step as usize];
                let x: Tensor<(usize, Const<784>), f32, Cpu> = split.train.flat_batch(rows, &Cpu::default());
                let logits = model.forward(x.leaky_trace());
                let loss = kernels::cross_entropy_mean(logits, &split.train.batch_labels(rows));
                Ok::<_, StepError>((f64::from(loss.array()), loss.backward()))
            };
            let settings = RangeTestConfig { steps: config.steps, ..RangeTestConfig::default() };
            let found = range_test(&mut model, &mut sgd, loss, settings).map_err(lab::Error::unit)?;
            let divergence = found.divergence.unwrap_or(settings.last);
            for (losses, rate) in
                losses.iter_mut().zip([0.01 * found.suggestion, found.suggestion, 10.0 * found.suggestion])
            {
                let mut model = start.clone();
                let rule = SgdConfig { learning_rate: rate, ..SgdConfig::default() };
                let mut sgd = Sgd::try_new(&model, rule).map_err(lab::Error::unit)?;
                let run = train(&mut model, &mut sgd, &split.train, 1, seed, None)?;
                let loss = run.map_or(f64::NAN, |_| measure(&model, &split.train).0);
                losses.push(if loss.is_finite() { loss.min(BROKEN) } else { BROKEN });
            }
            suggestions.push(found.suggestion);
            divergences.push(divergence);
            if done == 0 {
                sweep = found.rates.into_iter().zip(found.averages).collect();
            }
        }
        lab.progress("seeds", seeds.len() as u64, seeds.len() as u64, None)?;
        let full = LearningRateRangeConfig::default();
        let is_full = config.seeds >= full.seeds && config.images >= full.images;
        Ok(LearningRateRangeReport { suggestions, divergences, losses, is_full, sweep })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let ratio = |other: usize| {
            let pairs = report.losses[1].iter().zip(&report.losses[other]);
            Measured::over(&pairs.map(|(at, other)| at / other).collect::<Vec<_>>())
        };
        let mut checks = vec![
            Check::new(
                "better-than-a-hundredth",
                "training loss after one epoch at the suggested rate as a multiple of that at a hundredth of it",
                ratio(0),
                Bound::AtMost(0.5), // seeds 5 to 9: 0.20 to 0.25
                BoundSource::Pilot,
            )
            .baseline("a hundredth", 1.0)
            .reason_if_failed("a suggestion in the flat part of the sweep"),
            Check::new(
                "better-than-ten-times",
                "the same as a multiple of that at ten times the suggested rate",
                ratio(2),
                Bound::AtMost(0.5), // seeds 5 to 9, against the end of the sweep: 0.18 to 0.25
                BoundSource::Pilot,
            )
            .baseline("ten times", 1.0)
            .reason_if_failed("a suggestion so low that ten times it still trains"),
        ];
        if report.is_full {
            // The plan of the course, before anybody had measured it; the two bounds above took its place.
            let pairs = report.suggestions.iter().zip(&report.divergences);
            checks.push(
                Check::new(
                    "near-the-break",
                    "suggested rate as a share of the rate at which the sweep broke off, or of the largest that was tried",
                    Measured::over(&pairs.map(|(suggestion, divergence)| suggestion / divergence).collect::<Vec<_>>()),
                    Bound::Within(0.1, 1.0),
                    BoundSource::Guess,
                )
                .reason_if_failed(
                    "most sweeps reach the largest rate before the average loss is four times its smallest: this share has the \
                     largest rate in place of the one that breaks, which nobody knows",
                ),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![Figure::new(
            "sweep",
            format!(
                "Nothing happens for four powers of ten, then the loss falls, then it breaks; the useful rates lie between. \
                 Average loss against learning rate in one sweep; the dotted line is the suggestion, {:.2}. First seed.",
                report.suggestions[0]
            ),
            "A curve on a logarithmic axis of learning rates: flat at 2.3 up to about 0.01, then falling, \
             across an upright dotted line, to a low stretch near 1, and shooting up to the right of it.",
            Plot::new(Axis::logarithmic("learning rate"), Axis::linear("average loss (nats)"))
                .line(Line::new("", report.sweep.iter().copied()))
                .vertical("suggestion", report.suggestions[0]),
        )]
    }
}

/// Loss that a broken run counts as; a guess among ten classes has 2.3.
const BROKEN: f64 = 10.0;
