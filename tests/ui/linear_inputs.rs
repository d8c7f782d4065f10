//! The width of a batch must be the number of inputs of the weights.
use dfdx::prelude::*;
use kernels::{linear, InputGradient, Tanh};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank2<8, 3>, f32, _> = dev.zeros();
    let weight: Tensor<Rank2<5, 4>, f32, _> = dev.zeros();
    let bias: Tensor<Rank1<5>, f32, _> = dev.zeros();
    linear(x, &weight, &bias, Tanh, InputGradient::Needed);
}
