//! What is embedded: every file with its checksums, every set with its terms.
//!
//! The list is `data/data.tsv`; bytes, sizes, checksums and licences are not repeated anywhere else. Nothing here
//! decodes a file, except [`Embedded::verify`], which unpacks one at a time to hash it.
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::gzip;
use crate::idx::{self, Array};
use crate::split::Split;
use crate::tsv::Table;

/// One embedded file: a row of `data/data.tsv` and the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Embedded {
    /// The set that the file belongs to.
    pub set: String,
    /// The file's name.
    pub file: String,
    /// `idx gzip`, `tsv`, `tsv gzip` or `text gzip`.
    pub format: String,
    /// Type and sizes, as `u8 1797x8x8`, or numbers of rows and columns.
    pub shape: String,
    /// Recorded number of bytes as stored.
    pub size: usize,
    /// Recorded sha256 of the bytes as stored.
    pub sha256: String,
    /// Recorded sha256 of the unpacked content: the identity of the data.
    pub sha256_unpacked: String,
    /// Terms in short; `data/LICENSES.md` has them in full.
    pub licence: String,
    /// Where the bytes were taken from.
    pub source: String,
    /// The bytes as stored.
    pub bytes: &'static [u8],
}

impl Embedded {
    /// Recomputes both checksums.
    ///
    /// # Errors
    /// [`DataError::Checksum`] when one differs, [`DataError::Format`] when the file does not unpack.
    pub fn verify(&self) -> Result<(), DataError> {
        check(Path::new(&self.file), self.bytes, &self.sha256)?;
        check(Path::new(&self.file), &self.unpacked()?, &self.sha256_unpacked)
    }

    /// The content, unpacked when the file's name ends in `.gz`.
    ///
    /// # Errors
    /// [`DataError::Format`] when the file does not unpack.
    pub fn unpacked(&self) -> Result<Vec<u8>, DataError> {
        let file = Path::new(&self.file);
        if gzip::is_packed(file) {
            gzip::unpack(file, self.bytes, gzip::DEFAULT_LIMIT)
        } else {
            Ok(self.bytes.to_vec())
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({}, {} bytes, sha256 {})", self.file, self.size, self.sha256)
    }
}

/// A way to part a set that has a name, so that numbers can say which one they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSplit {
    /// The call that makes it.
    pub name: &'static str,
    /// Number of training rows.
    pub train: usize,
    /// Number of validation rows.
    pub validation: usize,
    /// Number of test rows.
    pub test: usize,
    /// What to know when comparing numbers.
    pub note: &'static str,
}

/// What a set is, where it comes from and on which terms. `Display` prints it in a few lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The name, as in `data list`.
    pub name: &'static str,
    /// One sentence on what it is.
    pub title: &'static str,
    /// The splits that have a name.
    pub splits: &'static [NamedSplit],
    /// What to cite.
    pub citation: &'static str,
    /// The files, with shape, size, licence and source each.
    pub files: Vec<&'static Embedded>,
}

impl Description {
    /// The terms in short, those of each file once.
    pub fn licence(&self) -> String {
        distinct(self.files.iter().map(|file| file.licence.as_str()))
    }

    /// Where the files were taken from, each place once.
    pub fn source(&self) -> String {
        distinct(self.files.iter().map(|file| file.source.as_str()))
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.title)?;
        for file in &self.files {
            writeln!(f, "  file      {} ({}, {} bytes)", file.file, file.shape, file.size)?;
        }
        for split in self.splits {
            let NamedSplit { name, train, validation, test, note } = split;
            let validation = match validation {
                0 => String::new(),
                rows => format!("{rows} validation, "),
            };
            writeln!(f, "  split     {name}: {train} train, {validation}{test} test; {note}")?;
        }
        writeln!(f, "  source    {}", self.source())?;
        writeln!(f, "  licence   {}", self.licence())?;
        write!(f, "  citation  {}", self.citation)
    }
}

