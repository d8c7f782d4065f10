//! # Two momenta in one
//!
//! *By hand, then in code.* Quasi-hyperbolic momentum keeps a mean $m \leftarrow \beta m + (1 - \beta)g$ and steps
//! along a mixture of it and the gradient, $w \leftarrow w - \eta\,\bigl((1 - \nu)g + \nu m\bigr)$. Which $\eta$,
//! $\beta$, $\nu$ make it Nesterov's method with rate $\eta_0$ and coefficient $\mu$, which is
//! $v \leftarrow \mu v + g$, $w \leftarrow w - \eta_0(g + \mu v)$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use optim::optimizers::QhmConfig;

    /// Nesterov's method as quasi-hyperbolic momentum.
    pub fn nesterov(rate: f64, coefficient: f64) -> QhmConfig {
        todo!("express v by m, and compare what multiplies g and m")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! With $\beta = \mu$ the sum $v$ is $m/(1 - \mu)$. Then $\eta(1 - \nu) = \eta_0$ and
    //! $\eta\nu = \eta_0\mu/(1 - \mu)$: their sum gives $\eta = \eta_0/(1 - \mu)$, their ratio $\nu = \mu$. With
    //! $\nu = 1$ it is the heavy ball, with $\nu = 0$ plain descent. AggMo averages several velocities with different
    //! $\mu$; if they are equal it is the heavy ball again.
    //!
    //! The usual mistake is to keep $\eta = \eta_0$. A mean is $1 - \mu$ times a sum: with $\mu = 0.9$ a rate that was
    //! tuned for the one is ten times off for the other, and libraries differ in which one they keep.

    // ANCHOR: solution
    use optim::optimizers::QhmConfig;

    /// Nesterov's method as quasi-hyperbolic momentum.
    pub fn nesterov(rate: f64, coefficient: f64) -> QhmConfig {
        let learning_rate = rate / (1.0 - coefficient);
        QhmConfig { learning_rate, beta: coefficient, nu: coefficient, ..Default::default() }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{AggMoConfig, Momentum, Optim, QhmConfig, Rule, SgdConfig};

    /// Thirty steps on a parabola and a slope.
    fn path<R: Rule>(rule: R) -> Vec<f64> {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().tensor([1.0]);
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut points = Vec::new();
        for _ in 0..30 {
            let mut gradients = (w.leaky_trace().square() + w.leaky_trace() * 0.3).sum().backward();
            optimizer.step(&mut w, &mut gradients).unwrap();
            points.push(w.array()[0]);
        }
        points
    }

    fn sgd(momentum: Momentum) -> SgdConfig {
        SgdConfig { learning_rate: 0.05, momentum, weight_decay: 0.0 }
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    fn check(nesterov: fn(f64, f64) -> QhmConfig) {
        for coefficient in [0.5, 0.9] {
            let (got, want) = (path(nesterov(0.05, coefficient)), path(sgd(Momentum::Nesterov(coefficient))));
            let apart = distance(&got, &want);
            assert!(apart < 1e-12, "with {coefficient} the paths are {apart} apart");
        }
    }

    #[test]
    fn solution_takes_the_same_path() {
        check(super::solution::nesterov);
    }

    #[test]
    fn equal_velocities_are_one_heavy_ball() {
        let beta = 0.8;
        let agg =
            AggMoConfig { learning_rate: 0.05, beta1: beta, beta2: beta, beta3: beta, ..Default::default() };
        assert!(distance(&path(agg), &path(sgd(Momentum::HeavyBall(beta)))) < 1e-12);
    }

    #[test]
    #[should_panic = "express v by m"]
    fn task_is_open() {
        check(super::task::nesterov);
    }

    #[test]
    #[should_panic = "with 0.5 the paths"]
    fn a_mean_is_not_a_sum() {
        check(|rate, coefficient| QhmConfig {
            learning_rate: rate,
            beta: coefficient,
            nu: coefficient,
            ..Default::default()
        });
    }
}
