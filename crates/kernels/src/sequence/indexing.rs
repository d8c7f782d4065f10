//! Look-ups by index and their adjoints: embedding, gather, scatter-add, top-k.
//!
//! $$ y_m = x_{r_m} \quad\text{(gather)}, \qquad y_n = \sum_{m:\,r_m = n} x_m \quad\text{(scatter-add)} $$
//!
//! Each is the backward pass of the other. Sums are added in the order of $m$, whatever the number of threads.
//!
//! **Two pairs of one name.** Here the rows are a plain list, new in each batch (ids, positions of a mask): checked when
//! it is used, and sorted, by counting, where sums are taken and nowhere else. [`sparse::gather_rows`] and its adjoint
//! take a [`RowIndex`], which belongs to a graph: checked and sorted once, then used by every layer of every step in
//! both directions. One pair for both would sort in each batch what is only read, or check in each step what never
//! changes.
//!
//! [`sparse::gather_rows`]: crate::sparse::gather_rows
//! [`RowIndex`]: crate::sparse::RowIndex
//!
//! **Sparse gradients.** dfdx keeps a dense gradient for each tensor, so the gradient of an embedding table of $V$ rows
//! costs $V C$ numbers a step even when a batch uses few rows. Where that matters, look up the distinct rows first and
//! train *them*: `let (rows, inverse) = unique_rows(&ids)`, `let small = gather_rows(table, &rows)` without a tape, then
//! `gather_rows(small.trace(..), &inverse)` in the model. `gradients.get(&small)` is the sparse gradient of the table at
//! `rows`, and the cost does not depend on $V$.
use super::SequenceDevice;
use crate::{Error, Real};
use dfdx::prelude::*;

/// A shape of indices, and the shape with `C` features for each.
pub trait AppendFeatures<const C: usize>: Shape {
    /// This shape and one more axis of `C`.
    type With: Shape;
    /// This shape and one more axis of `C`.
    fn append(&self) -> Self::With;
}
impl<A: Dim, const C: usize> AppendFeatures<C> for (A,) {
    type With = (A, Const<C>);
    fn append(&self) -> Self::With {
        (self.0, Const)
    }
}
impl<A: Dim, B: Dim, const C: usize> AppendFeatures<C> for (A, B) {
    type With = (A, B, Const<C>);
    fn append(&self) -> Self::With {
        (self.0, self.1, Const)
    }
}

fn check(indices: &[usize], rows: usize) -> Result<(), Error> {
    match indices.iter().enumerate().find(|(_, row)| **row >= rows) {
        Some((position, &index)) => Err(Error::IndexOutOfRange { position, index, rows }),
        None => Ok(()),
    }
}

/// The rows of `table` with the given ids, one per element of `ids`: `(V, C)`, `(B, T)` → `(B, T, C)`.
///
/// The tape comes with `ids`, as in dfdx.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sequence::indexing::embedding;
/// let device = Cpu::default();
/// let table = device.tensor([[0.0_f32, 1.0], [2.0, 3.0], [4.0, 5.0]]);
/// let ids = device.tensor([[2, 0], [2, 2]]);
/// let y = embedding(&table, ids.leaky_trace());
/// assert_eq!(y.array(), [[[4.0, 5.0], [0.0, 1.0]], [[4.0, 5.0], [4.0, 5.0]]]);
/// assert_eq!(y.sum().backward().get(&table).array(), [[1.0, 1.0], [0.0, 0.0], [3.0, 3.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_embedding`].
pub fn embedding<
    V: Dim,
    const C: usize,
    S: AppendFeatures<C>,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
>(
    table: &Tensor<(V, Const<C>), E, D>,
    ids: Tensor<S, usize, D, T>,
) -> Tensor<S::With, E, D, T> {
    try_embedding(table, ids).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`embedding`].
///
/// # Errors
/// [`Error::IndexOutOfRange`] for an id outside of the table, and the device's error.
pub fn try_embedding<
    V: Dim,
    const C: usize,
    S: AppendFeatures<C>,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
>(
    table: &Tensor<(V, Const<C>), E, D>,
    ids: Tensor<S, usize, D, T>,
) -> Result<Tensor<S::With, E, D, T>, Error> {
    let (ids, tape) = ids.split_tape();
    let shape = ids.shape().append();
    let rows = if ids.shape().num_elements() == 0 { Vec::new() } else { ids.as_vec() };
    check(&rows, table.shape().0.size())?;
    D::gather_rows(table.clone().put_tape(tape), rows, shape)
}

