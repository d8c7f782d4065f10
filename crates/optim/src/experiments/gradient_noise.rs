//! The noise of a minibatch gradient, and a tutorial whose printed rate diverges.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use nalgebra::{DMatrix, dmatrix};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::sgd::gradient_noise::{covariance, minibatch_share, stationary};
use crate::sgd::stochastic::{Descent, Sampling, StepSize};
use crate::sgd::{FiniteSum, LeastSquares};

/// Variance of minibatch gradients on digits, and the spectral radius of a cycle.
#[derive(Debug)]
pub struct GradientNoise;

/// What may vary in [`GradientNoise`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct GradientNoiseConfig {
    /// Repetitions with other draws, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Minibatches of each size in a repetition
    #[arg(long)]
    pub draws: usize,
}

impl Default for GradientNoiseConfig {
    fn default() -> Self {
        Self { seeds: 5, draws: 10_000 }
    }
}

impl ExperimentConfig for GradientNoiseConfig {
    fn quick() -> Self {
        Self { seeds: 2, draws: 4000 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("draws", self.draws)?;
        Ok(self)
    }
}

/// Two blood values that nearly agree, total cholesterol and LDL: a narrow valley.
const PAIR: (usize, usize) = (4, 5);
/// Start, rate and steps of the paths in their plane.
const PATH: ((f64, f64), f64, u64) = ((1.6, 0.6), 0.05, 400);

/// Rate of the descent that never comes to rest, and its steps for each minibatch that is drawn otherwise.
const CLOUD: (f64, u64) = (0.02, 100);

/// Sizes of minibatches.
const BATCHES: [usize; 4] = [1, 4, 16, 64];

/// What [`GradientNoise`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradientNoiseReport {
    /// Trace of the covariance of single-example gradients.
    pub trace: f64,
    /// Batch, and measured variance times batch over the trace, drawn with replacement.
    pub with_replacement: Vec<(usize, Measured)>,
    /// Batch, and measured variance over the formula without replacement.
    pub without_replacement: Vec<(usize, Measured)>,
    /// Rate, and spectral radius of one pass over the tutorial's six rows.
    pub radius: Vec<(f64, f64)>,
    /// The rate at which the radius is 1.
    pub critical_rate: f64,
    /// The sufficient rate 2 over the largest curvature of one row.
    pub sufficient_rate: f64,
    /// Radius at the rate that the tutorial prints, 0.05.
    pub printed_radius: f64,
    /// Two of the features alone: second derivatives by both weights, and the minimiser.
    pub plane: Plane,
    /// Examples in a step, and the weights after each step, from the same start with the same rate.
    pub paths: Vec<(usize, Vec<(f64, f64)>)>,
    /// Where single examples at a constant rate keep the weights of the same plane.
    pub cloud: Cloud,
    /// As text.
    pub table: Table,
}

/// A quadratic in two weights.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plane {
    /// $H_{11}$, $H_{12}$, $H_{22}$.
    pub hessian: [f64; 3],
    /// $w^*$.
    pub minimiser: (f64, f64),
}

impl Plane {
    /// Loss above the minimum.
    fn excess(&self, x: f64, y: f64) -> f64 {
        let [h11, h12, h22] = self.hessian;
        let (dx, dy) = (x - self.minimiser.0, y - self.minimiser.1);
        0.5 * (h11 * dx * dx + 2.0 * h12 * dx * dy + h22 * dy * dy)
    }
}

/// The weights around the minimiser under a constant rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cloud {
    /// The rate.
    pub rate: f64,
    /// $C_{11}$, $C_{12}$, $C_{22}$ of the solution of $HC + CH = \eta\Sigma$.
    pub covariance: [f64; 3],
    /// $\operatorname{tr}(C^{-1}\hat C)/2$ with the covariance $\hat C$ of the steps, over seeds.
    pub size: Measured,
    /// Share of the steps within the ellipse of two standard deviations, over seeds.
    pub inside: Measured,
    /// Some of the steps of the first seed.
    pub points: Vec<(f64, f64)>,
}

