//! The activation functions as loops: formulas of one element, and the passes over slices that use them.
use crate::simd::{Body, simd};
use crate::{ActivationKind, Real, math};

/// φ, φ′ and φ″ of one element.
pub trait Formula<E: Real>: Copy + Send + Sync {
    /// φ(x).
    fn value(self, x: E) -> E;
    /// φ(x) and φ′(x), sharing what they can.
    fn value_and_slope(self, x: E) -> [E; 2];
    /// φ′(x) and φ″(x).
    fn slope_and_curvature(self, x: E) -> [E; 2];
    /// φ′(x) from y = φ(x), for the functions that allow it.
    fn slope_from(self, y: E) -> E;
}

#[derive(Clone, Copy)]
struct Identity;
#[derive(Clone, Copy)]
struct LeakyRelu<E>(E);
#[derive(Clone, Copy)]
struct Sigmoid;
#[derive(Clone, Copy)]
struct Tanh;
#[derive(Clone, Copy)]
struct Gelu;
#[derive(Clone, Copy)]
struct Silu;
#[derive(Clone, Copy)]
struct Softplus;

impl<E: Real> Formula<E> for Identity {
    #[inline(always)]
    fn value(self, x: E) -> E {
        x
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [x, E::ONE]
    }
    #[inline(always)]
    fn slope_and_curvature(self, _: E) -> [E; 2] {
        [E::ONE, E::zero()]
    }
    #[inline(always)]
    fn slope_from(self, _: E) -> E {
        E::ONE
    }
}

/// Relu too, with slope 0: a selection of values, so that infinity · 0 never arises for it.
impl<E: Real> Formula<E> for LeakyRelu<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        // Written so that a NaN comes out as NaN and −0 · 0 does as 0.
        let below = if self.0 == E::zero() { E::zero() } else { self.0 * x };
        if x > E::zero() {
            x
        } else if x <= E::zero() {
            below
        } else {
            x
        }
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), self.slope_from(x)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        [self.slope_from(x), E::zero()]
    }
    /// For a slope that is not negative, y and x have the same sign.
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        if y > E::zero() { E::ONE } else { self.0 }
    }
}

impl<E: Real> Formula<E> for Sigmoid {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::sigmoid(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let [y, rest] = math::sigmoids(x);
        [y, y * rest]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [y, rest] = math::sigmoids(x);
        [y * rest, y * rest * (rest - y)]
    }
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        y * (E::ONE - y)
    }
}

impl<E: Real> Formula<E> for Tanh {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::tanh(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let y = math::tanh(x);
        [y, self.slope_from(y)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [y, slope] = self.value_and_slope(x);
        [slope, E::of(-2.0) * y * slope]
    }
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        (-y).mul_add(y, E::ONE)
    }
}

impl<E: Real> Formula<E> for Gelu {
    #[inline(always)]
    fn value(self, x: E) -> E {
        x * math::normal(x)[0]
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let [distribution, density] = math::normal(x);
        [x * distribution, x.mul_add(density, distribution)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [distribution, density] = math::normal(x);
        [x.mul_add(density, distribution), density * (-x).mul_add(x, E::of(2.0))]
    }
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        unreachable_slope(y)
    }
}

impl<E: Real> Formula<E> for Silu {
    #[inline(always)]
    fn value(self, x: E) -> E {
        x * math::sigmoids(x)[0]
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let [s, rest] = math::sigmoids(x);
        [x * s, s * x.mul_add(rest, E::ONE)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [s, rest] = math::sigmoids(x);
        [s * x.mul_add(rest, E::ONE), s * rest * x.mul_add(rest - s, E::of(2.0))]
    }
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        unreachable_slope(y)
    }
}

impl<E: Real> Formula<E> for Softplus {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let positive = if x > E::zero() { x } else { E::zero() };
        positive + math::ln_1p(math::exp(-x.abs()))
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), math::sigmoid(x)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [s, rest] = math::sigmoids(x);
        [s, s * rest]
    }
    /// σ(x) = 1 − e⁻ʸ.
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        -math::expm1(-y)
    }
}

/// GELU and SiLU are not monotone, so y does not determine φ′; [`slope_is_stored`] keeps them from being asked.
#[inline(always)]
fn unreachable_slope<E: Real>(_: E) -> E {
    E::nan()
}

