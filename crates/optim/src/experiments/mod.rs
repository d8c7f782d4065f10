//! The claims of lectures 1–8 as experiments: each is measured, judged and drawn by `cargo xtask run NAME`.
//!
//! | lecture | experiment | claim |
//! |---|---|---|
//! | 1 | [`PerceptronBound`] | mistakes stay below $(R/\gamma)^2$ for every pair of digits |
//! | 1 | [`Xor`] | what one perceptron cannot do, a hidden layer of two can |
//! | 1 | [`NielsenDigits`] | 30 hidden neurons read digits |
mod nielsen_digits;
mod perceptron_bound;
mod xor;

pub use nielsen_digits::{NielsenDigits, NielsenDigitsConfig, NielsenDigitsReport};
pub use perceptron_bound::{PerceptronBound, PerceptronBoundConfig, PerceptronBoundReport};
pub use xor::{Xor, XorConfig, XorReport};

use datasets::Images;
use nalgebra::SVector;
use serde::{Deserialize, Serialize};

/// The experiments of this unit, in the order of the lectures.
pub fn experiments() -> Vec<lab::Entry> {
    vec![lab::entry::<PerceptronBound>(), lab::entry::<Xor>(), lab::entry::<NielsenDigits>()]
}

/// Which handwritten digits an experiment reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// 10,000 images of 28 × 28 pixels.
    Mnist,
    /// 1,797 images of 8 × 8 pixels.
    Digits,
}

/// The pixels of each image as one vector of values in \[0, 1\]; `N` must be `H · W`.
fn vectors<const N: usize, const H: usize, const W: usize>(images: &Images<1, H, W>) -> Vec<SVector<f64, N>> {
    const { assert!(N == H * W, "a flattened image has N = H * W pixels") };
    let max = f64::from(images.max_level());
    (0..images.len())
        .map(|i| SVector::from_iterator(images.pixels(i).iter().map(|&level| f64::from(level) / max)))
        .collect()
}

/// A configuration error unless `value` is at least 1.
fn at_least_one(field: &'static str, value: usize) -> Result<(), lab::Error> {
    match value {
        0 => Err(lab::Error::Config { field, rule: "at least 1", value: value.to_string() }),
        _ => Ok(()),
    }
}

/// A refused hyper-parameter as what it is here: a flag of the command line that is out of its range.
fn refused(error: crate::Error) -> lab::Error {
    match error {
        crate::Error::InvalidHyper { name, rule, value } => {
            lab::Error::Config { field: name, rule, value: value.to_string() }
        }
        other => lab::Error::unit(other),
    }
}
