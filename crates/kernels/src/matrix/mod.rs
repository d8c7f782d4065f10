//! Products of matrices, batches and vectors; Gram matrices; squared distances.
//!
//! $$ Z_{b m n} = \sum_k X_{b m k} Y_{b k n}, \qquad G_{ij} = \sum_k X_{ik} X_{jk}, \qquad
//!    D_{ij} = \sum_f (X_{if} - Y_{jf})^2 $$
//!
//! | I need | here | shapes |
//! |---|---|---|
//! | a product of matrices, of batches of them, or with a vector | [`matmul`] | see [`Multiply`] |
//! | $x y^\top$ | [`outer`] | `(M) × (N) → (M, N)` |
//! | $X X^\top$, rows against rows | [`gram`] | `(M, K) → (M, M)` |
//! | $X^\top X$, columns against columns | [`gram_columns`] | `(M, K) → (K, K)` |
//! | distances between two sets of points | [`squared_distances`] | `(M, F), (N, F) → (M, N)` |
//! | distances inside one set | [`pairwise_squared_distances`] | `(M, F) → (M, M)` |
//!
//! An operand may be permuted: a transposed matrix, or attention heads that lie inside rows, are read where they are.
//! Only broadcast operands are copied. Both operands may be the same tensor; the gradient has both halves, where dfdx's
//! own product panics.
use crate::{Device, Error, Real};
use dfdx::prelude::*;

mod composed;
mod cpu;
mod device;
mod passes;

#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
#[cfg(all(test, not(loom)))]
mod tests;

pub use device::MatrixDevice;
pub(crate) use passes::MatrixPasses;

/// What an axis of an operand is to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// First axis of a batch of two axes.
    OuterBatch,
    /// The axis of a batch, or the second of two.
    Batch,
    /// Rows of the left operand and of the product.
    Row,
    /// The axis that is summed over.
    Inner,
    /// Columns of the right operand and of the product.
    Column,
}

/// Shapes whose matrix product exists.
///
/// | `Self` | `Right` | `Product` | |
/// |---|---|---|---|
/// | `(M, K)` | `(K, N)` | `(M, N)` | matrices |
/// | `(M, K)` | `(K)` | `(M)` | matrix and column vector |
/// | `(K)` | `(K, N)` | `(N)` | row vector and matrix |
/// | `(B, M, K)` | `(B, K, N)` | `(B, M, N)` | one product per entry of a batch |
/// | `(A, B, M, K)` | `(A, B, K, N)` | `(A, B, M, N)` | and of two batch axes, as heads of attention |
/// | `(B, M, K)` | `(K, N)` | `(B, M, N)` | one right operand for all entries |
/// | `(A, B, M, K)` | `(K, N)` | `(A, B, M, N)` | |
#[diagnostic::on_unimplemented(
    message = "a matrix product needs as many columns in `{Self}` as there are rows in `{Right}`, and equal batches",
    label = "these two shapes have no product",
    note = "(M, K) × (K, N), (M, K) × (K), (K) × (K, N), and (B, M, K) or (A, B, M, K) with the same batch or (K, N)"
)]
pub trait Multiply<Right: Shape>: Shape {
    /// Shape of the product.
    type Product: Shape;
    /// What the axes of `Self` are.
    const LEFT: &'static [Index];
    /// What the axes of `Right` are.
    const RIGHT: &'static [Index];
    /// The product's shape, without a look at whether the sizes agree.
    fn product(&self, right: &Right) -> Self::Product;
}

macro_rules! multiply {
    ($([$($Dim:ident)*] ($($left:ident $L:ident),*) x ($($right:ident $R:ident),*) =
        ($($side:tt $axis:tt $O:ident),*);)*) => {$(
        impl<$($Dim: Dim),*> Multiply<($($R,)*)> for ($($L,)*) {
            type Product = ($($O,)*);
            const LEFT: &'static [Index] = &[$(Index::$left),*];
            const RIGHT: &'static [Index] = &[$(Index::$right),*];
            fn product(&self, right: &($($R,)*)) -> Self::Product {
                let both = (self, right);
                ($(both.$side.$axis,)*)
            }
        }
    )*};
}

