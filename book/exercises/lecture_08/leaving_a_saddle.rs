//! # Leaving a saddle
//!
//! *By hand, then in code.* Near a saddle the function is $\frac12x^2 - \frac12y^2$. Descent with the rate $\eta$
//! starts at $(1, \delta)$ with a tiny $\delta$. After how many steps is $\lvert y\rvert$ above $r$? How much longer
//! does it take if $\delta$ is a thousand times smaller, and what if it is 0?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps, as a real number, from the distance `offset` to `radius`.
    pub fn steps(offset: f64, radius: f64, rate: f64) -> f64 {
        todo!("by which factor does y grow per step?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A step multiplies $y$ by $1 + \eta$: $\ln(r/\delta)/\ln(1 + \eta)$ steps. A thousand times smaller is only
    //! $\ln 1000/\ln(1 + \eta)$ more, 73 for $\eta = 0.1$. From 0 it never leaves, and that is the whole danger: one
    //! kick of any size, once, is enough (Jin et al. 2017), and minibatches kick all the time.
    //!
    //! The usual mistake is distance over speed at the start, $r/(\eta\delta)$: it would make saddles traps. Speed
    //! grows with the distance.

    // ANCHOR: solution
    /// Steps, as a real number, from the distance `offset` to `radius`.
    pub fn steps(offset: f64, radius: f64, rate: f64) -> f64 {
        (radius / offset).ln() / (1.0 + rate).ln()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::descent::Descent;
    use optim::landscape::critical::{Critical, classify};
    use optim::problems::{Problem, Saddle};

    /// The saddle of the crate has a quartic beside, which is nothing below 0.05.
    fn counted(offset: f64, rate: f64) -> Option<usize> {
        let saddle = Saddle { dimension: 2 };
        let is_out = |x: &[f64]| x[1].abs() > 0.05;
        let path = Descent::gradient(rate).run(saddle.objective(), &[1.0, offset], 2000, is_out).unwrap();
        path.has_arrived.then(|| path.steps())
    }

    fn check(steps: fn(f64, f64, f64) -> f64) {
        for offset in [1e-3, 1e-6, 1e-12] {
            for rate in [0.05, 0.1, 0.5] {
                let (got, want) = (steps(offset, 0.05, rate), counted(offset, rate).unwrap() as f64);
                assert!((got.ceil() - want).abs() <= 1.0, "from {offset} at {rate}: {want} steps, not {got}");
            }
        }
        assert_eq!(counted(0.0, 0.5), None, "from the ridge");
        let hessian = Saddle { dimension: 2 }.hessian(&[0.0, 0.0]);
        assert_eq!(classify(&hessian, 1e-9).unwrap(), Critical::Saddle { index: 1 });
    }

    #[test]
    fn solution_counts_the_steps() {
        check(super::solution::steps);
    }

    #[test]
    #[should_panic = "does y grow per step"]
    fn task_is_open() {
        check(super::task::steps);
    }

    #[test]
    #[should_panic = "from 0.001 at 0.05"]
    fn speed_grows_with_the_distance() {
        check(|offset, radius, rate| radius / (rate * offset));
    }
}
