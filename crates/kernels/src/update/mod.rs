//! Steps of an optimiser: every tensor of a model in one parallel pass over its memory.
//!
//! A step reads the gradient of each trainable tensor, changes the tensor, and changes what the rule remembers of it
//! (its *slots*: a velocity, two moments). [`with_tensors`] lends the memory of all of them at once; [`for_each_run`]
//! cuts it into runs of at most 16,384 elements and gives these to the pool as one region, so that a small bias costs
//! a run and not a join of all threads. A *rule* is what happens to one run:
//!
//! - an [`Element`] says what happens to one weight, and [`Run::each`] makes one vectorised loop of it;
//! - a rule for whole tensors (a matrix inverse, a norm) gets runs that are not cut, by [`Cut::Whole`].
//!
//! Before the rule sees them, [`Prepare`] scales and clips the gradient and shrinks the weight, in the same pass:
//!
//! $$ g' = \operatorname{clamp}(s\,g, \pm c) + \lambda w, \qquad w' = (1 - d)\,w $$
//!
//! | symbol | code | |
//! |---|---|---|
//! | $s$ | [`Prepare::scale`] | 1 unless a norm is clipped |
//! | $c$ | [`Prepare::limit`] | clipping by value |
//! | $\lambda$ | [`Prepare::l2`] | coupled weight decay, an L2 penalty |
//! | $d$ | [`Prepare::decay`] | decoupled weight decay, times the learning rate |
//!
//! [`squares`] and [`clip_gradients`] are the norms: partial sums of fixed length, added in order, in f64;
//! [`first_not_finite`] is the look without a norm. Everything here gives the same bits for any number of threads.
//!
//! **On Cuda** the rules of this module are kernels of our own: as a [`Formula`] they run where the tensors are, and their
//! slots stay there ([`UpdateDevice::step_resident`], which the optimisers of `layers` use). Given equal gradients, a step
//! has the bits of `Cpu`. Any other rule is a function of slices of the host, so weights and gradients travel there and
//! back: right, and slow. Memory traffic of a step on the device: what the rule reads and writes, and 12 bytes for each
//! f32 weight on top, because dfdx does not tell whether a clone shares the weights: the new ones go to other memory.
//!
//! ```
//! use dfdx::prelude::*;
//! use kernels::Real;
//! use kernels::update::{Cut, Element, Memory, Prepare, for_each_run, with_tensors};
//!
//! /// w −= η sign(g).
//! #[derive(Clone, Copy)]
//! struct SignStep<E>(E);
//! impl<E: Real> Element<E, 0> for SignStep<E> {
//!     #[inline(always)]
//!     fn apply(self, w: E, g: E, _: [E; 0]) -> (E, [E; 0]) {
//!         (w - self.0 * g.signum(), [])
//!     }
//! }
//!
//! let mut w = Cpu::default().tensor([1.0_f64, -2.0]);
//! let mut gradients = w.leaky_trace().square().sum().backward();
//! with_tensors(&mut w, Some(&mut gradients), |tensors| {
//!     for_each_run(tensors, &mut [Memory::default()], Cut::Runs, |_| Some(Prepare::default()), |run| {
//!         run.each(SignStep(0.5))
//!     })
//! })??;
//! assert_eq!(w.array(), [0.5, -1.5]);
//! # Ok::<(), kernels::Error>(())
//! ```
mod clip;
pub(crate) mod composed;
mod cpu;
mod device;
pub(crate) mod passes;

pub use clip::{Clip, Clipped, clip_gradients};
pub use device::{Formula, OnHost, Planned, Statistics, UpdateDevice};
pub use passes::{AdamStep, RmsPropStep, SgdMomentum, adam, rmsprop, sgd};

use crate::loops::CHUNK;
use crate::pool::chunks_mut;
use crate::{Error, Real};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

/// Slots that a rule may have for each tensor.
pub const MAX_SLOTS: usize = 6;

/// What a rule remembers of one tensor: one vector per slot, those that it does not use empty.
pub type Memory<E> = [Vec<E>; MAX_SLOTS];

/// The axes of a tensor, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dims {
    sizes: [usize; 6],
    ndim: usize,
}

