//! # A step that looks uphill first
//!
//! Sharpness-aware minimisation wants a point whose *neighbours* are low as well. It climbs a distance
//! $\rho$ along the gradient, takes the gradient there, and applies it where it stood:
//!
//! $$ w \leftarrow w - \eta\,\nabla f\,\left(w + \rho\,\frac{\nabla f(w)}{\lVert\nabla f(w)\rVert}\right) . $$
//!
//! Write one step for a function given by its gradient. Then think about a valley with a curvature of
//! $\lambda$: where does the method come to rest with a fixed $\eta$ and $\rho$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// One step of sharpness-aware minimisation; where the gradient is 0, the point stays.
    pub fn step(
        gradient: impl Fn(&[f64]) -> Vec<f64>,
        w: &[f64],
        learning_rate: f64,
        radius: f64,
    ) -> Vec<f64> {
        todo!("two gradients, one step")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Two gradients, and the second one is applied at the *old* point. On $f = \tfrac12\lambda w^2$ the
    //! gradient uphill is $\lambda(w \pm \rho)$, so near the minimum the step is about $\eta\lambda\rho$ and
    //! changes sign every time: the method does not rest, it hops from side to side with an amplitude of
    //! about $\eta\lambda\rho/2$. In a sharp valley ($\lambda$ large) the hops are high up the walls, and a
    //! kick or a slope along the floor carries it out; in a flat one it stays.
    //!
    //! The usual mistakes: to step from the climbed point (then $\rho$ pushes the weights away for good), to
    //! forget to divide by the norm (then nothing happens near a minimum), and to divide by 0 at a critical
    //! point.

    // ANCHOR: solution
    /// One step of sharpness-aware minimisation; where the gradient is 0, the point stays.
    pub fn step(
        gradient: impl Fn(&[f64]) -> Vec<f64>,
        w: &[f64],
        learning_rate: f64,
        radius: f64,
    ) -> Vec<f64> {
        let here = gradient(w);
        let norm = here.iter().map(|g| g * g).sum::<f64>().sqrt();
        if norm == 0.0 {
            return w.to_vec();
        }
        let uphill: Vec<f64> = w.iter().zip(&here).map(|(w, g)| w + radius * g / norm).collect();
        w.iter().zip(gradient(&uphill)).map(|(w, g)| w - learning_rate * g).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::{Sgd, SgdConfig};
    use optim::problems::{Problem, Rosenbrock};
    use optim::second_order::{Sam, SamConfig};

    type Take = fn(fn(&[f64]) -> Vec<f64>, &[f64], f64, f64) -> Vec<f64>;

    fn valley(w: &[f64]) -> Vec<f64> {
        Rosenbrock { dimension: 2 }.gradient(w)
    }

    fn check(step: Take) {
        // Against the crate's own, which works on any model: twenty steps in Rosenbrock's valley.
        let mut model: Tensor<Rank1<2>, f64, Cpu> = Cpu::default().tensor([-1.2, 1.0]);
        let config = SgdConfig { learning_rate: 5e-4, ..Default::default() };
        let sgd = Sgd::try_new(&model, config).unwrap();
        let mut sam = Sam::try_new(sgd, SamConfig { radius: 0.05 }).unwrap();
        let mut w = vec![-1.2, 1.0];
        for number in 1..=20 {
            w = step(valley, &w, 5e-4, 0.05);
            sam.step(&mut model, |model: &Tensor<Rank1<2>, f64, Cpu>| {
                let slope: Tensor<Rank1<2>, f64, Cpu> =
                    Cpu::default().tensor([valley(&model.array())[0], valley(&model.array())[1]]);
                Ok((model.leaky_trace() * slope).sum().backward())
            })
            .unwrap();
            let want = model.array();
            assert!((w[0] - want[0]).abs() + (w[1] - want[1]).abs() < 1e-12, "step {number}: {w:?}, not {want:?}");
        }
        assert_eq!(step(valley, &[1.0, 1.0], 0.1, 0.05), [1.0, 1.0], "a critical point stays");
        // Near the minimum of a parabola it hops by ηλρ.
        let hop = step(|w| vec![4.0 * w[0]], &[1e-9], 0.1, 0.05)[0];
        assert!((hop + 0.1 * 4.0 * 0.05).abs() < 1e-8, "hops to {hop}");
    }

    #[test]
    fn solution_is_the_step_of_the_crate() {
        check(|gradient, w, learning_rate, radius| super::solution::step(gradient, w, learning_rate, radius));
    }

    #[test]
    #[should_panic = "step 1: "]
    fn it_steps_from_where_it_stood() {
        check(|gradient, w, learning_rate, radius| {
            let here = gradient(w);
            let norm = here.iter().map(|g| g * g).sum::<f64>().sqrt();
            let uphill: Vec<f64> = w.iter().zip(&here).map(|(w, g)| w + radius * g / norm).collect();
            uphill.iter().zip(gradient(&uphill)).map(|(w, g)| w - learning_rate * g).collect()
        });
    }

    #[test]
    #[should_panic = "two gradients"]
    fn task_is_open() {
        check(|gradient, w, learning_rate, radius| super::task::step(gradient, w, learning_rate, radius));
    }
}
