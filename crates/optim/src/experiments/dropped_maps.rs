//! Dropout of whole feature maps beside dropout of single activations, between two convolutions.

use datasets::{Images, Split, mnist};
use dfdx::nn::{BuildOnDevice, TensorCollection};
use dfdx::prelude::{
    Backward, Const, Cpu, DeviceBuildExt, Module, ModuleMut, NoneTape, OwnedTape, Tensor, Trace,
};
use kernels::cross_entropy_mean;
use lab::{About, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Ramp, Raster, Seed, Table, Tile};
use layers::Step;
use layers::dropout::reseed;
use layers::init::{self, Fan, Init, gain};
use layers::modules::Identity;
use layers::params::{self, Parameter};
use layers::prelude::{Conv2D, Dropout, FeatureDropout, Flatten, Linear, MaxPool2D, Relu};
use serde::{Deserialize, Serialize};

use super::digit_nets::percent_equal;
use super::{at_least_one, at_least_two};
use crate::optimizers::{Momentum, Sgd, SgdConfig};

/// One convolutional network three times: nothing dropped, single activations, whole maps.
#[derive(Debug)]
pub struct DroppedMaps;

/// What may vary in [`DroppedMaps`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct DroppedMapsConfig {
    /// Runs of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for DroppedMapsConfig {
    fn default() -> Self {
        Self { seeds: 4, epochs: 30, train_images: 500, test_images: 2000 }
    }
}

impl ExperimentConfig for DroppedMapsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 2, train_images: 100, test_images: 200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`DroppedMaps`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DroppedMapsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Images to train with.
    pub train_images: usize,
    /// Images to test with.
    pub test_images: usize,
    /// Nothing dropped, single activations, whole maps.
    pub networks: Vec<Dropped>,
    /// Test error with single activations dropped less that with whole maps, in points, seed by seed.
    pub maps_over_activations: Measured,
    /// Correlation of two activations beside each other in a map, in the network that drops nothing, mean over maps, over
    /// seeds.
    pub neighbours: Measured,
    /// Size of the correlation of two maps at the same place, mean over pairs of maps.
    pub other_maps: Measured,
    /// Standard deviation of a vote of that network over draws of masks for single activations, over seeds.
    pub noise_of_activations: Measured,
    /// The same for whole maps.
    pub noise_of_maps: Measured,
    /// The second over the first, seed by seed.
    pub noise_ratio: Measured,
    /// The networks as a table.
    pub table: Table,
    /// The first [`SHOWN`] maps of one image, as they are, with single activations dropped, with whole maps dropped; each
    /// 12 × 12, to three decimals.
    pub pictures: Vec<Vec<f64>>,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dropped {
    /// What is dropped.
    pub name: String,
    /// Percent of the test images read wrong, over seeds.
    pub error: Measured,
    /// Test error with nothing dropped less that with this, in points, seed by seed.
    pub gain: Measured,
}

/// Maps that the figure shows.
pub const SHOWN: usize = 8;
/// Side of a map between the two convolutions.
pub const SIDE: usize = 12;
const MAPS: usize = 16;
const BATCH: usize = 50;
/// Images and draws of masks that the noise of the votes is measured with.
const NOISY: usize = 100;
const DRAWS: usize = 100;

// ANCHOR: net
/// `N` drops something, or nothing: `Identity`, `Dropout` or `FeatureDropout`, the last two with the rate 1/2.
type Net<N> = (
    (Conv2D<1, MAPS, 5>, Relu, MaxPool2D<2, 2>),
    N,
    (Conv2D<MAPS, 16, 3>, Relu, MaxPool2D<2, 2>),
    Flatten,
    Linear<400, 10>,
);
// ANCHOR_END: net
type Plain = <Net<Identity> as BuildOnDevice<Cpu, f32>>::Built;

type Pictures<T> = Tensor<(usize, Const<1>, Const<28>, Const<28>), f32, Cpu, T>;
type Votes<T> = Tensor<(usize, Const<10>), f32, Cpu, T>;
type Tape = OwnedTape<f32, Cpu>;

