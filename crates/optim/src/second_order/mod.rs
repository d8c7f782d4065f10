//! Optimisation with curvature (lecture 8.6): line searches, conjugate gradients, BFGS and L-BFGS, Newton, Gauss–Newton,
//! Levenberg–Marquardt, Hessian-free, K-FAC.
//!
//! These methods see a function of one flat vector, an [`Objective`]: a closure,
//! or a dfdx model through [`ModelObjective`]. They want full gradients: noise breaks curvature pairs and line searches. [`kfac`] is
//! the exception: it averages its curvature over minibatches.
//!
//! | you have | take |
//! |---|---|
//! | a smooth function, full gradients | [`Lbfgs`] |
//! | no memory for pairs of vectors | [`NonlinearCg`] |
//! | few parameters, a Hessian | [`newton`] |
//! | a sum of squares, a Jacobian | [`levenberg_marquardt`] |
//! | a network, products with the Hessian | [`hessian_free`] |
//! | a fully connected classifier, minibatches | [`kfac`] |
//! | a linear system, products with the matrix | [`conjugate_gradient`] |
//! | least squares with a bound on the length of the answer | [`constrained`] |
//!
//! ```
//! use optim::second_order::{Lbfgs, LbfgsConfig, Stop};
//!
//! let rosenbrock = |x: &[f64]| {
//!     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
//!     (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
//! };
//! let minimum = Lbfgs::try_new(LbfgsConfig::default())?.minimise(rosenbrock, &[-1.2, 1.0], 100)?;
//! assert!(matches!(minimum.stop, Stop::Converged | Stop::NoProgress));
//! assert!((minimum.x[0] - 1.0).abs() < 1e-6 && minimum.evaluations < 60);
//! # Ok::<(), optim::Error>(())
//! ```
pub mod bfgs;
mod conjugate_gradient;
pub mod constrained;
mod hessian_free;
pub mod kfac;
pub mod lbfgs;
mod line_search;
mod model;
mod newton;

pub use bfgs::{Bfgs, BfgsConfig};
pub use conjugate_gradient::{
    CgConfig, CgSolution, CgStop, CgUpdate, NonlinearCg, NonlinearCgConfig, conjugate_gradient,
};
pub use hessian_free::{HessianFreeConfig, hessian_free};
pub use lbfgs::{Lbfgs, LbfgsConfig};
pub use line_search::{Searched, StrongWolfe, armijo, strong_wolfe};
pub use model::{ModelObjective, Sam, SamConfig};
pub use newton::{
    LevenbergMarquardtConfig, NewtonKind, gauss_newton_step, levenberg_marquardt, newton, newton_step,
};

use crate::Error;

/// A function of a flat vector, with its gradient.
pub trait Objective {
    /// Value and gradient at `x`.
    ///
    /// # Errors
    /// Whatever keeps the value from being computed.
    fn evaluate(&mut self, x: &[f64]) -> Result<(f64, Vec<f64>), Error>;
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Objective for F {
    fn evaluate(&mut self, x: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        Ok(self(x))
    }
}

/// Why an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The largest element of the gradient is below the tolerance.
    Converged,
    /// The next step would change less than the tolerance.
    NoProgress,
    /// All iterations were used.
    MaxIterations,
    /// The value or gradient became NaN or infinite.
    NotFinite,
}

/// Where an iteration ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The point.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// Norm of the gradient there.
    pub gradient_norm: f64,
    /// Iterations made.
    pub iterations: usize,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// Why it ended.
    pub stop: Stop,
    /// The value before the first and after each iteration.
    pub history: Vec<f64>,
}

pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

pub(crate) fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest, x| if x.abs() > largest || x.is_nan() { x.abs() } else { largest })
}

/// x + t d.
fn along(x: &[f64], t: f64, d: &[f64]) -> Vec<f64> {
    x.iter().zip(d).map(|(x, d)| x + t * d).collect()
}

fn negative(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| -x).collect()
}

/// A method that makes one step at a time from a point whose value and gradient are known.
trait Descent {
    /// The next point, value and gradient, and the evaluations that it took; `None` when no step makes progress.
    fn next<O: Objective>(
        &mut self,
        objective: &mut O,
        at: &(Vec<f64>, f64, Vec<f64>),
    ) -> Result<Option<((Vec<f64>, f64, Vec<f64>), usize)>, Error>;

    fn run<O: Objective>(
        &mut self,
        mut objective: O,
        start: &[f64],
        max_iterations: usize,
        tolerance: f64,
    ) -> Result<Minimum, Error> {
        let (value, gradient) = objective.evaluate(start)?;
        let mut at = (start.to_vec(), value, gradient);
        let (mut evaluations, mut iterations, mut history) = (1, 0, vec![at.1]);
        let stop = loop {
            if !at.1.is_finite() || !largest(&at.2).is_finite() {
                break Stop::NotFinite;
            }
            if largest(&at.2) <= tolerance {
                break Stop::Converged;
            }
            if iterations == max_iterations {
                break Stop::MaxIterations;
            }
            let Some((next, more)) = self.next(&mut objective, &at)? else { break Stop::NoProgress };
            at = next;
            evaluations += more;
            iterations += 1;
            history.push(at.1);
        };
        let (x, value, gradient) = at;
        let gradient_norm = norm(&gradient);
        Ok(Minimum { x, value, gradient_norm, iterations, evaluations, stop, history })
    }
}

pub(crate) fn check(name: &'static str, rule: &'static str, value: f64, holds: bool) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::InvalidHyper { name, rule, value }) }
}
