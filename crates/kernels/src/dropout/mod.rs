//! Noise by key: dropout of elements and of features, alpha dropout, Gaussian noise. No mask is stored: backward draws
//! it again.
//!
//! $$ y_i = s_i x_i + t_i, \qquad \bar x_i = s_i \bar y_i $$
//!
//! | | $s_i$ | $t_i$ | mean, variance of $y$ |
//! |---|---|---|---|
//! | [`dropout`] | $b_i / (1 - p)$ | 0 | kept, $+\,\frac{p}{1-p} x^2$ |
//! | [`feature_dropout`] | the same, one $b$ for a whole feature map | 0 | |
//! | [`alpha_dropout`] | $a b_i$ | $a \alpha' (1 - b_i) + c$ | 0 and 1 stay 0 and 1 |
//! | [`gaussian_dropout`] | $1 + \sqrt{p/(1-p)}\, z_i$ | 0 | as [`dropout`] |
//! | [`gaussian_noise`] | 1 | $\sigma z_i$ | kept, $+\,\sigma^2$ |
//!
//! $b_i$ is 1 with probability $1 - p$, else 0; $z_i$ is standard normal; both depend on the key and the position alone:
//! the same for f32 and f64, and for any number of threads. $p$ is `rate`, the share that is dropped.
//!
//! **Use it** in training, with a key per step: `key.fold(step)`. In evaluation leave it out: the mean of the noise is
//! the identity ("inverted" dropout, the scale stands in training).
//! **Papers**: Srivastava et al. (2014), Dropout, JMLR 15, with Gaussian dropout in section 10; Tompson et al. (2015),
//! arXiv 1411.4280 (feature maps); Klambauer et al. (2017), arXiv 1706.02515 (alpha dropout).
//! **Complexity**: a block of the generator for four elements, and no memory beside the result.
use crate::random::Key;
use crate::{Device, Error, Real};
use dfdx::prelude::*;

mod composed;
mod cpu;
mod device;
mod passes;

#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
#[cfg(all(test, not(loom)))]
mod tests;

pub use device::NoiseDevice;
pub(crate) use passes::NoisePasses;

/// Value of a dropped unit of alpha dropout: the limit $-\lambda\alpha$ of SELU for $x \to -\infty$ (Klambauer et al.,
/// with $\lambda$ = 1.0507009873554805, $\alpha$ = 1.6732632423543772).
pub const ALPHA_DROPPED: f64 = -1.7580993408473766;

/// Which noise an element gets. The functions of this module check its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// `kept` with the probability `1 - rate`, else `dropped`: each a factor on $x$ and what is added.
    Either {
        /// Probability of `dropped`.
        rate: f64,
        /// Scale and shift of a kept element.
        kept: [f64; 2],
        /// Shift of a dropped element, whose scale is 0.
        dropped: f64,
        /// Neighbours that share one draw.
        span: usize,
    },
    /// Times $1 + \sigma z$.
    Factor {
        /// Standard deviation $\sigma$ of the factor.
        deviation: f64,
    },
    /// Plus $\sigma z$.
    Term {
        /// Standard deviation $\sigma$ of the term.
        deviation: f64,
    },
}

/// Refuses rates outside of \[0, 1).
fn check_rate(rate: f64) -> Result<f64, Error> {
    if (0.0..1.0).contains(&rate) { Ok(rate) } else { Err(Error::DropoutRate { rate }) }
}

impl Noise {
    /// The noise of [`dropout`].
    ///
    /// # Errors
    /// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1).
    pub fn dropout(rate: f64) -> Result<Self, Error> {
        let kept = [1.0 / (1.0 - check_rate(rate)?), 0.0];
        Ok(Self::Either { rate, kept, dropped: 0.0, span: 1 })
    }

    /// The noise of [`feature_dropout`] for features of `span` elements.
    ///
    /// # Errors
    /// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1).
    pub fn feature_dropout(rate: f64, span: usize) -> Result<Self, Error> {
        let kept = [1.0 / (1.0 - check_rate(rate)?), 0.0];
        Ok(Self::Either { rate, kept, dropped: 0.0, span: span.max(1) })
    }