multiply! {
    [M K N] (Row M, Inner K) x (Inner K, Column N) = (0 0 M, 1 1 N);
    [M K] (Row M, Inner K) x (Inner K) = (0 0 M);
    [K N] (Inner K) x (Inner K, Column N) = (1 1 N);
    [B M K N] (Batch B, Row M, Inner K) x (Batch B, Inner K, Column N) = (0 0 B, 0 1 M, 1 2 N);
    [B M K N] (Batch B, Row M, Inner K) x (Inner K, Column N) = (0 0 B, 0 1 M, 1 1 N);
    [A B M K N] (OuterBatch A, Batch B, Row M, Inner K) x (OuterBatch A, Batch B, Inner K, Column N) =
        (0 0 A, 0 1 B, 0 2 M, 1 3 N);
    [A B M K N] (OuterBatch A, Batch B, Row M, Inner K) x (Inner K, Column N) = (0 0 A, 0 1 B, 0 2 M, 1 1 N);
}

/// The sizes of a product and what its operands' axes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    left: &'static [Index],
    right: &'static [Index],
    batch: [usize; 2],
    rows: usize,
    inner: usize,
    cols: usize,
}

impl Plan {
    /// The plan for operands of these lengths.
    fn new(
        (left, left_lengths): (&'static [Index], &[usize]),
        (right, right_lengths): (&'static [Index], &[usize]),
    ) -> Result<Self, Error> {
        let length = |indices: &[Index], lengths: &[usize], index| {
            indices.iter().position(|&i| i == index).map(|axis| lengths[axis])
        };
        let both = |index| {
            let (l, r) = (length(left, left_lengths, index), length(right, right_lengths, index));
            match (l, r) {
                (Some(l), Some(r)) if l != r => {
                    Err(Error::ProductSizes { left: left_lengths.to_vec(), right: right_lengths.to_vec() })
                }
                _ => Ok(l.or(r).unwrap_or(1)),
            }
        };
        Ok(Self {
            left,
            right,
            batch: [both(Index::OuterBatch)?, both(Index::Batch)?],
            rows: both(Index::Row)?,
            inner: both(Index::Inner)?,
            cols: both(Index::Column)?,
        })
    }

    /// Whether one right operand serves a batch of left ones: then it is one product of more rows.
    fn is_shared(&self) -> bool {
        self.left.contains(&Index::Batch) && !self.right.contains(&Index::Batch)
    }
}

fn lengths<S: Shape>(shape: &S) -> Vec<usize> {
    shape.concrete().into_iter().collect()
}

/// Matrix product of any two shapes that [`Multiply`] knows.
///
/// Operands may be permuted, or the same tensor twice: unlike dfdx's own product, `matmul(x, x.permute())` has a right
/// gradient (and [`gram`] computes half of it). The gradients are $\bar X = \bar Z Y^\top$ and $\bar Y = X^\top \bar Z$.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::matmul;
/// let device = Cpu::default();
/// let x = device.tensor([[1.0_f64, 2.0], [3.0, 4.0]]);
/// let transposed = x.clone().permute::<Rank2<2, 2>, Axes2<1, 0>>();
/// let product = matmul(x.leaky_trace(), transposed);
/// assert_eq!(product.array(), [[5.0, 11.0], [11.0, 25.0]]);
/// // The derivative of the sum is 2 (column sums), once per row.
/// assert_eq!(product.sum().backward().get(&x).array(), [[8.0, 12.0], [8.0, 12.0]]);
///
/// assert_eq!(matmul(x.clone(), device.tensor([1.0, -1.0])).array(), [-1.0, -1.0]);
/// let batch = device.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]); // (B, K, 1)
/// let rows = device.tensor([[[1.0, 1.0]], [[1.0, -1.0]]]); // (B, 1, K)
/// assert_eq!(matmul(rows, batch).array(), [[[3.0]], [[-1.0]]]);
/// ```
///
/// **Complexity**: $B M K N$ multiplications, twice that backward, no memory beside the product. Cut into parts by
/// sizes alone: entries of a batch, and blocks of large entries.
///
/// # Panics
/// When run-time sizes do not agree, or the device fails; [`try_matmul`] returns the error.
pub fn matmul<S: Multiply<R>, R: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<Q>, Q: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    y: Tensor<R, E, D, Q>,
) -> Tensor<S::Product, E, D, T> {
    try_matmul(x, y).unwrap()
}

/// Fallible twin of [`matmul`].
///
/// # Errors
/// [`Error::ProductSizes`] when sizes that are known at run time only do not agree; the device's error when an
/// allocation or a kernel fails.
pub fn try_matmul<
    S: Multiply<R>,
    R: Shape,
    E: Real,
    D: Device<E>,
    T: Tape<E, D> + Merge<Q>,
    Q: Tape<E, D>,
>(
    x: Tensor<S, E, D, T>,
    y: Tensor<R, E, D, Q>,
) -> Result<Tensor<S::Product, E, D, T>, Error> {
    let plan = Plan::new((S::LEFT, &lengths(x.shape())), (S::RIGHT, &lengths(y.shape())))?;
    let shape = x.shape().product(y.shape());
    D::multiply(x, y, plan, shape).map_err(Error::device)
}

/// $x y^\top$: every product of an element of `x` with one of `y`.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let z = kernels::outer(device.tensor([1.0_f32, 2.0]), device.tensor([3.0, 0.0, -1.0]));
/// assert_eq!(z.array(), [[3.0, 0.0, -1.0], [6.0, 0.0, -2.0]]);
/// ```
///
/// # Panics
/// When the device fails; [`try_outer`] returns the error.
pub fn outer<M: Dim, N: Dim, E: Real, D: Device<E>, T: Tape<E, D> + Merge<Q>, Q: Tape<E, D>>(
    x: Tensor<(M,), E, D, T>,
    y: Tensor<(N,), E, D, Q>,
) -> Tensor<(M, N), E, D, T> {
    try_outer(x, y).unwrap()
}

/// Fallible twin of [`outer`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_outer<M: Dim, N: Dim, E: Real, D: Device<E>, T: Tape<E, D> + Merge<Q>, Q: Tape<E, D>>(
    x: Tensor<(M,), E, D, T>,
    y: Tensor<(N,), E, D, Q>,
) -> Result<Tensor<(M, N), E, D, T>, D::Err> {
    let shape = (x.shape().0, y.shape().0);
    let plan = Plan {
        left: &[Index::Row],
        right: &[Index::Column],
        batch: [1, 1],
        rows: shape.0.size(),
        inner: 1,
        cols: shape.1.size(),
    };
    D::multiply(x, y, plan, shape)
}

