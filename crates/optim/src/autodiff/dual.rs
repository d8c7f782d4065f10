//! Forward mode: dual numbers $a + b\varepsilon$ with $\varepsilon^2 = 0$.
//!
//! $f(a + b\varepsilon) = f(a) + f'(a)\,b\,\varepsilon$: whoever computes with dual numbers gets the derivative along $b$
//! beside the value, at two to three times the cost, and nothing is recorded. A gradient of $n$ inputs takes $n$
//! directions. Parts may be dual numbers themselves; two levels give the Hessian, three the third derivative.
//!
//! **Golden**: values, gradients and Hessians of JAX. **Property**: forward = reverse = central differences.
use super::Number;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// $a + \sum_i b_i\varepsilon_i$ with $\varepsilon_i\varepsilon_j = 0$: a value and its derivatives along `N` directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DualNumber<T, const N: usize> {
    /// $a$.
    pub value: T,
    /// $b$.
    pub tangent: [T; N],
}

// ANCHOR: dual
impl<T: Number, const N: usize> DualNumber<T, N> {
    /// A number that does not depend on anything.
    pub fn constant(value: T) -> Self {
        Self { value, tangent: [T::from(0.0); N] }
    }

    /// Input number `direction`: its derivative along that direction is 1.
    pub fn input(value: T, direction: usize) -> Self {
        let one = |i| T::from(if i == direction { 1.0 } else { 0.0 });
        Self { value, tangent: std::array::from_fn(one) }
    }

    /// $f(a) + f'(a)\,b\,\varepsilon$.
    fn chain(self, value: T, slope: T) -> Self {
        Self { value, tangent: self.tangent.map(|b| slope * b) }
    }
}

impl<T: Number, const N: usize> Mul for DualNumber<T, N> {
    type Output = Self;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the derivative has more than one operation")]
    fn mul(self, other: Self) -> Self {
        let product_rule = |i| self.tangent[i] * other.value + self.value * other.tangent[i];
        Self { value: self.value * other.value, tangent: std::array::from_fn(product_rule) }
    }
}
// ANCHOR_END: dual

impl<T: Number, const N: usize> Add for DualNumber<T, N> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let sum = |i| self.tangent[i] + other.tangent[i];
        Self { value: self.value + other.value, tangent: std::array::from_fn(sum) }
    }
}

impl<T: Number, const N: usize> Sub for DualNumber<T, N> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        let difference = |i| self.tangent[i] - other.tangent[i];
        Self { value: self.value - other.value, tangent: std::array::from_fn(difference) }
    }
}

impl<T: Number, const N: usize> Div for DualNumber<T, N> {
    type Output = Self;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the derivative has more than one operation")]
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let quotient_rule = |i| (self.tangent[i] - value * other.tangent[i]) / other.value;
        Self { value, tangent: std::array::from_fn(quotient_rule) }
    }
}

impl<T: Number, const N: usize> Neg for DualNumber<T, N> {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, tangent: self.tangent.map(|b| -b) }
    }
}

impl<T: Number, const N: usize> From<f64> for DualNumber<T, N> {
    fn from(value: f64) -> Self {
        Self::constant(T::from(value))
    }
}

impl<T: Number, const N: usize> Number for DualNumber<T, N> {
    fn real(self) -> f64 {
        self.value.real()
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), T::from(1.0) / self.value)
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, T::from(0.5) / root)
    }
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
    fn tanh(self) -> Self {
        let t = self.value.tanh();
        self.chain(t, T::from(1.0) - t * t)
    }
    fn powi(self, n: i32) -> Self {
        match n {
            0 => Self::from(1.0),
            _ => self.chain(self.value.powi(n), T::from(f64::from(n)) * self.value.powi(n - 1)),
        }
    }
}

/// Value and gradient of `f` in one pass with `N` directions.
pub fn gradient<const N: usize>(
    f: impl Fn([DualNumber<f64, N>; N]) -> DualNumber<f64, N>,
    x: [f64; N],
) -> (f64, [f64; N]) {
    let y = f(std::array::from_fn(|i| DualNumber::input(x[i], i)));
    (y.value, y.tangent)
}

/// A dual number whose parts are dual numbers.
pub type Nested<const N: usize> = DualNumber<DualNumber<f64, N>, N>;

/// Value, gradient and Hessian of `f` in one pass with nested dual numbers.
pub fn gradient_and_hessian<const N: usize>(
    f: impl Fn([Nested<N>; N]) -> Nested<N>,
    x: [f64; N],
) -> (f64, [f64; N], [[f64; N]; N]) {
    let y = f(std::array::from_fn(|i| DualNumber::input(DualNumber::input(x[i], i), i)));
    (y.value.value, y.value.tangent, y.tangent.map(|row| row.tangent))
}
