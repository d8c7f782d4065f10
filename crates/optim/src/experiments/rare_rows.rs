//! An embedding of which each step sees a few rows: Adam for rows that are seen, and for all.
use std::collections::HashMap;

use dfdx::nn::builders::Embedding;
use dfdx::prelude::{
    AsArray, Backward, Const, Cpu, DeviceBuildExt, GatherTo, Module, Tensor, TensorFromVec, Trace,
    ZerosTensor,
};
use kernels::cross_entropy_mean;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Seed,
    Table,
};
use layers::prelude::BuildOnDevice;
use layers::{Optim, Rule, Step, StepError, params};
use serde::{Deserialize, Serialize};

use super::pooled::paired;
use super::{at_least_one, at_least_two};
use crate::optimizers::{AdaGradConfig, AdamConfig, SgdConfig, SparseAdamConfig};

/// The first letter of the next word, from the word before it.
#[derive(Debug)]
pub struct RareRows;

/// What may vary in [`RareRows`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct RareRowsConfig {
    /// Orders of the words for each rate, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of each run
    #[arg(long)]
    pub steps: usize,
    /// Rates of each rule, from the middle outwards, 1 to 3
    #[arg(long)]
    pub rates: usize,
}

impl Default for RareRowsConfig {
    fn default() -> Self {
        Self { seeds: 3, steps: 2000, rates: 3 }
    }
}

impl ExperimentConfig for RareRowsConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 60, rates: 1 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("steps", self.steps)?;
        if !(1..=3).contains(&self.rates) {
            let value = self.rates.to_string();
            return Err(lab::Error::Config { field: "rates", rule: "1 to 3", value });
        }
        Ok(self)
    }
}

/// What [`RareRows`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RareRowsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Pairs of words to learn from.
    pub pairs: usize,
    /// Share of the rows that a minibatch holds, mean over all steps and seeds.
    pub seen: Measured,
    /// Sparse Adam, Adam, AdaGrad, SGD.
    pub rules: Vec<Rows>,
    /// The same as text.
    pub table: Table,
}

/// One rule with the rate that ends lowest on validation pairs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rows {
    /// The rule.
    pub name: String,
    /// Its rate.
    pub learning_rate: f64,
    /// Share of the rows that change in a step, mean over the steps, by seed.
    pub moved: Vec<f64>,
    /// Mean cross-entropy of the test pairs at the end, by seed.
    pub losses: Vec<f64>,
}

/// Words with a row of their own, the most frequent ones; the last row is for all others.
const WORDS: usize = 2000;
/// Letters and what is none.
const LETTERS: usize = 27;
/// Rows are counted in every so many-th step.
const COUNTED: usize = 10;
/// Pairs in a minibatch.
const BATCH: usize = 32;

type Table2 = Embedding<WORDS, LETTERS>;
type Model = <Table2 as BuildOnDevice<Cpu, f32>>::Built;
type Optimizer = Box<dyn Step<Model, f32, Cpu>>;

/// Word by row, and the letter that comes next.
#[derive(Clone, Default)]
struct Pairs {
    words: Vec<usize>,
    letters: Vec<usize>,
}

impl Pairs {
    fn select(&self, which: &[usize]) -> Self {
        let of = |values: &[usize]| which.iter().map(|&i| values[i]).collect();
        Self { words: of(&self.words), letters: of(&self.letters) }
    }

    fn loss(&self, model: &Model) -> f64 {
        let words: Tensor<(usize,), usize, Cpu> =
            Cpu::default().tensor_from_vec(self.words.clone(), (self.words.len(),));
        f64::from(cross_entropy_mean(model.forward(words), &self.letters).array())
    }
}

/// Pairs of neighbouring words of the text in their order: four fifths, a tenth, a tenth.
fn pairs() -> [Pairs; 3] {
    let text = datasets::prose().text().to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty()).collect();
    let train = words.len() * 4 / 5;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    words[..train].iter().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut order: Vec<(&str, usize)> = counts.into_iter().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rows: HashMap<&str, usize> =
        order.iter().take(WORDS - 1).enumerate().map(|(row, (word, _))| (*word, row)).collect();
    let letter = |word: &str| usize::from(word.as_bytes()[0] - b'a');
    let of = |range: std::ops::Range<usize>| {
        let mut pairs = Pairs::default();
        for pair in words[range].windows(2) {
            pairs.words.push(rows.get(pair[0]).copied().unwrap_or(WORDS - 1));
            pairs.letters.push(letter(pair[1]));
        }
        pairs
    };
    let tenth = (words.len() - train) / 2;
    [of(0..train), of(train..train + tenth), of(train + tenth..words.len())]
}

