//! Output padding is less than the stride: it chooses among the sizes that the stride maps to one.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, OutputPadding, Steps, conv_transpose2d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 8, 4, 4>, f32, _> = dev.zeros();
    let weight: Tensor<Rank4<8, 3, 3, 3>, f32, _> = dev.zeros();
    let up = Convolution::square(Steps::<2, 1>);
    conv_transpose2d(x, &weight, None, up, OutputPadding::<2, 2>);
}
