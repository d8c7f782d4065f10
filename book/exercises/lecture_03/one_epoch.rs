//! # The noise of one epoch adds up to nothing
//!
//! *By hand, then in code.* Shuffle $n$ examples and cut them into batches of $B$, where $B$ divides $n$. Let the
//! gradients of single examples have the variance 1 (over the $n$, divided by $n$).
//!
//! 1. What is the variance of the mean gradient of one batch? Check your formula at $B = n$.
//! 2. The batches of an epoch are not independent. What is the correlation of two of them? Hint: what is the sum over
//!    all batches?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// (variance of a batch's mean, correlation of two batches of one epoch).
    pub fn batches(examples: usize, batch: usize) -> (f64, f64) {
        todo!("{} batches of {batch}", examples / batch)
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Two different examples have the covariance $-\frac1{n-1}$, since all $n$ deviations sum to 0. So a batch has
    //! the variance $\frac1B\bigl(1 - \frac{B-1}{n-1}\bigr) = \frac{n-B}{B(n-1)}$, and 0 for $B = n$. By the same
    //! argument the $k = n/B$ deviations of the batches sum to 0, and all pairs are alike: the correlation is
    //! $-\frac1{k-1}$. After an epoch the noise has cancelled as far as the weights stood still, which draws with
    //! replacement never achieve. That is why shuffled descent ends closer to the minimum.
    //!
    //! The usual mistake is $\frac1B$ and 0, as with replacement. For $n$ much larger than $B$ the first is nearly
    //! right.

    // ANCHOR: solution
    /// (variance of a batch's mean, correlation of two batches of one epoch).
    pub fn batches(examples: usize, batch: usize) -> (f64, f64) {
        let (n, b) = (examples as f64, batch as f64);
        ((n - b) / (b * (n - 1.0)), -b / (n - b))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::sgd::gradient_noise::minibatch_share;

    /// Six numbers of mean 0 and variance 1.
    fn numbers() -> Vec<f64> {
        let raw = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        let mean = raw.iter().sum::<f64>() / 6.0;
        let variance = raw.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0;
        raw.iter().map(|x| (x - mean) / variance.sqrt()).collect()
    }

    /// Over all pairs of disjoint batches.
    fn enumerated(batch: u32) -> (f64, f64) {
        let numbers = numbers();
        let of = |set: u32| {
            let members = numbers.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
            members.map(|(_, x)| x).sum::<f64>() / f64::from(batch)
        };
        let sets: Vec<u32> = (0..64_u32).filter(|set| set.count_ones() == batch).collect();
        let variance = sets.iter().map(|&set| of(set).powi(2)).sum::<f64>() / sets.len() as f64;
        let pairs: Vec<f64> = sets
            .iter()
            .flat_map(|&a| sets.iter().filter(move |&&b| a & b == 0).map(move |&b| (a, b)))
            .map(|(a, b)| of(a) * of(b))
            .collect();
        (variance, pairs.iter().sum::<f64>() / pairs.len() as f64 / variance)
    }

    fn check(batches: fn(usize, usize) -> (f64, f64)) {
        for batch in [1, 2, 3] {
            let (got, want) = (batches(6, batch), enumerated(batch as u32));
            assert!((got.0 - want.0).abs() < 1e-12, "variance of {batch}: {} for {}", got.0, want.0);
            assert!((got.1 - want.1).abs() < 1e-12, "correlation for {batch}: {} for {}", got.1, want.1);
            assert!((got.0 - minibatch_share(batch, 6, false).unwrap()).abs() < 1e-15);
        }
    }

    #[test]
    fn solution_is_the_mean_over_all_batches() {
        check(super::solution::batches);
    }

    #[test]
    #[should_panic = "batches of 1"]
    fn task_is_open() {
        check(super::task::batches);
    }

    #[test]
    #[should_panic = "variance of 2"]
    fn drawing_with_replacement_is_noisier() {
        check(|n, batch| (1.0 / batch as f64, -(batch as f64) / (n - batch) as f64));
    }

    #[test]
    #[should_panic = "correlation for 1"]
    fn batches_of_one_epoch_are_not_independent() {
        check(|n, batch| (super::solution::batches(n, batch).0, 0.0));
    }
}
