//! An optimiser made for single precision does not step a model in double precision.
use dfdx::prelude::*;
use optim::layers::Step;
use optim::optimizers::{Adam, AdamConfig};

fn main() {
    let dev = Cpu::default();
    let single: Tensor<Rank1<3>, f32, _> = dev.zeros();
    let mut double: Tensor<Rank1<3>, f64, _> = dev.zeros();
    let mut adam = Adam::try_new(&single, AdamConfig::default()).unwrap();
    let mut gradients = double.leaky_trace().square().sum().backward();
    adam.step(&mut double, &mut gradients).unwrap();
}
