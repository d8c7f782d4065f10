//! A window of five taps does not fit four pixels that nothing surrounds.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, Steps, conv2d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 3, 4, 4>, f32, _> = dev.zeros();
    let weight: Tensor<Rank4<8, 3, 5, 5>, f32, _> = dev.zeros();
    conv2d(x, &weight, None, Convolution::square(Steps::<1>));
}
