//! # Whose labels?
//!
//! *By hand, then in code.* For softmax and cross-entropy the Gauss–Newton matrix of the loss by the votes is its
//! Hessian, $\operatorname{diag}(p) - pp^\top$: the label does not occur in it. The *Fisher* matrix is the mean of
//! $gg^\top$ over labels, with $g = p - e_y$ the gradient for the label $y$. With which distribution of $y$ are the
//! two equal?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// The Fisher matrix by the votes, for probabilities `p`.
    pub fn fisher(p: &DVector<f64>) -> DMatrix<f64> {
        todo!("a mean over {} labels", p.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! With that of the model: $\sum_y p_y(p - e_y)(p - e_y)^\top$ is $pp^\top - 2pp^\top + \operatorname{diag}(p)$. So
    //! the curvature of a classifier can be had from gradients alone, with labels that are *drawn* from its own
    //! answers: one more backward pass, and what K-FAC and natural gradients use.
    //!
    //! The usual mistake is to take the labels of the data, since their gradients are there already. That matrix has
    //! rank 1 for one example, it is 0 for examples that are fitted, and it is no curvature of anything.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// The Fisher matrix by the votes, for probabilities `p`.
    pub fn fisher(p: &DVector<f64>) -> DMatrix<f64> {
        let mut sum = DMatrix::zeros(p.len(), p.len());
        for label in 0..p.len() {
            let mut gradient = p.clone();
            gradient[label] -= 1.0;
            sum += &gradient * gradient.transpose() * p[label];
        }
        sum
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};
    use optim::autodiff::tensor::hessian;

    fn check(fisher: fn(&DVector<f64>) -> DMatrix<f64>) {
        for votes in [[0.3, -1.0, 2.0], [0.0, 0.0, 0.0], [9.0, 0.0, -1.0]] {
            let row = DMatrix::from_row_slice(1, 3, &votes);
            // The loss is this less the vote of the label, which has no second derivative.
            let want = hessian(|v| v[0].log_sum_exp().sum(), &[row]).unwrap();
            let exp = DVector::from_fn(3, |k, _| votes[k].exp());
            let got = fisher(&(&exp / exp.sum()));
            assert!((&got - &want).norm() < 1e-12, "{got} is not the curvature {want}");
        }
    }

    #[test]
    fn solution_is_the_curvature() {
        check(super::solution::fisher);
    }

    #[test]
    #[should_panic = "a mean over 3 labels"]
    fn task_is_open() {
        check(super::task::fisher);
    }

    #[test]
    #[should_panic = "is not the curvature"]
    fn one_label_of_the_data_is_not_enough() {
        check(|p| {
            let mut gradient = p.clone();
            gradient[0] -= 1.0;
            &gradient * gradient.transpose()
        });
    }
}
