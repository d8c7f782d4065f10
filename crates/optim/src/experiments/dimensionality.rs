//! The curse of dimensionality: distances that become alike, neighbours that stop helping.
use datasets::Images;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Seed, Table};
use nalgebra::DMatrix;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::at_least_two;
use crate::learning::dimension::{contrast, edge_length};
use crate::learning::validation::error_rate;
use crate::learning::{Estimator, Neighbours, Predict, one_hot};

/// Distances and nearest neighbours as the dimension grows.
#[derive(Debug)]
pub struct Dimensionality;

/// What may vary in [`Dimensionality`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct DimensionalityConfig {
    /// Repetitions with other points and another split, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Points whose distances are compared, at least 10
    #[arg(long)]
    pub points: usize,
    /// Most examples of the regression, at least 400
    #[arg(long)]
    pub examples: usize,
}

impl Default for DimensionalityConfig {
    fn default() -> Self {
        Self { seeds: 5, points: 400, examples: 12_800 }
    }
}

impl ExperimentConfig for DimensionalityConfig {
    fn quick() -> Self {
        Self { seeds: 2, points: 400, examples: 3200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        for (field, value, least, rule) in [
            ("points", self.points, 10, "at least 10"),
            ("examples", self.examples, 400, "at least 400, for two sizes or more"),
        ] {
            if value < least {
                return Err(lab::Error::Config { field, rule, value: value.to_string() });
            }
        }
        Ok(self)
    }
}

/// Dimensions in which distances are compared.
const DIMENSIONS: [usize; 5] = [2, 10, 50, 100, 500];
/// Noise features beside the 64 pixels.
const NOISE: [usize; 4] = [0, 64, 256, 1024];
/// Dimensions of the regression.
const REGRESSION: [usize; 4] = [1, 2, 4, 8];
/// Smallest number of examples of the regression; it doubles.
const SMALLEST: usize = 100;
/// Test points of the regression.
const QUERIES: usize = 500;

/// What [`Dimensionality`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DimensionalityReport {
    /// Contrast of the distances, by dimension.
    pub contrast: Vec<(usize, Measured)>,
    /// Accuracy of 5 nearest neighbours on digits, by number of noise features.
    pub accuracy: Vec<(usize, Measured)>,
    /// Smallest loss of accuracy from one number of noise features to the next, by repetition.
    pub smallest_drop: Vec<f64>,
    /// Mean squared error of one nearest neighbour on |x|²: dimension, then (examples, error).
    pub regression: Vec<(usize, Vec<(usize, f64)>)>,
    /// Slope of log error against log examples, and −2/d, by dimension.
    pub slopes: Vec<(usize, Measured, f64)>,
    /// As text.
    pub table: Table,
    /// As text.
    pub slopes_table: Table,
}

