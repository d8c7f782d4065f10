//! AdamWR: a network that is useful at the end of every period, and not at the end of the run alone.
use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use layers::Schedule;
use layers::modules::Relu;
use layers::prelude::{BuildOnDevice, Linear, Step};
use serde::{Deserialize, Serialize};

use super::pooled::{BATCH, Parts, Pass, paired, train};
use super::{at_least_one, at_least_two};
use crate::optimizers::{AdamW, AdamWConfig, WarmRestarts as Restarts};
use crate::schedules::{Cosine, Sgdr};

/// AdamW at a constant rate, along one cosine, and with warm restarts.
#[derive(Debug)]
pub struct WarmRestarts;

/// What may vary in [`WarmRestarts`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct WarmRestartsConfig {
    /// Starts and orders of the images for each rate, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes of the first period; each has twice those of the one before
    #[arg(long)]
    pub first: usize,
    /// Periods, 2 to 5
    #[arg(long)]
    pub periods: usize,
    /// Rates to choose from, 1 to 3
    #[arg(long)]
    pub rates: usize,
    /// Images to learn from
    #[arg(long)]
    pub images: usize,
}

impl Default for WarmRestartsConfig {
    fn default() -> Self {
        Self { seeds: 3, first: 2, periods: 4, rates: 3, images: 4000 }
    }
}

impl ExperimentConfig for WarmRestartsConfig {
    fn quick() -> Self {
        Self { seeds: 2, first: 1, periods: 2, rates: 1, images: 500 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("first", self.first)?;
        let refuse =
            |field, rule, value: usize| Err(lab::Error::Config { field, rule, value: value.to_string() });
        if !(2..=5).contains(&self.periods) {
            return refuse("periods", "2 to 5", self.periods);
        }
        if !(1..=3).contains(&self.rates) {
            return refuse("rates", "1 to 3", self.rates);
        }
        if !(BATCH..=6000).contains(&self.images) {
            return refuse("images", "50 to 6000", self.images);
        }
        Ok(self)
    }
}

/// What [`WarmRestarts`] measured; accuracies are percent of the test images that are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WarmRestartsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Passes at the end of each period.
    pub ends: Vec<usize>,
    /// A constant rate, one cosine, warm restarts.
    pub ways: Vec<Way>,
    /// Restarts less the constant rate, mean over the ends of the periods, seed by seed.
    pub anytime_gain: Measured,
    /// Restarts less the one cosine, mean over the ends of all periods but the last, seed by seed.
    pub gain_before: Measured,
    /// Restarts less the one cosine at the end, seed by seed.
    pub last_gain: Measured,
    /// The same as text.
    pub table: Table,
}

/// One way to move the rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Way {
    /// In words.
    pub name: String,
    /// The largest rate, chosen by the mean of the validation accuracies at the ends of the periods.
    pub rate: f64,
    /// Accuracy after each pass, by seed.
    pub accuracy: Vec<Vec<f64>>,
}

/// Images to choose the rate by.
const VALIDATION: usize = 1000;
/// Images to judge by.
const TEST: usize = 3000;
/// Rates, the most promising first.
const RATES: [f64; 3] = [0.01, 0.003, 0.03];
/// λ_norm: as the paper finds on CIFAR-10.
const NORM: f64 = 0.05;

/// Images of 14 × 14.
const PIXELS: usize = 196;
type Net = (Linear<PIXELS, 64, Relu>, Linear<64, 10>);
type Model = <Net as BuildOnDevice<Cpu, f32>>::Built;

const WAYS: [&str; 3] = ["constant rate", "one cosine", "warm restarts"];

