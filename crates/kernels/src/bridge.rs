//! Tensor memory as slices: the only place where this crate reads or writes a tensor of dfdx in place.
//!
//! dfdx keeps a tensor's storage private but indexes it: `&t[index]` is the address of an element, and the distance
//! of two such addresses is a stride. That is enough to tell whether the elements lie side by side in row-major
//! order, and then the address of element 0 and the number of elements make a slice.
#![allow(unsafe_code)]
use crate::update::{Dims, Slices};
use crate::{Error, Real};
use dfdx::dtypes::{SafeZeros, Unit};
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorMut,
};
use dfdx::prelude::*;
use std::any::Any;
use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit, take};

/// The elements of a CPU tensor in row-major order, without a copy.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::flat(&x), [1.0, 2.0, 3.0, 4.0]);
/// ```
///
/// # Panics
/// When `t` is broadcast or permuted: call `contiguous` first.
pub fn flat<S: Shape, E: Real, T>(t: &Tensor<S, E, Cpu, T>) -> &[E] {
    let elements = t.shape().num_elements();
    if elements == 0 {
        return &[];
    }
    assert!(is_contiguous(t), "a broadcast or permuted tensor has no flat view; call contiguous() first");
    // SAFETY: the tensor owns one allocation that holds all its elements; the strides, checked above, say that they
    // lie side by side from element 0 on. The slice borrows the tensor. Test `flat_is_row_major`.
    unsafe { std::slice::from_raw_parts(&t[S::Concrete::default()], elements) }
}

/// The elements of a CPU tensor in row-major order, to be written in place. A tensor that shares its memory with a
/// clone gets a copy of its own first, as with dfdx's `t[index] = value`.
///
/// ```
/// use dfdx::prelude::*;
/// let mut x = Cpu::default().tensor([1.0_f32, 2.0]);
/// let before = x.clone();
/// kernels::flat_mut(&mut x)[1] = 5.0;
/// assert_eq!((x.array(), before.array()), ([1.0, 5.0], [1.0, 2.0]));
/// ```
///
/// # Panics
/// When `t` is broadcast or permuted: call `contiguous` first.
pub fn flat_mut<S: Shape, E: Real, T>(t: &mut Tensor<S, E, Cpu, T>) -> &mut [E] {
    let elements = t.shape().num_elements();
    if elements == 0 {
        return &mut [];
    }
    assert!(is_contiguous(t), "a broadcast or permuted tensor has no flat view; call contiguous() first");
    // SAFETY: as in `flat`; `&mut t[..]` makes the tensor the only owner of its memory, and the slice borrows the
    // tensor mutably. Test `flat_mut_leaves_clones_alone`.
    unsafe { std::slice::from_raw_parts_mut(&mut t[S::Concrete::default()], elements) }
}

/// The distance in elements from one index to the next along each axis; 0 along broadcast axes. An axis of length 1
/// reports the stride of a row-major tensor. The tensor must not be empty.
pub(crate) fn strides<S: Shape, E: Real, T>(t: &Tensor<S, E, Cpu, T>) -> S::Concrete {
    let origin = S::Concrete::default();
    let base = std::ptr::from_ref(&t[origin]).addr();
    let mut strides = t.shape().strides();
    for (axis, length) in t.shape().concrete().into_iter().enumerate() {
        if length > 1 {
            let mut next = origin;
            next[axis] = 1;
            strides[axis] = (std::ptr::from_ref(&t[next]).addr() - base) / size_of::<E>();
        }
    }
    strides
}

/// Whether the elements lie side by side in row-major order.
pub(crate) fn is_contiguous<S: Shape, E: Real, T>(t: &Tensor<S, E, Cpu, T>) -> bool {
    t.shape().num_elements() == 0 || strides(t) == t.shape().strides()
}

