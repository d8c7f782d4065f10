//! The three linear maps of a convolution, on slices: windows from an image, an image from windows, the gradient of the
//! weights from both.
use super::passes::{Correlate, Inner, Outer, Rows, SLACK, Transpose, Write, most_rows};
use super::{Axis, Sizes};
use crate::pool::chunks_mut;
use crate::product::{Layout, multiply};
use crate::{ActivationKind, Real};

/// Multiplications that are worth a part of their own.
const PART: usize = 1 << 18;
/// Parts per call, where the batch alone gives fewer: each pads its images anew.
const PARTS: usize = 8;
/// Elements of a line over which the gradient of the weight keeps its sums in registers: two lines stay in L1.
const RUN: usize = 2048;
/// Sums of parts of the batch that the gradient of the weight may hold, in elements.
const PARTIAL: usize = 1 << 22;
/// Weights that are packed by one part.
const PACKED: usize = 4096;
/// Fewer channels of windows than this are not worth a vector of them.
const FEW: usize = 4;

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
        let extent = self.y.extent * self.x.extent;
        self.each(|plane, at, inside, step, (rows, width)| {
            E::copy_rows(Rows {
                from: &image[inside..],
                from_line: self.x.extent * self.y.taps.stride,
                from_step: step,
                to: &mut planes[plane * self.plane + at..],
                to_line: self.line,
                to_step: 1,
                rows,
                width,
                planes: [image.len() / extent, extent, self.phases() * self.plane],
                write: Write::Copy,
            });
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
        E::copy_rows(Rows {
            from: windows,
            from_line: self.x.windows,
            from_step: 1,
            to: &mut planes[self.lead()..],
            to_line: self.line,
            to_step: 1,
            rows: self.y.windows,
            width: self.x.windows,
            planes: [windows.len() / size, size, self.gradient_plane()],
            write: Write::Copy,
        });
    }
}

