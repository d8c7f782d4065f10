//! Batches of matrices are multiplied entry by entry, so both need as many entries.
use dfdx::prelude::*;

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank3<8, 2, 3>, f32, _> = dev.zeros();
    let y: Tensor<Rank3<7, 3, 5>, f32, _> = dev.zeros();
    kernels::matmul(x, y);
}
