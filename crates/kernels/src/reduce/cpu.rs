//! Reductions on `Cpu`: axes side by side are reduced where they lie; others are gathered into rows first.
use super::passes::{Spread, Term, View};
use super::{ReducedShape, Reduction};
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{Out, part};
use crate::gradient::{Sum, expect};
use crate::loops::{CHUNK, rows_per_part};
use crate::pool::{chunks_mut, chunks_mut2};
use crate::{Correction, Real};
use dfdx::prelude::*;
use std::mem::take;

/// Columns of one part, where a row is longer than that.
const WIDTH: usize = 4096;

/// The axes of a tensor that are reduced or kept, in row-major order; axes side by side are one.
pub fn runs<S: Shape, Ax: Axes>(shape: &S) -> Vec<(bool, usize)> {
    let mut runs: Vec<(bool, usize)> = vec![];
    for (axis, length) in shape.concrete().into_iter().enumerate() {
        let is_reduced = Ax::as_array().into_iter().any(|reduced| reduced == axis as isize);
        match runs.last_mut() {
            Some((of, run)) if *of == is_reduced => *run *= length,
            _ => runs.push((is_reduced, length)),
        }
    }
    runs
}

impl View {
    /// The view in which `runs[at]` is the axis in the middle.
    pub fn around(runs: &[(bool, usize)], at: usize) -> Self {
        let product = |runs: &[(bool, usize)]| runs.iter().map(|run| run.1).product();
        Self { outer: product(&runs[..at]), n: runs[at].1, inner: product(&runs[at + 1..]) }
    }
    /// Elements of the small tensor.
    pub fn small(self) -> usize {
        self.outer * self.inner
    }
    /// Elements per part of the large tensor, whole lines (or rows, where they are short).
    pub fn part(self) -> usize {
        match self.inner {
            1 if self.n > CHUNK => CHUNK,
            1 => rows_per_part(self.n) * self.n.max(1),
            inner => rows_per_part(inner) * inner.max(1),
        }
    }
}

/// Σ along the middle axis, in a fixed tree: parts of a fixed number of elements, and the parts' sums the same way.
pub fn sums<E: Real>(
    device: &Cpu,
    term: Term,
    x: [&[E]; 2],
    c: &[E],
    View { outer, n, inner }: View,
) -> Result<Vec<E>, CpuError> {
    let mut out = buffer(device, outer * inner)?;
    if n == 0 || out.is_empty() {
        out.fill(E::zero());
        return Ok(out);
    }
    let cut = |from: usize, to: usize| x.map(|x| &x[from..to]);
    if n * inner <= CHUNK {
        // Whole blocks per part.
        chunks_mut(&mut out, rows_per_part(n * inner) * inner, |start, out| {
            let [x, z] = cut(start * n, (start + out.len()) * n);
            let c = &c[start..start + out.len()];
            match inner {
                1 => E::row_sums(term, x, z, c, n, out),
                _ => E::column_sums(term, [x, z], c, n, inner, inner, out),
            }
        });
        return Ok(out);
    }
    let rows = rows_of_partial_sum(inner);
    let segments = n.div_ceil(rows);
    let mut partial = buffer(device, outer * segments * inner)?;
    chunks_mut(&mut partial, inner.min(WIDTH), |start, mut out| {
        let mut at = start;
        while !out.is_empty() {
            // One piece lies in one segment: a part may reach into the next.
            let (segment, column) = (at / inner % segments, at % inner);
            let width = out.len().min(inner - column);
            let (piece, rest) = out.split_at_mut(width);
            let block = at / inner / segments;
            let (first, last) = (segment * rows, ((segment + 1) * rows).min(n));
            let c = &c[block * inner + column..][..width];
            let from = (block * n + first) * inner + column;
            let [x, z] = cut(from, (block * n + last - 1) * inner + column + width);
            match inner {
                1 => E::row_sums(term, x, z, c, last - first, piece),
                _ => E::column_sums(term, [x, z], c, last - first, inner, width, piece),
            }
            at += width;
            out = rest;
        }
    });
    if segments == 1 {
        recycle(device, out);
        return Ok(partial);
    }
    recycle(device, out);
    let view = View { outer, n: segments, inner };
    let out = sums(device, Term::Plain, [&partial; 2], &partial, view)?;
    recycle(device, partial);
    Ok(out)
}

