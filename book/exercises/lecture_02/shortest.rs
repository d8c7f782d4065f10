//! # The shortest of many
//!
//! *By hand, then in code.* Two examples and three weights: a whole line of weight vectors fits both examples
//! exactly, and $X^\top X$ has no inverse, so $(X^\top X)^{-1} X^\top y$ says nothing. Find the shortest $w$ that
//! fits, as a formula with an inverse that exists when the rows of $X$ are independent, and write it. Then say why
//! gradient descent on the squared error, started at 0, ends at exactly this one.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// The shortest weights with X w = y, for independent rows.
    pub fn shortest(x: &DMatrix<f64>, y: &DVector<f64>) -> DVector<f64> {
        todo!("{} weights from {} examples", x.ncols(), x.nrows())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Cut $w$ into a part in the span of the rows, $X^\top a$, and a part across all rows. The second changes no
    //! prediction and only adds length, so it is 0. Then $X X^\top a = y$, and $w = X^\top (X X^\top)^{-1} y$. The
    //! gradient $X^\top(Xw - y)$ lies in the span of the rows whatever $w$ is: what starts in the span stays in it,
    //! and there is one solution in it. From another start descent keeps the start's part across the rows for ever.
    //!
    //! The usual mistake is to solve for as many weights as there are examples and to leave the others at 0. That
    //! fits as well, and depends on the order of the features.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// The shortest weights with X w = y, for independent rows.
    pub fn shortest(x: &DMatrix<f64>, y: &DVector<f64>) -> DVector<f64> {
        let gram = x * x.transpose();
        x.transpose() * gram.lu().solve(y).expect("independent rows")
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix, dvector};
    use optim::learning::linear::{Intercept, LinearRegression};
    use optim::learning::{Estimator, column};

    fn check(shortest: fn(&DMatrix<f64>, &DVector<f64>) -> DVector<f64>) {
        let (x, y) = (dmatrix![1.0, 2.0, 0.0; 0.0, 1.0, 1.0], dvector![1.0, 2.0]);
        let w = shortest(&x, &y);
        assert!((&x * &w - &y).norm() < 1e-12, "it does not fit: {w}");
        let learner = LinearRegression { intercept: Intercept::Zero };
        let fitted = learner.fit(&x, &column(y.as_slice())).unwrap().weights;
        assert!((&w - fitted.column(0)).norm() < 1e-12, "there is a shorter one than {w}");
        let mut descended = DVector::zeros(3);
        for _ in 0..300 {
            descended -= x.transpose() * (&x * &descended - &y) * 0.2;
        }
        assert!((w - descended).norm() < 1e-12, "descent ends elsewhere");
    }

    #[test]
    fn solution_is_the_shortest() {
        check(super::solution::shortest);
    }

    #[test]
    #[should_panic = "3 weights from 2 examples"]
    fn task_is_open() {
        check(super::task::shortest);
    }

    #[test]
    #[should_panic = "there is a shorter one"]
    fn zeros_for_the_rest_are_longer() {
        check(|x, y| {
            let n = x.nrows();
            let some = x.columns(0, n).into_owned().lu().solve(y).unwrap();
            DVector::from_fn(x.ncols(), |i, _| if i < n { some[i] } else { 0.0 })
        });
    }
}
