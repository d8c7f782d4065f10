//! Tensor memory as slices: the only place where this crate reads or writes a tensor of dfdx in place.
//!
//! dfdx keeps a tensor's storage private but indexes it: `&t[index]` is the address of an element, and the distance
//! of two such addresses is a stride. That is enough to tell whether the elements lie side by side in row-major
//! order, and then the address of element 0 and the number of elements make a slice.
#![allow(unsafe_code)]
use crate::{Device, Real};
use dfdx::prelude::*;

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

impl Device<f32> for Cpu {}
impl Device<f64> for Cpu {}

#[cfg(test)]
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
}
