//! The fully connected layer with its activation in one operation.
//!
//! $$ Y = \varphi(X W^\top + b), \qquad Z = X W^\top + b, \qquad G = \frac{\partial L}{\partial Y} \odot \varphi'(Z) $$
//!
//! $$ \frac{\partial L}{\partial W} = G^\top X, \qquad \frac{\partial L}{\partial b} = \sum_n G_n, \qquad
//!    \frac{\partial L}{\partial X} = G W $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $X$ | `x` | `(.., I)` |
//! | $W$ | `weight` | `(O, I)`, as in dfdx and PyTorch |
//! | $b$ | `bias` | `(O,)` |
//! | $Y$ | result | `(.., O)` |
//!
//! **Complexity**: $N I O$ multiplications forward and twice that backward, a third less with
//! [`InputGradient::Skipped`]; $2 N O$ numbers of memory beside the result. Products are cut into parts by their size
//! alone and computed in place whatever the order of an operand's axes; only broadcast operands are copied.
use crate::{Activation, Device, Real};
use dfdx::prelude::*;

/// A shape whose last axis has `I` features: `(I)`, `(B, I)`, `(B, T, I)` or four axes.
pub trait FeaturesLast<const I: usize>: Shape {
    /// The same shape with `O` features.
    type With<const O: usize>: Shape;
    /// This shape with `O` features.
    fn with<const O: usize>(&self) -> Self::With<O>;
}

impl<const I: usize> FeaturesLast<I> for (Const<I>,) {
    type With<const O: usize> = (Const<O>,);
    fn with<const O: usize>(&self) -> Self::With<O> {
        (Const,)
    }
}
impl<A: Dim, const I: usize> FeaturesLast<I> for (A, Const<I>) {
    type With<const O: usize> = (A, Const<O>);
    fn with<const O: usize>(&self) -> Self::With<O> {
        (self.0, Const)
    }
}
impl<A: Dim, B: Dim, const I: usize> FeaturesLast<I> for (A, B, Const<I>) {
    type With<const O: usize> = (A, B, Const<O>);
    fn with<const O: usize>(&self) -> Self::With<O> {
        (self.0, self.1, Const)
    }
}
impl<A: Dim, B: Dim, C: Dim, const I: usize> FeaturesLast<I> for (A, B, C, Const<I>) {
    type With<const O: usize> = (A, B, C, Const<O>);
    fn with<const O: usize>(&self) -> Self::With<O> {
        (self.0, self.1, self.2, Const)
    }
}

/// Whether backward computes the gradient of a layer's input.
///
/// The first layer of a network reads data, whose gradient nobody needs; it costs a third of the layer's
/// backward pass, and dfdx's tape cannot know that nobody will ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputGradient {
    /// Computed: hidden layers, and inputs whose gradient is wanted.
    #[default]
    Needed,
    /// Not computed: `gradients.get(&x)` stays without the layer's share.
    Skipped,
}

/// `activation(x weightᵀ + bias)` over the last axis of `x`, in one pass.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{InputGradient, Relu, linear};
/// let device = Cpu::default();
/// let weight = device.tensor([[1.0_f32, -1.0], [2.0, 0.0], [0.0, -3.0]]); // (O, I)
/// let bias = device.tensor([0.5_f32, 0.0, 1.0]);
/// let x = device.tensor([[1.0_f32, 2.0]]);
/// let y = linear(x, &weight, &bias, Relu, InputGradient::Skipped);
/// assert_eq!(y.array(), [[0.0, 2.0, 0.0]]);
/// ```
///
/// # Panics
/// When the device fails; [`try_linear`] returns the error.
pub fn linear<const I: usize, const O: usize, S: FeaturesLast<I>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<Rank2<O, I>, E, D>,
    bias: &Tensor<Rank1<O>, E, D>,
    activation: impl Activation,
    input_gradient: InputGradient,
) -> Tensor<S::With<O>, E, D, T> {
    try_linear(x, weight, bias, activation, input_gradient).unwrap()
}

/// Fallible twin of [`linear`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_linear<
    const I: usize,
    const O: usize,
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<Rank2<O, I>, E, D>,
    bias: &Tensor<Rank1<O>, E, D>,
    activation: impl Activation,
    input_gradient: InputGradient,
) -> Result<Tensor<S::With<O>, E, D, T>, D::Err> {
    D::linear(x, weight, bias, activation.kind(), input_gradient)
}
