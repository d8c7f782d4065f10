//! The one interface of optimisers: [`Step`], what it reports and refuses, and its saved state.
//!
//! A step reads the gradients of a model and changes the model in place. [`crate::Sgd`] and the rules of the crate
//! `optim` implement it, and so do dfdx's own `Sgd`, `Adam` and `RMSprop`; a training loop is written once, against the
//! trait.
//!
//! # Examples
//! ```
//! use layers::{Sgd, SgdConfig, Step, prelude::*};
//!
//! let dev = Cpu::seed_from_u64(0);
//! let mut model = dev.build_module::<(Linear<2, 8>, Tanh, Linear<8, 1>), f64>();
//! let mut optimizer = Sgd::try_new(&model, SgdConfig { learning_rate: 0.1, ..Default::default() })?;
//! let x: Tensor<Rank2<16, 2>, f64, _> = dev.sample_normal();
//! let mut losses = Vec::new();
//! for _ in 0..20 {
//!     let loss = (model.forward(x.leaky_trace()) - 1.0).square().mean();
//!     losses.push(loss.array());
//!     optimizer.step(&mut model, &mut loss.backward())?;
//! }
//! assert!(losses[19] < 0.1 * losses[0]);
//! # Ok::<(), layers::StepError>(())
//! ```
use crate::params::DeviceError;
use dfdx::prelude::{Dtype, Gradients, Storage};
use kernels::Real;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An optimiser for models of type `M` (named so because dfdx's prelude has an `Optimizer`).
pub trait Step<M, E: Dtype, D: Storage<E>> {
    /// Changes the trainable tensors of `model` by one step along `gradients`. Gradients stay allocated, so that
    /// `ZeroGrads::zero_grads` can reuse them; their values may be used up.
    ///
    /// # Errors
    /// [`StepError::Unused`] when the backward pass did not reach a trainable tensor, and any other variant that fits.
    /// `model` is unchanged after an error of any kind but [`StepError::Device`].
    fn step(&mut self, model: &mut M, gradients: &mut Gradients<E, D>) -> Result<StepReport, StepError>;

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the next step.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when it is negative or not finite.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), StepError>;

    /// Everything needed to go on later with the same bits.
    ///
    /// # Errors
    /// [`StepError::StateIsPrivate`] for dfdx's optimisers, which keep their moments to themselves.
    fn state(&self) -> Result<StepState, StepError>;

    /// Goes on from a saved state: the next step is the one that the saved optimiser would have made.
    ///
    /// # Errors
    /// [`StepError::RuleMismatch`], [`StepError::HyperparameterMismatch`] or [`StepError::SlotMismatch`] when the state
    /// is of another rule, configuration or model; the optimiser is unchanged then.
    fn load_state(&mut self, state: &StepState) -> Result<(), StepError>;
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The learning rate that was used.
    pub learning_rate: f64,
    /// Norm of all gradients together before clipping, if it was computed: to clip by it, or because
    /// [`track_norms`](crate::Optim::track_norms) asked for it.
    pub gradient_norm: Option<f64>,
    /// Norm of all trainable weights after the step, if asked for.
    pub parameter_norm: Option<f64>,
    /// Norm of the change of all trainable weights, if asked for.
    pub update_norm: Option<f64>,
    /// Whether any gradient was clipped.
    pub is_clipped: bool,
    /// Whether the step was left out because a gradient was not finite.
    pub is_skipped: bool,
}

impl StepReport {
    /// A report of a step with this learning rate.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            gradient_norm: None,
            parameter_norm: None,
            update_norm: None,
            is_clipped: false,
            is_skipped: false,
        }
    }
}

