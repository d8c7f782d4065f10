//! # When it restarts
//!
//! *By hand, then in code.* Cosines with warm restarts: the first period has $T_0$ steps, each further one is $m$
//! times as long as the one before. In which step, counted from 0, is the $n$-th restart? You have 150 epochs: which
//! $T_0$ and $m = 2$ end with a finished period?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The step of restart number `count`, which is 0 for the start itself.
    pub fn restart(period: u64, growth: u64, count: u32) -> u64 {
        todo!("the sum of {count} periods")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $T_0(1 + m + \dots + m^{n-1}) = T_0\frac{m^n - 1}{m - 1}$, and $nT_0$ for $m = 1$. With $m = 2$ the factor is
    //! 1, 3, 7, 15, 31: 150 is $50\cdot3$ and $10\cdot15$. A run that ends in the middle of a period ends at a high
    //! rate, and its last weights are worse than those of the last finished period, which one should have kept.
    //!
    //! The usual mistake is $T_0m^n$: it forgets the periods before.

    // ANCHOR: solution
    /// The step of restart number `count`, which is 0 for the start itself.
    pub fn restart(period: u64, growth: u64, count: u32) -> u64 {
        (0..count).map(|i| period * growth.pow(i)).sum()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use layers::Schedule;
    use optim::optimizers::WarmRestarts;
    use optim::schedules::Sgdr;

    fn check(restart: fn(u64, u64, u32) -> u64) {
        for (period, growth) in [(10, 1), (10, 2), (7, 3)] {
            let cosines = Sgdr { base: 0.5, period, growth, minimum: 0.0 };
            let decays = WarmRestarts::try_new(cosines.clone(), 0.05).unwrap();
            for count in 1..4 {
                let step = restart(period, growth, count);
                let name = format!("{period}, {growth}: restart {count} in step {step}");
                assert_eq!(cosines.learning_rate(step), 0.5, "{name}: no full rate");
                assert!(cosines.learning_rate(step - 1) < 0.03, "{name}: the step before is no end");
                // AdamWR's decay falls with the longer period, from this step on.
                let falls = decays.weight_decay(step) < decays.weight_decay(step - 1);
                assert_eq!(falls, growth > 1, "{name}: the decay");
            }
        }
        assert_eq!((restart(50, 2, 2), restart(10, 2, 4)), (150, 150));
    }

    #[test]
    fn solution_finds_the_restarts() {
        check(super::solution::restart);
    }

    #[test]
    #[should_panic = "the sum of 1 periods"]
    fn task_is_open() {
        check(super::task::restart);
    }

    #[test]
    #[should_panic = "restart 1 in step 20: no full rate"]
    fn the_periods_before_count() {
        check(|period, growth, count| match growth {
            1 => period * u64::from(count),
            _ => period * growth.pow(count),
        });
    }
}
