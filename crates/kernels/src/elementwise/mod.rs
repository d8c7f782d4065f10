//! Elementary functions, arithmetic between a tensor and a smaller one, and selection, element by element.
//!
//! | function | value |
//! |---|---|
//! | [`exp`], [`expm1`] | $e^x$, $e^x - 1$ |
//! | [`ln`], [`ln_1p`] | $\ln x$, $\ln(1 + x)$ |
//! | [`sqrt`], [`abs`], [`clamp`] | $\sqrt x$, $\lvert x\rvert$, $x$ within bounds |
//! | [`powf`] | $x^p$ |
//! | [`erf`] | $\frac{2}{\sqrt\pi}\int_0^x e^{-t^2}\,dt$ |
//! | [`sin`], [`cos`] | $x$ in radians, any size |
//!
//! Their errors in f32 stand in the table of [`activation`](crate::activation). In f64 they are within 2 units in the last place for [`exp`], [`expm1`], [`ln`] and [`ln_1p`], and within
//! 3.5 for [`powf`].
//!
//! **Between tensors**: [`add`], [`sub`], [`mul`] and [`div`] of two tensors of one shape; [`add_along`], [`sub_along`], [`mul_along`] and [`div_along`] combine a tensor with one that lacks
//! some of its axes, named by the last argument: rows, columns, channels. The small tensor is not repeated in memory
//! (with several separate axes, it is along all but the last), and its gradient is added up in fixed partial sums.
//! [`choose`] takes elements from one of two tensors.
#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
mod composed;
mod cpu;
pub(crate) mod passes;

use crate::{BaseDevice, Device, Power, Real, ReducedShape, try_activate};
use dfdx::prelude::*;

/// Arithmetic between two tensors, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// See [`add`] and [`add_along`].
    Add,
    /// See [`sub`] and [`sub_along`].
    Sub,
    /// See [`mul`] and [`mul_along`].
    Mul,
    /// See [`div`] and [`div_along`].
    Div,
}

/// A device with bodies for arithmetic between tensors, and for selection; part of [`Device`].
pub trait ElementwiseDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_add`] and its relatives.
    fn arithmetic<S: Shape, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        y: Tensor<S, E, Self, R>,
        arithmetic: Arithmetic,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::arithmetic(x, y, arithmetic)
    }

    /// Body of [`try_add_along`] and its relatives.
    fn arithmetic_along<S, Ax, T, R>(
        x: Tensor<S, E, Self, T>,
        small: Tensor<ReducedShape<S, Ax>, E, Self, R>,
        arithmetic: Arithmetic,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err>
    where
        S: Shape + ReduceShape<Ax>,
        Ax: Axes,
        T: Tape<E, Self> + Merge<R>,
        R: Tape<E, Self>,
        Self: Device<E>,
    {
        composed::arithmetic_along::<S, Ax, E, Self, T, R>(x, small, arithmetic)
    }

    /// Body of [`try_choose`].
    fn choose<S: Shape, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        is_first: &[bool],
        x: Tensor<S, E, Self, T>,
        y: Tensor<S, E, Self, R>,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::choose(is_first, x, y)
    }
}

#[cfg(feature = "cuda")]
impl ElementwiseDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl ElementwiseDevice<f64> for Cuda {}

macro_rules! fused {
    ($E:ty) => {
        impl ElementwiseDevice<$E> for Cpu {
            fn arithmetic<S: Shape, T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                y: Tensor<S, $E, Cpu, R>,
                arithmetic: Arithmetic,
            ) -> Result<Tensor<S, $E, Cpu, T>, CpuError> {
                cpu::arithmetic(x, y, arithmetic)
            }
            fn arithmetic_along<S, Ax, T, R>(
                x: Tensor<S, $E, Cpu, T>,
                small: Tensor<ReducedShape<S, Ax>, $E, Cpu, R>,
                arithmetic: Arithmetic,
            ) -> Result<Tensor<S, $E, Cpu, T>, CpuError>
            where
                S: Shape + ReduceShape<Ax>,
                Ax: Axes,
                T: Tape<$E, Cpu> + Merge<R>,
                R: Tape<$E, Cpu>,
            {
                cpu::arithmetic_along::<S, Ax, $E, T, R>(x, small, arithmetic)
            }
            fn choose<S: Shape, T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                is_first: &[bool],
                x: Tensor<S, $E, Cpu, T>,
                y: Tensor<S, $E, Cpu, R>,
            ) -> Result<Tensor<S, $E, Cpu, T>, CpuError> {
                cpu::choose(is_first, x, y)
            }
        }
    };
}
fused!(f32);
fused!(f64);

macro_rules! functions {
    ($($name:ident $try_name:ident $activation:ident: $summary:literal, $at:literal => $want:literal;)*) => {$(
        #[doc = $summary]
        ///
        /// ```
        /// use dfdx::prelude::*;
        #[doc = concat!("let y = kernels::", stringify!($name), "(Cpu::default().tensor([", $at, "_f64])).array()[0];")]
        #[doc = concat!("assert!((y - ", $want, ").abs() < 1e-12);")]
        /// ```
        ///
        /// # Panics
        #[doc = concat!("When the device fails; [`", stringify!($try_name), "`] returns the error.")]
        pub fn $name<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(x: Tensor<S, E, D, T>) -> Tensor<S, E, D, T> {
            $try_name(x).unwrap()
        }

        #[doc = concat!("Fallible twin of [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// The device's error when an allocation or a kernel fails.
        pub fn $try_name<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
            x: Tensor<S, E, D, T>,
        ) -> Result<Tensor<S, E, D, T>, D::Err> {
            try_activate(x, crate::$activation)
        }
    )*};
}
functions! {
    exp try_exp Exp: "$e^x$.", "1.0" => "std::f64::consts::E";
    expm1 try_expm1 Expm1: "$e^x - 1$, accurate near 0.", "1e-10" => "1.00000000005e-10";
    ln try_ln Ln: "Natural logarithm; −∞ at 0, NaN below.", "2.0" => "std::f64::consts::LN_2";
    ln_1p try_ln_1p Ln1p: "$\\ln(1 + x)$, accurate near 0.", "1e-10" => "9.9999999995e-11";
    sqrt try_sqrt Sqrt: "Square root; NaN below 0. The derivative at 0 is ∞.", "9.0" => "3.0";
    abs try_abs Abs: "Absolute value; the derivative at 0 is 0.", "-2.5" => "2.5";
    erf try_erf Erf: "Error function.", "0.5" => "0.5204998778130465";
    sin try_sin Sin: "Sine of an angle in radians.", "1.0" => "1.0_f64.sin()";
    cos try_cos Cos: "Cosine of an angle in radians.", "1.0" => "1.0_f64.cos()";
}

