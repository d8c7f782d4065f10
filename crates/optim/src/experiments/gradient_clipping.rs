//! A bound on the length of the gradient keeps a learning rate usable that is much too large.

use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use super::mnist_runs::{Deep, data, measure, train};
use crate::optimizers::{Clip, Momentum, Sgd, SgdConfig};

/// Momentum with and without clipped gradients on MNIST.
#[derive(Debug)]
pub struct GradientClipping;

/// What may vary in [`GradientClipping`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct GradientClippingConfig {
    /// How many of the learning rates 1, 0.3, 0.1; 1 to 3
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

impl Default for GradientClippingConfig {
    fn default() -> Self {
        Self { rates: 3, seeds: 5, images: 4000, epochs: 3 }
    }
}

impl ExperimentConfig for GradientClippingConfig {
    fn quick() -> Self {
        Self { rates: 1, seeds: 2, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        let refuse =
            |field, rule, value: usize| Err(lab::Error::Config { field, rule, value: value.to_string() });
        if !(1..=RATES.len()).contains(&self.rates) {
            return refuse("rates", "1 to 3", self.rates);
        }
        if !(64..=8000).contains(&self.images) {
            return refuse("images", "64 to 8000", self.images);
        }
        at_least_one("seeds", self.seeds.saturating_sub(1))?;
        at_least_one("epochs", self.epochs as usize)?;
        Ok(self)
    }
}

/// What [`GradientClipping`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradientClippingReport {
    /// One entry per learning rate, the largest first.
    pub rates: Vec<Rate>,
    /// The same as text.
    pub table: Table,
}

/// One learning rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// η.
    pub learning_rate: f64,
    /// Share of 2000 test images that are read: without a bound, with a bound of 1, with one of 0.25.
    pub accuracy: Vec<Measured>,
}

const RATES: [f64; 3] = [1.0, 0.3, 0.1];
const BOUNDS: [Option<f64>; 3] = [None, Some(1.0), Some(0.25)];
/// What a run that breaks is counted as: a guess among ten classes.
const GUESS: f64 = 0.1;

impl Experiment for GradientClipping {
    type Config = GradientClippingConfig;
    type Report = GradientClippingReport;
    const ABOUT: About = About {
        name: "gradient-clipping",
        lecture: 8,
        paper: "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks; Goodfellow et \
                al. (2016), section 8.2.4",
        claim: "With momentum and a learning rate of 1 a network learns nothing; with gradients clipped to length 0.25 \
                it reads at least 75 % of unseen digits",
        sources: &[include_str!("gradient_clipping.rs"), include_str!("mnist_runs.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = data(config.images)?;
        let seeds = lab.seeds(config.seeds);
        let runs = (config.rates * BOUNDS.len()) as u64;
        let mut rates = Vec::new();
        for &learning_rate in &RATES[..config.rates] {
            let mut accuracy = Vec::new();
            for bound in BOUNDS {
                lab.progress("runs", (rates.len() * BOUNDS.len() + accuracy.len()) as u64, runs, None)?;
                let mut read = Vec::new();
                for &seed in &seeds {
                    let mut model = Cpu::seed_from_u64(seed.value()).build_module::<Deep, f32>();
                    let rule =
                        SgdConfig { learning_rate, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
                    let mut optimizer = Sgd::try_new(&model, rule).map_err(lab::Error::unit)?;
                    if let Some(bound) = bound {
                        optimizer = optimizer.clip(Clip::GlobalNorm(bound)).map_err(lab::Error::unit)?;
                    }
                    let run = train(&mut model, &mut optimizer, &split.train, config.epochs, seed, None)?;
                    read.push(if run.is_some() { measure(&model, &split.test).1 } else { GUESS });
                }
                accuracy.push(Measured::over(&read));
            }
            rates.push(Rate { learning_rate, accuracy });
        }
        lab.progress("runs", runs, runs, None)?;
        Ok(GradientClippingReport { table: table(&rates), rates })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [none, _, tight] = [0, 1, 2].map(|bound: usize| report.rates[0].accuracy[bound]);
        vec![
            Check::new(
                "clipped-learns",
                "share of unseen digits that are read with a learning rate of 1 and gradients of length at most 0.25",
                tight,
                Bound::AtLeast(0.75), // PyTorch, 3 seeds: 0.867 ± 0.023
                BoundSource::Pilot,
            )
            .baseline("without a bound", none.mean)
            .reason_if_failed("a start from which even short steps leave the region where gradients say anything"),
            Check::new(
                "unclipped-fails",
                "the same without a bound on the gradient",
                none,
                Bound::AtMost(0.2), // PyTorch, 3 seeds: 0.099 ± 0.005
                BoundSource::Pilot,
            )
            .baseline("clipped to 0.25", tight.mean)
            .reason_if_failed("the learning rate is not too large for this start"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = report.rates.iter().rev().map(|rate| format!("η = {}", rate.learning_rate));
        let mut plot = Plot::new(Axis::categories("", names), Axis::linear("test accuracy").range(0.0, 1.0));
        for (index, name) in ["no bound", "length at most 1", "at most 0.25"].into_iter().enumerate() {
            let heights =
                report.rates.iter().rev().map(|rate| (rate.accuracy[index].mean, rate.accuracy[index].sd));
            plot = plot.bars(name, heights);
        }
        vec![Figure::new(
            "accuracy",
            format!(
                "At a good learning rate clipping costs little; at one that is ten times too large it decides \
                 between reading and guessing. Share of 2000 unseen digits after training with momentum 0.9, mean \
                 and one standard deviation of {} seeds.",
                report.rates[0].accuracy[0].n
            ),
            "Bars in three groups. At a rate of 0.1 all three are near 0.9; at 0.3 the one without a bound is lower \
             and has a long whisker; at 1 only the bar of the tightest bound is high, the others are near 0.1 and \
             a quarter.",
            plot,
        )]
    }
}

fn table(rates: &[Rate]) -> Table {
    let mut table = Table::new(["learning rate", "no bound", "length at most 1", "at most 0.25"]);
    for rate in rates.iter().rev() {
        let cell = |m: &Measured| format!("{:.3} ± {:.3}", m.mean, m.sd);
        let [a, b, c] = [0, 1, 2].map(|bound: usize| cell(&rate.accuracy[bound]));
        table.row([rate.learning_rate.to_string(), a, b, c]);
    }
    table
}
