//! Blocks with a way around, as dfdx modules: highway, ReZero and the dense block, beside dfdx's `Residual`.
//!
//! | block | output for the input $x$ and the branch $F$ | at the start | paper |
//! |---|---|---|---|
//! | `Residual<F>` (dfdx) | $x + F(x)$ | the branch counts fully | He et al. (2016), arXiv 1512.03385 |
//! | [`ReZero<F>`](builder::ReZero) | $x + \alpha F(x)$, $\alpha$ trained | $\alpha = 0$: the identity | Bachlechner et al. (2021), arXiv 2003.04887 |
//! | [`Highway<F, W>`](builder::Highway) | $g \odot F(x) + (1 - g) \odot x$, $g = \sigma(W_g x + b_g)$ | as drawn; set $b_g = -2$ for deep stacks | Srivastava, Greff & Schmidhuber (2015), arXiv 1505.00387 |
//! | [`DenseUnit`](builder::DenseUnit), [`DenseLayer`](builder::DenseLayer) | $x$ and $F(x)$ side by side, more features or channels | nothing is lost | Huang et al. (2017), DenseNet, arXiv 1608.06993 |
//!
//! **Which**: ReZero where a plain stack is too deep to start; highway where a unit should choose; `Residual` with
//! normalised branches for images.
//!
//! ```
//! use layers::prelude::*;
//! use optim::architecture::blocks::builder::{Highway, ReZero};
//!
//! type Net = (Linear<8, 16>, Repeated<ReZero<Linear<16, 16, Relu>>, 32>, Highway<Linear<16, 16, Tanh>, 16>);
//! let dev = Cpu::seed_from_u64(0);
//! let net = dev.build_module::<Net, f32>();
//! let x: Tensor<Rank2<4, 8>, f32, _> = dev.sample_normal();
//! let deep = (net.0.clone(), net.1.clone());
//! assert_eq!(deep.forward(x.clone()).array(), net.0.forward(x).array()); // 32 layers that are the identity as yet
//! ```
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{
    BroadcastTo, Const, Dim, Dtype, HasShape, Rank0, Shape, Storage, Tape, Tensor, TryAdd, TryMul, TrySub,
    WithEmptyTape,
};
use kernels::{Device, Real};
use layers::modules::{Linear, Sigmoid};

/// Descriptions of the blocks, for `build_module`.
pub mod builder {
    use layers::prelude::{AvgPool2D, BatchNorm2D, Concat, Identity, Linear, Relu, UnbiasedConv2D};
    use std::marker::PhantomData;

    /// Builds a [`ReZero`](super::ReZero) around `F`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct ReZero<F>(PhantomData<F>);
    /// Builds a [`Highway`](super::Highway) around `F`, for vectors of `W` features.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Highway<F, const W: usize>(PhantomData<F>);

    // ANCHOR: dense
    /// `I` features, and `G` new ones behind them: `(B, I)` → `(B, I + G)`. Several in a tuple, each as wide as the one
    /// before left it, are a dense block of vectors.
    pub type DenseUnit<const I: usize, const G: usize> = Concat<(Identity, Linear<I, G, Relu>)>;
    /// DenseNet-B's layer: `C` channels, and `G` new ones behind them through `M` = 4 `G` channels in between,
    /// `(B, C, H, W)` → `(B, C + G, H, W)`.
    pub type DenseLayer<const C: usize, const M: usize, const G: usize> = Concat<(
        Identity,
        (
            (BatchNorm2D<C, Relu>, UnbiasedConv2D<C, M, 1>),
            (BatchNorm2D<M, Relu>, UnbiasedConv2D<M, G, 3, 1, 1>),
        ),
    )>;
    /// What stands between two dense blocks: `O` of `C` channels (half of them in the paper), half as high and wide.
    pub type Transition<const C: usize, const O: usize> =
        (BatchNorm2D<C, Relu>, UnbiasedConv2D<C, O, 1>, AvgPool2D<2, 2>);
    // ANCHOR_END: dense
}

