//! Convolution composed of dfdx operations: the slow twin of the tests.
//!
//! A tap along an axis is a matrix of zeros and ones that picks, for each window, the position it sees (none in the
//! padding). All taps of both axes are two matrix products; the transposed convolution is their transposes.
use super::{Axis, Sizes};
use crate::device::BaseDevice;
use crate::{ActivationKind, Device, InputGradient, Real, RowMajor, composed};
use dfdx::prelude::*;

/// `(extent, taps · windows)`: column `(u, i)` is the position that tap `u` of window `i` sees.
pub(super) fn picks<E: Real, D: BaseDevice<E>>(
    device: &D,
    axis: Axis,
) -> Result<Tensor<(usize, usize), E, D>, D::Err> {
    let columns = axis.taps.kernel * axis.windows;
    let mut picks = vec![E::zero(); axis.extent * columns];
    for u in 0..axis.taps.kernel {
        for i in 0..axis.windows {
            let padded = i * axis.taps.stride + u * axis.taps.dilation;
            if let Some(position) = padded.checked_sub(axis.taps.padding).filter(|&at| at < axis.extent) {
                picks[position * columns + u * axis.windows + i] = E::ONE;
            }
        }
    }
    device.try_tensor_from_vec(picks, (axis.extent, columns))
}

/// `x` without a way back for its gradient, if nobody wants that.
pub(crate) fn input<X: Shape, E: Real, D: BaseDevice<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    wanted: InputGradient,
) -> Result<Tensor<X, E, D, T>, D::Err> {
    match wanted {
        InputGradient::Needed => Ok(x),
        InputGradient::Skipped => {
            let (x, tape) = x.split_tape();
            Ok(x.try_mul(E::ONE)?.put_tape(tape)) // a copy with an id of its own
        }
    }
}

/// `y` of `(N, O, ..)` plus `bias` along `O`, and what follows.
pub(crate) fn finish<O: Dim, Y: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    y: Tensor<(usize, usize, usize), E, D, T>,
    bias: Option<&Tensor<(O,), E, D>>,
    activation: ActivationKind,
    shape: Y,
) -> Result<Tensor<Y, E, D, T>, D::Err> {
    let y = match bias {
        Some(bias) => {
            let full = *y.shape();
            let bias = bias.retaped::<T>().try_reshaped(&(full.1,))?;
            y.try_add(bias.try_broadcast_like::<_, Axes2<0, 2>>(&full)?)?
        }
        None => y,
    };
    composed::activate(y.try_reshaped(&shape)?, activation)
}

pub fn conv2d<X: Shape, W: Shape, O: Dim, Y: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    weight: &Tensor<W, E, D>,
    bias: Option<&Tensor<(O,), E, D>>,
    sizes: Sizes,
    shape: Y,
) -> Result<Tensor<Y, E, D, T>, D::Err> {
    let Sizes { images: n, groups: g, image_channels: c, window_channels: o, y, x: along_x, .. } = sizes;
    let (h, w, oh, ow) = (y.extent, along_x.extent, y.windows, along_x.windows);
    let (kh, kw) = (y.taps.kernel, along_x.taps.kernel);
    let device = x.device().clone();
    let (pick_y, pick_x) = (picks(&device, y)?, picks(&device, along_x)?);
    let x = input(x, sizes.input_gradient)?;
    let x = x.try_reshaped(&(n * g * c * h, w))?.try_matmul(pick_x)?; // (NGCH, KW OW)
    let x =
        x.try_reshaped(&(n * g * c, h, kw * ow))?.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?;
    let x = x.try_reshaped(&(n * g * c * kw * ow, h))?.try_matmul(pick_y)?; // (NGC KW OW, KH OH)
    let x = x
        .try_reshaped(&(n, g, c * kw, ow, kh, oh))?
        .try_permute::<(usize, usize, usize, usize, usize, usize), Axes6<1, 2, 4, 0, 5, 3>>()?;
    let patches = x.try_reshaped(&(g, c * kw * kh, n * oh * ow))?;
    let weight = weight.retaped::<T>().try_reshaped(&(g, o, c, kh, kw))?;
    let weight = weight.try_permute::<(usize, usize, usize, usize, usize), Axes5<0, 1, 2, 4, 3>>()?;
    let weight = weight.try_reshaped(&(g, o, c * kw * kh))?;
    let y = weight.try_matmul(patches)?.try_reshaped(&(g * o, n, oh * ow))?;
    finish(y.try_permute::<(usize, usize, usize), Axes3<1, 0, 2>>()?, bias, sizes.activation, shape)
}

pub fn conv_transpose2d<X: Shape, W: Shape, O: Dim, Y: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    weight: &Tensor<W, E, D>,
    bias: Option<&Tensor<(O,), E, D>>,
    sizes: Sizes,
    shape: Y,
) -> Result<Tensor<Y, E, D, T>, D::Err> {
    let Sizes { images: n, groups: g, image_channels: o, window_channels: c, y, x: along_x, .. } = sizes;
    let (oh, ow, h, w) = (y.extent, along_x.extent, y.windows, along_x.windows);
    let (kh, kw) = (y.taps.kernel, along_x.taps.kernel);
    let device = x.device().clone();
    let transposed = |picks: Tensor<(usize, usize), E, D>| picks.try_permute::<(usize, usize), Axes2<1, 0>>();
    let (pick_y, pick_x) = (transposed(picks(&device, y)?)?, transposed(picks(&device, along_x)?)?);
    let x = input(x, sizes.input_gradient)?.try_reshaped(&(n, g, c, h * w))?;
    let x = x.try_permute::<(usize, usize, usize, usize), Axes4<1, 2, 0, 3>>()?;
    let x = x.try_reshaped(&(g, c, n * h * w))?;
    let weight = weight.retaped::<T>().try_reshaped(&(g, c, o, kh, kw))?;
    let weight = weight.try_permute::<(usize, usize, usize, usize, usize), Axes5<0, 2, 4, 3, 1>>()?;
    let weight = weight.try_reshaped(&(g, o * kw * kh, c))?;
    let patches = weight.try_matmul(x)?.try_reshaped(&(g, o * kw, kh, n, h, w))?;
    let patches =
        patches.try_permute::<(usize, usize, usize, usize, usize, usize), Axes6<3, 0, 1, 5, 2, 4>>()?; // (N, G, O KW, W, KH, H)
    let y = patches.try_reshaped(&(n * g * o * kw * w, kh * h))?.try_matmul(pick_y)?; // (.., OH)
    let y =
        y.try_reshaped(&(n * g * o, kw * w, oh))?.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?;
    let y = y.try_reshaped(&(n * g * o * oh, kw * w))?.try_matmul(pick_x)?; // (N G O OH, OW)
    finish(y.try_reshaped(&(n, g * o, oh * ow))?, bias, sizes.activation, shape)
}
