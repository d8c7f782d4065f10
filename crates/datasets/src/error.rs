//! The crate's one error enum: what was wrong, where, which rule, and what to do about it.
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::idx::Values;

/// Everything that can go wrong with a data file or with the choice of a split.
///
/// Each message states the rule, the value that broke it and a remedy, on one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or a set that was asked for is in none of the places that were searched.
    #[error("`{name}` is not here, looked in {}; {remedy}", paths(looked_in))]
    Absent {
        /// The set or file that was asked for.
        name: String,
        /// Every path that was tried, in order.
        looked_in: Vec<PathBuf>,
        /// What to type or to change.
        remedy: String,
    },
    /// A file is not the one that was recorded.
    #[error("sha256 of {} must be {expected}, found {found}; the file is left as it is and not used, get it again", file.display())]
    Checksum {
        /// The file that was hashed.
        file: PathBuf,
        /// The recorded hash, 64 lower-case hexadecimal digits.
        expected: String,
        /// The hash of the content at hand.
        found: String,
    },
    /// The operating system refused to read or write.
    #[error("cannot {action} {}: {source}; check that the path exists, its permissions and the free space", file.display())]
    Io {
        /// What was tried.
        action: Action,
        /// On which file.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file breaks a rule of its format.
    #[error("{}, {at}: {rule}, found {found}; {}", file.display(), rule.remedy())]
    Format {
        /// The file, or the name under which its bytes were given.
        file: PathBuf,
        /// Where in the (unpacked) content.
        at: At,
        /// The rule that is broken.
        rule: Rule,
        /// The offending value, shortened to 40 characters.
        found: String,
    },
    /// A valid file that holds something else than the reader takes.
    #[error("{} holds {found}, but only {supported} can be used here; convert the file or choose another reader", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What the reader takes.
        supported: String,
    },
    /// A file has another length than it was published with.
    #[error("{} must have {expected} bytes, found {found}; it is cut off or another file, get it again", file.display())]
    Length {
        /// The file.
        file: PathBuf,
        /// Bytes as published.
        expected: u64,
        /// Bytes at hand.
        found: u64,
    },
    /// No set has this name.
    #[error("`{name}` is no set that lives on disk; name one of {}", known.join(", "))]
    UnknownSet {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// A set without an address.
    #[error("`{name}` cannot be fetched; {by_hand}, then type `cargo xtask data import {name} FOLDER`")]
    NotFetchable {
        /// The set.
        name: &'static str,
        /// How a person gets it.
        by_hand: &'static str,
    },
    /// What a user gave as a mirror is no address.
    #[error(
        "the base of a mirror must be a web address, found `{base}`; give one such as https://mirror.example/data"
    )]
    Mirror {
        /// What was given.
        base: String,
    },
    /// Nothing of a set is where a user said.
    #[error("{} must be or hold a file of `{set}`, but is none of {}; give the file with its own name, or its folder", path.display(), files.join(", "))]
    NotOfSet {
        /// The path given.
        path: PathBuf,
        /// The set.
        set: &'static str,
        /// The names of its files.
        files: Vec<&'static str>,
    },
    /// Another process writes to the set.
    #[error("`{set}` is being written by {holder} (it holds {}); wait until it is done", lock.display())]
    Locked {
        /// The set.
        set: &'static str,
        /// What the holder wrote into the lock.
        holder: String,
        /// The lock.
        lock: PathBuf,
    },
    /// Neither `curl` nor `wget` runs.
    #[error(
        "fetching needs curl or wget, and neither runs here; install one, or get the files and type `cargo xtask data import NAME FOLDER`"
    )]
    NoDownloader,
    /// A download failed.
    #[error("cannot fetch {url}: {why}; check the connection and try again, what has arrived is kept")]
    Download {
        /// The address.
        url: String,
        /// What the downloader said last.
        why: String,
    },
    /// No place for data is known: neither given nor in the environment.
    #[error(
        "a data directory must be given or follow from the environment, but DLTA_DATA, XDG_DATA_HOME and HOME (LOCALAPPDATA on Windows) are all unset; pass --data-dir PATH"
    )]
    NoDataDirectory,
    /// An array was given with a shape that does not describe its values.
    #[error(
        "the product of the sizes {shape:?} must be the number of values, got {values} values; give the shape that the values have"
    )]
    ShapeMismatch {
        /// The sizes.
        shape: Vec<usize>,
        /// Number of values given.
        values: usize,
    },
    /// An array that IDX cannot store.
    #[error(
        "IDX holds 1 to 8 dimensions of less than 2^32 each, got sizes {shape:?}; flatten or split the array"
    )]
    ShapeNotStorable {
        /// The sizes.
        shape: Vec<usize>,
    },
    /// A text that TSV cannot store, because it knows no quoting.
    #[error(
        "a TSV field must hold no tab, line feed or carriage return, row {row}, column `{column}` holds {found}; replace it before writing"
    )]
    FieldNotStorable {
        /// Row, counted from 0 without the header; `None` for the header itself.
        row: RowLabel,
        /// Name of the column.
        column: String,
        /// The field, shortened to 40 characters.
        found: String,
    },
    /// A row with another number of fields than the table has columns.
    #[error("each row must have {columns} fields, row {row} has {fields}; complete the row")]
    RowLength {
        /// Row, counted from 0.
        row: usize,
        /// Number of columns.
        columns: usize,
        /// Number of fields given.
        fields: usize,
    },
    /// A column that the table does not have.
    #[error("the table must have the column `{column}`, it has {}; name one of these", columns.join(", "))]
    NoColumn {
        /// The column asked for.
        column: String,
        /// The columns that exist.
        columns: Vec<String>,
    },
    /// Train and test part would share rows.
    #[error(
        "train and test rows must not overlap: {train} + {test} exceeds the {rows} rows; ask for at most {rows} in all"
    )]
    Overlap {
        /// Training rows asked for.
        train: usize,
        /// Test rows asked for.
        test: usize,
        /// Rows that exist.
        rows: usize,
    },
    /// A validation part that takes all training rows.
    #[error("a validation part must leave training rows, got {n} of {train}; take fewer")]
    Validation {
        /// Validation rows asked for.
        n: usize,
        /// Training rows at hand.
        train: usize,
    },
    /// Folds that cannot all have a row.
    #[error(
        "the number of folds must lie in 2..={rows} (the number of rows), got {folds}; 10 is the usual choice"
    )]
    Folds {
        /// Folds asked for.
        folds: usize,
        /// Rows at hand.
        rows: usize,
    },
    /// A rectangle that does not lie inside of a picture.
    #[error(
        "a window must lie inside of the {} x {} picture, got {} x {} at row {}, column {}; move it or make it smaller",
        picture.0, picture.1, size.0, size.1, corner.0, corner.1
    )]
    Window {
        /// Row and column of the upper left pixel.
        corner: (usize, usize),
        /// Height and width of the window.
        size: (usize, usize),
        /// Height and width of the picture.
        picture: (usize, usize),
    },
    /// Nothing to fit on.
    #[error("a baseline must be fitted on at least one image, got none; check the split")]
    NoImages,
    /// Nothing to fit on.
    #[error("at least one row is needed to fit on, got none; check the split")]
    NoRows,
    /// Features of another width.
    #[error("{expected} columns were fitted, got {found}; give features of the same set")]
    Columns {
        /// Columns at fitting.
        expected: usize,
        /// Columns now.
        found: usize,
    },
    /// Targets that do not belong to the rows.
    #[error("each row needs one target, got {targets} for {rows} rows; give both from the same part")]
    Targets {
        /// Rows of features.
        rows: usize,
        /// Targets given.
        targets: usize,
    },
    /// A class without a name.
    #[error("a label must be below {classes}, row {row} has {label}; count the classes from 0")]
    Label {
        /// Row, counted from 0.
        row: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A penalty that does not make a fit well posed.
    #[error("a penalty must be positive and finite, got {value}; 1 is the usual choice")]
    Penalty {
        /// The value.
        value: f64,
    },
    /// A bond to nowhere, or to the atom that it starts from.
    #[error(
        "bond {index} joins {a} and {b}, but must join two of the {atoms} atoms, the smaller number first; atoms count from 0"
    )]
    BondEnd {
        /// Bond, counted from 0.
        index: usize,
        /// First end.
        a: usize,
        /// Second end.
        b: usize,
        /// Number of atoms.
        atoms: usize,
    },
    /// Two bonds between the same atoms.
    #[error("atoms {a} and {b} must be bound once, got two bonds; keep one of them")]
    BondTwice {
        /// First end.
        a: usize,
        /// Second end.
        b: usize,
    },
    /// A list of a graph with too few or too many entries.
    #[error(
        "`{list}` must have {expected} entries, one for each node or edge, got {found}; complete the list"
    )]
    GraphLength {
        /// The list.
        list: &'static str,
        /// Entries given.
        found: usize,
        /// Entries needed.
        expected: usize,
    },
    /// An edge to nowhere, or to the node that it starts from.
    #[error(
        "edge {index} joins {a} and {b}, but must join two of the {nodes} nodes, the smaller number first; nodes count from 0"
    )]
    EdgeEnd {
        /// Edge, counted from 0.
        index: usize,
        /// First end.
        a: usize,
        /// Second end.
        b: usize,
        /// Number of nodes.
        nodes: usize,
    },
    /// An edge that was there before.
    #[error("edge {index} joins {a} and {b} a second time, but each edge must be given once; drop it")]
    EdgeTwice {
        /// Edge, counted from 0.
        index: usize,
        /// First end.
        a: usize,
        /// Second end.
        b: usize,
    },
    /// A feature or class of a node that does not exist.
    #[error(
        "node {node} must have rising features below {features} and a class below {classes}; correct or drop it"
    )]
    NodeWord {
        /// Node, counted from 0.
        node: usize,
        /// Number of features.
        features: usize,
        /// Number of classes.
        classes: usize,
    },
    /// The number of neighbours is not usable.
    #[error("k must lie in 1..={rows} (the number of training images), got {k}; 5 is the usual choice")]
    Neighbours {
        /// Neighbours asked for.
        k: usize,
        /// Training images at hand.
        rows: usize,
    },
    /// A batch of no rows.
    #[error("a batch must hold at least one row, got 0; 32 is the usual choice")]
    EmptyBatch,
}