/// Why a step, a setting or a saved state was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// Trainable tensors got no gradient: they do not influence the loss, or their tape was cut.
    #[error(
        "every trainable parameter needs a gradient, got none for {names:?}; let the loss depend on them, or trace with gradients from alloc_grads to count them as zero"
    )]
    Unused {
        /// Path names of the tensors without gradient.
        names: Vec<String>,
    },
    /// A hyperparameter lies outside of its range.
    #[error("{name} must be {range}, got {value}")]
    Hyperparameter {
        /// Name of the field.
        name: &'static str,
        /// The legal range in words.
        range: &'static str,
        /// The value that was given.
        value: f64,
    },
    /// A gradient holds a NaN or an infinity; nothing has been changed.
    #[error(
        "the gradient of `{parameter}` is not finite in step {step}; lower learning_rate, clip gradients, or look for NaN in the batch and its labels"
    )]
    NotFinite {
        /// Path name of the first such parameter.
        parameter: String,
        /// The step that was not made, counted from 1.
        step: u64,
    },
    /// A rule cannot update a tensor of this shape.
    #[error(
        "{rule} needs {needs}, but `{parameter}` has shape {shape:?}; give that parameter to another optimiser"
    )]
    ParameterShape {
        /// Name of the rule.
        rule: &'static str,
        /// What it needs.
        needs: &'static str,
        /// Path name of the parameter.
        parameter: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// No parameter that is still free belongs to a group.
    #[error(
        "no parameter belongs to the group; those in no group yet are {free:?}, and the first group that fits wins"
    )]
    EmptyGroup {
        /// Path names of the parameters in no group yet.
        free: Vec<String>,
    },
    /// The model is not the one that the optimiser was made for.
    #[error(
        "the optimiser was made for a model whose `{parameter}` has shape {expected:?}, got {got:?}; make one optimiser per model, after the model"
    )]
    OtherModel {
        /// Path name of the first parameter that differs.
        parameter: String,
        /// Its shape when the optimiser was made.
        expected: Vec<usize>,
        /// Its shape now, if it is there.
        got: Option<Vec<usize>>,
    },
    /// A parameter is permuted or broadcast.
    #[error(
        "`{parameter}` is permuted or broadcast and cannot be changed in place; call contiguous() on it first"
    )]
    NotRowMajor {
        /// Path name of the parameter.
        parameter: String,
    },
    /// A gradient belongs to another tensor.
    #[error(
        "the gradient of `{parameter}` has {got} elements instead of {expected}; use the gradients of this model's backward pass"
    )]
    GradientLength {
        /// Path name of the parameter.
        parameter: String,
        /// Number of elements of the parameter.
        expected: usize,
        /// Number of elements of the gradient.
        got: usize,
    },
    /// One tensor has two names.
    #[error("the model visits one tensor twice, which would change it twice; give each tensor one name")]
    VisitedTwice,
    /// dfdx's optimisers do not show their moments.
    #[error("dfdx's {optimizer} keeps its state private, so it cannot be saved or loaded; use {instead}")]
    StateIsPrivate {
        /// Type that was asked.
        optimizer: &'static str,
        /// Type with the same rule whose state can be saved.
        instead: &'static str,
    },
    /// The state was saved by another rule.
    #[error("the state belongs to the rule `{got}`, not `{expected}`; make the optimiser that was saved")]
    RuleMismatch {
        /// Rule of the optimiser that loads.
        expected: String,
        /// Rule in the state.
        got: String,
    },
    /// The state was saved under another configuration.
    #[error(
        "the state was saved with {name} = {got:?}, this optimiser has {expected:?}; make it with the saved configuration"
    )]
    HyperparameterMismatch {
        /// Name of the hyperparameter.
        name: String,
        /// Value of the optimiser that loads.
        expected: Option<f64>,
        /// Value in the state.
        got: Option<f64>,
    },
    /// A slot of the state does not fit the model.
    #[error(
        "slot {position} of the state is {got:?}, the model needs {expected:?}; load the state of the same model"
    )]
    SlotMismatch {
        /// Index of the slot.
        position: usize,
        /// What the model needs, if it needs that many slots.
        expected: Option<Box<SlotKey>>,
        /// What the state has, if it has that many slots.
        got: Option<Box<SlotKey>>,
    },
    /// A slot holds another number of values than its shape says, or a value that the dtype cannot hold exactly.
    #[error(
        "slot `{slot}` of `{parameter}` must hold {expected} values exact in the dtype of the model, got {got}; the state is damaged or of another dtype"
    )]
    SlotValues {
        /// Name of the slot.
        slot: String,
        /// Path name of its parameter.
        parameter: String,
        /// Number of values that the shape says.
        expected: usize,
        /// Number of values, of those that the dtype can hold exactly.
        got: usize,
    },
    /// The device failed; the model may have been changed in part.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Refuses a hyperparameter outside of its range (NaN is outside of every range).
///
/// # Errors
/// [`StepError::Hyperparameter`] with these fields when `holds` is false.
pub fn check_hyperparameter(
    name: &'static str,
    value: f64,
    range: &'static str,
    holds: bool,
) -> Result<(), StepError> {
    if holds { Ok(()) } else { Err(StepError::Hyperparameter { name, range, value }) }
}

