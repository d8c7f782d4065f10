//! # Noise that goes away
//!
//! *In code.* Keep a snapshot $\tilde w$ with its full gradient, and step along
//! $\nabla f_i(w) - \nabla f_i(\tilde w) + \nabla f(\tilde w)$.
//!
//! Show that the mean is $\nabla f(w)$, and that there is no noise when $w$ and $\tilde w$ are both at the minimum. Complete
//! the estimate; the crate's loop around it then converges linearly at a constant step.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use optim::sgd::Logistic;

    /// The estimate from example `i`; `full` is the full gradient at the snapshot.
    pub fn estimate(f: &Logistic, i: usize, w: &[f64], snapshot: &[f64], full: &[f64]) -> Vec<f64> {
        let _ = (f, w, snapshot);
        todo!("example {i}, {} weights", full.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The mean of $\nabla f_i(\tilde w)$ over $i$ is $\nabla f(\tilde w)$, so the two last terms cancel in the mean. At the
    //! minimum the first two cancel for every $i$, and the last is zero. Near the minimum the noise is proportional to the
    //! distance from it, as the gradient is: both shrink together, and a constant step may stay.
    //!
    //! The usual mistake is to refresh $\tilde w$ at every step. Then every step costs a full gradient.

    // ANCHOR: solution
    use optim::sgd::{FiniteSum, Logistic};

    /// The estimate from example `i`; `full` is the full gradient at the snapshot.
    pub fn estimate(f: &Logistic, i: usize, w: &[f64], snapshot: &[f64], full: &[f64]) -> Vec<f64> {
        let mut gradient = full.to_vec();
        f.add_gradient(i, w, 1.0, &mut gradient);
        f.add_gradient(i, snapshot, -1.0, &mut gradient);
        gradient
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use optim::sgd::{FiniteSum, Logistic};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    type Estimate = fn(&Logistic, usize, &[f64], &[f64], &[f64]) -> Vec<f64>;

    fn check(estimate: Estimate) {
        let mut rng = StdRng::seed_from_u64(0);
        let x = DMatrix::from_fn(60, 3, |_, _| rng.gen_range(-1.7..1.7));
        let labels: Vec<i8> =
            (0..60).map(|i| if x[(i, 0)] + rng.gen_range(-1.0..1.0) > 0.0 { 1 } else { -1 }).collect();
        let f = Logistic::new(x, &labels, 0.1).unwrap();
        let mut w = vec![0.0; 3];
        for _ in 0..30 {
            let (snapshot, full) = (w.clone(), f.gradient(&w));
            for _ in 0..60 {
                let gradient = estimate(&f, rng.gen_range(0..60), &w, &snapshot, &full);
                w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= 0.1 * g);
            }
        }
        let gradient: f64 = f.gradient(&w).iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(gradient < 1e-5, "the gradient is still {gradient}");
    }

    #[test]
    fn solution_converges_at_a_constant_step() {
        check(super::solution::estimate);
    }

    #[test]
    #[should_panic = "3 weights"]
    fn task_is_open() {
        check(super::task::estimate);
    }

    #[test]
    #[should_panic = "the gradient is still"]
    fn plain_gradients_do_not() {
        check(|f, i, w, _, full| {
            let mut gradient = vec![0.0; full.len()];
            f.add_gradient(i, w, 1.0, &mut gradient);
            gradient
        });
    }
}