struct Entry {
    name: &'static str,
    /// The middle of the grid, from a pilot on seeds from 100 on.
    middle: f64,
    build: fn(&Model, f64) -> Result<Optimizer, StepError>,
}

fn boxed<R: Rule + 'static>(model: &Model, mut rule: R, rate: f64) -> Result<Optimizer, StepError> {
    rule.set_learning_rate(rate);
    Ok(Box::new(Optim::try_new(model, rule)?))
}

const RULES: [Entry; 4] = [
    Entry { name: "sparse Adam", middle: 0.01, build: |m, r| boxed(m, SparseAdamConfig::default(), r) },
    Entry { name: "Adam", middle: 0.01, build: |m, r| boxed(m, AdamConfig::default(), r) },
    Entry { name: "AdaGrad", middle: 0.3, build: |m, r| boxed(m, AdaGradConfig::default(), r) },
    Entry { name: "SGD", middle: 10.0, build: |m, r| boxed(m, SgdConfig::default(), r) },
];

/// The grid around 1, from the middle outwards.
const GRID: [f64; 3] = [1.0, 0.316, 3.16];

/// Share of the rows that changed, and that were in the minibatch, mean over the steps; the model at the end.
struct Run {
    moved: f64,
    seen: f64,
    model: Model,
}

fn run(entry: &Entry, rate: f64, train: &Pairs, steps: usize, seed: Seed) -> Result<Option<Run>, lab::Error> {
    let dev = Cpu::default();
    let mut model: Model = dev.build_module::<Table2, f32>();
    model.weight = dev.zeros();
    let mut optimizer = (entry.build)(&model, rate).map_err(lab::Error::unit)?;
    let order = seed.key("order");
    let batches = (0_u64..).flat_map(|pass| {
        let order = order.fold(pass).permutation(train.words.len());
        order.chunks(BATCH).map(<[usize]>::to_vec).collect::<Vec<_>>()
    });
    let (mut moved, mut seen, mut counted) = (0.0, 0.0, 0.0);
    for (step, which) in batches.take(steps).enumerate() {
        let batch = train.select(&which);
        let words: Tensor<(usize,), usize, Cpu> = dev.tensor_from_vec(batch.words.clone(), (which.len(),));
        let is_counted = step % COUNTED == 0;
        let before = if is_counted { params::flatten(&model) } else { Vec::new() };
        // The table is on the tape, the words are not.
        let logits = model.weight.leaky_trace().gather::<(usize, Const<LETTERS>), _>(words);
        let mut gradients = cross_entropy_mean(logits, &batch.letters).backward();
        match optimizer.step(&mut model, &mut gradients) {
            Err(StepError::NotFinite { .. }) => return Ok(None),
            result => result.map_err(lab::Error::unit)?,
        };
        if !is_counted {
            continue;
        }
        counted += 1.0;
        let after = params::flatten(&model);
        let rows = before.chunks(LETTERS).zip(after.chunks(LETTERS));
        moved += rows.filter(|(before, after)| before != after).count() as f64 / WORDS as f64;
        let distinct: std::collections::HashSet<usize> = batch.words.iter().copied().collect();
        seen += distinct.len() as f64 / WORDS as f64;
    }
    Ok(Some(Run { moved: moved / counted, seen: seen / counted, model }))
}