/// Rows of one partial sum, where there is more than one.
fn rows_of_partial_sum(inner: usize) -> usize {
    (CHUNK / inner).max(32)
}

/// to += x, and the [`sums`] of x: each part of x is read from memory once for both.
pub fn add_and_sum<E: Real>(device: &Cpu, x: &[E], view: View, to: Sum<'_, E>) -> Result<Vec<E>, CpuError> {
    let View { outer, n, inner } = view;
    let mut zeros = buffer(device, view.small())?;
    zeros.fill(E::zero());
    let sum = if outer != 1 || n * inner <= CHUNK || !(2..=WIDTH).contains(&inner) {
        to.add(CHUNK, |start, to| E::add_to(part(x, start, to), to));
        sums(device, Term::Plain, [x; 2], &zeros, view)?
    } else {
        let rows = rows_of_partial_sum(inner);
        let mut partial = buffer(device, n.div_ceil(rows) * inner)?;
        to.add_with(rows * inner, (&mut partial, inner), |start, to, out| {
            let x = part(x, start, to);
            E::add_to(x, to);
            E::column_sums(Term::Plain, [x; 2], &zeros, to.len() / inner, inner, inner, out)
        });
        let view = View { outer, n: partial.len() / inner, inner };
        let sum = sums(device, Term::Plain, [&partial; 2], &zeros, view)?;
        recycle(device, partial);
        sum
    };
    recycle(device, zeros);
    Ok(sum)
}

/// Writes a tensor's elements from small ones, in parts.
pub fn spread<E: Real>(spread: Spread, x: [&[E]; 2], small: [&[E]; 2], view: View, out: &mut [E]) {
    chunks_mut(out, view.part(), |start, out| {
        E::spread(spread, x.map(|x| &x[start..start + out.len()]), small, view, start, out)
    });
}

/// The same, added to a gradient.
pub fn spread_sum<E: Real>(spread: Spread, x: [&[E]; 2], small: [&[E]; 2], view: View, out: Sum<'_, E>) {
    out.add(view.part(), |start, out| {
        E::spread(spread, x.map(|x| &x[start..start + out.len()]), small, view, start, out)
    });
}

/// The largest of sign · x along the middle axis, and where it is first.
fn largest<E: Real>(device: &Cpu, sign: E, x: &[E], view: View) -> Result<(Vec<E>, Vec<u32>), CpuError> {
    let View { outer, n, inner } = view;
    let mut out = buffer(device, outer * inner)?;
    let mut index = vec![0; outer * inner];
    if n == 0 || out.is_empty() {
        out.fill(-sign * E::infinity());
        return Ok((out, index));
    }
    if n * inner <= CHUNK || n < 64 {
        let chunk = rows_per_part(n * inner) * inner;
        chunks_mut2((&mut out, chunk), (&mut index, chunk), |start, out, index| {
            E::largest(sign, &x[start * n..][..out.len() * n], n, inner, out, index)
        });
        return Ok((out, index));
    }
    // The largest of each segment, then of the segments: `>` keeps the first of equals both times.
    let rows = (CHUNK / inner).max(32);
    let segments = n.div_ceil(rows);
    let mut partial = buffer(device, outer * segments * inner)?;
    let mut places = vec![0; outer * segments * inner];
    chunks_mut2((&mut partial, inner), (&mut places, inner), |start, out, index| {
        let (block, segment) = (start / inner / segments, start / inner % segments);
        let (first, last) = (segment * rows, ((segment + 1) * rows).min(n));
        let x = &x[(block * n + first) * inner..(block * n + last) * inner];
        E::largest(sign, x, last - first, inner, out, index);
        index.iter_mut().for_each(|index| *index += first as u32);
    });
    let (top, of) = largest(device, sign, &partial, View { outer, n: segments, inner })?;
    for (small, (index, segment)) in index.iter_mut().zip(&of).enumerate() {
        let (block, column) = (small / inner, small % inner);
        *index = places[(block * segments + *segment as usize) * inner + column];
    }
    recycle(device, partial);
    recycle(device, out);
    Ok((top, index))
}

