//! Sparse matrices and graphs: compressed rows, products with dense matrices, reductions over segments, and the
//! samplers and neighbour searches that make graphs.
//!
//! $$ Y_{i\cdot} = \sum_{j \in \mathcal N(i)} a_{ij} X_{j\cdot} \quad\text{(SpMM)}, \qquad
//!    s_{ij} = \langle Q_{i\cdot}, K_{j\cdot} \rangle \ \text{for entries } (i, j) \quad\text{(SDDMM)} $$
//!
//! The two are each other's backward passes: with G the gradient of Y, the gradient of X is Aᵀ G, and that of the
//! weights is SDDMM(G, X). A message-passing layer made of them never stores a message.
//!
//! | operation | result | backward |
//! |---|---|---|
//! | [`spmm`], [`spmm_weighted`] | `(M, F)` | SpMM with the transpose, SDDMM |
//! | [`sddmm`] | one number for each entry | two SpMMs |
//! | [`gather_rows`], [`scatter_add_rows`] | `(R, F)`, `(N, F)` | each other |
//! | [`segment_sum`] and its kin, [`segment_softmax`] | `(segments, F)`, `(V, F)` | one pass |
//!
//! **Sizes.** Feature widths and node counts may be known to the compiler or to the run: every axis is a dfdx `Dim`.
//!
//! **Determinism.** Work is cut by rows into parts of about equal numbers of entries, from the pattern alone; each row
//! is summed in the order of its columns, so results are the same bits for any number of threads. Everything drawn
//! takes a [`Key`](crate::random::Key).
//!
//! **Complexity**: SpMM and SDDMM take O(entries · F) time and no memory beside the result; the transpose, made once,
//! O(entries). The time of an entry grows where the dense rows leave a cache, for neighbours lie anywhere: the loops ask
//! for the next row's neighbours beforehand, which hides a part of it. The example `sparse_growth` measures the slopes.
//!
//! **Devices**: `Cpu` alone, as the bound [`SparseDevice`] says.
mod cpu;
mod csr;
mod error;
mod neighbours;
mod passes;
mod pattern;
mod sampling;
mod segments;

pub use csr::Csr;
pub use error::SparseError;
pub(crate) use neighbours::Distances;
pub use neighbours::{knn_graph, radius_graph};
pub(crate) use passes::SparsePasses;
pub use pattern::Pattern;
pub use sampling::{AliasTable, Block, NeighbourSampler, RandomWalks, Replace};
pub use segments::{
    Reduction, Segments, segment_log_sum_exp, segment_max, segment_mean, segment_min, segment_reduce,
    segment_softmax, segment_sum, try_segment_reduce, try_segment_softmax,
};

use crate::{Device, Real};
use dfdx::prelude::*;

/// A device that runs the operations on sparse matrices, for elements of type `E`. Call the functions of
/// [`sparse`](self); the methods are their bodies.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no sparse operations for elements of type `{E}`",
    note = "sparse operations run on `Cpu`; move the features there with `to_device(&cpu)`"
)]
pub trait SparseDevice<E: Real>: Device<E> {
    /// Body of [`try_spmm`]; the sizes have been checked.
    fn spmm<M: Dim, N: Dim, F: Dim, T: Tape<E, Self>>(
        a: &Csr<E, M, N>,
        x: Tensor<(N, F), E, Self, T>,
    ) -> Result<Tensor<(M, F), E, Self, T>, Self::Err>;

    /// Body of [`try_spmm_weighted`]; the sizes have been checked.
    fn spmm_weighted<M: Dim, N: Dim, F: Dim, W: Dim, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        pattern: &Pattern<M, N>,
        weights: Tensor<(W,), E, Self, T>,
        x: Tensor<(N, F), E, Self, R>,
    ) -> Result<Tensor<(M, F), E, Self, T>, Self::Err>;

    /// Body of [`try_sddmm`]; the sizes have been checked.
    fn sddmm<M: Dim, N: Dim, F: Dim, T: Tape<E, Self> + Merge<R>, R: Tape<E, Self>>(
        pattern: &Pattern<M, N>,
        queries: Tensor<(M, F), E, Self, T>,
        keys: Tensor<(N, F), E, Self, R>,
    ) -> Result<Tensor<(usize,), E, Self, T>, Self::Err>;

    /// Body of [`try_gather_rows`]; the sizes have been checked.
    fn gather_rows<N: Dim, F: Dim, T: Tape<E, Self>>(
        x: Tensor<(N, F), E, Self, T>,
        index: &RowIndex<N>,
    ) -> Result<Tensor<(usize, F), E, Self, T>, Self::Err>;

    /// Body of [`try_scatter_add_rows`]; the sizes have been checked.
    fn scatter_add_rows<R: Dim, N: Dim, F: Dim, T: Tape<E, Self>>(
        x: Tensor<(R, F), E, Self, T>,
        index: &RowIndex<N>,
    ) -> Result<Tensor<(N, F), E, Self, T>, Self::Err>;

    /// Body of [`try_segment_reduce`]; the sizes have been checked.
    fn segment_reduce<V: Dim, F: Dim, T: Tape<E, Self>>(
        values: Tensor<(V, F), E, Self, T>,
        segments: &Segments,
        reduction: Reduction,
    ) -> Result<Tensor<(usize, F), E, Self, T>, Self::Err>;

    /// Body of [`try_segment_softmax`]; the sizes have been checked.
    fn segment_softmax<V: Dim, F: Dim, T: Tape<E, Self>>(
        values: Tensor<(V, F), E, Self, T>,
        segments: &Segments,
    ) -> Result<Tensor<(V, F), E, Self, T>, Self::Err>;
}

