//! Newton's relatives: sums of squares with a Jacobian, and the plateau around a saddle with a Hessian.
use datasets::{breast_cancer, digits};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::pooled::paired;
use super::{at_least_one, at_least_two};
use crate::autodiff::hvp::{Sizes, second_order};
use crate::descent::Descent;
use crate::learning::{Predict, Standardized, column};
use crate::nielsen::sigmoid;
use crate::second_order::{
    Lbfgs, LbfgsConfig, LevenbergMarquardtConfig, NewtonKind, gauss_newton_step, levenberg_marquardt, newton,
};

/// Newton, damped, saddle-free; Gauss–Newton and Levenberg–Marquardt.
#[derive(Debug)]
pub struct NewtonRelatives;

/// What may vary in [`NewtonRelatives`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct NewtonRelativesConfig {
    /// Draws of the patients, and starts of the network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Evaluations that a method without a matrix may use
    #[arg(long)]
    pub evaluations: usize,
    /// Images of the network
    #[arg(long)]
    pub images: usize,
    /// Iterations on the network, at least 10
    #[arg(long)]
    pub iterations: usize,
}

impl Default for NewtonRelativesConfig {
    fn default() -> Self {
        Self { seeds: 5, evaluations: 5000, images: 200, iterations: 40 }
    }
}

impl ExperimentConfig for NewtonRelativesConfig {
    fn quick() -> Self {
        Self { seeds: 2, evaluations: 500, images: 60, iterations: 10 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("evaluations", self.evaluations)?;
        if !(30..=500).contains(&self.images) {
            let value = self.images.to_string();
            return Err(lab::Error::Config { field: "images", rule: "30 to 500", value });
        }
        if self.iterations < 10 {
            let value = self.iterations.to_string();
            return Err(lab::Error::Config { field: "iterations", rule: "at least 10", value });
        }
        Ok(self)
    }
}

/// What [`NewtonRelatives`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewtonRelativesReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Levenberg–Marquardt, Gauss–Newton, Newton, L-BFGS, gradient descent on the sum of squares.
    pub squares: Vec<Arrival>,
    /// Newton, damped, saddle-free, gradient descent on the network.
    pub saddles: Vec<Leaving>,
    /// As text.
    pub squares_table: Table,
    /// As text.
    pub saddles_table: Table,
}

/// One method on the sum of squares.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Arrival {
    /// In words.
    pub name: String,
    /// Evaluations until the gradient has a millionth of its length at the start, by seed; the most that were allowed when it
    /// never has.
    pub evaluations: Vec<f64>,
    /// Share of the draws on which it arrives.
    pub arrives: f64,
    /// Value at the end, by seed.
    pub values: Vec<f64>,
}

/// One method on the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leaving {
    /// In words.
    pub name: String,
    /// λ, ε or the rate with the lowest mean loss, where there is one.
    pub setting: Option<f64>,
    /// Loss at the end, by seed; that of a guess when it is not finite.
    pub losses: Vec<f64>,
    /// Negative eigenvalues of the Hessian at the end, by seed, more negative than a thousandth of the largest.
    pub index: Vec<f64>,
    /// Loss after each iteration, by seed, at most twice that of a guess.
    pub curves: Vec<Vec<f64>>,
}

/// λ of the penalty ½λ|w|² that gives the sum of squares a minimum.
const PENALTY: f64 = 1.0;
const PATIENTS: usize = 400;
/// Largest length of the gradient at the end, as a share of that at the start.
const GOAL: f64 = 1e-6;

/// ½ Σ (σ(w·x) − y)² + ½ λ|w|²: residuals and Jacobian, with a row for each weight.
struct Squares {
    x: DMatrix<f64>,
    y: DVector<f64>,
}

/// All numbers means 0 and deviations 1.
struct Units;
impl crate::learning::Estimator for Units {
    type Fitted = Itself;
    fn fit(&self, _: &DMatrix<f64>, _: &DMatrix<f64>) -> Result<Itself, crate::Error> {
        Ok(Itself)
    }
}
/// Predicts what it is asked.
struct Itself;
impl Predict for Itself {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, crate::Error> {
        Ok(x.clone())
    }
}

impl Squares {
    fn new(seed: Seed) -> Result<Self, crate::Error> {
        let data = breast_cancer();
        let rows = seed.key("patients").permutation(data.len())[..PATIENTS].to_vec();
        let features = data.features();
        let x = DMatrix::from_fn(PATIENTS, features.num_columns(), |i, j| features.row(rows[i])[j]);
        let y: Vec<f64> = rows.iter().map(|&i| data.targets()[i] as f64).collect();
        let units = crate::learning::Estimator::fit(&Standardized(Units), &x, &column(&y))?.predict(&x)?;
        let x = units.insert_column(0, 1.0);
        Ok(Self { x, y: DVector::from_vec(y) })
    }

