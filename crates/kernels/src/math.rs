//! Scalar functions that the compiler turns into vector code inside a [`Body`](crate::simd::Body): one formula for
//! both element types, no branches (selections only), no calls.
//!
//! | function | method | largest error, f32 / f64 |
//! |---|---|---|
//! | [`exp`] | $x = n \ln 2 + r$, Taylor polynomial in $r$, scaled by $2^{n/2}$ twice | 1.1 / 1.1 ulp |
//! | [`expm1`] | the same $q = e^r - 1$: $2^n q + (2^n - 1)$ | 1.7 / 2.0 ulp |
//! | [`tanh`] | $t = e^{-2\lvert x\rvert} - 1$, $-t/(2 + t)$, sign copied | 2.6 / 3.1 ulp |
//! | [`sigmoid`] | $e = e^{-\lvert x\rvert}$; $1/(1+e)$ or $e/(1+e)$ | 2.5 / 2.5 ulp |
//! | [`ln`] | mantissa in $[\sqrt{1/2}, \sqrt 2)$, $2\,\mathrm{artanh}\frac{m-1}{m+1}$ | 1.0 / 1.1 ulp |
//! | [`ln_1p`] | the same on $[0, 1]$, without forming $1 + x$ | 1.5 / 1.5 ulp |
//! | [`normal`] | erf: polynomial below 1; else $1 - e^{-x^2} Q(s)$, $s = 2/(2 + \lvert x\rvert) - 0.8$ | absolute 1e-7 / 2e-16 |
//! | [`sin_cos_turns`] | quarter turns and Taylor polynomials | absolute 1.5e-7 / 2.8e-16 |
//!
//! Integer arithmetic is `wrapping_`, because the overflow checks of a debug build are branches, which would leave the
//! loops unvectorised. The tests hold these bounds on grids, and the special values: ±0, ±∞, NaN, subnormal results. The polynomials of
//! erf are Chebyshev fits.
use crate::Real;

/// Constants and polynomials of one element type.
pub trait Constants: Sized {
    /// `exp` of anything below is 0, of anything above is ∞.
    const EXP_RANGE: [Self; 2];
    /// ln 2 in two parts; products of the first with a small integer are exact.
    const LN_2: [Self; 2];
    /// Adding and subtracting it rounds to an integer.
    const ROUND: Self;
    /// From here on, −1 no longer changes eˣ.
    const EXPM1_IS_EXP: Self;
    /// A power of two that makes every subnormal number normal, and its logarithm.
    const NORMALISE: [Self; 2];
    /// For an integer `n` plus [`ROUND`](Self::ROUND): 2^⌊n/2⌋ and 2^(n − ⌊n/2⌋), both normal where e^(n ln 2) is in range.
    fn powers(rounded: Self) -> [Self; 2];
    /// (eʳ − 1 − r) / r² for |r| ≤ ln 2 / 2.
    fn exp_tail(r: Self) -> Self;
    /// erf(√t) / √t for t ≤ 1.
    fn erf_centre(t: Self) -> Self;
    /// e^(x²) erfc(x) for s = 2/(2 + x) − 0.8, x ≥ 0.7.
    fn erf_tail(s: Self) -> Self;
    /// Mantissa in [√½, √2) and exponent of a positive normal number.
    fn mantissa(self) -> [Self; 2];
    /// (2 artanh(√t)/√t − 2) / t.
    fn artanh_tail(t: Self) -> Self;
    /// (sin(√t)/√t − 1) / t for √t ≤ π/4.
    fn sin_tail(t: Self) -> Self;
    /// (cos(√t) − 1) / t for √t ≤ π/4.
    fn cos_tail(t: Self) -> Self;
    /// x − n π/2 in [−π/4, π/4] and the whole number n, for |x| ≤ [`FAR`].
    fn quarter_turns(self) -> [Self; 2];
    /// For a whole number plus [`ROUND`](Self::ROUND): whether it is odd, and whether it is 2 or 3 modulo 4.
    fn quadrant(rounded: Self) -> [bool; 2];
    /// xᵖ for x ≥ 0 and p ≠ 0.
    fn size_to(self, p: f64) -> Self;
}

/// Up to here sines are computed from π/2 in three parts; beyond by the standard library, one at a time.
pub const FAR: f64 = 1e6;

/// π/2 in three parts; products of the first two with a whole number below 2²⁰ are exact.
const HALF_PI: [f64; 3] = [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_795_950_6e-21];

/// A polynomial, highest power first.
macro_rules! horner {
    ($type:ty, $x:expr, $first:expr $(, $next:expr)*) => {{
        let p: $type = $first as $type;
        $( let p = p.mul_add($x, $next as $type); )*
        p
    }};
}

