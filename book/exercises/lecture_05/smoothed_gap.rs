//! # How certain may smoothing leave a network?
//!
//! *Open in its second part.* Label smoothing asks for $1 - \varepsilon + \varepsilon/C$ in the true class and
//! $\varepsilon/C$ in each other one. Cross-entropy with one-hot labels has no minimum: a larger vote is always better.
//! Smoothed, it has one. By how much does the vote of the true class exceed each other vote there? Then take the
//! $\varepsilon$ that the experiment `calibration` finds best, compute the certainty that it asks for, and compare it
//! with the share of test digits that the network reads. Give it 3000 digits to train with (`--train-images`): which
//! way does the best $\varepsilon$ move, and why?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Vote of the true class less each other vote where the smoothed loss is least.
    pub fn gap(classes: usize, smoothing: f64) -> f64 {
        todo!("softmax equals the smoothed target there")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The gradient of cross-entropy by the votes is $p - q$, so at the minimum $p = q$, and the ratio of two
    //! probabilities is the exponential of the difference of their votes:
    //! $e^{\text{gap}} = (1 - \varepsilon + \varepsilon/C)/(\varepsilon/C)$, which is
    //! $C(1-\varepsilon)/\varepsilon + 1$.
    //!
    //! The best $\varepsilon$ asks for more certainty than new digits justify. It asks for it on training digits; of new
    //! ones the network is less certain by itself, and *that* certainty meets the share that is read. More training
    //! digits bring the two closer even without smoothing: the best $\varepsilon$ moves towards 0. Smoothing cannot know
    //! which digits are hard; it asks for the same certainty on all, and a temperature does not.
    //!
    //! The usual mistake is to give the other classes $\varepsilon/(C - 1)$: the uniform share of smoothing includes the
    //! true class.

    // ANCHOR: solution
    /// Vote of the true class less each other vote where the smoothed loss is least.
    pub fn gap(classes: usize, smoothing: f64) -> f64 {
        (classes as f64 * (1.0 - smoothing) / smoothing + 1.0).ln()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::{AsArray, Backward, Const, Cpu, Tensor, TensorFromVec, Trace};
    use kernels::{ClassLoss, Classes, class_loss_mean};

    /// The loss that the crate computes has no slope at these votes.
    fn check(gap: fn(usize, f64) -> f64) {
        for smoothing in [0.02, 0.1, 0.5] {
            let mut votes = vec![0.3; 10];
            votes[4] += gap(10, smoothing);
            let votes: Tensor<(usize, Const<10>), f64, Cpu> =
                Cpu::default().tensor_from_vec(votes, (1, Const));
            let loss = ClassLoss::CrossEntropy { label_smoothing: smoothing };
            let loss = class_loss_mean(votes.leaky_trace(), &[4], loss, Classes::default());
            // Where p = q, cross-entropy is the entropy of q.
            let (high, low) = (1.0 - smoothing + smoothing / 10.0, smoothing / 10.0);
            let entropy = -high * high.ln() - 9.0 * low * low.ln();
            assert!((loss.array() - entropy).abs() < 1e-12, "{smoothing}: {}", loss.array());
            let slope = loss.backward().get(&votes).as_vec();
            assert!(slope.iter().all(|g| g.abs() < 1e-12), "{smoothing}: {slope:?}");
        }
        assert!(gap(10, 1.0).abs() < 1e-12, "all classes alike");
    }

    #[test]
    fn solution_has_no_slope_left() {
        check(super::solution::gap);
    }

    #[test]
    #[should_panic = "0.02: "]
    fn the_uniform_share_includes_the_true_class() {
        check(|classes, smoothing| ((classes as f64 - 1.0) * (1.0 - smoothing) / smoothing).ln());
    }

    #[test]
    #[should_panic = "smoothed target"]
    fn task_is_open() {
        check(super::task::gap);
    }
}
