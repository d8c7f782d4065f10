//! The losses on `Cpu`.
use super::passes::RowLoss;
use super::{ClassLoss, DistributionLoss, PairKind};
use crate::Real;
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{Out, contiguous, part, scalar, sum_of_chunks};
use crate::loops::{CHUNK, rows_per_part};
use crate::pool::{chunks_mut, chunks_mut2};
use dfdx::prelude::*;
use std::mem::take;

pub fn pair_total<S: Shape, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    target: Tensor<S, E, Cpu, R>,
    kind: PairKind,
    scale: f64,
) -> Out<Rank0, E, T> {
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (target, more) = target.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let n = x.shape().num_elements();
    let sum = sum_of_chunks(n, |range| E::pair_total(kind, &flat(&x)[range.clone()], &flat(&target)[range]));
    let loss = scalar(x.device(), sum * E::of(scale))?;
    let ghost = loss.ghost();
    tape.add_backward_op(move |grads| {
        let g = E::of(scale) * grads.get_or_alloc_mut(&ghost)?[0];
        let back = |out: &mut [E], by_target: bool| {
            chunks_mut(out, CHUNK, |start, out| {
                let pair = [part(flat(&x), start, out), part(flat(&target), start, out)];
                E::pair_back(kind, pair, &[], g, by_target, out)
            })
        };
        back(grads.get_or_alloc_mut(&x)?, false);
        if R::OWNS_TAPE {
            back(grads.get_or_alloc_mut(&target)?, true);
        }
        Ok(())
    });
    Ok(loss.put_tape(tape))
}

pub fn pair_each<S: Shape, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    target: Tensor<S, E, Cpu, R>,
    kind: PairKind,
) -> Out<S, E, T> {
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (target, more) = target.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let mut y = buffer(x.device(), x.shape().num_elements())?;
    chunks_mut(&mut y, CHUNK, |start, y| {
        E::pair_each(kind, part(flat(&x), start, y), part(flat(&target), start, y), y)
    });
    let y = x.device().try_tensor_from_vec(y, *x.shape())?;
    let ghost = y.ghost();
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let back = |out: &mut [E], by_target: bool| {
            chunks_mut(out, CHUNK, |start, out| {
                let pair = [part(flat(&x), start, out), part(flat(&target), start, out)];
                E::pair_back(kind, pair, part(&gy, start, out), E::ONE, by_target, out)
            })
        };
        back(grads.get_or_alloc_mut(&x)?, false);
        if R::OWNS_TAPE {
            back(grads.get_or_alloc_mut(&target)?, true);
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// The losses of rows; the forward pass computes the gradient too, which backward scales.
fn rows<'a, B: Dim, C: Dim, E: Real, T: Tape<E, Cpu>>(
    logits: Tensor<(B, C), E, Cpu, T>,
    loss_of: impl Fn(std::ops::Range<usize>) -> RowLoss<'a, E> + Sync,
) -> Out<(B,), E, T> {
    let (x, mut tape) = logits.try_contiguous()?.split_tape();
    let device = x.device().clone();
    let (batch, classes) = (x.shape().0, x.shape().1.size());
    let rows = rows_per_part(classes);
    let mut losses = buffer(&device, batch.size())?;
    if classes == 0 {
        losses.fill(E::zero());
        return Ok(device.try_tensor_from_vec(losses, (batch,))?.put_tape(tape));
    }
    let mut gradient = buffer(&device, batch.size() * classes)?;
    chunks_mut2((&mut losses, rows), (&mut gradient, rows * classes), |start, losses, gradient| {
        let x = part(flat(&x), start * classes, gradient);
        E::row_losses(loss_of(start..start + losses.len()), x, losses, gradient)
    });
    let losses = device.try_tensor_from_vec(losses, (batch,))?;
    if !T::OWNS_TAPE {
        recycle(&device, gradient);
        return Ok(losses.put_tape(tape));
    }
    let (x, ghost) = (x.ghost(), losses.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        chunks_mut(grads.get_or_alloc_mut(&x)?, rows * classes, |start, gx| {
            let first = start / classes;
            E::scale_rows(&gy[first..first + gx.len() / classes], part(&gradient, start, gx), gx)
        });
        **grads.get_or_alloc_mut(&ghost)? = gy;
        recycle(&device, gradient);
        Ok(())
    });
    Ok(losses.put_tape(tape))
}

pub fn class_loss<B: Dim, C: Dim, E: Real, T: Tape<E, Cpu>>(
    logits: Tensor<(B, C), E, Cpu, T>,
    labels: &[usize],
    loss: ClassLoss,
    weights: &[f64],
    ignored: Option<usize>,
) -> Out<(B,), E, T> {
    let weights: Vec<E> = weights.iter().map(|&weight| E::of(weight)).collect();
    rows(logits, |range| RowLoss::Labels(loss, &labels[range], &weights, ignored))
}

pub fn distribution_loss<B: Dim, C: Dim, E: Real, T: Tape<E, Cpu>>(
    logits: Tensor<(B, C), E, Cpu, T>,
    targets: &Tensor<(B, C), E, Cpu>,
    loss: DistributionLoss,
) -> Out<(B,), E, T> {
    let (targets, _) = contiguous(targets, NoneTape)?;
    let classes = targets.shape().1.size();
    let q = flat(&targets);
    rows(logits, |range| RowLoss::Rows(loss, &q[range.start * classes..range.end * classes]))
}
