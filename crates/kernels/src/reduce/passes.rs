//! The loops of reductions over one axis, and of what spreads a small tensor over a larger one.
//!
//! All of them see a tensor as `(outer, n, inner)` in row-major order, with `n` the axis that is summed over or spread
//! along; small tensors are `(outer, inner)`. With `inner` = 1 a row lies side by side in memory; else the loops run
//! along `inner`.
use crate::loops::{BLOCK, LANES, ROWS, SHORT, fold_tree, lane_sum_of, repeat, sum_short_rows, tree};
use crate::simd::{Body, simd};
use crate::{Real, math};

/// What is summed: a function of an element x, of the element z of a second tensor, and of the small tensor's c.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Term {
    /// x.
    Plain,
    /// x z.
    Product,
    /// e^(x − c).
    Exp,
    /// (x − c)².
    Deviation,
    /// (c x)².
    Scaled,
}

trait Summand<E>: Copy {
    fn of(self, x: E, z: E, c: E) -> E;
}
#[derive(Clone, Copy)]
struct Plain;
#[derive(Clone, Copy)]
struct Product;
#[derive(Clone, Copy)]
struct Exp;
#[derive(Clone, Copy)]
struct Deviation;
#[derive(Clone, Copy)]
struct Scaled;
impl<E: Real> Summand<E> for Plain {
    #[inline(always)]
    fn of(self, x: E, _: E, _: E) -> E {
        x
    }
}
impl<E: Real> Summand<E> for Product {
    #[inline(always)]
    fn of(self, x: E, z: E, _: E) -> E {
        x * z
    }
}
impl<E: Real> Summand<E> for Exp {
    #[inline(always)]
    fn of(self, x: E, _: E, c: E) -> E {
        math::exp(x - c)
    }
}
impl<E: Real> Summand<E> for Deviation {
    #[inline(always)]
    fn of(self, x: E, _: E, c: E) -> E {
        (x - c) * (x - c)
    }
}
impl<E: Real> Summand<E> for Scaled {
    #[inline(always)]
    fn of(self, x: E, _: E, c: E) -> E {
        (c * x) * (c * x)
    }
}

/// Σ over each row of `n` elements.
struct RowSums<'a, E, S> {
    summand: S,
    x: &'a [E],
    z: &'a [E],
    c: &'a [E],
    n: usize,
    out: &'a mut [E],
}
impl<E: Real, S: Summand<E>> Body for RowSums<'_, E, S> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { summand, x, z, c, n, out } = self;
        if n <= SHORT {
            let mut terms = [E::zero(); BLOCK];
            let mut shift = [E::zero(); BLOCK];
            let rows =
                x.chunks(ROWS * n).zip(z.chunks(ROWS * n)).zip(c.chunks(ROWS)).zip(out.chunks_mut(ROWS));
            for (((x, z), c), out) in rows {
                repeat(c, n, &mut shift);
                let terms = &mut terms[..x.len()];
                for (((term, &x), &z), &c) in terms.iter_mut().zip(x).zip(z).zip(&shift) {
                    *term = summand.of(x, z, c);
                }
                sum_short_rows(terms, n, out);
            }
            return;
        }
        for (((x, z), &c), out) in x.chunks_exact(n).zip(z.chunks_exact(n)).zip(c).zip(out) {
            let mut total = E::zero();
            for (x, z) in x.chunks(1024).zip(z.chunks(1024)) {
                total += lane_sum_of(x, z, |x, z| summand.of(x, z, c));
            }
            *out = total;
        }
    }
}

