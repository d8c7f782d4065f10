//! The fused bodies: three linear maps on slices, and the two operations that record them on the tape.
//!
//! A convolution maps the image side to the window side ([`to_windows`]); its adjoint maps back ([`to_image`]); the third
//! map is the gradient of the weights ([`to_weights`]). The transposed convolution is the adjoint as a forward pass.
use super::passes::{Correlate, Inner, Rows, SLACK, most_rows};
use super::{Axis, ConvolutionDevice, Sizes};
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{activate, contiguous, part};
use crate::formulas::{Kept, slope_is_stored};
use crate::loops::{CHUNK, rows_per_part};
use crate::pool::{chunks_mut, chunks_mut2};
use crate::product::{Layout, multiply};
use crate::{ActivationKind, InputGradient, Real};
use dfdx::prelude::*;
use std::mem::take;

/// Multiplications that are worth a part of their own.
const PART: usize = 1 << 18;
/// Parts per call, where the batch alone gives fewer.
const PARTS: usize = 16;
/// Elements of a line over which the gradient of the weight keeps its sums in registers: two lines stay in L1.
const RUN: usize = 2048;
/// Sums of parts of the batch that the gradient of the weight may hold, in elements.
const PARTIAL: usize = 1 << 22;

impl Axis {
    /// Phases of the stride.
    fn phases(&self) -> usize {
        self.taps.stride
    }
    /// Length with padding.
    fn padded(&self) -> usize {
        self.extent + 2 * self.taps.padding
    }
    /// Where tap `u` of the first window lies in its phase.
    fn shift(&self, u: usize) -> usize {
        u * self.taps.dilation / self.taps.stride
    }
    /// The phase that tap `u` sees.
    fn phase(&self, u: usize) -> usize {
        u * self.taps.dilation % self.taps.stride
    }
    /// The first position of `phase` that is not padding, its place in the phase, and how many follow at the stride.
    fn inside(&self, phase: usize) -> (usize, usize, usize) {
        let (s, p) = (self.taps.stride, self.taps.padding);
        let first = (phase + s - p % s) % s;
        (first, (first + p) / s, self.extent.saturating_sub(first).div_ceil(s))
    }
}

/// The padded planes of one image, one per channel and phase, rows joined.
#[derive(Clone, Copy)]
struct Grid {
    y: Axis,
    x: Axis,
    /// From a row to the next. With step 1, the padding after a row is that before the next.
    line: usize,
    rows: usize,
    /// From a plane to the next.
    plane: usize,
}

