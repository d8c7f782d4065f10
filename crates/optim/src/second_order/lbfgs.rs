//! L-BFGS: the inverse Hessian from the last few steps, never formed.
//!
//! With $s_i = x_{i+1}-x_i$, $y_i = g_{i+1}-g_i$, $\rho_i = 1/y_i^\top s_i$ the direction is $-H_t g_t$, where
//!
//! $$ H \leftarrow (I-\rho s y^\top) H (I-\rho y s^\top) + \rho s s^\top, \qquad H_0 = \frac{y^\top s}{y^\top y} I $$
//!
//! is applied to $g$ by the two-loop recursion, newest pair first. A pair with $y^\top s \le 10^{-10}$ is left out: it would
//! make $H$ indefinite. Time and memory of one step: O(history · n).
//!
//! **Source**: Liu & Nocedal (1989), On the limited memory BFGS method for large scale optimization; Nocedal & Wright
//! (2006), algorithm 7.4. **Golden**: PyTorch's `LBFGS`, 50 steps on three problems, with its counts of evaluations.
//! **Deviation**: PyTorch evaluates the gradient again at the start of each `step`; this keeps it.
use super::{Descent, Minimum, Objective, StrongWolfe, along, check, dot, negative, strong_wolfe};
use crate::Error;
use std::collections::VecDeque;

/// Hyperparameters of [`Lbfgs`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LbfgsConfig {
    /// First step that the line search tries, or the step itself without one; above 0. Default 1.
    pub learning_rate: f64,
    /// Pairs that are kept, at least 1. Default 10.
    pub history: usize,
    /// `None` takes steps of `learning_rate`. Default strong Wolfe.
    pub line_search: Option<StrongWolfe>,
    /// Largest element of the gradient at which to stop. Default 1e-7; 1e-5 for models in f32.
    pub tolerance: f64,
}

impl Default for LbfgsConfig {
    fn default() -> Self {
        Self { learning_rate: 1.0, history: 10, line_search: Some(StrongWolfe::default()), tolerance: 1e-7 }
    }
}

/// L-BFGS; see the [module](self).
#[derive(Clone, Debug)]
pub struct Lbfgs {
    config: LbfgsConfig,
    /// s, y and ρ, the newest last.
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
    /// $y^\top s/y^\top y$.
    scale: f64,
    is_first: bool,
}

/// Slope of the direction that is too flat for a step.
const FLAT: f64 = 1e-9;
/// $y^\top s$ of a pair that is left out.
const NO_CURVATURE: f64 = 1e-10;

impl Lbfgs {
    /// No pairs yet.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] names the first value out of range.
    pub fn try_new(config: LbfgsConfig) -> Result<Self, Error> {
        let rate = config.learning_rate;
        check("learning_rate", "finite and above 0", rate, rate > 0.0 && rate.is_finite())?;
        check("history", "at least 1", config.history as f64, config.history > 0)?;
        check("tolerance", "not negative", config.tolerance, config.tolerance >= 0.0)?;
        config.line_search.map_or(Ok(()), |search| search.check().map(drop))?;
        Ok(Self { config, pairs: VecDeque::new(), scale: 1.0, is_first: true })
    }

    /// Minimises from `start`; goes on with the pairs of an earlier call, if it was on the same function.
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

    // ANCHOR: two_loop
    /// $-H g$ by the two-loop recursion.
    pub fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q = negative(gradient);
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y, rho) in self.pairs.iter().rev() {
            let alpha = rho * dot(s, &q);
            q = along(&q, -alpha, y);
            alphas.push(alpha);
        }
        let mut r: Vec<f64> = q.iter().map(|q| q * self.scale).collect();
        for ((s, y, rho), alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = rho * dot(y, &r);
            r = along(&r, alpha - beta, s);
        }
        r
    }
    // ANCHOR_END: two_loop

    /// Keeps a pair, unless it has no positive curvature.
    fn remember(&mut self, s: Vec<f64>, y: Vec<f64>) {
        let curvature = dot(&y, &s);
        if curvature > NO_CURVATURE {
            if self.pairs.len() == self.config.history {
                self.pairs.pop_front();
            }
            self.scale = curvature / dot(&y, &y);
            self.pairs.push_back((s, y, 1.0 / curvature));
        }
    }
}

impl Descent for Lbfgs {
    fn next<O: Objective>(
        &mut self,
        objective: &mut O,
        (x, value, gradient): &(Vec<f64>, f64, Vec<f64>),
    ) -> Result<Option<((Vec<f64>, f64, Vec<f64>), usize)>, Error> {
        let direction = self.direction(gradient);
        let mut step = self.config.learning_rate;
        if self.is_first {
            // Nothing is known of the scale of the function yet.
            step *= (1.0 / gradient.iter().map(|g| g.abs()).sum::<f64>()).min(1.0);
        }
        if dot(gradient, &direction) > -FLAT {
            return Ok(None);
        }
        let (step, new, new_gradient, evaluations) = match self.config.line_search {
            Some(constants) => {
                let at = (*value, &gradient[..]);
                let found = strong_wolfe(objective, x, at, &direction, step, constants)?;
                (found.step, found.value, found.gradient, found.evaluations)
            }
            None => {
                let (value, gradient) = objective.evaluate(&along(x, step, &direction))?;
                (step, value, gradient, 1)
            }
        };
        self.is_first = false;
        let s: Vec<f64> = direction.iter().map(|d| d * step).collect();
        let next = along(x, step, &direction);
        self.remember(s, along(&new_gradient, -1.0, gradient));
        Ok(Some(((next, new, new_gradient), evaluations)))
    }
}
