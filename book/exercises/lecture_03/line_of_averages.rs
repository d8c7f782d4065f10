//! # An average forgets its rate
//!
//! *By hand, then in code.* On the parabola $\frac h2 w^2$ with gradients $hw + \xi$, where the $\xi$ are independent
//! with mean 0 and variance 1, descend from 0 with the constant rate $\eta < 2/h$ for $T$ steps.
//!
//! 1. What is the variance of the last $w_T$, and where does it go for large $T$?
//! 2. What is the variance of the average $\frac1T\sum_{t=1}^T w_t$?
//!
//! Write each as a sum over the $T$ draws of $\xi$. Which of the two depends on $\eta$ for large $T$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// (variance of the last point, variance of the average).
    pub fn variances(curvature: f64, rate: f64, steps: i32) -> (f64, f64) {
        todo!("what does one draw of the noise contribute in the end?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! With $\rho = 1 - \eta h$ a draw contributes $-\eta\rho^k$ to the point $k$ steps after its own, so $w_T$ has
    //! the variance $\eta^2\sum_{k < T}\rho^{2k} \to \eta/(h(2 - \eta h))$: the cloud around the minimum, proportional
    //! to $\eta$. In the average a draw with $k$ steps still to come contributes
    //! $-\frac{\eta}{T}(1 + \rho + \dots + \rho^{k}) = -\frac{1 - \rho^{k+1}}{hT}$, nearly all draws the same. The
    //! variance is close to $1/(h^2 T)$, without $\eta$: a large constant rate and an average (Polyak & Juditsky
    //! 1992).
    //!
    //! The usual mistake is to divide the variance of one point by $T$. Neighbouring points are almost the same
    //! point, and the smaller the rate, the more so.

    // ANCHOR: solution
    /// (variance of the last point, variance of the average).
    pub fn variances(curvature: f64, rate: f64, steps: i32) -> (f64, f64) {
        let rho = 1.0 - rate * curvature;
        let last = (0..steps).map(|k| (rate * rho.powi(k)).powi(2)).sum();
        let share = |k: i32| (1.0 - rho.powi(k)) / (curvature * f64::from(steps));
        (last, (1..=steps).map(|k| share(k).powi(2)).sum())
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::dmatrix;
    use optim::sgd::averaging::{Averaging, RunningAverage};
    use optim::sgd::gradient_noise::stationary;

    /// Over all 2¹⁰ signs of the noise in ten steps.
    fn enumerated(curvature: f64, rate: f64) -> (f64, f64) {
        let (mut last, mut mean) = (0.0, 0.0);
        for signs in 0..1024 {
            let mut average = RunningAverage::new(Averaging::Polyak { start: 1 }, 1).unwrap();
            let mut w = 0.0;
            for t in 0..10 {
                let noise = if signs >> t & 1 == 1 { 1.0 } else { -1.0 };
                w -= rate * (curvature * w + noise);
                average.see(t + 1, &[w]);
            }
            last += w * w / 1024.0;
            mean += average.mean()[0].powi(2) / 1024.0;
        }
        (last, mean)
    }

    fn check(variances: fn(f64, f64, i32) -> (f64, f64)) {
        for (curvature, rate) in [(1.0, 0.1), (1.0, 0.9), (3.0, 0.2)] {
            let (got, want) = (variances(curvature, rate, 10), enumerated(curvature, rate));
            assert!((got.0 - want.0).abs() < 1e-12, "the last point: {} for {}", got.0, want.0);
            assert!((got.1 - want.1).abs() < 1e-12, "the average: {} for {}", got.1, want.1);
        }
        // After many steps: the cloud of the crate, which neglects the rate squared, and the average without a rate.
        let (last, mean) = variances(2.0, 0.01, 100_000);
        let cloud = stationary(&dmatrix![2.0], &dmatrix![1.0], 0.01).unwrap()[(0, 0)];
        assert!((last / cloud - 1.0).abs() < 0.02, "{last} and {cloud}");
        assert!((mean / variances(2.0, 0.02, 100_000).1 - 1.0).abs() < 2e-3);
    }

    #[test]
    fn solution_is_the_mean_over_all_noise() {
        check(super::solution::variances);
    }

    #[test]
    #[should_panic = "what does one draw"]
    fn task_is_open() {
        check(super::task::variances);
    }

    #[test]
    #[should_panic = "the average: "]
    fn neighbours_are_not_independent() {
        check(|curvature, rate, steps| {
            let (last, _) = super::solution::variances(curvature, rate, steps);
            (last, last / f64::from(steps))
        });
    }
}
