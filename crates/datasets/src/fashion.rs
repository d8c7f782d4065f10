//! 1,400 articles of clothing, 28 × 28 pixels: as large as MNIST's digits, and harder.
//!
//! The first 100 of each class of Fashion-MNIST's training file and the first 40 of its test file, each part in one
//! fixed random order.
//! The full set of 70,000 is [`on_disk::fashion_mnist`](crate::on_disk::fashion_mnist).
//!
//! **Trap**: one of 400 test images is a quarter of a percent, and the standard deviation of an accuracy of 0.8 is two
//! percent. Differences below three percent need seeds or paired tests.
//!
//! **Source**: Xiao, Rasul & Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning
//! algorithms, arXiv 1708.07747.
//!
//! # Examples
//! ```
//! use datasets::fashion;
//! let split = fashion();
//! assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (1000, 0, 400));
//! assert_eq!(split.train.class_names()[9], "Ankle boot");
//! ```
use std::num::NonZeroU8;
use std::sync::OnceLock;

use crate::images::{FASHION_CLASSES, ImageKind, Images};
use crate::registry::{NamedSplit, Set};
use crate::split::Split;

const KIND: ImageKind =
    ImageKind { name: "fashion", max_level: NonZeroU8::new(255).unwrap(), class_names: FASHION_CLASSES };

pub(crate) const SET: Set = Set {
    name: KIND.name,
    title: "1,400 articles of clothing of Fashion-MNIST, 28 x 28 pixels of 256 levels, 10 classes",
    splits: &[NamedSplit {
        name: "fashion()",
        train: 1000,
        validation: 0,
        test: 400,
        note: "100 and 40 of each class, from the original parts",
    }],
    citation: "H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine \
               learning algorithms, arXiv 1708.07747",
};

/// The embedded part of Fashion-MNIST, decoded at the first call and shared afterwards. See the [module](self).
pub fn fashion() -> Split<Images<1, 28, 28>> {
    static FASHION: OnceLock<Split<Images<1, 28, 28>>> = OnceLock::new();
    let load = || {
        let part = |name| {
            let (images, labels) =
                (format!("fashion-{name}-images.idx.gz"), format!("fashion-{name}-labels.idx.gz"));
            Images::embedded(&images, &labels, KIND)
        };
        let train = part("train");
        Split { validation: train.select([]), train, test: part("test") }
    };
    FASHION.get_or_init(load).clone()
}
