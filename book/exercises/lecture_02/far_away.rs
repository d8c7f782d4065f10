//! # Everybody lives equally far away
//!
//! *By hand, then in code.* Two points are drawn uniformly in the cube $[0, 1]^d$. What are mean and variance of the
//! *square* of their distance? From which $d$ on is its standard deviation a tenth of its mean or less? What does
//! that do to the nearest neighbour?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The standard deviation of the squared distance over its mean.
    pub fn relative_spread(dimension: usize) -> f64 {
        todo!("one coordinate first, then {dimension} of them")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The difference $u$ of two coordinates has the density $1 - \lvert u\rvert$, so $E u^2 = \frac16$ and
    //! $E u^4 = \frac1{15}$, and one square has the variance $\frac1{15} - \frac1{36} = \frac7{180}$. Coordinates are
    //! independent: means and variances add up, the relative spread is $\sqrt{7d/180}\,/\,(d/6) = \sqrt{7/(5d)}$. It
    //! is a tenth at $d = 140$. The nearest neighbour is then hardly nearer than anybody else, and its label says
    //! hardly more.
    //!
    //! The usual mistake is to see that the *absolute* spread grows, as $\sqrt d$, and to conclude that distances
    //! become more different. The mean grows faster.

    // ANCHOR: solution
    /// The standard deviation of the squared distance over its mean.
    pub fn relative_spread(dimension: usize) -> f64 {
        (7.0 / (5.0 * dimension as f64)).sqrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use optim::learning::dimension::contrast;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn drawn(dimension: usize) -> f64 {
        let mut rng = StdRng::seed_from_u64(dimension as u64);
        let mut one = || (0..dimension).map(|_| (rng.r#gen::<f64>() - rng.r#gen::<f64>()).powi(2)).sum();
        let squares: Vec<f64> = (0..20_000).map(|_| one()).collect();
        let mean = squares.iter().sum::<f64>() / 20_000.0;
        (squares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt() / mean
    }

    fn check(relative_spread: fn(usize) -> f64) {
        for dimension in [1, 2, 10, 140] {
            let (got, drawn) = (relative_spread(dimension), drawn(dimension));
            assert!((got / drawn - 1.0).abs() < 0.03, "{dimension} dimensions: {got}, drawn {drawn}");
        }
        // The contrast (farthest less nearest over nearest) falls with it.
        let contrast = |d: usize| {
            let mut rng = StdRng::seed_from_u64(1);
            contrast(&DMatrix::from_fn(100, d, |_, _| rng.r#gen::<f64>())).unwrap()
        };
        assert!(contrast(1000) < contrast(10) * relative_spread(1000) / relative_spread(10) * 2.0);
    }

    #[test]
    fn solution_is_what_one_draws() {
        check(super::solution::relative_spread);
    }

    #[test]
    #[should_panic = "one coordinate first"]
    fn task_is_open() {
        check(super::task::relative_spread);
    }

    #[test]
    #[should_panic = "dimensions: "]
    fn distances_do_not_become_more_different() {
        check(|dimension| (7.0 / 180.0 * dimension as f64).sqrt());
    }
}
