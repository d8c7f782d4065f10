//! Lecture 14: networks that look at neighbouring pixels first.
//!
//! | I need | here |
//! |---|---|
//! | LeNet-5 of 1998 and of today, Nielsen's ladder | [`lenet`] |
//! | VGG | [`vgg`] |
//! | GoogLeNet, Inception v3, v4, Inception-ResNet-v2 and their blocks | [`inception`] |
//! | residual networks: ImageNet's, CIFAR's, plain twins, pre-activation, groups | [`resnet`] |
//! | U-Net | [`unet`] |
//! | border weights, tiles, elastic deformation, metrics of cells | [`segmentation`] |
//! | why a network said so | [`explain`] |
//! | what an output sees | [`receptive_field`] |
//! | sums, scaled sums, skips, auxiliary heads | [`blocks`] |
//! | published counts, asserted by the compiler | [`counts`] |
//!
//! Networks are types: tuples of `layers`' modules. Images are `(B, C, H, W)`; heights and widths may be `Const`, and
//! then the compiler checks the network, or `usize`.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod blocks;
pub mod counts;
pub mod explain;
pub mod inception;
pub mod lenet;
pub mod receptive_field;
pub mod resnet;
pub mod segmentation;
pub mod unet;
pub mod vgg;
