//! Elastic deformation and dropout: does a U-Net need fewer pictures when each is bent in many ways, or when numbers at
//! the bottom are missing?

use super::at_least;
use super::nuclei::{Scores, Training, Version, columns, network, picture, scores, segment, standard};
use crate::segmentation::{BorderWeights, Elastic, Grid, part_touching};
use crate::unet::{SmallUNet, SmallUNetDropout};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Ramp,
    Raster, Table, Tile,
};
use serde::{Deserialize, Serialize};

/// A small U-Net on an eighth of a picture, as it is, bent, and with dropout at the bottom.
#[derive(Debug)]
pub struct ElasticDeformation;

/// What may vary in [`ElasticDeformation`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ElasticDeformationConfig {
    /// Trainings of each kind, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of each training, each on 4 tiles
    #[arg(long)]
    pub steps: usize,
    /// Bent versions of the training picture
    #[arg(long)]
    pub versions: usize,
    /// Standard deviation of the displacements on the coarse grid, pixels
    #[arg(long)]
    pub deviation: f64,
    /// Columns of the lower half that the networks segment, from the left, 128 to 512
    #[arg(long)]
    pub columns: usize,
}

impl Default for ElasticDeformationConfig {
    fn default() -> Self {
        Self { seeds: 3, steps: 250, versions: 20, deviation: 10.0, columns: 512 }
    }
}

impl ExperimentConfig for ElasticDeformationConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 1, versions: 2, columns: 128, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("steps", self.steps, 1)?;
        at_least("versions", self.versions, 1)?;
        if !(128..=512).contains(&self.columns) {
            let value = self.columns.to_string();
            return Err(lab::Error::Config { field: "columns", rule: "128 to 512", value });
        }
        if self.deviation >= 0.0 && self.deviation.is_finite() {
            return Ok(self);
        }
        let (field, rule) = ("deviation", "at least 0 and finite");
        Err(lab::Error::Config { field, rule, value: self.deviation.to_string() })
    }
}

/// What [`ElasticDeformation`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ElasticDeformationReport {
    /// Whether the steps are enough for claims about networks.
    pub is_full: bool,
    /// Nuclei that are trained on.
    pub nuclei: usize,
    /// One training per seed on the picture as it is.
    pub plain: Vec<Scores>,
    /// One training per seed on bent versions.
    pub bent: Vec<Scores>,
    /// One training per seed on the picture as it is, with dropout at the end of the way down.
    pub dropped: Vec<Scores>,
    /// The same as text.
    pub table: Table,
    /// The training picture and three bent versions, in percent of the brightest pixel.
    pub pictures: Vec<Vec<u16>>,
}

/// Pictures that are drawn.
const SHOWN: usize = 4;
/// Rows and columns of the training picture: a quarter of the upper half.
pub const TRAINED: (usize, usize) = (128, 256);

/// `picture` and `labels` as they are, or bent by `by`.
fn version(
    picture: &Grid<f32>,
    labels: &Grid<u16>,
    by: Option<&Elastic>,
) -> Result<(Grid<f32>, Grid<u16>), lab::Error> {
    let Some(by) = by else { return Ok((picture.clone(), labels.clone())) };
    let bent = by.warp(&picture.map(f64::from)).map_err(lab::Error::unit)?;
    Ok((bent.map(|pixel| pixel as f32), by.warp_labels(labels).map_err(lab::Error::unit)?))
}

