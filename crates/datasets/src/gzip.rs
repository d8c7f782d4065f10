//! gzip with a limit on what a stream may unpack to.
//!
//! A stream of one megabyte can unpack to a gigabyte (deflate reaches 1032 : 1), and the length that a stream
//! states about itself is not to be trusted. So [`unpack`] reads at most `limit + 1` bytes and grows its buffer
//! with what really comes out.
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::error::{At, DataError, Rule};

/// The most bytes that [`crate::idx::read`] and [`crate::tsv::Table::read`] unpack or read: 1 GiB.
///
/// The largest set of the course, MNIST in full, takes 47 MB.
pub const DEFAULT_LIMIT: usize = 1 << 30;

/// Unpacks a gzip stream (one or several members) of at most `limit` bytes. `file` is named in errors.
///
/// # Errors
/// [`Rule::Gzip`] when the stream is cut, damaged (its CRC or length is wrong) or followed by something else;
/// [`Rule::UnpackedSize`] when it holds more than `limit` bytes.
pub fn unpack(file: &Path, packed: &[u8], limit: usize) -> Result<Vec<u8>, DataError> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(packed).take((limit as u64).saturating_add(1)).read_to_end(&mut unpacked);
    if unpacked.len() > limit {
        let found = format!("more than {limit}");
        return Err(DataError::format(file, At::Byte(limit), Rule::UnpackedSize { limit }, found));
    }
    match read {
        Ok(_) => Ok(unpacked),
        Err(error) => {
            Err(DataError::format(file, At::Byte(unpacked.len()), Rule::Gzip, format!("\"{error}\"")))
        }
    }
}

/// Packs bytes as one gzip member without name or time, so that equal input gives equal output.
pub fn pack(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).and_then(|()| encoder.finish()).expect("a Vec takes every write")
}

/// The content of `path`, unpacked when its name ends in `.gz`; at most `limit` bytes before and after unpacking.
pub(crate) fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, DataError> {
    let file = std::fs::File::open(path).map_err(|source| DataError::read(path, source))?;
    let mut content = Vec::new();
    file.take((limit as u64).saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|source| DataError::read(path, source))?;
    if content.len() > limit {
        let found = format!("more than {limit}");
        return Err(DataError::format(path, At::Byte(limit), Rule::UnpackedSize { limit }, found));
    }
    if is_packed(path) { unpack(path, &content, limit) } else { Ok(content) }
}

/// Counts the writes of this process, so that no two share a temporary file.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Writes `content` to `path` by a temporary file beside it and a rename, packed when the name ends in `.gz`.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let packed = if is_packed(path) { Some(pack(content)) } else { None };
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".part-{}-{}", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let part = Path::new(&part);
    let written =
        std::fs::write(part, packed.as_deref().unwrap_or(content)).and_then(|()| std::fs::rename(part, path));
    written.map_err(|source| {
        let _ = std::fs::remove_file(part); // the first error is the one to report
        DataError::write(path, source)
    })
}

pub(crate) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}
