//! Least squares: $w = \arg\min_w \lVert Xw - y\rVert^2 = X^+ y$, by singular values.
//!
//! Where $X$ has fewer independent columns than $F$, infinitely many weights have the smallest error; the one returned
//! is the shortest of them. The normal equations $(X^\top X)^{-1}X^\top y$ square the condition number of $X$ and have
//! no answer there.
//!
//! **Golden**: numpy's `lstsq`. **Closed form**: residuals orthogonal to every column; the shortest solution for n < F.
use super::{Estimator, Predict, centred, check, check_width, means};
use crate::Error;
use crate::chain::{Batch, Chain, ChainSgd};
use crate::linalg::Svd;
use dfdx::prelude::{Backward, Cpu, Module, TensorFromVec, Trace};
use kernels::random::Key;
use layers::{SgdConfig, Step};
use nalgebra::DMatrix;

/// Whether the function may have a constant term. It is never penalised: a penalty on it would pull predictions
/// towards zero, and so depend on the unit of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Intercept {
    /// $f(x) = w\cdot x + b$.
    #[default]
    Fit,
    /// $f(x) = w\cdot x$.
    Zero,
}

/// Least squares with or without a constant term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinearRegression {
    /// The constant term.
    pub intercept: Intercept,
}

/// $f(x) = W^\top x + b$.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearFit {
    /// $W$, `(F, O)`.
    pub weights: DMatrix<f64>,
    /// $b$, `(O)`.
    pub intercept: Vec<f64>,
    /// Independent columns of $X$; after a penalised fit, all of them.
    pub rank: usize,
}

impl Predict for LinearFit {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        check_width("features", x.ncols(), self.weights.nrows())?;
        let mut y = x * &self.weights;
        for (mut column, b) in y.column_iter_mut().zip(&self.intercept) {
            column.add_scalar_mut(*b);
        }
        Ok(y)
    }
}

/// Data with its means taken out where there is a constant term.
pub(super) struct Centred {
    pub(super) x: DMatrix<f64>,
    pub(super) y: DMatrix<f64>,
    x_means: Vec<f64>,
    y_means: Vec<f64>,
}

impl Centred {
    pub(super) fn new(x: &DMatrix<f64>, y: &DMatrix<f64>, intercept: Intercept) -> Self {
        let (x_means, y_means) = match intercept {
            Intercept::Fit => (means(x), means(y)),
            Intercept::Zero => (vec![0.0; x.ncols()], vec![0.0; y.ncols()]),
        };
        Self { x: centred(x, &x_means), y: centred(y, &y_means), x_means, y_means }
    }

    /// The constant term that belongs to weights fitted on centred data: $b = \bar y - W^\top\bar x$.
    pub(super) fn finish(self, weights: DMatrix<f64>, rank: usize) -> LinearFit {
        let at_mean =
            |o: usize| -> f64 { self.x_means.iter().zip(weights.column(o).iter()).map(|(m, w)| m * w).sum() };
        let intercept = self.y_means.iter().enumerate().map(|(o, mean)| mean - at_mean(o)).collect();
        LinearFit { weights, intercept, rank }
    }
}

impl Estimator for LinearRegression {
    type Fitted = LinearFit;

    // ANCHOR: least_squares
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<LinearFit, Error> {
        check("LinearRegression::fit", x, y)?;
        let data = Centred::new(x, y, self.intercept);
        if x.ncols() == 0 {
            return Ok(data.finish(DMatrix::zeros(0, y.ncols()), 0)); // the constant alone
        }
        let svd = Svd::new(&data.x);
        let (weights, rank) = (svd.solve(&data.y, svd.noise()), svd.rank(svd.noise()));
        Ok(data.finish(weights, rank))
    }
    // ANCHOR_END: least_squares
}

/// How [`LinearRegression::fit_sgd`] descends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdFit {
    /// $\eta$, above 0. Default 0.01.
    pub learning_rate: f64,
    /// Passes over the examples, each in a new order, at least 1. Default 100.
    pub epochs: usize,
    /// Examples in a step, at least 1; the last step of a pass may have fewer. Default 1.
    pub batch: usize,
}