impl Constants for f32 {
    const EXP_RANGE: [f32; 2] = [-104.0, 89.0];
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    const EXPM1_IS_EXP: f32 = 40.0;
    const NORMALISE: [f32; 2] = [16_777_216.0, 24.0];
    #[inline(always)]
    fn powers(rounded: f32) -> [f32; 2] {
        let n = (rounded.to_bits() as i32).wrapping_sub(Self::ROUND.to_bits() as i32);
        let half = n >> 1;
        // One after the other, and shifted before the bias is added: of a map over both, or with the bias inside the
        // shift, the compiler makes 64-bit vectors, which costs exp a fifth of its time.
        let first = (half << 23).wrapping_add(0x3f80_0000);
        let second = (n.wrapping_sub(half) << 23).wrapping_add(0x3f80_0000);
        [f32::from_bits(first as u32), f32::from_bits(second as u32)]
    }
    #[inline(always)]
    fn exp_tail(r: f32) -> f32 {
        horner!(f32, r, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5)
    }
    #[inline(always)]
    fn erf_centre(t: f32) -> f32 {
        horner!(
            f32,
            t,
            7.875875e-05,
            -0.00080168643,
            0.0051890872,
            -0.026854211,
            0.11283594,
            -0.37612626,
            std::f32::consts::FRAC_2_SQRT_PI
        )
    }
    #[inline(always)]
    fn erf_tail(s: f32) -> f32 {
        horner!(
            f32, s, 0.09452558, 0.37536827, 0.49506614, 0.0994597, -0.1583889, 0.5260477, 1.5095364,
            1.6023945, 0.61569864
        )
    }
    #[inline(always)]
    fn mantissa(self) -> [f32; 2] {
        let bits = self.to_bits() as i32;
        let exponent = bits.wrapping_sub(0x3f35_04f3) >> 23;
        [f32::from_bits(bits.wrapping_sub(exponent << 23) as u32), exponent as f32]
    }
    #[inline(always)]
    fn artanh_tail(t: f32) -> f32 {
        horner!(f32, t, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0)
    }
    #[inline(always)]
    fn sin_tail(t: f32) -> f32 {
        horner!(f32, t, 1.0 / 362_880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0)
    }
    #[inline(always)]
    fn cos_tail(t: f32) -> f32 {
        horner!(f32, t, -1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5)
    }
    /// In f64, where two parts of π/2 suffice.
    #[inline(always)]
    fn quarter_turns(self) -> [f32; 2] {
        let [r, n] = f64::from(self).quarter_turns();
        [r as f32, n as f32]
    }
    #[inline(always)]
    fn quadrant(rounded: f32) -> [bool; 2] {
        let bits = rounded.to_bits();
        [bits & 1 != 0, bits & 2 != 0]
    }
    /// In f64, whose rounding disappears in that of the result.
    #[inline(always)]
    fn size_to(self, p: f64) -> f32 {
        exp(p * ln(f64::from(self))) as f32
    }
}

