//! The loops over compressed rows, for a part of the rows.
//!
//! `starts` are those of the part's rows and one more; they count in the whole, so that columns, weights and gathered
//! rows are whole too, while outputs are the part's own.
use super::pattern::Rows;
use super::segments::Reduction;
use crate::simd::{Body, prefetch, simd};
use crate::{Real, math};

/// Entries between the row that is computed and the one that is asked for from memory.
const AHEAD: usize = 10;

/// Where the weight of entry `k` stands.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a, E> {
    /// All weights are 1.
    Ones,
    /// In the order of the entries.
    InOrder(&'a [E]),
    /// The weight of entry `k` is the one at the `k`-th place of the second slice.
    At(&'a [E], &'a [u32]),
}

/// What is stored: the result, or the sum of it and what was there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Store {
    Set,
    Add,
}

/// The passes of one element type.
pub trait SparsePasses: Sized {
    /// Rows of A X.
    fn spmm(
        rows: Rows<'_>,
        weights: Weights<'_, Self>,
        x: &[Self],
        features: usize,
        y: &mut [Self],
        store: Store,
    );
    /// ⟨qᵢ, kⱼ⟩ of the part's entries; `q` holds the part's rows.
    fn sddmm(rows: Rows<'_>, q: &[Self], k: &[Self], features: usize, s: &mut [Self], store: Store);
    /// Reduces the rows of each segment. `place` gets the row of the extremum, if the reduction is one.
    fn segment_reduce(
        reduction: Reduction,
        starts: &[usize],
        x: &[Self],
        features: usize,
        y: &mut [Self],
        place: &mut [u32],
    );
    /// Adds the gradients of the segments' rows; `gx` holds the part's rows, `x` is whole.
    fn segment_reduce_back(
        reduction: Reduction,
        starts: &[usize],
        features: usize,
        kept: SegmentsKept<'_, Self>,
        gy: &[Self],
        gx: &mut [Self],
    );
    /// Softmax of each column over each segment; slices hold the part's rows.
    fn segment_softmax(starts: &[usize], features: usize, x: &[Self], y: &mut [Self]);
    /// Its backward pass.
    fn segment_softmax_back(starts: &[usize], features: usize, y: &[Self], gy: &[Self], gx: &mut [Self]);
}

/// What the backward pass of a reduction reads, of the part's segments and rows.
#[derive(Clone, Copy, Debug)]
pub struct SegmentsKept<'a, E> {
    pub x: &'a [E],
    pub y: &'a [E],
    pub place: &'a [u32],
}

struct Spmm<'a, E, W> {
    rows: Rows<'a>,
    weight: W,
    x: &'a [E],
    features: usize,
    y: &'a mut [E],
    store: Store,
}

/// Asks for the rows of `x` that the entries `AHEAD` of those at `bounds` read. Rows shorter than a line of the cache lie
/// beside each other in it, and asking costs more than it saves.
#[inline(always)]
fn ask<E>(columns: &[u32], bounds: &[usize], x: &[E], features: usize) {
    if features * size_of::<E>() < 64 {
        return;
    }
    let [from, to] = [bounds[0], bounds[1]].map(|entry| (entry + AHEAD).min(columns.len()));
    for &column in &columns[from..to] {
        prefetch(x, column as usize * features, features);
    }
}

/// Σ over the neighbours of a row, for features `at` to `at + WIDTH`, which stay in registers meanwhile.
#[inline(always)]
fn gather<E: Real, const WIDTH: usize>(
    columns: &[u32],
    first: usize,
    weight: impl Fn(usize) -> E,
    x: &[E],
    (features, at): (usize, usize),
    y: &mut [E],
    store: Store,
) {
    let mut sums = [E::zero(); WIDTH];
    for (k, &column) in columns.iter().enumerate() {
        let w = weight(first + k);
        let from = column as usize * features + at;
        let x = &x[from..from + WIDTH];
        for j in 0..WIDTH {
            sums[j] = w.mul_add(x[j], sums[j]);
        }
    }
    let y = &mut y[at..at + WIDTH];
    for j in 0..WIDTH {
        y[j] = if store == Store::Add { y[j] + sums[j] } else { sums[j] };
    }
}