/// The elements of a tensor in the order of memory, and its strides, if its axes only stand in another order than
/// row-major: what a product can read without a copy. None for broadcast tensors.
pub(crate) fn dense<S: Shape, E: Real>(t: &Tensor<S, E, Cpu>) -> Option<(&[E], S::Concrete)> {
    let elements = t.shape().num_elements();
    if elements == 0 {
        return Some((&[], t.shape().strides()));
    }
    let strides = strides(t);
    let lengths = t.shape().concrete();
    // From the innermost axis on, each must begin where the last one ends.
    let mut end = 1;
    while end < elements {
        let axis = (0..S::NUM_DIMS).find(|&axis| lengths[axis] > 1 && strides[axis] == end)?;
        end *= lengths[axis];
    }
    // SAFETY: as in `flat`: the strides of the axes longer than 1 are the lengths of those inside them multiplied, so
    // all elements lie side by side from element 0 on, in some order. Test `dense_tensors_are_read_in_place`.
    Some((unsafe { std::slice::from_raw_parts(&t[S::Concrete::default()], elements) }, strides))
}

/// Where the elements of one tensor of a model and of its gradient lie.
struct Place<E> {
    weights: *mut E,
    len: usize,
    gradient: *const E,
    gradient_len: usize,
    dims: Dims,
    /// A clone of the tensor: its memory is not freed before this is dropped, whatever the model does in the walk.
    _alive: Box<dyn Any>,
}

/// Finds the places of all trainable tensors.
pub(crate) struct Places<'a, E: Real> {
    gradients: Option<&'a mut Gradients<E, Cpu>>,
    list: Vec<Place<E>>,
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! places {
    ($E:ty) => {
        impl TensorVisitor<$E, Cpu> for Places<'_, $E> {
            type Viewer = ViewTensorMut;
            type Err = Error;
            type E2 = $E;
            type D2 = Cpu;
            fn visit<S: Shape>(
                &mut self,
                options: TensorOptions<S, $E, Cpu>,
                tensor: &mut Tensor<S, $E, Cpu>,
            ) -> Result<Option<Tensor<S, $E, Cpu>>, Error> {
                if !options.do_gradient_update {
                    return Ok(None);
                }
                let tensor_position = self.list.len();
                if !is_contiguous(tensor) {
                    return Err(Error::NotRowMajor { tensor: tensor_position });
                }
                let dims = Dims::of(tensor.shape());
                let (mut gradient, mut gradient_len) = (std::ptr::dangling::<$E>(), 0);
                if let Some(gradients) = &mut self.gradients {
                    let elements = gradients.get_or_alloc_mut(&*tensor).map_err(Error::device)?;
                    (gradient, gradient_len) = (elements.as_ptr(), elements.len());
                    let weights = tensor.shape().num_elements();
                    if gradient_len != weights {
                        return Err(Error::GradientLength {
                            tensor: tensor_position,
                            gradient: gradient_len,
                            weights,
                        });
                    }
                }
                // A second visit finds the memory of the first, and gets a copy of it, for the clone is alive.
                let found = flat(tensor).as_ptr();
                let elements = flat_mut(tensor);
                let (weights, len) = (elements.as_mut_ptr(), elements.len());
                if len > 0 && found != weights && self.list.iter().any(|place| found == place.weights) {
                    return Err(Error::VisitedTwice);
                }
                let _alive = Box::new(tensor.clone());
                self.list.push(Place { weights, len, gradient, gradient_len, dims, _alive });
                Ok(None)
            }
        }
    };
}
places!(f32);
places!(f64);

/// Body of [`crate::update::with_tensors`].
pub(crate) fn with_tensors<M, E: Real, R>(
    model: &mut M,
    gradients: Option<&mut Gradients<E, Cpu>>,
    f: impl FnOnce(&mut [Slices<'_, E>]) -> R,
) -> Result<R, Error>
where
    Cpu: dfdx::tensor_ops::Device<E>,
    M: TensorCollection<E, Cpu>,
    for<'a> Places<'a, E>: TensorVisitor<E, Cpu, Viewer = ViewTensorMut, Err = Error, E2 = E, D2 = Cpu>,
{
    let mut places = Places { gradients, list: Vec::new() };
    M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut places })?;
    let mut slices: Vec<Slices<'_, E>> = places
        .list
        .iter()
        .map(|place| Slices {
            // SAFETY: `flat_mut` made the tensor the only owner of these elements, and the clone in `place`, which
            // nobody reads, keeps them; `model` stays mutably borrowed until this function returns, so nothing else
            // reads or writes them; each place has an allocation of its own. Tests `steps_*` in `update`.
            weights: unsafe { std::slice::from_raw_parts_mut(place.weights, place.len) },
            // SAFETY: a vector inside `gradients`, which stay mutably borrowed by `places` and are not touched after
            // the walk; adding other gradients to the map moved the vectors, not their elements. It is only read, so
            // two tensors with one id may share it. Tests as above.
            gradient: unsafe { std::slice::from_raw_parts(place.gradient, place.gradient_len) },
            dims: place.dims,
        })
        .collect();
    Ok(f(&mut slices))
}

