//! # The average turns late
//!
//! *By hand, then in code.* A range test raises the rate by the same factor in each step and looks at an average of
//! the loss, $a \leftarrow \beta a + (1 - \beta)\ell$. Let the loss fall by 1 per step, and from some step on rise by
//! 1 per step. How many steps later is the average at its lowest? By which factor is the rate there larger than the
//! one at which the loss turned, in 100 steps from $10^{-6}$ to 10 with $\beta = 0.98$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps from the turn of the loss to that of its average.
    pub fn delay(smoothing: f64) -> f64 {
        todo!("a recursion for the change of the average per step")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The change $d$ of the average obeys $d \leftarrow \beta d + (1 - \beta)\,\Delta\ell$. Before the turn
    //! $d = -1$; $s$ steps after it $d = 1 - 2\beta^s$, which is 0 for $s = \ln 2/\ln(1/\beta)$: 34 steps for
    //! $\beta = 0.98$. In that sweep a step is a factor $10^{7/99}$, and 34 of them are a factor of more than 200.
    //! Reading the rate off the lowest average gives a rate at which training explodes; the steepest fall, which the
    //! crate takes, lies well before the turn.
    //!
    //! The usual mistake is $\beta/(1 - \beta)$, by which an average lags behind a straight line. At a turn it is
    //! less, since the new steps count most.

    // ANCHOR: solution
    /// Steps from the turn of the loss to that of its average.
    pub fn delay(smoothing: f64) -> f64 {
        2.0_f64.ln() / -smoothing.ln()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::optimizers::{Sgd, SgdConfig};
    use optim::range_test::{RangeTestConfig, range_test};

    /// Where the average of the range test is lowest when the loss turns at step 600 of 1000.
    fn observed(smoothing: f64) -> f64 {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let mut sgd = Sgd::try_new(&w, SgdConfig::default()).unwrap();
        let loss = |w: &Tensor<Rank1<1>, f64, Cpu>, step: u64| {
            let gradients = (w.leaky_trace() * 0.0).sum().backward();
            Ok((2000.0 + (step as f64 - 600.0).abs(), gradients))
        };
        let config = RangeTestConfig { steps: 1000, smoothing, ..Default::default() };
        let found = range_test(&mut w, &mut sgd, loss, config).unwrap();
        let lowest = (0..1000).min_by(|&a, &b| found.averages[a].total_cmp(&found.averages[b])).unwrap();
        lowest as f64 - 600.0
    }

    fn check(delay: fn(f64) -> f64) {
        for smoothing in [0.5, 0.9, 0.98] {
            let (got, want) = (delay(smoothing), observed(smoothing));
            assert!((got - want).abs() <= 1.0, "smoothing {smoothing}: {got} steps, observed {want}");
        }
        let sweep = RangeTestConfig::default();
        let factor = (sweep.last / sweep.first).powf(delay(sweep.smoothing) / (sweep.steps - 1) as f64);
        assert!((200.0..300.0).contains(&factor), "a factor of {factor}");
    }

    #[test]
    fn solution_is_how_late_it_turns() {
        check(super::solution::delay);
    }

    #[test]
    #[should_panic = "change of the average"]
    fn task_is_open() {
        check(super::task::delay);
    }

    #[test]
    #[should_panic = "smoothing 0.9: "]
    fn a_turn_is_not_a_straight_line() {
        check(|smoothing| smoothing / (1.0 - smoothing));
    }
}
