//! A bias has one number per output channel.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, Steps, conv2d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 3, 8, 8>, f32, _> = dev.zeros();
    let weight: Tensor<Rank4<8, 3, 3, 3>, f32, _> = dev.zeros();
    let bias: Tensor<Rank1<3>, f32, _> = dev.zeros();
    conv2d(x, &weight, Some(&bias), Convolution::square(Steps::<1, 1>));
}
