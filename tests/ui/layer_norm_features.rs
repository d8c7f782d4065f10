//! The parameters of layer normalisation are those of the last axis.
use dfdx::prelude::*;
use kernels::layer_norm;

fn main() {
    let dev = Cpu::default();
    let (weight, bias): (Tensor<Rank1<5>, f32, _>, _) = (dev.ones(), dev.zeros());
    let x: Tensor<Rank3<2, 5, 4>, f32, _> = dev.zeros();
    layer_norm(x, &weight, &bias, 1e-5);
}
