//! # What looking ahead rescues
//!
//! *By hand, then in code.* Lookahead makes $k$ steps of descent, then moves from where it started by the share
//! $\alpha$ of the way, and goes on from there. On a parabola of curvature $h$ plain descent diverges above
//! $\eta = 2/h$. Up to which rate does Lookahead converge? Look at odd and even $k$ apart.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Below this rate descent with Lookahead converges.
    pub fn largest_rate(curvature: f64, every: u32, share: f64) -> f64 {
        todo!("the factor of one round is 1 - a + a r^k with r = 1 - rate * curvature")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A round multiplies the error by $1 - \alpha + \alpha\rho^k$ with $\rho = 1 - \eta h$. For even $k$ and
    //! $\lvert\rho\rvert > 1$ that is above 1: nothing is gained. For odd $k$ and $\rho < -1$ it is above $-1$ as
    //! long as $\rho^k > 1 - \frac2\alpha$, so $\eta < \bigl(1 + (\frac2\alpha - 1)^{1/k}\bigr)/h$: for $k = 1$,
    //! $\frac{2}{\alpha h}$, which is descent with the rate $\alpha\eta$; for $k = 5$ and $\alpha = \frac12$ an
    //! eighth more than $2/h$. What Lookahead gives is a damped oscillation, and less noise, not larger rates.
    //!
    //! The usual mistake is $\frac{2}{\alpha h}$ for all $k$: the slow weights see only the end of $k$ steps, which
    //! have exploded by then.

    // ANCHOR: solution
    /// Below this rate descent with Lookahead converges.
    pub fn largest_rate(curvature: f64, every: u32, share: f64) -> f64 {
        match every % 2 {
            0 => 2.0 / curvature,
            _ => (1.0 + (2.0 / share - 1.0).powf(1.0 / f64::from(every))) / curvature,
        }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{Lookahead, Optim, SgdConfig};

    /// Where 600 rounds end that start at 1.
    fn end(rate: f64, curvature: f64, every: u32, share: f64) -> f64 {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().ones();
        let rule = SgdConfig { learning_rate: rate, ..Default::default() };
        let lookahead = Lookahead { every: u64::from(every), share };
        let mut optimizer = Optim::try_new(&w, rule).unwrap().lookahead(lookahead).unwrap();
        let mut gradients = Gradients::leaky();
        for _ in 0..600 * every {
            gradients.get_or_alloc_mut(&w).unwrap()[0] = curvature * w.array()[0];
            if optimizer.step(&mut w, &mut gradients).is_err() {
                return f64::INFINITY; // refused: no longer a number
            }
        }
        w.array()[0].abs()
    }

    fn check(largest_rate: fn(f64, u32, f64) -> f64) {
        for (every, share) in [(1, 0.5), (2, 0.5), (3, 0.8), (5, 0.5), (6, 0.2)] {
            let rate = largest_rate(3.0, every, share);
            let (below, above) = (end(0.99 * rate, 3.0, every, share), end(1.01 * rate, 3.0, every, share));
            assert!(below < 0.1, "k = {every}: it diverges below the rate {rate}");
            assert!(above > 10.0, "k = {every}: it converges above the rate {rate}");
        }
    }

    #[test]
    fn solution_is_the_border() {
        check(super::solution::largest_rate);
    }

    #[test]
    #[should_panic = "the factor of one round"]
    fn task_is_open() {
        check(super::task::largest_rate);
    }

    #[test]
    #[should_panic = "k = 2: it diverges"]
    fn the_share_does_not_multiply_the_rate() {
        check(|curvature, _, share| 2.0 / (share * curvature));
    }
}
