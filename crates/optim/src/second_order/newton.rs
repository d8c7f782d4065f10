//! Newton's method and its relatives for sums of squares, with matrices.
//!
//! | step | solves |
//! |---|---|
//! | [`NewtonKind::Plain`] | $H\,d = -g$ |
//! | [`NewtonKind::Damped`] | $(H + \lambda I)\,d = -g$ (Levenberg) |
//! | [`NewtonKind::SaddleFree`] | $\lvert H\rvert\,d = -g$ with $\lvert H\rvert = \sum\max(\lvert\lambda_i\rvert, \epsilon) v_iv_i^\top$ (Dauphin et al. 2014, 1406.2572) |
//! | Gauss–Newton | $\min_d \lvert Jd + r\rvert$ |
//! | Levenberg–Marquardt | $(J^\top J + \mu I)\,d = -J^\top r$ |
//!
//! Plain steps go to the nearest critical point, saddle points included; saddle-free ones descend in every direction.
//! Time of one step: O(n³).
//!
//! **Golden**: Rosenbrock's function, every iterate of Newton, Gauss–Newton and Levenberg–Marquardt in numpy.
use super::{Minimum, Stop, norm};
use crate::Error;
use crate::linalg::Svd;
use nalgebra::{DMatrix, DVector};

/// Which Newton step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NewtonKind {
    /// Newton's own.
    Plain,
    /// With $\lambda > 0$ added to every eigenvalue.
    Damped(f64),
    /// With the absolute eigenvalues, at least $\epsilon > 0$.
    SaddleFree(f64),
}

/// $d$ for a gradient and a symmetric Hessian.
///
/// # Errors
/// [`Error::Singular`] when the matrix has no inverse, [`Error::InvalidHyper`] for $\lambda$ or $\epsilon$ not above 0.
pub fn newton_step(
    gradient: &DVector<f64>,
    hessian: &DMatrix<f64>,
    kind: NewtonKind,
) -> Result<DVector<f64>, Error> {
    let positive =
        |name, value: f64| super::check(name, "finite and above 0", value, value > 0.0 && value.is_finite());
    match kind {
        NewtonKind::Plain => {
            hessian.clone().lu().solve(&-gradient).ok_or(Error::Singular { what: "the Hessian" })
        }
        NewtonKind::Damped(damping) => {
            positive("damping", damping)?;
            let n = gradient.len();
            let damped = hessian + DMatrix::identity(n, n) * damping;
            damped.lu().solve(&-gradient).ok_or(Error::Singular { what: "the damped Hessian" })
        }
        NewtonKind::SaddleFree(epsilon) => {
            positive("epsilon", epsilon)?;
            let mut eigen = hessian.clone().symmetric_eigen();
            eigen.eigenvalues.apply(|value| *value = 1.0 / value.abs().max(epsilon));
            Ok(eigen.recompose() * -gradient)
        }
    }
}

/// Newton's method from `start`, without a line search; `evaluate(x)` gives value, gradient and Hessian.
///
/// # Errors
/// Those of [`newton_step`].
pub fn newton(
    mut evaluate: impl FnMut(&[f64]) -> (f64, DVector<f64>, DMatrix<f64>),
    start: &[f64],
    kind: NewtonKind,
    tolerance: f64,
    max_iterations: usize,
) -> Result<(Minimum, Vec<Vec<f64>>), Error> {
    let mut x = DVector::from_column_slice(start);
    let (mut history, mut iterates) = (Vec::new(), vec![start.to_vec()]);
    loop {
        let (value, gradient, hessian) = evaluate(x.as_slice());
        history.push(value);
        let iterations = history.len() - 1;
        let stop = if !value.is_finite() || !gradient.amax().is_finite() {
            Stop::NotFinite
        } else if gradient.amax() <= tolerance {
            Stop::Converged
        } else if iterations == max_iterations {
            Stop::MaxIterations
        } else {
            x += newton_step(&gradient, &hessian, kind)?;
            iterates.push(x.as_slice().to_vec());
            continue;
        };
        let gradient_norm = gradient.norm();
        let (x, evaluations) = (x.as_slice().to_vec(), history.len());
        return Ok((Minimum { x, value, gradient_norm, iterations, evaluations, stop, history }, iterates));
    }
}

