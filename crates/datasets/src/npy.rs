//! NumPy's arrays: `.npy`, and `.npz`, which is a zip of them.
//!
//! Versions 1 to 3; types f4, f8, i4, i8, u1 and b1; little and big endian; C and Fortran order (given back in C
//! order). Arrays of objects are refused: reading them means running a program. In a zip, members may be stored or
//! deflated, and each is checked against its CRC.
//!
//! No size is believed: values are allocated for bytes that are there, and a member unpacks to at most the limit.
//!
//! **Sources**: NumPy Enhancement Proposal 1, A simple file format for NumPy arrays; PKWARE (2022), .ZIP file format
//! specification 6.3.10.
//!
//! # Examples
//! ```
//! use std::path::Path;
//! use datasets::npy::{self, Array, Values};
//! let array = Array::try_new(vec![2, 3], Values::F32(vec![1., 2., 3., 4., 5., 6.]))?;
//! let bytes = npy::encode(&array);
//! assert_eq!(bytes[..6], *b"\x93NUMPY");
//! assert_eq!(npy::parse(Path::new("x.npy"), &bytes)?, array);
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::io::Read;
use std::path::Path;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use crate::error::{At, DataError, Rule, shown};
use crate::gzip;

/// The values of an [`Array`], in C order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// `f4`
    F32(Vec<f32>),
    /// `f8`
    F64(Vec<f64>),
    /// `i4`
    I32(Vec<i32>),
    /// `i8`
    I64(Vec<i64>),
    /// `u1`
    U8(Vec<u8>),
    /// `b1`
    Bool(Vec<bool>),
}

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::I64(v) => v.len(),
            Values::U8(v) => v.len(),
            Values::Bool(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as f64; whole numbers beyond 2⁵³ are rounded, truth is 1.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Values::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::F64(v) => v.clone(),
            Values::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Values::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::Bool(v) => v.iter().map(|&x| f64::from(u8::from(x))).collect(),
        }
    }

    fn descr(&self) -> &'static str {
        match self {
            Values::F32(_) => "<f4",
            Values::F64(_) => "<f8",
            Values::I32(_) => "<i4",
            Values::I64(_) => "<i8",
            Values::U8(_) => "|u1",
            Values::Bool(_) => "|b1",
        }
    }
}

/// An array with its shape; without sizes it is one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

impl Array {
    /// Joins values and shape.
    ///
    /// # Errors
    /// [`DataError::ShapeMismatch`] when the product of the sizes is not the number of values.
    pub fn try_new(shape: Vec<usize>, values: Values) -> Result<Self, DataError> {
        match product(&shape) {
            Some(n) if n == values.len() => Ok(Array { shape, values }),
            _ => Err(DataError::ShapeMismatch { shape, values: values.len() }),
        }
    }

