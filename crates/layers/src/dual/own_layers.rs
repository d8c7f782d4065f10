//! `Module<Dual>` for the layers of this crate.
use super::Dual;
use crate::activation::*;
use crate::modules::Linear;
use dfdx::nn::Module;
use dfdx::prelude::{Const, Shape, Tape, Tensor, TryMul, WithEmptyTape};
use kernels::{
    ActivationKind, Device, FeaturesLast, InputGradient, Real, try_activate, try_activation_slope, try_linear,
};

/// $\dot y = \varphi'(x)\,\dot x$.
pub(crate) fn activate<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Dual<S, E, D, T>,
    kind: ActivationKind,
) -> Result<Dual<S, E, D, T>, D::Err> {
    if kind == ActivationKind::Identity {
        return Ok(x);
    }
    let (x, dx) = x.split();
    let slope = try_activation_slope(x.with_empty_tape(), kind)?;
    Ok(Dual::join(try_activate(x, kind)?, slope.try_mul(dx)?))
}

macro_rules! activations {
    ($($name:ident)*) => {$(
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for $name {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                activate(x, Self::KIND)
            }
        }
    )*};
}
activations!(Abs Cos Erf Exp Expm1 Gelu GeluTanh HardSigmoid HardSwish HardTanh Identity LecunTanh Ln Ln1p LogSigmoid Mish Relu Relu6 ReluSquared Selu Sigmoid Silu Sin Softplus Softsign Sqrt Tanh);

macro_rules! scalar_activations {
    ($($name:ident)*) => {$(
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for $name {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                activate(x, self.kind())
            }
        }
    )*};
}
scalar_activations!(Celu Clamp Elu LeakyRelu Power SoftplusBeta Squareplus Swish);

/// $\dot z = \dot x W^\top$: the bias does not change with $x$.
fn product<const I: usize, const O: usize, S: FeaturesLast<I>, E: Real, D: Device<E>, T: Tape<E, D>, A>(
    layer: &Linear<I, O, E, D, A>,
    dx: Tensor<S, E, D, T>,
) -> Result<Tensor<S::With<O>, E, D, T>, D::Err> {
    let no_bias = dx.device().try_zeros_like(&(Const::<O>,))?;
    try_linear(dx, &layer.weight, &no_bias, kernels::Identity, InputGradient::Needed)
}

impl<const I: usize, const O: usize, E: Real, D: Device<E>, A: Activation> Linear<I, O, E, D, A> {
    /// The pre-activation: the layer is linear in both value and tangent.
    pub(super) fn pre_activation<S: FeaturesLast<I>, T: Tape<E, D>>(
        &self,
        x: Dual<S, E, D, T>,
    ) -> Result<Dual<S::With<O>, E, D, T>, D::Err> {
        let (x, dx) = x.split();
        let z = try_linear(x, &self.weight, &self.bias, kernels::Identity, self.input_gradient)?;
        Ok(Dual::join(z, product(self, dx)?))
    }
}

impl<const I: usize, const O: usize, S, E, D, T, A> Module<Dual<S, E, D, T>> for Linear<I, O, E, D, A>
where
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Dual<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        activate(self.pre_activation(x)?, A::KIND)
    }
}
