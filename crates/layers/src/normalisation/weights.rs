//! Layers whose weight is a function of what is trained.
use super::builder;
use crate::Cost;
use crate::Dual;
use crate::activation::Activation;
use crate::linear::Linear;
use crate::params::{DeviceError, read_row_major, write_row_major};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, ModuleMut};
use dfdx::prelude::{
    Const, ConstShape, Dtype, HasShape, PutTape, Rank1, Rank2, ReshapeTo, Shape, SplitTape, Storage, Tape,
    Tensor,
};
use kernels::{Device, Real, Spectral};

/// A layer with one weight whose first axis is its `O` outputs.
pub trait Weighted<const O: usize, E: Dtype, D: Storage<E>>: Clone {
    /// Shape of the weight.
    type Weight: ConstShape;
    /// The weight.
    fn weight(&self) -> &Tensor<Self::Weight, E, D>;
    /// The same layer with another weight; everything else keeps its id, so gradients reach it.
    fn with_weight(&self, weight: Tensor<Self::Weight, E, D>) -> Self;
}

impl<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A: Activation> Weighted<O, E, D>
    for Linear<I, O, E, D, A>
{
    type Weight = Rank2<O, I>;
    fn weight(&self) -> &Tensor<Rank2<O, I>, E, D> {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor<Rank2<O, I>, E, D>) -> Self {
        let (bias, activation, input_gradient) = (self.bias.clone(), self.activation, self.input_gradient);
        Self { weight, bias, activation, input_gradient }
    }
}

/// Least length that power iteration divides by, as in PyTorch.
const SHORTEST: f64 = 1e-12;

/// A layer whose weight is divided by its largest singular value, which makes it 1-Lipschitz: the discriminators of
/// Miyato et al. (2018).
///
/// Each training pass moves the singular vector `u` by one power iteration; evaluation leaves it. $v$ follows from $u$
/// and is not stored.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut critic = dev.build_module::<SpectralNorm<Linear<3, 4>, 4>, f64>();
/// let x: Tensor<Rank2<5, 3>, f64, _> = dev.sample_normal();
/// for _ in 0..100 {
///     critic.forward_mut(x.clone());
/// }
/// let (a, b) = (critic.forward(x.clone()), critic.forward(x.clone() * 2.0));
/// let length = |x: Tensor<Rank2<5, 4>, f64, Cpu>| x.square().sum::<Rank0, _>().sqrt().array();
/// assert!(length(a - b) <= x.square().sum::<Rank0, _>().sqrt().array() * (1.0 + 1e-9));
/// ```
#[derive(Clone, Debug)]
pub struct SpectralNorm<M, const O: usize, E: Dtype, D: Storage<E>> {
    /// The layer; its weight is the one before division.
    pub module: M,
    /// Estimate of the left singular vector, `(O)`, of length 1; not trained.
    pub u: Tensor<Rank1<O>, E, D>,
}

/// A layer whose weight has length and direction apart: row $o$ is $g_o v_o / \lVert v_o \rVert$ with $v$ the layer's
/// own weight (Salimans & Kingma 2016).
///
/// **Deviation**: $g$ starts as 1, since a module cannot see its layer's weight while it is built;
/// [`keep_lengths`](Self::keep_lengths) sets it so that the layer computes what it did without, as PyTorch does.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut layer = dev.build_module::<WeightNorm<Linear<3, 4>, 4>, f64>();
/// layer.keep_lengths()?;
/// let x: Tensor<Rank2<5, 3>, f64, _> = dev.sample_normal();
/// layers::assert_close!(layer.forward(x.clone()), layer.module.forward(x), 1e-14);
/// # Ok::<(), layers::params::DeviceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeightNorm<M, const O: usize, E: Dtype, D: Storage<E>> {
    /// The layer; the rows of its weight are the directions.
    pub module: M,
    /// $g$, `(O)`: the lengths.
    pub g: Tensor<Rank1<O>, E, D>,
}

