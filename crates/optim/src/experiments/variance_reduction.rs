//! Single examples without a plateau: SVRG and SAGA on logistic regression, in passes over the data.
use datasets::digits;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::pooled::paired;
use super::{at_least_two, slope};
use crate::nielsen::sigmoid;
use crate::second_order::{NewtonKind, newton};
use crate::sgd::stochastic::{Descent, StepSize};
use crate::sgd::variance_reduction::{Saga, Svrg};
use crate::sgd::{FiniteSum, Logistic};

/// SVRG, SAGA, SGD with a constant and with a falling step, and full gradients.
#[derive(Debug)]
pub struct VarianceReduction;

/// What may vary in [`VarianceReduction`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct VarianceReductionConfig {
    /// Draws of the images and of the order, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images in each draw, 100 to 1797
    #[arg(long)]
    pub images: usize,
    /// Passes over the images, at least 12
    #[arg(long)]
    pub passes: usize,
}

impl Default for VarianceReductionConfig {
    fn default() -> Self {
        Self { seeds: 5, images: 1000, passes: 60 }
    }
}

impl ExperimentConfig for VarianceReductionConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 200, passes: 30 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        let refuse =
            |field, rule, value: usize| Err(lab::Error::Config { field, rule, value: value.to_string() });
        if !(100..=1797).contains(&self.images) {
            return refuse("images", "100 to 1797", self.images);
        }
        if self.passes < 12 {
            return refuse("passes", "at least 12", self.passes);
        }
        Ok(self)
    }
}

/// What [`VarianceReduction`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VarianceReductionReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Largest curvature of one example over that of the penalty.
    pub condition: f64,
    /// SVRG, SAGA, falling step, constant step, full gradients.
    pub methods: Vec<Method>,
    /// The same as text.
    pub table: Table,
}

/// One method with its best rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Method {
    /// In words.
    pub name: String,
    /// Its rate, as a multiple of 1/L; for the falling step c, as a multiple of 1/μ.
    pub rate: f64,
    /// Gradients of single examples before each point of the curves, over the number of images.
    pub passes: Vec<f64>,
    /// Loss above the minimum, by seed.
    pub excess: Vec<Vec<f64>>,
}

/// μ: λ of the penalty.
const PENALTY: f64 = 0.01;
/// No excess below this is recorded.
const SMALLEST: f64 = 1e-15;
/// Below this the value's own rounding begins to count.
const ROUNDING: f64 = 1e-12;
const NAMES: [&str; 5] = ["SVRG", "SAGA", "SGD, c/t", "SGD, constant", "full gradients"];
/// Rates to choose from.
const RATES: [&[f64]; 5] =
    [&[0.1, 0.3, 1.0], &[0.1, 1.0 / 3.0, 1.0], &[0.3, 1.0, 3.0], &[0.01, 0.1, 1.0], &[1.0, 3.0, 10.0]];

struct Problem {
    sum: Logistic,
    x: DMatrix<f64>,
    least: f64,
    largest: f64,
}

impl Problem {
    /// Digits below 5 against the others.
    fn new(images: usize, seed: Seed) -> Result<Self, crate::Error> {
        let digits = digits();
        let rows = seed.key("images").permutation(digits.len())[..images].to_vec();
        // The last column is constant.
        let x = DMatrix::from_fn(images, 65, |i, j| match j {
            64 => 1.0,
            _ => f64::from(digits.pixels(rows[i])[j]) / 16.0,
        });
        let labels: Vec<i8> = rows.iter().map(|&i| if digits.label(i) < 5 { -1 } else { 1 }).collect();
        let sum = Logistic::new(x.clone(), &labels, PENALTY)?;
        let hessian = |w: &[f64]| {
            let scores = &x * DVector::from_column_slice(w);
            let mut hessian = DMatrix::identity(65, 65) * PENALTY;
            for (row, score) in x.row_iter().zip(scores.iter()) {
                let bend = sigmoid(*score) * sigmoid(-score) / images as f64;
                hessian.ger(bend, &row.transpose(), &row.transpose(), 1.0);
            }
            hessian
        };
        let all = |w: &[f64]| (sum.value(w), DVector::from_vec(sum.gradient(w)), hessian(w));
        let (found, _) = newton(all, &[0.0; 65], NewtonKind::Plain, 1e-14, 30)?;
        let largest = (0..images).map(|i| sum.curvature(i)).fold(0.0, f64::max);
        Ok(Self { least: found.value, largest, x, sum })
    }

    fn excess(&self, w: &[f64]) -> f64 {
        (self.sum.value(w) - self.least).max(SMALLEST)
    }

