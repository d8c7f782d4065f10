//! Normalisations as modules: batch, layer, group, instance, root mean square, local response; and of weights.
//!
//! Formulas and papers stand in [`kernels::normalisation`]; here is what a module adds: parameters, running statistics,
//! evaluation apart from training.
//!
//! | module | input | parameters | evaluation |
//! |---|---|---|---|
//! | [`BatchNorm1D`], [`BatchNorm2D`] | `(B, C)`, `(B, C, L)`, `(B, C, H, W)` | `weight`, `bias` `(C)` | running statistics |
//! | [`LayerNorm1D`] | last axis `M` | `weight`, `bias` `(M)` | as training |
//! | [`GroupNorm`] | as batch norm | `weight`, `bias` `(C)` | as training |
//! | [`InstanceNorm2D`] | as batch norm | none | as training |
//! | [`RMSNorm`] | last axis `M` | `weight` `(M)` | as training |
//! | [`LocalResponseNorm`] | as batch norm | none | as training |
//! | [`SpectralNorm`], [`WeightNorm`] | of the layer inside | of the layer inside, and `u` or `g` `(O)` | `u` stands still |
//!
//! `Module` is evaluation and `ModuleMut` training, each with and without a tape: gradients in evaluation mode are what
//! saliency maps and adversarial inputs need, and dfdx's batch norm has none.
//!
//! **Names** are torchvision's: `weight`, `bias`, `running_mean`, `running_var`, `num_batches_tracked`. ε and momentum are
//! fields, not part of a checkpoint; building and dfdx's `to_dtype` set them to their defaults.
//! **Errors**: what only run-time sizes can get wrong (one sample per channel, say) panics with the message of
//! [`kernels::Error`], since a module in a tuple of dfdx can return a device's error only.
use crate::activation::{Activation, Identity};
use crate::dual::along::detached;
use crate::dual::own_layers::activate;
use crate::params::{DeviceError, read_row_major, write_row_major};
use crate::{Along, Cost, Dual};
use dfdx::nn::tensor_collection::{
    ModuleVisitor, RecursiveWalker, ScalarOptions, TensorCollection, TensorOptions, TensorVisitor,
    ViewTensorMut, ViewTensorName,
};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, ModuleMut, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{
    Axes2, Axes3, Axis, BroadcastTo, Const, Dtype, HasShape, PermuteTo, PutTape, Rank1, Shape, SplitTape,
    Storage, SumTo, Tape, Tensor, TryAdd, TryDiv, TryMul, TrySub, WithEmptyTape,
};
use kernels::{BatchMoments, BatchNormed, ChannelsSecond, Device, LastAxis, LocalResponse, Real, RowMajor};
use num_traits::NumCast;
use std::marker::PhantomData;

mod weights;

pub use weights::{SpectralNorm, WeightNorm, Weighted};

/// Descriptions of the normalisations, for `build_module`.
pub mod builder {
    use super::{Identity, PhantomData};

    /// Builds a [`BatchNorm`](super::BatchNorm) of `C` channels, followed by the activation `A`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct BatchNorm<const C: usize, A = Identity>(PhantomData<A>);
    /// Builds a [`BatchNorm`](super::BatchNorm) of vectors or sequences.
    pub type BatchNorm1D<const C: usize, A = Identity> = BatchNorm<C, A>;
    /// Builds a [`BatchNorm`](super::BatchNorm) of images.
    pub type BatchNorm2D<const C: usize, A = Identity> = BatchNorm<C, A>;
    /// Builds a [`LayerNorm1D`](super::LayerNorm1D) of `M` features.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct LayerNorm1D<const M: usize>;
    /// Builds an [`RMSNorm`](super::RMSNorm) of `M` features.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct RMSNorm<const M: usize>;
    /// Builds a [`GroupNorm`](super::GroupNorm) of `C` channels in `G` groups.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct GroupNorm<const C: usize, const G: usize>;
    /// Builds a [`SpectralNorm`](super::SpectralNorm) around a layer with `O` outputs.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct SpectralNorm<M, const O: usize>(PhantomData<M>);
    /// Builds a [`WeightNorm`](super::WeightNorm) around a layer with `O` outputs.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct WeightNorm<M, const O: usize>(PhantomData<M>);
}

