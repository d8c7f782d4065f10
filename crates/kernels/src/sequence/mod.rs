//! Operations on sequences: attention, recurrent layers over whole sequences, look-ups, positions.
//!
//! | module | operations |
//! |---|---|
//! | [`attention`] | [`attention()`](attention::attention), masks, relative positions, [`KvCache`] |
//! | [`recurrent`] | [`rnn`](recurrent::rnn), [`lstm`](recurrent::lstm), [`gru`](recurrent::gru) over padded batches |
//! | [`indexing`] | [`embedding`](indexing::embedding), [`gather_rows`], [`scatter_add_rows`], [`top_k`], [`unique_rows`] |
//! | [`position`] | [`sinusoid`], [`rotary`](position::rotary) |
//!
//! Shapes are batch first: `(B, T, C)`. Masks say `true` for what *may be used*. The bodies exist for `Cpu` in f32 and
//! f64; callers write the bound [`SequenceDevice`].
pub mod attention;
#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
#[cfg(all(test, not(loom)))]
mod composed;
mod cpu;
pub mod indexing;
pub(crate) mod passes;
pub mod position;
pub mod recurrent;
#[cfg(all(test, not(loom)))]
mod tests;

pub use attention::{Attention, KvCache, Mask, attention_weights, try_attention, try_attention_weights};
pub use indexing::{
    AppendFeatures, TopK, gather_rows, scatter_add_rows, top_k, try_embedding, try_gather_rows,
    try_scatter_add_rows, try_top_k, unique_rows,
};
pub use position::{sinusoid, try_rotary, try_sinusoid};
pub use recurrent::{
    CellKind, Direction, Recurrence, RecurrentOutput, RecurrentWeights, RnnActivation, try_gru, try_lstm,
    try_rnn,
};

use crate::{Device, Error, Real};
use dfdx::prelude::*;

/// A device that runs the sequence operations for elements of type `E`.
///
/// The methods are the bodies of the free functions of [`sequence`](crate::sequence): call those.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no bodies for the sequence operations of `kernels` with elements of type `{E}`",
    note = "`Cpu` has them for f32 and f64"
)]
pub trait SequenceDevice<E: Real>: Device<E> + Storage<usize> {
    /// Body of [`try_attention`].
    fn attention<B: Dim, Q: Dim, K: Dim, const C: usize, const V: usize, T: Tape<E, Self>>(
        q: Tensor<(B, Q, Const<C>), E, Self, T>,
        k: Tensor<(B, K, Const<C>), E, Self, T>,
        v: Tensor<(B, K, Const<V>), E, Self, T>,
        options: &Attention<'_, C, E, Self>,
    ) -> Result<Tensor<(B, Q, Const<V>), E, Self, T>, Error>;

    /// Body of [`try_attention_weights`].
    fn attention_weights<B: Dim, Q: Dim, K: Dim, const C: usize>(
        q: &Tensor<(B, Q, Const<C>), E, Self>,
        k: &Tensor<(B, K, Const<C>), E, Self>,
        options: &Attention<'_, C, E, Self>,
    ) -> Result<Tensor<(B, usize, Q, K), E, Self>, Error>;

    /// Body of [`KvCache::try_attend`].
    fn attend_cached<B: Dim, Q: Dim, const C: usize>(
        q: &Tensor<(B, Q, Const<C>), E, Self>,
        cache: &KvCache<C, E>,
        options: &Attention<'_, C, E, Self>,
    ) -> Result<Tensor<(B, Q, Const<C>), E, Self>, Error>;

    /// Body of [`KvCache::try_append`]: calls `write` with the elements of both tensors in row-major order.
    fn read_pair<S: Shape>(
        k: &Tensor<S, E, Self>,
        v: &Tensor<S, E, Self>,
        read: impl FnOnce(&[E], &[E]),
    ) -> Result<(), Error>;

    /// Body of [`try_rnn`], [`try_lstm`] and [`try_gru`].
    fn recurrent<const G: usize, B: Dim, S: Dim, const I: usize, const H: usize, T: Tape<E, Self>>(
        x: Tensor<(B, S, Const<I>), E, Self, T>,
        kind: CellKind,
        weights: &RecurrentWeights<'_, G, I, H, E, Self>,
        options: &Recurrence<'_, B, H, E, Self>,
    ) -> Result<RecurrentOutput<B, S, H, E, Self, T>, Error>;

    /// Body of [`try_gather_rows`] and [`try_embedding`]; `shape` has `rows.len() * C` elements.
    fn gather_rows<N: Dim, const C: usize, O: Shape, T: Tape<E, Self>>(
        x: Tensor<(N, Const<C>), E, Self, T>,
        rows: Vec<usize>,
        shape: O,
    ) -> Result<Tensor<O, E, Self, T>, Error>;

    /// Body of [`try_scatter_add_rows`].
    fn scatter_add_rows<M: Dim, const C: usize, T: Tape<E, Self>>(
        x: Tensor<(M, Const<C>), E, Self, T>,
        rows: Vec<usize>,
        count: usize,
    ) -> Result<Tensor<(usize, Const<C>), E, Self, T>, Error>;

    /// Body of [`try_top_k`].
    fn top_k<B: Dim, N: Dim, T: Tape<E, Self>>(
        x: Tensor<(B, N), E, Self, T>,
        k: usize,
    ) -> Result<TopK<B, E, Self, T>, Error>;

    /// Body of [`try_rotary`].
    fn rotary<B: Dim, S: Dim, const C: usize, T: Tape<E, Self>>(
        x: Tensor<(B, S, Const<C>), E, Self, T>,
        heads: usize,
        start: usize,
        base: f64,
    ) -> Result<Tensor<(B, S, Const<C>), E, Self, T>, Error>;
}
