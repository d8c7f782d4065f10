//! The row-wise loops: softmax, its logarithm, and cross-entropy; and the loops of the other losses.
use crate::loops::{
    BLOCK, ROWS, SHORT, lane_dot, lane_max, lane_sum, max_short_rows, repeat, sum_short_rows,
};
use crate::simd::{Body, simd};
use crate::{Real, math};

/// y = e^(x − m) with m = max x, and its sum.
#[inline(always)]
fn exponentials<E: Real>(x: &[E], y: &mut [E]) -> [E; 2] {
    let max = lane_max(x);
    math::exps(x, max, y);
    [max, lane_sum(y)]
}

/// The same for a block of short rows: maxima and sums of all rows, and each maximum repeated along its row.
#[inline(always)]
fn short_exponentials<E: Real>(n: usize, x: &[E], y: &mut [E], shift: &mut [E; BLOCK]) -> [[E; ROWS]; 2] {
    let rows = x.len() / n;
    let [mut max, mut sum] = [[E::zero(); ROWS]; 2];
    max_short_rows(x, n, &mut max[..rows]);
    repeat(&max[..rows], n, shift);
    for ((y, &x), &max) in y.iter_mut().zip(x).zip(&*shift) {
        *y = x - max;
    }
    math::exps_in_place(y, E::zero());
    sum_short_rows(y, n, &mut sum[..rows]);
    [max, sum]
}

struct Softmax<'a, E>(usize, &'a [E], &'a mut [E]);
impl<E: Real> Body for Softmax<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        if self.0 <= SHORT {
            let (n, block) = (self.0, ROWS * self.0);
            let mut small = [E::zero(); BLOCK];
            for (x, y) in self.1.chunks(block).zip(self.2.chunks_mut(block)) {
                let [_, sum] = short_exponentials(n, x, y, &mut small);
                repeat(&sum.map(|sum| E::ONE / sum), n, &mut small);
                for (y, &scale) in y.iter_mut().zip(&small) {
                    *y *= scale;
                }
            }
            return;
        }
        for (x, y) in self.1.chunks_exact(self.0).zip(self.2.chunks_exact_mut(self.0)) {
            let scale = E::ONE / exponentials(x, y)[1];
            for y in y {
                *y *= scale;
            }
        }
    }
}

struct SoftmaxBack<'a, E>(usize, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real> Body for SoftmaxBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.0;
        if n <= SHORT {
            let (mut small, mut sums) = ([E::zero(); BLOCK], [E::zero(); ROWS]);
            let block = ROWS * n;
            for ((gx, gy), y) in self.3.chunks_mut(block).zip(self.2.chunks(block)).zip(self.1.chunks(block))
            {
                for ((term, &y), &gy) in small.iter_mut().zip(y).zip(gy) {
                    *term = y * gy;
                }
                let sums = &mut sums[..y.len() / n];
                sum_short_rows(&small[..y.len()], n, sums);
                repeat(sums, n, &mut small);
                for (((gx, &gy), &y), &dot) in gx.iter_mut().zip(gy).zip(y).zip(&small) {
                    *gx = y.mul_add(gy - dot, *gx);
                }
            }
            return;
        }
        for ((gx, gy), y) in
            self.3.chunks_exact_mut(n).zip(self.2.chunks_exact(n)).zip(self.1.chunks_exact(n))
        {
            let dot = lane_dot(y, gy);
            for ((gx, &gy), &y) in gx.iter_mut().zip(gy).zip(y) {
                *gx = y.mul_add(gy - dot, *gx);
            }
        }
    }
}

struct LogSoftmax<'a, E>(usize, &'a [E], &'a mut [E]);
impl<E: Real> Body for LogSoftmax<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        if self.0 <= SHORT {
            let (n, block) = (self.0, ROWS * self.0);
            let [mut shift, mut ln] = [[E::zero(); BLOCK]; 2];
            for (x, y) in self.1.chunks(block).zip(self.2.chunks_mut(block)) {
                let [_, sum] = short_exponentials(n, x, y, &mut shift);
                repeat(&sum.map(math::ln), n, &mut ln);
                for (((y, &x), &max), &ln) in y.iter_mut().zip(x).zip(&shift).zip(&ln) {
                    *y = (x - max) - ln;
                }
            }
            return;
        }
        for (x, y) in self.1.chunks_exact(self.0).zip(self.2.chunks_exact_mut(self.0)) {
            let [max, sum] = exponentials(x, y);
            let ln_sum = math::ln(sum);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - max) - ln_sum;
            }
        }
    }
}