impl Grid {
    fn new(sizes: &Sizes) -> Self {
        let Sizes { y, x, .. } = *sizes;
        let line = match x.taps.stride {
            1 => (x.extent + x.taps.padding).max(x.windows),
            stride => x.padded().div_ceil(stride),
        };
        let rows = y.padded().div_ceil(y.taps.stride);
        Self { y, x, line, rows, plane: rows * line + x.taps.padding }
    }
    fn phases(&self) -> usize {
        self.y.phases() * self.x.phases()
    }
    /// Elements from the first window to the last.
    fn len(&self) -> usize {
        (self.y.windows - 1) * self.line + self.x.windows
    }
    fn shift(&self, (u, v): (usize, usize)) -> usize {
        self.y.shift(u) * self.line + self.x.shift(v)
    }
    fn phase(&self, (u, v): (usize, usize)) -> usize {
        self.y.phase(u) * self.x.phases() + self.x.phase(v)
    }
    fn taps(&self) -> impl Iterator<Item = (usize, usize)> + Clone + use<> {
        let (rows, cols) = (self.y.taps.kernel, self.x.taps.kernel);
        (0..rows).flat_map(move |u| (0..cols).map(move |v| (u, v)))
    }
    /// Zeros before the first window in the grid of a gradient.
    fn lead(&self) -> usize {
        self.shift((self.y.taps.kernel - 1, self.x.taps.kernel - 1))
    }
    /// From a plane of a gradient to the next; it ends with zeros, which are read behind the last window.
    fn gradient_plane(&self) -> usize {
        self.lead() + self.plane + SLACK
    }
    /// Offsets of all taps of all channels into the planes of an image.
    fn offsets(&self, channels: usize) -> Vec<usize> {
        let (rows, cols) = (self.y.taps.kernel, self.x.taps.kernel);
        let mut offsets = Vec::with_capacity(channels * rows * cols);
        // Loops: a `flat_map` in a `flat_map` is compiled to a jump on memory that was never written, harmless but
        // reported by valgrind.
        for c in 0..channels {
            for u in 0..rows {
                for v in 0..cols {
                    let plane = c * self.phases() + self.phase((u, v));
                    offsets.push(plane * self.plane + self.shift((u, v)));
                }
            }
        }
        offsets
    }
    /// Copies channels of an image into zeroed planes.
    fn pad<E: Real>(&self, image: &[E], planes: &mut [E]) {
        self.each(|plane, at, inside, step, (rows, width)| {
            for (c, image) in image.chunks_exact(self.y.extent * self.x.extent).enumerate() {
                E::copy_rows(Rows {
                    from: &image[inside..],
                    from_line: self.x.extent * self.y.taps.stride,
                    from_step: step,
                    to: &mut planes[(c * self.phases() + plane) * self.plane + at..],
                    to_line: self.line,
                    to_step: 1,
                    rows,
                    width,
                    adds: false,
                });
            }
        });
    }
    /// For each phase that a tap sees and that has positions inside: its number, the first such position in the plane
    /// and in the image, the step in the image, rows and columns.
    fn each(&self, mut f: impl FnMut(usize, usize, usize, usize, (usize, usize))) {
        let is_seen = |axis: &Axis, phase| (0..axis.taps.kernel).any(|u| axis.phase(u) == phase);
        for py in (0..self.y.phases()).filter(|&phase| is_seen(&self.y, phase)) {
            for px in (0..self.x.phases()).filter(|&phase| is_seen(&self.x, phase)) {
                let ((y, at_y, rows), (x, at_x, width)) = (self.y.inside(py), self.x.inside(px));
                if rows > 0 && width > 0 {
                    let plane = py * self.x.phases() + px;
                    f(
                        plane,
                        at_y * self.line + at_x,
                        y * self.x.extent + x,
                        self.x.taps.stride,
                        (rows, width),
                    );
                }
            }
        }
    }
    /// Copies channels of windows into zeroed planes of a gradient, behind their lead.
    fn spread<E: Real>(&self, windows: &[E], planes: &mut [E]) {
        let size = self.y.windows * self.x.windows;
        for (c, from) in windows.chunks_exact(size).enumerate() {
            E::copy_rows(Rows {
                from,
                from_line: self.x.windows,
                from_step: 1,
                to: &mut planes[c * self.gradient_plane() + self.lead()..],
                to_line: self.line,
                to_step: 1,
                rows: self.y.windows,
                width: self.x.windows,
                adds: false,
            });
        }
    }
}

/// Channels that one part computes: some whole groups, or some channels of one group.
#[derive(Clone, Copy)]
struct Block {
    groups: usize,
    /// Channels of each of these groups.
    channels: usize,
    /// Parts per image.
    parts: usize,
}

impl Block {
    /// Cuts `groups` groups of `channels` channels of each of `units` images or sums of images.
    fn new(groups: usize, channels: usize, units: usize, multiplications: usize) -> Self {
        let wanted = PARTS.div_ceil(units).min(multiplications.div_ceil(PART)).max(1);
        if groups > 1 {
            let parts =
                (1..=wanted.min(groups)).rev().find(|&parts| groups.is_multiple_of(parts)).unwrap_or(1);
            return Self { groups: groups / parts, channels, parts };
        }
        let fits = |parts: &usize| channels.is_multiple_of(8 * parts);
        let parts = (1..=wanted).rev().find(fits).unwrap_or(1);
        Self { groups: 1, channels: channels / parts, parts }
    }
    /// Of part `i`: the image, and for each group the group, the first channel in it, and its place among the block's.
    fn place(&self, i: usize) -> (usize, impl Iterator<Item = (usize, usize, usize)> + use<>) {
        let (image, part) = (i / self.parts, i % self.parts);
        let Self { groups, channels, .. } = *self;
        let whole = groups > 1;
        let places = (0..groups)
            .map(move |j| if whole { (part * groups + j, 0, j * channels) } else { (0, part * channels, 0) });
        (image, places)
    }
}

/// Rows in tiles of 8, 4, 2 and 1, no more than the registers hold.
fn tiles(rows: usize) -> Vec<(usize, usize)> {
    let (mut tiles, mut from) = (Vec::new(), 0);
    let most = most_rows();
    for size in [8, 4, 2, 1].into_iter().filter(|&size| size <= most) {
        while rows - from >= size {
            tiles.push((from, size));
            from += size;
        }
    }
    tiles
}

