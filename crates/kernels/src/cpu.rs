//! The fused bodies: each operation on `Cpu`, recorded on dfdx's tape.
//!
//! The pattern of every body: take the tape off, write the output in parts, and if a tape is there give it a closure
//! that takes the output's gradient out (no copy), adds the input's share to its gradient, and puts the former back.
//! Inputs that are broadcast or permuted are copied first, by an operation of dfdx that is itself on the tape.
use crate::bridge::{buffer, dense, flat, recycle};
use crate::formulas::{Kept, slope_is_stored};
use crate::gradient::{Sum, expect};
use crate::loops::{CHUNK, rows_per_part, sum_of_parts};
use crate::pool::{chunks_mut, chunks_mut2};
use crate::product::{Layout, multiply};
use crate::{ActivationKind, BaseDevice, Device, FeaturesLast, InputGradient, Real};
use dfdx::prelude::*;
use std::mem::take;

pub(crate) type Out<S, E, T> = Result<Tensor<S, E, Cpu, T>, CpuError>;

/// The part of `x` that belongs to a chunk of another slice of the same length.
pub(crate) fn part<'a, X, Y>(x: &'a [X], start: usize, chunk: &[Y]) -> &'a [X] {
    &x[start..start + chunk.len()]
}

/// A tensor with row-major memory and no tape, and the tape with what that took.
pub(crate) fn contiguous<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: &Tensor<S, E, Cpu>,
    tape: T,
) -> Result<(Tensor<S, E, Cpu>, T), CpuError> {
    let (x, more) = x.retaped::<T>().try_contiguous()?.split_tape();
    Ok((x, tape.merge(more)))
}

/// A tensor that [`dense`] can read and no tape, and the tape with what that took.
pub(crate) fn operand<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu>,
    tape: T,
) -> Result<(Tensor<S, E, Cpu>, T), CpuError> {
    if dense(&x).is_some() { Ok((x, tape)) } else { contiguous(&x, tape) }
}

/// The elements and strides of what [`operand`] returned.
pub(crate) fn read<S: Shape, E: Real>(x: &Tensor<S, E, Cpu>) -> (&[E], S::Concrete) {
    dense(x).expect("`operand` has made the tensor readable")
}

/// How a matrix that [`operand`] returned lies in memory.
pub(crate) fn matrix_layout<M: Dim, N: Dim, E: Real>(x: &Tensor<(M, N), E, Cpu>) -> Layout {
    let ([rows, cols], [row_stride, col_stride]) = (x.shape().concrete(), read(x).1);
    Layout { rows, cols, row_stride, col_stride }
}

/// y = f(x) element by element, with φ′ kept in a second buffer; the backward pass is gx += gy d.
fn map_with_slope<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    kind: ActivationKind,
    pass: impl Fn(ActivationKind, &[E], &mut [E], &mut [E]) + Sync,
) -> Out<S, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let device = x.device().clone();
    let n = x.shape().num_elements();
    let (mut y, mut slope) = (buffer(&device, n)?, buffer(&device, n)?);
    chunks_mut2((&mut y, CHUNK), (&mut slope, CHUNK), |start, y, d| {
        pass(kind, part(flat(&x), start, y), y, d)
    });
    let y = device.try_tensor_from_vec(y, *x.shape())?;
    let (of_x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, n)?.add(CHUNK, |start, gx| {
            E::back(kind, Kept::Slope(part(&slope, start, gx)), part(&gy, start, gx), gx)
        });
        **grads.get_or_alloc_mut(&ghost)? = gy;
        recycle(&device, slope);
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

/// y = f(x) where backward reads y alone: `back(y, gy, gx)`. A part holds whole rows of `row` elements.
pub(crate) fn map_from_output<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    row: usize,
    forward: impl Fn(&[E], &mut [E]) + Sync,
    back: impl Fn(&[E], &[E], &mut [E]) + Sync + 'static,
) -> Out<S, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let chunk = rows_per_part(row) * row;
    let n = x.shape().num_elements();
    let mut y = buffer(x.device(), n)?;
    chunks_mut(&mut y, chunk, |start, y| forward(part(flat(&x), start, y), y));
    let y = x.device().try_tensor_from_vec(y, *x.shape())?;
    let (of_x, kept) = (x.ghost(), y.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&kept)?);
        Sum::new(kept.device(), grads.get_or_alloc_mut(&of_x)?, n)?
            .add(chunk, |start, gx| back(part(flat(&kept), start, gx), part(&gy, start, gx), gx));
        **grads.get_or_alloc_mut(&kept)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

/// Length of the last axis; 1 for a scalar, and never 0.
pub(crate) fn last_axis<S: Shape>(shape: &S) -> usize {
    shape.concrete().into_iter().last().unwrap_or(1).max(1)
}

