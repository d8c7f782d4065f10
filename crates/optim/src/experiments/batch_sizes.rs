//! Larger batches at the same number of passes: how far the learning rate may grow with the batch, and where it stops.

use dfdx::prelude::{AsArray, Backward, Cpu, DeviceBuildExt, ModuleMut, Trace};
use kernels::cross_entropy_mean;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use layers::StepError;
use layers::modules::Relu;
use layers::prelude::{BuildOnDevice, Linear, Step};
use serde::{Deserialize, Serialize};

use super::digit_nets::Digits;
use super::typed_runs::{measure, rows, steps};
use super::{Data, at_least_one, at_least_two};
use crate::optimizers::{Lamb, LambConfig, Sgd, SgdConfig};

/// One network, trained with batches of 16 to 1024 and a grid of learning rates for each.
#[derive(Debug)]
pub struct BatchSizes;

/// What may vary in [`BatchSizes`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct BatchSizesConfig {
    /// Starts and orders of the images for each cell of the grid, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Steps of the runs that make as many with every batch
    #[arg(long)]
    pub steps: usize,
    /// How many batch sizes, from 16 on, each twice the one before; 3 to 7
    #[arg(long)]
    pub batches: usize,
    /// Images to train with, at least as many as in the largest batch
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for BatchSizesConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 3, steps: 125, batches: 7, train_images: 4000, test_images: 2000 }
    }
}

impl ExperimentConfig for BatchSizesConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, steps: 8, batches: 3, train_images: 256, test_images: 200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("steps", self.steps)?;
        at_least_one("test_images", self.test_images)?;
        if !(3..=7).contains(&self.batches) {
            let value = self.batches.to_string();
            return Err(lab::Error::Config { field: "batches", rule: "3 to 7", value });
        }
        if self.train_images < SMALLEST << (self.batches - 1) {
            let (rule, value) = ("at least as many as in the largest batch", self.train_images.to_string());
            return Err(lab::Error::Config { field: "train_images", rule, value });
        }
        Ok(self)
    }
}

/// What [`BatchSizes`] measured; accuracies are percent of the test images that are read, over seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchSizesReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// B.
    pub batches: Vec<usize>,
    /// The grid of learning rates.
    pub rates: Vec<f64>,
    /// Accuracy: `[batch][rate]`.
    pub accuracy: Vec<Vec<Measured>>,
    /// Rate ∝ B, from the lowest one of the grid at the smallest batch, by batch.
    pub linear: Vec<Measured>,
    /// The same with a rate that grows from that of the smallest batch during the first pass.
    pub warmed: Vec<Measured>,
    /// The lowest rate of the grid for every batch.
    pub fixed: Vec<Measured>,
    /// The best rate of the grid, chosen by the loss on the training images, by batch.
    pub best_rate: Vec<f64>,
    /// Accuracy with it.
    pub best: Vec<Measured>,
    /// LAMB with a rate ∝ √B.
    pub lamb: Vec<Measured>,
    /// As many steps with every batch, rate ∝ B.
    pub linear_steps: Vec<Measured>,
    /// As many steps with every batch, LAMB with a rate ∝ √B.
    pub lamb_steps: Vec<Measured>,
    /// Share of the runs with these two rules, after as many passes and after as many steps, whose loss is finite.
    pub finite: f64,
    /// Accuracy of the smallest batch less that of each batch, linear rates, in points, seed by seed.
    pub lost: Vec<Measured>,
    /// The same with the rate that stays.
    pub lost_fixed: Vec<Measured>,
    /// The same with the best rate of each batch.
    pub lost_best: Vec<Measured>,
    /// The largest batch up to which the linear rule loses at most five points at every batch.
    pub holds_up_to: usize,
    /// Its learning rate there.
    pub holds_up_to_rate: f64,
    /// Position of the batch of 256, the last one of a shorter list.
    pub middle: usize,
    /// Linear rate less the rate that stays, at that batch, in points, seed by seed.
    pub linear_gain: Measured,
    /// Best rate of the largest batch over that of the smallest.
    pub growth: f64,
    /// The same as text.
    pub table: Table,
    /// As many passes beside as many steps.
    pub steps_table: Table,
}

