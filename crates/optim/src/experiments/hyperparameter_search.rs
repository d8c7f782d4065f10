//! Three searches with one budget: a grid, random points, and successive halving.

use dfdx::prelude::{Module, Trace};
use kernels::random::Key;
use kernels::{ActivationKind, ClassLoss, Classes, class_loss_mean};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Draw, Net, Plan, accuracy, he_net, train};
use super::{Data, at_least_one, at_least_two};
use crate::search::{self, evaluate, grid, random, successive_halving};

/// The searches, each repeated with other ranges and other starts.
#[derive(Debug)]
pub struct HyperparameterSearch;

/// What may vary in [`HyperparameterSearch`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct HyperparameterSearchConfig {
    /// Repetitions of each search, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes of one of the 27 trials of grid and random search
    #[arg(long)]
    pub epochs: usize,
}

impl Default for HyperparameterSearchConfig {
    fn default() -> Self {
        Self { seeds: 24, epochs: 4 }
    }
}

impl ExperimentConfig for HyperparameterSearchConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 2 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("epochs", self.epochs)?;
        Ok(self)
    }
}

/// What [`HyperparameterSearch`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HyperparameterSearchReport {
    /// Whether there are repetitions enough for the bounds.
    pub is_full: bool,
    /// Passes over the training images that each search may spend.
    pub budget: usize,
    /// The searches: grid, random, halving.
    pub searches: Vec<Searched>,
    /// Test error of the grid's choice less that of random search, in points, repetition by repetition.
    pub random_gain: Measured,
    /// Test error of the grid's choice less that of successive halving.
    pub halving_gain: Measured,
    /// All trials of random search in the first repetition: learning rate, weight decay, validation error in percent.
    pub trials: Vec<[f64; 3]>,
    /// The same as text.
    pub table: Table,
}

/// One way to search.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Searched {
    /// Its name.
    pub name: String,
    /// Different learning rates that it tries.
    pub rates: usize,
    /// Percent of the test images that a network trained long with its choice reads wrong, over repetitions.
    pub error: Measured,
    /// Each repetition.
    pub errors: Vec<f64>,
}

const TRIALS: usize = 27;
/// Images to train with, to choose by, and to judge by.
const IMAGES: [usize; 3] = [300, 300, 1197];
const HIDDEN: usize = 32;
const BATCH: usize = 30;
/// Decades of learning rate that a search covers.
const DECADES: f64 = 5.0;

