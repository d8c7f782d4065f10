//! The device trait of this family, and what a device needs to know that runs rules itself.
use super::{AdamStep, Dims, Memory, Prepare, RmsPropStep, Run, SgdMomentum, Slices, composed, passes};
use crate::{BaseDevice, Error, Real};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

/// A rule of this module with the numbers of one step: what a device can run where its tensors are.
///
/// [`apply`](Self::apply) is the same on one run in the memory of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Formula {
    /// [`sgd`](super::sgd); slot 0 is the velocity, if there is momentum.
    Sgd {
        /// $\eta$.
        learning_rate: f64,
        /// Momentum, or none.
        momentum: Option<SgdMomentum>,
    },
    /// [`adam`](super::adam).
    Adam(AdamStep),
    /// [`rmsprop`](super::rmsprop).
    RmsProp(RmsPropStep),
}

impl Formula {
    /// The most slots that one of them uses.
    pub const SLOTS: usize = 3;

    /// How many slots it uses, from slot 0.
    pub fn slots(self) -> usize {
        match self {
            Self::Sgd { momentum, .. } => usize::from(momentum.is_some()),
            Self::Adam(step) => 2 + usize::from(step.keeps_maximum),
            Self::RmsProp(step) => 1 + 2 * usize::from(step.is_centred || step.momentum != 0.0),
        }
    }

    /// The rule on a run.
    ///
    /// # Panics
    /// When one of the [`slots`](Self::slots) is shorter than the run.
    pub fn apply<E: Real>(self, run: Run<'_, E>) {
        match self {
            Self::Sgd { learning_rate, momentum } => passes::sgd(run, learning_rate, momentum),
            Self::Adam(step) => passes::adam(run, step),
            Self::RmsProp(step) => passes::rmsprop(run, step),
        }
    }
}

/// What there is to know of a gradient before a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Σ g², added up in f64.
    pub squares: f64,
    /// The largest |g|, of those that are numbers.
    pub largest: f64,
    /// Whether every element is finite.
    pub is_finite: bool,
}

impl Default for Statistics {
    /// Of no elements.
    fn default() -> Self {
        Self { squares: 0.0, largest: 0.0, is_finite: true }
    }
}

/// What is to be done to one tensor: first the one, then the other. `None` leaves it and its slots as they are.
pub type Planned = Option<(Prepare, Formula)>;

/// The slots of a device that runs no formula itself: there are none.
#[derive(Clone, Copy, Debug)]
pub enum OnHost {}

/// Bodies of this family.
pub trait UpdateDevice<E: Real>: BaseDevice<E> {
    /// The slots of a model, in the memory of a device that runs formulas itself; [`OnHost`] for one that does not.
    type Resident: Clone + std::fmt::Debug;

    /// Body of [`with_tensors`](super::with_tensors).
    fn with_tensors<M: TensorCollection<E, Self>, R>(
        model: &mut M,
        gradients: Option<&mut Gradients<E, Self>>,
        f: impl FnOnce(&mut [Slices<'_, E>]) -> R,
    ) -> Result<R, Error> {
        composed::with_tensors(model, gradients, f)
    }

    /// Copies slots to the device, one memory for each trainable tensor of `model`. `None` when the device does not run
    /// formulas itself: then use [`with_tensors`](super::with_tensors), as for every other rule.
    ///
    /// # Errors
    /// [`Error::Device`].
    fn resident<M: TensorCollection<E, Self>>(
        model: &M,
        memory: &[Memory<E>],
    ) -> Result<Option<Self::Resident>, Error>;

    /// Copies the slots back.
    ///
    /// # Errors
    /// [`Error::Device`].
    fn from_resident(resident: &Self::Resident) -> Result<Vec<Memory<E>>, Error>;

    /// One step of formulas where the tensors are. `plan` says what is done to each tensor, in the order of the model,
    /// and anything else; it is given the shapes and, if `wants_statistics`, the statistics of the gradients, else none.
    /// A clone of a tensor keeps its values.
    ///
    /// # Errors
    /// Those of [`with_tensors`](super::with_tensors); [`Error::SlotLength`] when a formula uses a slot that has another
    /// length than the tensor. Nothing has been changed then, unless the device failed. What `plan` returns as an error
    /// is returned inside, and nothing is changed either.
    fn step_resident<M: TensorCollection<E, Self>, R, X>(
        model: &mut M,
        gradients: &mut Gradients<E, Self>,
        resident: &mut Self::Resident,
        wants_statistics: bool,
        plan: impl FnOnce(&[Dims], &[Statistics]) -> Result<(Vec<Planned>, R), X>,
    ) -> Result<Result<R, X>, Error>;
}
