//! U-Net on nuclei: do weights on the borders keep touching cells apart?

use super::at_least;
use super::clothes::{Batch, cycle, device};
use crate::segmentation::metrics::{self, Connectivity};
use crate::segmentation::{
    BorderWeights, Grid, class_weights, otsu, overlap_tile, part_touching, weighted_cross_entropy,
};
use crate::unet::{SmallUNet, margin};
use datasets::{Batches, Nuclei};
use dfdx::prelude::{BuildOnDevice, Const, Cpu, DeviceBuildExt, Gradients, Module, Trace, ZerosTensor};
use kernels::random::Key;
use lab::{
    About, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Ramp, Raster,
    Table, Tile, Trainer,
};
use layers::init::{self, Fan, Init, gain};
use layers::{Adam, AdamConfig, params};
use serde::{Deserialize, Serialize};

/// A small U-Net learns the upper half of a picture and segments the lower.
#[derive(Debug)]
pub struct UnetNuclei;

/// What may vary in [`UnetNuclei`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct UnetNucleiConfig {
    /// Trainings of each kind, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of each training, each on 4 tiles
    #[arg(long)]
    pub steps: usize,
    /// Largest learning rate of the cycle
    #[arg(long)]
    pub learning_rate: f64,
}

impl Default for UnetNucleiConfig {
    fn default() -> Self {
        Self { seeds: 3, steps: 250, learning_rate: 4e-3 }
    }
}

impl ExperimentConfig for UnetNucleiConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 2, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("steps", self.steps, 1)?;
        Ok(self)
    }
}

/// What [`UnetNuclei`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnetNucleiReport {
    /// Whether the steps are enough for claims about networks.
    pub is_full: bool,
    /// Nuclei in the lower half.
    pub nuclei: usize,
    /// Otsu's threshold of the blurred upper half, on the blurred lower half.
    pub otsu: Scores,
    /// One training per seed with border weights.
    pub border: Vec<Scores>,
    /// One training per seed with class weights only.
    pub class: Vec<Scores>,
    /// One training per seed with equal weights.
    pub equal: Vec<Scores>,
    /// The same as text.
    pub table: Table,
    /// A part of the lower half.
    pub crop: Crop,
}

/// [`CROP`] × [`CROP`] pixels of the lower half, row by row. Instances are numbers, background is 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Crop {
    /// Brightness in percent of the brightest pixel.
    pub picture: Vec<u16>,
    /// Border weights of the true nuclei, in hundredths.
    pub weights: Vec<u16>,
    /// True nuclei.
    pub truth: Vec<u16>,
    /// Components above Otsu's threshold.
    pub otsu: Vec<u16>,
    /// Those of the first seed with border weights.
    pub border: Vec<u16>,
    /// Those of the first seed with class weights.
    pub class: Vec<u16>,
}

/// How well one segmentation fits the lower half.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scores {
    /// Of the pixels.
    pub iou: f64,
    /// Of the pixels that do not touch the edge of a true nucleus, which is drawn by hand.
    pub inner_iou: f64,
    /// Of the instances, pairs with IoU of at least ½.
    pub f1: f64,
    /// Components of more than 9 pixels.
    pub components: usize,
}

/// Side of the shown part.
pub const CROP: usize = 96;
/// Side of an output tile.
const TILE: usize = 64;
/// Side of an input tile.
const INPUT: usize = TILE + margin(2);
/// Tiles of a step.
const BATCH: usize = 4;
/// Fewer pixels are no nucleus.
const LEAST: usize = 10;

fn picture(nuclei: &Nuclei) -> (Grid<f32>, Grid<u16>) {
    let (height, width) = (nuclei.height(), nuclei.width());
    let level = f32::from(nuclei.max_level());
    let pixels = nuclei.pixels().iter().map(|&pixel| f32::from(pixel) / level).collect();
    (Grid { height, width, values: pixels }, Grid { height, width, values: nuclei.mask().to_vec() })
}

