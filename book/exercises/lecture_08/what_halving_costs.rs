//! # What halving costs
//!
//! *By hand, then in code.* Successive halving trains $n$ settings for $r$ steps each, keeps the best $1/\eta$ of them
//! (rounded down, at least one), trains those for $\eta r$ steps from the start, and so on until one is left and has been
//! trained. How many steps is that in all? For $n = 64$ and $\eta = 2$, compare with training all 64 as long as the
//! winner.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps of all trainings together.
    pub fn cost(settings: usize, steps: usize, eta: usize) -> usize {
        todo!("round by round, from {settings} settings on")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! As long as the division leaves no rest every round costs the same, $\frac{n}{\eta^i}\cdot\eta^i r = nr$, and there are
    //! $1 + \log_\eta n$ rounds. For 64 settings that is 7 times $64r$, where all of them to the end would cost 64 times
    //! $64r$. The price: a setting that starts slowly and ends well, a small rate above all, is gone after the first round.
    //!
    //! The usual mistake is to add up settings and forget that the survivors train longer: the first round then seems to
    //! cost half of everything.

    // ANCHOR: solution
    /// Steps of all trainings together.
    pub fn cost(settings: usize, steps: usize, eta: usize) -> usize {
        let mut sum = settings * steps;
        let (mut left, mut budget) = (settings, steps);
        while left > 1 {
            left = (left / eta).max(1);
            budget *= eta;
            sum += left * budget;
        }
        sum
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::search::successive_halving;

    /// The steps that the crate asks for.
    fn counted(settings: usize, steps: usize, eta: usize) -> usize {
        let points = (0..settings).map(|i| vec![i as f64]).collect();
        let mut sum = 0;
        let train = |point: &[f64], budget: usize| {
            sum += budget;
            point[0]
        };
        successive_halving(points, steps, eta, train).unwrap();
        sum
    }

    fn check(cost: fn(usize, usize, usize) -> usize) {
        for (settings, steps, eta) in [(64, 10, 2), (81, 5, 3), (50, 7, 4), (1, 9, 2), (5, 1, 2)] {
            let (got, want) = (cost(settings, steps, eta), counted(settings, steps, eta));
            assert_eq!(got, want, "{settings} settings, {steps} steps, {eta}");
        }
        assert_eq!(cost(64, 10, 2), 7 * 64 * 10);
    }

    #[test]
    fn solution_counts_as_the_crate_does() {
        check(super::solution::cost);
    }

    #[test]
    #[should_panic = "from 64 settings on"]
    fn task_is_open() {
        check(super::task::cost);
    }

    #[test]
    #[should_panic = "64 settings, 10 steps, 2"]
    fn survivors_train_longer() {
        check(|settings, steps, eta| {
            let rounds = std::iter::successors(Some(settings), |n| (*n > 1).then(|| (n / eta).max(1)));
            rounds.map(|n| n * steps).sum()
        });
    }
}
