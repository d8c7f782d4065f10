//! Do rectified filters come in opposite pairs, and does a layer that keeps both halves need half of the filters?

use datasets::{Images, Split, fashion};
use dfdx::nn::TensorCollection;
use dfdx::prelude::{Backward, Const, Cpu, DeviceBuildExt, Module, NoneTape, OwnedTape, Tensor, Trace};
use kernels::cross_entropy_mean;
use kernels::random::Key;
use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Seed, Table};
use layers::Step;
use layers::init::{self, Fan, Init, gain};
use layers::params::{self, Parameter};
use layers::prelude::{Conv2D, Flatten, Linear, MaxPool2D, Relu};
use serde::{Deserialize, Serialize};

use super::digit_nets::percent_equal;
use super::{at_least_one, at_least_two};
use crate::architecture::crelu::CRelu;
use crate::optimizers::{Momentum, Sgd, SgdConfig};

/// Three convolutional networks on clothes: many filters, half of them, and half of them with both signs.
#[derive(Debug)]
pub struct RectifiedPairs;

/// What may vary in [`RectifiedPairs`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct RectifiedPairsConfig {
    /// Runs of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with, at most 1000
    #[arg(long)]
    pub train_images: usize,
}

impl Default for RectifiedPairsConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 10, train_images: 1000 }
    }
}

impl ExperimentConfig for RectifiedPairsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, train_images: 200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        if self.train_images > 1000 {
            let value = self.train_images.to_string();
            return Err(lab::Error::Config { field: "train_images", rule: "at most 1000", value });
        }
        Ok(self)
    }
}

/// What [`RectifiedPairs`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RectifiedPairsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// The networks: many filters, half of them, half of them with both halves of the rectifier.
    pub networks: Vec<RectifiedNet>,
    /// Mean cosine to the most opposite filter, the network with many filters: at the start less after training, by seed.
    pub pairing: Measured,
    /// The same of the filters whose negatives are kept.
    pub pairing_kept: Measured,
    /// Test accuracy with half of the filters and both halves less that with all filters, in points, by seed.
    pub gain_over_many: Measured,
    /// The same less that with half of the filters.
    pub gain_over_half: Measured,
    /// Both as a table.
    pub table: Table,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RectifiedNet {
    /// First layer and its activation.
    pub name: String,
    /// Weights and biases of the first layer.
    pub first_layer: usize,
    /// Of all layers.
    pub parameters: usize,
    /// Percent of the test images that are read right, over seeds.
    pub accuracy: Measured,
    /// Cosine of a filter and the most opposite one, mean over the filters before training, over seeds.
    pub before: Measured,
    /// The same after training.
    pub after: Measured,
}

const BATCH: usize = 50;

// ANCHOR: nets
type Rest<const C: usize> =
    (MaxPool2D<2, 2>, (Conv2D<C, 16, 3>, Relu), MaxPool2D<2, 2>, Flatten, Linear<400, 10>);
type Many = ((Conv2D<1, 16, 5>, Relu), Rest<16>);
type Half = ((Conv2D<1, 8, 5>, Relu), Rest<8>);
/// Eight filters and sixteen maps: what follows is as large as in the first network.
type Kept = ((Conv2D<1, 8, 5>, CRelu), Rest<16>);
// ANCHOR_END: nets

type Pictures<T> = Tensor<(usize, Const<1>, Const<28>, Const<28>), f32, Cpu, T>;
type Votes<T> = Tensor<(usize, Const<10>), f32, Cpu, T>;
type Tape = OwnedTape<f32, Cpu>;

/// What these runs ask of a network.
trait Reader:
    TensorCollection<f32, Cpu>
    + Module<Pictures<Tape>, Output = Votes<Tape>>
    + Module<Pictures<NoneTape>, Output = Votes<NoneTape>>
{
}
impl<M> Reader for M where
    M: TensorCollection<f32, Cpu>
        + Module<Pictures<Tape>, Output = Votes<Tape>>
        + Module<Pictures<NoneTape>, Output = Votes<NoneTape>>
{
}

/// One run.
struct Run {
    accuracy: f64,
    before: f64,
    after: f64,
    first_layer: usize,
    parameters: usize,
}

