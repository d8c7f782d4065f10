//! An axis of four has three positions to mirror at each side.
use dfdx::prelude::*;
use kernels::{pad2d, resampling::Reflection};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 3, 8, 4>, f32, _> = dev.zeros();
    pad2d(x, Reflection::<4, 4, 4, 4>);
}
