//! Update rules: [`Rule`] says what happens to a run of elements, and [`Optim`](crate::Optim) makes an optimiser of it.
//!
//! Everything else (walking over a model, groups, clipping, weight decay, unused parameters, gradients that are not
//! finite, averages, saved state) is written once, in [`crate::optimizer`]. The rules here are the four that every room
//! needs; those of the rest of the field are in the crate `optim`.
use crate::params::Parameter;
use crate::step::{StepError, check_hyperparameter};
use kernels::Real;
use kernels::update::{Cut, Formula, Run};

/// How one run of elements is updated, and what the rule remembers.
///
/// # Examples
/// Sign descent, $w \leftarrow w - \eta \operatorname{sign}(g)$, as an optimiser for any model:
/// ```
/// use kernels::{Real, update::{Element, Run}};
/// use layers::rule::{At, Rule, check_learning_rate};
/// use layers::{Optim, Step, StepError};
///
/// #[derive(Clone, Debug)]
/// struct SignDescent { learning_rate: f64 }
///
/// #[derive(Clone, Copy)]
/// struct Move<E>(E);
/// impl<E: Real> Element<E, 0> for Move<E> {
///     #[inline(always)]
///     fn apply(self, w: E, g: E, _: [E; 0]) -> (E, [E; 0]) { (w - self.0 * g.signum(), []) }
/// }
///
/// impl Rule for SignDescent {
///     const NAME: &'static str = "sign descent";
///     fn check(&self) -> Result<(), StepError> { check_learning_rate(self.learning_rate) }
///     fn learning_rate(&self) -> f64 { self.learning_rate }
///     fn set_learning_rate(&mut self, learning_rate: f64) { self.learning_rate = learning_rate }
///     fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) { run.each(Move(E::of(at.learning_rate))) }
/// }
///
/// use dfdx::prelude::*;
/// let mut w = Cpu::default().tensor([1.0_f64, -2.0]);
/// let mut optimizer = Optim::try_new(&w, SignDescent { learning_rate: 0.5 })?;
/// let mut gradients = w.leaky_trace().square().sum().backward();
/// optimizer.step(&mut w, &mut gradients)?;
/// assert_eq!(w.array(), [0.5, -1.5]);
/// # Ok::<(), StepError>(())
/// ```
pub trait Rule: Clone + std::fmt::Debug + Send + Sync {
    /// Name in a saved state, as `adam`.
    const NAME: &'static str;

    /// Refuses hyperparameters out of range.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] names the first of them.
    fn check(&self) -> Result<(), StepError>;

    /// Refuses a tensor that the rule cannot update.
    ///
    /// # Errors
    /// [`StepError::ParameterShape`]; the default takes every tensor.
    fn check_parameter(&self, _parameter: &Parameter) -> Result<(), StepError> {
        Ok(())
    }

    /// $\eta$.
    fn learning_rate(&self) -> f64;

    /// Sets $\eta$, which has been checked.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// Weight decay and how it enters. A group may give another value.
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Coupled(0.0)
    }

    /// Everything but the learning rate that decides the step, by name; a saved state is loaded under the same values
    /// only.
    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The vectors that the rule remembers of each tensor, at most [`MAX_SLOTS`](kernels::update::MAX_SLOTS).
    fn slots(&self) -> Vec<SlotSpec> {
        Vec::new()
    }

    /// Shape of slot `slot` of a tensor; that of the tensor unless the rule remembers something else. With
    /// [`Cut::Runs`] it must have as many elements as the tensor, or none.
    fn slot_shape(&self, _slot: usize, shape: &[usize]) -> Vec<usize> {
        shape.to_vec()
    }

    /// Numbers that change from step to step and are the same for all tensors: name and value before the first step.
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Changes the [`scalars`](Self::scalars) before step `step`, the first of which is 1.
    fn advance(&self, _step: u64, _scalars: &mut [f64]) {}

    /// Whether runs are whole tensors.
    fn cut(&self) -> Cut {
        Cut::Runs
    }

    /// Whether [`At::weight_norm`] and [`At::gradient_norm`] are needed.
    fn needs_norms(&self) -> bool {
        false
    }

    /// The slot whose norm, after phase 0, a second pass needs as [`At::slot_norm`]; `None` for rules of one pass.
    fn two_passes(&self) -> Option<usize> {
        None
    }

    /// The slot that holds the weights to evaluate at, for rules that train at another point.
    fn evaluation_slot(&self) -> Option<usize> {
        None
    }

    /// The same as [`update`](Self::update) in the form that a device can run where its tensors are, if the rule has one.
    /// It must be the same at every step and for every tensor whether it has. Rules without one go through the host's
    /// memory on every device.
    fn formula(&self, _at: &At<'_>) -> Option<Formula> {
        None
    }

    /// Updates one run.
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>);
}

