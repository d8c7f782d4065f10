//! Activation functions as modules: unit types that stand between layers in a tuple.
//!
//! Each calls the fused kernel of the same name in [`kernels`]; formulas and papers stand there. They replace dfdx's
//! `ReLU`, `LeakyReLU`, `Sigmoid`, `Tanh`, `GeLU`, `FastGeLU` and `AccurateGeLU` (whose derivative is wrong in dfdx
//! 0.13: 1.1835 instead of 1.0833 at 1) and carry tangents, see [`Dual`](crate::Dual).
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
    /// $y = 1/(1 + e^{-x})$.
    Sigmoid;
    /// $y = \tanh x$.
    Tanh;
    /// $y = x\,\Phi(x)$ with the exact normal distribution function, not its tanh approximation.
    Gelu;
    /// $y = x / (1 + e^{-x})$, also called Swish.
    Silu;
    /// $y = \ln(1 + e^x)$, without overflow.
    Softplus;
}

/// $y = x$ for positive $x$, else $y = a x$ with the slope $a$; the derivative at 0 is $a$.
///
/// Built with $a$ = 0.01 as PyTorch's (dfdx's `LeakyReLU` has 0.05); set the field for another. Checkpoints keep it
/// under the name `slope`. dfdx's `to_dtype` and `to_device` reset scalars to their default, so set it again after them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu(
    /// Slope for negative inputs.
    pub f64,
);

/// Default slope of [`LeakyRelu`].
const LEAKY_SLOPE: f64 = 0.01;

impl Default for LeakyRelu {
    fn default() -> Self {
        Self(LEAKY_SLOPE)
    }
}
impl NonMutableModule for LeakyRelu {}
impl<E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for LeakyRelu {
    type Built = Self;
}
impl<E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for LeakyRelu {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Self;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let slope = <Self as TensorCollection<E, D>>::scalar(
            "slope",
            |s| &s.0,
            |s| &mut s.0,
            ScalarOptions::from_default(LEAKY_SLOPE),
        );
        visitor.visit_fields(slope, Self)
    }
}
impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for LeakyRelu {
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        try_activate(x, kernels::LeakyRelu(self.0))
    }
}
