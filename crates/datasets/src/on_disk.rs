//! Loaders of the sets that a user fetched into a [`Store`].
//!
//! | set | get it | loader |
//! |---|---|---|
//! | Fashion-MNIST, 70,000 | `cargo xtask data fetch fashion-mnist` | [`fashion_mnist`] |
//! | MNIST, 70,000 | `cargo xtask data fetch mnist` | [`mnist`] |
//! | CIFAR-10, CIFAR-100 | `cargo xtask data fetch cifar-10` | [`cifar_10`], [`cifar_100`] |
//! | Cora, Citeseer | `cargo xtask data import cora FOLDER` | [`planetoid`] |
//! | ESOL | `cargo xtask data import esol FOLDER` | [`esol`] |
//! | embryoid bodies | `cargo xtask data fetch embryoid-body` | [`embryoid_body`] |
//!
//! Every loader returns [`DataError::Absent`] with what to type when a file is not there, and hashes a file before its
//! first use.
//!
//! # Examples
//! ```
//! use datasets::store::Store;
//! use datasets::{DataError, on_disk};
//! let error = on_disk::mnist(&Store::at("no such folder")).unwrap_err();
//! assert!(matches!(error, DataError::Absent { .. }));
//! assert!(error.to_string().ends_with("type `cargo xtask data fetch mnist`"));
//! ```
use std::fs::File;
use std::num::NonZeroU8;

use flate2::read::MultiGzDecoder;

use crate::catalogue::{
    CIFAR_10, CIFAR_100, CITESEER, CORA, DiskSet, EMBRYOID_BODY, ESOL, FASHION_MNIST, MNIST,
};
use crate::cifar::{self, Labels};
use crate::csv::Csv;
use crate::error::{At, DataError, Rule};
use crate::graphs::NodeGraph;
use crate::images::{DIGIT_CLASSES, FASHION_CLASSES, ImageKind, Images};
use crate::npy::Npz;
use crate::split::Split;
use crate::store::Store;
use crate::{planetoid as tables, tar};

/// The most that a member of an archive may hold: a file of CIFAR has 31 MB, all training images of CIFAR-100 154 MB.
const MEMBER_LIMIT: usize = 1 << 28;

/// Fashion-MNIST, 60,000 and 10,000 images, also from the Debian package `dataset-fashion-mnist`.
///
/// # Errors
/// As [`Store::file`] and [`Images::read`].
pub fn fashion_mnist(store: &Store) -> Result<Split<Images<1, 28, 28>>, DataError> {
    const KIND: ImageKind =
        ImageKind { name: "fashion-mnist", max_level: NonZeroU8::MAX, class_names: FASHION_CLASSES };
    idx(store, &FASHION_MNIST, KIND)
}

/// MNIST, 60,000 and 10,000 digits.
///
/// # Errors
/// As [`Store::file`] and [`Images::read`].
pub fn mnist(store: &Store) -> Result<Split<Images<1, 28, 28>>, DataError> {
    const KIND: ImageKind =
        ImageKind { name: "mnist-full", max_level: NonZeroU8::MAX, class_names: DIGIT_CLASSES };
    idx(store, &MNIST, KIND)
}

/// The four files of MNIST's form.
fn idx(store: &Store, set: &DiskSet, kind: ImageKind) -> Result<Split<Images<1, 28, 28>>, DataError> {
    let part = |name: &str| {
        let images = store.file(set, &format!("{name}-images-idx3-ubyte.gz"))?;
        let labels = store.file(set, &format!("{name}-labels-idx1-ubyte.gz"))?;
        Images::read(&images, &labels, kind)
    };
    let train = part("train")?;
    Ok(Split { validation: train.select([]), train, test: part("t10k")? })
}

/// CIFAR-10, 50,000 and 10,000 images.
///
/// # Errors
/// As [`Store::file`], [`tar::members`] and [`cifar::parse`].
pub fn cifar_10(store: &Store) -> Result<Split<Images<3, 32, 32>>, DataError> {
    let train =
        ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
    records(store, &CIFAR_10, &train, "test_batch.bin", Labels::Ten)
}

/// CIFAR-100 with its 100 classes, 50,000 and 10,000 images.
///
/// # Errors
/// As [`Store::file`], [`tar::members`] and [`cifar::parse`].
pub fn cifar_100(store: &Store) -> Result<Split<Images<3, 32, 32>>, DataError> {
    records(store, &CIFAR_100, &["train.bin"], "test.bin", Labels::Hundred)
}

fn records(
    store: &Store,
    set: &DiskSet,
    train: &[&str],
    test: &str,
    labels: Labels,
) -> Result<Split<Images<3, 32, 32>>, DataError> {
    let path = store.file(set, set.files[0].name)?;
    let archive = File::open(&path).map_err(|source| DataError::read(&path, source))?;
    let wanted = [train, &[test]].concat();
    let mut members = tar::members(&path, MultiGzDecoder::new(archive), &wanted, MEMBER_LIMIT)?;
    let mut take = |name: &str| match members.remove(name) {
        Some(content) => Ok(content),
        None => {
            let rule = Rule::TarMember { name: name.to_owned() };
            Err(DataError::format(&path, At::Byte(0), rule, "none"))
        }
    };
    let mut all = Vec::new();
    for name in train {
        all.extend(take(name)?);
    }
    let train = cifar::parse(&path.join(train[0]), &all, labels)?;
    let test = cifar::parse(&path.join(test), &take(test)?, labels)?;
    Ok(Split { validation: train.select([]), train, test })
}

/// Cora or Citeseer, by name.
///
/// # Errors
/// [`DataError::UnknownSet`] for another name, or as [`Store::file`] and [`planetoid::read`](tables::read).
pub fn planetoid(store: &Store, name: &str) -> Result<NodeGraph, DataError> {
    let sets = [&CORA, &CITESEER];
    let Some(set) = sets.into_iter().find(|set| set.name == name) else {
        return Err(DataError::UnknownSet {
            name: name.to_owned(),
            known: sets.map(|set| set.name).to_vec(),
        });
    };
    let (nodes, edges) = (store.file(set, set.files[0].name)?, store.file(set, set.files[1].name)?);
    tables::read(set.name, &nodes, &edges)
}

/// ESOL as its table; the columns that count are `smiles` and `measured log solubility in mols per litre`.
///
/// # Errors
/// As [`Store::file`] and [`Csv::read`].
pub fn esol(store: &Store) -> Result<Csv, DataError> {
    Csv::read(&store.file(&ESOL, ESOL.files[0].name)?)
}

/// The embryoid bodies of TrajectoryNet as named arrays.
///
/// # Errors
/// As [`Store::file`] and [`Npz::read`].
pub fn embryoid_body(store: &Store) -> Result<Npz, DataError> {
    Npz::read(&store.file(&EMBRYOID_BODY, EMBRYOID_BODY.files[0].name)?)
}
