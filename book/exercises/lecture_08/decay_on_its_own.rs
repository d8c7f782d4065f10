//! # Decay on its own
//!
//! *By hand, then in code.* A weight has gradients of $+g$ and $-g$ in turn, which say nothing about where it should
//! go. A weight decay of $\lambda$ is to bring it to 0. How much of it is left after $T$ steps of rate $\eta$
//!
//! 1. with AdamW, which shrinks the weight beside the step, and
//! 2. with Adam and an L2 penalty, which adds $\lambda w$, small against $g$, to the gradient?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// What is left of the weight (with AdamW, with Adam and a penalty).
    pub fn left(rate: f64, decay: f64, gradient: f64, steps: f64) -> (f64, f64) {
        todo!("what does Adam divide the penalty's gradient by?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! AdamW multiplies by $1 - \eta\lambda$ in every step. With the penalty the mean of the gradient is $\lambda w$
    //! and its root mean square is $g$, so a step moves by $\eta\lambda w/g$: what is left is
    //! $(1 - \eta\lambda/g)^T$. Weights with large gradients are hardly regularised, those with small ones strongly,
    //! and $\lambda$ means something else in every layer. Note that AdamW's shrinking depends on $\eta T$: a run
    //! twice as long decays twice as much, unless $\lambda$ falls with its length. (AdamWR lets it fall with the root.)
    //!
    //! The usual mistake is to move a $\lambda$ from one of the two to the other.

    // ANCHOR: solution
    /// What is left of the weight (with AdamW, with Adam and a penalty).
    pub fn left(rate: f64, decay: f64, gradient: f64, steps: f64) -> (f64, f64) {
        ((1.0 - rate * decay).powf(steps), (1.0 - rate * decay / gradient).powf(steps))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{AdamConfig, AdamWConfig, Optim, Rule};

    /// Where a weight of 1 is after 20 000 steps with gradients of one size and alternating signs.
    fn ends<R: Rule>(rule: R, gradient: f64) -> f64 {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().ones();
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        for step in 0..20_000 {
            gradients.get_or_alloc_mut(&w).unwrap()[0] = if step % 2 == 0 { gradient } else { -gradient };
            optimizer.step(&mut w, &mut gradients).unwrap();
        }
        w.array()[0]
    }

    fn check(left: fn(f64, f64, f64, f64) -> (f64, f64)) {
        let (learning_rate, weight_decay) = (1e-3, 0.01);
        for gradient in [0.1, 1.0, 10.0] {
            let (beside, inside) = left(learning_rate, weight_decay, gradient, 20_000.0);
            let adam_w = ends(AdamWConfig { learning_rate, weight_decay, ..Default::default() }, gradient);
            assert!((beside - adam_w).abs() < 0.01, "g = {gradient}: AdamW leaves {adam_w}, not {beside}");
            let adam = ends(AdamConfig { learning_rate, weight_decay, ..Default::default() }, gradient);
            assert!((inside - adam).abs() < 0.01, "g = {gradient}: the penalty leaves {adam}, not {inside}");
        }
    }

    #[test]
    fn solution_is_what_is_left() {
        check(super::solution::left);
    }

    #[test]
    #[should_panic = "divide the penalty's gradient by"]
    fn task_is_open() {
        check(super::task::left);
    }

    #[test]
    #[should_panic = "g = 0.1: the penalty leaves"]
    fn one_decay_is_not_the_other() {
        check(|rate, decay, _, steps| {
            let left = (1.0 - rate * decay).powf(steps);
            (left, left)
        });
    }
}
