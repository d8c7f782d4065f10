//! # Softmax is an exponential family
//!
//! A distribution over $K$ classes with the *natural parameters* $z$ is $p_k = e^{z_k - A(z)}$; the *log-partition*
//! $A(z) = \ln\sum_j e^{z_j}$ makes it sum to 1. Show that softmax with the loss $-\ln p_y$ is nothing else: the loss is
//! $A(z) - z_y$, its gradient is what the network expects less what was observed, and its Hessian is the covariance of the
//! indicators $[k = y]$ under $p$. Why does the last make the loss convex? Then write $A$ with both derivatives, so that
//! votes of a thousand do not overflow.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The log-partition, its gradient and its Hessian, row by row.
    pub fn log_partition(votes: &[f64]) -> (f64, Vec<f64>, Vec<Vec<f64>>) {
        todo!("derive ln Σ exp twice")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\partial A/\partial z_k = e^{z_k}/\sum_j e^{z_j} = p_k$, the mean of the indicator of class $k$. Once more:
    //! $\partial p_k/\partial z_l = p_k([k = l] - p_l)$, the covariance of the indicators of $k$ and $l$. A covariance has
    //! $v^\top H v = \operatorname{Var}(v_y) \ge 0$, so $A$ is convex, and $A(z) - z_y$ with it. In every exponential family
    //! the derivatives of the log-partition are mean and covariance of what is observed: with one vote and
    //! $A = \ln(1 + e^z)$ the loss is the binary cross-entropy, with $A = z^2/2$ half the squared error less $y^2/2$. That
    //! is why each of these losses has the derivative *output minus target*.
    //!
    //! The usual mistake is to exponentiate votes as they are. Take the largest out first: it leaves the sum and comes
    //! back as a term of $A$.

    // ANCHOR: solution
    /// The log-partition, its gradient and its Hessian, row by row.
    pub fn log_partition(votes: &[f64]) -> (f64, Vec<f64>, Vec<Vec<f64>>) {
        let largest = votes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = votes.iter().map(|z| (z - largest).exp()).sum();
        let value = largest + sum.ln();
        let mean: Vec<f64> = votes.iter().map(|z| (z - largest).exp() / sum).collect();
        let same = |k: usize, l: usize| if k == l { 1.0 } else { 0.0 };
        let row = |k: usize| (0..votes.len()).map(|l| mean[k] * (same(k, l) - mean[l])).collect();
        let covariance = (0..votes.len()).map(row).collect();
        (value, mean, covariance)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::losses;

    fn check(log_partition: fn(&[f64]) -> (f64, Vec<f64>, Vec<Vec<f64>>)) {
        let votes = [0.3, -1.2, 2.0, 0.0];
        let (value, mean, covariance) = log_partition(&votes);
        // The loss of the crate and its gradient, for each label.
        let x = Cpu::default().tensor([votes]);
        for (label, vote) in votes.into_iter().enumerate() {
            let loss = losses::cross_entropy_mean(x.leaky_trace(), &[label]);
            assert!((loss.array() - (value - vote)).abs() < 1e-14, "label {label}");
            let gradient = loss.backward().get(&x).array()[0];
            for (k, want) in gradient.into_iter().enumerate() {
                let observed = if k == label { 1.0 } else { 0.0 };
                assert!((mean[k] - observed - want).abs() < 1e-14, "label {label}, vote {k}");
            }
        }
        // The Hessian as the change of the gradient.
        for l in 0..4 {
            let moved = |by: f64| {
                let mut votes = votes;
                votes[l] += by;
                log_partition(&votes).1
            };
            let (above, below) = (moved(1e-5), moved(-1e-5));
            for (k, row) in covariance.iter().enumerate() {
                assert!(((above[k] - below[k]) / 2e-5 - row[l]).abs() < 1e-9, "row {k}, column {l}");
            }
        }
        // Large votes.
        let (value, mean, covariance) = log_partition(&[1000.0, 1000.0, -1000.0]);
        assert!(
            (value - 1000.0 - 2.0_f64.ln()).abs() < 1e-12 && mean == [0.5, 0.5, 0.0],
            "{value}, {mean:?}"
        );
        assert_eq!(covariance[0], [0.25, -0.25, 0.0]);
    }

    #[test]
    fn solution_has_mean_and_covariance() {
        check(super::solution::log_partition);
    }

    #[test]
    #[should_panic = "inf, [0.5"]
    fn exponentials_of_large_votes_overflow() {
        check(|votes| {
            let (_, mean, covariance) = super::solution::log_partition(votes);
            let sum: f64 = votes.iter().map(|z| z.exp()).sum();
            (sum.ln(), mean, covariance)
        });
    }

    #[test]
    #[should_panic = "derive ln"]
    fn task_is_open() {
        check(super::task::log_partition);
    }
}