/// The Gauss–Newton step $\arg\min_d |Jd + r|$ of least norm.
///
/// # Errors
/// [`Error::Singular`] when an entry is not finite.
pub fn gauss_newton_step(residuals: &DVector<f64>, jacobian: &DMatrix<f64>) -> Result<DVector<f64>, Error> {
    if !residuals.iter().chain(jacobian.iter()).all(|x| x.is_finite()) {
        return Err(Error::Singular { what: "the Jacobian, which is not finite," });
    }
    let svd = Svd::new(jacobian);
    let step = svd.solve(&DMatrix::from_column_slice(residuals.len(), 1, residuals.as_slice()), svd.noise());
    Ok(-step.column(0))
}

/// Hyperparameters of [`levenberg_marquardt`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevenbergMarquardtConfig {
    /// $\mu$ of the first step, above 0. Default 1.
    pub damping: f64,
    /// $\mu$ is multiplied with this after a step that lowers $|r|$, in (0, 1). Default 0.3.
    pub relax: f64,
    /// And with this after one that does not, and is not made; above 1. Default 2.
    pub tighten: f64,
    /// $|J^\top r|$ at which to stop. Default 1e-10.
    pub tolerance: f64,
    /// Steps tried. Default 100.
    pub max_iterations: usize,
}

impl Default for LevenbergMarquardtConfig {
    fn default() -> Self {
        Self { damping: 1.0, relax: 0.3, tighten: 2.0, tolerance: 1e-10, max_iterations: 100 }
    }
}

/// Minimises $\frac12|r(x)|^2$; `evaluate(x)` gives residuals and Jacobian. Returns the minimum and the point after each
/// try.
///
/// # Errors
/// [`Error::InvalidHyper`] names the first hyperparameter out of range, [`Error::Singular`] when a system has no
/// solution.
pub fn levenberg_marquardt(
    mut evaluate: impl FnMut(&[f64]) -> (DVector<f64>, DMatrix<f64>),
    start: &[f64],
    config: LevenbergMarquardtConfig,
) -> Result<(Minimum, Vec<Vec<f64>>), Error> {
    let LevenbergMarquardtConfig { mut damping, relax, tighten, tolerance, max_iterations } = config;
    super::check("damping", "finite and above 0", damping, damping > 0.0 && damping.is_finite())?;
    super::check("relax", "in (0, 1)", relax, relax > 0.0 && relax < 1.0)?;
    super::check("tighten", "finite and above 1", tighten, tighten > 1.0 && tighten.is_finite())?;
    let mut x = DVector::from_column_slice(start);
    let (mut residuals, mut jacobian) = evaluate(start);
    let (mut evaluations, mut iterates) = (1, vec![start.to_vec()]);
    let mut history = vec![0.5 * residuals.norm_squared()];
    let (stop, gradient) = loop {
        let gradient = jacobian.transpose() * &residuals;
        let value = 0.5 * residuals.norm_squared();
        if !value.is_finite() {
            break (Stop::NotFinite, gradient);
        }
        if norm(gradient.as_slice()) <= tolerance {
            break (Stop::Converged, gradient);
        }
        if iterates.len() > max_iterations {
            break (Stop::MaxIterations, gradient);
        }
        let n = x.len();
        let normal = jacobian.transpose() * &jacobian + DMatrix::identity(n, n) * damping;
        let step =
            normal.lu().solve(&-&gradient).ok_or(Error::Singular { what: "the damped normal matrix" })?;
        let candidate = &x + step;
        let (new, new_jacobian) = evaluate(candidate.as_slice());
        evaluations += 1;
        if new.norm_squared() < residuals.norm_squared() {
            (x, residuals, jacobian) = (candidate, new, new_jacobian);
            damping *= relax;
        } else {
            damping *= tighten;
            if !damping.is_finite() {
                break (Stop::NoProgress, gradient);
            }
        }
        iterates.push(x.as_slice().to_vec());
        history.push(0.5 * residuals.norm_squared());
    };
    let value = 0.5 * residuals.norm_squared();
    let (gradient_norm, iterations) = (gradient.norm(), iterates.len() - 1);
    let x = x.as_slice().to_vec();
    Ok((Minimum { x, value, gradient_norm, iterations, evaluations, stop, history }, iterates))
}
