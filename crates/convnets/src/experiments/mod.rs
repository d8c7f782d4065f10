//! The claims of lecture 14 as experiments: each is measured, judged and drawn by `cargo xtask run NAME`.
//!
//! | experiment | claim |
//! |---|---|
//! | [`ConvolutionCosts`] | what windows see, and what they cost |
//! | [`NetworkAtlas`] | the published networks in numbers, and a table that does not follow from its widths |
//! | [`FashionLadder`] | convolutions read clothes better than dense layers with more parameters |
//! | [`FullFashionLadder`] | whether they still do with sixty times as many images, for who has them |
//! | [`SmallDigits`] | what windows bring where an image has 64 pixels |
//! | [`MovedPictures`] | moves cost convolutions less than dense layers, and means of maps less again |
//! | [`PretrainedLenet`] | the networks in this crate beat the nearest neighbours, and rounding costs them nothing |
//! | [`DrawnCodes`] | distances from drawings, the output of 1998, read nearly as many digits as a softmax |
//! | [`FactorisedWindows`] | two windows of 3 × 3, or a row and a column, cost less than one of 5 × 5 and read as much |
//! | [`NielsenLadder`] | each of Nielsen's steps from dense to deep reads more digits |
//! | [`AuxiliaryHeads`] | heads bring gradients to the bottom where the start does not |
//! | [`NormalisedHeads`] | whether a head regularises a small network that is normalised |
//! | [`GradientsThroughDepth`] | what shortcuts do to gradients before the first step |
//! | [`ResidualDegradation`] | a deeper plain network trains worse, a residual one does not suffer so |
//! | [`ResidualPatience`] | whether depth pays after five times as many epochs |
//! | [`WideResiduals`] | how many wide residual networks a large learning rate loses, with whole and with scaled branches |
//! | [`ShortcutOptions`] | zeros or projections where the shape changes: both do |
//! | [`LabelSmoothing`] | smoothed labels stop the gap between logits where the formula says |
//! | [`UnetNuclei`] | weights on the borders keep touching cells apart |
//! | [`Checkerboard`] | which layers that enlarge a map write some places more often than others |
//! | [`ElasticDeformation`] | what bending the training picture brings |
//! | [`FavouritePictures`] | what LeNet's classes and maps like best |
//! | [`SaliencyMaps`] | which maps say something about the network, and which only about the image |
mod atlas;
mod checkerboard;
mod clothes;
mod costs;
mod deformation;
mod degradation;
mod depths;
mod drawings;
mod factors;
mod favourites;
mod full_ladder;
mod heads;
mod ladder;
mod moved;
mod normalised;
mod nuclei;
mod patience;
mod pretrained_lenet;
mod rungs;
mod saliency;
mod shortcuts;
mod small_digits;
mod smoothing;
mod widths;

