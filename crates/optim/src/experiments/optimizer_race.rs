//! Eleven update rules on the same network, each with a learning rate chosen for it from a grid.

use datasets::{Images, Split};
use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use layers::{Step, StepError};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use super::mnist_runs::{Shallow, ShallowModel, data, measure, smoothed, train};
use crate::optimizers::*;

/// Update rules trained on MNIST for a few epochs.
#[derive(Debug)]
pub struct OptimizerRace;

/// What may vary in [`OptimizerRace`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct OptimizerRaceConfig {
    /// How many of the rules, in the order SGD, momentum, Adam, ...; at least 3
    #[arg(long)]
    pub rules: usize,
    /// Learning rates of each rule, the most promising first, 1 to 4
    #[arg(long)]
    pub rates: usize,
    /// Starts and orders of the images for each, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images to learn from, 64 to 8000
    #[arg(long)]
    pub images: usize,
    /// Passes over them
    #[arg(long)]
    pub epochs: u64,
}

impl Default for OptimizerRaceConfig {
    fn default() -> Self {
        Self { rules: RULES.len(), rates: 4, seeds: 3, images: 4000, epochs: 3 }
    }
}

impl ExperimentConfig for OptimizerRaceConfig {
    fn quick() -> Self {
        Self { rules: 3, rates: 2, seeds: 2, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        let within = |field, rule, value: usize, range: std::ops::RangeInclusive<usize>| {
            let value_text = value.to_string();
            if range.contains(&value) {
                Ok(())
            } else {
                Err(lab::Error::Config { field, rule, value: value_text })
            }
        };
        within("rules", "3 to 11", self.rules, 3..=RULES.len())?;
        within("rates", "1 to 4", self.rates, 1..=4)?;
        within("images", "64 to 8000", self.images, 64..=8000)?;
        at_least_one("seeds", self.seeds.saturating_sub(1))?;
        at_least_one("epochs", self.epochs as usize)?;
        Ok(self)
    }
}

/// What [`OptimizerRace`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OptimizerRaceReport {
    /// Images to learn from.
    pub images: usize,
    /// Passes over them.
    pub epochs: u64,
    /// Each rule with its best learning rate.
    pub rules: Vec<Raced>,
    /// The same as text, lowest loss first.
    pub table: Table,
    /// Last step of each point of the curves.
    pub steps: Vec<f64>,
}

/// One rule with its best learning rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Raced {
    /// The rule.
    pub name: String,
    /// The learning rate with the lowest mean training loss.
    pub learning_rate: f64,
    /// Whether no larger or no smaller rate was tried.
    pub is_at_edge: bool,
    /// Cross-entropy on the training images at the end.
    pub loss: Measured,
    /// Share of 2000 test images that are read.
    pub accuracy: Measured,
    /// Loss of the minibatches against step, averaged over ten of them, for each seed.
    pub curves: Vec<Vec<f64>>,
}

type Optimizer = Box<dyn Step<ShallowModel, f32, Cpu>>;

struct Entry {
    name: &'static str,
    /// The best of an independent run in PyTorch first.
    rates: [f64; 4],
    build: fn(&ShallowModel, f64) -> Result<Optimizer, StepError>,
}

fn boxed<R: Rule + 'static>(model: &ShallowModel, mut rule: R, rate: f64) -> Result<Optimizer, StepError> {
    rule.set_learning_rate(rate);
    Ok(Box::new(Optim::try_new(model, rule)?))
}

