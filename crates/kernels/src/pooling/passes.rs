//! The loops of max pooling: which element of a window is largest, and moving elements by index.
use super::PlaneWindows;
use crate::Real;
use crate::shape::Taps;
use crate::simd::{Body, simd};

/// The outputs `lo..hi` whose tap `k` falls inside the axis, and where the tap of `lo` falls.
#[inline(always)]
fn inside(taps: Taps, k: usize, extent: usize, outputs: usize) -> (usize, usize, usize) {
    let Taps { stride, padding, dilation, .. } = taps;
    let reach = k * dilation;
    let lo = padding.saturating_sub(reach).div_ceil(stride).min(outputs);
    let hi = (extent + padding).saturating_sub(reach).div_ceil(stride).clamp(lo, outputs);
    (lo, hi, (lo * stride + reach).wrapping_sub(padding))
}

/// The first position inside the axis of the window that begins at `start` of the padded axis.
#[inline(always)]
fn first_inside(taps: Taps, start: usize, extent: usize) -> usize {
    let skipped = taps.padding.saturating_sub(start).div_ceil(taps.dilation);
    (start + skipped * taps.dilation).saturating_sub(taps.padding).min(extent - 1)
}

/// `best` and `index` take over the elements of `row` that are larger, or NaN.
#[inline(always)]
fn update<E: Real>(first: u32, step: u32, row: impl Iterator<Item = E>, best: &mut [E], index: &mut [u32]) {
    let mut at = first;
    for ((best, index), x) in best.iter_mut().zip(index).zip(row) {
        let is_better = x > *best || x.is_nan();
        *best = if is_better { x } else { *best };
        *index = if is_better { at } else { *index };
        at = at.wrapping_add(step);
    }
}

/// The largest element of each window of each plane, and its index in the plane.
struct Maxima<'a, E>(PlaneWindows, &'a [E], &'a mut [E], &'a mut [u32]);
impl<E: Real> Body for Maxima<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(windows, x, y, indices) = self;
        let [height, width] = windows.extents;
        let [out_height, out_width] = windows.outputs;
        let [rows, cols] = windows.taps;
        let planes = x.chunks_exact(height * width);
        let outputs = y.chunks_exact_mut(out_height * out_width);
        for ((x, y), indices) in planes.zip(outputs).zip(indices.chunks_exact_mut(out_height * out_width)) {
            let lines = y.chunks_exact_mut(out_width).zip(indices.chunks_exact_mut(out_width));
            for (i, (best, index)) in lines.enumerate() {
                best.fill(E::neg_infinity());
                let top = i * rows.stride;
                // Where nothing is larger than −∞, the first position inside the window counts.
                let first_row = first_inside(rows, top, height) * width;
                for (j, index) in index.iter_mut().enumerate() {
                    *index = (first_row + first_inside(cols, j * cols.stride, width)) as u32;
                }
                for ky in 0..rows.kernel {
                    let position = top + ky * rows.dilation;
                    if position < rows.padding || position >= rows.padding + height {
                        continue;
                    }
                    let from = (position - rows.padding) * width;
                    let row = &x[from..from + width];
                    for kx in 0..cols.kernel {
                        let (lo, hi, start) = inside(cols, kx, width, out_width);
                        if lo == hi {
                            continue;
                        }
                        let (best, index) = (&mut best[lo..hi], &mut index[lo..hi]);
                        let (first, step) = ((from + start) as u32, cols.stride as u32);
                        match cols.stride {
                            1 => update(first, step, row[start..].iter().copied(), best, index),
                            2 => update(first, step, row[start..].chunks(2).map(|pair| pair[0]), best, index),
                            stride => {
                                update(first, step, row[start..].iter().copied().step_by(stride), best, index)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// y (+)= x at the indices, plane by plane.
struct Gather<'a, E> {
    sizes: [usize; 2],
    indices: &'a [u32],
    x: &'a [E],
    y: &'a mut [E],
    is_added: bool,
}
impl<E: Real> Body for Gather<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [from, to] = self.sizes;
        let planes = self.x.chunks_exact(from).zip(self.indices.chunks_exact(to));
        for ((x, indices), y) in planes.zip(self.y.chunks_exact_mut(to)) {
            for (y, &index) in y.iter_mut().zip(indices) {
                let x = x[index as usize];
                *y = if self.is_added { *y + x } else { x };
            }
        }
    }
}

/// y += x at the indices of y, plane by plane.
struct Scatter<'a, E> {
    sizes: [usize; 2],
    indices: &'a [u32],
    x: &'a [E],
    y: &'a mut [E],
}
impl<E: Real> Body for Scatter<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [from, to] = self.sizes;
        let planes = self.x.chunks_exact(from).zip(self.indices.chunks_exact(from));
        for ((x, indices), y) in planes.zip(self.y.chunks_exact_mut(to)) {
            for (&x, &index) in x.iter().zip(indices) {
                y[index as usize] += x;
            }
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait Pooling: Sized {
    /// Largest elements of whole planes, and their indices within the plane.
    fn maxima(windows: PlaneWindows, x: &[Self], y: &mut [Self], indices: &mut [u32]);
    /// y (+)= x at the indices, for whole planes of `sizes[0]` and `sizes[1]` elements.
    fn gather(sizes: [usize; 2], indices: &[u32], x: &[Self], y: &mut [Self], is_added: bool);
    /// y += x at the indices of y, for whole planes of `sizes[0]` and `sizes[1]` elements.
    fn scatter(sizes: [usize; 2], indices: &[u32], x: &[Self], y: &mut [Self]);
}

macro_rules! pooling {
    ($type:ty) => {
        impl Pooling for $type {
            fn maxima(windows: PlaneWindows, x: &[Self], y: &mut [Self], indices: &mut [u32]) {
                simd(Maxima(windows, x, y, indices))
            }
            fn gather(sizes: [usize; 2], indices: &[u32], x: &[Self], y: &mut [Self], is_added: bool) {
                simd(Gather { sizes, indices, x, y, is_added })
            }
            fn scatter(sizes: [usize; 2], indices: &[u32], x: &[Self], y: &mut [Self]) {
                simd(Scatter { sizes, indices, x, y })
            }
        }
    };
}

pooling!(f32);
pooling!(f64);