impl<E: Real, W: Fn(usize) -> E + Copy> Body for Spmm<'_, E, W> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { rows, weight, x, features, y, store } = self;
        for (bounds, y) in rows.starts.windows(2).zip(y.chunks_exact_mut(features)) {
            ask(rows.columns, bounds, x, features);
            let columns = &rows.columns[bounds[0]..bounds[1]];
            let mut at = 0;
            // As much as eight registers of AVX2 hold.
            while size_of::<E>() == 4 && at + 64 <= features {
                gather::<E, 64>(columns, bounds[0], weight, x, (features, at), y, store);
                at += 64;
            }
            while size_of::<E>() == 8 && at + 32 <= features {
                gather::<E, 32>(columns, bounds[0], weight, x, (features, at), y, store);
                at += 32;
            }
            while at + 16 <= features {
                gather::<E, 16>(columns, bounds[0], weight, x, (features, at), y, store);
                at += 16;
            }
            while at + 4 <= features {
                gather::<E, 4>(columns, bounds[0], weight, x, (features, at), y, store);
                at += 4;
            }
            while at < features {
                gather::<E, 1>(columns, bounds[0], weight, x, (features, at), y, store);
                at += 1;
            }
        }
    }
}

/// Σ x y in 8 lanes and a fixed tree: rows of features are short.
#[inline(always)]
fn dot<E: Real>(x: &[E], y: &[E]) -> E {
    let (xs, x_rest) = x.as_chunks::<8>();
    let (ys, y_rest) = y.as_chunks::<8>();
    let mut lanes = [E::zero(); 8];
    for (x, y) in xs.iter().zip(ys) {
        for j in 0..8 {
            lanes[j] = x[j].mul_add(y[j], lanes[j]);
        }
    }
    let mut rest = E::zero();
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        rest = x.mul_add(y, rest);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + rest
}

struct Sddmm<'a, E> {
    rows: Rows<'a>,
    q: &'a [E],
    k: &'a [E],
    features: usize,
    s: &'a mut [E],
    store: Store,
}

impl<E: Real> Body for Sddmm<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { rows, q, k, features, s, store } = self;
        let first = rows.starts[0];
        for (bounds, q) in rows.starts.windows(2).zip(q.chunks_exact(features)) {
            ask(rows.columns, bounds, k, features);
            let s = &mut s[bounds[0] - first..bounds[1] - first];
            for (&column, s) in rows.columns[bounds[0]..bounds[1]].iter().zip(s) {
                let k = &k[column as usize * features..][..features];
                let product = dot(q, k);
                *s = if store == Store::Add { *s + product } else { product };
            }
        }
    }
}

struct Reduce<'a, E> {
    reduction: Reduction,
    starts: &'a [usize],
    x: &'a [E],
    features: usize,
    y: &'a mut [E],
    place: &'a mut [u32],
}

impl<E: Real> Reduce<'_, E> {
    /// The extremum of one segment under an order, with the first row that attains it.
    #[inline(always)]
    fn extremum(
        x: &[E],
        features: usize,
        first: usize,
        y: &mut [E],
        place: &mut [u32],
        before: impl Fn(E, E) -> bool,
    ) {
        place.fill(first as u32);
        let mut rows = x.chunks_exact(features);
        let Some(row) = rows.next() else { return y.fill(E::zero()) };
        y.copy_from_slice(row);
        for (row, number) in rows.zip(first as u32 + 1..) {
            for ((&x, y), place) in row.iter().zip(&mut *y).zip(&mut *place) {
                // A NaN is taken and kept.
                let is_better = before(x, *y) | (x.is_nan() & !y.is_nan());
                *y = if is_better { x } else { *y };
                *place = if is_better { number } else { *place };
            }
        }
    }
}

