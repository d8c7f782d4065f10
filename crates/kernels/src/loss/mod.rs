//! Losses with a backward pass as single operations.
//!
//! **Pairs**: a prediction $x$ and a target $t$ of the same shape, one term per element. [`loss_mean`] averages over all
//! elements, [`loss_sum`] adds them, [`loss_per_sample`] adds those of each sample (the first axis is the batch). A
//! gradient flows to the target too if it has a tape.
//!
//! | type | term | from |
//! |---|---|---|
//! | [`SquaredError`] | $(x - t)^2$ | |
//! | [`AbsoluteError`] | $\lvert x - t\rvert$ | |
//! | [`Huber`]`(d)` | $\tfrac12 e^2$ for $\lvert e\rvert = \lvert x - t\rvert \le d$, else $d(\lvert e\rvert - \tfrac d2)$ | Huber (1964) |
//! | [`SmoothL1`]`(b)` | the Huber term for $d = b$, divided by $b$ | Girshick (2015), arXiv 1504.08083 |
//! | [`LogCosh`] | $\ln \cosh(x - t)$ | |
//! | [`Quantile`]`(q)` | $\max(q (t - x), (q - 1)(t - x))$ | Koenker & Bassett (1978) |
//! | [`BceWithLogits`] | $-w t \ln \sigma(x) - (1 - t) \ln(1 - \sigma(x))$ | |
//! | [`Focal`] | $-\alpha_t (1 - p_t)^\gamma \ln p_t$, $p_1 = \sigma(x) = 1 - p_0$ | Lin et al. (2017), arXiv 1708.02002 |
//! | [`Hinge`], [`SquaredHinge`] | $\max(0, 1 - t x)$ and its square, $t = \pm 1$ | |
//! | [`KlDiv`] | $t (\ln t - x)$ for $x = \ln p$; 0 at $t = 0$ | |
//! | [`PoissonNll`] | $e^x - t x$, $x$ the log-rate; the constant $\ln t!$ is left out, as in PyTorch | |
//! | [`gaussian_nll_mean`] | $\tfrac12 (s + (x - t)^2 e^{-s} + \ln 2\pi)$, $s$ the log-variance | |
//!
//! **Classes**: logits `(B, C)` and one label per row. [`class_loss_per_sample`] gives one value per row,
//! [`class_loss_sum`] their sum, [`class_loss_mean`] their sum divided by the sum of the weights used. [`Classes`] holds
//! weights of the classes and a label to ignore. With $p = \mathrm{softmax}(z)$:
//!
//! | [`ClassLoss`] | value for label $y$ | from |
//! |---|---|---|
//! | `CrossEntropy` | $-\sum_k q_k \ln p_k$, $q = (1 - \varepsilon)\,\mathrm{onehot} + \varepsilon / C$ | Szegedy et al. (2015), arXiv 1512.00567 |
//! | `Focal` | $-(1 - p_y)^\gamma \ln p_y$ | arXiv 1708.02002 |
//! | `GeneralisedCrossEntropy` | $(1 - p_y^q)/q$ | Zhang & Sabuncu (2018), arXiv 1805.07836 |
//! | `AbsoluteError` | $\sum_k \lvert p_k - \mathrm{onehot}_k\rvert = 2 (1 - p_y)$ | Ghosh et al. (2017), arXiv 1712.09482 |
//! | `SymmetricCrossEntropy` | $-\alpha \ln p_y - \beta A (1 - p_y)$ | Wang et al. (2019), arXiv 1908.06112 |
//! | `ConfidencePenalty` | $-\ln p_y - \beta H(p)$ | Pereyra et al. (2017), arXiv 1701.06548 |
//! | `MultiMargin` | $\frac1C \sum_{k \ne y} \max(0, m - z_y + z_k)$ | |
//! | `CrammerSinger` | $\max_{k \ne y} \max(0, m - z_y + z_k)$ | Crammer & Singer (2001) |
//! | `Nll` | $-z_y$, for logits that are log-probabilities | |
//!
//! **Distributions**: logits `(B, C)` and one distribution $q$ per row, which is data: [`DistributionLoss`], with
//! [`distribution_loss_per_sample`] and [`distribution_loss_mean`].
//!
//! **Vectors**: [`cosine_embedding_per_sample`], [`contrastive_per_sample`], [`triplet_margin_per_sample`].
//!
//! The three losses that every unit uses have a name and a fused form of their own:
//!
//! $$ \mathrm{CE} = \frac1B \sum_n \Bigl(\ln \sum_k e^{z_{nk}} - z_{n y_n}\Bigr), \qquad
//!    \frac{\partial\,\mathrm{CE}}{\partial z_{nk}} = \frac{\mathrm{softmax}(z_n)_k - [k = y_n]}{B} $$
//!
//! $$ \mathrm{BCE} = \frac1n \sum_i \bigl(\ln(1 + e^{z_i}) - z_i p_i\bigr), \qquad
//!    \frac{\partial\,\mathrm{BCE}}{\partial z_i} = \frac{\sigma(z_i) - p_i}{n} $$
//!
//! $$ \mathrm{MSE} = \frac1n \sum_i (y_i - t_i)^2, \qquad \frac{\partial\,\mathrm{MSE}}{\partial y_i} = \frac{2 (y_i - t_i)}{n} $$
//!
//! All logarithms are natural (nats). The mean over no element is NaN, as 0/0 is. At a kink the derivative is 0 for
//! [`AbsoluteError`], [`Quantile`] and the hinges.
#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
mod composed;
mod cpu;
pub(crate) mod passes;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::{BaseDevice, Device, Error, Real, RowMajor};
use dfdx::prelude::*;

