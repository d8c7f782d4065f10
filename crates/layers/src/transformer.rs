//! The blocks of a Transformer: encoder and decoder, with the normalisation after or before each sublayer.
//!
//! | | encoder block | decoder block, with memory $m$ |
//! |---|---|---|
//! | [`PostNorm`] | $a = N_1(x + A(x))$, $y = N_2(a + F(a))$ | $a = N_1(x + A(x))$, $c = N_2(a + C(a, m))$, $y = N_3(c + F(c))$ |
//! | [`PreNorm`] | $a = x + A(N_1 x)$, $y = a + F(N_2 a)$ | $a = x + A(N_1 x)$, $c = a + C(N_2 a, m)$, $y = c + F(N_3 c)$ |
//!
//! | symbol | code |
//! |---|---|
//! | $A$ | `self_attn`, causal in decoders and with the parameter [`Causal`] |
//! | $C$ | `cross_attn`, to the encoder's output |
//! | $F(x) = W_2\,\varphi(W_1 x + b_1) + b_2$ | `linear1`, `linear2` |
//! | $N_i$ | `norm1`, `norm2`, `norm3` |
//!
//! **Papers**: Vaswani et al. (2017), post-norm with ReLU; Xiong et al. (2020), arXiv 2002.04745, pre-norm, which trains
//! without warm-up; GPT-2 is pre-norm with [`Causal`] and a GELU. A stack of pre-norm blocks ends in one more
//! normalisation. Sublayers have PyTorch's names. Dropout is not part of a block: put it between blocks.
use crate::Dual;
use crate::activation::{Activation, Relu};
use crate::attention::{
    Causal, Everything, MultiHeadAttention, Rotation, Unrotated, Visibility, device_error, heads_fit,
};
use crate::modules::LayerNorm1D;
use crate::modules::Linear;
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{
    Const, Dim, Dtype, HasErr, NoneTape, PutTape, Shape, SplitTape, Storage, Tape, Tensor, WithEmptyTape,
};
use kernels::sequence::{KvCache, Mask, SequenceDevice};
use kernels::{Error, Real};
use std::marker::PhantomData;

/// Where the normalisation of a sublayer stands, as a type: [`PostNorm`] or [`PreNorm`].
pub trait NormPlacement: Copy + Default + std::fmt::Debug + Send + Sync + 'static {
    /// Whether the sublayer reads the normalised input.
    const IS_FIRST: bool;
}

/// $N(x + f(x))$, as in the first Transformer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostNorm;
impl NormPlacement for PostNorm {
    const IS_FIRST: bool = false;
}

/// $x + f(N(x))$, as in GPT-2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreNorm;
impl NormPlacement for PreNorm {
    const IS_FIRST: bool = true;
}

/// Descriptions of Transformer blocks, for `build_module`.
pub mod builder {
    use super::{Everything, PhantomData, PostNorm, Relu, Unrotated};

    /// Builds a [`TransformerEncoderBlock`](super::TransformerEncoderBlock) of `M` features, `H` heads and `F` hidden
    /// units, with the placement `N`, the activation `A`, the visibility `V` and the rotation `P` of self-attention.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct TransformerEncoderBlock<
        const M: usize,
        const H: usize,
        const F: usize,
        N = PostNorm,
        A = Relu,
        V = Everything,
        P = Unrotated,
    >(PhantomData<(N, A, V, P)>);

    /// Builds a [`TransformerDecoderBlock`](super::TransformerDecoderBlock) of `M` features, `H` heads and `F` hidden
    /// units, with the placement `N` and the activation `A`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct TransformerDecoderBlock<const M: usize, const H: usize, const F: usize, N = PostNorm, A = Relu>(
        PhantomData<(N, A)>,
    );
}

/// A sequence of `M` features.
type Sequence<B, S, const M: usize, E, D, T = NoneTape> = Tensor<(B, S, Const<M>), E, D, T>;

