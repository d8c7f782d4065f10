//! Bayesian linear regression knows how wrong it may be.
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::at_least_two;
use crate::learning::bayes::{Predictive, WeightDistribution};
use crate::learning::column;
use crate::learning::polynomial::{Basis, features};

/// Predictive bands after 1, 4, 16 and 64 examples.
#[derive(Debug)]
pub struct BayesianLine;

/// What may vary in [`BayesianLine`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct BayesianLineConfig {
    /// Functions drawn from the prior, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Degree of the polynomials
    #[arg(long)]
    pub degree: usize,
}

impl Default for BayesianLineConfig {
    fn default() -> Self {
        Self { seeds: 4000, degree: 5 }
    }
}

impl ExperimentConfig for BayesianLineConfig {
    fn quick() -> Self {
        Self { seeds: 1000, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        if !(1..=20).contains(&self.degree) {
            let value = self.degree.to_string();
            return Err(lab::Error::Config { field: "degree", rule: "between 1 and 20", value });
        }
        Ok(self)
    }
}

/// Variance of the noise on the targets.
const NOISE: f64 = 0.09;
/// Numbers of examples.
const EXAMPLES: [usize; 4] = [1, 4, 16, 64];
/// Half of the width of a 90 % interval, in standard deviations.
const NINETY: f64 = 1.6448536269514722;
const GRID: usize = 61;

/// What [`BayesianLine`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BayesianLineReport {
    /// Functions drawn.
    pub functions: usize,
    /// After each number of examples.
    pub stages: Vec<Stage>,
    /// As text.
    pub table: Table,
    /// Test inputs of the bands.
    pub grid: Vec<f64>,
    /// The drawn function.
    pub truth: Vec<f64>,
    /// Its examples, (x, y).
    pub points: Vec<(f64, f64)>,
}

/// One number of examples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stage {
    /// Examples.
    pub examples: usize,
    /// Share of new targets inside of the 90 % interval.
    pub covered: f64,
    /// The same where the variance of the weights is left out and the noise alone makes the interval.
    pub covered_without_doubt: f64,
    /// Mean width of the interval.
    pub width: f64,
    /// Band of the first function, (low, high), at the test inputs.
    pub band: Vec<(f64, f64)>,
    /// Its middle.
    pub mean: Vec<f64>,
}

fn design(x: &[f64], degree: usize) -> Result<DMatrix<f64>, crate::Error> {
    Ok(features(&column(x), degree, Basis::Legendre)?.insert_column(0, 1.0))
}

