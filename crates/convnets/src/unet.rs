//! U-Net: down to see context, up to say where, with what was seen on the way down at each level's side.
//!
//! Each level has two 3×3 convolutions without padding, so every output is computed from real pixels only; a map loses
//! four rows and columns per level and way. The map of the way down is cut to the size of the one that comes up
//! ([`Skip`]).
//!
//! | type | levels | parameters |
//! |---|---|---|
//! | [`UNet`] | 4, widths 64 to 1024 | 31,030,658 for 1 channel and 2 classes |
//! | [`UNetDropout`] | the same, dropout ½ at the end of the way down | 31,030,658 |
//! | [`SmallUNet`], [`SmallUNetDropout`] | 2, widths 8, 16, 32 | 29,330 |
//!
//! **Paper**: Ronneberger, Fischer & Brox (2015), U-Net: Convolutional networks for biomedical image segmentation, arXiv
//! 1505.04597. The paper drops out "at the end of the contracting path" (section 3.1) and does not say how much or
//! where: here half of the numbers that leave the lowest level. **Deviation**: the paper's loss lacks a minus sign (it is
//! $-\sum_x w(x) \log p(x)$ that is minimised).
use crate::blocks::Skip;
use layers::dropout::Dropout;
use layers::prelude::*;

/// A 3×3 convolution without padding, and a ReLU.
pub type Conv3<const I: usize, const O: usize> = Conv2D<I, O, 3, 1, 0, 1, Relu>;
/// The lowest level.
pub type Bottom<const I: usize, const O: usize> = (Conv3<I, O>, Conv3<O, O>);
/// The lowest level with dropout behind it: in training each of its numbers is 0 or twice itself.
///
/// ```
/// use convnets::unet::BottomDropout;
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut bottom = dev.build_module::<BottomDropout<1, 4>, f32>();
/// let x: Tensor<Rank4<1, 1, 8, 8>, f32, _> = dev.sample_uniform();
/// let (kept, dropped) = (bottom.forward(x.clone()).as_vec(), bottom.forward_mut(x).as_vec());
/// assert!(kept.iter().zip(&dropped).all(|(kept, dropped)| *dropped == 0.0 || *dropped == 2.0 * kept));
/// ```
pub type BottomDropout<const I: usize, const O: usize> = (Conv3<I, O>, Conv3<O, O>, Dropout);
// ANCHOR: level
/// A level from `I` to `O` channels over `Below`, which has `O2` = 2 `O` channels.
pub type Level<const I: usize, const O: usize, const O2: usize, Below> = (
    (Conv3<I, O>, Conv3<O, O>),
    Skip<(MaxPool2D<2, 2>, Below, ConvTranspose2D<O2, O, 2, 2>)>,
    (Conv3<O2, O>, Conv3<O, O>),
);
// ANCHOR_END: level

/// The network of the paper, for `I` channels and `K` classes: 572×572 pixels give 388×388.
pub type UNet<const I: usize = 1, const K: usize = 2> = (
    Level<I, 64, 128, Level<64, 128, 256, Level<128, 256, 512, Level<256, 512, 1024, Bottom<512, 1024>>>>>,
    Conv2D<64, K, 1>,
);
/// [`UNet`] with dropout at the end of the way down.
pub type UNetDropout<const I: usize = 1, const K: usize = 2> = (
    Level<
        I,
        64,
        128,
        Level<64, 128, 256, Level<128, 256, 512, Level<256, 512, 1024, BottomDropout<512, 1024>>>>,
    >,
    Conv2D<64, K, 1>,
);
/// Two levels of widths `A`, `B` = 2 `A`, `C` = 2 `B`: 104×104 pixels give 64×64.
pub type UNet2<const I: usize, const A: usize, const B: usize, const C: usize, const K: usize> =
    (Level<I, A, B, Level<A, B, C, Bottom<B, C>>>, Conv2D<A, K, 1>);
/// [`UNet2`] of widths 8, 16, 32 for grey images and two classes.
pub type SmallUNet = UNet2<1, 8, 16, 32, 2>;
/// [`SmallUNet`] with dropout at the end of the way down.
pub type SmallUNetDropout = (Level<1, 8, 16, Level<8, 16, 32, BottomDropout<16, 32>>>, Conv2D<8, 2, 1>);

/// Why an image does not fit a U-Net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// Some level would halve an odd map, or nothing would be left.
    #[error("{size} pixels do not fit {depth} levels: take {below} or {above}, or tiles")]
    Size {
        /// Pixels of a side.
        size: usize,
        /// Levels.
        depth: u32,
        /// The largest that fits below, 0 if none does.
        below: usize,
        /// The smallest that fits above.
        above: usize,
    },
}

/// Pixels of a side that are lost between input and output: $12 \cdot 2^d - 8$ for $d$ levels.
///
/// Two convolutions cost 4 pixels of their own level, which are $4 \cdot 2^l$ of the image: on the way down and up on
/// levels $0..d$, once at the bottom: $2 \cdot 4 (2^d - 1) + 4 \cdot 2^d$.
///
/// ```
/// assert_eq!((convnets::unet::margin(4), convnets::unet::margin(2)), (184, 40));
/// ```
pub const fn margin(depth: u32) -> usize {
    12 * (1 << depth) - 8
}

/// Pixels of the output for `size` pixels.
///
/// ```
/// assert_eq!(convnets::unet::output_size(572, 4), Ok(388));
/// let error = convnets::unet::output_size(512, 4).unwrap_err();
/// assert_eq!(error.to_string(), "512 pixels do not fit 4 levels: take 508 or 524, or tiles");
/// ```
///
/// # Errors
/// [`SizeError::Size`] unless `size` is $2^d m + 12 \cdot 2^d - 4$ for some $m \ge 0$.
pub fn output_size(size: usize, depth: u32) -> Result<usize, SizeError> {
    let step = 1_usize << depth;
    let least = margin(depth) + 4; // four pixels out: the bottom's output is one pixel, up and two convolutions
    if size >= least && (size - least).is_multiple_of(step) {
        return Ok(size - margin(depth));
    }
    let below = if size < least { 0 } else { least + (size - least) / step * step };
    let above = if size < least { least } else { below + step };
    Err(SizeError::Size { size, depth, below, above })
}