    fn residuals(&self, w: &[f64]) -> (DVector<f64>, DMatrix<f64>) {
        let (n, d) = self.x.shape();
        let w = DVector::from_column_slice(w);
        let s = (&self.x * &w).map(sigmoid);
        let root = PENALTY.sqrt();
        let residuals =
            DVector::from_fn(n + d, |i, _| if i < n { s[i] - self.y[i] } else { root * w[i - n] });
        let jacobian = DMatrix::from_fn(n + d, d, |i, j| match i.checked_sub(n) {
            None => s[i] * (1.0 - s[i]) * self.x[(i, j)],
            Some(k) => f64::from(u8::from(k == j)) * root,
        });
        (residuals, jacobian)
    }

    fn value(&self, w: &[f64]) -> (f64, DVector<f64>, DMatrix<f64>) {
        let (n, d) = self.x.shape();
        let (r, j) = self.residuals(w);
        let mut hessian = j.tr_mul(&j);
        let s = (&self.x * DVector::from_column_slice(w)).map(sigmoid);
        for i in 0..n {
            let bend = r[i] * s[i] * (1.0 - s[i]) * (1.0 - 2.0 * s[i]); // r σ''
            let row = self.x.row(i);
            hessian += row.transpose() * row * bend;
        }
        debug_assert_eq!(hessian.nrows(), d);
        (0.5 * r.norm_squared(), j.tr_mul(&r), hessian)
    }
}

const SQUARES: [&str; 5] = ["Levenberg–Marquardt", "Gauss–Newton", "Newton", "L-BFGS", "gradient descent"];

/// Evaluations to the goal, if it is reached, and the value at the end.
fn arrive(method: usize, problem: &Squares, limit: usize) -> Result<(Option<usize>, f64), crate::Error> {
    let start = vec![0.0; problem.x.ncols()];
    let (_, slope, _) = problem.value(&start);
    let tolerance = GOAL * slope.norm();
    let length = |w: &[f64]| {
        let (r, j) = problem.residuals(w);
        (0.5 * r.norm_squared(), j.tr_mul(&r).norm())
    };
    let objective = |w: &[f64]| {
        let (r, j) = problem.residuals(w);
        (0.5 * r.norm_squared(), j.tr_mul(&r).as_slice().to_vec())
    };
    let first = |points: &[Vec<f64>]| points.iter().position(|w| length(w).1 <= tolerance);
    match method {
        0 => {
            let config = LevenbergMarquardtConfig { tolerance, ..Default::default() };
            let (found, points) = levenberg_marquardt(|w| problem.residuals(w), &start, config)?;
            Ok((first(&points).map(|at| at + 1), found.value))
        }
        1 => {
            let mut w = start;
            for evaluations in 1..=100 {
                let (r, j) = problem.residuals(&w);
                if !r.norm().is_finite() {
                    break;
                }
                if j.tr_mul(&r).norm() <= tolerance {
                    return Ok((Some(evaluations), 0.5 * r.norm_squared()));
                }
                let step = gauss_newton_step(&r, &j)?;
                w.iter_mut().zip(step.iter()).for_each(|(w, d)| *w += d);
            }
            Ok((None, length(&w).0))
        }
        2 => {
            let (found, points) = newton(|w| problem.value(w), &start, NewtonKind::Plain, 0.0, 100)?;
            let arrived = first(&points).filter(|_| found.value.is_finite());
            Ok((arrived.map(|at| at + 1), found.value))
        }
        3 => {
            let mut count = 0;
            let mut arrived = None;
            let counted = |w: &[f64]| {
                count += 1;
                let (value, gradient) = objective(w);
                if arrived.is_none() && gradient.iter().map(|g| g * g).sum::<f64>().sqrt() <= tolerance {
                    arrived = Some(count);
                }
                (value, gradient)
            };
            let found = Lbfgs::try_new(LbfgsConfig::default())?.minimise(counted, &start, limit)?;
            Ok((arrived, found.value))
        }
        _ => {
            // The largest curvature at the start bounds the rate; half of 2/L.
            let (_, _, hessian) = problem.value(&start);
            let rate = 1.0 / hessian.symmetric_eigen().eigenvalues.max();
            let descent = Descent::gradient(rate);
            let path = descent.run(objective, &start, limit, |w| length(w).1 <= tolerance)?;
            let last = &path.points[path.points.len() - 1];
            Ok((path.has_arrived.then_some(path.points.len()), length(last).0))
        }
    }
}

