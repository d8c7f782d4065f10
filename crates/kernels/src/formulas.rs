//! The activation functions as loops: formulas of one element, and the passes over slices that use them.
use crate::simd::{Body, simd};
use crate::{ActivationKind, Real, math};

/// LeCun's a and b: a tanh(b x) is ±1 at ±1, up to 3e-6.
const LECUN: [f64; 2] = [1.7159, 2.0 / 3.0];
/// SELU's λ and α, which make mean 0 and variance 1 a fixed point.
pub const SELU: [f64; 2] = [1.050_700_987_355_480_5, 1.673_263_242_354_377_2];

/// φ, φ′ and φ″ of one element.
pub trait Formula<E: Real>: Copy + Send + Sync {
    /// Whether there are arguments that the formulas cannot take: see [`far`](Self::far).
    const HAS_FAR: bool = false;
    /// φ(x).
    fn value(self, x: E) -> E;
    /// y = φ(x).
    #[inline(always)]
    fn values(self, x: &[E], y: &mut [E]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = self.value(x);
        }
    }
    /// φ(x) and φ′(x), sharing what they can.
    fn value_and_slope(self, x: E) -> [E; 2];
    /// φ′(x) and φ″(x).
    fn slope_and_curvature(self, x: E) -> [E; 2];
    /// φ, φ′ and φ″ beyond [`math::FAR`], computed one element at a time.
    fn far(self, x: E) -> [E; 3] {
        [x; 3]
    }
}

/// A function whose output determines the slope, so that backward need not keep it.
pub trait FromOutput<E: Real>: Formula<E> {
    /// φ′(x) from y = φ(x).
    fn slope_from(self, y: E) -> E;
}

#[derive(Clone, Copy)]
struct Identity;
/// Relu too, with slope 0.
#[derive(Clone, Copy)]
struct LeakyRelu<E>(E);
#[derive(Clone, Copy)]
struct ReluSquared;
#[derive(Clone, Copy)]
struct Sigmoid;
/// a tanh(b x).
#[derive(Clone, Copy)]
struct Tanh<E> {
    a: E,
    b: E,
    /// b / a: the slope is a b − (b/a) y².
    ratio: E,
}
/// λ x for positive x, else λ α (eʳˣ − 1).
#[derive(Clone, Copy)]
struct Elu<E> {
    above: E,
    below: E,
    rate: E,
}
#[derive(Clone, Copy)]
struct Gelu;
#[derive(Clone, Copy)]
struct GeluTanh;
/// x σ(β x).
#[derive(Clone, Copy)]
struct Swish<E>(E);
#[derive(Clone, Copy)]
struct Mish;
/// ln(1 + e^(β x)) / β.
#[derive(Clone, Copy)]
struct Softplus<E> {
    beta: E,
    inverse: E,
}
#[derive(Clone, Copy)]
struct Softsign;
/// Squareplus: (x + √(x² + b)) / 2.
#[derive(Clone, Copy)]
struct Squareplus<E>(E);
/// scale · clamp(x + shift, low, high); `edge` is the slope at the two bounds, in units of `scale`.
#[derive(Clone, Copy)]
struct Clamp<E> {
    shift: E,
    low: E,
    high: E,
    scale: E,
    edge: E,
}
#[derive(Clone, Copy)]
struct HardSwish;
#[derive(Clone, Copy)]
struct Exp;
#[derive(Clone, Copy)]
struct Expm1;
#[derive(Clone, Copy)]
struct Ln;
#[derive(Clone, Copy)]
struct Ln1p;
#[derive(Clone, Copy)]
struct Sqrt;
#[derive(Clone, Copy)]
struct Square;
/// xᵖ, and the exponents of its derivatives.
#[derive(Clone, Copy)]
struct Power<E>([Exponent<E>; 3]);
#[derive(Clone, Copy)]
struct Abs;
#[derive(Clone, Copy)]
struct Erf;
/// sin(x + quarters · π/2): the sine and the cosine.
#[derive(Clone, Copy)]
struct Sine<E>(E);

/// x with the infinities replaced by the largest numbers, so that a product with 0 is 0.
#[inline(always)]
fn finite<E: Real>(x: E) -> E {
    between(x, E::min_value(), E::max_value())
}

