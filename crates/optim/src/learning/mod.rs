//! Lecture 2: what learning is, in methods whose answers can be computed exactly (Goodfellow et al. 2016, chapter 5).
//!
//! | question | modules |
//! |---|---|
//! | how much can a model express, and how is it held back? | [`linear`], [`ridge`], [`lasso`], [`polynomial`] |
//! | how large is its error on data that it has not seen? | [`validation`], [`bias_variance`] |
//! | where do losses and penalties come from? | [`estimators`], [`bayes`] |
//! | what else learns without a network? | [`kernel`], [`neighbours`], [`tree`], [`pca`], [`kmeans`] |
//! | what can no method do? | [`no_free_lunch`], [`dimension`] |
//!
//! Inputs are a matrix `(n, F)`, one example per row; targets a matrix `(n, O)`, so that one method serves one number,
//! several numbers and, with [`one_hot`], classes. Everything is f64: these are closed forms solved by factorisation,
//! and they serve as the exact answers that the iterative methods of later lectures are measured with.
//!
//! # Examples
//! ```
//! use nalgebra::dmatrix;
//! use optim::learning::{Estimator, Predict, Ridge, column};
//!
//! let x = dmatrix![0.0; 1.0; 2.0];
//! let y = column(&[1.0, 3.0, 5.0]);
//! let line = Ridge::new(0.0).fit(&x, &y)?;
//! assert!((line.predict(&dmatrix![10.0])?[(0, 0)] - 21.0).abs() < 1e-12);
//! # Ok::<(), optim::Error>(())
//! ```
use crate::Error;
use nalgebra::DMatrix;

pub mod bayes;
pub mod bias_variance;
pub mod dimension;
pub mod estimators;
pub mod kernel;
pub mod kmeans;
pub mod lasso;
pub mod linear;
pub mod neighbours;
pub mod no_free_lunch;
pub mod pca;
pub mod polynomial;
pub mod ridge;
pub mod tree;
pub mod validation;

pub use kernel::KernelRidge;
pub use kmeans::KMeans;
pub use lasso::Lasso;
pub use linear::{LinearFit, LinearRegression};
pub use neighbours::Neighbours;
pub use pca::Pca;
pub use polynomial::Polynomial;
pub use ridge::Ridge;
pub use tree::DecisionTree;
pub use validation::{Standardized, cross_validate};

/// A method that learns from examples; what it has learnt is another type, so that nobody asks an unfitted model.
pub trait Estimator {
    /// What was learnt.
    type Fitted: Predict;

    /// Learns from inputs `(n, F)` and targets `(n, O)`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::FeatureNotFinite`] or [`Error::TargetNotFinite`] for data
    /// that nothing can be learnt from, [`Error::InvalidHyper`] for a setting out of range.
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<Self::Fitted, Error>;
}

/// A function that was learnt.
pub trait Predict {
    /// Predictions `(n, O)` for inputs `(n, F)`.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `x` has another number of columns than the examples had.
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error>;
}

/// Numbers as targets `(n, 1)`.
pub fn column(values: &[f64]) -> DMatrix<f64> {
    DMatrix::from_column_slice(values.len(), 1, values)
}

/// Classes as targets `(n, classes)`: 1 in the column of the class, 0 elsewhere.
///
/// # Errors
/// [`Error::LabelOutOfRange`].
pub fn one_hot(labels: &[usize], classes: usize) -> Result<DMatrix<f64>, Error> {
    if let Some((index, &label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
        return Err(Error::LabelOutOfRange { index, label, classes });
    }
    Ok(DMatrix::from_fn(labels.len(), classes, |i, c| f64::from(u8::from(labels[i] == c))))
}

/// The column with the largest value of each row, the first one if there are several.
pub fn classes(scores: &DMatrix<f64>) -> Vec<usize> {
    let best = |i: usize| {
        let better = |best: usize, c: usize| if scores[(i, c)] > scores[(i, best)] { c } else { best };
        (0..scores.ncols()).fold(0, better)
    };
    (0..scores.nrows()).map(best).collect()
}

/// Rows of `x` with the numbers `chosen`, in that order.
pub fn rows(x: &DMatrix<f64>, chosen: &[usize]) -> DMatrix<f64> {
    x.select_rows(chosen)
}

/// Refuses examples that nothing can be learnt from.
fn check(what: &'static str, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<(), Error> {
    if x.nrows() == 0 {
        return Err(Error::Empty { what });
    }
    if x.nrows() != y.nrows() {
        return Err(Error::LengthMismatch { examples: x.nrows(), labels: y.nrows() });
    }
    check_inputs(x)?;
    for output in 0..y.ncols() {
        if let Some(example) = (0..y.nrows()).find(|&i| !y[(i, output)].is_finite()) {
            return Err(Error::TargetNotFinite { example, output, value: y[(example, output)] });
        }
    }
    Ok(())
}

fn check_inputs(x: &DMatrix<f64>) -> Result<(), Error> {
    for feature in 0..x.ncols() {
        if let Some(example) = (0..x.nrows()).find(|&i| !x[(i, feature)].is_finite()) {
            return Err(Error::FeatureNotFinite { example, feature, value: x[(example, feature)] });
        }
    }
    Ok(())
}

/// Refuses a width that the fitted model does not have.
fn check_width(what: &'static str, got: usize, want: usize) -> Result<(), Error> {
    if got == want { Ok(()) } else { Err(Error::Dimension { what, got, want }) }
}

/// Refuses a penalty below zero or NaN.
fn check_penalty(alpha: f64) -> Result<(), Error> {
    let rule = "finite and at least 0; 0 means no penalty";
    if alpha >= 0.0 && alpha.is_finite() {
        Ok(())
    } else {
        Err(Error::InvalidHyper { name: "alpha", rule, value: alpha })
    }
}

/// Refuses a count of zero.
fn check_count(name: &'static str, value: usize) -> Result<(), Error> {
    if value > 0 { Ok(()) } else { Err(Error::InvalidHyper { name, rule: "at least 1", value: 0.0 }) }
}

/// Column means, `(F)`.
fn means(x: &DMatrix<f64>) -> Vec<f64> {
    x.column_iter().map(|column| column.sum() / x.nrows() as f64).collect()
}

/// `x` with these numbers subtracted from its columns.
fn centred(x: &DMatrix<f64>, means: &[f64]) -> DMatrix<f64> {
    DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - means[j])
}
