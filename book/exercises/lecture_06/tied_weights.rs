//! # Tied weights
//!
//! An auto-encoder with tied weights is a linear network with $V = U$, and dropout adds
//! $\lambda \sum_i \lVert u_i \rVert^4$. For $M = \operatorname{diag}(3, 1)$, two hidden units and $\lambda = 1$: which
//! $X = U U^\top$ is best, what is the smallest value of $\lVert M - X\rVert_F^2 + \lambda \sum_i \lVert u_i\rVert^4$,
//! and how long are $u_1$ and $u_2$? Do it by hand first; then write the function for any
//! $\operatorname{diag}(\sigma_1, \sigma_2)$ with $\sigma_1 \ge \sigma_2 \ge 0$.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The two eigenvalues of the best X, and the common squared length of both columns of U.
    pub fn best(sigma: [f64; 2], lambda: f64) -> ([f64; 2], f64) {
        todo!("which of one and two eigenvalues survive?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Equal columns give $\sum \lVert u_i\rVert^4 = (\operatorname{tr} X)^2/2$. With both eigenvalues alive each is
    //! reduced by $\tau = \lambda(\sigma_1 + \sigma_2)/(2 + 2\lambda)$; for 3, 1 and $\lambda = 1$ that is 1, so the
    //! second is exactly 0, $X = \operatorname{diag}(2, 0)$, both columns have the squared length 1, and the value is
    //! $1 + 1 + 2 = 4$. If $\sigma_2$ is below that threshold only the first survives, reduced by
    //! $\lambda\sigma_1/(2 + \lambda)$.
    //!
    //! The usual mistake is to make $u_1$ long and $u_2$ zero, because $X$ has rank 1: the penalty is then $2^2 = 4$
    //! instead of 2. Both units share the one direction.

    // ANCHOR: solution
    /// The two eigenvalues of the best X, and the common squared length of both columns of U.
    pub fn best(sigma: [f64; 2], lambda: f64) -> ([f64; 2], f64) {
        let both = lambda * (sigma[0] + sigma[1]) / (2.0 + 2.0 * lambda);
        let left = if sigma[1] > both {
            [sigma[0] - both, sigma[1] - both]
        } else {
            [sigma[0] - lambda * sigma[0] / (2.0 + lambda), 0.0]
        };
        (left, (left[0] + left[1]) / 2.0)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use optim::regularize::dropout_theory::tied_optimum;

    fn check(best: fn([f64; 2], f64) -> ([f64; 2], f64)) {
        assert_eq!(best([3.0, 1.0], 1.0), ([2.0, 0.0], 1.0));
        for (sigma, lambda) in [([3.0, 1.0], 0.2), ([3.0, 1.0], 3.0), ([2.0, 2.0], 1.0), ([5.0, 0.1], 0.5)] {
            let want = tied_optimum(&DMatrix::from_diagonal(&sigma.to_vec().into()), lambda, 2).unwrap();
            let (eigenvalues, square) = best(sigma, lambda);
            for (got, want) in eigenvalues.iter().zip(&want.singular_values) {
                assert!((got - want).abs() < 1e-12, "{sigma:?}, {lambda}: {eigenvalues:?}");
            }
            assert!((square - want.unit_product).abs() < 1e-12);
        }
    }

    #[test]
    fn solution_agrees_with_the_closed_form() {
        check(super::solution::best);
    }

    #[test]
    #[should_panic = "left: ([2.0, 0.0], 2.0)"]
    fn one_direction_is_not_one_unit() {
        check(|sigma, lambda| {
            let (eigenvalues, _) = super::solution::best(sigma, lambda);
            (eigenvalues, eigenvalues[0])
        });
    }

    #[test]
    #[should_panic = "which of one and two"]
    fn task_is_open() {
        check(super::task::best);
    }
}
