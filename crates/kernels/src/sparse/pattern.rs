//! Where a sparse matrix has entries: compressed rows, checked once.
use super::SparseError;
use dfdx::prelude::*;
use std::sync::{Arc, OnceLock};

/// The places of the entries of an M×N matrix in compressed sparse rows, without their values.
///
/// Columns are sorted within a row and occur once: that is checked when a pattern is made, and everything built on it
/// relies on it. `M` and `N` are dimensions as those of tensors, `usize` at run time or `Const` at compile time, so
/// that a product whose sizes do not chain need not compile. As an adjacency matrix, entry (i, j) is the edge j → i:
/// row i holds the neighbours that i hears from.
///
/// A clone shares the memory. The transpose, which every backward pass needs, is made once and kept.
///
/// | part | length | holds |
/// |---|---|---|
/// | `starts` | M + 1 | where each row begins in `columns` |
/// | `columns` | entries | column of each entry, increasing within a row |
///
/// **Limits**: 2³² − 1 rows, columns and entries.
///
/// ```
/// use kernels::sparse::Pattern;
/// let path = Pattern::try_undirected(3_usize, &[(0, 1), (1, 2)]).unwrap();
/// assert_eq!(path.starts(), [0, 1, 3, 4]);
/// assert_eq!(path.row(1), [0, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Pattern<M: Dim = usize, N: Dim = usize> {
    rows: M,
    cols: N,
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    starts: Vec<usize>,
    columns: Vec<u32>,
    transposed: OnceLock<Transposed>,
}

/// The same entries by columns.
#[derive(Debug)]
pub(crate) struct Transposed {
    pub starts: Vec<usize>,
    /// Row of each entry.
    pub rows: Vec<u32>,
    /// Place of each entry in the order by rows.
    pub entries: Vec<u32>,
}

/// Compressed rows as the loops read them.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub starts: &'a [usize],
    pub columns: &'a [u32],
}

impl<M: Dim, N: Dim> Pattern<M, N> {
    /// A pattern from its parts.
    ///
    /// # Errors
    /// [`SparseError::StartsLength`], [`SparseError::StartsNotMonotone`], [`SparseError::ColumnOutOfRange`],
    /// [`SparseError::UnsortedColumns`] and [`SparseError::TooLarge`], by the rule that is broken.
    pub fn try_new(rows: M, cols: N, starts: Vec<usize>, columns: Vec<u32>) -> Result<Self, SparseError> {
        check_size(rows.size(), cols.size(), columns.len())?;
        if starts.len() != rows.size() + 1 {
            return Err(SparseError::StartsLength { starts: starts.len(), rows: rows.size() });
        }
        if starts[0] != 0 || starts[rows.size()] != columns.len() {
            let row = if starts[0] != 0 { 0 } else { rows.size() };
            return Err(SparseError::StartsNotMonotone { row, start: starts[row], entries: columns.len() });
        }
        if let Some(row) = (0..rows.size()).find(|&row| starts[row] > starts[row + 1]) {
            return Err(SparseError::StartsNotMonotone { row, start: starts[row], entries: columns.len() });
        }
        for row in 0..rows.size() {
            let columns = &columns[starts[row]..starts[row + 1]];
            if let Some(&column) = columns.iter().find(|&&column| column as usize >= cols.size()) {
                return Err(SparseError::ColumnOutOfRange { row, column, columns: cols.size() });
            }
            if !columns.is_sorted_by(|a, b| a < b) {
                return Err(SparseError::UnsortedColumns { row });
            }
        }
        Ok(Self::unchecked(rows, cols, starts, columns))
    }

    /// For parts that are right by construction.
    fn unchecked(rows: M, cols: N, starts: Vec<usize>, columns: Vec<u32>) -> Self {
        Self { rows, cols, parts: Arc::new(Parts { starts, columns, transposed: OnceLock::new() }) }
    }

    /// A pattern with an entry at every (row, column) of a list in any order; repeated ones count once.
    ///
    /// # Errors
    /// [`SparseError::RowOutOfRange`], [`SparseError::ColumnOutOfRange`] and [`SparseError::TooLarge`].
    ///
    /// ```
    /// let a = kernels::sparse::Pattern::try_from_edges(2_usize, 4_usize, &[(1, 3), (0, 2), (1, 0), (1, 3)]).unwrap();
    /// assert_eq!((a.row(0), a.row(1)), (&[2][..], &[0, 3][..]));
    /// ```
    pub fn try_from_edges(rows: M, cols: N, edges: &[(u32, u32)]) -> Result<Self, SparseError> {
        let sorted = sort_edges(rows.size(), cols.size(), edges.len(), |i| edges[i])?;
        let (mut starts, mut columns) =
            (Vec::with_capacity(rows.size() + 1), Vec::with_capacity(edges.len()));
        starts.push(0);
        for row in 0..rows.size() {
            let first = columns.len();
            for &(column, _) in sorted.row(row) {
                if columns.len() == first || columns.last() != Some(&column) {
                    columns.push(column);
                }
            }
            starts.push(columns.len());
        }
        Ok(Self::unchecked(rows, cols, starts, columns))
    }

    /// Number of rows M.
    pub fn rows(&self) -> M {
        self.rows
    }

    /// Number of columns N.
    pub fn cols(&self) -> N {
        self.cols
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.parts.columns.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.parts.columns.is_empty()
    }

    /// Where each row begins in [`columns`](Self::columns), M + 1 numbers; the last is the number of entries.
    pub fn starts(&self) -> &[usize] {
        &self.parts.starts
    }

    /// The column of each entry, row after row.
    pub fn columns(&self) -> &[u32] {
        &self.parts.columns
    }