fn run(
    way: usize,
    rate: f64,
    config: &WarmRestartsConfig,
    parts: &Parts,
    seed: Seed,
) -> Result<Option<Vec<Pass>>, lab::Error> {
    let pass = parts.train.len().div_ceil(BATCH) as u64;
    let epochs = config.first * ((1 << config.periods) - 1);
    let cosines = Sgdr { base: rate, period: config.first as u64 * pass, growth: 2, minimum: 0.0 };
    let restarts = Restarts::try_new(cosines, NORM).map_err(super::refused)?;
    let steps = epochs as u64 * pass;
    let fall = Cosine { base: rate, steps, minimum: 0.0 }.check().map_err(super::refused)?;
    let mut model: Model = Cpu::seed_from_u64(seed.value()).build_module::<Net, f32>();
    // The decay of the other two is that of one period of the whole length.
    let rule = AdamWConfig {
        learning_rate: rate,
        weight_decay: NORM / (steps as f64).sqrt(),
        decay_base: Some(rate),
        ..Default::default()
    };
    let mut adam = AdamW::try_new(&model, rule).map_err(lab::Error::unit)?;
    train(&mut model, &mut adam, parts, epochs, seed, |step, adam: &mut AdamW<Model, f32, Cpu>| match way {
        0 => Ok(()),
        1 => adam.set_learning_rate(fall.learning_rate(step)).map_err(lab::Error::unit),
        _ => restarts.set(step, adam).map_err(lab::Error::unit),
    })
}

