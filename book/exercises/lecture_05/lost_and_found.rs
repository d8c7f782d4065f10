//! # Lost and found
//!
//! *In code.* Kahan's sum keeps what the last addition has rounded away and adds it to the next term: with
//! $y = x - c$ and $t = s + y$ the new $c$ is $(t - s) - y$, and the new sum is $t$. Run it by hand on
//! $1, 10^{100}, 1, -10^{100}$. The right answer is 2; what does it give, and in which addition does the first 1
//! vanish? Then write a sum that finds both.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The sum, to nearly the last digit, as if intermediate results had twice the digits.
    pub fn sum(terms: &[f64]) -> f64 {
        todo!("{} terms; which of the two summands loses digits?", terms.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! It gives 0. When $10^{100}$ is added to 1 it is the *sum* that is rounded away, not the term; Kahan's
    //! $(t - s) - y$ assumes the opposite and computes 0. Neumaier asks which summand is smaller and recovers that
    //! one. He also keeps the lost parts in an accumulator of their own until the end: added to the next term, a
    //! small loss would be lost again beside a large term.
    //!
    //! The usual mistake is to trust a compensated sum without the question which of the two is larger.

    // ANCHOR: solution
    /// The sum, to nearly the last digit, as if intermediate results had twice the digits.
    pub fn sum(terms: &[f64]) -> f64 {
        let (mut sum, mut lost) = (0.0_f64, 0.0);
        for &term in terms {
            let next = sum + term;
            lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
            sum = next;
        }
        sum + lost
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::summation::CompensatedSum;
    use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

    fn check(sum: fn(&[f64]) -> f64) {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0, "a sum smaller than the next term");
        // Pairs that cancel, and a third of them all in between.
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..20 {
            let mut terms = vec![1.0 / 3.0];
            for _ in 0..200 {
                let x = 10_f64.powf(rng.gen_range(-10.0..20.0));
                terms.extend([x, -x]);
            }
            terms.shuffle(&mut rng);
            let plain: f64 = terms.iter().sum();
            assert!((sum(&terms) - 1.0 / 3.0).abs() < 1e-7, "{}, plainly {plain}", sum(&terms));
            let of_the_crate = CompensatedSum::from_iter(terms.iter().copied()).total();
            assert!((of_the_crate - 1.0 / 3.0).abs() < 1e-7, "{of_the_crate}, plainly {plain}");
        }
    }

    #[test]
    fn solution_finds_both() {
        check(super::solution::sum);
    }

    #[test]
    #[should_panic = "4 terms"]
    fn task_is_open() {
        check(super::task::sum);
    }

    #[test]
    #[should_panic = "a sum smaller than the next term"]
    fn the_sum_of_kahan_loses_it() {
        check(|terms| {
            let (mut sum, mut lost) = (0.0, 0.0);
            for &term in terms {
                let y = term - lost;
                let next = sum + y;
                lost = (next - sum) - y;
                sum = next;
            }
            sum
        });
    }
}