/// ε of all normalisations, as in PyTorch.
const EPSILON: f64 = 1e-5;
/// Weight of a new batch in the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// A kernel's result in a module: its device's error is returned, any other panics with its message.
pub(crate) fn device_error<D: Device<E>, E: Real>(error: kernels::Error) -> D::Err {
    error.into_device::<D::Err>().unwrap_or_else(|error| panic!("{error}"))
}

/// Batch normalisation with running statistics, followed by an activation in the same pass.
///
/// Training normalises with the moments of the batch and moves the running statistics:
/// $r \leftarrow (1 - m)\,r + m\,s$, with the unbiased variance $\sigma^2 n / (n - 1)$. Evaluation uses the running ones.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<(Linear<3, 4>, BatchNorm1D<4, Relu>, Linear<4, 2>), f32>();
/// let x: Tensor<Rank2<8, 3>, f32, _> = dev.sample_normal();
/// let trained = model.forward_mut(x.leaky_trace()); // moves the running statistics
/// let evaluated = model.forward(x);
/// assert_ne!(trained.array(), evaluated.array());
/// assert_eq!(model.1.num_batches_tracked, 1);
/// ```
///
/// # Panics
/// In training with fewer than two elements per channel.
#[derive(Clone, Debug)]
pub struct BatchNorm<const C: usize, E: Dtype, D: Storage<E>, A = Identity> {
    /// $w$, `(C)`; starts as 1.
    pub weight: Tensor<Rank1<C>, E, D>,
    /// $b$, `(C)`; starts as 0.
    pub bias: Tensor<Rank1<C>, E, D>,
    /// Running mean, `(C)`; starts as 0, not trained.
    pub running_mean: Tensor<Rank1<C>, E, D>,
    /// Running variance, `(C)`; starts as 1, not trained.
    pub running_var: Tensor<Rank1<C>, E, D>,
    /// Batches that have moved the running statistics. While [`recalibrate`] runs it counts down from −1.
    pub num_batches_tracked: i64,
    /// ε, inside the root, at least 0; 1e-5.
    pub epsilon: f64,
    /// $m$: weight of a new batch in the running statistics, in \[0, 1\]; 0.1.
    pub momentum: f64,
    /// $\varphi$.
    pub activation: A,
}

/// [`BatchNorm`] of vectors `(B, C)` or sequences `(B, C, L)`.
pub type BatchNorm1D<const C: usize, E, D, A = Identity> = BatchNorm<C, E, D, A>;
/// [`BatchNorm`] of images `(B, C, H, W)`.
pub type BatchNorm2D<const C: usize, E, D, A = Identity> = BatchNorm<C, E, D, A>;

impl<const C: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation> BuildOnDevice<D, E>
    for builder::BatchNorm<C, A>
{
    type Built = BatchNorm<C, E, D, A>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

impl<const C: usize, E: Dtype, D: dfdx::prelude::Device<E>, A: Activation> TensorCollection<E, D>
    for BatchNorm<C, E, D, A>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = BatchNorm<C, E2, D2, A>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::tensor("weight", |s| &s.weight, |s| &mut s.weight, TensorOptions::reset_to_ones()),
                Self::tensor("bias", |s| &s.bias, |s| &mut s.bias, TensorOptions::reset_to_zeros()),
                Self::tensor(
                    "running_mean",
                    |s| &s.running_mean,
                    |s| &mut s.running_mean,
                    TensorOptions::detached(|mean| mean.try_fill_with_zeros()),
                ),
                Self::tensor(
                    "running_var",
                    |s| &s.running_var,
                    |s| &mut s.running_var,
                    TensorOptions::detached(|variance| variance.try_fill_with_ones()),
                ),
                Self::scalar(
                    "num_batches_tracked",
                    |s| &s.num_batches_tracked,
                    |s| &mut s.num_batches_tracked,
                    ScalarOptions::from_default(0),
                ),
            ),
            |(weight, bias, running_mean, running_var, num_batches_tracked)| BatchNorm {
                weight,
                bias,
                running_mean,
                running_var,
                num_batches_tracked,
                epsilon: EPSILON,
                momentum: MOMENTUM,
                activation: A::default(),
            },
        )
    }
}