/// Self-attention and a feed-forward net, each with its residual and normalisation: `(B, T, M)` → `(B, T, M)`.
///
/// # Examples
/// The encoder of the paper, and a block of GPT-2:
/// ```
/// use layers::{Cost, attention::Causal, prelude::*, transformer::PreNorm};
/// type Encoder = TransformerEncoderBlock<16, 4, 64>;
/// type Gpt = TransformerEncoderBlock<16, 4, 64, PreNorm, Gelu, Causal>;
/// assert_eq!(Gpt::PARAMS, 12 * 16 * 16 + 13 * 16);
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<dfdx::nn::builders::Repeated<Gpt, 2>, f32>();
/// let y: Tensor<Rank3<2, 5, 16>, f32, _> = model.forward(dev.sample_normal::<Rank3<2, 5, 16>>());
/// ```
///
/// # Panics
/// The forward pass, when the device fails; [`try_run`](Self::try_run) returns the error.
#[derive(Clone, Debug)]
pub struct TransformerEncoderBlock<
    const M: usize,
    const H: usize,
    const F: usize,
    E: Dtype,
    D: Storage<E>,
    N = PostNorm,
    A = Relu,
    V = Everything,
    P = Unrotated,
> {
    /// $A$.
    pub self_attn: MultiHeadAttention<M, H, E, D, V, P>,
    /// $W_1, b_1, \varphi$.
    pub linear1: Linear<M, F, E, D, A>,
    /// $W_2, b_2$.
    pub linear2: Linear<F, M, E, D>,
    /// $N_1$.
    pub norm1: LayerNorm1D<M, E, D>,
    /// $N_2$.
    pub norm2: LayerNorm1D<M, E, D>,
    /// Where the normalisations stand.
    pub placement: N,
}

/// Causal self-attention, attention to a memory and a feed-forward net: `(B, T, M)`, `(B, K, M)` → `(B, T, M)`.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let block = dev.build_module::<TransformerDecoderBlock<16, 4, 64>, f32>();
/// let x: Tensor<Rank3<2, 3, 16>, f32, _> = dev.sample_normal();
/// let memory: Tensor<Rank3<2, 7, 16>, f32, _> = dev.sample_normal();
/// let y: Tensor<Rank3<2, 3, 16>, f32, _> = block.forward((x, memory));
/// ```
///
/// # Panics
/// The forward pass, when the device fails; [`try_run`](Self::try_run) returns the error.
#[derive(Clone, Debug)]
pub struct TransformerDecoderBlock<
    const M: usize,
    const H: usize,
    const F: usize,
    E: Dtype,
    D: Storage<E>,
    N = PostNorm,
    A = Relu,
> {
    /// $A$.
    pub self_attn: MultiHeadAttention<M, H, E, D, Causal>,
    /// $C$.
    pub cross_attn: MultiHeadAttention<M, H, E, D>,
    /// $W_1, b_1, \varphi$.
    pub linear1: Linear<M, F, E, D, A>,
    /// $W_2, b_2$.
    pub linear2: Linear<F, M, E, D>,
    /// $N_1$.
    pub norm1: LayerNorm1D<M, E, D>,
    /// $N_2$.
    pub norm2: LayerNorm1D<M, E, D>,
    /// $N_3$.
    pub norm3: LayerNorm1D<M, E, D>,
    /// Where the normalisations stand.
    pub placement: N,
}

