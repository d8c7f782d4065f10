//! Train, validation and test parts.
use crate::error::DataError;
use crate::images::Images;

/// The parts of a set. A part that a split does not have is empty.
///
/// Fit on `train`, choose on `validation`, look at `test` once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<T> {
    /// For fitting.
    pub train: T,
    /// For choosing between fitted models; may be empty.
    pub validation: T,
    /// For the number that is reported.
    pub test: T,
}

impl<const C: usize, const H: usize, const W: usize> Split<Images<C, H, W>> {
    /// Makes the last `n` training images the validation part, in place of the one that is there.
    ///
    /// # Errors
    /// [`DataError::Validation`] when that would leave nothing to train on.
    pub fn with_validation(self, n: usize) -> Result<Self, DataError> {
        let train = self.train.len();
        if n >= train {
            return Err(DataError::Validation { n, train });
        }
        let validation = self.train.select(train - n..train);
        Ok(Split { train: self.train.select(0..train - n), validation, test: self.test })
    }
}
