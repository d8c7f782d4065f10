//! Resampling composed of dfdx operations: banded matrices as full ones, and permutations.
use super::{Band, Edge, Filling, Rearrangement};
use crate::{Device, Real, RowMajor};
use dfdx::prelude::*;

type Planes = (usize, usize, usize);
type Maps = (usize, usize, usize, usize);

/// x Bᵀ along the last axis, and that axis moved to the middle.
fn along_rows<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Planes, E, D, T>,
    band: &Band,
) -> Result<Tensor<Planes, E, D, T>, D::Err> {
    let (planes, height, width) = *x.shape();
    let dense = band.transposed().dense().iter().map(|&weight| E::of(weight)).collect();
    let matrix = x.device().try_tensor_from_vec(dense, (width, band.outputs()))?;
    let y = x.try_reshaped(&(planes * height, width))?.try_matmul(matrix)?;
    let y = y.try_reshaped(&(planes, height, band.outputs()))?;
    y.try_permute::<Planes, Axes3<0, 2, 1>>()?.try_row_major()
}

pub fn separable<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Planes, E, D, T>,
    [rows, cols]: [&Band; 2],
) -> Result<Tensor<Planes, E, D, T>, D::Err> {
    along_rows(along_rows(x, cols)?, rows)
}

pub fn pad<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Planes, E, D, T>,
    filling: Filling,
    edges: [Edge; 2],
) -> Result<Tensor<Planes, E, D, T>, D::Err> {
    let [rows, cols] = edges.map(|edge| Band::border(filling, edge));
    separable(x, [&rows, &cols])
}

pub fn rearrange<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Maps, E, D, T>,
    factors @ [p, q]: [usize; 2],
    way: Rearrangement,
) -> Result<Tensor<Maps, E, D, T>, D::Err> {
    type Six = (usize, usize, usize, usize, usize, usize);
    let (n, c, h, w) = *x.shape();
    let shape = way.shape((n, c, h, w), factors);
    let y = match way {
        Rearrangement::Shuffle => {
            let x = x.try_reshaped(&(n, shape.1, p, q, h, w))?;
            x.try_permute::<Six, Axes6<0, 1, 4, 2, 5, 3>>()?
        }
        Rearrangement::Unshuffle => {
            let x = x.try_reshaped(&(n, c, shape.2, p, shape.3, q))?;
            x.try_permute::<Six, Axes6<0, 1, 3, 5, 2, 4>>()?
        }
    };
    y.try_reshaped(&shape)
}

pub fn concat_channels<E: Real, D: Device<E>, T: Tape<E, D>>(
    first: Tensor<Planes, E, D>,
    others: Vec<Tensor<Planes, E, D>>,
    tape: T,
) -> Result<Tensor<Planes, E, D, T>, D::Err> {
    others.into_iter().try_fold(first.put_tape(tape), |all, next| {
        (all, next.put_tape(T::default())).try_concat_along(Axis::<1>)
    })
}
