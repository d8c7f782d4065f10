//! Sparse matrices with fixed values.
use super::pattern::sort_edges;
use super::{Pattern, SparseError};
use crate::Real;
use dfdx::prelude::*;
use std::sync::{Arc, OnceLock};

/// An M×N matrix in compressed sparse rows: a [`Pattern`] and one finite weight for each entry.
///
/// The weights are constants of a model, such as a normalised adjacency matrix; [`spmm`](super::spmm) differentiates
/// by the dense operand alone. Weights that are learnt or computed stand in a tensor beside a [`Pattern`]: see
/// [`spmm_weighted`](super::spmm_weighted). A clone shares the memory.
///
/// ```
/// use kernels::sparse::Csr;
/// let a = Csr::try_from_edges(2_usize, 2_usize, &[(0, 1, 2.0_f64), (1, 0, 3.0), (0, 1, 0.5)]).unwrap();
/// assert_eq!(a.weights(), [2.5, 3.0]); // repeated entries are added
/// assert_eq!(a.row_sums(), [2.5, 3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Csr<E: Real, M: Dim = usize, N: Dim = usize> {
    pattern: Pattern<M, N>,
    values: Arc<Values<E>>,
}

#[derive(Debug)]
struct Values<E> {
    by_rows: Vec<E>,
    by_columns: OnceLock<Vec<E>>,
}

impl<E: Real, M: Dim, N: Dim> Csr<E, M, N> {
    /// A matrix with the given weights, in the order of the pattern's entries.
    ///
    /// # Errors
    /// [`SparseError::WeightCount`] and [`SparseError::NonFiniteWeight`].
    pub fn try_new(pattern: Pattern<M, N>, weights: Vec<E>) -> Result<Self, SparseError> {
        if weights.len() != pattern.len() {
            return Err(SparseError::WeightCount { weights: weights.len(), entries: pattern.len() });
        }
        if let Some(entry) = weights.iter().position(|w| !w.is_finite()) {
            return Err(SparseError::NonFiniteWeight { entry, weight: weights[entry].as_f64() });
        }
        Ok(Self::unchecked(pattern, weights))
    }

    fn unchecked(pattern: Pattern<M, N>, weights: Vec<E>) -> Self {
        Self { pattern, values: Arc::new(Values { by_rows: weights, by_columns: OnceLock::new() }) }
    }

    /// A matrix of ones.
    pub fn ones(pattern: Pattern<M, N>) -> Self {
        let weights = vec![E::ONE; pattern.len()];
        Self::unchecked(pattern, weights)
    }

    /// A matrix from (row, column, weight) in any order; the weights of repeated entries are added, in their order.
    ///
    /// # Errors
    /// As [`Pattern::try_from_edges`], and [`SparseError::NonFiniteWeight`].
    pub fn try_from_edges(rows: M, cols: N, edges: &[(u32, u32, E)]) -> Result<Self, SparseError> {
        let sorted = sort_edges(rows.size(), cols.size(), edges.len(), |i| (edges[i].0, edges[i].1))?;
        let (mut starts, mut columns, mut weights) = (vec![0], Vec::new(), Vec::<E>::new());
        for row in 0..rows.size() {
            let first = columns.len();
            for &(column, index) in sorted.row(row) {
                let weight = edges[index as usize].2;
                if columns.len() > first && columns.last() == Some(&column) {
                    let last = weights.len() - 1;
                    weights[last] += weight;
                } else {
                    columns.push(column);
                    weights.push(weight);
                }
            }
            starts.push(columns.len());
        }
        Self::try_new(Pattern::try_new(rows, cols, starts, columns)?, weights)
    }

    /// Where the entries are.
    pub fn pattern(&self) -> &Pattern<M, N> {
        &self.pattern
    }

    /// The weight of each entry, row after row.
    pub fn weights(&self) -> &[E] {
        &self.values.by_rows
    }

    /// The weights in the order of the transposed pattern, made at the first call.
    pub(crate) fn weights_by_columns(&self) -> &[E] {
        self.values.by_columns.get_or_init(|| {
            let order = &self.pattern.by_columns().entries;
            order.iter().map(|&entry| self.values.by_rows[entry as usize]).collect()
        })
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Csr<E, N, M> {
        Csr::unchecked(self.pattern.transposed(), self.weights_by_columns().to_vec())
    }

    /// Σⱼ aᵢⱼ for each row i: the degrees of a weighted graph.
    pub fn row_sums(&self) -> Vec<E> {
        let starts = self.pattern.starts();
        let weights = self.weights();
        (0..self.pattern.rows().size())
            .map(|row| weights[starts[row]..starts[row + 1]].iter().copied().sum())
            .collect()
    }

    /// diag(r) A diag(c): entry (i, j) times `rows[i] * cols[j]`.
    ///
    /// ```
    /// use kernels::sparse::{Csr, Pattern};
    /// // D^-1/2 (A + I) D^-1/2, the propagation matrix of Kipf and Welling.
    /// let a = Csr::<f64>::ones(Pattern::try_undirected(2_usize, &[(0, 1)]).unwrap()).with_self_loops(1.0);
    /// let roots: Vec<f64> = a.row_sums().iter().map(|d| d.sqrt().recip()).collect();
    /// let s = a.try_scaled(&roots, &roots).unwrap();
    /// assert!(s.weights().iter().all(|w| (w - 0.5).abs() < 1e-15));
    /// ```
    ///
    /// # Errors
    /// [`SparseError::ScaleLength`] and [`SparseError::NonFiniteWeight`].
    pub fn try_scaled(&self, rows: &[E], cols: &[E]) -> Result<Self, SparseError> {
        for (scales, size) in [(rows, self.pattern.rows().size()), (cols, self.pattern.cols().size())] {
            if scales.len() != size {
                return Err(SparseError::ScaleLength { scales: scales.len(), size });
            }
        }
        let places = self.pattern.entries().zip(self.weights());
        let weights = places.map(|((i, j), &w)| rows[i as usize] * w * cols[j as usize]).collect();
        Self::try_new(self.pattern.clone(), weights)
    }

    /// The matrix as a row-major dense one, M·N elements.
    pub fn to_dense(&self) -> Vec<E> {
        let cols = self.pattern.cols().size();
        let mut dense = vec![E::zero(); self.pattern.rows().size() * cols];
        for ((i, j), &w) in self.pattern.entries().zip(self.weights()) {
            dense[i as usize * cols + j as usize] = w;
        }
        dense
    }
}

impl<E: Real, N: Dim> Csr<E, N, N> {
    /// A + w I.
    pub fn with_self_loops(&self, weight: E) -> Self {
        let pattern = self.pattern.with_self_loops();
        let mut old = self.pattern.entries().zip(self.weights()).peekable();
        let weights = pattern.entries().map(|(i, j)| {
            let own = if i == j { weight } else { E::zero() };
            match old.peek() {
                Some(&(place, &w)) if place == (i, j) => {
                    old.next();
                    w + own
                }
                _ => own,
            }
        });
        let weights = weights.collect();
        Self::unchecked(pattern, weights)
    }
}