/// ln 2π.
const LN_TAU: f64 = 1.837_877_066_409_345_5;

/// A loss of pairs, as a value: what the types of this module stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PairKind {
    /// See [`SquaredError`].
    Squared,
    /// See [`AbsoluteError`].
    Absolute,
    /// See [`Huber`]; holds δ.
    Huber(f64),
    /// See [`SmoothL1`]; holds β.
    SmoothL1(f64),
    /// See [`LogCosh`].
    LogCosh,
    /// See [`Quantile`]; holds the level.
    Quantile(f64),
    /// See [`BceWithLogits`].
    BceWithLogits {
        /// Factor of the terms of target 1.
        positive_weight: f64,
    },
    /// See [`Focal`].
    Focal {
        /// Exponent of 1 − p.
        gamma: f64,
        /// Weight of target 1; that of target 0 is 1 − α.
        alpha: f64,
    },
    /// See [`Hinge`].
    Hinge,
    /// See [`SquaredHinge`].
    SquaredHinge,
    /// See [`KlDiv`].
    KlDiv,
    /// See [`PoissonNll`].
    PoissonNll,
    /// Negative log-likelihood of an error x with log-variance t: see [`gaussian_nll_mean`].
    GaussianNll,
}

/// A loss of a prediction and a target, element by element. Sealed, because each has its own compiled loops.
pub trait PairLoss: Copy + std::fmt::Debug + seal::Sealed {
    /// The loss as a value.
    fn kind(self) -> PairKind;
}
mod seal {
    pub trait Sealed {}
}

macro_rules! pair_losses {
    ($($(#[$doc:meta])* $name:ident $(($(#[$field_doc:meta])* $field:ty))? : $self:ident => $kind:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name $(($(#[$field_doc])* pub $field))?;
        impl seal::Sealed for $name {}
        impl PairLoss for $name {
            fn kind($self) -> PairKind { $kind }
        }
    )* };
}
pair_losses! {
    /// $(x - t)^2$; Nielsen's quadratic cost is half its sum per sample, averaged over samples.
    SquaredError: self => PairKind::Squared;
    /// $|x - t|$; the derivative at 0 is 0.
    AbsoluteError: self => PairKind::Absolute;
    /// $\tfrac12 e^2$ for $|e| = |x - t| \le \delta$, else $\delta (|e| - \delta / 2)$.
    Huber(
        /// $\delta > 0$, in units of the target.
        f64
    ): self => PairKind::Huber(self.0);
    /// [`Huber`] divided by its width: slope ±1 outside.
    SmoothL1(
        /// $\beta > 0$, in units of the target.
        f64
    ): self => PairKind::SmoothL1(self.0);
    /// $\ln \cosh(x - t)$, without overflow.
    LogCosh: self => PairKind::LogCosh;
    /// $\max(\tau (t - x), (\tau - 1)(t - x))$: its minimum is the quantile of level $\tau$.
    Quantile(
        /// $\tau$, between 0 and 1.
        f64
    ): self => PairKind::Quantile(self.0);
    /// $\max(0, 1 - t x)$ for targets ±1.
    Hinge: self => PairKind::Hinge;
    /// $\max(0, 1 - t x)^2$ for targets ±1.
    SquaredHinge: self => PairKind::SquaredHinge;
    /// $t (\ln t - x)$ for a log-probability $x$ and a probability $t$, 0 where $t = 0$: PyTorch's `kl_div`. Its sum over
    /// classes is the divergence of $t$ from $e^x$; a mean over all elements is not (divide the sum by the batch).
    KlDiv: self => PairKind::KlDiv;
    /// $e^x - t x$ for a log-rate $x$ and a count $t$.
    PoissonNll: self => PairKind::PoissonNll;
}

/// Binary cross-entropy in nats of a logit $x$ and a probability $t$.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BceWithLogits {
    /// Factor of the terms of target 1: number of negatives by number of positives balances them. 1 by default.
    pub positive_weight: f64,
}
impl Default for BceWithLogits {
    fn default() -> Self {
        Self { positive_weight: 1.0 }
    }
}
impl seal::Sealed for BceWithLogits {}
impl PairLoss for BceWithLogits {
    fn kind(self) -> PairKind {
        PairKind::BceWithLogits { positive_weight: self.positive_weight }
    }
}

