//! # The start for another activation
//!
//! *Open in its second part.* Find the weight variance with which a wide network with GELU keeps the mean square of its
//! votes at $q = 1$, without biases. Then look whether the same variance keeps gradients ($\chi = 1$), and whether
//! $q = 1$ is stable: start at $q = 2$ and apply the map many times. What does that say about very deep GELU networks
//! without normalisation?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The weight variance times the number of inputs with which q = 1 stays 1.
    pub fn keeps_one() -> f64 {
        todo!("use optim::mean_field::moments")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $q = \sigma_w^2 E\,\varphi^2$ gives $\sigma_w^2 = 1/E\,\varphi(\xi)^2 \approx 2.35$. There
    //! $\chi = E\,\varphi'^2/E\,\varphi^2 \approx 1.07$: *squared* gradients grow by 7 % per layer. And $q = 1$ is
    //! not stable: GELU is close to a rectifier for large votes, which leaves half of the mean square, and close to
    //! one half of the identity for small ones, which leaves a quarter. So a larger $q$ grows and a smaller one
    //! shrinks. That is one reason why deep networks with it have normalisation layers.
    //!
    //! The usual mistake is to take He's 2 because GELU looks like a rectifier.

    use optim::mean_field::moments;

    // ANCHOR: solution
    /// The weight variance times the number of inputs with which q = 1 stays 1.
    pub fn keeps_one() -> f64 {
        let moments = moments(kernels::Gelu, 1.0).expect("1 is a legal variance");
        1.0 / moments.second
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::mean_field::MeanField;

    fn check(keeps_one: fn() -> f64) {
        let field = MeanField { activation: kernels::Gelu, weight_variance: keeps_one(), bias_variance: 0.0 };
        assert!((field.q_map(1.0).unwrap() - 1.0).abs() < 1e-9);
        assert!(field.depth(2.0, 30).unwrap()[29] > 3.0, "q = 1 is not stable");
        assert!(field.chi(1.0).unwrap() > 1.05);
    }

    #[test]
    fn solution_keeps_one() {
        check(super::solution::keeps_one);
    }

    #[test]
    #[should_panic = "field.q_map(1.0)"]
    fn the_two_of_he_is_not_enough() {
        check(|| 2.0);
    }

    #[test]
    #[should_panic = "mean_field"]
    fn task_is_open() {
        check(super::task::keeps_one);
    }
}