impl Dims {
    pub(crate) fn of<S: Shape>(shape: &S) -> Self {
        let mut dims = Self { sizes: [0; 6], ndim: S::NUM_DIMS };
        for (to, from) in dims.sizes.iter_mut().zip(shape.concrete()) {
            *to = from;
        }
        dims
    }
    /// Sizes of the axes.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes[..self.ndim]
    }
    /// Rows of the tensor seen as a matrix (first axis against all others), and their length. A vector is one row per
    /// element, a scalar one row.
    pub fn rows(&self) -> [usize; 2] {
        match self.sizes() {
            [] => [1, 1],
            [rows, rest @ ..] => [*rows, rest.iter().product()],
        }
    }
}

/// The memory of one trainable tensor while a step changes it; row-major.
#[derive(Debug)]
pub struct Slices<'a, E> {
    /// The elements of the tensor.
    pub weights: &'a mut [E],
    /// Its gradient; empty when [`with_tensors`] was called without gradients.
    pub gradient: &'a [E],
    /// Its shape.
    pub dims: Dims,
}

/// Lends `f` the memory of every trainable tensor of `model`, in the order of the model, with its gradient. On `Cpu`
/// nothing is copied; a tensor that shares its memory with a clone gets memory of its own first, so the clone keeps its
/// values. A tensor without gradient gets one of zeros.
///
/// # Errors
/// [`Error::NotRowMajor`] when a tensor is permuted or broadcast, [`Error::GradientLength`] when a gradient belongs to
/// another tensor, [`Error::VisitedTwice`] when the model shows one tensor under two names, [`Error::Device`]. `f` has
/// not run then, unless the device failed in writing back.
pub fn with_tensors<M: TensorCollection<E, D>, E: Real, D: UpdateDevice<E>, R>(
    model: &mut M,
    gradients: Option<&mut Gradients<E, D>>,
    f: impl FnOnce(&mut [Slices<'_, E>]) -> R,
) -> Result<R, Error> {
    D::with_tensors(model, gradients, f)
}

/// What happens to gradient and weight before the rule sees them; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prepare {
    /// $s$.
    pub scale: f64,
    /// $c$; infinite for no limit.
    pub limit: f64,
    /// $\lambda$.
    pub l2: f64,
    /// $d$.
    pub decay: f64,
}

impl Default for Prepare {
    /// Nothing.
    fn default() -> Self {
        Self { scale: 1.0, limit: f64::INFINITY, l2: 0.0, decay: 0.0 }
    }
}

/// What a rule does to one weight.
///
/// Mark `apply` with `#[inline(always)]`, so that the loop over it is compiled for the best instruction set.
pub trait Element<E: Real, const N: usize>: Copy {
    /// New weight and slots from the weight, its gradient and its slots.
    fn apply(self, w: E, g: E, slots: [E; N]) -> (E, [E; N]);
}

/// A part of one tensor, or all of it, with the same part of its gradient and slots.
#[derive(Debug)]
pub struct Run<'a, E> {
    /// Position of the tensor in the model.
    pub tensor: usize,
    /// Shape of the whole tensor.
    pub dims: Dims,
    /// Elements of the tensor.
    pub weights: &'a mut [E],
    /// The same elements of the gradient, as the backward pass left them.
    pub gradient: &'a [E],
    /// The same elements of each slot. With [`Cut::Whole`] a slot may have another length than the tensor.
    pub slots: [&'a mut [E]; MAX_SLOTS],
    /// Done to gradient and weight first: by [`each`](Self::each), or by a rule that does not call it.
    pub prepare: Prepare,
}

impl<E: Real> Run<'_, E> {
    /// Applies an [`Element`] to every element, after [`Prepare`].
    ///
    /// # Panics
    /// When one of the first `N` slots is shorter than the run: the rule has asked for too few.
    pub fn each<const N: usize>(self, element: impl Element<E, N>) {
        passes::each(self, element)
    }

    /// The gradient after [`Prepare`], for rules on whole tensors; the weights are shrunk already.
    pub fn prepared(&mut self) -> Vec<E> {
        let mut gradient = self.gradient.to_vec();
        E::prepare(self.prepare, self.weights, &mut gradient);
        gradient
    }
}