/// Σ over chunks of `n` elements: `term(range)`.
pub(crate) fn sum_of_chunks<E: Real>(n: usize, term: impl Fn(std::ops::Range<usize>) -> E + Sync) -> E {
    sum_of_parts(n.div_ceil(CHUNK), |i| term(i * CHUNK..((i + 1) * CHUNK).min(n)))
}

/// `scale` Σ x, whose gradient is `scale` everywhere.
fn scaled_sum<S: Shape, E: Real, T: Tape<E, Cpu>>(x: Tensor<S, E, Cpu, T>, scale: E) -> Out<Rank0, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let (elements, device) = (flat(&x), x.device().clone());
    let n = elements.len();
    let y = scalar(&device, scale * sum_of_chunks(n, |range| E::total(&elements[range])))?;
    let (of_x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let g = scale * grads.get_or_alloc_mut(&ghost)?[0];
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, n)?;
        gx.add(CHUNK, |_, gx| E::add_constant(g, gx));
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

/// A tensor of one number.
pub(crate) fn scalar<E: Real>(device: &Cpu, value: E) -> Out<Rank0, E, NoneTape> {
    let mut y = buffer(device, 1)?;
    y[0] = value;
    device.try_tensor_from_vec(y, ())
}

pub fn activate<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    kind: ActivationKind,
) -> Out<S, E, T> {
    if T::OWNS_TAPE && slope_is_stored(kind) {
        map_with_slope(x, kind, E::value_and_slope)
    } else {
        map_from_output(
            x,
            1,
            move |x, y| E::value(kind, x, y),
            move |y, gy, gx| E::back(kind, Kept::Output(y), gy, gx),
        )
    }
}

pub fn activation_slope<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    kind: ActivationKind,
) -> Out<S, E, T> {
    map_with_slope(x, kind, E::slope_and_curvature)
}

pub fn softmax<S: Shape, E: Real, T: Tape<E, Cpu>>(x: Tensor<S, E, Cpu, T>) -> Out<S, E, T> {
    let row = last_axis(x.shape());
    map_from_output(
        x,
        row,
        move |x, y| E::softmax(row, x, y),
        move |y, gy, gx| E::softmax_back(row, y, gy, gx),
    )
}

pub fn log_softmax<S: Shape, E: Real, T: Tape<E, Cpu>>(x: Tensor<S, E, Cpu, T>) -> Out<S, E, T> {
    let row = last_axis(x.shape());
    map_from_output(
        x,
        row,
        move |x, y| E::log_softmax(row, x, y),
        move |y, gy, gx| E::log_softmax_back(row, y, gy, gx),
    )
}

pub fn linear<const I: usize, const O: usize, S: FeaturesLast<I>, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    weight: &Tensor<Rank2<O, I>, E, Cpu>,
    bias: &Tensor<Rank1<O>, E, Cpu>,
    kind: ActivationKind,
    input_gradient: InputGradient,
) -> Out<S::With<O>, E, T> {
    let shape = x.shape().with::<O>();
    // Of the leading axes: with O = 0 or I = 0 there is nothing to divide.
    let rows: usize = x.shape().concrete().into_iter().take(S::NUM_DIMS - 1).product();
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (weight, tape) = operand(weight.clone(), tape)?;
    let (bias, mut tape) = contiguous(bias, tape)?;
    let device = x.device().clone();
    let w_layout = matrix_layout(&weight); // (O, I)
    let (x_layout, y_layout) = (Layout::row_major(rows, I), Layout::row_major(rows, O));
    let chunk = rows_per_part(O) * O.max(1);
    let stored = T::OWNS_TAPE && slope_is_stored(kind);

    let mut y = buffer(&device, rows * O)?;
    multiply((flat(&x), x_layout), (read(&weight).0, w_layout.transposed()), (&mut y, y_layout), false);
    let mut slope = buffer(&device, if stored { rows * O } else { 0 })?;
    if stored {
        chunks_mut2((&mut y, chunk), (&mut slope, chunk), |_, y, d| {
            E::bias_value_and_slope(kind, flat(&bias), y, d)
        });
    } else {
        chunks_mut(&mut y, chunk, |_, y| E::bias_value(kind, flat(&bias), y));
    }
    let y = device.try_tensor_from_vec(y, shape)?;
    let kept = y.clone();
    let (of_x, of_weight) = (x.clone(), weight.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&kept)?);
        let mut sums = buffer(&device, (rows * O).div_ceil(chunk) * O)?;
        let mut g = buffer(&device, if kind == ActivationKind::Identity { 0 } else { rows * O })?;
        if kind == ActivationKind::Identity {
            chunks_mut(&mut sums, O.max(1), |start, sums| {
                let from = start / O * chunk;
                E::sum_rows(&gy[from..(from + chunk).min(gy.len())], sums)
            });
        } else {
            chunks_mut2((&mut g, chunk), (&mut sums, O.max(1)), |start, g, sums| {
                let kept = if stored {
                    Kept::Slope(part(&slope, start, g))
                } else {
                    Kept::Output(part(flat(&kept), start, g))
                };
                E::back_rows(kind, kept, part(&gy, start, g), g, sums)
            });
        }
        let gradient = if kind == ActivationKind::Identity { &gy } else { &g };
        let gb = grads.get_or_alloc_mut(&bias)?;
        for sums in sums.chunks_exact(O.max(1)) {
            E::add_to(sums, gb);
        }
        let gw = Sum::new(&device, grads.get_or_alloc_mut(&weight)?, I * O)?;
        let (gw, is_added) = gw.all();
        multiply((gradient, y_layout.transposed()), (flat(&x), x_layout), (gw, w_layout), is_added);
        if input_gradient == InputGradient::Needed {
            let (gx, is_added) = Sum::new(&device, grads.get_or_alloc_mut(&x)?, rows * I)?.all();
            multiply((gradient, y_layout), (read(&weight).0, w_layout), (gx, x_layout), is_added);
        }
        **grads.get_or_alloc_mut(&kept)? = gy;
        for buffer in [sums, g, slope] {
            recycle(&device, buffer);
        }
        Ok(())
    });
    if input_gradient == InputGradient::Needed {
        tape = expect(&of_x, tape)?;
    }
    Ok(y.put_tape(expect(&of_weight, tape)?))
}

