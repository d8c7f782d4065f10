//! # As far at any depth
//!
//! *By hand, then in code.* A residual network without normalisation, reduced to numbers:
//! $f(x) = x\,\bigl(1 + \sum_{l=1}^{L} w_{l1}w_{l2}\cdots w_{lm}\bigr)$, $L$ branches of $m$ weights. Let the last
//! weight of each branch start at 0 and all others at $s$. By how much does $f$ change in the first step of gradient
//! descent with the rate $\eta$, if the slope of the loss by $f$ is $g$? Choose $s$ such that this does not depend on $L$,
//! with $s = 1$ for a single branch.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// s for so many branches of so many weights, at least two.
    pub fn scale(branches: usize, weights: usize) -> f64 {
        todo!("the slope of f by one last weight, and how many of them there are")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Only the last weights move: every other slope has a factor 0. With
    //! $g = \partial\ell/\partial f$ a last weight moves by $-\eta g x s^{m-1}$ and changes $f$ by $x s^{m-1}$ times
    //! that. All $L$ together change $f$ by $-\eta g x^2 L s^{2m-2}$, so $s = L^{-1/(2m-2)}$: the rule of Fixup.
    //!
    //! The usual mistake is $L^{-1/2}$, the factor that keeps the *sum* of $L$ independent branches at one size. That is
    //! a condition on the values, and agrees with the one on the step for $m = 2$ alone; with three layers in a branch
    //! it makes deep networks slow.

    // ANCHOR: solution
    /// s for so many branches of so many weights, at least two.
    pub fn scale(branches: usize, weights: usize) -> f64 {
        (branches as f64).powf(-1.0 / (2.0 * weights as f64 - 2.0))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::architecture::fixup::branch_scale;

    /// How far f(1) goes in one step of descent on (f - 2)²/2 with rate 0.01, on the tape.
    fn moved(branches: usize, weights: usize, scale: f64) -> f64 {
        let dev = Cpu::default();
        let start = |layer: usize| vec![if layer + 1 == weights { 0.0 } else { scale }; branches];
        let layers: Vec<Tensor<(usize,), f64, Cpu>> =
            (0..weights).map(|layer| dev.tensor_from_vec(start(layer), (branches,))).collect();
        let mut product = layers[0].leaky_trace();
        for layer in &layers[1..] {
            product = product * layer.leaky_trace();
        }
        let f = product.sum::<Rank0, _>() + 1.0;
        let gradients = ((f - 2.0).square() * 0.5).backward();
        let stepped = |layer: &Tensor<(usize,), f64, Cpu>| {
            let slopes = gradients.get(layer).as_vec();
            layer.as_vec().iter().zip(slopes).map(|(w, g)| w - 0.01 * g).collect::<Vec<_>>()
        };
        let after: Vec<Vec<f64>> = layers.iter().map(stepped).collect();
        (0..branches).map(|l| after.iter().map(|layer| layer[l]).product::<f64>()).sum()
    }

    fn check(scale: fn(usize, usize) -> f64) {
        for weights in [2, 3, 4] {
            for branches in [1, 4, 64] {
                let s = scale(branches, weights);
                let step = moved(branches, weights, s);
                assert!((step - 0.01).abs() < 1e-10, "{branches} branches of {weights}: f moves by {step}");
                assert!((s - branch_scale(branches, weights).unwrap()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn solution_moves_as_far_at_any_depth() {
        check(super::solution::scale);
    }

    #[test]
    #[should_panic = "how many of them there are"]
    fn task_is_open() {
        check(super::task::scale);
    }

    #[test]
    #[should_panic = "4 branches of 3"]
    fn a_sum_of_one_size_moves_too_little() {
        check(|branches, _| (branches as f64).powf(-0.5));
    }
}
