//! Szegedy et al.'s observation, scaled down: wide residual networks are lost, unless what a branch adds is scaled.

use super::at_least;
use super::clothes::{Reader, Standard, device, reader};
use crate::blocks::{Percent, ScaledResidual};
use datasets::Batches;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Cpu, DeviceBuildExt, Trace};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use layers::init::{self, Fan, Init, gain};
use layers::params::{self, DeviceError};
use layers::prelude::*;
use layers::{Momentum, Sgd, SgdConfig, Step};
use serde::{Deserialize, Serialize};

/// Networks of 40 layers, narrow and four times as wide, with whole branches and with a fifth of them.
#[derive(Debug)]
pub struct WideResiduals;

/// What may vary in [`WideResiduals`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct WideResidualsConfig {
    /// Trainings of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of each training, each on 50 images
    #[arg(long)]
    pub steps: usize,
    /// Learning rate
    #[arg(long)]
    pub learning_rate: f64,
}

impl Default for WideResidualsConfig {
    fn default() -> Self {
        Self { seeds: 3, steps: 40, learning_rate: 0.4 }
    }
}

impl ExperimentConfig for WideResidualsConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 1, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("steps", self.steps, 1)?;
        Ok(self)
    }
}

/// Inception-ResNet's order: normalisation inside of the branch, a linear layer last, nothing on the sum.
type Branch<const C: usize> = ((UnbiasedConv2D<C, C, 3, 1, 1>, BatchNorm2D<C, Relu>), Conv2D<C, C, 1>);
/// A stem, 19 blocks of two layers and a linear layer, on 7 × 7 places; `S` percent of each branch.
type Forty<const C: usize, const S: usize> = (
    (UnbiasedConv2D<1, C, 3, 2, 1>, BatchNorm2D<C, Relu>),
    Repeated<ScaledResidual<Branch<C>, Relu, Percent<S>>, 19>,
    (GlobalAvgPool, Linear<C, 10>),
);
const NARROW: usize = 12;
const WIDE: usize = 4 * NARROW;
reader!(Forty<NARROW, 100>, 14_usize, [0 1 2]);
reader!(Forty<WIDE, 100>, 14_usize, [0 1 2]);
reader!(Forty<WIDE, 20>, 14_usize, [0 1 2]);

/// What [`WideResiduals`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WideResidualsReport {
    /// Whether the steps are enough for claims.
    pub is_full: bool,
    /// Narrow, wide, wide with scaled branches.
    pub networks: Vec<Width>,
    /// The same as text.
    pub table: Table,
}

/// One kind of network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Width {
    /// Its name.
    pub name: String,
    /// Training loss of each step up to the first that is not finite, one list per seed, nats.
    pub losses: Vec<Vec<f64>>,
    /// Standard deviation of a logit from one training image to another after training, mean over classes, one per
    /// seed; none where it is not finite. 0 where the last block gives nothing but zeros.
    pub spreads: Vec<Option<f64>>,
}

/// Steps whose mean loss is the last word.
const LAST: usize = 10;

impl Width {
    /// Per seed 1 where the loss or a gradient was not finite before the last of `steps` steps, else 0.
    fn broken(&self, steps: usize) -> Vec<f64> {
        self.losses.iter().map(|losses| f64::from(u8::from(losses.len() < steps))).collect()
    }

    /// Per seed 1 where the network is broken or ends no better than guessing, else 0.
    fn lost(&self, steps: usize) -> Vec<f64> {
        let guess = 10.0_f64.ln();
        let is_lost = |losses: &Vec<f64>| {
            let last = &losses[losses.len().saturating_sub(LAST)..];
            losses.len() < steps || Measured::over(last).mean >= guess
        };
        self.losses.iter().map(|losses| f64::from(u8::from(is_lost(losses)))).collect()
    }

    /// Per seed 1 where no logit depends on the image, else 0.
    fn dead(&self) -> Vec<f64> {
        self.spreads.iter().map(|spread| f64::from(u8::from(*spread == Some(0.0)))).collect()
    }
}

fn he<M: TensorCollection<f32, Cpu>>(model: &mut M, key: Key) -> Result<(), DeviceError> {
    let convolution = |parameter: &params::Parameter| match parameter.ndim() {
        4 => Init::he_normal(parameter, Fan::Out, gain::RELU),
        _ => Init::Keep,
    };
    init::draw(model, convolution, key)
}

