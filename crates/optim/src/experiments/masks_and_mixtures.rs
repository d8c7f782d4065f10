//! Relatives of dropout and of mixup on the five hundred digits of `regulariser-league`.

use dfdx::prelude::{Cpu, DeviceBuildExt, Module, Trace};
use kernels::random::Key;
use kernels::{ActivationKind, DistributionLoss, cross_entropy_mean, distribution_loss_mean, try_dropout};
use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Seed, Table};
use layers::modules::{self, Relu};
use layers::params::{self, DeviceError};
use layers::prelude::Linear;
use serde::{Deserialize, Serialize};

use super::digit_nets::{
    CLASSES, Digits, Draw, Loss, Net, Plan, accuracy, he_net, percent_equal, tensor, train,
};
use super::{Data, at_least_one, at_least_two, typed_runs};
use crate::optimizers::{Momentum, Sgd, SgdConfig};
use crate::regularize::augment::{Augment, Cutout};
use crate::regularize::cut_mix::{Patch, cut_mix};
use crate::regularize::drop_connect::builder::DropConnect;
use crate::regularize::erasing::RandomErasing;
use crate::regularize::manifold::{manifold_votes, mix_targets};
use crate::regularize::mixup;

/// One network, and one way to blot or to mix at a time.
#[derive(Debug)]
pub struct MasksAndMixtures;

/// What may vary in [`MasksAndMixtures`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct MasksAndMixturesConfig {
    /// Runs of each method, at least 2
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

impl Default for MasksAndMixturesConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 40, train_images: 500, test_images: 5000 }
    }
}

impl ExperimentConfig for MasksAndMixturesConfig {
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

/// What [`MasksAndMixtures`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MasksAndMixturesReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Images to train with.
    pub train_images: usize,
    /// Images to test with.
    pub test_images: usize,
    /// The methods; none first.
    pub methods: Vec<Masked>,
    /// Test error with dropout less that with DropConnect, in points, by seed.
    pub connect_over_dropout: Measured,
    /// Test error of DropConnect with mean votes less that with drawn ones, in points, by seed.
    pub drawn_over_mean: Measured,
    /// Test error with mixup less that with manifold mixup, in points, by seed.
    pub manifold_over_mixup: Measured,
    /// Test error with mixup less that with CutMix, in points, by seed.
    pub cut_mix_over_mixup: Measured,
    /// Test error with cutout less that with CutMix, in points, by seed.
    pub cut_mix_over_cutout: Measured,
    /// All of it as a table.
    pub table: Table,
}

/// One method.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Masked {
    /// Name and strength.
    pub name: String,
    /// Percent of the test images read wrong, over seeds.
    pub error: Measured,
    /// Test error without less that with it, in points, by seed.
    pub gain: Measured,
}

#[derive(Clone, Copy)]
enum Kind {
    None,
    Dropout,
    Cutout,
    Erasing,
    Mixup(f64),
    Manifold(f64),
    CutMix(f64),
}

/// DropConnect has a network of its own, and two ways to read: they are the last two rows.
const KINDS: [(&str, Kind); 7] = [
    ("none", Kind::None),
    ("dropout, 1/2", Kind::Dropout),
    ("cutout, 10 pixels", Kind::Cutout),
    ("random erasing", Kind::Erasing),
    ("mixup, 1", Kind::Mixup(1.0)),
    ("manifold mixup, 2", Kind::Manifold(2.0)),
    ("CutMix, 1", Kind::CutMix(1.0)),
];
const NAMES: [&str; 2] = ["DropConnect, 1/2, mean votes", "DropConnect, 1/2, drawn votes"];
const HIDDEN: usize = 128;
const BATCH: usize = 50;
const RATE: f64 = 0.05;
/// Side of the square that is cut out: an eighth of the picture.
const SIDE: usize = 10;
/// Draws of votes in the inference of DropConnect's paper.
const DRAWS: u64 = 50;

