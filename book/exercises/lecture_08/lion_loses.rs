//! # A problem on which Lion loses
//!
//! Lion moves every weight by $\pm\eta$ per step, in the direction of the sign of a moving average of the
//! gradient. That forgets how large gradients were. Use it: find slopes $s_1, \dots, s_n$, repeated for ever,
//! of the losses $f_t(x) = s_t x$ over $[-1, 1]$ such that their mean is positive, so that $-1$ is the best
//! point, and plain gradient descent goes there, but Lion with its default $\beta$ goes to $+1$. Before you try
//! Reddi's own sequence, 1010 once and $-10$ a hundred times: for how many of the 101 steps will the average by
//! which Lion steps be positive?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The slopes of one period.
    pub fn slopes() -> Vec<f64> {
        todo!("one large slope, and how many small ones?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Lion's average looks back about $1/(1-\beta_2) = 100$ steps. A large slope $C$ lifts it by $C/100$, and
    //! then it decays towards $-c$ and is negative for the rest of the period. For 1000 small slopes of $-1$
    //! and one of $+1050$ it is positive for some 200 steps and negative for the other 800. The mean slope is
    //! positive all the same. In Reddi's sequence what Lion takes the sign of is positive for about 38 of 101
    //! steps, so that one does as well, with less to spare.
    //!
    //! The usual mistake is to look for a *very small* counterexample, such as three steps. A method that
    //! averages over a hundred steps can only be fooled by what is longer; Adam is fooled by three steps in
    //! this chapter because its $\beta_2$ was chosen that short.

    // ANCHOR: solution
    /// The slopes of one period.
    pub fn slopes() -> Vec<f64> {
        let mut slopes = vec![-1.0; 1001];
        slopes[0] = 1050.0;
        slopes
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{Constraint, LionConfig, Optim, Rule, SgdConfig};

    /// Mean position over the last period.
    fn end<R: Rule>(rule: R, slopes: &[f64]) -> f64 {
        let mut x: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let mut optimizer =
            Optim::try_new(&x, rule).unwrap().constraint(Constraint::Interval(-1.0, 1.0)).unwrap();
        let mut gradients = Gradients::leaky();
        let periods = 20_000_usize.div_ceil(slopes.len());
        let mut sum = 0.0;
        for period in 0..periods {
            for &slope in slopes {
                gradients.get_or_alloc_mut(&x).unwrap()[0] = slope;
                optimizer.step(&mut x, &mut gradients).unwrap();
                sum += if period + 1 == periods { x.array()[0] } else { 0.0 };
            }
        }
        sum / slopes.len() as f64
    }

    fn check(slopes: fn() -> Vec<f64>) {
        let slopes = slopes();
        assert!(!slopes.is_empty() && slopes.iter().sum::<f64>() > 0.0, "the mean slope must be positive");
        let descent = end(SgdConfig { learning_rate: 1e-3, ..Default::default() }, &slopes);
        assert!(descent < -0.4, "gradient descent must go to -1, is at {descent:.2}");
        let lion = end(LionConfig { learning_rate: 1e-3, ..Default::default() }, &slopes);
        assert!(lion > 0.4, "Lion must go to +1, is at {lion:.2}");
    }

    #[test]
    fn solution_leads_lion_astray() {
        check(super::solution::slopes);
    }

    #[test]
    fn the_sequence_of_reddi_does_too() {
        check(|| (0..101).map(|i| if i == 0 { 1010.0 } else { -10.0 }).collect());
    }

    #[test]
    #[should_panic = "Lion must go to +1"]
    fn three_steps_are_too_few() {
        check(|| vec![3.0, -1.0, -1.0]);
    }

    #[test]
    #[should_panic = "one large slope"]
    fn task_is_open() {
        check(super::task::slopes);
    }
}