impl Constants for f64 {
    const EXP_RANGE: [f64; 2] = [-746.0, 710.0];
    const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2⁵²
    const EXPM1_IS_EXP: f64 = 80.0;
    const NORMALISE: [f64; 2] = [18_014_398_509_481_984.0, 54.0];
    #[inline(always)]
    fn powers(rounded: f64) -> [f64; 2] {
        let n = (rounded.to_bits() as i64).wrapping_sub(Self::ROUND.to_bits() as i64) as i32;
        let half = n >> 1;
        [half, n.wrapping_sub(half)].map(|n| f64::from_bits((i64::from(n.wrapping_add(1023)) << 52) as u64))
    }
    #[inline(always)]
    fn exp_tail(r: f64) -> f64 {
        horner!(
            f64,
            r,
            1.0 / 6_227_020_800.0,
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5
        )
    }
    #[inline(always)]
    fn erf_centre(t: f64) -> f64 {
        horner!(
            f64,
            t,
            5.957176147748911e-11,
            -1.1372848856791674e-09,
            1.4659775274047436e-08,
            -1.6350312701054695e-07,
            1.6461000484121368e-06,
            -1.4925595266831182e-05,
            0.0001205533111164271,
            -0.000854832698083379,
            0.0052239776248180145,
            -0.026866170645076792,
            0.11283791670954879,
            -0.3761263890318375,
            std::f64::consts::FRAC_2_SQRT_PI
        )
    }
    #[inline(always)]
    fn erf_tail(s: f64) -> f64 {
        horner!(
            f64,
            s,
            0.0863710700421438,
            0.8073481254362994,
            3.3682635883637557,
            8.377848495472987,
            14.021538026894282,
            16.94067977268891,
            15.474872418413147,
            10.973027291304232,
            6.116157735429431,
            2.7480636706731243,
            1.005386523518593,
            0.2305028981981222,
            0.07470043481192318,
            0.12371358417469518,
            -0.12943553363688745,
            -0.24476013576773237,
            0.505508740924589,
            1.5065477079689904,
            1.602152598751798,
            0.6156903446229113
        )
    }
    #[inline(always)]
    fn mantissa(self) -> [f64; 2] {
        let bits = self.to_bits() as i64;
        let exponent = bits.wrapping_sub(0x3fe6_a09e_667f_3bcd) >> 52;
        [f64::from_bits(bits.wrapping_sub(exponent << 52) as u64), exponent as i32 as f64]
    }
    #[inline(always)]
    fn artanh_tail(t: f64) -> f64 {
        horner!(
            f64,
            t,
            2.0 / 21.0,
            2.0 / 19.0,
            2.0 / 17.0,
            2.0 / 15.0,
            2.0 / 13.0,
            2.0 / 11.0,
            2.0 / 9.0,
            2.0 / 7.0,
            2.0 / 5.0,
            2.0 / 3.0
        )
    }
    #[inline(always)]
    fn sin_tail(t: f64) -> f64 {
        horner!(
            f64,
            t,
            1.0 / 355_687_428_096_000.0,
            -1.0 / 1_307_674_368_000.0,
            1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0,
            1.0 / 362_880.0,
            -1.0 / 5040.0,
            1.0 / 120.0,
            -1.0 / 6.0
        )
    }
    #[inline(always)]
    fn cos_tail(t: f64) -> f64 {
        horner!(
            f64,
            t,
            -1.0 / 6_402_373_705_728_000.0,
            1.0 / 20_922_789_888_000.0,
            -1.0 / 87_178_291_200.0,
            1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            -1.0 / 720.0,
            1.0 / 24.0,
            -0.5
        )
    }
    #[inline(always)]
    fn quarter_turns(self) -> [f64; 2] {
        let n = self * std::f64::consts::FRAC_2_PI + Self::ROUND - Self::ROUND;
        let [first, second, third] = HALF_PI;
        [n.mul_add(-third, n.mul_add(-second, n.mul_add(-first, self))), n]
    }
    #[inline(always)]
    fn quadrant(rounded: f64) -> [bool; 2] {
        let bits = rounded.to_bits();
        [bits & 1 != 0, bits & 2 != 0]
    }
    /// p ln x with about 60 bits, then e to the power of its two parts.
    #[inline(always)]
    fn size_to(self, p: f64) -> f64 {
        let [high, low] = ln_parts(self);
        let product = p * high;
        let rest = p.mul_add(high, -product) + p * low;
        let y = exp(product);
        let corrected = y.mul_add(rest, y);
        // Where ln x or the power is infinite there is nothing to correct; a NaN stays.
        if rest.abs() < 1.0 && y < f64::INFINITY { corrected } else { y }
    }
}

/// ln x as a sum of two numbers, the second below the last place of the first.
#[inline(always)]
fn ln_parts(x: f64) -> [f64; 2] {
    let [scale, digits] = f64::NORMALISE;
    let is_tiny = x < f64::MIN_POSITIVE;
    let [m, exponent] = (if is_tiny { x * scale } else { x }).mantissa();
    let exponent = if is_tiny { exponent - digits } else { exponent };
    let f = m - 1.0; // exact
    let sum = f + 2.0;
    let s = f / sum;
    // What the division and the sum have rounded away.
    let rest = ((-s).mul_add(sum, f) - s * (f - (sum - 2.0))) / sum;
    let t = s * s;
    let tail = s * t * f64::artanh_tail(t); // at most a hundredth of the whole
    let (first, second) = (exponent * f64::LN_2[0], s + s);
    let high = first + second;
    let low = (second - (high - first)) + (rest + rest + exponent.mul_add(f64::LN_2[1], tail));
    let total = high + low;
    let special = ln(x);
    let is_regular = x > 0.0 && x < f64::INFINITY;
    if is_regular { [total, low - (total - high)] } else { [special, 0.0] }
}

/// r and n + [`ROUND`](Constants::ROUND) of x = n ln 2 + r.
#[inline(always)]
fn reduced<E: Real>(x: E) -> [E; 2] {
    let [low, high] = E::EXP_RANGE;
    let x = if x < low { low } else { x }; // a NaN passes both
    let x = if x > high { high } else { x };
    let rounded = x * E::of(std::f64::consts::LOG2_E) + E::ROUND;
    let n = rounded - E::ROUND;
    [n.mul_add(-E::LN_2[1], n.mul_add(-E::LN_2[0], x)), rounded]
}

