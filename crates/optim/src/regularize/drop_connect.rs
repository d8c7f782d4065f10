//! DropConnect: a fully connected layer that loses single weights in training, others for each example.
//!
//! $$ y_b = \varphi\bigl((M_b \odot W)\,x_b + m_b \odot c\bigr), \qquad
//!    M_{boi}, m_{bo} = \frac{1}{1-p} \text{ with probability } 1 - p, \text{ else } 0 $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $x$ | input | `(B, I)` |
//! | $W$, $c$ | `linear.weight`, `linear.bias` | `(O, I)`, `(O)` |
//! | $p$ | `noise.rate()` | in \[0, 1) |
//! | $\varphi$ | `A` | |
//!
//! Dropout of the inputs is the special case in which a whole column of $M_b$ is dropped at once. Over the masks a vote has
//! the mean $W x + c$ and the variance $\frac{p}{1-p} \bigl(W^{\circ 2} x^{\circ 2} + c^{\circ 2}\bigr)$. Evaluation with
//! [`Module`] sends the mean through $\varphi$; [`DropConnect::infer`] is the paper's inference, which draws votes from the
//! normal distribution of this mean and variance and averages $\varphi$ over them.
//!
//! **Use it** for one wide layer before the classifier. **Not** for all layers of a large network: the masks of a batch take
//! $B \cdot O \cdot I$ numbers, and [`Dropout`] gives most of the gain.
//!
//! **Paper**: Wan, Zeiler, Zhang, LeCun & Fergus (2013), Regularization of neural networks using DropConnect, ICML.
//! **Deviations**: $p$ is the probability to drop, as everywhere here, and the scale stands in training; the paper keeps
//! with probability $p$ and scales in inference.
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildOnDevice, Module, ModuleMut};
use dfdx::prelude::{
    BroadcastTo, Const, Dim, Dtype, HasShape, ReshapeTo, Storage, Tape, Tensor, TryAdd, TryMul,
};
use kernels::random::Key;
use kernels::{Device, Real};
use layers::activation::Activation;
use layers::modules::{Dropout, Identity, Linear};
use layers::params::DeviceError;

use crate::Error;

/// The description of the layer, for `build_module`.
pub mod builder {
    use layers::modules::Identity;
    use std::marker::PhantomData;

    /// Builds a [`DropConnect`](super::DropConnect) from `I` to `O` features with the rate 0.5, followed by the activation
    /// `A`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct DropConnect<const I: usize, const O: usize, A = Identity>(PhantomData<A>);
}

/// The layer itself; [`builder::DropConnect`] describes it without dtype and device.
///
/// # Examples
/// ```
/// use kernels::random::Key;
/// use layers::prelude::*;
/// use optim::regularize::drop_connect::builder::DropConnect;
///
/// let dev = Cpu::seed_from_u64(0);
/// let mut net = dev.build_module::<(DropConnect<3, 8, Relu>, Linear<8, 2>), f32>();
/// net.0.noise = modules::Dropout::new(0.25).with_key(Key::new(1));
/// let x: Tensor<Rank2<4, 3>, f32, _> = dev.ones();
/// let [first, second, ..] = net.forward_mut(x.clone()).array();
/// assert_ne!(first, second); // equal examples, other masks
/// let [first, second, ..] = net.forward(x).array();
/// assert_eq!(first, second); // evaluation
/// ```
#[derive(Clone, Debug)]
pub struct DropConnect<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A = Identity> {
    /// Weights, bias and activation.
    pub linear: Linear<I, O, E, D, A>,
    /// What drops the weights: the rate, the key, and how often it was used.
    pub noise: Dropout,
}

impl<const I: usize, const O: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation> BuildOnDevice<D, E>
    for builder::DropConnect<I, O, A>
{
    type Built = DropConnect<I, O, E, D, A>;
}

impl<const I: usize, const O: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation>
    TensorCollection<E, D> for DropConnect<I, O, E, D, A>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = DropConnect<I, O, E2, D2, A>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let linear = Self::module("linear", |s| &s.linear, |s| &mut s.linear);
        let noise = Self::module("noise", |s| &s.noise, |s| &mut s.noise);
        visitor.visit_fields((linear, noise), |(linear, noise)| DropConnect { linear, noise })
    }
}

