//! Steps of optimisers on the device: the tensors of a model by address, and slots that stay.
#![allow(unsafe_code)]
use super::launch::{self, Address, Place};
use super::{Stored, stored};
use crate::Error;
use crate::update::{Dims, Formula, MAX_SLOTS, Memory, Planned, Statistics, UpdateDevice};
use cudarc::driver::{CudaDevice, CudaSlice, DevicePtr, DeviceSlice, DriverError};
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorMut, ViewTensorRef,
};
use dfdx::prelude::*;
use std::sync::Arc;

/// The slots of a model on the device; those that the rule does not use are `None`.
#[derive(Debug)]
pub struct Resident<E> {
    device: Arc<CudaDevice>,
    slots: Vec<[Option<CudaSlice<E>>; MAX_SLOTS]>,
}

impl<E: cudarc::driver::DeviceRepr> Clone for Resident<E> {
    fn clone(&self) -> Self {
        Self { device: self.device.clone(), slots: self.slots.clone() }
    }
}

fn failed(error: DriverError) -> Error {
    Error::device(CudaError::from(error))
}

/// The object that dfdx itself launches on: its context, its stream, its table of modules.
pub(super) fn driver<E: Unit>(device: &Cuda) -> Result<Arc<CudaDevice>, CudaError> {
    let one: <Cuda as Storage<E>>::Vec = device.try_alloc_len(1)?;
    Ok(one.device())
}

/// The first device in a model.
struct FindDevice(Option<Cuda>);

/// What the first walk finds: nothing is changed yet.
struct Gather<'a, E: Unit> {
    gradients: &'a mut Gradients<E, Cuda>,
    found: Vec<Found>,
}

struct Found {
    dims: Dims,
    weights: Address,
    gradient: Address,
    n: usize,
}

