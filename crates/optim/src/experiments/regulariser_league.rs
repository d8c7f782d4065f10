//! Thirteen ways to regularise one network on five hundred digits.

use dfdx::prelude::{Cpu, DeviceBuildExt, Dim, HasShape, Module, OwnedTape, Shape, Tensor, Trace};
use kernels::random::Key;
use kernels::{
    ActivationKind, ClassLoss, Classes, DistributionLoss, class_loss_mean, distribution_loss_mean,
};
use kernels::{cross_entropy_mean, try_dropout, try_gaussian_noise};
use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Table};
use layers::modules::Relu;
use layers::prelude::{BatchNorm1D, Linear};
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Draw, Loss, Net, Plan, he_net, percent_equal, tensor, train};
use super::typed_runs;
use super::{Data, at_least_one};
use crate::optimizers::{Momentum, Sgd, SgdConfig};
use crate::regularize::adversarial::fgsm;
use crate::regularize::augment::{Augment, Shift};
use crate::regularize::mixup;
use crate::regularize::noise::{disturb_labels, max_norm};
use crate::regularize::penalty::Penalty;

/// The same network and budget with one regulariser at a time.
#[derive(Debug)]
pub struct RegulariserLeague;

/// What may vary in [`RegulariserLeague`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct RegulariserLeagueConfig {
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
    /// Hidden units: 32 or 128, since the width of the network with batch norm is part of its type
    #[arg(long)]
    pub hidden: usize,
}

impl Default for RegulariserLeagueConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 40, train_images: 500, test_images: 5000, hidden: 128 }
    }
}

impl ExperimentConfig for RegulariserLeagueConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 8, train_images: 200, test_images: 300, hidden: 32 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        if ![32, 128].contains(&self.hidden) {
            let value = self.hidden.to_string();
            return Err(lab::Error::Config { field: "hidden", rule: "32 or 128", value });
        }
        Ok(self)
    }
}

/// What [`RegulariserLeague`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegulariserLeagueReport {
    /// Images to train with.
    pub train_images: usize,
    /// Images to test with.
    pub test_images: usize,
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Largest change of a pixel in the attack.
    pub epsilon: f64,
    /// The methods; no regulariser first.
    pub methods: Vec<Method>,
    /// Share of the hidden units whose weights max-norm shortened in a step, averaged over steps and seeds: 0 would be a
    /// constraint that never acts.
    pub shortened: Measured,
    /// The same as text.
    pub table: Table,
}

/// One regulariser.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Method {
    /// Name and strength.
    pub name: String,
    /// Percent of the test images read wrong, over seeds.
    pub error: Measured,
    /// Test error without a regulariser less that with it, in points, seed by seed.
    pub gain: Measured,
    /// Percent of the test images read right after the attack, over seeds.
    pub robust: Measured,
}

/// What is done to the network.
#[derive(Clone, Copy, Debug)]
enum Kind {
    None,
    L2(f64),
    L1(f64),
    MaxNorm(f64),
    Dropout(f64),
    Noise(f64),
    WeightNoise(f64),
    LabelNoise(f64),
    Shift(usize),
    Mixup(f64),
    Smoothing(f64),
    Adversarial(f64),
    BatchNorm,
}

const KINDS: [(&str, Kind); 13] = [
    ("none", Kind::None),
    ("L2, 0.01", Kind::L2(1e-2)),
    ("L1, 0.0003", Kind::L1(3e-4)),
    ("max-norm, 1.2", Kind::MaxNorm(1.2)),
    ("dropout, 1/2", Kind::Dropout(0.5)),
    ("input noise, 0.3", Kind::Noise(0.3)),
    ("weight noise, 0.03", Kind::WeightNoise(0.03)),
    ("label noise, 0.1", Kind::LabelNoise(0.1)),
    ("shifts, 2 pixels", Kind::Shift(2)),
    ("mixup, 0.4", Kind::Mixup(0.4)),
    ("label smoothing, 0.1", Kind::Smoothing(0.1)),
    ("adversarial training", Kind::Adversarial(EPSILON)),
    ("batch norm", Kind::BatchNorm),
];
/// Largest change of a pixel in the attack.
const EPSILON: f64 = 0.1;
/// An attacked picture is a picture: its pixels stay between black and white.
const BLACK: f32 = 0.0;
const WHITE: f32 = 1.0;
/// Step of the proximal operator: the learning rate over 1 − momentum, what a gradient does in the long run.
const PROXIMAL_STEP: f64 = 0.5;
/// Images of a minibatch.
const BATCH: usize = 50;
/// Members of the ensemble, trained with different starts.
const ENSEMBLE: usize = 5;

