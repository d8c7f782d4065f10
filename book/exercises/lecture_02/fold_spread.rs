//! # The error of the error
//!
//! Cross-validation reports a mean over ten folds, and the standard deviation of the folds over $\sqrt{10}$ as
//! its uncertainty. That is right if the ten numbers are independent. They are not: any two of the ten
//! training sets share eight ninths of their examples.
//!
//! Measure it. Draw many data sets, cross-validate least squares on each (the mean squared error over ten folds),
//! and return two numbers: the standard deviation of the ten-fold means over the data sets (what one wants to
//! know), and the mean of the reported standard errors (what one is told). Which one is larger?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::DMatrix;

    /// Draws a data set by its number.
    pub type Draw<'a> = &'a dyn Fn(u64) -> (DMatrix<f64>, DMatrix<f64>);

    /// (spread of the ten-fold estimate over data sets, mean of the reported standard errors).
    pub fn spread(draw: Draw<'_>, sets: u64) -> (f64, f64) {
        todo!("cross_validate on each of {sets} sets of {} points", draw(0).0.nrows())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Here the two are close, and nobody could have known: the dependence of the folds can make the reported
    //! error too small or too large, and no estimator made from one cross-validation is unbiased for all
    //! distributions. The point is the *measurement*: you need many data sets to know the error of the error,
    //! and in practice there is one.
    //!
    //! The usual mistake is to repeat the cross-validation on *one* data set with other folds. That measures
    //! the luck of the cut, not the luck of the data, and is much smaller.

    // ANCHOR: solution
    use nalgebra::DMatrix;
    use optim::learning::validation::mse;
    use optim::learning::{LinearRegression, cross_validate};
    use rand::{SeedableRng, rngs::StdRng};

    /// Draws a data set by its number.
    pub type Draw<'a> = &'a dyn Fn(u64) -> (DMatrix<f64>, DMatrix<f64>);

    /// (spread of the ten-fold estimate over data sets, mean of the reported standard errors).
    pub fn spread(draw: Draw<'_>, sets: u64) -> (f64, f64) {
        let learner = LinearRegression::default();
        let (mut means, mut errors) = (Vec::new(), Vec::new());
        for set in 0..sets {
            let ((x, y), mut rng) = (draw(set), StdRng::seed_from_u64(set));
            let report = cross_validate(&learner, &x, &y, 10, mse, &mut rng).expect("10 folds");
            means.push(report.mean);
            errors.push(report.standard_error);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let middle = mean(&means);
        let squares: Vec<f64> = means.iter().map(|m| (m - middle).powi(2)).collect();
        (mean(&squares).sqrt(), mean(&errors))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    type Draw<'a> = &'a dyn Fn(u64) -> (DMatrix<f64>, DMatrix<f64>);

    fn draw(set: u64) -> (DMatrix<f64>, DMatrix<f64>) {
        let mut rng = StdRng::seed_from_u64(1000 + set);
        let x = DMatrix::from_fn(40, 1, |_, _| rng.gen_range(-1.0..1.0));
        // A uniform variable on [-√3, √3] has variance 1.
        let y = DMatrix::from_fn(40, 1, |i, _| x[(i, 0)] + 3.0_f64.sqrt() * rng.gen_range(-1.0..1.0));
        (x, y)
    }

    fn check(spread: impl Fn(Draw<'_>, u64) -> (f64, f64)) {
        let (spread, reported) = spread(&draw, 200);
        // Squares of the noise have variance 1.8 - 1 = 0.8: over 40 points a standard deviation of √(0.8/40) = 0.14.
        assert!((0.10..0.19).contains(&spread), "the estimate spreads by {spread}");
        assert!((0.10..0.19).contains(&reported), "the reported error is {reported}");
    }

    #[test]
    fn solution_measures_both() {
        check(|draw, sets| super::solution::spread(draw, sets));
    }

    #[test]
    #[should_panic = "cross_validate on each"]
    fn task_is_open() {
        check(|draw, sets| super::task::spread(draw, sets));
    }

    #[test]
    #[should_panic = "the estimate spreads by"]
    fn one_data_set_hides_its_own_luck() {
        check(|draw, sets| super::solution::spread(&|_| draw(0), sets));
    }
}
