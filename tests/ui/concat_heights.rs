//! Channels of images of different heights cannot stand behind each other.
use dfdx::prelude::*;
use kernels::concat_channels;

fn main() {
    let dev = Cpu::default();
    let x: Tensor<Rank4<2, 3, 8, 8>, f32, _> = dev.zeros();
    let y: Tensor<Rank4<2, 5, 7, 8>, f32, _> = dev.zeros();
    concat_channels(x, y);
}