    /// The noise of [`alpha_dropout`].
    ///
    /// # Errors
    /// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1).
    pub fn alpha_dropout(rate: f64) -> Result<Self, Error> {
        let keep = 1.0 - check_rate(rate)?;
        let a = (keep + ALPHA_DROPPED.powi(2) * keep * rate).powf(-0.5);
        let c = -a * rate * ALPHA_DROPPED;
        Ok(Self::Either { rate, kept: [a, c], dropped: a * ALPHA_DROPPED + c, span: 1 })
    }

    /// The noise of [`gaussian_dropout`].
    ///
    /// # Errors
    /// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1).
    pub fn gaussian_dropout(rate: f64) -> Result<Self, Error> {
        check_rate(rate).map(|rate| Self::Factor { deviation: (rate / (1.0 - rate)).sqrt() })
    }

    /// The noise of [`gaussian_noise`].
    ///
    /// # Errors
    /// [`Error::NoiseDeviation`] when `deviation` is negative or not finite.
    pub fn gaussian(deviation: f64) -> Result<Self, Error> {
        let is_legal = deviation >= 0.0 && deviation.is_finite();
        if is_legal { Ok(Self::Term { deviation }) } else { Err(Error::NoiseDeviation { deviation }) }
    }

    /// The same factors without what is added: how a tangent goes through this noise.
    pub fn linear_part(self) -> Self {
        match self {
            Self::Either { rate, kept, span, .. } => {
                Self::Either { rate, kept: [kept[0], 0.0], dropped: 0.0, span }
            }
            Self::Factor { .. } => self,
            Self::Term { .. } => Self::Term { deviation: 0.0 },
        }
    }
}

/// Elements that share a draw: all axes from the third on.
pub fn feature_span<S: Shape>(shape: &S) -> usize {
    shape.concrete().into_iter().skip(2).product()
}

/// Any [`Noise`], checked when it was made.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{dropout::{Noise, noise}, random::Key};
/// let x = Cpu::default().tensor([1.0_f32, 2.0]);
/// let half = Noise::dropout(0.5)?;
/// assert_eq!(noise(x.clone(), half, Key::new(1)).array(), kernels::dropout(x, 0.5, Key::new(1)).array());
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Panics
/// When the device fails; [`try_noise`] returns the error.
pub fn noise<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    noise: Noise,
    key: Key,
) -> Tensor<S, E, D, T> {
    try_noise(x, noise, key).unwrap()
}

/// Fallible twin of [`noise`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_noise<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    noise: Noise,
    key: Key,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    D::noise(x, noise, key)
}

fn run<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    noise: Result<Noise, Error>,
    key: Key,
) -> Result<Tensor<S, E, D, T>, Error> {
    D::noise(x, noise?, key).map_err(Error::device)
}

/// Sets each element to 0 with probability `rate` and divides the others by `1 - rate`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{dropout, random::Key};
/// let x: Tensor<Rank1<1000>, f32, _> = Cpu::default().ones();
/// let y = dropout(x.leaky_trace(), 0.75, Key::new(1));
/// let values = y.array();
/// assert!(values.iter().all(|&y| y == 0.0 || y == 4.0));
/// assert_eq!(y.sum().backward().get(&x).array(), values); // the same mask
/// ```
///
/// # Panics
/// When `rate` does not lie in \[0, 1), or the device fails; [`try_dropout`] returns the error.
pub fn dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Tensor<S, E, D, T> {
    try_dropout(x, rate, key).unwrap()
}

/// Fallible twin of [`dropout`].
///
/// # Errors
/// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1); the device's error.
pub fn try_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Result<Tensor<S, E, D, T>, Error> {
    run(x, Noise::dropout(rate), key)
}

/// Dropout of whole features: axes from the third on share the draw of their `(batch, feature)`.
///
/// Neighbours in a feature map are so alike that dropping single pixels removes little: for `(B, C, L)` this is
/// PyTorch's `Dropout1d`, for `(B, C, H, W)` its `Dropout2d`. With one or two axes it is [`dropout`].
///
/// ```
/// use dfdx::prelude::*;
/// let x: Tensor<Rank4<2, 3, 2, 2>, f32, _> = Cpu::default().ones();
/// let y = kernels::feature_dropout(x, 0.5, kernels::random::Key::new(1)).array();
/// let maps: Vec<_> = y.iter().flatten().collect();
/// assert!(maps.iter().all(|map| [[[0.0; 2]; 2], [[2.0; 2]; 2]].contains(map)));
/// ```
///
/// # Panics
/// When `rate` does not lie in \[0, 1), or the device fails; [`try_feature_dropout`] returns the error.
pub fn feature_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Tensor<S, E, D, T> {
    try_feature_dropout(x, rate, key).unwrap()
}