macro_rules! collection {
    (@rotation N: NormPlacement, A: Activation, V: Visibility, P: Rotation) => { P };
    (@rotation N: NormPlacement, A: Activation) => { Unrotated };
    ($name:ident<$($parameter:ident: $bound:ident),*> { $([$($field:ident)*])* }) => {
        impl<const M: usize, const H: usize, const F: usize, E, D, $($parameter: $bound),*> BuildOnDevice<D, E>
            for builder::$name<M, H, F, $($parameter),*>
        where
            E: Real,
            D: dfdx::prelude::Device<E>,
        {
            type Built = $name<M, H, F, E, D, $($parameter),*>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                const { heads_fit::<M, H, collection!(@rotation $($parameter: $bound),*)>() }
                Self::Built::try_build(device)
            }
        }

        impl<const M: usize, const H: usize, const F: usize, E, D, $($parameter: $bound),*> TensorCollection<E, D>
            for $name<M, H, F, E, D, $($parameter),*>
        where
            E: Real,
            D: dfdx::prelude::Device<E>,
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = $name<M, H, F, E2, D2, $($parameter),*>;

            fn iter_tensors<W: ModuleVisitor<Self, E, D>>(
                visitor: &mut W,
            ) -> Result<Option<Self::To<W::E2, W::D2>>, W::Err> {
                visitor.visit_fields(
                    // Groups, because dfdx visits at most six fields at a time.
                    ($(($(Self::module(stringify!($field), |s| &s.$field, |s| &mut s.$field),)*),)*),
                    |($(($($field,)*),)*)| $name { $($($field,)*)* placement: N::default() },
                )
            }
        }

        impl<const M: usize, const H: usize, const F: usize, E: Dtype, D: Storage<E>, $($parameter),*>
            NonMutableModule for $name<M, H, F, E, D, $($parameter),*>
        {
        }
    };
}
collection!(TransformerEncoderBlock<N: NormPlacement, A: Activation, V: Visibility, P: Rotation> {
    [self_attn] [linear1 linear2] [norm1 norm2]
});
collection!(TransformerDecoderBlock<N: NormPlacement, A: Activation> {
    [self_attn cross_attn] [linear1 linear2] [norm1 norm2 norm3]
});

/// What a residual adds up: tensors or duals.
pub(crate) trait Stream: WithEmptyTape + HasErr {
    fn try_plus(self, branch: Self) -> Result<Self, Self::Err>;
}
impl<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>> Stream for Tensor<S, E, D, T> {
    fn try_plus(self, branch: Self) -> Result<Self, D::Err> {
        kernels::try_add(self, branch)
    }
}
impl<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>> Stream for Dual<S, E, D, T> {
    fn try_plus(self, branch: Self) -> Result<Self, D::Err> {
        let ((x, dx), (y, dy)) = (self.split(), branch.split());
        Ok(Dual::join(kernels::try_add(x, y)?, kernels::try_add(dx, dy)?))
    }
}

/// One sublayer with its residual and normalisation.
pub(crate) fn sublayer<X, N, L>(
    _placement: N,
    norm: &L,
    x: X,
    layer: impl FnOnce(X) -> Result<X, Error>,
) -> Result<X, Error>
where
    X: Stream,
    X::Err: Send + Sync + 'static,
    N: NormPlacement,
    L: Module<X, Output = X, Error = X::Err>,
{
    let normalise = |x: X| norm.try_forward(x).map_err(device_error);
    let branch = x.with_empty_tape();
    if N::IS_FIRST {
        x.try_plus(layer(normalise(branch)?)?).map_err(device_error)
    } else {
        normalise(x.try_plus(layer(branch)?).map_err(device_error)?)
    }
}

impl<const M: usize, const H: usize, const F: usize, E, D, N, A, V, P>
    TransformerEncoderBlock<M, H, F, E, D, N, A, V, P>
where
    E: Real,
    D: SequenceDevice<E>,
    N: NormPlacement,
    A: Activation,
    V: Visibility,
    P: Rotation,
{
    /// The block with a mask of the positions that may be used.
    ///
    /// # Errors
    /// Those of [`MultiHeadAttention::try_attend`].
    pub fn try_run<B: Dim, S: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, S, M, E, D, T>,
        mask: &Mask,
    ) -> Result<Sequence<B, S, M, E, D, T>, Error> {
        let x = sublayer(self.placement, &self.norm1, x, |x| {
            let (x, tape) = x.split_tape();
            self.self_attn.try_attend(x.clone().put_tape(tape), x.put_tape(T::default()), mask)
        })?;
        sublayer(self.placement, &self.norm2, x, |x| self.feed_forward(x))
    }

    fn feed_forward<B: Dim, S: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, S, M, E, D, T>,
    ) -> Result<Sequence<B, S, M, E, D, T>, Error> {
        self.linear2.try_forward(self.linear1.try_forward(x).map_err(device_error)?).map_err(device_error)
    }
}