/// Binary focal loss of a logit $x$ and a target $t$ in \[0, 1\]: well-classified elements count less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Focal {
    /// $\gamma \ge 0$; 0 gives half the binary cross-entropy for $\alpha = 1/2$. 2 by default.
    pub gamma: f64,
    /// Weight of target 1, that of target 0 being $1 - \alpha$. 0.25 by default, the paper's.
    pub alpha: f64,
}
impl Default for Focal {
    fn default() -> Self {
        Self { gamma: 2.0, alpha: 0.25 }
    }
}
impl seal::Sealed for Focal {}
impl PairLoss for Focal {
    fn kind(self) -> PairKind {
        PairKind::Focal { gamma: self.gamma, alpha: self.alpha }
    }
}

/// A loss of logits and a label; the table of the [module](self) has the formulas.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClassLoss {
    /// Cross-entropy, with label smoothing.
    CrossEntropy {
        /// $\varepsilon$ in \[0, 1\]: the true class gets $1 - \varepsilon + \varepsilon / C$. 0 turns it off.
        label_smoothing: f64,
    },
    /// Focal loss.
    Focal {
        /// $\gamma \ge 0$; 0 gives cross-entropy.
        gamma: f64,
    },
    /// Generalised cross-entropy: robust to wrong labels.
    GeneralisedCrossEntropy {
        /// $q$ in (0, 1\]: towards 0 cross-entropy, 1 half of [`AbsoluteError`](Self::AbsoluteError).
        q: f64,
    },
    /// Mean absolute error of the probabilities, summed over classes.
    AbsoluteError,
    /// Cross-entropy plus its reverse.
    SymmetricCrossEntropy {
        /// Factor of the cross-entropy.
        alpha: f64,
        /// Factor of the reverse one.
        beta: f64,
        /// $A$, what stands for ln 0; the paper has −4.
        log_zero: f64,
    },
    /// Cross-entropy less a multiple of the entropy of the prediction.
    ConfidencePenalty {
        /// $\beta$.
        beta: f64,
    },
    /// Sum of the violated margins over the number of classes.
    MultiMargin {
        /// $m$; 1 is usual.
        margin: f64,
    },
    /// The largest violated margin.
    CrammerSinger {
        /// $m$; 1 is usual.
        margin: f64,
    },
    /// The logits are log-probabilities already.
    Nll,
}

/// Weights of the classes, and rows to leave out.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{ClassLoss, Classes, class_loss_mean};
/// let logits = Cpu::default().tensor([[0.0_f64, 0.0], [0.0, 0.0], [5.0, 0.0]]);
/// let classes = Classes { weights: &[1.0, 3.0], ignored: Some(255) };
/// let loss = class_loss_mean(logits, &[0, 1, 255], ClassLoss::CrossEntropy { label_smoothing: 0.0 }, classes);
/// assert!((loss.array() - 2.0_f64.ln()).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Classes<'a> {
    /// One weight per class, at least 0; empty for 1 everywhere.
    pub weights: &'a [f64],
    /// Rows with this label have loss and gradient 0 and do not count in the mean. It need not be a class.
    pub ignored: Option<usize>,
}

/// A loss of logits and a distribution $q$ over the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DistributionLoss {
    /// $-\sum q \ln p$; at least the entropy of $q$.
    CrossEntropy,
    /// $\mathrm{KL}(q \| p) = \sum q \ln (q / p)$, with $0 \ln 0 = 0$.
    KlForward,
    /// $\mathrm{KL}(p \| q)$: infinite where $q$ is 0 and $p$ is not.
    KlReverse,
    /// $\tfrac12 \mathrm{KL}(p \| m) + \tfrac12 \mathrm{KL}(q \| m)$, $m = (p + q)/2$: symmetric, at most ln 2.
    JensenShannon,
}