pub fn cross_entropy_mean<B: Dim, C: Dim, E: Real, T: Tape<E, Cpu>>(
    logits: Tensor<(B, C), E, Cpu, T>,
    labels: &[usize],
) -> Out<Rank0, E, T> {
    let (x, mut tape) = logits.try_contiguous()?.split_tape();
    let device = x.device().clone();
    let [rows, classes] = x.shape().concrete();
    let rows_of_part = rows_per_part(classes);
    let chunk = rows_of_part * classes.max(1);
    let mut probs = buffer(&device, rows * classes)?;
    let mut losses = buffer(&device, (rows * classes).div_ceil(chunk))?;
    let labels_of = |start: usize, elements: usize| {
        let first = start / classes;
        first..first + elements / classes
    };
    chunks_mut2((&mut probs, chunk), (&mut losses, 1), |start, probs, loss| {
        let labels = &labels[labels_of(start, probs.len())];
        loss[0] = E::cross_entropy(labels, part(flat(&x), start, probs), probs)
    });
    let scale = E::ONE / E::of(rows as f64);
    let loss = scalar(&device, E::total(&losses) * scale)?;
    recycle(&device, losses);
    if !T::OWNS_TAPE {
        recycle(&device, probs);
        return Ok(loss.put_tape(tape));
    }
    let (of_x, ghost, labels) = (x.ghost(), loss.ghost(), labels.to_vec());
    tape.add_backward_op(move |grads| {
        let g = scale * grads.get_or_alloc_mut(&ghost)?[0];
        Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, rows * classes)?.add(chunk, |start, gx| {
            let first = start / classes;
            let labels = &labels[first..first + gx.len() / classes];
            E::cross_entropy_back(labels, part(&probs, start, gx), g, gx)
        });
        recycle(&device, probs);
        Ok(())
    });
    Ok(loss.put_tape(expect(&x, tape)?))
}

pub fn bce_with_logits_mean<S: Shape, E: Real, T: Tape<E, Cpu>>(
    logits: Tensor<S, E, Cpu, T>,
    probs: &Tensor<S, E, Cpu>,
) -> Out<Rank0, E, T> {
    let (z, mut tape) = logits.try_contiguous()?.split_tape();
    let p = probs.clone().try_contiguous()?;
    let n = z.shape().num_elements();
    let scale = E::ONE / E::of(n as f64);
    let sum = sum_of_chunks(n, |range| E::bce(&flat(&z)[range.clone()], &flat(&p)[range]));
    let loss = scalar(z.device(), sum * scale)?;
    let (ghost, of_z) = (loss.ghost(), z.clone());
    tape.add_backward_op(move |grads| {
        let g = scale * grads.get_or_alloc_mut(&ghost)?[0];
        Sum::new(z.device(), grads.get_or_alloc_mut(&z)?, n)?
            .add(CHUNK, |start, gz| E::bce_back(part(flat(&z), start, gz), part(flat(&p), start, gz), g, gz));
        Ok(())
    });
    Ok(loss.put_tape(expect(&of_z, tape)?))
}

