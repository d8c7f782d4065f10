//! What windows see and what they cost: the arguments of the papers, counted and measured.

use super::{at_least, rounded, scaled};
use crate::counts::NETWORKS;
use crate::inception::{Inception3a, NaiveInception};
use crate::receptive_field::{self, ReceptiveField};
use dfdx::prelude::{
    Backward, Const, Cpu, DeviceBuildExt, HasShape, Module, Rank0, Rank2, SumTo, Tensor, TensorFrom, Trace,
    ZerosTensor,
};
use kernels::{ClassLoss, Classes, try_class_loss_mean};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Ramp, Raster, Table, Tile,
};
use layers::builders::UnbiasedConv2D;
use layers::modules::MaxPool2D;
use layers::plan::{Plan, Taps, Totals};
use layers::{Planned, params};
use serde::{Deserialize, Serialize};

/// Fields, multiply-adds and a gap of logits.
#[derive(Debug)]
pub struct ConvolutionCosts;

/// What may vary in [`ConvolutionCosts`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ConvolutionCostsConfig {
    /// Steps of descent on the logits of one example, with and without smoothed labels
    #[arg(long)]
    pub steps: usize,
}

impl Default for ConvolutionCostsConfig {
    fn default() -> Self {
        Self { steps: 2000 }
    }
}

impl ExperimentConfig for ConvolutionCostsConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("steps", self.steps, 1)?;
        Ok(self)
    }
}

/// What [`ConvolutionCosts`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConvolutionCostsReport {
    /// Pixels along one axis that the output of ten 3 × 3 layers sees, by the formula.
    pub field: f64,
    /// Those where its gradient is not zero.
    pub support: usize,
    /// Share of the gradient in each row of the field, for equal weights.
    pub profile: Vec<f64>,
    /// Variance of the profile, pixels².
    pub variance: f64,
    /// Multiply-adds of GoogLeNet's module 3a, over those of the same windows without reductions.
    pub reduced: f64,
    /// Weights of two 3 × 3 layers over those of one 5 × 5.
    pub two_for_five: f64,
    /// Weights of 1 × 7 and 7 × 1 over those of 7 × 7.
    pub row_column: f64,
    /// Share of VGG-16's parameters in its first dense layer.
    pub dense_share: f64,
    /// Share of VGG-16's activations in its first two blocks.
    pub early_share: f64,
    /// Parameters of VGG-16 over those of GoogLeNet.
    pub vgg_over_googlenet: f64,
    /// Multiply-adds of ResNet-152 over those of VGG-16.
    pub resnet_over_vgg: f64,
    /// Logit of the true class minus the others' mean after the descent: labels smoothed by 0.1, and not.
    pub gaps: [f64; 2],
    /// The gap of smoothed labels after each hundredth of the descent, and of hard ones.
    pub gap_curves: [Vec<f64>; 2],
    /// Mean relative change of a map of edges when 100 images move by one pixel: as it is, and after pooling by 2.
    pub shift_change: [f64; 2],
    /// Layers of VGG-16: name, parameters, activations.
    pub vgg: Vec<(String, u64, u64)>,
    /// The networks of the literature.
    pub table: Table,
    /// An image of clothes and four fixed kernels' maps of it, 28 × 28 each.
    pub kernels: Vec<Vec<f64>>,
    /// The matrix of a 3 × 3 convolution of 5 × 5 pixels, 9 × 25.
    pub matrix: Vec<f64>,
    /// A convolution as one product.
    pub patches: Patches,
    /// Receptive fields against depth.
    pub growth: Growth,
    /// Maps that come into GoogLeNet's first module.
    pub module_input: usize,
    /// Its branches: the windows of each with the maps that they give.
    pub module: Vec<Vec<(String, usize)>>,
}

/// The windows of a picture as the columns of a matrix: then a convolution is a row of weights times it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Patches {
    /// A part of an image, [`PART`] × [`PART`].
    pub picture: Vec<f64>,
    /// 9 rows, a column for each place of the window.
    pub matrix: Vec<f64>,
    /// What the layer makes of the part.
    pub output: Vec<f64>,
    /// Largest difference between that and the row of weights times the matrix.
    pub difference: f64,
}

