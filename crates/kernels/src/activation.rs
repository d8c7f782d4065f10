//! Element-wise activation functions $y = \varphi(x)$.
//!
//! | type | $\varphi(x)$ | $\varphi'(x)$ | from |
//! |---|---|---|---|
//! | [`Identity`] | $x$ | $1$ | |
//! | [`Relu`] | $\max(x, 0)$ | 1 if $x > 0$, else 0 | Nair & Hinton (2010) |
//! | [`Relu6`] | $\min(\max(x, 0), 6)$ | 1 if $0 < x < 6$, else 0 | Krizhevsky (2010) |
//! | [`ReluSquared`] | $\max(x, 0)^2$ | $2 \max(x, 0)$ | So et al. (2021), arXiv 2109.08668 |
//! | [`LeakyRelu`]`(a)` | $x$ if $x > 0$, else $a x$ | $1$ if $x > 0$, else $a$ | Maas, Hannun & Ng (2013) |
//! | [`Elu`]`(a)` | $x$ if $x > 0$, else $a (e^x - 1)$ | $1$, else $a e^x$ | Clevert et al. (2015), arXiv 1511.07289 |
//! | [`Celu`]`(a)` | $x$ if $x > 0$, else $a (e^{x/a} - 1)$ | $1$, else $e^{x/a}$ | Barron (2017), arXiv 1704.07483 |
//! | [`Selu`] | $\lambda\,\mathrm{ELU}_\alpha(x)$ | | Klambauer et al. (2017), arXiv 1706.02515 |
//! | [`Sigmoid`] | $\sigma(x) = 1/(1 + e^{-x})$ | $y (1 - y)$ | |
//! | [`LogSigmoid`] | $\ln \sigma(x)$ | $\sigma(-x)$ | |
//! | [`Tanh`] | $\tanh x$ | $1 - y^2$ | |
//! | [`LecunTanh`] | $1.7159 \tanh(2x/3)$ | | LeCun et al. (1998), Efficient BackProp |
//! | [`Gelu`] | $x\,\Phi(x)$ | $\Phi(x) + x\,\phi(x)$ | Hendrycks & Gimpel (2016), arXiv 1606.08415 |
//! | [`GeluTanh`] | $\frac x2 (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3)))$ | | the same, section 2 |
//! | [`Silu`] | $x\,\sigma(x)$ | $\sigma(x)(1 + x(1 - \sigma(x)))$ | Elfwing, Uchibe & Doya (2018), arXiv 1702.03118 |
//! | [`Swish`]`(b)` | $x\,\sigma(b x)$ | | Ramachandran et al. (2017), arXiv 1710.05941 |
//! | [`Mish`] | $x \tanh \ln(1 + e^x)$ | | Misra (2019), arXiv 1908.08681 |
//! | [`Softplus`] | $\ln(1 + e^x)$ | $\sigma(x)$ | Dugas et al. (2001) |
//! | [`SoftplusBeta`]`(b)` | $\ln(1 + e^{b x}) / b$ | $\sigma(b x)$ | |
//! | [`Squareplus`]`(b)` | $(x + \sqrt{x^2 + b})/2$ | $(1 + x/\sqrt{x^2 + b})/2$ | Barron (2021), arXiv 2112.11687 |
//! | [`Softsign`] | $x / (1 + \lvert x\rvert)$ | $1 / (1 + \lvert x\rvert)^2$ | Bergstra et al. (2009) |
//! | [`HardTanh`] | $\min(\max(x, -1), 1)$ | 1 if $-1 < x < 1$, else 0 | Collobert (2004) |
//! | [`HardSigmoid`] | $\min(\max(x + 3, 0), 6) / 6$ | 1/6 if $-3 < x < 3$, else 0 | Courbariaux et al. (2015) |
//! | [`HardSwish`] | $x$ times that | $(2x + 3)/6$ | Howard et al. (2019), arXiv 1905.02244 |
//!
//! $\Phi$ and $\phi$ are the standard normal distribution function and density; SELU's $\lambda$ = 1.0507009873554805
//! and $\alpha$ = 1.6732632423543772.
//!
//! The elementary functions are of the same kind ($\sin$ is an activation in a SIREN, $e^x$ on a log-variance), and
//! have their own names as functions in [`elementwise`](crate::elementwise): [`Exp`], [`Expm1`], [`Ln`], [`Ln1p`],
//! [`Sqrt`], [`Power`]`(p)`, [`Abs`], [`Clamp`], [`Erf`], [`Sin`], [`Cos`].
//!
//! **Deviations**: GELU is the exact one of the paper; its tanh approximation differs by up to 5e-4 and has a name of
//! its own. dfdx's `accurate_gelu` has the same value as ours and a wrong derivative. Softplus has no threshold beyond
//! which it becomes the identity, as PyTorch's has: the formula does not overflow. At a kink the derivative is PyTorch's:
//! that for negative inputs for [`Relu`], [`LeakyRelu`], [`Elu`], [`Selu`]; 0 at both ends of [`Relu6`], [`HardTanh`]
//! and [`HardSigmoid`]; 1 at both ends of [`Clamp`]; 0 for [`Abs`] at 0.
//!
//! **Accuracy** in f32: the largest error of a value in units in the last place, and of a slope in units in the last place
//! of the slope or of 1, whichever is larger, as backward uses it. A test holds these bounds over every 977th bit pattern of
//! f32, infinities, subnormal numbers and NaN included; they were measured over every 13th.
//!
//! | function | value | slope |
//! |---|---|---|
//! | [`Identity`], [`Relu`], [`Relu6`], [`HardTanh`], [`Abs`], [`Clamp`] | 0 | 0 |
//! | [`ReluSquared`] | 0.5 | 0 |
//! | [`LeakyRelu`] | 0.9 | 0.1 |
//! | [`Elu`], [`Celu`] | 1 | 0.5 |
//! | [`Selu`] | 1.9 | 1.6 |
//! | [`Sigmoid`] | 3 | 0.9 |
//! | [`LogSigmoid`], [`Softplus`] | 1.9 | 0.9 |
//! | [`Tanh`] | 2.8 | 2.8 |
//! | [`LecunTanh`] | 4.2 | 4.2 |
//! | [`Gelu`] | 34 | 1.6 |
//! | [`GeluTanh`] | 230 | 2.4 |
//! | [`Silu`] | 58 | 2.1 |
//! | [`Swish`] | 105 | 2.1 |
//! | [`Mish`] | 58 | 1.7 |
//! | [`SoftplusBeta`] | 75 | 1 |
//! | [`Squareplus`] | 3.3 | 1.3 |
//! | [`Softsign`] | 1.7 | 2 |
//! | [`HardSigmoid`] | 1.5 | 0.1 |
//! | [`HardSwish`] | 2.1 | 0.8 |
//! | [`Exp`] | 1.1 | 1.1 |
//! | [`Expm1`] | 1.7 | 1.1 |
//! | [`Ln`] | 1 | 0.6 |
//! | [`Ln1p`] | 1.5 | 1.7 |
//! | [`Sqrt`] | 0.5 | 1.7 |
//! | [`Power`] | 0.51 | 1.4 |
//! | [`Erf`] | 2.5 | 1.5 |
//! | [`Sin`], [`Cos`] | 1.5 | 0.7 |
//!
//! With a parameter the bounds are those of `LeakyRelu(0.01)`, `Elu(1)`, `Celu(0.5)`, `Swish(1.5)`, `SoftplusBeta(3)`,
//! `Squareplus(4)`, `Power(2.5)` and `Power(-3)`. The large ones belong to left tails, where the rounding of the exponent's
//! argument is multiplied by it: GELU beyond −8, where it is below 1e-14, SiLU and Mish where they are subnormal. At −∞ a
//! function that falls to 0 gives 0, where PyTorch's `silu`, `gelu` and `mish` give NaN.
//!
//! **Memory**: backward keeps the output where that determines the derivative (identity, ReLU, sigmoid, tanh,
//! softplus and their relatives, $e^x$, $\sqrt x$), else the derivative. One pass each way.
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ActivationKind {
    /// See [`Identity`].
    #[default]
    Identity,
    /// See [`Relu`].
    Relu,
    /// See [`Relu6`].
    Relu6,
    /// See [`ReluSquared`].
    ReluSquared,
    /// See [`LeakyRelu`]; holds the slope for negative inputs.
    LeakyRelu(f64),
    /// See [`Elu`]; holds its α.
    Elu(f64),
    /// See [`Celu`]; holds its α.
    Celu(f64),
    /// See [`Selu`].
    Selu,
    /// See [`Sigmoid`].
    Sigmoid,
    /// See [`LogSigmoid`].
    LogSigmoid,
    /// See [`Tanh`].
    Tanh,
    /// See [`LecunTanh`].
    LecunTanh,
    /// See [`Gelu`].
    Gelu,
    /// See [`GeluTanh`].
    GeluTanh,
    /// See [`Silu`].
    Silu,
    /// See [`Swish`]; holds its β.
    Swish(f64),
    /// See [`Mish`].
    Mish,
    /// See [`Softplus`].
    Softplus,
    /// See [`SoftplusBeta`]; holds its β.
    SoftplusBeta(f64),
    /// See [`Squareplus`]; holds its b.
    Squareplus(f64),
    /// See [`Softsign`].
    Softsign,
    /// See [`HardTanh`].
    HardTanh,
    /// See [`HardSigmoid`].
    HardSigmoid,
    /// See [`HardSwish`].
    HardSwish,
    /// See [`Exp`].
    Exp,
    /// See [`Expm1`].
    Expm1,
    /// See [`Ln`].
    Ln,
    /// See [`Ln1p`].
    Ln1p,
    /// See [`Sqrt`].
    Sqrt,
    /// See [`Power`]; holds the exponent.
    Power(f64),
    /// See [`Abs`].
    Abs,
    /// See [`Clamp`].
    Clamp {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// See [`Erf`].
    Erf,
    /// See [`Sin`].
    Sin,
    /// See [`Cos`].
    Cos,
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
    ($($(#[$doc:meta])* $name:ident $(($(#[$field_doc:meta])* $field:ty))? : $self:ident => $kind:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name $(($(#[$field_doc])* pub $field))?;
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
    /// $y = \min(\max(x, 0), 6)$; the derivative at 0 and 6 is 0.
    #[derive(Default)]
    Relu6: self => ActivationKind::Relu6;
    /// $y = \max(x, 0)^2$.
    #[derive(Default)]
    ReluSquared: self => ActivationKind::ReluSquared;
    /// $y = x$ for positive $x$, else $y = a x$; the derivative at 0 is $a$.
    LeakyRelu(
        /// Slope for negative inputs, any finite number; 0.01 is usual.
        f64
    ): self => ActivationKind::LeakyRelu(self.0);
    /// $y = x$ for positive $x$, else $y = \alpha (e^x - 1)$; the derivative at 0 is $\alpha$.
    Elu(
        /// $\alpha$: minus the limit at −∞, any finite number; 1 is usual, and has no kink.
        f64
    ): self => ActivationKind::Elu(self.0);
    /// $y = x$ for positive $x$, else $y = \alpha (e^{x/\alpha} - 1)$: an ELU without a kink for every $\alpha$.
    Celu(
        /// $\alpha > 0$; 1 is usual.
        f64
    ): self => ActivationKind::Celu(self.0);
    /// $y = \lambda x$ for positive $x$, else $y = \lambda\alpha (e^x - 1)$. Made for weights of variance 1/fan-in
    /// (LeCun's initialisation) and alpha dropout; with others its fixed point does not hold.
    #[derive(Default)]
    Selu: self => ActivationKind::Selu;
    /// $y = 1/(1 + e^{-x})$.
    #[derive(Default)]
    Sigmoid: self => ActivationKind::Sigmoid;
    /// $y = \ln \sigma(x) = -\ln(1 + e^{-x})$, without underflow.
    #[derive(Default)]
    LogSigmoid: self => ActivationKind::LogSigmoid;
    /// $y = \tanh x$.
    #[derive(Default)]
    Tanh: self => ActivationKind::Tanh;
    /// $y = 1.7159 \tanh(2x/3)$: passes through (1, 1), where its second derivative is largest.
    #[derive(Default)]
    LecunTanh: self => ActivationKind::LecunTanh;
    /// $y = x\,\Phi(x)$ with the exact normal distribution function, not its tanh approximation.
    #[derive(Default)]
    Gelu: self => ActivationKind::Gelu;
    /// $y = \frac x2 (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3)))$: the approximation that GPT-2 was trained with.
    #[derive(Default)]
    GeluTanh: self => ActivationKind::GeluTanh;
    /// $y = x / (1 + e^{-x})$, also called Swish.
    #[derive(Default)]
    Silu: self => ActivationKind::Silu;
    /// $y = x\,\sigma(\beta x)$.
    Swish(
        /// $\beta$: 0 gives $x/2$, 1 gives [`Silu`], ∞ would give [`Relu`].
        f64
    ): self => ActivationKind::Swish(self.0);
    /// $y = x \tanh \ln(1 + e^x)$.
    #[derive(Default)]
    Mish: self => ActivationKind::Mish;
    /// $y = \ln(1 + e^x)$, computed as $\max(x, 0) + \ln(1 + e^{-|x|})$.
    #[derive(Default)]
    Softplus: self => ActivationKind::Softplus;
    /// $y = \ln(1 + e^{\beta x}) / \beta$.
    SoftplusBeta(
        /// $\beta \ne 0$; the larger, the nearer to [`Relu`].
        f64
    ): self => ActivationKind::SoftplusBeta(self.0);
    /// $y = (x + \sqrt{x^2 + b}) / 2$: like softplus, without a transcendental function.
    Squareplus(
        /// $b \ge 0$: 0 gives [`Relu`], 4 gives 1 at 0, $4 \ln^2 2$ softplus's value there.
        f64
    ): self => ActivationKind::Squareplus(self.0);
    /// $y = x / (1 + |x|)$.
    #[derive(Default)]
    Softsign: self => ActivationKind::Softsign;
    /// $y = \min(\max(x, -1), 1)$; the derivative at ±1 is 0.
    #[derive(Default)]
    HardTanh: self => ActivationKind::HardTanh;
    /// $y = \min(\max(x + 3, 0), 6) / 6$; the derivative at ±3 is 0.
    #[derive(Default)]
    HardSigmoid: self => ActivationKind::HardSigmoid;
    /// $y = x \min(\max(x + 3, 0), 6) / 6$; the derivative is 0 at −3 and 1 at 3.
    #[derive(Default)]
    HardSwish: self => ActivationKind::HardSwish;
    /// $y = e^x$.
    #[derive(Default)]
    Exp: self => ActivationKind::Exp;
    /// $y = e^x - 1$, accurate near 0.
    #[derive(Default)]
    Expm1: self => ActivationKind::Expm1;
    /// $y = \ln x$; NaN for negative $x$, −∞ at 0.
    #[derive(Default)]
    Ln: self => ActivationKind::Ln;
    /// $y = \ln(1 + x)$, accurate near 0; NaN below −1.
    #[derive(Default)]
    Ln1p: self => ActivationKind::Ln1p;
    /// $y = \sqrt x$; NaN for negative $x$. The derivative at 0 is ∞.
    #[derive(Default)]
    Sqrt: self => ActivationKind::Sqrt;
    /// $y = x^p$; NaN for negative $x$ and a $p$ that is not an integer, 1 for $p = 0$.
    Power(
        /// $p$, any finite number.
        f64
    ): self => ActivationKind::Power(self.0);
    /// $y = |x|$; the derivative at 0 is 0.
    #[derive(Default)]
    Abs: self => ActivationKind::Abs;
    /// $y = \mathrm{erf}\,x = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2}\,dt$.
    #[derive(Default)]
    Erf: self => ActivationKind::Erf;
    /// $y = \sin x$, $x$ in radians.
    #[derive(Default)]
    Sin: self => ActivationKind::Sin;
    /// $y = \cos x$, $x$ in radians.
    #[derive(Default)]
    Cos: self => ActivationKind::Cos;
}

/// $y = \min(\max(x, \mathrm{low}), \mathrm{high})$; the derivative at both bounds is 1. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Lower bound.
    pub low: f64,
    /// Upper bound, at least `low`.
    pub high: f64,
}
impl seal::Sealed for Clamp {}
impl Activation for Clamp {
    fn kind(self) -> ActivationKind {
        ActivationKind::Clamp { low: self.low, high: self.high }
    }
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self(0.01)
    }
}

/// $\alpha$ = 1.
impl Default for Elu {
    fn default() -> Self {
        Self(1.0)
    }
}
/// $\alpha$ = 1.
impl Default for Celu {
    fn default() -> Self {
        Self(1.0)
    }
}
/// $b$ = 4.
impl Default for Squareplus {
    fn default() -> Self {
        Self(4.0)
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
