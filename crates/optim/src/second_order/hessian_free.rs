//! Hessian-free optimisation: Newton's step by conjugate gradients, from products with a curvature matrix alone.
//!
//! Each iteration solves $(B + \lambda I)\,d = -g$ by [`conjugate_gradient`](super::conjugate_gradient()), to a residual of
//! $\min(\frac12, \sqrt{\lvert g\rvert})\lvert g\rvert$ or negative curvature, and searches along $d$ by Armijo's rule. The
//! damping $\lambda$ follows the ratio of the real decrease to that of the quadratic model, as in Levenberg and Marquardt:
//! times 2/3 above 3/4, times 3/2 below 1/4.
//!
//! $B$ is the Hessian ([`layers::hessian_vector_product`] gives its products for a model) or the Gauss–Newton matrix,
//! which has no negative curvature.
//!
//! **Paper**: Martens (2010), Deep learning via Hessian-free optimization. **Deviations**: no preconditioner, no
//! backtracking over CG iterates, full batches.
use super::{
    CgConfig, Minimum, Objective, Stop, along, armijo, check, conjugate_gradient, dot, largest, negative,
    norm,
};
use crate::Error;

/// Hyperparameters of [`hessian_free`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HessianFreeConfig {
    /// $\lambda$ at the start, not negative. Default 1e-3.
    pub damping: f64,
    /// Steps of conjugate gradients per iteration. Default 100.
    pub cg_iterations: usize,
    /// Largest element of the gradient at which to stop. Default 1e-7.
    pub tolerance: f64,
    /// Default 50.
    pub max_iterations: usize,
}

impl Default for HessianFreeConfig {
    fn default() -> Self {
        Self { damping: 1e-3, cg_iterations: 100, tolerance: 1e-7, max_iterations: 50 }
    }
}

/// Minimises from `start`; `product(x, v)` is $B(x)v$.
///
/// # Errors
/// [`Error::InvalidHyper`], and those of the objective and of `product`.
pub fn hessian_free(
    mut objective: impl Objective,
    mut product: impl FnMut(&[f64], &[f64]) -> Result<Vec<f64>, Error>,
    start: &[f64],
    config: HessianFreeConfig,
) -> Result<Minimum, Error> {
    let HessianFreeConfig { mut damping, cg_iterations, tolerance, max_iterations } = config;
    check("damping", "finite and not negative", damping, damping >= 0.0 && damping.is_finite())?;
    check("cg_iterations", "at least 1", cg_iterations as f64, cg_iterations > 0)?;
    let mut x = start.to_vec();
    let (mut value, mut gradient) = objective.evaluate(&x)?;
    let (mut evaluations, mut history) = (1, vec![value]);
    let stop = loop {
        if !value.is_finite() || !largest(&gradient).is_finite() {
            break Stop::NotFinite;
        }
        if largest(&gradient) <= tolerance {
            break Stop::Converged;
        }
        if history.len() > max_iterations {
            break Stop::MaxIterations;
        }
        let size = norm(&gradient);
        let forcing = CgConfig { tolerance: size.sqrt().min(0.5), max_iterations: cg_iterations };
        let mut failed = None;
        let damped = |v: &[f64]| match product(&x, v) {
            Ok(image) => along(&image, damping, v),
            Err(error) => {
                failed.get_or_insert(error);
                negative(v) // ends the iteration: negative curvature
            }
        };
        let solved = conjugate_gradient(damped, &negative(&gradient), forcing);
        if let Some(error) = failed {
            return Err(error);
        }
        // Without a single step of positive curvature, the steepest descent.
        let direction = if solved.iterates.is_empty() { negative(&gradient) } else { solved.x };
        let at = (value, &gradient[..]);
        let Some(found) = armijo(&mut objective, &x, at, &direction, 1.0, [1e-4, 0.5])? else {
            break Stop::NoProgress;
        };
        let image = along(&product(&x, &direction)?, damping, &direction);
        let predicted = dot(&gradient, &direction) + 0.5 * dot(&direction, &image);
        let ratio = (found.value - value) / predicted;
        if ratio > 0.75 && found.step == 1.0 {
            damping *= 2.0 / 3.0;
        } else if ratio < 0.25 || found.step < 1.0 {
            damping = (damping * 1.5).max(1e-12);
        }
        x = along(&x, found.step, &direction);
        (value, gradient) = (found.value, found.gradient);
        evaluations += found.evaluations;
        history.push(value);
    };
    let iterations = history.len() - 1;
    Ok(Minimum { x, value, gradient_norm: norm(&gradient), iterations, evaluations, stop, history })
}
