//! # Components without a covariance
//!
//! *In code.* Four pictures of 50 numbers each: their covariance is a matrix of 50 by 50 with 47 eigenvalues 0. Find
//! the first principal direction from the 4 by 4 matrix of inner products of the pictures alone, and no larger
//! matrix. Hint: if $XX^\top a = \lambda a$, what is $X^\top X$ times $X^\top a$? A method that needs only inner
//! products can be given others than $x\cdot x'$: that is the kernel trick.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// The first principal direction of the rows, of length 1.
    pub fn direction(x: &DMatrix<f64>) -> DVector<f64> {
        todo!("a matrix of {} by {}", x.nrows(), x.nrows())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $X^\top X(X^\top a) = X^\top(XX^\top a) = \lambda X^\top a$: the eigenvector of the large matrix is
    //! $X^\top a$, and since $\lVert X^\top a\rVert^2 = a^\top XX^\top a = \lambda$ for an $a$ of length 1 it has the
    //! length $\sqrt\lambda$, by which to divide.
    //!
    //! The usual mistake is to forget that the rows have to be centred first. Inner products of rows that all lie far
    //! from the origin say mostly that, and the "first direction" is that of the mean. (With a kernel one centres the
    //! matrix itself, from both sides, since the features are never written down.)

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// The first principal direction of the rows, of length 1.
    pub fn direction(x: &DMatrix<f64>) -> DVector<f64> {
        let mean = x.row_mean();
        let centred = DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - mean[j]);
        let eigen = (&centred * centred.transpose()).symmetric_eigen();
        let first = eigen.eigenvalues.imax();
        centred.transpose() * eigen.eigenvectors.column(first) / eigen.eigenvalues[first].sqrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};
    use optim::learning::pca::Pca;

    fn check(direction: fn(&DMatrix<f64>) -> DVector<f64>) {
        let x = DMatrix::from_fn(4, 50, |i, j| 2.0 + ((3 * i + 1) as f64 * j as f64).sin() + (i * j) as f64 / 50.0);
        let got = direction(&x);
        assert!((got.norm() - 1.0).abs() < 1e-10, "a direction of length {}", got.norm());
        let want = Pca::<1>::fit(&x).unwrap();
        let along = got.dot(&want.directions().column(0)).abs();
        assert!((along - 1.0).abs() < 1e-9, "the cosine with the first component is {along}");
    }

    #[test]
    fn solution_is_the_first_component() {
        check(super::solution::direction);
    }

    #[test]
    #[should_panic = "a matrix of 4 by 4"]
    fn task_is_open() {
        check(super::task::direction);
    }

    #[test]
    #[should_panic = "the cosine with the first component"]
    fn without_centring_it_is_the_mean() {
        check(|x| {
            let eigen = (x * x.transpose()).symmetric_eigen();
            let first = eigen.eigenvalues.imax();
            (x.transpose() * eigen.eigenvectors.column(first)).normalize()
        });
    }

    #[test]
    #[should_panic = "a direction of length"]
    fn the_image_of_an_eigenvector_is_not_of_length_one() {
        check(|x| super::solution::direction(x) * 2.0);
    }
}
