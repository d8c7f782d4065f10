//! The course's real data, embedded or on disk: loaders, splits, batches, checksums.
//!
//! | you want | take |
//! |---|---|
//! | digits for a result in seconds: 1,797 of 8 × 8 | [`digits()`](fn@digits), [`by_writer`](Images::by_writer) |
//! | digits as in the papers: 10,000 of 28 × 28 | [`mnist()`](fn@mnist), [`front_back`](Images::front_back) |
//! | tensors with shapes that the compiler checks | [`Images::batch`], [`Images::flat_batch`], [`Images::one_hot`] |
//! | mini-batches in a seeded order | [`Batches`] |
//! | an opponent that a model must beat | [`baseline`] |
//! | your own images or tables | [`Images::read`], [`idx`], [`tsv`] |
//! | terms, checksums, citations | [`Description`], [`mod@registry`] |
//!
//! Dimensions come in the order `(B, C, H, W)`: images of a batch, channels, height, width; flattened, `(B, N)`.
//!
//! What is embedded cannot fail, so [`digits()`](fn@digits) and [`mnist()`](fn@mnist) return values: tests hash and
//! parse every file. What comes from a user returns a [`DataError`], whatever the bytes: rule, value, remedy, and the
//! byte, line or column.
//!
//! Features: `images` (digits) and `mnist`, both on by default; without them the readers remain.
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

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
