//! The fused bodies of resampling and of moving channels.
use super::passes::{Bands, Shown, Squares, room};
use super::{Band, Edge, Filling, Rearrangement, ResamplingDevice};
use crate::Real;
use crate::bridge::{buffer, flat};
use crate::cpu::{Out, part};
use crate::gradient::{Sum, expect};
use crate::loops::rows_per_part;
use crate::pool::chunks_mut;
use dfdx::prelude::*;
use std::mem::take;

/// y (+)= R x Cᵀ over all planes.
fn planes<E: Real>(rows: &Bands<E>, cols: &Bands<E>, x: &[E], y: &mut [E], is_added: bool) {
    let (before, after) = (rows.inputs() * cols.inputs(), rows.outputs() * cols.outputs());
    let planes = rows_per_part(before.max(after));
    chunks_mut(y, (planes * after).max(1), |start, y| {
        let first = start / after;
        let x = &x[first * before..(first + y.len() / after) * before];
        E::planes(rows, cols, x, y, is_added, &mut vec![E::zero(); room(rows, cols)])
    });
}

fn separable<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(usize, usize, usize), E, Cpu, T>,
    [rows, cols]: [&Band; 2],
) -> Out<(usize, usize, usize), E, T> {
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let shape = (x.shape().0, rows.outputs(), cols.outputs());
    let mut y = buffer(&device, shape.num_elements())?;
    planes(&Bands::of(rows), &Bands::of(cols), flat(&x), &mut y, false);
    let y = device.try_tensor_from_vec(y, shape)?;
    if !T::OWNS_TAPE {
        return Ok(y.put_tape(tape));
    }
    let (x, ghost) = (x.ghost(), y.ghost());
    let (rows, cols) = (Bands::of(&rows.transposed()), Bands::of(&cols.transposed()));
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        planes(&rows, &cols, &gy, grads.get_or_alloc_mut(&x)?, true);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

fn pad<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(usize, usize, usize), E, Cpu, T>,
    filling: Filling,
    edges: [Edge; 2],
) -> Out<(usize, usize, usize), E, T> {
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let shape = (x.shape().0, edges[0].padded(), edges[1].padded());
    let shown = Shown::new(filling, edges);
    let [before, after] = shown.sizes;
    let planes = rows_per_part(before.max(after));
    let mut y = buffer(&device, shape.num_elements())?;
    chunks_mut(&mut y, (planes * after).max(1), |start, y| {
        E::pad(&shown, &flat(&x)[start / after * before..], y)
    });
    let y = device.try_tensor_from_vec(y, shape)?;
    let (x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        chunks_mut(grads.get_or_alloc_mut(&x)?, (planes * before).max(1), |start, gx| {
            E::pad_back(&shown, &gy[start / before * after..], gx)
        });
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// Moves all elements one way or the other.
fn moved<E: Real>(squares: Squares, way: Rearrangement, x: &[E], y: &mut [E], is_added: bool) {
    let group = squares.group().max(1);
    let chunk = rows_per_part(group) * group;
    chunks_mut(y, chunk, |start, y| match way {
        Rearrangement::Shuffle => E::shuffle(squares, part(x, start, y), y, is_added),
        Rearrangement::Unshuffle => E::unshuffle(squares, part(x, start, y), y, is_added),
    });
}

fn rearrange<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(usize, usize, usize, usize), E, Cpu, T>,
    factors: [usize; 2],
    way: Rearrangement,
) -> Out<(usize, usize, usize, usize), E, T> {
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let shape = way.shape(*x.shape(), factors);
    let (_, _, height, width) = if way == Rearrangement::Shuffle { *x.shape() } else { shape };
    let squares = Squares { factors, plane: [height, width] };
    let mut y = buffer(&device, shape.num_elements())?;
    moved(squares, way, flat(&x), &mut y, false);
    let y = device.try_tensor_from_vec(y, shape)?;
    let (x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        moved(squares, way.back(), &gy, grads.get_or_alloc_mut(&x)?, true);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

fn concat_channels<E: Real, T: Tape<E, Cpu>>(
    first: Tensor<(usize, usize, usize), E, Cpu>,
    others: Vec<Tensor<(usize, usize, usize), E, Cpu>>,
    mut tape: T,
) -> Out<(usize, usize, usize), E, T> {
    let device = first.device().clone();
    let (samples, _, inner) = *first.shape();
    let parts: Vec<_> = std::iter::once(first).chain(others).collect();
    let shape = (samples, parts.iter().map(|part| part.shape().1).sum::<usize>(), inner);
    // Elements of a sample, of each part and of all.
    let lengths: Vec<usize> = parts.iter().map(|part| part.shape().1 * inner).collect();
    let all = (shape.1 * inner).max(1);
    let mut z = buffer(&device, shape.num_elements())?;
    {
        let sources: Vec<&[E]> = parts.iter().map(flat).collect();
        chunks_mut(&mut z, rows_per_part(all) * all, |start, z| {
            for (i, mut z) in z.chunks_exact_mut(all).enumerate() {
                let sample = start / all + i;
                for (x, &length) in sources.iter().zip(&lengths) {
                    let (to, rest) = z.split_at_mut(length);
                    to.copy_from_slice(&x[sample * length..(sample + 1) * length]);
                    z = rest;
                }
            }
        });
    }
    let z = device.try_tensor_from_vec(z, shape)?;
    let (ghosts, ghost): (Vec<_>, _) = (parts.iter().map(|part| part.ghost()).collect(), z.ghost());
    tape.add_backward_op(move |grads| {
        let gz = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let mut from = 0;
        // One after the other: two parts may be the same tensor.
        for (part, &length) in ghosts.iter().zip(&lengths) {
            let g = Sum::new(&device, grads.get_or_alloc_mut(part)?, samples * length)?;
            g.add(rows_per_part(length) * length.max(1), |start, g| {
                for (i, g) in g.chunks_exact_mut(length).enumerate() {
                    let at = (start / length + i) * all + from;
                    E::add_to(&gz[at..at + length], g);
                }
            });
            from += length;
        }
        **grads.get_or_alloc_mut(&ghost)? = gz;
        Ok(())
    });
    for part in &parts {
        tape = expect(part, tape)?;
    }
    Ok(z.put_tape(tape))
}

macro_rules! fused {
    ($E:ty) => {
        impl ResamplingDevice<$E> for Cpu {
            fn separable<T: Tape<$E, Cpu>>(
                x: Tensor<(usize, usize, usize), $E, Cpu, T>,
                axes: [&Band; 2],
            ) -> Out<(usize, usize, usize), $E, T> {
                separable(x, axes)
            }
            fn pad<T: Tape<$E, Cpu>>(
                x: Tensor<(usize, usize, usize), $E, Cpu, T>,
                filling: Filling,
                edges: [Edge; 2],
            ) -> Out<(usize, usize, usize), $E, T> {
                pad(x, filling, edges)
            }
            fn rearrange<T: Tape<$E, Cpu>>(
                x: Tensor<(usize, usize, usize, usize), $E, Cpu, T>,
                factors: [usize; 2],
                way: Rearrangement,
            ) -> Out<(usize, usize, usize, usize), $E, T> {
                rearrange(x, factors, way)
            }
            fn concat_channels<T: Tape<$E, Cpu>>(
                first: Tensor<(usize, usize, usize), $E, Cpu>,
                others: Vec<Tensor<(usize, usize, usize), $E, Cpu>>,
                tape: T,
            ) -> Out<(usize, usize, usize), $E, T> {
                concat_channels(first, others, tape)
            }
        }
    };
}

fused!(f32);
fused!(f64);