/// A shape with a batch axis in front.
pub trait BatchFirst: Shape {
    /// The batch axis.
    type Batch: Dim;
    /// Its length.
    fn batch(&self) -> Self::Batch;
}
macro_rules! batch_first {
    ($($Axis:ident)*) => {
        impl<B: Dim, $($Axis: Dim),*> BatchFirst for (B, $($Axis,)*) {
            type Batch = B;
            fn batch(&self) -> B {
                self.0
            }
        }
    };
}
batch_first!();
batch_first!(A1);
batch_first!(A1 A2);
batch_first!(A1 A2 A3);
batch_first!(A1 A2 A3 A4);
batch_first!(A1 A2 A3 A4 A5);

/// A device with bodies for the losses; part of [`Device`].
pub trait LossDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_loss_mean`] and [`try_loss_sum`]: `scale` times the sum.
    fn pair_total<S: Shape, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        target: Tensor<S, E, Self, R>,
        kind: PairKind,
        scale: f64,
    ) -> Result<Tensor<Rank0, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::pair_total(x, target, kind, scale)
    }

    /// Body of [`try_loss_per_sample`]: the loss of each element.
    fn pair_each<S: Shape, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        x: Tensor<S, E, Self, T>,
        target: Tensor<S, E, Self, R>,
        kind: PairKind,
    ) -> Result<Tensor<S, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::pair_each(x, target, kind)
    }

    /// Body of [`try_class_loss_per_sample`]; labels and weights have been checked.
    fn class_loss<B: Dim, C: Dim, T: Tape<E, Self>>(
        logits: Tensor<(B, C), E, Self, T>,
        labels: &[usize],
        loss: ClassLoss,
        weights: &[f64],
        ignored: Option<usize>,
    ) -> Result<Tensor<(B,), E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::class_loss(logits, labels, loss, weights, ignored)
    }

    /// Body of [`try_distribution_loss_per_sample`].
    fn distribution_loss<B: Dim, C: Dim, T: Tape<E, Self>>(
        logits: Tensor<(B, C), E, Self, T>,
        targets: &Tensor<(B, C), E, Self>,
        loss: DistributionLoss,
    ) -> Result<Tensor<(B,), E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::distribution_loss(logits, targets, loss)
    }
}

#[cfg(feature = "cuda")]
impl LossDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl LossDevice<f64> for Cuda {}

macro_rules! fused {
    ($E:ty) => {
        impl LossDevice<$E> for Cpu {
            fn pair_total<S: Shape, T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                target: Tensor<S, $E, Cpu, R>,
                kind: PairKind,
                scale: f64,
            ) -> Result<Tensor<Rank0, $E, Cpu, T>, CpuError> {
                cpu::pair_total(x, target, kind, scale)
            }
            fn pair_each<S: Shape, T: Tape<$E, Cpu> + Merge<R>, R: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                target: Tensor<S, $E, Cpu, R>,
                kind: PairKind,
            ) -> Result<Tensor<S, $E, Cpu, T>, CpuError> {
                cpu::pair_each(x, target, kind)
            }
            fn class_loss<B: Dim, C: Dim, T: Tape<$E, Cpu>>(
                logits: Tensor<(B, C), $E, Cpu, T>,
                labels: &[usize],
                loss: ClassLoss,
                weights: &[f64],
                ignored: Option<usize>,
            ) -> Result<Tensor<(B,), $E, Cpu, T>, CpuError> {
                cpu::class_loss(logits, labels, loss, weights, ignored)
            }
            fn distribution_loss<B: Dim, C: Dim, T: Tape<$E, Cpu>>(
                logits: Tensor<(B, C), $E, Cpu, T>,
                targets: &Tensor<(B, C), $E, Cpu>,
                loss: DistributionLoss,
            ) -> Result<Tensor<(B,), $E, Cpu, T>, CpuError> {
                cpu::distribution_loss(logits, targets, loss)
            }
        }
    };
}
fused!(f32);
fused!(f64);

/// Mean of a loss over all elements; NaN over none.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Huber, loss_mean};
/// let device = Cpu::default();
/// let x = device.tensor([0.5_f64, 4.0]);
/// let loss = loss_mean(x.leaky_trace(), device.tensor([0.0, 1.0]), Huber(1.0));
/// assert_eq!(loss.array(), (0.125 + 2.5) / 2.0);
/// assert_eq!(loss.backward().get(&x).array(), [0.25, 0.5]);
/// ```
///
/// # Panics
/// When the device fails; [`try_loss_mean`] returns the error.
pub fn loss_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    loss: impl PairLoss,
) -> Tensor<Rank0, E, D, T> {
    try_loss_mean(x, target, loss).unwrap()
}