/// Column sums of blocks of `n` rows; `width` columns of rows that are `stride` apart.
struct ColumnSums<'a, E, S> {
    summand: S,
    x: &'a [E],
    z: &'a [E],
    c: &'a [E],
    n: usize,
    stride: usize,
    width: usize,
    out: &'a mut [E],
}
/// Columns whose sums lie in the nearest cache, and rows of one partial sum.
const STRIP: usize = 1024;
const GROUP: usize = 32;
/// Rows that are added to each other before they are added to a partial sum: each is read as one stream.
const TOGETHER: usize = 4;
/// Columns whose sums stay in registers, and the widest rows of which they do: of wider ones a thread reads streams.
const HELD: usize = 32;
const NARROW: usize = 256;
impl<E: Real, S: Summand<E>> Body for ColumnSums<'_, E, S> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { summand, x, z, c, n, stride, width, out } = self;
        for (block, (out, c)) in out.chunks_mut(width).zip(c.chunks(width)).enumerate() {
            let first = block * n * stride;
            if (HELD..=NARROW).contains(&width) {
                // The last columns are summed with those before them, so that every load is whole.
                let starts = (0..width / HELD).map(|i| i * HELD);
                for at in starts.chain((width % HELD > 0).then_some(width - HELD)) {
                    held_column_sums(summand, [x, z], &c[at..], n, (first + at, stride), &mut out[at..]);
                }
            } else {
                column_sums(summand, [x, z], c, n, (first, stride), out);
            }
        }
    }
}

/// As many elements as stay in registers.
#[inline(always)]
fn held<E>(x: &[E], at: usize) -> &[E; HELD] {
    x[at..].first_chunk().expect("a row has so many columns")
}

/// Column sums that stay in registers, of [`HELD`] columns of rows that are `stride` apart; in the order of
/// [`column_sums`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "one index into ten arrays")]
fn held_column_sums<E: Real, S: Summand<E>>(
    summand: S,
    [x, z]: [&[E]; 2],
    c: &[E],
    n: usize,
    (first, stride): (usize, usize),
    out: &mut [E],
) {
    let c = held(c, 0);
    let mut total = [E::zero(); HELD];
    for from in (0..n).step_by(GROUP) {
        let mut part = [E::zero(); HELD];
        let to = (from + GROUP).min(n);
        let mut row = from;
        while row + TOGETHER <= to {
            let at = first + row * stride;
            let (x0, z0) = (held(x, at), held(z, at));
            let (x1, z1) = (held(x, at + stride), held(z, at + stride));
            let (x2, z2) = (held(x, at + 2 * stride), held(z, at + 2 * stride));
            let (x3, z3) = (held(x, at + 3 * stride), held(z, at + 3 * stride));
            for j in 0..HELD {
                let low = summand.of(x0[j], z0[j], c[j]) + summand.of(x1[j], z1[j], c[j]);
                let high = summand.of(x2[j], z2[j], c[j]) + summand.of(x3[j], z3[j], c[j]);
                part[j] += low + high;
            }
            row += TOGETHER;
        }
        for row in row..to {
            let (x, z) = (held(x, first + row * stride), held(z, first + row * stride));
            for j in 0..HELD {
                part[j] += summand.of(x[j], z[j], c[j]);
            }
        }
        for j in 0..HELD {
            total[j] += part[j];
        }
    }
    out[..HELD].copy_from_slice(&total);
}

/// Column sums of rows that are `stride` apart, a strip at a time.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "one index into ten slices")]
fn column_sums<E: Real, S: Summand<E>>(
    summand: S,
    [x, z]: [&[E]; 2],
    c: &[E],
    n: usize,
    (first, stride): (usize, usize),
    out: &mut [E],
) {
    let mut part = [E::zero(); STRIP];
    for (strip, (out, c)) in out.chunks_mut(STRIP).zip(c.chunks(STRIP)).enumerate() {
        let (first, w) = (first + strip * STRIP, out.len());
        let (part, c) = (&mut part[..w], &c[..w]);
        out.fill(E::zero());
        for from in (0..n).step_by(GROUP) {
            part.fill(E::zero());
            let to = (from + GROUP).min(n);
            let line = |row: usize| first + row * stride..first + row * stride + w;
            let mut row = from;
            while row + TOGETHER <= to {
                let [x0, x1, x2, x3] = [0, 1, 2, 3].map(|i| &x[line(row + i)]);
                let [z0, z1, z2, z3] = [0, 1, 2, 3].map(|i| &z[line(row + i)]);
                for j in 0..w {
                    let low = summand.of(x0[j], z0[j], c[j]) + summand.of(x1[j], z1[j], c[j]);
                    let high = summand.of(x2[j], z2[j], c[j]) + summand.of(x3[j], z3[j], c[j]);
                    part[j] += low + high;
                }
                row += TOGETHER;
            }
            for row in row..to {
                let (x, z) = (&x[line(row)], &z[line(row)]);
                for (((part, &x), &z), &c) in part.iter_mut().zip(x).zip(z).zip(c) {
                    *part += summand.of(x, z, c);
                }
            }
            for (total, &part) in out.iter_mut().zip(&*part) {
                *total += part;
            }
        }
    }
}

