//! A matrix product needs as many columns on the left as rows on the right.
use dfdx::prelude::*;

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank2<2, 3>, f32, _> = dev.zeros();
    let y: Tensor<Rank2<4, 5>, f32, _> = dev.zeros();
    kernels::matmul(x, y);
}
