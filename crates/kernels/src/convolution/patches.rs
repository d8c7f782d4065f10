//! What the windows of a convolution see, as the columns of a matrix, and back: the convolution as textbooks reduce it to
//! a product of matrices.
//!
//! $$ P_{n,\;(c K_h + u) K_w + v,\;\; i W' + j} = X_{n,\,c,\; i S_y - P_y + u L_y,\;\; j S_x - P_x + v L_x} $$
//!
//! with $X = 0$ outside of the image. Then $Y_n = W P_n$ with the weights as rows is the convolution of the image with
//! $W$. [`col2im`] is the adjoint: pixels that several windows see are added up, so that `col2im(im2col(1))` counts the
//! windows of each pixel. The matrix holds each pixel up to $K_h K_w$ times; [`conv2d`](super::conv2d) needs no such
//! matrix, and is the faster for it.
use super::composed::picks;
use super::{Axis, same};
use crate::bridge::{buffer, flat};
use crate::gradient::{Sum, expect};
use crate::loops::rows_per_part;
use crate::pool::chunks_mut;
use crate::shape::{Taps, Times};
use crate::{Device, Error, Real, RowMajor};
use dfdx::prelude::*;
use std::mem::take;

/// The windows of each of `planes` planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Images times channels.
    pub planes: usize,
    /// Height.
    pub y: Axis,
    /// Width.
    pub x: Axis,
}

impl Patches {
    /// Elements of a plane, and of its rows of the matrix.
    fn sizes(&self) -> [usize; 2] {
        let Self { y, x, .. } = self;
        [y.extent * x.extent, y.taps.kernel * x.taps.kernel * y.windows * x.windows]
    }

    /// Calls `visit(at, from, step, windows)` for each line of windows and each tap: `windows` elements from `at` on in
    /// the rows of the matrix are the pixels `from`, `from + step`, … of the plane. The others are in the padding.
    fn lines(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let Self { y, x, .. } = *self;
        for (u, v) in (0..y.taps.kernel).flat_map(|u| (0..x.taps.kernel).map(move |v| (u, v))) {
            let Taps { stride, padding, dilation, .. } = x.taps;
            let reach = v * dilation;
            let first = padding.saturating_sub(reach).div_ceil(stride).min(x.windows);
            let end = (x.extent + padding).saturating_sub(reach).div_ceil(stride).clamp(first, x.windows);
            for i in 0..y.windows {
                let row = (i * y.taps.stride + u * y.taps.dilation).checked_sub(y.taps.padding);
                if let Some(row) = row.filter(|&row| row < y.extent && first < end) {
                    let at = ((u * x.taps.kernel + v) * y.windows + i) * x.windows + first;
                    visit(at, row * x.extent + first * stride + reach - padding, stride, end - first);
                }
            }
        }
    }
}

/// The planes of a part: its range of them.
fn planes_of_part(start: usize, len: usize, size: usize) -> std::ops::Range<usize> {
    start / size..(start + len) / size
}

/// p (+)= the patches of the planes.
fn see<E: Real>(patches: &Patches, x: &[E], p: &mut [E], is_added: bool) {
    let [plane, rows] = patches.sizes();
    if rows == 0 {
        return;
    }
    chunks_mut(p, rows_per_part(rows) * rows, |start, p| {
        let planes = planes_of_part(start, p.len(), rows);
        for (p, x) in
            p.chunks_exact_mut(rows).zip(x[planes.start * plane..planes.end * plane].chunks_exact(plane))
        {
            if !is_added {
                p.fill(E::zero());
            }
            patches.lines(|at, from, step, windows| {
                let line = p[at..at + windows].iter_mut();
                match is_added {
                    true => line.zip(x[from..].iter().step_by(step)).for_each(|(p, &x)| *p += x),
                    false => line.zip(x[from..].iter().step_by(step)).for_each(|(p, &x)| *p = x),
                }
            });
        }
    });
}

