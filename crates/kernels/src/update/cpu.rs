//! The body on `Cpu`: memory in place.
use super::{Slices, UpdateDevice};
use crate::{Error, bridge};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! in_place {
    ($E:ty) => {
        impl UpdateDevice<$E> for Cpu {
            fn with_tensors<M: TensorCollection<$E, Self>, R>(
                model: &mut M,
                gradients: Option<&mut Gradients<$E, Self>>,
                f: impl FnOnce(&mut [Slices<'_, $E>]) -> R,
            ) -> Result<R, Error> {
                bridge::with_tensors::<M, $E, R>(model, gradients, f)
            }
        }
    };
}

in_place!(f32);
in_place!(f64);
