//! Principal components (Pearson 1901, Hotelling 1933): the directions along which centred data vary most, by singular
//! values $X = U\Sigma V^\top$.
//!
//! The covariance of the components $XV$ is diagonal, $\Sigma^2/(n-1)$. No other projection to $K$ dimensions loses less:
//! the squared error of reconstruction is the sum of the squared singular values left out.
//!
//! **Property**: orthonormal directions, diagonal covariance, reconstruction error = what was left out.
use super::{centred, check_inputs, check_width, means};
use crate::Error;
use crate::linalg::Svd;
use nalgebra::DMatrix;

/// The first `K` principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca<const K: usize> {
    means: Vec<f64>,
    /// `(F, K)`, one direction per column.
    directions: DMatrix<f64>,
    /// All variances, largest first.
    variances: Vec<f64>,
}

impl<const K: usize> Pca<K> {
    /// Of data `(n, F)`. The sign of a direction is chosen so that its largest entry is positive.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] when `K` is 0 or larger than n or F, [`Error::Empty`] for fewer than two examples,
    /// [`Error::FeatureNotFinite`].
    pub fn fit(x: &DMatrix<f64>) -> Result<Self, Error> {
        if x.nrows() < 2 {
            return Err(Error::Empty { what: "Pca::fit, beside the first example," });
        }
        if K == 0 || K > x.nrows().min(x.ncols()) {
            let rule = "between 1 and the smaller side of the data";
            return Err(Error::InvalidHyper { name: "K", rule, value: K as f64 });
        }
        check_inputs(x)?;
        let means = means(x);
        // ANCHOR: pca
        let svd = Svd::new(&centred(x, &means));
        let variances = svd.sigma.iter().map(|s| s * s / (x.nrows() - 1) as f64).collect();
        let mut directions = svd.v.columns(0, K).into_owned();
        // ANCHOR_END: pca
        for mut direction in directions.column_iter_mut() {
            if direction[direction.iamax()] < 0.0 {
                direction.neg_mut();
            }
        }
        Ok(Self { means, directions, variances })
    }

    /// The directions, `(F, K)`.
    pub fn directions(&self) -> &DMatrix<f64> {
        &self.directions
    }

    /// Variance along every direction, also those left out, largest first.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Components of examples, `(n, K)`.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn transform(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        check_width("features", x.ncols(), self.means.len())?;
        Ok(centred(x, &self.means) * &self.directions)
    }

    /// The examples, `(n, F)`, that belong to components `(n, K)`.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn reconstruct(&self, components: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        check_width("components", components.ncols(), K)?;
        let negative: Vec<f64> = self.means.iter().map(|mean| -mean).collect();
        Ok(centred(&(components * self.directions.transpose()), &negative))
    }
}
