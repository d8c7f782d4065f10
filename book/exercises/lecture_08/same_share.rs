//! # The same share of every layer
//!
//! *By hand, then in code.* LARS scales the step of each tensor by $\tau\lVert w\rVert/\lVert g\rVert$. Without
//! momentum and decay, how long is its step for weights of length $\lVert w\rVert$ and a gradient of length
//! $\lVert g\rVert$? What about a layer that starts at 0, as the last one of a residual branch often does?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The length of the first step.
    pub fn length(rate: f64, trust: f64, weights: f64, gradient: f64) -> f64 {
        todo!("two cases")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\eta\tau\lVert w\rVert$: every tensor moves by the same share of itself, however large its gradient is, which
    //! is what keeps enormous batches with enormous rates stable. For $\lVert w\rVert = 0$ that would be 0 for ever,
    //! so implementations take the plain step $\eta g$ there, without $\tau$ (LAMB: a ratio of 1).
    //!
    //! The usual mistake is the formula without the exception: a layer that starts at 0 stays there, without any
    //! error. The exception has a price as well: its first step is $1/\tau$ times as long as one would expect.
    //! Exclude such tensors by a group.

    // ANCHOR: solution
    /// The length of the first step.
    pub fn length(rate: f64, trust: f64, weights: f64, gradient: f64) -> f64 {
        if weights > 0.0 && gradient > 0.0 { rate * trust * weights } else { rate * gradient }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{LarsConfig, Optim};

    fn moved(rate: f64, trust: f64, weights: f64, gradient: f64) -> f64 {
        let start = [0.6 * weights, 0.8 * weights];
        let mut w: Tensor<Rank1<2>, f64, Cpu> = Cpu::default().tensor(start);
        let rule = LarsConfig { learning_rate: rate, trust, momentum: 0.0, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        let slope = gradients.get_or_alloc_mut(&w).unwrap();
        (slope[0], slope[1]) = (-0.8 * gradient, 0.6 * gradient);
        optimizer.step(&mut w, &mut gradients).unwrap();
        (w.array()[0] - start[0]).hypot(w.array()[1] - start[1])
    }

    fn check(length: fn(f64, f64, f64, f64) -> f64) {
        for weights in [0.0, 0.5, 40.0] {
            for gradient in [1e-3, 1.0, 1e4] {
                let (got, want) = (length(0.3, 0.01, weights, gradient), moved(0.3, 0.01, weights, gradient));
                let name = format!("weights of {weights}, a gradient of {gradient}");
                assert!((got - want).abs() <= 1e-12 * want, "{name}: {got}, the rule moves {want}");
            }
        }
    }

    #[test]
    fn solution_is_as_long_as_the_step() {
        check(super::solution::length);
    }

    #[test]
    #[should_panic = "two cases"]
    fn task_is_open() {
        check(super::task::length);
    }

    #[test]
    #[should_panic = "weights of 0"]
    fn zeros_would_never_move() {
        check(|rate, trust, weights, _| rate * trust * weights);
    }
}