/// What was tried when the operating system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Opening or reading.
    Read,
    /// Creating, writing or renaming.
    Write,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Read => "read",
            Action::Write => "write",
        })
    }
}

/// A row of a table in a message: the header or a number counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLabel {
    /// The line of column names.
    Header,
    /// A row of values, counted from 0.
    Row(usize),
}

impl fmt::Display for RowLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowLabel::Header => f.write_str("header"),
            RowLabel::Row(row) => row.fmt(f),
        }
    }
}

/// A place in the content of a file (after unpacking).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// Offset in bytes, counted from 0.
    Byte(usize),
    /// A line, counted from 1; the header is line 1.
    Line(usize),
    /// A field of a table.
    Field {
        /// The line, counted from 1; the header is line 1.
        line: usize,
        /// Name of the column.
        column: String,
    },
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Byte(offset) => write!(f, "byte {offset}"),
            At::Line(line) => write!(f, "line {line}"),
            At::Field { line, column } => write!(f, "line {line}, column `{column}`"),
        }
    }
}

/// The rules that a file can break. `Display` states the rule, [`Rule::remedy`] what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// gzip: the stream decodes and its length and CRC agree.
    Gzip,
    /// The unpacked content is not larger than the caller allows.
    UnpackedSize {
        /// The most bytes allowed.
        limit: usize,
    },
    /// IDX: bytes 0 and 1 are zero.
    IdxMagic,
    /// IDX: byte 2 is a known type.
    IdxType,
    /// IDX: byte 3 is the number of dimensions, 1 to 8.
    IdxDimensions,
    /// IDX: the header is complete.
    IdxHeader {
        /// Bytes that the header takes.
        needed: usize,
    },
    /// IDX: the product of the sizes, in bytes, is a number of the machine.
    IdxSize,
    /// IDX: no byte of the values is missing.
    IdxTruncated {
        /// Bytes that the values take.
        needed: usize,
    },
    /// IDX: no byte follows the values.
    IdxTrailing {
        /// Bytes that the values take.
        needed: usize,
    },
    /// Images: the sizes are rows, then the fixed height, width and channels.
    ImageShape {
        /// The sizes after the first.
        expected: Vec<usize>,
    },
    /// Images: one label for each image.
    LabelCount {
        /// Number of images.
        images: usize,
    },
    /// Images: each label names a class.
    LabelRange {
        /// Number of classes.
        classes: usize,
    },
    /// Images: no pixel exceeds the largest level.
    Level {
        /// The largest level.
        max: u8,
    },
    /// TSV: the content is UTF-8.
    Utf8,
    /// TSV: each line ends with a line feed, also the last.
    LastLine,
    /// TSV: no carriage returns.
    CarriageReturn,
    /// TSV: the column names are these, in this order.
    Header {
        /// The names expected.
        expected: Vec<String>,
    },
    /// TSV: as many fields on each line as there are columns.
    FieldCount {
        /// Number of columns.
        columns: usize,
    },
    /// TSV: a number where one is asked for.
    Number,
    /// TSV: numbers are finite.
    Finite,
    /// TSV: a whole number in the range of the type asked for.
    Integer,
    /// The field is one of these.
    OneOf {
        /// What it may be.
        names: Vec<String>,
    },
    /// The column `split` says `train`, `valid`, `test` or `none`.
    Role,
    /// A phoneme is one of ARPAbet's.
    Phoneme,
    /// A token of a tune is `pitch:length` or `|`.
    Token,
    /// A metre is `beats/unit`.
    Metre,
    /// An atom is `element` or `element,charge,hydrogens,aromatic,ring`.
    Atom,
    /// A bond is `a-b:kind` with a < b.
    Bond,
    /// CSV: the first line names the columns, each once.
    HeaderLine,
    /// CSV: quotes stand around a whole field and are doubled inside of it.
    Quote,
    /// NPY: the file begins as NumPy's do.
    NpyMagic,
    /// NPY: the version is 1, 2 or 3.
    NpyVersion,
    /// NPY: the head is a whole dictionary of `descr`, `fortran_order` and `shape`.
    NpyHeader,
    /// NPY: as many bytes follow as the shape says.
    NpySize {
        /// The sizes.
        shape: Vec<usize>,
    },
    /// NPY: truth values are 0 or 1.
    NpyBool,
    /// zip: the record of the end is there.
    ZipEnd,
    /// zip: each entry of the directory leads to a whole member.
    ZipEntry,
    /// zip: members are stored or deflated, and not encrypted.
    ZipMethod,
    /// zip: a member has the length and the CRC that the directory says.
    ZipContent,
    /// tar: headers hold octal numbers, and their own sum.
    TarHeader,
    /// tar: nothing is missing at the end.
    TarTruncated,
    /// tar: names stay inside of the archive.
    TarPath,
    /// tar: a member of this name is there.
    TarMember {
        /// The name.
        name: String,
    },
    /// CIFAR: the file is whole records.
    Record {
        /// Bytes of a record.
        size: usize,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Gzip => f.write_str("the content must be one whole gzip stream"),
            Rule::UnpackedSize { limit } => write!(f, "the content must unpack to at most {limit} bytes"),
            Rule::IdxMagic => f.write_str("an IDX file must begin with two zero bytes"),
            Rule::IdxType => f.write_str("the type must be one of 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e"),
            Rule::IdxDimensions => f.write_str("the number of dimensions must lie in 1..=8"),
            Rule::IdxHeader { needed } => write!(f, "the header must have {needed} bytes"),
            Rule::IdxSize => f.write_str("the product of the sizes must not overflow"),
            Rule::IdxTruncated { needed } | Rule::IdxTrailing { needed } => {
                write!(f, "exactly {needed} bytes of values must follow the header")
            }
            Rule::ImageShape { expected } => write!(f, "the sizes after the first must be {expected:?}"),
            Rule::LabelCount { images } => write!(f, "there must be one label for each of {images} images"),
            Rule::LabelRange { classes } => write!(f, "a label must be below {classes}"),
            Rule::Level { max } => write!(f, "a pixel must be at most {max}"),
            Rule::Utf8 => f.write_str("text must be UTF-8"),
            Rule::LastLine => f.write_str("each line must end with a line feed"),
            Rule::CarriageReturn => f.write_str("lines must hold no carriage return"),
            Rule::Header { expected } => write!(f, "the header must be {}", shown(&expected.join("\t"))),
            Rule::FieldCount { columns } => write!(f, "each line must have {columns} fields"),
            Rule::Number => f.write_str("the field must be a number"),
            Rule::Finite => f.write_str("the number must be finite"),
            Rule::Integer => f.write_str("the field must be a whole number in range"),
            Rule::OneOf { names } => write!(f, "the field must be one of {}", names.join(", ")),
            Rule::Role => f.write_str("the part must be one of train, valid, test, none"),
            Rule::Phoneme => f.write_str("phonemes must be symbols of ARPAbet, one space apart"),
            Rule::Token => {
                f.write_str("tokens must be `pitch:length` (0 to 127, 1 to 255) or `|`, one space apart")
            }
            Rule::Metre => f.write_str("the metre must be `beats/unit` with a unit of 1, 2, 4, 8 or 16"),
            Rule::Atom => f.write_str("atoms must be `element` or `element,charge,hydrogens,aromatic,ring`"),
            Rule::Bond => f.write_str("bonds must be `a-b:kind`, a < b, kind one of 1, 2, 3, a"),
            Rule::HeaderLine => f.write_str("the first line must name each column once"),
            Rule::Quote => f.write_str("quotes must stand around whole fields and be doubled inside"),
            Rule::NpyMagic => f.write_str("an NPY file must begin with \\x93NUMPY"),
            Rule::NpyVersion => f.write_str("the version must be 1, 2 or 3"),
            Rule::NpyHeader => {
                f.write_str("the head must be a whole dictionary of descr, fortran_order and shape")
            }
            Rule::NpySize { shape } => write!(f, "the values must fill the shape {shape:?} exactly"),
            Rule::NpyBool => f.write_str("a truth value must be 0 or 1"),
            Rule::ZipEnd => f.write_str("a zip must end with the record of its directory"),
            Rule::ZipEntry => f.write_str("each entry of the directory must lead to a whole member"),
            Rule::ZipMethod => f.write_str("members must be stored or deflated, and not encrypted"),
            Rule::ZipContent => f.write_str("a member must have the length and CRC of the directory"),
            Rule::TarHeader => f.write_str("a header must hold octal numbers and its own sum"),
            Rule::TarTruncated => f.write_str("an archive must hold its last member whole"),
            Rule::TarPath => f.write_str("a name must stay inside of the archive"),
            Rule::TarMember { name } => write!(f, "the archive must hold {name}"),
            Rule::Record { size } => write!(f, "the file must be records of {size} bytes"),
        }
    }
}

