//! Lecture 14: networks that look at neighbouring pixels first.
//!
//! | I need | here |
//! |---|---|
//! | LeNet-5 of 1998 and of today, Nielsen's ladder | [`lenet`] |
//! | VGG | [`vgg`] |
//! | GoogLeNet, Inception v3, v4, Inception-ResNet v1 and v2, and their blocks | [`inception`] |
//! | residual networks: ImageNet's, CIFAR's, plain twins, pre-activation, groups | [`resnet`] |
//! | U-Net | [`unet`] |
//! | border weights, tiles, elastic deformation, metrics of cells | [`segmentation`] |
//! | parts and holes of a segmentation | [`topology`] |
//! | why a network said so | [`explain`] |
//! | a network that reads digits or clothes at once (feature `pretrained`) | `pretrained` |
//! | what a unit looks for: its favourite image, its favourite images of many, its filters | [`features`] |
//! | weights of torchvision | [`torchvision`] |
//! | GoogLeNet and Inception v3 that run with those weights | [`slim`] |
//! | a picture as the weights expect it | [`preprocess`] |
//! | a network without its normalisations, for use | [`folding`] |
//! | what an output sees | [`receptive_field`] |
//! | an opponent without layers | [`support_vectors`] |
//! | sums, scaled sums, skips, auxiliary heads | [`blocks`], [`wide`] |
//! | published counts, asserted by the compiler | [`counts`] |
//!
//! Networks are types: tuples of `layers`' modules. Images are `(B, C, H, W)`; heights and widths may be `Const`, and
//! then the compiler checks the network, or `usize`.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod blocks;
pub mod counts;
#[cfg(feature = "experiments")]
pub mod experiments;
pub mod explain;
pub mod features;
pub mod folding;
pub mod inception;
pub mod lenet;
pub mod preprocess;
#[cfg(feature = "pretrained")]
pub mod pretrained;
pub mod receptive_field;
pub mod resnet;
pub mod segmentation;
pub mod slim;
pub mod support_vectors;
pub mod topology;
pub mod torchvision;
pub mod unet;
pub mod vgg;
pub mod wide;

/// What the networks are made of and trained with: modules, losses, optimisers, checkpoints.
pub use layers;

/// Networks by name, and what they are built and run with: `use convnets::prelude::*` needs no other crate.
///
/// ```
/// use convnets::prelude::*;
/// let dev = Cpu::default();
/// let model = dev.build_module::<LeNet5, f32>();
/// let logits: Tensor<Rank2<4, 10>, f32, _> = model.forward(dev.zeros::<Rank4<4, 1, 32, 32>>());
/// assert_eq!(ResNet18::<1000>::PLAN.totals_of([3, 224, 224]).params, 11_689_512);
/// ```
/// Training: `forward_mut`, a loss, a step. Dropout and batch normalisation act in it; `forward` is for use, with the
/// running means of the batches seen, which some twenty steps must have filled.
/// ```
/// use convnets::layers::losses::cross_entropy_mean;
/// use convnets::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<LeNet5, f32>();
/// let mut optimizer = Adam::try_new(&model, AdamConfig::default())?;
/// let (x, labels) = (dev.sample_normal::<Rank4<4, 1, 32, 32>>(), [3, 1, 4, 1]);
/// let mut losses = Vec::new();
/// for _ in 0..5 {
///     let loss = cross_entropy_mean(model.forward_mut(x.leaky_trace()), &labels);
///     losses.push(loss.array());
///     optimizer.step(&mut model, &mut loss.backward())?;
/// }
/// assert!(losses[4] < losses[0]);
/// # Ok::<(), convnets::layers::StepError>(())
/// ```
pub mod prelude {
    pub use crate::inception::GoogLeNet;
    pub use crate::lenet::LeNet5;
    pub use crate::resnet::{CifarResNet, ResNet18, ResNet34, ResNet50};
    pub use crate::unet::UNet;
    pub use crate::vgg::{Vgg16, VggMini};
    pub use layers::Planned;
    pub use layers::prelude::*;
}
