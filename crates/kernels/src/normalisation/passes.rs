//! The loops of the normalisations: moments, the affine map, and what backward sums and adds.
//!
//! A moment is taken in two passes: the mean m, rounded to an element, and then Σ (x − m) and Σ (x − m)². The first of
//! these two is what rounding m has lost: d = Σ (x − m) / n. So a mean of 1e6 costs no digit of the variance, and
//! x̂ = (x − m) r − d r is centred even when m is not a number of the element type.
use super::LocalResponse;
use crate::loops::{FEW_LANES, LANES, fold_few, tree};
use crate::simd::{Body, simd};
use crate::{Real, math};
use std::iter::once;
use std::mem::take;

/// Elements of one look at a segment, and additions one after the other in `E`; longer sums go on in `f64`.
const BLOCK: usize = 1024;
const STEPS: usize = 64;
/// Rows of a matrix whose columns are added in `E`; longer sums go on in `f64`.
const ROWS: usize = 64;
/// Columns per part of a matrix; the length of the arrays that hold their sums.
pub const COLUMNS: usize = 64;

/// Mean and variance of n values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments<E> {
    /// The mean, rounded.
    pub mean: E,
    /// What rounding the mean has lost.
    pub residue: E,
    /// Mean of the squared deviations: biased.
    pub variance: E,
}

impl<E: Real> Moments<E> {
    fn of_sums(mean: E, [sum, squares]: [f64; 2], n: f64) -> Self {
        let residue = sum / n;
        let variance = squares / n - residue * residue;
        // Rounding may leave a variance of 0 just below it; a NaN stays one.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        Self { mean, residue: E::of(residue), variance: E::of(variance) }
    }
    /// As three numbers beside each other.
    #[inline(always)]
    fn write(self, out: &mut [E]) {
        [out[0], out[1], out[2]] = [self.mean, self.residue, self.variance];
    }
}

/// x̂ = (x − m) r + e, from mean, residue and r.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standard<E> {
    /// m.
    pub mean: E,
    /// r.
    pub scale: E,
    /// e = −d r.
    pub offset: E,
}

impl<E: Real> Standard<E> {
    #[inline(always)]
    fn of(self, x: E) -> E {
        (x - self.mean).mul_add(self.scale, self.offset)
    }
}

/// y = φ((x − m) a + c) with one m, a, c per channel; φ multiplies negative numbers by `slope`.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a, E> {
    /// m.
    pub mean: &'a [E],
    /// a = r w.
    pub scale: &'a [E],
    /// c = b − d a.
    pub offset: &'a [E],
    /// 1 for the identity, 0 for ReLU.
    pub slope: E,
}

/// A selection of values, so that infinity · 0 never arises.
#[inline(always)]
fn rectified<E: Real>(z: E, slope: E) -> E {
    let below = if slope == E::zero() { E::zero() } else { slope * z };
    if z > E::zero() {
        z
    } else if z <= E::zero() {
        below
    } else {
        z // NaN
    }
}

#[inline(always)]
fn gate<E: Real>(z: E, slope: E, gy: E) -> E {
    if z > E::zero() { gy } else { slope * gy }
}

/// Adds `N` terms of the elements of a triple of slices to the lanes of their sums, in `L` lanes, and to what is left.
#[allow(
    clippy::needless_range_loop,
    reason = "with iterators the lanes leave the registers: 1.6 times the time"
)]
#[inline(always)]
fn add_to_lanes<E: Real, const L: usize, const N: usize>(
    [x, y, z]: [&[E]; 3],
    term: impl Fn(E, E, E) -> [E; N],
    all_lanes: &mut [[E; LANES]; N],
    all_left: &mut [E; N],
) {
    let ((x, x_rest), (y, y_rest), (z, z_rest)) =
        (x.as_chunks::<L>(), y.as_chunks::<L>(), z.as_chunks::<L>());
    // Term by term: the lanes of one fit into registers.
    for i in 0..N {
        let mut lanes = all_lanes[i];
        for ((x, y), z) in x.iter().zip(y).zip(z) {
            for j in 0..L {
                lanes[j] += term(x[j], y[j], z[j])[i];
            }
        }
        all_lanes[i] = lanes;
        for ((&x, &y), &z) in x_rest.iter().zip(y_rest).zip(z_rest) {
            all_left[i] += term(x, y, z)[i];
        }
    }
}

