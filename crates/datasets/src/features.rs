//! Rows of numbers, their way into tensors, and the scaling that is fitted on the training part alone.
//!
//! | symbol | meaning |
//! |---|---|
//! | `B` | rows in a batch, known at compile time (`[usize; B]`) or not (`&[usize]`, `Vec<usize>`) |
//! | `F` | features, the columns |
//!
//! **Trap**: a [`Standardiser`] that is fitted on all rows has seen the test part. It is a value here, so what it was
//! fitted on stands in the code.
//!
//! # Examples
//! ```
//! use datasets::features::{Features, Standardiser};
//! use dfdx::prelude::*;
//! let train = Features::try_new(2, vec![1.0, 10.0, 3.0, 30.0])?;
//! let scale = Standardiser::fit(&train)?;
//! assert_eq!(scale.transform(&train)?.row(0), [-1.0, -1.0]);
//! let test = Features::try_new(2, vec![5.0, 20.0])?;
//! let x: Tensor<Rank2<1, 2>, f32, _> = scale.transform(&test)?.batch(&[0], &Cpu::default());
//! assert_eq!(x.array(), [[3.0, 0.0]]);
//! # Ok::<(), datasets::DataError>(())
//! ```
use dfdx::prelude::{Const, Tensor, TensorFromVec};
use kernels::Real;

use crate::batches::Rows;
use crate::error::DataError;
use crate::split::Subset;

/// Numbers in rows and columns, `(n, F)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    rows: usize,
    columns: usize,
    values: Vec<f64>, // (rows, columns), C order
}

impl Features {
    /// Cuts `values` into rows of `columns` numbers.
    ///
    /// # Errors
    /// [`DataError::ShapeMismatch`] unless `columns` divides the number of values; without columns there are no
    /// values.
    pub fn try_new(columns: usize, values: Vec<f64>) -> Result<Self, DataError> {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        if rows * columns != values.len() {
            return Err(DataError::ShapeMismatch { shape: vec![rows, columns], values: values.len() });
        }
        Ok(Features { rows, columns, values })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Number of columns, `F`.
    pub fn num_columns(&self) -> usize {
        self.columns
    }

    /// Row `i`.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len); so do all methods that take a row.
    pub fn row(&self, i: usize) -> &[f64] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> + '_ {
        (0..self.rows).map(|i| self.row(i))
    }

    /// Column `j`, from the first row to the last.
    ///
    /// # Panics
    /// When `j` is not below [`num_columns`](Self::num_columns).
    pub fn column(&self, j: usize) -> impl ExactSizeIterator<Item = f64> + '_ {
        assert!(j < self.columns, "column {j} of {}", self.columns);
        self.iter().map(move |row| row[j])
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The rows `chosen`, in that order.
    pub fn select(&self, chosen: impl IntoIterator<Item = usize>) -> Self {
        let chosen: Vec<usize> = chosen.into_iter().collect();
        let values = chosen.iter().flat_map(|&i| self.row(i)).copied().collect();
        Features { rows: chosen.len(), columns: self.columns, values }
    }

    /// The columns `chosen`, in that order, of all rows.
    ///
    /// # Panics
    /// When a column is not below [`num_columns`](Self::num_columns).
    pub fn select_columns(&self, chosen: &[usize]) -> Self {
        let values = self.iter().flat_map(|row| chosen.iter().map(|&j| row[j])).collect();
        Features { rows: self.rows, columns: chosen.len(), values }
    }

    /// Each number changed by `f`.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Features { values: self.values.iter().map(|&x| f(x)).collect(), ..*self }
    }

    /// The rows `rows` as a tensor `(B, F)`.
    ///
    /// # Panics
    /// When `F` is not the number of columns, a row is not below [`len`](Self::len), or the device fails
    /// ([`try_batch`](Self::try_batch) returns that error).
    pub fn batch<const F: usize, R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Tensor<(R::Dim, Const<F>), E, D> {
        self.try_batch(rows, dev).unwrap()
    }

    /// Fallible twin of [`batch`](Self::batch).
    ///
    /// # Errors
    /// The device's, when it has no memory.
    ///
    /// # Panics
    /// As [`batch`](Self::batch), the device's failure excepted.
    pub fn try_batch<const F: usize, R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Result<Tensor<(R::Dim, Const<F>), E, D>, D::Err> {
        assert!(F == self.columns, "there are {} columns, not F = {F}", self.columns);
        let values = rows.rows().iter().flat_map(|&i| self.row(i)).map(|&x| E::of(x)).collect();
        dev.try_tensor_from_vec(values, (rows.dim(), Const))
    }
}

impl Subset for Features {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        self.select(chosen.iter().copied())
    }
}

/// Moves each column to mean 0 and standard deviation 1 of the rows that it was fitted on.
///
/// The standard deviation is that of a population (divided by n, not n − 1); a column that does not vary is moved
/// only. So does scikit-learn's `StandardScaler`.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardiser {
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl Standardiser {
    /// Measures the columns of `train`.
    ///
    /// # Errors
    /// [`DataError::NoRows`] when there are none.
    pub fn fit(train: &Features) -> Result<Self, DataError> {
        if train.is_empty() {
            return Err(DataError::NoRows);
        }
        let n = train.len() as f64;
        let sum = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; train.num_columns()];
            for row in train.iter() {
                sums.iter_mut().zip(row).enumerate().for_each(|(j, (sum, &x))| *sum += of(j, x));
            }
            sums
        };
        let means: Vec<f64> = sum(&|_, x| x).into_iter().map(|sum| sum / n).collect();
        let variances = sum(&|j, x| (x - means[j]).powi(2)).into_iter().map(|sum| sum / n);
        // Rounding leaves a constant column a variance of the square of its last digit; it counts as none.
        let scale = |(variance, mean): (f64, &f64)| {
            let is_constant = variance <= (10.0 * f64::EPSILON * mean).powi(2);
            if is_constant { 1.0 } else { variance.sqrt() }
        };
        Ok(Standardiser { scales: variances.zip(&means).map(scale).collect(), means })
    }

    /// Mean of each column.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// What each column is divided by: its standard deviation, 1 where that is 0.
    pub fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// `(x − mean) / scale`, column by column.
    ///
    /// # Errors
    /// [`DataError::Columns`] when `features` has another number of columns than it was fitted on.
    pub fn transform(&self, features: &Features) -> Result<Features, DataError> {
        check_columns(self.means.len(), features)?;
        let row = |row: &[f64]| {
            let scaled =
                row.iter().zip(&self.means).zip(&self.scales).map(|((x, mean), scale)| (x - mean) / scale);
            scaled.collect::<Vec<_>>()
        };
        Ok(Features { values: features.iter().flat_map(row).collect(), ..*features })
    }
}

/// An error unless `features` has `expected` columns.
pub(crate) fn check_columns(expected: usize, features: &Features) -> Result<(), DataError> {
    if features.num_columns() == expected {
        return Ok(());
    }
    Err(DataError::Columns { expected, found: features.num_columns() })
}
