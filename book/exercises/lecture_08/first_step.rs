//! # The first step of Adam
//!
//! *By hand.* Let $\epsilon = 0$.
//!
//! 1. Show that the first step of Adam changes every weight by exactly $\eta$, whatever the gradient is, as
//!    long as it is not 0.
//! 2. RMSprop has no bias correction. How long is its first step?
//! 3. Somebody writes Adam without the two divisions by $1 - \beta^t$. How long is the first step then, for
//!    $\beta_1 = 0.9$ and $\beta_2 = 0.999$?

pub mod solution {
    //! 1. With $m_0 = v_0 = 0$ the first moments are $m_1 = (1-\beta_1)\,g$ and $v_1 = (1-\beta_2)\,g^2$. The
    //!    bias correction divides by $1-\beta_1$ and $1-\beta_2$, so $\hat m_1 = g$, $\hat v_1 = g^2$ and the
    //!    step is $\eta\,g/\lvert g\rvert = \pm\eta$.
    //! 2. $v_1 = (1-\alpha)\,g^2$, so the step is $\eta/\sqrt{1-\alpha}$: ten times $\eta$ for $\alpha = 0.99$.
    //! 3. $\eta\,(1-\beta_1)/\sqrt{1-\beta_2}$, with the usual decays $0.1\,\eta/\sqrt{0.001} \approx 3.16\,\eta$.
    //!
    //! The usual mistake is to believe that the corrections make the first step *longer*, since $m_1$ is too
    //! small. The root of $v_1$ is too small by more; without them the first step is three times too long. The
    //! function below measures the first two.

    // ANCHOR: solution
    use dfdx::prelude::*;
    use layers::{Step, StepError};
    use optim::optimizers::{AdamConfig, Optim, RmsPropConfig, Rule};

    /// How far one step moves a single weight whose gradient is `gradient`.
    pub fn first_step<R: Rule>(rule: R, gradient: f64) -> Result<f64, StepError> {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let mut optimizer = Optim::try_new(&w, rule)?;
        let mut gradients = (w.leaky_trace() * gradient).sum().backward();
        optimizer.step(&mut w, &mut gradients)?;
        Ok(w.array()[0].abs())
    }

    /// The first steps of Adam and of RMSprop as multiples of the learning rate.
    pub fn lengths(gradient: f64) -> Result<[f64; 2], StepError> {
        let adam = AdamConfig { learning_rate: 0.01, epsilon: 0.0, ..Default::default() };
        let rms_prop = RmsPropConfig { learning_rate: 0.01, epsilon: 0.0, ..Default::default() };
        Ok([first_step(adam, gradient)? / 0.01, first_step(rms_prop, gradient)? / 0.01])
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::solution::lengths;

    #[test]
    fn adam_steps_by_the_learning_rate_and_rms_prop_by_ten_times_that() {
        for gradient in [1e-6, -0.3, 7.0, 1e9] {
            let [adam, rms_prop] = lengths(gradient).unwrap();
            assert!((adam - 1.0).abs() < 1e-12, "{gradient}: Adam steps {adam} η");
            assert!((rms_prop - 10.0).abs() < 1e-11, "{gradient}: RMSprop steps {rms_prop} η"); // α = 0.99
        }
    }
}