/// Channels that one part computes: some whole groups, or some channels of one group.
#[derive(Clone, Copy)]
struct Block {
    /// Whether a part is whole groups.
    is_whole: bool,
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
            return Self { is_whole: true, groups: groups / parts, channels, parts };
        }
        let fits = |parts: &usize| channels.is_multiple_of(8 * parts);
        let parts = (1..=wanted).rev().find(fits).unwrap_or(1);
        Self { is_whole: false, groups: 1, channels: channels / parts, parts }
    }
    /// Of part `i`: the image, and for each group the group, the first channel in it, and its place among the block's.
    fn place(&self, i: usize) -> (usize, impl Iterator<Item = (usize, usize, usize)> + use<>) {
        let (image, part) = (i / self.parts, i % self.parts);
        let Self { is_whole, groups, channels, .. } = *self;
        let places = (0..groups).map(move |j| {
            if is_whole { (part * groups + j, 0, j * channels) } else { (0, part * channels, 0) }
        });
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
fn packed<E: Real>(rows: usize, columns: usize, at: impl Fn(usize, usize) -> E + Sync) -> Vec<E> {
    let mut packed = vec![E::zero(); rows * columns];
    if columns > 0 {
        // Whole tiles of the largest kind, of which the last part has the rest.
        let part = most_rows() * columns;
        chunks_mut(&mut packed, part * (PACKED / part).max(1), |start, mut packed| {
            for (from, size) in tiles(packed.len() / columns) {
                let (tile, rest) = packed.split_at_mut(size * columns);
                for (column, tile) in tile.chunks_exact_mut(size).enumerate() {
                    for (row, to) in tile.iter_mut().enumerate() {
                        *to = at(start / columns + from + row, column);
                    }
                }
                packed = rest;
            }
        });
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
    pub(super) fn image_plane(&self) -> usize {
        self.y.extent * self.x.extent
    }
    pub(super) fn window_plane(&self) -> usize {
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

/// What follows a sum of products that is not a gradient.
fn finish<E: Real>(sizes: &Sizes, bias: Option<Option<&[E]>>, y: &mut [E]) {
    if bias.is_some() && sizes.activation != ActivationKind::Identity {
        E::activate_in_place(sizes.activation, y);
    }
}

/// Windows from an image: `y += conv(x, w)`, or `y = φ(bias + conv(x, w))`.
pub fn to_windows<E: Real>(sizes: &Sizes, x: &[E], w: &[E], bias: Option<Option<&[E]>>, y: &mut [E]) {
    let Sizes { images, groups, image_channels: ci, window_channels: co, .. } = *sizes;
    let (plane, kernel) = (sizes.window_plane(), sizes.kernel());
    if y.is_empty() {
        return;
    }
    if sizes.is_empty() {
        if let Some(bias) = bias {
            y.chunks_exact_mut(groups * co * plane).for_each(|y| fill_bias(y, bias, plane));
        }
        return finish(sizes, bias, y);
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
            finish(sizes, bias, y);
        });
    }
    let grid = Grid::new(sizes);
    let (offsets, columns) = (grid.offsets(ci), ci * kernel);
    let tiles = tiles(block.channels);
    let blocks = groups * co / block.channels;
    let weights: Vec<Vec<E>> = (0..blocks)
        .map(|b| packed(block.channels, columns, |row, k| w[(b * block.channels + row) * columns + k]))
        .collect();
    let (height, width) = (grid.y.windows, grid.x.windows);
    let pitch = E::pitch(width, grid.line);
    let line = (height * pitch.max(grid.line)).next_multiple_of(SLACK) + SLACK;
    chunks_mut(y, chunk, |start, y| {
        let (image, places) = block.place(start / chunk);
        // Zeros stay where they are from group to group.
        E::scratch(ci * grid.phases() * grid.plane + 2 * SLACK, |planes| {
            E::scratch(tiles[0].1 * line, |out| {
                for (group, from, at) in places {
                    let weights = &weights[(group * co + from) / block.channels];
                    grid.pad(image_of(image, group), planes);
                    for &(first, rows) in &tiles {
                        let weights = &weights[first * columns..][..rows * columns];
                        E::correlate(Correlate {
                            weights,
                            offsets: &offsets,
                            x: planes,
                            x_line: grid.line,
                            height,
                            width,
                            out: &mut *out,
                            line,
                            rows,
                        });
                        for r in 0..rows {
                            let c = first + r;
                            let write = match bias_of(group, from) {
                                Some(bias) => Write::Sum(bias.map_or(E::zero(), |bias| bias[c])),
                                None => Write::Add,
                            };
                            E::copy_rows(Rows {
                                from: &out[r * line..],
                                from_line: pitch,
                                from_step: 1,
                                to: &mut y[(at + c) * plane..][..plane],
                                to_line: width,
                                to_step: 1,
                                rows: height,
                                width,
                                planes: [1, 0, 0],
                                write,
                            });
                        }
                    }
                }
            })
        });
        finish(sizes, bias, y);
    });
}

/// An image from windows: `x += convᵀ(y, w)`, or `x = φ(bias + convᵀ(y, w))`.
pub fn to_image<E: Real>(sizes: &Sizes, y: &[E], w: &[E], bias: Option<Option<&[E]>>, x: &mut [E]) {
    let Sizes { images, groups, image_channels: ci, window_channels: co, .. } = *sizes;
    let (plane, kernel) = (sizes.image_plane(), sizes.kernel());
    if x.is_empty() {
        return;
    }
    if sizes.is_empty() {
        if let Some(bias) = bias {
            x.chunks_exact_mut(groups * ci * plane).for_each(|x| fill_bias(x, bias, plane));
        }
        return finish(sizes, bias, x);
    }
    let begin = |group: usize, from: usize, x: &mut [E]| {
        if let Some(bias) = bias {
            fill_bias(x, bias.map(|bias| &bias[group * ci + from..]), plane);
        }
    };
    let block = Block::new(groups, ci, images, groups * sizes.multiplications());
    let chunk = block.groups * block.channels * plane;
    let windows_of = |image: usize, group: usize| {
        &y[(image * groups + group) * co * sizes.window_plane()..][..co * sizes.window_plane()]
    };
    if is_product(sizes) {
        return chunks_mut(x, chunk, |start, x| {
            let (image, places) = block.place(start / chunk);
            for (group, from, at) in places {
                begin(group, from, &mut x[at * plane..][..block.channels * plane]);
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
            finish(sizes, bias, x);
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
                    let place = |c: usize, (u, v): (usize, usize)| {
                        ((group * co + c) * ci + from) * kernel + u * grid.x.taps.kernel + v
                    };
                    let places: Vec<usize> =
                        (0..co).flat_map(|c| taps.iter().map(move |&tap| place(c, tap))).collect();
                    packed(block.channels, columns, |row, k| w[places[k] + row * kernel])
                })
                .collect();
            Phase { taps, offsets, weights }
        })
        .collect();
    let line = (grid.rows * grid.line).next_multiple_of(SLACK) + SLACK;
    chunks_mut(x, chunk, |start, x| {
        let (image, places) = block.place(start / chunk);
        E::scratch(co * grid.gradient_plane() + 2 * SLACK, |planes| {
            E::scratch(tiles[0].1 * line, |out| {
                for (group, from, at) in places {
                    begin(group, from, &mut x[at * plane..][..block.channels * plane]);
                    grid.spread(windows_of(image, group), planes);
                    grid.each(|phase, at_plane, at_image, step, (height, width)| {
                        let pitch = E::pitch(width, grid.line);
                        let Phase { taps, offsets, weights } = &phases[phase];
                        let columns = co * taps.len();
                        let weights = &weights[(group * ci + from) / block.channels];
                        for &(first, rows) in &tiles {
                            let weights = &weights[first * columns..][..rows * columns];
                            E::correlate(Correlate {
                                weights,
                                offsets,
                                x: &planes[at_plane..],
                                x_line: grid.line,
                                height,
                                width,
                                out: &mut *out,
                                line,
                                rows,
                            });
                            E::copy_rows(Rows {
                                from: out,
                                from_line: pitch,
                                from_step: 1,
                                to: &mut x[(at + first) * plane + at_image..],
                                to_line: grid.x.extent * grid.y.taps.stride,
                                to_step: step,
                                rows: height,
                                width,
                                planes: [rows, line, plane],
                                write: Write::Add,
                            });
                        }
                    })
                }
            })
        });
        finish(sizes, bias, x);
    });
}

/// The gradient of the weights `(channels, taps)` from some images and their windows, one group. The windows are turned
/// around to `(positions, channels)`, so that vectors lie along the channels and a tap is one number of the image.
fn to_panels<'a, E: Real>(
    sizes: &Sizes,
    grid: &Grid,
    offsets: &[usize],
    channels: usize,
    images: impl Iterator<Item = (&'a [E], &'a [E])>,
    out: &mut [E],
) {
    let (plane, columns, vector) = (sizes.window_plane(), offsets.len(), E::vector());
    let all = channels.next_multiple_of(vector);
    // Panels of two vectors, and one of one for the rest: first channel, length, channels that are there.
    let panels = move || {
        (0..all).step_by(2 * vector).map(move |first| {
            let length = (all - first).min(2 * vector);
            (first, length, length.min(channels - first))
        })
    };
    // In the image itself a tap is an offset too, where nothing surrounds it.
    let is_bare = [sizes.y, sizes.x].iter().all(|axis| axis.taps.padding == 0 && axis.taps.stride == 1);
    let planes = if is_bare { 0 } else { sizes.image_channels * grid.phases() * grid.plane };
    E::scratch(all * columns, |sums| {
        E::scratch(all * plane, |turned| {
            E::scratch(planes, |planes| {
                for (image, windows) in images {
                    if !is_bare {
                        grid.pad(image, planes);
                    }
                    for (first, length, filled) in panels() {
                        let turned = &mut turned[first * plane..][..length * plane];
                        E::transpose(Transpose {
                            from: &windows[first * plane..],
                            from_line: plane,
                            to: &mut *turned,
                            to_line: length,
                            rows: filled,
                            cols: plane,
                        });
                        E::outer(Outer {
                            g: turned,
                            x: if is_bare { image } else { planes },
                            offsets,
                            line: grid.line,
                            rows: sizes.y.windows,
                            width: sizes.x.windows,
                            sums: &mut sums[first * columns..][..length * columns],
                            channels: length,
                        });
                    }
                }
            })
        });
        for (first, length, filled) in panels() {
            E::transpose(Transpose {
                from: &sums[first * columns..],
                from_line: length,
                to: &mut out[first * columns..],
                to_line: columns,
                rows: columns,
                cols: filled,
            });
        }
    })
}

/// How many images a partial sum of the gradient of the weights has, and how many sums there are: fixed by the problem,
/// so that the order of all additions is.
fn unit(sizes: &Sizes, weights: usize) -> (usize, usize) {
    let most = (PARTIAL / weights.max(1)).clamp(1, PARTS);
    let unit = sizes.images.div_ceil(most).max(1);
    (unit, sizes.images.div_ceil(unit))
}

/// Elements that [`to_weights`] needs beside its result of `weights` elements.
pub fn partial_sums(sizes: &Sizes, weights: usize) -> usize {
    if sizes.is_empty() { 0 } else { unit(sizes, weights).1 * weights }
}

/// The gradient of the weights from both sides: `gw += Σ over images`; `sums` has [`partial_sums`] elements.
pub fn to_weights<E: Real>(sizes: &Sizes, x: &[E], y: &[E], sums: &mut [E], gw: &mut [E]) {
    let Sizes { images, groups, image_channels: ci, window_channels: co, .. } = *sizes;
    if sizes.is_empty() {
        return;
    }
    let (plane, image_plane, columns) = (sizes.window_plane(), sizes.image_plane(), ci * sizes.kernel());
    let (unit, units) = unit(sizes, gw.len());
    let block = Block::new(groups, co, units, groups * sizes.multiplications() * images);
    let chunk = block.groups * block.channels * columns;
    let grid = Grid::new(sizes);
    let (offsets, len) = (grid.offsets(ci), grid.len());
    let together = (RUN / len).clamp(1, unit); // images whose sums stay in registers
    chunks_mut(sums, chunk, |start, sums| {
        let (u, places) = block.place(start / chunk);
        let range = u * unit..((u + 1) * unit).min(images);
        for (group, from, at) in places {
            let out = &mut sums[at * columns..][..block.channels * columns];
            let side =
                |side: &'_ [E], image: usize, channels: usize, plane: usize| -> std::ops::Range<usize> {
                    let from = (image * groups + group) * channels * plane;
                    from..(from + channels * plane).min(side.len())
                };
            if block.channels >= FEW {
                let images = range.clone().map(|image| {
                    let y = &y[side(y, image, co, plane)][from * plane..];
                    (&x[side(x, image, ci, image_plane)], &y[..block.channels * plane])
                });
                to_panels(sizes, &grid, &offsets, block.channels, images, out);
                continue;
            }
            out.fill(E::zero());
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
    let all = gw.len();
    chunks_mut(gw, PACKED, |start, gw| {
        for sums in sums.chunks_exact(all) {
            E::add_to(&sums[start..][..gw.len()], gw);
        }
    });
}
