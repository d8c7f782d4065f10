//! Products and distances on `Cpu`: operands read through their strides, parts cut by sizes alone.
use super::{Index, MatrixDevice, Plan};
use crate::Real;
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{Out, contiguous, matrix_layout, operand, read};
use crate::gradient::{Sum, expect};
use crate::loops::{CHUNK, rows_per_part};
use crate::pool::chunks_mut;
use crate::product::{Batch, Layout, multiply, multiply_batch, multiply_by_transposed};
use dfdx::prelude::*;
use std::mem::take;

impl Plan {
    /// The left operand, given the strides of its axes.
    fn left_view(&self, strides: impl IntoIterator<Item = usize>) -> Batch {
        view(self.left, strides, [(Index::Row, self.rows), (Index::Inner, self.inner)])
    }

    /// The right operand, given the strides of its axes.
    fn right_view(&self, strides: impl IntoIterator<Item = usize>) -> Batch {
        view(self.right, strides, [(Index::Inner, self.inner), (Index::Column, self.cols)])
    }

    /// One product of all rows with the one right operand.
    fn as_one(self) -> Self {
        Self {
            left: &[Index::Row, Index::Inner],
            batch: [1, 1],
            rows: self.batch[0] * self.batch[1] * self.rows,
            ..self
        }
    }
}

/// Matrices whose rows and columns are the given indices, among axes with these strides. An index without an axis has
/// length 1.
fn view(
    indices: &[Index],
    strides: impl IntoIterator<Item = usize>,
    [(row, rows), (col, cols)]: [(Index, usize); 2],
) -> Batch {
    let strides: Vec<usize> = strides.into_iter().collect();
    let stride = |index| indices.iter().position(|&i| i == index).map_or(0, |axis| strides[axis]);
    Batch {
        layout: Layout { rows, cols, row_stride: stride(row), col_stride: stride(col) },
        strides: [stride(Index::OuterBatch), stride(Index::Batch)],
    }
}

fn product<S: Shape, R: Shape, O: Shape, E: Real, T: Tape<E, Cpu> + Merge<Q>, Q: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    y: Tensor<R, E, Cpu, Q>,
    plan: Plan,
    shape: O,
) -> Out<O, E, T> {
    let (x, tape) = x.split_tape();
    let (y, more) = y.split_tape();
    let tape = tape.merge(more);
    let (plan, (x, tape), strides) = if plan.is_shared() {
        let plan = plan.as_one();
        (plan, contiguous(&x, tape)?, vec![plan.inner, 1])
    } else {
        let (x, tape) = operand(x, tape)?;
        let strides = read(&x).1.into_iter().collect();
        (plan, (x, tape), strides)
    };
    let (y, mut tape) = operand(y, tape)?;
    let (x_view, y_view) = (plan.left_view(strides), plan.right_view(read(&y).1));
    let entry = plan.rows * plan.cols;
    let z_view =
        Batch { layout: Layout::row_major(plan.rows, plan.cols), strides: [plan.batch[1] * entry, entry] };
    let mut z = buffer(x.device(), shape.num_elements())?;
    let lengths = plan.batch;
    multiply_batch(lengths, (read(&x).0, x_view), (read(&y).0, y_view), (&mut z, z_view), E::ONE, false);
    let z = x.device().try_tensor_from_vec(z, shape)?;
    let ghost = z.ghost();
    let (of_x, of_y) = (x.clone(), y.clone());
    tape.add_backward_op(move |grads| {
        // One after the other: x and y may be the same tensor, and then add to the same gradient.
        let gz = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let n = x.shape().num_elements();
        let (gx, is_added) = Sum::new(x.device(), grads.get_or_alloc_mut(&x)?, n)?.all();
        let y_transposed = (read(&y).0, y_view.transposed());
        multiply_batch(lengths, (&gz, z_view), y_transposed, (gx, x_view), E::ONE, is_added);
        let n = y.shape().num_elements();
        let (gy, is_added) = Sum::new(y.device(), grads.get_or_alloc_mut(&y)?, n)?.all();
        let x_transposed = (read(&x).0, x_view.transposed());
        multiply_batch(lengths, x_transposed, (&gz, z_view), (gy, y_view), E::ONE, is_added);
        **grads.get_or_alloc_mut(&ghost)? = gz;
        Ok(())
    });
    Ok(z.put_tape(expect(&of_y, expect(&of_x, tape)?)?))
}