/// x within bounds; a NaN passes.
#[inline(always)]
fn between<E: Real>(x: E, low: E, high: E) -> E {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// x, but not −∞: what a function multiplies that falls to 0 there.
#[inline(always)]
fn above<E: Real>(x: E) -> E {
    if x < E::min_value() { E::min_value() } else { x }
}

/// Beyond ±40 the normal density is 0 in both element types: powers of x may be taken of this.
#[inline(always)]
fn near<E: Real>(x: E) -> E {
    between(x, E::of(-40.0), E::of(40.0))
}

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
}
impl<E: Real> FromOutput<E> for Identity {
    #[inline(always)]
    fn slope_from(self, _: E) -> E {
        E::ONE
    }
}

/// A selection of values, so that infinity · 0 never arises for slope 0.
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
}
impl<E: Real> FromOutput<E> for LeakyRelu<E> {
    /// For a slope that is not negative, y and x have the same sign.
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        if y > E::zero() { E::ONE } else { self.0 }
    }
}

impl<E: Real> Formula<E> for ReluSquared {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let x = if x <= E::zero() { E::zero() } else { x };
        x * x
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let x = if x <= E::zero() { E::zero() } else { x };
        [x * x, x + x]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let slope = if x <= E::zero() { E::zero() } else { x + x };
        [slope, if x > E::zero() { E::of(2.0) } else { E::zero() }]
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
}
impl<E: Real> FromOutput<E> for Sigmoid {
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        y * (E::ONE - y)
    }
}

impl<E: Real> Tanh<E> {
    fn new(a: f64, b: f64) -> Self {
        Self { a: E::of(a), b: E::of(b), ratio: E::of(b / a) }
    }
}
impl<E: Real> Formula<E> for Tanh<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        self.a * math::tanh(self.b * x)
    }
    #[inline(always)]
    fn values(self, x: &[E], y: &mut [E]) {
        math::tanhs(x, [self.a, self.b], y)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let y = self.value(x);
        [y, self.slope_from(y)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [y, slope] = self.value_and_slope(x);
        [slope, E::of(-2.0) * self.ratio * y * slope]
    }
}
impl<E: Real> FromOutput<E> for Tanh<E> {
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        (-y * self.ratio).mul_add(y, self.a * self.b)
    }
}

impl<E: Real> Elu<E> {
    fn new(above: f64, below: f64, rate: f64) -> Self {
        Self { above: E::of(above), below: E::of(below), rate: E::of(rate) }
    }
}
impl<E: Real> Formula<E> for Elu<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let below = self.below * math::expm1(self.rate * x);
        if x > E::zero() { self.above * x } else { below }
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let y = self.value(x);
        let below = self.below * self.rate * math::exp(self.rate * x);
        [y, if x > E::zero() { self.above } else { below }]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let below = self.below * self.rate * math::exp(self.rate * x);
        let slope = if x > E::zero() { self.above } else { below };
        [slope, if x < E::zero() { below * self.rate } else { E::zero() }]
    }
}

