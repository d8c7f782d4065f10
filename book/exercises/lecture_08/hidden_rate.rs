//! # A method without a rate
//!
//! *By hand, then in code.* Adadelta needs no learning rate, says its paper: it divides by the root mean square of
//! gradients and multiplies by that of its own steps,
//!
//! $$ v \leftarrow \rho v + (1 - \rho)g^2, \quad \Delta = \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}}\,g,
//!    \quad u \leftarrow \rho u + (1 - \rho)\Delta^2 , $$
//!
//! from $u = v = 0$. How long is the first step? Which number is the rate?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The length of Adadelta's first step.
    pub fn first(gradient: f64, rho: f64, epsilon: f64) -> f64 {
        todo!("u is 0, v is not")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\sqrt\epsilon\,\lvert g\rvert/\sqrt{(1 - \rho)g^2 + \epsilon}$, which is $\sqrt{\epsilon/(1 - \rho)}$ for a
    //! gradient that is not tiny: with the usual $\rho = 0.9$ and $\epsilon = 10^{-6}$ a step of
    //! $\Delta \approx 0.003$, whatever the gradient. Steps then grow from there, each by what the last ones were.
    //! $\sqrt\epsilon$ has the unit of the weights, and is the rate that was to be avoided: with a smaller $\epsilon$
    //! "for accuracy" training takes longer to begin.
    //!
    //! The usual mistake is to take $\epsilon$ for a guard against division by 0, as in Adam, where it does nothing
    //! else.

    // ANCHOR: solution
    /// The length of Adadelta's first step.
    pub fn first(gradient: f64, rho: f64, epsilon: f64) -> f64 {
        let v = (1.0 - rho) * gradient * gradient;
        epsilon.sqrt() * gradient.abs() / (v + epsilon).sqrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{AdadeltaConfig, Optim};

    fn stepped(gradient: f64, rho: f64, epsilon: f64) -> f64 {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let rule = AdadeltaConfig { rho, epsilon, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        gradients.get_or_alloc_mut(&w).unwrap()[0] = gradient;
        optimizer.step(&mut w, &mut gradients).unwrap();
        w.array()[0].abs()
    }

    fn check(first: fn(f64, f64, f64) -> f64) {
        for gradient in [1e-4, -0.3, 50.0] {
            for (rho, epsilon) in [(0.9, 1e-6), (0.95, 1e-6), (0.9, 1e-12)] {
                let (got, want) = (first(gradient, rho, epsilon), stepped(gradient, rho, epsilon));
                assert!((got / want - 1.0).abs() < 1e-12, "a step of {got}, the rule makes {want}");
            }
        }
    }

    #[test]
    fn solution_is_the_first_step() {
        check(super::solution::first);
    }

    #[test]
    #[should_panic = "u is 0, v is not"]
    fn task_is_open() {
        check(super::task::first);
    }

    #[test]
    #[should_panic = "the rule makes"]
    fn a_rate_of_one_is_not_a_step_of_one() {
        check(|_, rho, _| 1.0 / (1.0 - rho).sqrt());
    }
}
