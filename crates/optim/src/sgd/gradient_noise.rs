//! How noisy is a minibatch gradient, and where does the noise leave the weights?
//!
//! With the covariance $\Sigma$ of the gradients of single examples, a minibatch of $B$ has covariance $\Sigma/B$ when drawn
//! with replacement, and $\frac{\Sigma}{B}\cdot\frac{n - B}{n - 1}$ without. At a constant rate the weights near a
//! minimum form a cloud whose covariance solves $HC + CH = \eta\,\Sigma$ to first order in $\eta$.
//!
//! **Golden**: traces in numpy. **Closed form**: all minibatches of size 2 enumerated; the cloud simulated in 2-D.
use super::FiniteSum;
use crate::Error;
use nalgebra::DMatrix;

/// Covariance $\Sigma$ of the gradients of single examples at `w`, `(d, d)`, divisor n.
pub fn covariance<P: FiniteSum>(problem: &P, w: &[f64]) -> DMatrix<f64> {
    let (n, d) = (problem.terms(), problem.dim());
    let mean = problem.gradient(w);
    let mut sum = DMatrix::zeros(d, d);
    for i in 0..n {
        let mut off: Vec<f64> = mean.iter().map(|g| -g).collect();
        problem.add_gradient(i, w, 1.0, &mut off);
        let off = DMatrix::from_column_slice(d, 1, &off);
        sum += &off * off.transpose();
    }
    sum / n as f64
}

/// Share of $\operatorname{tr}\Sigma$ that a minibatch of `batch` out of `n` keeps.
///
/// # Errors
/// [`Error::InvalidHyper`] for an empty batch, or one larger than n without replacement.
pub fn minibatch_share(batch: usize, n: usize, with_replacement: bool) -> Result<f64, Error> {
    if batch == 0 || (!with_replacement && batch > n) {
        let rule = "at least 1, and at most the number of examples without replacement";
        return Err(Error::InvalidHyper { name: "batch", rule, value: batch as f64 });
    }
    let single = 1.0 / batch as f64;
    Ok(if with_replacement { single } else { single * (n - batch) as f64 / (n.max(2) - 1) as f64 })
}

/// $\operatorname{tr}\Sigma/\lVert\nabla f\rVert^2$: the batch beyond which more examples hardly help (McCandlish et al.
/// 2018). Infinite at a minimum.
pub fn noise_scale<P: FiniteSum>(problem: &P, w: &[f64]) -> f64 {
    let squared: f64 = problem.gradient(w).iter().map(|g| g * g).sum();
    covariance(problem, w).trace() / squared
}

// ANCHOR: stationary
/// The covariance $C$ of the weights under a constant rate: $HC + CH = \eta\Sigma$, in the eigenvectors of $H$, where
/// $C_{ij} = \eta\,\Sigma_{ij}/(\lambda_i + \lambda_j)$.
///
/// # Errors
/// [`Error::Singular`] unless the Hessian is positive definite.
pub fn stationary(hessian: &DMatrix<f64>, noise: &DMatrix<f64>, rate: f64) -> Result<DMatrix<f64>, Error> {
    let eigen = hessian.clone().symmetric_eigen();
    if eigen.eigenvalues.iter().any(|value| *value <= 0.0) {
        return Err(Error::Singular { what: "the Hessian" });
    }
    let (v, values) = (&eigen.eigenvectors, &eigen.eigenvalues);
    let turned = v.tr_mul(noise) * v;
    let solved = DMatrix::from_fn(turned.nrows(), turned.ncols(), |i, j| {
        rate * turned[(i, j)] / (values[i] + values[j])
    });
    Ok(v * solved * v.transpose())
}
// ANCHOR_END: stationary
