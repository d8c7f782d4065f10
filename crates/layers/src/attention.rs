//! Multi-head attention: self and cross, causal and masked, whole sequences and one token at a time.
//!
//! $$ \mathrm{MHA}(x, m) = \bigl[\mathrm{head}_1 \dots \mathrm{head}_H\bigr] W_o^\top + b_o, \qquad
//!    \mathrm{head}_h = \mathrm{softmax}\bigl(Q_h K_h^\top / \sqrt{M/H}\bigr) V_h $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $x$ | queries | `(B, Q, M)` |
//! | $m$ | memory: keys and values; the queries themselves in self-attention | `(B, K, M)` |
//! | $Q = x W_q^\top + b_q$, $K$, $V$ | `w_q`, `w_k`, `w_v` | `(B, ·, M)`, head $h$ owns `M / H` columns |
//! | $W_o, b_o$ | `w_o` | `(M, M)`, `(M)` |
//!
//! Masks say `true` for what may be used; see [`Mask`]. With [`Rotary`], $Q_h$ and $K_h$ are rotated by their positions
//! before they meet. **Paper**: Vaswani et al. (2017), section 3.2.
//! **Deviation** from PyTorch: three input projections instead of one tensor `in_proj_weight`, which holds the rows of
//! `w_q`, `w_k`, `w_v` in this order. **Initialisation**: that of [`Linear`].
//! **Complexity**: $4 M^2$ multiplications per position and $2 M$ per pair of query and key.
use crate::modules::Linear;
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{Const, Dim, Dtype, HasShape, PutTape, SplitTape, Storage, Tape, Tensor};
use kernels::sequence::position::{BASE, try_rotary};
use kernels::sequence::{Attention, KvCache, Mask, SequenceDevice, try_attention, try_attention_weights};
use kernels::{DeviceError, Error, Real};
use std::marker::PhantomData;

/// The error of a device as one of the kernels'.
pub(crate) fn device_error(error: impl std::fmt::Debug + std::fmt::Display + Send + Sync + 'static) -> Error {
    Error::Device(DeviceError::new(error))
}

/// Which positions self-attention sees, as a type: [`Everything`] or [`Causal`].
pub trait Visibility: Copy + Default + std::fmt::Debug + Send + Sync + 'static {
    /// Whether a position sees only itself and earlier ones.
    const IS_CAUSAL: bool;

    /// The mask with this visibility.
    fn restrict(mask: Mask) -> Mask {
        if Self::IS_CAUSAL { mask.and_causal() } else { mask }
    }
}

/// Every position sees every other: encoders, cross-attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everything;
impl Visibility for Everything {
    const IS_CAUSAL: bool = false;
}

/// A position sees itself and earlier ones: decoders, language models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causal;
impl Visibility for Causal {
    const IS_CAUSAL: bool = true;
}

/// How queries and keys learn of their positions inside attention, as a type: [`Unrotated`] or [`Rotary`].
pub trait Rotation: Copy + Default + std::fmt::Debug + Send + Sync + 'static {
    /// Base of the frequencies by which queries and keys are rotated; `None` leaves them alone.
    const BASE: Option<f64>;
}

/// Attention does not see positions: they are added to its input, or do not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unrotated;
impl Rotation for Unrotated {
    const BASE: Option<f64> = None;
}

/// Rotary positions with base 10,000 (Su et al. 2021, arXiv 2104.09864): the score of a query and a key depends on their
/// distance, not on where they stand. Each head needs an even number of features. For self-attention: the queries count
/// as the last of the positions of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotary;
impl Rotation for Rotary {
    const BASE: Option<f64> = Some(BASE);
}

/// Whether `H` heads can share `M` features, each with whole pairs of columns if they are rotated; for the compiler.
pub(crate) const fn heads_fit<const M: usize, const H: usize, P: Rotation>() {
    assert!(H > 0 && M.is_multiple_of(H), "the number of heads must divide the number of features");
    assert!(
        P::BASE.is_none() || (M / H).is_multiple_of(2),
        "rotary positions need an even number of features per head"
    );
}

/// The description of multi-head attention, for `build_module`.
pub mod builder {
    use super::{Everything, PhantomData, Unrotated};

    /// Builds a [`MultiHeadAttention`](super::MultiHeadAttention) of `M` features with `H` heads, the visibility `V` and
    /// the rotation `P`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct MultiHeadAttention<const M: usize, const H: usize, V = Everything, P = Unrotated>(
        PhantomData<(V, P)>,
    );
}