/// G + Gᵀ of a square row-major matrix.
fn symmetrised<E: Real>(device: &Cpu, g: &[E], m: usize) -> Result<Vec<E>, CpuError> {
    let mut sum = buffer(device, m * m)?;
    chunks_mut(&mut sum, rows_per_part(m) * m.max(1), |start, sum| {
        for (i, sum) in (start / m..).zip(sum.chunks_exact_mut(m)) {
            for (j, sum) in sum.iter_mut().enumerate() {
                *sum = g[i * m + j] + g[j * m + i];
            }
        }
    });
    Ok(sum)
}

fn gram<M: Dim, K: Dim, E: Real, T: Tape<E, Cpu>>(x: Tensor<(M, K), E, Cpu, T>) -> Out<(M, M), E, T> {
    let (x, tape) = x.split_tape();
    let (x, mut tape) = operand(x, tape)?;
    let device = x.device().clone();
    let layout = matrix_layout(&x);
    let m = layout.rows;
    let mut y = buffer(&device, m * m)?;
    multiply_by_transposed((read(&x).0, layout), &mut y);
    let y = device.try_tensor_from_vec(y, (x.shape().0, x.shape().0))?;
    let (ghost, of_x) = (y.ghost(), x.clone());
    tape.add_backward_op(move |grads| {
        let sum = symmetrised(&device, grads.get_or_alloc_mut(&ghost)?, m)?;
        let n = x.shape().num_elements();
        let (gx, is_added) = Sum::new(&device, grads.get_or_alloc_mut(&x)?, n)?.all();
        multiply((&sum, Layout::row_major(m, m)), (read(&x).0, layout), (gx, layout), is_added);
        recycle(&device, sum);
        Ok(())
    });
    Ok(y.put_tape(expect(&of_x, tape)?))
}

/// Points packed in tiles.
fn packed<E: Real>(device: &Cpu, y: &[E], layout: Layout) -> Result<Vec<E>, CpuError> {
    let (points, features) = (layout.rows, layout.cols);
    let tiles = points.div_ceil(E::TILE);
    let mut packed = buffer(device, tiles * E::TILE * features)?;
    if features > 0 {
        E::pack(y, [layout.row_stride, layout.col_stride], points, features, &mut packed);
    }
    Ok(packed)
}

/// Rows of a result that cost about as much as a part of cheap work.
fn distance_rows(points: usize, features: usize) -> usize {
    (4 * CHUNK / (points * features).max(1)).max(1)
}

/// gx += scale (diag(row sums of G) x − G y), where `g` may be read transposed.
fn pull<E: Real>(
    device: &Cpu,
    (g, g_layout): (&[E], Layout),
    (x, y): (&[E], &[E]),
    features: usize,
    gx: Sum<'_, E>,
) -> Result<(), CpuError> {
    let scale = E::of(2.0);
    let ones = {
        let mut ones = buffer(device, g_layout.cols)?;
        ones.fill(E::ONE);
        ones
    };
    let mut sums = buffer(device, g_layout.rows)?;
    let column = |rows| Layout::row_major(rows, 1);
    multiply((g, g_layout), (&ones, column(g_layout.cols)), (&mut sums, column(g_layout.rows)), false);
    let gx = gx.add(rows_per_part(features) * features.max(1), |start, gx| {
        let rows = x[start..start + gx.len()].chunks_exact(features).zip(gx.chunks_exact_mut(features));
        for (sum, (x, gx)) in sums[start / features..].iter().zip(rows) {
            for (x, gx) in x.iter().zip(gx) {
                *gx += scale * *sum * *x;
            }
        }
    });
    let of = |layout| Batch { layout, strides: [0, 0] };
    let [x_view, y_view] = [g_layout.rows, g_layout.cols].map(|rows| of(Layout::row_major(rows, features)));
    multiply_batch([1, 1], (g, of(g_layout)), (y, y_view), (gx, x_view), -scale, true);
    recycle(device, ones);
    recycle(device, sums);
    Ok(())
}