/// Fallible twin of [`loss_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_loss_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    loss: impl PairLoss,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(x.shape(), target.shape(), "prediction and target must have the same shape");
    let scale = 1.0 / x.shape().num_elements() as f64;
    D::pair_total(x, target, loss.kind(), scale)
}

/// Sum of a loss over all elements; 0 over none.
///
/// # Panics
/// When the device fails; [`try_loss_sum`] returns the error.
pub fn loss_sum<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    loss: impl PairLoss,
) -> Tensor<Rank0, E, D, T> {
    try_loss_sum(x, target, loss).unwrap()
}

/// Fallible twin of [`loss_sum`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_loss_sum<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    loss: impl PairLoss,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(x.shape(), target.shape(), "prediction and target must have the same shape");
    D::pair_total(x, target, loss.kind(), 1.0)
}

/// Sum of a loss over the elements of each sample: `(B, ..)` gives `(B,)`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{SquaredError, loss_per_sample};
/// let device = Cpu::default();
/// let loss = loss_per_sample(device.tensor([[1.0_f32, 2.0], [0.0, 3.0]]), device.zeros(), SquaredError);
/// assert_eq!(loss.array(), [5.0, 9.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_loss_per_sample`] returns the error.
pub fn loss_per_sample<S: BatchFirst, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    loss: impl PairLoss,
) -> Tensor<(S::Batch,), E, D, T> {
    try_loss_per_sample(x, target, loss).unwrap()
}

/// Fallible twin of [`loss_per_sample`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_loss_per_sample<S: BatchFirst, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    loss: impl PairLoss,
) -> Result<Tensor<(S::Batch,), E, D, T>, D::Err> {
    assert_eq!(x.shape(), target.shape(), "prediction and target must have the same shape");
    let batch = x.shape().batch();
    let features = x.shape().num_elements().checked_div(batch.size()).unwrap_or(0);
    let each = D::pair_each(x, target, loss.kind())?;
    crate::try_sum_along(each.try_reshaped(&(batch, features))?, Axis::<1>)
}

/// Mean negative log-likelihood in nats of targets under normal distributions with the given means and log-variances,
/// the constant $\tfrac12 \ln 2\pi$ included. Gradients flow to both.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let loss = kernels::gaussian_nll_mean(device.tensor([1.0_f64]), device.tensor([0.0]), &device.tensor([1.0]));
/// assert!((loss.array() - 0.5 * (2.0 * std::f64::consts::PI).ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_gaussian_nll_mean`] returns the error.
pub fn gaussian_nll_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    mean: Tensor<S, E, D, T>,
    log_var: Tensor<S, E, D, R>,
    target: &Tensor<S, E, D>,
) -> Tensor<Rank0, E, D, T> {
    try_gaussian_nll_mean(mean, log_var, target).unwrap()
}

/// Fallible twin of [`gaussian_nll_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When run-time shapes differ, as dfdx's operations do.
pub fn try_gaussian_nll_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    mean: Tensor<S, E, D, T>,
    log_var: Tensor<S, E, D, R>,
    target: &Tensor<S, E, D>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(mean.shape(), log_var.shape(), "mean and log-variance must have the same shape");
    let scale = 1.0 / mean.shape().num_elements() as f64;
    D::pair_total(crate::try_sub(mean, target.clone())?, log_var, PairKind::GaussianNll, scale)
}

/// Settings within their ranges.
fn check_settings(loss: ClassLoss) -> Result<(), Error> {
    let (name, rule, value, holds) = match loss {
        ClassLoss::CrossEntropy { label_smoothing: value } => {
            ("label_smoothing", "in [0, 1); 0.1 is usual, 0 turns it off", value, (0.0..1.0).contains(&value))
        }
        ClassLoss::Focal { gamma: value } => (
            "gamma",
            "at least 0; 2 is usual, 0 gives cross-entropy",
            value,
            (0.0..f64::INFINITY).contains(&value),
        ),
        ClassLoss::GeneralisedCrossEntropy { q: value } => {
            ("q", "in (0, 1]; 0.7 is usual", value, value > 0.0 && value <= 1.0)
        }
        _ => return Ok(()),
    };
    if holds { Ok(()) } else { Err(Error::LossSetting { name, rule, value }) }
}

