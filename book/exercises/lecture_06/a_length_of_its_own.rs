//! # A length of its own
//!
//! *By hand, then in code.* With batch normalisation behind it the loss does not change with the length of $w$. So its
//! gradient $g$ is orthogonal to $w$ and has the length $G/\lVert w\rVert$, where $G$ is its length at
//! $\lVert w\rVert = 1$; take $G$ for the same in all directions. With the rate $\eta$ and weight decay $\lambda$ a step
//! is $w \leftarrow (1 - \eta\lambda)w - \eta g$. Decay cannot regularise a function that does not see it; what does it
//! do? Find the length at which a step leaves $\lVert w\rVert$ as it is.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The length that steps of descent with decay keep; `gradient` is G.
    pub fn length(rate: f64, decay: f64, gradient: f64) -> f64 {
        todo!("Pythagoras")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The two parts of a step are orthogonal:
    //! $\lVert w\rVert^2 = (1 - \eta\lambda)^2\lVert w\rVert^2 + \eta^2 G^2/\lVert w\rVert^2$, so
    //! $\lVert w\rVert^4 = \eta^2G^2/(1 - (1 - \eta\lambda)^2) \approx \eta G^2/(2\lambda)$. At that length each step
    //! turns $w$ by an angle of about $\sqrt{2\eta\lambda}$, whatever $G$ is: rate and decay together set the speed
    //! of learning, and nothing else. Without decay the length only grows, and the turning dies away.
    //!
    //! The usual mistake is to forget that the gradient shrinks with the length, which makes it a square instead of a
    //! fourth power.

    // ANCHOR: solution
    /// The length that steps of descent with decay keep; `gradient` is G.
    pub fn length(rate: f64, decay: f64, gradient: f64) -> f64 {
        let kept = 1.0 - rate * decay;
        (rate * gradient).sqrt() / (1.0 - kept * kept).powf(0.25)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    /// Where 4000 steps from this length end, with a gradient of length G over that of w across w.
    fn walked(rate: f64, decay: f64, gradient: f64, start: f64) -> f64 {
        let mut w = [start, 0.0];
        for _ in 0..4000 {
            let square = w[0] * w[0] + w[1] * w[1];
            let across = [-w[1] * gradient / square, w[0] * gradient / square];
            w = std::array::from_fn(|i| (1.0 - rate * decay) * w[i] - rate * across[i]);
        }
        w[0].hypot(w[1])
    }

    fn check(length: fn(f64, f64, f64) -> f64) {
        for (rate, decay, gradient) in [(0.1, 0.1, 1.0), (0.5, 0.02, 3.0), (0.01, 5.0, 0.2)] {
            let got = length(rate, decay, gradient);
            for start in [0.2 * got, 3.0 * got] {
                let want = walked(rate, decay, gradient, start);
                assert!((got / want - 1.0).abs() < 1e-9, "a length of {got}, the steps keep {want}");
            }
        }
    }

    #[test]
    fn solution_is_where_the_steps_end() {
        check(super::solution::length);
    }

    /// What the exercise assumes, for a batch through a normalisation.
    #[test]
    fn gradients_are_across_and_shrink() {
        let dev = Cpu::seed_from_u64(1);
        let x: Tensor<Rank2<3, 8>, f64, _> = dev.sample_normal();
        let targets: Tensor<Rank1<8>, f64, _> = dev.sample_normal();
        let gradient = |w: [f64; 3]| -> [f64; 3] {
            let w = dev.tensor(w);
            let votes = w.leaky_trace().matmul(x.clone()).normalize::<Axis<0>>(0.0);
            (votes - targets.clone()).square().mean().backward().get(&w).array()
        };
        let (one, two) = (gradient([0.3, -0.2, 0.9]), gradient([0.6, -0.4, 1.8]));
        assert!((0.3 * one[0] - 0.2 * one[1] + 0.9 * one[2]).abs() < 1e-14);
        assert!(one.iter().zip(two).all(|(one, two)| (one - 2.0 * two).abs() < 1e-14));
        assert!(one.iter().any(|g| g.abs() > 0.01));
    }

    #[test]
    #[should_panic = "Pythagoras"]
    fn task_is_open() {
        check(super::task::length);
    }

    #[test]
    #[should_panic = "the steps keep"]
    fn the_gradient_shrinks_with_the_length() {
        check(|rate, decay, gradient| rate * gradient / (1.0 - (1.0 - rate * decay).powi(2)).sqrt());
    }
}