const RULES: [Entry; 11] = [
    Entry { name: "SGD", rates: [1.0, 0.3, 3.0, 0.1], build: |m, r| boxed(m, SgdConfig::default(), r) },
    Entry {
        name: "momentum",
        rates: [0.1, 0.03, 0.3, 0.01],
        build: |m, r| boxed(m, SgdConfig { momentum: Momentum::HeavyBall(0.9), ..Default::default() }, r),
    },
    Entry { name: "Adam", rates: [0.01, 3e-3, 0.03, 1e-3], build: |m, r| boxed(m, AdamConfig::default(), r) },
    Entry {
        name: "Nesterov",
        rates: [0.1, 0.03, 0.3, 0.01],
        build: |m, r| boxed(m, SgdConfig { momentum: Momentum::Nesterov(0.9), ..Default::default() }, r),
    },
    Entry {
        name: "AdaGrad",
        rates: [0.1, 0.03, 0.3, 0.01],
        build: |m, r| boxed(m, AdaGradConfig::default(), r),
    },
    Entry {
        name: "RMSprop",
        rates: [3e-3, 1e-3, 0.01, 3e-4],
        build: |m, r| boxed(m, RmsPropConfig::default(), r),
    },
    Entry {
        name: "Adadelta",
        rates: [3.0, 1.0, 10.0, 30.0],
        build: |m, r| boxed(m, AdadeltaConfig::default(), r),
    },
    Entry {
        name: "AMSGrad",
        rates: [0.01, 3e-3, 0.03, 1e-3],
        build: |m, r| boxed(m, AmsGradConfig::default(), r),
    },
    Entry {
        name: "NAdam",
        rates: [3e-3, 0.01, 1e-3, 0.03],
        build: |m, r| boxed(m, NAdamConfig::default(), r),
    },
    Entry {
        name: "RAdam",
        rates: [0.01, 3e-3, 0.03, 1e-3],
        build: |m, r| boxed(m, RAdamConfig::default(), r),
    },
    Entry { name: "Lion", rates: [1e-3, 3e-4, 3e-3, 1e-4], build: |m, r| boxed(m, LionConfig::default(), r) },
];

/// Minibatches in one point of a curve.
const WIDTH: usize = 10;

