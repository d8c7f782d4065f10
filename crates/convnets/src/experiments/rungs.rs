//! Nielsen's ladder on digits: what each of his steps adds, with a fiftieth of his digits.

use super::at_least;
use super::clothes::{Batch, Reader, Standard, cycle, device, reader};
use crate::lenet::{NielsenDense, NielsenDropout, NielsenOne, NielsenTwo};
use datasets::Batches;
use datasets::baseline::{Baseline, NearestNeighbours};
use dfdx::prelude::{Const, Cpu, DeviceBuildExt, Gradients, Trace, ZerosTensor};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
    Trainer,
};
use layers::builders::{Conv2D, Linear, Relu};
use layers::dropout::reseed;
use layers::{Adam, AdamConfig, Plan, Planned, params};
use serde::{Deserialize, Serialize};

/// From one dense layer to two convolutions with dropout on moved digits.
#[derive(Debug)]
pub struct NielsenLadder;

/// What may vary in [`NielsenLadder`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct NielsenLadderConfig {
    /// Trainings of each step, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training digits; a fifth of it over the moved ones, which are five times as many
    #[arg(long)]
    pub epochs: usize,
    /// Training digits, from the first
    #[arg(long)]
    pub images: usize,
    /// Test digits
    #[arg(long)]
    pub test_images: usize,
}

impl Default for NielsenLadderConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 10, images: 1000, test_images: 2000 }
    }
}

impl ExperimentConfig for NielsenLadderConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, images: 10, test_images: 10 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs, 1)?;
        at_least("images", self.images, 1)?;
        at_least("test_images", self.test_images, 1)?;
        Ok(self)
    }
}

/// What [`NielsenLadder`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NielsenLadderReport {
    /// Whether images and epochs are enough for claims about accuracies.
    pub is_full: bool,
    /// Test accuracy of the five nearest training digits.
    pub neighbours: f64,
    /// Dense, one convolution, two, rectifiers, moved digits, dropout.
    pub rungs: Vec<Rung>,
    /// The same as text.
    pub table: Table,
}

/// One step of the ladder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rung {
    /// What is new.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Nielsen's accuracy on 10,000 test digits after 60 passes over 50,000 or 250,000 digits.
    pub nielsen: f64,
    /// Test accuracy of each seed.
    pub accuracies: Vec<f64>,
    /// Their mean.
    pub accuracy: f64,
}

reader!(NielsenDense, Const::<28>, [0 1 2]);
reader!(NielsenOne, Const::<28>, [0 1 2 3 4]);
reader!(NielsenTwo, Const::<28>, [0 1 2]);
reader!(NielsenTwo<Relu>, Const::<28>, [0 1 2]);
reader!(NielsenDropout, Const::<28>, [0 1 2]);

/// As it is, and by one pixel up, down, left and right.
const MOVES: [(i64, i64); 5] = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)];

/// Row `i` of the digits and their moved copies: all as they are come first, then all moved up, and so on.
fn batch(data: &Standard, rows: &[usize]) -> (Batch, Vec<usize>) {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for row in rows {
        let (digit, shift) = (row % data.images.len(), MOVES[row / data.images.len()]);
        pixels.extend(data.batch(&[digit], shift).as_vec());
        labels.push(data.images.label(digit));
    }
    let mut x = Cpu::default().zeros_like(&(rows.len(), Const, 28, 28));
    x.copy_from(&pixels);
    (x, labels)
}

