//! A padding of three removes all that three taps make of one pixel.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, OutputPadding, Steps, conv_transpose2d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 3, 1, 1>, f32, _> = dev.zeros();
    let weight: Tensor<Rank4<3, 8, 3, 3>, f32, _> = dev.zeros();
    conv_transpose2d(x, &weight, None, Convolution::square(Steps::<1, 3>), OutputPadding::<0, 0>);
}
