//! The same composed of dfdx operations: what `Cuda` runs, and the slow twin in the tests.
use super::Arithmetic;
use crate::{Device, Real, ReducedShape, RowMajor};
use dfdx::prelude::*;

pub fn arithmetic<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    y: Tensor<S, E, D, R>,
    arithmetic: Arithmetic,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    // dfdx's backward panics where one tensor is both operands, or one is a view of the other.
    let (x, y) = (x.try_mul(E::ONE)?, y.try_mul(E::ONE)?);
    match arithmetic {
        Arithmetic::Add => x.try_add(y),
        Arithmetic::Sub => x.try_sub(y),
        Arithmetic::Mul => x.try_mul(y),
        Arithmetic::Div => x.try_div(y),
    }
}

pub fn arithmetic_along<S, Ax, E, D, T, R>(
    x: Tensor<S, E, D, T>,
    small: Tensor<ReducedShape<S, Ax>, E, D, R>,
    arithmetic: Arithmetic,
) -> Result<Tensor<S, E, D, T>, D::Err>
where
    S: Shape + ReduceShape<Ax>,
    Ax: Axes,
    E: Real,
    D: Device<E>,
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    let x = x.try_row_major()?;
    let small = small.try_row_major()?.try_broadcast_like::<S, Ax>(x.shape())?;
    match arithmetic {
        Arithmetic::Add => x.try_add(small),
        Arithmetic::Sub => x.try_sub(small),
        Arithmetic::Mul => x.try_mul(small),
        Arithmetic::Div => x.try_div(small),
    }
}

pub fn choose<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    is_first: &[bool],
    x: Tensor<S, E, D, T>,
    y: Tensor<S, E, D, R>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let flags = is_first.iter().map(|&first| if first { E::ONE } else { E::zero() }).collect();
    let mask = x.device().try_tensor_from_vec(flags, *x.shape())?.try_gt(E::zero())?;
    mask.try_choose(x.try_row_major()?, y.try_row_major()?)
}
