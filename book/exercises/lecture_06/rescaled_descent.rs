//! # Break the invariance, and repair it
//!
//! Multiply the weights that enter a hidden rectifier by $c > 0$ and divide those that leave it: the function stays, and a
//! step of gradient descent leads to another one. Show why: by which factors are both gradients multiplied? Then write one
//! step of Path-SGD for a network with one hidden layer, each derivative divided by the $\gamma$ of its weight,
//! $\gamma_{u \to v} = \gamma_\text{in}(u)\,\gamma_\text{out}(v)$. A weight on no path that counts, $\gamma = 0$, stays.

use nalgebra::DMatrix;

/// Weights on entering and on leaving the hidden units: (hidden, inputs) and (outputs, hidden).
pub type Weights = [DMatrix<f64>; 2];

/// What is to be written.
pub mod task {
    use super::Weights;

    // ANCHOR: task
    /// The weights after one step of Path-SGD along these gradients.
    pub fn step(weights: &Weights, gradients: &Weights, learning_rate: f64) -> Weights {
        todo!("what is γ of each of the two matrices?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The derivative by what enters is divided by $c$, that by what leaves is multiplied by $c$, since the chain rule
    //! brings in the other matrix. So a step of gradient descent moves the entering weights by $1/c$ of what it did, where
    //! it ought to be $c$ times. $\gamma$ of an entering weight is $\sum_o w_{oh}^2$, divided by $c^2$: the step is
    //! multiplied by $c$, as the weights are. That of a leaving weight is $\sum_i w_{hi}^2$, multiplied by $c^2$: its step is
    //! divided by $c$. Both networks take the same step as functions.
    //!
    //! The usual mistake is to exchange the two, and to divide what enters a unit by $\sum_i w_{hi}^2$: its step is
    //! then multiplied by $c^{-3}$. To *multiply* by the square of the weight itself is invariant as well, and a
    //! weight of 0 then stays 0 for ever.

    use super::Weights;

    // ANCHOR: solution
    /// The weights after one step of Path-SGD along these gradients.
    pub fn step(weights: &Weights, gradients: &Weights, learning_rate: f64) -> Weights {
        let moved = |w: f64, slope: f64, gamma: f64| {
            if gamma > 0.0 { w - learning_rate * slope / gamma } else { w }
        };
        let [first, second] = weights;
        let mut after = weights.clone();
        for hidden in 0..first.nrows() {
            let (into, out) =
                (first.row(hidden).norm_squared(), second.column(hidden).norm_squared());
            for input in 0..first.ncols() {
                let at = (hidden, input);
                after[0][at] = moved(first[at], gradients[0][at], out);
            }
            for output in 0..second.nrows() {
                let at = (output, hidden);
                after[1][at] = moved(second[at], gradients[1][at], into);
            }
        }
        after
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::Weights;
    use kernels::random::Key;
    use nalgebra::DMatrix;
    use optim::regularize::path_norm::{path_gammas, rescale};

    type Take = fn(&Weights, &Weights, f64) -> Weights;

    /// Numbers from a standard normal distribution.
    fn normal(key: u64, rows: usize, columns: usize) -> DMatrix<f64> {
        let mut values = vec![0.0; rows * columns];
        Key::new(key).fill_normal(&mut values);
        DMatrix::from_vec(rows, columns, values)
    }

    fn output(weights: &Weights, x: &DMatrix<f64>) -> DMatrix<f64> {
        &weights[1] * (&weights[0] * x).map(|z| z.max(0.0))
    }

    /// Gradients of half the mean squared error; columns of `x` and `y` are examples.
    fn gradients(weights: &Weights, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Weights {
        let votes = &weights[0] * x;
        let error = (output(weights, x) - y) / x.ncols() as f64;
        let back = (weights[1].transpose() * &error).zip_map(&votes, |d, z| if z > 0.0 { d } else { 0.0 });
        [back * x.transpose(), error * votes.map(|z| z.max(0.0)).transpose()]
    }

    fn check(step: Take) {
        let (x, y) = (normal(0, 3, 20), normal(1, 2, 20));
        let mut given = [normal(2, 5, 3), normal(3, 2, 5)];
        let mut scaled = given.clone();
        for (unit, factor) in [(0, 10.0), (1, 0.1), (3, 3.0)] {
            rescale(&mut scaled, 1, unit, factor);
        }
        let start = output(&given, &x);
        for number in 1..=30 {
            given = step(&given, &gradients(&given, &x, &y), 0.05);
            scaled = step(&scaled, &gradients(&scaled, &x, &y), 0.05);
            let apart = (output(&given, &x) - output(&scaled, &x)).amax();
            // On sixty other draws the functions came no farther apart than 7e-15.
            assert!(apart < 1e-13, "after step {number} the functions are {apart:.1e} apart");
        }
        let squares = |o: DMatrix<f64>| (o - &y).norm_squared();
        // On sixty other draws the thirty steps left at most 0.64 of the squared error.
        assert!(squares(output(&given, &x)) < 0.9 * squares(start), "it descends");
        // One step divides by the γ of the crate: on sixty other draws to the last bit. Who multiplies by 1/γ rounds once
        // more.
        let slopes = gradients(&given, &x, &y);
        let gammas = path_gammas(&given).unwrap();
        for (layer, after) in step(&given, &slopes, 1.0).iter().enumerate() {
            let want = &given[layer] - slopes[layer].component_div(&gammas[layer]);
            assert!((after - want).amax() < 1e-12, "layer {layer}");
        }
        // A unit that nothing leaves keeps what enters it.
        let dead = [normal(4, 1, 3), DMatrix::zeros(2, 1)];
        let after = step(&dead, &[normal(5, 1, 3), normal(6, 2, 1)], 0.1);
        assert!(after[0] == dead[0] && after[1].iter().all(|w| w.is_finite()), "γ = 0: {after:?}");
    }

    #[test]
    fn solution_does_not_see_scales() {
        check(super::solution::step);
    }

    #[test]
    #[should_panic = "the functions are"]
    fn plain_descent_does() {
        check(|weights, gradients, learning_rate| {
            [0, 1].map(|layer| &weights[layer] - learning_rate * &gradients[layer])
        });
    }

    #[test]
    #[should_panic = "the functions are"]
    fn gamma_is_not_of_the_same_side() {
        check(|weights, gradients, learning_rate| {
            let mut after = weights.clone();
            for hidden in 0..weights[0].nrows() {
                let into = weights[0].row(hidden).norm_squared();
                let out = weights[1].column(hidden).norm_squared();
                let entering = weights[0].row(hidden) - gradients[0].row(hidden) * (learning_rate / into);
                let leaving = weights[1].column(hidden) - gradients[1].column(hidden) * (learning_rate / out);
                after[0].set_row(hidden, &entering);
                after[1].set_column(hidden, &leaving);
            }
            after
        });
    }

    #[test]
    #[should_panic = "what is γ"]
    fn task_is_open() {
        check(super::task::step);
    }
}
