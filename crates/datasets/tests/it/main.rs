//! Integration tests of `datasets`: what is embedded, the opponents, the orders, and what broken files do.
use std::num::NonZeroU8;
use std::path::Path;

use datasets::Images;
use datasets::idx::{Array, Values};
use datasets::images::ImageKind;

mod baselines;
mod broken;
mod embedded;
mod features;
mod linear;
mod orders;
mod readers;
mod round_trip;
mod sets;
mod store;
mod synthetic;
mod tensors;

const TINY: ImageKind =
    ImageKind { name: "tiny", max_level: NonZeroU8::new(9).unwrap(), class_names: &["a", "b", "c"] };

/// Images of one pixel with levels 0 to 9 and three classes.
fn tiny(pixels: &[u8], labels: &[u8]) -> Images<1, 1, 1> {
    let images = Array::try_new(vec![pixels.len(), 1, 1], Values::U8(pixels.to_vec())).unwrap();
    let labels = Array::try_new(vec![labels.len()], Values::U8(labels.to_vec())).unwrap();
    Images::from_arrays((Path::new("images"), images), (Path::new("labels"), labels), TINY).unwrap()
}
