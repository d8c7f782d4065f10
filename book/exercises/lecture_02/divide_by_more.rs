//! # Divide by more
//!
//! *By hand, then in code.* The sum of squares $S = \sum_i (x_i - \bar x)^2$ of $n$ draws from a Gaussian of variance
//! $\sigma^2$ has the mean $(n - 1)\sigma^2$ and the variance $2(n - 1)\sigma^4$. Maximum likelihood estimates the
//! variance by $S/n$, the unbiased estimate is $S/(n-1)$. Which divisor $c$ makes the mean squared error of $S/c$
//! smallest? No unbiased estimate of $\sigma^2$ has a variance below $2\sigma^4/n$, the bound of Cramér and Rao. Is
//! yours below it, and how can that be?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The divisor with the smallest mean squared error for a sample of this size.
    pub fn divisor(n: usize) -> f64 {
        todo!("bias squared plus variance, as a function of the divisor for n = {n}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! In units of $\sigma^4$ the error is $(\frac{n-1}{c} - 1)^2 + \frac{2(n-1)}{c^2}$. As a function of $1/c$ it is
    //! a parabola with its lowest point at $c = n + 1$, and there its value is $\frac{2}{n+1}$. That is below the
    //! bound $\frac2n$, which holds for estimates without bias only; the unbiased one has $\frac{2}{n-1}$, above it.
    //!
    //! The usual mistake is to take "unbiased" for "best". A little bias towards 0 costs less than the variance that
    //! it saves: it is what ridge regression does to weights.

    // ANCHOR: solution
    /// The divisor with the smallest mean squared error for a sample of this size.
    pub fn divisor(n: usize) -> f64 {
        n as f64 + 1.0
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::learning::estimators::Gaussian;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// Mean squared error of S/c, by drawing, for variance 1.
    fn drawn(n: usize, divisor: f64) -> f64 {
        let mut rng = StdRng::seed_from_u64(n as u64);
        let samples = 40_000;
        let mut sum = 0.0;
        for _ in 0..samples {
            let x: Vec<f64> = (0..n)
                .map(|_| {
                    let (u, v): (f64, f64) = (1.0 - rng.r#gen::<f64>(), rng.r#gen());
                    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
                })
                .collect();
            let unbiased = Gaussian::new(&x).unwrap().unbiased_variance().unwrap();
            sum += (unbiased * (n - 1) as f64 / divisor - 1.0).powi(2);
        }
        sum / f64::from(samples)
    }

    fn check(divisor: fn(usize) -> f64) {
        for n in [3, 5, 20] {
            let (m, best) = (n as f64, divisor(n));
            let error = |c: f64| ((m - 1.0) / c - 1.0).powi(2) + 2.0 * (m - 1.0) / (c * c);
            assert!(error(best) < 2.0 / m, "n = {n}: an error of {}, the bound is {}", error(best), 2.0 / m);
            for other in [best - 0.1, best + 0.1] {
                assert!(error(best) < error(other), "n = {n}: {other} is better than {best}");
            }
        }
        let found = drawn(5, divisor(5));
        assert!((found - 2.0 / 6.0).abs() < 0.02, "drawn: {found}"); // spread over seeds 0.003
    }

    #[test]
    fn solution_has_the_smallest_error() {
        check(super::solution::divisor);
    }

    #[test]
    #[should_panic = "bias squared plus variance"]
    fn task_is_open() {
        check(super::task::divisor);
    }

    #[test]
    #[should_panic = "the bound is"]
    fn without_bias_it_is_worse() {
        check(|n| n as f64 - 1.0);
    }
}