impl Experiment for HyperparameterSearch {
    type Config = HyperparameterSearchConfig;
    type Report = HyperparameterSearchReport;
    const ABOUT: About = About {
        name: "hyperparameter-search",
        lecture: 8,
        paper: "Bergstra & Bengio (2012), Random search for hyper-parameter optimization; Jamieson & Talwalkar (2016)",
        claim: "When one of three hyperparameters matters, 27 random points find a setting that reads more digits than a \
                grid of 3 × 3 × 3, for the same budget",
        sources: &[
            include_str!("hyperparameter_search.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../search.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (rest, test) = Digits::split(Data::Digits, IMAGES[0] + IMAGES[1], IMAGES[2])?;
        let part = |rows: std::ops::Range<usize>| Digits {
            x: rest.x[rows.start * rest.features..rows.end * rest.features].to_vec(),
            labels: rest.labels[rows].to_vec(),
            features: rest.features,
        };
        let sets =
            Sets { train: part(0..IMAGES[0]), validation: part(IMAGES[0]..IMAGES[0] + IMAGES[1]), test };
        let seeds = lab.seeds(config.seeds);
        let names = ["grid, 3 × 3 × 3", "random", "successive halving"];
        let mut errors = [Vec::new(), Vec::new(), Vec::new()];
        let mut trials = Vec::new();
        for (done, seed) in seeds.iter().enumerate() {
            lab.progress("repetitions", done as u64, seeds.len() as u64, None)?;
            let found = search_three_ways(config, &sets, seed.key("search"))?;
            if trials.is_empty() {
                trials = found.trials;
            }
            let key = seed.key("judge");
            for (point, errors) in found.chosen.iter().zip(&mut errors) {
                let net = fit(&sets.train, point, TRIALS * config.epochs / 4, key)?;
                errors.push(100.0 - accuracy(&net, &sets.test)?);
            }
        }
        let gain = |other: usize| {
            let pairs = errors[0].iter().zip(&errors[other]);
            Measured::over(&pairs.map(|(grid, other)| grid - other).collect::<Vec<_>>())
        };
        let mut table = Table::new(["search", "learning rates tried", "test error of its choice, %"]);
        let searches: Vec<Searched> = names
            .iter()
            .zip([3, TRIALS, TRIALS])
            .zip(&errors)
            .map(|((name, rates), errors)| Searched {
                name: (*name).to_owned(),
                rates,
                error: Measured::over(errors),
                errors: errors.clone(),
            })
            .collect();
        for search in &searches {
            table.row([search.name.clone(), search.rates.to_string(), search.error.to_string()]);
        }
        Ok(HyperparameterSearchReport {
            is_full: config.seeds >= 16 && config.epochs >= 4,
            budget: TRIALS * config.epochs,
            random_gain: gain(1),
            halving_gain: gain(2),
            searches,
            trials,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let tried = Check::new(
            "random-tries-more-rates",
            "learning rates tried by random search over those tried by the grid, for the same number of trials",
            Measured::exact(report.searches[1].rates as f64 / report.searches[0].rates as f64),
            Bound::AtLeast(9.0),
            BoundSource::Paper,
        )
        .baseline("grid", 1.0)
        .reason_if_failed("an axis with one value");
        if !report.is_full {
            return vec![tried];
        }
        let beats = |id: &str, name: &str, gain: Measured, at_least: f64| {
            Check::new(
                id,
                format!("test error of the grid's choice less that of {name}, in points"),
                gain,
                Bound::AtLeast(at_least),
                BoundSource::Pilot, // seeds 100 to 123: 16 ± 21 and 18 ± 19 points; three standard errors lower
            )
            .baseline("test error of the grid's choice, %", report.searches[0].error.mean)
            .reason_if_failed("a grid whose middle happens to lie on a good learning rate")
        };
        vec![
            tried,
            beats("random-beats-the-grid", "random search", report.random_gain, 3.0),
            beats("halving-beats-the-grid", "successive halving", report.halving_gain, 6.0),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let along = |axis: usize| report.trials.iter().map(move |trial| (trial[axis], trial[2]));
        vec![Figure::new(
            "axes",
            "One axis decides: the errors of random points form a curve over the learning rate and a cloud over the weight \
             decay. Percent of the validation images read wrong by each of the 27 trials of the first repetition; each trial \
             is drawn once over its learning rate and once over its decay.",
            "Two sets of points over a logarithmic axis. Over the learning rate they lie on a valley with walls near ninety \
             per cent; over the weight decay, far to the left, they are scattered over the whole height.",
            Plot::new(
                Axis::logarithmic("value of the hyperparameter"),
                Axis::linear("validation error, %").range(0.0, 100.0),
            )
            .scatter("over the learning rate", along(0))
            .scatter("over the weight decay", along(1)),
        )]
    }
}

/// The images by use.
struct Sets {
    train: Digits,
    validation: Digits,
    test: Digits,
}

/// What the searches found.
struct Found {
    chosen: [Vec<f64>; 3],
    trials: Vec<[f64; 3]>,
}

// ANCHOR: searches
/// One repetition: the range of learning rates is moved at random, since who searches does not know where the good ones
/// are. All three spend 27 trials' worth of passes.
fn search_three_ways(
    config: &HyperparameterSearchConfig,
    sets: &Sets,
    key: Key,
) -> Result<Found, lab::Error> {
    let mut rng = key.rng();
    let low = 10_f64.powf(rng.gen_range(-4.5..-3.0));
    let axes = [
        search::Axis::LogUniform { low, high: low * 10_f64.powf(DECADES) }, // learning rate
        search::Axis::LogUniform { low: 1e-7, high: 1e-4 },                 // weight decay
        search::Axis::Uniform { low: 0.0, high: 0.1 },                      // label smoothing
    ];
    let mut failed = None;
    let mut wrong = |point: &[f64], epochs: usize| {
        let net = fit(&sets.train, point, epochs, key.fold(1));
        let read = net.and_then(|net| accuracy(&net, &sets.validation));
        read.map_or_else(
            |error| {
                failed = Some(error);
                f64::NAN
            },
            |right| 100.0 - right,
        )
    };
    let unit = |error: crate::Error| lab::Error::unit(error);
    let points = grid(&axes, &[3, 3, 3]).map_err(unit)?;
    let by_grid = evaluate(points, config.epochs, &mut wrong).map_err(unit)?;
    let points = random(&axes, TRIALS, &mut rng).map_err(unit)?;
    let by_chance = evaluate(points, config.epochs, &mut wrong).map_err(unit)?;
    // 27 trials of a quarter, 9 of three quarters, 3 of nine quarters, 1 of 27 quarters: as many passes as 27 whole ones.
    let points = random(&axes, TRIALS, &mut rng).map_err(unit)?;
    let rounds = successive_halving(points, (config.epochs / 4).max(1), 3, &mut wrong).map_err(unit)?;
    if let Some(error) = failed {
        return Err(error);
    }
    let trials = by_chance.trials.iter().map(|trial| [trial.point[0], trial.point[1], trial.loss]).collect();
    let last = rounds[rounds.len() - 1].best().point.clone();
    Ok(Found { chosen: [by_grid.best().point.clone(), by_chance.best().point.clone(), last], trials })
}
// ANCHOR_END: searches

/// Trains with a learning rate, a weight decay and a label smoothing.
fn fit(set: &Digits, point: &[f64], epochs: usize, key: Key) -> Result<Net, lab::Error> {
    let [learning_rate, weight_decay, label_smoothing] = [point[0], point[1], point[2]];
    let plan = Plan { epochs, batch: BATCH, learning_rate, momentum: 0.0, weight_decay };
    let mut net = he_net(&[set.features, HIDDEN, CLASSES], ActivationKind::Relu, key.fold(0))?;
    let mut sgd = plan.optimizer(&net)?;
    let loss = |net: &mut Net, draw: Draw| {
        let (x, labels) = set.batch(&draw.rows);
        let loss = ClassLoss::CrossEntropy { label_smoothing };
        Ok(class_loss_mean(net.forward(x.leaky_trace()), &labels, loss, Classes::default()))
    };
    train(&mut net, &mut sgd, set.len(), plan, key.fold(1), loss, |_, _, _| Ok(true))?;
    Ok(net)
}