/// 16 inputs, 4 hidden units, 3 classes: small enough for its Hessian.
const SIZES: Sizes = Sizes { inputs: 16, hidden: 4, outputs: 3 };
/// λ of the penalty ½λ|w|² on the network's weights: without one the Hessian of a softmax has no inverse.
const SMALL_PENALTY: f64 = 1e-4;
/// Standard deviation of the weights at the start: near the saddle at 0.
const NEAR: f64 = 1e-3;

/// Of the network.
fn penalty(w: &[f64]) -> f64 {
    0.5 * SMALL_PENALTY * w.iter().map(|w| w * w).sum::<f64>()
}

/// Digits 0, 1 and 2 at 4 × 4 pixels.
struct Network {
    x: DMatrix<f64>,
    labels: Vec<usize>,
}

impl Network {
    fn new(images: usize) -> Self {
        let digits = digits();
        let rows: Vec<usize> =
            (0..digits.len()).filter(|&i| digits.label(i) < SIZES.outputs).take(images).collect();
        let pixel = |i: usize, place: usize| {
            let pixels = digits.pixels(rows[i]);
            let (row, column) = (2 * (place / 4), 2 * (place % 4));
            let square = [0, 1, 8, 9].map(|more| f64::from(pixels[8 * row + column + more]));
            square.iter().sum::<f64>() / 64.0
        };
        let x = DMatrix::from_fn(rows.len(), SIZES.inputs, pixel);
        // Centred, so that the saddle at zero is one to first order.
        let means = x.row_mean();
        let x = DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - means[j]);
        Self { x, labels: rows.iter().map(|&i| digits.label(i)).collect() }
    }

    fn start(seed: Seed) -> Vec<f64> {
        let mut rng = seed.key("weights").rng();
        (0..SIZES.parameters()).map(|_| NEAR * rng.sample::<f64, _>(StandardNormal)).collect()
    }

    fn loss(&self, w: &[f64]) -> Result<(f64, Vec<f64>), crate::Error> {
        let mut found = second_order(SIZES, w, w, &self.x, &self.labels)?;
        found.gradient.iter_mut().zip(w).for_each(|(g, w)| *g += SMALL_PENALTY * w);
        Ok((found.loss + penalty(w), found.gradient))
    }

    fn all(&self, w: &[f64]) -> Result<(f64, DVector<f64>, DMatrix<f64>), crate::Error> {
        let n = SIZES.parameters();
        let mut hessian = DMatrix::zeros(n, n);
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for j in 0..n {
            let axis: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == j))).collect();
            let found = second_order(SIZES, w, &axis, &self.x, &self.labels)?;
            hessian.set_column(j, &DVector::from_vec(found.hessian_vector));
            (loss, gradient) = (found.loss, found.gradient);
        }
        let symmetric = (&hessian + hessian.transpose()) * 0.5 + DMatrix::identity(n, n) * SMALL_PENALTY;
        let gradient = DVector::from_vec(gradient) + DVector::from_column_slice(w) * SMALL_PENALTY;
        Ok((loss + penalty(w), gradient, symmetric))
    }

    fn index(&self, w: &[f64]) -> Result<f64, crate::Error> {
        let (loss, _, hessian) = self.all(w)?;
        if !loss.is_finite() || hessian.iter().any(|h| !h.is_finite()) {
            return Ok(SIZES.parameters() as f64);
        }
        let values = hessian.symmetric_eigen().eigenvalues;
        let floor = -1e-3 * values.amax();
        Ok(values.iter().filter(|value| **value < floor).count() as f64)
    }
}

const SADDLES: [&str; 4] = ["Newton", "damped Newton", "saddle-free Newton", "gradient descent"];
/// λ of damped steps, ε of saddle-free ones, the rate of gradient descent.
const SETTINGS: [&[f64]; 4] = [&[0.0], &[0.03, 0.1, 0.3], &[0.01, 0.03, 0.1], &[1.0, 3.0, 10.0]];