/// Σ of `N` terms over triples of segments, in `L` lanes that run on from one triple to the next.
#[inline(always)]
fn lane_sums<'a, E: Real, const L: usize, const N: usize>(
    segments: impl Iterator<Item = [&'a [E]; 3]>,
    term: impl Fn(E, E, E) -> [E; N],
) -> [f64; N] {
    let mut total = [0.0_f64; N];
    let (mut lanes, mut left) = ([[E::zero(); LANES]; N], [E::zero(); N]);
    let mut pending = 0;
    for [x, y, z] in segments {
        for ((x, y), z) in x.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(z.chunks(BLOCK)) {
            let steps = (x.len() / L).max(x.len() % L);
            if pending + steps > STEPS {
                for ((total, lanes), left) in total.iter_mut().zip(&mut lanes).zip(&mut left) {
                    *total += tree(take(lanes), take(left)).as_f64();
                }
                pending = 0;
            }
            pending += steps;
            add_to_lanes::<E, L, N>([x, y, z], &term, &mut lanes, &mut left);
        }
    }
    for ((total, lanes), left) in total.iter_mut().zip(lanes).zip(left) {
        *total += tree(lanes, left).as_f64();
    }
    total
}

/// [`lane_sums`] over segments of `length` elements, with as many lanes as that is worth.
#[inline(always)]
fn sums<'a, E: Real, const N: usize>(
    length: usize,
    segments: impl Iterator<Item = [&'a [E]; 3]>,
    term: impl Fn(E, E, E) -> [E; N],
) -> [f64; N] {
    if length < LANES {
        lane_sums::<E, FEW_LANES, N>(segments, term)
    } else {
        lane_sums::<E, LANES, N>(segments, term)
    }
}

/// Lanes of the sums over one row: those of two terms fit into the registers together.
const ROW_LANES: usize = 16;

/// Σ x of one row.
#[inline(always)]
fn row_sum<E: Real>(row: &[E]) -> f64 {
    let mut total = 0.0;
    for x in row.chunks(BLOCK) {
        let mut lanes = [E::zero(); ROW_LANES];
        let (x, rest) = x.as_chunks::<ROW_LANES>();
        for x in x {
            for j in 0..ROW_LANES {
                lanes[j] += x[j];
            }
        }
        total += folded(lanes, rest.iter().fold(E::zero(), |sum, &x| sum + x)).as_f64();
    }
    total
}

/// Σ of two terms over a triple of rows, in one pass: for short rows, where what a pass costs beside its loop counts.
#[inline(always)]
fn row_sums<E: Real>([x, y, z]: [&[E]; 3], term: impl Fn(E, E, E) -> [E; 2]) -> [f64; 2] {
    let mut totals = [0.0; 2];
    for ((x, y), z) in x.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(z.chunks(BLOCK)) {
        let (mut first, mut second) = ([E::zero(); ROW_LANES], [E::zero(); ROW_LANES]);
        let (mut first_left, mut second_left) = (E::zero(), E::zero());
        let ((x, x_rest), (y, y_rest), (z, z_rest)) =
            (x.as_chunks::<ROW_LANES>(), y.as_chunks::<ROW_LANES>(), z.as_chunks::<ROW_LANES>());
        for ((x, y), z) in x.iter().zip(y).zip(z) {
            // Two loops: of one, the compiler makes no vectors.
            for j in 0..ROW_LANES {
                first[j] += term(x[j], y[j], z[j])[0];
            }
            for j in 0..ROW_LANES {
                second[j] += term(x[j], y[j], z[j])[1];
            }
        }
        for ((&x, &y), &z) in x_rest.iter().zip(y_rest).zip(z_rest) {
            let [one, other] = term(x, y, z);
            first_left += one;
            second_left += other;
        }
        totals[0] += folded(first, first_left).as_f64();
        totals[1] += folded(second, second_left).as_f64();
    }
    totals
}

