//! Lasso (Tibshirani 1996): $w = \arg\min_w \frac1{2n}\lVert y - Xw\rVert^2 + \alpha\lVert w\rVert_1$, by coordinate
//! descent.
//!
//! With all other weights fixed the best weight $j$ is a soft threshold,
//! $w_j = S_\alpha(x_j^\top r_j / n)\,/\,(\lVert x_j\rVert^2/n)$ with $S_\alpha(z) = \operatorname{sign}(z)\max(|z| -
//! \alpha, 0)$ and $r_j$ the residual without feature $j$: weights become exactly zero, which ridge never does.
//! Scaling as in scikit-learn: *half a mean* of squares.
//!
//! The answer is checked by what characterises it (the conditions of Karush, Kuhn and Tucker): with the residual $r$,
//! $x_j^\top r/n = \alpha\operatorname{sign} w_j$ where $w_j \ne 0$ and $|x_j^\top r/n| \le \alpha$ elsewhere.
//!
//! **Golden**: scikit-learn's `Lasso`. **Property**: the conditions above on random problems.
use super::linear::{Centred, Intercept, LinearFit};
use super::{Estimator, check, check_count, check_penalty};
use crate::Error;
use nalgebra::{DMatrix, DVector};

/// Least squares with a penalty on the absolute weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lasso {
    /// $\alpha \ge 0$, beside half the mean of squared errors.
    pub alpha: f64,
    /// The constant term.
    pub intercept: Intercept,
    /// Stop when the conditions hold up to this share of the largest $|x_j^\top y|/n$. Default 1e-10.
    pub tolerance_rel: f64,
    /// Most passes over the features. Default 100 000.
    pub max_passes: usize,
}

impl Lasso {
    /// With a constant term.
    pub fn new(alpha: f64) -> Self {
        Self { alpha, intercept: Intercept::Fit, tolerance_rel: 1e-10, max_passes: 100_000 }
    }

    /// Sets whether there is a constant term.
    #[must_use]
    pub fn intercept(mut self, intercept: Intercept) -> Self {
        self.intercept = intercept;
        self
    }
}

// ANCHOR: soft_threshold
/// $S_\alpha(z)$: moves `z` towards zero by `alpha`, and stops there.
pub fn soft_threshold(z: f64, alpha: f64) -> f64 {
    z.signum() * (z.abs() - alpha).max(0.0)
}
// ANCHOR_END: soft_threshold

impl Estimator for Lasso {
    type Fitted = LinearFit;

    /// # Errors
    /// As [`Estimator::fit`], and [`Error::NotConverged`] after `max_passes`.
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<LinearFit, Error> {
        check_penalty(self.alpha)?;
        check_count("max_passes", self.max_passes)?;
        check("Lasso::fit", x, y)?;
        let data = Centred::new(x, y, self.intercept);
        let mut weights = DMatrix::zeros(x.ncols(), y.ncols());
        for output in 0..y.ncols() {
            let solved = self.descend(&data.x, &data.y.column(output).into_owned())?;
            weights.set_column(output, &solved);
        }
        let rank = x.ncols();
        Ok(data.finish(weights, rank))
    }
}

impl Lasso {
    fn descend(&self, x: &DMatrix<f64>, y: &DVector<f64>) -> Result<DVector<f64>, Error> {
        let n = x.nrows() as f64;
        let curvature: Vec<f64> = x.column_iter().map(|column| column.norm_squared() / n).collect();
        let tolerance = self.tolerance_rel * x.tr_mul(y).amax() / n;
        let (mut w, mut residual) = (DVector::zeros(x.ncols()), y.clone());
        let mut violation = f64::INFINITY;
        for _ in 0..self.max_passes {
            // ANCHOR: coordinate_descent
            for j in (0..x.ncols()).filter(|&j| curvature[j] > 0.0) {
                let column = x.column(j);
                let z = column.dot(&residual) / n + curvature[j] * w[j];
                let new = soft_threshold(z, self.alpha) / curvature[j];
                residual.axpy(w[j] - new, &column, 1.0);
                w[j] = new;
            }
            // ANCHOR_END: coordinate_descent
            violation = self.violation(x, &residual, &w);
            if violation <= tolerance {
                return Ok(w);
            }
        }
        Err(Error::NotConverged { what: "Lasso", passes: self.max_passes, residual: violation, tolerance })
    }

    /// By how much the conditions of Karush, Kuhn and Tucker fail at most.
    fn violation(&self, x: &DMatrix<f64>, residual: &DVector<f64>, w: &DVector<f64>) -> f64 {
        let slope = x.tr_mul(residual) / x.nrows() as f64;
        let fails = |(&slope, &w): (&f64, &f64)| {
            if w == 0.0 { slope.abs() - self.alpha } else { (slope - self.alpha * w.signum()).abs() }
        };
        slope.iter().zip(w.iter()).map(fails).fold(0.0, f64::max)
    }
}
