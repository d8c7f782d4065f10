//! The two register-tiled loops of convolution, and the copies around them.
//!
//! Planes are padded and their rows joined, so that a tap is one offset and a convolution is a sum of shifted lines.
use crate::ActivationKind;
use crate::lanes::{Lanes, Simd, WithSimd, dispatch};
use crate::loops::{BLOCK, lane_sum};
use crate::simd::{Body, simd};
use std::cell::RefCell;

/// Elements that may be read behind the last one of a line.
pub const SLACK: usize = 16;

/// Most output channels of one tile; weights are packed for tiles of this and of the smaller powers of two.
pub fn most_rows() -> usize {
    struct MostRows;
    impl WithSimd for MostRows {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            if S::REGISTER_COUNT >= 32 { 8 } else { 4 }
        }
    }
    dispatch(MostRows)
}

/// `out[r][p] = Σ_k weights[k][r] x[offsets[k] + p]` for `p` in `0..len`. Behind `len`, up to [`SLACK`] elements of `x`
/// are read and of each row of `out` written.
#[derive(Debug)]
pub struct Correlate<'a, E> {
    /// `(taps, rows)`.
    pub weights: &'a [E],
    pub offsets: &'a [usize],
    pub x: &'a [E],
    pub out: &'a mut [E],
    /// From a row of `out` to the next.
    pub line: usize,
    pub len: usize,
    /// 8, 4, 2 or 1.
    pub rows: usize,
}

impl<E: Lanes + crate::Real> WithSimd for Correlate<'_, E> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Rows × vectors of accumulators, and a vector per load, fit the registers.
        match (self.rows, S::REGISTER_COUNT >= 32) {
            (8, _) => self.run::<S, 8, 3>(simd),
            (4, true) => self.run::<S, 4, 5>(simd),
            (4, false) => self.run::<S, 4, 3>(simd),
            (2, _) => self.run::<S, 2, 4>(simd),
            _ => self.run::<S, 1, 6>(simd),
        }
    }
}

impl<E: Lanes + crate::Real> Correlate<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(mut self, simd: S) {
        let lanes = E::lanes::<S>();
        let mut p = 0;
        while p < self.len {
            let left = (self.len - p).div_ceil(lanes);
            p += lanes
                * if left >= VECTORS {
                    self.tile::<S, ROWS, VECTORS>(simd, p)
                } else if left >= 2 {
                    self.tile::<S, ROWS, 2>(simd, p)
                } else {
                    self.tile::<S, ROWS, 1>(simd, p)
                };
        }
    }

    /// Returns the number of vectors.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, p: usize) -> usize {
        let lanes = E::lanes::<S>();
        let mut sums = [[E::splat(simd, E::zero()); VECTORS]; ROWS];
        for (w, &offset) in self.weights.as_chunks::<ROWS>().0.iter().zip(self.offsets) {
            let x = &self.x[offset.wrapping_add(p)..][..VECTORS * lanes];
            let x: [E::Vector<S>; VECTORS] = std::array::from_fn(|v| E::load::<S>(&x[v * lanes..]));
            for r in 0..ROWS {
                let w = E::splat(simd, w[r]);
                for v in 0..VECTORS {
                    sums[r][v] = E::multiply_add(simd, w, x[v], sums[r][v]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                E::store::<S>(sum, &mut self.out[r * self.line + p + v * lanes..]);
            }
        }
        VECTORS
    }
}

/// `out[c][k] += Σ over images and p of g[image][c][p] x[image][offsets[k] + p]`, for `p` in `0..len`. `g` is zero behind
/// `len`, where up to [`SLACK`] elements are read of it and of `x`.
#[derive(Debug)]
pub struct Inner<'a, E> {
    pub g: &'a [E],
    /// From a channel of `g` to the next.
    pub line: usize,
    pub x: &'a [E],
    pub offsets: &'a [usize],
    pub len: usize,
    /// From an image to the next in `g` and in `x`.
    pub steps: [usize; 2],
    pub images: usize,
    pub out: &'a mut [E],
    /// From a channel of `out` to the next.
    pub out_line: usize,
    pub channels: usize,
}

