//! What the way of the learning rate to zero is worth, and the mean of the weights in its place.

use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use layers::Schedule;
use serde::{Deserialize, Serialize};

use super::at_least_one;
use super::mnist_runs::{Deep, data, measure, steps, train};
use crate::optimizers::{Average, Momentum, Sgd, SgdConfig};
use crate::schedules::{Cosine, InverseSqrt, Linear, StepDecay, Warmup};

/// Schedules for momentum on MNIST.
#[derive(Debug)]
pub struct LearningRateSchedules;

/// What may vary in [`LearningRateSchedules`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LearningRateSchedulesConfig {
    /// Starts and orders of the images for each schedule, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images to learn from, 64 to 8000
    #[arg(long)]
    pub images: usize,
    /// Passes over them, at least 4
    #[arg(long)]
    pub epochs: u64,
    /// Schedules, in the order constant, cosine, ...; 2 to 8
    #[arg(long)]
    pub schedules: usize,
}

impl Default for LearningRateSchedulesConfig {
    fn default() -> Self {
        Self { seeds: 4, images: 4000, epochs: 8, schedules: 8 }
    }
}

impl ExperimentConfig for LearningRateSchedulesConfig {
    fn quick() -> Self {
        Self { schedules: 2, seeds: 3, images: 2000, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        let refuse =
            |field, rule, value: usize| Err(lab::Error::Config { field, rule, value: value.to_string() });
        if !(2..=8).contains(&self.schedules) {
            return refuse("schedules", "2 to 8", self.schedules);
        }
        if !(64..=8000).contains(&self.images) {
            return refuse("images", "64 to 8000", self.images);
        }
        at_least_one("seeds", self.seeds.saturating_sub(1))?;
        at_least_one("epochs", (self.epochs as usize).saturating_sub(3))?;
        Ok(self)
    }
}

/// What [`LearningRateSchedules`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LearningRateSchedulesReport {
    /// Steps of each run.
    pub steps: u64,
    /// Constant and cosine first.
    pub schedules: Vec<Scheduled>,
    /// Mean of the weights after each of the last passes of the constant rate: accuracy of each seed.
    pub averaged: Vec<f64>,
    /// Passes in that mean.
    pub averaged_epochs: u64,
    /// Everything as text, best last.
    pub table: Table,
}

/// One schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scheduled {
    /// In words.
    pub name: String,
    /// Share of 2000 test images that are read, for each seed.
    pub accuracy: Vec<f64>,
    /// The rate at 101 evenly spaced steps.
    pub rates: Vec<f64>,
}

const CONSTANT: usize = 0;
const COSINE: usize = 1;
const HIGH: usize = 6;
const WARM: usize = 7;

/// A constant rate as a schedule.
struct Constant(f64);
impl Schedule for Constant {
    fn learning_rate(&self, _: u64) -> f64 {
        self.0
    }
}

