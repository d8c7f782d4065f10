//! The fused bodies: what records the three maps of [`maps`](super::maps) on the tape.
//!
//! A convolution maps the image side to the window side ([`to_windows`]); its adjoint maps back ([`to_image`]); the third
//! map is the gradient of the weights ([`to_weights`]). The transposed convolution is the adjoint as a forward pass.
use super::maps::{partial_sums, to_image, to_weights, to_windows};
use super::patches::{Patches, fused_col2im, fused_im2col};
use super::{ConvolutionDevice, Sizes};
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{activate, contiguous, part};
use crate::formulas::{Kept, slope_is_stored};
use crate::gradient::{Sum, expect};
use crate::loops::rows_per_part;
use crate::pool::{chunks_mut, chunks_mut2};
use crate::{ActivationKind, InputGradient, Real};
use dfdx::prelude::*;
use std::mem::take;

/// The gradient before the activation, from its output: `g = gy φ′`, unless there is none; and the sums of the planes
/// of each channel of each image.
fn before_activation<E: Real>(
    kind: ActivationKind,
    y: &[E],
    gy: &[E],
    g: &mut [E],
    sums: &mut [E],
    plane: usize,
) {
    if sums.is_empty() {
        return;
    }
    // Planes that make a part.
    let channels = rows_per_part(plane);
    if kind == ActivationKind::Identity {
        return chunks_mut(sums, channels, |first, sums| {
            sums.fill(E::zero());
            E::channel_sums(&gy[first * plane..][..sums.len() * plane], sums)
        });
    }
    chunks_mut2((g, channels * plane), (sums, channels), |start, g, sums| {
        g.fill(E::zero());
        E::back(kind, Kept::Output(part(y, start, g)), part(gy, start, g), g);
        sums.fill(E::zero());
        E::channel_sums(g, sums)
    })
}

/// Which side of the convolution an operation reads.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    Image,
    Windows,
}

fn convolve<X: Shape, W: Shape, O: Dim, Y: Shape, E: Real, T: Tape<E, Cpu>>(
    reads: Reads,
    x: Tensor<X, E, Cpu, T>,
    weight: &Tensor<W, E, Cpu>,
    bias: Option<&Tensor<(O,), E, Cpu>>,
    sizes: Sizes,
    shape: Y,
) -> Result<Tensor<Y, E, Cpu, T>, CpuError> {
    if slope_is_stored(sizes.activation) {
        // Backward reads the derivative, which only the activation's own pass can keep.
        let linear = Sizes { activation: ActivationKind::Identity, ..sizes };
        return activate(convolve(reads, x, weight, bias, linear, shape)?, sizes.activation);
    }
    // dfdx cannot copy a permuted tensor without elements; it needs no copy either.
    let x = if x.shape().num_elements() == 0 { x } else { x.try_contiguous()? };
    let (x, tape) = x.split_tape();
    let (weight, mut tape) = contiguous(weight, tape)?;
    let bias = match bias {
        Some(bias) => {
            let (bias, with_bias) = contiguous(bias, tape)?;
            tape = with_bias;
            Some(bias)
        }
        None => None,
    };
    let device = x.device().clone();
    let kind = sizes.activation;
    let mut y = buffer(&device, shape.num_elements())?;
    let with_bias = Some(bias.as_ref().map(|bias| flat(bias)));
    match reads {
        Reads::Image => to_windows(&sizes, flat(&x), flat(&weight), with_bias, &mut y),
        Reads::Windows => to_image(&sizes, flat(&x), flat(&weight), with_bias, &mut y),
    }
    let y = device.try_tensor_from_vec(y, shape)?;
    let (ghost, output) = (y.ghost(), (kind != ActivationKind::Identity).then(|| y.clone()));
    let of_x = x.clone();
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let (channels, plane) = match reads {
            Reads::Image => (sizes.groups * sizes.window_channels, sizes.window_plane()),
            Reads::Windows => (sizes.groups * sizes.image_channels, sizes.image_plane()),
        };
        let mut sums =
            buffer(&device, if bias.is_some() || output.is_some() { sizes.images * channels } else { 0 })?;
        let mut g = buffer(&device, if output.is_some() { gy.len() } else { 0 })?;
        before_activation(kind, output.as_ref().map_or(&[], flat), &gy, &mut g, &mut sums, plane);
        if let Some(bias) = &bias {
            let gb = grads.get_or_alloc_mut(bias)?;
            for sums in sums.chunks_exact(channels.max(1)) {
                E::add_to(sums, gb);
            }
        }
        let gradient = if output.is_some() { &g } else { &gy };
        let mut partial = buffer(&device, partial_sums(&sizes, weight.shape().num_elements()))?;
        let gw = grads.get_or_alloc_mut(&weight)?;
        match reads {
            Reads::Image => to_weights(&sizes, flat(&x), gradient, &mut partial, gw),
            Reads::Windows => to_weights(&sizes, gradient, flat(&x), &mut partial, gw),
        }
        if sizes.input_gradient == InputGradient::Needed {
            let (gx, is_added) = Sum::new(&device, grads.get_or_alloc_mut(&x)?, flat(&x).len())?.all();
            let start = if is_added { None } else { Some(None) };
            let linear = Sizes { activation: ActivationKind::Identity, ..sizes };
            match reads {
                Reads::Image => to_image(&linear, gradient, flat(&weight), start, gx),
                Reads::Windows => to_windows(&linear, gradient, flat(&weight), start, gx),
            }
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        for buffer in [sums, g, partial] {
            recycle(&device, buffer);
        }
        Ok(())
    });
    if sizes.input_gradient == InputGradient::Needed {
        tape = expect(&of_x, tape)?;
    }
    Ok(y.put_tape(tape))
}

macro_rules! fused {
    ($E:ty) => {
        impl ConvolutionDevice<$E> for Cpu {
            fn conv2d<X: Shape, W: Shape, O: Dim, Y: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<X, $E, Cpu, T>,
                weight: &Tensor<W, $E, Cpu>,
                bias: Option<&Tensor<(O,), $E, Cpu>>,
                sizes: Sizes,
                shape: Y,
            ) -> Result<Tensor<Y, $E, Cpu, T>, CpuError> {
                convolve(Reads::Image, x, weight, bias, sizes, shape)
            }
            fn conv_transpose2d<X: Shape, W: Shape, O: Dim, Y: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<X, $E, Cpu, T>,
                weight: &Tensor<W, $E, Cpu>,
                bias: Option<&Tensor<(O,), $E, Cpu>>,
                sizes: Sizes,
                shape: Y,
            ) -> Result<Tensor<Y, $E, Cpu, T>, CpuError> {
                convolve(Reads::Windows, x, weight, bias, sizes, shape)
            }
            fn im2col<X: Shape, Y: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<X, $E, Cpu, T>,
                patches: Patches,
                shape: Y,
            ) -> Result<Tensor<Y, $E, Cpu, T>, CpuError> {
                fused_im2col(x, patches, shape)
            }
            fn col2im<X: Shape, Y: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<X, $E, Cpu, T>,
                patches: Patches,
                shape: Y,
            ) -> Result<Tensor<Y, $E, Cpu, T>, CpuError> {
                fused_col2im(x, patches, shape)
            }
        }
    };
}
fused!(f32);
fused!(f64);
