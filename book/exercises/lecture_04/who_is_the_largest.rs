//! # Three answers at a tie
//!
//! *By hand, then in code.* What is the derivative of $\max(x_1, x_2, x_3)$ at $(1, 1, 1)$? Libraries give
//! $(\frac13, \frac13, \frac13)$, others $(\frac14, \frac14, \frac12)$ when the maximum is written as
//! $\max(\max(x_1, x_2), x_3)$, and dfdx gives $(1, 1, 1)$. A *subgradient* of a convex function at $x$ is a vector
//! $s$ with $f(y) \ge f(x) + s\cdot(y - x)$ for all $y$: descent along such vectors has a theory. Which of the three
//! are? Write the test for any $x$.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Whether `s` is a subgradient of the largest entry at `x`, up to rounding.
    pub fn is_subgradient(x: &[f64], s: &[f64]) -> bool {
        todo!("try y = x + 1 in all entries, y = x - 1, and y that moves one entry alone")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Moving all entries by $\pm1$ moves the maximum by $\pm1$: the shares sum to 1. Lowering one entry cannot raise
    //! the maximum: no share is negative. An entry below the maximum can rise a little without changing it: its share
    //! is not positive either, so 0. Those three suffice. The first two answers are subgradients,
    //! $(1, 1, 1)$ is not: with it a step is three times too long. (A power has such a place too: at 0, $x^p$ has a
    //! slope for $p \ge 1$ only.)
    //!
    //! The usual mistake is to test only that entries below the maximum get nothing.

    // ANCHOR: solution
    /// Whether `s` is a subgradient of the largest entry at `x`, up to rounding.
    pub fn is_subgradient(x: &[f64], s: &[f64]) -> bool {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_share = |(x, s): (&f64, &f64)| if *x < largest { *s == 0.0 } else { *s >= 0.0 };
        x.iter().zip(s).all(is_share) && (s.iter().sum::<f64>() - 1.0).abs() < 1e-12
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use nalgebra::{DMatrix, dmatrix};
    use optim::autodiff::tensor::{Var, vjp};

    fn nested<'t>(x: &[Var<'t>]) -> Var<'t> {
        let x = x[0].transpose();
        x.rows(0, 1).maximum(x.rows(1, 1)).maximum(x.rows(2, 1))
    }

    fn check(is_subgradient: fn(&[f64], &[f64]) -> bool) {
        for x in [[1.0, 1.0, 1.0], [2.0, 1.0, 2.0], [0.0, 3.0, 1.0], [-1.0, -1.0, -2.0]] {
            let row = [DMatrix::from_row_slice(1, 3, &x)];
            let (_, shared) = vjp(|v| v[0].max_columns(), &row, &dmatrix![1.0]).unwrap();
            assert!(is_subgradient(&x, shared[0].as_slice()), "the equal shares {} at {x:?}", shared[0]);
            let (_, unequal) = vjp(nested, &row, &dmatrix![1.0]).unwrap();
            assert!(is_subgradient(&x, unequal[0].as_slice()), "the nested shares {} at {x:?}", unequal[0]);
            assert!(!is_subgradient(&x, &[0.5, 1.0, -0.5]), "a negative share at {x:?}");
        }
        let dev = Cpu::default();
        let x = dev.tensor([1.0_f64, 1.0, 1.0]);
        let of_dfdx = x.leaky_trace().max::<Rank0, _>().backward().get(&x).array();
        assert!(!is_subgradient(&[1.0; 3], &of_dfdx), "it lets {of_dfdx:?} pass");
        assert!(!is_subgradient(&[1.0, 2.0, 3.0], &[0.0, 0.5, 0.5]), "a share of what is not the largest");
    }

    #[test]
    fn solution_tells_them_apart() {
        check(super::solution::is_subgradient);
    }

    #[test]
    #[should_panic = "moves one entry alone"]
    fn task_is_open() {
        check(super::task::is_subgradient);
    }

    #[test]
    #[should_panic = "it lets"]
    fn zeros_beside_the_maximum_are_not_enough() {
        check(|x, s| {
            let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            x.iter().zip(s).all(|(x, s)| if *x < largest { *s == 0.0 } else { *s >= 0.0 })
        });
    }
}