/// eʳ − 1.
#[inline(always)]
fn near_one<E: Real>(r: E) -> E {
    (r * r).mul_add(E::exp_tail(r), r)
}

/// eˣ from what [`reduced`] made of x.
#[inline(always)]
fn exp_of<E: Real>([r, rounded]: [E; 2]) -> E {
    let [a, b] = E::powers(rounded);
    (near_one(r) + E::ONE) * a * b
}

/// eˣ.
#[inline(always)]
pub fn exp<E: Real>(x: E) -> E {
    exp_of(reduced(x))
}

/// Elements that [`in_two_steps`] takes at a time: 512 bytes or 1 KiB.
const STEP: usize = 128;

/// y = finish(x, what [`reduced`] makes of argument(x)), the same bits as in one go. The two halves of an exponential
/// are a chain of twenty operations that wait for each other, and a processor that looks ahead as far as it can still
/// sees only a few chains at once; in two loops it sees twice as many, for a third less time.
#[inline(always)]
fn in_two_steps<E: Real>(x: &[E], y: &mut [E], argument: impl Fn(E) -> E, finish: impl Fn(E, [E; 2]) -> E) {
    let mut halves = [E::zero(); STEP];
    for (x, y) in x.chunks(STEP).zip(y.chunks_mut(STEP)) {
        for ((y, rounded), &x) in y.iter_mut().zip(&mut halves).zip(x) {
            [*y, *rounded] = reduced(argument(x));
        }
        for ((y, &rounded), &x) in y.iter_mut().zip(&halves).zip(x) {
            *y = finish(x, [*y, rounded]);
        }
    }
}

/// y = e^(x − c).
#[inline(always)]
pub fn exps<E: Real>(x: &[E], c: E, y: &mut [E]) {
    in_two_steps(x, y, |x| x - c, |_, reduced| exp_of(reduced));
}

/// y = e^(y − c).
#[inline(always)]
pub fn exps_in_place<E: Real>(y: &mut [E], c: E) {
    let mut halves = [E::zero(); STEP];
    for y in y.chunks_mut(STEP) {
        for (y, rounded) in y.iter_mut().zip(&mut halves) {
            [*y, *rounded] = reduced(*y - c);
        }
        for (y, &rounded) in y.iter_mut().zip(&halves) {
            *y = exp_of([*y, rounded]);
        }
    }
}

/// y = a tanh(b x).
#[inline(always)]
pub fn tanhs<E: Real>(x: &[E], [a, b]: [E; 2], y: &mut [E]) {
    in_two_steps(x, y, |x| E::of(-2.0) * (b * x).abs(), |x, reduced| a * tanh_of(b * x, reduced));
}

/// eˣ − 1, accurate near 0.
#[inline(always)]
pub fn expm1<E: Real>(x: E) -> E {
    expm1_of(x, reduced(x))
}

/// eˣ − 1 from what [`reduced`] made of x.
#[inline(always)]
fn expm1_of<E: Real>(x: E, [r, rounded]: [E; 2]) -> E {
    let (q, [a, b]) = (near_one(r), E::powers(rounded));
    let scale = a * b;
    let y = scale.mul_add(q, scale - E::ONE);
    // The scale overflows before eˣ does; up there −1 changes nothing.
    let y = if x > E::EXPM1_IS_EXP { (q + E::ONE) * a * b } else { y };
    if x == E::zero() { x } else { y }
}

/// tanh x.
#[inline(always)]
pub fn tanh<E: Real>(x: E) -> E {
    tanh_of(x, reduced(E::of(-2.0) * x.abs()))
}

/// tanh x from what [`reduced`] made of −2 |x|.
#[inline(always)]
fn tanh_of<E: Real>(x: E, reduced: [E; 2]) -> E {
    let t = expm1_of(E::of(-2.0) * x.abs(), reduced);
    (-t / (t + E::of(2.0))).copysign(x)
}

