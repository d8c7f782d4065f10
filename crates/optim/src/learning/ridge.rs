//! Ridge regression (Hoerl & Kennard 1970): $w = \arg\min_w \lVert Xw - y\rVert^2 + \alpha\lVert w\rVert^2
//! = (X^\top X + \alpha I)^{-1}X^\top y$.
//!
//! The penalty stands beside a *sum* of squares, as in scikit-learn. Beside a mean of squares it is $\lambda =
//! \alpha/n$; mind which one a text uses. The constant term is not penalised.
//!
//! With $y = Xw^* + \epsilon$, noise of variance $\sigma^2$ and $S = (X^\top X + \alpha I)^{-1}$, the estimate has
//! bias $-\alpha S w^*$ and covariance $\sigma^2 S X^\top X S$: the penalty buys variance with bias.
//!
//! **Golden**: scikit-learn's `Ridge`. **Closed form**: normal equations, augmented rows, bias and covariance.
use super::linear::{Centred, Intercept, LinearFit, LinearRegression};
use super::{Estimator, check, check_penalty, check_width};
use crate::Error;
use nalgebra::{DMatrix, DVector};

/// Least squares with a penalty on the squared length of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ridge {
    /// $\alpha \ge 0$, beside the sum of squared errors.
    pub alpha: f64,
    /// The constant term.
    pub intercept: Intercept,
}

impl Ridge {
    /// With a constant term.
    pub fn new(alpha: f64) -> Self {
        Self { alpha, intercept: Intercept::Fit }
    }

    /// Sets whether there is a constant term.
    #[must_use]
    pub fn intercept(mut self, intercept: Intercept) -> Self {
        self.intercept = intercept;
        self
    }
}

impl Estimator for Ridge {
    type Fitted = LinearFit;

    // ANCHOR: ridge
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<LinearFit, Error> {
        check_penalty(self.alpha)?;
        if self.alpha == 0.0 {
            return LinearRegression { intercept: self.intercept }.fit(x, y);
        }
        check("Ridge::fit", x, y)?;
        let data = Centred::new(x, y, self.intercept);
        let gram = data.x.tr_mul(&data.x) + DMatrix::identity(x.ncols(), x.ncols()) * self.alpha;
        let weights =
            gram.cholesky().ok_or(Error::Singular { what: "X'X + alpha I" })?.solve(&data.x.tr_mul(&data.y));
        Ok(data.finish(weights, x.ncols()))
    }
    // ANCHOR_END: ridge
}

/// How the ridge estimate errs over data sets with the same inputs $X$ and fresh noise.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeError {
    /// $E\hat w - w^*$, `(F)`.
    pub bias: DVector<f64>,
    /// $\operatorname{Cov}\hat w$, `(F, F)`.
    pub covariance: DMatrix<f64>,
}

/// Bias and covariance of ridge regression without constant term, for true weights and a noise variance.
///
/// # Errors
/// [`Error::InvalidHyper`], [`Error::Dimension`], and [`Error::Singular`] when $X^\top X + \alpha I$ has no inverse.
pub fn ridge_error(
    x: &DMatrix<f64>,
    truth: &DVector<f64>,
    noise: f64,
    alpha: f64,
) -> Result<RidgeError, Error> {
    check_penalty(alpha)?;
    check_width("true weights", truth.len(), x.ncols())?;
    let gram = x.tr_mul(x);
    let penalised = &gram + DMatrix::identity(x.ncols(), x.ncols()) * alpha;
    let s = penalised.try_inverse().ok_or(Error::Singular { what: "X'X + alpha I" })?;
    Ok(RidgeError { bias: &s * truth * -alpha, covariance: &s * gram * &s * noise })
}

/// The matrix $H$ with $\hat y = Hy$ on the training inputs, `(n, n)`; its trace counts the degrees of freedom.
///
/// # Errors
/// [`Error::InvalidHyper`], and [`Error::Singular`] when $X^\top X + \alpha I$ has no inverse.
pub fn hat_matrix(x: &DMatrix<f64>, alpha: f64) -> Result<DMatrix<f64>, Error> {
    check_penalty(alpha)?;
    let penalised = x.tr_mul(x) + DMatrix::identity(x.ncols(), x.ncols()) * alpha;
    let solved = penalised.cholesky().ok_or(Error::Singular { what: "X'X + alpha I" })?.solve(&x.transpose());
    Ok(x * solved)
}

/// Mean squared error of leaving each example out in turn, without fitting `n` times:
/// $\frac1n\sum_i\bigl((y_i - \hat y_i)/(1 - H_{ii})\bigr)^2$. Ridge without constant term.
///
/// # Errors
/// [`Error::LengthMismatch`], and those of [`hat_matrix`]; [`Error::Singular`] when an example determines its own
/// prediction ($H_{ii} = 1$).
pub fn leave_one_out(x: &DMatrix<f64>, y: &DVector<f64>, alpha: f64) -> Result<f64, Error> {
    if x.nrows() != y.len() {
        return Err(Error::LengthMismatch { examples: x.nrows(), labels: y.len() });
    }
    let hat = hat_matrix(x, alpha)?;
    let residuals = y - &hat * y;
    let mut sum = 0.0;
    for (i, residual) in residuals.iter().enumerate() {
        let rest = 1.0 - hat[(i, i)];
        if rest <= f64::EPSILON * x.nrows() as f64 {
            return Err(Error::Singular { what: "the fit without one of its examples" });
        }
        sum += (residual / rest).powi(2);
    }
    Ok(sum / y.len() as f64)
}
