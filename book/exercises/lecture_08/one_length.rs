//! # One length for all
//!
//! *In code.* Several tensors have gradients of the lengths $\ell_1, \ell_2, \dots$ Clipping by the global norm
//! multiplies all of them such that the length of everything together is at most $c$. Write the factors. What does
//! clipping each tensor to $c$ do instead, and what clipping each number?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The factor of each tensor, whose gradients have these lengths.
    pub fn factors(lengths: &[f64], limit: f64) -> Vec<f64> {
        todo!("the length of {} tensors together", lengths.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The length of everything is $\sqrt{\sum\ell_i^2}$, and one factor $\min(1, c/\sqrt{\sum\ell_i^2})$ holds for
    //! all: a step against the gradient stays one, only shorter. Clipped tensor by tensor, a large layer is slowed
    //! down and a small one is not: the direction changes, as it does when each number is clipped. That can be what
    //! one wants, but it is another method.
    //!
    //! The usual mistake is to call a function that clips one tensor in a loop over the parameters.

    // ANCHOR: solution
    /// The factor of each tensor, whose gradients have these lengths.
    pub fn factors(lengths: &[f64], limit: f64) -> Vec<f64> {
        let length = lengths.iter().map(|l| l * l).sum::<f64>().sqrt();
        let factor = if length > limit { limit / length } else { 1.0 };
        vec![factor; lengths.len()]
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use layers::prelude::*;
    use optim::optimizers::{Clip, Optim};

    /// How far the weights and the bias of a layer move in a step of rate 1.
    fn moved(weights: [f64; 2], bias: f64, limit: f64) -> [f64; 3] {
        let dev = Cpu::default();
        let mut model = dev.build_module::<Linear<2, 1>, f64>();
        (model.weight, model.bias) = (dev.zeros(), dev.zeros());
        let rule = SgdConfig { learning_rate: 1.0, ..Default::default() };
        let mut sgd = Optim::try_new(&model, rule).unwrap().clip(Clip::GlobalNorm(limit)).unwrap();
        let mut gradients = Gradients::leaky();
        gradients.get_or_alloc_mut(&model.weight).unwrap().copy_from_slice(&weights);
        gradients.get_or_alloc_mut(&model.bias).unwrap()[0] = bias;
        sgd.step(&mut model, &mut gradients).unwrap();
        [-model.weight.array()[0][0], -model.weight.array()[0][1], -model.bias.array()[0]]
    }

    fn check(factors: fn(&[f64], f64) -> Vec<f64>) {
        for limit in [1.0, 6.5, 12.5, 20.0] {
            let factors = factors(&[5.0, 12.0], limit);
            let want = moved([3.0, -4.0], 12.0, limit);
            let got = [3.0 * factors[0], -4.0 * factors[0], 12.0 * factors[1]];
            for (got, want) in got.into_iter().zip(want) {
                assert!((got - want).abs() < 1e-5, "limit {limit}: {got}, the step is {want}");
            }
        }
    }

    #[test]
    fn solution_keeps_the_direction() {
        check(super::solution::factors);
    }

    #[test]
    #[should_panic = "the length of 2 tensors"]
    fn task_is_open() {
        check(super::task::factors);
    }

    #[test]
    #[should_panic = "limit 1: "]
    fn tensor_by_tensor_it_turns() {
        check(|lengths, limit| lengths.iter().map(|l| (limit / l).min(1.0)).collect());
    }
}
