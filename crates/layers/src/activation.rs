//! Activation functions as modules: unit types that stand between layers in a tuple.
//!
//! Each calls the fused kernel of the same name in [`kernels`]; formulas and papers stand there. They replace dfdx's
//! `ReLU`, `LeakyReLU`, `Sigmoid`, `Tanh`, `GeLU`, `FastGeLU` and `AccurateGeLU` (whose derivative is wrong in dfdx
//! 0.13: 1.1835 instead of 1.0833 at 1) and carry tangents, see [`Dual`].
//!
//! A unit type may also be the third parameter of [`Linear`](crate::builders::Linear): one fused operation instead of
//! two, and less memory, since the pre-activation is not kept.
//!
//! # Examples
//! ```
//! use layers::prelude::*;
//! let dev = Cpu::seed_from_u64(0);
//! let apart = dev.build_module::<(Linear<3, 2>, Tanh), f64>();
//! let fused = layers::modules::Linear { activation: Tanh, weight: apart.0.weight.clone(), bias: apart.0.bias.clone(), input_gradient: Default::default() };
//! let x: Tensor<Rank2<4, 3>, f64, _> = dev.sample_normal();
//! assert_eq!(apart.forward(x.clone()).array(), fused.forward(x).array());
//! ```
use crate::Dual;
use dfdx::nn::tensor_collection::{ModuleVisitor, ScalarOptions, TensorCollection};
use dfdx::nn::{BuildOnDevice, Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Dtype, Shape, Tape, Tensor};
use kernels::{ActivationKind, Device, Real, try_activate};

/// An activation function without parameters, chosen by type: it may be fused into a
/// [`Linear`](crate::modules::Linear).
pub trait Activation: ZeroSizedModule + Copy + std::fmt::Debug + 'static {
    /// The function.
    const KIND: ActivationKind;
}

macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;
        impl Activation for $name {
            const KIND: ActivationKind = ActivationKind::$name;
        }
        impl ZeroSizedModule for $name {}
        impl NonMutableModule for $name {}
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for $name {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                try_activate(x, Self::KIND)
            }
        }
    )*};
}

activations! {
    /// $y = x$: as the third parameter of a linear layer, no activation.
    Identity;
    /// $y = \max(x, 0)$; the derivative at 0 is 0.
    Relu;
    /// $y = \min(\max(x, 0), 6)$.
    Relu6;
    /// $y = \max(x, 0)^2$.
    ReluSquared;
    /// $y = \lambda x$ for positive $x$, else $y = \lambda\alpha (e^x - 1)$. Needs weights of variance 1/fan-in.
    Selu;
    /// $y = 1/(1 + e^{-x})$.
    Sigmoid;
    /// $y = \ln \sigma(x)$, without underflow.
    LogSigmoid;
    /// $y = \tanh x$.
    Tanh;
    /// $y = 1.7159 \tanh(2x/3)$.
    LecunTanh;
    /// $y = x\,\Phi(x)$ with the exact normal distribution function, not its tanh approximation.
    Gelu;
    /// $y = \frac x2 (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3)))$.
    GeluTanh;
    /// $y = x / (1 + e^{-x})$, also called Swish.
    Silu;
    /// $y = x \tanh \ln(1 + e^x)$.
    Mish;
    /// $y = \ln(1 + e^x)$, without overflow.
    Softplus;
    /// $y = x / (1 + |x|)$.
    Softsign;
    /// $y = \min(\max(x, -1), 1)$.
    HardTanh;
    /// $y = \min(\max(x + 3, 0), 6) / 6$.
    HardSigmoid;
    /// $y = x \min(\max(x + 3, 0), 6) / 6$.
    HardSwish;
    /// $y = e^x$.
    Exp;
    /// $y = e^x - 1$, accurate near 0.
    Expm1;
    /// $y = \ln x$.
    Ln;
    /// $y = \ln(1 + x)$, accurate near 0.
    Ln1p;
    /// $y = \sqrt x$.
    Sqrt;
    /// $y = |x|$.
    Abs;
    /// $y = \mathrm{erf}\,x$.
    Erf;
    /// $y = \sin x$, as between the layers of a SIREN.
    Sin;
    /// $y = \cos x$.
    Cos;
}

macro_rules! scalar_activations {
    ($($(#[$doc:meta])* $name:ident($(#[$field_doc:meta])* $scalar:literal = $default:expr);)*) => {$(
        $(#[$doc])*
        ///
        /// Checkpoints keep the number. dfdx's `to_dtype` and `to_device` reset scalars to their default, so set it
        /// again after them.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name($(#[$field_doc])* pub f64);

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }
        impl $name {
            /// The function with its number.
            pub fn kind(self) -> ActivationKind {
                ActivationKind::$name(self.0)
            }
        }
        impl NonMutableModule for $name {}
        impl<E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for $name {
            type Built = Self;
        }
        impl<E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for $name {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Self;
            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                let scalar = <Self as TensorCollection<E, D>>::scalar(
                    $scalar,
                    |s| &s.0,
                    |s| &mut s.0,
                    ScalarOptions::from_default($default),
                );
                visitor.visit_fields(scalar, Self)
            }
        }
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for $name {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                try_activate(x, self.kind())
            }
        }
    )*};
}