/// $x^p$ for a fixed exponent: NaN for negative $x$ unless $p$ is an integer, 1 for $p = 0$.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([4.0_f64, 0.0]);
/// assert_eq!(kernels::powf(x, 1.5).array(), [8.0, 0.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_powf`] returns the error.
pub fn powf<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    exponent: f64,
) -> Tensor<S, E, D, T> {
    try_powf(x, exponent).unwrap()
}

/// Fallible twin of [`powf`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_powf<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    exponent: f64,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    try_activate(x, Power(exponent))
}

/// $\min(\max(x, \mathrm{low}), \mathrm{high})$; the derivative at both bounds is 1. NaN stays NaN.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([-3.0_f32, 0.5, 2.0]);
/// assert_eq!(kernels::clamp(x, -1.0, 1.0).array(), [-1.0, 0.5, 1.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_clamp`] returns the error.
pub fn clamp<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    low: f64,
    high: f64,
) -> Tensor<S, E, D, T> {
    try_clamp(x, low, high).unwrap()
}

/// Fallible twin of [`clamp`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_clamp<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    low: f64,
    high: f64,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    try_activate(x, crate::Clamp { low, high })
}

macro_rules! pairs {
    ($($name:ident $try_name:ident $arithmetic:ident: $summary:literal, $want:literal;)*) => {$(
        #[doc = $summary]
        ///
        /// As dfdx's operator, in parallel: both operands get a gradient, with a tape of their own or without. Both may be
        /// the same tensor.
        ///
        /// ```
        /// use dfdx::prelude::*;
        /// let device = Cpu::default();
        /// let (x, y) = (device.tensor([6.0_f64, 1.0]), device.tensor([2.0, 4.0]));
        #[doc = concat!("assert_eq!(kernels::", stringify!($name), "(x, y).array(), ", $want, ");")]
        /// ```
        ///
        /// # Panics
        #[doc = concat!("When the device fails, for which [`", stringify!($try_name), "`] returns the error, and when")]
        /// run-time shapes differ, as dfdx's operations do.
        pub fn $name<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
            x: Tensor<S, E, D, T>,
            y: Tensor<S, E, D, R>,
        ) -> Tensor<S, E, D, T> {
            $try_name(x, y).unwrap()
        }

        #[doc = concat!("Fallible twin of [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// The device's error when an allocation or a kernel fails.
        ///
        /// # Panics
        /// When run-time shapes differ, as dfdx's operations do.
        pub fn $try_name<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
            x: Tensor<S, E, D, T>,
            y: Tensor<S, E, D, R>,
        ) -> Result<Tensor<S, E, D, T>, D::Err> {
            assert_eq!(x.shape(), y.shape(), "both tensors must have the same shape");
            D::arithmetic(x, y, Arithmetic::$arithmetic)
        }
    )*};
}
pairs! {
    add try_add Add: "$x + y$ of two tensors of one shape.", "[8.0, 5.0]";
    sub try_sub Sub: "$x - y$ of two tensors of one shape.", "[4.0, -3.0]";
    mul try_mul Mul: "$x y$, element by element.", "[12.0, 4.0]";
    div try_div Div: "$x / y$, element by element.", "[3.0, 0.25]";
}

