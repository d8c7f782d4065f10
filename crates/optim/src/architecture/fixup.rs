//! Fixup: residual networks that train without normalisation, by their start alone.
//!
//! $$ y = \mathrm{relu}\bigl(x + s\,W_2\,h + b_4\bigr), \qquad h = \mathrm{relu}\bigl(W_1 (x + b_1) + b_2\bigr) + b_3 $$
//!
//! | symbol | code | start |
//! |---|---|---|
//! | $W_1$ | [`FixupBlock::first`], any module | He's, times $L^{-1/(2m-2)}$: $L^{-1/2}$ for $m = 2$ weights in a branch |
//! | $W_2$ | [`FixupBlock::second`] | 0 |
//! | $s$ | [`FixupBlock::scale`] | 1 |
//! | $b_1 \dots b_4$ | `before_first` … `after` | 0 |
//! | $L$ | blocks of the network, counted by [`draw`] | |
//! | classifier | named to [`draw`] | 0 |
//!
//! With a second weight of 0 every block is the identity on what a rectifier gives, at any depth. One step of descent then
//! changes the function by $\Theta(\eta)$: each branch by $\eta\,\lvert h\rvert^2$ in the direction of its gradient, and
//! $\lvert h\rvert^2$ is $1/L$ of what it would be without the scale, so that $L$ branches together move as one. A start
//! without the scale moves $L$ times as far and needs a rate that much smaller; batch norm has the same effect.
//!
//! **Use it** for residual networks whose batches are small or whose examples must not see each other. **Not** with
//! normalisation layers, which set the scale themselves. [`ReZero`](super::blocks::ReZero) is the simpler relative: a factor
//! of 0 in front of the branch.
//!
//! **Paper**: Zhang, Dauphin & Ma (2019), Fixup initialization: residual learning without normalization, arXiv 1901.09321;
//! the block is that of the authors' code.
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{
    BroadcastTo, Dtype, HasShape, Rank0, Shape, Storage, Tape, Tensor, TryAdd, TryMul, WithEmptyTape,
};
use kernels::random::Key;
use kernels::{Device, Real, Relu};
use layers::init::{self, Fan, Init, gain};
use layers::params;

use crate::Error;

/// The description of the block, for `build_module`.
pub mod builder {
    use std::marker::PhantomData;

    /// Builds a [`FixupBlock`](super::FixupBlock) of the weight layers `F` and `G`: linear or convolutional, without
    /// activation, and without bias if you follow the paper to the letter (with one, it starts at 0 and does no harm).
    #[derive(Clone, Copy, Debug, Default)]
    pub struct FixupBlock<F, G>(PhantomData<(F, G)>);
}

/// The block itself; [`builder::FixupBlock`] describes it without dtype and device.
#[derive(Clone, Debug)]
pub struct FixupBlock<F, G, E: Dtype, D: Storage<E>> {
    /// $W_1$.
    pub first: F,
    /// $W_2$, back to the shape of the input.
    pub second: G,
    /// $s$.
    pub scale: Tensor<Rank0, E, D>,
    /// $b_1$.
    pub before_first: Tensor<Rank0, E, D>,
    /// $b_2$.
    pub before_activation: Tensor<Rank0, E, D>,
    /// $b_3$.
    pub before_second: Tensor<Rank0, E, D>,
    /// $b_4$.
    pub after: Tensor<Rank0, E, D>,
}

impl<F, G, E, D> BuildOnDevice<D, E> for builder::FixupBlock<F, G>
where
    F: BuildOnDevice<D, E>,
    G: BuildOnDevice<D, E>,
    E: Real,
    D: dfdx::prelude::Device<E>,
    F::Built: BuildModule<D, E>,
    G::Built: BuildModule<D, E>,
{
    type Built = FixupBlock<F::Built, G::Built, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Ok(FixupBlock {
            first: F::try_build_on_device(device)?,
            second: G::try_build_on_device(device)?,
            scale: device.try_ones()?,
            before_first: device.try_zeros()?,
            before_activation: device.try_zeros()?,
            before_second: device.try_zeros()?,
            after: device.try_zeros()?,
        })
    }
}

impl<F, G, E, D> TensorCollection<E, D> for FixupBlock<F, G, E, D>
where
    F: TensorCollection<E, D>,
    G: TensorCollection<E, D>,
    E: Real,
    D: dfdx::prelude::Device<E>,
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = FixupBlock<F::To<E2, D2>, G::To<E2, D2>, E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let zeros = TensorOptions::reset_to_zeros;
        let scale = Self::tensor("scale", |s| &s.scale, |s| &mut s.scale, TensorOptions::reset_to_ones());
        let biases = (
            Self::tensor("before_first", |s| &s.before_first, |s| &mut s.before_first, zeros()),
            Self::tensor(
                "before_activation",
                |s| &s.before_activation,
                |s| &mut s.before_activation,
                zeros(),
            ),
            Self::tensor("before_second", |s| &s.before_second, |s| &mut s.before_second, zeros()),
            Self::tensor("after", |s| &s.after, |s| &mut s.after, zeros()),
        );
        let first = Self::module("first", |s| &s.first, |s| &mut s.first);
        let second = Self::module("second", |s| &s.second, |s| &mut s.second);
        visitor.visit_fields((first, second, scale, biases), |(first, second, scale, biases)| {
            let (before_first, before_activation, before_second, after) = biases;
            FixupBlock { first, second, scale, before_first, before_activation, before_second, after }
        })
    }
}