pub use atlas::{NetworkAtlas, NetworkAtlasConfig, NetworkAtlasReport};
pub use checkerboard::{Checkerboard, CheckerboardConfig, CheckerboardReport};
pub use costs::{ConvolutionCosts, ConvolutionCostsConfig, ConvolutionCostsReport};
pub use deformation::{ElasticDeformation, ElasticDeformationConfig, ElasticDeformationReport};
pub use degradation::{ResidualDegradation, ResidualDegradationConfig, ResidualDegradationReport};
pub use depths::{GradientsThroughDepth, GradientsThroughDepthConfig, GradientsThroughDepthReport, SCALE};
pub use drawings::{DrawnCodes, DrawnCodesConfig, DrawnCodesReport};
pub use factors::{FactorisedWindows, FactorisedWindowsConfig, FactorisedWindowsReport};
pub use favourites::{FavouritePictures, FavouritePicturesConfig, FavouritePicturesReport};
pub use full_ladder::{FullFashionLadder, FullFashionLadderConfig, FullFashionLadderReport};
pub use heads::{AuxiliaryHeads, AuxiliaryHeadsConfig, AuxiliaryHeadsReport};
pub use ladder::{FashionLadder, FashionLadderConfig, FashionLadderReport, SHIFT};
pub use moved::{MovedPictures, MovedPicturesConfig, MovedPicturesReport, REACH};
pub use normalised::{Answers, NormalisedHeads, NormalisedHeadsConfig, NormalisedHeadsReport};
pub use nuclei::{UnetNuclei, UnetNucleiConfig, UnetNucleiReport};
pub use patience::{ResidualPatience, ResidualPatienceConfig, ResidualPatienceReport};
pub use pretrained_lenet::{PretrainedLenet, PretrainedLenetConfig, PretrainedLenetReport};
pub use rungs::{NielsenLadder, NielsenLadderConfig, NielsenLadderReport};
pub use saliency::{SaliencyMaps, SaliencyMapsConfig, SaliencyMapsReport};
pub use shortcuts::{ShortcutOptions, ShortcutOptionsConfig, ShortcutOptionsReport};
pub use small_digits::{SmallDigits, SmallDigitsConfig, SmallDigitsReport};
pub use smoothing::{LabelSmoothing, LabelSmoothingConfig, LabelSmoothingReport};
pub use widths::{WideResiduals, WideResidualsConfig, WideResidualsReport};

use lab::Tile;

/// The experiments of this unit.
pub fn experiments() -> Vec<lab::Entry> {
    vec![
        lab::entry::<ConvolutionCosts>(),
        lab::entry::<NetworkAtlas>(),
        lab::entry::<FashionLadder>(),
        lab::entry::<FullFashionLadder>(),
        lab::entry::<SmallDigits>(),
        lab::entry::<MovedPictures>(),
        lab::entry::<PretrainedLenet>(),
        lab::entry::<DrawnCodes>(),
        lab::entry::<FactorisedWindows>(),
        lab::entry::<NielsenLadder>(),
        lab::entry::<AuxiliaryHeads>(),
        lab::entry::<NormalisedHeads>(),
        lab::entry::<ResidualDegradation>(),
        lab::entry::<ResidualPatience>(),
        lab::entry::<WideResiduals>(),
        lab::entry::<ShortcutOptions>(),
        lab::entry::<GradientsThroughDepth>(),
        lab::entry::<LabelSmoothing>(),
        lab::entry::<UnetNuclei>(),
        lab::entry::<Checkerboard>(),
        lab::entry::<ElasticDeformation>(),
        lab::entry::<SaliencyMaps>(),
        lab::entry::<FavouritePictures>(),
    ]
}

/// A configuration error unless `value` is at least `least`.
fn at_least(field: &'static str, value: usize, least: usize) -> Result<(), lab::Error> {
    let rule = if least == 2 { "at least 2, to have a spread" } else { "at least 1" };
    if value >= least { Ok(()) } else { Err(lab::Error::Config { field, rule, value: value.to_string() }) }
}

/// Three decimals, to keep result files small.
fn rounded(values: impl IntoIterator<Item = f32>) -> Vec<f64> {
    values.into_iter().map(|value| (f64::from(value) * 1e3).round() / 1e3).collect()
}

/// A tile by its own smallest and largest value, so that weak maps show.
fn scaled(width: usize, pixels: &[f64]) -> Tile {
    let low = pixels.iter().copied().fold(f64::INFINITY, f64::min);
    let high = pixels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    Tile::new(width, &pixels.iter().map(|pixel| (pixel - low) / range).collect::<Vec<_>>())
}

/// A square map at 28 × 28, each place as its nearest, so that maps of all sizes stand beside each other.
fn enlarged(map: &[f64]) -> Vec<f64> {
    const SIDE: usize = 28;
    let side = map.len().isqrt();
    (0..SIDE * SIDE).map(|at| map[at / SIDE * side / SIDE * side + at % SIDE * side / SIDE]).collect()
}