macro_rules! along {
    ($($name:ident $try_name:ident $arithmetic:ident: $summary:literal, $want:literal;)*) => {$(
        #[doc = $summary]
        ///
        /// ```
        /// use dfdx::prelude::*;
        /// let device = Cpu::default();
        /// let (x, row) = (device.tensor([[1.0_f64, 2.0], [3.0, 4.0]]), device.tensor([10.0, 2.0]));
        #[doc = concat!("let y = kernels::", stringify!($name), "(x, row, Axis::<0>); // the same row at every index of axis 0")]
        #[doc = concat!("assert_eq!(y.array(), ", $want, ");")]
        /// ```
        ///
        /// # Panics
        #[doc = concat!("When the device fails, for which [`", stringify!($try_name), "`] returns the error, and when")]
        /// run-time shapes do not fit, as dfdx's operations do.
        pub fn $name<S, Ax, E, D, T, R>(
            x: Tensor<S, E, D, T>,
            small: Tensor<ReducedShape<S, Ax>, E, D, R>,
            axes: Ax,
        ) -> Tensor<S, E, D, T>
        where
            S: Shape + ReduceShape<Ax>,
            Ax: Axes,
            E: Real,
            D: Device<E>,
            T: Tape<E, D> + Merge<R>,
            R: Tape<E, D>,
        {
            $try_name(x, small, axes).unwrap()
        }

        #[doc = concat!("Fallible twin of [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// The device's error when an allocation or a kernel fails.
        ///
        /// # Panics
        /// When run-time shapes do not fit, as dfdx's operations do.
        pub fn $try_name<S, Ax, E, D, T, R>(
            x: Tensor<S, E, D, T>,
            small: Tensor<ReducedShape<S, Ax>, E, D, R>,
            _axes: Ax,
        ) -> Result<Tensor<S, E, D, T>, D::Err>
        where
            S: Shape + ReduceShape<Ax>,
            Ax: Axes,
            E: Real,
            D: Device<E>,
            T: Tape<E, D> + Merge<R>,
            R: Tape<E, D>,
        {
            let want = crate::reduce::reduced_shape::<S, Ax>(x.shape());
            assert_eq!(*small.shape(), want, "the small tensor must have the other axes of the large one");
            D::arithmetic_along::<S, Ax, T, R>(x, small, Arithmetic::$arithmetic)
        }
    )*};
}
along! {
    add_along try_add_along Add: "$x + s$ for a small tensor $s$ without the axes `axes`.", "[[11.0, 4.0], [13.0, 6.0]]";
    sub_along try_sub_along Sub: "$x - s$ for a small tensor $s$ without the axes `axes`.", "[[-9.0, 0.0], [-7.0, 2.0]]";
    mul_along try_mul_along Mul: "$x s$ for a small tensor $s$ without the axes `axes`.", "[[10.0, 4.0], [30.0, 8.0]]";
    div_along try_div_along Div: "$x / s$ for a small tensor $s$ without the axes `axes`.", "[[0.1, 1.0], [0.3, 2.0]]";
}

/// Each element from `x` where `is_first` holds (in row-major order), else from `y`: PyTorch's `where`. An element that
/// is not taken gets gradient 0, also if it is NaN.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let y = kernels::choose(&[true, false], device.tensor([1.0_f32, 2.0]), device.tensor([3.0, 4.0]));
/// assert_eq!(y.array(), [1.0, 4.0]);
/// ```
///
/// # Panics
/// When the device fails, for which [`try_choose`] returns the error, and when lengths or run-time shapes differ.
pub fn choose<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    is_first: &[bool],
    x: Tensor<S, E, D, T>,
    y: Tensor<S, E, D, R>,
) -> Tensor<S, E, D, T> {
    try_choose(is_first, x, y).unwrap()
}

/// Fallible twin of [`choose`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When lengths or run-time shapes differ, as dfdx's operations do.
pub fn try_choose<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    is_first: &[bool],
    x: Tensor<S, E, D, T>,
    y: Tensor<S, E, D, R>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    assert_eq!(x.shape(), y.shape(), "both tensors must have the same shape");
    assert_eq!(is_first.len(), x.shape().num_elements(), "one flag per element");
    D::choose(is_first, x, y)
}