impl Experiment for GradientNoise {
    type Config = GradientNoiseConfig;
    type Report = GradientNoiseReport;
    const ABOUT: About = About {
        name: "gradient-noise",
        lecture: 3,
        paper: "Goodfellow, Bengio & Courville (2016), Deep learning, section 8.1.3; R. Karim, Step-by-step tutorial on \
                linear regression with stochastic gradient descent",
        claim: "The variance of a minibatch gradient is tr Σ/B within 5 %; on a tutorial's six rows descent one row at a \
                time diverges above a rate of 0.0270, and the rate printed there is 0.05",
        sources: &[
            include_str!("gradient_noise.rs"),
            include_str!("../sgd/gradient_noise.rs"),
            include_str!("../sgd/mod.rs"),
            include_str!("../sgd/stochastic.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let data = datasets::diabetes().features().clone();
        let n = data.len();
        let scale =
            datasets::Standardiser::fit(&data).and_then(|s| s.transform(&data)).map_err(lab::Error::unit)?;
        let x = DMatrix::from_row_slice(n, scale.num_columns(), scale.values());
        let targets = datasets::diabetes().targets().to_vec();
        let mean = targets.iter().sum::<f64>() / n as f64;
        let y: Vec<f64> = targets.iter().map(|y| (y - mean) / 77.0).collect(); // about one standard deviation
        let problem_columns = DMatrix::from_columns(&[x.column(PAIR.0), x.column(PAIR.1)]);
        let problem = LeastSquares::new(x, y.clone(), 0.5).map_err(lab::Error::unit)?;
        let w = vec![0.0; problem.dim()];
        let trace = covariance(&problem, &w).trace();
        let full = problem.gradient(&w);
        let (plane, paths) = paths(&problem_columns, &y, lab.key("paths")).map_err(lab::Error::unit)?;
        let seeds = lab.seeds(config.seeds);
        let steps = CLOUD.1 * config.draws as u64;
        let cloud = cloud(&problem_columns, &y, &seeds, steps).map_err(lab::Error::unit)?;
        let (mut with_replacement, mut without_replacement) = (Vec::new(), Vec::new());
        for (done, batch) in BATCHES.into_iter().enumerate() {
            lab.progress("batch sizes", done as u64, BATCHES.len() as u64, None)?;
            for (is_with, list) in [(true, &mut with_replacement), (false, &mut without_replacement)] {
                let share = minibatch_share(batch, n, is_with).map_err(lab::Error::unit)?;
                let variance = |seed: &lab::Seed| {
                    let mut rng =
                        seed.key("minibatches").fold((2 * batch + usize::from(is_with)) as u64).rng();
                    let one = |_| {
                        let mut off: Vec<f64> = full.iter().map(|g| -g).collect();
                        let chosen: Vec<usize> = if is_with {
                            (0..batch).map(|_| rng.gen_range(0..n)).collect()
                        } else {
                            rand::seq::index::sample(&mut rng, n, batch).into_vec()
                        };
                        chosen
                            .iter()
                            .for_each(|&i| problem.add_gradient(i, &w, 1.0 / batch as f64, &mut off));
                        off.iter().map(|g| g * g).sum::<f64>()
                    };
                    (0..config.draws).map(one).sum::<f64>() / config.draws as f64 / (trace * share)
                };
                list.push((batch, Measured::over(&seeds.iter().map(variance).collect::<Vec<_>>())));
            }
        }
        lab.progress("batch sizes", BATCHES.len() as u64, BATCHES.len() as u64, None)?;
        let rows = tutorial().map_err(lab::Error::unit)?;
        let (mut low, mut high) = (0.02, 0.05);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if radius(&rows, middle) < 1.0 { low = middle } else { high = middle }
        }
        let curvature = (0..rows.terms()).map(|i| rows.curvature(i)).fold(0.0, f64::max);
        let mut table = Table::new(["batch", "with replacement", "without"]);
        for ((batch, with), (_, without)) in with_replacement.iter().zip(&without_replacement) {
            let cell = |m: &Measured| format!("{:.3} ± {:.3}", m.mean, m.sd);
            table.row([batch.to_string(), cell(with), cell(without)]);
        }
        Ok(GradientNoiseReport {
            trace,
            with_replacement,
            without_replacement,
            radius: (1..=60).map(|i| f64::from(i) * 1e-3).map(|rate| (rate, radius(&rows, rate))).collect(),
            critical_rate: low,
            sufficient_rate: 2.0 / curvature,
            printed_radius: radius(&rows, 0.05),
            plane,
            paths,
            cloud,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let farthest = |list: &[(usize, Measured)]| {
            let off = |m: &Measured| (m.mean - 1.0).abs();
            let worst = list.iter().map(|(_, m)| *m).max_by(|a, b| off(a).total_cmp(&off(b)));
            worst.unwrap_or(Measured::exact(f64::NAN))
        };
        vec![
            Check::new(
                "with-replacement",
                "variance · B / tr Σ for B = 1, 4, 16, 64 drawn with replacement, the farthest from 1",
                farthest(&report.with_replacement),
                Bound::Within(0.95, 1.06),
                BoundSource::Paper,
            )
            .reason_if_failed("too few draws"),
            Check::new(
                "without-replacement",
                "variance · B (n − 1) / (tr Σ (n − B)) drawn without replacement, the farthest from 1",
                farthest(&report.without_replacement),
                Bound::Within(0.95, 1.06),
                BoundSource::Paper,
            )
            .reason_if_failed("too few draws"),
            Check::new(
                "cloud",
                "mean square of single-example steps at a constant rate, in units of the predicted covariance",
                report.cloud.size,
                Bound::Within(0.9, 1.1), // to first order in the rate
                BoundSource::Paper,
            )
            .baseline("share within two standard deviations, 0.865 for a Gaussian", report.cloud.inside.mean)
            .reason_if_failed("too few steps for the flat direction"),
            Check::new(
                "critical-rate",
                "rate above which one pass over the tutorial's rows makes errors grow",
                Measured::exact(report.critical_rate),
                Bound::Within(0.027, 0.0271),
                BoundSource::Paper,
            )
            .baseline("sufficient: 2 over the largest curvature of one row", report.sufficient_rate)
            .reason_if_failed("another order of the rows"),
            Check::new(
                "printed-rate",
                "factor by which a pass makes the worst error grow at the printed rate 0.05",
                Measured::exact(report.printed_radius),
                Bound::AtLeast(5.0),
                BoundSource::Paper,
            )
            .reason_if_failed("features that were scaled before"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let measured = |list: &[(usize, Measured)]| {
            list.iter().map(|(b, m)| (*b as f64, m.mean * report.trace / *b as f64)).collect::<Vec<_>>()
        };
        vec![
            Figure::new(
                "variance",
                "Four times the examples, half the noise. Variance of a minibatch gradient of linear regression at w = 0 \
                 against the size of the minibatch; the line is tr Σ/B.",
                "Points on a falling straight line of slope minus one on logarithmic axes, from single examples to minibatches of 64.",
                Plot::new(Axis::logarithmic("examples B"), Axis::logarithmic("variance of the gradient"))
                    .scatter("measured", measured(&report.with_replacement))
                    .line(Line::new("tr Σ / B", BATCHES.map(|b| (b as f64, report.trace / b as f64)))),
            ),
            paths_figure(report),
            cloud_figure(report),
            Figure::new(
                "radius",
                "Above 1 errors grow from pass to pass. Largest eigenvalue, in size, of one pass over the tutorial's six rows \
                 against the rate; the rate printed in the tutorial is at the right.",
                "A curve that falls slowly below one, turns, crosses one a little before the middle and rises steeply.",
                Plot::new(
                    Axis::linear("rate η").range(0.0, 0.06),
                    Axis::logarithmic("spectral radius").range(0.5, 20.0),
                )
                .line(Line::new("one pass", report.radius.clone()))
                .horizontal("1", 1.0)
                .vertical("printed", 0.05),
            ),
        ]
    }
}

/// Descent in the plane of two features with all examples in a step, with 16 and with one.
fn paths(
    x: &DMatrix<f64>,
    y: &[f64],
    key: kernels::random::Key,
) -> Result<(Plane, Vec<(usize, Vec<(f64, f64)>)>), crate::Error> {
    let problem = LeastSquares::new(x.clone(), y.to_vec(), 0.5)?;
    let (h, w) = (problem.hessian(), problem.minimiser()?);
    let plane = Plane { hessian: [h[(0, 0)], h[(0, 1)], h[(1, 1)]], minimiser: (w[0], w[1]) };
    let ((a, b), rate, steps) = PATH;
    let mut paths = Vec::new();
    for batch in [problem.terms(), 16, 1] {
        let descent =
            Descent::new(StepSize::Constant(rate)).sampling(Sampling::Shuffled).batch(batch).steps(steps);
        let mut path = vec![(a, b)];
        descent
            .run(&problem, &[a, b], &mut key.fold(batch as u64).rng(), |at| path.push((at.w[0], at.w[1])))?;
        paths.push((batch, path));
    }
    Ok((plane, paths))
}

fn paths_figure(report: &GradientNoiseReport) -> Figure {
    let (across, up) = ((-1.6, 2.2), (-1.2, 1.6));
    let levels: Vec<f64> = (0..9).map(|i| 2e-3 * 3_f64.powi(i)).collect();
    let mut plot = Plot::new(
        Axis::linear("weight of total cholesterol").range(across.0, across.1),
        Axis::linear("weight of LDL").range(up.0, up.1),
    )
    .faint(lab::contours(across, up, &levels, |x, y| report.plane.excess(x, y)));
    for (batch, path) in report.paths.iter().rev() {
        let name = if *batch == 1 { "one example".to_owned() } else { format!("{batch} examples") };
        plot = plot.line(Line::new(name, path.iter().copied()));
    }
    Figure::new(
        "paths",
        "All three go down the same valley; the fewer examples in a step, the wider they stagger, and at the bottom only the \
         full gradient comes to rest. Four hundred steps of the same length factor on two features of the diabetes data, \
         with lines of equal loss.",
        "Slanted long ellipses with three paths from the upper right. One is smooth and ends in the centre; one trembles \
         along it; the third is a scribble that fills a cloud around the centre.",
        plot,
    )
}

/// Steps with one example each from the minimiser, without end.
fn cloud(x: &DMatrix<f64>, y: &[f64], seeds: &[lab::Seed], steps: u64) -> Result<Cloud, crate::Error> {
    let problem = LeastSquares::new(x.clone(), y.to_vec(), 0.5)?;
    let centre = problem.minimiser()?;
    let c = stationary(&problem.hessian(), &covariance(&problem, &centre), CLOUD.0)?;
    let inverse = c.clone().try_inverse().ok_or(crate::Error::Singular { what: "the covariance" })?;
    let descent = Descent::new(StepSize::Constant(CLOUD.0)).steps(steps);
    let (mut sizes, mut shares, mut points) = (Vec::new(), Vec::new(), Vec::new());
    let (skipped, every) = (steps / 10, (steps / 500).max(1));
    for (k, seed) in seeds.iter().enumerate() {
        let (mut total, mut inside, mut count) = (0.0, 0.0, 0.0);
        descent.run(&problem, &centre, &mut seed.key("cloud").rng(), |at| {
            if at.step <= skipped {
                return;
            }
            let (dx, dy) = (at.w[0] - centre[0], at.w[1] - centre[1]);
            let square =
                inverse[(0, 0)] * dx * dx + 2.0 * inverse[(0, 1)] * dx * dy + inverse[(1, 1)] * dy * dy;
            total += square;
            inside += f64::from(u8::from(square < 4.0));
            count += 1.0;
            if k == 0 && at.step % every == 0 {
                points.push((at.w[0], at.w[1]));
            }
        })?;
        sizes.push(total / (2.0 * count));
        shares.push(inside / count);
    }
    Ok(Cloud {
        rate: CLOUD.0,
        covariance: [c[(0, 0)], c[(0, 1)], c[(1, 1)]],
        size: Measured::over(&sizes),
        inside: Measured::over(&shares),
        points,
    })
}

fn cloud_figure(report: &GradientNoiseReport) -> Figure {
    let ([c11, c12, c22], (x, y)) = (report.cloud.covariance, report.plane.minimiser);
    let (a, b) = (c11.sqrt(), c12 / c11.sqrt());
    let c = (c22 - b * b).sqrt(); // Cholesky factor, rows (a, 0) and (b, c)
    let ellipse = (0..=120).map(|k| std::f64::consts::TAU * f64::from(k) / 120.0).map(|angle| {
        let (sin, cos) = angle.sin_cos();
        (x + 2.0 * a * cos, y + 2.0 * (b * cos + c * sin))
    });
    let reach = 3.5 * c11.max(c22).sqrt();
    let (across, up) = ((x - reach, x + reach), (y - reach, y + reach));
    let levels: Vec<f64> = (0..6).map(|i| 2e-4 * 3_f64.powi(i)).collect();
    let plot = Plot::new(
        Axis::linear("weight of total cholesterol").range(across.0, across.1),
        Axis::linear("weight of LDL").range(up.0, up.1),
    )
    .faint(lab::contours(across, up, &levels, |x, y| report.plane.excess(x, y)));
    let within = |&(px, py): &(f64, f64)| (px - x).abs() < reach && (py - y).abs() < reach;
    Figure::new(
        "cloud",
        format!(
            "A constant rate leaves a cloud whose size and shape can be computed; it is nearly round, though the valley is \
             narrow. Some of many steps with one example each at the rate {}, and the ellipse of two standard deviations by \
             the equation; lines of equal loss as before.",
            report.cloud.rate
        ),
        "Points in a nearly round heap, most of them within an ellipse that is almost a circle. Slanted lines of equal loss, \
         much longer than wide, pass behind.",
        plot.scatter("steps", report.cloud.points.iter().copied().filter(within))
            .line(Line::new("two deviations", ellipse)),
    )
}

fn tutorial() -> Result<LeastSquares, crate::Error> {
    let x = dmatrix![
        4.0, 1.0, 1.0; 2.0, 8.0, 1.0; 1.0, 0.0, 1.0; 3.0, 2.0, 1.0; 1.0, 4.0, 1.0; 6.0, 7.0, 1.0
    ];
    LeastSquares::new(x, vec![2.0, -14.0, 1.0, -1.0, -7.0, -8.0], 1.0)
}

fn radius(rows: &LeastSquares, rate: f64) -> f64 {
    rows.cycle(rate).complex_eigenvalues().iter().map(|value| value.norm()).fold(0.0, f64::max)
}
