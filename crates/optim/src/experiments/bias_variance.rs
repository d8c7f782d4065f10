//! Polynomials on a noisy sine: which capacity errs least, and what a penalty does to one that is too large.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Body, Frame, Frames, Plot, Seed, Slider, Table};
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two, refused};
use crate::learning::bias_variance::{Decomposition, decompose};
use crate::learning::{Polynomial, column};

/// Bias and variance of polynomial regression by degree and by penalty.
#[derive(Debug)]
pub struct BiasVariance;

/// What may vary in [`BiasVariance`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct BiasVarianceConfig {
    /// Repetitions, each with its own data sets, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Data sets of one repetition
    #[arg(long)]
    pub sets: usize,
    /// Examples in a data set, at least 12
    #[arg(long)]
    pub examples: usize,
    /// Standard deviation of the noise on the targets
    #[arg(long)]
    pub noise: f64,
}

impl Default for BiasVarianceConfig {
    fn default() -> Self {
        Self { seeds: 5, sets: 2000, examples: 20, noise: 0.3 }
    }
}

impl ExperimentConfig for BiasVarianceConfig {
    fn quick() -> Self {
        Self { seeds: 3, sets: 300, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("sets", self.sets)?;
        if self.examples < 12 {
            let (rule, value) =
                ("at least 12, more than the largest degree needs", self.examples.to_string());
            return Err(lab::Error::Config { field: "examples", rule, value });
        }
        if !(self.noise > 0.0 && self.noise.is_finite()) {
            let value = self.noise.to_string();
            return Err(lab::Error::Config { field: "noise", rule: "finite and above 0", value });
        }
        Ok(self)
    }
}

/// Largest degree.
const DEGREES: usize = 9;
/// Penalties on the polynomial of the largest degree.
const ALPHAS: [f64; 9] = [1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// Test inputs across \[-1, 1\].
const GRID: usize = 101;
/// Fits that are drawn.
const DRAWN: usize = 20;

/// What [`BiasVariance`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BiasVarianceReport {
    /// Variance of the noise.
    pub noise: f64,
    /// Data sets per repetition.
    pub sets: usize,
    /// Examples in a data set.
    pub examples: usize,
    /// By degree, from 0.
    pub degrees: Vec<Parts>,
    /// By penalty on degree 9.
    pub ridge: Vec<Parts>,
    /// Degree with the smallest bias² + variance, by repetition.
    pub best_degree: Vec<f64>,
    /// Penalty with the smallest bias² + variance at degree 9, by repetition.
    pub best_alpha: Vec<f64>,
    /// Error on freshly drawn noisy targets over bias² + variance + noise at degree 3, by repetition.
    pub fresh_over_parts: Vec<f64>,
    /// The same as text.
    pub table: Table,
    /// The same for the penalties.
    pub ridge_table: Table,
    /// Test inputs.
    pub grid: Vec<f64>,
    /// For each degree: the first fits of the first repetition, at the test inputs, to three decimals.
    pub fits: Vec<Vec<Vec<f64>>>,
    /// For each degree: their mean over all data sets.
    pub means: Vec<Vec<f64>>,
    /// The first data set, (x, y).
    pub first_set: Vec<(f64, f64)>,
}

/// Parts of the squared error, mean and spread over the repetitions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parts {
    /// Degree or penalty.
    pub at: f64,
    /// Squared bias.
    pub bias2: Measured,
    /// Variance.
    pub variance: Measured,
    /// Both, without the noise.
    pub excess: Measured,
    /// Mean squared error on fresh targets, noise included.
    pub test: Measured,
    /// Mean squared error on the examples.
    pub train: Measured,
}

impl Parts {
    fn over(at: f64, runs: &[&Decomposition]) -> Self {
        let over = |value: fn(&Decomposition) -> f64| {
            Measured::over(&runs.iter().map(|run| value(run)).collect::<Vec<_>>())
        };
        Self {
            at,
            bias2: over(|run| run.bias2),
            variance: over(|run| run.variance),
            excess: over(|run| run.bias2 + run.variance),
            test: over(|run| run.total),
            train: over(|run| run.train),
        }
    }
}

fn truth(x: f64) -> f64 {
    (std::f64::consts::PI * x).sin()
}