/// The second walk: new memory for the weights of each tensor, and the launch.
struct Launch<'a, E> {
    resident: &'a Resident<E>,
    found: std::vec::IntoIter<(Found, Planned)>,
    position: usize,
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cuda` stores.
macro_rules! on_device {
    ($E:ty) => {
        impl TensorVisitor<$E, Cuda> for FindDevice {
            type Viewer = ViewTensorRef;
            type Err = CudaError;
            type E2 = $E;
            type D2 = Cuda;
            fn visit<S: Shape>(
                &mut self,
                options: TensorOptions<S, $E, Cuda>,
                tensor: &Tensor<S, $E, Cuda>,
            ) -> Result<Option<Tensor<S, $E, Cuda>>, CudaError> {
                if options.do_gradient_update {
                    self.0.get_or_insert_with(|| tensor.device().clone());
                }
                Ok(None)
            }
        }

        impl TensorVisitor<$E, Cuda> for Gather<'_, $E> {
            type Viewer = ViewTensorMut;
            type Err = Error;
            type E2 = $E;
            type D2 = Cuda;
            fn visit<S: Shape>(
                &mut self,
                options: TensorOptions<S, $E, Cuda>,
                tensor: &mut Tensor<S, $E, Cuda>,
            ) -> Result<Option<Tensor<S, $E, Cuda>>, Error> {
                if !options.do_gradient_update {
                    return Ok(None);
                }
                let position = self.found.len();
                let n = tensor.shape().num_elements();
                let dims = Dims::of(tensor.shape());
                if n == 0 {
                    self.found.push(Found { dims, weights: 0, gradient: 0, n });
                    return Ok(None);
                }
                let Some(Stored { address: weights, len }) = stored(&*tensor) else {
                    return Err(Error::NotRowMajor { tensor: position });
                };
                // The same memory, unless the elements lie in another order.
                let row_major = tensor.clone().try_contiguous().map_err(Error::device)?;
                let is_same = stored(&row_major).is_some_and(|stored| stored.address == weights);
                if len != n || !is_same {
                    return Err(Error::NotRowMajor { tensor: position });
                }
                if self.found.iter().any(|found| found.weights == weights) {
                    return Err(Error::VisitedTwice);
                }
                let gradient = self.gradients.get_or_alloc_mut(&*tensor).map_err(Error::device)?;
                if gradient.len() != n {
                    let gradient = gradient.len();
                    return Err(Error::GradientLength { tensor: position, gradient, weights: n });
                }
                self.found.push(Found { dims, weights, gradient: *gradient.device_ptr(), n });
                Ok(None)
            }
        }

        impl TensorVisitor<$E, Cuda> for Launch<'_, $E> {
            type Viewer = ViewTensorMut;
            type Err = Error;
            type E2 = $E;
            type D2 = Cuda;
            fn visit<S: Shape>(
                &mut self,
                options: TensorOptions<S, $E, Cuda>,
                tensor: &mut Tensor<S, $E, Cuda>,
            ) -> Result<Option<Tensor<S, $E, Cuda>>, Error> {
                if !options.do_gradient_update {
                    return Ok(None);
                }
                let (Found { weights: from, gradient, n, .. }, planned) =
                    self.found.next().expect("the model shows the same tensors in every walk");
                let slots = &self.resident.slots[self.position];
                self.position += 1;
                let Some((prepare, formula)) = planned.filter(|_| n > 0) else { return Ok(None) };
                // dfdx gives a tensor that shares its memory memory of its own before it is written. This clone sees to
                // it that it does share, so that the step reads the old weights and writes to the new memory.
                let old = tensor.clone();
                tensor.try_fill_with_zeros().map_err(Error::device)?;
                let to = stored(&*tensor).expect("it was found in the first walk").address;
                assert_ne!(from, to, "a tensor that is shared was written in place");
                let mut addresses = [0; Formula::SLOTS];
                for (to, slot) in addresses.iter_mut().zip(slots).take(formula.slots()) {
                    *to = slot.as_ref().map_or(0, |slot| *slot.device_ptr());
                }
                let place = Place { n, from, to, gradient, slots: addresses };
                // SAFETY: `from` is kept by `old` and `to` by the tensor, which are on one device and have `n` elements
                // (`Gather` has compared); the gradient has as many and lives in the map that the caller of the step
                // borrows; the slots that the formula uses have been compared in `step_resident`. All is freed in the
                // order of the stream: after this. Tests `tests::cuda::update` on a device.
                unsafe { launch::step::<$E>(&self.resident.device, place, prepare, formula) }
                    .map_err(failed)?;
                drop(old);
                Ok(None)
            }
        }

        impl UpdateDevice<$E> for Cuda {
            type Resident = Resident<$E>;

            fn resident<M: TensorCollection<$E, Self>>(
                model: &M,
                memory: &[Memory<$E>],
            ) -> Result<Option<Resident<$E>>, Error> {
                let mut first = FindDevice(None);
                M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut first }).map_err(Error::device)?;
                let Some(device) = first.0 else { return Ok(None) }; // nothing to train
                let device = driver::<$E>(&device).map_err(Error::device)?;
                let mut slots = Vec::with_capacity(memory.len());
                for memory in memory {
                    let mut copies = [const { None }; MAX_SLOTS];
                    for (copy, slot) in copies.iter_mut().zip(memory).filter(|(_, slot)| !slot.is_empty()) {
                        *copy = Some(device.htod_sync_copy(slot).map_err(failed)?);
                    }
                    slots.push(copies);
                }
                Ok(Some(Resident { device, slots }))
            }

            fn from_resident(resident: &Resident<$E>) -> Result<Vec<Memory<$E>>, Error> {
                let mut all = Vec::with_capacity(resident.slots.len());
                for slots in &resident.slots {
                    let mut memory = Memory::default();
                    for (to, slot) in memory.iter_mut().zip(slots) {
                        if let Some(slot) = slot {
                            *to = resident.device.dtoh_sync_copy(slot).map_err(failed)?;
                        }
                    }
                    all.push(memory);
                }
                Ok(all)
            }

            fn step_resident<M: TensorCollection<$E, Self>, R, X>(
                model: &mut M,
                gradients: &mut Gradients<$E, Self>,
                resident: &mut Resident<$E>,
                wants_statistics: bool,
                plan: impl FnOnce(&[Dims], &[Statistics]) -> Result<(Vec<Planned>, R), X>,
            ) -> Result<Result<R, X>, Error> {
                let mut gather = Gather { gradients, found: Vec::new() };
                M::iter_tensors(&mut RecursiveWalker { m: &mut *model, f: &mut gather })?;
                let found = gather.found;
                let vectors: Vec<_> = found.iter().map(|found| (found.gradient, found.n)).collect();
                let statistics = match wants_statistics {
                    // SAFETY: the addresses and lengths of gradients in a map that stays borrowed. Test as above.
                    true => {
                        unsafe { launch::statistics::<$E>(&resident.device, &vectors) }.map_err(failed)?
                    }
                    false => Vec::new(),
                };
                let dims: Vec<Dims> = found.iter().map(|found| found.dims).collect();
                let (planned, result) = match plan(&dims, &statistics) {
                    Ok(plan) => plan,
                    Err(error) => return Ok(Err(error)),
                };
                assert_eq!(planned.len(), found.len(), "one plan per tensor");
                assert_eq!(resident.slots.len(), found.len(), "one memory per tensor");
                for (tensor, (found, planned)) in found.iter().zip(&planned).enumerate() {
                    let Some((_, formula)) = planned else { continue };
                    for (slot, memory) in resident.slots[tensor].iter().enumerate().take(formula.slots()) {
                        let slot_len = memory.as_ref().map_or(0, |memory| memory.len());
                        if slot_len != found.n {
                            return Err(Error::SlotLength { tensor, slot, slot_len, weights: found.n });
                        }
                    }
                }
                let pairs: Vec<_> = found.into_iter().zip(planned).collect();
                let mut launch = Launch { resident, found: pairs.into_iter(), position: 0 };
                M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut launch })?;
                Ok(Ok(result))
            }
        }
    };
}
on_device!(f32);
on_device!(f64);