    /// The columns of one row, increasing.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[u32] {
        &self.parts.columns[self.parts.starts[row]..self.parts.starts[row + 1]]
    }

    /// Every entry as (row, column), in order.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let row = |row: usize| self.row(row).iter().map(move |&column| (row as u32, column));
        (0..self.rows.size()).flat_map(row)
    }

    /// The pattern of the transposed matrix.
    ///
    /// ```
    /// let a = kernels::sparse::Pattern::try_from_edges(2_usize, 3_usize, &[(0, 1), (1, 0), (1, 1)]).unwrap();
    /// let t = a.transposed();
    /// assert_eq!((t.row(0), t.row(1), t.row(2)), (&[1][..], &[0, 1][..], &[][..]));
    /// ```
    pub fn transposed(&self) -> Pattern<N, M> {
        let by_columns = self.by_columns();
        Pattern::unchecked(self.cols, self.rows, by_columns.starts.clone(), by_columns.rows.clone())
    }

    /// The entries by columns, made at the first call.
    pub(crate) fn by_columns(&self) -> &Transposed {
        self.parts.transposed.get_or_init(|| {
            let Parts { starts, columns, .. } = &*self.parts;
            let mut by_columns = vec![0_usize; self.cols.size() + 1];
            for &column in columns {
                by_columns[column as usize + 1] += 1;
            }
            for i in 0..self.cols.size() {
                by_columns[i + 1] += by_columns[i];
            }
            let mut next = by_columns.clone();
            let (mut rows, mut entries) = (vec![0; columns.len()], vec![0; columns.len()]);
            for row in 0..self.rows.size() {
                for entry in starts[row]..starts[row + 1] {
                    let place = &mut next[columns[entry] as usize];
                    (rows[*place], entries[*place]) = (row as u32, entry as u32);
                    *place += 1;
                }
            }
            Transposed { starts: by_columns, rows, entries }
        })
    }

    pub(crate) fn view(&self) -> Rows<'_> {
        Rows { starts: self.starts(), columns: self.columns() }
    }

    pub(crate) fn view_transposed(&self) -> Rows<'_> {
        let by_columns = self.by_columns();
        Rows { starts: &by_columns.starts, columns: &by_columns.rows }
    }
}

impl<N: Dim> Pattern<N, N> {
    /// The adjacency of an undirected graph: entries (a, b) and (b, a) for every edge, one entry for a self loop.
    ///
    /// # Errors
    /// As [`try_from_edges`](Self::try_from_edges).
    pub fn try_undirected(nodes: N, edges: &[(u32, u32)]) -> Result<Self, SparseError> {
        let both: Vec<_> = edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
        Self::try_from_edges(nodes, nodes, &both)
    }

    /// The same entries and the whole diagonal.
    ///
    /// ```
    /// let a = kernels::sparse::Pattern::try_undirected(3_usize, &[(0, 1), (2, 2)]).unwrap().with_self_loops();
    /// assert_eq!((a.row(0), a.row(1), a.row(2)), (&[0, 1][..], &[0, 1][..], &[2][..]));
    /// ```
    pub fn with_self_loops(&self) -> Self {
        let mut starts = vec![0];
        let mut columns = Vec::with_capacity(self.len() + self.rows.size());
        for row in 0..self.rows.size() {
            let old = self.row(row);
            let before = old.partition_point(|&column| (column as usize) < row);
            columns.extend_from_slice(&old[..before]);
            columns.push(row as u32);
            let after = before + usize::from(old.get(before) == Some(&(row as u32)));
            columns.extend_from_slice(&old[after..]);
            starts.push(columns.len());
        }
        Self::unchecked(self.rows, self.cols, starts, columns)
    }

    /// Whether the transpose has the same entries, as for an undirected graph.
    pub fn is_symmetric(&self) -> bool {
        let by_columns = self.by_columns();
        by_columns.starts == self.starts() && by_columns.rows == self.columns()
    }
}

/// Entries sorted by row, then column, then place in the list.
pub(crate) struct Sorted {
    starts: Vec<usize>,
    /// Column, and place in the list.
    entries: Vec<(u32, u32)>,
}

impl Sorted {
    pub fn row(&self, row: usize) -> &[(u32, u32)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }
}

/// A counting sort by rows, then a sort within each row: O(rows + edges · log of the largest row).
pub(crate) fn sort_edges(
    rows: usize,
    cols: usize,
    edges: usize,
    edge: impl Fn(usize) -> (u32, u32),
) -> Result<Sorted, SparseError> {
    check_size(rows, cols, edges)?;
    let mut starts = vec![0_usize; rows + 1];
    for index in 0..edges {
        let (row, column) = edge(index);
        if row as usize >= rows {
            return Err(SparseError::RowOutOfRange { index, row, rows });
        }
        if column as usize >= cols {
            return Err(SparseError::ColumnOutOfRange { row: row as usize, column, columns: cols });
        }
        starts[row as usize + 1] += 1;
    }
    for i in 0..rows {
        starts[i + 1] += starts[i];
    }
    let mut next = starts.clone();
    let mut entries = vec![(0, 0); edges];
    for index in 0..edges {
        let (row, column) = edge(index);
        entries[next[row as usize]] = (column, index as u32);
        next[row as usize] += 1;
    }
    for row in 0..rows {
        entries[starts[row]..starts[row + 1]].sort_unstable();
    }
    Ok(Sorted { starts, entries })
}

fn check_size(rows: usize, cols: usize, entries: usize) -> Result<(), SparseError> {
    let largest = rows.max(cols).max(entries);
    if largest > u32::MAX as usize { Err(SparseError::TooLarge { size: largest }) } else { Ok(()) }
}