/// The first element of which `is_it` holds; the last if there is none. Whole blocks are asked without a branch for
/// each element.
#[inline(always)]
fn first_where<E: Real>(x: &[E], is_it: impl Fn(E) -> bool) -> usize {
    let mut at = 0;
    for block in x.as_chunks::<LANES>().0 {
        let mut found = 0_u32;
        for &x in block {
            found |= u32::from(is_it(x));
        }
        if found > 0 {
            break;
        }
        at += LANES;
    }
    while at + 1 < x.len() && !is_it(x[at]) {
        at += 1;
    }
    at.min(x.len().saturating_sub(1))
}

/// The largest of sign · x along `n`, and where it is first. A NaN counts as larger than everything, as in PyTorch.
struct Largest<'a, E> {
    sign: E,
    x: &'a [E],
    n: usize,
    inner: usize,
    out: &'a mut [E],
    index: &'a mut [u32],
}
impl<E: Real> Body for Largest<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { sign, x, n, inner, out, index } = self;
        let blocks = out.chunks_exact_mut(inner).zip(index.chunks_exact_mut(inner));
        for ((out, index), x) in blocks.zip(x.chunks_exact(n * inner)) {
            out.fill(E::neg_infinity());
            index.fill(0);
            if inner == 1 && n > 32 {
                let mut lanes = [E::neg_infinity(); LANES];
                let mut nans = [E::zero(); LANES];
                let (parts, rest) = x.as_chunks::<LANES>();
                for part in parts {
                    for j in 0..LANES {
                        let x = sign * part[j];
                        lanes[j] = if x > lanes[j] { x } else { lanes[j] };
                        nans[j] = if x.is_nan() { x } else { nans[j] };
                    }
                }
                let larger = |largest: E, x: E| if x > largest { x } else { largest };
                let left = rest.iter().fold(E::neg_infinity(), |largest, &x| larger(largest, sign * x));
                let largest = fold_tree(lanes, left, larger);
                let is_nan = tree(nans, E::zero()).is_nan() || rest.iter().any(|x| x.is_nan());
                let at = if is_nan {
                    first_where(x, |x| x.is_nan())
                } else {
                    first_where(x, |x| sign * x == largest)
                };
                (out[0], index[0]) = (x[at], at as u32);
                continue;
            }
            for (j, x) in x.chunks_exact(inner).enumerate() {
                for ((out, index), &x) in out.iter_mut().zip(&mut *index).zip(x) {
                    let x = sign * x;
                    // The first element is taken whatever it is: it may be −∞.
                    let is_larger = x > *out || (x.is_nan() && !out.is_nan());
                    *index = if is_larger { j as u32 } else { *index };
                    *out = if is_larger { x } else { *out };
                }
            }
            for out in out {
                *out = sign * *out;
            }
        }
    }
}