impl Experiment for OptimizerRace {
    type Config = OptimizerRaceConfig;
    type Report = OptimizerRaceReport;
    const ABOUT: About = About {
        name: "optimizer-race",
        lecture: 8,
        paper: "Kingma & Ba (2015), Adam: a method for stochastic optimization; Goodfellow et al. (2016), section 8.5",
        claim: "With a learning rate tuned for each, momentum and Adam end at 0.8 times the training loss of plain SGD \
                or lower after three epochs on 4,000 digits; of unseen ones they read equally many within two in a hundred",
        sources: &[
            include_str!("optimizer_race.rs"),
            include_str!("mnist_runs.rs"),
            include_str!("../optimizers/adaptive.rs"),
            include_str!("../optimizers/sign.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = data(config.images)?;
        let seeds = lab.seeds(config.seeds);
        let mut rules = Vec::new();
        for (done, entry) in RULES[..config.rules].iter().enumerate() {
            lab.progress("rules", done as u64, config.rules as u64, None)?;
            rules.push(lab.once(entry.name, |_| race(entry, config, &split, &seeds))?);
        }
        lab.progress("rules", config.rules as u64, config.rules as u64, None)?;
        let points = rules[0].curves.first().map_or(0, Vec::len);
        Ok(OptimizerRaceReport {
            images: config.images,
            epochs: config.epochs,
            table: table(&rules),
            rules,
            steps: (1..=points).map(|point| (point * WIDTH) as f64).collect(),
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [sgd, momentum, adam] = [0, 1, 2].map(|index: usize| &report.rules[index]);
        let beats = |id: &str, raced: &Raced| {
            Check::new(
                id,
                format!(
                    "training loss of {} as a multiple of that of SGD, both with their best rate",
                    raced.name
                ),
                Measured {
                    mean: raced.loss.mean / sgd.loss.mean,
                    sd: raced.loss.sd / sgd.loss.mean,
                    n: raced.loss.n,
                },
                Bound::AtMost(0.8),
                BoundSource::Pilot, // PyTorch: 0.53 and 0.46
            )
            .baseline("SGD", 1.0)
            .reason_if_failed("another best rate than in the pilot: look at the edge of the grid")
        };
        let worst = report.rules.iter().map(|raced| raced.loss.mean).fold(0.0, f64::max);
        vec![
            beats("momentum-beats-sgd", momentum),
            beats("adam-beats-sgd", adam),
            Check::new(
                "all-learn",
                "largest training loss of any rule with its best rate, in nats",
                Measured::exact(worst),
                Bound::AtMost(0.4),
                BoundSource::Pilot, // PyTorch: 0.259 for RAdam
            )
            .baseline("a guess", 10.0_f64.ln())
            .reason_if_failed("a grid that misses the best rate of that rule"),
            Check::new(
                "equal-accuracy",
                "Adam and momentum read equally many unseen digits within two in a hundred: difference of the shares",
                Measured {
                    mean: adam.accuracy.mean - momentum.accuracy.mean,
                    sd: adam.accuracy.sd.hypot(momentum.accuracy.sd),
                    n: adam.accuracy.n,
                },
                Bound::Within(-0.02, 0.02),
                BoundSource::Pilot, // PyTorch: 0.914 and 0.915
            )
            .reason_if_failed("more epochs, or another network: then one of them may generalise better"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut curves = Plot::new(Axis::linear("step"), Axis::logarithmic("training loss (nats)"));
        for raced in &report.rules[..3] {
            curves = curves.line(Line::over_seeds(&raced.name, &report.steps, &raced.curves));
        }
        let seeds = report.rules[0].loss.n;
        vec![Figure::new(
            "curves",
            format!(
                "Tuned SGD stays far behind; tuned Adam ends a little below tuned momentum. Loss of the \
                     minibatches, means of ten, on {} digits; each rule with the best learning rate of its grid, \
                     mean and one standard deviation of {seeds} seeds.",
                report.images
            ),
            "Three falling curves with bands on a logarithmic axis. Adam's is the lowest; that of momentum starts \
                 beside SGD's and ends a little above Adam's; SGD's ends highest.",
            curves,
        )]
    }
}

fn race(
    entry: &Entry,
    config: &OptimizerRaceConfig,
    split: &Split<Images<1, 28, 28>>,
    seeds: &[Seed],
) -> Result<Raced, lab::Error> {
    let mut best: Option<Raced> = None;
    let rates = &entry.rates[..config.rates];
    for &learning_rate in rates {
        let (mut losses, mut accuracies, mut curves) = (Vec::new(), Vec::new(), Vec::new());
        for &seed in seeds {
            let mut model = Cpu::seed_from_u64(seed.value()).build_module::<Shallow, f32>();
            let mut optimizer = (entry.build)(&model, learning_rate).map_err(lab::Error::unit)?;
            let run = train(&mut model, &mut *optimizer, &split.train, config.epochs, seed, None)?;
            let Some(run) = run else { break };
            losses.push(measure(&model, &split.train).0);
            accuracies.push(measure(&model, &split.test).1);
            curves.push(smoothed(&run, WIDTH));
        }
        let loss = Measured::over(&losses);
        // A rate with which one seed breaks is out.
        if losses.len() == seeds.len() && best.as_ref().is_none_or(|best| loss.mean < best.loss.mean) {
            let others = || rates.iter().filter(|&&rate| rate != learning_rate);
            let is_at_edge =
                others().all(|&rate| rate < learning_rate) || others().all(|&rate| rate > learning_rate);
            let accuracy = Measured::over(&accuracies);
            let name = entry.name.to_string();
            best = Some(Raced { name, learning_rate, is_at_edge, loss, accuracy, curves });
        }
    }
    let none = || {
        lab::Error::unit(crate::Error::Diverged {
            method: entry.name,
            step: 0,
            distance: f64::INFINITY,
            learning_rate: rates[0],
        })
    };
    best.ok_or_else(none)
}

fn table(rules: &[Raced]) -> Table {
    let mut order: Vec<&Raced> = rules.iter().collect();
    order.sort_by(|a, b| a.loss.mean.total_cmp(&b.loss.mean));
    let mut table = Table::new(["rule", "learning rate", "training loss", "test accuracy"]);
    for raced in order {
        let edge = if raced.is_at_edge { ", at the edge" } else { "" };
        table.row([
            raced.name.clone(),
            format!("{}{edge}", raced.learning_rate),
            format!("{:.3} ± {:.3}", raced.loss.mean, raced.loss.sd),
            format!("{:.3} ± {:.3}", raced.accuracy.mean, raced.accuracy.sd),
        ]);
    }
    table
}