/// Pixels of a side of the part.
pub const PART: usize = 8;
/// Places of the window along a side.
const PLACES: usize = PART - 2;
/// First row and column of the part, on the edge of the thing.
const PART_AT: (usize, usize) = (6, 4);
/// The place whose window is marked.
const MARKED: (usize, usize) = (1, 3);

/// What one output sees along an axis, pixels, after each layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Growth {
    /// 3 × 3 layers, by the formula.
    pub three: Vec<f64>,
    /// The same: pixels where the gradient is not zero.
    pub support: Vec<usize>,
    /// The same: four standard deviations of where the gradient arrives, equal weights.
    pub effective: Vec<f64>,
    /// 3 × 3 layers of dilations 1, 2, 4, 8, 16, by the formula.
    pub dilated: Vec<f64>,
    /// VGG-16's convolutions, with the pooling between them, by the formula.
    pub vgg: Vec<f64>,
}

/// Fixed kernels: blur, sharpen, edges down, edges across.
const KERNELS: [(&str, [f32; 9]); 4] = [
    ("blur", [1.0 / 9.0; 9]),
    ("sharpen", [0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0]),
    ("rows", [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0]),
    ("columns", [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0]),
];

type Pixels = Tensor<(usize, Const<1>, usize, usize), f32, Cpu>;

/// `depth` layers of 3 × 3 equal weights: the field by the formula, and the gradient of one output, row by row.
fn effective_field(depth: usize) -> Result<(f64, Vec<f64>), lab::Error> {
    type Three = UnbiasedConv2D<1, 1, 3>;
    let dev = Cpu::default();
    let mut layer = dev.build_module::<Three, f64>();
    params::visit_mut(&mut layer, |_, weights: &mut [f64]| weights.fill(1.0 / 9.0))
        .map_err(lab::Error::unit)?;
    let field =
        ReceptiveField::PIXEL.after(&Plan::Repeat(&Three::PLAN, depth), receptive_field::Axis::Rows).size;
    // Two pixels more on each side, to see that nothing arrives there.
    let side = field as usize + 4;
    let x: Tensor<(Const<1>, Const<1>, usize, usize), f64, Cpu> = dev.zeros_like(&(Const, Const, side, side));
    let y = (0..depth).fold(x.leaky_trace(), |y, _| layer.forward(y));
    let (_, _, rows, _) = *y.shape();
    let mut middle = dev.zeros_like(&y);
    let mut chosen = vec![0.0; rows * rows];
    chosen[rows / 2 * rows + rows / 2] = 1.0;
    middle.copy_from(&chosen);
    let gradient = (y * middle).sum::<Rank0, _>().backward().get(&x).as_vec();
    Ok((field, gradient.chunks(side).map(|row| row.iter().sum()).collect()))
}

/// The rows of a gradient that are not zero, and their variance about the middle, pixels².
fn profile(gradient: &[f64]) -> (Vec<f64>, f64) {
    let profile: Vec<f64> = gradient.iter().copied().filter(|share| *share > 0.0).collect();
    let middle = (profile.len() as f64 - 1.0) / 2.0;
    let moment = |(row, share): (usize, &f64)| share * (row as f64 - middle).powi(2);
    let variance = profile.iter().enumerate().map(moment).sum();
    (profile, variance)
}

fn growth() -> Result<Growth, lab::Error> {
    let (mut three, mut support, mut effective) = (vec![], vec![], vec![]);
    for depth in 1..=10 {
        let (field, gradient) = effective_field(depth)?;
        let (profile, variance) = profile(&gradient);
        three.push(field);
        support.push(profile.len());
        effective.push(4.0 * variance.sqrt());
    }
    let mut field = ReceptiveField::PIXEL;
    let dilated = [1, 2, 4, 8, 16].map(|dilation| {
        field = field.after_taps(Taps { kernel: 3, stride: 1, padding: dilation, dilation });
        field.size
    });
    let rows = crate::vgg::Vgg16::<1000>::PLAN.rows([3, 224, 224]).map_err(lab::Error::unit)?;
    let (mut field, mut vgg) = (ReceptiveField::PIXEL, vec![]);
    for row in rows {
        field = field.after(&row.plan, receptive_field::Axis::Rows);
        if matches!(row.plan, Plan::Convolution { .. }) {
            vgg.push(field.size);
        }
    }
    Ok(Growth { three, support, effective, dilated: dilated.to_vec(), vgg })
}

