//! # How long, with all the data?
//!
//! *By hand, then in code.* Early stopping on 800 examples found that $\tau$ steps of full-batch descent are best.
//! Now all 1000 train. On a quadratic a direction of curvature $h$ has come the part $1 - (1 - \epsilon h)^\tau$ of
//! its way, which acts as weight decay of $\approx 1/(\epsilon\tau)$. How many steps does the second training take to
//! have the same part of the way behind it, for small $\epsilon h$, if the loss is
//!
//! 1. the *mean* over the examples, or
//! 2. their *sum*?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps of the second training; it sees `all` examples, the first saw `train`.
    pub fn steps(best: f64, train: f64, all: f64, is_mean: bool) -> f64 {
        todo!("how does the curvature of the loss grow with the data?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! More examples of the same kind leave the mean's curvature as it is: as many steps again. In *passes* over the
    //! data, with minibatches, these are fewer. The sum's curvature grows by 1000/800, so the same part of the way takes
    //! only 800/1000 of the steps. Goodfellow et al. leave open whether updates or passes should be repeated; on a
    //! quadratic with a mean it is the updates.
    //!
    //! The usual mistake is not to ask. A change from a sum to a mean is a change of the learning rate by the number
    //! of examples, and everything that counts steps changes with it.

    // ANCHOR: solution
    /// Steps of the second training; it sees `all` examples, the first saw `train`.
    pub fn steps(best: f64, train: f64, all: f64, is_mean: bool) -> f64 {
        if is_mean { best } else { best * train / all }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::regularize::refit::Refit;

    /// The part of its way that a weight comes whose examples all have the curvature 1.
    fn part(rate: f64, examples: f64, steps: f64, is_mean: bool) -> f64 {
        let curvature = if is_mean { 1.0 } else { examples };
        let mut left = 1.0;
        for _ in 0..steps.round() as u64 {
            left -= rate * curvature * left;
        }
        1.0 - left
    }

    fn check(steps: fn(f64, f64, f64, bool) -> f64) {
        for (is_mean, rate) in [(true, 1e-3), (false, 1e-6)] {
            let (first, second) = (part(rate, 800.0, 900.0, is_mean), {
                let again = steps(900.0, 800.0, 1000.0, is_mean);
                part(rate, 1000.0, again, is_mean)
            });
            let name = if is_mean { "mean" } else { "sum" };
            assert!((first - second).abs() < 1e-3, "{name}: {first} of the way first, then {second}");
        }
        // The crate counts minibatches of a mean: as many updates as the best weights had.
        let refit = Refit::after(12, 800, 1000, 50).unwrap();
        assert_eq!(refit.same_updates as f64, steps(12.0 * 16.0, 800.0, 1000.0, true));
    }

    #[test]
    fn solution_comes_as_far() {
        check(super::solution::steps);
    }

    #[test]
    #[should_panic = "how does the curvature"]
    fn task_is_open() {
        check(super::task::steps);
    }

    #[test]
    #[should_panic = "sum: "]
    fn a_sum_is_steeper_with_more_data() {
        check(|best, _, _, _| best);
    }
}
