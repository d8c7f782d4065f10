//! IDX, the format of the MNIST files: arrays of up to eight dimensions.
//!
//! ```text
//! 0 0 TYPE NDIM   u32 × NDIM sizes   values in C order           (all numbers big-endian)
//! TYPE: 0x08 u8, 0x09 i8, 0x0B i16, 0x0C i32, 0x0D f32, 0x0E f64
//! ```
//!
//! A file must hold exactly as many bytes as its header says: fewer is [`Rule::IdxTruncated`], more is
//! [`Rule::IdxTrailing`]. That is checked before the values are allocated, so reading takes no more memory than
//! twice the unpacked file, whatever its header claims.
//!
//! **Source**: the file format note on the MNIST page of Y. LeCun, C. Cortes and C. Burges.
//!
//! # Examples
//! ```
//! use std::path::Path;
//! use datasets::idx::{self, Array, Values};
//! let array = Array::try_new(vec![2, 3], Values::I16(vec![1, 2, 3, 4, 5, -6]))?;
//! let bytes = idx::encode(&array);
//! assert_eq!(bytes[..4], [0, 0, 0x0B, 2]);
//! assert_eq!(bytes[bytes.len() - 2..], [0xFF, 0xFA]);              // -6, big-endian
//! assert_eq!(idx::parse(Path::new("example.idx"), &bytes)?, array);
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::path::Path;

use crate::error::{At, DataError, Rule};
use crate::gzip;

/// The values of an [`Array`], in C order (last index fastest).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// Type 0x08.
    U8(Vec<u8>),
    /// Type 0x09.
    I8(Vec<i8>),
    /// Type 0x0B.
    I16(Vec<i16>),
    /// Type 0x0C.
    I32(Vec<i32>),
    /// Type 0x0D. NaN and infinities pass unchanged: IDX has no rule about them.
    F32(Vec<f32>),
    /// Type 0x0E. NaN and infinities pass unchanged.
    F64(Vec<f64>),
}

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::U8(v) => v.len(),
            Values::I8(v) => v.len(),
            Values::I16(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
        }
    }

    /// Whether there are no values: one of the sizes is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Rust name of the type, as `data.tsv` writes it: `u8`, `i16` …
    pub fn type_name(&self) -> &'static str {
        match self {
            Values::U8(_) => "u8",
            Values::I8(_) => "i8",
            Values::I16(_) => "i16",
            Values::I32(_) => "i32",
            Values::F32(_) => "f32",
            Values::F64(_) => "f64",
        }
    }

    fn code(&self) -> u8 {
        match self {
            Values::U8(_) => 0x08,
            Values::I8(_) => 0x09,
            Values::I16(_) => 0x0B,
            Values::I32(_) => 0x0C,
            Values::F32(_) => 0x0D,
            Values::F64(_) => 0x0E,
        }
    }
}

/// An array with its shape. The product of the sizes is the number of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

impl Array {
    /// Joins values and shape.
    ///
    /// # Errors
    /// [`DataError::ShapeNotStorable`] unless there are 1 to 8 sizes below 2³² whose product does not overflow;
    /// [`DataError::ShapeMismatch`] when that product is not the number of values.
    pub fn try_new(shape: Vec<usize>, values: Values) -> Result<Self, DataError> {
        let storable =
            (1..=8).contains(&shape.len()) && shape.iter().all(|&size| u32::try_from(size).is_ok());
        match shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) {
            Some(product) if storable && product == values.len() => Ok(Array { shape, values }),
            Some(_) if storable => Err(DataError::ShapeMismatch { shape, values: values.len() }),
            _ => Err(DataError::ShapeNotStorable { shape }),
        }
    }

    /// The sizes, 1 to 8 of them.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in C order.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Shape and values, without a copy.
    pub fn into_parts(self) -> (Vec<usize>, Values) {
        (self.shape, self.values)
    }
}