    /// Passes so far and the excess, after each pass or snapshot.
    fn run(
        &self,
        method: usize,
        rate: f64,
        passes: usize,
        seed: Seed,
    ) -> Result<Vec<(f64, f64)>, crate::Error> {
        let (n, start) = (self.x.nrows(), vec![0.0; 65]);
        let learning_rate = rate / self.largest;
        let mut rng = seed.key(NAMES[method]).rng();
        let first = (0.0, self.excess(&start));
        let each = |cost: f64, before: f64, points: Vec<Vec<f64>>| {
            let at = |(k, w): (usize, &Vec<f64>)| (before + cost * (k + 1) as f64, self.excess(w));
            [first].into_iter().chain(points.iter().enumerate().map(at)).collect::<Vec<_>>()
        };
        Ok(match method {
            0 => each(
                3.0,
                0.0,
                Svrg { learning_rate, snapshots: passes / 3 }.run(&self.sum, &start, &mut rng)?,
            ),
            1 => each(1.0, 1.0, Saga { learning_rate, epochs: passes - 1 }.run(&self.sum, &start, &mut rng)?),
            2 | 3 => {
                let step = match method {
                    // Held at 1/L at the beginning.
                    2 => StepSize::InverseTime { c: rate / PENALTY, t0: rate * self.largest / PENALTY },
                    _ => StepSize::Constant(learning_rate),
                };
                let mut points = vec![first];
                let descent = Descent::new(step).steps((n * passes) as u64);
                descent.run(&self.sum, &start, &mut rng, |seen| {
                    if seen.step % n as u64 == 0 {
                        points.push((seen.step as f64 / n as f64, self.excess(seen.w)));
                    }
                })?;
                points
            }
            _ => {
                let (mut w, mut points) = (start, Vec::new());
                for _ in 0..passes {
                    let gradient = self.sum.gradient(&w);
                    w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= learning_rate * g);
                    points.push(w.clone());
                }
                each(1.0, 0.0, points)
            }
        })
    }
}

/// Decades that the excess falls per ten passes over the second half of a curve, up to where rounding begins.
fn decades(passes: &[f64], excess: &[f64]) -> f64 {
    let kept = excess.iter().take_while(|excess| **excess > ROUNDING).count();
    let half = kept / 2;
    let points: Vec<(f64, f64)> =
        passes[half..kept].iter().zip(&excess[half..kept]).map(|(p, e)| (*p, e.log10())).collect();
    -10.0 * slope(&points)
}