/// Labels and weights that fit the logits.
fn check_classes(labels: &[usize], classes: Classes<'_>, rows: usize, count: usize) -> Result<(), Error> {
    if labels.len() != rows {
        return Err(Error::LabelCount { labels: labels.len(), rows });
    }
    let is_wrong = |label: &usize| *label >= count && Some(*label) != classes.ignored;
    if let Some(index) = labels.iter().position(is_wrong) {
        return Err(Error::LabelOutOfRange { index, label: labels[index], classes: count });
    }
    if !classes.weights.is_empty() && classes.weights.len() != count {
        return Err(Error::ClassWeightCount { weights: classes.weights.len(), classes: count });
    }
    match classes.weights.iter().position(|weight| !(*weight >= 0.0 && *weight < f64::INFINITY)) {
        Some(class) => Err(Error::ClassWeight { class, weight: classes.weights[class] }),
        None => Ok(()),
    }
}

/// The loss of each row of logits `(B, C)` for one label per row, times the weight of its label.
///
/// # Panics
/// On the errors of [`try_class_loss_per_sample`].
pub fn class_loss_per_sample<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    loss: ClassLoss,
    classes: Classes<'_>,
) -> Tensor<(B,), E, D, T> {
    try_class_loss_per_sample(logits, labels, loss, classes).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`class_loss_per_sample`].
///
/// # Errors
/// [`Error::LabelCount`], [`Error::LabelOutOfRange`], [`Error::ClassWeightCount`] and [`Error::ClassWeight`] for what
/// does not fit the logits, [`Error::LossSetting`] for a setting out of its range, [`Error::Device`] when an allocation or
/// a kernel fails.
pub fn try_class_loss_per_sample<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    loss: ClassLoss,
    classes: Classes<'_>,
) -> Result<Tensor<(B,), E, D, T>, Error> {
    let [rows, count] = logits.shape().concrete();
    check_classes(labels, classes, rows, count)?;
    check_settings(loss)?;
    D::class_loss(logits, labels, loss, classes.weights, classes.ignored).map_err(Error::device)
}

/// Sum of [`class_loss_per_sample`] over the batch.
///
/// # Panics
/// On the errors of [`try_class_loss_per_sample`].
pub fn class_loss_sum<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    loss: ClassLoss,
    classes: Classes<'_>,
) -> Tensor<Rank0, E, D, T> {
    crate::sum_all(class_loss_per_sample(logits, labels, loss, classes))
}

/// Sum of [`class_loss_per_sample`] divided by the sum of the weights of the labels that count, as PyTorch does; NaN if
/// none counts.
///
/// # Panics
/// On the errors of [`try_class_loss_mean`].
pub fn class_loss_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    loss: ClassLoss,
    classes: Classes<'_>,
) -> Tensor<Rank0, E, D, T> {
    try_class_loss_mean(logits, labels, loss, classes).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`class_loss_mean`].
///
/// # Errors
/// As [`try_class_loss_per_sample`].
pub fn try_class_loss_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    loss: ClassLoss,
    classes: Classes<'_>,
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    let counted = labels.iter().filter(|label| Some(**label) != classes.ignored);
    let weight: f64 = counted.map(|&label| classes.weights.get(label).copied().unwrap_or(1.0)).sum();
    let losses = try_class_loss_per_sample(logits, labels, loss, classes)?;
    let total = crate::try_sum_all(losses).map_err(Error::device)?;
    total.try_div(E::of(weight)).map_err(Error::device)
}

/// The loss of each row of logits `(B, C)` for one distribution per row. The targets are data.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{DistributionLoss, distribution_loss_per_sample};
/// let device = Cpu::default();
/// let (logits, q) = (device.tensor([[0.0_f64, 0.0]]), device.tensor([[1.0, 0.0]])); // 0 ln 0 = 0
/// let kl = distribution_loss_per_sample(logits, &q, DistributionLoss::KlForward);
/// assert!((kl.array()[0] - 2.0_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_distribution_loss_per_sample`] returns the error.
pub fn distribution_loss_per_sample<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    targets: &Tensor<(B, C), E, D>,
    loss: DistributionLoss,
) -> Tensor<(B,), E, D, T> {
    try_distribution_loss_per_sample(logits, targets, loss).unwrap()
}

/// Fallible twin of [`distribution_loss_per_sample`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_distribution_loss_per_sample<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    targets: &Tensor<(B, C), E, D>,
    loss: DistributionLoss,
) -> Result<Tensor<(B,), E, D, T>, D::Err> {
    assert_eq!(logits.shape(), targets.shape(), "logits and targets must have the same shape");
    D::distribution_loss(logits, targets, loss)
}

