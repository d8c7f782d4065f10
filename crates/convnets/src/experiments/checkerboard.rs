//! Which layers that enlarge a map write some places more often than others?

use super::{at_least, rounded, scaled};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{
    BuildOnDevice, Const, Cpu, CpuError, DeviceBuildExt, HasShape, Module, OnesTensor, Tensor,
};
use kernels::convolution::{col2im, im2col};
use kernels::shape::Taps;
use lab::{
    About, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Ramp, Raster,
    Table,
};
use layers::builders::{Conv2D, ConvTranspose2D, Upsample};
use layers::params;
use serde::{Deserialize, Serialize};

/// Transposed convolutions of 3, 2 and 4 taps with stride 2, and a copy of each pixel before a convolution.
#[derive(Debug)]
pub struct Checkerboard;

/// What may vary in [`Checkerboard`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct CheckerboardConfig {
    /// Draws of a thousand layers each, at least 2
    #[arg(long)]
    pub seeds: usize,
}

impl Default for CheckerboardConfig {
    fn default() -> Self {
        Self { seeds: 3 }
    }
}

impl ExperimentConfig for CheckerboardConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        Ok(self)
    }
}

/// What [`Checkerboard`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckerboardReport {
    /// 3, 2 and 4 taps with stride 2; a copy of each pixel and a convolution of 3 taps.
    pub ways: Vec<Way>,
    /// The same as text.
    pub table: Table,
}

/// One way to make a map twice as high and wide.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Way {
    /// Its name.
    pub name: String,
    /// How often each place is written: the upper left [`SHOWN`] × [`SHOWN`] places.
    pub counts: Vec<f64>,
    /// Largest difference of the counts, at all places, from their closed form.
    pub difference: f64,
    /// Counts off the frame, the least and the most.
    pub range: [f64; 2],
    /// Mean square of what layers with normal weights paint on a map of ones where most is written, over that where least
    /// is, off the frame; one per seed.
    pub brightness: Vec<f64>,
    /// Standard deviation of four neighbouring places off the frame that one such layer paints, over the root of their mean
    /// square; one per seed, root mean square over the layers.
    pub unevenness: Vec<f64>,
    /// What the first layer paints: the shown places, scaled to the largest magnitude.
    pub painted: Vec<f64>,
}

/// Side of the shown part of a map.
pub const SHOWN: usize = 12;
/// Side of the map that is enlarged.
const SIDE: usize = 8;
/// Layers of one draw, as the channels of one.
const LAYERS: usize = 1024;
/// Places from the border that border effects do not reach: no layer here has more than four taps.
const FRAME: usize = 3;

/// Both axes alike.
fn taps(kernel: usize, stride: usize, padding: usize) -> [Taps; 2] {
    [Taps { kernel, stride, padding, dilation: 1 }; 2]
}

fn ones(side: usize) -> Tensor<(Const<1>, Const<1>, usize, usize), f64, Cpu> {
    Cpu::default().ones_like(&(Const, Const, side, side))
}

/// How often a transposed convolution writes each place: the patches of ones add up.
fn written(kernel: usize, stride: usize) -> Vec<f64> {
    let side = (SIDE - 1) * stride + kernel;
    let patches = im2col(ones(side), taps(kernel, stride, 0));
    col2im(patches, (Const::<1>, side, side), taps(kernel, stride, 0)).as_vec()
}

/// How many taps of a convolution that keeps the size lie within a map of twice the side.
fn read(kernel: usize) -> Vec<f64> {
    let patches = im2col(ones(2 * SIDE), taps(kernel, 1, kernel / 2));
    let places = 4 * SIDE * SIDE;
    let patches = patches.as_vec(); // a row for each tap
    (0..places).map(|place| patches.iter().skip(place).step_by(places).sum()).collect()
}

/// How many of `n` inputs, `stride` places apart, write place `at` with `kernel` taps.
fn writers(at: usize, n: usize, kernel: usize, stride: usize) -> usize {
    let last = (at / stride).min(n - 1);
    let first = (at + 1).saturating_sub(kernel).div_ceil(stride);
    (last + 1).saturating_sub(first)
}

/// How many of `kernel` taps around place `at` lie within `side` places.
fn within(at: usize, side: usize, kernel: usize) -> usize {
    (at + kernel / 2 + 1).min(side) - at.saturating_sub(kernel / 2)
}

type Painted = Tensor<(Const<1>, Const<LAYERS>, usize, usize), f64, Cpu>;
type Ones = Tensor<(Const<1>, Const<1>, usize, usize), f64, Cpu>;

