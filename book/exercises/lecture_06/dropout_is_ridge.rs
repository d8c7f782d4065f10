//! # Dropout on the inputs of a linear model
//!
//! Show that least squares with dropout on the inputs, each kept with probability $\theta$ and divided by it, has the
//! mean loss $\lVert y - Xw\rVert^2 + \lambda\, w^\top \operatorname{diag}(X^\top X)\, w$ with
//! $\lambda = (1 - \theta)/\theta$. Then measure it: write the mean loss over `draws` random masks, a mask for each
//! entry of $X$.

/// What is to be written.
pub mod task {
    use nalgebra::{DMatrix, DVector};
    use rand::Rng;

    // ANCHOR: task
    /// The mean of the squared error over `draws` masks.
    pub fn mean_loss<R: Rng>(
        x: &DMatrix<f64>,
        y: &DVector<f64>,
        w: &DVector<f64>,
        keep: f64,
        draws: usize,
        rng: &mut R,
    ) -> f64 {
        todo!("what is done to an entry that is kept?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The masked prediction of example $n$ is $\sum_i x_{ni} w_i b_{ni}/\theta$, with mean $\sum_i x_{ni} w_i$ and, since
    //! the masks are independent, variance $\lambda\sum_i x_{ni}^2 w_i^2$. The squared error is the square of the mean
    //! error plus the variance; summed over $n$ that is the formula.
    //!
    //! The usual mistake is to forget the division by $\theta$: the mean is then too small, and the best $w$ too large.

    use nalgebra::{DMatrix, DVector};
    use rand::Rng;

    // ANCHOR: solution
    /// The mean of the squared error over `draws` masks.
    pub fn mean_loss<R: Rng>(
        x: &DMatrix<f64>,
        y: &DVector<f64>,
        w: &DVector<f64>,
        keep: f64,
        draws: usize,
        rng: &mut R,
    ) -> f64 {
        let mut sum = 0.0;
        for _ in 0..draws {
            let masked = x.map(|x| if rng.gen_bool(keep) { x / keep } else { 0.0 });
            sum += (y - masked * w).norm_squared();
        }
        sum / draws as f64
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix, dvector};
    use rand::{SeedableRng, rngs::StdRng};

    type MeanLoss = fn(&DMatrix<f64>, &DVector<f64>, &DVector<f64>, f64, usize, &mut StdRng) -> f64;

    fn check(mean_loss: MeanLoss) {
        let x = dmatrix![1.0, 2.0; -1.0, 0.5; 0.3, -2.0];
        let (y, w) = (dvector![1.0, -1.0, 0.5], dvector![0.7, 0.2]);
        for keep in [0.5, 0.8] {
            let lambda = (1.0 - keep) / keep;
            let spread = (0..2).map(|i| w[i] * w[i] * x.column(i).norm_squared()).sum::<f64>();
            let want = (&y - &x * &w).norm_squared() + lambda * spread;
            let got = mean_loss(&x, &y, &w, keep, 40_000, &mut StdRng::seed_from_u64(1));
            // One loss has a standard deviation below 2.5 here: four standard errors.
            assert!((got - want).abs() < 4.0 * 2.5 / 200.0, "keep {keep}: {got} against {want}");
        }
    }

    #[test]
    fn solution_has_the_mean_of_the_formula() {
        check(super::solution::mean_loss);
    }

    #[test]
    #[should_panic = "keep 0.5: "]
    fn what_is_kept_must_grow() {
        check(|x, y, w, keep, draws, rng| super::solution::mean_loss(x, y, &(w * keep), keep, draws, rng));
    }

    #[test]
    #[should_panic = "what is done to an entry"]
    fn task_is_open() {
        check(super::task::mean_loss);
    }
}