/// Rows of a matrix by index, repeated or not: `(N, C)` → `(rows.len(), C)`.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f64], [2.0]]);
/// let y = kernels::sequence::gather_rows(x.leaky_trace(), &[1, 1, 0]);
/// assert_eq!(y.as_vec(), [2.0, 2.0, 1.0]);
/// assert_eq!(y.sum().backward().get(&x).array(), [[1.0], [2.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_gather_rows`].
pub fn gather_rows<N: Dim, const C: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(N, Const<C>), E, D, T>,
    rows: &[usize],
) -> Tensor<(usize, Const<C>), E, D, T> {
    try_gather_rows(x, rows).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`gather_rows`].
///
/// # Errors
/// [`Error::IndexOutOfRange`], and the device's error.
pub fn try_gather_rows<N: Dim, const C: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(N, Const<C>), E, D, T>,
    rows: &[usize],
) -> Result<Tensor<(usize, Const<C>), E, D, T>, Error> {
    check(rows, x.shape().0.size())?;
    D::gather_rows(x, rows.to_vec(), (rows.len(), Const))
}

/// Adds row `m` of `x` to row `rows[m]` of a matrix of `count` rows that starts as zeros: `(M, C)` → `(count, C)`.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f64], [2.0], [4.0]]);
/// let y = kernels::sequence::scatter_add_rows(x, &[2, 0, 2], 3);
/// assert_eq!(y.as_vec(), [2.0, 0.0, 5.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_scatter_add_rows`].
pub fn scatter_add_rows<M: Dim, const C: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(M, Const<C>), E, D, T>,
    rows: &[usize],
    count: usize,
) -> Tensor<(usize, Const<C>), E, D, T> {
    try_scatter_add_rows(x, rows, count).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`scatter_add_rows`].
///
/// # Errors
/// [`Error::IndexOutOfRange`], [`Error::SequenceShapes`] when there is not one index per row, and the device's error.
pub fn try_scatter_add_rows<M: Dim, const C: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(M, Const<C>), E, D, T>,
    rows: &[usize],
    count: usize,
) -> Result<Tensor<(usize, Const<C>), E, D, T>, Error> {
    let left = x.shape().0.size();
    if left != rows.len() {
        return Err(Error::SequenceShapes { what: "rows and indices", left, right: rows.len() });
    }
    check(rows, count)?;
    D::scatter_add_rows(x, rows.to_vec(), count)
}

/// The distinct indices in ascending order, and for each index its position among them.
///
/// ```
/// let (rows, inverse) = kernels::sequence::unique_rows(&[7, 3, 7, 9]);
/// assert_eq!((rows, inverse), (vec![3, 7, 9], vec![1, 0, 1, 2]));
/// ```
pub fn unique_rows(indices: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut rows = indices.to_vec();
    rows.sort_unstable();
    rows.dedup();
    let inverse = indices.iter().map(|index| rows.partition_point(|row| row < index)).collect();
    (rows, inverse)
}

/// The largest elements of each row, largest first.
#[derive(Clone, Debug)]
pub struct TopK<B: Dim, E: Real, D: Storage<E>, T> {
    /// The elements, `(B, k)`.
    pub values: Tensor<(B, usize), E, D, T>,
    /// The columns they stand in, `k` for each row.
    pub indices: Vec<usize>,
}

/// The `k` largest elements of each row of `x` and where they stand; of equal elements the first comes first, and NaN
/// counts as smaller than every number.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[1.0_f32, 5.0, 3.0, 5.0]]);
/// let top = kernels::sequence::top_k(x.leaky_trace(), 3);
/// assert_eq!(top.indices, [1, 3, 2]);
/// assert_eq!(top.values.as_vec(), [5.0, 5.0, 3.0]);
/// assert_eq!(top.values.sum().backward().get(&x).array(), [[0.0, 1.0, 1.0, 1.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_top_k`].
pub fn top_k<B: Dim, N: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(B, N), E, D, T>,
    k: usize,
) -> TopK<B, E, D, T> {
    try_top_k(x, k).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`top_k`]: $N + k \log k$ comparisons a row on average.
///
/// # Errors
/// [`Error::TopK`] when a row has fewer than `k` elements, and the device's error.
pub fn try_top_k<B: Dim, N: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(B, N), E, D, T>,
    k: usize,
) -> Result<TopK<B, E, D, T>, Error> {
    let columns = x.shape().1.size();
    if k > columns {
        return Err(Error::TopK { k, columns });
    }
    D::top_k(x, k)
}