impl Default for SgdFit {
    fn default() -> Self {
        Self { learning_rate: 0.01, epochs: 100, batch: 1 }
    }
}

impl LinearRegression {
    /// The same function by stochastic gradient descent on dfdx's tape, from weights 0: for data that do not fit into
    /// memory, or that have not all arrived. The loss is the mean over examples and outputs of $(\hat y - y)^2$, whose
    /// gradient has a factor 2.
    ///
    /// With one output and single examples a rate below $1/\max_i(\lvert x_i\rvert^2 + 1)$ cannot diverge. Standardise the
    /// columns first: the rate is limited by the largest, the time by the smallest.
    ///
    /// ```
    /// use nalgebra::dmatrix;
    /// use optim::learning::linear::{LinearRegression, SgdFit};
    ///
    /// let x = dmatrix![4.0, 1.0; 2.0, 8.0; 1.0, 0.0; 3.0, 2.0; 1.0, 4.0; 6.0, 7.0];
    /// let y = dmatrix![2.0; -14.0; 1.0; -1.0; -7.0; -8.0]; // x₁ − 2 x₂
    /// let config = SgdFit { epochs: 2000, ..Default::default() };
    /// let fit = LinearRegression::default().fit_sgd(&x, &y, config, kernels::random::Key::new(0))?;
    /// assert!((fit.weights[0] - 1.0).abs() < 1e-6 && (fit.weights[1] + 2.0).abs() < 1e-6);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`fit`](Estimator::fit); [`Error::InvalidHyper`] for no epoch or an empty batch, [`Error::Step`] for an
    /// illegal rate, and [`Error::Unstable`] when a weight leaves every bound.
    pub fn fit_sgd(
        &self,
        x: &DMatrix<f64>,
        y: &DMatrix<f64>,
        config: SgdFit,
        key: Key,
    ) -> Result<LinearFit, Error> {
        check("LinearRegression::fit_sgd", x, y)?;
        for (name, value) in [("epochs", config.epochs), ("batch", config.batch)] {
            if value == 0 {
                return Err(Error::InvalidHyper { name, rule: "at least 1", value: 0.0 });
            }
        }
        let (dev, n) = (Cpu::default(), x.nrows());
        let widths = [x.ncols(), y.ncols()];
        let mut model = Chain::<f64, Cpu>::new(&dev, &widths, kernels::Identity, |_, _| 0.0, key)?;
        let rule = SgdConfig { learning_rate: config.learning_rate, ..SgdConfig::default() };
        let mut sgd = ChainSgd::try_new(&model, rule)?;
        let rows = |m: &DMatrix<f64>, which: &[usize]| -> Batch<f64, Cpu> {
            let values = which.iter().flat_map(|&i| m.row(i).iter().copied().collect::<Vec<_>>()).collect();
            dev.tensor_from_vec(values, (which.len(), m.ncols()))
        };
        let mut step = 0;
        // ANCHOR: fit_sgd
        for epoch in 0..config.epochs {
            for which in key.fold(epoch as u64).permutation(n).chunks(config.batch) {
                let output = model.forward(rows(x, which).leaky_trace());
                let loss = kernels::mse_mean(output, rows(y, which));
                sgd.step(&mut model, &mut loss.backward())?;
                // ANCHOR_END: fit_sgd
                if self.intercept == Intercept::Zero {
                    kernels::flat_mut(&mut model.layers[0].bias).fill(0.0);
                }
                step += 1;
                let largest = |m: f64, w: &f64| if w.is_nan() || w.abs() > m { w.abs() } else { m };
                let value = kernels::flat(&model.layers[0].weight).iter().fold(0.0, largest);
                if value.is_nan() || value >= LARGEST {
                    let curvature =
                        x.row_iter().map(|row| 2.0 * (row.norm_squared() + 1.0)).fold(0.0, f64::max);
                    let (learning_rate, safe) = (config.learning_rate, 2.0 / curvature);
                    return Err(Error::Unstable { step, value, learning_rate, safe });
                }
            }
        }
        let weights = model.matrices().remove(0).transpose();
        Ok(LinearFit { weights, intercept: model.layers[0].bias.as_vec(), rank: x.ncols() })
    }
}

/// A weight beyond this has diverged.
const LARGEST: f64 = 1e12;
