//! Six channels cannot be in four groups.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, Steps, conv2d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 6, 8, 8>, f32, _> = dev.zeros();
    let weight: Tensor<Rank4<8, 2, 3, 3>, f32, _> = dev.zeros();
    conv2d(x, &weight, None, Convolution::square(Steps::<1, 1>).in_groups::<4>());
}
