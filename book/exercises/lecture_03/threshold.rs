//! # The threshold of 1/t
//!
//! *By hand, then in code.* For $f(w) = \frac\mu2 w^2$ and gradients $\mu w + \epsilon$ with $\E\epsilon = 0$,
//! $\E\epsilon^2 = \sigma^2$, the step $c/t$ gives the recursion
//! $m_{t+1} = (1 - c\mu/t)^2\,m_t + c^2\sigma^2/t^2$ for $m_t = \E w_t^2$.
//!
//! 1. Show that $t\,m_t \to c^2\sigma^2/(2c\mu - 1)$ for $c > \frac1{2\mu}$, and that this is smallest for $c = 1/\mu$.
//! 2. Complete the function that runs the recursion from $m_1 = 1$ and returns the order $p$ of $m_t \propto t^{-p}$,
//!    from $t = T/2$ and $t = T$. What is $p$ below the threshold?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The order p of the error t^-p after `steps` steps c/t, with noise of variance 1.
    pub fn order(c: f64, mu: f64, steps: u32) -> f64 {
        todo!("run the recursion for c = {c}, mu = {mu}, {steps} steps")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Insert $m_t = A/t$ and compare the terms of order $1/t^2$: $-A = -2c\mu A + c^2\sigma^2$. This $A$ is reached from
    //! any start: up to terms of order $1/t^2$ the number $u_t = t\,m_t$ moves by
    //! $(c^2\sigma^2 - (2c\mu - 1)\,u_t)/t$, towards $A$ if $2c\mu > 1$, and $\sum 1/t$ is infinite. The derivative
    //! of $c^2/(2c\mu - 1)$ by $c$ vanishes at $c = 1/\mu$. Below the threshold the factor
    //! $\prod(1 - c\mu/t)^2 \approx t^{-2c\mu}$ decays more slowly than the noise term, so $p = 2c\mu < 1$.
    //!
    //! The usual mistake is to measure $p$ too early: just above the threshold the two orders are close, and the limit is
    //! reached late. Just at the threshold the error is $\ln t/t$.

    // ANCHOR: solution
    /// The order p of the error t^-p after `steps` steps c/t, with noise of variance 1.
    pub fn order(c: f64, mu: f64, steps: u32) -> f64 {
        let (mut m, mut half) = (1.0_f64, 1.0_f64);
        for t in 1..=steps {
            let t = f64::from(t);
            m = (1.0 - c * mu / t).powi(2) * m + (c / t).powi(2);
            if t == f64::from(steps / 2) {
                half = m;
            }
        }
        (half / m).log2()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    fn check(order: fn(f64, f64, u32) -> f64) {
        for (c, mu, want) in [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.25, 1.0, 0.5), (0.1, 2.0, 0.4), (0.5, 2.0, 1.0)] {
            let got = order(c, mu, 1_000_000);
            assert!((got - want).abs() < 0.02, "c = {c}, mu = {mu}: order {got}, want {want}");
        }
    }

    #[test]
    fn solution_sees_the_threshold() {
        check(super::solution::order);
    }

    #[test]
    #[should_panic = "run the recursion"]
    fn task_is_open() {
        check(super::task::order);
    }

    #[test]
    #[should_panic = "c = 0.25"]
    fn the_order_is_not_always_one() {
        check(|_, _, _| 1.0);
    }
}
