//! Arithmetic with a small tensor, and selection, on `Cpu`.
use super::Arithmetic;
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{Out, part};
use crate::gradient::{Sum, expect};
use crate::loops::CHUNK;
use crate::pool::chunks_mut;
use crate::reduce::cpu::{add_and_sum, runs, spread, spread_sum, sums};
use crate::reduce::passes::{Spread, Term, View};
use crate::{Real, ReducedShape};
use dfdx::prelude::*;
use std::mem::take;

/// The small tensor repeated along all runs of missing axes but the last, so that one view with one middle axis is left.
fn repeated<E: Real>(device: &Cpu, small: &[E], all: &[(bool, usize)]) -> Result<(Vec<E>, View), CpuError> {
    let last = all.iter().rposition(|run| run.0);
    let view = match last {
        Some(at) => View::around(all, at),
        None => View { outer: 1, n: 1, inner: small.len() },
    };
    let mut out = buffer(device, view.small())?;
    // Where each element of the result lies in the small tensor.
    let mut places = vec![0_usize];
    let mut stride: usize = small.len();
    for (i, &(is_missing, length)) in all.iter().enumerate() {
        if Some(i) == last {
            continue;
        }
        stride = if is_missing { stride } else { stride.checked_div(length).unwrap_or(0) };
        let step = if is_missing { 0 } else { stride };
        places = places.into_iter().flat_map(|place| (0..length).map(move |j| place + j * step)).collect();
    }
    for (out, place) in out.iter_mut().zip(places) {
        *out = small[place];
    }
    Ok((out, view))
}

/// Σ x z over the missing axes, the last run first.
fn sum_missing<E: Real>(
    device: &Cpu,
    term: Term,
    x: [&[E]; 2],
    all: &[(bool, usize)],
) -> Result<Vec<E>, CpuError> {
    let mut left = all.to_vec();
    let mut total: Option<Vec<E>> = None;
    while let Some(at) = left.iter().rposition(|run| run.0) {
        let view = View::around(&left, at);
        let mut no_shift = buffer(device, view.small())?;
        no_shift.fill(E::zero());
        let next = match &total {
            None => sums(device, term, x, &no_shift, view)?,
            Some(partial) => sums(device, Term::Plain, [partial; 2], &no_shift, view)?,
        };
        recycle(device, no_shift);
        if let Some(partial) = total.replace(next) {
            recycle(device, partial);
        }
        left.remove(at);
    }
    match total {
        Some(total) => Ok(total),
        None => {
            // No axis is missing.
            let mut all = buffer(device, x[0].len())?;
            for ((out, &x), &z) in all.iter_mut().zip(x[0]).zip(x[1]) {
                *out = if term == Term::Product { x * z } else { x };
            }
            Ok(all)
        }
    }
}

pub fn arithmetic<S: Shape, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    y: Tensor<S, E, Cpu, R>,
    arithmetic: Arithmetic,
) -> Out<S, E, T> {
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (y, more) = y.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let n = x.shape().num_elements();
    let device = x.device().clone();
    let mut z = buffer(&device, n)?;
    chunks_mut(&mut z, CHUNK, |start, z| {
        E::pairs(arithmetic, part(flat(&x), start, z), part(flat(&y), start, z), z)
    });
    let z = x.device().try_tensor_from_vec(z, *x.shape())?;
    let ghost = z.ghost();
    if matches!(arithmetic, Arithmetic::Add | Arithmetic::Sub) {
        // The operands are not read again: their memory may go.
        let (of_x, of_y) = (x.ghost(), y.ghost());
        tape.add_backward_op(move |grads| {
            let gz = take(&mut **grads.get_or_alloc_mut(&ghost)?);
            Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, n)?.add(CHUNK, |start, g| {
                let gz = part(&gz, start, g);
                E::share_of_first(arithmetic, gz, gz, g)
            });
            Sum::new(&device, grads.get_or_alloc_mut(&of_y)?, n)?.add(CHUNK, |start, g| {
                let gz = part(&gz, start, g);
                E::share_of_second(arithmetic, gz, gz, gz, g)
            });
            **grads.get_or_alloc_mut(&ghost)? = gz;
            Ok(())
        });
        return Ok(z.put_tape(expect(&y, expect(&x, tape)?)?));
    }
    let (of_x, of_y) = (x.clone(), y.clone());
    tape.add_backward_op(move |grads| {
        let gz = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        Sum::new(&device, grads.get_or_alloc_mut(&x)?, n)?.add(CHUNK, |start, g| {
            E::share_of_first(arithmetic, part(&gz, start, g), part(flat(&y), start, g), g)
        });
        Sum::new(&device, grads.get_or_alloc_mut(&y)?, n)?.add(CHUNK, |start, g| {
            let (x, y) = (part(flat(&x), start, g), part(flat(&y), start, g));
            E::share_of_second(arithmetic, part(&gz, start, g), x, y, g)
        });
        **grads.get_or_alloc_mut(&ghost)? = gz;
        Ok(())
    });
    Ok(z.put_tape(expect(&of_y, expect(&of_x, tape)?)?))
}

