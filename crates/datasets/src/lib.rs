//! The course's real data, embedded or on disk: loaders, splits, batches, checksums.
//!
//! | you want | take |
//! |---|---|
//! | digits for a result in seconds: 1,797 of 8 × 8 | [`digits()`](fn@digits), [`by_writer`](Images::by_writer) |
//! | digits or clothes as in the papers, 28 × 28 | [`mnist()`](fn@mnist), [`fashion()`](fn@fashion) |
//! | colour, two styles of the same things | [`emoji()`](fn@emoji) |
//! | a picture to be segmented | [`nuclei()`](fn@nuclei) |
//! | single cells: types, or a course in time | [`pbmc`], [`hsmm`] |
//! | text, translation, spelling, word vectors | [`prose`], [`verses`], [`cmudict`], [`word_vectors`], [`analogies`] |
//! | tunes | [`music()`](fn@music) |
//! | molecules | [`mutag`], [`freesolv`], [`solubility`] |
//! | a graph of nodes to classify | [`debian`], [`karate`] |
//! | small tables | [`iris`], [`wine`], [`breast_cancer`], [`diabetes`] |
//! | measurements in time | [`lynx_hare`], [`ecg`], [`nino`] |
//! | data whose law is known | [`synthetic`] |
//! | tensors with shapes that the compiler checks | [`Images::batch`], [`Images::one_hot`], [`Features::batch`] |
//! | mini-batches in a seeded order | [`Batches`] |
//! | an opponent that a model must beat | [`baseline`] |
//! | a full set that is too large to embed | [`on_disk`], [`store`], [`catalogue`] |
//! | your own files | [`Images::read`], [`idx`], [`tsv`], [`csv`], [`npy`], [`cifar`], [`planetoid`] |
//! | terms, checksums, citations | [`Description`], [`mod@registry`] |
//!
//! Dimensions come in the order `(B, C, H, W)`: images of a batch, channels, height, width; flattened, `(B, N)`;
//! tables are `(n, F)`: rows, features.
//!
//! What is embedded cannot fail, so [`digits()`](fn@digits) and the others return values: tests hash and parse every
//! file. What comes from a user returns a [`DataError`], whatever the bytes: rule, value, remedy, and the byte, line or
//! column.
//!
//! Features, all on by default: `images`, `mnist`, `cells`, `text`, `music`, `graphs`, `tables`; without them the
//! readers remain.
#![forbid(unsafe_code)]
// With one group switched off, helpers that only its loaders call are idle.
#![cfg_attr(
    not(all(
        feature = "mnist",
        feature = "cells",
        feature = "text",
        feature = "music",
        feature = "graphs",
        feature = "tables"
    )),
    allow(dead_code)
)]

pub mod baseline;
pub mod batches;
pub mod catalogue;
#[cfg(feature = "cells")]
pub mod cells;
pub mod cifar;
pub mod csv;
pub mod data_dir;
#[cfg(feature = "images")]
pub mod digits;
#[cfg(feature = "images")]
pub mod emoji;
pub mod error;
#[cfg(feature = "images")]
pub mod fashion;
pub mod features;
pub mod graphs;
pub mod gzip;
pub mod idx;
pub mod images;
mod md5;
#[cfg(feature = "mnist")]
pub mod mnist;
#[cfg(feature = "graphs")]
pub mod molecules;
#[cfg(feature = "music")]
pub mod music;
pub mod npy;
#[cfg(feature = "images")]
pub mod nuclei;
pub mod on_disk;
pub mod planetoid;
pub mod registry;
#[cfg(feature = "tables")]
pub mod series;
pub mod split;
pub mod store;
pub mod synthetic;
mod table;
#[cfg(feature = "tables")]
pub mod tables;
pub mod tar;
#[cfg(feature = "text")]
pub mod text;
pub mod tsv;
#[cfg(feature = "text")]
pub mod vectors;

pub use batches::Batches;
#[cfg(feature = "cells")]
pub use cells::{Cells, TimeCourse, hsmm, pbmc};
pub use data_dir::data_dir;
#[cfg(feature = "images")]
pub use digits::digits;
#[cfg(feature = "images")]
pub use emoji::{EmojiPairs, emoji};
pub use error::DataError;
#[cfg(feature = "images")]
pub use fashion::fashion;
pub use features::{Features, Standardiser};
pub use graphs::NodeGraph;
#[cfg(feature = "graphs")]
pub use graphs::{debian, karate};
pub use images::Images;
#[cfg(feature = "mnist")]
pub use mnist::mnist;
#[cfg(feature = "graphs")]
pub use molecules::{Molecule, freesolv, mutag, solubility};
#[cfg(feature = "music")]
pub use music::{Tune, music};
#[cfg(feature = "images")]
pub use nuclei::{Nuclei, nuclei};
pub use registry::{Description, Embedded, registry, verify};
#[cfg(feature = "tables")]
pub use series::{Series, ecg, lynx_hare, nino};
pub use split::{Split, Subset};
pub use store::Store;
#[cfg(feature = "tables")]
pub use tables::{Tabular, breast_cancer, diabetes, iris, wine};
#[cfg(feature = "text")]
pub use text::{Pronunciation, Prose, Verse, cmudict, prose, verses};
#[cfg(feature = "text")]
pub use vectors::{WordVectors, analogies, word_vectors};

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
