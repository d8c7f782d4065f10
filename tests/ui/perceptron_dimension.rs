//! A perceptron of two inputs does not read three.
use nalgebra::vector;
use optim::perceptron::Perceptron;

fn main() {
    let perceptron = Perceptron::new([1.0, -1.0], 0.5);
    perceptron.predict(&vector![1.0, 2.0, 3.0]);
}
