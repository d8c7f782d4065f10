//! # What a robust loss hears
//!
//! Derive $\partial L_q / \partial z_k$ for $L_q = (1 - p_y^q)/q$ and softmax probabilities $p$, write it, and find the
//! $p_y$ at which a binary network hears most: where $p_y^q(1 - p_y)$ is largest.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The gradient by the votes.
    pub fn gradient(votes: &[f64], label: usize, q: f64) -> Vec<f64> {
        todo!("the chain rule, twice")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\partial L_q/\partial p_y = -p_y^{q-1}$ and $\partial p_y/\partial z_k = p_y([k = y] - p_k)$, so the product is
    //! $p_y^q (p_k - [k = y])$. The loudest $p_y$ is $q/(1 + q)$: 0 for cross-entropy, the label that the network finds
    //! most absurd, and one half for the absolute error.
    //!
    //! The usual mistake is to forget that the softmax of one class depends on the votes of all.

    // ANCHOR: solution
    /// The gradient by the votes.
    pub fn gradient(votes: &[f64], label: usize, q: f64) -> Vec<f64> {
        let largest = votes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exp: Vec<f64> = votes.iter().map(|z| (z - largest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        let volume = (exp[label] / sum).powf(q);
        let target = |k: usize| if k == label { 1.0 } else { 0.0 };
        exp.iter().enumerate().map(|(k, e)| volume * (e / sum - target(k))).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use kernels::{ClassLoss, Classes, class_loss_mean};

    fn check(gradient: fn(&[f64], usize, f64) -> Vec<f64>) {
        let votes = [1.0, -0.5, 3.0];
        let x = Cpu::default().tensor([votes]);
        for q in [0.1, 0.7, 1.0] {
            for label in 0..3 {
                let loss = ClassLoss::GeneralisedCrossEntropy { q };
                let loss = class_loss_mean(x.leaky_trace(), &[label], loss, Classes::default());
                let want = loss.backward().get(&x).array()[0];
                for (got, want) in gradient(&votes, label, q).iter().zip(want) {
                    assert!((got - want).abs() < 1e-12, "q = {q}, label {label}");
                }
            }
        }
    }

    #[test]
    fn solution_agrees_with_the_tape() {
        check(super::solution::gradient);
    }

    #[test]
    #[should_panic = "q = 0.1, label 0"]
    fn the_other_votes_have_a_slope_too() {
        check(|votes, label, q| {
            let gradient = super::solution::gradient(votes, label, q);
            gradient.into_iter().enumerate().map(|(k, g)| if k == label { g } else { 0.0 }).collect()
        });
    }

    #[test]
    #[should_panic = "chain rule"]
    fn task_is_open() {
        check(super::task::gradient);
    }
}