/// One element of memory that is not written yet: dfdx fills a new buffer with this instead of zeros, which is nothing.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Raw<E: Copy>(MaybeUninit<E>);

impl<E: Copy> Default for Raw<E> {
    fn default() -> Self {
        Self(MaybeUninit::uninit())
    }
}
impl<E: Copy> std::fmt::Debug for Raw<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}
/// Nothing is known about the contents, so nothing is equal.
impl<E: Copy> PartialEq for Raw<E> {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}
impl<E: Copy> PartialOrd for Raw<E> {
    fn partial_cmp(&self, _: &Self) -> Option<std::cmp::Ordering> {
        None
    }
}
#[cfg(feature = "cuda")]
// SAFETY: zeros are a value of `MaybeUninit`.
unsafe impl<E: Copy> cudarc::driver::ValidAsZeroBits for Raw<E> {}
#[cfg(feature = "cuda")]
// SAFETY: never sent to a device: `buffer` uses it on `Cpu` only.
unsafe impl<E: Copy> cudarc::driver::DeviceRepr for Raw<E> {}
impl<E: Copy> SafeZeros for Raw<E> {}
impl<E: Real> Unit for Raw<E> {
    const ONE: Self = Self(MaybeUninit::uninit());
}

/// Buffers of a thread after which [`buffer`] empties the cache: 8 kB of empty entries by then. A prime, so
/// that devices which are used in turns each have theirs.
const BUFFERS_PER_TIDYING: usize = 1021;

/// `n` elements from dfdx's cache, without the pass that zeroes them: 137 µs per million f32. The caller must write
/// every one before any is read; with debug assertions they are NaN until then, so that a test sees one forgotten.
///
/// Every output comes from here: a vector from elsewhere would enter the cache when its tensor is dropped, and the
/// cache would grow with every step.
///
/// The shell that dfdx wraps the vector in stays behind without elements, and its drop puts that nothing into the cache:
/// eight bytes, which no tensor takes out again. So the cache is emptied now and then. dfdx looks for an entry and takes
/// it out under two locks: threads that share a device with a cache were never safe from each other.
pub(crate) fn buffer<E: Real>(device: &Cpu, n: usize) -> Result<Vec<E>, CpuError> {
    thread_local! {
        static MADE: Cell<usize> = const { Cell::new(0) };
    }
    let made = MADE.get() + 1;
    MADE.set(if made < BUFFERS_PER_TIDYING { made } else { 0 });
    if made == BUFFERS_PER_TIDYING {
        device.try_empty_cache()?;
    }
    let mut raw = ManuallyDrop::new(take(&mut *<Cpu as Storage<Raw<E>>>::try_alloc_len(device, n)?));
    // SAFETY: the vector was allocated for `n` elements of the size and alignment of `E` (`Raw` is transparent), and
    // is not used again. Its elements may be unwritten: see above. Test `buffers_come_from_the_cache`.
    let mut elements =
        unsafe { Vec::from_raw_parts(raw.as_mut_ptr().cast::<E>(), raw.len(), raw.capacity()) };
    if cfg!(debug_assertions) {
        elements.fill(E::nan());
    }
    Ok(elements)
}