/// What layers with normal weights and without biases paint on a map of ones.
fn painted<M>(seed: lab::Seed) -> Result<Painted, lab::Error>
where
    M: BuildOnDevice<Cpu, f64>,
    M::Built: TensorCollection<f64, Cpu> + Module<Ones, Output = Painted, Error = CpuError>,
{
    let mut layers = Cpu::default().build_module::<M, f64>();
    params::visit_mut(&mut layers, |parameter, values: &mut [f64]| match parameter.ndim() {
        1 => values.fill(0.0),
        _ => seed.key("weights").fill_normal(values),
    })
    .map_err(lab::Error::unit)?;
    layers.try_forward(ones(SIDE)).map_err(super::clothes::device)
}

fn way<M>(
    name: &str,
    counts: Vec<f64>,
    closed: impl Fn(usize) -> usize,
    seeds: &[lab::Seed],
) -> Result<Way, lab::Error>
where
    M: BuildOnDevice<Cpu, f64>,
    M::Built: TensorCollection<f64, Cpu> + Module<Ones, Output = Painted, Error = CpuError>,
{
    let side = counts.len().isqrt();
    let off = |at: usize| (closed(at / side) * closed(at % side)) as f64 - counts[at];
    let difference = (0..counts.len()).map(|at| off(at).abs()).fold(0.0, f64::max);
    let inner: Vec<usize> = (0..side * side)
        .filter(|at| [at / side, at % side].iter().all(|place| (FRAME..side - FRAME).contains(place)))
        .collect();
    let least = inner.iter().map(|at| counts[*at]).fold(f64::INFINITY, f64::min);
    let most = inner.iter().map(|at| counts[*at]).fold(0.0, f64::max);
    let (mut brightness, mut unevenness, mut first) = (vec![], vec![], None);
    for seed in seeds {
        let maps = painted::<M>(*seed)?;
        assert_eq!(maps.shape().2, side, "a map of {name}");
        let maps = maps.as_vec();
        let layers = || maps.chunks(side * side);
        // At one place of each kind: a map of ones looks the same from all others of it.
        let square = |count: f64| {
            let at = inner.iter().copied().find(|at| counts[*at] == count).unwrap_or(0);
            Measured::over(&layers().map(|map| map[at] * map[at]).collect::<Vec<_>>()).mean
        };
        brightness.push(square(most) / square(least));
        let corner = FRAME * side + FRAME;
        let share = |map: &[f64]| {
            let four = [0, 1, side, side + 1].map(|step| map[corner + step]);
            let (mean, square) =
                (four.iter().sum::<f64>() / 4.0, four.iter().map(|v| v * v).sum::<f64>() / 4.0);
            [(square - mean * mean).max(0.0), square]
        };
        let [spread, square] = layers().map(share).fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        unevenness.push((spread / square).sqrt());
        first.get_or_insert_with(|| layers().next().map(<[f64]>::to_vec).unwrap_or_default());
    }
    let shown = |map: &[f64]| -> Vec<f64> {
        (0..SHOWN * SHOWN).map(|at| map[at / SHOWN * side + at % SHOWN]).collect()
    };
    let first = shown(&first.unwrap_or_default());
    let largest = first.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    Ok(Way {
        name: name.to_owned(),
        counts: shown(&counts),
        difference,
        range: [least, most],
        brightness,
        unevenness,
        painted: rounded(first.iter().map(|value| (value / largest) as f32)),
    })
}

