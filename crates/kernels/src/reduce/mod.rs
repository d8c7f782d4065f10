//! Sums, means, variances, norms, extremes and log-sum-exp over any axes, added in a fixed tree.
//!
//! | function | value | gradient |
//! |---|---|---|
//! | [`sum_along`], [`sum_all`] | $\sum x_j$ | $g$ |
//! | [`mean_along`], [`mean_all`] | $\bar x = \frac1n \sum x_j$ | $g / n$ |
//! | [`var_along`] | $v = \frac1{n - c} \sum (x_j - \bar x)^2$, $c$ by [`Correction`] | $\frac{2g}{n - c} (x_j - \bar x)$ |
//! | [`norm_along`] | $y = \sqrt{\sum x_j^2}$ | $g\,x_j / y$ |
//! | [`max_along`], [`min_along`] | $\max x_j$, $\min x_j$ | $g$ for the first extreme, else 0 |
//! | [`argmax_along`], [`argmin_along`] | index of the first extreme | |
//! | [`logsumexp_along`] | $y = \ln \sum e^{x_j}$ | $g\,e^{x_j - y}$ |
//! | [`softmax_along`], [`log_softmax_along`] | as [`softmax`](crate::softmax()), over any axis | |
//!
//! Partial sums are cut by the number of elements alone and added in a fixed order, so the result has the same bits
//! for any number of threads, and its rounding error grows with the logarithm of the count rather than with the count.
//!
//! Axes are given as a value, as in `sum_along(x, Axis::<1>)` or `Axes2::<0, 2>`; the shape of the result follows from
//! the type. Axes that lie side by side are reduced where they are; others are gathered into rows first, which costs
//! a copy. **Complexity**: one pass for sums, two for variances, norms and log-sum-exp; backward one pass.
#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
pub(crate) mod composed;
pub(crate) mod cpu;
pub(crate) mod passes;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::{BaseDevice, Device, Error, Real};
use dfdx::prelude::*;

/// The shape `S` without the axes `Ax`.
pub type ReducedShape<S, Ax> = <S as ReduceShape<Ax>>::Reduced;

/// What a variance divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// n: the variance of the numbers themselves, as normalisation layers use it.
    Population,
    /// n − 1: unbiased for the variance of the distribution that independent numbers come from (Bessel).
    Sample,
}

/// A reduction over axes, as a value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reduction {
    /// See [`sum_along`].
    Sum,
    /// See [`mean_along`].
    Mean,
    /// See [`var_along`].
    Var(Correction),
    /// See [`norm_along`].
    Norm,
    /// See [`max_along`].
    Max,
    /// See [`min_along`].
    Min,
    /// See [`logsumexp_along`].
    LogSumExp,
}

/// A device with bodies for the reductions; part of [`Device`].
pub trait ReduceDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_sum_along`] and its relatives.
    fn reduce<S: Shape + ReduceShape<Ax>, Ax: Axes, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        reduction: Reduction,
    ) -> Result<Tensor<ReducedShape<S, Ax>, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::reduce::<S, Ax, E, Self, T>(x, reduction)
    }

    /// Body of [`try_argmax_along`] and [`try_argmin_along`]; the axis has been checked to have elements.
    fn arg_extreme<S: Shape, Ax: Axes>(
        x: &Tensor<S, E, Self>,
        is_largest: bool,
    ) -> Result<Vec<usize>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::arg_extreme::<S, Ax, E, Self>(x, is_largest)
    }

    /// Body of [`try_softmax_along`] and [`try_log_softmax_along`].
    fn softmax_along<S: Shape + ReduceShape<Ax>, Ax: Axes, T: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        is_log: bool,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::softmax_along::<S, Ax, E, Self, T>(x, is_log)
    }
}

#[cfg(feature = "cuda")]
impl ReduceDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl ReduceDevice<f64> for Cuda {}

macro_rules! fused {
    ($E:ty) => {
        impl ReduceDevice<$E> for Cpu {
            fn reduce<S: Shape + ReduceShape<Ax>, Ax: Axes, T: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                reduction: Reduction,
            ) -> Result<Tensor<ReducedShape<S, Ax>, $E, Cpu, T>, CpuError> {
                cpu::reduce::<S, Ax, $E, T>(x, reduction)
            }
            fn arg_extreme<S: Shape, Ax: Axes>(
                x: &Tensor<S, $E, Cpu>,
                is_largest: bool,
            ) -> Result<Vec<usize>, CpuError> {
                cpu::arg_extreme::<S, Ax, $E>(x, is_largest)
            }
            fn softmax_along<S: Shape + ReduceShape<Ax>, Ax: Axes, T: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                is_log: bool,
            ) -> Result<Tensor<S, $E, Cpu, T>, CpuError> {
                cpu::softmax_along::<S, Ax, $E, T>(x, is_log)
            }
        }
    };
}
fused!(f32);
fused!(f64);

/// The shape without the axes `Ax`.
pub(crate) fn reduced_shape<S: Shape + ReduceShape<Ax>, Ax: Axes>(shape: &S) -> ReducedShape<S, Ax> {
    let mut lengths = <ReducedShape<S, Ax> as Shape>::Concrete::default();
    let kept = shape
        .concrete()
        .into_iter()
        .enumerate()
        .filter(|(axis, _)| !Ax::as_array().into_iter().any(|reduced| reduced == *axis as isize));
    for (i, (_, length)) in kept.enumerate() {
        lengths[i] = length;
    }
    <ReducedShape<S, Ax> as Shape>::from_concrete(&lengths)
        .expect("the kept axes of a shape are those of its reduced shape")
}

/// Sum over one or several axes; 0 over nothing.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::sum_along(x.clone(), Axis::<0>).array(), [4.0, 6.0]);
/// assert_eq!(kernels::sum_along(x, Axes2::<0, 1>).array(), 10.0);
/// ```
///
/// # Panics
/// When the device fails; [`try_sum_along`] returns the error.
pub fn sum_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_sum_along(x, axes).unwrap()
}

