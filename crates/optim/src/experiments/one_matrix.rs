//! One matrix many times: how fast gradients through a recurrence vanish or explode, and what tanh and another matrix in each
//! step change.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_two, slope};
use crate::landscape::recurrence::factors;

/// Random recurrent matrices of five spectral radii, driven by sea surface temperatures.
#[derive(Debug)]
pub struct OneMatrix;

/// What may vary in [`OneMatrix`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct OneMatrixConfig {
    /// Matrices, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Units
    #[arg(long)]
    pub units: usize,
    /// Steps back in time, 20 to 400
    #[arg(long)]
    pub steps: usize,
}

impl Default for OneMatrixConfig {
    fn default() -> Self {
        Self { seeds: 10, units: 50, steps: 100 }
    }
}

impl ExperimentConfig for OneMatrixConfig {
    fn quick() -> Self {
        Self { seeds: 3, units: 20, steps: 100 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_two("units", self.units)?;
        if !(20..=400).contains(&self.steps) {
            let value = self.steps.to_string();
            return Err(lab::Error::Config { field: "steps", rule: "20 to 400", value });
        }
        Ok(self)
    }
}

/// What [`OneMatrix`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OneMatrixReport {
    /// Largest eigenvalues in size, ρ.
    pub radii: Vec<f64>,
    /// Growth of the logarithm of the gradient's length per step back, linear recurrence, by radius.
    pub linear: Vec<Measured>,
    /// The same with tanh, driven by the temperatures.
    pub tanh: Vec<Measured>,
    /// Length of the gradient over that at the end, linear, ρ from the list: `[radius][step]`, geometric mean.
    pub linear_curves: Vec<Vec<f64>>,
    /// The same with tanh.
    pub tanh_curves: Vec<Vec<f64>>,
    /// Growth per step with an orthogonal matrix, the largest in size.
    pub orthogonal: f64,
    /// Growth per step with another random matrix in each step, of variance 1/n.
    pub another: Measured,
    /// Slope of growth against ln ρ, linear, by matrix.
    pub slope: Measured,
    /// Largest relative difference of the length of a gradient along an eigenvector from |λ|ᵗ, for symmetric matrices.
    pub eigen_error: f64,
    /// As text.
    pub table: Table,
}

const RADII: [f64; 5] = [0.8, 0.9, 1.0, 1.1, 1.2];

fn gaussian(n: usize, rng: &mut impl Rng) -> DMatrix<f64> {
    DMatrix::from_fn(n, n, |_, _| rng.sample::<f64, _>(StandardNormal) / (n as f64).sqrt())
}

/// Temperatures of the Pacific in standard units.
fn temperatures() -> Result<Vec<f64>, lab::Error> {
    let values = datasets::nino().column("nino34")?;
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    Ok(values.iter().map(|v| (v - mean) / sd).collect())
}

/// ln of the lengths of a random gradient after 0, 1, … steps back; `back(t, g)` takes one of them, t from 0.
fn lengths(
    start: DVector<f64>,
    steps: usize,
    mut back: impl FnMut(usize, &DVector<f64>) -> DVector<f64>,
) -> Vec<f64> {
    let (mut gradient, mut log) = (start.normalize(), 0.0);
    let mut logs = vec![0.0];
    for t in 0..steps {
        gradient = back(t, &gradient);
        let norm = gradient.norm().max(f64::MIN_POSITIVE);
        log += norm.ln();
        gradient /= norm; // so that nothing overflows
        logs.push(log);
    }
    logs
}

/// Growth per step over the second half.
fn growth(logs: &[f64]) -> f64 {
    let half = logs.len() / 2;
    (logs[logs.len() - 1] - logs[half]) / (logs.len() - 1 - half) as f64
}

/// ln of gradient lengths by radius, linear and with tanh; the growth of an orthogonal matrix and of changing matrices; the
/// error along an eigenvector.
struct Lengths {
    linear: Vec<Vec<f64>>,
    tanh: Vec<Vec<f64>>,
    orthogonal: f64,
    another: f64,
    eigen_error: f64,
}

