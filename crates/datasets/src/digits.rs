//! 1,797 handwritten digits of 8 × 8 pixels, small enough for every experiment to run in seconds.
//!
//! Each pixel counts the dark points in a 4 × 4 block of a 32 × 32 scan, so there are **17 levels, 0 to 16**. The
//! images are ordered by writer: the 360 of [`by_writer`](Images::by_writer)'s test part come from people of whom
//! the training part has seen nothing, which makes that split harder than a shuffled one.
//!
//! **Source**: Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
//! Repository, <https://doi.org/10.24432/C50P49>; its test part, as in scikit-learn's `load_digits`.
//!
//! # Examples
//! ```
//! use datasets::digits;
//! let split = digits().by_writer();
//! assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (1437, 0, 360));
//! assert_eq!(digits().label(3), 3);
//! assert_eq!(digits().unit(0)[0][0][3], 13.0 / 16.0);
//! ```
use std::num::NonZeroU8;
use std::sync::OnceLock;

use crate::images::{DIGIT_CLASSES, ImageKind, Images};
use crate::registry::{NamedSplit, Set};
use crate::split::Split;

/// Training images of both splits.
const TRAIN: usize = 1437;
/// Test images of both splits.
const TEST: usize = 360;

const KIND: ImageKind =
    ImageKind { name: "digits", max_level: NonZeroU8::new(16).unwrap(), class_names: DIGIT_CLASSES };

pub(crate) const SET: Set = Set {
    name: KIND.name,
    title: "1,797 handwritten digits, 8 x 8 pixels of 17 levels (0 to 16), 10 classes",
    splits: &[
        NamedSplit {
            name: "by_writer()",
            train: TRAIN,
            validation: 0,
            test: TEST,
            note: "the test writers are not in train",
        },
        NamedSplit {
            name: "shuffled(seed)",
            train: TRAIN,
            validation: 0,
            test: TEST,
            note: "the same writers in both parts: easier",
        },
    ],
    citation: "E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, \
               UCI Machine Learning Repository, doi 10.24432/C50P49",
};

/// The digits, decoded at the first call and shared afterwards. See the [module](self).
pub fn digits() -> Images<1, 8, 8> {
    static DIGITS: OnceLock<Images<1, 8, 8>> = OnceLock::new();
    DIGITS.get_or_init(|| Images::embedded("digits-images.idx.gz", "digits-labels.idx.gz", KIND)).clone()
}

impl Images<1, 8, 8> {
    /// The first 1,437 of the [`digits`](fn@digits) for training, the last 360 for testing: other writers.
    ///
    /// Take [`with_validation(200)`](Split::with_validation) where something is to be chosen.
    ///
    /// # Panics
    /// When these are not all 1,797 digits but a part of them.
    pub fn by_writer(&self) -> Split<Self> {
        assert_eq!(self.len(), TRAIN + TEST, "the split is one of all digits");
        self.front_back(TRAIN, TEST).expect("asserted")
    }

    /// One random order of the [`digits`](fn@digits) that depends on `seed` alone, cut as
    /// [`by_writer`](Self::by_writer): the easier task, with the same writers in both parts.
    ///
    /// # Panics
    /// As [`by_writer`](Self::by_writer).
    pub fn shuffled(&self, seed: u64) -> Split<Self> {
        self.permuted(seed).by_writer()
    }
}
