//! The course's real data, embedded or on disk: loaders, splits, batches, checksums.
#![forbid(unsafe_code)]

pub mod baseline;
pub mod batches;
pub mod data_dir;
#[cfg(feature = "images")]
pub mod digits;
pub mod error;
pub mod gzip;
pub mod idx;
pub mod images;
#[cfg(feature = "mnist")]
pub mod mnist;
pub mod registry;
pub mod split;
pub mod tsv;

pub use batches::Batches;
pub use data_dir::data_dir;
#[cfg(feature = "images")]
pub use digits::digits;
pub use error::DataError;
pub use images::Images;
#[cfg(feature = "mnist")]
pub use mnist::mnist;
pub use registry::{Description, Embedded, registry, verify};
pub use split::Split;
