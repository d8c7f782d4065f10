//! A dilated window of a sequence must fit it.
use dfdx::prelude::*;
use kernels::convolution::{Convolution, Steps, conv1d};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank3<1, 2, 8>, f32, _> = dev.zeros();
    let weight: Tensor<Rank3<4, 2, 3>, f32, _> = dev.zeros();
    conv1d(x, &weight, None, Convolution::line(Steps::<1, 0, 4>));
}