impl Experiment for RegulariserLeague {
    type Config = RegulariserLeagueConfig;
    type Report = RegulariserLeagueReport;
    const ABOUT: About = About {
        name: "regulariser-league",
        lecture: 6,
        paper: "Goodfellow, Bengio & Courville (2016), ch. 7; Srivastava et al. (2014); Goodfellow, Shlens & Szegedy (2015)",
        claim: "On 500 digits shifted copies help most, dropout helps, adversarial training makes robust; mixup, L1 and \
                an ensemble of seeds do not help",
        sources: &[
            include_str!("regulariser_league.rs"),
            include_str!("digit_nets.rs"),
            include_str!("typed_runs.rs"),
            include_str!("../regularize/augment.rs"),
            include_str!("../regularize/noise.rs"),
            include_str!("../regularize/mixup.rs"),
            include_str!("../regularize/adversarial.rs"),
            include_str!("../regularize/penalty.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let mut scores: Vec<Vec<Score>> = KINDS.iter().map(|_| Vec::new()).collect();
        let (mut ensemble, mut shortened) = (Vec::new(), Vec::new());
        for (done, &seed) in seeds.iter().enumerate() {
            for (index, (_, kind)) in KINDS.iter().enumerate() {
                let (done, all) = (done * (KINDS.len() + 1) + index, seeds.len() * (KINDS.len() + 1));
                lab.progress("runs", done as u64, all as u64, None)?;
                if let Kind::BatchNorm = kind {
                    scores[index].push(match config.hidden {
                        32 => normed::<32>(config, &train, &test, seed)?,
                        _ => normed::<128>(config, &train, &test, seed)?,
                    });
                    continue;
                }
                let (net, share) = fit(config, &train, *kind, seed.key("weights"), seed.key("order"))?;
                scores[index].push(score(&net, test.whole(), &test.labels)?);
                if let Kind::MaxNorm(_) = kind {
                    shortened.push(share);
                }
            }
            ensemble.push(ensemble_error(config, &train, &test, seed)?);
        }
        let errors = |index: usize| scores[index].iter().map(|score| score.error).collect::<Vec<_>>();
        let plain = errors(0);
        let method = |name: &str, errors: Vec<f64>, robust: Option<Vec<f64>>| Method {
            name: name.to_owned(),
            gain: Measured::over(&plain.iter().zip(&errors).map(|(a, b)| a - b).collect::<Vec<_>>()),
            error: Measured::over(&errors),
            robust: robust.map_or_else(|| Measured::exact(0.0), |values| Measured::over(&values)),
        };
        let mut methods: Vec<Method> = KINDS
            .iter()
            .enumerate()
            .map(|(index, (name, _))| {
                let robust = scores[index].iter().map(|score| score.robust).collect();
                method(name, errors(index), Some(robust))
            })
            .collect();
        methods.push(method("ensemble of 5", ensemble, None));
        let mut table = Table::new([
            "regulariser",
            "test error, %",
            "gain over none, points",
            "accuracy under attack, %",
        ]);
        for method in &methods {
            let robust = if method.robust.n > 1 { method.robust.to_string() } else { "–".to_owned() };
            table.row([method.name.clone(), method.error.to_string(), method.gain.to_string(), robust]);
        }
        Ok(RegulariserLeagueReport {
            train_images: train.len(),
            test_images: test.len(),
            is_full: config.train_images >= 500 && config.epochs >= 40,
            epsilon: EPSILON,
            shortened: Measured::over(&shortened),
            methods,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let of = |name: &str| report.methods.iter().find(|method| method.name.starts_with(name));
        let (Some(none), Some(shift), Some(dropout), Some(adversarial), Some(normed)) =
            (of("none"), of("shifts"), of("dropout"), of("adversarial"), of("batch norm"))
        else {
            return Vec::new();
        };
        let ahead = Measured { mean: adversarial.robust.mean - none.robust.mean, ..adversarial.robust };
        let robust = Check::new(
            "robustness-has-to-be-trained",
            "accuracy under attack: with adversarial training less without, in points",
            ahead,
            // The quick version on seeds 100 and 200: 10.5 ± 1.2 and 6.0 ± 1.9 points.
            Bound::AtLeast(if report.is_full { 15.0 } else { 1.0 }),
            BoundSource::Pilot,
        )
        .baseline("without", none.robust.mean)
        .reason_if_failed("an attack too weak to fool the plain network");
        let acts = Check::new(
            "max-norm-acts",
            "share of the hidden units whose weights max-norm shortens in a step",
            report.shortened,
            Bound::AtLeast(0.01),
            BoundSource::Pilot, // a limit of 1.5 was never reached by networks of this kind
        )
        .baseline("a limit that is never reached", 0.0)
        .reason_if_failed("a limit above the length of every unit's weights");
        if !report.is_full {
            return vec![robust, acts];
        }
        // Pilot in PyTorch with 500 images, 4 seeds: gains 5.98 ± 1.2 and 1.21 ± 0.23 points, 58.7 ± 0.9 % under attack
        // against 27.1 % (256 hidden units, 60 epochs).
        vec![
            Check::new(
                "shifts-help",
                "test error without regulariser less that with random shifts, in points",
                shift.gain,
                Bound::AtLeast(3.0),
                BoundSource::Pilot,
            )
            .baseline("test error without, %", none.error.mean)
            .reason_if_failed("digits that are centred exactly leave shifts nothing to teach"),
            Check::new(
                "dropout-helps",
                "test error without regulariser less that with dropout, in points",
                dropout.gain,
                Bound::AtLeast(0.3),
                BoundSource::Pilot,
            )
            .baseline("test error without, %", none.error.mean)
            .reason_if_failed("few hidden units, or few epochs: dropout slows the fit"),
            Check::new(
                "batch-norm-does-no-harm",
                "test error without regulariser less that with batch norm, in points",
                normed.gain,
                Bound::AtLeast(-0.4), // pilot 0.79 ± 0.37
                BoundSource::Pilot,
            )
            .baseline("test error without, %", none.error.mean)
            .reason_if_failed("minibatches too small for their statistics"),
            Check::new(
                "adversarial-training-is-robust",
                "accuracy under attack of a network trained on attacked images, in percent",
                adversarial.robust,
                Bound::AtLeast(50.0),
                BoundSource::Pilot,
            )
            .baseline("without", none.robust.mean)
            .reason_if_failed("too few epochs for the harder images"),
            robust,
            acts,
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut order: Vec<&Method> = report.methods[1..].iter().collect();
        order.sort_by(|a, b| b.gain.mean.total_cmp(&a.gain.mean));
        vec![Figure::new(
            "gains",
            format!(
                "Shifted copies help most; mixup, L1 and an ensemble of seeds do not help this network at all. Test \
                 error without a regulariser less that with it, in points, same start and order of images; mean and one \
                 standard deviation of {} seeds, {} training and {} test images.",
                report.methods[0].error.n, report.train_images, report.test_images
            ),
            "Horizontal bars, the best method first. Shifts are ahead with several points, adversarial training follows, \
             dropout, label smoothing and input noise gain less than a point, the others are near zero or negative.",
            Plot::new(
                Axis::linear("fewer test errors than without, points"),
                Axis::categories("", order.iter().map(|method| method.name.clone())),
            )
            .bars("gain", order.iter().map(|method| (method.gain.mean, method.gain.sd))),
        )]
    }
}

/// Percent wrong, and percent right under attack.
struct Score {
    error: f64,
    robust: f64,
}

fn score<M, S, B, C>(net: &M, test: Tensor<S, f32, Cpu>, labels: &[usize]) -> Result<Score, lab::Error>
where
    S: Shape,
    B: Dim,
    C: Dim,
    M: Module<Tensor<S, f32, Cpu>, Output = Tensor<(B, C), f32, Cpu>>
        + Module<
            Tensor<S, f32, Cpu, OwnedTape<f32, Cpu>>,
            Output = Tensor<(B, C), f32, Cpu, OwnedTape<f32, Cpu>>,
            Error = dfdx::prelude::CpuError,
        >,
{
    let attacked = fgsm(net, &test, labels, EPSILON).map_err(lab::Error::unit)?.clamp(BLACK, WHITE);
    let right = |x: Tensor<S, f32, Cpu>| percent_equal(&largest(&net.forward(x).as_vec()), labels);
    Ok(Score { error: 100.0 - right(test), robust: right(attacked) })
}

/// The class of most votes, row by row.
fn largest(votes: &[f32]) -> Vec<usize> {
    let largest = |row: &[f32]| (0..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    votes.chunks(CLASSES).map(largest).collect()
}

/// The network with its hidden votes normalised over the minibatch; the scale of the start is divided out.
type Normed<const H: usize> = ((Linear<784, H>, BatchNorm1D<H, Relu>), Linear<H, CLASSES>);

/// Trains the network with batch norm by the plan of the others and judges it.
fn normed<const H: usize>(
    config: &RegulariserLeagueConfig,
    train: &Digits,
    test: &Digits,
    seed: lab::Seed,
) -> Result<Score, lab::Error> {
    let mut net = Cpu::seed_from_u64(seed.value()).build_module::<Normed<H>, f32>();
    let rule = SgdConfig { learning_rate: 0.05, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
    let mut sgd = Sgd::try_new(&net, rule).map_err(lab::Error::unit)?;
    let steps = typed_runs::steps(train, BATCH, config.epochs);
    typed_runs::fit(&mut net, &mut sgd, train, BATCH, steps, seed)?;
    let (x, labels) = typed_runs::rows::<784>(test, &(0..test.len()).collect::<Vec<_>>());
    score(&net, x, &labels)
}

fn fit(
    config: &RegulariserLeagueConfig,
    set: &Digits,
    kind: Kind,
    weights: Key,
    order: Key,
) -> Result<(Net, f64), lab::Error> {
    let weight_decay = if let Kind::L2(factor) = kind { factor } else { 0.0 };
    let plan = Plan { epochs: config.epochs, batch: BATCH, learning_rate: 0.05, momentum: 0.9, weight_decay };
    let mut net = he_net(&[set.features, config.hidden, CLASSES], ActivationKind::Relu, weights)?;
    let mut sgd = plan.optimizer(&net)?;
    let (mut shortened, mut steps) = (0, 0);
    let step = |net: &mut Net, draw: Draw| {
        if let Kind::MaxNorm(limit) = kind {
            let weights = kernels::flat_mut(&mut net.layers[0].weight);
            shortened += max_norm(weights, set.features, limit).map_err(lab::Error::unit)?;
        }
        steps += config.hidden;
        loss(net, set, kind, &draw)
    };
    train(&mut net, &mut sgd, set.len(), plan, order, step, |_, _, _| Ok(true))?;
    Ok((net, f64::from(u32::try_from(shortened).unwrap_or(u32::MAX)) / steps.max(1) as f64))
}

/// The loss of one minibatch with one regulariser.
fn loss(net: &mut Net, set: &Digits, kind: Kind, draw: &Draw) -> Result<Loss, lab::Error> {
    let unit = |error: crate::Error| lab::Error::unit(error);
    let (x, labels) = set.batch(&draw.rows);
    let plainly = |x| cross_entropy_mean(net.forward(x), &labels);
    Ok(match kind {
        // L2 is the optimiser's weight decay; max-norm acts before the step; batch norm has a network of its own.
        Kind::None | Kind::L2(_) | Kind::MaxNorm(_) | Kind::BatchNorm => plainly(x.leaky_trace()),
        Kind::L1(factor) => {
            // The proximal step of the penalty before the gradient step of the loss.
            for layer in &mut net.layers {
                let mut w: Vec<f64> = layer.weight.as_vec().into_iter().map(f64::from).collect();
                Penalty::L1(factor).prox(&mut w, PROXIMAL_STEP).map_err(unit)?;
                let to = kernels::flat_mut(&mut layer.weight);
                to.iter_mut().zip(w).for_each(|(to, w)| *to = w as f32);
            }
            cross_entropy_mean(net.forward(x.leaky_trace()), &labels)
        }
        Kind::Dropout(rate) => {
            let dropped = |_, a| Ok(try_dropout(a, rate, draw.key).unwrap_or_else(|error| panic!("{error}")));
            let output = net.try_forward_with(x.leaky_trace(), dropped).map_err(lab_device)?;
            cross_entropy_mean(output, &labels)
        }
        Kind::Noise(deviation) => {
            let noisy = try_gaussian_noise(x.leaky_trace(), deviation, draw.key).map_err(lab::Error::unit)?;
            plainly(noisy)
        }
        Kind::WeightNoise(deviation) => {
            let mut noisy = net.clone(); // with the ids of the network's tensors: its gradients are the network's
            for (l, layer) in noisy.layers.iter_mut().enumerate() {
                let mut noise = vec![0.0_f32; layer.weight.shape().num_elements()];
                draw.key.fold(l as u64).fill_normal(&mut noise);
                let weights = kernels::flat_mut(&mut layer.weight).iter_mut().zip(noise);
                weights.for_each(|(w, noise)| *w += deviation as f32 * noise);
            }
            cross_entropy_mean(noisy.forward(x.leaky_trace()), &labels)
        }
        Kind::LabelNoise(share) => {
            let disturbed = disturb_labels(&labels, CLASSES, share, &mut draw.key.rng()).map_err(unit)?;
            cross_entropy_mean(net.forward(x.leaky_trace()), &disturbed)
        }
        Kind::Shift(max) => {
            let mut rng = draw.key.rng();
            let shift = Shift { max };
            let moved = draw.rows.iter().flat_map(|&i| shift.apply(set.row(i), set.size(), &mut rng));
            plainly(tensor(moved.collect(), (labels.len(), set.features)).leaky_trace())
        }
        Kind::Smoothing(label_smoothing) => {
            let loss = ClassLoss::CrossEntropy { label_smoothing };
            class_loss_mean(net.forward(x.leaky_trace()), &labels, loss, Classes::default())
        }
        // ANCHOR: minibatch
        Kind::Mixup(alpha) => {
            let share = mixup::share(alpha, &mut draw.key.rng()).map_err(unit)?;
            let partner = draw.key.fold(1).permutation(labels.len());
            let mixed = mixup::mix(&x, &labels, CLASSES, &partner, share).map_err(unit)?;
            let output = net.forward(mixed.x.leaky_trace());
            distribution_loss_mean(output, &mixed.targets, DistributionLoss::CrossEntropy)
        }
        Kind::Adversarial(epsilon) => {
            let attacked = fgsm(net, &x, &labels, epsilon).map_err(unit)?.clamp(BLACK, WHITE);
            let clean = plainly(x.leaky_trace());
            let hard = plainly(attacked.leaky_trace());
            (clean + hard) * 0.5
        } // ANCHOR_END: minibatch
    })
}

fn lab_device(error: impl std::fmt::Display + std::fmt::Debug) -> lab::Error {
    lab::Error::unit(layers::params::DeviceError::new(error))
}

/// Percent wrong of the mean of the outputs of networks with different starts and orders.
fn ensemble_error(
    config: &RegulariserLeagueConfig,
    train: &Digits,
    test: &Digits,
    seed: lab::Seed,
) -> Result<f64, lab::Error> {
    let mut sum = vec![0.0_f32; test.len() * CLASSES];
    for member in 0..ENSEMBLE as u64 {
        let (weights, order) = (seed.key("weights").fold(member), seed.key("order").fold(member));
        let (net, _) = fit(config, train, Kind::None, weights, order)?;
        let share = kernels::softmax(net.forward(test.whole()));
        sum.iter_mut().zip(share.as_vec()).for_each(|(sum, share)| *sum += share);
    }
    Ok(100.0 - percent_equal(&largest(&sum), &test.labels))
}