/// Where the elements of reduced axes that do not lie side by side come from: `kept[i] + reduced[j]`.
struct Gather {
    kept: Vec<usize>,
    reduced: Vec<usize>,
}

impl Gather {
    fn new(runs: &[(bool, usize)]) -> Self {
        let offsets = |wanted: bool| {
            let mut offsets = vec![0];
            let mut stride = runs.iter().map(|run| run.1).product::<usize>();
            for &(is_reduced, length) in runs {
                stride = stride.checked_div(length).unwrap_or(0);
                if is_reduced == wanted {
                    offsets = offsets.iter().flat_map(|o| (0..length).map(move |i| o + i * stride)).collect();
                }
            }
            offsets
        };
        Self { kept: offsets(false), reduced: offsets(true) }
    }
    fn rows<E: Real>(&self, device: &Cpu, x: &[E]) -> Result<Vec<E>, CpuError> {
        let n = self.reduced.len();
        let mut rows = buffer(device, self.kept.len() * n)?;
        chunks_mut(&mut rows, rows_per_part(n) * n.max(1), |start, out| {
            for (kept, out) in self.kept[start / n.max(1)..].iter().zip(out.chunks_mut(n)) {
                for (out, reduced) in out.iter_mut().zip(&self.reduced) {
                    *out = x[kept + reduced];
                }
            }
        });
        Ok(rows)
    }
    /// gx += rows, each element where it came from.
    fn add<E: Real>(&self, rows: &[E], gx: &mut [E]) {
        for (kept, row) in self.kept.iter().zip(rows.chunks(self.reduced.len().max(1))) {
            for (&x, reduced) in row.iter().zip(&self.reduced) {
                gx[kept + reduced] += x;
            }
        }
    }
}

/// A reduction's result and what backward reads: small tensors, or the places of the largest.
struct Outcome<E> {
    y: Vec<E>,
    aux: Vec<E>,
    index: Vec<u32>,
}

fn forward<E: Real>(device: &Cpu, reduction: Reduction, x: &[E], view: View) -> Result<Outcome<E>, CpuError> {
    let n = E::of(view.n as f64);
    let plain = |term, c: &[E]| sums(device, term, [x, x], c, view);

    let (mut aux, mut index) = (vec![], vec![]);
    let y = match reduction {
        Reduction::Sum | Reduction::Mean => {
            let c = constant(device, view.small(), E::zero())?;
            let mut y = plain(Term::Plain, &c)?;
            recycle(device, c);
            if reduction == Reduction::Mean {
                y.iter_mut().for_each(|y| *y /= n);
            }
            y
        }
        Reduction::Var(correction) => {
            aux = forward(device, Reduction::Mean, x, view)?.y;
            let mut y = plain(Term::Deviation, &aux)?;
            let divisor = E::of(correction.divisor(view.n));
            y.iter_mut().for_each(|y| *y /= divisor);
            y
        }
        Reduction::Norm => {
            // Scaled by the largest size, so that squares neither overflow nor vanish.
            let (mut scale, _) = largest(device, E::ONE, x, view)?;
            let (low, _) = largest(device, -E::ONE, x, view)?;
            for (scale, &low) in scale.iter_mut().zip(&low) {
                let size = if low.is_nan() { low } else { scale.abs().max(low.abs()) };
                *scale = if view.n == 0 { E::zero() } else { size };
            }
            recycle(device, low);
            // A NaN or infinity goes through unscaled.
            let usable = |s: E| s > E::zero() && s < E::infinity();
            let mut c = buffer(device, view.small())?;
            for (c, &s) in c.iter_mut().zip(&scale) {
                *c = if usable(s) { E::ONE / s } else { E::ONE };
            }
            let subnormal = |c: E| c == E::infinity();
            for c in c.iter_mut().filter(|c| subnormal(**c)) {
                *c = E::max_value();
            }
            let mut y = plain(Term::Scaled, &c)?;
            for (y, &c) in y.iter_mut().zip(&c) {
                *y = y.sqrt() / c;
            }
            recycle(device, c);
            recycle(device, scale);
            y
        }
        Reduction::Max | Reduction::Min => {
            let sign = if reduction == Reduction::Max { E::ONE } else { -E::ONE };
            let (y, at) = largest(device, sign, x, view)?;
            index = at;
            y
        }
        Reduction::LogSumExp => {
            let (max, total) = exponentials(device, x, view)?;
            let mut y = max;
            for (y, &total) in y.iter_mut().zip(&total) {
                // A maximum of ±∞ is the result; subtracting it gave NaN.
                *y = if y.abs() == E::infinity() { *y } else { *y + total };
            }
            recycle(device, total);
            y
        }
    };
    Ok(Outcome { y, aux, index })
}

