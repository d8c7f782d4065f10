//! # Sixty tries
//!
//! *By hand, then in code.* The best twentieth of all settings is good enough. How many random ones must you try to
//! have one of them with a probability of at least 95 of 100? Does the answer depend on the number of
//! hyperparameters? And a grid of $8 \times 8$ settings, if only one of the two axes matters?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Fewest random tries to hit a `share` of all settings with this `certainty`.
    pub fn tries(share: f64, certainty: f64) -> usize {
        todo!("the probability to miss it every time")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! All miss with probability $(1 - q)^n \le 1 - p$, so $n = \lceil\ln(1 - p)/\ln(1 - q)\rceil$: 59 for a
    //! twentieth and 95 of 100, whatever the number of axes. The grid of 64 tries only 8 values of the axis that
    //! matters: a good interval of a twentieth of it may lie between two of them, and then all 64 miss.
    //!
    //! The usual mistake is $1/q = 20$, the mean wait. After it the chance to have missed is still more than a third.

    // ANCHOR: solution
    /// Fewest random tries to hit a `share` of all settings with this `certainty`.
    pub fn tries(share: f64, certainty: f64) -> usize {
        ((1.0 - certainty).ln() / (1.0 - share).ln()).ceil() as usize
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::search::{Axis, grid, random};
    use rand::{SeedableRng, rngs::StdRng};

    fn is_good(point: &[f64]) -> bool {
        (0.30..0.35).contains(&point[0]) // the second axis does not matter
    }

    fn check(tries: fn(f64, f64) -> usize) {
        for (share, certainty) in [(0.05, 0.95), (0.01, 0.5), (0.3, 0.999)] {
            let n = tries(share, certainty) as i32;
            let misses = |n: i32| (1.0 - share).powi(n);
            assert!(misses(n) <= 1.0 - certainty, "{n} tries miss with probability {}", misses(n));
            assert!(misses(n - 1) > 1.0 - certainty, "{} tries are enough", n - 1);
        }
        let axes = [Axis::Uniform { low: 0.0, high: 1.0 }; 2];
        let mut rng = StdRng::seed_from_u64(4);
        let mut hits = || random(&axes, tries(0.05, 0.95), &mut rng).unwrap().iter().any(|p| is_good(p));
        let share = (0..2000).filter(|_| hits()).count() as f64 / 2000.0;
        assert!((share - 0.95).abs() < 0.02, "hit in {share} of all searches"); // a standard error of 0.005
        assert!(!grid(&axes, &[8, 8]).unwrap().iter().any(|p| is_good(p)), "the grid falls between");
    }

    #[test]
    fn solution_is_just_enough() {
        check(super::solution::tries);
    }

    #[test]
    #[should_panic = "miss it every time"]
    fn task_is_open() {
        check(super::task::tries);
    }

    #[test]
    #[should_panic = "20 tries miss"]
    fn the_mean_wait_is_not_enough() {
        check(|share, _| (1.0 / share).round() as usize);
    }
}
