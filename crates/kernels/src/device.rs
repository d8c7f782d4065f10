//! The one bound that callers write: a device on which every operation of this crate has a body.
//!
//! Operations come in families. A family with bodies for every device is a super-trait of [`Device`]; one with a body
//! for `Cpu` alone is a sub-trait, so that a model that needs it does not compile for another device.
use crate::{ActivationKind, FeaturesLast, InputGradient, MatrixDevice, NoiseDevice, Real, composed};
use crate::{normalisation::NormalisationDevice, pooling::PoolingDevice, resampling::ResamplingDevice};
use dfdx::prelude::*;

/// What every family of operations builds on: a dfdx device with a buffer cache, whose errors can cross threads.
pub trait BaseDevice<E: Real>:
    dfdx::tensor_ops::Device<E> + dfdx::tensor::Cache + HasErr<Err: Send + Sync + 'static>
{
    /// A new tensor whose elements, in row-major order, `fill` writes; it must write all of them.
    fn filled<S: Shape>(
        &self,
        shape: S,
        fill: impl FnOnce(&mut [E]),
    ) -> Result<Tensor<S, E, Self>, Self::Err> {
        let mut elements = vec![E::zero(); shape.num_elements()];
        fill(&mut elements);
        self.try_tensor_from_vec(elements, shape)
    }

    /// Body of [`RowMajor::try_row_major`](crate::RowMajor::try_row_major).
    fn row_major<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        x.try_contiguous()
    }
}

/// A dfdx device that runs every operation of this crate, for elements of type `E`.
///
/// The methods are the bodies of the crate's free functions: call those. A method's default body is composed of
/// dfdx operations and serves `Cuda`; `Cpu` replaces each by a fused one. Both record on dfdx's tape.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Real, Tanh, activate};
///
/// fn squash<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>>(x: Tensor<S, E, D, T>) -> Tensor<S, E, D, T> {
///     activate(x, Tanh)
/// }
/// assert_eq!(squash(Cpu::default().tensor([0.0_f32])).array(), [0.0]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no bodies for the operations of `kernels` with elements of type `{E}`",
    note = "`Cpu` has them for f32 and f64, and so has `Cuda` with the feature `cuda`"
)]
pub trait Device<E: Real>:
    BaseDevice<E>
    + crate::convolution::ConvolutionDevice<E>
    + crate::update::UpdateDevice<E>
    + MatrixDevice<E>
    + NoiseDevice<E>
    + crate::ElementwiseDevice<E>
    + crate::ReduceDevice<E>
    + crate::LossDevice<E>
    + NormalisationDevice<E>
    + PoolingDevice<E>
    + ResamplingDevice<E>
    + crate::update::UpdateDevice<E>
{
    /// Body of [`try_activate`](crate::try_activate).
    fn activate<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        kind: ActivationKind,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        composed::activate(x, kind)
    }

    /// Body of [`try_activation_slope`](crate::try_activation_slope).
    fn activation_slope<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        kind: ActivationKind,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        composed::activation_slope(x, kind)
    }

    /// Body of [`try_softmax`](crate::try_softmax).
    fn softmax<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        composed::softmax(x)
    }

    /// Body of [`try_log_softmax`](crate::try_log_softmax).
    fn log_softmax<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        composed::log_softmax(x)
    }

    /// Body of [`try_linear`](crate::try_linear).
    fn linear<const I: usize, const O: usize, S: FeaturesLast<I>, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        weight: &Tensor<Rank2<O, I>, E, Self>,
        bias: &Tensor<Rank1<O>, E, Self>,
        kind: ActivationKind,
        input_gradient: InputGradient,
    ) -> Result<Tensor<S::With<O>, E, Self, T>, Self::Err> {
        composed::linear(x, weight, bias, kind, input_gradient)
    }

    /// Body of [`try_cross_entropy_mean`](crate::try_cross_entropy_mean); the labels have been checked.
    fn cross_entropy_mean<B: Dim, C: Dim, T: Tape<E, Self>>(
        logits: Tensor<(B, C), E, Self, T>,
        labels: &[usize],
    ) -> Result<Tensor<Rank0, E, Self, T>, Self::Err> {
        composed::cross_entropy_mean(logits, labels)
    }

    /// Body of [`try_bce_with_logits_mean`](crate::try_bce_with_logits_mean).
    fn bce_with_logits_mean<S: Shape, T: Tape<E, Self>>(
        logits: Tensor<S, E, Self, T>,
        probs: &Tensor<S, E, Self>,
    ) -> Result<Tensor<Rank0, E, Self, T>, Self::Err> {
        composed::bce_with_logits_mean(logits, probs)
    }

    /// Body of [`try_mse_mean`](crate::try_mse_mean).
    fn mse_mean<S: Shape, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        y: Tensor<S, E, Self, T>,
        target: Tensor<S, E, Self, R>,
    ) -> Result<Tensor<Rank0, E, Self, T>, Self::Err> {
        composed::mse_mean(y, target)
    }

    /// Body of [`try_sum_all`](crate::try_sum_all).
    fn sum_all<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
    ) -> Result<Tensor<Rank0, E, Self, T>, Self::Err> {
        composed::sum_all(x)
    }

    /// Body of [`try_mean_all`](crate::try_mean_all).
    fn mean_all<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
    ) -> Result<Tensor<Rank0, E, Self, T>, Self::Err> {
        composed::mean_all(x)
    }
}

#[cfg(feature = "cuda")]
macro_rules! base_device {
    ($($E:ty),*) => { $(
        impl BaseDevice<$E> for Cuda {
            fn row_major<S: Shape, T: Tape<$E, Self>>(
                x: Tensor<S, $E, Self, T>,
            ) -> Result<Tensor<S, $E, Self, T>, CudaError> {
                crate::cuda::row_major(x)
            }
        }
    )* };
}
#[cfg(feature = "cuda")]
base_device!(f32, f64);
#[cfg(feature = "cuda")]
impl Device<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl Device<f64> for Cuda {}