pub fn arithmetic_along<S, Ax, E, T, R>(
    x: Tensor<S, E, Cpu, T>,
    small: Tensor<ReducedShape<S, Ax>, E, Cpu, R>,
    arithmetic: Arithmetic,
) -> Out<S, E, T>
where
    S: Shape + ReduceShape<Ax>,
    Ax: Axes,
    E: Real,
    T: Tape<E, Cpu> + Merge<R>,
    R: Tape<E, Cpu>,
{
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (small, more) = small.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let device = x.device().clone();
    let all = runs::<S, Ax>(x.shape());
    let (values, view) = repeated(&device, flat(&small), &all)?;
    let how = match arithmetic {
        Arithmetic::Add => Spread::Plus,
        Arithmetic::Sub => Spread::Minus,
        Arithmetic::Mul => Spread::Times,
        Arithmetic::Div => Spread::Over,
    };
    let mut y = buffer(&device, x.shape().num_elements())?;
    spread(how, [flat(&x); 2], [&values; 2], view, &mut y);
    let y = device.try_tensor_from_vec(y, *x.shape())?;
    let (kept, of_x) = (y.clone(), x.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&kept)?);
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&x)?, gy.len())?;
        let total = match arithmetic {
            Arithmetic::Add | Arithmetic::Sub if all.iter().filter(|run| run.0).count() == 1 => {
                add_and_sum(&device, &gy, view, gx)?
            }
            Arithmetic::Add | Arithmetic::Sub => {
                gx.add(CHUNK, |start, gx| E::add_to(part(&gy, start, gx), gx));
                sum_missing(&device, Term::Plain, [&gy; 2], &all)?
            }
            Arithmetic::Mul => {
                spread_sum(Spread::AddTimes, [&gy; 2], [&values; 2], view, gx);
                sum_missing(&device, Term::Product, [&gy, flat(&x)], &all)?
            }
            Arithmetic::Div => {
                spread_sum(Spread::AddOver, [&gy; 2], [&values; 2], view, gx);
                sum_missing(&device, Term::Product, [&gy, flat(&kept)], &all)?
            }
        };
        let s = flat(&small);
        for (i, (g, &total)) in grads.get_or_alloc_mut(&small)?.iter_mut().zip(&total).enumerate() {
            *g += match arithmetic {
                Arithmetic::Add | Arithmetic::Mul => total,
                Arithmetic::Sub => -total,
                Arithmetic::Div => -total / s[i],
            };
        }
        recycle(&device, total);
        **grads.get_or_alloc_mut(&kept)? = gy;
        recycle(&device, values);
        Ok(())
    });
    Ok(y.put_tape(expect(&of_x, tape)?))
}

pub fn choose<S: Shape, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    is_first: &[bool],
    x: Tensor<S, E, Cpu, T>,
    y: Tensor<S, E, Cpu, R>,
) -> Out<S, E, T> {
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (y, more) = y.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let mut z = buffer(x.device(), is_first.len())?;
    chunks_mut(&mut z, CHUNK, |start, z| {
        let sources =
            part(flat(&x), start, z).iter().zip(part(flat(&y), start, z)).zip(part(is_first, start, z));
        for (z, ((&x, &y), &first)) in z.iter_mut().zip(sources) {
            *z = if first { x } else { y };
        }
    });
    let z = x.device().try_tensor_from_vec(z, *x.shape())?;
    let (x, y, ghost, is_first) = (x.ghost(), y.ghost(), z.ghost(), is_first.to_vec());
    tape.add_backward_op(move |grads| {
        let gz = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let back = |out: &mut [E], wanted: bool| {
            chunks_mut(out, CHUNK, |start, out| {
                let (gz, is_first) = (part(&gz, start, out), part(&is_first, start, out));
                for ((g, &gz), &first) in out.iter_mut().zip(gz).zip(is_first) {
                    *g += if first == wanted { gz } else { E::zero() };
                }
            })
        };
        back(grads.get_or_alloc_mut(&x)?, true);
        back(grads.get_or_alloc_mut(&y)?, false);
        **grads.get_or_alloc_mut(&ghost)? = gz;
        Ok(())
    });
    Ok(z.put_tape(tape))
}
