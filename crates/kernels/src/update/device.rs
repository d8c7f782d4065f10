//! The device trait of this family.
use super::{Slices, composed};
use crate::{BaseDevice, Error, Real};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

/// Bodies of this family.
pub trait UpdateDevice<E: Real>: BaseDevice<E> {
    /// Body of [`with_tensors`](super::with_tensors).
    fn with_tensors<M: TensorCollection<E, Self>, R>(
        model: &mut M,
        gradients: Option<&mut Gradients<E, Self>>,
        f: impl FnOnce(&mut [Slices<'_, E>]) -> R,
    ) -> Result<R, Error> {
        composed::with_tensors(model, gradients, f)
    }
}

#[cfg(feature = "cuda")]
impl UpdateDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl UpdateDevice<f64> for Cuda {}
