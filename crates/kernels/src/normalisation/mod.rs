//! Normalisations: batch, layer, group, instance, root mean square, local response, and of weights.
//!
//! $$ \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = w\,\hat x + b, \qquad
//!    \frac{\partial L}{\partial x} = \frac{1}{\sqrt{\sigma^2 + \epsilon}}
//!    \bigl(g - \overline{g} - \hat x\,\overline{g \hat x}\bigr), \quad g = w\,\frac{\partial L}{\partial y} $$
//!
//! $\mu$, $\sigma^2$ and the bars are means over the same elements; what differs is which:
//!
//! | function | means over | $w$, $b$ per | from |
//! |---|---|---|---|
//! | [`batch_norm`] | samples and positions | channel | Ioffe & Szegedy (2015), arXiv 1502.03167 |
//! | [`layer_norm`] | the last axis | feature | Ba, Kiros & Hinton (2016), arXiv 1607.06450 |
//! | [`group_norm`] | positions and the channels of a group | channel | Wu & He (2018), arXiv 1803.08494 |
//! | [`instance_norm`] | positions | none | Ulyanov et al. (2016), arXiv 1607.08022 |
//! | [`rms_norm`] | the last axis, $\mu = 0$ | feature, no $b$ | Zhang & Sennrich (2019), arXiv 1910.07467 |
//! | [`local_response_norm`] | see [`LocalResponse`] | none | Krizhevsky, Sutskever & Hinton (2012) |
//! | [`weight_norm`] | the inputs of one output | output | Salimans & Kingma (2016), arXiv 1602.07868 |
//! | [`spectral_norm`] | see [`spectral_norm`] | none | Miyato et al. (2018), arXiv 1802.05957 |
//!
//! | symbol | code | |
//! |---|---|---|
//! | $\sigma^2$ | `variance` | biased: divided by the count $n$, not by $n - 1$ |
//! | $\epsilon$ | `epsilon` | inside the root; at least 0 |
//! | $w$, $b$ | `weight`, `bias` | |
//!
//! **Numbers**: means are taken twice, of $x$ and then of $x - \mu$ with the rounded $\mu$, and sums of more than 1024
//! elements go on in `f64`: an offset of 1e6 costs no digit of the variance.
//! **Complexity**: three passes over $x$ forward, two over $x$ and the gradient backward; backward keeps $x$ and three
//! numbers per mean, and neither $\hat x$ nor, with a fused activation, the pre-activation.
use crate::{Activation, ActivationKind, BaseDevice, Device, Error, Real, RowMajor};
use dfdx::prelude::*;

mod axes;
#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
pub(crate) mod composed;
mod cpu;
mod passes;
#[cfg(all(test, not(loom)))]
mod tests;
mod weights;

pub use axes::{ChannelsSecond, LastAxis};
pub(crate) use passes::Norms;
pub use weights::{
    Spectral, power_iteration, spectral_norm, try_power_iteration, try_spectral_norm, try_weight_norm,
    weight_norm,
};

/// Samples, channels, and positions within a channel.
pub type Volume = (usize, usize, usize);

/// A value per channel.
pub(crate) type Channel<E, D> = Tensor<(usize,), E, D>;

/// Mean and variance of each channel of a batch; neither has a tape.
#[derive(Clone, Debug)]
pub struct BatchMoments<C: Dim, E: Real, D: Storage<E>> {
    /// $\mu$, `(C)`.
    pub mean: Tensor<(C,), E, D>,
    /// $\sigma^2$, `(C)`: divided by the count. A running average takes it times $n / (n - 1)$.
    pub variance: Tensor<(C,), E, D>,
    /// $n$: elements per channel.
    pub count: usize,
}

/// What [`batch_norm`] gives back.
#[derive(Clone, Debug)]
pub struct BatchNormed<S: ChannelsSecond, E: Real, D: Storage<E>, T> {
    /// The normalised batch.
    pub output: Tensor<S, E, D, T>,
    /// What it was normalised with.
    pub moments: BatchMoments<S::Channels, E, D>,
}

/// Which elements of `(N, C, M)` are normalised together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grouping {
    /// Number of groups of channels; each group of each sample has its own mean.
    pub groups: usize,
    /// ε, inside the root.
    pub epsilon: f64,
    /// Whether the mean is subtracted.
    pub is_centred: bool,
}

