//! The one error type of this crate.
use std::path::PathBuf;

/// What can go wrong while an experiment runs or a result is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of a configuration is out of its range.
    #[error("{field} must be {rule}, got {value}")]
    Config {
        /// Name of the field, as on the command line.
        field: &'static str,
        /// What it must be, with the usual choice.
        rule: &'static str,
        /// What it was.
        value: String,
    },
    /// A file or folder could not be written; nothing was left half written.
    #[error("cannot write {}: {source}; {remedy}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What helps.
        remedy: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}; {remedy}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What helps.
        remedy: String,
    },
    /// An error of the experiment's own unit.
    #[error(transparent)]
    Unit(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps the error of a unit, a data set or a device.
    pub fn unit(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unit(source.into())
    }
}
