//! Bottlenecks with the paper's strides, in the first 1×1 of a stage, at the depths that the crate does not have them for.
use convnets::blocks::Block;
use convnets::resnet::{Bottleneck, BottleneckProjected, Conv1, Conv3, Head, Projection, Stem};
use layers::prelude::*;

type Branch<const I: usize, const W: usize, const O: usize> = (
    (Conv1<I, W, 2>, BatchNorm2D<W, Relu>),
    (Conv3<W, W>, BatchNorm2D<W, Relu>),
    (Conv1<W, O>, BatchNorm2D<O>),
);
type Stage<const I: usize, const W: usize, const O: usize, const N: usize> =
    (Block<Branch<I, W, O>, Projection<I, O, 2>, Relu>, Repeated<Bottleneck<W, O>, N>);
/// `A` to `D` blocks whose shape stays follow the first of each stage.
pub type Original<const A: usize, const B: usize, const C: usize, const D: usize> = (
    Stem,
    (BottleneckProjected<64, 64, 256, 1>, Repeated<Bottleneck<64, 256>, A>),
    Stage<256, 128, 512, B>,
    Stage<512, 256, 1024, C>,
    Stage<1024, 512, 2048, D>,
    Head<2048, 1000>,
);
/// 101 layers.
pub type ResNet101Original = Original<2, 3, 22, 2>;
/// 152 layers.
pub type ResNet152Original = Original<2, 7, 35, 2>;