/// Losses after each iteration, and the point at the end.
fn leave(
    method: usize,
    setting: f64,
    network: &Network,
    start: &[f64],
    iterations: usize,
) -> Result<(Vec<f64>, Vec<f64>), crate::Error> {
    if method == 3 {
        let mut w = start.to_vec();
        let mut losses = Vec::new();
        for _ in 0..=iterations {
            let (loss, gradient) = network.loss(&w)?;
            losses.push(loss);
            w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= setting * g);
        }
        return Ok((losses, w));
    }
    let kind = [NewtonKind::Plain, NewtonKind::Damped(setting), NewtonKind::SaddleFree(setting)][method];
    let mut failed = None;
    let evaluate = |w: &[f64]| {
        network.all(w).unwrap_or_else(|error| {
            failed = Some(error);
            (f64::NAN, DVector::zeros(w.len()), DMatrix::zeros(w.len(), w.len()))
        })
    };
    let (found, _) = newton(evaluate, start, kind, 1e-10, iterations)?;
    if let Some(error) = failed {
        return Err(error);
    }
    let mut losses = found.history;
    let last = losses[losses.len() - 1];
    losses.resize(iterations + 1, last); // it has converged
    Ok((losses, found.x))
}

impl Experiment for NewtonRelatives {
    type Config = NewtonRelativesConfig;
    type Report = NewtonRelativesReport;
    const ABOUT: About = About {
        name: "newton-relatives",
        lecture: 8,
        paper: "Dauphin et al. (2014), Identifying and attacking the saddle point problem in high-dimensional non-convex \
                optimization; Levenberg (1944), Marquardt (1963)",
        claim: "On a sum of squares over 400 patients Levenberg–Marquardt arrives in nine tenths of the evaluations of L-BFGS or \
                fewer; beside a saddle Newton's method ends at one, its saddle-free form at a tenth of that loss or less",
        sources: &[
            include_str!("newton_relatives.rs"),
            include_str!("../second_order/newton.rs"),
            include_str!("../second_order/lbfgs.rs"),
            include_str!("../autodiff/hvp.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let problems = seeds.iter().map(|&seed| Squares::new(seed)).collect::<Result<Vec<_>, _>>();
        let problems = problems.map_err(lab::Error::unit)?;
        let total = (SQUARES.len() + SADDLES.len()) as u64;
        let mut squares = Vec::new();
        for (method, name) in SQUARES.iter().enumerate() {
            lab.progress("methods", method as u64, total, None)?;
            let runs = problems.iter().map(|problem| arrive(method, problem, config.evaluations));
            let runs = runs.collect::<Result<Vec<_>, _>>().map_err(lab::Error::unit)?;
            squares.push(Arrival {
                name: name.to_string(),
                evaluations: runs.iter().map(|(at, _)| at.unwrap_or(config.evaluations) as f64).collect(),
                arrives: runs.iter().filter(|(at, _)| at.is_some()).count() as f64 / runs.len() as f64,
                values: runs
                    .iter()
                    .map(|(_, value)| if value.is_finite() { *value } else { f64::MAX })
                    .collect(),
            });
        }
        let network = Network::new(config.images);
        let guess = (SIZES.outputs as f64).ln();
        let mut saddles = Vec::new();
        for (method, name) in SADDLES.iter().enumerate() {
            lab.progress("methods", (SQUARES.len() + method) as u64, total, None)?;
            let mut best: Option<Leaving> = None;
            for &setting in SETTINGS[method] {
                let (mut losses, mut index, mut curves) = (Vec::new(), Vec::new(), Vec::new());
                for &seed in &seeds {
                    let run = leave(method, setting, &network, &Network::start(seed), config.iterations);
                    let (values, end) = run.map_err(lab::Error::unit)?;
                    let kept =
                        |value: &f64| if value.is_finite() { value.min(2.0 * guess) } else { 2.0 * guess };
                    let curve: Vec<f64> = values.iter().map(kept).collect();
                    losses.push(curve[curve.len() - 1]);
                    index.push(network.index(&end).map_err(lab::Error::unit)?);
                    curves.push(curve);
                }
                let sum = |losses: &[f64]| losses.iter().sum::<f64>();
                if best.as_ref().is_none_or(|best| sum(&losses) < sum(&best.losses)) {
                    let setting = (setting > 0.0).then_some(setting);
                    best = Some(Leaving { name: name.to_string(), setting, losses, index, curves });
                }
            }
            saddles.extend(best);
        }
        lab.progress("methods", total, total, None)?;
        Ok(NewtonRelativesReport {
            is_full: config.evaluations >= 5000 && config.images >= 200 && config.iterations >= 40,
            squares_table: squares_table(&squares),
            saddles_table: saddles_table(&saddles),
            squares,
            saddles,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [lm, gauss, _, lbfgs, descent] = [0, 1, 2, 3, 4].map(|index: usize| &report.squares[index]);
        let [plain, damped, free, slow] = [0, 1, 2, 3].map(|index: usize| &report.saddles[index]);
        let mean = |values: &[f64]| Measured::over(values);
        let mut checks = vec![
            Check::new(
                "marquardt-arrives",
                "evaluations of Levenberg–Marquardt until the gradient has a millionth of its length",
                mean(&lm.evaluations),
                Bound::AtMost(25.0), // 17.7 ± 1.5
                BoundSource::Pilot,
            )
            .baseline("L-BFGS", mean(&lbfgs.evaluations).mean)
            .reason_if_failed("residuals at the minimum that are large and bent"),
            Check::new(
                "same-minimum",
                "value at which Gauss–Newton ends over that of L-BFGS, less 1",
                paired(&gauss.values, &lbfgs.values, |a, b| (a / b - 1.0).abs()),
                Bound::AtMost(1e-6),
                BoundSource::Pilot,
            )
            .reason_if_failed("steps without damping that overshoot"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "fewer-than-lbfgs",
                    "evaluations of Levenberg–Marquardt over those of L-BFGS",
                    paired(&lm.evaluations, &lbfgs.evaluations, |a, b| a / b),
                    Bound::AtMost(0.9), // 0.67 ± 0.08
                    BoundSource::Pilot,
                )
                .baseline("gradient descent", paired(&descent.evaluations, &lbfgs.evaluations, |a, b| a / b).mean)
                .reason_if_failed("a problem with a small condition number"),
                Check::new(
                    "newton-is-attracted",
                    "negative eigenvalues of the Hessian where Newton's method ends, from a start beside the saddle at 0",
                    mean(&plain.index),
                    Bound::AtLeast(1.0),
                    BoundSource::Paper,
                )
                .baseline("saddle-free Newton", mean(&free.index).mean)
                .reason_if_failed("a start outside of the region in which the saddle attracts"),
                Check::new(
                    "saddle-free-leaves",
                    "loss at which saddle-free Newton ends, as a multiple of that of Newton's method",
                    paired(&free.losses, &plain.losses, |a, b| a / b),
                    Bound::AtMost(0.1), // 0.013
                    BoundSource::Pilot,
                )
                .baseline("damped Newton", paired(&damped.losses, &plain.losses, |a, b| a / b).mean)
                .reason_if_failed("an ε that is too large for the flat directions"),
                Check::new(
                    "before-gradient-descent",
                    "loss at which saddle-free Newton ends, as a multiple of that of gradient descent in as many iterations",
                    paired(&free.losses, &slow.losses, |a, b| a / b),
                    Bound::AtMost(0.1), // 0.03 ± 0.01
                    BoundSource::Pilot,
                )
                .baseline("gradient descent", 1.0)
                .reason_if_failed("a rate that is as good as curvature on this surface"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut plot = Plot::new(Axis::linear("iteration"), Axis::logarithmic("loss (nats)"));
        for method in &report.saddles {
            let n = method.curves.len() as f64;
            let at =
                |i: usize| (method.curves.iter().map(|curve| curve[i].max(1e-8).ln()).sum::<f64>() / n).exp();
            plot = plot.line(Line::new(&method.name, (0..method.curves[0].len()).map(|i| (i as f64, at(i)))));
        }
        vec![Figure::new(
            "saddle",
            format!(
                "Newton's method goes to the saddle and stays; with the absolute values of the curvatures it leaves after some \
                 iterations. Loss \
                 of a network with {} weights against the iteration, from weights of size {NEAR}; each with its best setting, \
                 geometric mean over {} starts.",
                SIZES.parameters(),
                report.saddles[0].losses.len()
            ),
            "Four curves on a logarithmic axis. That of Newton's method stays level at the loss of a guess; that of damped Newton \
             falls first, that of saddle-free Newton is level for some iterations and then falls lowest, \
             and gradient descent comes down last, with swings.",
            plot,
        )]
    }
}

fn squares_table(squares: &[Arrival]) -> Table {
    let mut table = Table::new(["method", "arrives, % of the draws", "evaluations"]);
    for method in squares {
        let Measured { mean, sd, .. } = Measured::over(&method.evaluations);
        table.row([
            method.name.clone(),
            format!("{:.0}", 100.0 * method.arrives),
            if method.arrives > 0.0 { format!("{mean:.0} ± {sd:.0}") } else { "–".into() },
        ]);
    }
    table
}

fn saddles_table(saddles: &[Leaving]) -> Table {
    let mut table = Table::new(["method", "λ, ε or rate", "loss at the end", "negative eigenvalues there"]);
    for method in saddles {
        let (loss, index) = (Measured::over(&method.losses), Measured::over(&method.index));
        table.row([
            method.name.clone(),
            method.setting.map_or("–".into(), |setting| setting.to_string()),
            format!("{:.4} ± {:.4}", loss.mean, loss.sd),
            format!("{:.1}", index.mean),
        ]);
    }
    table
}