impl<const M: usize, const H: usize, const F: usize, E, D, N, A, P>
    TransformerEncoderBlock<M, H, F, E, D, N, A, Causal, P>
where
    E: Real,
    D: SequenceDevice<E>,
    N: NormPlacement,
    A: Activation,
    P: Rotation,
{
    /// The next positions of a causal sequence, whose earlier ones `cache` holds.
    ///
    /// # Errors
    /// Those of [`MultiHeadAttention::try_decode`].
    pub fn try_decode<B: Dim, S: Dim>(
        &self,
        x: Sequence<B, S, M, E, D>,
        cache: &mut KvCache<M, E>,
    ) -> Result<Sequence<B, S, M, E, D>, Error> {
        let x = sublayer(self.placement, &self.norm1, x, |x| self.self_attn.try_decode(x, cache))?;
        sublayer(self.placement, &self.norm2, x, |x| self.feed_forward(x))
    }
}

impl<const M: usize, const H: usize, const F: usize, E, D, N, A> TransformerDecoderBlock<M, H, F, E, D, N, A>
where
    E: Real,
    D: SequenceDevice<E>,
    N: NormPlacement,
    A: Activation,
{
    /// The block with masks of the positions of `x` and of `memory` that may be used.
    ///
    /// # Errors
    /// Those of [`MultiHeadAttention::try_attend`].
    pub fn try_run<B: Dim, S: Dim, K: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, S, M, E, D, T>,
        memory: Sequence<B, K, M, E, D, T>,
        mask: &Mask,
        memory_mask: &Mask,
    ) -> Result<Sequence<B, S, M, E, D, T>, Error> {
        let x = sublayer(self.placement, &self.norm1, x, |x| {
            let (x, tape) = x.split_tape();
            self.self_attn.try_attend(x.clone().put_tape(tape), x.put_tape(T::default()), mask)
        })?;
        let x =
            sublayer(self.placement, &self.norm2, x, |x| self.cross_attn.try_attend(x, memory, memory_mask))?;
        sublayer(self.placement, &self.norm3, x, |x| {
            self.linear2.try_forward(self.linear1.try_forward(x).map_err(device_error)?).map_err(device_error)
        })
    }
}

impl<const M: usize, const H: usize, const F: usize, B: Dim, S: Dim, E, D, T, N, A, V, P>
    Module<Sequence<B, S, M, E, D, T>> for TransformerEncoderBlock<M, H, F, E, D, N, A, V, P>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    N: NormPlacement,
    A: Activation,
    V: Visibility,
    P: Rotation,
{
    type Output = Sequence<B, S, M, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Sequence<B, S, M, E, D, T>) -> Result<Self::Output, D::Err> {
        Ok(self.try_run(x, &Mask::all()).unwrap_or_else(|error| panic!("{error}")))
    }
}

impl<const M: usize, const H: usize, const F: usize, B: Dim, S: Dim, K: Dim, E, D, T, N, A>
    Module<(Sequence<B, S, M, E, D, T>, Sequence<B, K, M, E, D, T>)>
    for TransformerDecoderBlock<M, H, F, E, D, N, A>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    N: NormPlacement,
    A: Activation,
{
    type Output = Sequence<B, S, M, E, D, T>;
    type Error = D::Err;
    fn try_forward(
        &self,
        (x, memory): (Sequence<B, S, M, E, D, T>, Sequence<B, K, M, E, D, T>),
    ) -> Result<Self::Output, D::Err> {
        let y = self.try_run(x, memory, &Mask::all(), &Mask::all());
        Ok(y.unwrap_or_else(|error| panic!("{error}")))
    }
}