impl<const C: usize, E: Real, D: Device<E>, A> BatchNorm<C, E, D, A> {
    /// Moves the running statistics by one batch.
    fn track(&mut self, moments: &BatchMoments<Const<C>, E, D>) -> Result<(), D::Err> {
        let momentum = if self.num_batches_tracked < 0 {
            let momentum = -1.0 / self.num_batches_tracked as f64; // the mean of the batches so far
            self.num_batches_tracked -= 1;
            momentum
        } else {
            self.num_batches_tracked += 1;
            self.momentum
        };
        let n = moments.count as f64;
        self.running_mean.try_axpy(1.0 - momentum, &moments.mean, momentum)?;
        self.running_var.try_axpy(1.0 - momentum, &moments.variance, momentum * n / (n - 1.0))
    }

    fn running(&self) -> BatchMoments<Const<C>, E, D> {
        let (mean, variance) = (self.running_mean.clone(), self.running_var.clone());
        BatchMoments { mean, variance, count: usize::MAX }
    }

    /// What evaluation multiplies a channel by and adds to it: $s = w / \sqrt{r_{\sigma^2} + \epsilon}$ and
    /// $b - r_\mu s$.
    pub fn scale_and_shift(&self) -> Vec<(f64, f64)> {
        let [weight, bias, mean, variance] =
            [&self.weight, &self.bias, &self.running_mean, &self.running_var].map(read_row_major);
        (0..C)
            .map(|c| {
                let scale = weight[c].as_f64() / (variance[c].as_f64() + self.epsilon).sqrt();
                (scale, bias[c].as_f64() - mean[c].as_f64() * scale)
            })
            .collect()
    }

    /// Multiplies the weight of the layer before, whose first axis is the channels, and adds to its bias, so that it
    /// computes what it and this module together compute in evaluation; then makes this module the identity (but for
    /// its activation).
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::seed_from_u64(0);
    /// let mut model = dev.build_module::<(Linear<3, 4>, BatchNorm1D<4>), f64>();
    /// let x: Tensor<Rank2<8, 3>, f64, _> = dev.sample_normal();
    /// model.forward_mut(x.clone());
    /// let before = model.forward(x.clone());
    /// let (linear, norm) = (&mut model.0, &mut model.1);
    /// norm.fold_into(&mut linear.weight, &mut linear.bias)?;
    /// layers::assert_close!(model.0.forward(x.clone()), before, 1e-13);
    /// layers::assert_close!(model.forward(x), before, 1e-13);
    /// # Ok::<(), layers::params::DeviceError>(())
    /// ```
    ///
    /// # Errors
    /// The device's error when a tensor cannot be written.
    ///
    /// # Panics
    /// When the first axis of the weight does not have `C` elements.
    pub fn fold_into<S: Shape>(
        &mut self,
        weight: &mut Tensor<S, E, D>,
        bias: &mut Tensor<Rank1<C>, E, D>,
    ) -> Result<(), DeviceError> {
        let outputs = weight.shape().concrete().into_iter().next();
        assert_eq!(
            outputs,
            Some(C),
            "the first axis of the weight must be the channels of the normalisation"
        );
        let map = self.scale_and_shift();
        let (mut weights, mut biases) = (read_row_major(weight), read_row_major(bias));
        let per_channel = (weights.len() / C.max(1)).max(1);
        for (row, (scale, _)) in weights.chunks_exact_mut(per_channel).zip(&map) {
            row.iter_mut().for_each(|w| *w = E::of(w.as_f64() * scale));
        }
        for (b, (scale, shift)) in biases.iter_mut().zip(&map) {
            *b = E::of(b.as_f64() * scale + shift);
        }
        write_row_major(weight, &weights).map_err(DeviceError::new)?;
        write_row_major(bias, &biases).map_err(DeviceError::new)?;
        self.become_identity()
    }

    fn become_identity(&mut self) -> Result<(), DeviceError> {
        let fill = |tensor: &mut Tensor<Rank1<C>, E, D>, value: f64| {
            write_row_major(tensor, &vec![E::of(value); C]).map_err(DeviceError::new)
        };
        fill(&mut self.weight, (1.0 + self.epsilon).sqrt())?;
        fill(&mut self.bias, 0.0)?;
        fill(&mut self.running_mean, 0.0)?;
        fill(&mut self.running_var, 1.0)
    }
}