/// Evaluation: the mean vote through the activation.
impl<const I: usize, const O: usize, X, E: Dtype, D: Storage<E>, A> Module<X> for DropConnect<I, O, E, D, A>
where
    Linear<I, O, E, D, A>: Module<X>,
{
    type Output = <Linear<I, O, E, D, A> as Module<X>>::Output;
    type Error = <Linear<I, O, E, D, A> as Module<X>>::Error;
    fn try_forward(&self, x: X) -> Result<Self::Output, Self::Error> {
        self.linear.try_forward(x)
    }
}

// ANCHOR: forward
/// Training: a mask for each weight of each example, and for each bias of each example.
impl<const I: usize, const O: usize, B, E, D, T, A> ModuleMut<Tensor<(B, Const<I>), E, D, T>>
    for DropConnect<I, O, E, D, A>
where
    B: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Tensor<(B, Const<O>), E, D, T>;
    type Error = D::Err;
    fn try_forward_mut(&mut self, x: Tensor<(B, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
        let (batch, outputs, inputs) = (x.shape().0, Const::<O>, Const::<I>);
        let weight = self.linear.weight.retaped::<T>().try_broadcast_like(&(batch, outputs, inputs))?;
        let weight = self.noise.try_forward_mut(weight)?; // (B, O, I)
        let votes = kernels::try_matmul(weight, x.try_reshape_like(&(batch, inputs, Const::<1>))?);
        let votes = votes.map_err(|error| error.into_device::<D::Err>().unwrap_or_else(|e| panic!("{e}")))?;
        let bias = self.linear.bias.retaped::<T>().try_broadcast_like(&(batch, outputs))?;
        let bias = self.noise.try_forward_mut(bias)?; // (B, O)
        kernels::try_activate(votes.try_reshape_like(&(batch, outputs))?.try_add(bias)?, A::KIND)
    }
}
// ANCHOR_END: forward

impl<const I: usize, const O: usize, E: Real, D: Device<E>, A: Activation> DropConnect<I, O, E, D, A> {
    /// The paper's inference: the mean of $\varphi(u)$ over `samples` draws of normal votes $u$ with the mean and variance
    /// that the masks give, elements independent.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] without a sample; [`Error::Device`].
    pub fn infer<B: Dim>(
        &self,
        x: &Tensor<(B, Const<I>), E, D>,
        samples: u64,
        key: Key,
    ) -> Result<Tensor<(B, Const<O>), E, D>, Error> {
        if samples == 0 {
            return Err(Error::InvalidHyper { name: "samples", rule: "at least 1", value: 0.0 });
        }
        Ok(self.mean_of_draws(x, samples, key).map_err(DeviceError::new)?)
    }

    fn mean_of_draws<B: Dim>(
        &self,
        x: &Tensor<(B, Const<I>), E, D>,
        samples: u64,
        key: Key,
    ) -> Result<Tensor<(B, Const<O>), E, D>, D::Err> {
        let votes = |x, weight: &_, bias: &_| {
            kernels::try_linear(
                x,
                weight,
                bias,
                kernels::ActivationKind::Identity,
                kernels::InputGradient::Skipped,
            )
        };
        let rate = self.noise.rate();
        let mean: Tensor<(B, Const<O>), E, D> = votes(x.clone(), &self.linear.weight, &self.linear.bias)?;
        let (weight, bias) =
            (self.linear.weight.clone().try_square()?, self.linear.bias.clone().try_square()?);
        let variance = votes(x.clone().try_square()?, &weight, &bias)?.try_mul(E::of(rate / (1.0 - rate)))?;
        let deviation = variance.try_sqrt()?;
        let mut sum: Tensor<(B, Const<O>), E, D> = mean.device().try_zeros_like(mean.shape())?;
        for sample in 0..samples {
            let normal = key.fold(sample).try_normal(mean.device(), *mean.shape())?;
            let vote = mean.clone().try_add(deviation.clone().try_mul(normal)?)?;
            sum = sum.try_add(kernels::try_activate(vote, A::KIND)?)?;
        }
        sum.try_mul(E::of(1.0 / samples as f64))
    }
}
