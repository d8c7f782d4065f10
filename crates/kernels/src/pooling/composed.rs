//! Max pooling composed of dfdx operations: the indices are found on the host, elements are gathered by dfdx.
use super::{Pick, PlaneWindows, Planes};
use crate::{Device, Real, RowMajor};
use dfdx::prelude::*;
use std::sync::Arc;

type Rows<E, D, T> = Result<Tensor<(usize, usize), E, D, T>, <D as HasErr>::Err>;

/// The first largest element of each window, or its last NaN, by looking at every position.
fn maxima<E: Real>(windows: PlaneWindows, x: &[E]) -> Vec<u32> {
    let [height, width] = windows.extents;
    let positions = |axis: usize, output: usize| {
        let (taps, extent) = (windows.taps[axis], windows.extents[axis]);
        (0..taps.kernel)
            .map(move |k| output * taps.stride + k * taps.dilation)
            .filter(move |&position| (taps.padding..taps.padding + extent).contains(&position))
            .map(move |position| position - taps.padding)
    };
    let mut indices = Vec::new();
    for plane in x.chunks_exact(height * width) {
        for i in 0..windows.outputs[0] {
            for j in 0..windows.outputs[1] {
                let all = positions(0, i).flat_map(|row| positions(1, j).map(move |col| row * width + col));
                let largest = all.reduce(|best, index| {
                    if plane[index] > plane[best] || plane[index].is_nan() { index } else { best }
                });
                indices.push(largest.expect("every window reaches into the plane") as u32);
            }
        }
    }
    indices
}

#[allow(clippy::type_complexity)]
pub fn max_pool<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Planes, E, D, T>,
    windows: PlaneWindows,
) -> Result<(Tensor<Planes, E, D, T>, Pick), D::Err> {
    let shape = (x.shape().0, windows.outputs[0], windows.outputs[1]);
    let elements = if x.shape().num_elements() == 0 { vec![] } else { x.as_vec() };
    let by = Pick { sizes: windows.sizes(), indices: Arc::new(maxima(windows, &elements)) };
    Ok((pick(x, &by)?.try_reshaped(&shape)?, by))
}

pub fn pick<E: Real, D: Device<E>, T: Tape<E, D>>(x: Tensor<Planes, E, D, T>, by: &Pick) -> Rows<E, D, T> {
    let [from, to] = by.sizes;
    let planes = x.shape().0;
    let indices = by.indices.iter().map(|&index| index as usize).collect();
    let indices: Tensor<_, usize, D> = x.device().try_tensor_from_vec(indices, (planes, to))?;
    x.try_reshaped(&(planes, from))?.try_gather(indices)
}

/// A product with the transposed matrix of the choice, plane by plane.
pub fn place<E: Real, D: Device<E>, T: Tape<E, D>>(x: Tensor<Planes, E, D, T>, by: &Pick) -> Rows<E, D, T> {
    let [to, from] = by.sizes;
    let planes = x.shape().0;
    let mut choice = vec![E::zero(); planes * from * to];
    for (row, &index) in choice.chunks_exact_mut(to.max(1)).zip(by.indices.iter()) {
        row[index as usize] = E::ONE;
    }
    let choice = x.device().try_tensor_from_vec(choice, (planes, from, to))?;
    let x = x.try_reshaped(&(planes, 1, from))?;
    x.try_matmul(choice)?.try_reshaped(&(planes, to))
}
