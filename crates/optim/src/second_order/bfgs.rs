//! BFGS with the inverse Hessian as a matrix; see [`super::Lbfgs`] for its update.
//!
//! For a few hundred parameters: time and memory of one step are O(n²). With an exact line search its steps on a quadratic
//! are those of conjugate gradients.
use super::{Descent, Minimum, Objective, StrongWolfe, along, check, dot, negative, strong_wolfe};
use crate::Error;
use nalgebra::{DMatrix, DVector};

/// Hyperparameters of [`Bfgs`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BfgsConfig {
    /// Constants of the line search.
    pub line_search: StrongWolfe,
    /// Largest element of the gradient at which to stop. Default 1e-7.
    pub tolerance: f64,
}

impl Default for BfgsConfig {
    fn default() -> Self {
        Self { line_search: StrongWolfe::default(), tolerance: 1e-7 }
    }
}

/// BFGS; see the [module](self).
#[derive(Clone, Debug)]
pub struct Bfgs {
    config: BfgsConfig,
    inverse: Option<DMatrix<f64>>,
    is_scaled: bool,
}

impl Bfgs {
    /// Starts from the identity, scaled at the first step as in L-BFGS.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] names the first value out of range.
    pub fn try_new(config: BfgsConfig) -> Result<Self, Error> {
        config.line_search.check()?;
        check("tolerance", "not negative", config.tolerance, config.tolerance >= 0.0)?;
        Ok(Self { config, inverse: None, is_scaled: false })
    }

    /// Starts from this inverse Hessian, which is not scaled.
    #[must_use]
    pub fn with_inverse(mut self, inverse: DMatrix<f64>) -> Self {
        self.inverse = Some(inverse);
        self.is_scaled = true;
        self
    }

    /// The inverse Hessian after the steps made, if any.
    pub fn inverse(&self) -> Option<&DMatrix<f64>> {
        self.inverse.as_ref()
    }

    /// Minimises from `start`.
    ///
    /// # Errors
    /// Those of the objective.
    pub fn minimise(
        &mut self,
        objective: impl Objective,
        start: &[f64],
        max_iterations: usize,
    ) -> Result<Minimum, Error> {
        self.run(objective, start, max_iterations, self.config.tolerance)
    }
}

impl Descent for Bfgs {
    fn next<O: Objective>(
        &mut self,
        objective: &mut O,
        (x, value, gradient): &(Vec<f64>, f64, Vec<f64>),
    ) -> Result<Option<((Vec<f64>, f64, Vec<f64>), usize)>, Error> {
        let n = x.len();
        let inverse = self.inverse.get_or_insert_with(|| DMatrix::identity(n, n));
        let direction = &*inverse * DVector::from_vec(negative(gradient));
        let direction = direction.as_slice();
        if dot(gradient, direction) >= 0.0 {
            return Ok(None);
        }
        let first = match self.is_scaled {
            true => 1.0,
            false => (1.0 / gradient.iter().map(|g| g.abs()).sum::<f64>()).min(1.0),
        };
        let at = (*value, &gradient[..]);
        let found = strong_wolfe(objective, x, at, direction, first, self.config.line_search)?;
        if found.step == 0.0 {
            return Ok(None);
        }
        let s = DVector::from_iterator(n, direction.iter().map(|d| d * found.step));
        let y = DVector::from_vec(along(&found.gradient, -1.0, gradient));
        let curvature = s.dot(&y);
        if curvature > 0.0 {
            if !self.is_scaled {
                *inverse *= curvature / y.dot(&y);
                self.is_scaled = true;
            }
            let left = DMatrix::identity(n, n) - &s * y.transpose() / curvature;
            *inverse = &left * &*inverse * left.transpose() + &s * s.transpose() / curvature;
        }
        let next = along(x, found.step, direction);
        Ok(Some(((next, found.value, found.gradient), found.evaluations)))
    }
}
