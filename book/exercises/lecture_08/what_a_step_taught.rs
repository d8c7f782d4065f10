//! # What one step taught
//!
//! *In code.* A step $s$ has changed the gradient by $y$. If the function were quadratic, its inverse Hessian would
//! send $y$ to $s$. BFGS changes its estimate $H$ such that it does:
//!
//! $$ H \leftarrow \Bigl(I - \frac{sy^\top}{s^\top y}\Bigr) H \Bigl(I - \frac{ys^\top}{s^\top y}\Bigr) +
//!    \frac{ss^\top}{s^\top y} . $$
//!
//! Verify $Hy = s$ by hand, and write the update. When must it be skipped?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// The new estimate; the old one where the step taught nothing that can be used.
    pub fn update(inverse: &DMatrix<f64>, s: &DVector<f64>, y: &DVector<f64>) -> DMatrix<f64> {
        todo!("is the curvature {} along the step of use?", s.dot(y))
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The second bracket sends $y$ to 0, and the last term sends it to $s$. For $s^\top y > 0$ the result is
    //! positive definite if $H$ is: $v^\top Hv$ is a square that vanishes only for $v \propto y$, plus
    //! $(s^\top v)^2/s^\top y$, which does not vanish there. For $s^\top y \le 0$, a direction that curves down, no
    //! positive definite matrix sends $y$ to $s$, and the step is forgotten. The Wolfe conditions make sure that it
    //! does not happen.
    //!
    //! The usual mistake is to exchange $s$ and $y$. That is the update of the Hessian itself, which is right too,
    //! for another matrix.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// The new estimate; the old one where the step taught nothing that can be used.
    pub fn update(inverse: &DMatrix<f64>, s: &DVector<f64>, y: &DVector<f64>) -> DMatrix<f64> {
        let curvature = s.dot(y);
        if curvature <= 0.0 {
            return inverse.clone();
        }
        let left = DMatrix::identity(s.len(), s.len()) - s * y.transpose() / curvature;
        &left * inverse * left.transpose() + s * s.transpose() / curvature
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix, dvector};
    use optim::second_order::{Bfgs, BfgsConfig};

    fn check(update: fn(&DMatrix<f64>, &DVector<f64>, &DVector<f64>) -> DMatrix<f64>) {
        let start = dmatrix![2.0, 0.3, 0.0; 0.3, 1.0, -0.2; 0.0, -0.2, 0.5];
        let (s, y) = (dvector![1.0, -0.5, 0.2], dvector![0.8, 0.1, 1.5]);
        let got = update(&start, &s, &y);
        assert!((&got * &y - &s).norm() < 1e-12, "y goes to {}, not to s", &got * &y);
        assert!((&got - got.transpose()).norm() < 1e-12);
        assert!(got.symmetric_eigenvalues().min() > 0.0, "not positive definite");
        assert_eq!(update(&start, &s, &-&y), start, "a step that curves down");
        // One step of the crate on a quadratic, from the identity.
        let a = dmatrix![3.0, 1.0; 1.0, 2.0];
        let objective = |x: &[f64]| {
            let x = DVector::from_column_slice(x);
            (0.5 * x.dot(&(&a * &x)), (&a * &x).as_slice().to_vec())
        };
        let mut bfgs = Bfgs::try_new(BfgsConfig::default()).unwrap().with_inverse(DMatrix::identity(2, 2));
        let reached = bfgs.minimise(objective, &[1.0, -2.0], 1).unwrap().x;
        let s = DVector::from_vec(reached) - dvector![1.0, -2.0];
        let got = update(&DMatrix::identity(2, 2), &s, &(&a * &s));
        assert!((got - bfgs.inverse().unwrap()).norm() < 1e-12, "the crate's matrix is another");
    }

    #[test]
    fn solution_learns_the_step() {
        check(super::solution::update);
    }

    #[test]
    #[should_panic = "along the step of use?"]
    fn task_is_open() {
        check(super::task::update);
    }

    #[test]
    #[should_panic = "y goes to"]
    fn the_hessian_is_updated_the_other_way() {
        check(|inverse, s, y| super::solution::update(inverse, y, s));
    }
}