impl Experiment for Checkerboard {
    type Config = CheckerboardConfig;
    type Report = CheckerboardReport;
    const ABOUT: About = About {
        name: "checkerboard",
        lecture: 14,
        paper: "Odena, Dumoulin & Olah (2016), Deconvolution and checkerboard artifacts; Dumoulin & Visin (2016), A guide \
                to convolution arithmetic for deep learning",
        claim: "A transposed convolution writes all places equally often exactly if its stride divides its taps",
        sources: &[include_str!("checkerboard.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let stride = |kernel: usize| move |at: usize| writers(at, SIDE, kernel, 2);
        type Up<const K: usize> = ConvTranspose2D<1, LAYERS, K, 2>;
        type Copied = (Upsample<2>, Conv2D<1, LAYERS, 3, 1, 1>);
        let ways = vec![
            way::<Up<3>>("3 taps, stride 2", written(3, 2), stride(3), &seeds)?,
            way::<Up<2>>("2 taps, stride 2", written(2, 2), stride(2), &seeds)?,
            way::<Up<4>>("4 taps, stride 2", written(4, 2), stride(4), &seeds)?,
            way::<Copied>("copies, then 3 taps", read(3), |at| within(at, 2 * SIDE, 3), &seeds)?,
        ];
        Ok(CheckerboardReport { table: table(&ways), ways })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [three, two, four, copies] = &report.ways[..] else { return Vec::new() };
        let difference = report.ways.iter().map(|way| way.difference).fold(0.0, f64::max);
        let even = [two, four, copies].map(|way| way.range[1] - way.range[0]);
        // The mean of the square of a normal number over n draws has the relative standard error √(2/n), a ratio of two
        // about √2 times that.
        let draws = (LAYERS * three.brightness.len()) as f64;
        let slack = 4.0 * three.range[1] / three.range[0] * (4.0 / draws).sqrt();
        vec![
            Check::new(
                "counts-follow-the-formula",
                "largest difference of the counts of writes from the product of both axes' closed forms",
                Measured::exact(difference),
                Bound::Within(0.0, 0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("patches are cut or added up at other places"),
            Check::new(
                "three-taps-are-uneven",
                "writes of the places written most, over those of the places written least, 3 taps with stride 2",
                Measured::exact(three.range[1] / three.range[0]),
                Bound::Within(4.0, 4.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a border counts as inside"),
            Check::new(
                "the-others-are-even",
                "writes of the places written most minus those written least: 2 and 4 taps with stride 2, copies and 3 taps",
                Measured::exact(even.into_iter().fold(0.0, f64::max)),
                Bound::Within(0.0, 0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a border counts as inside"),
            Check::new(
                "uneven-counts-show",
                "mean square of what untrained layers of 3 taps and stride 2 paint where most is written, over that where \
                 least is",
                Measured::over(&three.brightness),
                Bound::Within(4.0 - slack, 4.0 + slack),
                BoundSource::Paper,
            )
            .baseline("4 taps, stride 2", Measured::over(&four.brightness).mean)
            .reason_if_failed("weights of one place are not independent of those of another"),
            Check::new(
                "copies-stay-plain",
                "spread of neighbouring places over their size, copies and 3 taps, on a map of ones",
                Measured::over(&copies.unevenness),
                // Sums of nine equal terms in one order or another: what rounds, under a root.
                Bound::AtMost(1e-6),
                BoundSource::Paper,
            )
            .baseline("4 taps, stride 2", Measured::over(&four.unevenness).mean)
            .reason_if_failed("a copy is not a copy"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        const NAMES: [&str; 4] = ["3 taps", "2 taps", "4 taps", "copies"];
        let counts = report.ways.iter().zip(NAMES).map(|(way, name)| {
            let shares: Vec<f64> = way.counts.iter().map(|count| count / way.range[1]).collect();
            lab::Tile::new(SHOWN, &shares).caption(name)
        });
        let painted = report.ways.iter().map(|way| scaled(SHOWN, &way.painted).caption("painted"));
        vec![Figure::new(
            "maps",
            "Taps that the stride does not divide write a checkerboard. Above, how often each place of the upper left corner of \
             an enlarged map is written, black is most: by transposed convolutions of 3, 2 and 4 taps with stride 2, and by a \
             convolution of 3 taps after each pixel was copied to 2 × 2. Below, what one layer of each kind with random weights \
             paints on a map of ones; each with its own scale.",
            "Two rows of four squares of 12 × 12 cells. Above: a lattice of black cells at every second place with grey ones \
             between; evenly black; evenly black with a pale frame; evenly black with a greyer frame. Below: three patterns \
             that repeat every two cells, and an even surface with a frame.",
            Raster {
                tiles: counts.chain(painted).collect(),
                columns: 4,
                ramp: Ramp::Ink { low: 0.0, high: 1.0 },
            },
        )]
    }
}

fn table(ways: &[Way]) -> Table {
    let mut table = Table::new([
        "way up",
        "writes of a place, inside",
        "mean square, most over least written",
        "spread of neighbours over their size",
    ]);
    for way in ways {
        let over = |values: &[f64]| {
            let measured = Measured::over(values);
            format!("{:.2} ± {:.2}", measured.mean, measured.sd)
        };
        let [least, most] = way.range;
        let counts = if least == most { format!("{most}") } else { format!("{least} to {most}") };
        table.row([way.name.clone(), counts, over(&way.brightness), over(&way.unevenness)]);
    }
    table
}
