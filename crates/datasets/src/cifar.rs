//! The binary form of CIFAR-10 and CIFAR-100: records of labels and pixels, one after another.
//!
//! ```text
//! CIFAR-10:   LABEL           1,024 red, 1,024 green, 1,024 blue     (rows of 32 pixels from the top)
//! CIFAR-100:  COARSE  FINE    the same
//! ```
//!
//! **Source**: Krizhevsky (2009), Learning multiple layers of features from tiny images, and the page of the sets.
//!
//! # Examples
//! ```
//! use std::path::Path;
//! use datasets::cifar::{self, Labels};
//! let mut record = vec![3];                       // a cat
//! record.extend([255; 1024]);                     // all red
//! record.extend([0; 2048]);
//! let images = cifar::parse(Path::new("one.bin"), &record, Labels::Ten)?;
//! assert_eq!(images.class_names()[images.label(0)], "cat");
//! assert_eq!(images.unit(0)[0][31][31], 1.0);
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::num::NonZeroU8;
use std::path::Path;

use crate::error::{At, DataError, Rule};
use crate::images::{ImageKind, Images};

/// Bytes of an image.
const PIXELS: usize = 3 * 32 * 32;

/// Which labels a record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// CIFAR-10: one of ten classes.
    Ten,
    /// CIFAR-100: one of 20 groups, then one of 100 classes, which is the label that counts.
    Hundred,
}

impl Labels {
    fn bytes(self) -> usize {
        match self {
            Labels::Ten => 1,
            Labels::Hundred => 2,
        }
    }

    fn kind(self) -> ImageKind {
        let max_level = NonZeroU8::MAX;
        match self {
            Labels::Ten => ImageKind { name: "cifar-10", max_level, class_names: &TEN },
            Labels::Hundred => ImageKind { name: "cifar-100", max_level, class_names: &HUNDRED },
        }
    }
}

/// Parses records. `file` is named in errors.
///
/// # Errors
/// [`DataError::Format`] with [`Rule::Record`] when the last record is not whole, [`Rule::LabelRange`] for a class that
/// does not exist.
pub fn parse(file: &Path, bytes: &[u8], labels: Labels) -> Result<Images<3, 32, 32>, DataError> {
    let record = labels.bytes() + PIXELS;
    let rest = bytes.len() % record;
    if rest != 0 {
        let rule = Rule::Record { size: record };
        return Err(DataError::format(file, At::Byte(bytes.len() - rest), rule, rest.to_string()));
    }
    let kind = labels.kind();
    let (mut classes, mut pixels) =
        (Vec::with_capacity(bytes.len() / record), Vec::with_capacity(bytes.len()));
    for (i, record_bytes) in bytes.chunks_exact(record).enumerate() {
        let (label, image) = record_bytes.split_at(labels.bytes());
        let class = label[labels.bytes() - 1];
        if usize::from(class) >= kind.class_names.len() {
            let (at, rule) =
                (i * record + labels.bytes() - 1, Rule::LabelRange { classes: kind.class_names.len() });
            return Err(DataError::format(file, At::Byte(at), rule, class.to_string()));
        }
        classes.push(class);
        pixels.extend_from_slice(image);
    }
    Ok(Images::from_checked(kind, pixels, classes))
}

/// The classes of CIFAR-10, in the order of the labels.
const TEN: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The classes of CIFAR-100, in the order of the labels.
#[rustfmt::skip]
const HUNDRED: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];