impl Experiment for VarianceReduction {
    type Config = VarianceReductionConfig;
    type Report = VarianceReductionReport;
    const ABOUT: About = About {
        name: "variance-reduction",
        lecture: 3,
        paper: "Johnson & Zhang (2013), Accelerating stochastic gradient descent using predictive variance reduction; Defazio, \
                Bach & Lacoste-Julien (2014), SAGA",
        claim: "On logistic regression with 1,000 digits SVRG and SAGA lose at least two decades of excess loss in ten passes down to \
                rounding, SGD with its best falling step a fifth of one at most; after 60 passes they are a million times lower",
        sources: &[
            include_str!("variance_reduction.rs"),
            include_str!("../sgd/variance_reduction.rs"),
            include_str!("../sgd/stochastic.rs"),
            include_str!("../sgd/mod.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let problems =
            seeds.iter().map(|&seed| Problem::new(config.images, seed)).collect::<Result<Vec<_>, _>>();
        let problems = problems.map_err(lab::Error::unit)?;
        let mut methods = Vec::new();
        for (index, name) in NAMES.iter().enumerate() {
            lab.progress("methods", index as u64, NAMES.len() as u64, None)?;
            let mut best: Option<Method> = None;
            for &rate in RATES[index] {
                let runs =
                    problems.iter().zip(&seeds).map(|(p, &seed)| p.run(index, rate, config.passes, seed));
                let runs = runs.filter(|run| !matches!(run, Err(crate::Error::Diverged { .. })));
                let runs = runs.collect::<Result<Vec<_>, _>>().map_err(lab::Error::unit)?;
                let end = |excess: &Vec<f64>| excess[excess.len() - 1].ln();
                let method = Method {
                    name: name.to_string(),
                    rate,
                    passes: runs
                        .first()
                        .map_or_else(Vec::new, |run| run.iter().map(|point| point.0).collect()),
                    excess: runs.iter().map(|run| run.iter().map(|point| point.1).collect()).collect(),
                };
                let sum = |method: &Method| method.excess.iter().map(end).sum::<f64>();
                let is_whole = method.excess.len() == seeds.len() && sum(&method).is_finite();
                if is_whole && best.as_ref().is_none_or(|best| sum(&method) < sum(best)) {
                    best = Some(method);
                }
            }
            let none = || {
                let (method, distance) = (NAMES[index], f64::INFINITY);
                lab::Error::unit(crate::Error::Diverged {
                    method,
                    step: 0,
                    distance,
                    learning_rate: RATES[index][0],
                })
            };
            methods.push(best.ok_or_else(none)?);
        }
        lab.progress("methods", NAMES.len() as u64, NAMES.len() as u64, None)?;
        let mut table = Table::new(["method", "rate", "excess at the end", "decades in ten passes"]);
        for method in &methods {
            let n = method.excess.len() as f64;
            let last = method.excess.iter().map(|e| e[e.len() - 1].ln()).sum::<f64>() / n;
            let fall: Vec<f64> = method.excess.iter().map(|e| decades(&method.passes, e)).collect();
            let fall = Measured::over(&fall);
            let unit = if method.name.ends_with("c/t") { "c = {}/μ" } else { "{}/L" };
            table.row([
                method.name.clone(),
                unit.replace("{}", &format!("{:.2}", method.rate)),
                format!("{:.0e}", last.exp()),
                format!("{:.2} ± {:.2}", fall.mean, fall.sd),
            ]);
        }
        Ok(VarianceReductionReport {
            is_full: config.images >= 1000 && config.passes >= 60,
            condition: problems.iter().map(|p| p.largest / PENALTY).fold(0.0, f64::max),
            methods,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let fall = |index: usize| {
            let method = &report.methods[index];
            Measured::over(&method.excess.iter().map(|e| decades(&method.passes, e)).collect::<Vec<_>>())
        };
        let ends =
            |index: usize| report.methods[index].excess.iter().map(|e| e[e.len() - 1]).collect::<Vec<f64>>();
        let mut checks = Vec::new();
        for (id, index) in [("svrg-is-linear", 0), ("saga-is-linear", 1)] {
            checks.push(
                Check::new(
                    id,
                    format!(
                        "decades that the excess of {} falls in ten passes, over the second half",
                        NAMES[index]
                    ),
                    fall(index),
                    Bound::AtLeast(if report.is_full { 2.0 } else { 0.2 }), // SVRG: 3.0 ± 0.3
                    BoundSource::Pilot,
                )
                .baseline("SGD, c/t", fall(2).mean)
                .reason_if_failed("a rate that is too small, or an excess that has reached rounding"),
            );
        }
        if report.is_full {
            checks.push(
                Check::new(
                    "sgd-is-not",
                    "decades that the excess of SGD with its best falling step falls in ten passes, over the second half",
                    fall(2),
                    Bound::AtMost(0.2), // 1/t from pass 30 to 60: 0.1
                    BoundSource::Paper,
                )
                .baseline("SGD, constant", fall(3).mean)
                .reason_if_failed("passes so few that the start still counts"),
            );
            for (id, index) in [("svrg-ends-lower", 0), ("saga-ends-lower", 1)] {
                checks.push(
                    Check::new(
                        id,
                        format!(
                            "decimal logarithm of the excess of SGD over that of {}, after all passes",
                            NAMES[index]
                        ),
                        paired(&ends(2), &ends(index), |a, b| (a / b).log10()),
                        Bound::AtLeast(6.0), // 11.7 ± 0.2, the end of the digits
                        BoundSource::Pilot,
                    )
                    .baseline("full gradients", paired(&ends(2), &ends(4), |a, b| (a / b).log10()).mean)
                    .reason_if_failed("too few passes: in the first two plain SGD is ahead"),
                );
            }
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut plot = Plot::new(
            Axis::linear("passes over the data"),
            Axis::logarithmic("loss above the minimum").range(1e-13, 1.0),
        );
        for method in report.methods.iter().filter(|method| method.name != NAMES[3]) {
            let n = method.excess.len() as f64;
            let at = |i: usize| (method.excess.iter().map(|excess| excess[i].ln()).sum::<f64>() / n).exp();
            let points = method.passes.iter().enumerate().map(|(i, &passes)| (passes, at(i)));
            plot = plot.line(Line::new(&method.name, points.filter(|point| point.1 > 1e-13)));
        }
        vec![Figure::new(
            "excess",
            format!(
                "Subtract what is known of the noise, and single examples need no falling step. Loss above the minimum against \
                 gradients of single examples, in passes, logistic regression on digits; each with the best rate of a grid, \
                 geometric mean over {} draws of the digits.",
                report.methods[0].excess.len()
            ),
            "Four curves on a logarithmic axis. Those of SAGA and SVRG are falling lines that leave the others behind; SGD with a \
             falling step flattens, and full gradients fall slowly.",
            plot,
        )]
    }
}