/// The maximum m and ln Σ e^(x − m).
fn exponentials<E: Real>(device: &Cpu, x: &[E], view: View) -> Result<(Vec<E>, Vec<E>), CpuError> {
    let (max, _) = largest(device, E::ONE, x, view)?;
    let total = sums(device, Term::Exp, [x, x], &max, view)?;
    let mut ln = buffer(device, total.len())?;
    E::value(crate::ActivationKind::Ln, &total, &mut ln);
    recycle(device, total);
    Ok((max, ln))
}

/// A buffer of one number.
fn constant<E: Real>(device: &Cpu, n: usize, value: E) -> Result<Vec<E>, CpuError> {
    let mut c = buffer(device, n)?;
    c.fill(value);
    Ok(c)
}

/// gx += the gradient, from that of the result.
fn backward<E: Real>(
    device: &Cpu,
    reduction: Reduction,
    x: &[E],
    kept: &Outcome<E>,
    gy: &[E],
    view: View,
    gx: Sum<'_, E>,
) -> Result<(), CpuError> {
    let n = E::of(view.n as f64);
    let mut a = buffer(device, gy.len())?;
    let mut fill = |factor: &dyn Fn(usize) -> E| {
        for (i, (a, &gy)) in a.iter_mut().zip(gy).enumerate() {
            *a = gy * factor(i);
        }
    };
    let (how, m): (Spread, &[E]) = match reduction {
        Reduction::Sum => {
            fill(&|_| E::ONE);
            (Spread::AddConstant, gy)
        }
        Reduction::Mean => {
            fill(&|_| E::ONE / n);
            (Spread::AddConstant, gy)
        }
        Reduction::Var(correction) => {
            let factor = E::of(2.0 / correction.divisor(view.n));
            fill(&|_| factor);
            (Spread::AddCentred, &kept.aux)
        }
        Reduction::Norm => {
            // At 0 the subgradient 0, as in PyTorch.
            fill(&|i| if kept.y[i] == E::zero() { E::zero() } else { E::ONE / kept.y[i] });
            (Spread::AddTimes, gy)
        }
        Reduction::LogSumExp => {
            fill(&|_| E::ONE);
            (Spread::AddExp, &kept.y)
        }
        Reduction::Max | Reduction::Min => {
            let gx = gx.elements();
            for (small, (&gy, &j)) in gy.iter().zip(&kept.index).enumerate() {
                if view.n > 0 {
                    let (block, column) = (small / view.inner, small % view.inner);
                    gx[(block * view.n + j as usize) * view.inner + column] += gy;
                }
            }
            recycle(device, a);
            return Ok(());
        }
    };
    spread_sum(how, [x, x], [&a, m], view, gx);
    recycle(device, a);
    Ok(())
}

