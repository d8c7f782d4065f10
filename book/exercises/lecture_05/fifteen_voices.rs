//! # Fifteen voices
//!
//! *By hand, then in code.* In Martens' sparse start every unit listens to $k = 15$ others, however many there are;
//! in a layer with fewer inputs, to all of them. Which standard deviation of these few weights carries a signal
//! through a deep network of rectifiers?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The deviation of each unit's `incoming` weights, for a layer with so many `inputs`.
    pub fn deviation(incoming: usize, inputs: usize) -> f64 {
        todo!("how many of the {inputs} inputs does a unit hear?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A vote has the variance $k\sigma^2 E a^2$: only the weights that are not 0 count. A rectifier leaves half of
    //! the mean square, so $\sigma = \sqrt{2/k}$, whatever the width is. With tanh and small votes it would be
    //! $\sqrt{1/k}$; Martens takes 1, which makes loud votes. The paper's reason for so few weights is that units which
    //! listen to few others differ from each other and are not saturated.
    //!
    //! The usual mistake is He's $\sqrt{2/n}$ with the number of inputs: with 15 of 300 a layer then loses nineteen
    //! twentieths of the mean square.

    // ANCHOR: solution
    /// The deviation of each unit's `incoming` weights, for a layer with so many `inputs`.
    pub fn deviation(incoming: usize, inputs: usize) -> f64 {
        (2.0 / incoming.min(inputs) as f64).sqrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use kernels::random::Key;
    use layers::prelude::*;
    use optim::sparse_start::sparse;

    fn check(deviation: fn(usize, usize) -> f64) {
        let dev = Cpu::seed_from_u64(11);
        let mut layer = dev.build_module::<Linear<300, 300, Relu>, f64>();
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let mut x: Tensor<Rank2<16, 300>, f64, _> = dev.sample_normal();
        let start = square(&x.as_vec());
        for depth in 1..=4 {
            sparse(&mut layer, 15, deviation(15, 300), Key::new(depth)).unwrap();
            x = layer.forward(x);
            let left = square(&x.as_vec()) / start;
            assert!((0.5..2.0).contains(&left), "depth {depth}: {left} of the mean square is left");
        }
        // A layer narrower than that hears all it has.
        assert!((deviation(15, 8) - 0.5).abs() < 1e-12, "8 inputs: {}", deviation(15, 8));
    }

    #[test]
    fn solution_carries_through() {
        check(super::solution::deviation);
    }

    #[test]
    #[should_panic = "of the 300 inputs"]
    fn task_is_open() {
        check(super::task::deviation);
    }

    #[test]
    #[should_panic = "depth 1: "]
    fn the_rule_of_he_counts_silent_inputs() {
        check(|_, inputs| (2.0 / inputs as f64).sqrt());
    }
}