/// Takes running statistics anew: while `run` passes batches through `forward_mut`, every batch normalisation of the
/// model takes the plain mean over these batches in place of the exponential one.
///
/// Weights that were averaged or moved by hand (stochastic weight averaging, interpolation between models) have no
/// statistics of their own until this is done: Izmailov et al. (2018), arXiv 1803.05407, section 3.2.
///
/// # Examples
/// ```
/// use layers::{normalisation::recalibrate, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<(Linear<3, 4>, BatchNorm1D<4>), f64>();
/// let batches: Vec<Tensor<Rank2<8, 3>, f64, _>> = (0..5).map(|_| dev.sample_normal()).collect();
/// recalibrate(&mut model, |model| batches.iter().for_each(|x| drop(model.forward_mut(x.clone()))));
/// assert_eq!(model.1.num_batches_tracked, 5);
/// ```
pub fn recalibrate<M, E, D, R>(model: &mut M, run: impl FnOnce(&mut M) -> R) -> R
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: dfdx::prelude::Device<E>,
{
    set_counts(model, |_| -1);
    let result = run(model);
    set_counts(model, |count| -1 - count);
    result
}

/// Replaces `num_batches_tracked` of every batch normalisation.
fn set_counts<M, E, D>(model: &mut M, count: fn(i64) -> i64)
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: dfdx::prelude::Device<E>,
{
    struct Counts(fn(i64) -> i64);
    impl<E: Dtype, D: dfdx::prelude::Device<E>> TensorVisitor<E, D> for Counts {
        type Viewer = (ViewTensorMut, ViewTensorName);
        type Err = std::convert::Infallible;
        type E2 = E;
        type D2 = D;
        fn visit<S: Shape>(
            &mut self,
            _: TensorOptions<S, E, D>,
            _: (&mut Tensor<S, E, D>, String),
        ) -> Result<Option<Tensor<S, E, D>>, Self::Err> {
            Ok(None)
        }
        fn visit_scalar<N: NumCast>(
            &mut self,
            _: ScalarOptions<N>,
            (number, name): (&mut N, String),
        ) -> Result<Option<N>, Self::Err> {
            let is_count = name.rsplit('.').next() == Some("num_batches_tracked");
            if let Some(count) =
                number.to_i64().filter(|_| is_count).and_then(|count| N::from((self.0)(count)))
            {
                *number = count;
            }
            Ok(None)
        }
    }
    let Ok(_) = M::iter_tensors(&mut RecursiveWalker { m: (model, String::new()), f: &mut Counts(count) });
}

impl<const C: usize, S, E, D, T, A> Module<Tensor<S, E, D, T>> for BatchNorm<C, E, D, A>
where
    S: ChannelsSecond<Channels = Const<C>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        kernels::try_batch_norm_with(x, &self.weight, &self.bias, &self.running(), self.epsilon, A::KIND)
            .map_err(device_error::<D, E>)
    }
}

impl<const C: usize, S, E, D, T, A> ModuleMut<Tensor<S, E, D, T>> for BatchNorm<C, E, D, A>
where
    S: ChannelsSecond<Channels = Const<C>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward_mut(&mut self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let BatchNormed { output, moments } =
            kernels::try_batch_norm(x, &self.weight, &self.bias, self.epsilon, A::KIND)
                .map_err(device_error::<D, E>)?;
        self.track(&moments)?;
        Ok(output)
    }
}

impl<const C: usize, S, E, D, T, A> Module<Dual<S, E, D, T>> for BatchNorm<C, E, D, A>
where
    S: ChannelsSecond<Channels = Const<C>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        activate(self.pre_activation(x)?, A::KIND)
    }
}

impl<const C: usize, E: Real, D: Device<E>, A: Activation> BatchNorm<C, E, D, A> {
    /// Evaluation before the activation: $\dot z = w\,\dot x / \sqrt{r_{\sigma^2} + \epsilon}$.
    fn pre_activation<S: ChannelsSecond<Channels = Const<C>>, T: Tape<E, D>>(
        &self,
        x: Dual<S, E, D, T>,
    ) -> Result<Dual<S, E, D, T>, D::Err> {
        let (x, dx) = x.split();
        let running = self.running();
        let zeros = dx.device().try_zeros_like(&(Const::<C>,))?;
        let without_mean = BatchMoments { mean: zeros.clone(), ..running.clone() };
        let z = self.standard_line(x, &self.weight, &self.bias, &running)?;
        Ok(Dual::join(z, self.standard_line(dx, &self.weight, &zeros, &without_mean)?))
    }

    /// $w \hat x + b$ with given moments.
    fn standard_line<S: ChannelsSecond<Channels = Const<C>>, T: Tape<E, D>>(
        &self,
        x: Tensor<S, E, D, T>,
        weight: &Tensor<Rank1<C>, E, D>,
        bias: &Tensor<Rank1<C>, E, D>,
        moments: &BatchMoments<Const<C>, E, D>,
    ) -> Result<Tensor<S, E, D, T>, D::Err> {
        kernels::try_batch_norm_with(x, weight, bias, moments, self.epsilon, kernels::Identity)
            .map_err(device_error::<D, E>)
    }
}

