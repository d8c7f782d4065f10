//! A penalty in the gradient and a decay beside it, over learning rate and strength: Adam with L2 against AdamW.

use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Emphasis, Experiment, ExperimentConfig, Figure, Heatmap, Lab,
    Line, Measured, Plot, Table,
};
use layers::modules::Relu;
use layers::prelude::{BuildOnDevice, Linear, Step};
use serde::{Deserialize, Serialize};

use super::digit_nets::Digits;
use super::typed_runs::{fit, measure, steps};
use super::{Data, at_least_one, at_least_two};
use crate::optimizers::{Adam, AdamConfig, AdamW, AdamWConfig};

/// Test errors over a grid of learning rates and decays.
#[derive(Debug)]
pub struct WeightDecayMap;

/// What may vary in [`WeightDecayMap`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct WeightDecayMapConfig {
    /// Starts and orders of the images for each cell, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// How many of the learning rates 0.003, 0.01, 0.001; 1 to 3
    #[arg(long)]
    pub rates: usize,
    /// Passes over the 300 training images
    #[arg(long)]
    pub epochs: usize,
}

impl Default for WeightDecayMapConfig {
    fn default() -> Self {
        Self { seeds: 5, rates: 3, epochs: 40 }
    }
}

impl ExperimentConfig for WeightDecayMapConfig {
    fn quick() -> Self {
        Self { seeds: 2, rates: 1, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        if !(1..=RATES.len()).contains(&self.rates) {
            let value = self.rates.to_string();
            return Err(lab::Error::Config { field: "rates", rule: "1 to 3", value });
        }
        Ok(self)
    }
}

/// What [`WeightDecayMap`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WeightDecayMapReport {
    /// The learning rates.
    pub rates: Vec<f64>,
    /// The strengths λ, in ascending order.
    pub decays: Vec<f64>,
    /// Adam with L2: percent of the test images read wrong, `[rate][decay]`, over seeds.
    pub coupled: Vec<Vec<Measured>>,
    /// AdamW.
    pub decoupled: Vec<Vec<Measured>>,
    /// Difference of the lowest errors, Adam with L2 less AdamW, in points, seed by seed.
    pub best_gap: Measured,
    /// Largest λ that costs less than `TOLERANCE` points over the rule's best, averaged over rates: Adam with L2, AdamW.
    pub useful: [f64; 2],
    /// The second over the first.
    pub factor: f64,
    /// Error of Adam with L2 less its best at λ = 0.1, averaged over rates, in points.
    pub coupled_cost: Measured,
    /// The same for AdamW.
    pub decoupled_cost: Measured,
    /// Errors averaged over rates, as text.
    pub table: Table,
}

const RATES: [f64; 3] = [3e-3, 1e-2, 1e-3];
const DECAYS: [f64; 6] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];
/// Position of 0.1 among the decays.
const TENTH: usize = 3;
const BATCH: usize = 32;
/// Points of test error that a decay may cost and still be called useful.
const TOLERANCE: f64 = 2.0;
const TRAIN: usize = 300;
const TEST: usize = 1497;

type Net = (Linear<64, 64, Relu>, Linear<64, 10>);
type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;