struct LogSoftmaxBack<'a, E>(usize, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real> Body for LogSoftmaxBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.0;
        if n <= SHORT {
            let (mut small, mut sums) = ([E::zero(); BLOCK], [E::zero(); ROWS]);
            let block = ROWS * n;
            for ((gx, gy), y) in self.3.chunks_mut(block).zip(self.2.chunks(block)).zip(self.1.chunks(block))
            {
                let sums = &mut sums[..y.len() / n];
                sum_short_rows(gy, n, sums);
                repeat(sums, n, &mut small);
                for (((gx, &gy), &y), &sum) in gx.iter_mut().zip(gy).zip(y).zip(&small) {
                    *gx += (-math::exp(y)).mul_add(sum, gy);
                }
            }
            return;
        }
        for ((gx, gy), y) in
            self.3.chunks_exact_mut(n).zip(self.2.chunks_exact(n)).zip(self.1.chunks_exact(n))
        {
            let sum = lane_sum(gy);
            for ((gx, &gy), &y) in gx.iter_mut().zip(gy).zip(y) {
                *gx += (-math::exp(y)).mul_add(sum, gy);
            }
        }
    }
}

/// Softmax of each row into `probs`, and the sum over rows of ln Σ eˣ − x[label].
struct CrossEntropy<'a, E>(&'a [usize], &'a [E], &'a mut [E]);
impl<E: Real> Body for CrossEntropy<'_, E> {
    type Out = E;
    #[inline(always)]
    fn run(self) -> E {
        let n = self.1.len() / self.0.len();
        let mut total = E::zero();
        if n <= SHORT {
            let block = ROWS * n;
            let mut small = [E::zero(); BLOCK];
            let blocks = self.1.chunks(block).zip(self.2.chunks_mut(block)).zip(self.0.chunks(ROWS));
            for ((x, y), labels) in blocks {
                let [max, sum] = short_exponentials(n, x, y, &mut small);
                let ln = sum.map(math::ln);
                for (r, &label) in labels.iter().enumerate() {
                    total += ln[r] - (x[r * n + label] - max[r]);
                }
                repeat(&sum.map(|sum| E::ONE / sum), n, &mut small);
                for (y, &scale) in y.iter_mut().zip(&small) {
                    *y *= scale;
                }
            }
            return total;
        }
        for ((x, y), &label) in self.1.chunks_exact(n).zip(self.2.chunks_exact_mut(n)).zip(self.0) {
            let [max, sum] = exponentials(x, y);
            let scale = E::ONE / sum;
            for y in y {
                *y *= scale;
            }
            total += math::ln(sum) - (x[label] - max);
        }
        total
    }
}

/// gx += g (probs − onehot).
struct CrossEntropyBack<'a, E>(&'a [usize], &'a [E], E, &'a mut [E]);
impl<E: Real> Body for CrossEntropyBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.1.len() / self.0.len();
        for ((gx, p), &label) in self.3.chunks_exact_mut(n).zip(self.1.chunks_exact(n)).zip(self.0) {
            for (gx, &p) in gx.iter_mut().zip(p) {
                *gx = p.mul_add(self.2, *gx);
            }
            gx[label] -= self.2;
        }
    }
}

/// A term of a sum over pairs.
trait Term<E>: Copy {
    fn of(self, x: E, y: E) -> E;
}

/// Σ of a term, in the lanes and tree of [`lane_sum`].
struct SumOf<'a, E, T>(T, &'a [E], &'a [E]);
impl<E: Real, T: Term<E>> Body for SumOf<'_, E, T> {
    type Out = E;
    #[inline(always)]
    fn run(self) -> E {
        let mut terms = [E::zero(); 256];
        let mut total = E::zero();
        for (x, y) in self.1.chunks(256).zip(self.2.chunks(256)) {
            for ((term, &x), &y) in terms.iter_mut().zip(x).zip(y) {
                *term = self.0.of(x, y);
            }
            total += lane_sum(&terms[..x.len()]);
        }
        total
    }
}

/// ln(1 + eᶻ) − z p.
#[derive(Clone, Copy)]
struct Bce;
impl<E: Real> Term<E> for Bce {
    #[inline(always)]
    fn of(self, z: E, p: E) -> E {
        let positive = if z > E::zero() { z } else { E::zero() };
        (-z).mul_add(p, positive) + math::ln_1p(math::exp(-z.abs()))
    }
}

/// (y − t)².
#[derive(Clone, Copy)]
struct SquaredError;
impl<E: Real> Term<E> for SquaredError {
    #[inline(always)]
    fn of(self, y: E, t: E) -> E {
        (y - t) * (y - t)
    }
}

/// gz += g (σ(z) − p).
struct BceBack<'a, E>(&'a [E], &'a [E], E, &'a mut [E]);
impl<E: Real> Body for BceBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((gz, &z), &p) in self.3.iter_mut().zip(self.0).zip(self.1) {
            *gz = self.2.mul_add(math::sigmoid(z) - p, *gz);
        }
    }
}

