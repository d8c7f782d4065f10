//! Gather, scatter-add and top-k.
use crate::Real;
use crate::bridge::{buffer, flat};
use crate::cpu::Out;
use crate::gradient::{Sum, expect};
use crate::loops::rows_per_part;
use crate::pool::chunks_mut;
use crate::sequence::TopK;
use dfdx::prelude::*;
use std::mem::take;

/// y_m = x_{r_m} for rows of `width`.
fn gather<E: Real>(x: &[E], rows: &[usize], width: usize, y: &mut [E]) {
    let chunk = rows_per_part(width) * width.max(1);
    chunks_mut(y, chunk, |start, y| {
        for (y, &row) in y.chunks_exact_mut(width.max(1)).zip(&rows[start / width.max(1)..]) {
            y.copy_from_slice(&x[row * width..(row + 1) * width]);
        }
    });
}

/// y_m += x_{r_m}.
fn gather_add<E: Real>(x: &[E], rows: &[usize], width: usize, y: Sum<'_, E>) {
    let chunk = rows_per_part(width) * width.max(1);
    y.add(chunk, |start, y| {
        for (y, &row) in y.chunks_exact_mut(width.max(1)).zip(&rows[start / width.max(1)..]) {
            E::add_to(&x[row * width..(row + 1) * width], y);
        }
    });
}

/// y_n += Σ x_m over m with r_m = n, in the order of m: the m of each n are listed first, so that parts own rows of y.
fn scatter_add<E: Real>(x: &[E], rows: &[usize], width: usize, count: usize, y: Sum<'_, E>) {
    if width == 0 {
        return;
    }
    let mut ends = vec![0; count + 1];
    for &row in rows {
        ends[row + 1] += 1;
    }
    for n in 0..count {
        ends[n + 1] += ends[n];
    }
    // Where the next m of each row goes; afterwards `ends[n]` is the end of row n's list.
    let mut order = vec![0; rows.len()];
    for (m, &row) in rows.iter().enumerate() {
        order[ends[row]] = m;
        ends[row] += 1;
    }
    y.add(rows_per_part(width) * width, |start, y| {
        for (n, y) in y.chunks_exact_mut(width).enumerate() {
            let n = start / width + n;
            let from = if n == 0 { 0 } else { ends[n - 1] };
            for &m in &order[from..ends[n]] {
                E::add_to(&x[m * width..(m + 1) * width], y);
            }
        }
    });
}

pub fn gather_rows<N: Dim, const C: usize, O: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(N, Const<C>), E, Cpu, T>,
    rows: Vec<usize>,
    shape: O,
) -> Out<O, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let mut y = buffer(x.device(), rows.len() * C)?;
    gather(flat(&x), &rows, C, &mut y);
    let y = x.device().try_tensor_from_vec(y, shape)?;
    let (of_x, ghost, device, count) = (x.ghost(), y.ghost(), x.device().clone(), x.shape().0.size());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, count * C)?;
        scatter_add(&gy, &rows, C, count, gx);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

pub fn scatter_add_rows<M: Dim, const C: usize, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(M, Const<C>), E, Cpu, T>,
    rows: Vec<usize>,
    count: usize,
) -> Out<(usize, Const<C>), E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let mut y = vec![];
    scatter_add(flat(&x), &rows, C, count, Sum::new(x.device(), &mut y, count * C)?);
    let y = x.device().try_tensor_from_vec(y, (count, Const))?;
    let (of_x, ghost, device) = (x.ghost(), y.ghost(), x.device().clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, rows.len() * C)?;
        gather_add(&gy, &rows, C, gx);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

pub fn top_k<B: Dim, N: Dim, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(B, N), E, Cpu, T>,
    k: usize,
) -> Result<TopK<B, E, Cpu, T>, CpuError> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let [batch, columns] = x.shape().concrete();
    let mut indices = vec![0; batch * k];
    if k > 0 {
        chunks_mut(&mut indices, rows_per_part(columns) * k, |start, indices| {
            for (i, top) in indices.chunks_exact_mut(k).enumerate() {
                let row = &flat(&x)[(start / k + i) * columns..][..columns];
                // Larger first, then the earlier column; NaN last.
                let order = |&a: &usize, &b: &usize| {
                    let larger = row[b].partial_cmp(&row[a]);
                    larger.unwrap_or_else(|| row[a].is_nan().cmp(&row[b].is_nan())).then(a.cmp(&b))
                };
                let mut all: Vec<usize> = (0..columns).collect();
                if k < columns {
                    all.select_nth_unstable_by(k, order);
                }
                all.truncate(k);
                all.sort_unstable_by(order);
                top.copy_from_slice(&all);
            }
        });
    }
    let mut values = buffer(x.device(), batch * k)?;
    for (row, (values, indices)) in
        values.chunks_exact_mut(k.max(1)).zip(indices.chunks_exact(k.max(1))).enumerate()
    {
        for (value, &column) in values.iter_mut().zip(indices) {
            *value = flat(&x)[row * columns + column];
        }
    }
    let values = x.device().try_tensor_from_vec(values, (x.shape().0, k))?;
    let (x, ghost, kept) = (x.ghost(), values.ghost(), indices.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let gx = grads.get_or_alloc_mut(&x)?;
        for (i, (&g, &column)) in gy.iter().zip(&kept).enumerate() {
            gx[i / k * columns + column] += g;
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(TopK { values: values.put_tape(tape), indices })
}