/// Fallible twin of [`feature_dropout`].
///
/// # Errors
/// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1); the device's error.
pub fn try_feature_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Result<Tensor<S, E, D, T>, Error> {
    let span = feature_span(x.shape());
    run(x, Noise::feature_dropout(rate, span), key)
}

/// Dropout for SELU networks: a dropped element becomes SELU's lower limit, and an affine map restores mean 0 and
/// variance 1.
///
/// With $q = 1 - p$ and $\alpha' = $ [`ALPHA_DROPPED`]: $a = (q + \alpha'^2 q p)^{-1/2}$, $c = -a p \alpha'$.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::random::Key;
/// let device = Cpu::default();
/// let x: Tensor<Rank1<20000>, f64, _> = Key::new(1).normal(&device, Default::default());
/// let y = kernels::alpha_dropout(x, 0.2, Key::new(2)).array();
/// let mean = y.iter().sum::<f64>() / 20000.0;
/// let variance = y.iter().map(|y| y * y).sum::<f64>() / 20000.0;
/// assert!(mean.abs() < 4.0 / 20000.0_f64.sqrt() && (variance - 1.0).abs() < 0.05);
/// ```
///
/// # Panics
/// When `rate` does not lie in \[0, 1), or the device fails; [`try_alpha_dropout`] returns the error.
pub fn alpha_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Tensor<S, E, D, T> {
    try_alpha_dropout(x, rate, key).unwrap()
}

/// Fallible twin of [`alpha_dropout`].
///
/// # Errors
/// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1); the device's error.
pub fn try_alpha_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Result<Tensor<S, E, D, T>, Error> {
    run(x, Noise::alpha_dropout(rate), key)
}

/// Multiplies each element by a normal number of mean 1 and variance `rate / (1 - rate)`, that of [`dropout`]'s factor.
///
/// ```
/// use dfdx::prelude::*;
/// let x: Tensor<Rank1<10000>, f64, _> = Cpu::default().ones();
/// let y = kernels::gaussian_dropout(x, 0.5, kernels::random::Key::new(1)).array();
/// let mean = y.iter().sum::<f64>() / 10000.0;
/// assert!((mean - 1.0).abs() < 4.0 * 0.01); // four standard errors
/// ```
///
/// # Panics
/// When `rate` does not lie in \[0, 1), or the device fails; [`try_gaussian_dropout`] returns the error.
pub fn gaussian_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Tensor<S, E, D, T> {
    try_gaussian_dropout(x, rate, key).unwrap()
}

/// Fallible twin of [`gaussian_dropout`].
///
/// # Errors
/// [`Error::DropoutRate`] when `rate` does not lie in \[0, 1); the device's error.
pub fn try_gaussian_dropout<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    rate: f64,
    key: Key,
) -> Result<Tensor<S, E, D, T>, Error> {
    run(x, Noise::gaussian_dropout(rate), key)
}

/// Adds normal noise of mean 0 and the standard deviation `deviation` to each element.
///
/// ```
/// use dfdx::prelude::*;
/// let x: Tensor<Rank1<10000>, f64, _> = Cpu::default().zeros();
/// let y = kernels::gaussian_noise(x, 3.0, kernels::random::Key::new(1)).array();
/// let variance = y.iter().map(|y| y * y).sum::<f64>() / 10000.0;
/// assert!((variance / 9.0 - 1.0).abs() < 4.0 * (2.0_f64 / 10000.0).sqrt()); // four standard errors
/// ```
///
/// # Panics
/// When `deviation` is negative or not finite, or the device fails; [`try_gaussian_noise`] returns the error.
pub fn gaussian_noise<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    deviation: f64,
    key: Key,
) -> Tensor<S, E, D, T> {
    try_gaussian_noise(x, deviation, key).unwrap()
}

/// Fallible twin of [`gaussian_noise`].
///
/// # Errors
/// [`Error::NoiseDeviation`] when `deviation` is negative or not finite; the device's error.
pub fn try_gaussian_noise<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    deviation: f64,
    key: Key,
) -> Result<Tensor<S, E, D, T>, Error> {
    run(x, Noise::gaussian(deviation), key)
}