impl<E: Real> Formula<E> for Gelu {
    #[inline(always)]
    fn value(self, x: E) -> E {
        above(x) * math::normal(x)[0]
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let [distribution, density] = math::normal(x);
        [above(x) * distribution, near(x).mul_add(density, distribution)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [distribution, density] = math::normal(x);
        let x = near(x);
        [x.mul_add(density, distribution), density * (-x).mul_add(x, E::of(2.0))]
    }
}

/// tanh approximation: x σ(v) with v = √(8/π) (x + 0.044715 x³).
impl GeluTanh {
    /// σ(v), 1 − σ(v), v′, v″ / 2.
    #[inline(always)]
    fn parts<E: Real>(x: E) -> [E; 4] {
        let c = E::of(2.0 * std::f64::consts::FRAC_2_PI.sqrt());
        let k = E::of(0.044715);
        let x = near(x);
        let square = x * x;
        let [s, rest] = math::sigmoids(c * (k * square).mul_add(x, x));
        [s, rest, c * (E::of(3.0) * k).mul_add(square, E::ONE), c * E::of(3.0) * k * x]
    }
}
impl<E: Real> Formula<E> for GeluTanh {
    #[inline(always)]
    fn value(self, x: E) -> E {
        above(x) * Self::parts(x)[0]
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let [s, rest, dv, _] = Self::parts(x);
        [above(x) * s, s * (near(x) * rest).mul_add(dv, E::ONE)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [s, rest, dv, half_d2v] = Self::parts(x);
        let x = near(x);
        let inner = x * ((rest - s) * dv).mul_add(dv, half_d2v + half_d2v) + dv + dv;
        [s * (x * rest).mul_add(dv, E::ONE), s * rest * inner]
    }
}

impl<E: Real> Formula<E> for Swish<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let [s, _] = math::sigmoids(self.0 * x);
        // x falls to −∞ or, for a negative β, rises to ∞ while σ falls to 0.
        if s == E::zero() { finite(x) * s } else { x * s }
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let z = finite(self.0 * x);
        let [s, rest] = math::sigmoids(z);
        [self.value(x), s * z.mul_add(rest, E::ONE)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let z = finite(self.0 * x);
        let [s, rest] = math::sigmoids(z);
        [s * z.mul_add(rest, E::ONE), self.0 * s * rest * z.mul_add(rest - s, E::of(2.0))]
    }
}

impl Mish {
    /// t = tanh(ln(1 + eˣ)), 1 − t, both without cancellation.
    #[inline(always)]
    fn parts<E: Real>(x: E) -> [E; 2] {
        let two = E::of(2.0);
        let e = math::exp(-x.abs());
        // With n = eˣ: t = (n² + 2n) / (n² + 2n + 2) and 1 − t = 2 / (n² + 2n + 2); divided by n² for positive x.
        let (rises, falls) = (e * (e + two), e.mul_add(two, E::ONE));
        let square = two * e * e;
        let [t, rest, sum] =
            if x < E::zero() { [rises, two, rises + two] } else { [falls, square, falls + square] };
        [t / sum, rest / sum]
    }
}
impl<E: Real> Formula<E> for Mish {
    #[inline(always)]
    fn value(self, x: E) -> E {
        above(x) * Self::parts(x)[0]
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let [t, rest] = Self::parts(x);
        let sech = rest * (t + E::ONE);
        [above(x) * t, (finite(x) * math::sigmoid(x)).mul_add(sech, t)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [t, rest] = Self::parts(x);
        let [s, small] = math::sigmoids(x);
        let (x, slope) = (finite(x), s * (rest * (t + E::ONE))); // slope of t
        [x.mul_add(slope, t), slope * x.mul_add((-t - t).mul_add(s, small), E::of(2.0))]
    }
}

impl<E: Real> Softplus<E> {
    fn new(beta: f64) -> Self {
        Self { beta: E::of(beta), inverse: E::of(beta.recip()) }
    }
}
impl<E: Real> Formula<E> for Softplus<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let z = self.beta * x;
        let positive = if z < E::zero() { E::zero() } else { z };
        let y = (positive + math::ln_1p(math::exp(-z.abs()))) * self.inverse;
        // βx may overflow where x does not.
        if z > E::of(1e30) { x } else { y }
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), math::sigmoid(self.beta * x)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let [s, rest] = math::sigmoids(self.beta * x);
        [s, self.beta * s * rest]
    }
}
impl<E: Real> FromOutput<E> for Softplus<E> {
    /// σ(βx) = 1 − e^(−βy).
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        -math::expm1(-self.beta * y)
    }
}

impl<E: Real> Formula<E> for Softsign {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let x = finite(x);
        x / (E::ONE + x.abs())
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let r = E::ONE / (E::ONE + x.abs());
        [self.value(x), r * r]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let r = E::ONE / (E::ONE + x.abs());
        let sign = if x == E::zero() { E::zero() } else { E::of(2.0).copysign(-x) };
        [r * r, sign * r * r * r]
    }
}

