//! The fully connected layer, with bias and activation in one operation.
//!
//! $$ Y = \varphi(X W^\top + b) $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $X$ | input | `(I)`, `(B, I)`, `(B, T, I)` or four axes |
//! | $W$ | [`Linear::weight`] | `(O, I)` |
//! | $b$ | [`Linear::bias`] | `(O)` |
//! | $\varphi$ | [`Linear::activation`] | |
//!
//! **Initialisation**: weights and biases uniform in $[-1/\sqrt I, 1/\sqrt I]$, as dfdx and PyTorch do: the same seed
//! gives the same numbers as dfdx's own layer. The variance is then 1/(3 I), which is neither Glorot's nor He's; a deep
//! ReLU network started this way dies out ([`crate::init`] and the crate `optim` have others).
//! **Deviations** from dfdx's layer: the bias and the activation are part of the product's operation; the gradient of
//! the input can be switched off; four axes are allowed.
use crate::activation::{Activation, Identity};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{Dtype, Rank1, Rank2, Storage, Tape, Tensor};
use kernels::{Device, FeaturesLast, InputGradient, Real, try_linear};
use rand_distr::Uniform;
use std::marker::PhantomData;

/// The description of a linear layer, for `build_module`.
pub mod builder {
    use super::{Identity, PhantomData};

    /// Builds a [`Linear`](super::Linear) from `I` to `O` features, followed by the activation `A`.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// type Classifier = (Linear<784, 30, Sigmoid>, Linear<30, 10>);
    /// let model = Cpu::default().build_module::<Classifier, f32>();
    /// assert_eq!(layers::params::count(&model), 784 * 30 + 30 + 30 * 10 + 10);
    /// ```
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Linear<const I: usize, const O: usize, A = Identity>(PhantomData<A>);
}

/// The layer itself; [`builder::Linear`] describes it without dtype and device.
///
/// # Examples
/// ```
/// use layers::{modules, prelude::*};
/// let dev = Cpu::default();
/// let mut first: modules::Linear<3, 2, f32, Cpu> = BuildModule::build(&dev);
/// first.input_gradient = InputGradient::Skipped; // it reads data
/// let one: Tensor<Rank1<2>, f32, _> = first.forward(dev.zeros::<Rank1<3>>());
/// let batch: Tensor<(usize, Const<2>), f32, _> = first.forward(dev.zeros_like(&(7, Const::<3>)));
/// assert_eq!(batch.as_vec()[..2], one.array());
/// ```
#[derive(Clone, Debug)]
pub struct Linear<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A = Identity> {
    /// $W$, `(O, I)`: row `o` holds what output `o` looks for.
    pub weight: Tensor<Rank2<O, I>, E, D>,
    /// $b$, `(O)`.
    pub bias: Tensor<Rank1<O>, E, D>,
    /// $\varphi$.
    pub activation: A,
    /// Whether backward computes the gradient of the input, a third of its work. Skip it on the first layer of a model
    /// that is not asked for the gradient of its data. Building and dfdx's `to_dtype` set it to `Needed`.
    pub input_gradient: InputGradient,
}

impl<const I: usize, const O: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation> BuildOnDevice<D, E>
    for builder::Linear<I, O, A>
{
    type Built = Linear<I, O, E, D, A>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

impl<const I: usize, const O: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation>
    TensorCollection<E, D> for Linear<I, O, E, D, A>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Linear<I, O, E2, D2, A>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::tensor(
                    "weight",
                    |s| &s.weight,
                    |s| &mut s.weight,
                    TensorOptions::reset_with(|weight| weight.try_fill_with_distr(uniform(I))),
                ),
                Self::tensor(
                    "bias",
                    |s| &s.bias,
                    |s| &mut s.bias,
                    TensorOptions::reset_with(|bias| bias.try_fill_with_distr(uniform(I))),
                ),
            ),
            |(weight, bias)| Linear {
                weight,
                bias,
                activation: A::default(),
                input_gradient: InputGradient::Needed,
            },
        )
    }
}

/// The default initialisation of a layer with `inputs` features.
fn uniform<E: Real>(inputs: usize) -> Uniform<E> {
    let bound = E::one() / E::of(inputs as f64).sqrt();
    Uniform::new(-bound, bound)
}

impl<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A> NonMutableModule for Linear<I, O, E, D, A> {}

impl<const I: usize, const O: usize, S, E, D, T, A> Module<Tensor<S, E, D, T>> for Linear<I, O, E, D, A>
where
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    A: Activation,
{
    type Output = Tensor<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        try_linear(x, &self.weight, &self.bias, A::KIND, self.input_gradient)
    }
}
