//! A pooling window of 3 × 3 does not fit an image of 2 × 2.
use dfdx::prelude::*;
use kernels::{max_pool2d, pooling::Floor};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 1, 2, 2>, f32, _> = dev.zeros();
    max_pool2d(x, Floor::<3, 1>);
}