/// What these runs ask of a network.
trait Reader:
    TensorCollection<f32, Cpu>
    + ModuleMut<Pictures<Tape>, Output = Votes<Tape>>
    + ModuleMut<Pictures<NoneTape>, Output = Votes<NoneTape>>
    + Module<Pictures<NoneTape>, Output = Votes<NoneTape>>
{
}
impl<M> Reader for M where
    M: TensorCollection<f32, Cpu>
        + ModuleMut<Pictures<Tape>, Output = Votes<Tape>>
        + ModuleMut<Pictures<NoneTape>, Output = Votes<NoneTape>>
        + Module<Pictures<NoneTape>, Output = Votes<NoneTape>>
{
}

impl Experiment for DroppedMaps {
    type Config = DroppedMapsConfig;
    type Report = DroppedMapsReport;
    const ABOUT: About = About {
        name: "dropped-maps",
        lecture: 6,
        paper: "Tompson et al. (2015), Efficient object localization using convolutional networks",
        claim: "Neighbours in a feature map say the same, so votes hear the loss of single activations less than that of \
                whole maps",
        sources: &[include_str!("dropped_maps.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let Split { train, test, .. } = mnist().front_back(config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let names = ["nothing", "single activations, 1/2", "whole maps, 1/2"];
        let mut errors: [Vec<f64>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        let (mut neighbours, mut others) = (Vec::new(), Vec::new());
        let (mut of_activations, mut of_maps, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("seeds", done as u64, seeds.len() as u64, None)?;
            let dev = Cpu::default();
            let plain = trained(dev.build_module::<Net<Identity>, f32>(), config, &train, seed)?;
            let mut single = trained(dev.build_module::<Net<Dropout>, f32>(), config, &train, seed)?;
            let mut whole = trained(dev.build_module::<Net<FeatureDropout>, f32>(), config, &train, seed)?;
            errors[0].push(error(&plain, &test));
            errors[1].push(error(&single, &test));
            errors[2].push(error(&whole, &test));
            // Both kinds of masks on the network that has met neither.
            let weights = params::flatten(&plain);
            params::unflatten(&mut single, &weights).map_err(lab::Error::unit)?;
            params::unflatten(&mut whole, &weights).map_err(lab::Error::unit)?;
            reseed(&mut single, seed.key("votes")).map_err(lab::Error::unit)?;
            reseed(&mut whole, seed.key("votes")).map_err(lab::Error::unit)?;
            let rows: Vec<usize> = (0..test.len().min(NOISY)).collect();
            of_activations.push(noise(&mut single, &test, &rows));
            of_maps.push(noise(&mut whole, &test, &rows));
            let maps = maps(&plain, &test, &rows);
            neighbours.push(beside_each_other(&maps));
            others.push(at_the_same_place(&maps));
            if pictures.is_empty() {
                let x: Pictures<NoneTape> = test.batch(&rows[..1], &dev);
                let one = || plain.0.forward(x.clone());
                for maps in [one(), single.1.forward_mut(one()), whole.1.forward_mut(one())] {
                    let shown = maps.as_vec().into_iter().take(SHOWN * SIDE * SIDE);
                    pictures.push(shown.map(|a| (f64::from(a) * 1e3).round() / 1e3).collect());
                }
            }
        }
        let less =
            |a: &[f64], b: &[f64]| Measured::over(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>());
        let ratio: Vec<f64> =
            of_maps.iter().zip(&of_activations).map(|(maps, single)| maps / single).collect();
        let networks: Vec<Dropped> = names
            .into_iter()
            .zip(&errors)
            .map(|(name, error)| Dropped {
                name: name.to_owned(),
                error: Measured::over(error),
                gain: less(&errors[0], error),
            })
            .collect();
        let mut table = Table::new(["dropped in training", "test error, %", "gain over nothing, points"]);
        for network in &networks {
            table.row([network.name.clone(), network.error.to_string(), network.gain.to_string()]);
        }
        Ok(DroppedMapsReport {
            is_full: config.train_images >= 500 && config.epochs >= 30,
            train_images: train.len(),
            test_images: test.len(),
            maps_over_activations: less(&errors[1], &errors[2]),
            networks,
            neighbours: Measured::over(&neighbours),
            other_maps: Measured::over(&others),
            noise_of_activations: Measured::over(&of_activations),
            noise_of_maps: Measured::over(&of_maps),
            noise_ratio: Measured::over(&ratio),
            table,
            pictures,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let mut checks = vec![
            // Pilot, seeds 100 to 102: 0.561 ± 0.036.
            Check::new(
                "neighbours-agree",
                "correlation of two activations beside each other in a map",
                report.neighbours,
                Bound::AtLeast(0.45),
                BoundSource::Pilot,
            )
            .baseline("two maps at the same place, size of the correlation", report.other_maps.mean)
            .reason_if_failed(
                "filters so small, or steps so large, that windows beside each other share no pixel",
            ),
        ];
        if !report.is_full {
            return checks;
        }
        let [nothing, single, whole] = &report.networks[..] else { return checks };
        checks.extend([
            // Pilot, seeds 100 to 102: 1.55 ± 0.25. The bound is no difference.
            Check::new(
                "whole-maps-are-heard",
                "standard deviation of a vote over masks: of whole maps over of single activations",
                report.noise_ratio,
                Bound::AtLeast(1.0),
                BoundSource::Pilot,
            )
            .baseline("single activations, standard deviation", report.noise_of_activations.mean)
            .reason_if_failed("filters whose weights add up to nothing over a window hear no dropped map"),
            // The paper says both, of joints in photographs; it measures neither beside the other.
            Check::new(
                "maps-over-activations",
                "test error with single activations dropped less that with whole maps dropped, in points",
                report.maps_over_activations,
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("single activations, %", single.error.mean)
            .reason_if_failed(
                "with 16 maps half of them are much to lose, for a network that is trained briefly",
            ),
            Check::new(
                "maps-over-nothing",
                "test error with nothing dropped less that with whole maps dropped, in points",
                whole.gain,
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("nothing dropped, %", nothing.error.mean)
            .reason_if_failed(
                "with 16 maps half of them are much to lose, for a network that is trained briefly",
            ),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let captions = ["all", "single", "whole"];
        let high = report.pictures.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
        let tiles = report.pictures.iter().zip(captions).flat_map(|(maps, caption)| {
            maps.chunks(SIDE * SIDE).enumerate().map(move |(place, map)| {
                let tile = Tile::new(SIDE, map);
                if place == 0 { tile.caption(caption) } else { tile }
            })
        });
        vec![Figure::new(
            "maps",
            format!(
                "Single activations that are missing can be guessed from their neighbours; a missing map cannot. The first \
                 {SHOWN} of {MAPS} feature maps of one digit between two convolutions, white = 0: as they are, with half of \
                 the activations dropped, with half of the maps dropped; what is kept is doubled."
            ),
            "Three rows of small squares in which strokes of a digit can be seen. In the second row the strokes are \
             speckled and darker, and can still be followed. In the third row some squares are empty and the others dark.",
            Raster { tiles: tiles.collect(), columns: SHOWN, ramp: Ramp::Ink { low: 0.0, high } },
        )]
    }
}

fn trained<M: Reader>(
    mut model: M,
    config: &DroppedMapsConfig,
    train: &Images<1, 28, 28>,
    seed: Seed,
) -> Result<M, lab::Error> {
    let he = |p: &Parameter| match p.ndim() {
        1 => Init::Constant(0.0),
        _ => Init::he_normal(p, Fan::In, gain::RELU),
    };
    init::draw(&mut model, he, seed.key("weights")).map_err(lab::Error::unit)?;
    reseed(&mut model, seed.key("masks")).map_err(lab::Error::unit)?;
    let rule = SgdConfig { learning_rate: 0.02, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
    let mut sgd = Sgd::try_new(&model, rule).map_err(lab::Error::unit)?;
    let order = seed.key("order");
    for epoch in 1..=config.epochs {
        for rows in order.fold(epoch as u64).permutation(train.len()).chunks(BATCH) {
            let x: Pictures<NoneTape> = train.batch(rows, &Cpu::default());
            let loss = cross_entropy_mean(model.forward_mut(x.leaky_trace()), &train.batch_labels(rows));
            sgd.step(&mut model, &mut loss.backward())?;
        }
    }
    Ok(model)
}

/// Percent of the images read wrong, with nothing dropped.
fn error<M: Reader>(model: &M, test: &Images<1, 28, 28>) -> f64 {
    let mut read = Vec::new();
    for rows in (0..test.len()).collect::<Vec<_>>().chunks(100) {
        let x: Pictures<NoneTape> = test.batch(rows, &Cpu::default());
        let votes: Votes<NoneTape> = model.forward(x);
        let largest = |row: &[f32]| (0..10).fold(0, |best, c| if row[c] > row[best] { c } else { best });
        read.extend(votes.as_vec().chunks(10).map(largest));
    }
    100.0 - percent_equal(&read, &test.labels())
}

// ANCHOR: noise
/// Standard deviation of a vote over draws of masks, root of the mean variance over images and classes.
fn noise<M: Reader>(model: &mut M, test: &Images<1, 28, 28>, rows: &[usize]) -> f64 {
    let x: Pictures<NoneTape> = test.batch(rows, &Cpu::default());
    let draws: Vec<Vec<f32>> = (0..DRAWS).map(|_| model.forward_mut(x.clone()).as_vec()).collect();
    let votes = 10 * rows.len();
    let variance = |vote: usize| {
        let drawn: Vec<f64> = draws.iter().map(|votes| f64::from(votes[vote])).collect();
        Measured::over(&drawn).sd.powi(2)
    };
    ((0..votes).map(variance).sum::<f64>() / votes as f64).sqrt()
}
// ANCHOR_END: noise

/// The maps of these images between the convolutions, `[map][image and place]`.
fn maps(net: &Plain, test: &Images<1, 28, 28>, rows: &[usize]) -> Vec<Vec<f64>> {
    let x: Pictures<NoneTape> = test.batch(rows, &Cpu::default());
    let all = net.0.forward(x).as_vec();
    let of = |map: usize| {
        all.chunks(SIDE * SIDE).skip(map).step_by(MAPS).flatten().map(|&a| f64::from(a)).collect()
    };
    (0..MAPS).map(of).collect()
}

/// Correlation of activations one row or one column apart, mean over the maps that are not silent.
fn beside_each_other(maps: &[Vec<f64>]) -> f64 {
    let of = |map: &Vec<f64>| {
        let images = || map.chunks(SIDE * SIDE);
        let right = images().flat_map(|image| {
            let rows = image.chunks(SIDE);
            rows.flat_map(|row| row.windows(2).map(|pair| (pair[0], pair[1])))
        });
        let below = images().flat_map(|image| image.iter().copied().zip(image[SIDE..].iter().copied()));
        correlation(&right.chain(below).collect::<Vec<_>>())
    };
    mean(maps.iter().filter_map(of))
}

/// Size of the correlation of two maps at the same place, mean over pairs of maps that are not silent.
fn at_the_same_place(maps: &[Vec<f64>]) -> f64 {
    let pairs = (0..maps.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    mean(pairs.filter_map(|(a, b)| {
        let both: Vec<(f64, f64)> = maps[a].iter().copied().zip(maps[b].iter().copied()).collect();
        correlation(&both).map(f64::abs)
    }))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    Measured::over(&values.collect::<Vec<_>>()).mean
}

/// None if one of the two does not vary.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (a, b) = pairs.iter().fold((0.0, 0.0), |(a, b), pair| (a + pair.0 / n, b + pair.1 / n));
    let product = |f: fn(f64, f64) -> f64| pairs.iter().map(|pair| f(pair.0 - a, pair.1 - b)).sum::<f64>();
    let (aa, ab, bb) = (product(|a, _| a * a), product(|a, b| a * b), product(|_, b| b * b));
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{SIDE, at_the_same_place, beside_each_other, correlation};

    #[test]
    fn correlations_by_hand() {
        assert_eq!(correlation(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]), Some(1.0));
        assert_eq!(correlation(&[(1.0, 1.0), (2.0, 0.0), (3.0, 1.0), (2.0, 2.0)]), Some(0.0));
        assert_eq!(correlation(&[(1.0, 1.0), (1.0, 2.0)]), None);
        // Stripes: beside each other in a row alike, in a column opposite; as many pairs of both, not quite of equal means.
        let striped: Vec<f64> = (0..SIDE * SIDE).map(|place| (place / SIDE % 2) as f64).collect();
        let checkered: Vec<f64> = (0..SIDE * SIDE).map(|place| ((place / SIDE + place) % 2) as f64).collect();
        assert!(beside_each_other(std::slice::from_ref(&striped)).abs() < 0.01);
        assert!((beside_each_other(&[checkered.clone(), vec![0.0; SIDE * SIDE]]) + 1.0).abs() < 1e-12);
        assert!(at_the_same_place(&[striped.clone(), checkered]).abs() < 1e-12);
        let opposite = striped.iter().map(|a| 1.0 - a).collect();
        assert!((at_the_same_place(&[striped, opposite]) - 1.0).abs() < 1e-12);
    }
}