/// The data set with this number: the same for every degree and penalty.
fn sample(config: &BiasVarianceConfig, seed: Seed, set: usize) -> (DMatrix<f64>, DMatrix<f64>) {
    let mut rng = seed.key("sets").fold(set as u64).rng();
    let x: Vec<f64> = (0..config.examples).map(|_| rng.gen_range(-1.0..1.0)).collect();
    let noisy = |&x: &f64| truth(x) + config.noise * rng.sample::<f64, _>(StandardNormal);
    let y: Vec<f64> = x.iter().map(noisy).collect();
    (column(&x), column(&y))
}

impl Experiment for BiasVariance {
    type Config = BiasVarianceConfig;
    type Report = BiasVarianceReport;
    const ABOUT: About = About {
        name: "bias-variance",
        lecture: 2,
        paper: "Goodfellow, Bengio & Courville (2016), Deep learning, sections 5.2 to 5.4",
        claim: "Of polynomials fitted to 20 points of a noisy sine, degree 3 errs least on new points; degree 9 fits its \
                points better and errs more than 100 times as much, until a penalty repairs it",
        sources: &[
            include_str!("bias_variance.rs"),
            include_str!("../learning/bias_variance.rs"),
            include_str!("../learning/polynomial.rs"),
            include_str!("../learning/ridge.rs"),
            include_str!("../learning/linear.rs"),
            include_str!("../linalg.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let grid: Vec<f64> = (0..GRID).map(|i| 2.0 * i as f64 / (GRID - 1) as f64 - 1.0).collect();
        let exact: Vec<f64> = grid.iter().map(|&x| truth(x)).collect();
        let noise = config.noise * config.noise;
        let learners: Vec<Polynomial> = (0..=DEGREES)
            .map(Polynomial::new)
            .chain(ALPHAS.map(|alpha| Polynomial::new(DEGREES).alpha(alpha)))
            .collect();
        let seeds = lab.seeds(config.seeds);
        let mut runs: Vec<Vec<Decomposition>> = Vec::new();
        let mut fresh_over_parts = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("repetitions", done as u64, seeds.len() as u64, None)?;
            let points = column(&grid);
            let one = |learner: &Polynomial| {
                decompose(learner, |set| sample(config, seed, set), &points, &exact, noise, config.sets)
            };
            let parts = learners.iter().map(one).collect::<Result<Vec<_>, _>>().map_err(refused)?;
            fresh_over_parts.push(fresh_error(config, seed, &parts[3], &exact) / parts[3].total);
            runs.push(parts);
        }
        lab.progress("repetitions", seeds.len() as u64, seeds.len() as u64, None)?;
        let of = |index: usize| runs.iter().map(|run| &run[index]).collect::<Vec<_>>();
        let degrees: Vec<Parts> =
            (0..=DEGREES).map(|degree| Parts::over(degree as f64, &of(degree))).collect();
        let ridge: Vec<Parts> =
            ALPHAS.iter().enumerate().map(|(i, &alpha)| Parts::over(alpha, &of(DEGREES + 1 + i))).collect();
        let best = |run: &[Decomposition]| {
            let excess = |i: &usize| run[*i].bias2 + run[*i].variance;
            (0..run.len()).min_by(|a, b| excess(a).total_cmp(&excess(b))).unwrap_or(0)
        };
        let thousandths = |values: &[f64]| values.iter().map(|v| (v * 1e3).round() / 1e3).collect::<Vec<_>>();
        let first = &runs[0];
        let (x, y) = sample(config, seeds[0], 0);
        Ok(BiasVarianceReport {
            noise,
            sets: config.sets,
            examples: config.examples,
            table: table("degree", &degrees),
            ridge_table: table("penalty", &ridge),
            best_degree: runs.iter().map(|run| best(&run[..=DEGREES]) as f64).collect(),
            best_alpha: runs.iter().map(|run| ALPHAS[best(&run[DEGREES + 1..])]).collect(),
            fresh_over_parts,
            fits: first[..=DEGREES]
                .iter()
                .map(|run| run.predictions.iter().take(DRAWN).map(|fit| thousandths(fit)).collect())
                .collect(),
            means: first[..=DEGREES].iter().map(|run| thousandths(&run.mean_prediction)).collect(),
            first_set: x.iter().zip(y.iter()).map(|(&x, &y)| (x, y)).collect(),
            degrees,
            ridge,
            grid,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let (three, nine) = (&report.degrees[3], &report.degrees[DEGREES]);
        let best_ridge = report.ridge.iter().min_by(|a, b| a.excess.mean.total_cmp(&b.excess.mean));
        let best_ridge = best_ridge.map_or(nine.excess, |parts| parts.excess);
        vec![
            Check::new(
                "best-degree",
                "degree of the polynomial with the smallest bias² + variance",
                Measured::over(&report.best_degree),
                Bound::Within(3.0, 3.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("another number of examples, another noise, or too few data sets"),
            // 101 test points and n data sets: the noise of the fresh targets alone has a standard error of
            // sqrt(2/(101 n)) of the noise, 0.8 % for 300 data sets.
            Check::new(
                "parts-add-up",
                "error on freshly drawn noisy targets over bias² + variance + noise, degree 3",
                Measured::over(&report.fresh_over_parts),
                Bound::Within(0.97, 1.03),
                BoundSource::Paper,
            )
            .reason_if_failed("an error in the decomposition"),
            // Least squares with p parameters leaves the share (n - p)/n of the noise: 0.045 of 0.09 here.
            Check::new(
                "fits-its-examples",
                "mean squared error of degree 9 on its own examples",
                nine.train,
                Bound::AtMost(0.05),
                BoundSource::Paper,
            )
            .baseline("degree 3", three.train.mean)
            .reason_if_failed("the fit is not least squares"),
            Check::new(
                "errs-elsewhere",
                "bias² + variance of degree 9 without penalty, over that of degree 3",
                Measured::exact(nine.excess.mean / three.excess.mean),
                Bound::AtLeast(100.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("a lucky draw: the mean is carried by data sets with a gap at the border"),
            Check::new(
                "best-penalty",
                "penalty on the squared weights of degree 9 with the smallest bias² + variance",
                Measured::over(&report.best_alpha),
                Bound::Within(0.3, 3.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("another basis: the penalty is on Legendre coefficients"),
            Check::new(
                "penalty-repairs",
                "bias² + variance of degree 9 with the best penalty",
                best_ridge,
                Bound::AtMost(0.08),
                BoundSource::Pilot,
            )
            .baseline("degree 9 without penalty", nine.excess.mean)
            .reason_if_failed("another basis: the penalty is on Legendre coefficients"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![fits(report), by_degree(report), capacity(report), penalty(report)]
    }
}

/// Mean squared error of the fits on targets drawn anew for every fit and test input.
fn fresh_error(config: &BiasVarianceConfig, seed: Seed, parts: &Decomposition, exact: &[f64]) -> f64 {
    let mut rng = seed.key("fresh targets").rng();
    let mut sum = 0.0;
    for fit in &parts.predictions {
        for (predicted, truth) in fit.iter().zip(exact) {
            let target = truth + config.noise * rng.sample::<f64, _>(StandardNormal);
            sum += (predicted - target).powi(2);
        }
    }
    sum / (parts.predictions.len() * exact.len()) as f64
}

fn table(at: &str, rows: &[Parts]) -> Table {
    let mut table = Table::new([at, "bias²", "variance", "error on new points", "error on its points"]);
    for parts in rows {
        let number = |m: Measured| {
            if m.mean >= 10.0 { format!("{:.0e}", m.mean) } else { format!("{:.4}", m.mean) }
        };
        let [bias2, variance, test, train] =
            [parts.bias2, parts.variance, parts.test, parts.train].map(number);
        table.row([format!("{}", parts.at), bias2, variance, test, train]);
    }
    table
}

fn fits(report: &BiasVarianceReport) -> Figure {
    let curve = |values: &[f64]| report.grid.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>();
    let truth_curve: Vec<f64> = report.grid.iter().map(|&x| truth(x)).collect();
    let panels = [0, 1, 3, 9].map(|degree| {
        let fits = &report.fits[degree];
        let column = |g: usize| fits.iter().map(move |fit| fit[g]);
        let band = (0..report.grid.len())
            .map(|g| (column(g).fold(f64::INFINITY, f64::min), column(g).fold(f64::NEG_INFINITY, f64::max)));
        let mean: Vec<f64> =
            (0..report.grid.len()).map(|g| column(g).sum::<f64>() / fits.len() as f64).collect();
        Plot::new(Axis::linear("x").range(-1.0, 1.0), Axis::linear("y").range(-2.0, 2.0))
            .title(format!("degree {degree}"))
            .line(Line::new("fits", curve(&mean)).band(band))
            .line(Line::new("truth", curve(&truth_curve)))
    });
    Figure::new(
        "fits",
        "Too stiff, stiff, right, too supple. Polynomials fitted to 20 noisy points of a sine: the band holds the fits \
         to 20 data sets, the solid line is their mean, the dashed one the truth. Degree 0 and 1 are wrong in the \
         same way every time, degree 9 in a different way every time.",
        "Four panels with a dashed sine. Degree 0: a level band through the middle. Degree 1: a rising band. Degree 3: a \
         narrow band along the sine. Degree 9: a band along the sine in the middle that bursts open at both ends.",
        Body::Panels { panels: panels.to_vec(), columns: 2 },
    )
}

fn by_degree(report: &BiasVarianceReport) -> Figure {
    let every_other = |values: &[f64]| {
        report.grid.iter().copied().zip(values.iter().copied()).step_by(2).collect::<Vec<_>>()
    };
    let truth_curve: Vec<f64> = report.grid.iter().map(|&x| truth(x)).collect();
    let frame = |degree: usize| {
        let parts = &report.degrees[degree];
        let plot = Plot::new(Axis::linear("x").range(-1.0, 1.0), Axis::linear("y").range(-2.0, 2.0))
            .faint(report.fits[degree].iter().map(|fit| every_other(fit)))
            .line(Line::new("mean of fits", every_other(&report.means[degree])))
            .line(Line::new("truth", every_other(&truth_curve)));
        Frame::new(plot).note(format!(
            "Degree {degree}: bias² {:.4}, variance {}, error on its own points {:.3}.",
            parts.bias2.mean,
            if parts.variance.mean < 10.0 {
                format!("{:.3}", parts.variance.mean)
            } else {
                format!("{:.0e}", parts.variance.mean)
            },
            parts.train.mean
        ))
    };
    Figure::new(
        "by-degree",
        format!(
            "Move the degree: first the bias goes, then the variance comes. {DRAWN} fits to {} points each, their mean over \
             {} data sets, and the truth.",
            report.examples, report.sets
        ),
        "A sine, twenty thin curves and their mean. At degree 3 the thin curves follow the sine closely; at lower degrees \
         all of them miss it in the same way, at higher degrees they swing at both ends.",
        Frames::over(Slider::new("degree", 0..=DEGREES), frame).still([3]),
    )
}

fn capacity(report: &BiasVarianceReport) -> Figure {
    let line = |name: &str, value: fn(&Parts) -> f64| {
        Line::new(name, report.degrees.iter().map(|parts| (parts.at, value(parts))))
    };
    Figure::new(
        "capacity",
        format!(
            "The error on its own points only falls; the error on new points has a minimum. Mean squared errors of \
             polynomials by degree, {} points, {} data sets in each of {} repetitions; the noise alone is the dotted \
             line.",
            report.examples,
            report.sets,
            report.best_degree.len()
        ),
        "Two curves on a logarithmic height axis against the degree. The training error falls slowly below the dotted \
         noise line; the test error falls, with a bump at degree 2, to a minimum at degree 3 and then rises by orders \
         of magnitude.",
        Plot::new(
            Axis::linear("degree").range(0.0, DEGREES as f64),
            Axis::logarithmic("mean squared error").range(0.01, 100.0),
        )
        .line(line("its points", |parts| parts.train.mean))
        .line(line("new points", |parts| parts.test.mean))
        .horizontal("noise", report.noise),
    )
}

fn penalty(report: &BiasVarianceReport) -> Figure {
    let line = |name: &str, value: fn(&Parts) -> f64| {
        Line::new(name, report.ridge.iter().map(|parts| (parts.at, value(parts))))
    };
    Figure::new(
        "penalty",
        format!(
            "A penalty buys less variance with bias. Degree 9 on {} points, penalty α on the squared Legendre coefficients: \
             bias rises with α, variance falls, and their sum is least in between.",
            report.examples
        ),
        "Three curves on logarithmic axes against the penalty. The variance falls from above one to a fiftieth, the \
         squared bias rises from a thousandth to above a third, and their sum forms a valley that is lowest at a \
         penalty of 0.3.",
        Plot::new(
            Axis::logarithmic("penalty α"),
            Axis::logarithmic("squared error beyond the noise").range(1e-3, 10.0),
        )
        .line(line("bias²", |parts| parts.bias2.mean))
        .line(line("variance", |parts| parts.variance.mean))
        .line(line("sum", |parts| parts.excess.mean)),
    )
}
