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

fn concat_channels<E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    x: Tensor<(usize, usize, usize), E, Cpu, T>,
    y: Tensor<(usize, usize, usize), E, Cpu, R>,
) -> Out<(usize, usize, usize), E, T> {
    let ((x, tape), (y, more)) = (x.split_tape(), y.split_tape());
    let mut tape = tape.merge(more);
    let device = x.device().clone();
    let ((samples, first, inner), (_, second, _)) = (*x.shape(), *y.shape());
    let shape = (samples, first + second, inner);
    let (first, second) = (first * inner, second * inner);
    let both = (first + second).max(1);
    let mut z = buffer(&device, shape.num_elements())?;
    chunks_mut(&mut z, rows_per_part(both) * both, |start, z| {
        for (i, z) in z.chunks_exact_mut(both).enumerate() {
            let sample = start / both + i;
            z[..first].copy_from_slice(&flat(&x)[sample * first..(sample + 1) * first]);
            z[first..].copy_from_slice(&flat(&y)[sample * second..(sample + 1) * second]);
        }
    });
    let z = device.try_tensor_from_vec(z, shape)?;
    let (of_x, of_y, ghost) = (x.ghost(), y.ghost(), z.ghost());
    tape.add_backward_op(move |grads| {
        let gz = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        // One after the other: x and y may be the same tensor.
        let add = |g: &mut Vec<E>, length: usize, from: usize| -> Result<(), CpuError> {
            let g = Sum::new(&device, g, samples * length)?;
            g.add(rows_per_part(length) * length.max(1), |start, g| {
                for (i, g) in g.chunks_exact_mut(length).enumerate() {
                    let at = (start / length + i) * both + from;
                    E::add_to(&gz[at..at + length], g);
                }
            });
            Ok(())
        };
        add(grads.get_or_alloc_mut(&of_x)?, first, 0)?;
        add(grads.get_or_alloc_mut(&of_y)?, second, first)?;
        **grads.get_or_alloc_mut(&ghost)? = gz;
        Ok(())
    });
    Ok(z.put_tape(expect(&y, expect(&x, tape)?)?))
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
            fn concat_channels<T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                x: Tensor<(usize, usize, usize), $E, Cpu, T>,
                y: Tensor<(usize, usize, usize), $E, Cpu, R>,
            ) -> Out<(usize, usize, usize), $E, T> {
                concat_channels(x, y)
            }
        }
    };
}

fused!(f32);
fused!(f64);