/// Whether backward needs φ′ stored by the forward pass, because y = φ(x) does not determine it.
pub fn slope_is_stored(kind: ActivationKind) -> bool {
    match kind {
        ActivationKind::Gelu | ActivationKind::Silu => true,
        ActivationKind::LeakyRelu(slope) => slope < 0.0,
        _ => false,
    }
}

/// Runs `$body` with `$f` bound to the formula of `$kind`.
macro_rules! with_formula {
    ($kind:expr, $f:ident => $body:expr) => {
        match $kind {
            ActivationKind::Identity => {
                let $f = Identity;
                $body
            }
            ActivationKind::Relu => {
                let $f = LeakyRelu(0.0);
                $body
            }
            ActivationKind::LeakyRelu(slope) => {
                let $f = LeakyRelu(slope as E);
                $body
            }
            ActivationKind::Sigmoid => {
                let $f = Sigmoid;
                $body
            }
            ActivationKind::Tanh => {
                let $f = Tanh;
                $body
            }
            ActivationKind::Gelu => {
                let $f = Gelu;
                $body
            }
            ActivationKind::Silu => {
                let $f = Silu;
                $body
            }
            ActivationKind::Softplus => {
                let $f = Softplus;
                $body
            }
        }
    };
}

/// y = φ(x).
struct Value<'a, E, F>(F, &'a [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for Value<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (y, &x) in self.2.iter_mut().zip(self.1) {
            *y = self.0.value(x);
        }
    }
}

/// y = φ(x), d = φ′(x).
struct ValueAndSlope<'a, E, F>(F, &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for ValueAndSlope<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((y, d), &x) in self.2.iter_mut().zip(self.3).zip(self.1) {
            [*y, *d] = self.0.value_and_slope(x);
        }
    }
}

/// y = φ′(x), d = φ″(x).
struct SlopeAndCurvature<'a, E, F>(F, &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for SlopeAndCurvature<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((y, d), &x) in self.2.iter_mut().zip(self.3).zip(self.1) {
            [*y, *d] = self.0.slope_and_curvature(x);
        }
    }
}

/// gx += gy φ′, from y.
struct Back<'a, E, F>(F, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for Back<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((gx, &gy), &y) in self.3.iter_mut().zip(self.2).zip(self.1) {
            *gx = self.0.slope_from(y).mul_add(gy, *gx);
        }
    }
}

/// y = φ(y + b), for rows of y.
struct BiasValue<'a, E, F>(F, &'a [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for BiasValue<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for y in self.2.chunks_exact_mut(self.1.len()) {
            for (y, &b) in y.iter_mut().zip(self.1) {
                *y = self.0.value(*y + b);
            }
        }
    }
}

/// y = φ(y + b) and d = φ′(y + b), for rows of y.
struct BiasValueAndSlope<'a, E, F>(F, &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for BiasValueAndSlope<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.1.len();
        for (y, d) in self.2.chunks_exact_mut(n).zip(self.3.chunks_exact_mut(n)) {
            for ((y, d), &b) in y.iter_mut().zip(d).zip(self.1) {
                [*y, *d] = self.0.value_and_slope(*y + b);
            }
        }
    }
}

/// g = gy φ′ from y, and the column sums of g.
struct BackRows<'a, E, F>(F, &'a [E], &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for BackRows<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.4.len();
        self.4.fill(E::zero());
        for ((g, gy), y) in self.3.chunks_exact_mut(n).zip(self.2.chunks_exact(n)).zip(self.1.chunks_exact(n))
        {
            for (((g, &gy), &y), sum) in g.iter_mut().zip(gy).zip(y).zip(&mut *self.4) {
                *g = gy * self.0.slope_from(y);
                *sum += *g;
            }
        }
    }
}

/// g = gy d, and the column sums of g.
struct ScaleRows<'a, E>(&'a [E], &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real> Body for ScaleRows<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.3.len();
        self.3.fill(E::zero());
        for ((g, gy), d) in self.2.chunks_exact_mut(n).zip(self.1.chunks_exact(n)).zip(self.0.chunks_exact(n))
        {
            for (((g, &gy), &d), sum) in g.iter_mut().zip(gy).zip(d).zip(&mut *self.3) {
                *g = gy * d;
                *sum += *g;
            }
        }
    }
}

