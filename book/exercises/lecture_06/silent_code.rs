//! # A code of few words
//!
//! *By hand, then in code.* The columns of $W$ are orthonormal. A code $h$ of the input $x$ is to describe it,
//! $Wh \approx x$, with few of its entries: minimise
//!
//! $$ \tfrac12\lVert x - Wh\rVert^2 + \alpha\lVert h\rVert_1 . $$
//!
//! Find $h$ as a function of $W^\top x$. Which entries are exactly 0? Compare with the penalty
//! $\frac\alpha2\lVert h\rVert^2$.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The best code; `votes` is Wᵀx.
    pub fn code(votes: &[f64], alpha: f64) -> Vec<f64> {
        todo!("one entry at a time: {} of them", votes.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\lVert x - Wh\rVert^2 = \lVert x\rVert^2 - 2h\cdot W^\top x + \lVert h\rVert^2$, so each entry has a problem
    //! of its own, $\frac12(h_i - v_i)^2 + \alpha\lvert h_i\rvert$ up to a constant. Its minimum is $v_i$ moved
    //! towards 0 by $\alpha$, and 0 within $\alpha$ of it: a unit with a bias of $-\alpha$ and a rectifier on each
    //! side. That is why a penalty on *activations* makes units silent while every weight stays.
    //!
    //! The usual mistake is to shrink: $v_i/(1 + \alpha)$ is the code for the squared penalty. It is small everywhere
    //! and 0 nowhere.

    // ANCHOR: solution
    /// The best code; `votes` is Wᵀx.
    pub fn code(votes: &[f64], alpha: f64) -> Vec<f64> {
        votes.iter().map(|v| (v - alpha).max(0.0) - (-v - alpha).max(0.0)).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::regularize::activity::activity;

    /// x is the votes themselves in the basis of W: the distance of the code from them, and the crate's penalty.
    fn objective(votes: &[f64], code: &[f64], alpha: f64) -> f64 {
        let distance: f64 = votes.iter().zip(code).map(|(v, h)| (v - h).powi(2)).sum();
        let h = Cpu::default().tensor_from_vec(code.to_vec(), (1, code.len()));
        0.5 * distance + activity(h, alpha).unwrap().array()
    }

    fn check(code: fn(&[f64], f64) -> Vec<f64>) {
        let votes = [2.0, -0.3, 0.1, -1.2, 0.0, 0.5];
        for alpha in [0.0, 0.4, 1.0] {
            let best = code(&votes, alpha);
            let value = objective(&votes, &best, alpha);
            for i in 0..votes.len() {
                for change in [-0.01, 0.01] {
                    let mut other = best.clone();
                    other[i] += change;
                    let moved = objective(&votes, &other, alpha);
                    assert!(moved > value, "alpha = {alpha}: entry {i} moved by {change} is better");
                }
            }
        }
        let silent = code(&votes, 0.4).iter().filter(|h| **h == 0.0).count();
        assert_eq!(silent, 3, "entries that say nothing");
    }

    #[test]
    fn solution_is_the_best_code() {
        check(super::solution::code);
    }

    #[test]
    #[should_panic = "6 of them"]
    fn task_is_open() {
        check(super::task::code);
    }

    #[test]
    #[should_panic = "alpha = 0.4"]
    fn shrinking_silences_nobody() {
        check(|votes, alpha| votes.iter().map(|v| v / (1.0 + alpha)).collect());
    }
}
