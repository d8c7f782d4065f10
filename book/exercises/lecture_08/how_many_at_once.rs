//! # How many steps at once?
//!
//! *By hand, then in code.* The linear rule: with a batch $k$ times as large, one step with $k$ times the rate
//! replaces $k$ steps. On a slope without curvature that is exact, the noise included. On a parabola of curvature $h$
//! the error is multiplied by $(1 - \eta h)^k$ in $k$ small steps and by $1 - k\eta h$ in the large one. Up to which
//! $k$ do the two differ by at most a twentieth? Compare with the $k$ at which the large step diverges.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The largest k from 1 on for which, and for all smaller ones, the two factors differ by at
    /// most `slack`.
    pub fn largest(rate: f64, curvature: f64, slack: f64) -> usize {
        todo!("the difference is about k(k - 1)/2 times the square of rate times curvature")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $(1 - \eta h)^k - (1 - k\eta h) \approx \frac{k(k-1)}2(\eta h)^2$, and a little less: for $\eta h = 0.01$ it
    //! is at most a twentieth up to $k = 33$, while the step diverges only at $k = 2/(\eta h) = 200$. It is the
    //! steepest direction that decides, $h = L$. At the start of training $L$ is large, so the rule breaks there
    //! first: that is what the warm-up is for.
    //!
    //! The usual mistake is to scale until it diverges. Long before that the large step is no longer $k$ small ones;
    //! it lands on the other side of the valley.

    // ANCHOR: solution
    /// The largest k from 1 on for which, and for all smaller ones, the two factors differ by at
    /// most `slack`.
    pub fn largest(rate: f64, curvature: f64, slack: f64) -> usize {
        let x = rate * curvature;
        let apart = |k: usize| (1.0 - x).powi(k as i32) - (1.0 - k as f64 * x);
        (1..).take_while(|&k| apart(k) <= slack).last().unwrap_or(1)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::descent::Descent;
    use optim::problems::{Problem, Quadratic};

    /// How far k small steps and one large one end from each other, from 1 on the parabola.
    fn apart(rate: f64, curvature: f64, k: usize) -> f64 {
        let bowl = Quadratic::try_new(vec![curvature]).unwrap();
        let end = |rate: f64, steps: usize| {
            let path = Descent::gradient(rate).run(bowl.objective(), &[1.0], steps, |_| false).unwrap();
            path.points[steps][0]
        };
        (end(rate, k) - end(k as f64 * rate, 1)).abs()
    }

    fn check(largest: fn(f64, f64, f64) -> usize) {
        for (rate, curvature, slack) in [(0.1, 0.1, 0.05), (0.01, 3.0, 0.05), (0.5, 0.1, 0.2)] {
            let k = largest(rate, curvature, slack);
            assert!(apart(rate, curvature, k) <= slack, "{k} steps at once are too many");
            assert!(apart(rate, curvature, k + 1) > slack, "{} steps at once are as good", k + 1);
        }
        assert_eq!(largest(0.01, 1.0, 0.05), 33);
    }

    #[test]
    fn solution_is_the_last_that_agrees() {
        check(super::solution::largest);
    }

    #[test]
    #[should_panic = "k(k - 1)/2"]
    fn task_is_open() {
        check(super::task::largest);
    }

    #[test]
    #[should_panic = "steps at once are too many"]
    fn before_it_diverges_it_is_another_method() {
        check(|rate, curvature, _| (2.0 / (rate * curvature)) as usize);
    }
}