impl Experiment for Dimensionality {
    type Config = DimensionalityConfig;
    type Report = DimensionalityReport;
    const ABOUT: About = About {
        name: "dimensionality",
        lecture: 2,
        paper: "Goodfellow, Bengio & Courville (2016), Deep learning, section 5.11.1; Beyer et al. (1999), When is nearest \
                neighbour meaningful?",
        claim: "Among 400 uniform points in 500 dimensions the farthest is at most 17 % farther than the nearest; 1024 \
                features of noise take 25 points of accuracy or more from nearest neighbours on digits; the error of one \
                neighbour falls as n to the power −2/d",
        sources: &[
            include_str!("dimensionality.rs"),
            include_str!("../learning/dimension.rs"),
            include_str!("../learning/neighbours.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let digits = datasets::digits();
        let seeds = lab.seeds(config.seeds);
        let (mut contrasts, mut accuracies, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("repetitions", done as u64, seeds.len() as u64, None)?;
            let uniform = |d: usize| {
                let mut rng = seed.key("distances").fold(d as u64).rng();
                contrast(&DMatrix::from_fn(config.points, d, |_, _| rng.gen_range(0.0..1.0)))
            };
            contrasts.push(DIMENSIONS.map(uniform).into_iter().collect::<Result<Vec<_>, _>>());
            accuracies.push(NOISE.map(|noise| accuracy(&digits, noise, seed)).into_iter().collect());
            errors.push(REGRESSION.map(|d| regression(config, d, seed)).into_iter().collect());
        }
        lab.progress("repetitions", seeds.len() as u64, seeds.len() as u64, None)?;
        let contrasts: Vec<Vec<f64>> =
            contrasts.into_iter().collect::<Result<_, _>>().map_err(lab::Error::unit)?;
        let accuracies: Vec<Vec<f64>> =
            accuracies.into_iter().collect::<Result<_, crate::Error>>().map_err(lab::Error::unit)?;
        type Curves = Vec<Vec<(usize, f64)>>;
        let errors: Vec<Curves> =
            errors.into_iter().collect::<Result<_, crate::Error>>().map_err(lab::Error::unit)?;
        let column =
            |runs: &[Vec<f64>], i: usize| Measured::over(&runs.iter().map(|run| run[i]).collect::<Vec<_>>());
        let drop =
            |run: &Vec<f64>| run.windows(2).map(|pair| pair[0] - pair[1]).fold(f64::INFINITY, f64::min);
        let contrast: Vec<_> =
            DIMENSIONS.iter().enumerate().map(|(i, &d)| (d, column(&contrasts, i))).collect();
        let accuracy: Vec<_> = NOISE.iter().enumerate().map(|(i, &d)| (d, column(&accuracies, i))).collect();
        let mean_curve = |i: usize| {
            let sizes = errors[0][i].iter().map(|(n, _)| *n);
            let mean = |k: usize| errors.iter().map(|run| run[i][k].1).sum::<f64>() / errors.len() as f64;
            sizes.enumerate().map(|(k, n)| (n, mean(k))).collect::<Vec<_>>()
        };
        let slopes: Vec<_> = REGRESSION
            .iter()
            .enumerate()
            .map(|(i, &d)| {
                let slopes: Vec<f64> = errors.iter().map(|run| slope(&run[i])).collect();
                (d, Measured::over(&slopes), -2.0 / d as f64)
            })
            .collect();
        Ok(DimensionalityReport {
            smallest_drop: accuracies.iter().map(drop).collect(),
            regression: REGRESSION.iter().enumerate().map(|(i, &d)| (d, mean_curve(i))).collect(),
            table: table(&contrast, &accuracy),
            slopes_table: slopes_table(&slopes),
            contrast,
            accuracy,
            slopes,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let contrast = |i: usize| report.contrast[i].1;
        let accuracy = |i: usize| report.accuracy[i].1;
        let off = report.slopes.iter().map(|(_, slope, theory)| (slope.mean / theory - 1.0).abs());
        vec![
            // Pilot with other seeds: 2.41 at d = 10 and 0.159 at d = 500.
            Check::new(
                "contrast-10",
                "(farthest − nearest)/nearest among 400 uniform points, 10 dimensions",
                contrast(1),
                Bound::Within(2.2, 2.7),
                BoundSource::Pilot,
            )
            .reason_if_failed("other points or another distance"),
            Check::new(
                "contrast-500",
                "(farthest − nearest)/nearest among 400 uniform points, 500 dimensions",
                contrast(4),
                Bound::AtMost(0.17),
                BoundSource::Pilot,
            )
            .baseline("2 dimensions", contrast(0).mean)
            .reason_if_failed("other points or another distance"),
            Check::new(
                "digits",
                "accuracy of 5 nearest neighbours on digits, 64 pixels",
                accuracy(0),
                Bound::AtLeast(0.96),
                BoundSource::Pilot,
            )
            .reason_if_failed("a harder split, such as one by writers"),
            Check::new(
                "digits-with-noise",
                "the same with 1024 features of uniform noise",
                accuracy(3),
                Bound::AtMost(0.72),
                BoundSource::Pilot,
            )
            .baseline("without noise", accuracy(0).mean)
            .reason_if_failed("noise on another scale than the pixels"),
            Check::new(
                "monotone",
                "smallest loss of accuracy from 0 to 64 to 256 to 1024 features of noise",
                Measured::over(&report.smallest_drop),
                Bound::AtLeast(0.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("the step from 0 to 64 features is small"),
            Check::new(
                "rate",
                "largest relative distance of the measured slope of log error over log n from −2/d, d = 1, 2, 4, 8",
                Measured::exact(off.fold(0.0, f64::max)),
                Bound::AtMost(0.35),
                BoundSource::Paper,
            )
            .reason_if_failed("in 8 dimensions most points lie at a border, where the rate sets in late"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![edges(), noise(report), rate(report)]
    }
}

/// 5 nearest neighbours on digits with features of uniform noise in \[0, 1\].
fn accuracy(digits: &Images<1, 8, 8>, noise: usize, seed: Seed) -> Result<f64, crate::Error> {
    let split = digits.shuffled(seed.value());
    let mut rng = seed.key("noise").fold(noise as u64).rng();
    let mut data = |images: &Images<1, 8, 8>| {
        let max = f64::from(images.max_level());
        DMatrix::from_fn(images.len(), 64 + noise, |i, j| {
            if j < 64 { f64::from(images.pixels(i)[j]) / max } else { rng.gen_range(0.0..1.0) }
        })
    };
    let (train, test) = (data(&split.train), data(&split.test));
    let labels = |images: &Images<1, 8, 8>| one_hot(&images.labels(), 10);
    let fit = Neighbours { k: 5 }.fit(&train, &labels(&split.train)?)?;
    Ok(1.0 - error_rate(&fit.predict(&test)?, &labels(&split.test)?))
}

/// Mean squared error of one nearest neighbour on |x|² over the unit cube, without noise, for doubling numbers of examples.
fn regression(
    config: &DimensionalityConfig,
    d: usize,
    seed: Seed,
) -> Result<Vec<(usize, f64)>, crate::Error> {
    let mut rng = seed.key("regression").fold(d as u64).rng();
    let mut draw = |n: usize| DMatrix::from_fn(n, d, |_, _| rng.gen_range(0.0..1.0));
    let target = |x: &DMatrix<f64>| DMatrix::from_fn(x.nrows(), 1, |i, _| x.row(i).norm_squared());
    let queries = draw(QUERIES);
    let sizes = std::iter::successors(Some(SMALLEST), |n| Some(2 * n)).take_while(|&n| n <= config.examples);
    sizes
        .map(|n| {
            let x = draw(n);
            let fit = Neighbours { k: 1 }.fit(&x, &target(&x))?;
            let error = (fit.predict(&queries)? - target(&queries)).norm_squared() / QUERIES as f64;
            Ok((n, error))
        })
        .collect()
}

/// Least-squares slope of log error against log examples.
fn slope(curve: &[(usize, f64)]) -> f64 {
    let points: Vec<(f64, f64)> = curve.iter().map(|&(n, error)| ((n as f64).ln(), error.ln())).collect();
    super::slope(&points)
}

fn table(contrast: &[(usize, Measured)], accuracy: &[(usize, Measured)]) -> Table {
    let mut table = Table::new(["dimensions", "contrast", "noise features", "accuracy on digits"]);
    for i in 0..contrast.len().max(accuracy.len()) {
        let cells = |row: Option<&(usize, Measured)>| {
            row.map_or([String::new(), String::new()], |(d, m)| {
                [d.to_string(), format!("{} ± {}", m.rounded(m.mean), m.rounded(m.sd))]
            })
        };
        let ([a, b], [c, d]) = (cells(contrast.get(i)), cells(accuracy.get(i)));
        table.row([a, b, c, d]);
    }
    table
}

fn slopes_table(slopes: &[(usize, Measured, f64)]) -> Table {
    let mut table = Table::new(["dimensions d", "−2/d", "measured slope"]);
    for (d, slope, theory) in slopes {
        table.row([d.to_string(), format!("{theory:.3}"), format!("{:.3} ± {:.3}", slope.mean, slope.sd)]);
    }
    table
}

fn edges() -> Figure {
    let curve = |volume: f64| {
        let edge = move |d: usize| (d as f64, edge_length(volume, d).unwrap_or(1.0));
        Line::new(format!("{}% of the volume", volume * 100.0), (1..=30).map(edge))
    };
    Figure::new(
        "edges",
        "In many dimensions a neighbourhood is not local. Edge of the cube that holds a given share of the unit cube, \
         the dth root of the volume: to see a hundredth of the data in ten dimensions it spans over half of every axis.",
        "Three rising curves against the dimension from 1 to 30. All start near zero and approach one; the one for the \
         largest volume rises first.",
        Plot::new(Axis::linear("dimensions d"), Axis::linear("edge length").range(0.0, 1.0))
            .line(curve(0.1))
            .line(curve(0.01))
            .line(curve(0.001)),
    )
}

fn noise(report: &DimensionalityReport) -> Figure {
    let accuracy = report.accuracy.iter().map(|(d, m)| (*d as f64, m.mean));
    let band = report.accuracy.iter().map(|(_, m)| (m.mean - m.sd, m.mean + m.sd));
    Figure::new(
        "noise",
        format!(
            "Features that say nothing drown those that do. Accuracy of 5 nearest neighbours on 8 × 8 digits against the \
             number of added features of uniform noise, mean and one standard deviation over {} splits.",
            report.smallest_drop.len()
        ),
        "A curve that starts near the top, at almost one, and falls to below three quarters at a thousand noise features.",
        Plot::new(Axis::linear("features of noise"), Axis::linear("test accuracy").range(0.5, 1.0))
            .line(Line::new("5 nearest neighbours", accuracy).band(band)),
    )
}

fn rate(report: &DimensionalityReport) -> Figure {
    let mut plot = Plot::new(Axis::logarithmic("examples n"), Axis::logarithmic("mean squared error"));
    for (d, curve) in &report.regression {
        let points = curve.iter().map(|&(n, error)| (n as f64, error));
        plot = plot.line(Line::new(format!("d = {d}"), points));
    }
    Figure::new(
        "rate",
        "Ten times the examples help a lot on a line and little in eight dimensions. Error of one nearest neighbour on \
         |x|² over the unit cube, without noise, against the number of examples; the slopes are close to −2/d.",
        "Four falling straight lines on logarithmic axes. The one for one dimension falls by four orders of magnitude, the \
         one for eight dimensions is almost level.",
        plot,
    )
}
