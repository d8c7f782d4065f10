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

/// `out[r][p] = Σ_k weights[k][r] x[offsets[k] + at(p)]` for `p` over `height` rows of `width` positions, which lie
/// `x_line` apart in `x` and [`pitch`](ConvolutionPasses::pitch) apart in `out`. Behind the last, up to [`SLACK`]
/// elements of `x` are read and of each row of `out` written; what lies between two rows of `out` is anything.
#[derive(Debug)]
pub struct Correlate<'a, E> {
    /// `(taps, rows)`.
    pub weights: &'a [E],
    pub offsets: &'a [usize],
    pub x: &'a [E],
    pub x_line: usize,
    pub height: usize,
    pub width: usize,
    pub out: &'a mut [E],
    /// From a row of `out` to the next.
    pub line: usize,
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

/// Whether rows of `width` positions are whole vectors, so that a vector can begin where a row does; otherwise vectors
/// run on over what lies between two rows.
#[inline(always)]
fn is_whole<E: Lanes, S: Simd>(width: usize) -> bool {
    width.is_multiple_of(E::lanes::<S>())
}

impl<E: Lanes + crate::Real> Correlate<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(mut self, simd: S) {
        let lanes = E::lanes::<S>();
        // Positions in all, vectors of a row, and what lies between two rows: none, if vectors run on over it.
        let (len, across, gap) = match is_whole::<E, S>(self.width) {
            true => (self.height * self.width, self.width / lanes, self.x_line - self.width),
            false => ((self.height - 1) * self.x_line + self.width, usize::MAX, 0),
        };
        let (mut p, mut row, mut column) = (0, 0_usize, 0_usize);
        while p < len {
            let left = (len - p).div_ceil(lanes);
            let mut next = || {
                let at = p + row.wrapping_mul(gap);
                p = p.wrapping_add(lanes);
                column = column.wrapping_add(1);
                if column == across {
                    (row, column) = (row.wrapping_add(1), 0);
                }
                at
            };
            if left >= VECTORS {
                let at: [usize; VECTORS] = std::array::from_fn(|_| next());
                self.tile::<S, ROWS, VECTORS>(simd, at, p - VECTORS * lanes)
            } else if left >= 2 {
                let at = [next(), next()];
                self.tile::<S, ROWS, 2>(simd, at, p - 2 * lanes)
            } else {
                let at = [next()];
                self.tile::<S, ROWS, 1>(simd, at, p - lanes)
            }
        }
    }

    /// Vectors at the positions `at` of `x`, written side by side from `p` on.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        at: [usize; VECTORS],
        p: usize,
    ) {
        let lanes = E::lanes::<S>();
        let mut sums = [[E::splat(simd, E::zero()); VECTORS]; ROWS];
        // From the first vector to the others, and to the end of the last.
        let [starts, ends] = [0, lanes].map(|end| at.map(|at_v| at_v - at[0] + end));
        let span = ends[VECTORS - 1];
        // Said here once, it need not be checked for each tap.
        assert!(starts.iter().zip(&ends).all(|(start, &end)| start <= &end && end <= span), "in order");
        for (w, &offset) in self.weights.as_chunks::<ROWS>().0.iter().zip(self.offsets) {
            let x = &self.x[offset.wrapping_add(at[0])..][..span];
            let x: [E::Vector<S>; VECTORS] = std::array::from_fn(|v| E::load::<S>(&x[starts[v]..ends[v]]));
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
            2 => self.run::<S, 2, 4, 3>(simd),
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

/// `sums[k][c] += Σ_p x[offsets[k] + at(p)] g[p][c]` for one panel of channels, where `p` counts `rows` rows of `width`
/// elements of `x`, `line` apart. Each sum is made of partial sums over some hundred `p`, in order.
#[derive(Debug)]
pub struct Outer<'a, E> {
    /// `(rows · width, channels)`.
    pub g: &'a [E],
    pub x: &'a [E],
    pub offsets: &'a [usize],
    pub line: usize,
    pub rows: usize,
    pub width: usize,
    /// `(taps, channels)`.
    pub sums: &'a mut [E],
    /// One vector, or two.
    pub channels: usize,
}

/// Elements of a line that are read once per tile of taps: they and the gradient stay in L1.
const RUN: usize = 256;

impl<E: Lanes + crate::Real> WithSimd for Outer<'_, E> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.channels == E::lanes::<S>() {
            self.run::<S, 1, 8, 4>(simd)
        } else {
            self.run::<S, 2, 4, 3>(simd)
        }
    }
}

