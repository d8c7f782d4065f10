//! # A rate that runs dry
//!
//! *By hand, then in code.* AdaGrad divides by the root of the *sum* of all squared gradients so far. On a slope that
//! never changes, how far has it come after $t$ steps of rate $\eta$? How many steps does it take for a distance $D$,
//! and how many does Adam take?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps of AdaGrad over this distance, to a few per cent.
    pub fn steps(distance: f64, rate: f64) -> f64 {
        todo!("the sum of the first t step lengths")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! After $i$ equal gradients the sum is $ig^2$ and the step $\eta/\sqrt i$, whatever $g$ is. The sum of the first
    //! $t$ is about $2\eta\sqrt t$, so $t = (D/2\eta)^2$: ten times as far takes a hundred times as long. Adam's mean
    //! of squares stays $g^2$, and its steps stay $\eta$: $D/\eta$. For a convex problem with noise AdaGrad's decay
    //! is what theory asks for; a deep network that still has far to go stands still.
    //!
    //! The usual mistake is to think that steps shrink because gradients do. They shrink because time passes.

    // ANCHOR: solution
    /// Steps of AdaGrad over this distance, to a few per cent.
    pub fn steps(distance: f64, rate: f64) -> f64 {
        (distance / (2.0 * rate)).powi(2)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{AdaGradConfig, AdamConfig, Optim, Rule};

    /// Steps until a weight has moved so far along a slope of 7.
    fn counted<R: Rule>(rule: R, distance: f64) -> f64 {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        let mut steps = 0;
        while w.array()[0] > -distance {
            gradients.get_or_alloc_mut(&w).unwrap()[0] = 7.0;
            optimizer.step(&mut w, &mut gradients).unwrap();
            steps += 1;
        }
        f64::from(steps)
    }

    fn check(steps: fn(f64, f64) -> f64) {
        for (distance, rate) in [(1.0, 0.01), (4.0, 0.05), (0.5, 0.004)] {
            let rule = AdaGradConfig { learning_rate: rate, ..Default::default() };
            let (got, want) = (steps(distance, rate), counted(rule, distance));
            assert!((got / want - 1.0).abs() < 0.06, "{distance} takes {want} steps, not {got}");
            let adam = AdamConfig { learning_rate: rate, epsilon: 0.0, ..Default::default() };
            assert!((counted(adam, distance) - distance / rate).abs() <= 1.0);
        }
    }

    #[test]
    fn solution_counts_the_steps() {
        check(super::solution::steps);
    }

    #[test]
    #[should_panic = "step lengths"]
    fn task_is_open() {
        check(super::task::steps);
    }

    #[test]
    #[should_panic = "1 takes 25"]
    fn its_steps_are_not_those_of_adam() {
        check(|distance, rate| distance / rate);
    }
}
