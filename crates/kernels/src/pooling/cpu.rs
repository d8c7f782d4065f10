//! The fused bodies of max pooling.
use super::{Pick, PlaneWindows, Planes, PoolingDevice};
use crate::Real;
use crate::bridge::{buffer, flat};
use crate::cpu::Out;
use crate::gradient::{Sum, expect};
use crate::loops::rows_per_part;
use crate::pool::{chunks_mut, chunks_mut2};
use dfdx::prelude::*;
use std::mem::take;
use std::sync::Arc;

/// Planes per part.
fn planes_per_part([from, to]: [usize; 2]) -> usize {
    rows_per_part(from.max(to))
}

/// y (+)= x at the indices.
fn gather<E: Real>(pick: &Pick, x: &[E], y: &mut [E], is_added: bool) {
    let sizes @ [from, to] = pick.sizes;
    chunks_mut(y, (planes_per_part(sizes) * to).max(1), |start, y| {
        let plane = start / to;
        let x = &x[plane * from..(plane + y.len() / to) * from];
        E::gather(sizes, &pick.indices[start..start + y.len()], x, y, is_added)
    });
}

/// y += x at the indices of y, the other way round.
fn scatter<E: Real>(pick: &Pick, x: &[E], y: Sum<'_, E>) {
    let [to, from] = pick.sizes;
    y.add((planes_per_part(pick.sizes) * to).max(1), |start, y| {
        let planes = start / to * from..(start + y.len()) / to * from;
        E::scatter([from, to], &pick.indices[planes.clone()], &x[planes], y)
    });
}

fn max_pool<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<Planes, E, Cpu, T>,
    windows: PlaneWindows,
) -> Result<(Tensor<Planes, E, Cpu, T>, Pick), CpuError> {
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let sizes @ [from, to] = windows.sizes();
    let shape = (x.shape().0, windows.outputs[0], windows.outputs[1]);
    let mut y = buffer(&device, shape.num_elements())?;
    let mut indices = vec![0; y.len()];
    let per_part = (planes_per_part(sizes) * to).max(1);
    chunks_mut2((&mut y, per_part), (&mut indices, per_part), |start, y, indices| {
        let plane = start / to;
        let x = &flat(&x)[plane * from..(plane + y.len() / to) * from];
        E::maxima(windows, x, y, indices)
    });
    let pick = Pick { sizes, indices: Arc::new(indices) };
    let y = device.try_tensor_from_vec(y, shape)?;
    let (of_x, ghost, kept, n) = (x.ghost(), y.ghost(), pick.clone(), x.shape().num_elements());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        scatter(&kept, &gy, Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, n)?);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok((y.put_tape(expect(&x, tape)?), pick))
}

fn pick<E: Real, T: Tape<E, Cpu>>(x: Tensor<Planes, E, Cpu, T>, pick: &Pick) -> Out<(usize, usize), E, T> {
    let (x, mut tape) = x.split_tape();
    let shape = (x.shape().0, pick.sizes[1]);
    let mut y = buffer(x.device(), shape.num_elements())?;
    gather(pick, flat(&x), &mut y, false);
    let y = x.device().try_tensor_from_vec(y, shape)?;
    let (of_x, ghost, kept, n) = (x.ghost(), y.ghost(), pick.clone(), x.shape().num_elements());
    let device = x.device().clone();
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        scatter(&kept, &gy, Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, n)?);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

fn place<E: Real, T: Tape<E, Cpu>>(x: Tensor<Planes, E, Cpu, T>, pick: &Pick) -> Out<(usize, usize), E, T> {
    let (x, mut tape) = x.split_tape();
    let shape = (x.shape().0, pick.sizes[0]);
    let mut y = vec![];
    scatter(pick, flat(&x), Sum::new(x.device(), &mut y, shape.num_elements())?);
    let y = x.device().try_tensor_from_vec(y, shape)?;
    let (x, ghost, kept) = (x.ghost(), y.ghost(), pick.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        gather(&kept, &gy, grads.get_or_alloc_mut(&x)?, true);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

macro_rules! fused {
    ($E:ty) => {
        impl PoolingDevice<$E> for Cpu {
            fn max_pool<T: Tape<$E, Cpu>>(
                x: Tensor<Planes, $E, Cpu, T>,
                windows: PlaneWindows,
            ) -> Result<(Tensor<Planes, $E, Cpu, T>, Pick), CpuError> {
                max_pool(x, windows)
            }
            fn pick<T: Tape<$E, Cpu>>(
                x: Tensor<Planes, $E, Cpu, T>,
                by: &Pick,
            ) -> Out<(usize, usize), $E, T> {
                pick(x, by)
            }
            fn place<T: Tape<$E, Cpu>>(
                x: Tensor<Planes, $E, Cpu, T>,
                by: &Pick,
            ) -> Out<(usize, usize), $E, T> {
                place(x, by)
            }
        }
    };
}

fused!(f32);
fused!(f64);