/// The lanes added in a fixed tree, and what was left over.
#[inline(always)]
fn folded<E: Real>(lanes: [E; ROW_LANES], rest: E) -> E {
    let mut few = [E::zero(); FEW_LANES];
    for j in 0..FEW_LANES {
        few[j] = lanes[j] + lanes[j + FEW_LANES];
    }
    fold_few(few, |a, b| a + b) + rest
}

/// Moments of some channels of `(N, C, M)`, the first of which is `.1`.
struct ChannelMoments<'a, E>([usize; 3], usize, &'a [E], &'a mut [E]);
impl<E: Real> Body for ChannelMoments<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [samples, channels, inner] = self.0;
        let n = (samples * inner) as f64;
        for (i, out) in self.3.chunks_exact_mut(3).enumerate() {
            let segments = || {
                (0..samples).map(|sample| {
                    let start = (sample * channels + self.1 + i) * inner;
                    [&self.2[start..start + inner]; 3]
                })
            };
            let mean = E::of(sums(inner, segments(), |x, _, _| [x])[0] / n);
            let deviations = sums(inner, segments(), |x, _, _| [x - mean, (x - mean) * (x - mean)]);
            Moments::of_sums(mean, deviations, n).write(out);
        }
    }
}

/// Column sums of two terms of two matrices `(N, C)`, for the columns from `first` on.
#[inline(always)]
fn columns<E: Real>(
    channels: usize,
    first: usize,
    width: usize,
    x: &[E],
    y: &[E],
    term: impl Fn(usize, E, E) -> [E; 2],
) -> [[f64; COLUMNS]; 2] {
    let mut totals = [[0.0_f64; COLUMNS]; 2];
    for (x, y) in x.chunks(ROWS * channels).zip(y.chunks(ROWS * channels)) {
        let mut sums = [[E::zero(); COLUMNS]; 2];
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact(channels)) {
            let [a, b] = &mut sums;
            let (x, y) = (&x[first..first + width], &y[first..first + width]);
            for ((((j, a), b), &x), &y) in a.iter_mut().enumerate().zip(b).zip(x).zip(y) {
                let [first, second] = term(j, x, y);
                *a += first;
                *b += second;
            }
        }
        for (total, sum) in totals.iter_mut().zip(&sums) {
            for (total, sum) in total.iter_mut().zip(sum) {
                *total += sum.as_f64();
            }
        }
    }
    totals
}

/// [`ChannelMoments`] of `(N, C, 1)`.
struct ColumnMoments<'a, E>(usize, usize, &'a [E], &'a mut [E]);
impl<E: Real> Body for ColumnMoments<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(channels, first, x, out) = self;
        let width = out.len() / 3;
        let n = (x.len() / channels) as f64;
        let mut mean = [E::zero(); COLUMNS];
        let sums = columns(channels, first, width, x, x, |_, x, _| [x, E::zero()])[0];
        for (mean, sum) in mean.iter_mut().zip(sums) {
            *mean = E::of(sum / n);
        }
        let [sums, squares] = columns(channels, first, width, x, x, |j, x, _| {
            let deviation = x - mean[j];
            [deviation, deviation * deviation]
        });
        for (j, out) in out.chunks_exact_mut(3).enumerate() {
            Moments::of_sums(mean[j], [sums[j], squares[j]], n).write(out);
        }
    }
}

/// Σ g and Σ g x̂ of some channels, with g = φ′ gy.
struct ChannelGradients<'a, E> {
    shape: [usize; 3],
    first: usize,
    lines: Lines<'a, E>,
    standards: &'a [Standard<E>],
    x: &'a [E],
    gy: &'a [E],
    out: &'a mut [E],
}
impl<E: Real> Body for ChannelGradients<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [samples, channels, inner] = self.shape;
        let Lines { mean, scale, offset, slope } = self.lines;
        if inner == 1 {
            let (from, width) = (self.first, self.out.len() / 2);
            let [mean, scale, offset] = [mean, scale, offset].map(|line| &line[from..from + width]);
            let standards = &self.standards[from..from + width];
            let sums = columns(channels, from, width, self.x, self.gy, |j, x, gy| {
                let g = gate((x - mean[j]).mul_add(scale[j], offset[j]), slope, gy);
                [g, g * standards[j].of(x)]
            });
            for (j, out) in self.out.chunks_exact_mut(2).enumerate() {
                [out[0], out[1]] = [E::of(sums[0][j]), E::of(sums[1][j])];
            }
            return;
        }
        for (i, out) in self.out.chunks_exact_mut(2).enumerate() {
            let channel = self.first + i;
            let (m, a, c) = (mean[channel], scale[channel], offset[channel]);
            let standard = self.standards[channel];
            let segments = (0..samples).map(|sample| {
                let start = (sample * channels + channel) * inner;
                let (x, gy) = (&self.x[start..start + inner], &self.gy[start..start + inner]);
                [x, gy, x]
            });
            let sums = sums(inner, segments, |x, gy, _| {
                let g = gate((x - m).mul_add(a, c), slope, gy);
                [g, g * standard.of(x)]
            });
            [out[0], out[1]] = sums.map(E::of);
        }
    }
}