impl<E: Real> Squareplus<E> {
    /// √(x² + b), without overflow.
    #[inline(always)]
    fn root(self, x: E) -> E {
        let size = x.abs();
        let root = x.mul_add(x, self.0).sqrt();
        if size > E::of(1e15) { size } else { root }
    }
}
impl<E: Real> Formula<E> for Squareplus<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let root = self.root(x);
        let half = E::of(0.5);
        // For negative x the sum cancels: b / (2 (√(x² + b) − x)) is the same. Halves of large numbers do not overflow.
        if x < E::zero() {
            half * half * self.0 / half.mul_add(root, -half * x)
        } else {
            half.mul_add(root, half * x)
        }
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), self.slope_and_curvature(x)[0]]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let x = finite(x);
        let root = self.root(x);
        let half = E::of(0.5);
        let at = |x: E| half.mul_add(x / root, half);
        let falling = half * (self.0 / root) / (root - x);
        let zero = root == E::zero(); // b = 0 at 0: a ReLU
        let slope = if x < E::zero() { falling } else { at(x) };
        let curvature = half * (self.0 / root) / root / root;
        [if zero { E::zero() } else { slope }, if zero { E::zero() } else { curvature }]
    }
}

impl<E: Real> Clamp<E> {
    fn new(low: f64, high: f64, edge: f64) -> Self {
        Self { shift: E::zero(), low: E::of(low), high: E::of(high), scale: E::ONE, edge: E::of(edge) }
    }
    #[inline(always)]
    fn slope(self, x: E) -> E {
        let x = x + self.shift;
        let edge = if x == self.low || x == self.high { self.edge } else { E::zero() };
        self.scale * if x > self.low && x < self.high { E::ONE } else { edge }
    }
}
impl<E: Real> Formula<E> for Clamp<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        self.scale * between(x + self.shift, self.low, self.high)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), self.slope(x)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        [self.slope(x), E::zero()]
    }
}

impl<E: Real> Formula<E> for HardSwish {
    #[inline(always)]
    fn value(self, x: E) -> E {
        let (three, six) = (E::of(3.0), E::of(6.0));
        let y = x * (x + three) / six;
        let y = if x <= -three { E::zero() } else { y };
        if x >= three { x } else { y }
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), self.slope_and_curvature(x)[0]]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let three = E::of(3.0);
        let slope = x / three + E::of(0.5);
        let slope = if x <= -three { E::zero() } else { slope };
        let slope = if x >= three { E::ONE } else { slope };
        [slope, if x > -three && x < three { E::of(1.0 / 3.0) } else { E::zero() }]
    }
}

impl<E: Real> Formula<E> for Exp {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::exp(x)
    }
    #[inline(always)]
    fn values(self, x: &[E], y: &mut [E]) {
        math::exps(x, E::zero(), y)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [math::exp(x); 2]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        [math::exp(x); 2]
    }
}
impl<E: Real> FromOutput<E> for Exp {
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        y
    }
}