/// The saved state of an optimiser. Serialise it with serde, or store it beside the model in
/// a [`Checkpoint`](crate::checkpoint::Checkpoint).
///
/// Values are f64, which holds every f32 exactly, so a run that is resumed goes on with the same bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// Name of the update rule, as `sgd`.
    pub rule: String,
    /// Steps made so far.
    pub step: u64,
    /// The learning rate at the time of saving; loading sets it.
    pub learning_rate: f64,
    /// Every other hyperparameter by name; loading refuses other values.
    pub hyperparameters: BTreeMap<String, f64>,
    /// What the rule remembers of each parameter, in the order of the model.
    pub slots: Vec<Slot>,
}

impl StepState {
    /// Refuses a state of another rule, configuration or model: what every [`Step::load_state`] checks first.
    ///
    /// # Errors
    /// [`StepError::RuleMismatch`], [`StepError::HyperparameterMismatch`] or [`StepError::SlotMismatch`] for the first
    /// difference from what the optimiser expects.
    pub fn check(
        &self,
        rule: &str,
        hyperparameters: &BTreeMap<String, f64>,
        slots: impl IntoIterator<Item = SlotKey>,
    ) -> Result<(), StepError> {
        if self.rule != rule {
            return Err(StepError::RuleMismatch { expected: rule.to_owned(), got: self.rule.clone() });
        }
        for name in hyperparameters.keys().chain(self.hyperparameters.keys()) {
            let [expected, got] = [hyperparameters, &self.hyperparameters].map(|map| map.get(name).copied());
            if expected.map(f64::to_bits) != got.map(f64::to_bits) {
                return Err(StepError::HyperparameterMismatch { name: name.clone(), expected, got });
            }
        }
        let mut got = self.slots.iter().map(|slot| &slot.key);
        let mut position = 0;
        for expected in slots {
            let got = got.next();
            if got != Some(&expected) {
                let (expected, got) = (Some(Box::new(expected)), got.cloned().map(Box::new));
                return Err(StepError::SlotMismatch { position, expected, got });
            }
            position += 1;
        }
        match got.next() {
            Some(extra) => {
                Err(StepError::SlotMismatch { position, expected: None, got: Some(Box::new(extra.clone())) })
            }
            None => Ok(()),
        }
    }
}

/// Which tensor of an optimiser's memory: what it is and the parameter that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotKey {
    /// What it is, as `velocity`.
    pub name: String,
    /// Path name of the parameter.
    pub parameter: String,
    /// Shape of the parameter.
    pub shape: Vec<usize>,
}

/// One tensor of an optimiser's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Which one it is.
    #[serde(flatten)]
    pub key: SlotKey,
    /// Row-major values.
    pub values: Vec<f64>,
}

impl Slot {
    /// The values in the dtype of a model.
    ///
    /// # Errors
    /// [`StepError::SlotValues`] when their number is not that of the shape, or the dtype cannot hold one exactly.
    pub fn exact_values<E: Real>(&self) -> Result<Vec<E>, StepError> {
        let is_exact = |value: &&f64| value.is_nan() || E::of(**value).as_f64() == **value;
        let (expected, got) = (self.key.shape.iter().product(), self.values.iter().filter(is_exact).count());
        if expected != self.values.len() || got != expected {
            let (slot, parameter) = (self.key.name.clone(), self.key.parameter.clone());
            return Err(StepError::SlotValues { slot, parameter, expected, got });
        }
        Ok(self.values.iter().map(|value| E::of(*value)).collect())
    }
}

/// The learning rate as a function of the step.
///
/// A training loop calls `optimizer.set_learning_rate(schedule.learning_rate(step))` before each step. A number is a
/// constant schedule, a closure is the function itself; the named schedules of the field live in the crate `optim`.
///
/// # Examples
/// ```
/// use layers::Schedule;
/// let halve_every_ten = |step: u64| 0.1 * 0.5_f64.powi((step / 10) as i32);
/// assert_eq!(halve_every_ten.learning_rate(25), 0.025);
/// assert_eq!(0.1.learning_rate(25), 0.1);
/// ```
pub trait Schedule {
    /// The learning rate of step `step`; the first step is 0.
    fn learning_rate(&self, step: u64) -> f64;
}

impl Schedule for f64 {
    fn learning_rate(&self, _step: u64) -> f64 {
        *self
    }
}

impl<F: Fn(u64) -> f64> Schedule for F {
    fn learning_rate(&self, step: u64) -> f64 {
        self(step)
    }
}
