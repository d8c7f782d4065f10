//! Conjugate gradients: for linear systems, and for functions.
//!
//! Linear: $Ax = b$ with symmetric positive definite $A$, of which products $Av$ are enough. In exact arithmetic it ends
//! after as many steps as $A$ has distinct eigenvalues; the error in the norm of $A$ after $k$ steps is at most
//! $2\big(\frac{\sqrt\kappa-1}{\sqrt\kappa+1}\big)^k$ times the first.
//!
//! Nonlinear: $d_{t+1} = -g_{t+1} + \beta d_t$ with a line search, where with $y = g_{t+1}-g_t$
//!
//! | [`CgUpdate`] | $\beta$ |
//! |---|---|
//! | `FletcherReeves` | $\lvert g_{t+1}\rvert^2/\lvert g_t\rvert^2$ |
//! | `PolakRibiere` | $\max(0, g_{t+1}^\top y/\lvert g_t\rvert^2)$ |
//! | `HestenesStiefel` | $g_{t+1}^\top y/d_t^\top y$ |
//! | `DaiYuan` | $\lvert g_{t+1}\rvert^2/d_t^\top y$ |
//!
//! **Sources**: Hestenes & Stiefel (1952); Nocedal & Wright (2006), chapter 5. **Golden**: scipy's `cg`, every iterate.
use super::{Descent, Minimum, Objective, StrongWolfe, along, check, dot, negative, norm, strong_wolfe};
use crate::Error;

/// When [`conjugate_gradient`] stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CgConfig {
    /// Residual, relative to $|b|$, that is good enough. Default 1e-10.
    pub tolerance: f64,
    /// Default 1000.
    pub max_iterations: usize,
}

impl Default for CgConfig {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 1000 }
    }
}

/// Why [`conjugate_gradient`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgStop {
    /// The residual is small enough.
    Converged,
    /// All iterations were used.
    MaxIterations,
    /// A direction has no positive curvature: the matrix is not positive definite. The solution is that of the steps
    /// before.
    NegativeCurvature,
}

/// What [`conjugate_gradient`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct CgSolution {
    /// The last iterate.
    pub x: Vec<f64>,
    /// $|b - Ax|$.
    pub residual_norm: f64,
    /// All iterates after the first.
    pub iterates: Vec<Vec<f64>>,
    /// All directions, of which any two are conjugate: $p_i^\top A p_j = 0$.
    pub directions: Vec<Vec<f64>>,
    /// Why it ended.
    pub stop: CgStop,
}

/// Solves $Ax = b$ from $x = 0$, with `product(v)` for $Av$. Memory: O(iterations · n), for iterates and directions are
/// kept.
///
/// ```
/// use optim::second_order::{CgConfig, conjugate_gradient};
/// let product = |v: &[f64]| vec![4.0 * v[0] + v[1], v[0] + 3.0 * v[1]];
/// let found = conjugate_gradient(product, &[1.0, 2.0], CgConfig::default());
/// assert_eq!(found.iterates.len(), 2);
/// assert!((found.x[0] - 1.0 / 11.0).abs() < 1e-15 && (found.x[1] - 7.0 / 11.0).abs() < 1e-15);
/// ```
// ANCHOR: conjugate_gradient
pub fn conjugate_gradient(
    mut product: impl FnMut(&[f64]) -> Vec<f64>,
    b: &[f64],
    config: CgConfig,
) -> CgSolution {
    let mut x = vec![0.0; b.len()];
    let mut residual = b.to_vec();
    let mut direction = b.to_vec();
    let mut square = dot(&residual, &residual);
    let (mut iterates, mut directions) = (Vec::new(), Vec::new());
    let stop = loop {
        if square.sqrt() <= config.tolerance * norm(b) {
            break CgStop::Converged;
        }
        if iterates.len() == config.max_iterations {
            break CgStop::MaxIterations;
        }
        let image = product(&direction);
        let curvature = dot(&direction, &image);
        if curvature <= 0.0 {
            break CgStop::NegativeCurvature;
        }
        let step = square / curvature;
        x = along(&x, step, &direction);
        residual = along(&residual, -step, &image);
        let next = dot(&residual, &residual);
        iterates.push(x.clone());
        let new = along(&residual, next / square, &direction);
        directions.push(std::mem::replace(&mut direction, new));
        square = next;
    };
    CgSolution { x, residual_norm: square.sqrt(), iterates, directions, stop }
}
// ANCHOR_END: conjugate_gradient