pub fn reduce<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    reduction: Reduction,
) -> Out<ReducedShape<S, Ax>, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let device = x.device().clone();
    let runs = runs::<S, Ax>(x.shape());
    let reduced: Vec<usize> = (0..runs.len()).filter(|&i| runs[i].0).collect();
    // A scalar has one axis of one element.
    let single =
        |at: Option<&usize>| at.map_or(View { outer: 1, n: 1, inner: 1 }, |&at| View::around(&runs, at));
    let gather = (reduced.len() > 1).then(|| Gather::new(&runs));
    let view = match &gather {
        None => single(reduced.first()),
        Some(gather) => View { outer: gather.kept.len(), n: gather.reduced.len(), inner: 1 },
    };
    let kept = match &gather {
        None => forward(&device, reduction, flat(&x), view)?,
        Some(gather) => {
            let rows = gather.rows(&device, flat(&x))?;
            let kept = forward(&device, reduction, &rows, view)?;
            recycle(&device, rows);
            kept
        }
    };
    let mut y = buffer(&device, kept.y.len())?;
    y.copy_from_slice(&kept.y);
    let y = device.try_tensor_from_vec(y, super::reduced_shape::<S, Ax>(x.shape()))?;
    let ghost = y.ghost();
    if !T::OWNS_TAPE {
        recycle(&device, kept.y);
        recycle(&device, kept.aux);
        return Ok(y.put_tape(tape));
    }
    let of_x = x.clone();
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&x)?, x.shape().num_elements())?;
        match &gather {
            None => backward(&device, reduction, flat(&x), &kept, &gy, view, gx)?,
            Some(gather) => {
                let rows = gather.rows(&device, flat(&x))?;
                let mut gradient = vec![];
                let sum = Sum::new(&device, &mut gradient, rows.len())?;
                backward(&device, reduction, &rows, &kept, &gy, view, sum)?;
                gather.add(&gradient, gx.elements());
                recycle(&device, rows);
                recycle(&device, gradient);
            }
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        recycle(&device, kept.y);
        recycle(&device, kept.aux);
        Ok(())
    });
    Ok(y.put_tape(expect(&of_x, tape)?))
}

pub fn arg_extreme<S: Shape, Ax: Axes, E: Real>(
    x: &Tensor<S, E, Cpu>,
    is_largest: bool,
) -> Result<Vec<usize>, CpuError> {
    let x = x.clone().try_contiguous()?;
    let runs = runs::<S, Ax>(x.shape());
    let view = runs
        .iter()
        .position(|run| run.0)
        .map_or(View { outer: 1, n: 1, inner: 1 }, |at| View::around(&runs, at));
    let sign = if is_largest { E::ONE } else { -E::ONE };
    let (values, index) = largest(x.device(), sign, flat(&x), view)?;
    recycle(x.device(), values);
    Ok(index.into_iter().map(|index| index as usize).collect())
}

pub fn softmax_along<S: Shape, Ax: Axes, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    is_log: bool,
) -> Out<S, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let device = x.device().clone();
    let runs = runs::<S, Ax>(x.shape());
    let view = runs
        .iter()
        .position(|run| run.0)
        .map_or(View { outer: 1, n: 1, inner: 1 }, |at| View::around(&runs, at));
    let elements = flat(&x);
    let mut y = buffer(&device, elements.len())?;
    if is_log {
        let (max, ln) = exponentials(&device, elements, view)?;
        spread(Spread::Shifted, [elements; 2], [&ln, &max], view, &mut y);
        [max, ln].into_iter().for_each(|small| recycle(&device, small));
    } else {
        let (max, _) = largest(&device, E::ONE, elements, view)?;
        spread(Spread::Exp, [elements; 2], [&max; 2], view, &mut y);
        let mut scale = sums(&device, Term::Plain, [&y; 2], &max, view)?;
        scale.iter_mut().for_each(|s| *s = E::ONE / *s);
        spread(Spread::Scale, [elements; 2], [&scale; 2], view, &mut y);
        [max, scale].into_iter().for_each(|small| recycle(&device, small));
    }
    let y = device.try_tensor_from_vec(y, *x.shape())?;
    let (of_x, kept) = (x.ghost(), y.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&kept)?);
        let (how, term) = match is_log {
            true => (Spread::AddLogSoftmaxBack, Term::Plain),
            false => (Spread::AddSoftmaxBack, Term::Product),
        };
        let y = flat(&kept);
        let no_shift = constant(&device, view.small(), E::zero())?;
        let dot = sums(&device, term, [&gy, y], &no_shift, view)?;
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, y.len())?;
        spread_sum(how, [y, &gy], [&dot; 2], view, gx);
        [dot, no_shift].into_iter().for_each(|small| recycle(&device, small));
        **grads.get_or_alloc_mut(&kept)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

impl Correction {
    /// What the squared deviations of n numbers are divided by; 0 or less gives NaN or ∞, as 0/0 and x/0 do.
    pub(super) fn divisor(self, n: usize) -> f64 {
        match self {
            Self::Population => n as f64,
            Self::Sample => (n as f64 - 1.0).max(0.0),
        }
    }
}
