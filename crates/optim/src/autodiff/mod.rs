//! Lecture 4: back-propagation and automatic differentiation, from scratch (Goodfellow et al. 2016, section 6.5).
//!
//! | module | what it computes | how |
//! |---|---|---|
//! | [`dual`] | value and derivatives along N directions | forward: numbers with infinitesimal parts; nested for any order |
//! | [`scalar`] | value and the gradient with respect to everything | reverse: a list of operations, read backwards |
//! | [`tensor`] | the same for matrices; the gradient is a graph again | reverse, symbol to symbol; any order and any mix |
//! | [`fixed`] | the same, with shapes that the compiler checks | |
//! | [`graph`] | order, depth, memory, simplification and picture of a graph | petgraph |
//! | [`checkpoint`] | gradient of a long chain in little memory | recomputation, uniform or optimal |
//! | [`hvp`] | Hessian times vector by hand | Pearlmutter's R-operator for one hidden layer |
//! | [`hessian_times_model`] | Hessian of any dfdx model times a model | [`layers::Dual`] |
//! | [`spectrum`] | eigenvalues of a Hessian that is never formed | Lanczos, power iteration |
//! | [`gradcheck`] | is a gradient the derivative? | central differences |
//!
//! One trait, [`Number`], lets the same function run on plain numbers, on dual numbers and on a tape, and lets them be
//! put inside of each other: a tape of dual numbers is forward over reverse, the cheapest exact Hessian-vector product.
//!
//! | library | records | gradient of a gradient |
//! |---|---|---|
//! | dfdx | closures on a tape, shapes in types | through [`layers::Dual`] |
//! | [`tensor`] | a graph of operations, shapes as values | directly |
//! | [`dual`] | nothing | by nesting |
//!
//! # Examples
//! ```
//! use optim::autodiff::{Number, dual::gradient_and_hessian, scalar::ScalarTape};
//!
//! fn f<T: Number>(x: T, y: T) -> T {
//!     x * y + x.sin()
//! }
//!
//! let tape = ScalarTape::new();
//! let (x, y) = (tape.var(2.0), tape.var(3.0));
//! let gradient = tape.backward(f(x, y));
//! assert_eq!(gradient.wrt(y), 2.0);
//! let (_, [dx, _], [[dxx, dxy], _]) = gradient_and_hessian(|[x, y]| f(x, y), [2.0, 3.0]);
//! assert_eq!(dx, gradient.wrt(x));
//! assert!((dxx + 2.0_f64.sin()).abs() < 1e-15 && dxy == 1.0);
//! ```
pub mod checkpoint;
pub mod dual;
pub mod fixed;
pub mod gradcheck;
pub mod graph;
pub mod hvp;
mod model;
pub mod scalar;
pub mod spectrum;
pub mod tensor;

pub use model::hessian_times_model;

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What can be computed with: f64, dual numbers, variables on a tape, and each of these inside of another.
///
/// Where a function has no derivative ([`relu`](Self::relu) at 0) the derivative here is 0.
pub trait Number:
    Copy
    + Debug
    + From<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The number without any derivative.
    fn real(self) -> f64;
    /// $e^x$.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root; its derivative at 0 is infinite.
    fn sqrt(self) -> Self;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// $x^n$, also for $x \le 0$.
    fn powi(self, n: i32) -> Self;

    /// $x^y = e^{y\ln x}$ for $x > 0$; at 0 and below, where $\ln x$ is not a number, use [`powi`](Self::powi).
    fn powf(self, y: Self) -> Self {
        (y * self.ln()).exp()
    }

    /// $\max(x, 0)$.
    fn relu(self) -> Self {
        if self.real() > 0.0 { self } else { Self::from(0.0) }
    }
}

impl Number for f64 {
    fn real(self) -> f64 {
        self
    }
    fn exp(self) -> f64 {
        f64::exp(self)
    }
    fn ln(self) -> f64 {
        f64::ln(self)
    }
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn sin(self) -> f64 {
        f64::sin(self)
    }
    fn cos(self) -> f64 {
        f64::cos(self)
    }
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }
    fn powi(self, n: i32) -> f64 {
        f64::powi(self, n)
    }
}