impl<E: Lanes + crate::Real> WithSimd for Inner<'_, E> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // E::LONGEST partial sums per product, in one or several vectors.
        match E::LONGEST / E::lanes::<S>() {
            1 => self.run::<S, 1, 4, 6>(simd),
            2 => self.run::<S, 2, 2, 3>(simd),
            4 => self.run::<S, 4, 2, 3>(simd),
            8 => self.run::<S, 8, 1, 1>(simd),
            _ => self.run::<S, 16, 1, 1>(simd),
        }
    }
}

impl<E: Lanes + crate::Real> Inner<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const ROWS: usize, const TAPS: usize>(mut self, simd: S) {
        let (channels, taps) = (self.channels, self.offsets.len());
        let mut c = 0;
        while c < channels {
            let wide = channels - c >= ROWS;
            let mut k = 0;
            while k < taps {
                let long = taps - k >= TAPS;
                match (wide, long) {
                    (true, true) => self.tile::<S, VECTORS, ROWS, TAPS>(simd, c, k),
                    (true, false) => self.tile::<S, VECTORS, ROWS, 1>(simd, c, k),
                    (false, true) => self.tile::<S, VECTORS, 1, TAPS>(simd, c, k),
                    (false, false) => self.tile::<S, VECTORS, 1, 1>(simd, c, k),
                }
                k += if long { TAPS } else { 1 };
            }
            c += if wide { ROWS } else { 1 };
        }
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "one index into three arrays, unrolled")]
    fn tile<S: Simd, const VECTORS: usize, const ROWS: usize, const TAPS: usize>(
        &mut self,
        simd: S,
        c: usize,
        k: usize,
    ) {
        let lanes = E::lanes::<S>();
        let mut sums = [[[E::splat(simd, E::zero()); VECTORS]; TAPS]; ROWS];
        let len = self.len.next_multiple_of(E::LONGEST);
        for image in 0..self.images {
            let g: [&[E]; ROWS] =
                std::array::from_fn(|r| &self.g[image * self.steps[0] + (c + r) * self.line..][..len]);
            let x: [&[E]; TAPS] =
                std::array::from_fn(|t| &self.x[image * self.steps[1] + self.offsets[k + t]..][..len]);
            for p in (0..len).step_by(E::LONGEST) {
                for v in 0..VECTORS {
                    let at = p + v * lanes;
                    let g: [E::Vector<S>; ROWS] = std::array::from_fn(|r| E::load::<S>(&g[r][at..]));
                    for t in 0..TAPS {
                        let x = E::load::<S>(&x[t][at..]);
                        for r in 0..ROWS {
                            sums[r][t][v] = E::multiply_add(simd, x, g[r], sums[r][t][v]);
                        }
                    }
                }
            }
        }
        let mut parts = [E::zero(); 16];
        for (r, sums) in sums.iter().enumerate() {
            for (t, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    E::store::<S>(sum, &mut parts[v * lanes..]);
                }
                let mut half = E::LONGEST / 2;
                while half > 0 {
                    for j in 0..half {
                        parts[j] += parts[j + half];
                    }
                    half /= 2;
                }
                let out = &mut self.out[(c + r) * self.out_line + k + t];
                *out += parts[0];
            }
        }
    }
}

/// Copies rows between lines of different width and step: row `i` of `to` starts at `i * to_line`, element `j` of it at
/// `j * to_step`, and so for `from`; what is there is kept and added to, or replaced.
#[derive(Debug)]
pub struct Rows<'a, E> {
    pub from: &'a [E],
    pub from_line: usize,
    pub from_step: usize,
    pub to: &'a mut [E],
    pub to_line: usize,
    pub to_step: usize,
    pub rows: usize,
    pub width: usize,
    pub adds: bool,
}