fn schedules(steps: u64) -> [(&'static str, Box<dyn Schedule>); 8] {
    let cosine = |base, steps| Cosine { base, steps, minimum: 0.0 };
    let warm = steps / 10;
    [
        ("constant 0.1", Box::new(Constant(0.1))),
        ("cosine", Box::new(cosine(0.1, steps))),
        ("constant 0.03", Box::new(Constant(0.03))),
        ("inverse root", Box::new(InverseSqrt { base: 0.1, warmup: (steps / 16).max(1) })),
        ("three steps", Box::new(StepDecay { base: 0.1, every: steps.div_ceil(3), factor: 0.3 })),
        ("linear", Box::new(Linear { base: 0.1, start_factor: 1.0, end_factor: 0.0, steps })),
        ("cosine, 0.3", Box::new(cosine(0.3, steps))),
        (
            "0.3, warmed up",
            Box::new(Warmup { steps: warm.max(1), start_factor: 0.01, then: cosine(0.3, steps - warm) }),
        ),
    ]
}

impl Experiment for LearningRateSchedules {
    type Config = LearningRateSchedulesConfig;
    type Report = LearningRateSchedulesReport;
    const ABOUT: About = About {
        name: "learning-rate-schedules",
        lecture: 8,
        paper: "Loshchilov & Hutter (2017), SGDR; Izmailov et al. (2018), Averaging weights leads to wider optima and \
                better generalization",
        claim: "A learning rate that falls along a cosine, or the mean of the weights of the last passes at a constant \
                rate, reads more digits than the constant rate",
        sources: &[
            include_str!("learning_rate_schedules.rs"),
            include_str!("mnist_runs.rs"),
            include_str!("../schedules.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = data(config.images)?;
        let seeds = lab.seeds(config.seeds);
        let total = steps(&split.train, config.epochs);
        let per_epoch = total / config.epochs;
        let averaged_epochs = (config.epochs * 5 / 8).max(1);
        let (mut measured, mut averaged) = (Vec::new(), Vec::new());
        for (index, (name, schedule)) in schedules(total).into_iter().take(config.schedules).enumerate() {
            lab.progress("schedules", index as u64, config.schedules as u64, None)?;
            let mut accuracy = Vec::new();
            for &seed in &seeds {
                let mut model = Cpu::seed_from_u64(seed.value()).build_module::<Deep, f32>();
                let rule = SgdConfig { momentum: Momentum::HeavyBall(0.9), ..SgdConfig::default() };
                let from = (config.epochs - averaged_epochs + 1) * per_epoch;
                let mut optimizer = Sgd::try_new(&model, rule)
                    .and_then(|sgd| sgd.average(Average::Uniform { from, every: per_epoch }))
                    .map_err(lab::Error::unit)?;
                let run =
                    train(&mut model, &mut optimizer, &split.train, config.epochs, seed, Some(&*schedule))?;
                accuracy.push(if run.is_some() { measure(&model, &split.test).1 } else { 0.1 });
                if index == CONSTANT {
                    let mean = optimizer.evaluation(&model).map_err(lab::Error::unit)?;
                    averaged.push(measure(&mean, &split.test).1);
                }
            }
            let at = |i: u64| schedule.learning_rate(i * (total - 1) / 100);
            measured.push(Scheduled { name: name.to_string(), accuracy, rates: (0..=100).map(at).collect() });
        }
        lab.progress("schedules", config.schedules as u64, config.schedules as u64, None)?;
        let table = table(&measured, &averaged);
        Ok(LearningRateSchedulesReport {
            steps: total,
            schedules: measured,
            averaged,
            averaged_epochs,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let gain = |of: &[f64], over: &[f64]| {
            Measured::over(&of.iter().zip(over).map(|(of, over)| of - over).collect::<Vec<_>>())
        };
        let accuracy = |index: usize| &report.schedules[index].accuracy[..];
        let constant = Measured::over(accuracy(CONSTANT)).mean;
        let mut checks = vec![
            Check::new(
                "cosine-gains",
                "unseen digits that are read with a cosine minus those with a constant rate, seed by seed",
                gain(accuracy(COSINE), accuracy(CONSTANT)),
                Bound::AtLeast(0.003), // PyTorch, 4 seeds: 0.9351 ± 0.0030 against 0.9266 ± 0.0051
                BoundSource::Pilot,
            )
            .baseline("constant", constant)
            .reason_if_failed("a constant rate small enough for its noise not to matter"),
            Check::new(
                "averaging-gains",
                "unseen digits read by the mean of the weights of the last passes minus those by the last weights",
                gain(&report.averaged, accuracy(CONSTANT)),
                Bound::AtLeast(0.004), // PyTorch, 4 seeds, paired: 0.0125 ± 0.0037
                BoundSource::Pilot,
            )
            .baseline("constant", constant)
            .reason_if_failed("weights that still move in one direction: their mean lags behind"),
        ];
        if report.schedules.len() > WARM {
            checks.push(
                Check::new(
                    "warm-up-gains",
                    "unseen digits read after a warm-up to a rate of 0.3 minus those without, seed by seed",
                    gain(accuracy(WARM), accuracy(HIGH)),
                    Bound::AtLeast(0.004), // PyTorch, 4 seeds: 0.9219 ± 0.0055 against 0.9078 ± 0.0095
                    BoundSource::Pilot,
                )
                .baseline("no warm-up", Measured::over(accuracy(HIGH)).mean)
                .reason_if_failed("starts that survive a rate of 0.3 without it"),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let steps = report.steps as f64;
        let panel = |scheduled: &Scheduled| {
            let points = scheduled.rates.iter().enumerate();
            Plot::new(Axis::linear("step"), Axis::linear("rate").range(0.0, 0.32))
                .title(&scheduled.name)
                .line(Line::new("", points.map(|(i, &rate)| (i as f64 * steps / 100.0, rate))))
        };
        vec![Figure::new(
            "atlas",
            format!(
                "The schedules that are compared, over {} steps. A schedule is a function of the step alone, so that \
                     it can be drawn before a run begins.",
                report.steps
            ),
            "Small panels, each with the learning rate against the step: flat lines, half a cosine from 0.1 and from \
                 0.3, a curve that falls like an inverse root, three stairs, a straight fall, and a short rise before \
                 half a cosine.",
            lab::Body::Panels { panels: report.schedules.iter().map(panel).collect(), columns: 4 },
        )]
    }
}

fn table(schedules: &[Scheduled], averaged: &[f64]) -> Table {
    let mut rows: Vec<(String, Measured)> =
        schedules.iter().map(|s| (s.name.clone(), Measured::over(&s.accuracy))).collect();
    rows.push(("constant 0.1, mean of the weights".into(), Measured::over(averaged)));
    rows.sort_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
    let mut table = Table::new(["schedule", "test accuracy"]);
    for (name, m) in rows {
        table.row([name, format!("{:.4} ± {:.4}", m.mean, m.sd)]);
    }
    table
}
