//! The body on `Cpu`: memory in place.
use super::{Dims, Memory, OnHost, Planned, Slices, Statistics, UpdateDevice};
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
            // In the memory of the host already: `with_tensors` lends it without a copy.
            type Resident = OnHost;
            fn resident<M: TensorCollection<$E, Self>>(
                _: &M,
                _: &[Memory<$E>],
            ) -> Result<Option<OnHost>, Error> {
                Ok(None)
            }
            fn from_resident(resident: &OnHost) -> Result<Vec<Memory<$E>>, Error> {
                match *resident {}
            }
            fn step_resident<M: TensorCollection<$E, Self>, R, X>(
                _: &mut M,
                _: &mut Gradients<$E, Self>,
                resident: &mut OnHost,
                _: bool,
                _: impl FnOnce(&[Dims], &[Statistics]) -> Result<(Vec<Planned>, R), X>,
            ) -> Result<Result<R, X>, Error> {
                match *resident {}
            }
        }
    };
}

in_place!(f32);
in_place!(f64);