fn scores(truth: &Grid<u16>, is_cell: &Grid<bool>) -> Result<(Scores, Grid<u16>), lab::Error> {
    let found = metrics::components(is_cell, Connectivity::Four, LEAST);
    let (height, width) = (truth.height, truth.width);
    let is_edge = |at: usize| {
        let (row, column) = (at / width, at % width);
        let rows = row.saturating_sub(1)..(row + 2).min(height);
        let mut near =
            rows.flat_map(|y| (column.saturating_sub(1)..(column + 2).min(width)).map(move |x| (y, x)));
        near.any(|(y, x)| truth.at(y, x) != truth.values[at])
    };
    let inner: Vec<usize> = (0..truth.values.len()).filter(|at| !is_edge(*at)).collect();
    let pick = |from: &dyn Fn(usize) -> u16| Grid {
        height: 1,
        width: inner.len(),
        values: inner.iter().map(|at| from(*at)).collect(),
    };
    let inside = (pick(&|at| truth.values[at]), pick(&|at| u16::from(is_cell.values[at])));
    let scores = Scores {
        iou: metrics::iou(truth, &is_cell.map(u16::from)).map_err(lab::Error::unit)?,
        inner_iou: metrics::iou(&inside.0, &inside.1).map_err(lab::Error::unit)?,
        f1: metrics::matched(truth, &found, 0.5).map_err(lab::Error::unit)?.f1,
        components: usize::from(found.values.iter().copied().max().unwrap_or(0)),
    };
    Ok((scores, found))
}