/// Every embedded file of the enabled features, in the order of `data/data.tsv`.
pub fn registry() -> &'static [Embedded] {
    static REGISTRY: OnceLock<Vec<Embedded>> = OnceLock::new();
    REGISTRY.get_or_init(|| parse(DATA_TSV).expect("data.tsv is ours, and a test reads it"))
}

/// Every embedded set of the enabled features. Decodes nothing.
pub fn descriptions() -> &'static [Description] {
    static DESCRIPTIONS: OnceLock<Vec<Description>> = OnceLock::new();
    DESCRIPTIONS.get_or_init(|| {
        // The small tables and series share a set in `data.tsv`; there a file belongs to the set of its own name.
        let belongs = |file: &Embedded, name| file.set == name || file.file.split('.').next() == Some(name);
        let files = |name| registry().iter().filter(|file| belongs(file, name)).collect();
        let describe = |&Set { name, title, splits, citation }: &Set| Description {
            name,
            title,
            splits,
            citation,
            files: files(name),
        };
        SETS.iter().map(describe).collect()
    })
}

/// The embedded set of this name. Decodes nothing.
pub fn describe(name: &str) -> Option<&'static Description> {
    descriptions().iter().find(|description| description.name == name)
}

/// Recomputes the checksums of all embedded files and returns their number.
///
/// # Errors
/// As [`Embedded::verify`], for the first file that fails.
pub fn verify() -> Result<usize, DataError> {
    registry().iter().try_for_each(Embedded::verify)?;
    Ok(registry().len())
}

/// sha256 of `content`, 64 lower-case hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why an embedded loader may expect success.
pub(crate) const PARSED: &str = "embedded files are ours, and a test parses each";

/// The embedded set of this name, which the caller knows to exist.
pub(crate) fn describe_embedded(name: &str) -> &'static Description {
    describe(name).expect("a loader describes a set of its own feature only")
}

/// The embedded file of this name, which the caller knows to exist.
pub(crate) fn embedded(file: &str) -> &'static Embedded {
    registry().iter().find(|row| row.file == file).expect("a loader names files of its own feature only")
}

/// An embedded IDX file.
pub(crate) fn embedded_array(file: &str) -> Result<Array, DataError> {
    idx::parse(Path::new(file), &embedded(file).unpacked()?)
}

/// An embedded TSV file with these columns.
pub(crate) fn embedded_table(file: &str, columns: &[&str]) -> Result<Table, DataError> {
    Table::parse(Path::new(file), &embedded(file).unpacked()?, columns)
}

/// A row of a set that is kept as a list, and so knows which set it is of.
pub trait Record {
    /// The name of the set, as in `data list`.
    const SET: &'static str;
}

impl<T: Record> Split<Vec<T>> {
    /// Name, sizes, split, source, licence and citation of the set that these are rows of.
    pub fn describe(&self) -> &'static Description {
        describe_embedded(T::SET)
    }
}

fn check(file: &Path, content: &[u8], expected: &str) -> Result<(), DataError> {
    let found = sha256(content);
    if found == expected {
        return Ok(());
    }
    Err(DataError::Checksum { file: file.to_owned(), expected: expected.to_owned(), found })
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    texts.for_each(|text| {
        if !seen.contains(&text) {
            seen.push(text);
        }
    });
    seen.join("; ")
}

const DATA_TSV: &str = include_str!("../data/data.tsv");

/// What the module of a set says about it; `data.tsv` says the rest.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) splits: &'static [NamedSplit],
    pub(crate) citation: &'static str,
}