/// y = φ((x − m) a + c) for whole rows of `C` (inner = 1) or whole segments.
struct Map<'a, E> {
    inner: usize,
    first: usize,
    lines: Lines<'a, E>,
    x: &'a [E],
    y: &'a mut [E],
}
impl<E: Real> Body for Map<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Lines { mean, scale, offset, slope } = self.lines;
        let channels = mean.len();
        if self.inner == 1 {
            for (x, y) in self.x.chunks_exact(channels).zip(self.y.chunks_exact_mut(channels)) {
                for ((((y, &x), &m), &a), &c) in y.iter_mut().zip(x).zip(mean).zip(scale).zip(offset) {
                    *y = rectified((x - m).mul_add(a, c), slope);
                }
            }
            return;
        }
        for (i, (x, y)) in
            self.x.chunks_exact(self.inner).zip(self.y.chunks_exact_mut(self.inner)).enumerate()
        {
            let channel = (self.first + i) % channels;
            let (m, a, c) = (mean[channel], scale[channel], offset[channel]);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = rectified((x - m).mul_add(a, c), slope);
            }
        }
    }
}

/// gx += a φ′ gy + p (x − m) + q.
struct MapBack<'a, E> {
    inner: usize,
    first: usize,
    lines: Lines<'a, E>,
    shares: [&'a [E]; 2],
    x: &'a [E],
    gy: &'a [E],
    gx: &'a mut [E],
}
impl<E: Real> Body for MapBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Lines { mean, scale, offset, slope } = self.lines;
        let channels = mean.len();
        let [ps, qs] = self.shares;
        let share = |x: E, gy: E, m: E, a: E, c: E, p: E, q: E| {
            let deviation = x - m;
            a.mul_add(gate(deviation.mul_add(a, c), slope, gy), deviation.mul_add(p, q))
        };
        if self.inner == 1 {
            let rows = self.x.chunks_exact(channels).zip(self.gy.chunks_exact(channels));
            for (gx, (x, gy)) in self.gx.chunks_exact_mut(channels).zip(rows) {
                let lines = mean.iter().zip(scale).zip(offset).zip(ps).zip(qs);
                for (((gx, &x), &gy), ((((&m, &a), &c), &p), &q)) in gx.iter_mut().zip(x).zip(gy).zip(lines) {
                    *gx += share(x, gy, m, a, c, p, q);
                }
            }
            return;
        }
        let segments = self.x.chunks_exact(self.inner).zip(self.gy.chunks_exact(self.inner));
        for (i, (gx, (x, gy))) in self.gx.chunks_exact_mut(self.inner).zip(segments).enumerate() {
            let channel = (self.first + i) % channels;
            let (m, a, c) = (mean[channel], scale[channel], offset[channel]);
            let (p, q) = (ps[channel], qs[channel]);
            for ((gx, &x), &gy) in gx.iter_mut().zip(x).zip(gy) {
                *gx += share(x, gy, m, a, c, p, q);
            }
        }
    }
}

/// How blocks of one row-major tensor are normalised: each of `length` elements, `inner` of them per weight.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a, E> {
    /// Elements per block.
    pub length: usize,
    /// Elements that share a weight.
    pub inner: usize,
    /// w, one per channel.
    pub weight: &'a [E],
    /// b, one per channel.
    pub bias: &'a [E],
    /// ε, inside the root.
    pub epsilon: E,
    /// Whether the mean is subtracted.
    pub is_centred: bool,
}

