//! # How many steps does it really take?
//!
//! *By hand, then in code.* Conjugate gradients solve $Ax = b$ with $n$ unknowns in at most $n$ steps. After $k$
//! steps the error is the best that a polynomial of degree $k$ with the value 1 at 0 can make of it: it multiplies
//! the part of $b$ along the eigenvector of $\lambda_i$ by $p(\lambda_i)$. Given the eigenvalues and the parts of
//! $b$, after how many steps is the error 0?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps in exact arithmetic; `parts[i]` is that of b along the eigenvector of `eigenvalues[i]`.
    pub fn steps(eigenvalues: &[f64], parts: &[f64]) -> usize {
        todo!("a polynomial of which degree vanishes where it must, for {} unknowns?", parts.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The polynomial must vanish at every eigenvalue that $b$ has a part of, and one root serves all eigenvectors
    //! with the same eigenvalue: the number of *different* eigenvalues with a part. A curvature matrix with a few
    //! large eigenvalues and all others equal takes a few steps, for a million weights. Preconditioners do not make
    //! eigenvalues smaller; they make them equal.
    //!
    //! The usual mistake is to count unknowns, or all different eigenvalues: those that $b$ does not touch never
    //! enter.

    // ANCHOR: solution
    /// Steps in exact arithmetic; `parts[i]` is that of b along the eigenvector of `eigenvalues[i]`.
    pub fn steps(eigenvalues: &[f64], parts: &[f64]) -> usize {
        let touched = eigenvalues.iter().zip(parts).filter(|(_, part)| **part != 0.0);
        let mut touched: Vec<f64> = touched.map(|(value, _)| *value).collect();
        touched.sort_by(f64::total_cmp);
        touched.dedup();
        touched.len()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};
    use optim::second_order::{CgConfig, conjugate_gradient};

    /// Steps of the crate, for a matrix with these eigenvalues and eigenvectors that are not the axes.
    fn counted(eigenvalues: &[f64], parts: &[f64]) -> usize {
        let n = parts.len();
        let turned = DMatrix::from_fn(n, n, |i, j| ((i * j + 2 * i + j) as f64).sin()).qr().q();
        let diagonal = DMatrix::from_diagonal(&DVector::from_column_slice(eigenvalues));
        let a = &turned * diagonal * turned.transpose();
        let b = &turned * DVector::from_column_slice(parts);
        let product = |v: &[f64]| (&a * DVector::from_column_slice(v)).as_slice().to_vec();
        conjugate_gradient(product, b.as_slice(), CgConfig::default()).iterates.len()
    }

    fn check(steps: fn(&[f64], &[f64]) -> usize) {
        let ones = [1.0; 6];
        for (eigenvalues, parts) in [
            ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], ones),
            ([1.0, 1.0, 1.0, 1.0, 1.0, 50.0], ones),
            ([2.0; 6], ones),
            ([1.0, 2.0, 3.0, 1.0, 2.0, 3.0], ones),
            ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 1.0, 0.0, 0.0, -2.0, 0.0]),
        ] {
            let (got, want) = (steps(&eigenvalues, &parts), counted(&eigenvalues, &parts));
            assert_eq!(got, want, "eigenvalues {eigenvalues:?}, parts {parts:?}");
        }
    }

    #[test]
    fn solution_counts_as_the_crate_does() {
        check(super::solution::steps);
    }

    #[test]
    #[should_panic = "for 6 unknowns"]
    fn task_is_open() {
        check(super::task::steps);
    }

    #[test]
    #[should_panic = "parts [0.0, 1.0, 0.0, 0.0, -2.0, 0.0]"]
    fn eigenvalues_without_a_part_do_not_count() {
        check(|eigenvalues, parts| super::solution::steps(eigenvalues, &vec![1.0; parts.len()]));
    }
}
