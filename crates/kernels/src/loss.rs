//! Losses as single operations: cross-entropy with class indices, binary cross-entropy from logits, mean squared error.
//!
//! $$ \mathrm{CE} = \frac1B \sum_n \Bigl(\ln \sum_k e^{z_{nk}} - z_{n y_n}\Bigr), \qquad
//!    \frac{\partial\,\mathrm{CE}}{\partial z_{nk}} = \frac{\mathrm{softmax}(z_n)_k - [k = y_n]}{B} $$
//!
//! $$ \mathrm{BCE} = \frac1n \sum_i \bigl(\ln(1 + e^{z_i}) - z_i p_i\bigr), \qquad
//!    \frac{\partial\,\mathrm{BCE}}{\partial z_i} = \frac{\sigma(z_i) - p_i}{n} $$
//!
//! $$ \mathrm{MSE} = \frac1n \sum_i (y_i - t_i)^2, \qquad \frac{\partial\,\mathrm{MSE}}{\partial y_i} = \frac{2 (y_i - t_i)}{n} $$
//!
//! All logarithms are natural (nats). The mean over no element is NaN, as 0/0 is.
use crate::{Device, Error, Real};
use dfdx::prelude::*;

/// Mean cross-entropy in nats between logits `(B, C)` and one class index per row.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let loss = kernels::cross_entropy_mean(device.tensor([[0.0_f64, 3.0_f64.ln()]]), &[1]);
/// assert!((loss.array() - (4.0_f64 / 3.0).ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// On the errors of [`try_cross_entropy_mean`].
pub fn cross_entropy_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Tensor<Rank0, E, D, T> {
    try_cross_entropy_mean(logits, labels).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`cross_entropy_mean`].
///
/// # Errors
/// [`Error::LabelCount`] and [`Error::LabelOutOfRange`] for labels that do not fit the logits, [`Error::Device`]
/// when an allocation or a kernel fails.
///
/// ```
/// use dfdx::prelude::*;
/// let logits = Cpu::default().tensor([[0.0_f32, 1.0]]);
/// let error = kernels::try_cross_entropy_mean(logits, &[2]).unwrap_err();
/// assert_eq!(error.to_string(), "label 2 at index 0 is not one of 2 classes; labels count from 0");
/// ```
pub fn try_cross_entropy_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    let [rows, classes] = logits.shape().concrete();
    if labels.len() != rows {
        return Err(Error::LabelCount { labels: labels.len(), rows });
    }
    if let Some(index) = labels.iter().position(|&label| label >= classes) {
        return Err(Error::LabelOutOfRange { index, label: labels[index], classes });
    }
    D::cross_entropy_mean(logits, labels).map_err(Error::device)
}

/// Mean binary cross-entropy in nats between logits of any shape and probabilities in \[0, 1\] of the same shape.
///
/// `probs` is data: no gradient flows to it.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let loss = kernels::bce_with_logits_mean(device.tensor([0.0_f64, 1000.0]), &device.tensor([1.0, 1.0]));
/// assert!((loss.array() - 0.5 * 2.0_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_bce_with_logits_mean`] returns the error.
pub fn bce_with_logits_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<S, E, D, T>,
    probs: &Tensor<S, E, D>,
) -> Tensor<Rank0, E, D, T> {
    try_bce_with_logits_mean(logits, probs).unwrap()
}

/// Fallible twin of [`bce_with_logits_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_bce_with_logits_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<S, E, D, T>,
    probs: &Tensor<S, E, D>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(logits.shape(), probs.shape(), "logits and probabilities must have the same shape");
    D::bce_with_logits_mean(logits, probs)
}

/// Mean squared error over all elements.
///
/// A gradient flows to `target` as well if `target` has a tape; without one it is data.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let (y, target) = (device.tensor([1.0_f64, 2.0]), device.tensor([0.0, 4.0]));
/// let loss = kernels::mse_mean(y.leaky_trace(), target);
/// assert_eq!(loss.array(), 2.5);
/// assert_eq!(loss.backward().get(&y).array(), [1.0, -2.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_mse_mean`] returns the error.
pub fn mse_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    y: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
) -> Tensor<Rank0, E, D, T> {
    try_mse_mean(y, target).unwrap()
}

/// Fallible twin of [`mse_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_mse_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    y: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(y.shape(), target.shape(), "prediction and target must have the same shape");
    D::mse_mean(y, target)
}