impl<E: Real> Blocks<'_, E> {
    /// The channels of a block.
    fn channels(&self, block: usize) -> std::ops::Range<usize> {
        let per_block = self.length / self.inner;
        let first = (block * per_block) % self.weight.len();
        first..first + per_block
    }

    #[inline(always)]
    fn standard(&self, x: &[E]) -> Standard<E> {
        let n = self.length as f64;
        let mean = if self.is_centred { E::of(row_sum(x) / n) } else { E::zero() };
        let deviations = row_sums([x; 3], |x, _, _| [x - mean, (x - mean) * (x - mean)]);
        let moments =
            Moments::of_sums(mean, if self.is_centred { deviations } else { [0.0, deviations[1]] }, n);
        let scale = (moments.variance + self.epsilon).sqrt().recip();
        Standard { mean, scale, offset: -moments.residue * scale }
    }
}

/// y = x̂ w + b for whole blocks; three numbers of each are kept.
struct Standardise<'a, E>(Blocks<'a, E>, usize, &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real> Body for Standardise<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(blocks, first, x, y, kept) = self;
        let n = blocks.length;
        let rows = x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(kept.chunks_exact_mut(3));
        for (i, ((x, y), kept)) in rows.enumerate() {
            let standard = blocks.standard(x);
            [kept[0], kept[1], kept[2]] = [standard.mean, standard.scale, standard.offset];
            let channels = blocks.channels(first + i);
            let (weight, bias) = (&blocks.weight[channels.clone()], &blocks.bias[channels]);
            if blocks.inner == 1 {
                for (((y, &x), &w), &b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                    *y = standard.of(x).mul_add(w, b);
                }
                continue;
            }
            let segments = x.chunks_exact(blocks.inner).zip(y.chunks_exact_mut(blocks.inner));
            for ((x, y), (&w, &b)) in segments.zip(weight.iter().zip(bias)) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = standard.of(x).mul_add(w, b);
                }
            }
        }
    }
}

/// gx += r (g − mean g − x̂ mean (g x̂)) with g = w gy, and Σ gy x̂ and Σ gy per channel into `sums`.
struct StandardiseBack<'a, E> {
    blocks: Blocks<'a, E>,
    first: usize,
    kept: &'a [E],
    x: &'a [E],
    gy: &'a [E],
    gx: &'a mut [E],
    sums: &'a mut [E],
}
impl<E: Real> Body for StandardiseBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let blocks = self.blocks;
        let (n, inner) = (blocks.length, blocks.inner);
        self.sums.fill(E::zero());
        let (weight_sums, bias_sums) = self.sums.split_at_mut(blocks.weight.len());
        let rows = self.x.chunks_exact(n).zip(self.gy.chunks_exact(n)).zip(self.kept.chunks_exact(3));
        for (i, (gx, ((x, gy), kept))) in self.gx.chunks_exact_mut(n).zip(rows).enumerate() {
            let standard = Standard { mean: kept[0], scale: kept[1], offset: kept[2] };
            let channels = blocks.channels(self.first + i);
            let weight = &blocks.weight[channels.clone()];
            let (gw, gb) = (&mut weight_sums[channels.clone()], &mut bias_sums[channels]);
            let mut totals = [0.0; 2];
            if inner == 1 {
                for (((gw, gb), &x), &gy) in gw.iter_mut().zip(gb).zip(x).zip(gy) {
                    *gw = gy.mul_add(standard.of(x), *gw);
                    *gb += gy;
                }
                totals = row_sums([x, gy, weight], |x, gy, w| [gy * w, gy * w * standard.of(x)]);
            } else {
                let segments = x.chunks_exact(inner).zip(gy.chunks_exact(inner));
                for ((x, gy), ((&w, gw), gb)) in segments.zip(weight.iter().zip(gw).zip(gb)) {
                    let [bias, scale] = sums(inner, once([x, gy, x]), |x, gy, _| [gy, gy * standard.of(x)]);
                    *gb += E::of(bias);
                    *gw += E::of(scale);
                    totals = [totals[0] + w.as_f64() * bias, totals[1] + w.as_f64() * scale];
                }
            }
            // r (w gy − mean g − x̂ mean (g x̂)) = r w gy + p x̂ + q
            let per_element = -standard.scale.as_f64() / n as f64;
            let p = E::of(per_element * totals[1]);
            let q = if blocks.is_centred { E::of(per_element * totals[0]) } else { E::zero() };
            let r = standard.scale;
            if inner == 1 {
                for (((gx, &x), &gy), &w) in gx.iter_mut().zip(x).zip(gy).zip(weight) {
                    *gx += (r * w).mul_add(gy, standard.of(x).mul_add(p, q));
                }
                continue;
            }
            let segments = x.chunks_exact(inner).zip(gy.chunks_exact(inner));
            for ((gx, (x, gy)), &w) in gx.chunks_exact_mut(inner).zip(segments).zip(weight) {
                let rw = r * w;
                for ((gx, &x), &gy) in gx.iter_mut().zip(x).zip(gy) {
                    *gx += rw.mul_add(gy, standard.of(x).mul_add(p, q));
                }
            }
        }
    }
}