impl<E: Lanes + crate::Real> Outer<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const TAPS: usize, const HALF: usize>(mut self, simd: S) {
        let rows = (RUN / self.width).max(1);
        for first in (0..self.rows).step_by(rows) {
            let rows = first..(first + rows).min(self.rows);
            let mut k = 0;
            while k < self.offsets.len() {
                k += match self.offsets.len() - k {
                    left if left >= TAPS => self.tile::<S, VECTORS, TAPS>(simd, k, rows.clone()),
                    left if left >= HALF => self.tile::<S, VECTORS, HALF>(simd, k, rows.clone()),
                    2 => self.tile::<S, VECTORS, 2>(simd, k, rows.clone()),
                    _ => self.tile::<S, VECTORS, 1>(simd, k, rows.clone()),
                };
            }
        }
    }

    /// Returns the number of taps.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "one index into several arrays, unrolled")]
    fn tile<S: Simd, const VECTORS: usize, const TAPS: usize>(
        &mut self,
        simd: S,
        k: usize,
        rows: std::ops::Range<usize>,
    ) -> usize {
        let (lanes, width) = (E::lanes::<S>(), self.width);
        let channels = VECTORS * lanes;
        let mut sums = [[E::splat(simd, E::zero()); VECTORS]; TAPS];
        for row in rows {
            let x: [&[E]; TAPS] = std::array::from_fn(|t| {
                &self.x[self.offsets[k + t].wrapping_add(row.wrapping_mul(self.line))..][..width]
            });
            let g = &self.g[row * width * channels..][..width * channels];
            for p in 0..width {
                let g = &g[p * channels..][..channels];
                let g: [E::Vector<S>; VECTORS] = std::array::from_fn(|v| E::load::<S>(&g[v * lanes..]));
                for t in 0..TAPS {
                    let x = E::splat(simd, x[t][p]);
                    for v in 0..VECTORS {
                        sums[t][v] = E::multiply_add(simd, x, g[v], sums[t][v]);
                    }
                }
            }
        }
        let one = E::splat(simd, E::ONE);
        for t in 0..TAPS {
            for v in 0..VECTORS {
                let to = &mut self.sums[(k + t) * channels + v * lanes..][..lanes];
                let sum = E::multiply_add(simd, one, sums[t][v], E::load::<S>(to));
                E::store::<S>(sum, to);
            }
        }
        TAPS
    }
}

/// `to[j][i] = from[i][j]` for `rows` rows of `from`.
#[derive(Debug)]
pub struct Transpose<'a, E> {
    pub from: &'a [E],
    pub from_line: usize,
    pub to: &'a mut [E],
    pub to_line: usize,
    pub rows: usize,
    pub cols: usize,
}

impl<E: crate::Real> Body for Transpose<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        const COLS: usize = 128; // written in L1
        let Self { from, from_line, to, to_line, rows, cols } = self;
        for first in (0..cols).step_by(COLS) {
            let cols = first..(first + COLS).min(cols);
            let to = &mut to[cols.start * to_line..];
            for i in 0..rows {
                let from = &from[i * from_line..][cols.clone()];
                for (to, &from) in to[i..].iter_mut().step_by(to_line).zip(from) {
                    *to = from;
                }
            }
        }
    }
}

/// Copies planes of rows between lines of different width and step: row `i` of `to` starts at `i * to_line`, element `j`
/// of it at `j * to_step`, and so for `from`.
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
    /// Their number, and from one to the next in `from` and in `to`.
    pub planes: [usize; 3],
    pub write: Write<E>,
}

/// What happens to the place that is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write<E> {
    /// It is replaced by the sum of the new and this.
    Sum(E),
    /// The new is added.
    Add,
    /// It is replaced.
    Copy,
}