/// Gives back a buffer that never became a tensor.
pub(crate) fn recycle<E: Real>(device: &Cpu, elements: Vec<E>) {
    if let Ok(mut cached) = <Cpu as Storage<E>>::try_alloc_len(device, 0) {
        *cached = elements; // its drop puts them into the cache
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn flat_is_row_major() {
        let x = Cpu::default().tensor([[1.0_f64, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(flat(&x), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let empty: Tensor<(usize, Const<3>), f32, _> = Cpu::default().zeros_like(&(0, Const));
        assert_eq!(flat(&empty), [0.0_f32; 0]);
    }

    #[test]
    fn strides_tell_permuted_and_broadcast_tensors() {
        let x = Cpu::default().tensor([[1.0_f64, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(strides(&x), [3, 1]);
        assert_eq!(strides(&x.clone().permute::<Rank2<3, 2>, Axes2<1, 0>>()), [1, 3]);
        assert_eq!(strides(&x.broadcast::<Rank3<2, 4, 3>, Axis<1>>()), [3, 0, 1]);
    }

    #[test]
    #[should_panic(expected = "call contiguous() first")]
    fn flat_refuses_a_permuted_tensor() {
        let x: Tensor<Rank2<3, 2>, f32, _> = Cpu::default().zeros();
        flat(&x.permute::<Rank2<2, 3>, Axes2<1, 0>>());
    }

    #[test]
    fn flat_mut_leaves_clones_alone() {
        let mut x = Cpu::default().tensor([1.0_f32, 2.0, 3.0]);
        let before = x.clone();
        flat_mut(&mut x).fill(7.0);
        assert_eq!((x.array(), before.array()), ([7.0; 3], [1.0, 2.0, 3.0]));
    }

    #[test]
    fn dense_tensors_are_read_in_place() {
        let device = Cpu::default();
        let x = device.tensor([[1.0_f64, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let all = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(dense(&x).unwrap(), (&all[..], [3, 1]));
        let t = x.clone().permute::<Rank2<3, 2>, Axes2<1, 0>>();
        assert_eq!(dense(&t).unwrap(), (&all[..], [1, 3]));
        let heads: Tensor<Rank3<4, 2, 3>, f64, _> = device.zeros();
        let heads = heads.permute::<Rank3<2, 4, 3>, Axes3<1, 0, 2>>();
        let (elements, strides) = dense(&heads).unwrap();
        assert_eq!((elements.len(), strides), (24, [3, 6, 1]));
        let row: Tensor<Rank2<2, 3>, f64, _> = device.tensor([1.0, 2.0, 3.0]).broadcast();
        assert!(dense(&row).is_none());
        let column: Tensor<Rank2<2, 3>, f64, _> = device.tensor([1.0, 2.0]).broadcast();
        assert!(dense(&column).is_none());
        let number: Tensor<Rank2<2, 2>, f64, _> = device.tensor(1.0).broadcast();
        assert!(dense(&number).is_none());
        assert_eq!(dense(&device.tensor(1.0)).unwrap().0, [1.0]);
    }

    #[test]
    fn buffers_come_from_the_cache() {
        let device = Cpu::default();
        device.enable_cache();
        let first = buffer::<f32>(&device, 1000).unwrap();
        let address = first.as_ptr();
        recycle(&device, first);
        let other = vec![0.0_f32; 1000]; // would get the address if the allocator had it back
        assert_ne!(other.as_ptr(), address);
        let second = buffer::<f32>(&device, 1000).unwrap();
        assert_eq!((second.as_ptr(), second.len()), (address, 1000));
        assert!(!cfg!(debug_assertions) || second.iter().all(|x| x.is_nan()));
        // A tensor that is dropped gives its memory back too.
        drop(device.tensor_from_vec(second, (1000,)));
        let third = buffer::<f32>(&device, 1000).unwrap();
        assert_eq!(third.as_ptr(), address);
    }

    /// dfdx does not tell what a cache holds; its text for debugging names every entry.
    #[test]
    fn a_cache_does_not_grow_with_the_tensors_that_were_made() {
        let device = Cpu::default();
        device.enable_cache();
        let mut most = 0;
        for round in 0..3 * BUFFERS_PER_TIDYING {
            let made = buffer::<f32>(&device, 2).unwrap();
            drop(device.tensor_from_vec(made, (2,)));
            if round % (BUFFERS_PER_TIDYING / 2) == 0 {
                most = most.max(format!("{device:?}").matches("BytesPtr").count());
            }
        }
        assert!((BUFFERS_PER_TIDYING / 4..BUFFERS_PER_TIDYING + 3).contains(&most), "{most}");
    }
}
