//! Points have distances only in a common space.
use dfdx::prelude::*;

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank2<10, 3>, f32, _> = dev.zeros();
    let y: Tensor<Rank2<20, 4>, f32, _> = dev.zeros();
    kernels::squared_distances(x, y);
}
