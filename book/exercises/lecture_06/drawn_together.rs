//! # Drawn together
//!
//! *By hand, then in code.* Two tasks have one weight each, with the losses $\frac a2(u - p)^2$ and
//! $\frac b2(v - q)^2$, and the penalty $\lambda(u - v)^2$ between them. Where is the minimum? Follow it from
//! $\lambda = 0$, two models, to $\lambda \to \infty$, one weight with two tasks. Is that the mean of $p$ and $q$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The best (u, v) for the curvatures (a, b), the optima (p, q) and the factor of the penalty.
    pub fn tied(curvatures: [f64; 2], optima: [f64; 2], factor: f64) -> [f64; 2] {
        todo!("two linear equations")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The two gradients are $a(u - p) + 2\lambda(u - v)$ and $b(v - q) - 2\lambda(u - v)$. Their sum says
    //! $a(u - p) = -b(v - q)$: the tasks always pull with equal forces. With $u = p + bk$ and $v = q - ak$ that holds
    //! for all $k$, and either equation gives $k = 2\lambda(q - p)/(ab + 2\lambda(a + b))$. In the limit both become
    //! $(ap + bq)/(a + b)$, the minimum of the summed losses: a shared weight listens to the task whose loss is
    //! steeper.
    //!
    //! The usual mistake is the plain mean of $p$ and $q$. The units of the two losses decide: a loss in millimetres
    //! squared outvotes one in metres squared, and that is what a weight for each task is for.

    // ANCHOR: solution
    /// The best (u, v) for the curvatures (a, b), the optima (p, q) and the factor of the penalty.
    pub fn tied(curvatures: [f64; 2], optima: [f64; 2], factor: f64) -> [f64; 2] {
        let ([a, b], [p, q]) = (curvatures, optima);
        let pull = 2.0 * factor * (q - p) / (a * b + 2.0 * factor * (a + b));
        [p + b * pull, q - a * pull]
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::regularize::multitask::joint;
    use optim::regularize::tying::distance;

    fn check(tied: fn([f64; 2], [f64; 2], f64) -> [f64; 2]) {
        let dev = Cpu::default();
        let ([a, b], [p, q]) = ([1.0, 3.0], [2.0, -1.0]);
        for factor in [0.0, 0.1, 1.0, 50.0] {
            let [u, v] = tied([a, b], [p, q], factor).map(|w| dev.tensor([w]));
            let own = ((u.leaky_trace() - p).square() * (a / 2.0)).sum::<Rank0, _>()
                + ((v.leaky_trace() - q).square() * (b / 2.0)).sum::<Rank0, _>();
            let gradients = (own + distance(&u, &v, factor).unwrap()).backward();
            let slopes = [gradients.get(&u).array()[0], gradients.get(&v).array()[0]];
            assert!(slopes.iter().all(|s| s.abs() < 1e-12), "factor {factor}: slopes of {slopes:?}");
        }
        // One weight for both tasks.
        let [u, v] = tied([a, b], [p, q], 1e12);
        assert!((u - v).abs() < 1e-9, "{u} and {v} should be one");
        let w = dev.tensor([u]);
        let task = |m: f64, c: f64| ((w.leaky_trace() - m).square() * (c / 2.0)).sum::<Rank0, _>();
        let slope = joint([task(p, a), task(q, b)], [1.0, 1.0]).unwrap().backward().get(&w).array()[0];
        assert!(slope.abs() < 1e-9, "the shared weight has a slope of {slope}");
    }

    #[test]
    fn solution_is_the_minimum() {
        check(super::solution::tied);
    }

    #[test]
    #[should_panic = "two linear equations"]
    fn task_is_open() {
        check(super::task::tied);
    }

    #[test]
    #[should_panic = "factor 0.1"]
    fn the_mean_is_not_the_middle_of_unequal_tasks() {
        check(|_, [p, q], factor| {
            let share = factor / (1.0 + 2.0 * factor);
            [p + share * (q - p), q - share * (q - p)]
        });
    }
}