/// Attention of `M` features with `H` heads between learnt projections.
///
/// # Examples
/// ```
/// use kernels::sequence::Mask;
/// use layers::{attention::{Causal, Rotary}, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let attention = dev.build_module::<MultiHeadAttention<8, 2>, f32>();
/// let x: Tensor<Rank3<4, 5, 8>, f32, _> = dev.sample_normal();
/// let y: Tensor<Rank3<4, 5, 8>, f32, _> = attention.forward(x.clone());
/// // The last sequence has three positions; the others five.
/// let mask = Mask::all().lengths(&[5, 5, 5, 3], 5);
/// let masked = attention.try_attend(x.clone(), x.clone(), &mask)?;
/// assert_eq!(masked.array()[0], y.array()[0]);
/// assert_ne!(masked.array()[3], y.array()[3]);
///
/// let causal = dev.build_module::<MultiHeadAttention<8, 2, Causal>, f32>();
/// let y = causal.forward(x.clone());
/// // Rotary positions: no other encoding of positions is needed.
/// let rotary = dev.build_module::<MultiHeadAttention<8, 2, Causal, Rotary>, f32>();
/// let y = rotary.forward(x);
/// # Ok::<(), kernels::Error>(())
/// ```
/// Heads that cannot share the features do not compile:
/// ```compile_fail
/// use layers::prelude::*;
/// let attention = Cpu::default().build_module::<MultiHeadAttention<8, 3>, f32>();
/// ```
///
/// # Panics
/// The forward pass, when the device fails; [`try_attend`](Self::try_attend) returns the error.
#[derive(Clone, Debug)]
pub struct MultiHeadAttention<
    const M: usize,
    const H: usize,
    E: Dtype,
    D: Storage<E>,
    V = Everything,
    P = Unrotated,
> {
    /// $W_q$, $b_q$.
    pub w_q: Linear<M, M, E, D>,
    /// $W_k$, $b_k$.
    pub w_k: Linear<M, M, E, D>,
    /// $W_v$, $b_v$.
    pub w_v: Linear<M, M, E, D>,
    /// $W_o$, $b_o$.
    pub w_o: Linear<M, M, E, D>,
    /// What self-attention sees.
    pub visibility: V,
    /// Whether queries and keys are rotated.
    pub rotation: P,
}

impl<const M: usize, const H: usize, E: Real, D: dfdx::prelude::Device<E>, V: Visibility, P: Rotation>
    BuildOnDevice<D, E> for builder::MultiHeadAttention<M, H, V, P>
{
    type Built = MultiHeadAttention<M, H, E, D, V, P>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        const { heads_fit::<M, H, P>() }
        Self::Built::try_build(device)
    }
}

impl<const M: usize, const H: usize, E: Real, D: dfdx::prelude::Device<E>, V: Visibility, P: Rotation>
    TensorCollection<E, D> for MultiHeadAttention<M, H, E, D, V, P>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = MultiHeadAttention<M, H, E2, D2, V, P>;

    fn iter_tensors<W: ModuleVisitor<Self, E, D>>(
        visitor: &mut W,
    ) -> Result<Option<Self::To<W::E2, W::D2>>, W::Err> {
        visitor.visit_fields(
            (
                Self::module("w_q", |s| &s.w_q, |s| &mut s.w_q),
                Self::module("w_k", |s| &s.w_k, |s| &mut s.w_k),
                Self::module("w_v", |s| &s.w_v, |s| &mut s.w_v),
                Self::module("w_o", |s| &s.w_o, |s| &mut s.w_o),
            ),
            |(w_q, w_k, w_v, w_o)| MultiHeadAttention {
                w_q,
                w_k,
                w_v,
                w_o,
                visibility: V::default(),
                rotation: P::default(),
            },
        )
    }
}

impl<const M: usize, const H: usize, E: Dtype, D: Storage<E>, V, P> NonMutableModule
    for MultiHeadAttention<M, H, E, D, V, P>
{
}

/// A sequence of `M` features.
type Sequence<B, S, const M: usize, E, D, T = dfdx::prelude::NoneTape> = Tensor<(B, S, Const<M>), E, D, T>;