/// Evaluation, when weight and bias move.
impl<const C: usize, S, E, D, T, A> Along<Dual<S, E, D, T>> for BatchNorm<C, E, D, A>
where
    S: ChannelsSecond<Channels = Const<C>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_along(&self, direction: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (weight, bias) = (detached(&direction.weight)?, detached(&direction.bias)?);
        let at = x.with_empty_tape().value();
        let moved = self.standard_line(at, &weight, &bias, &self.running())?;
        let (z, dz) = self.pre_activation(x)?.split();
        activate(Dual::join(z, dz.try_add(moved)?), A::KIND)
    }
}

impl<const C: usize, S, E, D, T, A> ModuleMut<Dual<S, E, D, T>> for BatchNorm<C, E, D, A>
where
    S: ChannelsSecond<Channels = Const<C>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    /// The moments move with the batch.
    fn try_forward_mut(&mut self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let (n, c, m) = x.shape().volume();
        let rows = (c, n * m);
        let channels_first = |x: Tensor<S, E, D, T>| -> Result<_, D::Err> {
            x.try_reshaped(&(n, c, m))?
                .try_permute::<(usize, usize, usize), Axes3<1, 0, 2>>()?
                .try_reshaped(&rows)
        };
        let shape = *x.shape();
        let slope =
            standard_tangent(channels_first(x.with_empty_tape())?, channels_first(dx)?, self.epsilon, true)?;
        let slope = slope
            .try_reshaped(&(c, n, m))?
            .try_permute::<(usize, usize, usize), Axes3<1, 0, 2>>()?
            .try_reshaped(&(n, c, m))?;
        let tangent = per_channel(slope, &self.weight)?.try_reshaped(&shape)?;
        let BatchNormed { output, moments } =
            kernels::try_batch_norm(x, &self.weight, &self.bias, self.epsilon, kernels::Identity)
                .map_err(device_error::<D, E>)?;
        self.track(&moments)?;
        activate(Dual::join(output, tangent), A::KIND)
    }
}

/// Tangent of $\hat x$ over each row: $r\,(\dot c - \hat x\,\overline{\hat x \dot c})$ with $c = x - \mu$, recorded in $x$
/// and $\dot x$.
fn standard_tangent<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(usize, usize), E, D, T>,
    dx: Tensor<(usize, usize), E, D, T>,
    epsilon: f64,
    is_centred: bool,
) -> Result<Tensor<(usize, usize), E, D, T>, D::Err> {
    type Matrix<E, D, T> = Tensor<(usize, usize), E, D, T>;
    fn mean<E: Real, D: Device<E>, T: Tape<E, D>>(
        x: Matrix<E, D, T>,
    ) -> Result<Tensor<(usize,), E, D, T>, D::Err> {
        let count = E::of(x.shape().1 as f64);
        x.try_sum::<(usize,), Axis<1>>()?.try_div(count)
    }
    fn spread<E: Real, D: Device<E>, T: Tape<E, D>>(
        x: Tensor<(usize,), E, D, T>,
        shape: &(usize, usize),
    ) -> Result<Matrix<E, D, T>, D::Err> {
        x.try_broadcast_like::<_, Axis<1>>(shape)
    }
    fn centre<E: Real, D: Device<E>, T: Tape<E, D>>(x: Matrix<E, D, T>) -> Result<Matrix<E, D, T>, D::Err> {
        let shape = *x.shape();
        let mean = spread(mean(x.with_empty_tape())?, &shape)?;
        x.try_sub(mean)
    }
    let shape = *x.shape();
    let (c, dc) = if is_centred { (centre(x)?, centre(dx)?) } else { (x, dx) };
    let variance = mean(c.with_empty_tape().try_square()?)?;
    let r = spread(variance.try_add(E::of(epsilon))?.try_sqrt()?.try_recip()?, &shape)?;
    let standard = c.try_mul(r.with_empty_tape())?;
    let along = spread(mean(standard.with_empty_tape().try_mul(dc.with_empty_tape())?)?, &shape)?;
    dc.try_sub(standard.try_mul(along)?)?.try_mul(r)
}