fn measure(config: &OneMatrixConfig, series: &[f64], seed: Seed) -> Result<Lengths, crate::Error> {
    let (n, steps) = (config.units, config.steps);
    let mut rng = seed.key("matrix").rng();
    let w = gaussian(n, &mut rng);
    let start = DVector::from_fn(n, |_, _| rng.sample(StandardNormal));
    let into = DVector::from_fn(n, |_, _| 0.5 * rng.sample::<f64, _>(StandardNormal));
    let radius = factors(&w, 1)?[0];
    let first = rng.gen_range(0..series.len().saturating_sub(steps).max(1));
    let (mut linear, mut tanh) = (Vec::new(), Vec::new());
    for rho in RADII {
        let w = &w * (rho / radius);
        let back = w.transpose();
        linear.push(lengths(start.clone(), steps, |_, g| &back * g));
        // h_t = tanh(W h_{t−1} + u x_t); the gradient passes diag(1 − h_t²) and the transpose, the last step first.
        let mut h = DVector::zeros(n);
        let mut slopes = Vec::with_capacity(steps);
        for t in 0..steps {
            h = (&w * &h + &into * series[(first + t) % series.len()]).map(f64::tanh);
            slopes.push(h.map(|h| 1.0 - h * h));
        }
        tanh.push(lengths(start.clone(), steps, |t, g| &back * slopes[steps - 1 - t].component_mul(g)));
    }
    let q = w.clone().qr().q();
    let orthogonal = growth(&lengths(start.clone(), steps, |_, g| q.tr_mul(g)));
    let another = growth(&lengths(start, steps, |_, g| gaussian(n, &mut rng) * g));
    let symmetric = (&w + w.transpose()) * 0.5;
    let eigen = symmetric.clone().symmetric_eigen();
    let largest = eigen.eigenvalues.icamax();
    let along = lengths(eigen.eigenvectors.column(largest).into_owned(), steps, |_, g| symmetric.tr_mul(g));
    let want = factors(&symmetric, steps as i32)?[0];
    let eigen_error = (along[steps].exp() / want - 1.0).abs();
    Ok(Lengths { linear, tanh, orthogonal, another, eigen_error })
}