/// $X X^\top$: the products of all pairs of rows. Symmetric to the bit, and half the work of [`matmul`].
///
/// The gradient is $(\bar G + \bar G^\top) X$, one product.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let x = device.tensor([[1.0_f64, 2.0], [3.0, 4.0], [0.0, 1.0]]);
/// let g = kernels::gram(x);
/// assert_eq!(g.array(), [[5.0, 11.0, 2.0], [11.0, 25.0, 4.0], [2.0, 4.0, 1.0]]);
/// ```
///
/// **Complexity**: about $M^2 K / 2$ multiplications, $M^2 K$ backward.
///
/// # Panics
/// When the device fails; [`try_gram`] returns the error.
pub fn gram<M: Dim, K: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(M, K), E, D, T>,
) -> Tensor<(M, M), E, D, T> {
    try_gram(x).unwrap()
}

/// Fallible twin of [`gram`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_gram<M: Dim, K: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(M, K), E, D, T>,
) -> Result<Tensor<(M, M), E, D, T>, D::Err> {
    D::gram(x)
}

/// $X^\top X$: the products of all pairs of columns, as [`gram`] of the transposed matrix, which is not copied.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let x = device.tensor([[1.0_f64, 2.0], [3.0, 4.0]]);
/// assert_eq!(kernels::gram_columns(x).array(), [[10.0, 14.0], [14.0, 20.0]]);
/// ```
///
/// # Panics
/// When the device fails; [`try_gram_columns`] returns the error.
pub fn gram_columns<M: Dim, K: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(M, K), E, D, T>,
) -> Tensor<(K, K), E, D, T> {
    try_gram_columns(x).unwrap()
}

