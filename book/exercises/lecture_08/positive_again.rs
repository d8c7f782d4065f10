//! # Positive again
//!
//! *By hand, then in code.* Hessian-free optimisation solves $(H + \lambda I)d = -g$ by conjugate gradients, from
//! products with $H$ alone. At a saddle $H$ has negative eigenvalues; conjugate gradients then meet a direction of
//! negative curvature and stop. How large must $\lambda$ be that they cannot? What does $\lambda$ do to the step
//! along an eigenvector, for small and for large $\lambda$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::DMatrix;

    /// Any damping above this makes H + damping · I positive definite; not negative.
    pub fn least_damping(hessian: &DMatrix<f64>) -> f64 {
        todo!("the eigenvalues of a sum with the identity, {} of them", hessian.nrows())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $H + \lambda I$ has the eigenvalues $h_i + \lambda$, so $\lambda > -h_{\min}$, and 0 is enough where none is
    //! negative. The step along an eigenvector is $-g_i/(h_i + \lambda)$: Newton's for small $\lambda$,
    //! $-g_i/\lambda$ for large, a short step of gradient descent. Near $\lambda = -h_{\min}$ the step along the
    //! negative direction is enormous, so one damps by more; or takes the Gauss–Newton matrix, which has no negative
    //! eigenvalue; or $\lvert h_i\rvert$, as saddle-free Newton does.
    //!
    //! The usual mistake is the smallest *absolute* eigenvalue. It says how near $H$ is to having no inverse.

    // ANCHOR: solution
    use nalgebra::DMatrix;

    /// Any damping above this makes H + damping · I positive definite; not negative.
    pub fn least_damping(hessian: &DMatrix<f64>) -> f64 {
        (-hessian.symmetric_eigenvalues().min()).max(0.0)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix};
    use optim::second_order::{CgConfig, CgStop, NewtonKind, conjugate_gradient, newton_step};

    fn stop(hessian: &DMatrix<f64>, damping: f64) -> CgStop {
        let damped = |v: &[f64]| {
            let v = DVector::from_column_slice(v);
            (hessian * &v + &v * damping).as_slice().to_vec()
        };
        conjugate_gradient(damped, &[1.0, 0.5, -0.7], CgConfig::default()).stop
    }

    fn check(least_damping: fn(&DMatrix<f64>) -> f64) {
        let saddle = dmatrix![2.0, 1.0, 0.0; 1.0, -3.0, 0.5; 0.0, 0.5, 0.4];
        let least = least_damping(&saddle);
        assert_eq!(stop(&saddle, 1.01 * least), CgStop::Converged, "just above {least}");
        assert_eq!(stop(&saddle, 0.99 * least), CgStop::NegativeCurvature, "just below {least}");
        assert_eq!(least_damping(&DMatrix::identity(3, 3)), 0.0);
        // Much damping is descent.
        let gradient = DVector::from_column_slice(&[1.0, 0.5, -0.7]);
        let step = newton_step(&gradient, &saddle, NewtonKind::Damped(1e6)).unwrap();
        assert!((step * 1e6 + gradient).norm() < 1e-5);
    }

    #[test]
    fn solution_is_the_border() {
        check(super::solution::least_damping);
    }

    #[test]
    #[should_panic = "3 of them"]
    fn task_is_open() {
        check(super::task::least_damping);
    }

    #[test]
    #[should_panic = "just above"]
    fn the_smallest_absolute_eigenvalue_says_something_else() {
        check(|hessian| hessian.symmetric_eigenvalues().abs().min());
    }
}