/// What [`spread`](Spreads::spread) writes: a function of the elements x and z at a place, the small tensors' a and m
/// there, and what stood there before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spread {
    /// old + a.
    AddConstant,
    /// old + a (x − m).
    AddCentred,
    /// old + a e^(x − m).
    AddExp,
    /// old + a x.
    AddTimes,
    /// old + x / a.
    AddOver,
    /// old + x (z − m): the backward pass of softmax, with x its output and z that one's gradient.
    AddSoftmaxBack,
    /// old + z − a eˣ: the backward pass of log-softmax, with x its output and z that one's gradient.
    AddLogSoftmaxBack,
    /// e^(x − m).
    Exp,
    /// a times old.
    Scale,
    /// (x − m) − a.
    Shifted,
    /// x + a.
    Plus,
    /// x − a.
    Minus,
    /// x a.
    Times,
    /// x / a.
    Over,
}

trait Written<E>: Copy {
    fn of(self, x: E, z: E, a: E, m: E, old: E) -> E;
}
mod write {
    //! The functions of [`Spread`](super::Spread) by its names.
    use super::{Real, Written, math};
    macro_rules! written {
        ($($name:ident: |$x:ident, $z:ident, $a:ident, $m:ident, $old:ident| $value:expr;)*) => {$(
            #[derive(Clone, Copy)]
            pub struct $name;
            impl<E: Real> Written<E> for $name {
                #[inline(always)]
                fn of(self, $x: E, $z: E, $a: E, $m: E, $old: E) -> E { $value }
            }
        )*};
    }
    written! {
        AddConstant: |_x, _z, a, _m, old| old + a;
        AddCentred: |x, _z, a, m, old| a.mul_add(x - m, old);
        AddExp: |x, _z, a, m, old| a.mul_add(math::exp(x - m), old);
        AddTimes: |x, _z, a, _m, old| a.mul_add(x, old);
        AddOver: |x, _z, a, _m, old| old + x / a;
        AddSoftmaxBack: |x, z, _a, m, old| x.mul_add(z - m, old);
        AddLogSoftmaxBack: |x, z, a, _m, old| old + (-a).mul_add(math::exp(x), z);
        Exp: |x, _z, _a, m, _old| math::exp(x - m);
        Scale: |_x, _z, a, _m, old| old * a;
        Shifted: |x, _z, a, m, _old| (x - m) - a;
        Plus: |x, _z, a, _m, _old| x + a;
        Minus: |x, _z, a, _m, _old| x - a;
        Times: |x, _z, a, _m, _old| x * a;
        Over: |x, _z, a, _m, _old| x / a;
    }
}

/// Writes the elements of `out`, which are those of the tensor from `start` on; x and z are cut to the same.
struct Lines<'a, E, W> {
    written: W,
    x: &'a [E],
    z: &'a [E],
    a: &'a [E],
    m: &'a [E],
    view: View,
    start: usize,
    out: &'a mut [E],
}
impl<E: Real, W: Written<E>> Body for Lines<'_, E, W> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { written, x, z, a, m, view: View { n, inner, .. }, start, out } = self;
        if inner == 1 && n <= SHORT {
            let (mut as_, mut ms) = ([E::zero(); BLOCK], [E::zero(); BLOCK]);
            let (a, m) = (&a[start / n..], &m[start / n..]);
            let block = ROWS * n;
            let blocks = out.chunks_mut(block).zip(x.chunks(block)).zip(z.chunks(block));
            for (((out, x), z), (a, m)) in blocks.zip(a.chunks(ROWS).zip(m.chunks(ROWS))) {
                repeat(a, n, &mut as_);
                repeat(m, n, &mut ms);
                for ((((out, &x), &z), &a), &m) in out.iter_mut().zip(x).zip(z).zip(&as_).zip(&ms) {
                    *out = written.of(x, z, a, m, *out);
                }
            }
            return;
        }
        if inner == 1 {
            let mut at = 0;
            while at < out.len() {
                let row = (start + at) / n;
                let end = ((row + 1) * n - start).min(out.len());
                let (a, m) = (a[row], m[row]);
                for ((out, &x), &z) in out[at..end].iter_mut().zip(&x[at..end]).zip(&z[at..end]) {
                    *out = written.of(x, z, a, m, *out);
                }
                at = end;
            }
            return;
        }
        let lines = out.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).zip(z.chunks_exact(inner));
        for (line, ((out, x), z)) in (start / inner..).zip(lines) {
            let at = line / n * inner;
            let (a, m) = (&a[at..at + inner], &m[at..at + inner]);
            for ((((out, &x), &z), &a), &m) in out.iter_mut().zip(x).zip(z).zip(a).zip(m) {
                *out = written.of(x, z, a, m, *out);
            }
        }
    }
}