impl<E: Real> Body for Reduce<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { reduction, starts, x, features, y, place } = self;
        let mut max = vec![E::zero(); features];
        for (i, (bounds, y)) in starts.windows(2).zip(y.chunks_exact_mut(features)).enumerate() {
            let x = &x[bounds[0] * features..bounds[1] * features];
            let own = i * features..(i + 1) * features;
            match reduction {
                Reduction::Sum | Reduction::Mean => {
                    y.fill(E::zero());
                    for x in x.chunks_exact(features) {
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y += x;
                        }
                    }
                    if reduction == Reduction::Mean && bounds[1] > bounds[0] {
                        let scale = E::ONE / E::of((bounds[1] - bounds[0]) as f64);
                        for y in y {
                            *y *= scale;
                        }
                    }
                }
                Reduction::Max => Self::extremum(x, features, bounds[0], y, &mut place[own], |x, y| x > y),
                Reduction::Min => Self::extremum(x, features, bounds[0], y, &mut place[own], |x, y| x < y),
                Reduction::LogSumExp => {
                    columns_max(x, features, &mut max);
                    y.fill(E::zero());
                    for x in x.chunks_exact(features) {
                        for ((y, &x), &max) in y.iter_mut().zip(x).zip(&max) {
                            *y += math::exp(x - max);
                        }
                    }
                    for (y, &max) in y.iter_mut().zip(&max) {
                        *y = if *y == E::zero() { E::neg_infinity() } else { max + math::ln(*y) };
                    }
                }
            }
        }
    }
}

/// What each column subtracts before exponentials: its maximum, or 0 where that is infinite or there is no row.
#[inline(always)]
fn columns_max<E: Real>(x: &[E], features: usize, max: &mut [E]) {
    max.fill(E::neg_infinity());
    for x in x.chunks_exact(features) {
        for (max, &x) in max.iter_mut().zip(x) {
            *max = if x > *max { x } else { *max };
        }
    }
    for max in max {
        *max = if max.is_infinite() { E::zero() } else { *max };
    }
}

struct ReduceBack<'a, E> {
    reduction: Reduction,
    starts: &'a [usize],
    features: usize,
    kept: SegmentsKept<'a, E>,
    gy: &'a [E],
    gx: &'a mut [E],
}

impl<E: Real> Body for ReduceBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { reduction, starts, features, kept, gy, gx } = self;
        let first = starts[0];
        for (i, (bounds, gy)) in starts.windows(2).zip(gy.chunks_exact(features)).enumerate() {
            let rows = (bounds[0] - first) * features..(bounds[1] - first) * features;
            match reduction {
                Reduction::Sum | Reduction::Mean => {
                    let scale = match reduction {
                        Reduction::Mean => E::ONE / E::of((bounds[1] - bounds[0]) as f64),
                        _ => E::ONE,
                    };
                    for gx in gx[rows].chunks_exact_mut(features) {
                        for (gx, &gy) in gx.iter_mut().zip(gy) {
                            *gx = scale.mul_add(gy, *gx);
                        }
                    }
                }
                Reduction::Max | Reduction::Min => {
                    if bounds[0] == bounds[1] {
                        continue;
                    }
                    let place = &kept.place[i * features..(i + 1) * features];
                    for (j, (&row, &gy)) in place.iter().zip(gy).enumerate() {
                        gx[(row as usize - first) * features + j] += gy;
                    }
                }
                Reduction::LogSumExp => {
                    let y = &kept.y[i * features..(i + 1) * features];
                    let x = &kept.x[rows.clone()];
                    for (gx, x) in gx[rows].chunks_exact_mut(features).zip(x.chunks_exact(features)) {
                        for (((gx, &x), &y), &gy) in gx.iter_mut().zip(x).zip(y).zip(gy) {
                            *gx = math::exp(x - y).mul_add(gy, *gx);
                        }
                    }
                }
            }
        }
    }
}

struct Softmax<'a, E> {
    starts: &'a [usize],
    features: usize,
    x: &'a [E],
    y: &'a mut [E],
}

