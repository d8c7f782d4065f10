//! A vector on the right of a matrix needs one element per column.
use dfdx::prelude::*;

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank2<2, 3>, f32, _> = dev.zeros();
    let y: Tensor<Rank1<2>, f32, _> = dev.zeros();
    kernels::matmul(x, y);
}
