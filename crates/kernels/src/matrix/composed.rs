//! Products and distances composed of dfdx operations.
use super::Plan;
use crate::{BaseDevice, Real, RowMajor};
use dfdx::prelude::*;

pub fn multiply<
    S: Shape,
    R: Shape,
    O: Shape,
    E: Real,
    D: BaseDevice<E>,
    T: Tape<E, D> + Merge<Q>,
    Q: Tape<E, D>,
>(
    x: Tensor<S, E, D, T>,
    y: Tensor<R, E, D, Q>,
    plan: Plan,
    shape: O,
) -> Result<Tensor<O, E, D, T>, D::Err> {
    let (y, tape) = y.split_tape();
    let (x, mine) = x.split_tape();
    let (batch, rows) = match (plan.batch[0] * plan.batch[1], plan.rows) {
        (batch, rows) if plan.is_shared() => (1, batch * rows),
        sizes => sizes,
    };
    // The copies give permuted and broadcast operands ids of their own, recorded even if `y` came without a tape.
    let x = x.put_tape(mine.merge(tape)).try_row_major()?.try_reshaped(&(batch, rows, plan.inner))?;
    let y = y.retaped::<T>().try_row_major()?.try_reshaped(&(batch, plan.inner, plan.cols))?;
    x.try_matmul(y)?.try_reshaped(&shape)
}

/// A copy with an id of its own, on a tape.
fn copy<S: Shape, E: Real, D: BaseDevice<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    x.try_row_major()?.try_mul(E::ONE)
}

pub fn gram<M: Dim, K: Dim, E: Real, D: BaseDevice<E>, T: Tape<E, D>>(
    x: Tensor<(M, K), E, D, T>,
) -> Result<Tensor<(M, M), E, D, T>, D::Err> {
    let transposed = copy(x.with_empty_tape())?.try_permute::<(K, M), Axes2<1, 0>>()?;
    copy(x)?.try_matmul(transposed)
}

pub fn squared_distances<
    M: Dim,
    N: Dim,
    F: Dim,
    E: Real,
    D: BaseDevice<E>,
    T: Tape<E, D> + Merge<Q>,
    Q: Tape<E, D>,
>(
    x: Tensor<(M, F), E, D, T>,
    y: Tensor<(N, F), E, D, Q>,
) -> Result<Tensor<(M, N), E, D, T>, D::Err> {
    let shape = (x.shape().0, y.shape().0, x.shape().1);
    let (y, tape) = y.split_tape();
    let (x, mine) = x.split_tape();
    let x = copy(x.put_tape(mine.merge(tape)))?.try_broadcast_like::<_, Axis<1>>(&shape)?;
    let y = copy(y.retaped::<T>())?.try_broadcast_like::<_, Axis<0>>(&shape)?;
    x.try_sub(y)?.try_square()?.try_sum::<(M, N), Axis<2>>()
}