/// A Gaussian blur of standard deviation 1, mirrored at the border.
fn blurred(picture: &Grid<f32>) -> Result<Grid<f32>, lab::Error> {
    const REACH: usize = 4;
    let weights: Vec<f32> =
        (0..=2 * REACH).map(|i| (-0.5 * (i as f32 - REACH as f32).powi(2)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let padded = picture.mirrored(REACH).map_err(lab::Error::unit)?;
    let along =
        |f: &dyn Fn(usize) -> f32| weights.iter().enumerate().map(|(i, w)| w / total * f(i)).sum::<f32>();
    let (height, width) = (picture.height, picture.width);
    let rows: Vec<f32> =
        (0..padded.height * width).map(|at| along(&|i| padded.at(at / width, at % width + i))).collect();
    let values = (0..height * width).map(|at| along(&|i| rows[at + i * width])).collect();
    Ok(Grid { height, width, values })
}

fn baseline(
    train: &Grid<f32>,
    test: &Grid<f32>,
    truth: &Grid<u16>,
) -> Result<(Scores, Grid<u16>), lab::Error> {
    let levels = |grid: &Grid<f32>| grid.map(|pixel| (pixel * 255.0).round() as u8);
    let threshold = otsu(&levels(&blurred(train)?).values, 255);
    scores(truth, &levels(&blurred(test)?).map(|level| level > threshold))
}

type Net = <SmallUNet as BuildOnDevice<Cpu, f32>>::Built;

/// The training half, ready to be cut.
struct Training {
    padded: Grid<f32>,
    labels: Grid<u16>,
    weights: Grid<f64>,
}

impl Training {
    /// Four tiles at random places, turned and mirrored: pixels, classes, weights.
    fn tiles(&self, key: Key) -> (Vec<f32>, Vec<usize>, Vec<f64>) {
        let mut rng = key.rng();
        let (mut pixels, mut labels, mut weights) = (vec![], vec![], vec![]);
        for _ in 0..BATCH {
            let row = rng.below((self.labels.height - TILE + 1) as u64) as usize;
            let column = rng.below((self.labels.width - TILE + 1) as u64) as usize;
            let symmetry = rng.below(8);
            let place = |side: usize, at: usize| {
                let (mut y, mut x) = (at / side, at % side);
                if symmetry & 1 == 1 {
                    y = side - 1 - y;
                }
                if symmetry & 2 == 2 {
                    x = side - 1 - x;
                }
                if symmetry & 4 == 4 { (row + x, column + y) } else { (row + y, column + x) }
            };
            let input = (0..INPUT * INPUT).map(|at| place(INPUT, at));
            pixels.extend(input.map(|(y, x)| self.padded.at(y, x)));
            let output: Vec<(usize, usize)> = (0..TILE * TILE).map(|at| place(TILE, at)).collect();
            labels.extend(output.iter().map(|&(y, x)| usize::from(self.labels.at(y, x) > 0)));
            weights.extend(output.iter().map(|&(y, x)| self.weights.at(y, x)));
        }
        (pixels, labels, weights)
    }
}

fn network(
    part: String,
    config: &UnetNucleiConfig,
    training: &Training,
    seed: lab::Seed,
    lab: &mut Lab,
) -> Result<Net, lab::Error> {
    let dev = Cpu::seed_from_u64(seed.value());
    let mut net = dev.build_module::<SmallUNet, f32>();
    let he = |parameter: &params::Parameter| match parameter.ndim() {
        1 => Init::Constant(0.0),
        _ => Init::he_normal(parameter, Fan::In, gain::RELU),
    };
    init::draw(&mut net, he, seed.key("weights")).map_err(lab::Error::unit)?;
    let mut adam = Adam::try_new(&net, AdamConfig::default())?;
    let cycle = cycle(config.learning_rate, config.steps)?;
    // The tiles come from the key of the step: the rows of these batches only count the steps.
    let batches = Batches::new(config.steps, 1, seed.value());
    let mut loss = |net: &mut Net, _: &Vec<usize>, key: Key, gradients: Gradients<f32, Cpu>| {
        let (pixels, labels, weights) = training.tiles(key);
        let mut x: Batch = dev.zeros_like(&(BATCH, Const, INPUT, INPUT));
        x.copy_from(&pixels);
        let maps = net.0.try_forward(x.traced(gradients)).map_err(device)?;
        let logits = net.1.try_forward(maps).map_err(device)?;
        Ok::<_, lab::Error>(weighted_cross_entropy(logits, &labels, &weights))
    };
    Trainer::new(part, 1, batches, seed.key("steps"))
        .schedule(cycle)
        .run(lab, &mut net, &mut adam, &mut loss)?;
    Ok(net)
}

/// Where `net` sees a nucleus, tile by tile.
fn segment(net: &Net, test: &Grid<f32>) -> Result<Grid<bool>, lab::Error> {
    let dev = Cpu::default();
    let predict = |tile: Grid<f32>| {
        let mut x: Batch = dev.zeros_like(&(1, Const, INPUT, INPUT));
        x.copy_from(&tile.values);
        let logits = net.1.forward(net.0.forward(x)).as_vec();
        let (background, cell) = logits.split_at(TILE * TILE);
        background.iter().zip(cell).map(|(background, cell)| cell > background).collect()
    };
    overlap_tile(test, TILE, margin(2) / 2, predict).map_err(lab::Error::unit)
}

impl Experiment for UnetNuclei {
    type Config = UnetNucleiConfig;
    type Report = UnetNucleiReport;
    const ABOUT: About = About {
        name: "unet-nuclei",
        lecture: 14,
        paper: "Ronneberger, Fischer & Brox (2015), U-Net: convolutional networks for biomedical image segmentation",
        claim: "Weights on the borders between cells raise the F1 score of instances by at least 0.1 over class weights",
        sources: &[
            include_str!("nuclei.rs"),
            include_str!("../unet.rs"),
            include_str!("../segmentation.rs"),
            include_str!("../segmentation/metrics.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let halves = datasets::nuclei().halves();
        let ((train, labels), (test, truth)) = (picture(&halves.train), picture(&halves.test));
        let n = train.values.len() as f32;
        let mean = train.values.iter().sum::<f32>() / n;
        let deviation = (train.values.iter().map(|p| (p - mean).powi(2)).sum::<f32>() / n).sqrt();
        let standard = |grid: &Grid<f32>| grid.map(|pixel| (pixel - mean) / deviation);
        let parted = part_touching(&labels);
        let padded = standard(&train).mirrored(margin(2) / 2).map_err(lab::Error::unit)?;
        let (mut all, mut first) = ([vec![], vec![], vec![]], vec![]);
        for (kind, name) in ["border weights", "class weights", "equal weights"].into_iter().enumerate() {
            let weights = match kind {
                0 => BorderWeights::default().of(&parted),
                1 => class_weights(&parted),
                _ => parted.map(|_| 1.0),
            };
            let training = Training { padded: padded.clone(), labels: parted.clone(), weights };
            for seed in lab.seeds(config.seeds) {
                let net = network(format!("{name}, seed {seed}"), config, &training, seed, lab)?;
                let (scores, found) = scores(&truth, &segment(&net, &standard(&test))?)?;
                if all[kind].is_empty() {
                    first.push(found);
                }
                all[kind].push(scores);
            }
        }
        let [border, class, equal] = all;
        let (otsu, thresholded) = baseline(&train, &test, &truth)?;
        let crop = |value: &dyn Fn(usize) -> u16| -> Vec<u16> {
            (0..CROP * CROP).map(|at| value(at / CROP * test.width + 192 + at % CROP)).collect()
        };
        let brightest = test.values.iter().copied().fold(0.0, f32::max);
        let weights = BorderWeights::default().of(&part_touching(&truth));
        let crop = Crop {
            picture: crop(&|at| (100.0 * test.values[at] / brightest).round() as u16),
            weights: crop(&|at| (100.0 * weights.values[at]).round() as u16),
            truth: crop(&|at| truth.values[at]),
            otsu: crop(&|at| thresholded.values[at]),
            border: crop(&|at| first[0].values[at]),
            class: crop(&|at| first[1].values[at]),
        };
        let nuclei = halves.test.instances().len();
        let table = table(
            nuclei,
            &otsu,
            [
                ("U-Net, equal weights", &equal),
                ("U-Net, class weights", &class),
                ("U-Net, border weights", &border),
            ],
        );
        let is_full = config.steps >= UnetNucleiConfig::default().steps;
        Ok(UnetNucleiReport { is_full, nuclei, otsu, border, class, equal, table, crop })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let f1 = |scores: &[Scores]| scores.iter().map(|s| s.f1).collect::<Vec<f64>>();
        let (border, class) = (f1(&report.border), f1(&report.class));
        let gain: Vec<f64> = border.iter().zip(&class).map(|(b, c)| b - c).collect();
        let iou: Vec<f64> = report.border.iter().map(|s| s.iou).collect();
        let miscounted = |components: usize| (components as f64 - report.nuclei as f64).abs();
        let off: Vec<f64> = report.border.iter().map(|s| miscounted(s.components)).collect();
        let mut checks = vec![
            Check::new(
                "a-threshold-merges",
                "nuclei minus components above Otsu's threshold after a blur",
                Measured::exact(report.nuclei as f64 - report.otsu.components as f64),
                Bound::AtLeast(20.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("the nuclei do not touch"),
        ];
        if !report.is_full {
            return checks;
        }
        checks.extend([
            Check::new(
                "border-weights-separate",
                "F1 of instances with border weights minus that with class weights only, same seeds",
                Measured::over(&gain),
                Bound::AtLeast(0.1),
                BoundSource::Pilot,
            )
            .baseline("class weights", Measured::over(&class).mean)
            .reason_if_failed("few steps spread widely from seed to seed"),
            Check::new(
                "f1-beats-threshold",
                "F1 of instances of the U-Net with border weights",
                Measured::over(&border),
                Bound::AtLeast(report.otsu.f1 + 0.02),
                BoundSource::Pilot,
            )
            .baseline("Otsu's threshold after a blur", report.otsu.f1)
            .reason_if_failed("few steps spread widely from seed to seed"),
            Check::new(
                "iou",
                "intersection over union of the pixels with border weights",
                Measured::over(&iou),
                Bound::AtLeast(0.78),
                BoundSource::Pilot,
            )
            .baseline("Otsu's threshold after a blur", report.otsu.iou)
            .reason_if_failed("border weights trade pixels for separation"),
            Check::new(
                "count",
                "nuclei counted too many or too few with border weights",
                Measured::over(&off),
                Bound::AtMost(miscounted(report.otsu.components)),
                BoundSource::Pilot,
            )
            .baseline("Otsu's threshold after a blur", miscounted(report.otsu.components))
            .reason_if_failed("cells still merge, or specks count as cells"),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let crop = &report.crop;
        let weights: Vec<f64> = crop.weights.iter().map(|weight| f64::from(*weight) / 100.0).collect();
        let picture: Vec<f64> = crop.picture.iter().map(|level| f64::from(*level) / 100.0).collect();
        let largest = weights.iter().copied().fold(1.0, f64::max);
        vec![
            Figure::new(
                "outlines",
                "Weights on the borders part cells that touch. A part of the half that was not trained on, with the \
                 outlines of its instances in vermilion: the true nuclei, the components above Otsu's threshold after \
                 a blur, and what a U-Net finds with class weights and with border weights (first seed). An outline \
                 around several nuclei is a merger.",
                "The same photograph of bright blobs on black four times, each with orange outlines. In the first every \
                 blob has an outline of its own; in the second and third some outlines run around two or more blobs; in \
                 the last more blobs have their own.",
                Raster {
                    tiles: [
                        ("truth", &crop.truth),
                        ("otsu", &crop.otsu),
                        ("class", &crop.class),
                        ("border", &crop.border),
                    ]
                    .map(|(name, labels)| Tile::new(CROP, &outlined(&picture, labels)).caption(name))
                    .to_vec(),
                    columns: 2,
                    ramp: Ramp::Rgb,
                },
            ),
            Figure::new(
                "weights",
                "The loss looks hardest at the gaps. The same part of the picture, and the weight of each pixel for the \
                 true nuclei: black is the largest. Cells that touch are parted by one pixel of background first.",
                "A photograph of bright blobs, here drawn dark on white, and a map that is pale everywhere but in the \
                 thin gaps between neighbouring blobs, where it is dark.",
                Raster {
                    tiles: vec![
                        Tile::new(CROP, &picture).caption("picture"),
                        Tile::new(CROP, &weights.iter().map(|w| w / largest).collect::<Vec<_>>())
                            .caption("weight"),
                    ],
                    columns: 2,
                    ramp: Ramp::Ink { low: 0.0, high: 1.0 },
                },
            ),
        ]
    }
}

/// The picture in greys, with the pixels of instances that touch another instance or the background in vermilion.
fn outlined(picture: &[f64], labels: &[u16]) -> Vec<f64> {
    const VERMILION: f64 = 0xd5_5e_00 as f64;
    let pixel = |at: usize| {
        let (row, column) = (at / CROP, at % CROP);
        let other = |y: usize, x: usize| y < CROP && x < CROP && labels[y * CROP + x] != labels[at];
        let is_edge = other(row.wrapping_sub(1), column)
            || other(row + 1, column)
            || other(row, column.wrapping_sub(1))
            || other(row, column + 1);
        let grey = (255.0 * picture[at]).round();
        if labels[at] != 0 && is_edge { VERMILION } else { grey * f64::from(0x01_01_01) }
    };
    (0..CROP * CROP).map(pixel).collect()
}

fn table(nuclei: usize, otsu: &Scores, networks: [(&str, &Vec<Scores>); 3]) -> Table {
    let mut table = Table::new(["method", "IoU", "IoU off the edges", "F1 of instances", "components"]);
    table.row([
        "Otsu after a blur".to_owned(),
        format!("{:.3}", otsu.iou),
        format!("{:.3}", otsu.inner_iou),
        format!("{:.3}", otsu.f1),
        format!("{} for {nuclei} nuclei", otsu.components),
    ]);
    for (name, scores) in networks {
        let over = |f: &dyn Fn(&Scores) -> f64| {
            let measured = Measured::over(&scores.iter().map(f).collect::<Vec<_>>());
            format!("{:.3} ± {:.3}", measured.mean, measured.sd)
        };
        table.row([
            name.to_owned(),
            over(&|s| s.iou),
            over(&|s| s.inner_iou),
            over(&|s| s.f1),
            scores.iter().map(|s| s.components.to_string()).collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}