/// Parses the bytes of an IDX file. `file` is named in errors.
///
/// # Errors
/// [`DataError::Format`] with the byte offset and one of the IDX rules of [`Rule`].
pub fn parse(file: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let fail = |at: usize, rule: Rule, found: String| Err(DataError::format(file, At::Byte(at), rule, found));
    let &[zero0, zero1, code, ndim, ref rest @ ..] = bytes else {
        return fail(0, Rule::IdxHeader { needed: 4 }, bytes.len().to_string());
    };
    if (zero0, zero1) != (0, 0) {
        return fail(0, Rule::IdxMagic, format!("0x{zero0:02x} 0x{zero1:02x}"));
    }
    let width = match code {
        0x08 | 0x09 => 1,
        0x0B => 2,
        0x0C | 0x0D => 4,
        0x0E => 8,
        _ => return fail(2, Rule::IdxType, format!("0x{code:02x}")),
    };
    if !(1..=8).contains(&ndim) {
        return fail(3, Rule::IdxDimensions, ndim.to_string());
    }
    let sizes = 4 * usize::from(ndim);
    let Some((sizes, body)) = rest.split_at_checked(sizes) else {
        return fail(4, Rule::IdxHeader { needed: 4 + sizes }, bytes.len().to_string());
    };
    let shape: Vec<usize> = chunks(sizes).map(|size| u32::from_be_bytes(size) as usize).collect();
    let needed =
        shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size)).and_then(|n| n.checked_mul(width));
    let Some(needed) = needed else {
        return fail(4, Rule::IdxSize, format!("{shape:?}"));
    };
    let start = bytes.len() - body.len();
    if body.len() < needed {
        return fail(bytes.len(), Rule::IdxTruncated { needed }, body.len().to_string());
    }
    if body.len() > needed {
        return fail(start + needed, Rule::IdxTrailing { needed }, body.len().to_string());
    }
    let values = match code {
        0x08 => Values::U8(body.to_vec()),
        0x09 => Values::I8(chunks(body).map(i8::from_be_bytes).collect()),
        0x0B => Values::I16(chunks(body).map(i16::from_be_bytes).collect()),
        0x0C => Values::I32(chunks(body).map(i32::from_be_bytes).collect()),
        0x0D => Values::F32(chunks(body).map(f32::from_be_bytes).collect()),
        _ => Values::F64(chunks(body).map(f64::from_be_bytes).collect()), // 0x0E: `width` admits no other
    };
    Ok(Array { shape, values })
}

/// The bytes of an IDX file.
pub fn encode(array: &Array) -> Vec<u8> {
    let mut bytes = vec![0, 0, array.values.code(), array.shape.len() as u8]; // 1 to 8 sizes, see `try_new`
    for &size in &array.shape {
        bytes.extend(u32::try_from(size).expect("an `Array` has sizes below 2^32").to_be_bytes());
    }
    match &array.values {
        Values::U8(v) => bytes.extend_from_slice(v),
        Values::I8(v) => bytes.extend(v.iter().flat_map(|x| x.to_be_bytes())),
        Values::I16(v) => bytes.extend(v.iter().flat_map(|x| x.to_be_bytes())),
        Values::I32(v) => bytes.extend(v.iter().flat_map(|x| x.to_be_bytes())),
        Values::F32(v) => bytes.extend(v.iter().flat_map(|x| x.to_be_bytes())),
        Values::F64(v) => bytes.extend(v.iter().flat_map(|x| x.to_be_bytes())),
    }
    bytes
}

/// Reads an IDX file, unpacking it when its name ends in `.gz`; at most [`gzip::DEFAULT_LIMIT`] bytes.
///
/// # Errors
/// [`DataError::Absent`], [`DataError::Io`], or [`DataError::Format`] as [`parse`] and [`gzip::unpack`].
pub fn read(path: &Path) -> Result<Array, DataError> {
    read_limited(path, gzip::DEFAULT_LIMIT)
}

/// Reads an IDX file that holds at most `limit` bytes, packed and unpacked.
///
/// # Errors
/// As [`read`].
pub fn read_limited(path: &Path, limit: usize) -> Result<Array, DataError> {
    parse(path, &gzip::read_file(path, limit)?)
}

/// Writes an IDX file, packed when its name ends in `.gz`. A failed write leaves what was there before.
///
/// # Errors
/// [`DataError::Io`] when the system refuses.
pub fn write(path: &Path, array: &Array) -> Result<(), DataError> {
    gzip::write_file(path, &encode(array))
}

/// `bytes` in pieces of `N`; the callers have checked that nothing is left over.
fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