/// x += the pixels that the patches show.
fn put_back<E: Real>(patches: &Patches, p: &[E], x: Sum<'_, E>) {
    let [plane, rows] = patches.sizes();
    if plane == 0 {
        return;
    }
    x.add(rows_per_part(plane.max(rows)) * plane, |start, x| {
        let planes = planes_of_part(start, x.len(), plane);
        let p = &p[planes.start * rows..planes.end * rows];
        for (i, x) in x.chunks_exact_mut(plane).enumerate() {
            let p = &p[i * rows..(i + 1) * rows];
            patches.lines(|at, from, step, windows| {
                let pixels = x[from..].iter_mut().step_by(step);
                pixels.zip(&p[at..at + windows]).for_each(|(x, &p)| *x += p);
            });
        }
    });
}

/// The fused body of [`try_im2col`].
pub(super) fn fused_im2col<X: Shape, Y: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<X, E, Cpu, T>,
    patches: Patches,
    shape: Y,
) -> Result<Tensor<Y, E, Cpu, T>, CpuError> {
    let x = if x.shape().num_elements() == 0 { x } else { x.try_contiguous()? };
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let mut y = buffer(&device, shape.num_elements())?;
    see(&patches, flat(&x), &mut y, false);
    let y = device.try_tensor_from_vec(y, shape)?;
    let (of_x, ghost, n) = (x.ghost(), y.ghost(), x.shape().num_elements());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        put_back(&patches, &gy, Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, n)?);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

/// The fused body of [`try_col2im`].
pub(super) fn fused_col2im<X: Shape, Y: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<X, E, Cpu, T>,
    patches: Patches,
    shape: Y,
) -> Result<Tensor<Y, E, Cpu, T>, CpuError> {
    let x = if x.shape().num_elements() == 0 { x } else { x.try_contiguous()? };
    let (x, mut tape) = x.split_tape();
    let mut y = vec![];
    put_back(&patches, flat(&x), Sum::new(x.device(), &mut y, shape.num_elements())?);
    let y = x.device().try_tensor_from_vec(y, shape)?;
    let (of_x, ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        see(&patches, &gy, grads.get_or_alloc_mut(&of_x)?, true);
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// The body of [`try_im2col`], composed of dfdx operations: two products with matrices of zeros and ones.
pub(crate) fn composed_im2col<X: Shape, Y: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    Patches { planes, y, x: along_x }: Patches,
    shape: Y,
) -> Result<Tensor<Y, E, D, T>, D::Err> {
    let device = x.device().clone();
    let (kh, oh, kw, ow) = (y.taps.kernel, y.windows, along_x.taps.kernel, along_x.windows);
    let x = x.try_reshaped(&(planes * y.extent, along_x.extent))?.try_matmul(picks(&device, along_x)?)?;
    let x = x.try_reshaped(&(planes, y.extent, kw * ow))?;
    let x = x.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?;
    let x = x.try_reshaped(&(planes * kw * ow, y.extent))?.try_matmul(picks(&device, y)?)?;
    let x = x.try_reshaped(&(planes, kw, ow, kh, oh))?;
    x.try_permute::<(usize, usize, usize, usize, usize), Axes5<0, 3, 1, 4, 2>>()?.try_reshaped(&shape)
}

/// The body of [`try_col2im`], composed of dfdx operations.
pub(crate) fn composed_col2im<X: Shape, Y: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    Patches { planes, y, x: along_x }: Patches,
    shape: Y,
) -> Result<Tensor<Y, E, D, T>, D::Err> {
    let device = x.device().clone();
    let turned = |axis| picks(&device, axis)?.try_permute::<(usize, usize), Axes2<1, 0>>();
    let (kh, oh, kw, ow) = (y.taps.kernel, y.windows, along_x.taps.kernel, along_x.windows);
    let x = x.try_reshaped(&(planes, kh, kw, oh, ow))?;
    let x = x.try_permute::<(usize, usize, usize, usize, usize), Axes5<0, 2, 4, 1, 3>>()?;
    let x = x.try_reshaped(&(planes * kw * ow, kh * oh))?.try_matmul(turned(y)?)?;
    let x = x.try_reshaped(&(planes, kw * ow, y.extent))?;
    let x = x.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?;
    x.try_reshaped(&(planes * y.extent, kw * ow))?.try_matmul(turned(along_x)?)?.try_reshaped(&shape)
}