/// u = k + α Σ x² over neighbouring channels, and y = x u^−β, for whole samples.
struct Respond<'a, E>(LocalResponse, [usize; 2], &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real> Body for Respond<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(config, [channels, inner], x, y, u) = self;
        let (k, alpha, beta) = (E::of(config.k), E::of(config.alpha), E::of(-config.beta));
        let sample = channels * inner;
        let samples = x.chunks_exact(sample).zip(y.chunks_exact_mut(sample)).zip(u.chunks_exact_mut(sample));
        for ((x, y), u) in samples {
            for (channel, u) in u.chunks_exact_mut(inner).enumerate() {
                u.fill(E::zero());
                for near in x[window(config.size, channel, channels, inner)].chunks_exact(inner) {
                    for (u, &x) in u.iter_mut().zip(near) {
                        *u = x.mul_add(x, *u);
                    }
                }
            }
            for ((y, &x), u) in y.iter_mut().zip(x).zip(u) {
                *u = u.mul_add(alpha, k);
                *y = x * math::exp(beta * math::ln(*u));
            }
        }
    }
}

/// The elements of the channels that `channel` looks at: ⌊n/2⌋ before it and ⌊(n − 1)/2⌋ after.
#[inline(always)]
fn window(size: usize, channel: usize, channels: usize, inner: usize) -> std::ops::Range<usize> {
    let end = (channel + (size - 1) / 2 + 1).min(channels);
    channel.saturating_sub(size / 2) * inner..end * inner
}

