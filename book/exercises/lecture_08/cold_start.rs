//! # When RAdam trusts its root
//!
//! *By hand, then in code.* RAdam divides by the root of the second moment only when enough gradients have been seen.
//! Its count of them is $\rho_t = \rho_\infty - \frac{2t\beta_2^t}{1 - \beta_2^t}$ with
//! $\rho_\infty = \frac{2}{1 - \beta_2} - 1$, and it begins when $\rho_t > 5$, here as in PyTorch; the paper writes 4. In
//! which step? Is a longer memory $\beta_2$ a longer wait?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The first step, from 1, that divides by the root.
    pub fn first(beta2: f64) -> Option<i32> {
        todo!("where is rho_t above 5 for the first time?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! For $\beta_2 \to 1$, $\rho_t \to t$: it counts gradients, and the first to divide is step 6. A shorter memory
    //! makes the wait *longer*, since old gradients are forgotten on the way: for $\beta_2 = 0.7$,
    //! $\rho_\infty = 5.67$ and it takes 10. For $\beta_2 \le \frac23$ it never begins, since $\rho_\infty \le 5$. The
    //! steps until then are descent with momentum, of length $\eta\lvert\hat m\rvert$: a rate made for Adam can be far
    //! too large for them. What is called its warm-up is the factor $r_t$ after that, which rises to 1 over some
    //! thousand steps.
    //!
    //! The usual mistake is to expect a wait of $1/(1 - \beta_2)$ steps, the length of the memory.

    // ANCHOR: solution
    /// The first step, from 1, that divides by the root.
    pub fn first(beta2: f64) -> Option<i32> {
        let limit = 2.0 / (1.0 - beta2) - 1.0;
        let seen = |t: i32| limit - 2.0 * f64::from(t) * beta2.powi(t) / (1.0 - beta2.powi(t));
        (1..1000).find(|&t| seen(t) > 5.0)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{Optim, RAdamConfig};

    /// With gradients of 1000 a step without the root is a thousand rates long.
    fn observed(beta2: f64) -> Option<i32> {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let rule = RAdamConfig { learning_rate: 1.0, beta2, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        (1..1000).find(|_| {
            let before = w.array()[0];
            gradients.get_or_alloc_mut(&w).unwrap()[0] = 1000.0;
            optimizer.step(&mut w, &mut gradients).unwrap();
            (w.array()[0] - before).abs() < 10.0
        })
    }

    fn check(first: fn(f64) -> Option<i32>) {
        for beta2 in [0.9999, 0.999, 0.99, 0.9, 0.7, 0.6] {
            assert_eq!(first(beta2), observed(beta2), "beta2 = {beta2}");
        }
        assert_eq!((first(0.999), first(0.6)), (Some(6), None));
        assert!(first(0.7) > first(0.999), "a shorter memory waits longer");
    }

    #[test]
    fn solution_is_when_steps_become_short() {
        check(super::solution::first);
    }

    #[test]
    #[should_panic = "for the first time?"]
    fn task_is_open() {
        check(super::task::first);
    }

    #[test]
    #[should_panic = "beta2 = 0.9999"]
    fn it_does_not_wait_for_its_memory() {
        check(|beta2| Some((1.0 / (1.0 - beta2)).round() as i32));
    }
}
