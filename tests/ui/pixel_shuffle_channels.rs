//! Six channels do not make squares of 2 × 2 pixels.
use dfdx::prelude::*;
use kernels::pixel_shuffle;

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<1, 6, 8, 8>, f32, _> = dev.zeros();
    pixel_shuffle(x, Const::<2>);
}
