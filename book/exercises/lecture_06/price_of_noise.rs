//! # The price of noise
//!
//! *By hand, then in code.* Noise $\epsilon$ of mean 0 and variance $\sigma^2$ on the input of a function turns the
//! squared error $(f(x) - y)^2$ into $E(f(x + \epsilon) - y)^2$. Expand to the second order in $\epsilon$: which
//! number multiplies $\sigma^2$? When is it the penalty $f'(x)^2$ that books say it is?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// What multiplies the variance of the noise; `residual` is f(x) - y.
    pub fn price(slope: f64, curvature: f64, residual: f64) -> f64 {
        todo!("the square of r + f' e + f'' e^2 / 2")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The square of $r + f'\epsilon + \frac12 f''\epsilon^2$ has the mean $r^2 + \sigma^2(f'^2 + r f'')$ up to
    //! higher orders. The second term has no sign. It vanishes for a linear $f$, and on average over the data where
    //! $f(x)$ is the mean of $y$ given $x$, which is where training ends (Bishop 1995): there noise is a penalty on
    //! the slope.
    //!
    //! The usual mistake is to expand $f$ to the first order only. Its square is needed to the second, and the
    //! second-order term of $f$ meets the residual there.

    // ANCHOR: solution
    /// What multiplies the variance of the noise; `residual` is f(x) - y.
    pub fn price(slope: f64, curvature: f64, residual: f64) -> f64 {
        slope * slope + residual * curvature
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    /// The mean over Gaussian noise, by the rule with three points that is exact to the fifth order.
    fn mean(error: impl Fn(f64) -> f64, sigma: f64) -> f64 {
        let far = 3.0_f64.sqrt() * sigma;
        (error(-far) + 4.0 * error(0.0) + error(far)) / 6.0
    }

    fn check(price: fn(f64, f64, f64) -> f64) {
        for (x, y) in [(0.4_f64, 1.0), (1.2, 0.9), (2.5, -0.3)] {
            let (f, slope, curvature) = (x.sin(), x.cos(), -x.sin());
            let error = |e: f64| ((x + e).sin() - y).powi(2);
            let measured = (mean(error, 1e-3) - error(0.0)) / 1e-6;
            let got = price(slope, curvature, f - y);
            assert!((got - measured).abs() < 1e-4, "x = {x}: {got}, measured {measured}");
        }
        // A straight line: the penalty alone, exactly, for noise of any size.
        let line = |e: f64| (2.0 * (0.7 + e) - 1.0).powi(2);
        assert!((mean(line, 3.0) - line(0.0) - 9.0 * price(2.0, 0.0, 0.4)).abs() < 1e-12);
    }

    #[test]
    fn solution_is_what_noise_costs() {
        check(super::solution::price);
    }

    #[test]
    #[should_panic = "the square of r"]
    fn task_is_open() {
        check(super::task::price);
    }

    #[test]
    #[should_panic = "x = 0.4"]
    fn the_slope_is_not_all() {
        check(|slope, _, _| slope * slope);
    }
}