/// A list of rows of an N-row matrix, with the order that scatters back. Rows may repeat.
///
/// For lists that stay, as the ends of a graph's edges; for one that is new in every batch see
/// [`sequence::gather_rows`](crate::sequence::gather_rows), which needs no preparation.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{RowIndex, gather_rows};
/// let x = Cpu::default().tensor([[1.0_f32], [2.0], [3.0]]);
/// let index = RowIndex::try_new(Const::<3>, &[2, 0, 2]).unwrap();
/// assert_eq!(gather_rows(x, &index).as_vec(), [3.0, 1.0, 3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct RowIndex<N: Dim = usize> {
    /// One entry a row: the row that is taken.
    selection: Pattern<usize, N>,
}

impl<N: Dim> RowIndex<N> {
    /// A list of rows, each below `rows`.
    ///
    /// # Errors
    /// [`SparseError::ColumnOutOfRange`] (the list is the matrix that selects) and [`SparseError::TooLarge`].
    pub fn try_new(rows: N, indices: &[u32]) -> Result<Self, SparseError> {
        let starts = (0..=indices.len()).collect();
        Ok(Self { selection: Pattern::try_new(indices.len(), rows, starts, indices.to_vec())? })
    }

    /// The rows in order.
    pub fn indices(&self) -> &[u32] {
        self.selection.columns()
    }
}

fn same(operand: &'static str, length: usize, expected: usize) -> Result<(), SparseError> {
    if length == expected { Ok(()) } else { Err(SparseError::LengthMismatch { operand, length, expected }) }
}

/// A X, the product of a sparse matrix `(M, N)` and a dense one `(N, F)`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{Csr, spmm};
/// let a = Csr::try_from_edges(Const::<2>, Const::<3>, &[(0, 2, 2.0_f32), (1, 0, 1.0), (1, 1, -1.0)]).unwrap();
/// let x = Cpu::default().tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]);
/// let y: Tensor<Rank2<2, 2>, f32, _> = spmm(&a, x);
/// assert_eq!(y.array(), [[6.0, 60.0], [-1.0, -10.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_spmm`].
pub fn spmm<M: Dim, N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    a: &Csr<E, M, N>,
    x: Tensor<(N, F), E, D, T>,
) -> Tensor<(M, F), E, D, T> {
    try_spmm(a, x).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`spmm`].
///
/// # Errors
/// [`SparseError::LengthMismatch`] when run-time sizes do not chain, [`SparseError::Device`].
pub fn try_spmm<M: Dim, N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    a: &Csr<E, M, N>,
    x: Tensor<(N, F), E, D, T>,
) -> Result<Tensor<(M, F), E, D, T>, SparseError> {
    same("dense operand", x.shape().0.size(), a.pattern().cols().size())?;
    D::spmm(a, x).map_err(SparseError::device)
}

/// A X where the weights of A, one for each entry of `pattern`, are a tensor: both operands get gradients.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{Pattern, spmm_weighted};
/// let device = Cpu::default();
/// let pattern = Pattern::try_from_edges(Const::<1>, Const::<2>, &[(0, 0), (0, 1)]).unwrap();
/// let weights = device.tensor([2.0_f64, 3.0]);
/// let x = device.tensor([[5.0], [7.0]]);
/// let y = spmm_weighted(&pattern, weights.leaky_trace(), x);
/// assert_eq!(y.array(), [[31.0]]);
/// assert_eq!(y.sum().backward().get(&weights).array(), [5.0, 7.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_spmm_weighted`].
pub fn spmm_weighted<M: Dim, N: Dim, F: Dim, W: Dim, E: Real, D: SparseDevice<E>, T, R>(
    pattern: &Pattern<M, N>,
    weights: Tensor<(W,), E, D, T>,
    x: Tensor<(N, F), E, D, R>,
) -> Tensor<(M, F), E, D, T>
where
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    try_spmm_weighted(pattern, weights, x).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`spmm_weighted`].
///
/// # Errors
/// [`SparseError::WeightCount`] and [`SparseError::LengthMismatch`] when run-time sizes do not fit,
/// [`SparseError::Device`].
pub fn try_spmm_weighted<M: Dim, N: Dim, F: Dim, W: Dim, E: Real, D: SparseDevice<E>, T, R>(
    pattern: &Pattern<M, N>,
    weights: Tensor<(W,), E, D, T>,
    x: Tensor<(N, F), E, D, R>,
) -> Result<Tensor<(M, F), E, D, T>, SparseError>
where
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    let given = weights.shape().0.size();
    if given != pattern.len() {
        return Err(SparseError::WeightCount { weights: given, entries: pattern.len() });
    }
    same("dense operand", x.shape().0.size(), pattern.cols().size())?;
    D::spmm_weighted(pattern, weights, x).map_err(SparseError::device)
}