impl Experiment for BayesianLine {
    type Config = BayesianLineConfig;
    type Report = BayesianLineReport;
    const ABOUT: About = About {
        name: "bayesian-line",
        lecture: 2,
        paper: "Goodfellow, Bengio & Courville (2016), Deep learning, section 5.6",
        claim: "For functions drawn from the prior, the 90 % predictive interval of Bayesian regression holds 90 % of new \
                targets after 1, 4, 16 and 64 examples; the noise alone gives far too narrow intervals at first",
        sources: &[
            include_str!("bayesian_line.rs"),
            include_str!("../learning/bayes.rs"),
            include_str!("../learning/polynomial.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let grid: Vec<f64> = (0..GRID).map(|i| 2.0 * i as f64 / (GRID - 1) as f64 - 1.0).collect();
        let mut counts = [(0_usize, 0_usize, 0.0_f64); EXAMPLES.len()];
        let mut first = None;
        let seeds = lab.seeds(config.seeds);
        for (done, seed) in seeds.iter().enumerate() {
            if done % 100 == 0 {
                lab.progress("functions", done as u64, seeds.len() as u64, None)?;
            }
            let mut rng = seed.key("function").rng();
            let weights = DVector::from_fn(config.degree + 1, |_, _| rng.sample::<f64, _>(StandardNormal));
            let most = EXAMPLES[EXAMPLES.len() - 1];
            let x: Vec<f64> = (0..=most).map(|_| rng.gen_range(-1.0..1.0)).collect();
            let phi = design(&x, config.degree).map_err(lab::Error::unit)?;
            let noise =
                DVector::from_fn(most + 1, |_, _| NOISE.sqrt() * rng.sample::<f64, _>(StandardNormal));
            let y = &phi * &weights + noise;
            let stages = stages(config, &phi, y.as_slice(), &grid, done == 0).map_err(lab::Error::unit)?;
            let target = y[most]; // the last one is new
            for (count, (new, _)) in counts.iter_mut().zip(&stages) {
                let inside = |variance: f64| (target - new.mean).abs() <= NINETY * variance.sqrt();
                count.0 += usize::from(inside(new.variance));
                count.1 += usize::from(inside(NOISE));
                count.2 += 2.0 * NINETY * new.variance.sqrt();
            }
            if done == 0 {
                let truth = design(&grid, config.degree).map_err(lab::Error::unit)? * &weights;
                let points = x.iter().copied().zip(y.iter().copied()).take(most).collect::<Vec<_>>();
                first = Some((truth.as_slice().to_vec(), points, stages));
            }
        }
        lab.progress("functions", seeds.len() as u64, seeds.len() as u64, None)?;
        let (truth, points, bands) = first.unwrap_or_default();
        let n = seeds.len() as f64;
        let stages: Vec<Stage> = EXAMPLES
            .iter()
            .zip(counts)
            .zip(bands)
            .map(|((&examples, (covered, without, width)), (_, band))| Stage {
                examples,
                covered: covered as f64 / n,
                covered_without_doubt: without as f64 / n,
                width: width / n,
                mean: band.iter().map(|p| p.mean).collect(),
                band: band
                    .iter()
                    .map(|p| (p.mean - NINETY * p.variance.sqrt(), p.mean + NINETY * p.variance.sqrt()))
                    .collect(),
            })
            .collect();
        let mut table = Table::new(["examples", "inside 90 %", "inside, noise alone", "mean width"]);
        for stage in &stages {
            let [a, b, c] =
                [stage.covered, stage.covered_without_doubt, stage.width].map(|v| format!("{v:.3}"));
            table.row([stage.examples.to_string(), a, b, c]);
        }
        Ok(BayesianLineReport { functions: seeds.len(), stages, table, grid, truth, points })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let share = |p: f64| Measured { mean: p, sd: (p * (1.0 - p)).sqrt(), n: report.functions };
        let worst = |a: &&Stage, b: &&Stage| (a.covered - 0.9).abs().total_cmp(&(b.covered - 0.9).abs());
        let worst = report.stages.iter().max_by(worst).map_or(0.0, |stage| stage.covered);
        let one = report.stages.first().map_or(1.0, |stage| stage.covered_without_doubt);
        vec![
            // 4 standard errors of 1000 functions: 4 · 0.3/√1000 = 0.038.
            Check::new(
                "calibrated",
                "share of new targets inside of the 90 % interval, at the number of examples where it is farthest from 0.9",
                share(worst),
                Bound::Within(0.862, 0.938),
                BoundSource::Paper,
            )
            .reason_if_failed("functions that the prior does not describe"),
            Check::new(
                "doubt-counts",
                "share inside of an interval made of the noise alone, after one example",
                share(one),
                Bound::AtMost(0.5),
                BoundSource::Pilot,
            )
            .baseline("with the variance of the weights", report.stages.first().map_or(0.0, |s| s.covered))
            .reason_if_failed("a prior that is as narrow as the noise"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let curve =
            |values: &[f64]| report.grid.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>();
        let panels = report.stages.iter().map(|stage| {
            let points = report.points.iter().take(stage.examples).copied();
            Plot::new(Axis::linear("x").range(-1.0, 1.0), Axis::linear("y").range(-4.0, 4.0))
                .title(format!("{} example{}", stage.examples, if stage.examples == 1 { "" } else { "s" }))
                .line(Line::new("", curve(&stage.mean)).band(stage.band.iter().copied()))
                .line(Line::new("", curve(&report.truth)))
                .mark(lab::Mark::Scatter { name: String::new(), points: points.collect() })
        });
        vec![Figure::new(
            "bands",
            "What is known grows where there are examples. Polynomial of degree 5 with normal coefficients: the solid line is \
             the predictive mean, the band holds nine of ten new targets, the dashed line is the function that made the \
             points. After 64 examples the band is as wide as the noise.",
            "Four panels with a solid curve in a band, a dashed curve and points. With one example the band is \
             wide, but for the end where the point lies; with 4 and 16 it narrows; with 64 it follows the dashed curve closely.",
            Body::Panels { panels: panels.collect(), columns: 2 },
        )]
    }
}

/// The prediction for the last input after each number of examples, and the band over the grid if it is drawn.
fn stages(
    config: &BayesianLineConfig,
    phi: &DMatrix<f64>,
    y: &[f64],
    grid: &[f64],
    is_drawn: bool,
) -> Result<Vec<(Predictive, Vec<Predictive>)>, crate::Error> {
    let mut knowledge = WeightDistribution::prior(config.degree + 1, 1.0, NOISE)?;
    let mut seen = 0;
    let mut stages = Vec::new();
    for examples in EXAMPLES {
        knowledge = knowledge.after(&phi.rows(seen, examples - seen).into_owned(), &y[seen..examples])?;
        seen = examples;
        let new = knowledge.predict(&phi.rows(phi.nrows() - 1, 1).into_owned())?[0];
        let band = if is_drawn { knowledge.predict(&design(grid, config.degree)?)? } else { Vec::new() };
        stages.push((new, band));
    }
    Ok(stages)
}