/// Column sums.
struct SumRows<'a, E>(&'a [E], &'a mut [E]);
impl<E: Real> Body for SumRows<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.1.fill(E::zero());
        for row in self.0.chunks_exact(self.1.len()) {
            for (sum, &x) in self.1.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

/// gx += gy d.
struct MulAdd<'a, E>(&'a [E], &'a [E], &'a mut [E]);
impl<E: Real> Body for MulAdd<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((gx, &gy), &d) in self.2.iter_mut().zip(self.1).zip(self.0) {
            *gx = gy.mul_add(d, *gx);
        }
    }
}

/// What backward reads of the forward pass: the output y, or the stored slope d.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a, E> {
    /// y = φ(x).
    Output(&'a [E]),
    /// d = φ′(x).
    Slope(&'a [E]),
}

/// The passes of one part, compiled in this crate for both element types.
pub trait Passes: Sized {
    /// y = φ(x).
    fn value(kind: ActivationKind, x: &[Self], y: &mut [Self]);
    /// y = φ(x), d = φ′(x).
    fn value_and_slope(kind: ActivationKind, x: &[Self], y: &mut [Self], d: &mut [Self]);
    /// y = φ′(x), d = φ″(x).
    fn slope_and_curvature(kind: ActivationKind, x: &[Self], y: &mut [Self], d: &mut [Self]);
    /// gx += gy φ′.
    fn back(kind: ActivationKind, kept: Kept<'_, Self>, gy: &[Self], gx: &mut [Self]);
    /// y = φ(y + bias) for whole rows.
    fn bias_value(kind: ActivationKind, bias: &[Self], y: &mut [Self]);
    /// y = φ(y + bias), d = φ′(y + bias) for whole rows.
    fn bias_value_and_slope(kind: ActivationKind, bias: &[Self], y: &mut [Self], d: &mut [Self]);
    /// g = gy φ′ for whole rows, and their column sums; `sums` has the length of a row.
    fn back_rows(kind: ActivationKind, kept: Kept<'_, Self>, gy: &[Self], g: &mut [Self], sums: &mut [Self]);
    /// Column sums of whole rows.
    fn sum_rows(x: &[Self], sums: &mut [Self]);
}

macro_rules! passes {
    ($type:ty) => {
        impl Passes for $type {
            fn value(kind: ActivationKind, x: &[Self], y: &mut [Self]) {
                type E = $type;
                with_formula!(kind, f => simd(Value(f, x, y)))
            }
            fn value_and_slope(kind: ActivationKind, x: &[Self], y: &mut [Self], d: &mut [Self]) {
                type E = $type;
                with_formula!(kind, f => simd(ValueAndSlope(f, x, y, d)))
            }
            fn slope_and_curvature(kind: ActivationKind, x: &[Self], y: &mut [Self], d: &mut [Self]) {
                type E = $type;
                with_formula!(kind, f => simd(SlopeAndCurvature(f, x, y, d)))
            }
            fn back(kind: ActivationKind, kept: Kept<'_, Self>, gy: &[Self], gx: &mut [Self]) {
                type E = $type;
                match kept {
                    Kept::Output(y) => with_formula!(kind, f => simd(Back(f, y, gy, gx))),
                    Kept::Slope(d) => simd(MulAdd(d, gy, gx)),
                }
            }
            fn bias_value(kind: ActivationKind, bias: &[Self], y: &mut [Self]) {
                type E = $type;
                with_formula!(kind, f => simd(BiasValue(f, bias, y)))
            }
            fn bias_value_and_slope(kind: ActivationKind, bias: &[Self], y: &mut [Self], d: &mut [Self]) {
                type E = $type;
                with_formula!(kind, f => simd(BiasValueAndSlope(f, bias, y, d)))
            }
            fn back_rows(
                kind: ActivationKind,
                kept: Kept<'_, Self>,
                gy: &[Self],
                g: &mut [Self],
                sums: &mut [Self],
            ) {
                type E = $type;
                match kept {
                    Kept::Output(y) => with_formula!(kind, f => simd(BackRows(f, y, gy, g, sums))),
                    Kept::Slope(d) => simd(ScaleRows(d, gy, g, sums)),
                }
            }
            fn sum_rows(x: &[Self], sums: &mut [Self]) {
                simd(SumRows(x, sums))
            }
        }
    };
}

passes!(f32);
passes!(f64);
