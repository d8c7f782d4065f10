//! A circle shows each position once at most beside the axis.
use dfdx::prelude::*;
use kernels::{pad2d, resampling::Circular};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 3, 8, 4>, f32, _> = dev.zeros();
    pad2d(x, Circular::<0, 0, 5, 0>);
}