/// A `(rows, columns)` matrix in the order in which tiles read it: tile by tile, column by column.
fn packed<E: Real>(rows: usize, columns: usize, at: impl Fn(usize, usize) -> E) -> Vec<E> {
    let mut packed = Vec::with_capacity(rows * columns);
    for (from, size) in tiles(rows) {
        for column in 0..columns {
            packed.extend((from..from + size).map(|row| at(row, column)));
        }
    }
    packed
}

/// Whether the convolution is a matrix product per image.
fn is_product(sizes: &Sizes) -> bool {
    [sizes.y, sizes.x].iter().all(|axis| {
        axis.taps.kernel == 1
            && axis.taps.stride == 1
            && axis.taps.padding == 0
            && axis.extent == axis.windows
    })
}

/// Writes the bias, or zeros, to every element of its channel.
fn fill_bias<E: Real>(y: &mut [E], bias: Option<&[E]>, plane: usize) {
    match bias {
        Some(bias) => {
            for (y, &b) in y.chunks_exact_mut(plane).zip(bias) {
                y.fill(b);
            }
        }
        None => y.fill(E::zero()),
    }
}

impl Sizes {
    fn image_plane(&self) -> usize {
        self.y.extent * self.x.extent
    }
    fn window_plane(&self) -> usize {
        self.y.windows * self.x.windows
    }
    fn kernel(&self) -> usize {
        self.y.taps.kernel * self.x.taps.kernel
    }
    /// Multiplications of one group of one image.
    fn multiplications(&self) -> usize {
        self.image_channels * self.window_channels * self.kernel() * self.window_plane()
    }
    /// Whether there is nothing to multiply.
    fn is_empty(&self) -> bool {
        self.images * self.groups * self.multiplications() == 0 || self.image_plane() == 0
    }
}

/// Windows from an image: `y += conv(x, w)`, or `y = bias + conv(x, w)`.
fn to_windows<E: Real>(sizes: &Sizes, x: &[E], w: &[E], bias: Option<Option<&[E]>>, y: &mut [E]) {
    let Sizes { images, groups, image_channels: ci, window_channels: co, .. } = *sizes;
    let (plane, kernel) = (sizes.window_plane(), sizes.kernel());
    if y.is_empty() {
        return;
    }
    if sizes.is_empty() {
        if let Some(bias) = bias {
            y.chunks_exact_mut(groups * co * plane).for_each(|y| fill_bias(y, bias, plane));
        }
        return;
    }
    let block = Block::new(groups, co, images, groups * sizes.multiplications());
    let chunk = block.groups * block.channels * plane;
    let image_of = |image: usize, group: usize| {
        &x[(image * groups + group) * ci * sizes.image_plane()..][..ci * sizes.image_plane()]
    };
    let bias_of = |group: usize, from: usize| bias.map(|b| b.map(|b| &b[group * co + from..]));
    if is_product(sizes) {
        return chunks_mut(y, chunk, |start, y| {
            let (image, places) = block.place(start / chunk);
            for (group, from, at) in places {
                let y = &mut y[at * plane..][..block.channels * plane];
                if let Some(bias) = bias_of(group, from) {
                    fill_bias(y, bias, plane);
                }
                let w = &w[(group * co + from) * ci..];
                multiply(
                    (w, Layout::row_major(block.channels, ci)),
                    (image_of(image, group), Layout::row_major(ci, plane)),
                    (y, Layout::row_major(block.channels, plane)),
                    true,
                );
            }
        });
    }
    let grid = Grid::new(sizes);
    let (offsets, columns) = (grid.offsets(ci), ci * kernel);
    let tiles = tiles(block.channels);
    let blocks = groups * co / block.channels;
    let weights: Vec<Vec<E>> = (0..blocks)
        .map(|b| packed(block.channels, columns, |row, k| w[(b * block.channels + row) * columns + k]))
        .collect();
    let len = grid.len();
    let line = len.next_multiple_of(SLACK) + SLACK;
    chunks_mut(y, chunk, |start, y| {
        let (image, places) = block.place(start / chunk);
        for (group, from, at) in places {
            let weights = &weights[(group * co + from) / block.channels];
            E::scratch(ci * grid.phases() * grid.plane + 2 * SLACK, |planes| {
                grid.pad(image_of(image, group), planes);
                E::scratch(8 * line, |out| {
                    for &(first, rows) in &tiles {
                        let weights = &weights[first * columns..][..rows * columns];
                        E::correlate(Correlate {
                            weights,
                            offsets: &offsets,
                            x: planes,
                            out: &mut *out,
                            line,
                            len,
                            rows,
                        });
                        for r in 0..rows {
                            let c = first + r;
                            let to = &mut y[(at + c) * plane..][..plane];
                            if let Some(bias) = bias_of(group, from) {
                                to.fill(bias.map_or(E::zero(), |bias| bias[c]));
                            }
                            E::copy_rows(Rows {
                                from: &out[r * line..],
                                from_line: grid.line,
                                from_step: 1,
                                to,
                                to_line: grid.x.windows,
                                to_step: 1,
                                rows: grid.y.windows,
                                width: grid.x.windows,
                                adds: true,
                            });
                        }
                    }
                })
            })
        }
    });
}

