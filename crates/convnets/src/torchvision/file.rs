//! PyTorch's files as numbers, and back: what a [`Checkpoint`] does not convert.
//!
//! | in the file | becomes |
//! |---|---|
//! | F16, BF16, F32, F64 | the model's type; exact unless that is narrower |
//! | `num_batches_tracked`, I64 or F64 | the count of a normalisation, written as I64 |
//! | any other type | [`LoadError::Type`] |
use super::LoadError;
use kernels::Real;
use layers::{Checkpoint, CheckpointError};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as Type, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The last part of the name of a normalisation's count, the one tensor of integers.
const COUNT: &str = "num_batches_tracked";
/// Where a [`Checkpoint`] keeps its text in the header.
const ABOUT: &str = "about";

/// What a file holds.
pub(super) struct Weights {
    /// Its tensors by name.
    pub(super) tensors: BTreeMap<String, Found>,
    /// The text in its header.
    pub(super) about: Option<String>,
}

/// A tensor of a file.
pub(super) struct Found {
    dtype: Type,
    pub(super) shape: Vec<usize>,
    /// Its numbers, if they are of a type that weights or counts have.
    values: Option<Vec<f64>>,
}

impl Found {
    /// The numbers for the tensor of a model with this name, which is a count where it has no axes in the model.
    pub(super) fn values(&self, name: &str, is_count: bool) -> Result<&[f64], LoadError> {
        let values = self.values.as_deref().filter(|_| is_count || self.dtype != Type::I64);
        values.ok_or_else(|| LoadError::Type { name: name.to_owned(), got: self.dtype.to_string() })
    }
}

/// The file at `path`.
pub(super) fn read(path: &Path) -> Result<Weights, CheckpointError> {
    let io = |source| CheckpointError::Io { path: path.to_owned(), action: "read", source };
    let format = |source| CheckpointError::Format { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(io)?;
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let about = header.metadata().as_ref().and_then(|texts| texts.get(ABOUT).cloned());
    let found = |view: TensorView<'_>| {
        let (dtype, shape, values) = (view.dtype(), view.shape().to_vec(), numbers(&view));
        Found { dtype, shape, values }
    };
    let tensors = file.iter().map(|(name, view)| (name.to_owned(), found(view))).collect();
    Ok(Weights { tensors, about })
}

/// Writes the tensors of `file`, in `E`, with the counts of normalisations in I64. The bytes go to a file beside the
/// target, which is flushed and renamed: a crash leaves what was there.
pub(super) fn write<E: Real>(file: &Checkpoint, path: &Path) -> Result<(), CheckpointError> {
    let mut tensors = Vec::new();
    for name in file.names() {
        let (shape, values) = (file.shape(name)?.to_vec(), file.numbers(name)?);
        let (dtype, bytes): (Type, Vec<u8>) = match (is_count(name), size_of::<E>()) {
            (true, _) => (Type::I64, values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect()),
            (_, 4) => (Type::F32, values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect()),
            _ => (Type::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        tensors.push((name, dtype, shape, bytes));
    }
    let format = |source| CheckpointError::Format { path: path.to_owned(), source };
    let mut views = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(format)?));
    }
    let about = file.about().map(|about| HashMap::from([(ABOUT.to_owned(), about.to_owned())]));
    let bytes = safetensors::serialize(views, about).map_err(format)?;
    let io = |source| CheckpointError::Io { path: path.to_owned(), action: "written", source };
    write_whole(path, &bytes).map_err(io)
}

fn is_count(name: &str) -> bool {
    name.rsplit('.').next() == Some(COUNT)
}

/// The numbers of a tensor, if it is of a type that weights or counts have.
fn numbers(view: &TensorView<'_>) -> Option<Vec<f64>> {
    fn each<const N: usize>(view: &TensorView<'_>, of: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        view.data().as_chunks::<N>().0.iter().map(|word| of(*word)).collect()
    }
    match view.dtype() {
        Type::F16 => Some(each(view, |word| half(u16::from_le_bytes(word)))),
        Type::BF16 => {
            Some(each(view, |word| f32::from_bits(u32::from(u16::from_le_bytes(word)) << 16).into()))
        }
        Type::F32 => Some(each(view, |word| f32::from_le_bytes(word).into())),
        Type::F64 => Some(each(view, f64::from_le_bytes)),
        Type::I64 => Some(each(view, |word| i64::from_le_bytes(word) as f64)),
        _ => None,
    }
}

/// A number of IEEE 754's binary16: a sign, 5 bits of exponent with bias 15, 10 of fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24), // subnormal, or zero
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file_name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(file_name);
    temporary.push(format!(".{}.part", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?; // else a power cut may leave the new name with the old disk blocks
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
    }
    result
}

#[cfg(test)]
mod tests {
    use super::half;

    /// Every finite number of 16 bits lies where its neighbours say: the bits of non-negative ones count upwards in steps
    /// that double with the exponent.
    #[test]
    fn halves_count_upwards() {
        let mut next = 0.0;
        for bits in 0..31 << 10 {
            assert_eq!((half(bits), half(bits | 1 << 15)), (next, -next), "{bits:#06x}");
            next += 2_f64.powi(i32::from(bits >> 10).max(1) - 25);
        }
        assert_eq!((next, half(0x3c00), half(0x7bff)), (65_536.0, 1.0, 65_504.0));
        assert_eq!((half(0x7c00), half(0xfc00)), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }
}
