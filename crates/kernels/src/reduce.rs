//! Sum and mean of all elements, added in a fixed tree.
//!
//! Partial sums are cut by the number of elements alone and added in a fixed order, so the result has the same bits
//! for any number of threads, and its rounding error grows with the logarithm of the count rather than with the count.
use crate::{Device, Real};
use dfdx::prelude::*;

/// Sum of all elements of a tensor of any shape; 0 when there is none.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::sum_all(x).array(), 10.0);
/// ```
///
/// # Panics
/// When the device fails; [`try_sum_all`] returns the error.
pub fn sum_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Tensor<Rank0, E, D, T> {
    try_sum_all(x).unwrap()
}

/// Fallible twin of [`sum_all`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_sum_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    D::sum_all(x)
}

/// Mean of all elements of a tensor of any shape; NaN when there is none.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::mean_all(x).array(), 2.5);
/// ```
///
/// # Panics
/// When the device fails; [`try_mean_all`] returns the error.
pub fn mean_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Tensor<Rank0, E, D, T> {
    try_mean_all(x).unwrap()
}

/// Fallible twin of [`mean_all`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_mean_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    D::mean_all(x)
}