impl Experiment for RectifiedPairs {
    type Config = RectifiedPairsConfig;
    type Report = RectifiedPairsReport;
    const ABOUT: About = About {
        name: "rectified-pairs",
        lecture: 5,
        paper: "Shang, Sohn, Almeida & Lee (2016), Understanding and improving convolutional neural networks via concatenated \
                rectified linear units",
        claim: "On average over seeds the filters of a rectified first layer are no less opposite after training than at the \
                start, and half as many filters whose negatives are kept read as many images",
        sources: &[include_str!("rectified_pairs.rs"), include_str!("../architecture/crelu.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let Split { train, test, .. } = fashion();
        let train = train.select(0..config.train_images);
        let seeds = lab.seeds(config.seeds);
        let mut runs: [Vec<Run>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("seeds", done as u64, seeds.len() as u64, None)?;
            let dev = Cpu::seed_from_u64(seed.value());
            runs[0].push(trained(dev.build_module::<Many, f32>(), config.epochs, &train, &test, seed)?);
            runs[1].push(trained(dev.build_module::<Half, f32>(), config.epochs, &train, &test, seed)?);
            runs[2].push(trained(dev.build_module::<Kept, f32>(), config.epochs, &train, &test, seed)?);
        }
        let names = ["16 filters, ReLU", "8 filters, ReLU", "8 filters, both halves"];
        let over = |runs: &[Run], value: fn(&Run) -> f64| {
            Measured::over(&runs.iter().map(value).collect::<Vec<_>>())
        };
        let networks: Vec<RectifiedNet> = names
            .into_iter()
            .zip(&runs)
            .map(|(name, runs)| RectifiedNet {
                name: name.to_owned(),
                first_layer: runs[0].first_layer,
                parameters: runs[0].parameters,
                accuracy: over(runs, |run| run.accuracy),
                before: over(runs, |run| run.before),
                after: over(runs, |run| run.after),
            })
            .collect();
        let gain = |than: usize| {
            let pairs = runs[2].iter().zip(&runs[than]);
            Measured::over(&pairs.map(|(kept, other)| kept.accuracy - other.accuracy).collect::<Vec<_>>())
        };
        let mut table = Table::new([
            "first layer",
            "its parameters",
            "all parameters",
            "test accuracy, %",
            "cosine to the most opposite filter, start",
            "after training",
        ]);
        for network in &networks {
            table.row([
                network.name.clone(),
                network.first_layer.to_string(),
                network.parameters.to_string(),
                network.accuracy.to_string(),
                network.before.to_string(),
                network.after.to_string(),
            ]);
        }
        Ok(RectifiedPairsReport {
            is_full: config.epochs >= 10 && config.train_images >= 1000,
            pairing: over(&runs[0], |run| run.before - run.after),
            pairing_kept: over(&runs[2], |run| run.before - run.after),
            gain_over_many: gain(0),
            gain_over_half: gain(1),
            networks,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        if !report.is_full {
            return Vec::new();
        }
        let [many, half, _] = &report.networks[..] else { return Vec::new() };
        vec![
            Check::new(
                "filters-pair-up",
                "cosine of a rectified filter and the most opposite one: at the start less after training",
                report.pairing,
                Bound::AtLeast(0.0), // the paper's first layers have opposites that random filters have not
                BoundSource::Paper,
            )
            .baseline("the same of filters whose negatives are kept", report.pairing_kept.mean)
            .reason_if_failed("few steps: filters that stay near their random start"),
            Check::new(
                "half-the-filters-suffice",
                "test accuracy with half of the filters and both halves less that with all filters, in points",
                report.gain_over_many,
                Bound::AtLeast(0.0), // the paper's networks with half of the filters err less than the whole ones
                BoundSource::Paper,
            )
            .baseline("all filters, %", many.accuracy.mean)
            .reason_if_failed("the filters of this layer have few opposites, so little is thrown away"),
            Check::new(
                "both-halves-help",
                "test accuracy with half of the filters: with both halves less with one, in points",
                report.gain_over_half,
                Bound::AtLeast(0.0),
                BoundSource::Paper,
            )
            .baseline("one half, %", half.accuracy.mean)
            .reason_if_failed("eight maps are enough for these images"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = report.networks.iter().map(|network| network.name.clone());
        let before = report.networks.iter().map(|network| (-network.before.mean, network.before.sd));
        let after = report.networks.iter().map(|network| (-network.after.mean, network.after.sd));
        vec![Figure::new(
            "opposites",
            format!(
                "Training hardly changes how opposite the filters of the first layer are. The cosine of a filter and \
                 the negative of the most opposite one, mean over the filters; mean and one standard deviation of {} seeds.",
                report.networks[0].accuracy.n
            ),
            "Horizontal bars in three groups, one for each network: sixteen rectified filters, eight, and eight whose negatives \
             are kept. The two bars of a group, before and after training, differ by less than the longer of their whiskers.",
            Plot::new(
                Axis::linear("cosine to the negative of the most opposite filter"),
                Axis::categories("", names),
            )
            .bars("start", before)
            .bars("trained", after),
        )]
    }
}

fn trained<M: Reader>(
    mut model: M,
    epochs: usize,
    train: &Images<1, 28, 28>,
    test: &Images<1, 28, 28>,
    seed: Seed,
) -> Result<Run, lab::Error> {
    let dev = Cpu::default();
    let he = |p: &Parameter| match p.ndim() {
        1 => Init::Constant(0.0),
        _ => Init::he_normal(p, Fan::In, gain::RELU),
    };
    init::draw(&mut model, he, seed.key("weights")).map_err(lab::Error::unit)?;
    let before = opposite(&filters(&model));
    let rule = SgdConfig { learning_rate: 0.02, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
    let mut sgd = Sgd::try_new(&model, rule).map_err(lab::Error::unit)?;
    let order: Key = seed.key("order");
    for epoch in 1..=epochs {
        for rows in order.fold(epoch as u64).permutation(train.len()).chunks(BATCH) {
            let x: Pictures<NoneTape> = train.batch(rows, &dev);
            let loss = cross_entropy_mean(model.forward(x.leaky_trace()), &train.batch_labels(rows));
            sgd.step(&mut model, &mut loss.backward())?;
        }
    }
    let mut read = Vec::new();
    for rows in (0..test.len()).collect::<Vec<_>>().chunks(100) {
        let x: Pictures<NoneTape> = test.batch(rows, &dev);
        let votes: Votes<NoneTape> = model.forward(x);
        let largest = |row: &[f32]| (0..10).fold(0, |best, c| if row[c] > row[best] { c } else { best });
        read.extend(votes.as_vec().chunks(10).map(largest));
    }
    let mut first_layer = 0;
    params::visit(&model, |p, values: &[f32]| {
        if p.name.starts_with("0.0.") {
            first_layer += values.len();
        }
    });
    Ok(Run {
        accuracy: percent_equal(&read, &test.labels()),
        before,
        after: opposite(&filters(&model)),
        first_layer,
        parameters: params::count(&model),
    })
}

/// The filters of the first convolution, each flattened.
fn filters<M: TensorCollection<f32, Cpu>>(model: &M) -> Vec<Vec<f64>> {
    let mut filters: Vec<Vec<f64>> = Vec::new();
    params::visit(model, |p, values: &[f32]| {
        if filters.is_empty() && p.ndim() == 4 {
            let taps = values.len() / p.shape[0];
            filters =
                values.chunks(taps).map(|filter| filter.iter().map(|&w| f64::from(w)).collect()).collect();
        }
    });
    filters
}

// ANCHOR: opposite
/// Cosine of each filter and the one that is most opposite to it, mean over the filters.
fn opposite(filters: &[Vec<f64>]) -> f64 {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |a: &[f64], b: &[f64]| product(a, b) / (product(a, a) * product(b, b)).sqrt();
    let most_opposite = |i: usize| {
        let others = (0..filters.len()).filter(|&j| j != i);
        others.map(|j| cosine(&filters[i], &filters[j])).fold(1.0, f64::min)
    };
    (0..filters.len()).map(most_opposite).sum::<f64>() / filters.len() as f64
}
// ANCHOR_END: opposite

#[cfg(test)]
mod tests {
    use super::opposite;

    #[test]
    fn opposites_have_cosine_minus_one_and_right_angles_zero() {
        let filters = |list: &[[f64; 2]]| list.iter().map(|f| f.to_vec()).collect::<Vec<_>>();
        assert_eq!(opposite(&filters(&[[3.0, 0.0], [-1.0, 0.0]])), -1.0);
        assert_eq!(opposite(&filters(&[[1.0, 0.0], [0.0, 2.0]])), 0.0);
        // The third has no opposite: the mean of -1, -1 and 0.
        let mean = opposite(&filters(&[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]));
        assert!((mean + 2.0 / 3.0).abs() < 1e-15, "{mean}");
    }
}
