//! # How many networks make a band?
//!
//! *By hand, then in code.* Choromanska et al. train many networks of each width and compare how widely their test
//! losses spread. The standard deviation $s$ of $n$ Gaussian numbers is itself known only to
//! $\sigma/\sqrt{2(n - 1)}$. How many networks of *each* of two widths do you need to tell their bands apart, if one
//! is $q > 1$ times as wide as the other and the difference is to be two standard errors? Work with $\ln s$.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Networks of each width, as a real number.
    pub fn networks(ratio: f64) -> f64 {
        todo!("the standard error of the difference of two logarithms")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\ln s$ has the standard error $1/\sqrt{2(n-1)}$, the difference of two of them $1/\sqrt{n - 1}$. So
    //! $\ln q = 2/\sqrt{n - 1}$ and $n = 1 + (2/\ln q)^2$: 10 networks for a band twice as wide, 82 for one wider by
    //! a quarter. Twenty-four, which is what one can afford, resolve a factor of one and a half.
    //!
    //! The usual mistake is to count the uncertainty of one band only, as if the other were known. The worst is to
    //! compare the distances from smallest to largest, which grow with the number of networks.

    // ANCHOR: solution
    /// Networks of each width, as a real number.
    pub fn networks(ratio: f64) -> f64 {
        1.0 + (2.0 / ratio.ln()).powi(2)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use kernels::random::Key;

    /// The spread of ln(s₁/s₂) over 4000 pairs of bands of so many numbers.
    fn spread(count: usize) -> f64 {
        let log_deviation = |key: Key| {
            let mut x = vec![0.0_f64; count];
            key.fill_normal(&mut x);
            let mean = x.iter().sum::<f64>() / count as f64;
            0.5 * (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count as f64 - 1.0)).ln()
        };
        let key = Key::new(count as u64);
        let one = |i: u64| log_deviation(key.fold(2 * i)) - log_deviation(key.fold(2 * i + 1));
        ((0..4000).map(|i| one(i).powi(2)).sum::<f64>() / 4000.0).sqrt()
    }

    fn check(networks: fn(f64) -> f64) {
        for ratio in [1.25_f64, 1.5] {
            let count = networks(ratio).round() as usize;
            // A standard error of 0.011 of the number, and 2 % for the bands are small.
            let errors = ratio.ln() / spread(count);
            assert!((errors - 2.0).abs() < 0.12, "{count} networks: {errors} standard errors");
        }
    }

    #[test]
    fn solution_is_just_enough() {
        check(super::solution::networks);
    }

    #[test]
    #[should_panic = "two logarithms"]
    fn task_is_open() {
        check(super::task::networks);
    }

    #[test]
    #[should_panic = "41 networks: "]
    fn both_bands_are_uncertain() {
        check(|ratio| 1.0 + 0.5 * (2.0 / ratio.ln()).powi(2));
    }
}
