//! # Look more often at what weighs more
//!
//! *In code.* Draw example $i$ with probability $p_i$ instead of $1/n$, and divide its gradient by $n p_i$.
//!
//! 1. Show that the mean is still $\nabla f$.
//! 2. Show that the variance is smallest for $p_i \propto \lVert\nabla f_i\rVert$.
//! 3. The norms change with $w$. For least squares $\nabla f_i = 2c\,(x_i\cdot w - y_i)\,x_i$; take
//!    $p_i \propto \lVert x_i\rVert^2$, the curvature of the example. Complete the function.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use optim::sgd::{FiniteSum, LeastSquares};

    /// Probabilities in proportion to the curvature of each example.
    pub fn probabilities(problem: &LeastSquares) -> Vec<f64> {
        todo!("{} numbers that sum to 1", problem.terms())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! 1. $\sum_i p_i\,\nabla f_i/(n p_i) = \nabla f$.
    //! 2. The second moment is $\frac1{n^2}\sum_i\lVert\nabla f_i\rVert^2/p_i$; with a multiplier for
    //!    $\sum p_i = 1$, $p_i^2 \propto \lVert\nabla f_i\rVert^2$.
    //! 3. If the residuals are of one size, the norm is proportional to $\lVert x_i\rVert$; far from the minimum
    //!    the residuals grow with $\lVert x_i\rVert$ too, and the norm with $\lVert x_i\rVert^2$.
    //!
    //! The usual mistake is to forget the division by $n p_i$: the method then descends on another function, in which the
    //! large examples count more.

    // ANCHOR: solution
    use optim::sgd::{FiniteSum, LeastSquares};

    /// Probabilities in proportion to the curvature of each example.
    pub fn probabilities(problem: &LeastSquares) -> Vec<f64> {
        let curvature: Vec<f64> = (0..problem.terms()).map(|i| problem.curvature(i)).collect();
        let sum: f64 = curvature.iter().sum();
        curvature.into_iter().map(|c| c / sum).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use optim::sgd::{FiniteSum, LeastSquares};

    /// Half of the examples ten times as long as the others.
    fn problem() -> LeastSquares {
        let scale = |i: usize| if i.is_multiple_of(2) { 10.0 } else { 1.0 };
        let x = DMatrix::from_fn(40, 2, |i, j| scale(i) * ((3 * i + 5 * j) as f64).sin());
        let y = (0..40).map(|i| (7.0 * i as f64).cos()).collect();
        LeastSquares::new(x, y, 0.5).unwrap()
    }

    /// Second moment of the estimate at `w`.
    fn moment(problem: &LeastSquares, p: &[f64], w: &[f64]) -> f64 {
        let one = |i: usize| {
            let mut gradient = vec![0.0; 2];
            problem.add_gradient(i, w, 1.0 / (40.0 * p[i]), &mut gradient);
            p[i] * gradient.iter().map(|g| g * g).sum::<f64>()
        };
        (0..40).map(one).sum()
    }

    fn check(probabilities: fn(&LeastSquares) -> Vec<f64>) {
        let problem = problem();
        let p = probabilities(&problem);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let uniform = moment(&problem, &[1.0 / 40.0; 40], &[1.0, -1.0]);
        let weighted = moment(&problem, &p, &[1.0, -1.0]);
        assert!(weighted < 0.7 * uniform, "second moment {weighted}, uniform {uniform}");
    }

    #[test]
    fn solution_lowers_the_noise() {
        check(super::solution::probabilities);
    }

    #[test]
    #[should_panic = "40 numbers"]
    fn task_is_open() {
        check(super::task::probabilities);
    }

    #[test]
    #[should_panic = "second moment"]
    fn uniform_probabilities_do_not() {
        check(|problem| vec![1.0 / problem.terms() as f64; problem.terms()]);
    }
}