/// Fallible twin of [`sum_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_sum_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::Sum)
}

/// Mean over one or several axes; NaN over nothing.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::mean_along(x, Axis::<1>).array(), [1.5, 3.5]);
/// ```
///
/// # Panics
/// When the device fails; [`try_mean_along`] returns the error.
pub fn mean_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_mean_along(x, axes).unwrap()
}

/// Fallible twin of [`mean_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_mean_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::Mean)
}

/// Variance over one or several axes, from the deviations from the mean (two passes).
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Correction, var_along};
/// let x = Cpu::default().tensor([[1e6_f32, 1e6 + 2.0]]);
/// assert_eq!(var_along(x.clone(), Axis::<1>, Correction::Population).array(), [1.0]);
/// assert_eq!(var_along(x, Axis::<1>, Correction::Sample).array(), [2.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_var_along`] returns the error.
pub fn var_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
    correction: Correction,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_var_along(x, axes, correction).unwrap()
}

/// Fallible twin of [`var_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_var_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
    correction: Correction,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::Var(correction))
}

/// Euclidean norm over one or several axes, without overflow of the squares. The gradient at 0 is 0.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[3e30_f32, 4e30]]);
/// assert!((kernels::norm_along(x, Axis::<1>).array()[0] / 5e30 - 1.0).abs() < 1e-6);
/// ```
///
/// # Panics
/// When the device fails; [`try_norm_along`] returns the error.
pub fn norm_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_norm_along(x, axes).unwrap()
}

/// Fallible twin of [`norm_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_norm_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::Norm)
}

/// Largest element along one or several axes; −∞ over nothing. The gradient goes to the first of equals, as
/// PyTorch's does (dfdx gives it to each of them). A NaN counts as larger than everything.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[2.0_f32, 5.0, 5.0]]);
/// let y = kernels::max_along(x.leaky_trace(), Axis::<1>);
/// assert_eq!(y.array(), [5.0]);
/// assert_eq!(y.sum().backward().get(&x).array(), [[0.0, 1.0, 0.0]]);
/// ```
///
/// # Panics
/// When the device fails; [`try_max_along`] returns the error.
pub fn max_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_max_along(x, axes).unwrap()
}

/// Fallible twin of [`max_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_max_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::Max)
}

/// Smallest element along one or several axes; ∞ over nothing. Ties and NaN as in [`max_along`].
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[2.0_f32, 5.0, 2.0]]);
/// assert_eq!(kernels::min_along(x, Axis::<1>).array(), [2.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_min_along`] returns the error.
pub fn min_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_min_along(x, axes).unwrap()
}

/// Fallible twin of [`min_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_min_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::Min)
}

/// $\ln \sum e^x$ over one or several axes, shifted by the maximum; −∞ over nothing.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1000.0_f64, 1000.0]]);
/// assert_eq!(kernels::logsumexp_along(x, Axis::<1>).array(), [1000.0 + 2.0_f64.ln()]);
/// ```
///
/// # Panics
/// When the device fails; [`try_logsumexp_along`] returns the error.
pub fn logsumexp_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    axes: Ax,
) -> Tensor<ReducedShape<S, Ax>, E, D, T> {
    try_logsumexp_along(x, axes).unwrap()
}

/// Fallible twin of [`logsumexp_along`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_logsumexp_along<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    _axes: Ax,
) -> Result<Tensor<ReducedShape<S, Ax>, E, D, T>, D::Err> {
    D::reduce::<S, Ax, T>(x, Reduction::LogSumExp)
}

