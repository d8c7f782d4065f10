//! What shortcuts do to gradients before the first step: norms layer by layer, singular values of a stack of blocks.

use super::at_least;
use super::clothes::{Reader, Standard, device, reader};
use crate::resnet::{self, Basic, PlainBlock, SmallPlainNet, SmallPreActivationNet, SmallResNet};
use dfdx::nn::builders::Repeated;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{
    Backward, BuildOnDevice, Const, Cpu, CpuError, DeviceBuildExt, Module, ModuleMut, NoneTape, OwnedTape,
    Rank0, SumTo, Tensor, Trace, ZerosTensor,
};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use layers::init::{self, Fan, Init, gain};
use layers::params;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Plain, residual and pre-activation networks of 110 layers before training.
#[derive(Debug)]
pub struct GradientsThroughDepth;

/// What may vary in [`GradientsThroughDepth`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct GradientsThroughDepthConfig {
    /// Networks of each kind, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images whose loss is differentiated, from the first
    #[arg(long)]
    pub images: usize,
}

impl Default for GradientsThroughDepthConfig {
    fn default() -> Self {
        Self { seeds: 5, images: 100 }
    }
}

impl ExperimentConfig for GradientsThroughDepthConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 20 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("images", self.images, 2)?;
        Ok(self)
    }
}

/// What [`GradientsThroughDepth`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradientsThroughDepthReport {
    /// Plain, residual, pre-activation, residual with branches that start at [`SCALE`].
    pub networks: Vec<Depths>,
    /// Plain blocks, residual blocks.
    pub stacks: Vec<Stack>,
    /// The same as text.
    pub table: Table,
}

/// Gradients of one kind of network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Depths {
    /// Its name.
    pub name: String,
    /// Norm of the gradient of each 3 × 3 convolution from the image on, one list per seed.
    pub norms: Vec<Vec<f64>>,
    /// The first convolution's norm over the last's, of each seed.
    pub growth: Vec<f64>,
    /// The same, mean over seeds.
    pub mean_growth: f64,
}

/// The Jacobian of a stack of [`BLOCKS`] blocks on maps of [`SIDE`] × [`SIDE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Singular values over the largest, from there down, one list per seed.
    pub singular_values: Vec<Vec<f64>>,
    /// The median one over the largest, of each seed.
    pub median: Vec<f64>,
    /// The same, mean over seeds.
    pub mean_median: f64,
}

/// What the last normalisation of each branch multiplies by in the fourth network.
pub const SCALE: f32 = 0.2;
/// Blocks of a stack.
pub const BLOCKS: usize = 9;
/// Pixels of a side of its maps.
pub const SIDE: usize = 6;
/// Its maps.
const MAPS: usize = 6;

reader!(SmallPlainNet<6, 12, 24, 17>, 14_usize, [0 1 2 3 4]);
reader!(SmallResNet<6, 12, 24, 17>, 14_usize, [0 1 2 3 4]);
reader!(SmallPreActivationNet<6, 12, 24, 17>, 14_usize, [0 1 2 3 4 5]);

/// Convolutions by their outputs, as in the paper; linear layers keep their start.
fn he<M: TensorCollection<f32, Cpu>>(model: &mut M, key: Key) -> Result<(), lab::Error> {
    let convolution = |parameter: &params::Parameter| match parameter.ndim() {
        4 => Init::he_normal(parameter, Fan::Out, gain::RELU),
        _ => Init::Keep,
    };
    init::draw(model, convolution, key).map_err(lab::Error::unit)
}

fn depths<N: Reader>(
    name: &str,
    scale: Option<f32>,
    config: &GradientsThroughDepthConfig,
    data: &Standard,
    lab: &mut Lab,
) -> Result<Depths, lab::Error> {
    let rows: Vec<usize> = (0..config.images.min(data.images.len())).collect();
    let (mut norms, mut growth) = (vec![], vec![]);
    for (i, seed) in lab.seeds(config.seeds).into_iter().enumerate() {
        let mut net = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        he(&mut net, seed.key("weights"))?;
        if let Some(scale) = scale {
            resnet::set_last_gains(&mut net, scale).map_err(lab::Error::unit)?;
        }
        let logits = N::learn(&mut net, data.batch(&rows, (0, 0)).leaky_trace()).map_err(device)?;
        let labels = data.images.batch_labels(&rows);
        let loss = kernels::try_cross_entropy_mean(logits, &labels).map_err(lab::Error::unit)?;
        let flat = params::flatten_gradients(&net, &mut loss.backward()).map_err(lab::Error::unit)?;
        let mut rest = &flat[..];
        let mut layers: Vec<f64> = Vec::new();
        for parameter in params::list(&net).into_iter().filter(|parameter| parameter.is_trainable) {
            let (gradient, tail) = rest.split_at(parameter.numel());
            rest = tail;
            if parameter.ndim() == 4 {
                layers.push(gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt());
            }
        }
        growth.push(layers[0] / layers[layers.len() - 1]);
        norms.push(layers);
        lab.progress(name, i as u64 + 1, config.seeds as u64, None)?;
    }
    let mean_growth = Measured::over(&growth).mean;
    Ok(Depths { name: name.to_owned(), norms, growth, mean_growth })
}