/// The smallest batch; the others are 2, 4, … times as large.
const SMALLEST: usize = 16;
/// The smallest rate of the grid; the others are 2, 4, … times as large.
const LOWEST_RATE: f64 = 0.025;
/// Rates of the grid: one for each batch on the diagonal, and one below.
const RATES: usize = 8;
/// Learning rate of LAMB at the smallest batch.
const LAMB_RATE: f64 = 0.005;
/// Points that a batch may lose before the rule counts as broken.
const ALLOWED: f64 = 5.0;

type Net = (Linear<784, 64, Relu>, Linear<64, 10>);
type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;

impl Experiment for BatchSizes {
    type Config = BatchSizesConfig;
    type Report = BatchSizesReport;
    const ABOUT: About = About {
        name: "batch-sizes",
        lecture: 8,
        paper: "Goyal et al. (2017), Accurate, large minibatch SGD; You et al. (2020), Large batch optimization for deep \
                learning (LAMB)",
        claim: "Twice the batch with twice the learning rate loses less than five points up to a batch of 256; then the rate \
                reaches what no batch allows, the run breaks, and every rate pays for the steps that are missing",
        sources: &[
            include_str!("batch_sizes.rs"),
            include_str!("typed_runs.rs"),
            include_str!("digit_nets.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let batches: Vec<usize> = (0..config.batches).map(|doubled| SMALLEST << doubled).collect();
        let rates: Vec<f64> = (0..RATES).map(|doubled| LOWEST_RATE * (1 << doubled) as f64).collect();
        let long = |rule: Rule, batch: usize, steps: usize| -> Result<Vec<Scores>, lab::Error> {
            seeds.iter().map(|&seed| fit(rule, batch, steps, &train, &test, seed)).collect()
        };
        let run = |rule: Rule, batch: usize| long(rule, batch, steps(&train, batch, config.epochs));
        let mut grid: Vec<Vec<Vec<Scores>>> = Vec::new();
        for (done, &batch) in batches.iter().enumerate() {
            lab.progress("batch sizes", done as u64, batches.len() as u64, None)?;
            grid.push(rates.iter().map(|&rate| run(Rule::Sgd { rate }, batch)).collect::<Result<_, _>>()?);
        }
        let loss = |cell: &Vec<Scores>| cell.iter().map(|scores| scores.loss).sum::<f64>();
        let least = |row: &[Vec<Scores>]| {
            (0..RATES).fold(0, |best, r| if loss(&row[r]) < loss(&row[best]) { r } else { best })
        };
        let chosen: Vec<usize> = grid.iter().map(|row| least(row)).collect();
        let right = |cell: &[Scores]| cell.iter().map(|scores| scores.accuracy).collect::<Vec<_>>();
        let (mut linear, mut warmed, mut lamb) = (Vec::new(), Vec::new(), Vec::new());
        let (mut linear_steps, mut lamb_steps, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (doubled, &batch) in batches.iter().enumerate() {
            let (times, rate) = ((1 << doubled) as f64, rates[doubled]);
            let layerwise = Rule::Lamb { rate: LAMB_RATE * times.sqrt() };
            warmed.push(right(&run(Rule::Warmed { from: rates[0], to: rate }, batch)?));
            let cells = [
                run(layerwise, batch)?,
                long(Rule::Sgd { rate }, batch, config.steps)?,
                long(layerwise, batch, config.steps)?,
            ];
            linear.push(right(&grid[doubled][doubled]));
            for (to, cell) in [&mut lamb, &mut linear_steps, &mut lamb_steps].into_iter().zip(&cells) {
                to.push(right(cell));
            }
            let all = cells.iter().chain([&grid[doubled][doubled]]).flatten();
            ends.extend(all.map(|scores| f64::from(u8::from(scores.loss.is_finite()))));
        }
        let fixed: Vec<_> = grid.iter().map(|row| right(&row[0])).collect();
        let best: Vec<_> = grid.iter().zip(&chosen).map(|(row, &r)| right(&row[r])).collect();
        let over = |cells: &[Vec<f64>]| cells.iter().map(|cell| Measured::over(cell)).collect::<Vec<_>>();
        let lost = |cells: &[Vec<f64>]| -> Vec<Measured> {
            let less = |cell: &Vec<f64>| cells[0].iter().zip(cell).map(|(a, b)| a - b).collect::<Vec<_>>();
            cells.iter().map(|cell| Measured::over(&less(cell))).collect()
        };
        let best_rate: Vec<f64> = chosen.iter().map(|&r| rates[r]).collect();
        let lost_linear = lost(&linear);
        let held = lost_linear.iter().take_while(|lost| lost.mean <= ALLOWED).count();
        let (lowest, largest) = (best_rate[0], best_rate[best_rate.len() - 1]);
        let middle = (batches.len() - 1).min(4);
        let gain: Vec<f64> = linear[middle].iter().zip(&fixed[middle]).map(|(a, b)| a - b).collect();
        let mut table = Table::new([
            "batch",
            "rate stays",
            "rate ∝ B",
            "rate ∝ B, warmed up",
            "best rate",
            "with the best rate",
            "LAMB, rate ∝ √B",
        ]);
        for (index, batch) in batches.iter().enumerate() {
            let cells = [&fixed, &linear, &warmed, &best, &lamb];
            let [a, b, c, d, e] = cells.map(|cells| Measured::over(&cells[index]).to_string());
            table.row([batch.to_string(), a, b, c, best_rate[index].to_string(), d, e]);
        }
        let mut steps_table = Table::new([
            "batch",
            "as many passes: SGD, rate ∝ B",
            "LAMB, rate ∝ √B",
            "as many steps: SGD, rate ∝ B",
            "LAMB with as many steps",
        ]);
        for (index, batch) in batches.iter().enumerate() {
            let cells = [&linear, &lamb, &linear_steps, &lamb_steps];
            let [a, b, c, d] = cells.map(|cells| Measured::over(&cells[index]).to_string());
            steps_table.row([batch.to_string(), a, b, c, d]);
        }
        Ok(BatchSizesReport {
            is_full: config.epochs >= 3 && config.train_images >= 4000 && config.batches == 7,
            holds_up_to: batches[held.max(1) - 1],
            holds_up_to_rate: rates[held.max(1) - 1],
            middle,
            linear_gain: Measured::over(&gain),
            growth: largest / lowest,
            accuracy: grid
                .iter()
                .map(|row| over(&row.iter().map(|cell| right(cell)).collect::<Vec<_>>()))
                .collect(),
            linear: over(&linear),
            warmed: over(&warmed),
            fixed: over(&fixed),
            best: over(&best),
            lamb: over(&lamb),
            linear_steps: over(&linear_steps),
            lamb_steps: over(&lamb_steps),
            finite: ends.iter().sum::<f64>() / ends.len() as f64,
            lost: lost_linear,
            lost_fixed: lost(&fixed),
            lost_best: lost(&best),
            batches,
            rates,
            best_rate,
            table,
            steps_table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        // Pilot on seeds 100 to 102: linear rule 87.5, 87.6, 86.8, 83.0, 86.0, 76.6, 22.8 % from B = 16 to 1024, at the lowest
        // rate 87.5, 84.4, 78.7, 70.1, 57.9, 39.0, 24.5 %, at the best rate 90.7 ± 0.7 and 76.2 ± 2.0 % at both ends.
        let last = report.batches.len() - 1;
        let mut checks = vec![
            Check::new(
                "small-batches-learn",
                "test accuracy with batches of 16 and their best rate, in percent",
                report.best[0],
                Bound::AtLeast(if report.is_full { 87.0 } else { 25.0 }),
                BoundSource::Pilot,
            )
            .baseline("guessing", 10.0)
            .reason_if_failed("a grid of rates that misses the useful ones"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "linear-holds",
                    "largest batch up to which the linear rule loses at most five points",
                    Measured::exact(report.holds_up_to as f64),
                    Bound::Within(64.0, 512.0),
                    BoundSource::Pilot,
                )
                .baseline("smallest batch", SMALLEST as f64)
                .reason_if_failed("another network has another largest rate"),
                Check::new(
                    "linear-beats-the-rate-that-stays",
                    "test accuracy with batches of 256: rate ∝ B less the rate of the smallest batch, in points",
                    report.linear_gain,
                    Bound::AtLeast(15.0),
                    BoundSource::Pilot,
                )
                .baseline("the rate that stays, %", report.fixed[report.middle].mean)
                .reason_if_failed("more passes, after which both have converged"),
                Check::new(
                    "linear-breaks",
                    "test accuracy with batches of 16 less that with 1024 and 64 times the rate, in points",
                    report.lost[last],
                    Bound::AtLeast(40.0),
                    BoundSource::Pilot,
                )
                .baseline("best rate of the grid", report.lost_best[last].mean)
                .reason_if_failed("a smaller rate to start from"),
                Check::new(
                    "the-largest-rate-knows-no-batch",
                    "best rate for batches of 1024 over that for batches of 16",
                    Measured::exact(report.growth),
                    Bound::AtMost(4.0),
                    BoundSource::Pilot,
                )
                .baseline("linear rule", 64.0)
                .reason_if_failed("more passes, in which small batches prefer smaller rates"),
                Check::new(
                    "missing-steps-cost",
                    "test accuracy with batches of 16 less that with 1024, each with its best rate, in points",
                    report.lost_best[last],
                    Bound::AtLeast(5.0),
                    BoundSource::Pilot,
                )
                .baseline("the rate stays", report.lost_fixed[last].mean)
                .reason_if_failed("more passes, after which both have converged"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |name: &str, cells: &[Measured]| {
            let points = report.batches.iter().zip(cells).map(|(&batch, m)| (batch as f64, m.mean));
            let band = cells.iter().map(|m| ((m.mean - m.sd).max(0.0), (m.mean + m.sd).min(100.0)));
            Line::new(name, points).band(band)
        };
        let by_rate = |index: usize| {
            let points = report.rates.iter().zip(&report.accuracy[index]).map(|(&rate, m)| (rate, m.mean));
            Line::new(format!("B = {}", report.batches[index]), points)
        };
        let plot =
            Plot::new(Axis::logarithmic("learning rate"), Axis::linear("test accuracy, %").range(0.0, 100.0));
        vec![
            Figure::new(
                "accuracy",
                format!(
                    "In proportion to the batch the rate keeps the accuracy for some doublings, and then breaks the run; left \
                     as it is it loses from the first doubling on. Test accuracy after the same number of passes against \
                     the batch; mean and one standard deviation of {} seeds.",
                    report.lost[0].n
                ),
                "Three curves over the batch from 16 to 1024 on a logarithmic axis. With the rate that stays accuracy falls \
                 steadily to a fifth; in proportion to the batch it is level and drops at the right; with the best rate \
                 it falls slowly.",
                Plot::new(
                    Axis::logarithmic("images in a batch"),
                    Axis::linear("test accuracy, %").range(0.0, 100.0),
                )
                .line(line("best rate", &report.best))
                .line(line("rate ∝ B", &report.linear))
                .line(line("rate stays", &report.fixed)),
            ),
            Figure::new(
                "steps",
                format!(
                    "With as many passes a large batch pays for the steps that it does not make; with as many steps it does not, as \
                     long as its rate does not break the run. Test accuracy against the batch, rate ∝ B for SGD and ∝ √B for \
                     LAMB; mean and one standard deviation of {} seeds.",
                    report.lost[0].n
                ),
                "Four curves over the batch from 16 to 1024 on a logarithmic axis, two with as many steps and two with as many \
                 passes, one of each for SGD and one for LAMB.",
                Plot::new(
                    Axis::logarithmic("images in a batch"),
                    Axis::linear("test accuracy, %").range(0.0, 100.0),
                )
                .line(line("LAMB, steps", &report.lamb_steps))
                .line(line("SGD, steps", &report.linear_steps))
                .line(line("SGD, passes", &report.linear))
                .line(line("LAMB, passes", &report.lamb)),
            ),
            Figure::new(
                "rates",
                "All batches break at the same rate; small rates hurt large batches, which make fewer steps. Test accuracy \
                 against the learning rate, mean over seeds.",
                "Four curves over the learning rate on a logarithmic axis. On the left they are far apart, the smallest batch \
                 on top; all of them fall to the bottom between the same two rates on the right.",
                (0..report.batches.len()).step_by(2).fold(plot, |plot, index| plot.line(by_rate(index))),
            ),
        ]
    }
}

/// How a run descends.
#[derive(Clone, Copy)]
enum Rule {
    /// At one rate.
    Sgd { rate: f64 },
    /// At a rate that grows in equal parts during the first pass, and then stays.
    Warmed { from: f64, to: f64 },
    /// LAMB at one rate.
    Lamb { rate: f64 },
}

impl Rule {
    // ANCHOR: warm_up
    /// The learning rate in this step, counted from 0; a pass has `pass` steps.
    fn rate(self, step: usize, pass: usize) -> f64 {
        match self {
            Rule::Sgd { rate } | Rule::Lamb { rate } => rate,
            Rule::Warmed { from, to } => from + (to - from) * (step as f64 / pass as f64).min(1.0),
        }
    }
    // ANCHOR_END: warm_up

    fn optimizer(self, model: &Built) -> Result<Box<dyn Step<Built, f32, Cpu>>, lab::Error> {
        let learning_rate = self.rate(0, 1);
        Ok(match self {
            Rule::Lamb { .. } => {
                let config = LambConfig { learning_rate, ..LambConfig::default() };
                Box::new(Lamb::try_new(model, config).map_err(lab::Error::unit)?)
            }
            _ => {
                let config = SgdConfig { learning_rate, ..SgdConfig::default() };
                Box::new(Sgd::try_new(model, config).map_err(lab::Error::unit)?)
            }
        })
    }
}

/// Where a run ended.
struct Scores {
    /// Mean cross-entropy of the training images; infinite after a step that was not finite.
    loss: f64,
    /// Percent of the test images that are read.
    accuracy: f64,
}

/// One run of so many steps, in passes over the training images.
fn fit(
    rule: Rule,
    batch: usize,
    steps: usize,
    train: &Digits,
    test: &Digits,
    seed: lab::Seed,
) -> Result<Scores, lab::Error> {
    let mut model = Cpu::seed_from_u64(seed.value()).build_module::<Net, f32>();
    let mut optimizer = rule.optimizer(&model)?;
    let (pass, order) = (super::typed_runs::steps(train, batch, 1), seed.key("order"));
    let mut images = Vec::new();
    let mut is_finite = true;
    for step in 0..steps {
        let (epoch, part) = (step / pass, step % pass);
        if part == 0 {
            images = order.fold(1 + epoch as u64).permutation(train.len());
        }
        let which = &images[part * batch..train.len().min((part + 1) * batch)];
        optimizer.set_learning_rate(rule.rate(step, pass)).map_err(lab::Error::unit)?;
        let (x, labels) = rows::<784>(train, which);
        let loss = cross_entropy_mean(model.forward_mut(x.leaky_trace()), &labels);
        is_finite = loss.array().is_finite();
        if is_finite {
            match optimizer.step(&mut model, &mut loss.backward()) {
                Err(StepError::NotFinite { .. }) => is_finite = false,
                result => {
                    result.map_err(lab::Error::unit)?;
                }
            }
        }
        if !is_finite {
            break;
        }
    }
    let loss = if is_finite { measure(&model, train).0 } else { f64::INFINITY };
    let loss = if loss.is_finite() { loss } else { f64::INFINITY };
    Ok(Scores { loss, accuracy: measure(&model, test).1 })
}
