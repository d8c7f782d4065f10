//! What a device brings to products and distances.
use super::{Plan, composed};
use crate::{BaseDevice, Real};
use dfdx::prelude::*;

/// Bodies of the operations of [`matrix`](crate::matrix). Call its free functions.
pub trait MatrixDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_matmul`](crate::try_matmul) and [`try_outer`](crate::try_outer); the sizes have been checked.
    fn multiply<S: Shape, R: Shape, O: Shape, T: Tape<E, Self> + Merge<Q>, Q: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        y: Tensor<R, E, Self, Q>,
        plan: Plan,
        shape: O,
    ) -> Result<Tensor<O, E, Self, T>, Self::Err> {
        composed::multiply(x, y, plan, shape)
    }

    /// Body of [`try_gram`](crate::try_gram).
    fn gram<M: Dim, K: Dim, T: Tape<E, Self>>(
        x: Tensor<(M, K), E, Self, T>,
    ) -> Result<Tensor<(M, M), E, Self, T>, Self::Err> {
        composed::gram(x)
    }

    /// Body of [`try_squared_distances`](crate::try_squared_distances); the numbers of features have been checked.
    fn squared_distances<M: Dim, N: Dim, F: Dim, T: Tape<E, Self> + Merge<Q>, Q: Tape<E, Self>>(
        x: Tensor<(M, F), E, Self, T>,
        y: Tensor<(N, F), E, Self, Q>,
    ) -> Result<Tensor<(M, N), E, Self, T>, Self::Err> {
        composed::squared_distances(x, y)
    }

    /// Body of [`try_pairwise_squared_distances`](crate::try_pairwise_squared_distances).
    fn pairwise_squared_distances<M: Dim, F: Dim, T: Tape<E, Self>>(
        x: Tensor<(M, F), E, Self, T>,
    ) -> Result<Tensor<(M, M), E, Self, T>, Self::Err> {
        let y = x.with_empty_tape();
        composed::squared_distances(x, y)
    }
}

#[cfg(feature = "cuda")]
impl MatrixDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl MatrixDevice<f64> for Cuda {}
