//! A loss compares tensors of one shape.
use dfdx::prelude::*;
use kernels::mse_mean;

fn main() {
    let dev = Cpu::default();
    let y: Tensor<Rank2<8, 3>, f32, _> = dev.zeros();
    let target: Tensor<Rank2<8, 2>, f32, _> = dev.zeros();
    mse_mean(y, target);
}