type Maps<T = NoneTape> = Tensor<(usize, Const<MAPS>, usize, usize), f32, Cpu, T>;

/// A stack of blocks, described.
trait Blocks: BuildOnDevice<Cpu, f32, Built = <Self as Blocks>::Net> {
    /// The stack.
    type Net: TensorCollection<f32, Cpu>
        + ModuleMut<Maps, Output = Maps, Error = CpuError>
        + Module<Maps<OwnedTape<f32, Cpu>>, Output = Maps<OwnedTape<f32, Cpu>>, Error = CpuError>;
}
type PlainStack = Repeated<PlainBlock<MAPS, MAPS, 1>, BLOCKS>;
type ResidualStack = Repeated<Basic<MAPS>, BLOCKS>;
impl Blocks for PlainStack {
    type Net = <PlainStack as BuildOnDevice<Cpu, f32>>::Built;
}
impl Blocks for ResidualStack {
    type Net = <ResidualStack as BuildOnDevice<Cpu, f32>>::Built;
}

/// Maps as a rectifier leaves them: normal, and 0 where that is negative.
fn rectified(count: usize, key: Key) -> Maps {
    let mut values = vec![0.0_f32; count * MAPS * SIDE * SIDE];
    key.fill_normal(&mut values);
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    let mut maps = Cpu::default().zeros_like(&(count, Const, SIDE, SIDE));
    maps.copy_from(&values);
    maps
}

/// Singular values of the Jacobian at one input, relative to the largest, falling.
fn singular_values<B: Blocks>(seed: lab::Seed) -> Result<Vec<f64>, lab::Error> {
    const SIZE: usize = MAPS * SIDE * SIDE;
    // A running mean with momentum 0.1 is within 1 % of the batches' mean after 50 of them.
    const SETTLED: u64 = 50;
    let mut net = Cpu::seed_from_u64(seed.value()).build_module::<B, f32>();
    he(&mut net, seed.key("weights"))?;
    for batch in 0..SETTLED {
        net.try_forward_mut(rectified(32, seed.key("batches").fold(batch))).map_err(device)?;
    }
    // Every row of the batch is the same input; the sum of row i's element i has row i of the Jacobian as gradient.
    let input = rectified(1, seed.key("input")).as_vec();
    let mut x: Maps = Cpu::default().zeros_like(&(SIZE, Const, SIDE, SIDE));
    x.copy_from(&input.repeat(SIZE));
    let y = net.try_forward(x.leaky_trace()).map_err(device)?;
    let mut diagonal: Maps = Cpu::default().zeros_like(&(SIZE, Const, SIDE, SIDE));
    let unit: Vec<f32> = (0..SIZE * SIZE).map(|at| f32::from(u8::from(at / SIZE == at % SIZE))).collect();
    diagonal.copy_from(&unit);
    let jacobian = (y * diagonal).sum::<Rank0, _>().backward().get(&x).as_vec();
    let jacobian = DMatrix::from_row_iterator(SIZE, SIZE, jacobian.into_iter().map(f64::from));
    let values = jacobian.singular_values();
    let mut values: Vec<f64> = values.iter().copied().collect();
    values.sort_by(|a, b| b.total_cmp(a));
    let largest = values[0].max(f64::MIN_POSITIVE);
    Ok(values.into_iter().map(|value| value / largest).collect())
}

fn stack<B: Blocks>(name: &str, seeds: usize, lab: &mut Lab) -> Result<Stack, lab::Error> {
    let values: Result<Vec<Vec<f64>>, lab::Error> =
        lab.seeds(seeds).into_iter().map(singular_values::<B>).collect();
    let singular_values = values?;
    let median: Vec<f64> = singular_values.iter().map(|values| values[values.len() / 2]).collect();
    let mean_median = Measured::over(&median).mean;
    Ok(Stack { name: name.to_owned(), singular_values, median, mean_median })
}

