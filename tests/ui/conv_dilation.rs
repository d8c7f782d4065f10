//! Three taps that are four pixels apart span nine: more than eight pixels have room for.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, Steps, conv2d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 3, 8, 8>, f32, _> = dev.zeros();
    let weight: Tensor<Rank4<8, 3, 3, 3>, f32, _> = dev.zeros();
    conv2d(x, &weight, None, Convolution::square(Steps::<1, 0, 4>));
}