/// Both axes of an image of `height` × `width`.
fn axes(taps: [Taps; 2], height: usize, width: usize) -> Result<[Axis; 2], Error> {
    let axis = |taps: Taps, extent| Ok(Axis { extent, windows: taps.positions(extent)?, taps });
    Ok([axis(taps[0], height)?, axis(taps[1], width)?])
}

/// The matrix of patches `(N, C KH KW, H′ W′)` of images `(N, C, H, W)`: a column for each window of `taps` (rows,
/// columns), a row for each channel and tap. PyTorch's `unfold`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::convolution::{col2im, im2col};
/// use kernels::shape::Taps;
/// let x = Cpu::default().tensor([[[[1.0_f32, 2.0, 3.0]]]]);
/// let taps = |kernel| Taps { kernel, stride: 1, padding: 0, dilation: 1 };
/// let columns = im2col(x, [taps(1), taps(2)]);
/// assert_eq!(columns.as_vec(), [1.0, 2.0, 2.0, 3.0]); // a window sees (1, 2), the next one (2, 3)
/// let sums = col2im(columns, (Const::<1>, Const::<1>, Const::<3>), [taps(1), taps(2)]);
/// assert_eq!(sums.as_vec(), [1.0, 4.0, 3.0]); // two windows see the 2
/// ```
///
/// # Panics
/// On the errors of [`try_im2col`].
pub fn im2col<N: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(N, C, H, W), E, D, T>,
    taps: [Taps; 2],
) -> Tensor<(N, usize, usize), E, D, T> {
    try_im2col(x, taps).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`im2col`].
///
/// # Errors
/// Those of [`Taps::positions`], and the device's.
pub fn try_im2col<N: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(N, C, H, W), E, D, T>,
    taps: [Taps; 2],
) -> Result<Tensor<(N, usize, usize), E, D, T>, Error> {
    let (n, c, h, w) = *x.shape();
    let [y, along_x] = axes(taps, h.size(), w.size())?;
    let rows = c.size().try_times(y.taps.kernel)?.try_times(along_x.taps.kernel)?;
    let patches = Patches { planes: n.size() * c.size(), y, x: along_x };
    D::im2col(x, patches, (n, rows, y.windows.try_times(along_x.windows)?)).map_err(Error::device)
}

/// The images `(N, C, H, W)` to which the patches of `columns` add up, for the channels, the height and the width of
/// `image`: the adjoint of [`im2col`]. PyTorch's `fold`.
///
/// # Panics
/// On the errors of [`try_col2im`].
pub fn col2im<N: Dim, C: Dim, H: Dim, W: Dim, R: Dim, L: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    columns: Tensor<(N, R, L), E, D, T>,
    image: (C, H, W),
    taps: [Taps; 2],
) -> Tensor<(N, C, H, W), E, D, T> {
    try_col2im(columns, image, taps).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`col2im`].
///
/// # Errors
/// Those of [`Taps::positions`]; [`Error::AxisLength`] if the matrix has not a row for each channel and tap and a column
/// for each window; and the device's.
pub fn try_col2im<N: Dim, C: Dim, H: Dim, W: Dim, R: Dim, L: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    columns: Tensor<(N, R, L), E, D, T>,
    (c, h, w): (C, H, W),
    taps: [Taps; 2],
) -> Result<Tensor<(N, C, H, W), E, D, T>, Error> {
    let (n, rows, windows) = *columns.shape();
    let [y, along_x] = axes(taps, h.size(), w.size())?;
    let taps = y.taps.kernel.try_times(along_x.taps.kernel)?;
    same("rows of the patches", c.size().try_times(taps)?, rows.size())?;
    same("columns of the patches", y.windows.try_times(along_x.windows)?, windows.size())?;
    let patches = Patches { planes: n.size() * c.size(), y, x: along_x };
    D::col2im(columns, patches, (n, c, h, w)).map_err(Error::device)
}
