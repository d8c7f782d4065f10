//! Kernel ridge regression: linear regression in a space that is never entered.
//!
//! The weights of ridge regression are a sum of the examples, $w = X^\top a$ with $a = (K + \alpha I)^{-1}y$ and
//! $K = XX^\top$, and a prediction needs inner products only: $f(x) = \sum_i a_i\,k(x_i, x)$. So any $k$ that is an inner
//! product in *some* space may stand there (the kernel trick; Boser, Guyon & Vapnik 1992).
//!
//! Time: O(n³) for the fit, O(n F) for a prediction. No constant term: centre the targets, or add 1 to the kernel.
//!
//! **Property**: with the linear kernel it is ridge regression; kernel matrices have no negative eigenvalue.
use super::{Estimator, Predict, check, check_penalty, check_width};
use crate::Error;
use nalgebra::{DMatrix, DVectorView};

/// An inner product in some space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kernel {
    /// $x\cdot y$.
    Linear,
    /// $(x\cdot y + 1)^p$: all products of up to $p$ features.
    Polynomial {
        /// $p$, at least 1.
        power: u16,
    },
    /// $\exp(-\lVert x - y\rVert^2/(2\ell^2))$.
    Gaussian {
        /// $\ell$, above 0.
        length: f64,
    },
}

impl Kernel {
    /// $k(x, y)$ of two vectors of the same length.
    pub fn value(self, x: DVectorView<'_, f64>, y: DVectorView<'_, f64>) -> f64 {
        match self {
            Self::Linear => x.dot(&y),
            Self::Polynomial { power } => (x.dot(&y) + 1.0).powi(i32::from(power)),
            Self::Gaussian { length } => (-x.metric_distance(&y).powi(2) / (2.0 * length * length)).exp(),
        }
    }

    /// $k(x_i, y_j)$ of the rows of two matrices with as many columns, `(n, m)`.
    pub fn matrix(self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> DMatrix<f64> {
        let (x, y) = (x.transpose(), y.transpose()); // examples side by side in memory
        DMatrix::from_fn(x.ncols(), y.ncols(), |i, j| {
            self.value(x.column(i).as_view(), y.column(j).as_view())
        })
    }

    fn check(self) -> Result<(), Error> {
        match self {
            Self::Gaussian { length } if !(length > 0.0 && length.is_finite()) => {
                Err(Error::InvalidHyper { name: "length", rule: "finite and above 0", value: length })
            }
            Self::Polynomial { power: 0 } => {
                Err(Error::InvalidHyper { name: "power", rule: "at least 1", value: 0.0 })
            }
            _ => Ok(()),
        }
    }
}

/// Ridge regression with a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelRidge {
    /// The inner product.
    pub kernel: Kernel,
    /// $\alpha \ge 0$ beside the sum of squared errors.
    pub alpha: f64,
}

/// The examples and their coefficients.
#[derive(Clone, Debug)]
pub struct KernelFit {
    kernel: Kernel,
    x: DMatrix<f64>,
    coefficients: DMatrix<f64>,
}

impl Estimator for KernelRidge {
    type Fitted = KernelFit;

    /// # Errors
    /// As [`Estimator::fit`], and [`Error::Singular`] when $K + \alpha I$ has no inverse: raise `alpha`.
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<KernelFit, Error> {
        check_penalty(self.alpha)?;
        self.kernel.check()?;
        check("KernelRidge::fit", x, y)?;
        // ANCHOR: kernel_ridge
        let gram = self.kernel.matrix(x, x) + DMatrix::identity(x.nrows(), x.nrows()) * self.alpha;
        let coefficients = gram.cholesky().ok_or(Error::Singular { what: "the kernel matrix" })?.solve(y);
        // ANCHOR_END: kernel_ridge
        Ok(KernelFit { kernel: self.kernel, x: x.clone(), coefficients })
    }
}

impl Predict for KernelFit {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        check_width("features", x.ncols(), self.x.ncols())?;
        Ok(self.kernel.matrix(x, &self.x) * &self.coefficients)
    }
}