/// Local response normalisation $y_i = x_i \, \bigl(k + \alpha \sum_j x_j^2\bigr)^{-\beta}$, the sum over `size`
/// neighbouring channels: $\lfloor n/2 \rfloor$ before $i$, $\lfloor (n-1)/2 \rfloor$ after, as far as there are any.
///
/// The paper's $\alpha$ multiplies the sum; PyTorch and Caffe divide it by $n$ first: [`averaged`](Self::averaged).
/// For an even $n$ the paper's window reaches one channel further than this one, which is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponse {
    /// $n$, at least 1.
    pub size: usize,
    /// $k$, above 0.
    pub k: f64,
    /// $\alpha$ as a factor of the sum, at least 0.
    pub alpha: f64,
    /// $\beta$.
    pub beta: f64,
}

impl LocalResponse {
    /// The values of AlexNet's paper, chosen on a validation set.
    pub const ALEXNET: Self = Self { size: 5, k: 2.0, alpha: 1e-4, beta: 0.75 };

    /// The same formula with $\alpha / n$ in place of $\alpha$, as PyTorch and Caffe read it.
    ///
    /// ```
    /// use kernels::LocalResponse;
    /// let caffe = LocalResponse::averaged(5, 1.0, 1e-4, 0.75); // GoogLeNet's definition for Caffe
    /// assert_eq!(caffe.alpha, 1e-4 / 5.0);
    /// ```
    pub const fn averaged(size: usize, k: f64, alpha: f64, beta: f64) -> Self {
        Self { size, k, alpha: alpha / size as f64, beta }
    }

    fn check(self) -> Result<Self, Error> {
        if self.size == 0 {
            return Err(Error::EmptyWindow { kernel: 0, stride: 1, dilation: 1 });
        }
        let is_positive = self.k > 0.0 && self.alpha >= 0.0;
        if is_positive { Ok(self) } else { Err(Error::LocalResponse { k: self.k, alpha: self.alpha }) }
    }
}

/// Bodies of the normalisations.
pub trait NormalisationDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_batch_norm`]: output, mean and variance.
    #[allow(clippy::type_complexity)]
    fn batch_norm<T: Tape<E, Self>>(
        x: Tensor<Volume, E, Self, T>,
        weight: Channel<E, Self>,
        bias: Channel<E, Self>,
        epsilon: f64,
        kind: ActivationKind,
    ) -> Result<(Tensor<Volume, E, Self, T>, [Channel<E, Self>; 2]), Self::Err>
    where
        Self: Device<E>,
    {
        composed::batch_norm(x, weight, bias, epsilon, kind)
    }

    /// Body of [`try_batch_norm_with`]: `moments` are mean and variance.
    fn batch_norm_with<T: Tape<E, Self>>(
        x: Tensor<Volume, E, Self, T>,
        weight: Channel<E, Self>,
        bias: Channel<E, Self>,
        moments: [Channel<E, Self>; 2],
        epsilon: f64,
        kind: ActivationKind,
    ) -> Result<Tensor<Volume, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::batch_norm_with(x, weight, bias, moments, epsilon, kind)
    }

    /// Body of [`try_group_norm`], [`try_layer_norm`], [`try_rms_norm`] and others.
    fn group_norm<T: Tape<E, Self>>(
        x: Tensor<Volume, E, Self, T>,
        weight: Channel<E, Self>,
        bias: Channel<E, Self>,
        grouping: Grouping,
    ) -> Result<Tensor<Volume, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::group_norm(x, weight, bias, grouping)
    }

    /// Body of [`try_local_response_norm`].
    fn local_response_norm<T: Tape<E, Self>>(
        x: Tensor<Volume, E, Self, T>,
        config: LocalResponse,
    ) -> Result<Tensor<Volume, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::local_response_norm(x, config)
    }
}

#[cfg(feature = "cuda")]
impl NormalisationDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl NormalisationDevice<f64> for Cuda {}

/// A vector of run-time length, contiguous, and the tape with what that took.
fn vector<C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    v: &Tensor<(C,), E, D>,
    length: usize,
    tape: T,
) -> Result<(Channel<E, D>, T), Error> {
    let size = v.shape().0.size();
    if size != length {
        return Err(Error::AxisLength { axis: "channels", expected: size, found: length });
    }
    let v = v.retaped::<T>().try_reshaped(&(size,)).map_err(Error::device)?;
    let (v, more) = v.split_tape();
    Ok((v, tape.merge(more)))
}

/// `x` in a run-time shape, contiguous, with the vectors that go with it.
#[allow(clippy::type_complexity)]
fn operands<S: Shape, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>, const V: usize>(
    x: Tensor<S, E, D, T>,
    volume: Volume,
    vectors: [&Tensor<(C,), E, D>; V],
) -> Result<(Tensor<Volume, E, D, T>, [Channel<E, D>; V]), Error> {
    let (x, mut tape) = x.try_reshaped(&volume).map_err(Error::device)?.split_tape();
    let mut flat = Vec::with_capacity(V);
    for v in vectors {
        let (v, more) = vector(v, volume.1, tape)?;
        flat.push(v);
        tape = more;
    }
    let flat = flat.try_into().expect("one for each of the V vectors");
    Ok((x.put_tape(tape), flat))
}

fn check_epsilon(epsilon: f64) -> Result<f64, Error> {
    if epsilon >= 0.0 && epsilon.is_finite() { Ok(epsilon) } else { Err(Error::Epsilon { value: epsilon }) }
}

/// Batch normalisation of `(N, C)`, `(N, C, L)` or `(N, C, H, W)` with the moments of the batch, followed by an
/// activation: $y = \varphi(w \hat x + b)$, means over everything but the channels.
///
/// The moments come back for running averages. Identity, ReLU and leaky ReLU are part of the same pass.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Identity, batch_norm};
/// let device = Cpu::default();
/// let (weight, bias) = (device.tensor([1.0_f64]), device.tensor([0.0]));
/// let x = device.tensor([[1e6], [1e6 + 2.0]]);
/// let normed = batch_norm(x, &weight, &bias, 0.0, Identity);
/// assert_eq!(normed.output.array(), [[-1.0], [1.0]]);
/// assert_eq!((normed.moments.mean.array(), normed.moments.variance.array()), ([1e6 + 1.0], [1.0]));
/// ```
///
/// # Panics
/// On the errors of [`try_batch_norm`].
pub fn batch_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Channels,), E, D>,
    bias: &Tensor<(S::Channels,), E, D>,
    epsilon: f64,
    activation: impl Activation,
) -> BatchNormed<S, E, D, T> {
    try_batch_norm(x, weight, bias, epsilon, activation).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`batch_norm`].
