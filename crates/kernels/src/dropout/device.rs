//! What a device brings to noise.
use super::{Noise, composed};
use crate::random::Key;
use crate::{BaseDevice, Real};
use dfdx::prelude::*;

/// Body of the operations of [`dropout`](mod@crate::dropout). Call its free functions.
pub trait NoiseDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_noise`](crate::dropout::try_noise), [`try_dropout`](crate::try_dropout) and its kin; the parameters have been checked.
    fn noise<S: Shape, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        noise: Noise,
        key: Key,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        composed::noise(x, noise, key)
    }
}

#[cfg(feature = "cuda")]
impl NoiseDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl NoiseDevice<f64> for Cuda {}