/// Mean of [`distribution_loss_per_sample`] over the batch.
///
/// # Panics
/// When the device fails.
pub fn distribution_loss_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    targets: &Tensor<(B, C), E, D>,
    loss: DistributionLoss,
) -> Tensor<Rank0, E, D, T> {
    crate::mean_all(distribution_loss_per_sample(logits, targets, loss))
}

/// $1 - \cos(x, y)$ of each pair of rows.
///
/// A row of zeros has no direction and gives NaN.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let (x, y) = (device.tensor([[3.0_f64, 0.0], [1.0, 1.0]]), device.tensor([[0.0, 2.0], [2.0, 2.0]]));
/// let loss = kernels::cosine_embedding_per_sample(x, y).array();
/// assert!((loss[0] - 1.0).abs() < 1e-15 && loss[1].abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_cosine_embedding_per_sample`] returns the error.
pub fn cosine_embedding_per_sample<B: Dim, F: Dim, E: Real, D: Device<E>, T, R>(
    x: Tensor<(B, F), E, D, T>,
    y: Tensor<(B, F), E, D, R>,
) -> Tensor<(B,), E, D, T>
where
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    try_cosine_embedding_per_sample(x, y).unwrap()
}

/// Fallible twin of [`cosine_embedding_per_sample`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When run-time shapes differ, as dfdx's operations do.
pub fn try_cosine_embedding_per_sample<B: Dim, F: Dim, E: Real, D: Device<E>, T, R>(
    x: Tensor<(B, F), E, D, T>,
    y: Tensor<(B, F), E, D, R>,
) -> Result<Tensor<(B,), E, D, T>, D::Err>
where
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    let dot = crate::try_sum_along(crate::try_mul(x.with_empty_tape(), y.with_empty_tape())?, Axis::<1>)?;
    let norms = crate::try_norm_along(x, Axis::<1>)?.try_mul(crate::try_norm_along(y, Axis::<1>)?)?;
    dot.try_div(norms)?.try_negate()?.try_add(E::ONE)
}

/// $\tfrac12 d^2$ for pairs of rows that belong together and $\tfrac12 \max(0, m - d)^2$ for others, $d = |x - y|$:
/// Hadsell, Chopra & LeCun (2006), with $m$ the `margin`.
///
/// # Panics
/// When the device fails, and when run-time shapes differ or there is not one flag per pair.
pub fn contrastive_per_sample<B: Dim, F: Dim, E: Real, D: Device<E>, T, R>(
    x: Tensor<(B, F), E, D, T>,
    y: Tensor<(B, F), E, D, R>,
    belong_together: &[bool],
    margin: f64,
) -> Tensor<(B,), E, D, T>
where
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    assert_eq!(belong_together.len(), x.shape().0.size(), "one flag per pair of rows");
    let distance = crate::norm_along(crate::sub(x, y), Axis::<1>);
    let apart = (distance.with_empty_tape().negate() + E::of(margin)).relu();
    crate::choose(belong_together, distance, apart).square() * E::of(0.5)
}

/// $\max(0, |a - p| - |a - n| + m)$ of each triple of rows: an anchor, one that belongs to it, and one that does not.
/// Schroff, Kalenichenko & Philbin (2015), arXiv 1503.03832, with distances in place of their squares, as in PyTorch.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let [a, p, n] = [[[0.0_f64, 0.0]], [[3.0, 4.0]], [[0.0, 5.5]]].map(|row| device.tensor(row));
/// let loss = kernels::triplet_margin_per_sample(a, p, n, 1.0);
/// assert_eq!(loss.array(), [0.5]);
/// ```
///
/// # Panics
/// When the device fails, and when run-time shapes differ.
pub fn triplet_margin_per_sample<B: Dim, F: Dim, E: Real, D: Device<E>, T, R, Q>(
    anchor: Tensor<(B, F), E, D, T>,
    positive: Tensor<(B, F), E, D, R>,
    negative: Tensor<(B, F), E, D, Q>,
    margin: f64,
) -> Tensor<(B,), E, D, T>
where
    T: Tape<E, D> + Merge<R> + Merge<Q>,
    R: Tape<E, D>,
    Q: Tape<E, D>,
{
    let near = crate::norm_along(crate::sub(anchor.with_empty_tape(), positive), Axis::<1>);
    let far = crate::norm_along(crate::sub(anchor, negative), Axis::<1>);
    (near - far + E::of(margin)).relu()
}