/// An image from windows: `x += convᵀ(y, w)`, or `x = bias + convᵀ(y, w)`.
fn to_image<E: Real>(sizes: &Sizes, y: &[E], w: &[E], bias: Option<Option<&[E]>>, x: &mut [E]) {
    let Sizes { images, groups, image_channels: ci, window_channels: co, .. } = *sizes;
    let (plane, kernel) = (sizes.image_plane(), sizes.kernel());
    if x.is_empty() {
        return;
    }
    if let Some(bias) = bias {
        chunks_mut(x, groups * ci * plane, |_, x| fill_bias(x, bias, plane));
    }
    if sizes.is_empty() {
        return;
    }
    let block = Block::new(groups, ci, images, groups * sizes.multiplications());
    let chunk = block.groups * block.channels * plane;
    let windows_of = |image: usize, group: usize| {
        &y[(image * groups + group) * co * sizes.window_plane()..][..co * sizes.window_plane()]
    };
    if is_product(sizes) {
        return chunks_mut(x, chunk, |start, x| {
            let (image, places) = block.place(start / chunk);
            for (group, from, at) in places {
                let transposed = Layout { rows: block.channels, cols: co, row_stride: 1, col_stride: ci };
                multiply(
                    (&w[group * co * ci + from..], transposed),
                    (windows_of(image, group), Layout::row_major(co, plane)),
                    (
                        &mut x[at * plane..][..block.channels * plane],
                        Layout::row_major(block.channels, plane),
                    ),
                    true,
                );
            }
        });
    }
    let grid = Grid::new(sizes);
    struct Phase<E> {
        taps: Vec<(usize, usize)>,
        offsets: Vec<usize>,
        /// Per block of channels.
        weights: Vec<Vec<E>>,
    }
    let tiles = tiles(block.channels);
    let phases: Vec<Phase<E>> = (0..grid.phases())
        .map(|phase| {
            let taps: Vec<_> = grid.taps().filter(|&tap| grid.phase(tap) == phase).collect();
            let offsets = (0..co)
                .flat_map(|c| {
                    taps.iter().map(move |&tap| c * grid.gradient_plane() + grid.lead() - grid.shift(tap))
                })
                .collect();
            let columns = co * taps.len();
            let weights = (0..groups * ci / block.channels)
                .map(|b| {
                    let (group, from) = (b * block.channels / ci, b * block.channels % ci);
                    packed(block.channels, columns, |row, k| {
                        let (c, (u, v)) = (k / taps.len(), taps[k % taps.len()]);
                        let tap = u * grid.x.taps.kernel + v;
                        w[((group * co + c) * ci + from + row) * kernel + tap]
                    })
                })
                .collect();
            Phase { taps, offsets, weights }
        })
        .collect();
    let len = grid.rows * grid.line;
    let line = len.next_multiple_of(SLACK) + SLACK;
    chunks_mut(x, chunk, |start, x| {
        let (image, places) = block.place(start / chunk);
        for (group, from, at) in places {
            E::scratch(co * grid.gradient_plane() + 2 * SLACK, |planes| {
                grid.spread(windows_of(image, group), planes);
                E::scratch(8 * line, |out| {
                    grid.each(|phase, at_plane, at_image, step, (rows_inside, width)| {
                        let Phase { taps, offsets, weights } = &phases[phase];
                        let columns = co * taps.len();
                        let weights = &weights[(group * ci + from) / block.channels];
                        for &(first, rows) in &tiles {
                            let weights = &weights[first * columns..][..rows * columns];
                            E::correlate(Correlate {
                                weights,
                                offsets,
                                x: planes,
                                out: &mut *out,
                                line,
                                len,
                                rows,
                            });
                            for r in 0..rows {
                                E::copy_rows(Rows {
                                    from: &out[r * line + at_plane..],
                                    from_line: grid.line,
                                    from_step: 1,
                                    to: &mut x[(at + first + r) * plane + at_image..],
                                    to_line: grid.x.extent * grid.y.taps.stride,
                                    to_step: step,
                                    rows: rows_inside,
                                    width,
                                    adds: true,
                                });
                            }
                        }
                    })
                })
            })
        }
    });
}

