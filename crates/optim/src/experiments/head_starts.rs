//! What comes first: easy images before hard ones, and few layers before many; on digits neither helps.

use dfdx::prelude::{Backward, Module};
use kernels::ActivationKind;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use layers::Step;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Net, Plan, accuracy, cross_entropy, he_net, train_plainly};
use super::{Data, at_least_one, at_least_two};
use crate::chain::ChainSgd;

/// Orders of the images and of the layers.
#[derive(Debug)]
pub struct HeadStarts;

/// What may vary in [`HeadStarts`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct HeadStartsConfig {
    /// Runs of each order, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with, at least 50
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for HeadStartsConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 4, train_images: 4000, test_images: 4000 }
    }
}

impl ExperimentConfig for HeadStartsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 2, train_images: 400, test_images: 400 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("test_images", self.test_images)?;
        if self.train_images < BATCH {
            let value = self.train_images.to_string();
            return Err(lab::Error::Config { field: "train_images", rule: "at least 50", value });
        }
        Ok(self)
    }
}

/// What [`HeadStarts`] measured; accuracies are percent of the test images that are read, over seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeadStartsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Names of the orders of the images: shuffled, easy first, hard first.
    pub orders: Vec<String>,
    /// Accuracy after a quarter of the steps, by order.
    pub early: Vec<Measured>,
    /// At the end.
    pub late: Vec<Measured>,
    /// After a quarter of the steps: easy first less shuffled, in points, seed by seed.
    pub early_gain: Measured,
    /// At the end: easy first less shuffled, in points, seed by seed.
    pub easy_gain: Measured,
    /// At the end: hard first less shuffled.
    pub hard_gain: Measured,
    /// Hidden layers of the deep network.
    pub depth: usize,
    /// Accuracy of the deep network trained at once.
    pub at_once: Measured,
    /// Layer after layer, in as many steps.
    pub greedy: Measured,
    /// Layer after layer less at once, in points, seed by seed.
    pub greedy_gain: Measured,
    /// Orders of images as text.
    pub table: Table,
}

const BATCH: usize = 50;
const WIDTH: usize = 48;
const DEPTH: usize = 16;
/// Share of the images that the first steps may draw from, in the orders that are not shuffled.
const FIRST: f64 = 0.2;
const ORDERS: [&str; 3] = ["shuffled", "easy first", "hard first"];