macro_rules! wrapper {
    ($name:ident, $field:ident, $options:expr) => {
        impl<M, const O: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
            for builder::$name<M, O>
        where
            M: BuildOnDevice<D, E>,
            M::Built: TensorCollection<E, D, To<E, D> = M::Built>,
        {
            type Built = $name<M::Built, O, E, D>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                Self::Built::try_build(device)
            }
        }

        impl<M: TensorCollection<E, D>, const O: usize, E: Real, D: dfdx::prelude::Device<E>>
            TensorCollection<E, D> for $name<M, O, E, D>
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = $name<M::To<E2, D2>, O, E2, D2>;
            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                visitor.visit_fields(
                    (
                        Self::module("module", |s| &s.module, |s| &mut s.module),
                        Self::tensor(stringify!($field), |s| &s.$field, |s| &mut s.$field, $options),
                    ),
                    |(module, $field)| $name { module, $field },
                )
            }
        }

        impl<M, const O: usize, E, D, X> Module<X> for $name<M, O, E, D>
        where
            E: Real,
            D: Device<E>,
            M: Weighted<O, E, D>,
            X: OnTape<E, D>,
            M: Module<X, Error = D::Err>,
        {
            type Output = M::Output;
            type Error = D::Err;
            fn try_forward(&self, x: X) -> Result<M::Output, D::Err> {
                let (weight, tape) = self.try_weight::<X::Tape>()?.split_tape();
                self.module.with_weight(weight).try_forward(x.with_tape(tape))
            }
        }
    };
}
wrapper!(
    SpectralNorm,
    u,
    TensorOptions::detached(|u| {
        u.try_fill_with_distr(rand_distr::Uniform::new(E::of(-1.0), E::of(1.0)))?;
        let length = read_row_major(u).iter().fold(0.0, |sum, u| sum + u.as_f64().powi(2)).sqrt();
        let unit: Vec<E> = read_row_major(u).iter().map(|&u| E::of(u.as_f64() / length)).collect();
        write_row_major(u, &unit)
    })
);
wrapper!(WeightNorm, g, TensorOptions::reset_to_ones());

/// An input of a layer that takes the operations of another tape too.
pub trait OnTape<E: Dtype, D: Storage<E>> {
    /// Its tape.
    type Tape: Tape<E, D>;
    /// The same input, with the operations of `tape` before it.
    fn with_tape(self, tape: Self::Tape) -> Self;
}

impl<S: Shape, E: Dtype, D: Storage<E>, T: Tape<E, D>> OnTape<E, D> for Tensor<S, E, D, T> {
    type Tape = T;
    fn with_tape(self, tape: T) -> Self {
        let (x, mine) = self.split_tape();
        x.put_tape(mine.merge(tape))
    }
}

impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> OnTape<E, D> for Dual<S, E, D, T> {
    type Tape = T;
    fn with_tape(self, tape: T) -> Self {
        let (x, dx) = self.split();
        Dual::join(x.with_tape(tape), dx)
    }
}

impl<M: Weighted<O, E, D>, const O: usize, E: Real, D: Device<E>> SpectralNorm<M, O, E, D> {
    /// The weight as a matrix `(O, ..)`, and its singular vectors from `u`.
    #[allow(clippy::type_complexity)]
    fn pair(&self) -> Result<(Tensor<(Const<O>, usize), E, D>, Spectral<Const<O>, usize, E, D>), D::Err> {
        let weight = self.module.weight();
        let inputs = weight.shape().num_elements() / O.max(1);
        let matrix = weight.clone().try_reshape_like(&(Const::<O>, inputs))?;
        let right = weight.device().try_zeros_like(&(inputs,))?;
        let pair = Spectral { left: self.u.clone(), right };
        let moved =
            kernels::try_power_iteration(&matrix, &pair, SHORTEST).map_err(super::device_error::<D, E>)?;
        Ok((matrix, moved))
    }