/// Mean cross-entropy in nats between logits `(B, C)` and one class index per row.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let loss = kernels::cross_entropy_mean(device.tensor([[0.0_f64, 3.0_f64.ln()]]), &[1]);
/// assert!((loss.array() - (4.0_f64 / 3.0).ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// On the errors of [`try_cross_entropy_mean`].
pub fn cross_entropy_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Tensor<Rank0, E, D, T> {
    try_cross_entropy_mean(logits, labels).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`cross_entropy_mean`].
///
/// # Errors
/// [`Error::LabelCount`] and [`Error::LabelOutOfRange`] for labels that do not fit the logits, [`Error::Device`]
/// when an allocation or a kernel fails.
///
/// ```
/// use dfdx::prelude::*;
/// let logits = Cpu::default().tensor([[0.0_f32, 1.0]]);
/// let error = kernels::try_cross_entropy_mean(logits, &[2]).unwrap_err();
/// assert_eq!(error.to_string(), "label 2 at index 0 is not one of 2 classes; labels count from 0");
/// ```
pub fn try_cross_entropy_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    let [rows, classes] = logits.shape().concrete();
    if labels.len() != rows {
        return Err(Error::LabelCount { labels: labels.len(), rows });
    }
    if let Some(index) = labels.iter().position(|&label| label >= classes) {
        return Err(Error::LabelOutOfRange { index, label: labels[index], classes });
    }
    D::cross_entropy_mean(logits, labels).map_err(Error::device)
}

/// Mean binary cross-entropy in nats between logits of any shape and probabilities in \[0, 1\] of the same shape.
///
/// `probs` is data: no gradient flows to it. It is not checked at every step, which would take as long as the loss: with
/// a number outside of \[0, 1\] the loss has no minimum, and logits grow without bound. [`check_probabilities`] looks
/// once, before the training.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let loss = kernels::bce_with_logits_mean(device.tensor([0.0_f64, 1000.0]), &device.tensor([1.0, 1.0]));
/// assert!((loss.array() - 0.5 * 2.0_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_bce_with_logits_mean`] returns the error.
pub fn bce_with_logits_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<S, E, D, T>,
    probs: &Tensor<S, E, D>,
) -> Tensor<Rank0, E, D, T> {
    try_bce_with_logits_mean(logits, probs).unwrap()
}

/// Fallible twin of [`bce_with_logits_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_bce_with_logits_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<S, E, D, T>,
    probs: &Tensor<S, E, D>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(logits.shape(), probs.shape(), "logits and probabilities must have the same shape");
    D::bce_with_logits_mean(logits, probs)
}

/// Whether every element is a probability, as targets of [`BceWithLogits`] and [`bce_with_logits_mean`] have to be.
///
/// ```
/// use dfdx::prelude::*;
/// let labels = Cpu::default().tensor([0.0_f32, 1.0, 255.0]); // a mask as PNG files have it
/// assert!(matches!(kernels::check_probabilities(&labels), Err(kernels::Error::Probability { index: 2, .. })));
/// ```
///
/// # Errors
/// [`Error::Probability`] with the first element that is outside of \[0, 1\] or not a number.
pub fn check_probabilities<S: Shape, E: Real, D: Device<E>>(targets: &Tensor<S, E, D>) -> Result<(), Error> {
    if targets.shape().num_elements() == 0 {
        return Ok(()); // `as_vec` of dfdx panics there
    }
    let values = targets.as_vec();
    match values.iter().position(|p| !(E::of(0.0)..=E::of(1.0)).contains(p)) {
        Some(index) => Err(Error::Probability { index, value: values[index].as_f64() }),
        None => Ok(()),
    }
}

/// Mean squared error over all elements.
///
/// A gradient flows to `target` as well if `target` has a tape; without one it is data.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let (y, target) = (device.tensor([1.0_f64, 2.0]), device.tensor([0.0, 4.0]));
/// let loss = kernels::mse_mean(y.leaky_trace(), target);
/// assert_eq!(loss.array(), 2.5);
/// assert_eq!(loss.backward().get(&y).array(), [1.0, -2.0]);
/// ```
///
/// # Panics
/// When the device fails; [`try_mse_mean`] returns the error.
pub fn mse_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    y: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
) -> Tensor<Rank0, E, D, T> {
    try_mse_mean(y, target).unwrap()
}

/// Fallible twin of [`mse_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When two run-time shapes differ, as dfdx's operations do.
pub fn try_mse_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    y: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    assert_eq!(y.shape(), target.shape(), "prediction and target must have the same shape");
    D::mse_mean(y, target)
}