impl Experiment for MasksAndMixtures {
    type Config = MasksAndMixturesConfig;
    type Report = MasksAndMixturesReport;
    const ABOUT: About = About {
        name: "masks-and-mixtures",
        lecture: 6,
        paper: "Wan et al. (2013); Verma et al. (2019); Yun et al. (2019); Zhong et al. (2020)",
        claim: "On 500 digits no mask and no mixture errs less than plain training does; on average over seeds DropConnect errs \
                less than dropout and manifold mixup less than mixup, as their papers say",
        sources: &[
            include_str!("masks_and_mixtures.rs"),
            include_str!("digit_nets.rs"),
            include_str!("typed_runs.rs"),
            include_str!("../regularize/augment.rs"),
            include_str!("../regularize/cut_mix.rs"),
            include_str!("../regularize/drop_connect.rs"),
            include_str!("../regularize/erasing.rs"),
            include_str!("../regularize/manifold.rs"),
            include_str!("../regularize/mixup.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let mut errors: Vec<Vec<f64>> = vec![Vec::new(); KINDS.len() + 2];
        for (done, &seed) in seeds.iter().enumerate() {
            for (index, (_, kind)) in KINDS.into_iter().enumerate() {
                let done = done * (KINDS.len() + 1) + index;
                lab.progress("runs", done as u64, (seeds.len() * (KINDS.len() + 1)) as u64, None)?;
                errors[index].push(trained(config, kind, &train, &test, seed)?);
            }
            let [mean, drawn] = connected(config, &train, &test, seed)?;
            errors[KINDS.len()].push(mean);
            errors[KINDS.len() + 1].push(drawn);
        }
        let less = |a: usize, b: usize| {
            let pairs = errors[a].iter().zip(&errors[b]);
            Measured::over(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
        };
        let methods: Vec<Masked> = KINDS
            .iter()
            .map(|(name, _)| *name)
            .chain(NAMES)
            .enumerate()
            .map(|(index, name)| Masked {
                name: name.to_owned(),
                error: Measured::over(&errors[index]),
                gain: less(0, index),
            })
            .collect();
        let mut table = Table::new(["method", "test error, %", "gain over none, points"]);
        for method in &methods {
            table.row([method.name.clone(), method.error.to_string(), method.gain.to_string()]);
        }
        Ok(MasksAndMixturesReport {
            is_full: config.train_images >= 500 && config.epochs >= 40,
            train_images: train.len(),
            test_images: test.len(),
            connect_over_dropout: less(1, 7),
            drawn_over_mean: less(7, 8),
            manifold_over_mixup: less(4, 5),
            cut_mix_over_mixup: less(4, 6),
            cut_mix_over_cutout: less(2, 6),
            methods,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        if !report.is_full {
            return Vec::new();
        }
        // Each paper reports fewer errors than the method that it changes: the bound is no gain.
        let [none, dropout, cutout, erasing, mixup, .., mean, _] = &report.methods[..] else {
            return Vec::new();
        };
        [
            (
                "drop-connect-over-nothing",
                "test error without a mask less that with DropConnect, in points",
                mean.gain,
                ("no mask, %", none.error.mean),
                "half of the weights of a layer of this size are too few",
            ),
            (
                "drop-connect-over-dropout",
                "test error with dropout less that with DropConnect in the same place, in points",
                report.connect_over_dropout,
                ("dropout, %", dropout.error.mean),
                "masks of single weights blur each other: a vote loses less of its input than by dropout",
            ),
            (
                "drawn-votes-over-mean-votes",
                "test error of DropConnect with mean votes less that with drawn votes, in points",
                report.drawn_over_mean,
                ("mean votes, %", mean.error.mean),
                "votes far from the corner of the rectifier, where both answers are the same",
            ),
            (
                "erasing-over-nothing",
                "test error without erasing less that with random erasing, in points",
                erasing.gain,
                ("nothing erased, %", none.error.mean),
                "noise over a third of a digit takes away what tells it from another",
            ),
            (
                "manifold-over-mixup",
                "test error with mixup less that with manifold mixup, in points",
                report.manifold_over_mixup,
                ("mixup, %", mixup.error.mean),
                "two hidden layers have no deep states to mix",
            ),
            (
                "cut-mix-over-mixup",
                "test error with mixup less that with CutMix, in points",
                report.cut_mix_over_mixup,
                ("mixup, %", mixup.error.mean),
                "a part of a digit is no smaller digit: the label follows pixels, most of which are black",
            ),
            (
                "cut-mix-over-cutout",
                "test error with cutout less that with CutMix, in points",
                report.cut_mix_over_cutout,
                ("cutout, %", cutout.error.mean),
                "a part of a digit is no smaller digit: the label follows pixels, most of which are black",
            ),
        ]
        .map(|(id, claim, gain, (name, value), reason)| {
            Check::new(id, claim, gain, Bound::AtLeast(0.0), BoundSource::Paper)
                .baseline(name, value)
                .reason_if_failed(reason)
        })
        .into()
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut order: Vec<&Masked> = report.methods[1..].iter().collect();
        order.sort_by(|a, b| b.gain.mean.total_cmp(&a.gain.mean));
        vec![Figure::new(
            "gains",
            format!(
                "What masks and mixtures gain. Test error without less that with each, in points, same start and order of images; \
                 mean and one standard deviation of {} seeds, {} training and {} test images.",
                report.methods[0].error.n, report.train_images, report.test_images
            ),
            "Horizontal bars, the best method first: masks on units and on weights, parts of pictures that are blotted, and \
             pictures or states that are mixed; the bar of every method lies below zero.",
            Plot::new(
                Axis::linear("fewer test errors than without, points"),
                Axis::categories("", order.iter().map(|method| method.name.clone())),
            )
            .bars("gain", order.iter().map(|method| (method.gain.mean, method.gain.sd))),
        )]
    }
}

fn start(seed: Seed) -> Result<Net, lab::Error> {
    he_net(&[784, HIDDEN, HIDDEN, CLASSES], ActivationKind::Relu, seed.key("weights"))
}

/// Test error in percent.
fn trained(
    config: &MasksAndMixturesConfig,
    kind: Kind,
    set: &Digits,
    test: &Digits,
    seed: Seed,
) -> Result<f64, lab::Error> {
    let mut net = start(seed)?;
    let plan =
        Plan { epochs: config.epochs, batch: BATCH, learning_rate: RATE, momentum: 0.9, weight_decay: 0.0 };
    let mut sgd = plan.optimizer(&net)?;
    let step = |net: &mut Net, draw: Draw| loss(net, set, kind, &draw);
    train(&mut net, &mut sgd, set.len(), plan, seed.key("order"), step, |_, _, _| Ok(true))?;
    Ok(100.0 - accuracy(&net, test)?)
}

/// The loss of one minibatch.
fn loss(net: &Net, set: &Digits, kind: Kind, draw: &Draw) -> Result<Loss, lab::Error> {
    let unit = |error: crate::Error| lab::Error::unit(error);
    let (x, labels) = set.batch(&draw.rows);
    let shape = (labels.len(), set.features);
    let changed = |augment: &dyn Fn(&[f32], Key) -> Vec<f32>| {
        let rows = draw.rows.iter().enumerate();
        let changed = rows.flat_map(|(i, &row)| augment(set.row(row), draw.key.fold(i as u64)));
        cross_entropy_mean(net.forward(tensor(changed.collect(), shape).leaky_trace()), &labels)
    };
    let share = |alpha: f64| mixup::share(alpha, &mut draw.key.rng()).map_err(unit);
    let partner = || draw.key.fold(1).permutation(labels.len());
    Ok(match kind {
        Kind::None => cross_entropy_mean(net.forward(x.leaky_trace()), &labels),
        Kind::Dropout => {
            // Where DropConnect's masks are: what enters the second layer.
            let dropped = |l, a| match l {
                0 => Ok(try_dropout(a, 0.5, draw.key).unwrap_or_else(|error| panic!("{error}"))),
                _ => Ok(a),
            };
            cross_entropy_mean(net.try_forward_with(x.leaky_trace(), dropped).map_err(device)?, &labels)
        }
        Kind::Cutout => changed(&|image, key| Cutout { side: SIDE }.apply(image, set.size(), &mut key.rng())),
        Kind::Erasing => {
            changed(&|image, key| RandomErasing::default().apply(image, set.size(), &mut key.rng()))
        }
        // ANCHOR: mixtures
        Kind::Mixup(alpha) => {
            let mixed = mixup::mix(&x, &labels, CLASSES, &partner(), share(alpha)?).map_err(unit)?;
            let votes = net.forward(mixed.x.leaky_trace());
            distribution_loss_mean(votes, &mixed.targets, DistributionLoss::CrossEntropy)
        }
        Kind::Manifold(alpha) => {
            let (share, partner) = (share(alpha)?, partner());
            let level = draw.key.fold(2).permutation(net.layers.len())[0];
            let targets = mix_targets(&Cpu::default(), &labels, CLASSES, &partner, share).map_err(unit)?;
            let votes = manifold_votes(net, x.leaky_trace(), level, &partner, share).map_err(unit)?;
            distribution_loss_mean(votes, &targets, DistributionLoss::CrossEntropy)
        }
        Kind::CutMix(alpha) => {
            let patch = Patch::draw(set.size(), share(alpha)?, &mut draw.key.fold(2).rng()).map_err(unit)?;
            let mixed = cut_mix(&x, set.size(), &labels, CLASSES, &partner(), patch).map_err(unit)?;
            let votes = net.forward(mixed.x.leaky_trace());
            distribution_loss_mean(votes, &mixed.targets, DistributionLoss::CrossEntropy)
        } // ANCHOR_END: mixtures
    })
}

type Connected = (Linear<784, HIDDEN, Relu>, DropConnect<HIDDEN, HIDDEN, Relu>, Linear<HIDDEN, CLASSES>);

/// Test errors in percent with DropConnect in the second layer: by mean votes, and by the paper's inference.
fn connected(
    config: &MasksAndMixturesConfig,
    set: &Digits,
    test: &Digits,
    seed: Seed,
) -> Result<[f64; 2], lab::Error> {
    let mut model = Cpu::default().build_module::<Connected, f32>();
    let start = start(seed)?;
    let flat = start.layers.iter().flat_map(|layer| [layer.weight.as_vec(), layer.bias.as_vec()].concat());
    params::unflatten(&mut model, &flat.collect::<Vec<f32>>()).map_err(lab::Error::unit)?;
    model.1.noise = modules::Dropout::new(0.5).with_key(seed.key("masks"));
    let rule = SgdConfig { learning_rate: RATE, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
    let mut sgd = Sgd::try_new(&model, rule).map_err(lab::Error::unit)?;
    let steps = typed_runs::steps(set, BATCH, config.epochs);
    typed_runs::fit(&mut model, &mut sgd, set, BATCH, steps, seed)?;
    let by_mean = typed_runs::measure(&model, test).1;
    // ANCHOR: drawn
    let (x, labels) = typed_runs::rows::<784>(test, &(0..test.len()).collect::<Vec<_>>());
    let hidden = model.0.forward(x);
    let second = model.1.infer(&hidden, DRAWS, seed.key("votes")).map_err(lab::Error::unit)?;
    let votes = model.2.forward(second).as_vec();
    // ANCHOR_END: drawn
    let largest = |row: &[f32]| (0..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    let read: Vec<usize> = votes.chunks(CLASSES).map(largest).collect();
    Ok([100.0 - by_mean, 100.0 - percent_equal(&read, &labels)])
}

fn device(error: impl std::fmt::Display + std::fmt::Debug) -> lab::Error {
    lab::Error::unit(DeviceError::new(error))
}