///
/// # Errors
/// [`Error::BatchTooSmall`] for fewer than two elements per channel, [`Error::AxisLength`] when a run-time number of
/// channels differs from that of the parameters, [`Error::Epsilon`], and the device's error.
pub fn try_batch_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Channels,), E, D>,
    bias: &Tensor<(S::Channels,), E, D>,
    epsilon: f64,
    activation: impl Activation,
) -> Result<BatchNormed<S, E, D, T>, Error> {
    let (shape, volume) = (*x.shape(), x.shape().volume());
    let count = volume.0 * volume.2;
    if count < 2 {
        return Err(Error::BatchTooSmall { count });
    }
    let epsilon = check_epsilon(epsilon)?;
    let (x, [weight, bias]) = operands(x, volume, [weight, bias])?;
    let run = || -> Result<_, D::Err> {
        let (y, [mean, variance]) = D::batch_norm(x, weight, bias, epsilon, activation.kind())?;
        let channels = (shape.channels(),);
        let moments = BatchMoments {
            mean: mean.try_reshaped(&channels)?,
            variance: variance.try_reshaped(&channels)?,
            count,
        };
        Ok(BatchNormed { output: y.try_reshaped(&shape)?, moments })
    };
    run().map_err(Error::device)
}

/// Batch normalisation with given moments, which count as constants: $y = \varphi(w \hat x + b)$ as in evaluation. It
/// has gradients for `x`, `weight` and `bias`, none for the moments.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{BatchMoments, Relu, batch_norm_with};
/// let device = Cpu::default();
/// let (weight, bias) = (device.tensor([3.0_f32, 1.0]), device.tensor([1.0, 0.0]));
/// let running = BatchMoments { mean: device.tensor([1.0, 2.0]), variance: device.tensor([4.0, 1.0]), count: 10 };
/// let y = batch_norm_with(device.tensor([[3.0, 1.0]]), &weight, &bias, &running, 0.0, Relu);
/// assert_eq!(y.array(), [[4.0, 0.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_batch_norm_with`].
pub fn batch_norm_with<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Channels,), E, D>,
    bias: &Tensor<(S::Channels,), E, D>,
    moments: &BatchMoments<S::Channels, E, D>,
    epsilon: f64,
    activation: impl Activation,
) -> Tensor<S, E, D, T> {
    try_batch_norm_with(x, weight, bias, moments, epsilon, activation)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`batch_norm_with`].