/// The name, Nielsen's accuracy, and how many of [`MOVES`] are trained on.
type Step = (&'static str, f64, usize);

fn rung<N: Reader>(
    (name, nielsen, copies): Step,
    config: &NielsenLadderConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Rung, lab::Error> {
    const BATCH: usize = 50;
    const LARGEST_RATE: f64 = 4e-3;
    let (mut accuracies, mut parameters) = (vec![], 0);
    for seed in lab.seeds(config.seeds) {
        let mut model = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        reseed(&mut model, seed.key("dropout")).map_err(lab::Error::unit)?;
        let mut adam = Adam::try_new(&model, AdamConfig::default())?;
        // As many steps for five times the digits.
        let epochs = config.epochs.div_ceil(copies) as u64;
        let batches = Batches::new(data[0].images.len() * copies, BATCH, seed.value());
        let cycle = cycle(LARGEST_RATE, batches.len() * epochs as usize)?;
        let mut loss = |model: &mut N::Net, rows: &Vec<usize>, _: Key, gradients: Gradients<f32, Cpu>| {
            let (x, labels) = batch(&data[0], rows);
            let logits = N::learn(model, x.traced(gradients)).map_err(device)?;
            kernels::try_cross_entropy_mean(logits, &labels).map_err(lab::Error::unit)
        };
        Trainer::new(format!("{name}, seed {seed}"), epochs, batches, seed.key("steps"))
            .schedule(cycle)
            .run(lab, &mut model, &mut adam, &mut loss)?;
        accuracies.push(data[1].accuracy::<N>(&model, (0, 0))?);
        parameters = params::count(&model);
    }
    let accuracy = Measured::over(&accuracies).mean;
    Ok(Rung { name: name.to_owned(), parameters, nielsen, accuracies, accuracy })
}

impl Experiment for NielsenLadder {
    type Config = NielsenLadderConfig;
    type Report = NielsenLadderReport;
    const ABOUT: About = About {
        name: "nielsen-ladder",
        lecture: 14,
        paper: "Nielsen (2015), Neural networks and deep learning, chapter 6",
        claim: "Each of Nielsen's steps, from a dense layer to two convolutions with rectifiers, moved digits and dropout, \
                reads more unseen digits after as many steps of training",
        sources: &[include_str!("rungs.rs"), include_str!("clothes.rs"), include_str!("../lenet.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::mnist().front_back(8000, 2000)?;
        let rows = config.images.min(split.train.len());
        let tested = config.test_images.min(split.test.len());
        let (first, test) = (split.train.select(0..rows), split.test.select(0..tested));
        let neighbours = NearestNeighbours::fit(&first, 5)?.accuracy(&test);
        let data = Standard::both(&first, &test);
        let rungs = vec![
            rung::<NielsenDense>(("dense", 0.9780, 1), config, &data, lab)?,
            rung::<NielsenOne>(("one convolution", 0.9878, 1), config, &data, lab)?,
            rung::<NielsenTwo>(("two convolutions", 0.9906, 1), config, &data, lab)?,
            rung::<NielsenTwo<Relu>>(("rectifiers", 0.9923, 1), config, &data, lab)?,
            rung::<NielsenTwo<Relu>>(("moved digits", 0.9937, MOVES.len()), config, &data, lab)?,
            rung::<NielsenDropout>(("dropout, wider", 0.9960, MOVES.len()), config, &data, lab)?,
        ];
        let mut table = Table::new(["step", "parameters", "test accuracy", "Nielsen's, 50,000 digits"]);
        table.row(["five nearest neighbours", "–", &format!("{neighbours:.4}"), "–"]);
        for rung in &rungs {
            let spread = Measured::over(&rung.accuracies).sd;
            table.row([
                rung.name.clone(),
                rung.parameters.to_string(),
                format!("{:.4} ± {spread:.4}", rung.accuracy),
                format!("{:.4}", rung.nielsen),
            ]);
        }
        let full = NielsenLadderConfig::default();
        let is_full = config.epochs >= full.epochs && rows >= full.images && tested >= full.test_images;
        Ok(NielsenLadderReport { is_full, neighbours, rungs, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [dense, one, two, rectifiers, moved, dropout] = &report.rungs[..] else { return Vec::new() };
        let parameters = |plan: Plan, input| plan.totals_of(input).params as f64;
        let (shared, dense_layer) = (<Conv2D<1, 20, 5>>::PLAN, <Linear<784, 30>>::PLAN);
        let share = parameters(shared, [1, 28, 28]) / parameters(dense_layer, [784, 1, 1]);
        let shared = Check::new(
            "one-window-for-all",
            "parameters of twenty kernels of 5 × 5 over those of a dense layer of 30; Nielsen counts 520 and 23,550",
            Measured::exact(share),
            Bound::AtMost(1.0 / 40.0),
            BoundSource::Paper,
        )
        .reason_if_failed("the layers have other widths");
        if !report.is_full {
            return vec![shared];
        }
        let gain = |a: &Rung, b: &Rung| {
            let pairs = a.accuracies.iter().zip(&b.accuracies);
            Measured::over(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
        };
        let step = |id, claim, a: &Rung, b: &Rung, reason: &'static str| {
            Check::new(id, claim, gain(a, b), Bound::AtLeast(0.0), BoundSource::Paper)
                .baseline(b.name.clone(), b.accuracy)
                .reason_if_failed(reason)
        };
        vec![
            shared,
            step(
                "one-convolution",
                "accuracy with one convolution minus that of the dense network, same seeds",
                one,
                dense,
                "few steps: the dense layer behind the maps has 288,100 weights to learn",
            ),
            step(
                "two-convolutions",
                "accuracy with two convolutions minus that with one",
                two,
                one,
                "sigmoids: the second layer of kernels hardly learns in few steps",
            ),
            step(
                "rectifiers",
                "accuracy with rectifiers minus that with sigmoids",
                rectifiers,
                two,
                "the steps are enough for sigmoids too",
            ),
            step(
                "moved-digits",
                "accuracy with moved copies minus that without, in as many steps",
                moved,
                rectifiers,
                "each digit is seen a fifth as often",
            ),
            step(
                "dropout",
                "accuracy with two layers of 1,000 and dropout minus that with one of 100",
                dropout,
                moved,
                "dropout needs more steps than these",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names: Vec<String> = report.rungs.iter().map(|rung| rung.name.clone()).collect();
        let dots = report.rungs.iter().enumerate();
        let dots = dots.flat_map(|(i, rung)| rung.accuracies.iter().map(move |a| (i as f64, *a)));
        vec![Figure::new(
            "accuracy",
            "Nielsen's ladder, with a fiftieth of his digits. One dot per training: a dense layer of 100, one convolution, \
             two, rectifiers in place of sigmoids, training digits moved by a pixel as well, and two layers of 1,000 with \
             dropout.",
            "Six columns of dots, one column for each step of the ladder and one dot for each of its trainings, at the \
             height of the share of test digits that it reads.",
            Plot::new(Axis::categories("what is new", names), Axis::linear("test accuracy"))
                .scatter("trainings", dots.collect::<Vec<_>>()),
        )]
    }
}
