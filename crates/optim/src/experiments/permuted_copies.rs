//! The same network in another place: what lies between two copies, and what is left of it when they are matched.
use dfdx::prelude::AsArray;
use kernels::{Activation, Tanh};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::DMatrix;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::digit_nets::{Digits, Net, Plan, accuracy, cross_entropy, he_net, train_plainly};
use super::pooled::{PIXELS, Parts, paired};
use super::{at_least_one, at_least_two};
use crate::landscape::symmetry::{flip_unit, log10_copies, permute_units};

/// A network, a permuted copy of it, and another network.
#[derive(Debug)]
pub struct PermutedCopies;

/// What may vary in [`PermutedCopies`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct PermutedCopiesConfig {
    /// Pairs of networks, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Hidden units
    #[arg(long)]
    pub width: usize,
    /// Images to learn from
    #[arg(long)]
    pub images: usize,
}

impl Default for PermutedCopiesConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 20, width: 64, images: 2000 }
    }
}

impl ExperimentConfig for PermutedCopiesConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 5, width: 16, images: 500 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_two("width", self.width)?;
        if !(50..=6000).contains(&self.images) {
            let value = self.images.to_string();
            return Err(lab::Error::Config { field: "images", rule: "50 to 6000", value });
        }
        Ok(self)
    }
}

/// What [`PermutedCopies`] measured; barriers are in nats of the training loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PermutedCopiesReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Logarithm to base 10 of the number of copies of each network.
    pub log10_copies: f64,
    /// Largest difference of the losses of a network and its copy.
    pub difference: f64,
    /// Percent of the test images that the networks read, over seeds.
    pub accuracy: Measured,
    /// Places on the line, from 0 to 1.
    pub places: Vec<f64>,
    /// Loss from a network to its copy, by seed.
    pub to_copy: Vec<Vec<f64>>,
    /// The same after matching.
    pub to_matched_copy: Vec<Vec<f64>>,
    /// Loss from a network to another, by seed.
    pub to_other: Vec<Vec<f64>>,
    /// The same after matching.
    pub to_matched_other: Vec<Vec<f64>>,
    /// As text.
    pub table: Table,
}

/// Images to judge by.
const TEST: usize = 3000;
/// Parts of a line.
const PARTS: usize = 20;
const PLAN: Plan = Plan { epochs: 0, batch: 50, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0 };

fn trained(
    config: &PermutedCopiesConfig,
    train: &Digits,
    seed: Seed,
    which: &str,
) -> Result<Net, lab::Error> {
    let key = seed.key(which);
    let mut net = he_net(&[PIXELS, config.width, 10], Tanh.kind(), key.fold(0))?;
    train_plainly(&mut net, train, Plan { epochs: config.epochs, ..PLAN }, key.fold(1))?;
    Ok(net)
}

fn loss(net: &Net, set: &Digits) -> Result<f64, lab::Error> {
    Ok(f64::from(cross_entropy(net, set, &(0..set.len()).collect::<Vec<_>>())?.array()))
}

/// Losses on the line from `a` to `b`.
fn line(a: &Net, b: &Net, set: &Digits) -> Result<Vec<f64>, lab::Error> {
    let between = |share: f32| {
        let mut net = a.clone();
        let mix = |a: Vec<f32>, b: Vec<f32>| {
            a.iter().zip(&b).map(|(a, b)| a + share * (b - a)).collect::<Vec<f32>>()
        };
        for (layer, (a, b)) in net.layers.iter_mut().zip(a.layers.iter().zip(&b.layers)) {
            layer.weight.copy_from(&mix(a.weight.as_vec(), b.weight.as_vec()));
            layer.bias.copy_from(&mix(a.bias.as_vec(), b.bias.as_vec()));
        }
        loss(&net, set)
    };
    (0..=PARTS).map(|part| between(part as f32 / PARTS as f32)).collect()
}