impl<E: crate::Real> Body for Rows<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        if self.width == 0 {
            return;
        }
        for i in 0..self.rows {
            let from = &self.from[i * self.from_line..];
            let to = &mut self.to[i * self.to_line..];
            if self.from_step == 1 && self.to_step == 1 {
                let (from, to) = (&from[..self.width], &mut to[..self.width]);
                if self.adds {
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to += from;
                    }
                } else {
                    copy(from, to);
                }
            } else {
                let steps = to.iter_mut().step_by(self.to_step).zip(from.iter().step_by(self.from_step));
                for (to, &from) in steps.take(self.width) {
                    *to = if self.adds { *to + from } else { from };
                }
            }
        }
    }
}

/// A copy of a short row without a call of `memcpy`.
#[inline(always)]
fn copy<E: Copy>(from: &[E], to: &mut [E]) {
    let (from_blocks, from_rest) = from.as_chunks::<8>();
    let (to_blocks, to_rest) = to.as_chunks_mut::<8>();
    for (to, from) in to_blocks.iter_mut().zip(from_blocks) {
        *to = *from;
    }
    let (from_blocks, from_rest) = from_rest.as_chunks::<2>();
    let (to_blocks, to_rest) = to_rest.as_chunks_mut::<2>();
    for (to, from) in to_blocks.iter_mut().zip(from_blocks) {
        *to = *from;
    }
    if let ([to], [from]) = (to_rest, from_rest) {
        *to = *from;
    }
}

/// `sums[c] += Σ` over the elements of plane `c`.
struct ChannelSums<'a, E>(&'a [E], &'a mut [E]);

impl<E: crate::Real> Body for ChannelSums<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let plane = self.0.len() / self.1.len();
        for (sum, x) in self.1.iter_mut().zip(self.0.chunks_exact(plane)) {
            *sum += lane_sum(x);
        }
    }
}

/// y = φ(y), a block at a time.
fn activate_in_place<E: crate::Real>(kind: ActivationKind, y: &mut [E]) {
    let mut before = [E::zero(); BLOCK];
    for y in y.chunks_mut(BLOCK) {
        let before = &mut before[..y.len()];
        before.copy_from_slice(y);
        E::value(kind, before, y);
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait ConvolutionPasses: Sized {
    /// Runs a [`Correlate`].
    fn correlate(job: Correlate<'_, Self>);
    /// Runs an [`Inner`].
    fn inner(job: Inner<'_, Self>);
    /// Runs a [`Rows`].
    fn copy_rows(job: Rows<'_, Self>);
    /// Adds the sums of the planes of `x`, as many as `sums` has elements.
    fn channel_sums(x: &[Self], sums: &mut [Self]);
    /// y = φ(y).
    fn activate_in_place(kind: ActivationKind, y: &mut [Self]);
    /// Calls `f` with `n` zeros that belong to this thread.
    fn scratch<R>(n: usize, f: impl FnOnce(&mut [Self]) -> R) -> R;
}

macro_rules! passes {
    ($type:ty) => {
        impl ConvolutionPasses for $type {
            fn correlate(job: Correlate<'_, Self>) {
                dispatch(job)
            }
            fn inner(job: Inner<'_, Self>) {
                dispatch(job)
            }
            fn copy_rows(job: Rows<'_, Self>) {
                simd(job)
            }
            fn channel_sums(x: &[Self], sums: &mut [Self]) {
                if !x.is_empty() {
                    simd(ChannelSums(x, sums))
                }
            }
            fn activate_in_place(kind: ActivationKind, y: &mut [Self]) {
                activate_in_place(kind, y)
            }
            fn scratch<R>(n: usize, f: impl FnOnce(&mut [Self]) -> R) -> R {
                thread_local! {
                    /// Buffers that are not in use: a part that asks twice gets two.
                    static FREE: RefCell<Vec<Vec<$type>>> = const { RefCell::new(Vec::new()) };
                }
                let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
                buffer.clear();
                buffer.resize(n, 0.0);
                let result = f(&mut buffer);
                FREE.with_borrow_mut(|free| free.push(buffer));
                result
            }
        }
    };
}
passes!(f32);
passes!(f64);
