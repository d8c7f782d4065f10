//! Activations that join several features into one: gated linear units and maxout.
//!
//! | type | from `I` to `O` features | |
//! |---|---|---|
//! | [`Glu`]`<I, O, A>` | $y = a \odot \varphi(b)$, $a$ the first half of the input and $b$ the second, $I = 2O$ | Dauphin et al. (2016), arXiv 1612.08083; Shazeer (2020), arXiv 2002.05202 |
//! | [`Maxout`]`<I, O>` | $y_j = \max_{i < k} x_{jk + i}$, $k = I / O$ neighbours | Goodfellow et al. (2013), arXiv 1302.4389 |
//!
//! With $\varphi$ = `Sigmoid` the gate is the GLU of the first paper, with `Gelu` it is GEGLU, with `Silu` SwiGLU, with
//! `Relu` ReGLU, with `Identity` the bilinear layer. Neither has weights: put a `Linear` before it. That `I` fits `O` is
//! checked when the program is compiled.
use crate::activation::{Activation, Sigmoid};
use crate::{Along, Dual};
use dfdx::nn::{Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Axis, HasShape, Tape, Tensor, TryMul, WithEmptyTape};
use kernels::{Device, FeaturesLast, Real, RowMajor};
use std::marker::PhantomData;

/// $y = a \odot \varphi(b)$ for the two halves of the features.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let x = dev.tensor([[2.0_f64, 3.0, 0.0, -1000.0]]);
/// let y: Tensor<Rank2<1, 2>, f64, _> = Glu::<4, 2>::default().forward(x);
/// assert_eq!(y.array(), [[1.0, 0.0]]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Glu<const I: usize, const O: usize, A = Sigmoid>(PhantomData<A>);

/// The largest of `I / O` neighbouring features.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let y: Tensor<Rank1<2>, f32, _> = Maxout::<4, 2>.forward(dev.tensor([1.0, 5.0, -3.0, -4.0]));
/// assert_eq!(y.array(), [5.0, -3.0]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Maxout<const I: usize, const O: usize>;

impl<const I: usize, const O: usize, A: Activation> ZeroSizedModule for Glu<I, O, A> {}
impl<const I: usize, const O: usize, A: Activation> NonMutableModule for Glu<I, O, A> {}
impl<const I: usize, const O: usize> ZeroSizedModule for Maxout<I, O> {}
impl<const I: usize, const O: usize> NonMutableModule for Maxout<I, O> {}

/// Features `from..from + O` of each row.
fn columns<const I: usize, const O: usize, S: FeaturesLast<I>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    from: usize,
) -> Result<Tensor<S::With<O>, E, D, T>, D::Err> {
    let shape = x.shape().with::<O>();
    let rows = x.shape().num_elements() / I.max(1);
    x.try_reshaped(&(rows, I))?.try_slice((0..rows, from..from + O))?.try_reshaped(&shape)
}

impl<const I: usize, const O: usize, A, S, E, D, T> Module<Tensor<S, E, D, T>> for Glu<I, O, A>
where
    A: Activation,
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
{
    type Output = Tensor<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        const { assert!(I == 2 * O, "a gated unit halves the number of features") };
        let gate = kernels::try_activate(columns::<I, O, S, E, D, T>(x.with_empty_tape(), O)?, A::KIND)?;
        columns::<I, O, S, E, D, T>(x, 0)?.try_mul(gate)
    }
}

impl<const I: usize, const O: usize, A, S, E, D, T> Module<Dual<S, E, D, T>> for Glu<I, O, A>
where
    A: Activation,
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
{
    type Output = Dual<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let half = |from: usize| -> Result<Dual<S::With<O>, E, D, T>, D::Err> {
            let value = columns::<I, O, S, E, D, T>(x.with_empty_tape(), from)?;
            Ok(Dual::join(value, columns::<I, O, S, E, D, T>(dx.with_empty_tape(), from)?))
        };
        let product = half(0)?.try_mul(crate::dual::activate(half(O)?, A::KIND)?)?;
        // The halves start empty tapes: what was recorded before is put back.
        let (y, dy) = product.split();
        let (y, tape) = dfdx::prelude::SplitTape::split_tape(y);
        let (_, before) = dfdx::prelude::SplitTape::split_tape(x);
        Ok(Dual::join(dfdx::prelude::PutTape::put_tape(y, dfdx::prelude::Merge::merge(before, tape)), dy))
    }
}

/// Neighbours as rows: `(rows · O, k)`.
fn groups<const I: usize, const O: usize, S: FeaturesLast<I>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<(usize, usize), E, D, T>, D::Err> {
    const { assert!(O > 0 && I.is_multiple_of(O), "maxout joins I / O features, a whole number") };
    let rows = x.shape().num_elements() / I.max(1);
    x.try_reshaped(&(rows * O, I / O))
}

impl<const I: usize, const O: usize, S, E, D, T> Module<Tensor<S, E, D, T>> for Maxout<I, O>
where
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
{
    type Output = Tensor<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let shape = x.shape().with::<O>();
        kernels::try_max_along(groups::<I, O, S, E, D, T>(x)?, Axis::<1>)?.try_reshaped(&shape)
    }
}

impl<const I: usize, const O: usize, S, E, D, T> Module<Dual<S, E, D, T>> for Maxout<I, O>
where
    S: FeaturesLast<I>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
{
    type Output = Dual<S::With<O>, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let shape = x.shape().with::<O>();
        let (x, dx) = (groups::<I, O, S, E, D, T>(x)?, groups::<I, O, S, E, D, T>(dx)?);
        // The tangent of the feature that is the largest: everything times 0 but that one.
        let places = *x.shape();
        let mut largest = vec![E::zero(); places.0 * places.1];
        if !largest.is_empty() {
            let index = kernels::argmax_along(&x.retaped::<dfdx::prelude::NoneTape>(), Axis::<1>);
            index.iter().enumerate().for_each(|(row, j)| largest[row * places.1 + j] = E::ONE);
        }
        let largest = x.device().try_tensor_from_vec(largest, places)?;
        let tangent = kernels::try_sum_along(dx.try_mul(largest)?, Axis::<1>)?.try_reshaped(&shape)?;
        Ok(Dual::join(kernels::try_max_along(x, Axis::<1>)?.try_reshaped(&shape)?, tangent))
    }
}

macro_rules! without_weights {
    ($([$($generics:tt)*] $module:ty;)*) => {$(
        impl<const I: usize, const O: usize, S, E, D, T, $($generics)*> Along<Dual<S, E, D, T>> for $module
        where
            S: FeaturesLast<I>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Dual<S::With<O>, E, D, T>;
            type Error = D::Err;
            fn try_along(&self, _direction: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                self.try_forward(x)
            }
        }
    )*};
}
without_weights! {
    [A: Activation] Glu<I, O, A>;
    [] Maxout<I, O>;
}
