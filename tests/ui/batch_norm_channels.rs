//! Batch normalisation of four channels does not take images of three.
use dfdx::prelude::*;
use kernels::{batch_norm, Relu};

fn main() {
    let dev = Cpu::default();
    let (weight, bias): (Tensor<Rank1<4>, f32, _>, _) = (dev.ones(), dev.zeros());
    let x: Tensor<Rank4<2, 3, 8, 8>, f32, _> = dev.zeros();
    batch_norm(x, &weight, &bias, 1e-5, Relu);
}
