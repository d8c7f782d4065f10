//! Tangents of the layers on graphs.
use super::along::detached;
use super::{Along, Dual, own_layers};
use crate::activation::Activation;
use crate::graph::{
    GraphConvolution, NeighbourConvolution, OnGraph, PerNode, device, gathered, product, with_bias,
};
use dfdx::nn::Module;
use dfdx::prelude::{Const, Dim, Rank1, Tape, Tensor, TryAdd, WithEmptyTape};
use kernels::sparse::{SparseDevice, SparseError};
use kernels::{InputGradient, Real, try_add};

/// Nodes with value and tangent, on their graph.
type Nodes<'a, const F: usize, N, E, D, T> = OnGraph<'a, Dual<(N, Const<F>), E, D, T>, E, N>;
type Rows<const F: usize, N, E, D, T> = Tensor<(N, Const<F>), E, D, T>;

/// A layer that is linear before its activation, in the features and in the weights.
trait Affine<const I: usize, const O: usize, E: Real, D: SparseDevice<E>> {
    /// The product without the bias.
    fn linear<N: Dim, T: Tape<E, D>>(
        &self,
        x: OnGraph<'_, Rows<I, N, E, D, T>, E, N>,
        input_gradient: InputGradient,
    ) -> Result<Rows<O, N, E, D, T>, SparseError>;

    fn bias(&self) -> &Tensor<Rank1<O>, E, D>;

    fn input_gradient(&self) -> InputGradient;

    /// The same weights with ids of their own; see [`detached`].
    fn detached(&self) -> Result<Self, SparseError>
    where
        Self: Sized;
}

impl<const I: usize, const O: usize, E: Real, D: SparseDevice<E>, A: Activation> Affine<I, O, E, D>
    for GraphConvolution<I, O, E, D, A>
{
    fn linear<N: Dim, T: Tape<E, D>>(
        &self,
        OnGraph { x, graph }: OnGraph<'_, Rows<I, N, E, D, T>, E, N>,
        input_gradient: InputGradient,
    ) -> Result<Rows<O, N, E, D, T>, SparseError> {
        gathered(graph, x, &self.weight, input_gradient)
    }

    fn bias(&self) -> &Tensor<Rank1<O>, E, D> {
        &self.bias
    }

    fn input_gradient(&self) -> InputGradient {
        self.input_gradient
    }

    fn detached(&self) -> Result<Self, SparseError> {
        Ok(Self {
            weight: detached(&self.weight).map_err(device)?,
            bias: detached(&self.bias).map_err(device)?,
            ..self.clone()
        })
    }
}

impl<const I: usize, const O: usize, E: Real, D: SparseDevice<E>, A: Activation> Affine<I, O, E, D>
    for NeighbourConvolution<I, O, E, D, A>
{
    fn linear<N: Dim, T: Tape<E, D>>(
        &self,
        OnGraph { x, graph }: OnGraph<'_, Rows<I, N, E, D, T>, E, N>,
        input_gradient: InputGradient,
    ) -> Result<Rows<O, N, E, D, T>, SparseError> {
        let own = product(x.retaped::<T>(), &self.weight_self, input_gradient)?;
        try_add(gathered(graph, x, &self.weight_near, input_gradient)?, own).map_err(device)
    }

    fn bias(&self) -> &Tensor<Rank1<O>, E, D> {
        &self.bias
    }

    fn input_gradient(&self) -> InputGradient {
        self.input_gradient
    }

    fn detached(&self) -> Result<Self, SparseError> {
        Ok(Self {
            weight_self: detached(&self.weight_self).map_err(device)?,
            weight_near: detached(&self.weight_near).map_err(device)?,
            bias: detached(&self.bias).map_err(device)?,
            ..self.clone()
        })
    }
}

/// The pre-activation.
fn affine<const I: usize, const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    layer: &impl Affine<I, O, E, D>,
    OnGraph { x, graph }: Nodes<'_, I, N, E, D, T>,
) -> Result<Dual<(N, Const<O>), E, D, T>, SparseError> {
    let (x, dx) = x.split();
    let z = layer.linear(OnGraph { x, graph }, layer.input_gradient())?;
    let dz = layer.linear(OnGraph { x: dx, graph }, InputGradient::Needed)?;
    Ok(Dual::join(with_bias(z, layer.bias())?, dz))
}

/// The pre-activation when the weights move by those of `direction`: their own product, and bias, come to the tangent.
fn affine_along<const I: usize, const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>, L>(
    layer: &L,
    direction: &L,
    nodes: Nodes<'_, I, N, E, D, T>,
) -> Result<Dual<(N, Const<O>), E, D, T>, SparseError>
where
    L: Affine<I, O, E, D>,
{
    let direction = direction.detached()?;
    let at = OnGraph { x: nodes.x.with_empty_tape().value(), graph: nodes.graph };
    let moved = with_bias(direction.linear(at, layer.input_gradient())?, direction.bias())?;
    let (z, dz) = affine(layer, nodes)?.split();
    Ok(Dual::join(z, dz.try_add(moved).map_err(device)?))
}

macro_rules! tangents {
    ($($name:ident)*) => {$(
        impl<'a, const I: usize, const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>, A>
            Module<Nodes<'a, I, N, E, D, T>> for $name<I, O, E, D, A>
        where
            A: Activation,
        {
            type Output = Nodes<'a, O, N, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, nodes: Nodes<'a, I, N, E, D, T>) -> Result<Self::Output, D::Err> {
                let graph = nodes.graph;
                let z = affine(self, nodes).unwrap_or_else(|error| panic!("{error}"));
                Ok(OnGraph { x: own_layers::activate(z, A::KIND)?, graph })
            }
        }

        impl<'a, const I: usize, const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>, A>
            Along<Nodes<'a, I, N, E, D, T>> for $name<I, O, E, D, A>
        where
            A: Activation,
        {
            type Output = Nodes<'a, O, N, E, D, T>;
            type Error = D::Err;
            fn try_along(
                &self,
                direction: &Self,
                nodes: Nodes<'a, I, N, E, D, T>,
            ) -> Result<Self::Output, D::Err> {
                let graph = nodes.graph;
                let z = affine_along(self, direction, nodes).unwrap_or_else(|error| panic!("{error}"));
                Ok(OnGraph { x: own_layers::activate(z, A::KIND)?, graph })
            }
        }
    )*};
}
tangents!(GraphConvolution NeighbourConvolution);

impl<'a, X, L: Along<X>, E: Real, N: Dim> Along<OnGraph<'a, X, E, N>> for PerNode<L> {
    type Output = OnGraph<'a, L::Output, E, N>;
    type Error = L::Error;
    fn try_along(
        &self,
        direction: &Self,
        OnGraph { x, graph }: OnGraph<'a, X, E, N>,
    ) -> Result<Self::Output, L::Error> {
        Ok(OnGraph { x: self.0.try_along(&direction.0, x)?, graph })
    }
}