fn width<N: Reader>(
    name: &str,
    config: &WideResidualsConfig,
    data: &Standard,
    lab: &mut Lab,
) -> Result<Width, lab::Error> {
    const BATCH: usize = 50;
    let (mut all, mut spreads) = (Vec::new(), Vec::new());
    for (run, seed) in lab.seeds(config.seeds).into_iter().enumerate() {
        let mut net = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        he(&mut net, seed.key("weights")).map_err(lab::Error::unit)?;
        let sgd = SgdConfig {
            learning_rate: config.learning_rate,
            momentum: Momentum::HeavyBall(0.9),
            weight_decay: 0.0,
        };
        let mut sgd = Sgd::try_new(&net, sgd)?;
        let batches = Batches::new(data.images.len(), BATCH, seed.value());
        let mut losses = Vec::new();
        let rows = (0..).flat_map(|epoch| batches.epoch(epoch).collect::<Vec<_>>());
        for rows in rows.take(config.steps) {
            let logits = N::learn(&mut net, data.batch(&rows, (0, 0)).leaky_trace()).map_err(device)?;
            let loss = kernels::try_cross_entropy_mean(logits, &data.images.batch_labels(&rows));
            let loss = loss.map_err(lab::Error::unit)?;
            let value = f64::from(loss.array());
            // A network that is lost is what is counted: the end of its run, not an error.
            if !value.is_finite() || sgd.step(&mut net, &mut loss.backward()).is_err() {
                break;
            }
            losses.push(value);
        }
        all.push(losses);
        let rows: Vec<usize> = (0..BATCH).collect();
        let logits = N::learn(&mut net, data.batch(&rows, (0, 0)).leaky_trace()).map_err(device)?;
        spreads.push(Some(spread(&logits.as_vec())).filter(|spread| spread.is_finite()));
        lab.progress(name, run as u64 + 1, config.seeds as u64, None)?;
    }
    Ok(Width { name: name.to_owned(), losses: all, spreads })
}

/// Standard deviation of a logit over the images, mean over the ten classes.
fn spread(logits: &[f32]) -> f64 {
    let of = |class: usize| {
        let column: Vec<f64> = logits.iter().skip(class).step_by(10).map(|&logit| f64::from(logit)).collect();
        Measured::over(&column).sd
    };
    (0..10).map(of).sum::<f64>() / 10.0
}

