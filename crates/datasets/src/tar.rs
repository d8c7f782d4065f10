//! Named members of a tar archive (POSIX ustar), read from a stream.
//!
//! Only the members that are asked for are kept, each up to a limit; nothing is written to disk, so a path such as
//! `../../x` in an archive can do no harm: it is refused all the same.
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path};

use crate::error::{At, DataError, Rule, shown};

/// Size of a header, and the unit that contents are filled up to.
const BLOCK: usize = 512;

/// The contents of the members of `archive` whose last part of the name is in `wanted`, by that part. `file` is named
/// in errors; `limit` holds for each member.
///
/// # Errors
/// [`DataError::Format`] with a tar rule or [`Rule::UnpackedSize`], [`DataError::Io`] when the stream fails.
pub fn members(
    file: &Path,
    mut archive: impl Read,
    wanted: &[&str],
    limit: usize,
) -> Result<BTreeMap<String, Vec<u8>>, DataError> {
    let fail = |at, rule, found: String| Err(DataError::format(file, At::Byte(at), rule, found));
    let mut found = BTreeMap::new();
    let mut at = 0usize;
    loop {
        let mut header = [0; BLOCK];
        match fill(&mut archive, &mut header).map_err(|source| DataError::read(file, source))? {
            BLOCK => {}
            0 => break, // an archive may lack its two empty blocks
            read => return fail(at + read, Rule::TarTruncated, format!("{read} bytes of a header")),
        }
        if header == [0; BLOCK] {
            break;
        }
        let Some(checksum) = octal(&header[148..156]) else {
            return fail(at + 148, Rule::TarHeader, shown(&String::from_utf8_lossy(&header[148..156])));
        };
        // The sum is taken with spaces in place of itself.
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum::<u64>() + 8 * 32
            - header[148..156].iter().map(|&byte| u64::from(byte)).sum::<u64>();
        if sum != checksum {
            return fail(at, Rule::TarHeader, format!("sum {sum} for {checksum}"));
        }
        let Some(size) = octal(&header[124..136]).and_then(|size| usize::try_from(size).ok()) else {
            return fail(at + 124, Rule::TarHeader, shown(&String::from_utf8_lossy(&header[124..136])));
        };
        let name = match text(&header[345..500]) {
            prefix if prefix.is_empty() => text(&header[..100]),
            prefix => format!("{prefix}/{}", text(&header[..100])),
        };
        let path = Path::new(&name);
        let is_inside =
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_inside {
            return fail(at, Rule::TarPath, shown(&name));
        }
        at += BLOCK;
        let padded = size.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
        let last = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_file = matches!(header[156], b'0' | 0);
        if is_file && wanted.contains(&last.as_str()) {
            if size > limit {
                return fail(at, Rule::UnpackedSize { limit }, size.to_string());
            }
            let mut content = Vec::new();
            let read = archive.by_ref().take(size as u64).read_to_end(&mut content);
            read.map_err(|source| DataError::read(file, source))?;
            if content.len() < size {
                return fail(
                    at + content.len(),
                    Rule::TarTruncated,
                    format!("{} of {size} bytes", content.len()),
                );
            }
            found.insert(last, content);
            skip(&mut archive, padded - size).map_err(|source| DataError::read(file, source))?;
        } else {
            let skipped = skip(&mut archive, padded).map_err(|source| DataError::read(file, source))?;
            if skipped < size {
                return fail(at + skipped, Rule::TarTruncated, format!("{skipped} of {size} bytes"));
            }
        }
        at = at.saturating_add(padded);
    }
    Ok(found)
}

/// Reads until `buffer` is full or the stream ends; the number of bytes read.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match stream.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn skip(stream: &mut impl Read, bytes: usize) -> std::io::Result<usize> {
    std::io::copy(&mut stream.take(bytes as u64), &mut std::io::sink()).map(|n| n as usize)
}

/// An octal number, filled up with spaces or zero bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| (b'0'..b'8').contains(&byte)) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

/// Text up to the first zero byte.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}