/// A part of an image, its windows as columns, and the map of edges by both ways.
fn patches(image: &[f32]) -> Patches {
    let part: Vec<f32> =
        (0..PART * PART).map(|at| image[(PART_AT.0 + at / PART) * 28 + PART_AT.1 + at % PART]).collect();
    let kernel = KERNELS[3].1;
    let mut layer = Cpu::default().build_module::<UnbiasedConv2D<1, 1, 3>, f32>();
    layer.weight.copy_from(&kernel);
    let output = layer.forward(picture(&part, PART)).as_vec();
    let column = |place: usize| (place / PLACES, place % PLACES);
    let matrix: Vec<f32> = (0..9 * PLACES * PLACES)
        .map(|at| {
            let (tap, (row, col)) = (at / (PLACES * PLACES), column(at % (PLACES * PLACES)));
            part[(row + tap / 3) * PART + col + tap % 3]
        })
        .collect();
    let product = |place: usize| -> f64 {
        (0..9).map(|tap| f64::from(kernel[tap]) * f64::from(matrix[tap * PLACES * PLACES + place])).sum()
    };
    let difference = output
        .iter()
        .enumerate()
        .map(|(place, y)| (f64::from(*y) - product(place)).abs())
        .fold(0.0, f64::max);
    Patches { picture: rounded(part), matrix: rounded(matrix), output: rounded(output), difference }
}

/// Descent on the logits of one example of ten classes: how far the true one gets away from the rest.
fn gap_curve(label_smoothing: f64, steps: usize) -> Result<Vec<f64>, lab::Error> {
    const RATE: f64 = 2.0; // the curvature of a softmax is below ½
    let dev = Cpu::default();
    let loss = ClassLoss::CrossEntropy { label_smoothing };
    let mut logits = [0.0; 10];
    let mut curve = Vec::new();
    for step in 1..=steps {
        let z: Tensor<Rank2<1, 10>, f64, _> = dev.tensor([logits]);
        let mean = try_class_loss_mean(z.leaky_trace(), &[0], loss, Classes::default());
        let gradient = mean.map_err(lab::Error::unit)?.backward().get(&z).as_vec();
        logits.iter_mut().zip(gradient).for_each(|(z, g)| *z -= RATE * g);
        if step % steps.div_ceil(100) == 0 || step == steps {
            curve.push(logits[0] - logits[1..].iter().sum::<f64>() / 9.0);
        }
    }
    Ok(curve)
}

/// A 3 × 3 layer whose kernel is given.
fn fixed(
    kernel: &[f32; 9],
) -> <UnbiasedConv2D<1, 1, 3, 1, 1> as dfdx::prelude::BuildOnDevice<Cpu, f32>>::Built {
    let mut layer = Cpu::default().build_module::<UnbiasedConv2D<1, 1, 3, 1, 1>, f32>();
    layer.weight.copy_from(kernel);
    layer
}

fn picture(values: &[f32], side: usize) -> Pixels {
    let mut x = Cpu::default().zeros_like(&(values.len() / (side * side), Const::<1>, side, side));
    x.copy_from(values);
    x
}