///
/// # Errors
/// [`Error::AxisLength`], [`Error::Epsilon`], and the device's error.
pub fn try_batch_norm_with<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Channels,), E, D>,
    bias: &Tensor<(S::Channels,), E, D>,
    moments: &BatchMoments<S::Channels, E, D>,
    epsilon: f64,
    activation: impl Activation,
) -> Result<Tensor<S, E, D, T>, Error> {
    let (shape, volume) = (*x.shape(), x.shape().volume());
    let epsilon = check_epsilon(epsilon)?;
    let (x, [weight, bias]) = operands(x, volume, [weight, bias])?;
    let mean = vector(&moments.mean, volume.1, NoneTape)?.0;
    let variance = vector(&moments.variance, volume.1, NoneTape)?.0;
    let y = D::batch_norm_with(x, weight, bias, [mean, variance], epsilon, activation.kind());
    y.and_then(|y| y.try_reshaped(&shape)).map_err(Error::device)
}

/// Normalises the positions of each group of channels of each sample; `groups` must divide the channels.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let (weight, bias) = (device.tensor([1.0_f64, 1.0, 2.0, 2.0]), device.zeros());
/// let x = device.tensor([[1.0, 3.0, 10.0, 30.0]]); // one sample of four channels
/// let y = kernels::group_norm(x, 2, &weight, &bias, 0.0);
/// assert_eq!(y.array(), [[-1.0, 1.0, -2.0, 2.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_group_norm`].
pub fn group_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    groups: usize,
    weight: &Tensor<(S::Channels,), E, D>,
    bias: &Tensor<(S::Channels,), E, D>,
    epsilon: f64,
) -> Tensor<S, E, D, T> {
    try_group_norm(x, groups, weight, bias, epsilon).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`group_norm`].
///
/// # Errors
/// [`Error::Indivisible`] when `groups` does not divide the channels, [`Error::AxisLength`], [`Error::Epsilon`], and
/// the device's error.
pub fn try_group_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    groups: usize,
    weight: &Tensor<(S::Channels,), E, D>,
    bias: &Tensor<(S::Channels,), E, D>,
    epsilon: f64,
) -> Result<Tensor<S, E, D, T>, Error> {
    let (shape, volume) = (*x.shape(), x.shape().volume());
    crate::shape::divided(volume.1, groups)?;
    let grouping = Grouping { groups, epsilon: check_epsilon(epsilon)?, is_centred: true };
    let (x, [weight, bias]) = operands(x, volume, [weight, bias])?;
    let y = D::group_norm(x, weight, bias, grouping);
    y.and_then(|y| y.try_reshaped(&shape)).map_err(Error::device)
}

/// Normalises the positions of each channel of each sample, without weight and bias: what style transfer uses. With
/// them it is [`group_norm`] with as many groups as channels.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 3.0], [5.0, 5.0]]]);
/// assert_eq!(kernels::instance_norm(x, 1e-5).array()[0][1], [0.0, 0.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_instance_norm`].
pub fn instance_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    epsilon: f64,
) -> Tensor<S, E, D, T> {
    try_instance_norm(x, epsilon).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`instance_norm`].
///
/// # Errors
/// [`Error::BatchTooSmall`] for a single position per channel, [`Error::Epsilon`], and the device's error.
pub fn try_instance_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    epsilon: f64,
) -> Result<Tensor<S, E, D, T>, Error> {
    let (shape, volume, device) = (*x.shape(), x.shape().volume(), x.device().clone());
    if volume.2 == 1 {
        return Err(Error::BatchTooSmall { count: 1 });
    }
    let grouping = Grouping { groups: volume.1, epsilon: check_epsilon(epsilon)?, is_centred: true };
    let run = || -> Result<_, D::Err> {
        let (weight, bias) = (device.try_ones_like(&(volume.1,))?, device.try_zeros_like(&(volume.1,))?);
        D::group_norm(x.try_reshaped(&volume)?, weight, bias, grouping)?.try_reshaped(&shape)
    };
    run().map_err(Error::device)
}