impl Rule {
    /// What to do about a file that breaks this rule.
    pub fn remedy(&self) -> &'static str {
        match self {
            Rule::Gzip => "get the file again, or drop `.gz` from its name if it is not packed",
            Rule::UnpackedSize { .. } => "raise the limit if you trust the file",
            Rule::IdxMagic => "check that this is an IDX file and not packed or a web page",
            Rule::IdxType => "write the array again with a type that IDX knows",
            Rule::IdxDimensions => "flatten the array to at most 8 dimensions",
            Rule::IdxHeader { .. } | Rule::IdxTruncated { .. } | Rule::LastLine => {
                "the file is cut off, get it again"
            }
            Rule::IdxSize => "the header is damaged, get the file again",
            Rule::IdxTrailing { .. } => {
                "the header and the values do not belong together, get the file again"
            }
            Rule::ImageShape { .. } => "choose the reader for images of this size",
            Rule::LabelCount { .. } => "give the label file that belongs to the image file",
            Rule::LabelRange { .. } => "give all classes a name, or the label file of this set",
            Rule::Level { .. } => "give the largest level that the images use",
            Rule::Utf8 => "save the file as UTF-8",
            Rule::CarriageReturn => "save the file with line feeds alone",
            Rule::Header { .. } => "give the file of this set, columns in this order",
            Rule::FieldCount { .. } => "complete the line, and remove tabs inside fields",
            Rule::Number
            | Rule::Finite
            | Rule::Integer
            | Rule::OneOf { .. }
            | Rule::Role
            | Rule::Phoneme
            | Rule::Token
            | Rule::Metre
            | Rule::Atom
            | Rule::Bond => "correct or drop the row",
            Rule::HeaderLine => "give each column one name",
            Rule::Quote => "quote the field as RFC 4180 says",
            Rule::NpyMagic => "check that this is an .npy file",
            Rule::NpyVersion => "write the array again with numpy.save",
            Rule::NpyHeader | Rule::NpySize { .. } | Rule::NpyBool => "the file is damaged, get it again",
            Rule::ZipEnd | Rule::ZipEntry | Rule::ZipContent => {
                "the file is cut off or damaged, get it again"
            }
            Rule::ZipMethod => "write the file again with numpy.savez",
            Rule::TarHeader | Rule::TarTruncated => "the archive is cut off or damaged, get it again",
            Rule::TarPath => "do not use this archive",
            Rule::TarMember { .. } => "give the archive of this set",
            Rule::Record { .. } => "the file is cut off or of another set, get it again",
        }
    }
}