impl<E: crate::Real> Body for Rows<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(mut self) {
        let is_whole = self.from_line == self.width && self.to_line == self.width;
        if is_whole && self.from_step == 1 && self.to_step == 1 {
            (self.width, self.rows) = (self.width * self.rows, 1); // rows lie side by side
        }
        let (width, from_step, to_step) = (self.width, self.from_step, self.to_step);
        match (from_step, to_step, self.write) {
            (1, 1, Write::Sum(bias)) => self.each(|from, to| each(from, to, width, |from, _| from + bias)),
            (1, 1, Write::Add) => self.each(|from, to| each(from, to, width, |from, to| to + from)),
            (1, 1, Write::Copy) => self.each(|from, to| each(from, to, width, |from, _| from)),
            (2, 1, Write::Copy) => self.each(|from, to| {
                // The last one may have no partner.
                let (to, pairs) = (&mut to[..width], from.as_chunks::<2>().0);
                for (to, pair) in to.iter_mut().zip(pairs) {
                    *to = pair[0];
                }
                if let Some(to) = to.get_mut(pairs.len()) {
                    *to = from[2 * pairs.len()];
                }
            }),
            (1, 2, Write::Add) => self.each(|from, to| {
                let from = &from[..width];
                let (pairs, rest) = to.as_chunks_mut::<2>();
                for (pair, &from) in pairs.iter_mut().zip(from) {
                    pair[0] += from;
                }
                if let (Some(&from), Some(to)) = (from.get(pairs.len()), rest.first_mut()) {
                    *to += from;
                }
            }),
            (.., write) => self.each(|from, to| {
                let steps = to.iter_mut().step_by(to_step).zip(from.iter().step_by(from_step));
                for (to, &from) in steps.take(width) {
                    *to = match write {
                        Write::Sum(bias) => from + bias,
                        Write::Add => *to + from,
                        Write::Copy => from,
                    };
                }
            }),
        }
    }
}

impl<E> Rows<'_, E> {
    /// All rows, from where each begins.
    #[inline(always)]
    fn each(self, row: impl Fn(&[E], &mut [E])) {
        let [planes, from_plane, to_plane] = self.planes;
        for plane in 0..planes {
            let (from, to) = (&self.from[plane * from_plane..], &mut self.to[plane * to_plane..]);
            for i in 0..self.rows {
                row(&from[i * self.from_line..], &mut to[i * self.to_line..]);
            }
        }
    }
}

/// `to = f(from, to)` for short rows, without a call of `memcpy`.
#[inline(always)]
fn each<E: crate::Real>(from: &[E], to: &mut [E], width: usize, f: impl Fn(E, E) -> E) {
    let (from_blocks, from_rest) = from[..width].as_chunks::<8>();
    let (to_blocks, to_rest) = to[..width].as_chunks_mut::<8>();
    for (to, from) in to_blocks.iter_mut().zip(from_blocks) {
        for j in 0..8 {
            to[j] = f(from[j], to[j]);
        }
    }
    for (to, &from) in to_rest.iter_mut().zip(from_rest) {
        *to = f(from, *to);
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
    /// From a row of positions to the next in the result of a [`Correlate`].
    fn pitch(width: usize, x_line: usize) -> usize;
    /// Runs an [`Inner`].
    fn inner(job: Inner<'_, Self>);
    /// Runs an [`Outer`].
    fn outer(job: Outer<'_, Self>);
    /// Runs a [`Transpose`].
    fn transpose(job: Transpose<'_, Self>);
    /// Elements of a vector.
    fn vector() -> usize;
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
            fn pitch(width: usize, x_line: usize) -> usize {
                if width.is_multiple_of(Self::vector()) { width } else { x_line }
            }
            fn inner(job: Inner<'_, Self>) {
                dispatch(job)
            }
            fn outer(job: Outer<'_, Self>) {
                dispatch(job)
            }
            fn transpose(job: Transpose<'_, Self>) {
                simd(job)
            }
            fn vector() -> usize {
                struct Vector;
                impl WithSimd for Vector {
                    type Output = usize;
                    #[inline(always)]
                    fn with_simd<S: Simd>(self, _: S) -> usize {
                        <$type>::lanes::<S>()
                    }
                }
                dispatch(Vector)
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