/// Relative change of the map of edges when images move by one column, as it is and pooled.
fn shift_change(images: &[Vec<f32>]) -> [f64; 2] {
    let edges = fixed(&KERNELS[3].1);
    let moved: Vec<f32> = images
        .iter()
        .flat_map(|image| {
            image.chunks(28).flat_map(|row| [&[0.0][..], &row[..27]].concat()).collect::<Vec<_>>()
        })
        .collect();
    let maps = [images.concat(), moved].map(|values| edges.forward(picture(&values, 28)));
    let pooled = maps.each_ref().map(|map| MaxPool2D::<2, 2>.forward(map.clone()).as_vec());
    let plain = maps.map(|map| map.as_vec());
    [plain, pooled].map(|[still, moved]| {
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let change = norm(&mut still.iter().zip(&moved).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        change / norm(&mut still.iter().map(|v| f64::from(*v)))
    })
}

/// The convolution of 5 × 5 pixels with a 3 × 3 kernel as a matrix: its columns are the answers to single pixels.
fn matrix() -> Vec<f64> {
    let mut layer = Cpu::default().build_module::<UnbiasedConv2D<1, 1, 3>, f32>();
    layer.weight.copy_from(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let units: Vec<f32> = (0..25 * 25).map(|at| f32::from(u8::from(at / 25 == at % 25))).collect();
    let columns = layer.forward(picture(&units, 5)).as_vec(); // (25, 1, 3, 3)
    (0..9 * 25).map(|at| f64::from(columns[at % 25 * 9 + at / 25])).collect()
}

/// Maps that come into GoogLeNet's first module.
const MODULE_INPUT: usize = 192;

/// The branches of a module: the windows of each, in order, with the maps that they give.
fn branches(module: &Plan) -> Vec<Vec<(String, usize)>> {
    fn windows(part: &Plan, maps: usize) -> Vec<(String, usize)> {
        let square = |taps: &[Taps; 2]| format!("{} × {}", taps[0].kernel, taps[1].kernel);
        match part {
            Plan::Chain(parts) => parts.iter().fold(Vec::new(), |mut all, part| {
                let maps = all.last().map_or(maps, |(_, maps)| *maps);
                all.extend(windows(part, maps));
                all
            }),
            Plan::Convolution { to, taps, .. } => vec![(square(taps), *to)],
            Plan::Pool { taps, .. } => vec![(format!("max {}", square(taps)), maps)],
            _ => Vec::new(),
        }
    }
    match module {
        Plan::Chain([Plan::Branches(parts)]) => {
            parts.iter().map(|part| windows(part, MODULE_INPUT)).collect()
        }
        _ => Vec::new(),
    }
}

impl Experiment for ConvolutionCosts {
    type Config = ConvolutionCostsConfig;
    type Report = ConvolutionCostsReport;
    const ABOUT: About = About {
        name: "convolution-costs",
        lecture: 14,
        paper: "Simonyan & Zisserman (2015); Szegedy et al. (2015, 2016); He et al. (2016); Luo et al. (2016)",
        claim: "Small windows see what large ones see for fewer weights, and the numbers that the papers argue with are \
                those of the types",
        sources: &[
            include_str!("costs.rs"),
            include_str!("../counts.rs"),
            include_str!("../receptive_field.rs"),
            include_str!("../inception.rs"),
            include_str!("../vgg.rs"),
        ],
    };

    fn run(config: &Self::Config, _lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (field, gradient) = effective_field(10)?;
        let (profile, variance) = profile(&gradient);
        let macs = |cost: Totals| cost.macs as f64;
        let module = [MODULE_INPUT, 28, 28];
        type Naive = NaiveInception<192, 64, 128, 32>;
        let reduced = macs(Inception3a::PLAN.totals_of(module)) / macs(Naive::PLAN.totals_of(module));
        type Three = UnbiasedConv2D<64, 64, 3>;
        type Five = UnbiasedConv2D<64, 64, 5>;
        type Seven = UnbiasedConv2D<64, 64, 7>;
        let weights = |plan: layers::Plan| plan.totals_of([64, 17, 17]).params as f64;
        let two_for_five = weights(<(Three, Three)>::PLAN) / weights(Five::PLAN);
        let line = 64.0 * 64.0 * 7.0;
        let row_column = 2.0 * line / weights(Seven::PLAN);

        let cost = |name: &'static str| {
            let network = NETWORKS.iter().find(|network| network.name == name);
            network.map(|network| network.cost).ok_or(lab::Error::Config {
                field: "network",
                rule: "a name of the atlas",
                value: name.to_owned(),
            })
        };
        let (vgg16, googlenet) = (cost("vgg16")?, cost("googlenet_paper")?);
        let rows = crate::vgg::Vgg16::<1000>::PLAN.rows([3, 224, 224]).map_err(lab::Error::unit)?;
        let vgg: Vec<(String, u64, u64)> = rows
            .iter()
            .filter(|row| row.cost.activations > 0)
            .map(|row| (row.path.clone(), row.cost.params, row.cost.activations))
            .collect();
        let largest = vgg.iter().map(|layer| layer.1).max().unwrap_or(0);
        let early: u64 = vgg
            .iter()
            .filter(|layer| layer.0.starts_with("0.0.") || layer.0.starts_with("0.1."))
            .map(|l| l.2)
            .sum();
        let mut table = Table::new(["network", "parameters", "multiply-adds", "operations", "activations"]);
        for network in &NETWORKS {
            let Totals { params, macs, operations, activations, .. } = network.cost;
            table.row([
                network.name.to_owned(),
                params.to_string(),
                macs.to_string(),
                operations.to_string(),
                activations.to_string(),
            ]);
        }

        let gap_curves = [gap_curve(0.1, config.steps)?, gap_curve(0.0, config.steps)?];
        let last = |curve: &Vec<f64>| curve.last().copied().unwrap_or(0.0);
        let test = datasets::fashion().test;
        let images: Vec<Vec<f32>> = (0..100).map(|i| test.unit_values::<f32>(i).collect()).collect();
        let mut kernels = vec![rounded(images[1].iter().copied())];
        for (_, kernel) in &KERNELS {
            kernels.push(rounded(fixed(kernel).forward(picture(&images[1], 28)).as_vec()));
        }
        Ok(ConvolutionCostsReport {
            field,
            support: profile.len(),
            profile,
            variance,
            reduced,
            two_for_five,
            row_column,
            dense_share: largest as f64 / vgg16.params as f64,
            early_share: early as f64 / vgg16.activations as f64,
            vgg_over_googlenet: vgg16.params as f64 / googlenet.params as f64,
            resnet_over_vgg: macs(cost("resnet152")?) / macs(vgg16),
            gaps: gap_curves.each_ref().map(last),
            gap_curves,
            shift_change: shift_change(&images),
            vgg,
            table,
            kernels,
            matrix: matrix(),
            patches: patches(&images[1]),
            growth: growth()?,
            module_input: MODULE_INPUT,
            module: branches(&Inception3a::PLAN),
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let exact =
            |id: &'static str, claim: &'static str, value: f64, bound: Bound, reason: &'static str| {
                Check::new(id, claim, Measured::exact(value), bound, BoundSource::Paper)
                    .reason_if_failed(reason)
            };
        let variance = 10.0 * 8.0 / 12.0;
        let gap = 91.0_f64.ln();
        vec![
            exact(
                "support",
                "pixels along an axis that reach the output of ten 3 × 3 layers, minus those of the formula",
                report.support as f64 - report.field,
                Bound::Within(0.0, 0.0),
                "the formula of receptive fields has a flaw",
            ),
            exact(
                "support-at-every-depth",
                "pixels that reach the output of one to ten 3 × 3 layers, minus those of the formula: the largest difference",
                report
                    .growth
                    .support
                    .iter()
                    .zip(&report.growth.three)
                    .map(|(seen, field)| (*seen as f64 - field).abs())
                    .fold(0.0, f64::max),
                Bound::Within(0.0, 0.0),
                "the formula of receptive fields has a flaw",
            ),
            exact(
                "patches-times-kernel",
                "largest difference between a convolution and its kernel times the matrix of windows, pixels in [0, 1]",
                report.patches.difference,
                Bound::AtMost(1e-6), // sums of nine products in 32 bits
                "the matrix has its windows in another order",
            ),
            exact(
                "effective-variance",
                "variance of where the gradient arrives behind ten 3 × 3 layers of equal weights, pixels²; a tenfold box \
                 has 6.667",
                report.variance,
                Bound::Within(variance - 1e-9, variance + 1e-9),
                "the gradient of the convolution has a flaw",
            ),
            exact(
                "reductions-pay",
                "multiply-adds of GoogLeNet's module 3a over those of the same windows without 1 × 1 reductions",
                report.reduced,
                Bound::AtMost(0.5),
                "the widths are not those of the paper",
            ),
            exact(
                "factors-pay",
                "weights of two 3 × 3 layers over those of one 5 × 5; the paper says 28 % fewer",
                report.two_for_five,
                Bound::Within(0.72 - 1e-12, 0.72 + 1e-12),
                "the layers have other widths",
            ),
            exact(
                "weights-are-late",
                "share of VGG-16's parameters in its first dense layer",
                report.dense_share,
                Bound::AtLeast(0.74),
                "the widths are not those of the paper",
            ),
            exact(
                "memory-is-early",
                "share of VGG-16's activations in its first two blocks of five",
                report.early_share,
                Bound::AtLeast(0.5),
                "the sizes are not those of the paper",
            ),
            exact(
                "googlenet-is-small",
                "parameters of VGG-16 over those of GoogLeNet",
                report.vgg_over_googlenet,
                Bound::AtLeast(19.0),
                "the widths are not those of the papers",
            ),
            exact(
                "depth-is-cheap",
                "multiply-adds of ResNet-152 over those of VGG-16",
                report.resnet_over_vgg,
                Bound::AtMost(1.0),
                "the widths are not those of the papers",
            ),
            exact(
                "smoothing-bounds-the-gap",
                "logit of the true class above the others at the optimum of smoothed labels, minus ln 91",
                report.gaps[0] - gap,
                Bound::Within(-1e-3, 1e-3),
                "too few steps of descent",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![
            kernels_figure(report),
            matrix_figure(report),
            patches_figure(report),
            growth_figure(report),
            field_figure(report),
            vgg_figure(report),
            module_figure(report),
        ]
    }
}

fn kernels_figure(report: &ConvolutionCostsReport) -> Figure {
    let names = ["image"].into_iter().chain(KERNELS.iter().map(|(name, _)| *name));
    Figure::new(
        "kernels",
        "Nine numbers decide what a map shows. An image of clothes and four maps of it by kernels of 3 × 3 fixed weights: \
         a mean, a sharpening one, and Sobel's for edges between rows and between columns. Each map has its own scale, \
         dark is a large value.",
        "A piece of clothing five times: as it is, blurred, with crisp outlines, and twice as a relief in which edges of \
         one direction are light on one side and dark on the other.",
        Raster {
            tiles: report
                .kernels
                .iter()
                .zip(names)
                .map(|(map, name)| scaled(28, map).caption(name))
                .collect(),
            columns: 5,
            ramp: Ramp::Ink { low: 0.0, high: 1.0 },
        },
    )
}

fn matrix_figure(report: &ConvolutionCostsReport) -> Figure {
    Figure::new(
        "matrix",
        "A convolution is a linear layer with few weights, used often. The matrix that turns 25 pixels (columns) into 9 \
         outputs (rows) by a 3 × 3 kernel of the weights 1 to 9: white is zero, each row is the one above, moved. It was \
         found by feeding the layer one pixel at a time.",
        "A grid of 9 rows and 25 columns. In each row three groups of three dark cells, at a distance of two white ones; \
         from row to row the groups move to the right.",
        Raster {
            tiles: vec![Tile::new(25, &report.matrix)],
            columns: 1,
            ramp: Ramp::Ink { low: 0.0, high: 9.0 },
        },
    )
}

/// Side of a drawn pixel.
const CELL: usize = 10;
/// White between the parts.
const MARGIN: usize = 2 * CELL;
const WHITE: f64 = 0xff_ff_ff as f64;
const VERMILION: f64 = 0xd5_5e_00 as f64;

/// Greys on white, composed of parts at their places.
struct Canvas {
    width: usize,
    pixels: Vec<f64>,
}

impl Canvas {
    /// A part of `columns`, from ink where a value is `high` to paper where it is `low`, with a marked rectangle.
    fn draw(&mut self, (top, left): (usize, usize), columns: usize, values: &[f64], marked: [usize; 4]) {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let rows = values.len() / columns;
        let [first, from, high_rows, wide] = marked.map(|cells| cells * CELL);
        let (last, until) = (first + high_rows - 1, from + wide - 1);
        for y in 0..rows * CELL {
            for x in 0..columns * CELL {
                let share =
                    (values[y / CELL * columns + x / CELL] - low) / (high - low).max(f64::MIN_POSITIVE);
                let grey = (255.0 - 215.0 * share).round() * f64::from(0x01_01_01);
                let is_inside = (first..=last).contains(&y) && (from..=until).contains(&x);
                let is_edge = y == first || y == last || x == from || x == until;
                let is_frame = y == 0 || x == 0 || y == rows * CELL - 1 || x == columns * CELL - 1;
                self.pixels[(top + y) * self.width + left + x] = match (is_inside && is_edge, is_frame) {
                    (true, _) => VERMILION,
                    (false, true) => f64::from(0x99_99_99),
                    _ => grey,
                };
            }
        }
    }
}

fn patches_figure(report: &ConvolutionCostsReport) -> Figure {
    let places = PLACES * PLACES;
    let kernel: Vec<f64> = KERNELS[3].1.iter().map(|weight| f64::from(*weight)).collect();
    // The picture and its map on the left, the matrix of windows on the right, under it the product as one row.
    let beside = PART * CELL + MARGIN;
    let width = beside + 9 * CELL + MARGIN + places * CELL;
    let height = (PART + PLACES) * CELL + MARGIN;
    let mut canvas = Canvas { width, pixels: vec![WHITE; width * height] };
    let (row, column) = MARKED;
    let place = row * PLACES + column;
    let Patches { picture, matrix, output, .. } = &report.patches;
    canvas.draw((0, 0), PART, picture, [row, column, 3, 3]);
    canvas.draw((PART * CELL + MARGIN, CELL), PLACES, output, [row, column, 1, 1]);
    let product = PART * CELL + MARGIN + 2 * CELL;
    let columns = beside + 9 * CELL + MARGIN;
    canvas.draw((0, columns), places, matrix, [0, place, 9, 1]);
    canvas.draw((product, columns), places, output, [0, place, 1, 1]);
    canvas.draw((product, beside), 9, &kernel, [0, 0, 1, 9]);
    Figure::new(
        "patches",
        "A convolution is one product. Above left a part of a picture of 8 × 8 pixels, above right the matrix whose 36 \
         columns are its windows of 3 × 3: the marked window is the marked column. Below, the nine weights of Sobel's kernel \
         as a row, times the matrix, are the 36 numbers on the right, which folded up are the map on the left.",
        "A square of grey cells with an outlined window of nine; beside it a wide grid of nine rows and 36 columns with one \
         outlined column. Below it a smaller square with one outlined cell, a row of nine cells, and a row of 36 with one \
         outlined.",
        Raster { tiles: vec![Tile::new(width, &canvas.pixels)], columns: 1, ramp: Ramp::Rgb },
    )
}

fn growth_figure(report: &ConvolutionCostsReport) -> Figure {
    let Growth { three, effective, dilated, vgg, .. } = &report.growth;
    let line = |name: &str, sizes: &[f64]| {
        Line::new(name, sizes.iter().enumerate().map(|(layer, size)| (layer as f64 + 1.0, *size)))
    };
    Figure::new(
        "growth",
        "Depth alone widens the view slowly. What one output sees along an axis after each 3 × 3 layer: ten layers one after \
         the other, with dilations 1, 2, 4, 8, 16, and VGG-16's thirteen with its pooling between them, by the formula. Lowest, \
         four standard deviations of where a gradient arrives behind the ten, within which most of it lies.",
        "Four rising curves over the layers on a logarithmic axis. Those of dilations and of VGG-16 rise steeply to 63 and \
         196 pixels; that of ten layers reaches 21; the lowest reaches 10.",
        Plot::new(Axis::linear("layers"), Axis::logarithmic("pixels seen"))
            .line(line("VGG-16", vgg))
            .line(line("dilated", dilated))
            .line(line("3 × 3", three))
            .line(line("3 × 3, effective", effective)),
    )
}

fn field_figure(report: &ConvolutionCostsReport) -> Figure {
    let middle = (report.profile.len() as f64 - 1.0) / 2.0;
    let x = |row: usize| row as f64 - middle;
    let normal = |row: usize| {
        (-x(row).powi(2) / (2.0 * report.variance)).exp() / (std::f64::consts::TAU * report.variance).sqrt()
    };
    let rows = 0..report.profile.len();
    Figure::new(
        "field",
        "An output sees much less than its field. Share of the gradient of one output of ten 3 × 3 layers with equal \
         weights in each row of pixels, beside a normal density of the same variance: of the 21 rows that it can see, \
         the middle ones decide.",
        "Two curves that nearly coincide: bells around 0 from −10 to 10 that are close to zero beyond 7 pixels.",
        Plot::new(Axis::linear("rows from the middle (pixels)"), Axis::linear("share of the gradient"))
            .line(Line::new("gradient", rows.clone().map(|row| (x(row), report.profile[row]))))
            .line(Line::new("normal density", rows.map(|row| (x(row), normal(row))))),
    )
}

fn vgg_figure(report: &ConvolutionCostsReport) -> Figure {
    let layer = |value: fn(&(String, u64, u64)) -> u64| {
        let layers =
            report.vgg.iter().enumerate().map(move |(i, layer)| (i as f64 + 1.0, value(layer) as f64 / 1e6));
        layers.filter(|(_, millions)| *millions > 0.0).collect::<Vec<_>>()
    };
    Figure::new(
        "vgg",
        "Memory is early, weights are late. Parameters and activations of each layer of VGG-16 on 224 × 224 pixels, in \
         millions, layers with pooling counted, which have no parameters. The largest dense layer has three quarters of \
         all parameters.",
        "Points over the 21 layers on a logarithmic axis. Activations fall from 3.2 million to 0.001 million; parameters \
         rise from 0.002 million to 103 million at layer 19 and fall to 4 at the end.",
        Plot::new(Axis::linear("layer"), Axis::logarithmic("millions"))
            .line(Line::new("activations", layer(|layer| layer.2)))
            .line(Line::new("parameters", layer(|layer| layer.1))),
    )
}

/// Boxes as wide as they have maps: the input above, one row for each window of a branch, the output below.
fn module_figure(report: &ConvolutionCostsReport) -> Figure {
    const HALF: f64 = 0.2; // height of a box
    const GAP: f64 = 100.0; // between branches, in maps
    const BASELINE: f64 = 0.06; // letters stand on their place
    let deepest = report.module.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |branch: &[(String, usize)]| branch.iter().map(|(_, maps)| *maps).max().unwrap_or(0) as f64;
    let outputs = report.module.iter().map(|branch| branch.last().map_or(0, |(_, maps)| *maps) as f64);
    let width = report.module.iter().map(|branch| widest(branch) + GAP).sum::<f64>() - GAP;
    let (middle, last) = (width / 2.0, deepest as f64 + 1.0);
    // In at the middle of its top, round, and out at the middle of its bottom.
    let outline = |centre: f64, maps: f64, row: f64| {
        let (left, right, top, bottom) = (centre - maps / 2.0, centre + maps / 2.0, row - HALF, row + HALF);
        let down = [(centre, top), (left, top), (left, bottom), (centre, bottom)];
        let up = [(right, bottom), (right, top)];
        down.into_iter().chain(up).chain(down)
    };
    let names = (0..=deepest + 1).map(|row| match row {
        0 => "input".to_owned(),
        row if row > deepest => "output".to_owned(),
        row => format!("window {row}"),
    });
    let input = report.module_input as f64;
    let mut plot = Plot::new(Axis::linear("maps, to scale"), Axis::categories("", names))
        .faint([outline(middle, input, 0.0).collect()])
        .text(format!("{input} maps"), (middle, BASELINE));
    let (mut left, mut end) = (0.0, middle - outputs.clone().sum::<f64>() / 2.0);
    for (branch, output) in report.module.iter().zip(outputs) {
        let centre = left + widest(branch) / 2.0;
        let mut path = vec![(middle, HALF), (centre, 1.0 - HALF)];
        for (i, (window, maps)) in branch.iter().enumerate() {
            let (maps, row) = (*maps as f64, (deepest - branch.len() + i + 1) as f64);
            path.extend(outline(centre, maps, row));
            let beside = if maps < 90.0 { (maps + GAP) / 2.0 } else { 0.0 };
            plot = plot.text(format!("{window}, {maps}"), (centre + beside, row + BASELINE));
        }
        path.extend(outline(end + output / 2.0, output, last));
        plot = plot.line(Line::new("", path)).text(output.to_string(), (end + output / 2.0, last + BASELINE));
        left += widest(branch) + GAP;
        end += output;
    }
    Figure::new(
        "module",
        "Four windows side by side, and small ones before the large. GoogLeNet's first module, drawn from its type: boxes \
         are as wide as they have maps; numbers behind the windows are those maps. The outputs of the branches are put \
         behind each other, not added.",
        "Four branches that leave one box at the top and end in one box at the bottom: a single window; a narrow one before \
         a window of three by three; a very narrow one before five by five; a maximum before a narrow one. The box at the \
         bottom is cut into four parts, the second of which is half of it.",
        plot,
    )
}
