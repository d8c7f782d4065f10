//! The mean of several models: how far its error falls.
//!
//! If $k$ models have errors of variance $v$ and covariance $c$, the error of their mean has the variance
//! $\frac vk + \frac{k-1}{k} c$ (Goodfellow et al. 2016, eq. 7.51): it falls as $1/k$ for independent errors, and not
//! at all for equal ones. Bagging (Breiman 1996) makes errors differ by training each model on a resample.
use crate::Error;

/// $\frac vk + \frac{k-1}{k} c$.
///
/// # Errors
/// [`Error::InvalidHyper`] without a model.
pub fn variance_of_mean(models: usize, variance: f64, covariance: f64) -> Result<f64, Error> {
    if models == 0 {
        return Err(Error::InvalidHyper { name: "models", rule: "at least 1", value: 0.0 });
    }
    let k = models as f64;
    Ok(variance / k + (k - 1.0) / k * covariance)
}

/// `n` positions below `n`, drawn with repetition: a resample for bagging. About $1 - 1/e$ of them occur.
pub fn bootstrap<R: rand::Rng + ?Sized>(n: usize, rng: &mut R) -> Vec<usize> {
    (0..n).map(|_| rng.gen_range(0..n)).collect()
}
