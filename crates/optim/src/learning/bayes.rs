//! Bayesian linear regression: not the best weights but how probable each is.
//!
//! Prior $w \sim N(\mu_0, \Lambda_0)$, noise $N(0, \sigma^2)$. After inputs $X$ and targets $y$ the weights are normal with
//! $$\Lambda_m = \Bigl(\frac{X^\top X}{\sigma^2} + \Lambda_0^{-1}\Bigr)^{-1}, \qquad
//! \mu_m = \Lambda_m\Bigl(\frac{X^\top y}{\sigma^2} + \Lambda_0^{-1}\mu_0\Bigr),$$
//! and a prediction at $x$ has mean $x\cdot\mu_m$ and variance $x^\top\Lambda_m x + \sigma^2$. With $\mu_0 = 0$ and
//! $\Lambda_0 = \tau^2 I$ the mean is ridge regression with $\alpha = \sigma^2/\tau^2$.
//!
//! **Property**: one batch or several give the same posterior; its variance never exceeds the prior's; mean = ridge.
use super::{check, check_width};
use crate::Error;
use nalgebra::{DMatrix, DVector};

/// A normal distribution of the weights, kept by its precision (the inverse of its covariance).
#[derive(Clone, Debug, PartialEq)]
pub struct WeightDistribution {
    precision: DMatrix<f64>,
    /// Precision times mean.
    shift: DVector<f64>,
    noise: f64,
}

/// What is known about one target before it is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predictive {
    /// Its mean.
    pub mean: f64,
    /// Its variance, noise included.
    pub variance: f64,
}

fn positive(name: &'static str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(Error::InvalidHyper { name, rule: "finite and above 0", value })
    }
}

impl WeightDistribution {
    /// The prior $N(0, \tau^2 I)$ of `features` weights, with noise variance $\sigma^2$ on the targets.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a variance not above 0.
    pub fn prior(features: usize, variance: f64, noise: f64) -> Result<Self, Error> {
        positive("variance", variance)?;
        positive("noise", noise)?;
        let precision = DMatrix::identity(features, features) / variance;
        Ok(Self { precision, shift: DVector::zeros(features), noise })
    }

    // ANCHOR: posterior
    /// The distribution after further examples `x` of shape `(n, F)`: this posterior is the next prior.
    ///
    /// # Errors
    /// [`Error::Dimension`] and those of data that nothing can be learnt from.
    pub fn after(&self, x: &DMatrix<f64>, y: &[f64]) -> Result<Self, Error> {
        let targets = super::column(y);
        check("WeightDistribution::after", x, &targets)?;
        check_width("features", x.ncols(), self.shift.len())?;
        Ok(Self {
            precision: &self.precision + x.tr_mul(x) / self.noise,
            shift: &self.shift + x.tr_mul(&targets).column(0) / self.noise,
            noise: self.noise,
        })
    }
    // ANCHOR_END: posterior

    /// $\Lambda$, `(F, F)`.
    ///
    /// # Errors
    /// [`Error::Singular`] when rounding has destroyed the precision matrix.
    pub fn covariance(&self) -> Result<DMatrix<f64>, Error> {
        let factor =
            self.precision.clone().cholesky().ok_or(Error::Singular { what: "the precision matrix" })?;
        Ok(factor.inverse())
    }

    /// $\mu$, `(F)`.
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance).
    pub fn mean(&self) -> Result<DVector<f64>, Error> {
        let factor =
            self.precision.clone().cholesky().ok_or(Error::Singular { what: "the precision matrix" })?;
        Ok(factor.solve(&self.shift))
    }

    /// What is known about the target of each row of `x`.
    ///
    /// # Errors
    /// [`Error::Dimension`], and as [`covariance`](Self::covariance).
    pub fn predict(&self, x: &DMatrix<f64>) -> Result<Vec<Predictive>, Error> {
        check_width("features", x.ncols(), self.shift.len())?;
        let (mean, covariance) = (self.mean()?, self.covariance()?);
        let at = |row: DVector<f64>| {
            let variance = row.dot(&(&covariance * &row)) + self.noise;
            Predictive { mean: row.dot(&mean), variance }
        };
        Ok(x.row_iter().map(|row| at(row.transpose())).collect())
    }
}