/// Layer normalisation over the last axis of one to four axes.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let (weight, bias) = (device.tensor([1.0_f64, 1.0, 2.0]), device.tensor([0.0, 0.5, 0.0]));
/// let x = device.tensor([[1.0, 2.0, 3.0], [10.0, 10.0, 10.0]]);
/// let y = kernels::layer_norm(x, &weight, &bias, 1e-5).array();
/// assert!((y[0][2] - 2.0 * 1.5_f64.sqrt()).abs() < 1e-4);
/// assert_eq!(y[1], [0.0, 0.5, 0.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_layer_norm`].
pub fn layer_norm<S: LastAxis, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Features,), E, D>,
    bias: &Tensor<(S::Features,), E, D>,
    epsilon: f64,
) -> Tensor<S, E, D, T> {
    try_layer_norm(x, weight, bias, epsilon).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`layer_norm`].
///
/// # Errors
/// [`Error::AxisLength`] when a run-time number of features differs from that of the parameters,
/// [`Error::Epsilon`], and the device's error.
pub fn try_layer_norm<S: LastAxis, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Features,), E, D>,
    bias: &Tensor<(S::Features,), E, D>,
    epsilon: f64,
) -> Result<Tensor<S, E, D, T>, Error> {
    let shape = *x.shape();
    let (rows, features) = shape.rows();
    let grouping = Grouping { groups: 1, epsilon: check_epsilon(epsilon)?, is_centred: true };
    let (x, [weight, bias]) = operands(x, (rows, features, 1), [weight, bias])?;
    let y = D::group_norm(x, weight, bias, grouping);
    y.and_then(|y| y.try_reshaped(&shape)).map_err(Error::device)
}

/// Root mean square normalisation over the last axis: $y = w\,x / \sqrt{\overline{x^2} + \epsilon}$.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let y = kernels::rms_norm(device.tensor([[1.0_f64, 7.0]]), &device.tensor([5.0, 10.0]), 0.0);
/// assert!((y.array()[0][0] - 1.0).abs() < 1e-15 && (y.array()[0][1] - 14.0).abs() < 1e-14);
/// ```
///
/// # Panics
/// On the errors of [`try_rms_norm`].
pub fn rms_norm<S: LastAxis, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Features,), E, D>,
    epsilon: f64,
) -> Tensor<S, E, D, T> {
    try_rms_norm(x, weight, epsilon).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`rms_norm`].
///
/// # Errors
/// As [`try_layer_norm`].
pub fn try_rms_norm<S: LastAxis, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<(S::Features,), E, D>,
    epsilon: f64,
) -> Result<Tensor<S, E, D, T>, Error> {
    let (shape, device) = (*x.shape(), x.device().clone());
    let (rows, features) = shape.rows();
    let grouping = Grouping { groups: 1, epsilon: check_epsilon(epsilon)?, is_centred: false };
    let (x, [weight]) = operands(x, (rows, features, 1), [weight])?;
    let run = || -> Result<_, D::Err> {
        let bias = device.try_zeros_like(&(features,))?;
        D::group_norm(x, weight, bias, grouping)?.try_reshaped(&shape)
    };
    run().map_err(Error::device)
}

/// Local response normalisation across channels, see [`LocalResponse`].
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::LocalResponse;
/// let x = Cpu::default().tensor([[3.0_f64, 4.0, 0.0]]);
/// let config = LocalResponse { size: 3, k: 0.25, alpha: 0.03, beta: 0.5 };
/// let y = kernels::local_response_norm(x, config); // 0.25 + 0.03 · 25 = 1
/// assert!((y.array()[0][0] - 3.0).abs() < 1e-14 && (y.array()[0][1] - 4.0).abs() < 1e-14);
/// ```
///
/// # Panics
/// On the errors of [`try_local_response_norm`].
pub fn local_response_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    config: LocalResponse,
) -> Tensor<S, E, D, T> {
    try_local_response_norm(x, config).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`local_response_norm`].
///
/// # Errors
/// [`Error::EmptyWindow`] for a window of no channel, [`Error::LocalResponse`] when $k$ or $\alpha$ could make the base
/// of the power negative or 0, and the device's error.
pub fn try_local_response_norm<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    config: LocalResponse,
) -> Result<Tensor<S, E, D, T>, Error> {
    let (shape, volume) = (*x.shape(), x.shape().volume());
    let config = config.check()?;
    let run = || D::local_response_norm(x.try_reshaped(&volume)?, config)?.try_reshaped(&shape);
    run().map_err(Error::device)
}