/// `x` times a weight per channel.
fn per_channel<C: dfdx::prelude::Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(usize, usize, usize), E, D, T>,
    weight: &Tensor<(C,), E, D>,
) -> Result<Tensor<(usize, usize, usize), E, D, T>, D::Err> {
    let shape = *x.shape();
    let weight = weight.retaped::<T>().try_reshaped(&(shape.1,))?;
    x.try_mul(weight.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)
}

/// Tangent of a normalisation of groups of channels, before weight and bias.
fn group_tangent<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    dx: Tensor<S, E, D, T>,
    (n, c, m): (usize, usize, usize),
    groups: usize,
    epsilon: f64,
    is_centred: bool,
) -> Result<Tensor<(usize, usize, usize), E, D, T>, D::Err> {
    let rows = (n * groups, c / groups.max(1) * m);
    let (x, dx) = (x.try_reshaped(&rows)?, dx.try_reshaped(&rows)?);
    standard_tangent(x, dx, epsilon, is_centred)?.try_reshaped(&(n, c, m))
}

/// A normalisation that is the same in training and evaluation: parameters, shapes, kernel and tangent.
macro_rules! norm {
    (
        $(#[$doc:meta])*
        $name:ident<$size:ident $(, $more:ident)*>($($parameter:ident: $start:ident $meaning:literal),+),
        $shapes:ident<$axis:ident>,
        |$module:ident, $x:ident| $forward:expr,
        |$dual_module:ident, $y:ident, $dx:ident| $tangent:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<const $size: usize, $(const $more: usize,)* E: Dtype, D: Storage<E>> {
            $(
                #[doc = $meaning]
                pub $parameter: Tensor<Rank1<$size>, E, D>,
            )+
            /// ε, inside the root, at least 0; 1e-5.
            pub epsilon: f64,
        }

        impl<const $size: usize, $(const $more: usize,)* E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
            for builder::$name<$size, $($more),*>
        {
            type Built = $name<$size, $($more,)* E, D>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                Self::Built::try_build(device)
            }
        }

        impl<const $size: usize, $(const $more: usize,)* E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
            for $name<$size, $($more,)* E, D>
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = $name<$size, $($more,)* E2, D2>;
            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                visitor.visit_fields(
                    ($(Self::tensor(
                        stringify!($parameter),
                        |s| &s.$parameter,
                        |s| &mut s.$parameter,
                        TensorOptions::$start(),
                    ),)+),
                    |($($parameter,)+)| $name { $($parameter,)+ epsilon: EPSILON },
                )
            }
        }

        impl<const $size: usize, $(const $more: usize,)* E: Dtype, D: Storage<E>> NonMutableModule
            for $name<$size, $($more,)* E, D>
        {
        }

        impl<const $size: usize, $(const $more: usize,)* S, E, D, T> Module<Tensor<S, E, D, T>>
            for $name<$size, $($more,)* E, D>
        where
            S: $shapes<$axis = Const<$size>>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, $x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                let $module = self;
                $forward.map_err(device_error::<D, E>)
            }
        }

        impl<const $size: usize, $(const $more: usize,)* S, E, D, T> Module<Dual<S, E, D, T>>
            for $name<$size, $($more,)* E, D>
        where
            S: $shapes<$axis = Const<$size>>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, $dx) = x.split();
                let shape = *x.shape();
                let ($dual_module, $y) = (self, x.with_empty_tape());
                let slope = $tangent?;
                let tangent = per_channel(slope, &self.weight)?.try_reshaped(&shape)?;
                Ok(Dual::join(self.try_forward(x)?, tangent))
            }
        }

        impl<const $size: usize, $(const $more: usize,)* S, E, D, T> Along<Dual<S, E, D, T>>
            for $name<$size, $($more,)* E, D>
        where
            S: $shapes<$axis = Const<$size>>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            /// The output is linear in the parameters.
            fn try_along(&self, direction: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                let epsilon = self.epsilon;
                let moved = Self { $($parameter: detached(&direction.$parameter)?,)+ epsilon };
                let moved = moved.try_forward(x.with_empty_tape().value())?;
                let (y, dy) = self.try_forward(x)?.split();
                Ok(Dual::join(y, dy.try_add(moved)?))
            }
        }

        impl<const $size: usize, $(const $more: usize),*> Cost for builder::$name<$size, $($more),*> {
            const PARAMS: usize = $size * [$(stringify!($parameter)),+].len();
            const MACS: usize = 0;
        }
        impl<const $size: usize, $(const $more: usize,)* E: Dtype, D: Storage<E>> Cost
            for $name<$size, $($more,)* E, D>
        {
            const PARAMS: usize = $size * [$(stringify!($parameter)),+].len();
            const MACS: usize = 0;
        }
    };
}