impl Experiment for WeightDecayMap {
    type Config = WeightDecayMapConfig;
    type Report = WeightDecayMapReport;
    const ABOUT: About = About {
        name: "weight-decay-map",
        lecture: 8,
        paper: "Loshchilov & Hutter (2019), Decoupled weight decay regularization",
        claim: "The same λ means different things in Adam with L2 and in AdamW: the largest useful one is about a hundred \
                times larger in AdamW, and the best errors on small digits are equal",
        sources: &[
            include_str!("weight_decay_map.rs"),
            include_str!("typed_runs.rs"),
            include_str!("digit_nets.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Digits, TRAIN, TEST)?;
        let seeds = lab.seeds(config.seeds);
        // errors[rule][rate][decay][seed]
        let mut errors = [Vec::new(), Vec::new()];
        for (done, &rate) in RATES[..config.rates].iter().enumerate() {
            lab.progress("learning rates", done as u64, config.rates as u64, None)?;
            let mut rows = [Vec::new(), Vec::new()];
            for decay in DECAYS {
                for (rule, row) in rows.iter_mut().enumerate() {
                    let wrong: Result<Vec<f64>, lab::Error> = seeds
                        .iter()
                        .map(|&seed| error(config.epochs, &train, &test, rule, (rate, decay), seed))
                        .collect();
                    row.push(wrong?);
                }
            }
            for (all, row) in errors.iter_mut().zip(rows) {
                all.push(row);
            }
        }
        // Averages over rates: means[rule][decay][seed].
        let mean = |rule: usize, decay: usize| -> Vec<f64> {
            let rates = errors[rule].len() as f64;
            let sum = |seed: usize| errors[rule].iter().map(|row| row[decay][seed]).sum::<f64>();
            (0..seeds.len()).map(|seed| sum(seed) / rates).collect()
        };
        let center = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let best = |rule: usize| -> Vec<f64> {
            let all: Vec<Vec<f64>> = (0..DECAYS.len()).map(|decay| mean(rule, decay)).collect();
            all.into_iter().min_by(|a, b| center(a).total_cmp(&center(b))).unwrap_or_default()
        };
        let cost = |rule: usize, decay: usize| -> Vec<f64> {
            mean(rule, decay).iter().zip(best(rule)).map(|(error, best)| error - best).collect()
        };
        let useful = [0, 1].map(|rule| {
            let last = (0..DECAYS.len()).rev().find(|&decay| center(&cost(rule, decay)) < TOLERANCE);
            DECAYS[last.unwrap_or(0)]
        });
        let lowest = |rule: usize| -> Vec<f64> {
            let cell = |row: &Vec<Vec<f64>>| row.clone();
            let cells: Vec<Vec<f64>> = errors[rule].iter().flat_map(cell).collect();
            cells.into_iter().min_by(|a, b| center(a).total_cmp(&center(b))).unwrap_or_default()
        };
        let gap: Vec<f64> = lowest(0).iter().zip(lowest(1)).map(|(a, b)| a - b).collect();
        let mut table = Table::new(["λ", "Adam with L2, error %", "AdamW, error %"]);
        for (index, decay) in DECAYS.iter().enumerate() {
            let [coupled, decoupled] = [0, 1].map(|rule| Measured::over(&mean(rule, index)).to_string());
            table.row([decay.to_string(), coupled, decoupled]);
        }
        let [coupled, decoupled] = [0, 1].map(|rule| {
            let over = |row: &Vec<Vec<f64>>| row.iter().map(|cell| Measured::over(cell)).collect();
            errors[rule].iter().map(over).collect::<Vec<Vec<Measured>>>()
        });
        Ok(WeightDecayMapReport {
            rates: RATES[..config.rates].to_vec(),
            decays: DECAYS.to_vec(),
            coupled,
            decoupled,
            best_gap: Measured::over(&gap),
            useful,
            factor: useful[1] / useful[0],
            coupled_cost: Measured::over(&cost(0, TENTH)),
            decoupled_cost: Measured::over(&cost(1, TENTH)),
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        // Pilot in PyTorch, test error: L2 7.9, 4.5, 4.4 % at λ = 0.01 and 29.3, 18.7, 24.8 % at 0.1; AdamW 8.5, 4.5,
        // 4.6 % at 0.1, 8.5, 4.9, 4.5 % at 1 and 21.2, 23.3, 28.2 % at 10 (rates 0.001, 0.003, 0.01).
        vec![
            Check::new(
                "the-useful-decay-differs",
                "largest λ that costs less than two points in AdamW over that in Adam with L2",
                Measured::exact(report.factor),
                Bound::Within(9.0, 1100.0),
                BoundSource::Pilot,
            )
            .baseline("if λ meant the same", 1.0)
            .reason_if_failed(
                "another number of steps: AdamW forgets the start with λ times the rate per step",
            ),
            Check::new(
                "the-penalty-is-too-strong",
                "test error of Adam with L2 at λ = 0.1 less its lowest, mean over learning rates, in points",
                report.coupled_cost,
                Bound::AtLeast(6.0),
                BoundSource::Pilot,
            )
            .baseline("AdamW", report.decoupled_cost.mean)
            .reason_if_failed("gradients of the loss that are larger than in the pilot"),
            Check::new(
                "the-decay-is-not",
                "test error of AdamW at λ = 0.1 less its lowest, mean over learning rates, in points",
                report.decoupled_cost,
                Bound::AtMost(2.0),
                BoundSource::Pilot,
            )
            .baseline("Adam with L2", report.coupled_cost.mean)
            .reason_if_failed("more steps than in the pilot"),
            Check::new(
                "no-winner-here",
                "lowest error of Adam with L2 less that of AdamW, in points",
                report.best_gap,
                Bound::Within(-1.5, 1.5),
                BoundSource::Pilot,
            )
            .baseline("equal", 0.0)
            .reason_if_failed("a network large enough for the decay to matter"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut order: Vec<usize> = (0..report.rates.len()).collect();
        order.sort_by(|&a, &b| report.rates[a].total_cmp(&report.rates[b]));
        let mut rows = Vec::new();
        let mut values = Vec::new();
        for (name, cells) in [("L2", &report.coupled), ("AdamW", &report.decoupled)] {
            for &rate in &order {
                rows.push(format!("{name}, {}", report.rates[rate]));
                values.push(cells[rate].iter().map(|m| m.mean).collect());
            }
        }
        let averaged = |cells: &[Vec<Measured>]| -> Vec<(f64, f64)> {
            let mean =
                |decay: usize| cells.iter().map(|row| row[decay].mean).sum::<f64>() / cells.len() as f64;
            report.decays.iter().enumerate().map(|(index, &decay)| (decay, mean(index))).collect()
        };
        vec![
            Figure::new(
                "map",
                format!(
                    "Read along a row: in Adam with L2 the errors jump at λ = 0.1, in AdamW at λ = 10. Percent of test \
                     digits read wrong, 300 to train with, mean of {} seeds; rows are rule and learning rate.",
                    report.best_gap.n
                ),
                "Six rows of coloured numbers. In the upper three, Adam with L2, the three right columns are large. In the \
                 lower three, AdamW, only the last column is.",
                Heatmap {
                    row_label: "rule, learning rate".into(),
                    column_label: "strength λ".into(),
                    rows,
                    columns: report.decays.iter().map(f64::to_string).collect(),
                    values,
                    decimals: 1,
                    emphasis: Emphasis::Sign,
                },
            ),
            Figure::new(
                "curves",
                "The two curves have the same floor and the same wall; the wall of AdamW stands a hundred times farther to \
                 the right. Test error against the strength, mean over learning rates and seeds.",
                "Two curves over the strength on a logarithmic axis, both flat near five per cent on the left. That of Adam \
                 with L2 rises steeply from a hundredth on, that of AdamW from one on.",
                Plot::new(Axis::logarithmic("strength λ"), Axis::linear("test error, %").range(0.0, 100.0))
                    .line(Line::new("Adam with L2", averaged(&report.coupled)))
                    .line(Line::new("AdamW", averaged(&report.decoupled))),
            ),
        ]
    }
}

/// Percent of the test images read wrong; rule 0 is Adam with L2, rule 1 AdamW.
fn error(
    epochs: usize,
    train: &Digits,
    test: &Digits,
    rule: usize,
    (learning_rate, weight_decay): (f64, f64),
    seed: lab::Seed,
) -> Result<f64, lab::Error> {
    let mut model = Cpu::seed_from_u64(seed.value()).build_module::<Net, f32>();
    let mut optimizer: Box<dyn Step<Built, f32, Cpu>> = if rule == 0 {
        let config = AdamConfig { learning_rate, weight_decay, ..AdamConfig::default() };
        Box::new(Adam::try_new(&model, config).map_err(lab::Error::unit)?)
    } else {
        let config = AdamWConfig { learning_rate, weight_decay, ..AdamWConfig::default() };
        Box::new(AdamW::try_new(&model, config).map_err(lab::Error::unit)?)
    };
    fit(&mut model, &mut *optimizer, train, BATCH, steps(train, BATCH, epochs), seed)?;
    Ok(100.0 - measure(&model, test).1)
}
