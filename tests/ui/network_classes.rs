//! A network with ten outputs does not learn from examples with four.
use nalgebra::{vector, SVector};
use optim::nielsen::{Example, Gradient, Network};

fn gradient(network: &Network<2, 3, 10>) -> Gradient<2, 3, 10> {
    let mut sum = Gradient::zeros();
    let example = Example { x: vector![0.0, 1.0], y: SVector::<f64, 4>::zeros() };
    network.backprop(&example, &mut sum);
    sum
}

fn main() {}