/// A tensor as `(outer, n, inner)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Axes before.
    pub outer: usize,
    /// The axis itself.
    pub n: usize,
    /// Axes after.
    pub inner: usize,
}

/// Runs `$body` with `$written` bound to what `$spread` stands for.
macro_rules! with_written {
    ($spread:expr, $written:ident => $body:expr) => {
        with_written!(@ $spread, $written => $body; AddConstant AddCentred AddExp AddTimes AddOver AddSoftmaxBack
            AddLogSoftmaxBack Exp Scale Shifted Plus Minus Times Over)
    };
    (@ $spread:expr, $written:ident => $body:expr; $($name:ident)*) => {
        match $spread {
            $(Spread::$name => {
                let $written = write::$name;
                $body
            })*
        }
    };
}

/// The loops of one part, compiled in this crate for both element types.
pub trait Reductions: Sized {
    /// Σ over rows of `n`; one c and one result per row.
    fn row_sums(term: Term, x: &[Self], z: &[Self], c: &[Self], n: usize, out: &mut [Self]);
    /// Column sums of blocks of `n` rows that are `stride` apart; one c and one result per column, `width` per block.
    fn column_sums(
        term: Term,
        x: [&[Self]; 2],
        c: &[Self],
        n: usize,
        stride: usize,
        width: usize,
        out: &mut [Self],
    );
    /// The largest of sign · x and where it is first, for `(blocks, n, inner)`.
    fn largest(sign: Self, x: &[Self], n: usize, inner: usize, out: &mut [Self], index: &mut [u32]);
    /// Writes elements of a tensor from small ones: x, z and then a, m.
    fn spread(
        spread: Spread,
        x: [&[Self]; 2],
        small: [&[Self]; 2],
        view: View,
        start: usize,
        out: &mut [Self],
    );
}

macro_rules! reductions {
    ($type:ty) => {
        impl Reductions for $type {
            fn row_sums(term: Term, x: &[Self], z: &[Self], c: &[Self], n: usize, out: &mut [Self]) {
                macro_rules! with { ($summand:expr) => { simd(RowSums { summand: $summand, x, z, c, n, out }) } }
                match term {
                    Term::Plain => with!(Plain),
                    Term::Product => with!(Product),
                    Term::Exp => with!(Exp),
                    Term::Deviation => with!(Deviation),
                    Term::Scaled => with!(Scaled),
                }
            }
            fn column_sums(
                term: Term,
                [x, z]: [&[Self]; 2],
                c: &[Self],
                n: usize,
                stride: usize,
                width: usize,
                out: &mut [Self],
            ) {
                macro_rules! with {
                    ($summand:expr) => { simd(ColumnSums { summand: $summand, x, z, c, n, stride, width, out }) }
                }
                match term {
                    Term::Plain => with!(Plain),
                    Term::Product => with!(Product),
                    Term::Exp => with!(Exp),
                    Term::Deviation => with!(Deviation),
                    Term::Scaled => with!(Scaled),
                }
            }
            fn largest(sign: Self, x: &[Self], n: usize, inner: usize, out: &mut [Self], index: &mut [u32]) {
                simd(Largest { sign, x, n, inner, out, index })
            }
            fn spread(
                spread: Spread,
                [x, z]: [&[Self]; 2],
                [a, m]: [&[Self]; 2],
                view: View,
                start: usize,
                out: &mut [Self],
            ) {
                with_written!(spread, written => simd(Lines { written, x, z, a, m, view, start, out }))
            }
        }
    };
}

reductions!(f32);
reductions!(f64);
