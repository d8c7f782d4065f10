//! Minimum, maximum or saddle: the test by second derivatives.
//!
//! At a point with $\nabla f = 0$ the eigenvalues of the Hessian decide (Goodfellow et al. 2016, section 4.3): all
//! positive, a minimum; all negative, a maximum; both signs, a saddle whose *index* is the number of negative ones; a zero
//! among them, and second derivatives cannot tell. Time: O(n³).
use crate::Error;
use nalgebra::DMatrix;

/// What a critical point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Critical {
    /// $f$ rises in every direction.
    Minimum,
    /// $f$ falls in every direction.
    Maximum,
    /// $f$ rises in some directions and falls in others.
    Saddle {
        /// Directions of descent.
        index: usize,
    },
    /// Second derivatives do not decide.
    Degenerate {
        /// Directions of descent.
        index: usize,
        /// Directions without curvature.
        flat: usize,
    },
}

/// Classifies a critical point by its symmetric Hessian; an eigenvalue within `tolerance` of 0 counts as flat.
///
/// ```
/// use optim::landscape::critical::{Critical, classify};
/// use optim::problems::{Himmelblau, MonkeySaddle, Problem, Saddle};
///
/// let saddle = classify(&Saddle { dimension: 5 }.hessian(&[0.0; 5]), 1e-9)?;
/// assert_eq!(saddle, Critical::Saddle { index: 1 });
/// assert_eq!(classify(&Himmelblau.hessian(&[3.0, 2.0]), 1e-9)?, Critical::Minimum);
/// let monkey = classify(&MonkeySaddle.hessian(&[0.0, 0.0]), 1e-9)?;
/// assert_eq!(monkey, Critical::Degenerate { index: 0, flat: 2 });
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotFiniteMatrix`] for a Hessian with NaN or infinite entries, [`Error::InvalidHyper`] for a tolerance that is
/// negative or not finite, or a matrix that is empty or not square.
pub fn classify(hessian: &DMatrix<f64>, tolerance: f64) -> Result<Critical, Error> {
    let square = hessian.is_square() && !hessian.is_empty();
    if !square {
        let (name, rule) = ("hessian", "a square matrix with at least one row");
        return Err(Error::InvalidHyper { name, rule, value: hessian.nrows() as f64 });
    }
    if !(tolerance >= 0.0 && tolerance.is_finite()) {
        let (name, rule) = ("tolerance", "finite and not negative");
        return Err(Error::InvalidHyper { name, rule, value: tolerance });
    }
    if hessian.iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFiniteMatrix { what: "the Hessian" });
    }
    let eigenvalues = hessian.clone().symmetric_eigenvalues();
    let index = eigenvalues.iter().filter(|&&value| value < -tolerance).count();
    let flat = eigenvalues.iter().filter(|value| value.abs() <= tolerance).count();
    Ok(match (index, flat) {
        (index, flat) if flat > 0 => Critical::Degenerate { index, flat },
        (0, _) => Critical::Minimum,
        (index, _) if index == eigenvalues.len() => Critical::Maximum,
        (index, _) => Critical::Saddle { index },
    })
}
