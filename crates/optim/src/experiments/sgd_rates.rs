//! How fast stochastic gradient descent converges, by step size and averaging, on real patients.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Seed, Table};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::{at_least_two, slope};
use crate::sgd::averaging::{Averaging, RunningAverage};
use crate::sgd::stochastic::{Descent, Iterate, StepSize};
use crate::sgd::{FiniteSum, LeastSquares};

/// Linear regression on 442 patients, one patient per step.
#[derive(Debug)]
pub struct SgdRates;

/// What may vary in [`SgdRates`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SgdRatesConfig {
    /// Repetitions with other draws, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Steps of one example, at least 10,000
    #[arg(long)]
    pub steps: u64,
    /// Steps for the stationary error, at least 10,000
    #[arg(long)]
    pub stationary_steps: u64,
}

impl Default for SgdRatesConfig {
    fn default() -> Self {
        Self { seeds: 24, steps: 40_000, stationary_steps: 1_000_000 }
    }
}

impl ExperimentConfig for SgdRatesConfig {
    fn quick() -> Self {
        Self { seeds: 12, stationary_steps: 200_000, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        for (field, value) in [("steps", self.steps), ("stationary_steps", self.stationary_steps)] {
            if value < 10_000 {
                let rule = "at least 10000, for slopes and means";
                return Err(lab::Error::Config { field, rule, value: value.to_string() });
            }
        }
        Ok(self)
    }
}

/// Constant rates whose stationary error is measured.
const RATES: [f64; 4] = [0.0025, 0.005, 0.01, 0.02];
/// Points of a curve.
const POINTS: u64 = 200;
/// The excess that the race between full and stochastic gradients is for.
const GOAL: f64 = 1e-2;
/// The constant rate of that race.
const RACE_RATE: f64 = 0.01;

/// What [`SgdRates`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SgdRatesReport {
    /// Patients.
    pub patients: usize,
    /// Whether the default number of repetitions was made.
    pub is_full: bool,
    /// Smallest eigenvalue of the Hessian, μ.
    pub smallest: f64,
    /// Largest.
    pub largest: f64,
    /// Their ratio.
    pub condition: f64,
    /// Steps of each curve's points.
    pub steps: Vec<u64>,
    /// Each schedule.
    pub schedules: Vec<Schedule>,
    /// Rate, and the mean excess over the second half divided by the rate.
    pub stationary: Vec<(f64, Measured)>,
    /// Gradients of single examples that full gradient descent needs to an excess of 0.01.
    pub full_gradients: u64,
    /// The same for stochastic descent, by repetition.
    pub stochastic_gradients: Vec<f64>,
    /// As text.
    pub table: Table,
    /// As text.
    pub stationary_table: Table,
}

/// One schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// Mean excess over the repetitions, at `steps`.
    pub excess: Vec<f64>,
    /// Excess at the end, by repetition, as the mean of the last tenth of the points.
    pub end: Measured,
    /// Slope of log mean excess against log step over the second half.
    pub slope: f64,
}