impl Experiment for ElasticDeformation {
    type Config = ElasticDeformationConfig;
    type Report = ElasticDeformationReport;
    const ABOUT: About = About {
        name: "elastic-deformation",
        lecture: 14,
        paper: "Ronneberger, Fischer & Brox (2015), U-Net: convolutional networks for biomedical image segmentation, \
                section 3.1",
        claim: "On an eighth of a picture, elastic deformation raises the F1 score of instances beside rotations and \
                reflections",
        sources: &[
            include_str!("deformation.rs"),
            include_str!("nuclei.rs"),
            include_str!("../unet.rs"),
            include_str!("../segmentation.rs"),
            include_str!("../segmentation/metrics.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let halves = datasets::nuclei().halves();
        let ((train, labels), (test, truth)) = (picture(&halves.train), picture(&halves.test));
        let (height, width) = TRAINED;
        let cut =
            |values: &dyn Fn(usize) -> f32| -> Vec<f32> { (0..height * train.width).map(values).collect() };
        let train = columns(&Grid { height, width: train.width, values: cut(&|at| train.values[at]) }, width);
        let labels =
            Grid { height, width: labels.width, values: labels.values[..height * labels.width].to_vec() };
        let labels = part_touching(&columns(&labels, width));
        let standard = standard(&train);
        let (test, truth) = (columns(&standard(&test), config.columns), columns(&truth, config.columns));
        let train = standard(&train);
        let (mut plain, mut bent, mut dropped, mut shown) = (vec![], vec![], vec![], vec![train.clone()]);
        let versions = |bends: &[Elastic]| -> Result<(Training, Vec<Grid<f32>>), lab::Error> {
            let (mut versions, mut pictures) = (Vec::new(), Vec::new());
            for bend in bends.iter().map(Some).chain(bends.is_empty().then_some(None)) {
                let (picture, labels) = version(&train, &labels, bend)?;
                let weights = BorderWeights::default().of(&labels);
                versions.push(Version::new(&picture, labels, weights)?);
                pictures.push(picture);
            }
            Ok((Training(versions), pictures))
        };
        let still = versions(&[])?.0;
        let plan = (config.steps, RATE);
        for seed in lab.seeds(config.seeds) {
            let bends = (0..config.versions).map(|version| {
                let key = seed.key("versions").fold(version as u64);
                Elastic::draw(height, width, config.deviation, key)
            });
            let (moving, pictures) = versions(&bends.collect::<Vec<_>>())?;
            shown.extend(pictures.into_iter().take(SHOWN - shown.len()));
            let name = |what: &str| format!("{what}, seed {seed}");
            let net = network::<SmallUNet>(name("as it is"), plan, &still, seed, lab)?;
            plain.push(scores(&truth, &segment::<SmallUNet>(&net, &test)?)?.0);
            let net = network::<SmallUNet>(name("bent"), plan, &moving, seed, lab)?;
            bent.push(scores(&truth, &segment::<SmallUNet>(&net, &test)?)?.0);
            let net = network::<SmallUNetDropout>(name("dropout"), plan, &still, seed, lab)?;
            dropped.push(scores(&truth, &segment::<SmallUNetDropout>(&net, &test)?)?.0);
        }
        let mut cells = labels.values.clone();
        cells.sort_unstable();
        cells.dedup();
        let table = table(&plain, &bent, &dropped);
        let full = ElasticDeformationConfig::default();
        let pictures = shown.iter().map(percent).collect();
        Ok(ElasticDeformationReport {
            is_full: config.steps >= full.steps && config.columns == full.columns,
            nuclei: cells.iter().filter(|cell| **cell > 0).count(),
            plain,
            bent,
            dropped,
            table,
            pictures,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let apart = Check::new(
            "bent-is-different",
            "mean difference of a bent picture from the picture, in percent of the brightest pixel",
            Measured::over(
                &report.pictures[1..]
                    .iter()
                    .map(|bent| difference(&report.pictures[0], bent))
                    .collect::<Vec<_>>(),
            ),
            // Pilot, seeds 100 to 102: 6.2 ± 1.2; three standard deviations below.
            Bound::AtLeast(2.6),
            BoundSource::Pilot,
        )
        .reason_if_failed("the displacements are smaller than the nuclei's edges are wide");
        if !report.is_full {
            return vec![apart];
        }
        let over = |with: &[Scores], f: fn(&Scores) -> f64| {
            let pairs = with.iter().zip(&report.plain);
            Measured::over(&pairs.map(|(with, plain)| f(with) - f(plain)).collect::<Vec<_>>())
        };
        let plain =
            |f: fn(&Scores) -> f64| Measured::over(&report.plain.iter().map(f).collect::<Vec<_>>()).mean;
        vec![
            apart,
            Check::new(
                "deformation-f1",
                "F1 of instances with deformations minus that without, same seeds",
                over(&report.bent, |scores| scores.f1),
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("without", plain(|scores| scores.f1))
            .reason_if_failed(
                "nuclei of one size from one picture: bending makes shapes that the other half does not have, and 250 steps \
                 do not wear out the picture",
            ),
            Check::new(
                "deformation-iou",
                "intersection over union with deformations minus that without, same seeds",
                over(&report.bent, |scores| scores.iou),
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("without", plain(|scores| scores.iou))
            .reason_if_failed("bending blurs edges, and edges are what the pixels differ in"),
            Check::new(
                "dropout-f1",
                "F1 of instances with dropout at the bottom minus that without, same seeds",
                over(&report.dropped, |scores| scores.f1),
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("without", plain(|scores| scores.f1))
            .reason_if_failed(
                "250 steps do not wear out the picture: what is missing at the bottom is missed more than it protects",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let pictures = report.pictures.iter().zip(["as it is", "bent", "bent", "bent"]);
        let tile = |(picture, name): (&Vec<u16>, &str)| {
            Tile::new(TRAINED.1, &picture.iter().map(|level| f64::from(*level)).collect::<Vec<_>>())
                .caption(name)
        };
        let column = |x: f64, scores: &[Scores]| scores.iter().map(|s| (x, s.f1)).collect::<Vec<_>>();
        vec![
            Figure::new(
                "bent",
                "One picture becomes many. The part of the picture that is trained on, and three elastic deformations of \
                 it: displacements of 10 pixels on a grid of 3 × 3 points, smooth between them, mirrored at the border. \
                 Cells and weights are bent along.",
                "Four wide pictures of bright nuclei, drawn dark on white. The last three show the same nuclei shifted, \
                 stretched and turned by different amounts in different places.",
                Raster {
                    tiles: pictures.map(tile).collect(),
                    columns: 2,
                    ramp: Ramp::Ink { low: 0.0, high: 100.0 },
                },
            ),
            Figure::new(
                "f1",
                "What bending and dropout bring, beside what seeds differ by. F1 score of the nuclei of the other half, \
                 one dot per training on the picture as it is, on bent versions, and on the picture as it is with dropout \
                 at the bottom of the network; all with rotations and reflections.",
                "Three columns of dots, one dot for each training, at the height of its F1 score: left on the picture as \
                 it is, in the middle on bent versions of it, right with dropout.",
                Plot::new(
                    Axis::categories("training", ["as it is", "bent", "dropout"]),
                    Axis::linear("F1 of instances"),
                )
                .scatter(
                    "trainings",
                    [column(0.0, &report.plain), column(1.0, &report.bent), column(2.0, &report.dropped)]
                        .concat(),
                ),
            ),
        ]
    }
}

/// Largest learning rate of the cycle, as in `unet-nuclei`.
const RATE: f64 = 4e-3;

/// Pixels from the darkest to the brightest as 0 to 100.
fn percent(picture: &Grid<f32>) -> Vec<u16> {
    let low = picture.values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = picture.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    picture.values.iter().map(|pixel| (100.0 * (pixel - low) / (high - low)).round() as u16).collect()
}

fn difference(a: &[u16], b: &[u16]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

fn table(plain: &[Scores], bent: &[Scores], dropped: &[Scores]) -> Table {
    let mut table = Table::new(["training", "IoU", "IoU off the edges", "F1 of instances", "components"]);
    for (name, scores) in [("as it is", plain), ("bent", bent), ("dropout", dropped)] {
        let over = |f: fn(&Scores) -> f64| {
            let measured = Measured::over(&scores.iter().map(f).collect::<Vec<_>>());
            format!("{:.3} ± {:.3}", measured.mean, measured.sd)
        };
        table.row([
            name.to_owned(),
            over(|s| s.iou),
            over(|s| s.inner_iou),
            over(|s| s.f1),
            scores.iter().map(|s| s.components.to_string()).collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}
