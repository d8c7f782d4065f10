//! # A network on a budget
//!
//! Design a network for the small digits (1 channel of 8 × 8 pixels, 10 classes) with at most 10,000 parameters and
//! 100,000 multiply-adds that has at least one convolution and whose outputs see the whole image. *Open:* train it, and
//! reach 96 of 100 digits on a random split.

/// What is to be written.
pub mod task {
    use optim::architecture::count::Network;

    // ANCHOR: task
    /// The design.
    pub fn design() -> Network {
        todo!("which layer takes most of the budget?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Sixteen 3 × 3 windows at full resolution make 9216 multiply-adds; a second convolution with stride 2 from 16 to 24
    //! channels makes 55,296 and has 3480 parameters; the flattened 24 × 4 × 4 values into ten outputs make 3840 more.
    //!
    //! The usual mistake is to put a hidden layer behind the flattened image: 384 · 64 weights are more than twice the
    //! whole budget.

    use optim::architecture::count::{Layer, Network, Size, Window};

    // ANCHOR: solution
    /// The design.
    pub fn design() -> Network {
        let window = |stride| Window::new(3, stride, 1);
        let conv = |out, stride| Layer::Conv { out, window: window(stride), groups: 1, bias: true };
        let layers = vec![
            conv(16, 1),
            Layer::Activation,
            conv(24, 2),
            Layer::Activation,
            Layer::Flatten,
            Layer::Dense { out: 10, bias: true },
        ];
        Network { name: "ten thousand weights", input: Size::Image(1, 8, 8), layers }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::architecture::count::{Layer, Network, Size};

    fn check(design: fn() -> Network) {
        let network = design();
        let cost = network.cost().unwrap();
        assert_eq!((network.input, network.output().unwrap()), (Size::Image(1, 8, 8), Size::Vector(10)));
        assert!(network.layers.iter().any(|layer| matches!(layer, Layer::Conv { .. })));
        assert!(cost.parameters <= 10_000 && cost.macs <= 100_000, "{cost:?}");
        assert!(cost.receptive_field >= 8);
    }

    #[test]
    fn solution_keeps_the_budget() {
        check(super::solution::design);
    }

    #[test]
    #[should_panic = "parameters: "]
    fn a_hidden_layer_breaks_the_budget() {
        check(|| {
            let mut network = super::solution::design();
            network.layers.insert(5, Layer::Dense { out: 64, bias: true });
            network
        });
    }

    #[test]
    #[should_panic = "which layer"]
    fn task_is_open() {
        check(super::task::design);
    }
}