norm! {
    /// Layer normalisation over the last axis.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::seed_from_u64(0);
    /// let norm = dev.build_module::<LayerNorm1D<4>, f64>();
    /// let x: Tensor<Rank3<2, 3, 4>, f64, _> = dev.sample_normal();
    /// let y = norm.forward(x).mean::<Rank2<2, 3>, _>().array();
    /// assert!(y.iter().flatten().all(|mean| mean.abs() < 1e-15));
    /// ```
    LayerNorm1D<M>(
        weight: reset_to_ones "$w$, `(M)`; starts as 1.",
        bias: reset_to_zeros "$b$, `(M)`; starts as 0."
    ),
    LastAxis<Features>,
    |s, x| kernels::try_layer_norm(x, &s.weight, &s.bias, s.epsilon),
    |s, x, dx| {
        let volume = (x.shape().rows().0, M, 1);
        group_tangent(x, dx, volume, 1, s.epsilon, true)
    }
}
norm! {
    /// Root mean square normalisation over the last axis.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let norm = dev.build_module::<RMSNorm<2>, f64>();
    /// let y = norm.forward(dev.tensor([[3.0, 4.0]])).square().sum::<Rank0, _>().array();
    /// assert!((y - 2.0).abs() < 1e-5);
    /// ```
    RMSNorm<M>(weight: reset_to_ones "$w$, `(M)`; starts as 1."),
    LastAxis<Features>,
    |s, x| kernels::try_rms_norm(x, &s.weight, s.epsilon),
    |s, x, dx| {
        let volume = (x.shape().rows().0, M, 1);
        group_tangent(x, dx, volume, 1, s.epsilon, false)
    }
}
norm! {
    /// Normalisation of `G` groups of channels of each sample. `G` must divide `C`, which the compiler checks.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::seed_from_u64(0);
    /// let norm = dev.build_module::<GroupNorm<6, 3>, f32>();
    /// let x: Tensor<Rank4<2, 6, 5, 5>, f32, _> = dev.sample_normal();
    /// let y: Tensor<Rank4<2, 6, 5, 5>, f32, _> = norm.forward(x);
    /// ```
    ///
    /// ```compile_fail
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let norm = dev.build_module::<GroupNorm<6, 4>, f32>();
    /// norm.forward(dev.zeros::<Rank4<2, 6, 5, 5>>());
    /// ```
    GroupNorm<C, G>(
        weight: reset_to_ones "$w$, `(C)`; starts as 1.",
        bias: reset_to_zeros "$b$, `(C)`; starts as 0."
    ),
    ChannelsSecond<Channels>,
    |s, x| kernels::try_group_norm(x, groups_of::<C, G>(), &s.weight, &s.bias, s.epsilon),
    |s, x, dx| {
        let volume = x.shape().volume();
        group_tangent(x, dx, volume, groups_of::<C, G>(), s.epsilon, true)
    }
}

/// `G`, if it divides `C`.
const fn groups_of<const C: usize, const G: usize>() -> usize {
    const { assert!(G > 0 && C.is_multiple_of(G), "the number of groups must divide the number of channels") };
    G
}

impl<const C: usize, A> Cost for builder::BatchNorm<C, A> {
    const PARAMS: usize = 2 * C;
    const MACS: usize = 0;
}
impl<const C: usize, E: Dtype, D: Storage<E>, A> Cost for BatchNorm<C, E, D, A> {
    const PARAMS: usize = 2 * C;
    const MACS: usize = 0;
}

/// Normalisation of the positions of each channel of each sample, without parameters, as PyTorch's default; with them it
/// is [`GroupNorm`]`<C, C>`.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let x: Tensor<Rank4<2, 3, 8, 8>, f32, _> = dev.sample_normal();
/// let y = InstanceNorm2D::default().forward(x * 5.0);
/// assert!((y.square().mean::<Rank0, _>().array() - 1.0).abs() < 1e-4);
/// ```
///
/// # Panics
/// For a single position per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstanceNorm2D {
    /// ε, inside the root, at least 0; 1e-5.
    pub epsilon: f64,
}