/// Fallible twin of [`gram_columns`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_gram_columns<M: Dim, K: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(M, K), E, D, T>,
) -> Result<Tensor<(K, K), E, D, T>, D::Err> {
    D::gram(x.try_permute::<(K, M), Axes2<1, 0>>()?)
}

/// Squared Euclidean distance of every row of `x` from every row of `y`.
///
/// Sums of squared differences, not $\lVert x\rVert^2 + \lVert y\rVert^2 - 2 x y^\top$: that form loses all digits for
/// near points far from the origin, and can be negative. Here a distance is never negative, 0 for equal rows, and right
/// to about $F$ units in the last place. The gradient $2 \sum_j \bar D_{ij} (x_i - y_j)$ is finite everywhere, also at
/// equal rows; take a root only of what is larger than 0.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let x = device.tensor([[0.0_f32, 0.0], [1.0, 1.0]]);
/// let y = device.tensor([[3.0, 4.0]]);
/// assert_eq!(kernels::squared_distances(x, y).array(), [[25.0], [13.0]]);
/// ```
///
/// **Complexity**: $M N F$ subtractions and as many multiplications, which no product can share; backward two matrix
/// products of $M N F$. A packed copy of `y` beside the result.
///
/// # Panics
/// When the numbers of features are known at run time only and differ, or the device fails;
/// [`try_squared_distances`] returns the error.
pub fn squared_distances<
    M: Dim,
    N: Dim,
    F: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D> + Merge<Q>,
    Q: Tape<E, D>,
>(
    x: Tensor<(M, F), E, D, T>,
    y: Tensor<(N, F), E, D, Q>,
) -> Tensor<(M, N), E, D, T> {
    try_squared_distances(x, y).unwrap()
}

/// Fallible twin of [`squared_distances`].
///
/// # Errors
/// [`Error::FeatureCount`] when the numbers of features are known at run time only and differ; the device's error when
/// an allocation or a kernel fails.
pub fn try_squared_distances<
    M: Dim,
    N: Dim,
    F: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D> + Merge<Q>,
    Q: Tape<E, D>,
>(
    x: Tensor<(M, F), E, D, T>,
    y: Tensor<(N, F), E, D, Q>,
) -> Result<Tensor<(M, N), E, D, T>, Error> {
    let [left, right] = [x.shape().1.size(), y.shape().1.size()];
    if left != right {
        return Err(Error::FeatureCount { left, right });
    }
    D::squared_distances(x, y).map_err(Error::device)
}

/// Squared Euclidean distance of every row of `x` from every other: [`squared_distances`] of a set to itself, in half
/// the time. Symmetric to the bit, with an exact zero diagonal.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let x = device.tensor([[1e4_f32, 0.0], [1e4, 3.0]]);
/// assert_eq!(kernels::pairwise_squared_distances(x).array(), [[0.0, 9.0], [9.0, 0.0]]);
/// ```
///
/// # Panics
/// When the device fails; [`try_pairwise_squared_distances`] returns the error.
pub fn pairwise_squared_distances<M: Dim, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(M, F), E, D, T>,
) -> Tensor<(M, M), E, D, T> {
    try_pairwise_squared_distances(x).unwrap()
}

/// Fallible twin of [`pairwise_squared_distances`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
pub fn try_pairwise_squared_distances<M: Dim, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(M, F), E, D, T>,
) -> Result<Tensor<(M, M), E, D, T>, D::Err> {
    D::pairwise_squared_distances(x)
}