macro_rules! softmax_fns {
    ($($name:ident $try_name:ident $is_log:literal: $summary:literal $example:literal;)*) => {$(
        #[doc = $summary]
        ///
        /// ```
        /// use dfdx::prelude::*;
        #[doc = $example]
        /// ```
        ///
        /// # Panics
        #[doc = concat!("When the device fails; [`", stringify!($try_name), "`] returns the error.")]
        pub fn $name<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
            x: Tensor<S, E, D, T>,
            axis: Ax,
        ) -> Tensor<S, E, D, T> {
            $try_name(x, axis).unwrap()
        }

        #[doc = concat!("Fallible twin of [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// The device's error when an allocation or a kernel fails.
        pub fn $try_name<S: Shape + ReduceShape<Ax>, Ax: Axes, E: Real, D: Device<E>, T: Tape<E, D>>(
            x: Tensor<S, E, D, T>,
            _axis: Ax,
        ) -> Result<Tensor<S, E, D, T>, D::Err> {
            D::softmax_along::<S, Ax, T>(x, $is_log)
        }
    )*};
}
softmax_fns! {
    softmax_along try_softmax_along false: "Softmax over one axis of any shape; over the last, [`softmax`](crate::softmax()) is faster."
        "let y = kernels::softmax_along(Cpu::default().tensor([[0.0_f64], [0.0]]), Axis::<0>);\nassert_eq!(y.array(), [[0.5], [0.5]]);";
    log_softmax_along try_log_softmax_along true: "Logarithm of [`softmax_along`], without probabilities that underflow."
        "let y = kernels::log_softmax_along(Cpu::default().tensor([[0.0_f64], [-1000.0]]), Axis::<0>);\nassert_eq!(y.array(), [[0.0], [-1000.0]]);";
}

/// Index along one axis of the largest element, the first of equals, for every place of the reduced shape in row-major
/// order. A NaN counts as larger than everything.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 7.0, 7.0], [3.0, 0.0, 2.0]]);
/// assert_eq!(kernels::argmax_along(&x, Axis::<1>), [1, 0]);
/// ```
///
/// # Panics
/// On the errors of [`try_argmax_along`].
pub fn argmax_along<S: Shape + HasAxes<Axis<I>>, const I: isize, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    axis: Axis<I>,
) -> Vec<usize> {
    try_argmax_along(x, axis).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`argmax_along`].
///
/// # Errors
/// [`Error::EmptyAxis`] when there are places but no element along the axis, [`Error::Device`] when the device fails.
pub fn try_argmax_along<S: Shape + HasAxes<Axis<I>>, const I: isize, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    _axis: Axis<I>,
) -> Result<Vec<usize>, Error> {
    arg_extreme::<S, I, E, D>(x, true)
}

/// Index along one axis of the smallest element, as [`argmax_along`].
///
/// # Panics
/// On the errors of [`try_argmin_along`].
pub fn argmin_along<S: Shape + HasAxes<Axis<I>>, const I: isize, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    axis: Axis<I>,
) -> Vec<usize> {
    try_argmin_along(x, axis).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`argmin_along`].
///
/// # Errors
/// As [`try_argmax_along`].
pub fn try_argmin_along<S: Shape + HasAxes<Axis<I>>, const I: isize, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    _axis: Axis<I>,
) -> Result<Vec<usize>, Error> {
    arg_extreme::<S, I, E, D>(x, false)
}

fn arg_extreme<S: Shape + HasAxes<Axis<I>>, const I: isize, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    is_largest: bool,
) -> Result<Vec<usize>, Error> {
    if x.shape().num_elements() == 0 {
        let mut places = 1;
        for (axis, length) in x.shape().concrete().into_iter().enumerate() {
            places *= if axis as isize == I { 1 } else { length };
        }
        return if places == 0 { Ok(vec![]) } else { Err(Error::EmptyAxis { axis: I.unsigned_abs() }) };
    }
    D::arg_extreme::<S, Axis<I>>(x, is_largest).map_err(Error::device)
}

/// Sum of all elements of a tensor of any shape; 0 when there is none.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::sum_all(x).array(), 10.0);
/// ```
///
/// # Panics
/// When the device fails; [`try_sum_all`] returns the error.
pub fn sum_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Tensor<Rank0, E, D, T> {
    try_sum_all(x).unwrap()
}

/// Fallible twin of [`sum_all`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_sum_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    D::sum_all(x)
}

/// Mean of all elements of a tensor of any shape; NaN when there is none.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::mean_all(x).array(), 2.5);
/// ```
///
/// # Panics
/// When the device fails; [`try_mean_all`] returns the error.
pub fn mean_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Tensor<Rank0, E, D, T> {
    try_mean_all(x).unwrap()
}

/// Fallible twin of [`mean_all`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_mean_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    D::mean_all(x)
}
