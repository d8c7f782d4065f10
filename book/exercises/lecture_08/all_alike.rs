//! # All singular values alike
//!
//! *By hand, then in code.* Shampoo keeps $L = GG^\top$ and $R = G^\top G$, summed over steps, and moves along
//! $L^{-1/4}GR^{-1/4}$. Put the singular value decomposition $G = U\Sigma V^\top$ of the first gradient into it. What
//! is the first step? Muon divides $G$ by its norm and applies a polynomial five times,
//! $X \leftarrow aX + (bA + cA^2)X$ with $A = XX^\top$. What does *that* do to the singular values?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::DMatrix;

    /// The direction of Shampoo's first step, for an invertible gradient.
    pub fn direction(gradient: &DMatrix<f64>) -> DMatrix<f64> {
        todo!(
            "L and R have the singular vectors \
             of a {} by {} matrix",
            gradient.nrows(),
            gradient.ncols()
        )
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $L^{-1/4} = U\Sigma^{-1/2}U^\top$ and $R^{-1/4} = V\Sigma^{-1/2}V^\top$, so the step is
    //! $U\Sigma^{-1/2}\Sigma\,\Sigma^{-1/2} V^\top = UV^\top$: the gradient with all singular values set to 1. Muon's
    //! polynomial is odd, it acts on each $\sigma$ as $a\sigma + b\sigma^3 + c\sigma^5$ and brings all of them near
    //! 1, with products only. Both are to matrices what the sign, and the first step of Adam, is to numbers: a large
    //! direction counts no more than a small one.
    //!
    //! The usual mistake is to divide by the norm of the matrix. That keeps the singular values as unequal as they
    //! are.

    // ANCHOR: solution
    use nalgebra::DMatrix;

    /// The direction of Shampoo's first step, for an invertible gradient.
    pub fn direction(gradient: &DMatrix<f64>) -> DMatrix<f64> {
        let svd = gradient.clone().svd(true, true);
        svd.u.expect("asked for") * svd.v_t.expect("asked for")
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use nalgebra::{DMatrix, dmatrix};
    use optim::optimizers::{Optim, ShampooConfig, orthogonalise};

    fn check(direction: fn(&DMatrix<f64>) -> DMatrix<f64>) {
        let gradient = dmatrix![3.0, 1.0, -0.5; 0.2, -0.4, 0.6; 1.0, 0.3, 0.8];
        let got = direction(&gradient);
        let mut w: Tensor<Rank2<3, 3>, f64, Cpu> = Cpu::default().zeros();
        let rule = ShampooConfig { learning_rate: 1.0, epsilon: 1e-12, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        let slopes = gradients.get_or_alloc_mut(&w).unwrap();
        slopes.iter_mut().zip(gradient.transpose().as_slice()).for_each(|(slope, g)| *slope = *g);
        optimizer.step(&mut w, &mut gradients).unwrap();
        let step = -DMatrix::from_row_slice(3, 3, &w.as_vec());
        assert!((&got - &step).norm() < 1e-6, "{got}, the rule steps along {step}");
        // Muon's direction has the same singular vectors, and singular values of about 1.
        let muon = orthogonalise(gradient, 1e-7);
        let stretched = got.transpose() * muon;
        assert!((&stretched - stretched.transpose()).norm() < 1e-9);
        assert!(stretched.symmetric_eigenvalues().iter().all(|s| (0.6..1.3).contains(s)));
    }

    #[test]
    fn solution_is_the_first_step() {
        check(super::solution::direction);
    }

    #[test]
    #[should_panic = "of a 3 by 3 matrix"]
    fn task_is_open() {
        check(super::task::direction);
    }

    #[test]
    #[should_panic = "the rule steps along"]
    fn one_norm_for_all_keeps_them_unequal() {
        check(|gradient| gradient / gradient.norm());
    }
}
