//! The bodies on `Cpu`: parts of about equal numbers of entries, cut from the pattern alone.
use super::passes::{SegmentsKept, Store, Weights};
use super::pattern::Rows;
use super::{Csr, Pattern, Reduction, RowIndex, Segments, SparseDevice};
use crate::Real;
use crate::bridge::{buffer, flat};
use crate::cpu::Out;
use crate::loops::CHUNK;
use crate::pool::chunks_mut;
use dfdx::prelude::*;
use std::mem::take;

/// Rows where parts begin and end: equal shares of entries and rows, each row and entry counted as `features`.
fn cut(starts: &[usize], features: usize) -> Vec<usize> {
    let rows = starts.len() - 1;
    let before = |row: usize| starts[row] + row;
    let whole = before(rows);
    let parts = (whole * features.max(1)).div_ceil(CHUNK).clamp(1, rows.max(1));
    let bound = |part: usize| {
        let share = (whole as u128 * part as u128 / parts as u128) as usize;
        let (mut low, mut high) = (0, rows);
        while low < high {
            let middle = (low + high) / 2;
            if before(middle) < share { low = middle + 1 } else { high = middle }
        }
        low
    };
    let mut bounds: Vec<usize> = (0..parts).map(bound).collect();
    bounds.push(rows);
    bounds
}

/// Cuts `y` at `ends` and runs `f(part, piece)` for each piece in parallel.
fn pieces_mut<E: Send>(y: &mut [E], ends: impl Iterator<Item = usize>, f: impl Fn(usize, &mut [E]) + Sync) {
    let (mut rest, mut at, mut pieces) = (y, 0, Vec::new());
    for end in ends {
        let (piece, more) = rest.split_at_mut(end - at);
        pieces.push(piece);
        (rest, at) = (more, end);
    }
    chunks_mut(&mut pieces, 1, |part, piece| f(part, piece[0]));
}

/// y = A x or y += A x, for `y` of whole rows.
fn multiply<E: Real>(
    rows: Rows<'_>,
    weights: Weights<'_, E>,
    x: &[E],
    features: usize,
    y: &mut [E],
    store: Store,
) {
    if features == 0 {
        return;
    }
    let bounds = cut(rows.starts, features);
    pieces_mut(y, bounds[1..].iter().map(|row| row * features), |part, y| {
        let rows = Rows { starts: &rows.starts[bounds[part]..=bounds[part + 1]], ..rows };
        E::spmm(rows, weights, x, features, y, store)
    });
}

/// s = ⟨q, k⟩ or s += ⟨q, k⟩ at the entries of the pattern.
fn products<E: Real>(rows: Rows<'_>, q: &[E], k: &[E], features: usize, s: &mut [E], store: Store) {
    if features == 0 {
        if store == Store::Set {
            s.fill(E::zero());
        }
        return;
    }
    let bounds = cut(rows.starts, features);
    pieces_mut(s, bounds[1..].iter().map(|&row| rows.starts[row]), |part, s| {
        let (from, to) = (bounds[part], bounds[part + 1]);
        let rows = Rows { starts: &rows.starts[from..=to], ..rows };
        E::sddmm(rows, &q[from * features..to * features], k, features, s, store)
    });
}

