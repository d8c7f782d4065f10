//! # Where to put the checkpoint
//!
//! *In code.* A chain of $n$ steps is to be reversed, and only a few states can be kept beside its start. To reverse
//! one step one needs the state before it. Without a checkpoint every step begins at the start again:
//! $0 + 1 + \dots + (n - 1)$ steps forward. With one, go $k$ steps forward and keep the state there, reverse the
//! $n - k$ steps behind it, forget it, and reverse the first $k$ steps. How many steps forward does the best plan
//! take with $c$ checkpoints? Where does the first one go: into the middle?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Fewest steps forward to reverse a chain of `n` steps; its start is kept beside the
    /// checkpoints.
    pub fn fewest(n: usize, checkpoints: usize) -> usize {
        todo!("how many checkpoints may each of the two parts use?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $t_c(n) = \min_k\, k + t_{c-1}(n - k) + t_c(k)$: the part behind the checkpoint has one less, the part before
    //! it has all again, since the checkpoint is free by then. With $c$ checkpoints and no step made more than $r$
    //! times a chain can be $\binom{c + 1 + r}{r}$ long (Griewank & Walther 2000). At that length the two parts are as
    //! $r$ to $c + 1$: the part before the checkpoint is the *longer* one where checkpoints are few, and the shorter
    //! one where they are many. If $c$ and $r$ grow alike, memory and time grow as the logarithm of the length.
    //!
    //! The usual mistake is to halve. That is the best plan for searching in a list, where both halves have the same
    //! tools.

    // ANCHOR: solution
    /// Fewest steps forward to reverse a chain of `n` steps; its start is kept beside the
    /// checkpoints.
    pub fn fewest(n: usize, checkpoints: usize) -> usize {
        let mut table: Vec<usize> = (0..=n).map(|n| n * n.saturating_sub(1) / 2).collect();
        for _ in 0..checkpoints {
            let mut next = vec![0; n + 1];
            for length in 2..=n {
                let plans = (1..length).map(|k| k + table[length - k] + next[k]);
                next[length] = plans.min().unwrap_or(0);
            }
            table = next;
        }
        table[n]
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::autodiff::checkpoint::optimal_steps;

    fn check(fewest: fn(usize, usize) -> usize) {
        assert_eq!(fewest(5, 0), 10);
        for n in [2, 3, 7, 20, 64] {
            for checkpoints in 0..4 {
                // The crate counts the step that reaches the end as well.
                let want = optimal_steps(n, checkpoints) - 1;
                let got = fewest(n, checkpoints);
                assert_eq!(got, want, "{n} steps, {checkpoints} checkpoints");
            }
        }
    }

    #[test]
    fn solution_is_the_best_plan() {
        check(super::solution::fewest);
    }

    #[test]
    #[should_panic = "each of the two parts"]
    fn task_is_open() {
        check(super::task::fewest);
    }

    fn halves(n: usize, checkpoints: usize) -> usize {
        match (n, checkpoints) {
            (0 | 1, _) => 0,
            (n, 0) => n * (n - 1) / 2,
            (n, c) => n / 2 + halves(n - n / 2, c - 1) + halves(n / 2, c),
        }
    }

    #[test]
    #[should_panic = "7 steps, 3 checkpoints"]
    fn the_middle_is_not_the_place() {
        check(halves);
    }
}
