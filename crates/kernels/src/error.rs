//! What can go wrong beside the device: labels that do not fit the logits.
use std::fmt;

/// Failure of an operation that checks values, or of the device underneath.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One label per row of logits is needed.
    #[error("{labels} labels were given for {rows} rows of logits; give one label per row")]
    LabelCount {
        /// Number of labels given.
        labels: usize,
        /// Number of rows of the logits.
        rows: usize,
    },
    /// A class index is too large.
    #[error("label {label} at index {index} is not one of {classes} classes; labels count from 0")]
    LabelOutOfRange {
        /// Position in the slice of labels.
        index: usize,
        /// The offending label.
        label: usize,
        /// Number of classes, the last axis of the logits.
        classes: usize,
    },
    /// The optimiser's state belongs to another parameter.
    #[error(
        "the velocity has {velocity} elements but the parameter has {parameter}; start it as zeros of that length"
    )]
    VelocityLength {
        /// Number of elements of the velocity.
        velocity: usize,
        /// Number of elements of the parameter.
        parameter: usize,
    },
    /// The device could not allocate or compute.
    #[error("the device failed; use a smaller batch if it ran out of memory")]
    Device(#[source] DeviceError),
}

/// The error of whichever device ran the operation, `CpuError` or `CudaError`.
///
/// dfdx's errors do not implement [`std::error::Error`]; this type does, keeps the original and prints it.
pub struct DeviceError(Box<dyn Source>);

/// What dfdx promises of a device's error, plus what an error needs to cross threads.
trait Source: fmt::Debug + fmt::Display + Send + Sync {}
impl<T: fmt::Debug + fmt::Display + Send + Sync> Source for T {}

impl DeviceError {
    /// Wraps the error of a device.
    ///
    /// ```
    /// let error = kernels::DeviceError::new(dfdx::tensor::CpuError::OutOfMemory);
    /// assert_eq!(error.to_string(), "CpuError::OutOfMemory");
    /// ```
    pub fn new(error: impl fmt::Debug + fmt::Display + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for DeviceError {}

impl Error {
    pub(crate) fn device(error: impl fmt::Debug + fmt::Display + Send + Sync + 'static) -> Self {
        Self::Device(DeviceError::new(error))
    }
}