const SETS: &[Set] = &[
    #[cfg(feature = "images")]
    crate::digits::SET,
    #[cfg(feature = "images")]
    crate::fashion::SET,
    #[cfg(feature = "mnist")]
    crate::mnist::SET,
    #[cfg(feature = "images")]
    crate::emoji::SET,
    #[cfg(feature = "images")]
    crate::nuclei::SET,
    #[cfg(feature = "cells")]
    crate::cells::PBMC,
    #[cfg(feature = "cells")]
    crate::cells::HSMM,
    #[cfg(feature = "text")]
    crate::text::VERSES,
    #[cfg(feature = "text")]
    crate::text::PROSE,
    #[cfg(feature = "text")]
    crate::text::CMUDICT,
    #[cfg(feature = "text")]
    crate::vectors::SET,
    #[cfg(feature = "music")]
    crate::music::SET,
    #[cfg(feature = "graphs")]
    crate::molecules::MUTAG,
    #[cfg(feature = "graphs")]
    crate::molecules::FREESOLV,
    #[cfg(feature = "graphs")]
    crate::molecules::SOLUBILITY,
    #[cfg(feature = "graphs")]
    crate::graphs::DEBIAN,
    #[cfg(feature = "graphs")]
    crate::graphs::KARATE,
    #[cfg(feature = "tables")]
    crate::tables::IRIS,
    #[cfg(feature = "tables")]
    crate::tables::WINE,
    #[cfg(feature = "tables")]
    crate::tables::BREAST_CANCER,
    #[cfg(feature = "tables")]
    crate::tables::DIABETES,
    #[cfg(feature = "tables")]
    crate::series::LYNX_HARE,
    #[cfg(feature = "tables")]
    crate::series::ECG,
    #[cfg(feature = "tables")]
    crate::series::NINO,
];

macro_rules! files {
    ($($feature:tt: $($file:literal)+;)+) => {
        &[$($(
            #[cfg(feature = $feature)]
            ($file, include_bytes!(concat!("../data/", $file))),
        )+)+]
    };
}

/// The bytes of the files of the enabled features.
const FILES: &[(&str, &[u8])] = files! {
    "images":
        "digits-images.idx.gz" "digits-labels.idx.gz"
        "fashion-train-images.idx.gz" "fashion-train-labels.idx.gz"
        "fashion-test-images.idx.gz" "fashion-test-labels.idx.gz"
        "emoji-a.idx.gz" "emoji-b.idx.gz" "emoji.tsv"
        "nuclei-image.idx.gz" "nuclei-mask.idx.gz";
    "mnist": "mnist-images.idx.gz" "mnist-labels.idx.gz";
    "cells":
        "pbmc-counts.idx.gz" "pbmc-cells.tsv" "pbmc-genes.tsv"
        "hsmm-expr.idx.gz" "hsmm-cells.tsv" "hsmm-genes.tsv";
    "text":
        "verses.tsv.gz" "prose.txt.gz" "cmudict.tsv.gz"
        "vectors.idx.gz" "vectors.tsv.gz" "analogies.tsv";
    "music": "music.tsv.gz";
    "graphs":
        "mutag.tsv.gz" "freesolv.tsv.gz" "solubility.tsv.gz"
        "debian-nodes.tsv.gz" "debian-edges.tsv.gz" "debian-words.tsv"
        "karate-nodes.tsv" "karate-edges.tsv";
    "tables":
        "iris.tsv" "wine.tsv" "breast_cancer.tsv" "diabetes.tsv"
        "lynx_hare.tsv" "ecg.idx.gz" "nino.tsv.gz";
};

fn parse(text: &str) -> Result<Vec<Embedded>, DataError> {
    const COLUMNS: [&str; 9] =
        ["set", "file", "format", "shape", "bytes", "sha256", "sha256_unpacked", "licence", "source"];
    let table = Table::parse(Path::new("data.tsv"), text.as_bytes(), &COLUMNS)?;
    let sizes = table.integers::<usize>("bytes")?;
    let mut rows = Vec::new();
    for (i, size) in sizes.into_iter().enumerate() {
        let text = |column| table.text(i, column).map(str::to_owned);
        let file = text("file")?;
        let Some(&(_, bytes)) = FILES.iter().find(|(name, _)| *name == file) else {
            continue; // its feature is off
        };
        rows.push(Embedded {
            set: text("set")?,
            file,
            format: text("format")?,
            shape: text("shape")?,
            size,
            sha256: text("sha256")?,
            sha256_unpacked: text("sha256_unpacked")?,
            licence: text("licence")?,
            source: text("source")?,
            bytes,
        });
    }
    Ok(rows)
}
