//! # One weight of the lasso
//!
//! *By hand, then in code.* Hold all weights but one. With the residuals $r = y - Xw$ and the column $x$ of this
//! weight, the lasso asks for the $v$ that minimises
//!
//! $$ \frac1{2n} \lVert r + x w_j - x v \rVert^2 + \alpha \lvert v\rvert . $$
//!
//! Find it. Treat $v > 0$, $v < 0$ and $v = 0$ apart, and say for which data the answer is exactly 0.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The best value of a weight that is `w` now; `residuals` are those with `w`.
    pub fn best(column: &[f64], residuals: &[f64], w: f64, alpha: f64) -> f64 {
        todo!("three cases")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! With $c = \lVert x\rVert^2/n$ and $z = x\cdot r/n + c\,w_j$ the slope at $v > 0$ is $cv - z + \alpha$, which
    //! vanishes at $(z - \alpha)/c$ if that is positive; likewise $(z + \alpha)/c$ if that is negative. Else
    //! $\lvert z\rvert \le \alpha$, the function rises to both sides of 0, and $v = 0$ exactly: a feature whose
    //! correlation with what is left is below $\alpha$ is dropped.
    //!
    //! The usual mistake is to subtract $\alpha$ after the division by $c$. The two agree for columns with $c = 1$,
    //! which is why the mistake passes every test on standardised data.

    // ANCHOR: solution
    /// The best value of a weight that is `w` now; `residuals` are those with `w`.
    pub fn best(column: &[f64], residuals: &[f64], w: f64, alpha: f64) -> f64 {
        let n = column.len() as f64;
        let curvature = column.iter().map(|x| x * x).sum::<f64>() / n;
        let z = column.iter().zip(residuals).map(|(x, r)| x * r).sum::<f64>() / n + curvature * w;
        if z > alpha {
            (z - alpha) / curvature
        } else if z < -alpha {
            (z + alpha) / curvature
        } else {
            0.0
        }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};
    use optim::learning::lasso::{Lasso, soft_threshold};
    use optim::learning::{Estimator, column, linear::Intercept};

    type Best = fn(&[f64], &[f64], f64, f64) -> f64;

    fn check(best: Best) {
        // Columns of different lengths, the third of which says next to nothing.
        let x = DMatrix::from_fn(12, 3, |i, j| [1.0, 3.0, 0.4][j] * ((5 * i + 7 * j) as f64).sin());
        let y = DVector::from_fn(12, |i, _| 2.0 * x[(i, 0)] - x[(i, 1)] + 0.1 * (i as f64).cos());
        let alpha = 0.2;
        let mut w = DVector::zeros(3);
        for _ in 0..200 {
            for j in 0..3 {
                let residuals = &y - &x * &w;
                w[j] = best(x.column(j).as_slice(), residuals.as_slice(), w[j], alpha);
            }
        }
        let lasso = Lasso::new(alpha).intercept(Intercept::Zero);
        let want = lasso.fit(&x, &column(y.as_slice())).unwrap().weights;
        assert!((&w - want.column(0)).norm() < 1e-8, "the passes end at {w}, the lasso at {want}");
        assert_eq!(w[2], 0.0, "the third feature is worth less than the penalty");
    }

    #[test]
    fn solution_is_a_step_of_the_lasso() {
        check(super::solution::best);
    }

    #[test]
    #[should_panic = "three cases"]
    fn task_is_open() {
        check(super::task::best);
    }

    #[test]
    #[should_panic = "the passes end at"]
    fn a_threshold_after_the_division_is_another_penalty() {
        check(|x, r, w, alpha| {
            let square: f64 = x.iter().map(|x| x * x).sum();
            let free = w + x.iter().zip(r).map(|(x, r)| x * r).sum::<f64>() / square;
            soft_threshold(free, alpha)
        });
    }
}
