//! Long-term dependencies: what many steps of one linear recurrence make of a signal and of its gradient.
//!
//! $h_t = W h_{t-1}$ multiplies by $W^t$, and the gradient on its way back by $(W^\top)^t$. With $W = V \operatorname{diag}(\lambda) V^{-1}$
//!
//! $$ W^t = V \operatorname{diag}(\lambda)^t V^{-1} , $$
//!
//! so whatever lies along an eigenvector with $\lvert\lambda_i\rvert < 1$ vanishes, and with $\lvert\lambda_i\rvert > 1$
//! explodes, by $\lvert\lambda_i\rvert^t$. A network with another matrix in each layer can avoid both by its start
//! ([`mean_field`](crate::mean_field)); a recurrent one, which has the same matrix $t$ times, cannot.
//!
//! **Source**: Goodfellow et al. (2016), section 8.2.5.
use crate::Error;
use nalgebra::DMatrix;

// ANCHOR: factors
/// $\lvert\lambda_i\rvert^t$, the largest first: by how much `steps` steps of $h \mapsto W h$ stretch each eigendirection.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::landscape::recurrence::factors;
///
/// let turn_and_stretch = dmatrix![0.0, -1.1; 1.1, 0.0]; // eigenvalues 1.1 i and -1.1 i
/// let grown = factors(&turn_and_stretch, 50)?;
/// assert!(grown.iter().all(|factor| (factor / 1.1_f64.powi(50) - 1.0).abs() < 1e-12)); // 117
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotFiniteMatrix`]; [`Error::InvalidHyper`] for a matrix that is empty or not square; [`Error::NotConverged`]
/// when its eigenvalues are not found.
pub fn factors(w: &DMatrix<f64>, steps: i32) -> Result<Vec<f64>, Error> {
    if !w.is_square() || w.is_empty() {
        let (name, rule) = ("recurrent matrix", "square, with at least one row");
        return Err(Error::InvalidHyper { name, rule, value: w.nrows() as f64 });
    }
    if w.iter().any(|entry| !entry.is_finite()) {
        return Err(Error::NotFiniteMatrix { what: "the recurrent matrix" });
    }
    let Some(schur) = w.clone().try_schur(f64::EPSILON, MAX_PASSES) else {
        let (residual, tolerance) = (f64::NAN, f64::EPSILON);
        return Err(Error::NotConverged { what: "the Schur form", passes: MAX_PASSES, residual, tolerance });
    };
    let mut factors: Vec<f64> =
        schur.complex_eigenvalues().iter().map(|value| value.norm().powi(steps)).collect();
    factors.sort_by(|a, b| b.total_cmp(a));
    Ok(factors)
}
// ANCHOR_END: factors

/// Passes of the iteration for eigenvalues; a few per row are usual.
const MAX_PASSES: usize = 100_000;
