//! Polynomials of one variable: the smallest family in which one number, the degree, sets the capacity.
//!
//! Two bases of the same functions on \[-1, 1\]: powers $x^j$, whose columns become nearly parallel as the degree grows,
//! and Legendre polynomials $P_j$, orthogonal under the uniform distribution,
//! $(j + 1)P_{j+1}(x) = (2j + 1)\,x\,P_j(x) - j\,P_{j-1}(x)$. Without a penalty both give the same function, up to
//! rounding. With a penalty they do not: $\lVert w\rVert^2$ means something else in each.
//!
//! **Golden**: numpy's `polyfit`. **Closed form**: orthogonality, interpolation at degree n − 1.
use super::linear::Intercept;
use super::{Estimator, LinearFit, Predict, Ridge, check_width};
use crate::Error;
use nalgebra::DMatrix;

/// Which functions the coefficients belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Basis {
    /// $P_0, P_1, \dots$ on \[-1, 1\].
    #[default]
    Legendre,
    /// $1, x, x^2, \dots$
    Powers,
}

/// Ridge regression on the polynomials up to a degree; the constant is not penalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// Largest power.
    pub degree: usize,
    /// $\alpha \ge 0$ beside the sum of squared errors.
    pub alpha: f64,
    /// The functions.
    pub basis: Basis,
}

impl Polynomial {
    /// Without penalty, in Legendre polynomials.
    pub fn new(degree: usize) -> Self {
        Self { degree, alpha: 0.0, basis: Basis::Legendre }
    }

    /// Sets the penalty.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the functions.
    #[must_use]
    pub fn basis(mut self, basis: Basis) -> Self {
        self.basis = basis;
        self
    }
}

/// A fitted polynomial.
#[derive(Clone, Debug, PartialEq)]
pub struct PolynomialFit {
    basis: Basis,
    linear: LinearFit,
}

impl PolynomialFit {
    /// Coefficient of each basis function, the constant first.
    pub fn coefficients(&self) -> Vec<f64> {
        self.linear.intercept.iter().chain(self.linear.weights.iter()).copied().collect()
    }
}

/// The basis functions 1 to `degree` at `x` of shape `(n, 1)`, `(n, degree)`; the constant is left out.
pub fn features(x: &DMatrix<f64>, degree: usize, basis: Basis) -> Result<DMatrix<f64>, Error> {
    check_width("variables of a polynomial", x.ncols(), 1)?;
    let mut columns = DMatrix::zeros(x.nrows(), degree);
    for (i, &x) in x.iter().enumerate() {
        // ANCHOR: basis
        let (mut before, mut current) = (1.0, x);
        for j in 1..=degree {
            columns[(i, j - 1)] = current;
            let next = match basis {
                Basis::Powers => current * x,
                Basis::Legendre => {
                    let j = j as f64;
                    ((2.0 * j + 1.0) * x * current - j * before) / (j + 1.0)
                }
            };
            (before, current) = (current, next);
        }
        // ANCHOR_END: basis
    }
    Ok(columns)
}

impl Estimator for Polynomial {
    type Fitted = PolynomialFit;

    /// # Errors
    /// As [`Estimator::fit`], and [`Error::Dimension`] when `x` has not exactly one column, `y` not exactly one.
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<PolynomialFit, Error> {
        check_width("outputs of a polynomial", y.ncols(), 1)?;
        let ridge = Ridge { alpha: self.alpha, intercept: Intercept::Fit };
        let linear = ridge.fit(&features(x, self.degree, self.basis)?, y)?;
        Ok(PolynomialFit { basis: self.basis, linear })
    }
}

impl Predict for PolynomialFit {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        self.linear.predict(&features(x, self.linear.weights.nrows(), self.basis)?)
    }
}