/// What an operation whose only dense operand is `x` gives: `forward` sets the output, `back` adds to the gradient.
fn record<S: Shape, R: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    shape: R,
    forward: impl FnOnce(&[E], &mut [E]),
    back: impl FnOnce(&[E], &mut [E]) + 'static,
) -> Out<R, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let mut y = buffer(x.device(), shape.num_elements())?;
    forward(flat(&x), &mut y);
    let y = x.device().try_tensor_from_vec(y, shape)?;
    let (x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        back(&gy, grads.get_or_alloc_mut(&x)?);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

pub fn spmm<M: Dim, N: Dim, F: Dim, E: Real, T: Tape<E, Cpu>>(
    a: &Csr<E, M, N>,
    x: Tensor<(N, F), E, Cpu, T>,
) -> Out<(M, F), E, T> {
    let features = x.shape().1;
    let kept = a.clone();
    record(
        x,
        (a.pattern().rows(), features),
        |x, y| multiply(a.pattern().view(), Weights::InOrder(a.weights()), x, features.size(), y, Store::Set),
        move |gy, gx| {
            let weights = Weights::InOrder(kept.weights_by_columns());
            multiply(kept.pattern().view_transposed(), weights, gy, features.size(), gx, Store::Add)
        },
    )
}

pub fn spmm_weighted<M: Dim, N: Dim, F: Dim, W: Dim, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    pattern: &Pattern<M, N>,
    weights: Tensor<(W,), E, Cpu, T>,
    x: Tensor<(N, F), E, Cpu, R>,
) -> Out<(M, F), E, T> {
    let (weights, tape) = weights.try_contiguous()?.split_tape();
    let (x, more) = x.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let shape = (pattern.rows(), x.shape().1);
    let features = shape.1.size();
    let mut y = buffer(x.device(), shape.num_elements())?;
    multiply(pattern.view(), Weights::InOrder(flat(&weights)), flat(&x), features, &mut y, Store::Set);
    let y = x.device().try_tensor_from_vec(y, shape)?;
    let (ghost, pattern) = (y.ghost(), pattern.clone());
    tape.add_backward_op(move |grads| {
        // One after the other: both may be views of one tensor, and then add to the same gradient.
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let gw = grads.get_or_alloc_mut(&weights)?;
        products(pattern.view(), &gy, flat(&x), features, gw, Store::Add);
        let order = Weights::At(flat(&weights), &pattern.by_columns().entries);
        multiply(pattern.view_transposed(), order, &gy, features, grads.get_or_alloc_mut(&x)?, Store::Add);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

pub fn sddmm<M: Dim, N: Dim, F: Dim, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    pattern: &Pattern<M, N>,
    queries: Tensor<(M, F), E, Cpu, T>,
    keys: Tensor<(N, F), E, Cpu, R>,
) -> Out<(usize,), E, T> {
    let (q, tape) = queries.try_contiguous()?.split_tape();
    let (k, more) = keys.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let features = q.shape().1.size();
    let mut s = buffer(q.device(), pattern.len())?;
    products(pattern.view(), flat(&q), flat(&k), features, &mut s, Store::Set);
    let s = q.device().try_tensor_from_vec(s, (pattern.len(),))?;
    let (ghost, pattern) = (s.ghost(), pattern.clone());
    tape.add_backward_op(move |grads| {
        let gs = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let in_order = Weights::InOrder(&gs);
        multiply(pattern.view(), in_order, flat(&k), features, grads.get_or_alloc_mut(&q)?, Store::Add);
        let by_columns = Weights::At(&gs, &pattern.by_columns().entries);
        multiply(
            pattern.view_transposed(),
            by_columns,
            flat(&q),
            features,
            grads.get_or_alloc_mut(&k)?,
            Store::Add,
        );
        **grads.get_or_alloc_mut(&ghost)? = gs;
        Ok(())
    });
    Ok(s.put_tape(tape))
}

pub fn gather_rows<N: Dim, F: Dim, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(N, F), E, Cpu, T>,
    index: &RowIndex<N>,
) -> Out<(usize, F), E, T> {
    let features = x.shape().1;
    let kept = index.clone();
    record(
        x,
        (index.indices().len(), features),
        |x, y| multiply(index.selection.view(), Weights::Ones, x, features.size(), y, Store::Set),
        move |gy, gx| {
            multiply(kept.selection.view_transposed(), Weights::Ones, gy, features.size(), gx, Store::Add)
        },
    )
}

pub fn scatter_add_rows<R: Dim, N: Dim, F: Dim, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(R, F), E, Cpu, T>,
    index: &RowIndex<N>,
) -> Out<(N, F), E, T> {
    let features = x.shape().1;
    let kept = index.clone();
    record(
        x,
        (index.selection.cols(), features),
        |x, y| multiply(index.selection.view_transposed(), Weights::Ones, x, features.size(), y, Store::Set),
        move |gy, gx| multiply(kept.selection.view(), Weights::Ones, gy, features.size(), gx, Store::Add),
    )
}