impl<const M: usize, const H: usize, E: Real, D: SequenceDevice<E>, V: Visibility, P: Rotation>
    MultiHeadAttention<M, H, E, D, V, P>
{
    /// Queries or keys, rotated if they are to be; the first position is `start`.
    pub(crate) fn rotated<B: Dim, S: Dim, T: Tape<E, D>>(
        x: Sequence<B, S, M, E, D, T>,
        start: usize,
    ) -> Result<Sequence<B, S, M, E, D, T>, Error> {
        match P::BASE {
            Some(base) => try_rotary(x, H, start, base),
            None => Ok(x),
        }
    }

    /// Attention of the positions of `x` to those of `memory`; the same tensor twice is self-attention.
    ///
    /// # Errors
    /// Those of [`kernels::sequence::try_attention`]: above all [`Error::NothingToAttend`] for a mask that leaves a query
    /// without a key.
    pub fn try_attend<B: Dim, Q: Dim, K: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, Q, M, E, D, T>,
        memory: Sequence<B, K, M, E, D, T>,
        mask: &Mask,
    ) -> Result<Sequence<B, Q, M, E, D, T>, Error> {
        self.try_attend_with(x, memory, &Attention::new(H).mask(mask.clone()))
    }

    /// [`try_attend`](Self::try_attend) with relative positions or another scale; `options.heads` is `H`.
    ///
    /// # Errors
    /// Those of [`kernels::sequence::try_attention`].
    pub fn try_attend_with<B: Dim, Q: Dim, K: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, Q, M, E, D, T>,
        memory: Sequence<B, K, M, E, D, T>,
        options: &Attention<'_, M, E, D>,
    ) -> Result<Sequence<B, Q, M, E, D, T>, Error> {
        let options = Attention { mask: V::restrict(options.mask.clone()), heads: H, ..options.clone() };
        let (memory, tape) = memory.split_tape();
        let start = memory.shape().1.size().saturating_sub(x.shape().1.size());
        let q = Self::rotated(self.w_q.try_forward(x).map_err(device_error)?, start)?;
        let k = self.w_k.try_forward(memory.clone().put_tape(tape)).map_err(device_error)?;
        let v = self.w_v.try_forward(memory.put_tape(T::default())).map_err(device_error)?;
        let k = Self::rotated(k, 0)?;
        self.w_o.try_forward(try_attention(q, k, v, &options)?).map_err(device_error)
    }

    /// The probabilities of every head, `(B, H, Q, K)`, to be looked at.
    ///
    /// # Errors
    /// Those of [`try_attend`](Self::try_attend).
    pub fn try_weights<B: Dim, Q: Dim, K: Dim>(
        &self,
        x: &Sequence<B, Q, M, E, D>,
        memory: &Sequence<B, K, M, E, D>,
        mask: &Mask,
    ) -> Result<Tensor<(B, usize, Q, K), E, D>, Error> {
        let start = memory.shape().1.size().saturating_sub(x.shape().1.size());
        let q = Self::rotated(self.w_q.try_forward(x.clone()).map_err(device_error)?, start)?;
        let k = Self::rotated(self.w_k.try_forward(memory.clone()).map_err(device_error)?, 0)?;
        try_attention_weights(&q, &k, &Attention::new(H).mask(V::restrict(mask.clone())))
    }
}

impl<const M: usize, const H: usize, E: Real, D: SequenceDevice<E>, P: Rotation>
    MultiHeadAttention<M, H, E, D, Causal, P>
{
    /// Causal self-attention of the next positions to all that `cache` holds and themselves: the rows that the whole
    /// sequence would give, without computing the earlier ones again.
    ///
    /// # Errors
    /// [`Error::CacheFull`], [`Error::SequenceShapes`] for another number of sequences, and the device's error.
    pub fn try_decode<B: Dim, S: Dim>(
        &self,
        x: Sequence<B, S, M, E, D>,
        cache: &mut KvCache<M, E>,
    ) -> Result<Sequence<B, S, M, E, D>, Error> {
        let start = cache.len();
        let q = Self::rotated(self.w_q.try_forward(x.clone()).map_err(device_error)?, start)?;
        let k = Self::rotated(self.w_k.try_forward(x.clone()).map_err(device_error)?, start)?;
        let v = self.w_v.try_forward(x).map_err(device_error)?;
        cache.try_append(&k, &v)?;
        self.w_o.try_forward(cache.try_attend(&q, &Attention::new(H))?).map_err(device_error)
    }
}

impl<
    const M: usize,
    const H: usize,
    B: Dim,
    S: Dim,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    V: Visibility,
    P: Rotation,
> Module<Sequence<B, S, M, E, D, T>> for MultiHeadAttention<M, H, E, D, V, P>
{
    type Output = Sequence<B, S, M, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Sequence<B, S, M, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, tape) = x.split_tape();
        let y = self.try_attend(x.clone().put_tape(tape), x.put_tape(T::default()), &Mask::all());
        Ok(y.unwrap_or_else(|error| panic!("{error}")))
    }
}