/// ⟨qᵢ, kⱼ⟩ for each entry (i, j): the products of `(M, F)` and `(N, F)` where the pattern has entries, in its order.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{Pattern, sddmm};
/// let device = Cpu::default();
/// let pattern = Pattern::try_from_edges(Const::<2>, Const::<2>, &[(0, 1), (1, 0)]).unwrap();
/// let q = device.tensor([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(sddmm(&pattern, q.clone(), q).as_vec(), [11.0, 11.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_sddmm`].
pub fn sddmm<M: Dim, N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    pattern: &Pattern<M, N>,
    queries: Tensor<(M, F), E, D, T>,
    keys: Tensor<(N, F), E, D, R>,
) -> Tensor<(usize,), E, D, T> {
    try_sddmm(pattern, queries, keys).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`sddmm`].
///
/// # Errors
/// [`SparseError::LengthMismatch`] when run-time sizes do not fit, [`SparseError::Device`].
pub fn try_sddmm<
    M: Dim,
    N: Dim,
    F: Dim,
    E: Real,
    D: SparseDevice<E>,
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
>(
    pattern: &Pattern<M, N>,
    queries: Tensor<(M, F), E, D, T>,
    keys: Tensor<(N, F), E, D, R>,
) -> Result<Tensor<(usize,), E, D, T>, SparseError> {
    same("left operand", queries.shape().0.size(), pattern.rows().size())?;
    same("right operand", keys.shape().0.size(), pattern.cols().size())?;
    same("right operand's transpose", keys.shape().1.size(), queries.shape().1.size())?;
    D::sddmm(pattern, queries, keys).map_err(SparseError::device)
}

/// The rows of `(N, F)` that `index` lists, `(R, F)`; the gradients of a row taken twice are added.
///
/// # Panics
/// On the errors of [`try_gather_rows`].
pub fn gather_rows<N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    x: Tensor<(N, F), E, D, T>,
    index: &RowIndex<N>,
) -> Tensor<(usize, F), E, D, T> {
    try_gather_rows(x, index).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`gather_rows`].
///
/// # Errors
/// [`SparseError::LengthMismatch`] when run-time sizes do not fit, [`SparseError::Device`].
pub fn try_gather_rows<N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    x: Tensor<(N, F), E, D, T>,
    index: &RowIndex<N>,
) -> Result<Tensor<(usize, F), E, D, T>, SparseError> {
    same("dense operand", x.shape().0.size(), index.selection.cols().size())?;
    D::gather_rows(x, index).map_err(SparseError::device)
}

/// Row n of the result `(N, F)` is the sum of the rows of `(R, F)` whose index is n; the sum of none is 0.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{RowIndex, scatter_add_rows};
/// let x = Cpu::default().tensor([[1.0_f32], [2.0], [4.0]]);
/// let index = RowIndex::try_new(Const::<3>, &[2, 0, 2]).unwrap();
/// assert_eq!(scatter_add_rows(x, &index).array(), [[2.0], [0.0], [5.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_scatter_add_rows`].
pub fn scatter_add_rows<R: Dim, N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    x: Tensor<(R, F), E, D, T>,
    index: &RowIndex<N>,
) -> Tensor<(N, F), E, D, T> {
    try_scatter_add_rows(x, index).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`scatter_add_rows`].
///
/// # Errors
/// [`SparseError::LengthMismatch`] when run-time sizes do not fit, [`SparseError::Device`].
pub fn try_scatter_add_rows<R: Dim, N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    x: Tensor<(R, F), E, D, T>,
    index: &RowIndex<N>,
) -> Result<Tensor<(N, F), E, D, T>, SparseError> {
    same("dense operand", x.shape().0.size(), index.indices().len())?;
    D::scatter_add_rows(x, index).map_err(SparseError::device)
}

#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
#[cfg(all(test, not(loom)))]
mod tests;