    /// The sizes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in C order.
    pub fn values(&self) -> &Values {
        &self.values
    }
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// Reads an `.npy` file of at most [`gzip::DEFAULT_LIMIT`] bytes.
///
/// # Errors
/// [`DataError::Absent`], [`DataError::Io`], or as [`parse`].
pub fn read(path: &Path) -> Result<Array, DataError> {
    parse(path, &gzip::read_file(path, gzip::DEFAULT_LIMIT)?)
}

/// Parses the bytes of an `.npy` file. `file` is named in errors.
///
/// # Errors
/// [`DataError::Format`] with the byte and one of the NPY rules; [`DataError::Unsupported`] for another type of
/// values, objects among them.
pub fn parse(file: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let fail = |at, rule, found: String| Err(DataError::format(file, At::Byte(at), rule, found));
    let magic = &bytes[..bytes.len().min(6)];
    if magic != b"\x93NUMPY" {
        return fail(0, Rule::NpyMagic, shown(&String::from_utf8_lossy(magic)));
    }
    let (start, length): (usize, usize) = match bytes.get(6..) {
        Some(&[1, _, a, b, ..]) => (10, usize::from(u16::from_le_bytes([a, b]))),
        Some(&[2 | 3, _, a, b, c, d, ..]) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        Some(&[version, _, ..]) if !(1..=3).contains(&version) => {
            return fail(6, Rule::NpyVersion, version.to_string());
        }
        _ => return fail(6, Rule::NpyHeader, format!("{} bytes", bytes.len())),
    };
    let end = start.checked_add(length).filter(|&end| end <= bytes.len());
    let Some(end) = end else {
        return fail(
            start,
            Rule::NpyHeader,
            format!("{} of {length} bytes", bytes.len().saturating_sub(start)),
        );
    };
    let header = String::from_utf8_lossy(&bytes[start..end]);
    let Some(Header { descr, is_fortran, shape }) = Header::parse(&header) else {
        return fail(start, Rule::NpyHeader, shown(header.trim_end()));
    };
    let body = &bytes[end..];
    let (order, kind) = descr.split_at_checked(1).unwrap_or(("", ""));
    let width = match (order, kind) {
        ("<" | ">", "f4" | "i4") => 4,
        ("<" | ">", "f8" | "i8") => 8,
        ("|" | "<" | ">", "u1" | "b1") => 1,
        _ => {
            return Err(DataError::Unsupported {
                file: file.to_owned(),
                found: format!("values of type {}", shown(&descr)),
                supported: "f4, f8, i4, i8, u1 and b1".to_owned(),
            });
        }
    };
    let count = product(&shape).filter(|count| count.checked_mul(width) == Some(body.len()));
    let Some(count) = count else {
        let rule = Rule::NpySize { shape };
        return fail(end, rule, format!("{} bytes", body.len()));
    };
    macro_rules! numbers {
        ($kind:ident, $type:ty) => {{
            let (numbers, _) = body.as_chunks::<{ size_of::<$type>() }>();
            let from = if order == "<" { <$type>::from_le_bytes } else { <$type>::from_be_bytes };
            Values::$kind(in_c_order(numbers.iter().map(|&bytes| from(bytes)).collect(), &shape, is_fortran))
        }};
    }
    let values = match kind {
        "f4" => numbers!(F32, f32),
        "f8" => numbers!(F64, f64),
        "i4" => numbers!(I32, i32),
        "i8" => numbers!(I64, i64),
        "u1" => Values::U8(in_c_order(body.to_vec(), &shape, is_fortran)),
        _ => {
            if let Some(at) = body.iter().position(|&byte| byte > 1) {
                return fail(end + at, Rule::NpyBool, body[at].to_string());
            }
            Values::Bool(in_c_order(body.iter().map(|&byte| byte == 1).collect(), &shape, is_fortran))
        }
    };
    debug_assert_eq!(values.len(), count);
    Ok(Array { shape, values })
}

/// Values that were stored with the first index fastest, with the last index fastest.
fn in_c_order<T: Copy>(values: Vec<T>, shape: &[usize], is_fortran: bool) -> Vec<T> {
    if !is_fortran || shape.len() < 2 || values.is_empty() {
        return values;
    }
    let mut strides = vec![1; shape.len()]; // of the stored values
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let (mut index, mut at) = (vec![0; shape.len()], 0);
    let mut ordered = Vec::with_capacity(values.len());
    loop {
        ordered.push(values[at]);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return ordered;
            }
            axis -= 1;
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

/// What the dictionary at the head of a file says.
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order; `None` for all else.
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim_end().strip_prefix('{')?;
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after.is_empty().then_some(Header {
                    descr: descr?,
                    is_fortran: is_fortran?,
                    shape: shape?,
                });
            }
            let (key, after) = quoted(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            match key {
                "descr" => {
                    // A list describes records; they are shown and refused as a type.
                    let (value, after) = if rest.starts_with('[') {
                        rest.split_at(rest.find(']')? + 1)
                    } else {
                        quoted(rest)?
                    };
                    descr = Some(value.to_owned());
                    rest = after;
                }
                "fortran_order" => {
                    let (value, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic())?);
                    is_fortran = Some(match value {
                        "True" => true,
                        "False" => false,
                        _ => return None,
                    });
                    rest = after;
                }
                "shape" => {
                    let (sizes, after) = rest.strip_prefix('(')?.split_once(')')?;
                    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                    shape = Some(sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()?);
                    rest = after;
                }
                _ => return None,
            }
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
}

/// The text between the quotes that `rest` begins with, and what follows them.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let mark = rest.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    rest[1..].split_once(mark)
}

/// The bytes of an `.npy` file of version 1, little endian, C order.
pub fn encode(array: &Array) -> Vec<u8> {
    let sizes: String = array.shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
        array.values.descr(),
        if array.shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") }
    );
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("an array of a handful of sizes").to_le_bytes());
    bytes.extend(header.as_bytes());
    match &array.values {
        Values::F32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::F64(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::I32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::I64(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::U8(v) => bytes.extend(v),
        Values::Bool(v) => bytes.extend(v.iter().map(|&x| u8::from(x))),
    }
    bytes
}

/// The arrays of an `.npz` file, by name without `.npy`, in the file's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Npz {
    arrays: Vec<(String, Array)>,
}

impl Npz {
    /// Reads a file of at most [`gzip::DEFAULT_LIMIT`] bytes, packed and unpacked.
    ///
    /// # Errors
    /// [`DataError::Absent`], [`DataError::Io`], or as [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::parse(path, &gzip::read_file(path, gzip::DEFAULT_LIMIT)?, gzip::DEFAULT_LIMIT)
    }

    /// Parses the bytes of a file whose members unpack to at most `limit` bytes in all. `file` is named in errors;
    /// inside of a member, bytes are counted from its beginning.
    ///
    /// # Errors
    /// [`DataError::Format`] with a zip rule, or as [`parse`](fn@parse) for a member.
    pub fn parse(file: &Path, bytes: &[u8], limit: usize) -> Result<Self, DataError> {
        let mut left = limit;
        let mut arrays = Vec::new();
        for member in directory(file, bytes)? {
            let content = member.unpack(file, bytes, left)?;
            left -= content.len();
            let name = member.name.strip_suffix(".npy").unwrap_or(&member.name).to_owned();
            arrays.push((name, parse(&file.join(&member.name), &content)?));
        }
        Ok(Npz { arrays })
    }

    /// The names of the arrays, in order.
    pub fn names(&self) -> Vec<&str> {
        self.arrays.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The array of this name.
    ///
    /// # Errors
    /// [`DataError::NoColumn`] when there is none, with the names that there are.
    pub fn get(&self, name: &str) -> Result<&Array, DataError> {
        let found = self.arrays.iter().find(|(known, _)| known == name).map(|(_, array)| array);
        let columns = || self.arrays.iter().map(|(name, _)| name.clone()).collect();
        found.ok_or_else(|| DataError::NoColumn { column: name.to_owned(), columns: columns() })
    }
}