impl Experiment for WideResiduals {
    type Config = WideResidualsConfig;
    type Report = WideResidualsReport;
    const ABOUT: About = About {
        name: "wide-residuals",
        lecture: 14,
        paper: "Szegedy, Ioffe, Vanhoucke & Alemi (2017), Inception-v4, Inception-ResNet and the impact of residual \
                connections on learning, section 3.3",
        claim: "At a learning rate of 0.4 most wide residual networks of 40 layers without normalisation on their sums read \
                no better than a guess after 40 steps; with a fifth of what their branches add all do",
        sources: &[include_str!("widths.rs"), include_str!("clothes.rs"), include_str!("../blocks.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let [data, _] = Standard::both(&split.train, &split.test).map(|data| data.halved());
        let networks = vec![
            width::<Forty<NARROW, 100>>("narrow", config, &data, lab)?,
            width::<Forty<WIDE, 100>>("wide", config, &data, lab)?,
            width::<Forty<WIDE, 20>>("wide, branches × 0.2", config, &data, lab)?,
        ];
        let mut table = Table::new([
            "network of 40 layers",
            "not finite",
            "lost",
            "training loss, last steps",
            "logits from image to image",
        ]);
        for network in &networks {
            let of = |flags: Vec<f64>| format!("{} of {}", flags.iter().sum::<f64>(), flags.len());
            let ends = network.losses.iter().map(|losses| {
                if losses.len() < config.steps {
                    return "—".to_owned();
                }
                format!("{:.2}", Measured::over(&losses[losses.len().saturating_sub(LAST)..]).mean)
            });
            let spreads = network.spreads.iter();
            let spreads =
                spreads.map(|spread| spread.map_or("—".to_owned(), |spread| format!("{spread:.2}")));
            table.row([
                network.name.clone(),
                of(network.broken(config.steps)),
                of(network.lost(config.steps)),
                ends.collect::<Vec<_>>().join(", "),
                spreads.collect::<Vec<_>>().join(", "),
            ]);
        }
        let full = WideResidualsConfig::default();
        Ok(WideResidualsReport { is_full: config.steps >= full.steps, networks, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [narrow, wide, scaled] = &report.networks[..] else { return Vec::new() };
        let pairs = scaled.losses.iter().zip(&wide.losses);
        let changes: Vec<f64> =
            pairs.filter_map(|(fifth, whole)| Some(fifth.first()? - whole.first()?)).collect();
        let mut checks = Vec::new();
        if !changes.is_empty() {
            checks.push(
                Check::new(
                    "scaling-tames-the-start",
                    "loss of wide networks before training, branches times 0.2 minus whole, nats, same seeds",
                    Measured::over(&changes),
                    // Pilot, seeds 100 to 102: -0.848 ± 0.086; three standard deviations above.
                    Bound::AtMost(-0.59),
                    BoundSource::Pilot,
                )
                .reason_if_failed("the branches add up to little as they are"),
            );
        }
        if !report.is_full {
            return checks;
        }
        let steps = report.networks.iter().flat_map(|n| n.losses.iter().map(Vec::len)).max().unwrap_or(0);
        checks.extend([
            Check::new(
                "wide-networks-are-lost",
                "share of wide networks with whole branches whose loss is not finite or no better than guessing",
                Measured::over(&wide.lost(steps)),
                // The paper's wide networks die: most of ours should.
                Bound::AtLeast(0.5),
                BoundSource::Paper,
            )
            .baseline("narrow", Measured::over(&narrow.lost(steps)).mean)
            .reason_if_failed("48 maps are few: the paper saw it with more than a thousand"),
            Check::new(
                "wide-networks-die",
                "share of wide networks with whole branches that say the same of every image",
                Measured::over(&wide.dead()),
                // The paper's wide networks end with nothing but zeros before the pooling.
                Bound::AtLeast(0.5),
                BoundSource::Paper,
            )
            .baseline("narrow", Measured::over(&narrow.dead()).mean)
            .reason_if_failed("48 maps and 40 steps are few: the paper had a thousand maps and tens of thousands of steps"),
            Check::new(
                "scaled-networks-are-not",
                "share of wide networks with branches times 0.2 whose loss is not finite or no better than guessing",
                Measured::over(&scaled.lost(steps)),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .baseline("whole branches", Measured::over(&wide.lost(steps)).mean)
            .reason_if_failed("the learning rate is too large for these networks with any branches"),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let steps = report.networks.iter().flat_map(|n| n.losses.iter().map(Vec::len)).max().unwrap_or(0);
        let guess = Line::new("guessing", [(1.0, 10.0_f64.ln()), (steps.max(2) as f64, 10.0_f64.ln())]);
        let plot = report.networks.iter().fold(
            Plot::new(Axis::linear("step"), Axis::logarithmic("training loss (nats)")).line(guess),
            |plot, network| {
                // Geometric means over the seeds that are still there.
                let mean = |step: usize| {
                    let values = network.losses.iter().filter_map(|losses| losses.get(step));
                    let logs: Vec<f64> = values.map(|loss| loss.max(1e-6).ln()).collect();
                    (!logs.is_empty()).then(|| (step as f64 + 1.0, Measured::over(&logs).mean.exp()))
                };
                plot.line(Line::new(network.name.clone(), (0..steps).filter_map(mean).collect::<Vec<_>>()))
            },
        );
        vec![Figure::new(
            "loss",
            "Scaled branches start near a guess and learn; whole ones are thrown off first. Training loss of residual \
             networks of 40 layers without normalisation on the sums at a learning rate of 0.4: narrow, four times as wide, \
             and wide with a fifth of what the branches add; geometric mean over the seeds whose loss is finite. The line \
             is the loss of a guess.",
            "Three curves over the steps on a logarithmic axis, beside a horizontal line for guessing. That of wide networks \
             with whole branches rises far above the line in the first steps and comes back to it; that of scaled branches \
             starts near the line and falls below it.",
            plot,
        )]
    }
}