pub fn segment_reduce<V: Dim, F: Dim, E: Real, T: Tape<E, Cpu>>(
    values: Tensor<(V, F), E, Cpu, T>,
    segments: &Segments,
    reduction: Reduction,
) -> Out<(usize, F), E, T> {
    let (x, mut tape) = values.try_contiguous()?.split_tape();
    let device = x.device().clone();
    let shape = (segments.len(), x.shape().1);
    let features = shape.1.size();
    let bounds = cut(segments.starts(), features);
    let is_extremum = matches!(reduction, Reduction::Max | Reduction::Min);
    let mut y = buffer(&device, shape.num_elements())?;
    let mut place = vec![0_u32; if is_extremum { shape.num_elements() } else { 0 }];
    if features > 0 {
        let (mut values, mut places) = (&mut y[..], &mut place[..]);
        let mut pieces = Vec::with_capacity(bounds.len());
        for rows in bounds.windows(2) {
            let elements = (rows[1] - rows[0]) * features;
            let (y, more) = values.split_at_mut(elements);
            let (place, rest) = places.split_at_mut(if is_extremum { elements } else { 0 });
            pieces.push((y, place));
            (values, places) = (more, rest);
        }
        chunks_mut(&mut pieces, 1, |part, piece| {
            let (y, place) = &mut piece[0];
            let starts = &segments.starts()[bounds[part]..=bounds[part + 1]];
            E::segment_reduce(reduction, starts, flat(&x), features, y, place)
        });
    }
    let y = device.try_tensor_from_vec(y, shape)?;
    let (kept, segments) = (y.clone(), segments.clone());
    // Sums and means are linear: their backward pass reads neither x nor y.
    let (x, ghost) = (if reduction == Reduction::LogSumExp { Ok(x) } else { Err(x.ghost()) }, y.ghost());
    let kept = if reduction == Reduction::LogSumExp { Some(kept) } else { None };
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let gx = match &x {
            Ok(x) => grads.get_or_alloc_mut(x)?,
            Err(x) => grads.get_or_alloc_mut(x)?,
        };
        let (x, y) = (x.as_ref().map_or(&[][..], flat), kept.as_ref().map_or(&[][..], flat));
        if features > 0 {
            let starts = segments.starts();
            let of_segments = |all: &'_ [E], part: usize| -> std::ops::Range<usize> {
                if all.is_empty() { 0..0 } else { bounds[part] * features..bounds[part + 1] * features }
            };
            pieces_mut(gx, bounds[1..].iter().map(|&row| starts[row] * features), |part, gx| {
                let starts = &starts[bounds[part]..=bounds[part + 1]];
                let (from, to) = (starts[0] * features, starts[starts.len() - 1] * features);
                let own = bounds[part] * features..bounds[part + 1] * features;
                let kept = SegmentsKept {
                    x: if x.is_empty() { x } else { &x[from..to] },
                    y: &y[of_segments(y, part)],
                    place: if place.is_empty() { &place } else { &place[own.clone()] },
                };
                E::segment_reduce_back(reduction, starts, features, kept, &gy[own], gx)
            });
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

pub fn segment_softmax<V: Dim, F: Dim, E: Real, T: Tape<E, Cpu>>(
    values: Tensor<(V, F), E, Cpu, T>,
    segments: &Segments,
) -> Out<(V, F), E, T> {
    let (x, mut tape) = values.try_contiguous()?.split_tape();
    let features = x.shape().1.size();
    let bounds = cut(segments.starts(), features);
    let mut y = buffer(x.device(), x.shape().num_elements())?;
    let starts = segments.starts();
    let ends = || bounds[1..].iter().map(|&row| starts[row] * features);
    if features > 0 {
        pieces_mut(&mut y, ends(), |part, y| {
            let starts = &starts[bounds[part]..=bounds[part + 1]];
            E::segment_softmax(starts, features, &flat(&x)[starts[0] * features..][..y.len()], y)
        });
    }
    let y = x.device().try_tensor_from_vec(y, *x.shape())?;
    let (x, kept, segments) = (x.ghost(), y.clone(), segments.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&kept)?);
        let gx = grads.get_or_alloc_mut(&x)?;
        if features > 0 {
            let starts = segments.starts();
            pieces_mut(gx, bounds[1..].iter().map(|&row| starts[row] * features), |part, gx| {
                let starts = &starts[bounds[part]..=bounds[part + 1]];
                let own = starts[0] * features..starts[0] * features + gx.len();
                E::segment_softmax_back(starts, features, &flat(&kept)[own.clone()], &gy[own], gx)
            });
        }
        **grads.get_or_alloc_mut(&kept)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! on_cpu {
    ($E:ty) => {
        impl SparseDevice<$E> for Cpu {
            fn spmm<M: Dim, N: Dim, F: Dim, T: Tape<$E, Cpu>>(
                a: &Csr<$E, M, N>,
                x: Tensor<(N, F), $E, Cpu, T>,
            ) -> Out<(M, F), $E, T> {
                spmm(a, x)
            }
            fn spmm_weighted<
                M: Dim,
                N: Dim,
                F: Dim,
                W: Dim,
                T: Tape<$E, Cpu> + Merge<R>,
                R: Tape<$E, Cpu>,
            >(
                pattern: &Pattern<M, N>,
                weights: Tensor<(W,), $E, Cpu, T>,
                x: Tensor<(N, F), $E, Cpu, R>,
            ) -> Out<(M, F), $E, T> {
                spmm_weighted(pattern, weights, x)
            }
            fn sddmm<M: Dim, N: Dim, F: Dim, T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                pattern: &Pattern<M, N>,
                queries: Tensor<(M, F), $E, Cpu, T>,
                keys: Tensor<(N, F), $E, Cpu, R>,
            ) -> Out<(usize,), $E, T> {
                sddmm(pattern, queries, keys)
            }
            fn gather_rows<N: Dim, F: Dim, T: Tape<$E, Cpu>>(
                x: Tensor<(N, F), $E, Cpu, T>,
                index: &RowIndex<N>,
            ) -> Out<(usize, F), $E, T> {
                gather_rows(x, index)
            }
            fn scatter_add_rows<R: Dim, N: Dim, F: Dim, T: Tape<$E, Cpu>>(
                x: Tensor<(R, F), $E, Cpu, T>,
                index: &RowIndex<N>,
            ) -> Out<(N, F), $E, T> {
                scatter_add_rows(x, index)
            }
            fn segment_reduce<V: Dim, F: Dim, T: Tape<$E, Cpu>>(
                values: Tensor<(V, F), $E, Cpu, T>,
                segments: &Segments,
                reduction: Reduction,
            ) -> Out<(usize, F), $E, T> {
                segment_reduce(values, segments, reduction)
            }
            fn segment_softmax<V: Dim, F: Dim, T: Tape<$E, Cpu>>(
                values: Tensor<(V, F), $E, Cpu, T>,
                segments: &Segments,
            ) -> Out<(V, F), $E, T> {
                segment_softmax(values, segments)
            }
        }
    };
}

on_cpu!(f32);
on_cpu!(f64);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_rows_once_and_are_balanced() {
        let starts: Vec<usize> = (0..=10_000_usize).map(|row| row * row / 1000).collect(); // ever longer rows
        let bounds = cut(&starts, 16);
        assert!(bounds.is_sorted() && bounds[0] == 0 && bounds[bounds.len() - 1] == 10_000);
        let cost = |rows: &[usize]| (starts[rows[1]] - starts[rows[0]] + rows[1] - rows[0]) * 16;
        let costs: Vec<usize> = bounds.windows(2).map(cost).collect();
        assert!(costs.len() > 20 && costs.iter().all(|&cost| cost <= CHUNK + 16 * 40), "{costs:?}");
        assert_eq!(cut(&[0], 4), [0, 0]);
        assert_eq!(cut(&[0, 0, 0], 0), [0, 2]);
    }
}
