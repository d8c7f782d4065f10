//! The reductions composed of dfdx operations: what `Cuda` runs, and the slow twin in the tests.
use super::{Correction, ReducedShape, Reduction, cpu::runs};
use crate::{Device, Real, RowMajor};
use dfdx::prelude::*;

pub fn reduce<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    reduction: Reduction,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    // dfdx's reductions give wrong gradients for permuted inputs.
    let x = x.try_row_major()?;
    let n = runs::<S, Ax>(x.shape()).iter().filter(|run| run.0).map(|run| run.1).product::<usize>();
    match reduction {
        Reduction::Sum => x.try_sum::<ReducedShape<S, Ax>, Ax>(),
        Reduction::Mean => x.try_sum::<ReducedShape<S, Ax>, Ax>()?.try_div(E::of(n as f64)),
        Reduction::Var(correction) => {
            let mean = x
                .with_empty_tape()
                .try_mean::<ReducedShape<S, Ax>, Ax>()?
                .try_broadcast_like::<S, Ax>(x.shape())?;
            let squares = x.try_sub(mean)?.try_square()?;
            squares.try_sum::<ReducedShape<S, Ax>, Ax>()?.try_div(E::of(Correction::divisor(correction, n)))
        }
        Reduction::Norm => {
            // Σ x w with the fixed w = x / |x|, 0 at 0: its value is |x| and its gradient w.
            let fixed = x.retaped::<NoneTape>();
            let norm = fixed.clone().try_square()?.try_sum::<ReducedShape<S, Ax>, Ax>()?.try_sqrt()?;
            let direction = fixed.try_div(norm.try_broadcast_like::<S, Ax>(x.shape())?)?.try_nans_to(0.0)?;
            x.try_mul(direction)?.try_sum::<ReducedShape<S, Ax>, Ax>()
        }
        Reduction::Max => first_extreme::<S, Ax, E, D, T>(x, true),
        Reduction::Min => first_extreme::<S, Ax, E, D, T>(x, false),
        Reduction::LogSumExp => x.try_logsumexp::<ReducedShape<S, Ax>, Ax>(),
    }
}

/// For every place of the reduced shape, the elements along the reduced axes: where each lies in row-major order.
fn places<S: Shape, Ax: Axes>(shape: &S) -> Vec<Vec<usize>> {
    let mut places: Vec<Vec<usize>> = vec![vec![0]];
    let mut stride = shape.num_elements();
    for (is_reduced, length) in runs::<S, Ax>(shape) {
        stride = stride.checked_div(length).unwrap_or(0);
        let along = |start: usize| (0..length).map(move |i| start + i * stride);
        places = match is_reduced {
            true => places.into_iter().map(|place| place.into_iter().flat_map(along).collect()).collect(),
            false => places
                .into_iter()
                .flat_map(|place| (0..length).map(move |i| place.iter().map(|at| at + i * stride).collect()))
                .collect(),
        };
    }
    places
}

/// Position of the first largest or smallest among some elements; a NaN is more than everything.
fn first<E: Real>(elements: &[E], place: &[usize], is_largest: bool) -> Option<usize> {
    let is_more = |a: E, b: E| if is_largest { a > b } else { a < b };
    let mut best: Option<usize> = None;
    for (j, &at) in place.iter().enumerate() {
        let replaces = best.is_none_or(|best| {
            let (new, old) = (elements[at], elements[place[best]]);
            is_more(new, old) || (new.is_nan() && !old.is_nan())
        });
        best = if replaces { Some(j) } else { best };
    }
    best
}

fn elements<S: Shape, E: Real, D: Device<E>, T>(x: &Tensor<S, E, D, T>) -> Vec<E> {
    if x.shape().num_elements() == 0 { vec![] } else { x.as_vec() }
}

/// Σ x over a mask of one element: dfdx's own maximum gives the gradient to every tied one.
fn first_extreme<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    is_largest: bool,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    let (all, device) = (elements(&x), x.device().clone());
    let mut mask = vec![E::zero(); all.len()];
    for place in places::<S, Ax>(x.shape()) {
        if let Some(j) = first(&all, &place, is_largest) {
            mask[place[j]] = E::ONE;
        }
    }
    let mask = device.try_tensor_from_vec(mask, *x.shape())?.try_gt(E::zero())?;
    let zeros = device.try_zeros_like(x.shape())?.put_tape(T::default());
    let sum = mask.try_choose(x, zeros)?.try_sum::<ReducedShape<S, Ax>, Ax>()?;
    // Nothing has no extreme: ∓∞.
    if all.is_empty() {
        sum.try_sub(if is_largest { E::infinity() } else { E::neg_infinity() })
    } else {
        Ok(sum)
    }
}

pub fn arg_extreme<S: Shape, Ax: Axes, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    is_largest: bool,
) -> Result<Vec<usize>, D::Err> {
    let all = elements(x);
    let indices = places::<S, Ax>(x.shape()).into_iter().map(|place| first(&all, &place, is_largest));
    Ok(indices.map(|index| index.unwrap_or(0)).collect())
}

pub fn softmax_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    is_log: bool,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let x = x.try_row_major()?;
    if is_log { x.try_log_softmax::<Ax>() } else { x.try_softmax::<Ax>() }
}