impl Experiment for HeadStarts {
    type Config = HeadStartsConfig;
    type Report = HeadStartsReport;
    const ABOUT: About = About {
        name: "head-starts",
        lecture: 8,
        paper: "Bengio, Louradour, Collobert & Weston (2009), Curriculum learning; Bengio, Lamblin, Popovici & Larochelle \
                (2007), Greedy layer-wise training of deep networks",
        claim: "On digits neither head start helps: with easy digits first a network reads fewer digits, and sixteen plain \
                layers trained one after the other read fewer than at once in as many steps",
        sources: &[
            include_str!("head_starts.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (training, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let (mut early, mut late) = (vec![Vec::new(); ORDERS.len()], vec![Vec::new(); ORDERS.len()]);
        let (mut at_once, mut greedy) = (Vec::new(), Vec::new());
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("seeds", done as u64, seeds.len() as u64, None)?;
            let easiest = by_margin(&training, seed)?;
            for order in 0..ORDERS.len() {
                let [quarter, end] = ordered(config, &training, &test, &easiest, order, seed)?;
                early[order].push(quarter);
                late[order].push(end);
            }
            at_once.push(deep(config, &training, &test, false, seed)?);
            greedy.push(deep(config, &training, &test, true, seed)?);
        }
        let less =
            |a: &[f64], b: &[f64]| Measured::over(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>());
        let over = |runs: &[Vec<f64>]| runs.iter().map(|run| Measured::over(run)).collect::<Vec<_>>();
        let mut table = Table::new(["order", "after a quarter of the steps, %", "at the end, %"]);
        for (order, name) in ORDERS.iter().enumerate() {
            let [a, b] = [&early, &late].map(|runs| Measured::over(&runs[order]).to_string());
            table.row([(*name).to_owned(), a, b]);
        }
        Ok(HeadStartsReport {
            is_full: config.epochs >= 4 && config.train_images >= 4000,
            orders: ORDERS.map(str::to_owned).to_vec(),
            early_gain: less(&early[1], &early[0]),
            easy_gain: less(&late[1], &late[0]),
            hard_gain: less(&late[2], &late[0]),
            depth: DEPTH,
            greedy_gain: less(&greedy, &at_once),
            at_once: Measured::over(&at_once),
            greedy: Measured::over(&greedy),
            early: over(&early),
            late: over(&late),
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        // Pilot on seeds 100 to 104: easy first less shuffled −7.0 points after a quarter of the steps and −1.1 ± 0.5 at the
        // end, layer after layer less at once −26 ± 11 points; the quick version, seeds 100 and 200: −4.1 ± 0.9 and
        // −4.8 ± 0.4 at the end.
        let mut checks = vec![
            Check::new(
                "easy-first-gains-nothing",
                "test accuracy at the end: easy first less shuffled, in points",
                report.easy_gain,
                Bound::AtMost(0.5),
                BoundSource::Pilot,
            )
            .baseline("hard first less shuffled", report.hard_gain.mean)
            .reason_if_failed("data with more mislabelled or ambiguous images"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "easy-first-is-behind-early",
                    "test accuracy after a quarter of the steps: easy first less shuffled, in points",
                    report.early_gain,
                    Bound::AtMost(-3.0),
                    BoundSource::Pilot,
                )
                .baseline("at the end", report.easy_gain.mean)
                .reason_if_failed("a fifth of the images that holds all there is to learn"),
                Check::new(
                    "layer-after-layer-gains-nothing",
                    "test accuracy of 16 plain layers: layer after layer less at once, in points",
                    report.greedy_gain,
                    Bound::AtMost(0.0),
                    BoundSource::Pilot,
                )
                .baseline("at once, %", report.at_once.mean)
                .reason_if_failed("more steps for each layer"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let bars = |values: &[Measured]| values.iter().map(|m| (m.mean, m.sd)).collect::<Vec<_>>();
        vec![Figure::new(
            "orders",
            "Easy digits first cost accuracy, most of it early. Test accuracy, mean and \
             one standard deviation over seeds; in the ordered runs the steps draw from a fifth of the digits at first and \
             from all of them after half of the steps.",
            "Three pairs of bars, shuffled, easy first and hard first. The first bar of easy first is clearly the lowest; the \
             second bars are nearly equal.",
            Plot::new(
                Axis::categories("", report.orders.iter().cloned()),
                Axis::linear("test accuracy, %").range(0.0, 100.0),
            )
            .bars("after a quarter", bars(&report.early))
            .bars("at the end", bars(&report.late)),
        )]
    }
}

/// The images from the largest to the smallest margin of a linear classifier: its vote for the label less the largest
/// other vote.
fn by_margin(set: &Digits, seed: lab::Seed) -> Result<Vec<usize>, lab::Error> {
    let mut linear = he_net(&[set.features, CLASSES], ActivationKind::Relu, seed.key("teacher"))?;
    let plan = Plan { epochs: 3, batch: BATCH, learning_rate: 0.1, momentum: 0.0, weight_decay: 0.0 };
    train_plainly(&mut linear, set, plan, seed.key("teacher order"))?;
    let votes = linear.forward(set.whole()).as_vec();
    let margin = |i: usize| {
        let row = &votes[i * CLASSES..(i + 1) * CLASSES];
        let others = (0..CLASSES).filter(|&class| class != set.labels[i]).map(|class| row[class]);
        row[set.labels[i]] - others.fold(f32::NEG_INFINITY, f32::max)
    };
    let margins: Vec<f32> = (0..set.len()).map(margin).collect();
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by(|&a, &b| margins[b].total_cmp(&margins[a]));
    Ok(order)
}

// ANCHOR: curriculum
/// Test accuracy after a quarter of the steps and at the end. The share of `ranked` that a step draws from grows from
/// [`FIRST`] to everything in the first half of the steps; shuffled images are all there from the start.
fn ordered(
    config: &HeadStartsConfig,
    set: &Digits,
    test: &Digits,
    easiest: &[usize],
    order: usize,
    seed: lab::Seed,
) -> Result<[f64; 2], lab::Error> {
    let mut ranked = easiest.to_vec();
    if order == 2 {
        ranked.reverse();
    }
    let mut net = he_net(&[set.features, 64, CLASSES], ActivationKind::Relu, seed.key("weights"))?;
    let mut sgd = optimizer(&net)?;
    let steps = config.epochs * set.len() / BATCH;
    let mut quarter = 0.0;
    for step in 0..steps {
        let time = 2.0 * step as f64 / steps as f64;
        let share = if order == 0 { 1.0 } else { (FIRST + (1.0 - FIRST) * time).min(1.0) };
        let there = ((share * set.len() as f64) as usize).max(BATCH).min(set.len());
        let rows = seed.key("order").fold(step as u64).permutation(there);
        let rows: Vec<usize> = rows[..BATCH].iter().map(|&place| ranked[place]).collect();
        let mut gradients = cross_entropy(&net, set, &rows)?.backward();
        sgd.step(&mut net, &mut gradients)?;
        if step == steps / 4 {
            quarter = accuracy(&net, test)?;
        }
    }
    Ok([quarter, accuracy(&net, test)?])
}
// ANCHOR_END: curriculum

fn optimizer(net: &Net) -> Result<ChainSgd<f32>, lab::Error> {
    Plan { epochs: 1, batch: BATCH, learning_rate: 0.02, momentum: 0.9, weight_decay: 0.0 }.optimizer(net)
}

// ANCHOR: greedy
/// Test accuracy of [`DEPTH`] hidden layers: at once, or starting with one and inserting the next below the output after
/// each sixteenth of the steps. All layers are trained all the time.
fn deep(
    config: &HeadStartsConfig,
    set: &Digits,
    test: &Digits,
    is_greedy: bool,
    seed: lab::Seed,
) -> Result<f64, lab::Error> {
    let hidden = |count: usize| [vec![set.features], vec![WIDTH; count], vec![CLASSES]].concat();
    let whole = he_net(&hidden(DEPTH), ActivationKind::Relu, seed.key("weights"))?;
    let steps = config.epochs * set.len() / BATCH;
    let run = |net: &mut Net, from: usize, to: usize| -> Result<(), lab::Error> {
        let mut sgd = optimizer(net)?;
        for step in from..to {
            let rows = seed.key("order").fold(step as u64).permutation(set.len());
            let mut gradients = cross_entropy(net, set, &rows[..BATCH])?.backward();
            sgd.step(net, &mut gradients)?;
        }
        Ok(())
    };
    let mut net = whole.clone();
    if is_greedy {
        net.layers = vec![whole.layers[0].clone(), whole.layers[DEPTH].clone()];
        for layers in 1..=DEPTH {
            run(&mut net, (layers - 1) * steps / DEPTH, layers * steps / DEPTH)?;
            if layers < DEPTH {
                net.layers.insert(layers, whole.layers[layers].clone());
            }
        }
    } else {
        run(&mut net, 0, steps)?;
    }
    accuracy(&net, test)
}
// ANCHOR_END: greedy