impl Experiment for GradientsThroughDepth {
    type Config = GradientsThroughDepthConfig;
    type Report = GradientsThroughDepthReport;
    const ABOUT: About = About {
        name: "gradients-through-depth",
        lecture: 14,
        paper: "He, Zhang, Ren & Sun (2016), Identity mappings in deep residual networks; Ioffe & Szegedy (2015), Batch \
                normalization",
        claim: "Before training, gradients in a plain network of 110 layers grow at least half a million times towards the \
                image in spite of batch normalisation, with shortcuts at most a hundred times",
        sources: &[
            include_str!("depths.rs"),
            include_str!("clothes.rs"),
            include_str!("../resnet.rs"),
            include_str!("../blocks.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let [data, _] = Standard::both(&split.train, &split.test).map(|data| data.halved());
        let networks = vec![
            depths::<SmallPlainNet<6, 12, 24, 17>>("plain", None, config, &data, lab)?,
            depths::<SmallResNet<6, 12, 24, 17>>("residual", None, config, &data, lab)?,
            depths::<SmallPreActivationNet<6, 12, 24, 17>>("pre-activation", None, config, &data, lab)?,
            depths::<SmallResNet<6, 12, 24, 17>>("residual, scaled", Some(SCALE), config, &data, lab)?,
        ];
        let stacks = vec![
            stack::<PlainStack>("plain blocks", config.seeds, lab)?,
            stack::<ResidualStack>("residual blocks", config.seeds, lab)?,
        ];
        let mut table = Table::new(["network of 110 layers", "first gradient over last"]);
        for network in &networks {
            table.row([network.name.clone(), format!("{:.1e}", network.mean_growth)]);
        }
        Ok(GradientsThroughDepthReport { networks, stacks, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let ([plain, residual, pre, scaled], [plain_stack, residual_stack]) =
            (&report.networks[..], &report.stacks[..])
        else {
            return Vec::new();
        };
        // Pilot, seeds 100 to 104: 6.88 ± 0.35, 35 ± 18, 34 ± 15, 8.1 ± 2.7, 0.0017 ± 0.0006 beside 9e-10; three standard deviations of
        // it, the last by its order of magnitude.
        vec![
            Check::new(
                "plain-grows",
                "gradient of the first of 110 plain layers over that of the last, logarithm to base 10",
                Measured::over(&plain.growth.iter().map(|growth| growth.log10()).collect::<Vec<_>>()),
                Bound::AtLeast(5.8),
                BoundSource::Pilot,
            )
            .baseline("residual", residual.mean_growth.log10())
            .reason_if_failed("batch normalisation alone keeps gradients of one size"),
            Check::new(
                "shortcuts-slow-it",
                "gradient of the first of 110 residual layers over that of the last",
                Measured::over(&residual.growth),
                Bound::AtMost(100.0),
                BoundSource::Pilot,
            )
            .baseline("plain", plain.mean_growth)
            .reason_if_failed("the rectifier after the sum stands in the way of the identity"),
            Check::new(
                "pre-activation-slows-it",
                "the same with nothing after the sum",
                Measured::over(&pre.growth),
                Bound::AtMost(100.0),
                BoundSource::Pilot,
            )
            .baseline("residual", residual.mean_growth)
            .reason_if_failed("the branches add up to more than the identity"),
            Check::new(
                "scaling-slows-it-more",
                "the same for residual layers whose branches count a fifth",
                Measured::over(&scaled.growth),
                Bound::AtMost(16.0),
                BoundSource::Pilot,
            )
            .baseline("residual", residual.mean_growth)
            .reason_if_failed("the layers that halve the maps add more than the branches do"),
            Check::new(
                "shortcuts-keep-directions",
                "median singular value of the Jacobian of nine residual blocks, over the largest",
                Measured::over(&residual_stack.median),
                Bound::AtLeast(1e-4),
                BoundSource::Pilot,
            )
            .baseline("plain blocks", plain_stack.mean_median)
            .reason_if_failed("the branches add up to more than the identity"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let numbers = |count: usize| (1..=count).map(|i| i as f64).collect::<Vec<f64>>();
        // Means over seeds of logarithms: a mean of norms shows the largest.
        let geometric = |runs: &[Vec<f64>]| -> Vec<f64> {
            let mean =
                |i: usize| runs.iter().map(|run| run[i].max(1e-8).ln()).sum::<f64>() / runs.len() as f64;
            (0..runs[0].len()).map(|i| mean(i).exp()).collect()
        };
        let line = |name: &str, runs: &[Vec<f64>]| {
            let means = geometric(runs);
            Line::new(name.to_owned(), numbers(means.len()).into_iter().zip(means))
        };
        let norms =
            Plot::new(Axis::linear("layer, from the image"), Axis::logarithmic("norm of the gradient"));
        let values =
            Plot::new(Axis::linear("singular value, largest first"), Axis::logarithmic("over the largest"));
        vec![
            Figure::new(
                "norms",
                "A plain network shouts at its first layers. Norm of the gradient of each 3 × 3 convolution of networks of \
                 110 layers before training, with batch normalisation in all of them; geometric mean over seeds. The last \
                 layer's gradients are of one size.",
                "Three curves over 109 layers on a logarithmic axis. That of the plain network falls steeply from left to \
                 right over many powers of ten; those of the residual and the pre-activation network fall by less than two, and that of the residual \
                 network with scaled branches falls least.",
                report.networks.iter().map(|n| line(&n.name, &n.norms)).fold(norms, Plot::line),
            ),
            Figure::new(
                "singular-values",
                "Without shortcuts most directions are lost. Singular values of the Jacobian of nine blocks of two \
                 convolutions each on six maps of 6 × 6, over the largest; geometric mean over seeds, values below 1e-8 \
                 where 32 bits round, drawn there.",
                "Two falling curves on a logarithmic axis. That of plain blocks falls through many powers of ten; that of \
                 residual blocks stays within about two of them for most of its length.",
                report.stacks.iter().map(|s| line(&s.name, &s.singular_values)).fold(values, Plot::line),
            ),
        ]
    }
}
