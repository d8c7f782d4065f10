//! k nearest neighbours (Cover & Hart 1967): the prediction is the mean target of the k examples that lie nearest.
//!
//! With [`one_hot`](super::one_hot) targets that mean is a vote. It has no training and no assumption about the
//! function, and it needs examples in every direction: see [`dimension`](super::dimension).
//!
//! Time of a prediction: O(n F) for the distances, O(n) for the k nearest. Ties in distance go to the earlier example.
//!
//! **Closed form**: one neighbour repeats its examples; n neighbours give the mean.
use super::{Estimator, Predict, check, check_count, check_inputs, check_width};
use crate::Error;
use nalgebra::DMatrix;

/// Mean target of the nearest examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// How many, at least 1 and at most the number of examples.
    pub k: usize,
}

/// The examples.
#[derive(Clone, Debug)]
pub struct NeighboursFit {
    k: usize,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    squares: Vec<f64>,
}

impl Estimator for Neighbours {
    type Fitted = NeighboursFit;

    /// # Errors
    /// As [`Estimator::fit`], and [`Error::InvalidHyper`] when `k` is 0 or larger than the number of examples.
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<NeighboursFit, Error> {
        check("Neighbours::fit", x, y)?;
        check_count("k", self.k)?;
        if self.k > x.nrows() {
            let rule = "at most the number of examples";
            return Err(Error::InvalidHyper { name: "k", rule, value: self.k as f64 });
        }
        let squares = x.row_iter().map(|row| row.norm_squared()).collect();
        Ok(NeighboursFit { k: self.k, x: x.clone(), y: y.clone(), squares })
    }
}

impl Predict for NeighboursFit {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        check_width("features", x.ncols(), self.x.ncols())?;
        check_inputs(x)?;
        // |a - b|² less |b|², which is the same for all examples: (n, m).
        let mut distances = &self.x * x.transpose();
        distances *= -2.0;
        let mut y = DMatrix::zeros(x.nrows(), self.y.ncols());
        let mut order: Vec<usize> = (0..self.x.nrows()).collect();
        for (query, column) in distances.column_iter().enumerate() {
            let key = |i: usize| column[i] + self.squares[i];
            let by_distance = |a: &usize, b: &usize| key(*a).total_cmp(&key(*b)).then(a.cmp(b));
            order.select_nth_unstable_by(self.k - 1, by_distance);
            for output in 0..self.y.ncols() {
                // In the order of the examples, so that the sum does not depend on how the selection moved them.
                let mut nearest = order[..self.k].to_vec();
                nearest.sort_unstable();
                let sum: f64 = nearest.iter().map(|&i| self.y[(i, output)]).sum();
                y[(query, output)] = sum / self.k as f64;
            }
        }
        Ok(y)
    }
}