/// How far the loss rises on the way above the straight line between its ends.
fn barrier(losses: &[f64]) -> f64 {
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    let above = |(i, loss): (usize, &f64)| {
        let share = i as f64 / (losses.len() - 1) as f64;
        loss - (first + share * (last - first))
    };
    losses.iter().enumerate().map(above).fold(0.0, f64::max)
}

/// Weights that enter and leave each hidden unit, one row per unit.
fn around(net: &Net) -> DMatrix<f64> {
    let [first, second] = &net.matrices()[..] else { return DMatrix::zeros(0, 0) };
    let biases = net.layers[0].bias.as_vec();
    DMatrix::from_fn(first.nrows(), first.ncols() + 1 + second.nrows(), |unit, j| {
        match (j.checked_sub(first.ncols()), j.checked_sub(first.ncols() + 1)) {
            (None, _) => first[(unit, j)],
            (_, None) => f64::from(biases[unit]),
            (_, Some(k)) => second[(k, unit)],
        }
    })
}

// ANCHOR: matched
/// `net` with its hidden units in the places, and with the signs, of those of `like` that they resemble most; greedily, the
/// pair with the largest inner product first.
fn matched(net: &Net, like: &Net) -> Result<Net, crate::Error> {
    let products = around(like) * around(net).transpose();
    let units = products.nrows();
    let mut pairs: Vec<(usize, usize)> = (0..units * units).map(|p| (p / units, p % units)).collect();
    pairs.sort_by(|&a, &b| products[b].abs().total_cmp(&products[a].abs()));
    let (mut order, mut is_used) = (vec![usize::MAX; units], vec![false; units]);
    for (place, unit) in pairs {
        if order[place] == usize::MAX && !is_used[unit] {
            (order[place], is_used[unit]) = (unit, true);
        }
    }
    let mut moved = net.clone();
    permute_units(&mut moved, 0, &order)?;
    for (place, &unit) in order.iter().enumerate() {
        if products[(place, unit)] < 0.0 {
            flip_unit(&mut moved, 0, place)?;
        }
    }
    Ok(moved)
}
// ANCHOR_END: matched