/// 1 / (1 + e⁻ˣ) and its complement 1 / (1 + eˣ), both accurate where they are small.
#[inline(always)]
pub fn sigmoids<E: Real>(x: E) -> [E; 2] {
    let e = exp(-x.abs());
    let large = E::ONE / (E::ONE + e);
    let small = e * large;
    if x < E::zero() { [small, large] } else { [large, small] }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid<E: Real>(x: E) -> E {
    let e = exp(-x.abs());
    let above = if x < E::zero() { e } else { E::ONE };
    above / (E::ONE + e)
}

/// ln(1 + f) + e ln 2 for f in [√½ − 1, √2 − 1].
#[inline(always)]
fn ln_sum<E: Real>(f: E, exponent: E) -> E {
    let s = f / (f + E::of(2.0));
    let t = s * s;
    // 2 artanh(s) = 2 s + s t P(t), and 2 s = f − s f, which loses no digit of f.
    let r = s.mul_add(t.mul_add(E::artanh_tail(t), -f), f);
    exponent.mul_add(E::LN_2[0], exponent.mul_add(E::LN_2[1], r))
}

/// Natural logarithm.
#[inline(always)]
pub fn ln<E: Real>(x: E) -> E {
    let [scale, digits] = E::NORMALISE;
    let tiny = x < E::min_positive_value();
    let [m, exponent] = (if tiny { x * scale } else { x }).mantissa();
    let y = ln_sum(m - E::ONE, if tiny { exponent - digits } else { exponent });
    let y = if x == E::infinity() { x } else { y };
    let y = if x == E::zero() { E::neg_infinity() } else { y };
    if x >= E::zero() { y } else { E::nan() }
}

/// ln(1 + x) for x in \[0, 1\].
#[inline(always)]
pub fn ln_1p<E: Real>(x: E) -> E {
    let upper = x > E::of(std::f64::consts::SQRT_2 - 1.0);
    // (1 + x)/2 − 1 = (x − 1)/2, without rounding.
    let f = if upper { (x - E::ONE) * E::of(0.5) } else { x };
    ln_sum(f, if upper { E::ONE } else { E::zero() })
}

/// ln(1 + x) for every x.
#[inline(always)]
pub fn ln_1p_full<E: Real>(x: E) -> E {
    let near = ln_sum(x, E::zero());
    let u = E::ONE + x;
    let far = ln(u) + (x - (u - E::ONE)) / u;
    let half = E::of(std::f64::consts::FRAC_1_SQRT_2 - 1.0);
    let y = if x > half && x < E::of(std::f64::consts::SQRT_2 - 1.0) { near } else { far };
    let y = if x == -E::ONE { E::neg_infinity() } else { y };
    if x == E::infinity() || x == E::zero() { x } else { y }
}

/// The error function.
#[inline(always)]
pub fn erf<E: Real>(x: E) -> E {
    let (z, t) = (x.abs(), x * x);
    let centre = x * E::erf_centre(t);
    let tail = (E::ONE - exp(-t) * E::erf_tail(tail_argument(z))).copysign(x);
    if z < E::ONE { centre } else { tail }
}

/// sin(x + quarters · π/2) for |x| ≤ [`FAR`].
#[inline(always)]
pub fn sine<E: Real>(x: E, quarters: E) -> E {
    let [r, n] = x.quarter_turns();
    let [is_odd, is_negative] = E::quadrant(n + quarters + E::ROUND);
    let t = r * r;
    let sin = (r * t).mul_add(E::sin_tail(t), r);
    let sin = if t == E::zero() { r } else { sin }; // −0 has a sign
    let cos = t.mul_add(E::cos_tail(t), E::ONE);
    let y = if is_odd { cos } else { sin };
    if is_negative { -y } else { y }
}

#[inline(always)]
fn tail_argument<E: Real>(x: E) -> E {
    E::of(2.0) / (x + E::of(2.0)) - E::of(0.8)
}

/// Standard normal distribution function and density; the tails keep their relative accuracy.
#[inline(always)]
pub fn normal<E: Real>(x: E) -> [E; 2] {
    // Beyond ±40 both are constant in both element types.
    let bound = E::of(40.0);
    let x = if x < -bound { -bound } else { x };
    let x = if x > bound { bound } else { x };
    let half = E::of(0.5);
    let z = x.abs() * E::of(std::f64::consts::FRAC_1_SQRT_2);
    let square = x * x;
    let t = square * half; // z²
    // The exponent is rounded to the last place of a number up to 100: what is lost there is put back.
    let e = exp(-t);
    let e = (-half * x.mul_add(x, -square)).mul_add(e, e);
    let centre = half + half * (z * E::erf_centre(t)).copysign(x);
    let tail = half * e * E::erf_tail(tail_argument(z));
    let tail = if x > E::zero() { E::ONE - tail } else { tail };
    let density = e * E::of(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
    [if z < E::ONE { centre } else { tail }, density]
}

/// sin 2πu and cos 2πu for u in \[0, 1\].
#[inline(always)]
pub fn sin_cos_turns<E: Real>(u: E) -> [E; 2] {
    let quarters = u * E::of(4.0) + E::ROUND - E::ROUND; // 0, 1, 2, 3 or 4
    let angle = quarters.mul_add(E::of(-0.25), u) * E::of(std::f64::consts::TAU);
    let t = angle * angle;
    let sin = (angle * t).mul_add(E::sin_tail(t), angle);
    let cos = t.mul_add(E::cos_tail(t), E::ONE);
    let odd = quarters == E::ONE || quarters == E::of(3.0);
    let [s, c] = if odd { [cos, sin] } else { [sin, cos] };
    let sin_is_negative = quarters == E::of(2.0) || quarters == E::of(3.0);
    let cos_is_negative = quarters == E::ONE || quarters == E::of(2.0);
    [if sin_is_negative { -s } else { s }, if cos_is_negative { -c } else { c }]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ActivationKind as K;
    use crate::formulas::Passes;
    use crate::simd::{Body, simd};

    /// `f` at every point, compiled as in an operation.
    fn at<E: Real>(f: impl Fn(E) -> E + Copy, x: &[E]) -> Vec<E> {
        struct Each<'a, E, F>(F, &'a [E], &'a mut [E]);
        impl<E: Real, F: Fn(E) -> E> Body for Each<'_, E, F> {
            type Out = ();
            #[inline(always)]
            fn run(self) {
                for (y, &x) in self.2.iter_mut().zip(self.1) {
                    *y = self.0(x);
                }
            }
        }
        let mut y = vec![E::nan(); x.len()];
        simd(Each(f, x, &mut y));
        y
    }

    fn grid(low: f64, high: f64) -> impl Iterator<Item = f64> {
        const N: u32 = 30_000;
        (0..=N).map(move |i| low + (high - low) * f64::from(i) / f64::from(N))
    }

    /// Distance in units in the last place of the true value; of the smallest normal number below that.
    fn ulps<E: Real>(got: E, want: f64) -> f64 {
        let exponent = want.abs().max(E::min_positive_value().as_f64()).log2().floor();
        (got.as_f64() - want).abs() / (E::epsilon().as_f64() * exponent.exp2())
    }

    /// Largest error of `f` over ranges, in f32 against the standard library's f64.
    #[track_caller]
    fn check_f32(
        name: &str,
        bound: f64,
        f: impl Fn(f32) -> f32 + Copy,
        truth: impl Fn(f64) -> f64,
        ranges: &[[f64; 2]],
    ) {
        let x: Vec<f32> = ranges.iter().flat_map(|&[low, high]| grid(low, high)).map(|x| x as f32).collect();
        for (x, y) in x.iter().zip(at(f, &x)) {
            let off = ulps(y, truth(f64::from(*x)));
            assert!(off <= bound, "{name}({x:e}) = {y:e} is {off:.2} ulp off");
        }
    }

    /// At lengths around whole steps, special values among them.
    #[test]
    fn two_steps_give_the_bits_of_one() {
        struct Both<'a>(&'a [f32], [&'a mut [f32]; 3]);
        impl Body for Both<'_> {
            type Out = ();
            #[inline(always)]
            fn run(self) {
                let Self(x, [exp_of_less, in_place, tanh_of]) = self;
                exps(x, 0.75, exp_of_less);
                in_place.copy_from_slice(x);
                exps_in_place(in_place, 0.75);
                tanhs(x, [1.5, 0.5], tanh_of);
            }
        }
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-40, 88.9, -104.5];
        for n in [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP + 7] {
            let x: Vec<f32> =
                (0..n).map(|i| special.get(i / 3).copied().unwrap_or(i as f32 / 20.0 - 5.0)).collect();
            let [mut exp_of_less, mut in_place, mut tanh_of] = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
            simd(Both(&x, [&mut exp_of_less, &mut in_place, &mut tanh_of]));
            // A NaN has no sign that is promised.
            let bits = |y: &[f32]| -> Vec<u32> {
                y.iter().map(|y| if y.is_nan() { 1 } else { y.to_bits() }).collect()
            };
            let wanted = bits(&at(|x: f32| exp(x - 0.75), &x));
            assert_eq!([bits(&exp_of_less), bits(&in_place)], [wanted.clone(), wanted], "exp of {n}");
            assert_eq!(bits(&tanh_of), bits(&at(|x: f32| 1.5 * tanh(0.5 * x), &x)), "tanh of {n}");
        }
    }

    #[test]
    fn f32_errors_are_within_bounds() {
        // Measured on these grids: see the table above; bounds are a tenth larger.
        check_f32("exp", 1.1, exp, f64::exp, &[[-103.0, 88.7], [-1.0, 1.0]]);
        check_f32("expm1", 1.7, expm1, f64::exp_m1, &[[-20.0, 88.7], [-1.0, 1.0], [-1e-3, 1e-3]]);
        check_f32("tanh", 2.6, tanh, f64::tanh, &[[-10.0, 10.0], [-1e-3, 1e-3]]);
        check_f32("sigmoid", 2.5, sigmoid, |x| 1.0 / (1.0 + (-x).exp()), &[[-103.0, 20.0], [-1.0, 1.0]]);
        check_f32("ln", 1.0, ln, f64::ln, &[[1e-6, 4.0], [0.9, 1.1], [1e-45, 1e-37], [1.0, 3e38]]);
        check_f32("ln_1p", 1.5, ln_1p, f64::ln_1p, &[[0.0, 1.0], [0.0, 1e-6]]);
    }

    /// Powers in f64 against the standard library, which is within 1 ulp, and at the special values.
    #[test]
    fn powers_are_those_of_the_standard_library() {
        fn power(x: f64, p: f64) -> f64 {
            let mut y = [0.0];
            f64::value(K::Power(p), &[x], &mut y);
            y[0]
        }
        let mut worst = 0.0_f64;
        for p in [0.5, -0.5, 1.0 / 3.0, 3.0, -1.0, 2.5, 17.3, -40.7, 1e-9, 100.0] {
            for x in grid(-7.0, 7.0).map(f64::exp).chain([5e-324, 1e-310, 1e-300, 1e300]) {
                let want = x.powf(p);
                if want.is_finite() && want > 1e-300 {
                    worst = worst.max(ulps(power(x, p), want));
                }
            }
            for x in [0.0, -0.0, 1.0, -1.0, -2.0, f64::INFINITY, f64::NAN] {
                let (got, want) = (power(x, p), x.powf(p));
                let same = got == want && got.is_sign_negative() == want.is_sign_negative();
                let close = (got - want).abs() <= 4.0 * f64::EPSILON * want.abs();
                assert!(
                    same || close || (got.is_nan() && want.is_nan()),
                    "{x}^{p} = {got} instead of {want}"
                );
            }
        }
        assert!(worst <= 3.5, "{worst} ulp"); // measured 3, at the largest powers
        assert_eq!(power(f64::NAN, 0.0), 1.0);
    }

    /// sin and cos of large arguments are the standard library's, bit for bit.
    #[test]
    fn far_angles_are_reduced_exactly() {
        let x: Vec<f64> = (0..300).map(|i| 1e6 + 0.1 + f64::from(i).exp()).chain([1e22, -3e300]).collect();
        let mut y = vec![0.0; x.len()];
        f64::value(K::Sin, &x, &mut y);
        x.iter().zip(&y).for_each(|(x, y)| assert_eq!(*y, x.sin(), "sin {x:e}"));
        f64::value(K::Cos, &x, &mut y);
        x.iter().zip(&y).for_each(|(x, y)| assert_eq!(*y, x.cos(), "cos {x:e}"));
        let mut d = y.clone();
        f64::value_and_slope(K::Sin, &x, &mut y, &mut d);
        x.iter().zip(&d).for_each(|(x, d)| assert_eq!(*d, x.cos(), "slope of sin at {x:e}"));
    }

    /// f64 at the points of `tests/golden/math.json`, whose values have 60 digits before they are rounded once.
    #[test]
    fn f64_errors_are_within_bounds() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../tests/golden/math.json")).expect("a generator wrote it");
        let check = |name: &str, bound: f64, is_absolute: bool, f: &dyn Fn(f64) -> f64| {
            let points = file[name].as_array().unwrap_or_else(|| panic!("no {name} in the file"));
            assert!(points.len() > 40, "{name}");
            for point in points {
                let [x, want] = [0, 1].map(|i| point[i].as_f64().expect("a number"));
                let off = if is_absolute { (f(x) - want).abs() / f64::EPSILON } else { ulps(f(x), want) };
                assert!(off <= bound, "{name}({x:e}) = {:e} instead of {want:e}: {off:.2}", f(x));
            }
        };
        check("exp", 1.1, false, &exp);
        check("expm1", 2.0, false, &expm1);
        check("tanh", 3.1, false, &tanh);
        check("sigmoid", 2.5, false, &sigmoid);
        check("ln", 1.1, false, &ln);
        check("ln_1p", 1.5, false, &ln_1p);
        check("sin_turns", 3.0, true, &|u| sine(u * std::f64::consts::TAU, 0.0));
        check("cos_turns", 3.0, true, &|u| sine(u * std::f64::consts::TAU, 1.0));
        check("ln_1p", 1.5, false, &ln_1p_full);
        check("normal", 1.0, true, &|x| normal(x)[0]);
        check("sin_turns", 1.3, true, &|x| sin_cos_turns(x)[0]);
        check("cos_turns", 1.3, true, &|x| sin_cos_turns(x)[1]);
    }

    /// f32 against f64 of the same formulas, which the golden points hold.
    #[test]
    fn normal_and_turns_agree_between_types() {
        for x in grid(-9.0, 9.0) {
            let (single, double) = (normal(x as f32), normal(f64::from(x as f32)));
            for i in 0..2 {
                let off = (f64::from(single[i]) - double[i]).abs();
                assert!(off <= 1.2e-7, "normal({x})[{i}] is {off:e} off");
            }
            // The left tail keeps its relative accuracy; the error of x² in f32 is part of it.
            let relative = (f64::from(single[0]) - double[0]).abs() / double[0];
            assert!(relative <= 4e-7 * (1.0 + x * x), "the tail at {x} is {relative:e} off");
        }
        for u in grid(0.0, 1.0) {
            let (single, double) = (sin_cos_turns(u as f32), sin_cos_turns(f64::from(u as f32)));
            for i in 0..2 {
                let off = (f64::from(single[i]) - double[i]).abs();
                assert!(off <= 1.5e-7, "sin_cos_turns({u})[{i}] is {off:e} off");
            }
        }
    }

    #[test]
    fn special_values_are_right() {
        fn check<E: Real>() {
            let [inf, zero, nan] = [E::infinity(), E::zero(), E::nan()];
            let same = |a: E, b: E| a == b && a.is_sign_negative() == b.is_sign_negative();
            for (name, got, want) in [
                ("exp(0)", exp(zero), E::ONE),
                ("exp(-0)", exp(-zero), E::ONE),
                ("exp(inf)", exp(inf), inf),
                ("exp(-inf)", exp(-inf), zero),
                ("expm1(0)", expm1(zero), zero),
                ("expm1(-0)", expm1(-zero), -zero),
                ("expm1(inf)", expm1(inf), inf),
                ("expm1(-inf)", expm1(-inf), -E::ONE),
                ("tanh(0)", tanh(zero), zero),
                ("tanh(-0)", tanh(-zero), -zero),
                ("tanh(inf)", tanh(inf), E::ONE),
                ("tanh(-inf)", tanh(-inf), -E::ONE),
                ("sigmoid(0)", sigmoid(zero), E::of(0.5)),
                ("sigmoid(inf)", sigmoid(inf), E::ONE),
                ("sigmoid(-inf)", sigmoid(-inf), zero),
                ("ln(1)", ln(E::ONE), zero),
                ("ln(0)", ln(zero), -inf),
                ("ln(inf)", ln(inf), inf),
                ("ln_1p(0)", ln_1p(zero), zero),
                ("Phi(0)", normal(zero)[0], E::of(0.5)),
                ("Phi(inf)", normal(inf)[0], E::ONE),
            ] {
                assert!(same(got, want), "{name} is {got}, not {want}");
            }
            for (name, got) in [
                ("exp", exp(nan)),
                ("expm1", expm1(nan)),
                ("tanh", tanh(nan)),
                ("sigmoid", sigmoid(nan)),
                ("ln", ln(nan)),
                ("ln(-1)", ln(-E::ONE)),
                ("normal", normal(nan)[0]),
            ] {
                assert!(got.is_nan(), "{name} of NaN is {got}");
            }
        }
        check::<f32>();
        check::<f64>();
        assert_eq!((normal(f32::NEG_INFINITY)[0], normal(f64::NEG_INFINITY)[0]), (0.0, 0.0));
        // Subnormal results and arguments.
        assert_eq!(exp(-100.0_f32), (-100.0_f64).exp() as f32);
        assert!((exp(-744.0_f64) - 5e-324 * 2.0).abs() <= 5e-324);
        let tiny = f32::from_bits(1);
        assert_eq!((tanh(tiny), expm1(tiny)), (tiny, tiny));
        assert_eq!(ln(tiny), f64::from(tiny).ln() as f32);
    }

    /// On neighbouring numbers, where rounding could turn the order round.
    #[test]
    fn exp_and_tanh_are_monotone() {
        for start in [-80.0_f32, -3.3, -0.7, -1e-3, 1e-3, 0.3, 2.0, 8.9, 60.0] {
            let mut x = start;
            for _ in 0..20_000 {
                let next = x.next_up();
                assert!(exp(next) >= exp(x), "exp falls at {x:e}");
                assert!(tanh(next) >= tanh(x), "tanh falls at {x:e}");
                x = next;
            }
        }
    }

    #[test]
    fn odd_functions_are_odd() {
        for x in grid(0.0, 12.0) {
            assert_eq!(tanh(-x), -tanh(x));
            let x = x as f32;
            assert_eq!(tanh(-x), -tanh(x));
        }
    }
}
