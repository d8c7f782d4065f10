//! # A penalty is a prior
//!
//! *By hand, then in code.* Let the weights have the prior $w \sim N(0, \tau^2 I)$ and the targets the noise
//! $y_i = w \cdot x_i + \epsilon_i$, $\epsilon_i \sim N(0, \sigma^2)$.
//!
//! 1. Write down $\log p(w \mid X, y)$ up to a constant and show that its maximum is the ridge estimate. Which
//!    $\alpha$ belongs to which $\tau^2$?
//! 2. Which prior gives the penalty $\lVert w\rVert_1$ of the lasso?
//! 3. Complete the function: it must return the mean of the posterior without solving a ridge problem.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// The penalty that belongs to a prior variance and a noise variance.
    pub fn alpha(prior: f64, noise: f64) -> f64 {
        todo!("compare the two terms of the log posterior for {prior} and {noise}")
    }

    /// The most probable weights, from the posterior.
    pub fn most_probable(x: &DMatrix<f64>, y: &[f64], prior: f64, noise: f64) -> DVector<f64> {
        todo!("WeightDistribution::prior, then after: {} examples", x.nrows() + y.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Up to a constant, $\log p(w \mid X, y)$ is
    //! $-\frac1{2\sigma^2}\lVert y - Xw\rVert^2 - \frac1{2\tau^2}\lVert w\rVert^2$. Multiply by $-2\sigma^2$: the maximum is where $\lVert y - Xw\rVert^2 +
    //! \frac{\sigma^2}{\tau^2}\lVert w\rVert^2$ is smallest, so $\alpha = \sigma^2/\tau^2$. A Laplace prior,
    //! $p(w) \propto e^{-\lVert w\rVert_1/s}$, gives the lasso. The posterior is normal, so its mean is its
    //! maximum.
    //!
    //! The usual mistake is $\alpha = \tau^2/\sigma^2$, or to forget that $\alpha$ stands beside the *sum* of
    //! squares: beside the mean it is $\sigma^2/(n\tau^2)$. A prior that is sure (small $\tau$) must give a
    //! large penalty.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};
    use optim::learning::bayes::WeightDistribution;

    /// The penalty that belongs to a prior variance and a noise variance.
    pub fn alpha(prior: f64, noise: f64) -> f64 {
        noise / prior
    }

    /// The most probable weights, from the posterior.
    pub fn most_probable(x: &DMatrix<f64>, y: &[f64], prior: f64, noise: f64) -> DVector<f64> {
        let start = WeightDistribution::prior(x.ncols(), prior, noise).expect("positive variances");
        let posterior = start.after(x, y).expect("finite examples");
        posterior.mean().expect("a positive definite precision")
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix};
    use optim::learning::linear::Intercept;
    use optim::learning::{Estimator, Ridge, column};

    type MostProbable = fn(&DMatrix<f64>, &[f64], f64, f64) -> DVector<f64>;

    fn check(alpha: fn(f64, f64) -> f64, most_probable: MostProbable) {
        let x = dmatrix![1.0, 0.5; -0.3, 2.0; 0.7, 0.1; 1.5, -1.0];
        let y = [1.0, -0.5, 0.3, 2.0];
        for (prior, noise) in [(1.0, 1.0), (0.25, 1.0), (4.0, 0.09)] {
            let ridge = Ridge::new(alpha(prior, noise)).intercept(Intercept::Zero);
            let weights = ridge.fit(&x, &column(&y)).unwrap().weights;
            let mean = most_probable(&x, &y, prior, noise);
            assert!((weights.column(0) - mean).norm() < 1e-12, "prior {prior}, noise {noise}");
        }
    }

    #[test]
    fn solution_is_ridge_regression() {
        check(super::solution::alpha, super::solution::most_probable);
    }

    #[test]
    #[should_panic = "compare the two terms"]
    fn task_is_open() {
        check(super::task::alpha, super::task::most_probable);
    }

    #[test]
    #[should_panic = "prior 0.25"]
    fn the_inverse_is_wrong() {
        check(|prior, noise| prior / noise, super::solution::most_probable);
    }
}