impl DataError {
    /// The same about `file`, where it is about `copy`: the reader knows the one and not the other.
    pub(crate) fn about(mut self, copy: &Path, file: &Path) -> Self {
        if let Self::Length { file: named, .. } | Self::Checksum { file: named, .. } = &mut self
            && named == copy
        {
            *named = file.to_owned();
        }
        self
    }

    /// An error of format in `file`.
    pub(crate) fn format(file: &Path, at: At, rule: Rule, found: impl Into<String>) -> Self {
        DataError::Format { file: file.to_owned(), at, rule, found: found.into() }
    }

    /// `file` holds values of another type than the reader takes.
    pub(crate) fn unsupported_values(file: &Path, found: &Values, supported: &str) -> Self {
        DataError::Unsupported {
            file: file.to_owned(),
            found: format!("{} values", found.type_name()),
            supported: format!("{supported} values"),
        }
    }

    /// The system's answer to reading `file`: [`DataError::Absent`] when there is no such file.
    pub(crate) fn read(file: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return DataError::Absent {
                name: file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
                looked_in: vec![file.to_owned()],
                remedy: "check the path, or put the file there".to_owned(),
            };
        }
        DataError::Io { action: Action::Read, file: file.to_owned(), source }
    }

    /// The system's answer to writing `file`.
    pub(crate) fn write(file: &Path, source: io::Error) -> Self {
        DataError::Io { action: Action::Write, file: file.to_owned(), source }
    }
}

/// `text` quoted and escaped, cut after 40 characters, so that a broken file cannot flood a terminal.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
