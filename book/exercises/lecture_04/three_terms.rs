//! # Three terms suffice
//!
//! *In code.* Lanczos' method builds an orthonormal basis $q_1, q_2, \dots$ of $v, Hv, H^2v, \dots$ from products
//! with $H$ alone. In it the symmetric $H$ is tridiagonal. Show that a new $Hq_k$ needs to be cleaned of $q_k$ and
//! $q_{k-1}$ only: it is orthogonal to all earlier ones already. Then write the method, without any other care.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// (diagonal, numbers beside it) after so many steps: one number less beside it.
    pub fn tridiagonal(h: &DMatrix<f64>, start: &DVector<f64>, steps: usize) -> (Vec<f64>, Vec<f64>) {
        todo!("{steps} products with a matrix of {} rows", h.nrows())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! For $j < k - 1$, $q_j\cdot Hq_k = Hq_j\cdot q_k$, and $Hq_j$ lies in the span of $q_1, \dots, q_{j+1}$, to
    //! which $q_k$ is orthogonal. So $Hq_k = \beta_{k-1}q_{k-1} + \alpha_k q_k + \beta_k q_{k+1}$, and the
    //! eigenvalues of the small matrix approach those of $H$, the outermost first. In rounded arithmetic
    //! orthogonality is lost once one of them has been found, which is why the crate cleans against all.
    //!
    //! The usual mistake is to forget $\beta_{k-1}q_{k-1}$. The first two steps are right without it.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// (diagonal, numbers beside it) after so many steps: one number less beside it.
    pub fn tridiagonal(h: &DMatrix<f64>, start: &DVector<f64>, steps: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut alphas, mut betas): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        let (mut before, mut q) = (DVector::zeros(start.len()), start.normalize());
        for step in 1..=steps {
            let mut next = h * &q - &before * betas.last().copied().unwrap_or(0.0);
            let alpha = q.dot(&next);
            next -= &q * alpha;
            alphas.push(alpha);
            if step < steps {
                betas.push(next.norm());
            }
            (before, q) = (q, next.normalize());
        }
        (alphas, betas)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dvector};
    use optim::autodiff::spectrum::lanczos;

    fn eigenvalues(alphas: &[f64], betas: &[f64]) -> Vec<f64> {
        let n = alphas.len();
        let matrix = DMatrix::from_fn(n, n, |i, j| match i.abs_diff(j) {
            0 => alphas[i],
            1 => betas[i.min(j)],
            _ => 0.0,
        });
        let mut values = matrix.symmetric_eigenvalues().as_slice().to_vec();
        values.sort_by(f64::total_cmp);
        values
    }

    fn check(tridiagonal: fn(&DMatrix<f64>, &DVector<f64>, usize) -> (Vec<f64>, Vec<f64>)) {
        let h = DMatrix::from_fn(5, 5, |i, j| ((i + j) as f64).sin() + if i == j { i as f64 } else { 0.0 });
        let start = dvector![1.0, -0.5, 0.3, 0.8, -1.2];
        for steps in 1..=5 {
            let (alphas, betas) = tridiagonal(&h, &start, steps);
            assert_eq!((alphas.len(), betas.len()), (steps, steps - 1));
            let product = |v: &[f64]| Ok((&h * DVector::from_column_slice(v)).as_slice().to_vec());
            let want = lanczos(product, start.as_slice(), steps).unwrap().values;
            let got = eigenvalues(&alphas, &betas);
            let is_near = got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(is_near, "{steps} steps: {got:?}, not {want:?}");
        }
    }

    #[test]
    fn solution_finds_the_eigenvalues() {
        check(super::solution::tridiagonal);
    }

    #[test]
    #[should_panic = "1 products with"]
    fn task_is_open() {
        check(super::task::tridiagonal);
    }

    #[test]
    #[should_panic = "3 steps"]
    fn two_terms_are_right_for_two_steps() {
        check(|h, start, steps| {
            let (mut alphas, mut betas) = (Vec::new(), Vec::new());
            let mut q = start.normalize();
            for step in 1..=steps {
                let alpha = q.dot(&(h * &q));
                let next = h * &q - &q * alpha;
                alphas.push(alpha);
                if step < steps {
                    betas.push(next.norm());
                }
                q = next.normalize();
            }
            (alphas, betas)
        });
    }
}
