//! Dropout after training: many masks for one input, and ridge regression in disguise.
//!
//! The layers themselves are `layers::modules::{Dropout, GaussianDropout, AlphaDropout, FeatureDropout}`, the last of which drops
//! whole channels and is known as spatial dropout (Tompson et al. 2015, arXiv 1411.4280); what training
//! with them does to a linear network stands in [`super::dropout_theory`].
//!
//! **Dropping inputs of a linear model is ridge regression**: with $\theta$ the probability to keep and
//! $\lambda = (1 - \theta)/\theta$,
//!
//! $$ E_b \bigl\lVert y - \tfrac1\theta (X \odot b) w \bigr\rVert^2
//!    = \lVert y - X w\rVert^2 + \lambda\, w^\top \mathrm{diag}(X^\top X)\, w , $$
//!
//! a penalty that is larger for inputs with larger values (Wager, Wang & Liang 2013, arXiv 1307.1493; Goodfellow et al.
//! 2016, section 7.12).
use nalgebra::{DMatrix, DVector};

use super::dropout_theory::strength;
use crate::Error;

/// Mean and standard deviation of `passes` predictions, each with a mask of its own: Monte-Carlo dropout (Gal &
/// Ghahramani 2016, arXiv 1506.02142). `predict(pass)` must draw new masks: `ModuleMut` of a model with dropout does.
///
/// # Errors
/// [`Error::InvalidHyper`] for fewer than two passes; [`Error::LengthMismatch`] when two predictions differ in length.
pub fn monte_carlo(
    passes: usize,
    mut predict: impl FnMut(usize) -> Vec<f64>,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    if passes < 2 {
        return Err(Error::InvalidHyper { name: "passes", rule: "at least 2", value: passes as f64 });
    }
    let (mut mean, mut squares) = (Vec::new(), Vec::new());
    for pass in 0..passes {
        let values = predict(pass);
        if pass == 0 {
            (mean, squares) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        } else if values.len() != mean.len() {
            return Err(Error::LengthMismatch { examples: mean.len(), labels: values.len() });
        }
        for ((value, mean), square) in values.iter().zip(&mut mean).zip(&mut squares) {
            let from_old = value - *mean; // Welford's update
            *mean += from_old / (pass + 1) as f64;
            *square += from_old * (value - *mean);
        }
    }
    let deviation = squares.iter().map(|square| (square / (passes - 1) as f64).sqrt()).collect();
    Ok((mean, deviation))
}

// ANCHOR: ridge
/// The weights that least squares with dropout on the inputs tends to: $(X^\top X + \lambda\,\mathrm{diag}(X^\top
/// X))^{-1} X^\top y$.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `keep` lies in (0, 1\]; [`Error::Singular`] when the matrix has no inverse.
pub fn linear_regression_with_dropout(
    x: &DMatrix<f64>,
    y: &DVector<f64>,
    keep: f64,
) -> Result<DVector<f64>, Error> {
    let lambda = strength(keep)?;
    let mut gram = x.transpose() * x;
    for i in 0..gram.nrows() {
        gram[(i, i)] *= 1.0 + lambda;
    }
    let solution = gram.cholesky().map(|factor| factor.solve(&(x.transpose() * y)));
    solution.ok_or(Error::Singular { what: "X^T X with its diagonal raised by dropout" })
}
// ANCHOR_END: ridge