impl<E: Real> Formula<E> for Expm1 {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::expm1(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [math::expm1(x), math::exp(x)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        [math::exp(x); 2]
    }
}

impl<E: Real> Formula<E> for Ln {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::ln(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [math::ln(x), E::ONE / x]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let slope = E::ONE / x;
        [slope, -slope * slope]
    }
}

impl<E: Real> Formula<E> for Ln1p {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::ln_1p_full(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [math::ln_1p_full(x), E::ONE / (E::ONE + x)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let slope = E::ONE / (E::ONE + x);
        [slope, -slope * slope]
    }
}

impl<E: Real> Formula<E> for Sqrt {
    #[inline(always)]
    fn value(self, x: E) -> E {
        x.sqrt()
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        let y = x.sqrt();
        [y, E::of(0.5) / y]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let slope = E::of(0.5) / x.sqrt();
        [slope, E::of(-0.5) * slope / x]
    }
}
impl<E: Real> FromOutput<E> for Sqrt {
    #[inline(always)]
    fn slope_from(self, y: E) -> E {
        E::of(0.5) / y
    }
}

impl<E: Real> Formula<E> for Square {
    #[inline(always)]
    fn value(self, x: E) -> E {
        x * x
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [x * x, x + x]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        [x + x, E::of(2.0)]
    }
}

/// One exponent with what follows from it for negative arguments and 0.
#[derive(Clone, Copy)]
struct Exponent<E> {
    p: f64,
    /// Factor of |x|ᵖ for negative x: 1, −1, or NaN where p is not an integer.
    negative: E,
    is_odd: bool,
}
impl<E: Real> Exponent<E> {
    fn new(p: f64) -> Self {
        let is_odd = (p % 2.0).abs() == 1.0;
        let negative = if is_odd { -1.0 } else { 1.0 };
        Self { p, negative: E::of(if p.fract() == 0.0 { negative } else { f64::NAN }), is_odd }
    }
    #[inline(always)]
    fn power(self, x: E) -> E {
        let size = x.abs().size_to(self.p);
        let size = if self.p == 0.0 { E::ONE } else { size };
        let y = if x < E::zero() { size * self.negative } else { size };
        if self.is_odd && x == E::zero() { size.copysign(x) } else { y }
    }
}
impl<E: Real> Power<E> {
    fn new(p: f64) -> Self {
        Self([p, p - 1.0, p - 2.0].map(Exponent::new))
    }
}
impl<E: Real> Formula<E> for Power<E> {
    #[inline(always)]
    fn value(self, x: E) -> E {
        self.0[0].power(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [self.value(x), self.slope_and_curvature(x)[0]]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        // A factor of 0 is a constant whose derivative is 0 everywhere, also where the power is infinite.
        let [p, q, r] = self.0;
        let slope = if p.p == 0.0 { E::zero() } else { E::of(p.p) * q.power(x) };
        [slope, if p.p * q.p == 0.0 { E::zero() } else { E::of(p.p * q.p) * r.power(x) }]
    }
}

impl<E: Real> Formula<E> for Abs {
    #[inline(always)]
    fn value(self, x: E) -> E {
        x.abs()
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [x.abs(), self.slope_and_curvature(x)[0]]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let below = if x < E::zero() { -E::ONE } else { E::zero() };
        [if x > E::zero() { E::ONE } else { below }, E::zero()]
    }
}

impl<E: Real> Formula<E> for Erf {
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::erf(x)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [math::erf(x), self.slope_and_curvature(x)[0]]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        let x = near(x);
        let slope = E::of(std::f64::consts::FRAC_2_SQRT_PI) * math::exp(-x * x);
        [slope, E::of(-2.0) * x * slope]
    }
}

impl<E: Real> Formula<E> for Sine<E> {
    const HAS_FAR: bool = true;
    #[inline(always)]
    fn value(self, x: E) -> E {
        math::sine(x, self.0)
    }
    #[inline(always)]
    fn value_and_slope(self, x: E) -> [E; 2] {
        [math::sine(x, self.0), math::sine(x, self.0 + E::ONE)]
    }
    #[inline(always)]
    fn slope_and_curvature(self, x: E) -> [E; 2] {
        [math::sine(x, self.0 + E::ONE), -math::sine(x, self.0)]
    }
    fn far(self, x: E) -> [E; 3] {
        let [sin, cos] = [x.sin(), x.cos()];
        if self.0 == E::zero() { [sin, cos, -sin] } else { [cos, -sin, -cos] }
    }
}

/// Whether backward needs φ′ stored by the forward pass, because y = φ(x) does not determine it.
pub fn slope_is_stored(kind: ActivationKind) -> bool {
    use ActivationKind as K;
    match kind {
        K::LeakyRelu(slope) => slope < 0.0,
        K::Identity | K::Relu | K::Sigmoid | K::Tanh | K::LecunTanh | K::Exp | K::Sqrt => false,
        K::Softplus | K::SoftplusBeta(_) | K::LogSigmoid => false,
        _ => true,
    }
}

/// Runs `$body` with `$f` bound to the formula of `$kind`, for the kinds whose slope the output determines.
macro_rules! with_output_formula {
    ($kind:expr, $f:ident => $body:expr) => {{
        use ActivationKind as K;
        match $kind {
            K::Relu => with_output_formula!(@ LeakyRelu(0.0), $f => $body),
            K::LeakyRelu(slope) => with_output_formula!(@ LeakyRelu(slope as E), $f => $body),
            K::Sigmoid => with_output_formula!(@ Sigmoid, $f => $body),
            K::Tanh => with_output_formula!(@ Tanh::new(1.0, 1.0), $f => $body),
            K::LecunTanh => with_output_formula!(@ Tanh::new(LECUN[0], LECUN[1]), $f => $body),
            K::Softplus => with_output_formula!(@ Softplus::new(1.0), $f => $body),
            K::SoftplusBeta(beta) => with_output_formula!(@ Softplus::new(beta), $f => $body),
            K::LogSigmoid => with_output_formula!(@ Softplus::new(-1.0), $f => $body),
            K::Exp => with_output_formula!(@ Exp, $f => $body),
            K::Sqrt => with_output_formula!(@ Sqrt, $f => $body),
            K::Identity => with_output_formula!(@ Identity, $f => $body),
            other => unreachable!("{other:?} keeps its slope: see slope_is_stored"),
        }
    }};
    (@ $formula:expr, $f:ident => $body:expr) => {{
        let $f = $formula;
        $body
    }};
}

/// Runs `$body` with `$f` bound to the formula of `$kind`.
macro_rules! with_formula {
    ($kind:expr, $f:ident => $body:expr) => {{
        use ActivationKind as K;
        match $kind {
            K::ReluSquared => with_output_formula!(@ ReluSquared, $f => $body),
            K::Elu(alpha) => with_output_formula!(@ Elu::new(1.0, alpha, 1.0), $f => $body),
            K::Celu(alpha) => with_output_formula!(@ Elu::new(1.0, alpha, alpha.recip()), $f => $body),
            K::Selu => with_output_formula!(@ Elu::new(SELU[0], SELU[0] * SELU[1], 1.0), $f => $body),
            K::Gelu => with_output_formula!(@ Gelu, $f => $body),
            K::GeluTanh => with_output_formula!(@ GeluTanh, $f => $body),
            K::Silu => with_output_formula!(@ Swish(1.0), $f => $body),
            K::Swish(beta) => with_output_formula!(@ Swish(beta as E), $f => $body),
            K::Mish => with_output_formula!(@ Mish, $f => $body),
            K::Softsign => with_output_formula!(@ Softsign, $f => $body),
            K::Squareplus(b) => with_output_formula!(@ Squareplus(b as E), $f => $body),
            K::HardTanh => with_output_formula!(@ Clamp::new(-1.0, 1.0, 0.0), $f => $body),
            K::Relu6 => with_output_formula!(@ Clamp::new(0.0, 6.0, 0.0), $f => $body),
            K::Clamp { low, high } => with_output_formula!(@ Clamp::new(low, high, 1.0), $f => $body),
            K::HardSigmoid => {
                let sixth = Clamp { shift: 3.0, scale: (1.0_f64 / 6.0) as E, ..Clamp::new(0.0, 6.0, 0.0) };
                with_output_formula!(@ sixth, $f => $body)
            }
            K::HardSwish => with_output_formula!(@ HardSwish, $f => $body),
            K::Expm1 => with_output_formula!(@ Expm1, $f => $body),
            K::Ln => with_output_formula!(@ Ln, $f => $body),
            K::Ln1p => with_output_formula!(@ Ln1p, $f => $body),
            K::Power(2.0) => with_output_formula!(@ Square, $f => $body),
            K::Power(p) => with_output_formula!(@ Power::new(p), $f => $body),
            K::Abs => with_output_formula!(@ Abs, $f => $body),
            K::Erf => with_output_formula!(@ Erf, $f => $body),
            K::Sin => with_output_formula!(@ Sine(0.0), $f => $body),
            K::Cos => with_output_formula!(@ Sine(1.0), $f => $body),
            kind => with_output_formula!(kind, $f => $body),
        }
    }};
}

/// `fix(i)` for every element that is beyond what the formulas take; none in almost every slice.
#[inline(always)]
fn for_far<E: Real, F: Formula<E>>(_: F, x: &[E], mut fix: impl FnMut(usize)) {
    if F::HAS_FAR {
        let far = E::of(math::FAR);
        for (i, block) in x.chunks(64).enumerate() {
            let mut largest = E::zero();
            for &x in block {
                largest = if x.abs() > largest { x.abs() } else { largest };
            }
            if largest > far {
                for (j, &x) in block.iter().enumerate() {
                    if x.abs() > far {
                        fix(64 * i + j);
                    }
                }
            }
        }
    }
}

/// y = φ(x).
struct Value<'a, E, F>(F, &'a [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for Value<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(f, x, y) = self;
        f.values(x, y);
        for_far(f, x, |i| y[i] = f.far(x[i])[0]);
    }
}

/// y = φ(x), d = φ′(x).
struct ValueAndSlope<'a, E, F>(F, &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for ValueAndSlope<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(f, x, y, d) = self;
        for ((y, d), &x) in y.iter_mut().zip(&mut *d).zip(x) {
            [*y, *d] = f.value_and_slope(x);
        }
        for_far(f, x, |i| [y[i], d[i], _] = f.far(x[i]));
    }
}

