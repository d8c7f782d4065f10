//! The kernels have bodies for f32 and f64 and no other type.
use dfdx::prelude::*;
use kernels::{activate, Tanh};

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank1<3>, u8, _> = dev.zeros();
    activate(x, Tanh);
}