    /// The weight divided by $u^\top W v$, recorded. $v$ belongs to $u$; $u$ stays.
    fn try_weight<T: Tape<E, D>>(&self) -> Result<Tensor<M::Weight, E, D, T>, D::Err> {
        let (matrix, moved) = self.pair()?;
        let pair = Spectral { left: self.u.clone(), right: moved.right };
        let weight =
            kernels::try_spectral_norm(matrix.retaped::<T>(), &pair).map_err(super::device_error::<D, E>)?;
        weight.try_reshape_like(&<M::Weight as Default>::default())
    }
}

impl<M, const O: usize, E, D, X> ModuleMut<X> for SpectralNorm<M, O, E, D>
where
    E: Real,
    D: Device<E>,
    M: Weighted<O, E, D> + Module<X, Error = D::Err>,
    X: OnTape<E, D>,
{
    type Output = M::Output;
    type Error = D::Err;
    fn try_forward_mut(&mut self, x: X) -> Result<M::Output, D::Err> {
        let left = self.pair()?.1.left;
        write_row_major(&mut self.u, &read_row_major(&left))?;
        self.try_forward(x)
    }
}

impl<M: Weighted<O, E, D>, const O: usize, E: Real, D: Device<E>> WeightNorm<M, O, E, D> {
    /// $g_o v_o / \lVert v_o \rVert$, recorded.
    fn try_weight<T: Tape<E, D>>(&self) -> Result<Tensor<M::Weight, E, D, T>, D::Err> {
        let v = self.module.weight();
        let inputs = v.shape().num_elements() / O.max(1);
        let matrix = v.retaped::<T>().try_reshape_like(&(Const::<O>, inputs))?;
        let weight = kernels::try_weight_norm(matrix, &self.g).map_err(super::device_error::<D, E>)?;
        weight.try_reshape_like(&<M::Weight as Default>::default())
    }

    /// Sets $g$ to the lengths of the layer's rows: the layer then computes what it does without the wrapper.
    ///
    /// # Errors
    /// The device's error when $g$ cannot be written.
    pub fn keep_lengths(&mut self) -> Result<(), DeviceError> {
        let weights = read_row_major(self.module.weight());
        let inputs = (weights.len() / O.max(1)).max(1);
        let length = |row: &[E]| E::of(row.iter().map(|w| w.as_f64().powi(2)).sum::<f64>().sqrt());
        let lengths: Vec<E> = weights.chunks_exact(inputs).map(length).collect();
        write_row_major(&mut self.g, &lengths).map_err(DeviceError::new)
    }
}

impl<M, const O: usize, E, D, X> ModuleMut<X> for WeightNorm<M, O, E, D>
where
    E: Real,
    D: Device<E>,
    M: Weighted<O, E, D> + Module<X, Error = D::Err>,
    X: OnTape<E, D>,
{
    type Output = M::Output;
    type Error = D::Err;
    fn try_forward_mut(&mut self, x: X) -> Result<M::Output, D::Err> {
        self.try_forward(x)
    }
}

impl<M: Cost, const O: usize> Cost for builder::SpectralNorm<M, O> {
    const PARAMS: usize = M::PARAMS;
    const MACS: usize = M::MACS;
}
impl<M: Cost, const O: usize, E: Dtype, D: Storage<E>> Cost for SpectralNorm<M, O, E, D> {
    const PARAMS: usize = M::PARAMS;
    const MACS: usize = M::MACS;
}
impl<M: Cost, const O: usize> Cost for builder::WeightNorm<M, O> {
    const PARAMS: usize = M::PARAMS + O;
    const MACS: usize = M::MACS;
}
impl<M: Cost, const O: usize, E: Dtype, D: Storage<E>> Cost for WeightNorm<M, O, E, D> {
    const PARAMS: usize = M::PARAMS + O;
    const MACS: usize = M::MACS;
}