impl Experiment for RareRows {
    type Config = RareRowsConfig;
    type Report = RareRowsReport;
    const ABOUT: About = About {
        name: "rare-rows",
        lecture: 8,
        paper: "Duchi, Hazan & Singer (2011), Adaptive subgradient methods; Kingma & Ba (2015), Adam; the lazy form of Adam that \
                libraries have for embeddings",
        claim: "Sparse Adam moves the rows of a minibatch and no other, Adam also rows that it saw before; on words \
                of a text this costs sparse Adam less than 0.08 nats, and it predicts better than SGD, each with \
                its best rate",
        sources: &[include_str!("rare_rows.rs"), include_str!("../optimizers/matrix.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let [train, validation, test] = pairs();
        let seeds = lab.seeds(config.seeds);
        let mut rules = Vec::new();
        let mut seen = Measured::exact(0.0);
        for (done, entry) in RULES.iter().enumerate() {
            let mut best: Option<(f64, Rows)> = None;
            for (at, scale) in GRID[..config.rates].iter().enumerate() {
                lab.progress("runs", (done * config.rates + at) as u64, (4 * config.rates) as u64, None)?;
                let learning_rate = scale * entry.middle;
                let runs = seeds.iter().map(|&seed| run(entry, learning_rate, &train, config.steps, seed));
                let runs = runs.collect::<Result<Option<Vec<Run>>, _>>()?;
                let Some(runs) = runs else { continue };
                let least = runs.iter().map(|run| validation.loss(&run.model)).sum::<f64>();
                if best.as_ref().is_none_or(|(lowest, _)| least < *lowest) {
                    seen = Measured::over(&runs.iter().map(|run| run.seen).collect::<Vec<_>>());
                    let rows = Rows {
                        name: entry.name.to_string(),
                        learning_rate,
                        moved: runs.iter().map(|run| run.moved).collect(),
                        losses: runs.iter().map(|run| test.loss(&run.model)).collect(),
                    };
                    best = Some((least, rows));
                }
            }
            let none = || {
                let (method, distance, learning_rate) = (entry.name, f64::INFINITY, entry.middle);
                lab::Error::unit(crate::Error::Diverged { method, step: 0, distance, learning_rate })
            };
            rules.push(best.map(|(_, rows)| rows).ok_or_else(none)?);
        }
        lab.progress("runs", 4, 4, None)?;
        let mut table = Table::new(["rule", "rate", "rows that move in a step, %", "test loss (nats)"]);
        for rule in &rules {
            let (moved, loss) = (Measured::over(&rule.moved), Measured::over(&rule.losses));
            table.row([
                rule.name.clone(),
                format!("{:.3}", rule.learning_rate),
                format!("{:.1}", 100.0 * moved.mean),
                format!("{:.3} ± {:.3}", loss.mean, loss.sd),
            ]);
        }
        Ok(RareRowsReport {
            is_full: config.steps >= 2000 && config.rates == 3,
            pairs: train.words.len(),
            seen,
            rules,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [sparse, adam, _, sgd] = [0, 1, 2, 3].map(|index: usize| &report.rules[index]);
        let moved = |rows: &Rows| Measured::over(&rows.moved);
        let mut checks = vec![
            Check::new(
                "only-what-is-seen",
                "rows that sparse Adam moves in a step over the rows of the minibatch",
                Measured { mean: moved(sparse).mean / report.seen.mean, sd: 0.0, n: report.seen.n },
                Bound::Within(0.999, 1.001),
                BoundSource::Paper,
            )
            .baseline("Adam", moved(adam).mean / report.seen.mean)
            .reason_if_failed("a moment that moves a row without a gradient"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "price-of-laziness",
                    "test loss of sparse Adam less that of Adam, in nats",
                    paired(&sparse.losses, &adam.losses, |a, b| a - b),
                    Bound::AtMost(0.08), // 0.041 ± 0.001
                    BoundSource::Pilot,
                )
                .baseline("Adam", Measured::over(&adam.losses).mean)
                .reason_if_failed("moments that are out of date when a rare row comes back"),
                Check::new(
                    "better-than-sgd",
                    "test loss of SGD less that of sparse Adam, in nats",
                    paired(&sgd.losses, &sparse.losses, |a, b| a - b),
                    Bound::AtLeast(0.015), // 0.025 ± 0.001
                    BoundSource::Pilot,
                )
                .baseline("SGD", Measured::over(&sgd.losses).mean)
                .reason_if_failed("a rate at which frequent rows still converge and rare ones learn as well"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names: Vec<String> = report.rules.iter().map(|rule| rule.name.clone()).collect();
        let bars = |values: &dyn Fn(&Rows) -> Measured| {
            report.rules.iter().map(|rule| (values(rule).mean, values(rule).sd)).collect::<Vec<_>>()
        };
        vec![Figure::new(
            "moved",
            format!(
                "Adam moves rows that it has not seen for a long time; its sparse form moves those of the minibatch. Percent of \
                 the {WORDS} rows that change in a step, mean over the steps and {} seeds.",
                report.seen.n
            ),
            "Four bars. That of Adam reaches about half of the rows; those of sparse Adam, AdaGrad and SGD are of \
             equal, tiny height.",
            Plot::new(
                Axis::categories("", names),
                Axis::linear("rows that move in a step, %").range(0.0, 100.0),
            )
            .bars(
                "",
                bars(&|rule| {
                    Measured::over(&rule.moved.iter().map(|share| 100.0 * share).collect::<Vec<_>>())
                }),
            ),
        )]
    }
}
