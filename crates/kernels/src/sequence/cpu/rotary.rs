//! Rotary positions: an orthogonal map of each position, so backward is the rotation back.
use crate::Real;
use crate::bridge::{buffer, flat};
use crate::cpu::Out;
use crate::pool::chunks_mut;
use crate::sequence::position::cos_sin;
use dfdx::prelude::*;
use std::mem::take;

/// y += R x, for each position of each sequence.
fn rotate<E: Real>(x: &[E], y: &mut [E], angles: &[E], features: usize, pairs: usize, sign: E) {
    if angles.is_empty() {
        return;
    }
    // Angles hold one row of `2 pairs` per position; a part is one position of one sequence and up.
    let positions = angles.len() / (2 * pairs);
    let rows = crate::loops::rows_per_part(features);
    chunks_mut(y, rows * features, |start, y| {
        for (i, y) in y.chunks_exact_mut(features).enumerate() {
            let row = start / features + i;
            let x = &x[row * features..(row + 1) * features];
            E::rotate(x, y, &angles[row % positions * 2 * pairs..][..2 * pairs], sign);
        }
    });
}

pub fn rotary<B: Dim, S: Dim, const C: usize, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(B, S, Const<C>), E, Cpu, T>,
    heads: usize,
    start: usize,
    base: f64,
) -> Out<(B, S, Const<C>), E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let positions = x.shape().concrete()[1];
    let pairs = C / heads / 2;
    let angles: Vec<E> =
        (start..start + positions).flat_map(|t| cos_sin(t, pairs, base).flatten().map(E::of)).collect();
    let mut y = buffer(x.device(), x.shape().num_elements())?;
    y.fill(E::zero());
    rotate(flat(&x), &mut y, &angles, C, pairs, E::ONE);
    let y = x.device().try_tensor_from_vec(y, *x.shape())?;
    let (x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        rotate(&gy, grads.get_or_alloc_mut(&x)?, &angles, C, pairs, -E::ONE);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}
