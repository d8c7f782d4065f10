//! # Blurred away
//!
//! *By hand, then in code.* Rastrigin's function is $x^2 - A\cos 2\pi x + A$ in each coordinate. Its mean over
//! Gaussian noise of deviation $\sigma$ on $x$ has lower waves:
//! $E\cos 2\pi(x + \sigma\xi) = e^{-2\pi^2\sigma^2}\cos 2\pi x$. From which $\sigma$ on is the blurred function
//! convex, so that descent from anywhere finds its minimum?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The smallest deviation of the blur that leaves no dip, for waves of this height A.
    pub fn deviation(height: f64) -> f64 {
        todo!("the second derivative at the top of a wave")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The second derivative is $2 + 4\pi^2Ae^{-2\pi^2\sigma^2}\cos 2\pi x$, smallest where the cosine is $-1$. It is
    //! never negative if $2\pi^2Ae^{-2\pi^2\sigma^2} \le 1$: $\sigma = \sqrt{\ln(2\pi^2A)/(2\pi^2)}$, about half a
    //! wavelength for $A = 10$, and less than three quarters of one for waves a hundred times as high. A sequence of
    //! blurs may start there; a wider first blur only costs steps.
    //!
    //! The usual mistake is to blur over whole wavelengths "to be safe". Where the minimum of the *whole* is not that
    //! of its broadest shape, a wide blur leads away from it.

    // ANCHOR: solution
    use std::f64::consts::PI;

    /// The smallest deviation of the blur that leaves no dip, for waves of this height A.
    pub fn deviation(height: f64) -> f64 {
        let twice = 2.0 * PI * PI;
        ((twice * height).ln() / twice).sqrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::continuation::Blur;
    use optim::problems::Rastrigin;

    /// Whether the slope of the blurred function rises over two wavelengths.
    fn is_convex(sigma: f64) -> bool {
        let slope = |i: i32| Rastrigin { dimension: 1 }.blurred(sigma, &[f64::from(i) / 1000.0]).1[0];
        (-1000..1000).all(|i| slope(i + 1) > slope(i))
    }

    fn check(deviation: fn(f64) -> f64) {
        let sigma = deviation(10.0);
        assert!(is_convex(1.01 * sigma), "dips are left at {sigma}");
        assert!(!is_convex(0.99 * sigma), "less than {sigma} is enough");
        assert!(deviation(1000.0) < 2.0 * sigma, "higher waves need hardly more");
    }

    #[test]
    fn solution_is_just_enough() {
        check(super::solution::deviation);
    }

    #[test]
    #[should_panic = "at the top of a wave"]
    fn task_is_open() {
        check(super::task::deviation);
    }

    #[test]
    #[should_panic = "less than 1 is enough"]
    fn a_whole_wavelength_is_too_much() {
        check(|_| 1.0);
    }
}
