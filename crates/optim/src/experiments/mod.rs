//! The claims of lectures 1–8 as experiments: each is measured, judged and drawn by `cargo xtask run NAME`.
//!
//! | lecture | experiment | claim |
//! |---|---|---|
//! | 1 | [`PerceptronBound`] | mistakes stay below $(R/\gamma)^2$ for every pair of digits |
//! | 1 | [`Xor`] | what one perceptron cannot do, a hidden layer of two can |
//! | 1 | [`NielsenDigits`] | 30 hidden neurons read digits |
//! | 2 | [`BiasVariance`] | degree 3 errs least on a noisy sine; a penalty repairs degree 9 |
//! | 2 | [`DiabetesValidation`] | ridge and lasso are no worse than least squares on 442 patients |
//! | 2 | [`BayesianLine`] | 90 % intervals hold 90 % of new targets |
//! | 2 | [`NoFreeLunch`] | over all labelings every learner is wrong on half of the unseen points |
//! | 2 | [`Dimensionality`] | distances become alike, neighbours stop helping |
//! | 3 | [`SgdRates`] | 1/t, a plateau ∝ η, and the mean that beats both |
//! | 3 | [`GradientNoise`] | variance tr Σ/B; a tutorial's rate diverges |
//! | 4 | [`ReverseMode`] | a gradient costs at most five losses; which mode for which Jacobian |
//! | 4 | [`Checkpointing`] | 34 states instead of 257 for at most twice the forward steps |
//! | 4 | [`HessianProducts`] | exact products agree to 1e-12, differences do not |
mod bayesian_line;
mod bias_variance;
mod checkpointing;
mod diabetes_validation;
mod dimensionality;
mod gradient_noise;
mod hessian_products;
mod nielsen_digits;
mod no_free_lunch;
mod perceptron_bound;
mod reverse_mode;
mod sgd_rates;
mod xor;

pub use bayesian_line::{BayesianLine, BayesianLineConfig, BayesianLineReport};
pub use bias_variance::{BiasVariance, BiasVarianceConfig, BiasVarianceReport};
pub use checkpointing::{Checkpointing, CheckpointingConfig, CheckpointingReport};
pub use diabetes_validation::{DiabetesValidation, DiabetesValidationConfig, DiabetesValidationReport};
pub use dimensionality::{Dimensionality, DimensionalityConfig, DimensionalityReport};
pub use gradient_noise::{GradientNoise, GradientNoiseConfig, GradientNoiseReport};
pub use hessian_products::{HessianProducts, HessianProductsConfig, HessianProductsReport};
pub use nielsen_digits::{NielsenDigits, NielsenDigitsConfig, NielsenDigitsReport};
pub use no_free_lunch::{NoFreeLunch, NoFreeLunchConfig, NoFreeLunchReport};
pub use perceptron_bound::{PerceptronBound, PerceptronBoundConfig, PerceptronBoundReport};
pub use reverse_mode::{ReverseMode, ReverseModeConfig, ReverseModeReport};
pub use sgd_rates::{SgdRates, SgdRatesConfig, SgdRatesReport};
pub use xor::{Xor, XorConfig, XorReport};

use datasets::Images;
use nalgebra::SVector;
use serde::{Deserialize, Serialize};

/// The experiments of this unit, in the order of the lectures.
pub fn experiments() -> Vec<lab::Entry> {
    vec![
        lab::entry::<PerceptronBound>(),
        lab::entry::<Xor>(),
        lab::entry::<NielsenDigits>(),
        lab::entry::<BiasVariance>(),
        lab::entry::<DiabetesValidation>(),
        lab::entry::<BayesianLine>(),
        lab::entry::<NoFreeLunch>(),
        lab::entry::<Dimensionality>(),
        lab::entry::<SgdRates>(),
        lab::entry::<GradientNoise>(),
        lab::entry::<ReverseMode>(),
        lab::entry::<Checkpointing>(),
        lab::entry::<HessianProducts>(),
    ]
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

/// A configuration error unless `value` is at least 2.
fn at_least_two(field: &'static str, value: usize) -> Result<(), lab::Error> {
    match value {
        0 | 1 => {
            Err(lab::Error::Config { field, rule: "at least 2, to have a spread", value: value.to_string() })
        }
        _ => Ok(()),
    }
}

/// Slope of the least-squares line through points (x, y).
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let products: f64 = points.iter().map(|(px, py)| (px - x) * (py - y)).sum();
    products / points.iter().map(|(px, _)| (px - x).powi(2)).sum::<f64>()
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