/// y = φ′(x), d = φ″(x).
struct SlopeAndCurvature<'a, E, F>(F, &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: Formula<E>> Body for SlopeAndCurvature<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(f, x, y, d) = self;
        for ((y, d), &x) in y.iter_mut().zip(&mut *d).zip(x) {
            [*y, *d] = f.slope_and_curvature(x);
        }
        for_far(f, x, |i| [_, y[i], d[i]] = f.far(x[i]));
    }
}

/// gx += gy φ′, from y.
struct Back<'a, E, F>(F, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real, F: FromOutput<E>> Body for Back<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((gx, &gy), &y) in self.3.iter_mut().zip(self.2).zip(self.1) {
            *gx = self.0.slope_from(y).mul_add(gy, *gx);
        }
    }
}

/// z = y + b, for rows of y.
struct AddBias<'a, E>(&'a [E], &'a [E], &'a mut [E]);
impl<E: Real> Body for AddBias<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.0.len();
        for (z, y) in self.2.chunks_exact_mut(n).zip(self.1.chunks_exact(n)) {
            for ((z, &y), &b) in z.iter_mut().zip(y).zip(self.0) {
                *z = y + b;
            }
        }
    }
}

/// Elements that [`biased`] hands on at a time: in the first level of the cache.
const BLOCK: usize = 1024;

