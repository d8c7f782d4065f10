//! Line searches: Armijo's backtracking, and the strong Wolfe conditions by cubic interpolation.
//!
//! Along a descent direction $d$ with slope $\phi'(0) = \nabla f(x)^\top d < 0$, a step $t$ is taken when
//!
//! $$ f(x + td) \le f(x) + c_1 t\,\phi'(0) \quad\text{(Armijo)}, \qquad
//!    |\phi'(t)| \le c_2 |\phi'(0)| \quad\text{(strong Wolfe)} $$
//!
//! **Source**: Nocedal & Wright (2006), Numerical optimization, algorithms 3.1, 3.5 and 3.6. The bracketing, the bounds of
//! the cubic and the rule against steps too close to an end are those of PyTorch's `_strong_wolfe`, so that trajectories
//! agree to the last digit.
use super::{Objective, along, check, dot, largest};
use crate::Error;

/// Constants of [`strong_wolfe`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrongWolfe {
    /// $c_1$ in (0, c₂). Default 1e-4.
    pub decrease: f64,
    /// $c_2$ in (c₁, 1): 0.9 for quasi-Newton, 0.1 for nonlinear conjugate gradients. Default 0.9.
    pub curvature: f64,
    /// Default 25.
    pub max_evaluations: usize,
    /// A bracket times the largest element of $d$ that is too small to go on. Default 1e-9.
    pub tolerance: f64,
}

impl Default for StrongWolfe {
    fn default() -> Self {
        Self { decrease: 1e-4, curvature: 0.9, max_evaluations: 25, tolerance: 1e-9 }
    }
}

impl StrongWolfe {
    /// The constants themselves when they are in their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] names the first that is not.
    pub fn check(self) -> Result<Self, Error> {
        let Self { decrease, curvature, max_evaluations, .. } = self;
        check("curvature", "in (0, 1)", curvature, curvature > 0.0 && curvature < 1.0)?;
        check("decrease", "in (0, curvature)", decrease, decrease > 0.0 && decrease < curvature)?;
        check("max_evaluations", "at least 1", max_evaluations as f64, max_evaluations > 0)?;
        Ok(self)
    }
}

/// Where a line search ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// The step $t$.
    pub step: f64,
    /// $f(x + td)$.
    pub value: f64,
    /// $\nabla f(x + td)$.
    pub gradient: Vec<f64>,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
}

/// One end of a bracket.
#[derive(Clone)]
struct End {
    step: f64,
    value: f64,
    gradient: Vec<f64>,
    slope: f64,
}

/// Minimum of the cubic through two values and slopes, within `bounds`.
fn cubic(a: &End, b: &End, bounds: [f64; 2]) -> f64 {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let square = d1 * d1 - a.slope * b.slope;
    if square < 0.0 {
        return 0.5 * (bounds[0] + bounds[1]);
    }
    let d2 = square.sqrt();
    let at = if a.step <= b.step {
        b.step - (b.step - a.step) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2))
    } else {
        a.step - (a.step - b.step) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2.0 * d2))
    };
    at.max(bounds[0]).min(bounds[1])
}

/// A step that satisfies the strong Wolfe conditions, or the best point seen when evaluations run out; `first` is the
/// first step tried. `value` and `gradient` are those at `x`.
///
/// # Errors
/// Those of the objective.
pub fn strong_wolfe(
    objective: &mut impl Objective,
    x: &[f64],
    (value, gradient): (f64, &[f64]),
    direction: &[f64],
    first: f64,
    constants: StrongWolfe,
) -> Result<Searched, Error> {
    let StrongWolfe { decrease, curvature, max_evaluations, tolerance } = constants;
    let slope = dot(gradient, direction);
    let size = largest(direction);
    let mut evaluations = 0;
    let mut try_step = |step: f64| -> Result<End, Error> {
        let (value, gradient) = objective.evaluate(&along(x, step, direction))?;
        evaluations += 1;
        let slope = dot(&gradient, direction);
        Ok(End { step, value, gradient, slope })
    };
    let origin = End { step: 0.0, value, gradient: gradient.to_vec(), slope };
    let mut previous = origin.clone();
    let mut new = try_step(first)?;
    let mut rounds = 0;
    let mut bracket = None;
    let mut is_done = false;
    while rounds < max_evaluations {
        let is_higher = new.value > value + decrease * new.step * slope;
        if is_higher || (rounds > 1 && new.value >= previous.value) {
            bracket = Some([previous.clone(), new.clone()]);
            break;
        }
        if new.slope.abs() <= -curvature * slope {
            is_done = true;
            bracket = Some([new.clone(), new.clone()]);
            break;
        }
        if new.slope >= 0.0 {
            bracket = Some([previous.clone(), new.clone()]);
            break;
        }
        let bounds = [new.step + 0.01 * (new.step - previous.step), 10.0 * new.step];
        let step = cubic(&previous, &new, bounds);
        previous = new;
        new = try_step(step)?;
        rounds += 1;
    }
    let mut bracket = bracket.unwrap_or([origin, new]);
    let mut low = usize::from(bracket[0].value > bracket[1].value);
    let mut was_close = false;
    while !is_done && rounds < max_evaluations {
        let steps = [bracket[0].step, bracket[1].step];
        let (left, right) = (steps[0].min(steps[1]), steps[0].max(steps[1]));
        if (right - left) * size < tolerance {
            break;
        }
        let mut step = cubic(&bracket[0], &bracket[1], [left, right]);
        let margin = 0.1 * (right - left);
        if (right - step).min(step - left) < margin {
            if was_close || step >= right || step <= left {
                step =
                    if (step - right).abs() < (step - left).abs() { right - margin } else { left + margin };
                was_close = false;
            } else {
                was_close = true;
            }
        } else {
            was_close = false;
        }
        let new = try_step(step)?;
        rounds += 1;
        let high = 1 - low;
        if new.value > value + decrease * step * slope || new.value >= bracket[low].value {
            bracket[high] = new;
            low = usize::from(bracket[0].value > bracket[1].value);
        } else {
            if new.slope.abs() <= -curvature * slope {
                is_done = true;
            } else if new.slope * (bracket[high].step - bracket[low].step) >= 0.0 {
                bracket[high] = bracket[low].clone();
            }
            bracket[low] = new;
        }
    }
    let [a, b] = bracket;
    let End { step, value, gradient, .. } = if low == 0 { a } else { b };
    Ok(Searched { step, value, gradient, evaluations })
}

/// The first of `first`, `first`·`shrink`, `first`·`shrink`², … that satisfies Armijo's condition with $c_1$ =
/// `decrease`; `None` when `direction` does not descend, or after 60 steps.
///
/// # Errors
/// Those of the objective.
pub fn armijo(
    objective: &mut impl Objective,
    x: &[f64],
    (value, gradient): (f64, &[f64]),
    direction: &[f64],
    first: f64,
    [decrease, shrink]: [f64; 2],
) -> Result<Option<Searched>, Error> {
    const MAX_STEPS: usize = 60; // 2^-60 of the first step is nothing in f64
    let slope = dot(gradient, direction);
    if slope.is_nan() || slope >= 0.0 {
        return Ok(None);
    }
    let mut step = first;
    for evaluations in 1..=MAX_STEPS {
        let (new, gradient) = objective.evaluate(&along(x, step, direction))?;
        if new <= value + decrease * step * slope {
            return Ok(Some(Searched { step, value: new, gradient, evaluations }));
        }
        step *= shrink;
    }
    Ok(None)
}