fn squared_distances<M: Dim, N: Dim, F: Dim, E: Real, T: Tape<E, Cpu> + Merge<Q>, Q: Tape<E, Cpu>>(
    x: Tensor<(M, F), E, Cpu, T>,
    y: Tensor<(N, F), E, Cpu, Q>,
) -> Out<(M, N), E, T> {
    let (x, tape) = x.split_tape();
    let (y, more) = y.split_tape();
    let (x, tape) = contiguous(&x, tape.merge(more))?;
    let (y, mut tape) = contiguous(&y, tape)?;
    let device = x.device().clone();
    let shape = (x.shape().0, y.shape().0);
    let [m, features] = x.shape().concrete();
    let n = shape.1.size();
    let mut d = buffer(&device, m * n)?;
    if features == 0 {
        d.fill(E::zero());
    } else {
        let points = packed(&device, flat(&y), Layout::row_major(n, features))?;
        let rows = distance_rows(n, features);
        chunks_mut(&mut d, (rows * n).max(1), |start, d| {
            let first = start / n * features;
            let x = &flat(&x)[first..first + d.len() / n * features];
            E::squared_distances(x, features, &points, n, 0, d)
        });
        recycle(&device, points);
    }
    let d = device.try_tensor_from_vec(d, shape)?;
    let ghost = d.ghost();
    let (of_x, of_y) = (x.clone(), y.clone());
    tape.add_backward_op(move |grads| {
        let gd = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let layout = Layout::row_major(m, n);
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&x)?, m * features)?;
        pull(&device, (&gd, layout), (flat(&x), flat(&y)), features, gx)?;
        let gy = Sum::new(&device, grads.get_or_alloc_mut(&y)?, n * features)?;
        pull(&device, (&gd, layout.transposed()), (flat(&y), flat(&x)), features, gy)?;
        **grads.get_or_alloc_mut(&ghost)? = gd;
        Ok(())
    });
    Ok(d.put_tape(expect(&of_y, expect(&of_x, tape)?)?))
}

fn pairwise_squared_distances<M: Dim, F: Dim, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(M, F), E, Cpu, T>,
) -> Out<(M, M), E, T> {
    let (x, tape) = x.split_tape();
    let (x, mut tape) = contiguous(&x, tape)?;
    let device = x.device().clone();
    let [m, features] = x.shape().concrete();
    let mut d = buffer(&device, m * m)?;
    if features == 0 {
        d.fill(E::zero());
    } else {
        let points = packed(&device, flat(&x), Layout::row_major(m, features))?;
        let rows = distance_rows(m, features);
        let mut above = buffer(&device, m * m)?;
        // Each row from the tile that holds its diagonal element on.
        chunks_mut(&mut above, (rows * m).max(1), |start, d| {
            let row = start / m;
            let x = &flat(&x)[row * features..(row + d.len() / m) * features];
            E::squared_distances(x, features, &points, m, row / E::TILE, d)
        });
        chunks_mut(&mut d, rows_per_part(m) * m.max(1), |start, d| {
            let first = start / m;
            for (i, d) in (first..).zip(d.chunks_exact_mut(m)) {
                d[i..].copy_from_slice(&above[i * m + i..(i + 1) * m]);
                for (j, d) in d[..i].iter_mut().enumerate() {
                    *d = above[j * m + i];
                }
            }
        });
        recycle(&device, points);
        recycle(&device, above);
    }
    let d = device.try_tensor_from_vec(d, (x.shape().0, x.shape().0))?;
    let (ghost, of_x) = (d.ghost(), x.clone());
    tape.add_backward_op(move |grads| {
        let sum = symmetrised(&device, grads.get_or_alloc_mut(&ghost)?, m)?;
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&x)?, m * features)?;
        pull(&device, (&sum, Layout::row_major(m, m)), (flat(&x), flat(&x)), features, gx)?;
        recycle(&device, sum);
        Ok(())
    });
    Ok(d.put_tape(expect(&of_x, tape)?))
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! fused {
    ($E:ty) => {
        impl MatrixDevice<$E> for Cpu {
            fn multiply<S: Shape, R: Shape, O: Shape, T: Tape<$E, Cpu> + Merge<Q>, Q: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                y: Tensor<R, $E, Cpu, Q>,
                plan: Plan,
                shape: O,
            ) -> Out<O, $E, T> {
                product(x, y, plan, shape)
            }
            fn gram<M: Dim, K: Dim, T: Tape<$E, Cpu>>(x: Tensor<(M, K), $E, Cpu, T>) -> Out<(M, M), $E, T> {
                gram(x)
            }
            fn squared_distances<M: Dim, N: Dim, F: Dim, T: Tape<$E, Cpu> + Merge<Q>, Q: Tape<$E, Cpu>>(
                x: Tensor<(M, F), $E, Cpu, T>,
                y: Tensor<(N, F), $E, Cpu, Q>,
            ) -> Out<(M, N), $E, T> {
                squared_distances(x, y)
            }
            fn pairwise_squared_distances<M: Dim, F: Dim, T: Tape<$E, Cpu>>(
                x: Tensor<(M, F), $E, Cpu, T>,
            ) -> Out<(M, M), $E, T> {
                pairwise_squared_distances(x)
            }
        }
    };
}
fused!(f32);
fused!(f64);