/// A member of a zip, as the directory at its end describes it.
struct Member {
    name: String,
    method: u16,
    crc: u32,
    packed: usize,
    unpacked: usize,
    offset: usize,
}

/// The members of a zip without comment tricks: one disk, no encryption, less than 4 GiB.
fn directory(file: &Path, bytes: &[u8]) -> Result<Vec<Member>, DataError> {
    let fail = |at, rule, found: &str| Err(DataError::format(file, At::Byte(at), rule, found));
    const END: usize = 22;
    // A comment of up to 65,535 bytes may follow the end record.
    let first = bytes.len().saturating_sub(END + usize::from(u16::MAX));
    let is_end = |&at: &usize| {
        bytes[at..].starts_with(b"PK\x05\x06")
            && bytes.len() - at == END + usize::from(u16_at(bytes, at + 20))
    };
    let last = bytes.len().checked_sub(END);
    let Some(end) = last.and_then(|last| (first..=last).rev().find(is_end)) else {
        return fail(bytes.len(), Rule::ZipEnd, "none");
    };
    let (count, mut at) = (u16_at(bytes, end + 10), u32_at(bytes, end + 16));
    let mut members = Vec::new();
    for _ in 0..count {
        const ENTRY: usize = 46;
        let is_entry =
            at.checked_add(ENTRY).is_some_and(|stop| stop <= end) && bytes[at..].starts_with(b"PK\x01\x02");
        if !is_entry {
            return fail(at, Rule::ZipEntry, "none");
        }
        let [name, extra, comment] = [28, 30, 32].map(|field| usize::from(u16_at(bytes, at + field)));
        let Some(name) = bytes[..end].get(at + ENTRY..at + ENTRY + name) else {
            return fail(at, Rule::ZipEntry, "a name that is cut off");
        };
        if u16_at(bytes, at + 8) & 1 != 0 {
            return fail(at + 8, Rule::ZipMethod, "an encrypted member");
        }
        members.push(Member {
            name: String::from_utf8_lossy(name).into_owned(),
            method: u16_at(bytes, at + 10),
            crc: u32_at(bytes, at + 16) as u32,
            packed: u32_at(bytes, at + 20),
            unpacked: u32_at(bytes, at + 24),
            offset: u32_at(bytes, at + 42),
        });
        at += ENTRY + name.len() + extra + comment;
    }
    Ok(members)
}

impl Member {
    /// The content, checked against length and CRC.
    fn unpack(&self, file: &Path, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DataError> {
        let fail = |at, rule, found: String| Err(DataError::format(file, At::Byte(at), rule, found));
        const HEADER: usize = 30;
        let is_here = self.offset.checked_add(HEADER).is_some_and(|stop| stop <= bytes.len())
            && bytes[self.offset..].starts_with(b"PK\x03\x04");
        if !is_here {
            return fail(self.offset, Rule::ZipEntry, "no member".to_owned());
        }
        let [name, extra] = [26, 28].map(|field| usize::from(u16_at(bytes, self.offset + field)));
        let start = self.offset + HEADER + name + extra;
        let Some(packed) = bytes.get(start..).and_then(|rest| rest.get(..self.packed)) else {
            return fail(start, Rule::ZipEntry, "a member that is cut off".to_owned());
        };
        if self.unpacked > limit {
            return fail(start, Rule::UnpackedSize { limit }, self.unpacked.to_string());
        }
        let mut content = Vec::new();
        match self.method {
            0 => content.extend_from_slice(packed),
            8 => {
                let mut decoder = DeflateDecoder::new(packed).take(self.unpacked as u64 + 1);
                if let Err(error) = decoder.read_to_end(&mut content) {
                    return fail(start, Rule::ZipContent, format!("\"{error}\""));
                }
            }
            method => return fail(self.offset, Rule::ZipMethod, format!("method {method}")),
        }
        let mut crc = Crc::new();
        crc.update(&content);
        if content.len() != self.unpacked || crc.sum() != self.crc {
            let found = format!("{} bytes, CRC {:08x}", content.len(), crc.sum());
            return fail(start, Rule::ZipContent, found);
        }
        Ok(content)
    }
}

/// A little-endian number; the caller has seen that it lies inside.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// As [`u16_at`], of four bytes.
fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}