impl Experiment for PermutedCopies {
    type Config = PermutedCopiesConfig;
    type Report = PermutedCopiesReport;
    const ABOUT: About = About {
        name: "permuted-copies",
        lecture: 8,
        paper: "Goodfellow et al. (2016), section 8.2.2; Entezari et al. (2022), The role of permutation invariance in linear mode \
                connectivity of neural networks",
        claim: "Between a network and a copy with permuted and reflected hidden units, equal to the last digits, the loss rises \
                by more than an eighth of a nat; matching the units removes that, and two thirds of the barrier to another network",
        sources: &[
            include_str!("permuted_copies.rs"),
            include_str!("pooled.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../landscape/symmetry.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let parts = Parts::new(7, config.images, 1, TEST)?;
        let seeds = lab.seeds(config.seeds);
        let (mut difference, mut accuracies) = (0.0_f64, Vec::new());
        let mut lines: [Vec<Vec<f64>>; 4] = Default::default();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("pairs", done as u64, seeds.len() as u64, None)?;
            let net = trained(config, &parts.train, seed, "one")?;
            let other = trained(config, &parts.train, seed, "another")?;
            let mut copy = net.clone();
            permute_units(&mut copy, 0, &seed.key("places").permutation(config.width))
                .map_err(lab::Error::unit)?;
            let mut rng = seed.key("signs").rng();
            for unit in 0..config.width {
                if rng.gen_bool(0.5) {
                    flip_unit(&mut copy, 0, unit).map_err(lab::Error::unit)?;
                }
            }
            difference = difference.max((loss(&net, &parts.train)? - loss(&copy, &parts.train)?).abs());
            accuracies.push(accuracy(&net, &parts.test)?);
            let matched = |of: &Net| matched(of, &net).map_err(lab::Error::unit);
            let ends = [copy.clone(), matched(&copy)?, other.clone(), matched(&other)?];
            for (losses, end) in lines.iter_mut().zip(&ends) {
                losses.push(line(&net, end, &parts.train)?);
            }
        }
        lab.progress("pairs", seeds.len() as u64, seeds.len() as u64, None)?;
        let mut table = Table::new(["from a network to", "barrier (nats)"]);
        let names = ["its copy", "its copy, matched", "another network", "another network, matched"];
        for (name, losses) in names.iter().zip(&lines) {
            let barriers = Measured::over(&losses.iter().map(|losses| barrier(losses)).collect::<Vec<_>>());
            table.row([name.to_string(), format!("{:.3} ± {:.3}", barriers.mean, barriers.sd)]);
        }
        let [to_copy, to_matched_copy, to_other, to_matched_other] = lines;
        Ok(PermutedCopiesReport {
            is_full: config.epochs >= 20 && config.width >= 64 && config.images >= 2000,
            log10_copies: log10_copies(&[config.width], Tanh.kind()),
            difference,
            accuracy: Measured::over(&accuracies),
            places: (0..=PARTS).map(|part| part as f64 / PARTS as f64).collect(),
            to_copy,
            to_matched_copy,
            to_other,
            to_matched_other,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let barriers = |lines: &[Vec<f64>]| lines.iter().map(|losses| barrier(losses)).collect::<Vec<f64>>();
        let (copy, matched) = (barriers(&report.to_copy), barriers(&report.to_matched_copy));
        let (other, met) = (barriers(&report.to_other), barriers(&report.to_matched_other));
        let mut checks = vec![
            Check::new(
                "a-copy-is-the-same",
                "largest difference of the losses of a network and its permuted and reflected copy, in nats",
                Measured::exact(report.difference),
                Bound::AtMost(1e-5), // sums of another order, in single precision
                BoundSource::Paper,
            )
            .reason_if_failed("a bias that was left where it was"),
            Check::new(
                "matching-finds-the-copy",
                "barrier between a network and its copy after matching, in nats",
                Measured::over(&matched),
                Bound::AtMost(1e-5),
                BoundSource::Paper,
            )
            .baseline("before", Measured::over(&copy).mean)
            .reason_if_failed("two units that are alike"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "copies-are-far-apart",
                    "barrier between a network and its copy, in nats",
                    Measured::over(&copy),
                    Bound::AtLeast(0.125), // 0.30 ± 0.05
                    BoundSource::Pilot,
                )
                .baseline("after matching", Measured::over(&matched).mean)
                .reason_if_failed("a network so wide that the mean of two is one"),
                Check::new(
                    "another-network",
                    "barrier between two networks after matching, as a share of that before",
                    paired(&met, &other, |a, b| a / b),
                    Bound::AtMost(0.33), // 0.14 ± 0.06
                    BoundSource::Pilot,
                )
                .baseline("before, nats", Measured::over(&other).mean)
                .reason_if_failed("units for which the other network has no partner"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let curve = |name: &str, lines: &[Vec<f64>]| Line::over_seeds(name, &report.places, lines);
        vec![Figure::new(
            "barriers",
            format!(
                "What lies between two networks is mostly a question of which unit stands where. Training loss on the straight \
                 line from a network to its permuted copy and to another network, before and after the hidden units are \
                 matched; mean and one standard deviation of {} pairs.",
                report.accuracy.n
            ),
            "Four curves over the line from 0 to 1. Two rise to a hump in the middle; that of the matched copy is level, and that \
             of the matched other network has a low hump.",
            Plot::new(
                Axis::linear("place between the networks").range(0.0, 1.0),
                Axis::linear("training loss (nats)"),
            )
            .line(curve("copy", &report.to_copy))
            .line(curve("other", &report.to_other))
            .line(curve("other, matched", &report.to_matched_other))
            .line(curve("copy, matched", &report.to_matched_copy)),
        )]
    }
}