impl<E: Real> Body for Softmax<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { starts, features, x, y } = self;
        let (mut max, mut sum) = (vec![E::zero(); features], vec![E::zero(); features]);
        for bounds in starts.windows(2) {
            let rows = (bounds[0] - starts[0]) * features..(bounds[1] - starts[0]) * features;
            let (x, y) = (&x[rows.clone()], &mut y[rows]);
            columns_max(x, features, &mut max);
            sum.fill(E::zero());
            for (x, y) in x.chunks_exact(features).zip(y.chunks_exact_mut(features)) {
                for (((&x, y), &max), sum) in x.iter().zip(y).zip(&max).zip(&mut sum) {
                    *y = math::exp(x - max);
                    *sum += *y;
                }
            }
            for sum in &mut sum {
                *sum = E::ONE / *sum;
            }
            for y in y.chunks_exact_mut(features) {
                for (y, &scale) in y.iter_mut().zip(&sum) {
                    *y *= scale;
                }
            }
        }
    }
}

struct SoftmaxBack<'a, E> {
    starts: &'a [usize],
    features: usize,
    y: &'a [E],
    gy: &'a [E],
    gx: &'a mut [E],
}

impl<E: Real> Body for SoftmaxBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { starts, features, y, gy, gx } = self;
        let mut dot = vec![E::zero(); features];
        for bounds in starts.windows(2) {
            let rows = (bounds[0] - starts[0]) * features..(bounds[1] - starts[0]) * features;
            let (y, gy, gx) = (&y[rows.clone()], &gy[rows.clone()], &mut gx[rows]);
            dot.fill(E::zero());
            for (y, gy) in y.chunks_exact(features).zip(gy.chunks_exact(features)) {
                for ((&y, &gy), dot) in y.iter().zip(gy).zip(&mut dot) {
                    *dot = y.mul_add(gy, *dot);
                }
            }
            let rows =
                y.chunks_exact(features).zip(gy.chunks_exact(features)).zip(gx.chunks_exact_mut(features));
            for ((y, gy), gx) in rows {
                for (((&y, &gy), gx), &dot) in y.iter().zip(gy).zip(gx).zip(&dot) {
                    *gx = y.mul_add(gy - dot, *gx);
                }
            }
        }
    }
}

macro_rules! passes {
    ($E:ty) => {
        impl SparsePasses for $E {
            fn spmm(
                rows: Rows<'_>,
                weights: Weights<'_, $E>,
                x: &[$E],
                features: usize,
                y: &mut [$E],
                store: Store,
            ) {
                match weights {
                    Weights::Ones => simd(Spmm { rows, weight: |_| 1.0, x, features, y, store }),
                    Weights::InOrder(w) => {
                        simd(Spmm { rows, weight: |k: usize| w[k], x, features, y, store })
                    }
                    Weights::At(w, at) => {
                        simd(Spmm { rows, weight: |k: usize| w[at[k] as usize], x, features, y, store })
                    }
                }
            }
            fn sddmm(rows: Rows<'_>, q: &[$E], k: &[$E], features: usize, s: &mut [$E], store: Store) {
                simd(Sddmm { rows, q, k, features, s, store })
            }
            fn segment_reduce(
                reduction: Reduction,
                starts: &[usize],
                x: &[$E],
                features: usize,
                y: &mut [$E],
                place: &mut [u32],
            ) {
                simd(Reduce { reduction, starts, x, features, y, place })
            }
            fn segment_reduce_back(
                reduction: Reduction,
                starts: &[usize],
                features: usize,
                kept: SegmentsKept<'_, $E>,
                gy: &[$E],
                gx: &mut [$E],
            ) {
                simd(ReduceBack { reduction, starts, features, kept, gy, gx })
            }
            fn segment_softmax(starts: &[usize], features: usize, x: &[$E], y: &mut [$E]) {
                simd(Softmax { starts, features, x, y })
            }
            fn segment_softmax_back(starts: &[usize], features: usize, y: &[$E], gy: &[$E], gx: &mut [$E]) {
                simd(SoftmaxBack { starts, features, y, gy, gx })
            }
        }
    };
}
passes!(f32);
passes!(f64);
