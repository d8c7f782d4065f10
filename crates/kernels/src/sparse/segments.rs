//! Reductions over runs of rows: sums, means, extrema and softmax of the entries of each row of a sparse matrix, of the
//! nodes of each graph of a batch, of the edges of each node.
use super::{Pattern, SparseDevice, SparseError, same};
use crate::Real;
use dfdx::prelude::*;
use std::sync::Arc;

/// A cut of V rows into consecutive segments; a segment may be empty.
///
/// ```
/// use kernels::sparse::Segments;
/// let graphs = Segments::from_lengths(&[2, 0, 3]);
/// assert_eq!((graphs.len(), graphs.values()), (3, 5));
/// ```
#[derive(Clone, Debug)]
pub struct Segments {
    starts: Arc<Vec<usize>>,
}

impl Segments {
    /// Segments from where each begins and where the last ends.
    ///
    /// # Errors
    /// [`SparseError::StartsLength`] for no start at all, [`SparseError::StartsNotMonotone`].
    pub fn try_new(starts: Vec<usize>) -> Result<Self, SparseError> {
        let Some(&entries) = starts.last() else {
            return Err(SparseError::StartsLength { starts: 0, rows: 0 });
        };
        if starts[0] != 0 {
            return Err(SparseError::StartsNotMonotone { row: 0, start: starts[0], entries });
        }
        if let Some(row) = (1..starts.len()).find(|&row| starts[row] < starts[row - 1]) {
            return Err(SparseError::StartsNotMonotone { row, start: starts[row], entries });
        }
        if entries > u32::MAX as usize {
            return Err(SparseError::TooLarge { size: entries });
        }
        Ok(Self { starts: Arc::new(starts) })
    }

    /// Segments of the given lengths, one after the other.
    ///
    /// # Panics
    /// When there are more than 2³² − 1 rows in all.
    pub fn from_lengths(lengths: &[usize]) -> Self {
        let mut starts = vec![0];
        for length in lengths {
            starts.push(starts[starts.len() - 1] + length);
        }
        Self::try_new(starts).expect("sums of lengths do not fall")
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no segment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows V that are cut.
    pub fn values(&self) -> usize {
        self.starts[self.len()]
    }

    /// Where each segment begins, and where the last ends.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }
}

impl<M: Dim, N: Dim> Pattern<M, N> {
    /// The entries of each row as a segment.
    pub fn segments(&self) -> Segments {
        Segments { starts: Arc::new(self.starts().to_vec()) }
    }
}

/// How the rows of a segment become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Σ; 0 for no row.
    Sum,
    /// Σ / n; 0 for no row.
    Mean,
    /// Largest; 0 for no row. The gradient goes to the first row that attains it; a NaN is the largest.
    Max,
    /// Smallest; 0 for no row. The gradient goes to the first row that attains it; a NaN is the smallest.
    Min,
    /// ln Σ eˣ; −∞ for no row.
    LogSumExp,
}

/// Each column of `(V, F)` reduced over each segment: `(segments, F)`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{Reduction, Segments, segment_reduce};
/// let x = Cpu::default().tensor([[1.0_f32, 5.0], [3.0, -5.0], [7.0, 0.0]]);
/// let y = segment_reduce(x, &Segments::from_lengths(&[2, 0, 1]), Reduction::Mean);
/// assert_eq!(y.as_vec(), [2.0, 0.0, 0.0, 0.0, 7.0, 0.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_segment_reduce`].
pub fn segment_reduce<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    values: Tensor<(V, F), E, D, T>,
    segments: &Segments,
    reduction: Reduction,
) -> Tensor<(usize, F), E, D, T> {
    try_segment_reduce(values, segments, reduction).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`segment_reduce`].
///
/// # Errors
/// [`SparseError::LengthMismatch`] when the segments cut another number of rows, [`SparseError::Device`].
pub fn try_segment_reduce<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    values: Tensor<(V, F), E, D, T>,
    segments: &Segments,
    reduction: Reduction,
) -> Result<Tensor<(usize, F), E, D, T>, SparseError> {
    same("dense operand", values.shape().0.size(), segments.values())?;
    D::segment_reduce(values, segments, reduction).map_err(SparseError::device)
}

macro_rules! reductions {
    ($($name:ident, $reduction:ident, $what:literal;)*) => { $(
        #[doc = concat!($what, " [`segment_reduce`] with [`Reduction::", stringify!($reduction), "`].")]
        ///
        /// # Panics
        /// On the errors of [`try_segment_reduce`].
        pub fn $name<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
            values: Tensor<(V, F), E, D, T>,
            segments: &Segments,
        ) -> Tensor<(usize, F), E, D, T> {
            segment_reduce(values, segments, Reduction::$reduction)
        }
    )* };
}
reductions! {
    segment_sum, Sum, "Sums over segments:";
    segment_mean, Mean, "Means over segments:";
    segment_max, Max, "Largest elements of segments:";
    segment_min, Min, "Smallest elements of segments:";
    segment_log_sum_exp, LogSumExp, "ln Σ eˣ over segments:";
}

/// Softmax of each column over each segment, `(V, F)`; with the entries of rows as segments, the softmax over the
/// neighbours of a node that attention on graphs needs. An empty segment has no entry, and gives none.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sparse::{Segments, segment_softmax};
/// let scores = Cpu::default().tensor([[0.0_f64], [0.0], [5.0]]);
/// assert_eq!(segment_softmax(scores, &Segments::from_lengths(&[2, 0, 1])).as_vec(), [0.5, 0.5, 1.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_segment_softmax`].
pub fn segment_softmax<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    values: Tensor<(V, F), E, D, T>,
    segments: &Segments,
) -> Tensor<(V, F), E, D, T> {
    try_segment_softmax(values, segments).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`segment_softmax`].
///
/// # Errors
/// As [`try_segment_reduce`].
pub fn try_segment_softmax<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    values: Tensor<(V, F), E, D, T>,
    segments: &Segments,
) -> Result<Tensor<(V, F), E, D, T>, SparseError> {
    same("dense operand", values.shape().0.size(), segments.values())?;
    D::segment_softmax(values, segments).map_err(SparseError::device)
}