/// gx_i += gy_i u_i^−β − 2 α β x_i Σ gy_j x_j u_j^(−β − 1) over the channels j that look at i.
struct RespondBack<'a, E> {
    config: LocalResponse,
    shape: [usize; 2],
    x: &'a [E],
    u: &'a [E],
    gy: &'a [E],
    gx: &'a mut [E],
    shares: &'a mut [E],
}
impl<E: Real> Body for RespondBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [channels, inner] = self.shape;
        let config = self.config;
        let beta = E::of(-config.beta);
        let factor = E::of(-2.0 * config.alpha * config.beta);
        let sample = channels * inner;
        let samples = self.x.chunks_exact(sample).zip(self.u.chunks_exact(sample));
        let gradients = self.gy.chunks_exact(sample).zip(self.gx.chunks_exact_mut(sample));
        for ((x, u), (gy, gx)) in samples.zip(gradients) {
            for (((share, &x), &u), (&gy, gx)) in
                self.shares.iter_mut().zip(x).zip(u).zip(gy.iter().zip(&mut *gx))
            {
                let power = gy * math::exp(beta * math::ln(u));
                *gx += power;
                *share = power * x / u;
            }
            for (channel, (gx, x)) in gx.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).enumerate() {
                // Who looks at `channel`: the window turned round.
                let from = channel.saturating_sub((config.size - 1) / 2);
                let to = (channel + config.size / 2 + 1).min(channels);
                for shares in self.shares[from * inner..to * inner].chunks_exact(inner) {
                    for ((gx, &x), &share) in gx.iter_mut().zip(x).zip(shares) {
                        *gx = (factor * x).mul_add(share, *gx);
                    }
                }
            }
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait Norms: Sized {
    /// Mean, its residue and the variance of each channel of `(N, C, M)` from `first` on: three numbers each.
    fn channel_moments(shape: [usize; 3], first: usize, x: &[Self], out: &mut [Self]);
    /// Σ g and Σ g x̂ of each channel from `first` on: two numbers each.
    fn channel_gradients(
        shape: [usize; 3],
        first: usize,
        lines: Lines<'_, Self>,
        standards: &[Standard<Self>],
        x: &[Self],
        gy: &[Self],
        out: &mut [Self],
    );
    /// y = φ((x − m) a + c) for whole rows or segments, the first of which is `first`.
    fn map(inner: usize, first: usize, lines: Lines<'_, Self>, x: &[Self], y: &mut [Self]);
    /// gx += a φ′ gy + p (x − m) + q.
    fn map_back(
        inner: usize,
        first: usize,
        lines: Lines<'_, Self>,
        shares: [&[Self]; 2],
        x: &[Self],
        gy: &[Self],
        gx: &mut [Self],
    );
    /// y = x̂ w + b for whole blocks, the first of which is `first`; `kept` gets three numbers of each.
    fn standardise(blocks: Blocks<'_, Self>, first: usize, x: &[Self], y: &mut [Self], kept: &mut [Self]);
    /// The gradient of whole blocks; `sums` gets those of the weights, then those of the biases.
    fn standardise_back(
        blocks: Blocks<'_, Self>,
        first: usize,
        kept: &[Self],
        inputs: [&[Self]; 2],
        gx: &mut [Self],
        sums: &mut [Self],
    );
    /// y = x u^−β for whole samples of `[C, M]`, and u.
    fn respond(config: LocalResponse, shape: [usize; 2], x: &[Self], y: &mut [Self], u: &mut [Self]);
    /// The gradient of whole samples; `shares` is room for one sample.
    fn respond_back(
        config: LocalResponse,
        shape: [usize; 2],
        inputs: [&[Self]; 3],
        gx: &mut [Self],
        shares: &mut [Self],
    );
}

macro_rules! norms {
    ($type:ty) => {
        impl Norms for $type {
            fn channel_moments(shape: [usize; 3], first: usize, x: &[Self], out: &mut [Self]) {
                if shape[2] == 1 {
                    simd(ColumnMoments(shape[1], first, x, out))
                } else {
                    simd(ChannelMoments(shape, first, x, out))
                }
            }
            fn channel_gradients(
                shape: [usize; 3],
                first: usize,
                lines: Lines<'_, Self>,
                standards: &[Standard<Self>],
                x: &[Self],
                gy: &[Self],
                out: &mut [Self],
            ) {
                simd(ChannelGradients { shape, first, lines, standards, x, gy, out })
            }
            fn map(inner: usize, first: usize, lines: Lines<'_, Self>, x: &[Self], y: &mut [Self]) {
                simd(Map { inner, first, lines, x, y })
            }
            fn map_back(
                inner: usize,
                first: usize,
                lines: Lines<'_, Self>,
                shares: [&[Self]; 2],
                x: &[Self],
                gy: &[Self],
                gx: &mut [Self],
            ) {
                simd(MapBack { inner, first, lines, shares, x, gy, gx })
            }
            fn standardise(
                blocks: Blocks<'_, Self>,
                first: usize,
                x: &[Self],
                y: &mut [Self],
                kept: &mut [Self],
            ) {
                simd(Standardise(blocks, first, x, y, kept))
            }
            fn standardise_back(
                blocks: Blocks<'_, Self>,
                first: usize,
                kept: &[Self],
                [x, gy]: [&[Self]; 2],
                gx: &mut [Self],
                sums: &mut [Self],
            ) {
                simd(StandardiseBack { blocks, first, kept, x, gy, gx, sums })
            }
            fn respond(config: LocalResponse, shape: [usize; 2], x: &[Self], y: &mut [Self], u: &mut [Self]) {
                simd(Respond(config, shape, x, y, u))
            }
            fn respond_back(
                config: LocalResponse,
                shape: [usize; 2],
                [x, u, gy]: [&[Self]; 3],
                gx: &mut [Self],
                shares: &mut [Self],
            ) {
                simd(RespondBack { config, shape, x, u, gy, gx, shares })
            }
        }
    };
}

norms!(f32);
norms!(f64);
