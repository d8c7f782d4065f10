//! Element-wise activation functions $y = \varphi(x)$.
//!
//! | type | $\varphi(x)$ | $\varphi'(x)$ | from |
//! |---|---|---|---|
//! | [`Identity`] | $x$ | $1$ | |
//! | [`Relu`] | $\max(x, 0)$ | 1 if $x > 0$, else 0 | Nair & Hinton (2010) |
//! | [`LeakyRelu`]`(a)` | $x$ if $x > 0$, else $a x$ | $1$ if $x > 0$, else $a$ | Maas, Hannun & Ng (2013) |
//! | [`Sigmoid`] | $\sigma(x) = 1/(1 + e^{-x})$ | $y (1 - y)$ | |
//! | [`Tanh`] | $\tanh x$ | $1 - y^2$ | |
//! | [`Gelu`] | $x\,\Phi(x)$ | $\Phi(x) + x\,\phi(x)$ | Hendrycks & Gimpel (2016), arXiv 1606.08415 |
//! | [`Silu`] | $x\,\sigma(x)$ | $\sigma(x)(1 + x(1 - \sigma(x)))$ | Elfwing, Uchibe & Doya (2018), arXiv 1702.03118 |
//! | [`Softplus`] | $\ln(1 + e^x)$ | $\sigma(x)$ | Dugas et al. (2001) |
//!
//! $\Phi$ and $\phi$ are the standard normal distribution function and density.
//!
//! **Deviations**: GELU is the exact one of the paper, not its tanh approximation, from which it differs by up to
//! 5e-4; dfdx's `accurate_gelu` has the same value and a wrong derivative. Softplus has no threshold beyond which it
//! becomes the identity, as PyTorch's has: the formula does not overflow. At the kink of [`Relu`] and [`LeakyRelu`]
//! the derivative is the one for negative inputs, as in PyTorch.
//!
//! **Memory**: backward keeps the output; for GELU, SiLU and negative slopes the derivative, since there
//! the output does not determine it. One pass each way.
use crate::{Device, Real};
use dfdx::prelude::*;

/// Which activation function, as a value: what the unit types of this module stand for.
///
/// It is an [`Activation`] itself, for code that chooses at run time.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{ActivationKind, activate};
/// let device = Cpu::default();
/// for (kind, want) in [(ActivationKind::Relu, 0.0), (ActivationKind::Identity, -1.0)] {
///     assert_eq!(activate(device.tensor([-1.0_f32]), kind).array(), [want]);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ActivationKind {
    /// See [`Identity`].
    Identity,
    /// See [`Relu`].
    Relu,
    /// See [`LeakyRelu`]; holds the slope for negative inputs.
    LeakyRelu(f64),
    /// See [`Sigmoid`].
    Sigmoid,
    /// See [`Tanh`].
    Tanh,
    /// See [`Gelu`].
    Gelu,
    /// See [`Silu`].
    Silu,
    /// See [`Softplus`].
    Softplus,
}

/// An activation function: one of the types of this crate. Sealed, because each has its own compiled loops;
/// compose any other one of dfdx operations.
pub trait Activation: Copy + Send + Sync + std::fmt::Debug + 'static + seal::Sealed {
    /// The function as a value.
    fn kind(self) -> ActivationKind;
}

mod seal {
    pub trait Sealed {}
}

macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident $(($field:ty))? : $self:ident => $kind:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name $((
            /// Slope for negative inputs, any finite number; 0.01 is usual.
            pub $field
        ))?;
        impl seal::Sealed for $name {}
        impl Activation for $name {
            fn kind($self) -> ActivationKind { $kind }
        }
    )* };
}

activations! {
    /// $y = x$.
    #[derive(Default)]
    Identity: self => ActivationKind::Identity;
    /// $y = \max(x, 0)$; the derivative at 0 is 0.
    #[derive(Default)]
    Relu: self => ActivationKind::Relu;
    /// $y = x$ for positive $x$, else $y = a x$; the derivative at 0 is $a$.
    LeakyRelu(f64): self => ActivationKind::LeakyRelu(self.0);
    /// $y = 1/(1 + e^{-x})$.
    #[derive(Default)]
    Sigmoid: self => ActivationKind::Sigmoid;
    /// $y = \tanh x$.
    #[derive(Default)]
    Tanh: self => ActivationKind::Tanh;
    /// $y = x\,\Phi(x)$ with the exact normal distribution function, not its tanh approximation.
    #[derive(Default)]
    Gelu: self => ActivationKind::Gelu;
    /// $y = x / (1 + e^{-x})$, also called Swish.
    #[derive(Default)]
    Silu: self => ActivationKind::Silu;
    /// $y = \ln(1 + e^x)$, computed as $\max(x, 0) + \ln(1 + e^{-|x|})$.
    #[derive(Default)]
    Softplus: self => ActivationKind::Softplus;
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self(0.01)
    }
}

impl seal::Sealed for ActivationKind {}
impl Activation for ActivationKind {
    fn kind(self) -> ActivationKind {
        self
    }
}

/// Applies an activation function to every element of `x`, of any shape.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{LeakyRelu, activate};
/// let device = Cpu::default();
/// let x = device.tensor([-2.0_f64, 3.0]);
/// let y = activate(x.leaky_trace(), LeakyRelu(0.5));
/// assert_eq!(y.array(), [-1.0, 3.0]);
/// assert_eq!(y.sum().backward().get(&x).array(), [0.5, 1.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_activate`] returns the error.
pub fn activate<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    activation: impl Activation,
) -> Tensor<S, E, D, T> {
    try_activate(x, activation).unwrap()
}

/// Fallible twin of [`activate`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_activate<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    activation: impl Activation,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    D::activate(x, activation.kind())
}

/// The derivative $\varphi'(x)$ of an activation function at every element of `x`, as an operation that can be
/// differentiated once more: its own backward uses $\varphi''$. Forward-mode tangents need it.
///
/// At a kink $\varphi'$ takes the value that [`activate`]'s backward uses, and $\varphi'' = 0$.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Tanh, activation_slope};
/// let device = Cpu::default();
/// let x = device.tensor([0.5_f64]);
/// let slope = activation_slope(x.leaky_trace(), Tanh);
/// let y = 0.5_f64.tanh();
/// assert!((slope.array()[0] - (1.0 - y * y)).abs() < 1e-15);
/// let curvature = slope.sum().backward().get(&x).array()[0];
/// assert!((curvature + 2.0 * y * (1.0 - y * y)).abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_activation_slope`] returns the error.
pub fn activation_slope<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    activation: impl Activation,
) -> Tensor<S, E, D, T> {
    try_activation_slope(x, activation).unwrap()
}

/// Fallible twin of [`activation_slope`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_activation_slope<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    activation: impl Activation,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    D::activation_slope(x, activation.kind())
}