scalar_activations! {
    /// $y = x$ for positive $x$, else $y = a x$ with the slope $a$; the derivative at 0 is $a$.
    ///
    /// Built with $a$ = 0.01 as PyTorch's (dfdx's `LeakyReLU` has 0.05); checkpoints call it `slope`.
    LeakyRelu(
        /// Slope for negative inputs.
        "slope" = 0.01
    );
    /// $y = x$ for positive $x$, else $y = \alpha (e^x - 1)$. Built with $\alpha$ = 1.
    Elu(
        /// $\alpha$.
        "alpha" = 1.0
    );
    /// $y = x$ for positive $x$, else $y = \alpha (e^{x/\alpha} - 1)$. Built with $\alpha$ = 1.
    Celu(
        /// $\alpha > 0$.
        "alpha" = 1.0
    );
    /// $y = x\,\sigma(\beta x)$ with a fixed $\beta$. Built with $\beta$ = 1.
    Swish(
        /// $\beta$.
        "beta" = 1.0
    );
    /// $y = \ln(1 + e^{\beta x}) / \beta$. Built with $\beta$ = 1.
    SoftplusBeta(
        /// $\beta \ne 0$.
        "beta" = 1.0
    );
    /// $y = (x + \sqrt{x^2 + b}) / 2$. Built with $b$ = 4.
    Squareplus(
        /// $b \ge 0$.
        "b" = 4.0
    );
    /// $y = x^p$; NaN for negative $x$ and a $p$ that is not an integer. Built with $p$ = 2.
    Power(
        /// $p$.
        "exponent" = 2.0
    );
}

/// $y = \min(\max(x, \mathrm{low}), \mathrm{high})$; the derivative at both bounds is 1. Built with 0 and 1, the values of a
/// pixel; [`HardTanh`] has −1 and 1.
///
/// Checkpoints keep the numbers. dfdx's `to_dtype` and `to_device` reset scalars to their default, so set them again after
/// them.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let x = Cpu::default().tensor([-1.0, 0.5, 3.0_f64]);
/// assert_eq!(Clamp { low: 0.0, high: 2.0 }.forward(x).array(), [0.0, 0.5, 2.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Lower bound.
    pub low: f64,
    /// Upper bound, at least `low`.
    pub high: f64,
}

impl Default for Clamp {
    fn default() -> Self {
        Self { low: 0.0, high: 1.0 }
    }
}
impl Clamp {
    /// The function with its numbers.
    pub fn kind(self) -> ActivationKind {
        ActivationKind::Clamp { low: self.low, high: self.high }
    }
}
impl NonMutableModule for Clamp {}
impl<E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for Clamp {
    type Built = Self;
}
impl<E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for Clamp {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Self;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                <Self as TensorCollection<E, D>>::scalar(
                    "low",
                    |s| &s.low,
                    |s| &mut s.low,
                    ScalarOptions::from_default(0.0),
                ),
                <Self as TensorCollection<E, D>>::scalar(
                    "high",
                    |s| &s.high,
                    |s| &mut s.high,
                    ScalarOptions::from_default(1.0),
                ),
            ),
            |(low, high)| Self { low, high },
        )
    }
}
impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for Clamp {
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        try_activate(x, self.kind())
    }
}

macro_rules! over_the_last_axis {
    ($($(#[$doc:meta])* $name:ident: $value:ident, $dual:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;
        impl ZeroSizedModule for $name {}
        impl NonMutableModule for $name {}
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for $name {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                kernels::$value(x)
            }
        }
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for $name {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                x.$dual()
            }
        }
    )*};
}

over_the_last_axis! {
    /// $y_k = e^{x_k} / \sum_j e^{x_j}$ over the last axis. dfdx's has a wrong derivative for permuted inputs.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let logits = Cpu::default().tensor([[0.0_f64, 0.0], [0.0, 3.0_f64.ln()]]);
    /// layers::assert_close!(Softmax.forward(logits), [[0.5, 0.5], [0.25, 0.75]], 1e-15);
    /// ```
    Softmax: try_softmax, try_softmax;
    /// $y_k = x_k - \ln \sum_j e^{x_j}$ over the last axis.
    LogSoftmax: try_log_softmax, try_log_softmax;
}