/// g += scale (y − t).
struct Difference<'a, E>(&'a [E], &'a [E], E, &'a mut [E]);
impl<E: Real> Body for Difference<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((g, &y), &t) in self.3.iter_mut().zip(self.0).zip(self.1) {
            *g = self.2.mul_add(y - t, *g);
        }
    }
}

struct Sum<'a, E>(&'a [E]);
impl<E: Real> Body for Sum<'_, E> {
    type Out = E;
    #[inline(always)]
    fn run(self) -> E {
        let mut total = E::zero();
        for block in self.0.chunks(1024) {
            total += lane_sum(block); // no lane adds more than 32 numbers, so f32 keeps its digits
        }
        total
    }
}

/// x += c.
struct AddConstant<'a, E>(E, &'a mut [E]);
impl<E: Real> Body for AddConstant<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for x in self.1 {
            *x += self.0;
        }
    }
}

/// x += y.
struct Add<'a, E>(&'a [E], &'a mut [E]);
impl<E: Real> Body for Add<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (x, &y) in self.1.iter_mut().zip(self.0) {
            *x += y;
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait Loops: Sized {
    /// y = softmax of each row of `row` elements.
    fn softmax(row: usize, x: &[Self], y: &mut [Self]);
    /// gx += y (gy − Σ gy y).
    fn softmax_back(row: usize, y: &[Self], gy: &[Self], gx: &mut [Self]);
    /// y = ln softmax of each row.
    fn log_softmax(row: usize, x: &[Self], y: &mut [Self]);
    /// gx += gy − eʸ Σ gy.
    fn log_softmax_back(row: usize, y: &[Self], gy: &[Self], gx: &mut [Self]);
    /// Softmax of each row, one row per label, and the sum of the rows' cross-entropies.
    fn cross_entropy(labels: &[usize], x: &[Self], probs: &mut [Self]) -> Self;
    /// gx += g (probs − onehot).
    fn cross_entropy_back(labels: &[usize], probs: &[Self], g: Self, gx: &mut [Self]);
    /// Sum of the binary cross-entropies.
    fn bce(logits: &[Self], probs: &[Self]) -> Self;
    /// gz += g (σ(z) − p).
    fn bce_back(logits: &[Self], probs: &[Self], g: Self, gz: &mut [Self]);
    /// Σ (y − t)².
    fn squared_error(y: &[Self], target: &[Self]) -> Self;
    /// g += scale (y − t).
    fn add_difference(y: &[Self], target: &[Self], scale: Self, g: &mut [Self]);
    /// Σ x.
    fn total(x: &[Self]) -> Self;
    /// x += c.
    fn add_constant(c: Self, x: &mut [Self]);
    /// x += y.
    fn add_to(y: &[Self], x: &mut [Self]);
}

macro_rules! loops {
    ($type:ty) => {
        impl Loops for $type {
            fn softmax(row: usize, x: &[Self], y: &mut [Self]) {
                simd(Softmax(row, x, y))
            }
            fn softmax_back(row: usize, y: &[Self], gy: &[Self], gx: &mut [Self]) {
                simd(SoftmaxBack(row, y, gy, gx))
            }
            fn log_softmax(row: usize, x: &[Self], y: &mut [Self]) {
                simd(LogSoftmax(row, x, y))
            }
            fn log_softmax_back(row: usize, y: &[Self], gy: &[Self], gx: &mut [Self]) {
                simd(LogSoftmaxBack(row, y, gy, gx))
            }
            fn cross_entropy(labels: &[usize], x: &[Self], probs: &mut [Self]) -> Self {
                simd(CrossEntropy(labels, x, probs))
            }
            fn cross_entropy_back(labels: &[usize], probs: &[Self], g: Self, gx: &mut [Self]) {
                simd(CrossEntropyBack(labels, probs, g, gx))
            }
            fn bce(logits: &[Self], probs: &[Self]) -> Self {
                simd(SumOf(Bce, logits, probs))
            }
            fn bce_back(logits: &[Self], probs: &[Self], g: Self, gz: &mut [Self]) {
                simd(BceBack(logits, probs, g, gz))
            }
            fn squared_error(y: &[Self], target: &[Self]) -> Self {
                simd(SumOf(SquaredError, y, target))
            }
            fn add_difference(y: &[Self], target: &[Self], scale: Self, g: &mut [Self]) {
                simd(Difference(y, target, scale, g))
            }
            fn total(x: &[Self]) -> Self {
                simd(Sum(x))
            }
            fn add_constant(c: Self, x: &mut [Self]) {
                simd(AddConstant(c, x))
            }
            fn add_to(y: &[Self], x: &mut [Self]) {
                simd(Add(y, x))
            }
        }
    };
}

loops!(f32);
loops!(f64);
