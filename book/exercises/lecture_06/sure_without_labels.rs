//! # Sure without labels
//!
//! *By hand, then in code.* Without a label one can still ask a network to be sure: minimise the entropy
//! $H = -\sum_k p_k\ln p_k$ of its answer. Derive $\partial H/\partial z_k$ for softmax probabilities, write it, and
//! find two answers at which it is 0. What does that say about starting with this term alone?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The slopes of the entropy by the votes.
    pub fn slopes(votes: &[f64]) -> Vec<f64> {
        todo!("the chain rule through the softmax of {} votes", votes.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\partial H/\partial p_j = -\ln p_j - 1$ and $\partial p_j/\partial z_k = p_j([j = k] - p_k)$, together
    //! $-p_k(\ln p_k + H)$. It is 0 where all are equal, the maximum, and where one $p_k$ is 1, the minimum, to which votes
    //! come in the limit only: a network that knows nothing gets no push, and one that is a little wrong is pushed to be
    //! sure of it. So the term is added slowly, when labelled examples have taught something.
    //!
    //! The usual mistake is $-p_k(\ln p_k + 1)$, the slope by the probability times the probability. The slopes must
    //! sum to 0, since adding a constant to all votes changes nothing: a check that takes one line.

    // ANCHOR: solution
    /// The slopes of the entropy by the votes.
    pub fn slopes(votes: &[f64]) -> Vec<f64> {
        let largest = votes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = votes.iter().map(|z| (z - largest).exp()).sum();
        let logs: Vec<f64> = votes.iter().map(|z| z - largest - sum.ln()).collect();
        let entropy: f64 = logs.iter().map(|log| -log.exp() * log).sum();
        logs.iter().map(|log| -log.exp() * (log + entropy)).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::regularize::semi_supervised::entropy;

    fn check(slopes: fn(&[f64]) -> Vec<f64>) {
        let dev = Cpu::default();
        for votes in [[1.0, -0.5, 0.3], [4.0, 4.0, 4.0], [0.0, 1e3, -1e3]] {
            let z = dev.tensor_from_vec(votes.to_vec(), (1, 3));
            let want = entropy(z.leaky_trace()).unwrap().backward().get(&z).as_vec();
            let got = slopes(&votes);
            let is_near = got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(is_near, "{votes:?}: slopes {got:?}, the tape says {want:?}");
        }
    }

    #[test]
    fn solution_agrees_with_the_tape() {
        check(super::solution::slopes);
    }

    #[test]
    #[should_panic = "softmax of 3 votes"]
    fn task_is_open() {
        check(super::task::slopes);
    }

    #[test]
    #[should_panic = "the tape says"]
    fn probabilities_hang_together() {
        check(|votes| {
            let sum: f64 = votes.iter().map(|z| z.exp()).sum();
            votes.iter().map(|z| z.exp() / sum).map(|p| -p * (p.ln() + 1.0)).collect()
        });
    }
}
