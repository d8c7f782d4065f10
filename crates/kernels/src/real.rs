//! The two element types of every operation: `f32` and `f64`.
use dfdx::dtypes::Dtype;
use num_traits::Float;
use rand::distributions::uniform::SampleUniform;

use crate::convolution::passes::ConvolutionPasses;
use crate::elementwise::passes::PairPasses;
use crate::loss::passes::Losses;
use crate::normalisation::Norms;
use crate::pooling::Pooling;
use crate::product::slender::SlenderProducts;
use crate::product::turned::Tiles;
use crate::reduce::passes::Reductions;
use crate::resampling::Resampling;
use crate::sequence::passes::SequencePasses;
use crate::sparse::{Distances, SparsePasses};
use crate::update::passes::Updates;
use crate::{
    dropout::NoisePasses, formulas::Passes, gradient::Expected, math::Constants, matrix::MatrixPasses,
    random::Fill, rows::Loops,
};

/// `f32` or `f64`; sealed, because the loops of every operation are compiled in this crate for exactly
/// these two types (a generic loop would be compiled in the crate that calls it, at its optimisation level).
///
/// The bounds are those of dfdx's own layers, so that code generic over `E: Real` can build them too.
pub trait Real: Dtype + Float + SampleUniform + std::fmt::Display + std::iter::Sum + Kernels {
    /// The element closest to `value`.
    fn of(value: f64) -> Self;
    /// The same number as `f64`, exactly.
    fn as_f64(self) -> f64;
}

/// What each element type brings: constants, and its own copy of every loop.
pub trait Kernels:
    Constants
    + ConvolutionPasses
    + Expected
    + Updates
    + Passes
    + Loops
    + Fill
    + MatrixPasses
    + NoisePasses
    + PairPasses
    + SequencePasses
    + SlenderProducts
    + SparsePasses
    + Tiles
    + Distances
    + Reductions
    + Losses
    + Norms
    + Pooling
    + Resampling
    + Updates
{
}
impl Kernels for f32 {}
impl Kernels for f64 {}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
}
