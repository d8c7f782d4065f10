//! Softmax and its logarithm over the last axis.
//!
//! $$ y_j = \frac{e^{x_j - m}}{\sum_k e^{x_k - m}}, \qquad m = \max_k x_k, \qquad
//!    \frac{\partial L}{\partial x_j} = y_j \Bigl(g_j - \sum_k g_k y_k\Bigr) $$
//!
//! $$ \ell_j = x_j - m - \ln \sum_k e^{x_k - m}, \qquad
//!    \frac{\partial L}{\partial x_j} = g_j - e^{\ell_j} \sum_k g_k $$
//!
//! Subtracting the maximum changes nothing but keeps every exponent at or below 0, so logits of ±1e4 are safe.
//! A row that is −∞ throughout has no softmax and gives NaN.
//!
//! **Complexity**: two passes over each row forward, two backward; backward keeps the output.
use crate::{Device, Real};
use dfdx::prelude::*;

/// Softmax over the last axis of a tensor of any shape; a scalar gives 1.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let y = kernels::softmax(device.tensor([[0.0_f64, 3.0_f64.ln()], [1e4, 1e4]]));
/// assert!((y.array()[0][1] - 0.75).abs() < 1e-15);
/// assert_eq!(y.array()[1], [0.5, 0.5]);
/// ```
///
/// # Panics
/// When the device fails; [`try_softmax`] returns the error.
pub fn softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(x: Tensor<S, E, D, T>) -> Tensor<S, E, D, T> {
    try_softmax(x).unwrap()
}

/// Fallible twin of [`softmax`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    D::softmax(x)
}

/// Logarithm of [`softmax`], computed without passing through probabilities that underflow.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let y = kernels::log_softmax(device.tensor([[0.0_f64, -1000.0]]));
/// assert_eq!(y.array(), [[0.0, -1000.0]]);
/// ```
///
/// # Panics
/// When the device fails; [`try_log_softmax`] returns the error.
pub fn log_softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Tensor<S, E, D, T> {
    try_log_softmax(x).unwrap()
}

/// Fallible twin of [`log_softmax`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_log_softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    D::log_softmax(x)
}