/// Calls `pass` with y + bias, at most [`BLOCK`] elements of whole rows (or of one row) at a time, and where they lie in
/// y. So the formulas are compiled once, and not once more with a bias.
fn biased<E: Real>(bias: &[E], y: &mut [E], mut pass: impl FnMut(&[E], &mut [E], usize)) {
    let mut sums = [E::zero(); BLOCK];
    let n = bias.len();
    let rows = (BLOCK / n.max(1)).max(1) * n.max(1);
    for (i, y) in y.chunks_mut(rows).enumerate() {
        for (j, (y, bias)) in
            y.chunks_mut(if n > BLOCK { BLOCK } else { rows }).zip(bias.chunks(BLOCK)).enumerate()
        {
            let sums = &mut sums[..y.len()];
            simd(AddBias(bias, y, sums));
            pass(sums, y, i * rows + j * BLOCK);
        }
    }
}

/// g = gy φ′ from y, and the column sums of g.
struct BackRows<'a, E, F>(F, &'a [E], &'a [E], &'a mut [E], &'a mut [E]);
impl<E: Real, F: FromOutput<E>> Body for BackRows<'_, E, F> {
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
                    Kept::Output(y) => with_output_formula!(kind, f => simd(Back(f, y, gy, gx))),
                    Kept::Slope(d) => simd(MulAdd(d, gy, gx)),
                }
            }
            fn bias_value(kind: ActivationKind, bias: &[Self], y: &mut [Self]) {
                biased(bias, y, |x, y, _| Self::value(kind, x, y))
            }
            fn bias_value_and_slope(kind: ActivationKind, bias: &[Self], y: &mut [Self], d: &mut [Self]) {
                biased(bias, y, |x, y, start| {
                    Self::value_and_slope(kind, x, y, &mut d[start..start + y.len()])
                })
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
                    Kept::Output(y) => with_output_formula!(kind, f => simd(BackRows(f, y, gy, g, sums))),
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