impl Default for InstanceNorm2D {
    fn default() -> Self {
        Self { epsilon: EPSILON }
    }
}
impl ZeroSizedModule for InstanceNorm2D {}
impl NonMutableModule for InstanceNorm2D {}
impl Cost for InstanceNorm2D {
    const PARAMS: usize = 0;
    const MACS: usize = 0;
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for InstanceNorm2D {
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        kernels::try_instance_norm(x, self.epsilon).map_err(device_error::<D, E>)
    }
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for InstanceNorm2D {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let (shape, volume) = (*x.shape(), x.shape().volume());
        let tangent = group_tangent(x.with_empty_tape(), dx, volume, volume.1, self.epsilon, true)?;
        Ok(Dual::join(self.try_forward(x)?, tangent.try_reshaped(&shape)?))
    }
}

/// Local response normalisation across channels; starts with AlexNet's values, set the field for others.
///
/// # Examples
/// ```
/// use kernels::LocalResponse;
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let norm = LocalResponseNorm { config: LocalResponse::averaged(5, 1.0, 1e-4, 0.75) };
/// let y: Tensor<Rank4<1, 2, 1, 1>, f64, _> = norm.forward(dev.ones());
/// assert!((y.array()[0][0][0][0] - (1.0 + 2.0 * 2e-5_f64).powf(-0.75)).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    /// Window and constants.
    pub config: LocalResponse,
}

impl Default for LocalResponseNorm {
    fn default() -> Self {
        Self { config: LocalResponse::ALEXNET }
    }
}
impl ZeroSizedModule for LocalResponseNorm {}
impl NonMutableModule for LocalResponseNorm {}
impl Cost for LocalResponseNorm {
    const PARAMS: usize = 0;
    const MACS: usize = 0;
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>>
    for LocalResponseNorm
{
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        kernels::try_local_response_norm(x, self.config).map_err(device_error::<D, E>)
    }
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for LocalResponseNorm {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    /// $\dot y = u^{-\beta}\,\dot x - \beta\,x\,u^{-\beta-1}\,\dot u$ with $\dot u = 2 \alpha \sum x \dot x$.
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let (shape, volume) = (*x.shape(), x.shape().volume());
        let (n, c, m) = volume;
        let LocalResponse { size, k, alpha, beta } = self.config;
        // Sums over neighbouring channels are products with a band of ones.
        let mut band = vec![E::zero(); c * c];
        for channel in 0..c {
            for near in channel.saturating_sub(size / 2)..(channel + (size - 1) / 2 + 1).min(c) {
                band[near * c + channel] = E::of(alpha);
            }
        }
        let band = x.device().try_tensor_from_vec(band, (c, c))?;
        let sums = |x: Tensor<(usize, usize, usize), E, D, T>| -> Result<_, D::Err> {
            let rows = x.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?.try_reshaped(&(n * m, c))?;
            kernels::try_matmul(rows, band.clone())
                .map_err(device_error::<D, E>)?
                .try_reshaped(&(n, m, c))?
                .try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?
                .try_row_major()
        };
        let at = x.with_empty_tape().try_reshaped(&volume)?;
        let dx = dx.try_reshaped(&volume)?;
        let u = sums(at.with_empty_tape().try_square()?)?.try_add(E::of(k))?;
        let du = sums(at.with_empty_tape().try_mul(dx.with_empty_tape())?)?;
        let ln = u.with_empty_tape().try_ln()?;
        let power = |exponent: f64| ln.with_empty_tape().try_mul(E::of(exponent))?.try_exp();
        let (outer, inner) = (power(-beta)?, power(-beta - 1.0)?);
        let moved = at.try_mul(inner)?.try_mul(du)?.try_mul(E::of(-2.0 * beta))?;
        let tangent = dx.try_mul(outer)?.try_add(moved)?;
        // The logarithm's own tape, and that of u, are used through empty tapes above: join them.
        let (_, of_u) = u.split_tape();
        let (_, of_ln) = ln.split_tape();
        let (tangent, tape) = tangent.split_tape();
        let tangent = tangent.put_tape(tape.merge(of_u).merge(of_ln));
        Ok(Dual::join(self.try_forward(x)?, tangent.try_reshaped(&shape)?))
    }
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Along<Dual<S, E, D, T>> for InstanceNorm2D {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_along(&self, _: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        self.try_forward(x)
    }
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Along<Dual<S, E, D, T>> for LocalResponseNorm {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_along(&self, _: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        self.try_forward(x)
    }
}
