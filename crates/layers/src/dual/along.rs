//! Derivatives along a direction in weight space.
use super::{Dual, own_layers};
use crate::activation::*;
use crate::modules::Linear;
use dfdx::nn::Module;
use dfdx::nn::modules as nn;
use dfdx::prelude::{Const, Device, Dim, Dtype, Shape, Tape, Tensor, TryAdd, TryMul, WithEmptyTape};
use kernels::{FeaturesLast, Real, try_linear};

/// The forward pass of a dual when the weights move too: `direction` is a model of the same type whose weights are the
/// weights' tangent $\dot w$.
///
/// Layers without weights ignore the direction. Tuples (two to six; also one), `Residual` and `Repeated` pass it on.
///
/// # Examples
/// The derivative of $w x$ by $w$ along $\dot w$ is $\dot w x$:
/// ```
/// use layers::{Along, Dual, modules, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let model: modules::Linear<3, 2, f64, Cpu> = BuildModule::build(&dev);
/// let direction: modules::Linear<3, 2, f64, Cpu> = BuildModule::build(&dev);
/// let x: Tensor<Rank2<4, 3>, f64, _> = dev.sample_normal();
/// let y = model.along(&direction, Dual::constant(x.leaky_trace()));
/// layers::assert_close!(y.tangent(), direction.forward(x), 1e-15);
/// ```
pub trait Along<X> {
    /// Dual of the result.
    type Output;
    /// The device's error.
    type Error: std::fmt::Debug;

    /// Value and tangent of the module's output.
    ///
    /// # Errors
    /// The device's error.
    fn try_along(&self, direction: &Self, x: X) -> Result<Self::Output, Self::Error>;

    /// Value and tangent of the module's output.
    ///
    /// # Panics
    /// When the device fails; [`try_along`](Self::try_along) returns the error.
    fn along(&self, direction: &Self, x: X) -> Self::Output {
        self.try_along(direction, x).unwrap()
    }
}

/// A tensor with the same values and an id of its own. A direction is often made from a clone of the model, whose
/// tensors have the ids of the model's: without this, the gradient of the direction would be added to the weights'.
pub(crate) fn detached<S: Shape, E: Dtype, D: Device<E>>(
    tensor: &Tensor<S, E, D>,
) -> Result<Tensor<S, E, D>, D::Err> {
    tensor.clone().try_mul(E::ONE)
}

impl<const I: usize, const O: usize, S, E, D, T, A> Along<Dual<S, E, D, T>> for Linear<I, O, E, D, A>
where
    S: FeaturesLast<I>,
    E: Real,
    D: kernels::Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Dual<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_along(&self, direction: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (weight, bias) = (detached(&direction.weight)?, detached(&direction.bias)?);
        let at = x.with_empty_tape().value();
        let moved = try_linear(at, &weight, &bias, kernels::Identity, self.input_gradient)?; // x dW' + db
        let (z, dz) = self.pre_activation(x)?.split();
        own_layers::activate(Dual::join(z, dz.try_add(moved)?), A::KIND)
    }
}

/// dfdx's linear layers, for the shapes that they take.
macro_rules! linear {
    ($($layer:ident { $($field:ident)+ }: ($($axis:ident)*);)*) => {$(
        impl<$($axis: Dim,)* const I: usize, const O: usize, E: Dtype, D: Device<E>, T: Tape<E, D>>
            Along<Dual<($($axis,)* Const<I>,), E, D, T>> for nn::$layer<I, O, E, D>
        {
            type Output = Dual<($($axis,)* Const<O>,), E, D, T>;
            type Error = D::Err;
            fn try_along(
                &self,
                direction: &Self,
                x: Dual<($($axis,)* Const<I>,), E, D, T>,
            ) -> Result<Self::Output, D::Err> {
                let direction = nn::$layer { $($field: detached(&direction.$field)?),+ };
                let moved = direction.try_forward(x.with_empty_tape().value())?;
                let (y, dy) = self.try_forward(x)?.split();
                Ok(Dual::join(y, dy.try_add(moved)?))
            }
        }
    )*};
}
linear! {
    Linear { weight bias }: ();
    Linear { weight bias }: (B);
    Linear { weight bias }: (B S);
    UnbiasedLinear { weight }: ();
    UnbiasedLinear { weight }: (B);
    UnbiasedLinear { weight }: (B S);
}

macro_rules! without_weights {
    ($($module:ty;)*) => {$(
        impl<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>> Along<Dual<S, E, D, T>> for $module {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_along(&self, _direction: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                self.try_forward(x)
            }
        }
    )*};
}
without_weights! {
    Abs; Cos; Erf; Exp; Expm1; Gelu; GeluTanh; HardSigmoid; HardSwish; HardTanh; Identity; LecunTanh; Ln; Ln1p; LogSigmoid; Mish; Relu; Relu6; ReluSquared; Selu; Sigmoid; Silu; Sin; Softplus; Softsign; Sqrt; Tanh; Celu; Clamp; Elu; LeakyRelu; LogSoftmax; Power; Softmax; SoftplusBeta; Squareplus; Swish;
    nn::ReLU; nn::Tanh; nn::Sigmoid; nn::Exp; nn::Ln; nn::Sin; nn::Cos; nn::Square;
    nn::Sqrt; nn::Abs; nn::FastGeLU; nn::LeakyReLU<E>;
}

impl<X, F> Along<X> for nn::Residual<F>
where
    X: WithEmptyTape + TryAdd<X>,
    F: Along<X, Output = X, Error = X::Err>,
{
    type Output = X;
    type Error = X::Err;
    fn try_along(&self, direction: &Self, x: X) -> Result<X, X::Err> {
        self.0.try_along(&direction.0, x.with_empty_tape())?.try_add(x)
    }
}

impl<X, F: Along<X, Output = X>, const N: usize> Along<X> for nn::Repeated<F, N> {
    type Output = X;
    type Error = F::Error;
    fn try_along(&self, direction: &Self, x: X) -> Result<X, F::Error> {
        self.modules
            .iter()
            .zip(&direction.modules)
            .try_fold(x, |x, (module, along)| module.try_along(along, x))
    }
}

macro_rules! tuple {
    ($first:ident $($module:ident: $input:ident),*; $last:ident; $($index:tt)+) => {
        impl<X, $first: Along<X>, $($module: Along<$input::Output, Error = $input::Error>),*> Along<X>
            for ($first, $($module,)*)
        {
            type Output = $last::Output;
            type Error = $last::Error;
            fn try_along(&self, direction: &Self, x: X) -> Result<Self::Output, Self::Error> {
                $(let x = self.$index.try_along(&direction.$index, x)?;)+
                Ok(x)
            }
        }
    };
}
tuple!(A; A; 0);
tuple!(A B: A; B; 0 1);
tuple!(A B: A, C: B; C; 0 1 2);
tuple!(A B: A, C: B, F: C; F; 0 1 2 3);
tuple!(A B: A, C: B, F: C, G: F; G; 0 1 2 3 4);
tuple!(A B: A, C: B, F: C, G: F, H: G; H; 0 1 2 3 4 5);