impl Experiment for OneMatrix {
    type Config = OneMatrixConfig;
    type Report = OneMatrixReport;
    const ABOUT: About = About {
        name: "one-matrix",
        lecture: 8,
        paper: "Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks; Goodfellow et al. \
                (2016), section 8.2.5",
        claim: "Through many steps with one random matrix a gradient grows by its spectral radius per step; with \
                tanh it grows less at each of five radii, so that a radius above 1 is not enough to explode",
        sources: &[include_str!("one_matrix.rs"), include_str!("../landscape/recurrence.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let series = temperatures()?;
        let seeds = lab.seeds(config.seeds);
        let mut all = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("matrices", done as u64, seeds.len() as u64, None)?;
            all.push(measure(config, &series, seed).map_err(lab::Error::unit)?);
        }
        lab.progress("matrices", seeds.len() as u64, seeds.len() as u64, None)?;
        let over = |of: &dyn Fn(&Lengths) -> f64| Measured::over(&all.iter().map(of).collect::<Vec<_>>());
        let curve = |of: &dyn Fn(&Lengths) -> &Vec<f64>| -> Vec<f64> {
            let mean = |t: usize| all.iter().map(|run| of(run)[t]).sum::<f64>() / all.len() as f64;
            (0..=config.steps).map(|t| mean(t).exp()).collect()
        };
        let slopes = |run: &Lengths| {
            slope(
                &RADII
                    .iter()
                    .zip(&run.linear)
                    .map(|(rho, logs)| (rho.ln(), growth(logs)))
                    .collect::<Vec<_>>(),
            )
        };
        let by_radius = 0..RADII.len();
        let linear: Vec<Measured> = by_radius.clone().map(|r| over(&|run| growth(&run.linear[r]))).collect();
        let tanh: Vec<Measured> = by_radius.clone().map(|r| over(&|run| growth(&run.tanh[r]))).collect();
        let mut table = Table::new(["ρ", "ln ρ", "growth per step, linear", "growth per step, tanh"]);
        for ((rho, linear), tanh) in RADII.iter().zip(&linear).zip(&tanh) {
            let text = |m: &Measured| format!("{:.3} ± {:.3}", m.mean, m.sd);
            table.row([rho.to_string(), format!("{:.3}", rho.ln()), text(linear), text(tanh)]);
        }
        Ok(OneMatrixReport {
            radii: RADII.to_vec(),
            linear,
            tanh,
            linear_curves: by_radius.clone().map(|r| curve(&|run| &run.linear[r])).collect(),
            tanh_curves: by_radius.map(|r| curve(&|run| &run.tanh[r])).collect(),
            orthogonal: all.iter().map(|run| run.orthogonal.abs()).fold(0.0, f64::max),
            another: over(&|run| run.another),
            slope: over(&slopes),
            eigen_error: all.iter().map(|run| run.eigen_error).fold(0.0, f64::max),
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let worst = report
            .linear
            .iter()
            .zip(&report.radii)
            .map(|(growth, rho)| (growth.mean - rho.ln()).abs())
            .fold(0.0, f64::max);
        let highest =
            report.tanh.iter().zip(&report.linear).map(|(t, l)| t.mean - l.mean).fold(f64::MIN, f64::max);
        vec![
            Check::new(
                "along-an-eigenvector",
                "largest relative difference of a gradient along an eigenvector from |λ|ᵗ",
                Measured::exact(report.eigen_error),
                Bound::AtMost(1e-9),
                BoundSource::Paper,
            )
            .reason_if_failed("a transpose that is missing"),
            Check::new(
                "growth-is-the-radius",
                "largest distance of the growth per step from ln ρ, mean over matrices",
                Measured::exact(worst),
                Bound::AtMost(0.02),
                BoundSource::Pilot,
            )
            .baseline("orthogonal matrix, from 0", report.orthogonal)
            .reason_if_failed("fewer steps than the second eigenvalue needs to fall behind"),
            Check::new(
                "tanh-shrinks",
                "growth per step with tanh less that without, the largest over radii",
                Measured::exact(highest),
                Bound::AtMost(-0.05), // −0.23 ± 0.11 at the smallest radius
                BoundSource::Pilot,
            )
            .baseline("linear", 0.0)
            .reason_if_failed("an input so weak that tanh is the identity"),
            Check::new(
                "above-one-is-not-enough",
                "growth per step with tanh at ρ = 1.1: below 0 it vanishes",
                report.tanh[3],
                Bound::AtMost(0.0),
                BoundSource::Paper, // a largest singular value above 1 is necessary to explode, not sufficient
            )
            .baseline("linear", report.linear[3].mean)
            .reason_if_failed("an input so weak that tanh is the identity"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut plot = Plot::new(
            Axis::linear("steps back"),
            Axis::logarithmic("length of the gradient").range(1e-14, 1e9),
        );
        for at in [0, 4] {
            for (name, curves) in [("linear", &report.linear_curves), ("tanh", &report.tanh_curves)] {
                let points = curves[at].iter().enumerate().map(|(t, &length)| (t as f64, length));
                let shown = points.filter(|(_, length)| (1e-14..1e9).contains(length));
                plot = plot.line(Line::new(format!("{name}, ρ = {}", report.radii[at]), shown));
            }
        }
        vec![Figure::new(
            "lengths",
            format!(
                "One number decides what is left of a gradient after many steps, and tanh pulls it down. Length of a random \
                 gradient that goes back through a recurrence, linear and with tanh driven by sea surface temperatures, for two \
                 spectral radii; geometric mean over {} matrices.",
                report.slope.n
            ),
            "Four nearly straight lines on a logarithmic axis. Of the linear ones the one with radius 1.2 rises and that with 0.8 \
             falls; both with tanh fall, and each lies below its linear twin.",
            plot,
        )]
    }
}