/// What a rule may know when it updates a run.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// This step; the first is 1.
    pub step: u64,
    /// The learning rate of this tensor: that of the rule times that of its group.
    pub learning_rate: f64,
    /// The weight decay of this tensor; zero for rules with coupled or decoupled decay, whose part is done.
    pub weight_decay: f64,
    /// The running numbers, after [`Rule::advance`].
    pub scalars: &'a [f64],
    /// 0, and 1 in the second of [two passes](Rule::two_passes).
    pub phase: usize,
    /// Norm of the whole tensor before this step, if needed.
    pub weight_norm: f64,
    /// Norm of its gradient after clipping and coupled decay, if needed.
    pub gradient_norm: f64,
    /// Norm of the slot of [`Rule::two_passes`], in phase 1.
    pub slot_norm: f64,
    /// Whether the step of this tensor may be scaled by its norms; see [`Group`](crate::optimizer::Group).
    pub is_layerwise: bool,
}

/// Weight decay $\lambda$ and how it enters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightDecay {
    /// $g \leftarrow g + \lambda w$: an L2 penalty.
    Coupled(f64),
    /// $w \leftarrow (1 - \eta\lambda) w$ before the step.
    Decoupled(f64),
    /// $w \leftarrow (1 - m\lambda) w$ before the step, where $m = \eta / \eta_0$ is the multiplier of a schedule.
    Scheduled {
        /// $\lambda$.
        decay: f64,
        /// $\eta_0$.
        base: f64,
    },
    /// The rule has a place of its own for it, [`At::weight_decay`].
    InRule(f64),
}

impl WeightDecay {
    /// $\lambda$.
    pub fn value(self) -> f64 {
        match self {
            Self::Coupled(value)
            | Self::Decoupled(value)
            | Self::Scheduled { decay: value, .. }
            | Self::InRule(value) => value,
        }
    }
    /// The same with another $\lambda$.
    pub fn with_value(self, value: f64) -> Self {
        match self {
            Self::Coupled(_) => Self::Coupled(value),
            Self::Decoupled(_) => Self::Decoupled(value),
            Self::Scheduled { base, .. } => Self::Scheduled { decay: value, base },
            Self::InRule(_) => Self::InRule(value),
        }
    }
}

/// One vector that a rule remembers of each tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotSpec {
    /// Name in a saved state, as `velocity`.
    pub name: &'static str,
    /// What it holds before the first step.
    pub start: Start,
    /// Whether it belongs to the state; a buffer that is written before it is read does not.
    pub is_saved: bool,
}

/// First values of a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// This number everywhere.
    Value(f64),
    /// The weights themselves; the slot has the shape of the tensor.
    Weights,
}

impl SlotSpec {
    /// A slot of zeros.
    pub const fn zeros(name: &'static str) -> Self {
        Self { name, start: Start::Value(0.0), is_saved: true }
    }
    /// A slot that starts with one number everywhere.
    pub const fn filled(name: &'static str, value: f64) -> Self {
        Self { name, start: Start::Value(value), is_saved: true }
    }
    /// A slot that starts as a copy of the weights.
    pub const fn weights(name: &'static str) -> Self {
        Self { name, start: Start::Weights, is_saved: true }
    }
    /// A buffer between two passes, which is not saved.
    pub const fn scratch(name: &'static str) -> Self {
        Self { name, start: Start::Value(0.0), is_saved: false }
    }
}

/// Refuses a learning rate that is not positive or not finite.
///
/// # Errors
/// [`StepError::Hyperparameter`].
pub fn check_learning_rate(value: f64) -> Result<(), StepError> {
    check_hyperparameter("learning_rate", value, "finite and above 0", value > 0.0 && value.is_finite())
}

/// Refuses a coefficient outside of \[0, 1).
///
/// # Errors
/// [`StepError::Hyperparameter`].
pub fn check_coefficient(name: &'static str, value: f64) -> Result<(), StepError> {
    check_hyperparameter(name, value, "in [0, 1)", (0.0..1.0).contains(&value))
}

/// Refuses a number that is negative or not finite.
///
/// # Errors
/// [`StepError::Hyperparameter`].
pub fn check_not_negative(name: &'static str, value: f64) -> Result<(), StepError> {
    check_hyperparameter(name, value, "finite and not negative", value >= 0.0 && value.is_finite())
}

/// Refuses a number that is not positive or not finite.
///
/// # Errors
/// [`StepError::Hyperparameter`].
pub fn check_positive(name: &'static str, value: f64) -> Result<(), StepError> {
    check_hyperparameter(name, value, "finite and above 0", value > 0.0 && value.is_finite())
}