/// Whether runs are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Into runs of at most 16,384 elements, for rules that look at one element at a time.
    Runs,
    /// Not at all: one run per tensor.
    Whole,
}

/// Runs `rule` on every run of every tensor, in one parallel region; `prepare` says for each tensor, by position, what
/// is done first, and `None` leaves the tensor and its slots as they are.
///
/// # Errors
/// [`Error::SlotLength`] when a slot has another length than its tensor and is not empty, and runs are cut; nothing has
/// happened then.
///
/// # Panics
/// When there is not one memory per tensor.
pub fn for_each_run<E: Real>(
    tensors: &mut [Slices<'_, E>],
    memory: &mut [Memory<E>],
    cut: Cut,
    prepare: impl Fn(usize) -> Option<Prepare>,
    rule: impl Fn(Run<'_, E>) + Sync,
) -> Result<(), Error> {
    go_through(tensors, memory, cut, &prepare, &rule)
}

/// [`for_each_run`], compiled once for all rules.
fn go_through<E: Real>(
    tensors: &mut [Slices<'_, E>],
    memory: &mut [Memory<E>],
    cut: Cut,
    prepare: &dyn Fn(usize) -> Option<Prepare>,
    rule: &(dyn Fn(Run<'_, E>) + Sync),
) -> Result<(), Error> {
    assert_eq!(tensors.len(), memory.len(), "one memory per tensor");
    let mut runs = Vec::with_capacity(tensors.iter().map(|t| t.weights.len().div_ceil(CHUNK)).sum());
    let mut elements = 0;
    for (tensor, (slices, memory)) in tensors.iter_mut().zip(memory).enumerate() {
        let Some(prepare) = prepare(tensor) else { continue };
        let (mut weights, mut gradient) = (&mut *slices.weights, slices.gradient);
        let mut slots = memory.each_mut().map(|slot| &mut slot[..]);
        elements += weights.len();
        if cut == Cut::Whole {
            runs.push(Some(Run { tensor, dims: slices.dims, weights, gradient, slots, prepare }));
            continue;
        }
        if let Some(slot) = slots.iter().position(|slot| !slot.is_empty() && slot.len() != weights.len()) {
            let (slot_len, len) = (slots[slot].len(), weights.len());
            return Err(Error::SlotLength { tensor, slot, slot_len, weights: len });
        }
        while !weights.is_empty() {
            let n = weights.len().min(CHUNK);
            let head = weights.split_off_mut(..n).unwrap_or_default();
            let g = gradient.split_off(..n.min(gradient.len())).unwrap_or_default();
            let parts = slots.each_mut().map(|slot| {
                let n = n.min(slot.len());
                slot.split_off_mut(..n).unwrap_or_default()
            });
            runs.push(Some(Run {
                tensor,
                dims: slices.dims,
                weights: head,
                gradient: g,
                slots: parts,
                prepare,
            }));
        }
    }
    let go = |run: &mut Option<Run<'_, E>>| run.take().map(rule);
    if elements <= CHUNK {
        runs.iter_mut().for_each(|run| _ = go(run)); // waking a thread costs more than this
    } else {
        chunks_mut(&mut runs, 1, |_, run| run.iter_mut().for_each(|run| _ = go(run)));
    }
    Ok(())
}

/// Σ x² of each slice, in f64: partial sums of 16,384 elements, added in order.
///
/// A result that is not finite tells of a NaN or an infinity in the slice (f32), or of values beyond 1e150 (f64).
///
/// ```
/// let sums = kernels::update::squares(&[&[3.0_f32, 4.0][..], &[][..]]);
/// assert_eq!(sums, [25.0, 0.0]);
/// ```
pub fn squares<E: Real>(slices: &[&[E]]) -> Vec<f64> {
    sums(slices, &|parts| {
        let whole = |part: &Part| slices[part.slice][part.range.clone()].as_array::<CHUNK>();
        if let [a, b, c, d] = parts
            && let (Some(a), Some(b), Some(c), Some(d)) = (whole(a), whole(b), whole(c), whole(d))
        {
            for (part, sum) in parts.iter_mut().zip(E::four_squares([a, b, c, d])) {
                part.sum = sum;
            }
        } else {
            parts.iter_mut().for_each(|part| part.sum = E::squares(&slices[part.slice][part.range.clone()]));
        }
    })
}

/// The position of the first slice with an element that is NaN or infinite: a look that costs less than
/// [`squares`], and in f64 takes no large value for an infinite one.
///
/// ```
/// let slices = [&[3.0_f32, 4.0][..], &[], &[f32::NAN]];
/// assert_eq!(kernels::update::first_not_finite(&slices), Some(2));
/// assert_eq!(kernels::update::first_not_finite(&slices[..2]), None);
/// ```
pub fn first_not_finite<E: Real>(slices: &[&[E]]) -> Option<usize> {
    let looks = sums(slices, &|parts| {
        for Part { slice, range, sum } in parts {
            *sum = if E::all_finite(&slices[*slice][range.clone()]) { 0.0 } else { 1.0 };
        }
    });
    looks.iter().position(|&broken| broken > 0.0)
}

/// Σ g′² of each tensor, where $g'$ is its gradient after `prepare(position)`.
///
/// # Panics
/// When a gradient is shorter than its tensor.
pub fn prepared_squares<E: Real>(
    tensors: &[Slices<'_, E>],
    prepare: impl Fn(usize) -> Prepare + Sync,
) -> Vec<f64> {
    let weights: Vec<&[E]> = tensors.iter().map(|t| &*t.weights).collect();
    sums(&weights, &|parts| {
        for Part { slice, range, sum } in parts {
            let (w, g) = (&weights[*slice][range.clone()], &tensors[*slice].gradient[range.clone()]);
            *sum = E::prepared_squares(prepare(*slice), w, g);
        }
    })
}

/// At most [`CHUNK`] elements of one of several slices, and what they add to its sum.
struct Part {
    slice: usize,
    range: std::ops::Range<usize>,
    sum: f64,
}

/// Adds the sums of the parts of each slice in order, after `compute` has set them, in parallel: those of at most
/// [`SIDE_BY_SIDE`](passes::SIDE_BY_SIDE) parts in one call.
fn sums<E: Real>(slices: &[&[E]], compute: &(dyn Fn(&mut [Part]) + Sync)) -> Vec<f64> {
    let ranges = slices.iter().enumerate().flat_map(|(slice, elements)| {
        let end = elements.len();
        (0..end).step_by(CHUNK).map(move |from| Part {
            slice,
            range: from..(from + CHUNK).min(end),
            sum: 0.0,
        })
    });
    let mut parts: Vec<Part> = ranges.collect();
    if slices.iter().map(|slice| slice.len()).sum::<usize>() <= CHUNK {
        parts.chunks_mut(passes::SIDE_BY_SIDE).for_each(compute);
    } else {
        chunks_mut(&mut parts, passes::SIDE_BY_SIDE, |_, parts| compute(parts));
    }
    let mut sums = vec![0.0; slices.len()];
    for Part { slice, sum, .. } in parts {
        sums[slice] += sum;
    }
    sums
}

/// One step of gradient descent on a model, w −= η g, for code that needs no more than that; the optimisers with
/// momentum, groups, clipping and a state that can be saved are in `layers` and `optim`.
///
/// ```
/// use dfdx::prelude::*;
/// let mut w = Cpu::default().tensor([1.0_f64, -2.0]);
/// let mut gradients = w.leaky_trace().square().sum().backward();
/// kernels::update::descend(&mut w, &mut gradients, 0.25)?;
/// assert_eq!(w.array(), [0.5, -1.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// Those of [`with_tensors`].
pub fn descend<M: TensorCollection<E, D>, E: Real, D: UpdateDevice<E>>(
    model: &mut M,
    gradients: &mut Gradients<E, D>,
    learning_rate: f64,
) -> Result<(), Error> {
    with_tensors(model, Some(gradients), |tensors| {
        let mut nothing: Vec<Memory<E>> = tensors.iter().map(|_| Memory::default()).collect();
        for_each_run(
            tensors,
            &mut nothing,
            Cut::Runs,
            |_| Some(Prepare::default()),
            |run| sgd(run, learning_rate, None),
        )
    })?
}

#[cfg(all(test, not(loom)))]
mod tests;