impl<F: NonMutableModule, G: NonMutableModule, E: Dtype, D: Storage<E>> NonMutableModule
    for FixupBlock<F, G, E, D>
{
}

/// x + b for a number b.
fn add<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    bias: &Tensor<Rank0, E, D>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let bias = bias.retaped::<T>().try_broadcast_like::<_, S::AllAxes>(x.shape())?;
    x.try_add(bias)
}

// ANCHOR: forward
impl<F, G, S, H, E, D, T> Module<Tensor<S, E, D, T>> for FixupBlock<F, G, E, D>
where
    S: Shape,
    H: Shape,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    F: Module<Tensor<S, E, D, T>, Output = Tensor<H, E, D, T>, Error = D::Err>,
    G: Module<Tensor<H, E, D, T>, Output = Tensor<S, E, D, T>, Error = D::Err>,
{
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let votes = self.first.try_forward(add(x.with_empty_tape(), &self.before_first)?)?;
        let hidden = kernels::try_activate(add(votes, &self.before_activation)?, Relu)?;
        let change = self.second.try_forward(add(hidden, &self.before_second)?)?;
        let scale = self.scale.retaped::<T>().try_broadcast_like::<_, S::AllAxes>(x.shape())?;
        let change = add(change.try_mul(scale)?, &self.after)?;
        kernels::try_activate(change.try_add(x)?, Relu)
    }
}
// ANCHOR_END: forward

/// $L^{-1/(2m-2)}$ for $L$ branches of $m$ weight layers each.
///
/// # Errors
/// [`Error::InvalidHyper`] without a branch, or with fewer than two layers in each: what of one is scaled is 0 already.
pub fn branch_scale(branches: usize, layers: usize) -> Result<f64, Error> {
    if branches == 0 {
        return Err(Error::InvalidHyper { name: "branches", rule: "at least 1", value: 0.0 });
    }
    if layers < 2 {
        return Err(Error::InvalidHyper { name: "layers", rule: "at least 2", value: layers as f64 });
    }
    Ok((branches as f64).powf(-1.0 / (2.0 * layers as f64 - 2.0)))
}

// ANCHOR: draw
/// Starts a network that has [`FixupBlock`]s: the rules of the table above for the blocks and for `classifier`, the path of
/// the last layer (`2` for the third of a tuple); He's weights and biases of 0 for all others. Returns $L$.
///
/// # Examples
/// ```
/// use kernels::random::Key;
/// use layers::prelude::*;
/// use optim::architecture::fixup::{self, builder::FixupBlock};
///
/// type Block = FixupBlock<Linear<16, 16>, Linear<16, 16>>;
/// type Net = ((Linear<8, 16>, Relu), Repeated<Block, 50>, Linear<16, 3>);
/// let dev = Cpu::seed_from_u64(0);
/// let mut net = dev.build_module::<Net, f32>();
/// assert_eq!(fixup::draw(&mut net, "2", Key::new(0))?, 50);
/// let x: Tensor<Rank2<4, 8>, f32, _> = dev.sample_normal();
/// let first = net.0.forward(x);
/// assert_eq!(net.1.forward(first.clone()).array(), first.array()); // fifty blocks that are the identity as yet
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] when the model has no such block; [`Error::Empty`] when nothing is called `classifier`;
/// [`Error::Device`].
pub fn draw<M, E, D>(model: &mut M, classifier: &str, key: Key) -> Result<usize, Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let names = params::names(model);
    let blocks: Vec<String> =
        names.iter().filter_map(|name| Some(name.strip_suffix("before_first")?.to_owned())).collect();
    let scale = branch_scale(blocks.len(), 2)?;
    let of_classifier = |name: &str| {
        name.strip_prefix(classifier).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if !names.iter().any(|name| of_classifier(name)) {
        return Err(Error::Empty { what: "fixup::draw (tensors of the classifier)" });
    }
    let rule = |parameter: &params::Parameter| {
        let name = parameter.name.as_str();
        let in_block = blocks.iter().find_map(|block| name.strip_prefix(block.as_str()));
        match (in_block, parameter.ndim()) {
            _ if of_classifier(name) => Init::Constant(0.0),
            (Some("scale"), _) => Init::Constant(1.0),
            (_, 0 | 1) => Init::Constant(0.0),
            (Some(part), _) if part.starts_with("second") => Init::Constant(0.0),
            (Some(_), _) => Init::he_normal(parameter, Fan::In, scale * gain::RELU),
            (None, _) => Init::he_normal(parameter, Fan::In, gain::RELU),
        }
    };
    init::draw(model, rule, key)?;
    Ok(blocks.len())
}
// ANCHOR_END: draw
