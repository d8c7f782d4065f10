//! Least squares: $w = \arg\min_w \lVert Xw - y\rVert^2 = X^+ y$, by singular values.
//!
//! Where $X$ has fewer independent columns than $F$, infinitely many weights have the smallest error; the one returned
//! is the shortest of them. The normal equations $(X^\top X)^{-1}X^\top y$ square the condition number of $X$ and have
//! no answer there.
//!
//! **Golden**: numpy's `lstsq`. **Closed form**: residuals orthogonal to every column; the shortest solution for n < F.
use super::{Estimator, Predict, centred, check, check_width, means};
use crate::Error;
use nalgebra::DMatrix;

/// Singular values below this share of the largest one count as zero, as in numpy: the precision of f64 times the
/// larger side of $X$.
fn rank_tolerance(x: &DMatrix<f64>) -> f64 {
    f64::EPSILON * x.nrows().max(x.ncols()) as f64
}

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
        let svd = data.x.clone().svd(true, true);
        let smallest = svd.singular_values.max() * rank_tolerance(x);
        let rank = svd.rank(smallest);
        let weights = svd.solve(&data.y, smallest).expect("both sides of the decomposition");
        Ok(data.finish(weights, rank))
    }
    // ANCHOR_END: least_squares
}