/// $\beta$ of nonlinear conjugate gradients; see the [methods](crate::second_order).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgUpdate {
    /// Fletcher & Reeves 1964.
    FletcherReeves,
    /// Polak & Ribière 1969, not below 0: restarts by itself after a bad step.
    #[default]
    PolakRibiere,
    /// Hestenes & Stiefel 1952.
    HestenesStiefel,
    /// Dai & Yuan 1999.
    DaiYuan,
}

/// Hyperparameters of [`NonlinearCg`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonlinearCgConfig {
    /// $\beta$.
    pub update: CgUpdate,
    /// Constants of the line search. Default c₂ = 0.1: directions stay conjugate only if the search is nearly exact.
    pub line_search: StrongWolfe,
    /// Steps after which the direction is the negative gradient again; 0 for as many as there are parameters. Default 0.
    pub restart: usize,
    /// Largest element of the gradient at which to stop. Default 1e-7.
    pub tolerance: f64,
}

impl Default for NonlinearCgConfig {
    fn default() -> Self {
        let line_search = StrongWolfe { curvature: 0.1, ..StrongWolfe::default() };
        Self { update: CgUpdate::default(), line_search, restart: 0, tolerance: 1e-7 }
    }
}

/// Nonlinear conjugate gradients; see the [methods](crate::second_order).
#[derive(Clone, Debug)]
pub struct NonlinearCg {
    config: NonlinearCgConfig,
    /// Gradient, direction and step of the last iteration.
    last: Option<(Vec<f64>, Vec<f64>, f64)>,
    since_restart: usize,
}

impl NonlinearCg {
    /// Starts along the negative gradient.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] names the first value out of range.
    pub fn try_new(config: NonlinearCgConfig) -> Result<Self, Error> {
        config.line_search.check()?;
        check("tolerance", "not negative", config.tolerance, config.tolerance >= 0.0)?;
        Ok(Self { config, last: None, since_restart: 0 })
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
        self.last = None;
        self.run(objective, start, max_iterations, self.config.tolerance)
    }

    fn beta(&self, gradient: &[f64], last: &[f64], direction: &[f64]) -> f64 {
        let y = along(gradient, -1.0, last);
        match self.config.update {
            CgUpdate::FletcherReeves => dot(gradient, gradient) / dot(last, last),
            CgUpdate::PolakRibiere => (dot(gradient, &y) / dot(last, last)).max(0.0),
            CgUpdate::HestenesStiefel => dot(gradient, &y) / dot(direction, &y),
            CgUpdate::DaiYuan => dot(gradient, gradient) / dot(direction, &y),
        }
    }
}

impl Descent for NonlinearCg {
    fn next<O: Objective>(
        &mut self,
        objective: &mut O,
        (x, value, gradient): &(Vec<f64>, f64, Vec<f64>),
    ) -> Result<Option<((Vec<f64>, f64, Vec<f64>), usize)>, Error> {
        let restart = if self.config.restart == 0 { x.len() } else { self.config.restart };
        let steepest = negative(gradient);
        let mut direction = steepest.clone();
        let mut first = (1.0 / gradient.iter().map(|g| g.abs()).sum::<f64>()).min(1.0);
        if let Some((last, old, step)) = &self.last
            && self.since_restart < restart
        {
            direction = along(&steepest, self.beta(gradient, last, old), old);
            first = step * dot(last, old) / dot(gradient, &direction);
        }
        if !(dot(gradient, &direction) < 0.0 && first.is_finite() && first > 0.0) {
            direction = steepest;
            self.since_restart = 0;
            first = (1.0 / gradient.iter().map(|g| g.abs()).sum::<f64>()).min(1.0);
        } else if self.since_restart >= restart {
            self.since_restart = 0;
        }
        let at = (*value, &gradient[..]);
        let found = strong_wolfe(objective, x, at, &direction, first, self.config.line_search)?;
        if found.step == 0.0 {
            return Ok(None);
        }
        let next = along(x, found.step, &direction);
        self.last = Some((gradient.clone(), direction, found.step));
        self.since_restart += 1;
        Ok(Some(((next, found.value, found.gradient), found.evaluations)))
    }
}