impl Experiment for WarmRestarts {
    type Config = WarmRestartsConfig;
    type Report = WarmRestartsReport;
    const ABOUT: About = About {
        name: "warm-restarts",
        lecture: 8,
        paper: "Loshchilov & Hutter (2019), Decoupled weight decay regularization, section 4.4 and appendix B; Loshchilov & \
                Hutter (2017), SGDR",
        claim: "At the ends of its periods AdamW with warm restarts reads more digits than AdamW at a constant rate, and before the \
                last of them no fewer than along one cosine; at the end it is at most three quarters of a point behind that",
        sources: &[
            include_str!("warm_restarts.rs"),
            include_str!("pooled.rs"),
            include_str!("typed_runs.rs"),
            include_str!("../optimizers/restarts.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let parts = Parts::new(14, config.images, VALIDATION, TEST)?;
        let seeds = lab.seeds(config.seeds);
        let ends: Vec<usize> =
            (1..=config.periods).map(|period| config.first * ((1 << period) - 1)).collect();
        let mut ways = Vec::new();
        for (way, name) in WAYS.iter().enumerate() {
            let mut best: Option<(f64, Way)> = None;
            for (at, &rate) in RATES[..config.rates].iter().enumerate() {
                lab.progress("runs", (way * config.rates + at) as u64, (3 * config.rates) as u64, None)?;
                let runs = seeds.iter().map(|&seed| run(way, rate, config, &parts, seed));
                let runs = runs.collect::<Result<Option<Vec<_>>, _>>()?;
                let Some(runs) = runs else { continue };
                let at_ends = |run: &Vec<Pass>| ends.iter().map(|&end| run[end - 1].validation).sum::<f64>();
                let validation = runs.iter().map(at_ends).sum::<f64>();
                if best.as_ref().is_none_or(|(most, _)| validation > *most) {
                    let accuracy =
                        runs.iter().map(|run| run.iter().map(|pass| pass.test).collect()).collect();
                    best = Some((validation, Way { name: name.to_string(), rate, accuracy }));
                }
            }
            let none = || {
                let (method, distance, learning_rate) = ("AdamW", f64::INFINITY, RATES[0]);
                lab::Error::unit(crate::Error::Diverged { method, step: 0, distance, learning_rate })
            };
            ways.push(best.map(|(_, way)| way).ok_or_else(none)?);
        }
        lab.progress("runs", 3, 3, None)?;
        let mean = |way: &Way, ends: &[usize]| -> Vec<f64> {
            let of = |run: &Vec<f64>| ends.iter().map(|&end| run[end - 1]).sum::<f64>() / ends.len() as f64;
            way.accuracy.iter().map(of).collect()
        };
        let gain = |over: usize, ends: &[usize]| {
            paired(&mean(&ways[2], ends), &mean(&ways[over], ends), |a, b| a - b)
        };
        let (before, last) = ends.split_at(ends.len() - 1);
        let mut table = Table::new(["passes", "constant rate", "one cosine", "warm restarts"]);
        for &end in &ends {
            let [a, b, c] = [0, 1, 2].map(|way: usize| {
                let Measured { mean, sd, .. } = Measured::over(&mean(&ways[way], &[end]));
                format!("{mean:.2} ± {sd:.2}")
            });
            table.row([end.to_string(), a, b, c]);
        }
        Ok(WarmRestartsReport {
            is_full: config.first >= 2 && config.periods >= 4 && config.images >= 4000,
            anytime_gain: gain(0, &ends),
            gain_before: gain(1, before),
            last_gain: gain(1, last),
            table,
            ends,
            ways,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let end = |way: usize| {
            Measured::over(
                &report.ways[way].accuracy.iter().map(|run| run[run.len() - 1]).collect::<Vec<_>>(),
            )
        };
        let mut checks = vec![
            Check::new(
                "restarts-learn",
                "test accuracy with restarts at the end of the last period, in percent",
                end(2),
                Bound::AtLeast(if report.is_full { 93.0 } else { 20.0 }), // 94.9 ± 0.5
                BoundSource::Pilot,
            )
            .baseline("guessing", 10.0)
            .reason_if_failed("rates that are too small for so few passes"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "useful-at-any-end",
                    "test accuracy with restarts less that at a constant rate, mean over the ends of all periods, in points",
                    report.anytime_gain,
                    Bound::AtLeast(0.8), // 1.6 ± 0.3
                    BoundSource::Pilot,
                )
                .baseline("constant rate, % at the end", end(0).mean)
                .reason_if_failed("a constant rate that is small enough not to rattle"),
                Check::new(
                    "before-one-cosine",
                    "test accuracy with restarts less that along one cosine, mean over the ends before the last, in points",
                    report.gain_before,
                    Bound::AtLeast(0.0), // 0.6 ± 0.5
                    BoundSource::Pilot,
                )
                .baseline("one cosine, % at the end", end(1).mean)
                .reason_if_failed("a network that has converged before the first period is over"),
                Check::new(
                    "no-price-at-the-end",
                    "test accuracy with restarts less that along one cosine at the end, in points",
                    report.last_gain,
                    Bound::AtLeast(-0.75), // 0.2 ± 0.3
                    BoundSource::Pilot,
                )
                .baseline("one cosine, %", end(1).mean)
                .reason_if_failed("passes that restarts spend on coming down again"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let passes: Vec<f64> = (1..=report.ends[report.ends.len() - 1]).map(|pass| pass as f64).collect();
        let mut plot = Plot::new(Axis::linear("pass"), Axis::linear("test accuracy, %"));
        for way in &report.ways {
            let mean =
                |i: usize| way.accuracy.iter().map(|run| run[i]).sum::<f64>() / way.accuracy.len() as f64;
            let points = passes.iter().enumerate().map(|(i, &pass)| (pass, mean(i)));
            plot = plot.line(Line::new(&way.name, points));
        }
        for &end in &report.ends[..report.ends.len() - 1] {
            plot = plot.vertical("", end as f64);
        }
        vec![Figure::new(
            "accuracy",
            format!(
                "Each period ends with a network worth having. Percent of {TEST} test digits that are read after each pass, \
                 mean of {} seeds; dotted lines where a period of the restarts ends and the rate jumps up again.",
                report.anytime_gain.n
            ),
            "Three rising curves over the passes. That of the restarts rises to each dotted line, drops behind it and rises \
             again; that of the constant rate is ragged; that of the one cosine rises \
             until the middle of the run and is level from there on.",
            plot,
        )]
    }
}
