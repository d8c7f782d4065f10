//! Bias and variance, measured: fit the same method to many data sets of the same size and see how its predictions err.
//!
//! With $\bar f(x) = E_D \hat f_D(x)$ over data sets $D$, truth $f$ and noise of variance $\sigma^2$ on fresh targets,
//! $$E_D E_y(\hat f_D(x) - y)^2 = \underbrace{(\bar f(x) - f(x))^2}_{\text{bias}^2} +
//! \underbrace{E_D(\hat f_D(x) - \bar f(x))^2}_{\text{variance}} + \sigma^2 .$$
//! The expectation over $D$ is the mean over the runs, and the variance has the divisor `runs`, not `runs - 1`: with it
//! the identity holds exactly for any number of runs.
//!
//! **Property**: the identity. **Closed form**: the mean as an estimator has bias 0 and variance σ²/n.
use super::{Estimator, Predict, check_count};
use crate::Error;
use nalgebra::DMatrix;

/// The three parts of the expected squared error, each a mean over the test inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// Squared distance of the mean prediction from the truth.
    pub bias2: f64,
    /// Mean squared distance of a prediction from the mean prediction.
    pub variance: f64,
    /// $\sigma^2$ of the targets.
    pub noise: f64,
    /// Mean squared error against the truth, over all runs, plus the noise.
    pub total: f64,
    /// Mean squared error on the examples of each run, averaged.
    pub train: f64,
    /// Mean prediction at each test input.
    pub mean_prediction: Vec<f64>,
    /// Predictions of each run, in the order of the runs.
    pub predictions: Vec<Vec<f64>>,
}

/// Fits `learner` to `runs` data sets and decomposes its error at the test inputs `grid`, `(m, F)`.
///
/// `sample(run)` gives inputs `(n, F)` and targets `(n, 1)`; `truth` holds $f$ at each test input.
///
/// # Errors
/// [`Error::InvalidHyper`] for no runs or a negative noise, [`Error::LengthMismatch`] when `truth` and `grid` differ,
/// and what the learner refuses.
pub fn decompose<L: Estimator>(
    learner: &L,
    mut sample: impl FnMut(usize) -> (DMatrix<f64>, DMatrix<f64>),
    grid: &DMatrix<f64>,
    truth: &[f64],
    noise: f64,
    runs: usize,
) -> Result<Decomposition, Error> {
    check_count("runs", runs)?;
    if noise.is_nan() || noise < 0.0 {
        return Err(Error::InvalidHyper { name: "noise", rule: "at least 0", value: noise });
    }
    if grid.nrows() != truth.len() {
        return Err(Error::LengthMismatch { examples: grid.nrows(), labels: truth.len() });
    }
    let mut predictions = Vec::with_capacity(runs);
    let mut train = 0.0;
    for run in 0..runs {
        let (x, y) = sample(run);
        let fitted = learner.fit(&x, &y)?;
        train += (fitted.predict(&x)? - y).norm_squared() / x.nrows() as f64;
        predictions.push(fitted.predict(grid)?.as_slice().to_vec());
    }
    // ANCHOR: decompose
    let over_runs =
        |value: &dyn Fn(&[f64]) -> f64| predictions.iter().map(|run| value(run)).sum::<f64>() / runs as f64;
    let mean_prediction: Vec<f64> = (0..truth.len()).map(|g| over_runs(&|run| run[g])).collect();
    let bias2 = mean_square(&mean_prediction, truth);
    let variance = over_runs(&|run| mean_square(run, &mean_prediction));
    let total = over_runs(&|run| mean_square(run, truth)) + noise;
    // ANCHOR_END: decompose
    let train = train / runs as f64;
    Ok(Decomposition { bias2, variance, noise, total, train, mean_prediction, predictions })
}

fn mean_square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64
}