/// The gradient of the weights from both sides: `gw += Σ over images`, and the sums of a channel's windows.
fn to_weights<E: Real>(device: &Cpu, sizes: &Sizes, x: &[E], y: &[E], gw: &mut [E]) -> Result<(), CpuError> {
    let Sizes { images, groups, image_channels: ci, window_channels: co, .. } = *sizes;
    if sizes.is_empty() {
        return Ok(());
    }
    let (plane, image_plane, columns) = (sizes.window_plane(), sizes.image_plane(), ci * sizes.kernel());
    // Images of a partial sum: fixed by the problem, so that the order of all additions is.
    let most = (PARTIAL / gw.len()).clamp(1, 8);
    let unit = images.div_ceil(most).max(4.min(images));
    let units = images.div_ceil(unit);
    let block = Block::new(groups, co, units, groups * sizes.multiplications() * images);
    let chunk = block.groups * block.channels * columns;
    let grid = Grid::new(sizes);
    let (offsets, len) = (grid.offsets(ci), grid.len());
    let together = (RUN / len).clamp(1, unit); // images whose sums stay in registers
    let mut sums = buffer(device, units * gw.len())?;
    chunks_mut(&mut sums, chunk, |start, sums| {
        sums.fill(E::zero());
        let (u, places) = block.place(start / chunk);
        let range = u * unit..((u + 1) * unit).min(images);
        for (group, from, at) in places {
            let out = &mut sums[at * columns..][..block.channels * columns];
            let side =
                |side: &'_ [E], image: usize, channels: usize, plane: usize| -> std::ops::Range<usize> {
                    let from = (image * groups + group) * channels * plane;
                    from..(from + channels * plane).min(side.len())
                };
            if is_product(sizes) {
                for image in range.clone() {
                    let y = &y[side(y, image, co, plane)][from * plane..];
                    let transposed = Layout { rows: plane, cols: ci, row_stride: 1, col_stride: plane };
                    multiply(
                        (y, Layout::row_major(block.channels, plane)),
                        (&x[side(x, image, ci, image_plane)], transposed),
                        (out, Layout::row_major(block.channels, ci)),
                        true,
                    );
                }
                continue;
            }
            let x_step = ci * grid.phases() * grid.plane;
            let y_step = block.channels * grid.gradient_plane();
            for first in range.clone().step_by(together) {
                let batch = first..(first + together).min(range.end);
                E::scratch(batch.len() * x_step + 2 * SLACK, |x_planes| {
                    E::scratch(batch.len() * y_step + 2 * SLACK, |y_planes| {
                        for (i, image) in batch.clone().enumerate() {
                            grid.pad(&x[side(x, image, ci, image_plane)], &mut x_planes[i * x_step..]);
                            let y = &y[side(y, image, co, plane)][from * plane..][..block.channels * plane];
                            grid.spread(y, &mut y_planes[i * y_step..]);
                        }
                        E::inner(Inner {
                            g: &y_planes[grid.lead()..],
                            line: grid.gradient_plane(),
                            x: x_planes,
                            offsets: &offsets,
                            len,
                            steps: [y_step, x_step],
                            images: batch.len(),
                            out: &mut *out,
                            out_line: columns,
                            channels: block.channels,
                        });
                    })
                });
            }
        }
    });
    for sums in sums.chunks_exact(gw.len()) {
        E::add_to(sums, gw);
    }
    recycle(device, sums);
    Ok(())
}

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
    if kind != ActivationKind::Identity {
        chunks_mut(&mut y, CHUNK, |_, y| E::activate_in_place(kind, y));
    }
    let y = device.try_tensor_from_vec(y, shape)?;
    let (ghost, output) = (y.ghost(), (kind != ActivationKind::Identity).then(|| y.clone()));
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
        let gw = grads.get_or_alloc_mut(&weight)?;
        match reads {
            Reads::Image => to_weights(&device, &sizes, flat(&x), gradient, gw)?,
            Reads::Windows => to_weights(&device, &sizes, gradient, flat(&x), gw)?,
        }
        if sizes.input_gradient == InputGradient::Needed {
            let gx = grads.get_or_alloc_mut(&x)?;
            match reads {
                Reads::Image => to_image(&sizes, gradient, flat(&weight), None, gx),
                Reads::Windows => to_windows(&sizes, gradient, flat(&weight), None, gx),
            }
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        recycle(&device, sums);
        recycle(&device, g);
        Ok(())
    });
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
        }
    };
}
fused!(f32);
fused!(f64);