/// Standardised measurements and targets: f(w) = ½ mean (x·w − y)².
fn problem() -> Result<LeastSquares, crate::Error> {
    let data = datasets::diabetes();
    let (n, d) = (data.len(), data.features().num_columns());
    let x = DMatrix::from_row_slice(n, d, data.features().values());
    let standard = |column: Vec<f64>| {
        let mean = column.iter().sum::<f64>() / n as f64;
        let sd = (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        column.iter().map(|v| (v - mean) / sd).collect::<Vec<f64>>()
    };
    let columns: Vec<Vec<f64>> = x.column_iter().map(|c| standard(c.iter().copied().collect())).collect();
    let x = DMatrix::from_fn(n, d, |i, j| columns[j][i]);
    LeastSquares::new(x, standard(data.targets().to_vec()), 0.5)
}

/// ½ (w − w*)ᵀH(w − w*), the excess of a quadratic function.
struct Excess {
    hessian: DMatrix<f64>,
    least: Vec<f64>,
}

impl Excess {
    fn at(&self, w: &[f64]) -> f64 {
        let off = DVector::from_iterator(w.len(), w.iter().zip(&self.least).map(|(w, least)| w - least));
        0.5 * off.dot(&(&self.hessian * &off))
    }
}

impl Experiment for SgdRates {
    type Config = SgdRatesConfig;
    type Report = SgdRatesReport;
    const ABOUT: About = About {
        name: "sgd-rates",
        lecture: 3,
        paper: "Robbins & Monro (1951), A stochastic approximation method; Polyak & Juditsky (1992), Acceleration of \
                stochastic approximation by averaging",
        claim: "On 442 patients the step 1/(μt) gives an error of order 1/t, a constant step a plateau proportional to the \
                step, and the mean of the iterates at a constant step the smallest error of all, more than 4 times below the last \
                iterate",
        sources: &[
            include_str!("sgd_rates.rs"),
            include_str!("../sgd/mod.rs"),
            include_str!("../sgd/stochastic.rs"),
            include_str!("../sgd/averaging.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let problem = problem().map_err(lab::Error::unit)?;
        let excess =
            Excess { hessian: problem.hessian(), least: problem.minimiser().map_err(lab::Error::unit)? };
        let values = problem.hessian().symmetric_eigenvalues();
        let (smallest, largest) = (values.min(), values.max());
        let curvature = (0..problem.terms()).map(|i| problem.curvature(i)).fold(0.0, f64::max);
        // The first step of the schedules in 1/t is the largest that no example can make diverge: c/t₀ = 1/L.
        let inverse = |c: f64| StepSize::InverseTime { c, t0: c * curvature };
        let root = StepSize::InverseSqrt { c: 0.05, t0: 25.0 };
        let schedules = [
            ("constant", StepSize::Constant(0.005), false),
            ("1/√t", root, false),
            ("1/(μt)", inverse(1.0 / smallest), false),
            ("0.3/t", inverse(0.3), false),
            ("constant, averaged", StepSize::Constant(0.005), true),
            ("1/√t, averaged", root, true),
        ];
        let every = config.steps / POINTS;
        let seeds = lab.seeds(config.seeds);
        let mut runs: Vec<Vec<Vec<f64>>> = vec![Vec::new(); schedules.len()];
        let mut stochastic_gradients = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("repetitions", done as u64, seeds.len() as u64, None)?;
            for (curves, (_, step, is_averaged)) in runs.iter_mut().zip(&schedules) {
                curves.push(curve(&problem, &excess, *step, *is_averaged, config.steps, seed)?);
            }
            stochastic_gradients.push(race(&problem, &excess, config.steps, seed)?);
        }
        let mut stationary = Vec::new();
        for rate in RATES {
            let one = |seed: &Seed| plateau(&problem, &excess, rate, config.stationary_steps, *seed);
            let means = seeds.iter().take(3).map(one).collect::<Result<Vec<f64>, _>>()?;
            stationary.push((rate, Measured::over(&means)));
        }
        lab.progress("repetitions", seeds.len() as u64, seeds.len() as u64, None)?;
        let steps: Vec<u64> = (1..=POINTS).map(|i| i * every).collect();
        let schedules: Vec<Schedule> = schedules
            .iter()
            .zip(&runs)
            .map(|((name, ..), curves)| {
                let mean = |i: usize| curves.iter().map(|c| c[i]).sum::<f64>() / curves.len() as f64;
                let excess: Vec<f64> = (0..steps.len()).map(mean).collect();
                let tail = steps.len() - steps.len() / 10;
                let end = |c: &Vec<f64>| c[tail..].iter().sum::<f64>() / (c.len() - tail) as f64;
                let half = steps.iter().zip(&excess).skip(steps.len() / 2);
                let points: Vec<(f64, f64)> = half.map(|(t, e)| ((*t as f64).ln(), e.ln())).collect();
                Schedule {
                    name: (*name).to_string(),
                    end: Measured::over(&curves.iter().map(end).collect::<Vec<_>>()),
                    slope: slope(&points),
                    excess,
                }
            })
            .collect();
        let mut table = Table::new(["step size", "excess at the end", "slope"]);
        for Schedule { name, end, slope, .. } in &schedules {
            table.row([name.clone(), format!("{:.5} ± {:.5}", end.mean, end.sd), format!("{slope:.2}")]);
        }
        let mut stationary_table = Table::new(["rate η", "stationary excess / η"]);
        for (rate, m) in &stationary {
            stationary_table.row([rate.to_string(), format!("{:.3} ± {:.3}", m.mean, m.sd)]);
        }
        Ok(SgdRatesReport {
            patients: problem.terms(),
            is_full: config.seeds >= SgdRatesConfig::default().seeds,
            smallest,
            largest,
            condition: largest / smallest,
            full_gradients: full(&problem, &excess, 1.0 / largest),
            steps,
            schedules,
            stationary,
            stochastic_gradients,
            table,
            stationary_table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [constant, _, inverse, slow, averaged, _] = &report.schedules[..] else { return Vec::new() };
        let others = report.schedules.iter().filter(|s| s.name != averaged.name).map(|s| s.end.mean);
        let best_other = others.fold(f64::INFINITY, f64::min);
        let plateaus = report.stationary.iter().map(|(_, m)| m.mean);
        let (least, most) = plateaus.fold((f64::INFINITY, 0.0_f64), |(a, b), m| (a.min(m), b.max(m)));
        let gain: Vec<f64> =
            report.stochastic_gradients.iter().map(|g| report.full_gradients as f64 / g).collect();
        let mut checks = vec![
            Check::new(
                "rate-one",
                "slope of log excess against log step for the step 1/(μt), second half",
                Measured::exact(inverse.slope),
                Bound::Within(-1.3, -0.7),
                BoundSource::Paper,
            )
            .baseline("0.3/t, below the threshold 1/(2μ)", slow.slope)
            .reason_if_failed("the beginning, where the step is held at 1/L, is not over"),
            Check::new(
                "averaging",
                "excess of the last iterate over that of the mean of all, constant step",
                Measured::exact(constant.end.mean / averaged.end.mean),
                Bound::AtLeast(4.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("too few steps: the mean still remembers its start"),
            Check::new(
                "averaging-best",
                "excess of the mean at a constant step over the best of the other schedules",
                Measured::exact(averaged.end.mean / best_other),
                Bound::AtMost(1.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("the step 1/(μt), which needs to know μ, has caught up"),
            Check::new(
                "proportional",
                "largest over smallest of (stationary excess / rate), rates 0.0025 to 0.02",
                Measured::exact(most / least),
                Bound::AtMost(1.35),
                BoundSource::Pilot,
            )
            .reason_if_failed("the run is too short for the flattest direction"),
            Check::new(
                "cheaper-than-full",
                "gradients of single examples that full descent needs for an excess of 0.01, over those of one at a time",
                Measured::over(&gain),
                // Pilot: 11.7 over 400 repetitions at this rate, 7.1 at half and 13.4 at twice of it.
                Bound::AtLeast(6.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("a goal below the plateau of the stochastic method"),
        ];
        if report.is_full {
            // The plan of the course, before anybody had counted.
            checks.push(
                Check::new(
                    "twenty-times-cheaper",
                    "the same, as the plan of the course had it",
                    Measured::over(&gain),
                    Bound::AtLeast(20.0),
                    BoundSource::Guess,
                )
                .baseline("all patients at once", 1.0)
                .reason_if_failed(
                    "full descent comes within a hundredth of the minimum in a handful of steps: flat directions hardly matter \
                     that early",
                ),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |index: usize| {
            let schedule = &report.schedules[index];
            let points = report.steps.iter().zip(&schedule.excess).map(|(t, e)| (*t as f64, *e));
            Line::new(schedule.name.clone(), points)
        };
        let panel = |title: &str, first: usize, second: usize| {
            let (t0, e0) = (report.steps[20] as f64, report.schedules[second].excess[20]);
            let last = *report.steps.last().unwrap_or(&1) as f64;
            let reference = |order: f64| [(t0, e0), (last, e0 * (last / t0).powf(order))];
            Plot::new(
                Axis::logarithmic("step").range(200.0, last),
                Axis::logarithmic("excess").range(1e-4, 0.1),
            )
            .title(title)
            .line(line(first))
            .line(line(second))
            .line(Line::new("slope −½", reference(-0.5)))
            .line(Line::new("slope −1", reference(-1.0)))
        };
        let plateau = report.stationary.iter().map(|(rate, m)| (*rate, m.mean * rate));
        let theory = report.stationary.first().map_or(1.0, |(_, m)| m.mean);
        vec![
            Figure::new(
                "excess",
                "A constant step stops at a plateau, a falling one goes on, and the mean goes on fastest. Excess loss of \
                 linear regression on 442 patients against the number of single-patient steps, mean over the \
                 repetitions; the straight lines have the slopes −½ and −1 of convex and strongly convex losses.",
                "Two panels on logarithmic axes. Above: the constant step is level after a while; the step one over mu t \
                 lies above it at first, falls with a slope near minus one and ends below it. Below: both averaged \
                 schedules fall; the averaged constant step is lowest.",
                lab::Body::Panels {
                    panels: vec![panel("last iterate", 0, 2), panel("mean of all iterates", 5, 4)],
                    columns: 1,
                },
            ),
            Figure::new(
                "plateau",
                "Half the step, half the plateau. Stationary excess at a constant step against the step; the dashed line is \
                 proportional to it.",
                "Four points on a rising line on logarithmic axes, slightly steeper than the dashed line of slope one.",
                Plot::new(Axis::logarithmic("rate η"), Axis::logarithmic("stationary excess"))
                    .line(Line::new("measured", plateau))
                    .line(Line::new("∝ η", RATES.map(|rate| (rate, theory * rate)))),
            ),
        ]
    }
}

/// Excess of the iterate, or of the mean of all, after every 1/[`POINTS`] of the steps.
fn curve(
    problem: &LeastSquares,
    excess: &Excess,
    step: StepSize,
    is_averaged: bool,
    steps: u64,
    seed: Seed,
) -> Result<Vec<f64>, lab::Error> {
    let dim = problem.dim();
    let mut average = RunningAverage::new(Averaging::Polyak { start: 1 }, dim).map_err(lab::Error::unit)?;
    let (every, mut points) = (steps / POINTS, Vec::new());
    let see = |iterate: Iterate<'_>| {
        if is_averaged {
            average.see(iterate.step, iterate.w);
        }
        if iterate.step.is_multiple_of(every) && (points.len() as u64) < POINTS {
            points.push(excess.at(if is_averaged { average.mean() } else { iterate.w }));
        }
    };
    let descent = Descent::new(step).steps(steps);
    descent.run(problem, &vec![0.0; dim], &mut seed.key("draws").rng(), see).map_err(lab::Error::unit)?;
    Ok(points)
}

/// Mean excess over the second half of a run that starts at the minimum, over the rate.
fn plateau(
    problem: &LeastSquares,
    excess: &Excess,
    rate: f64,
    steps: u64,
    seed: Seed,
) -> Result<f64, lab::Error> {
    let (mut sum, mut count) = (0.0, 0.0);
    let see = |iterate: Iterate<'_>| {
        if iterate.step > steps / 2 && iterate.step.is_multiple_of(10) {
            sum += excess.at(iterate.w);
            count += 1.0;
        }
    };
    let descent = Descent::new(StepSize::Constant(rate)).steps(steps);
    descent.run(problem, &excess.least, &mut seed.key("plateau").rng(), see).map_err(lab::Error::unit)?;
    Ok(sum / count / rate)
}

/// Steps of one example until the excess is first below [`GOAL`].
fn race(problem: &LeastSquares, excess: &Excess, steps: u64, seed: Seed) -> Result<f64, lab::Error> {
    let mut reached = steps;
    let see = |iterate: Iterate<'_>| {
        if reached == steps && excess.at(iterate.w) < GOAL {
            reached = iterate.step;
        }
    };
    let descent = Descent::new(StepSize::Constant(RACE_RATE)).steps(steps);
    let start = vec![0.0; problem.dim()];
    descent.run(problem, &start, &mut seed.key("race").rng(), see).map_err(lab::Error::unit)?;
    Ok(reached as f64)
}

/// Gradients of single examples until full gradient descent is below [`GOAL`].
fn full(problem: &LeastSquares, excess: &Excess, rate: f64) -> u64 {
    let mut w = vec![0.0; problem.dim()];
    let mut gradients = 0;
    while excess.at(&w) >= GOAL && gradients < 1_000_000_000 {
        let gradient = problem.gradient(&w);
        w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g);
        gradients += problem.terms() as u64;
    }
    gradients
}