pub fn mse_mean<S: Shape, E: Real, T: Tape<E, Cpu> + Merge<R>, R: Tape<E, Cpu>>(
    y: Tensor<S, E, Cpu, T>,
    target: Tensor<S, E, Cpu, R>,
) -> Out<Rank0, E, T> {
    let (y, tape) = y.try_contiguous()?.split_tape();
    let (target, more) = target.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let n = y.shape().num_elements();
    let scale = E::ONE / E::of(n as f64);
    let sum = sum_of_chunks(n, |range| E::squared_error(&flat(&y)[range.clone()], &flat(&target)[range]));
    let loss = scalar(y.device(), sum * scale)?;
    let (ghost, of_y) = (loss.ghost(), y.clone());
    tape.add_backward_op(move |grads| {
        let g = E::of(2.0) * scale * grads.get_or_alloc_mut(&ghost)?[0];
        let back = |grads: &mut Gradients<E, Cpu>, of: &Tensor<S, E, Cpu>, g: E| {
            Sum::new(of.device(), grads.get_or_alloc_mut(of)?, n)?.add(CHUNK, |start, out| {
                E::add_difference(part(flat(&y), start, out), part(flat(&target), start, out), g, out)
            });
            Ok(())
        };
        back(grads, &y, g)?;
        if R::OWNS_TAPE { back(grads, &target, -g) } else { Ok(()) }
    });
    Ok(loss.put_tape(expect(&of_y, tape)?))
}

pub fn sum_all<S: Shape, E: Real, T: Tape<E, Cpu>>(x: Tensor<S, E, Cpu, T>) -> Out<Rank0, E, T> {
    scaled_sum(x, E::ONE)
}

pub fn mean_all<S: Shape, E: Real, T: Tape<E, Cpu>>(x: Tensor<S, E, Cpu, T>) -> Out<Rank0, E, T> {
    let scale = E::ONE / E::of(x.shape().num_elements() as f64);
    scaled_sum(x, scale)
}

pub fn filled<S: Shape, E: Real>(device: &Cpu, shape: S, fill: impl FnOnce(&mut [E])) -> Out<S, E, NoneTape> {
    let mut elements = buffer(device, shape.num_elements())?;
    fill(&mut elements);
    device.try_tensor_from_vec(elements, shape)
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! fused {
    ($E:ty) => {
        impl Device<$E> for Cpu {
            fn activate<S: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                kind: ActivationKind,
            ) -> Out<S, $E, T> {
                activate(x, kind)
            }
            fn activation_slope<S: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                kind: ActivationKind,
            ) -> Out<S, $E, T> {
                activation_slope(x, kind)
            }
            fn softmax<S: Shape, T: Tape<$E, Cpu>>(x: Tensor<S, $E, Cpu, T>) -> Out<S, $E, T> {
                softmax(x)
            }
            fn log_softmax<S: Shape, T: Tape<$E, Cpu>>(x: Tensor<S, $E, Cpu, T>) -> Out<S, $E, T> {
                log_softmax(x)
            }
            fn linear<const I: usize, const O: usize, S: FeaturesLast<I>, T: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                weight: &Tensor<Rank2<O, I>, $E, Cpu>,
                bias: &Tensor<Rank1<O>, $E, Cpu>,
                kind: ActivationKind,
                input_gradient: InputGradient,
            ) -> Out<S::With<O>, $E, T> {
                linear(x, weight, bias, kind, input_gradient)
            }
            fn cross_entropy_mean<B: Dim, C: Dim, T: Tape<$E, Cpu>>(
                logits: Tensor<(B, C), $E, Cpu, T>,
                labels: &[usize],
            ) -> Out<Rank0, $E, T> {
                cross_entropy_mean(logits, labels)
            }
            fn bce_with_logits_mean<S: Shape, T: Tape<$E, Cpu>>(
                logits: Tensor<S, $E, Cpu, T>,
                probs: &Tensor<S, $E, Cpu>,
            ) -> Out<Rank0, $E, T> {
                bce_with_logits_mean(logits, probs)
            }
            fn mse_mean<S: Shape, T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                y: Tensor<S, $E, Cpu, T>,
                target: Tensor<S, $E, Cpu, R>,
            ) -> Out<Rank0, $E, T> {
                mse_mean(y, target)
            }
            fn sum_all<S: Shape, T: Tape<$E, Cpu>>(x: Tensor<S, $E, Cpu, T>) -> Out<Rank0, $E, T> {
                sum_all(x)
            }
            fn mean_all<S: Shape, T: Tape<$E, Cpu>>(x: Tensor<S, $E, Cpu, T>) -> Out<Rank0, $E, T> {
                mean_all(x)
            }
        }

        impl BaseDevice<$E> for Cpu {
            fn filled<S: Shape>(&self, shape: S, fill: impl FnOnce(&mut [$E])) -> Out<S, $E, NoneTape> {
                filled(self, shape, fill)
            }
        }
    };
}

fused!(f32);
fused!(f64);
