//! The bodies on `Cpu`.
mod attention;
mod indexing;
mod recurrent;
mod rotary;

use super::{
    Attention, CellKind, KvCache, Recurrence, RecurrentOutput, RecurrentWeights, SequenceDevice, TopK,
};
use crate::Error;
use crate::pool::chunks_mut;
use dfdx::prelude::*;

/// Runs `f` on each item, in parallel.
fn parallel_items<I: Send>(items: impl IntoIterator<Item = I>, f: impl Fn(I) + Sync) {
    let mut items: Vec<Option<I>> = items.into_iter().map(Some).collect();
    chunks_mut(&mut items, 1, |_, item| {
        if let Some(item) = item[0].take() {
            f(item)
        }
    });
}

/// Takes the next `n` elements off a slice.
fn next<'a, E>(rest: &mut &'a mut [E], n: usize) -> &'a mut [E] {
    let (first, others) = std::mem::take(rest).split_at_mut(n);
    *rest = others;
    first
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! bodies {
    ($E:ty) => {
        impl SequenceDevice<$E> for Cpu {
            fn attention<B: Dim, Q: Dim, K: Dim, const C: usize, const V: usize, T: Tape<$E, Cpu>>(
                q: Tensor<(B, Q, Const<C>), $E, Cpu, T>,
                k: Tensor<(B, K, Const<C>), $E, Cpu, T>,
                v: Tensor<(B, K, Const<V>), $E, Cpu, T>,
                options: &Attention<'_, C, $E, Cpu>,
            ) -> Result<Tensor<(B, Q, Const<V>), $E, Cpu, T>, Error> {
                attention::attention(q, k, v, options).map_err(Error::device)
            }
            fn attention_weights<B: Dim, Q: Dim, K: Dim, const C: usize>(
                q: &Tensor<(B, Q, Const<C>), $E, Cpu>,
                k: &Tensor<(B, K, Const<C>), $E, Cpu>,
                options: &Attention<'_, C, $E, Cpu>,
            ) -> Result<Tensor<(B, usize, Q, K), $E, Cpu>, Error> {
                attention::weights(q, k, options).map_err(Error::device)
            }
            fn attend_cached<B: Dim, Q: Dim, const C: usize>(
                q: &Tensor<(B, Q, Const<C>), $E, Cpu>,
                cache: &KvCache<C, $E>,
                options: &Attention<'_, C, $E, Cpu>,
            ) -> Result<Tensor<(B, Q, Const<C>), $E, Cpu>, Error> {
                attention::attend_cached(q, cache, options).map_err(Error::device)
            }
            fn read_pair<S: Shape>(
                k: &Tensor<S, $E, Cpu>,
                v: &Tensor<S, $E, Cpu>,
                read: impl FnOnce(&[$E], &[$E]),
            ) -> Result<(), Error> {
                let k = k.clone().try_contiguous().map_err(Error::device)?;
                let v = v.clone().try_contiguous().map_err(Error::device)?;
                read(crate::flat(&k), crate::flat(&v));
                Ok(())
            }
            fn recurrent<const G: usize, B: Dim, S: Dim, const I: usize, const H: usize, T: Tape<$E, Cpu>>(
                x: Tensor<(B, S, Const<I>), $E, Cpu, T>,
                kind: CellKind,
                weights: &RecurrentWeights<'_, G, I, H, $E, Cpu>,
                options: &Recurrence<'_, B, H, $E, Cpu>,
            ) -> Result<RecurrentOutput<B, S, H, $E, Cpu, T>, Error> {
                recurrent::recurrent(x, kind, weights, options).map_err(Error::device)
            }
            fn gather_rows<N: Dim, const C: usize, O: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<(N, Const<C>), $E, Cpu, T>,
                rows: Vec<usize>,
                shape: O,
            ) -> Result<Tensor<O, $E, Cpu, T>, Error> {
                indexing::gather_rows(x, rows, shape).map_err(Error::device)
            }
            fn scatter_add_rows<M: Dim, const C: usize, T: Tape<$E, Cpu>>(
                x: Tensor<(M, Const<C>), $E, Cpu, T>,
                rows: Vec<usize>,
                count: usize,
            ) -> Result<Tensor<(usize, Const<C>), $E, Cpu, T>, Error> {
                indexing::scatter_add_rows(x, rows, count).map_err(Error::device)
            }
            fn top_k<B: Dim, N: Dim, T: Tape<$E, Cpu>>(
                x: Tensor<(B, N), $E, Cpu, T>,
                k: usize,
            ) -> Result<TopK<B, $E, Cpu, T>, Error> {
                indexing::top_k(x, k).map_err(Error::device)
            }
            fn rotary<B: Dim, S: Dim, const C: usize, T: Tape<$E, Cpu>>(
                x: Tensor<(B, S, Const<C>), $E, Cpu, T>,
                heads: usize,
                start: usize,
                base: f64,
            ) -> Result<Tensor<(B, S, Const<C>), $E, Cpu, T>, Error> {
                rotary::rotary(x, heads, start, base).map_err(Error::device)
            }
        }
    };
}
bodies!(f32);
bodies!(f64);
