//! # The momentum of the heavy ball
//!
//! Along an eigenvector with eigenvalue $\lambda$ the heavy ball is the recursion
//!
//! $$ x_{t+1} = (1 + \beta - \eta\lambda)\,x_t - \beta\,x_{t-1} . $$
//!
//! Its solutions are sums of powers $z^t$ of the roots of $z^2 - (1 + \beta - \eta\lambda)\,z + \beta = 0$,
//! so in the long run the error shrinks per step by the larger $\lvert z\rvert$. Write the function that
//! computes it. When the roots are complex, their product tells you $\lvert z\rvert$ without any
//! computation; for which $\beta$ is that the case for *all* eigenvalues from $\mu$ to $L$? Derive the
//! best $\eta$ and $\beta$ from this, and compare with `Descent::optimal`.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The factor by which the error along an eigenvector shrinks per step, in the long run.
    pub fn factor(learning_rate: f64, momentum: f64, eigenvalue: f64) -> f64 {
        todo!("the larger absolute value of two roots")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The discriminant is $(1+\beta-\eta\lambda)^2 - 4\beta$. It is negative exactly for
    //! $(1-\sqrt\beta)^2 < \eta\lambda < (1+\sqrt\beta)^2$; then the roots are complex conjugates with product
    //! $\beta$, so $\lvert z\rvert = \sqrt\beta$ *for every such* $\lambda$. The smallest $\beta$ for which
    //! $[\eta\mu, \eta L]$ fits into this interval makes both ends meet: $\sqrt{\eta\mu} = 1-\sqrt\beta$ and
    //! $\sqrt{\eta L} = 1+\sqrt\beta$. Add them: $\sqrt\eta = 2/(\sqrt L+\sqrt\mu)$. Subtract them:
    //! $\sqrt\beta = (\sqrt L-\sqrt\mu)/(\sqrt L+\sqrt\mu)$.
    //!
    //! The usual mistake is to treat the complex case as an error and to take the real part of the roots: the
    //! ball then seems to converge faster than it does. The other one is to think that larger steps are always
    //! faster: inside the interval the factor does not depend on $\eta$ at all.

    // ANCHOR: solution
    /// The factor by which the error along an eigenvector shrinks per step, in the long run.
    pub fn factor(learning_rate: f64, momentum: f64, eigenvalue: f64) -> f64 {
        let middle = 0.5 * (1.0 + momentum - learning_rate * eigenvalue);
        let discriminant = middle * middle - momentum;
        if discriminant < 0.0 { momentum.sqrt() } else { middle.abs() + discriminant.sqrt() }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::descent::{Descent, Memory};
    use optim::problems::{Problem, Quadratic};

    fn check(factor: fn(f64, f64, f64) -> f64) {
        // Against the method itself, for real and complex roots: how much it shrinks over 200 late steps.
        for (learning_rate, momentum, eigenvalue) in
            [(0.5, 0.0, 0.3), (1.0, 0.81, 1.0), (1.0, 0.81, 0.001), (0.1, 0.5, 5.0), (1.0, 0.3, 2.4)]
        {
            let bowl = Quadratic::try_new([eigenvalue]).unwrap();
            let method = Descent { memory: Memory::HeavyBall, learning_rate, momentum };
            let path = method.run(bowl.objective(), &[1.0], 400, |_| false).unwrap();
            // Complex roots turn: the largest of a few neighbours is the envelope.
            let size = |t: usize| (t..t + 20).map(|t| path.points[t][0].abs()).fold(0.0, f64::max);
            let measured = (size(300) / size(100)).powf(1.0 / 200.0);
            let factor = factor(learning_rate, momentum, eigenvalue);
            assert!((factor - measured).abs() < 5e-3, "η {learning_rate}, β {momentum}, λ {eigenvalue}: {factor}, not {measured}");
        }
        // With the best numbers, every eigenvalue shrinks alike, and any other momentum is worse at one end.
        let (best, rate) = Descent::optimal(Memory::HeavyBall, 1.0, 100.0).unwrap();
        let worst = |learning_rate, momentum| {
            [1.0, 3.0, 50.0, 100.0].map(|l| factor(learning_rate, momentum, l)).into_iter().fold(0.0, f64::max)
        };
        assert!((worst(best.learning_rate, best.momentum) - rate).abs() < 1e-6);
        for (step, momentum) in [(0.8, 1.0), (1.2, 1.0), (1.0, 0.95), (1.0, 1.05)] {
            assert!(worst(step * best.learning_rate, momentum * best.momentum) > rate + 1e-3);
        }
    }

    #[test]
    fn solution_finds_the_rate_of_the_method() {
        check(super::solution::factor);
    }

    #[test]
    #[should_panic = "η 1, β 0.81, λ 1: "]
    fn a_real_part_is_not_the_size() {
        check(|learning_rate, momentum, eigenvalue| {
            let middle = 0.5 * (1.0 + momentum - learning_rate * eigenvalue);
            middle.abs() + (middle * middle - momentum).max(0.0).sqrt()
        });
    }

    #[test]
    #[should_panic = "the larger absolute value"]
    fn task_is_open() {
        check(super::task::factor);
    }
}
