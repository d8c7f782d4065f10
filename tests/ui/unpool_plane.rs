//! Unpooling leads back to planes of the size before pooling, not to others.
use dfdx::prelude::*;
use kernels::{max_pool2d, max_unpool2d, pooling::Floor};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 1, 5, 5>, f32, _> = dev.zeros();
    let pooled = max_pool2d(x, Floor::<2, 2>);
    let _back: Tensor<Rank4<1, 1, 4, 4>, f32, _> = max_unpool2d(pooled.output, &pooled.indices);
}