/// $x + \alpha F(x)$; [`builder::ReZero`] describes it without dtype and device.
#[derive(Clone, Debug)]
pub struct ReZero<F, E: Dtype, D: Storage<E>> {
    /// $F$, from a shape to the same shape.
    pub branch: F,
    /// $\alpha$, 0 at the start.
    pub scale: Tensor<Rank0, E, D>,
}

/// $g \odot F(x) + (1 - g) \odot x$; [`builder::Highway`] describes it without dtype and device.
#[derive(Clone, Debug)]
pub struct Highway<F, const W: usize, E: Dtype, D: Storage<E>> {
    /// $F$, from `(B, W)` to `(B, W)`.
    pub branch: F,
    /// $g$, `(W)` from `(W)`; drawn as any layer; the paper starts its biases at −2.
    pub gate: Linear<W, W, E, D, Sigmoid>,
}

impl<F, E, D> BuildOnDevice<D, E> for builder::ReZero<F>
where
    F: BuildOnDevice<D, E>,
    E: Real,
    D: dfdx::prelude::Device<E>,
    F::Built: BuildModule<D, E>,
{
    type Built = ReZero<F::Built, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Ok(ReZero { branch: F::try_build_on_device(device)?, scale: device.try_zeros()? })
    }
}

impl<F, const W: usize, E, D> BuildOnDevice<D, E> for builder::Highway<F, W>
where
    F: BuildOnDevice<D, E>,
    E: Real,
    D: dfdx::prelude::Device<E>,
    Linear<W, W, E, D, Sigmoid>: BuildModule<D, E>,
{
    type Built = Highway<F::Built, W, E, D>;
}

impl<F: TensorCollection<E, D>, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for ReZero<F, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = ReZero<F::To<E2, D2>, E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let scale = Self::tensor("scale", |s| &s.scale, |s| &mut s.scale, TensorOptions::reset_to_zeros());
        let branch = Self::module("branch", |s| &s.branch, |s| &mut s.branch);
        visitor.visit_fields((branch, scale), |(branch, scale)| ReZero { branch, scale })
    }
}

impl<F: TensorCollection<E, D>, const W: usize, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for Highway<F, W, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Highway<F::To<E2, D2>, W, E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let branch = Self::module("branch", |s| &s.branch, |s| &mut s.branch);
        let gate = Self::module("gate", |s| &s.gate, |s| &mut s.gate);
        visitor.visit_fields((branch, gate), |(branch, gate)| Highway { branch, gate })
    }
}

impl<F: NonMutableModule, E: Dtype, D: Storage<E>> NonMutableModule for ReZero<F, E, D> {}
impl<F: NonMutableModule, const W: usize, E: Dtype, D: Storage<E>> NonMutableModule for Highway<F, W, E, D> {}

// ANCHOR: forward
impl<F, S, E, D, T> Module<Tensor<S, E, D, T>> for ReZero<F, E, D>
where
    S: Shape,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    F: Module<Tensor<S, E, D, T>, Output = Tensor<S, E, D, T>, Error = D::Err>,
{
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let scale = self.scale.retaped::<T>().try_broadcast_like::<_, S::AllAxes>(x.shape())?;
        self.branch.try_forward(x.with_empty_tape())?.try_mul(scale)?.try_add(x)
    }
}

impl<F, const W: usize, B, E, D, T> Module<Tensor<(B, Const<W>), E, D, T>> for Highway<F, W, E, D>
where
    B: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    F: Module<Tensor<(B, Const<W>), E, D, T>, Output = Tensor<(B, Const<W>), E, D, T>, Error = D::Err>,
    Linear<W, W, E, D, Sigmoid>:
        Module<Tensor<(B, Const<W>), E, D, T>, Output = Tensor<(B, Const<W>), E, D, T>, Error = D::Err>,
{
    type Output = Tensor<(B, Const<W>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Self::Output) -> Result<Self::Output, D::Err> {
        let gate = self.gate.try_forward(x.with_empty_tape())?;
        let change = self.branch.try_forward(x.with_empty_tape())?.try_sub(x.with_empty_tape())?;
        change.try_mul(gate)?.try_add(x) // x + g (F(x) − x)
    }
}
// ANCHOR_END: forward
