//! # Far from all components
//!
//! *By hand, then in code.* A mixture density head with two components answers with six outputs: two votes $z_k$
//! whose softmax are the weights $\pi_k$, two means, two logarithms of deviations. The *share* of a component in the
//! density at $y$ is $\gamma_k = \pi_k N_k(y) / \sum_j \pi_j N_j(y)$. Show that the slope of $-\ln p(y)$ by $z_k$ is
//! $\pi_k - \gamma_k$, and write the shares such that they are right for a target at $y = 300$ as well.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The share of each component in the density at `y`.
    pub fn shares(outputs: &[f64; 6], y: f64) -> [f64; 2] {
        todo!("the ratio of two densities at {y}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $-\ln p = \ln\sum_j e^{z_j} - \ln\sum_j e^{z_j} N_j$; the slope of the first term by $z_k$ is $\pi_k$, that of
    //! the second $\gamma_k$. So the votes learn to predict who will explain the target. The shares are a softmax of
    //! $z_k + \ln N_k(y)$: subtract the larger exponent before taking $\exp$.
    //!
    //! The usual mistake is to compute both densities and divide. Forty deviations from both means they are 0 in 64
    //! bits, and the share is 0/0: the first target far away makes all weights NaN.

    // ANCHOR: solution
    /// The share of each component in the density at `y`.
    pub fn shares(outputs: &[f64; 6], y: f64) -> [f64; 2] {
        let exponents: [f64; 2] = std::array::from_fn(|k| {
            let [vote, mean, log_deviation] = [outputs[k], outputs[2 + k], outputs[4 + k]];
            vote - log_deviation - 0.5 * ((y - mean) / log_deviation.exp()).powi(2)
        });
        let largest = exponents[0].max(exponents[1]);
        let parts = exponents.map(|e| (e - largest).exp());
        parts.map(|part| part / (parts[0] + parts[1]))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::mixture::{Mixture, mixture_nll_mean};

    fn check(shares: fn(&[f64; 6], f64) -> [f64; 2]) {
        let outputs = [0.3, -0.5, -1.0, 1.5, 0.2, -0.4];
        let weights = Mixture::from_outputs(&outputs).unwrap().weights;
        let dev = Cpu::default();
        for y in [-2.0, 0.1, 0.9, 3.0, 300.0, -300.0] {
            let row = dev.tensor([outputs]);
            let loss = mixture_nll_mean(row.leaky_trace(), &dev.tensor([y]));
            let slopes = loss.backward().get(&row).array()[0];
            for (k, share) in shares(&outputs, y).into_iter().enumerate() {
                let want = weights[k] - slopes[k];
                assert!((share - want).abs() < 1e-12, "y = {y}: a share of {share}, the tape says {want}");
            }
        }
    }

    #[test]
    fn solution_is_the_slope_of_the_loss() {
        check(super::solution::shares);
    }

    #[test]
    #[should_panic = "two densities at -2"]
    fn task_is_open() {
        check(super::task::shares);
    }

    #[test]
    #[should_panic = "y = 300: a share of NaN"]
    fn densities_far_away_are_no_numbers() {
        check(|outputs, y| {
            let density = |k: usize| {
                let z = (y - outputs[2 + k]) / outputs[4 + k].exp();
                (outputs[k] - outputs[4 + k] - 0.5 * z * z).exp()
            };
            let parts = [density(0), density(1)];
            parts.map(|part| part / (parts[0] + parts[1]))
        });
    }
}
