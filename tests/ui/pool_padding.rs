//! A pooling window may be padded by half its size, no more.
use dfdx::prelude::*;
use kernels::{avg_pool2d, pooling::Floor, CountPadding};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 1, 8, 8>, f32, _> = dev.zeros();
    avg_pool2d(x, Floor::<2, 2, 2>, CountPadding::Included);
}
