//! Files of tensors that are whole or not there, and that refuse to be loaded into the wrong model.
//!
//! The format is [safetensors](https://github.com/huggingface/safetensors): eight bytes of header length, a JSON header
//! with name, dtype, shape and position of every tensor, then the numbers, little-endian. Python reads it with
//! `safetensors.numpy.load_file`.
//!
//! - **Writing** is atomic: the bytes go to a temporary file beside the target, are flushed to the disk, and the file is
//!   renamed. A crash or a full disk leaves the old file as it was.
//! - **Reading** never panics and never allocates more than a small multiple of the file's own size, whatever is in it.
//!   safetensors has no checksum: a flipped bit among the numbers is a different number.
//! - **Loading** compares names, shapes and dtypes first and names the first difference; the model is unchanged then.
//! - The same content gives the same bytes.
//!
//! [`save`] and [`load`] serve one model. A [`Checkpoint`] holds several models, optimiser states, texts and integers
//! (as seeds and counters) in one file, which is what resuming a run takes.
//!
//! # Examples
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run.safetensors");
//! use layers::{Checkpoint, Sgd, SgdConfig, Step, prelude::*};
//! let dev = Cpu::default();
//! let mut model = dev.build_module::<(Linear<3, 2>, Tanh), f32>();
//! let mut optimizer = Sgd::try_new(&model, SgdConfig::default())?;
//!
//! let mut checkpoint = Checkpoint::default();
//! checkpoint.insert_model("model", &model);
//! checkpoint.insert_state("optimizer", &optimizer.state()?);
//! checkpoint.insert_integers("progress", &[3, 1500]); // epoch, step
//! checkpoint.write(&path)?;
//!
//! let checkpoint = Checkpoint::read(&path)?;
//! checkpoint.load_model("model", &mut model)?;
//! optimizer.load_state(&checkpoint.state("optimizer")?)?;
//! assert_eq!(checkpoint.integers("progress")?, [3, 1500]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
use crate::params::{DeviceError, read_row_major, without_empty_end};
use crate::step::{Slot, SlotKey, StepState};
use dfdx::nn::tensor_collection::{
    RecursiveWalker, ScalarOptions, TensorCollection, TensorOptions, TensorVisitor, ViewTensorMut,
    ViewTensorName, ViewTensorRef,
};
use dfdx::prelude::{HasShape, Shape, Tensor};
use kernels::{Device, Real};
use num_traits::NumCast;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a file could not be written, read or loaded into a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system refused.
    #[error("{} could not be {action}; check the path, permissions and free space", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as `read`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file is damaged, cut off, or not in the safetensors format.
    #[error("{} is not a whole safetensors file; take an older checkpoint or write it again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SafeTensorError,
    },
    /// Something that is needed is not in the file.
    #[error("there is no tensor `{name}` in the checkpoint; load into the model that was saved")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// The file holds a tensor that the model does not have.
    #[error(
        "the checkpoint has a tensor `{name}` that the model has not; load into the model that was saved"
    )]
    Unexpected {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has another shape.
    #[error(
        "`{name}` has shape {got:?} in the checkpoint, {expected:?} is needed; load into the model that was saved"
    )]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape that is needed.
        expected: Vec<usize>,
        /// Shape in the checkpoint.
        got: Vec<usize>,
    },
    /// A tensor has another element type.
    #[error("`{name}` holds {got} in the checkpoint, {expected} is needed; build the model with that dtype")]
    Dtype {
        /// Name of the tensor.
        name: String,
        /// Type that is needed, as safetensors writes it.
        expected: String,
        /// Type in the checkpoint.
        got: String,
    },
    /// A text is not UTF-8, a scalar does not fit its field, or a slot of an optimiser has no proper name.
    #[error("`{name}` does not hold {expected}; the file is damaged")]
    Content {
        /// Name of the tensor.
        name: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The file says that it was written for another network, and does not fit.
    #[error(
        "this file was written for {written_for}, not for {model}; build that network, or take the file of this one"
    )]
    WrittenFor {
        /// The network that the file names.
        written_for: String,
        /// The network that it was to be loaded into.
        model: String,
        /// The first difference.
        source: Box<CheckpointError>,
    },
    /// The device failed while values were copied into the model.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Writes all tensors and scalars of `model` to a file, atomically.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.safetensors");
/// use layers::{load, params, prelude::*, save};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Linear<3, 2>, Tanh), f32>();
/// save(&model, &path)?;
/// let mut other = dev.build_module::<(Linear<3, 2>, Tanh), f32>();
/// load(&mut other, &path)?;
/// assert_eq!(params::flatten(&model), params::flatten(&other));
///
/// let mut larger = dev.build_module::<(Linear<3, 4>, Tanh), f32>();
/// let error = load(&mut larger, &path).unwrap_err().to_string();
/// assert!(error.starts_with("`0.weight` has shape [2, 3] in the checkpoint, [4, 3] is needed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`CheckpointError::Io`]; what was at `path` before is still there then.
pub fn save<M, E, D>(model: &M, path: impl AsRef<Path>) -> Result<(), CheckpointError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut checkpoint = Checkpoint::default();
    checkpoint.insert_model("", model);
    checkpoint.write(path)
}

/// Reads a file that [`save`] wrote into a model of the same type.
///
/// # Errors
/// Any [`CheckpointError`]; the model is unchanged except after [`CheckpointError::Device`].
pub fn load<M, E, D>(model: &mut M, path: impl AsRef<Path>) -> Result<(), CheckpointError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    Checkpoint::read(path)?.load_model("", model)
}

/// Named tensors in memory, to be written to or read from one file; see the [module](self).
///
/// Every entry has a name; entries of a model or a state start with its prefix and a dot. Inserting under a name that is
/// taken replaces the entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    entries: BTreeMap<String, Entry>,
    about: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Little-endian, row-major.
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Adds all tensors (running statistics too) and scalars of a model.
    pub fn insert_model<M, E, D>(&mut self, prefix: &str, model: &M)
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
    {
        let mut collect = Collect { prefix, entries: &mut self.entries };
        let Ok(_) = M::iter_tensors(&mut RecursiveWalker { m: (model, String::new()), f: &mut collect });
    }

    /// Copies the tensors and scalars under `prefix` into a model.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`], [`Shape`](CheckpointError::Shape), [`Dtype`](CheckpointError::Dtype),
    /// [`Unexpected`](CheckpointError::Unexpected) or [`Content`](CheckpointError::Content) for the first difference;
    /// nothing is copied then.
    pub fn load_model<M, E, D>(&self, prefix: &str, model: &mut M) -> Result<(), CheckpointError>
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
    {
        let mut compare = Compare { prefix, checkpoint: self, names: BTreeSet::new() };
        M::iter_tensors(&mut RecursiveWalker { m: (&*model, String::new()), f: &mut compare })?;
        let expected = compare.names;
        if let Some((name, _)) = self.under(prefix).find(|(name, _)| !expected.contains(*name)) {
            return Err(CheckpointError::Unexpected { name: name.to_owned() });
        }
        let mut fill = Fill { prefix, checkpoint: self };
        M::iter_tensors(&mut RecursiveWalker { m: (model, String::new()), f: &mut fill })?;
        Ok(())
    }

    /// Adds the state of an optimiser.
    pub fn insert_state(&mut self, prefix: &str, state: &StepState) {
        self.insert_text(&join(prefix, "rule"), &state.rule);
        self.insert_integers(&join(prefix, "step"), &[state.step]);
        self.insert_numbers(&join(prefix, "learning_rate"), &[state.learning_rate]);
        for (name, value) in &state.hyperparameters {
            self.insert_numbers(&join(prefix, &format!("{HYPERPARAMETERS}{name}")), &[*value]);
        }
        for (position, Slot { key, values }) in state.slots.iter().enumerate() {
            let name = format!("{SLOTS}{position}.{}.{}", key.name, key.parameter);
            // Half the size where it is exact: the slots of a model in f32.
            let is_f32 = values.iter().all(|value| value.is_nan() || (*value as f32).as_f64() == *value);
            let (dtype, bytes) = match is_f32 {
                true => (Dtype::F32, values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect()),
                false => (Dtype::F64, to_bytes(values)),
            };
            self.entries.insert(join(prefix, &name), Entry { dtype, shape: key.shape.clone(), bytes });
        }
    }

    /// The state of an optimiser that [`insert_state`](Self::insert_state) added.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`], [`Shape`](CheckpointError::Shape), [`Dtype`](CheckpointError::Dtype) or
    /// [`Content`](CheckpointError::Content).
    pub fn state(&self, prefix: &str) -> Result<StepState, CheckpointError> {
        let mut state = StepState {
            rule: self.text(&join(prefix, "rule"))?.to_owned(),
            step: only(&join(prefix, "step"), self.integers(&join(prefix, "step"))?)?,
            learning_rate: only(
                &join(prefix, "learning_rate"),
                self.numbers(&join(prefix, "learning_rate"))?,
            )?,
            ..StepState::default()
        };
        let mut slots = BTreeMap::new();
        for (name, inner) in self.under(prefix) {
            if let Some(hyperparameter) = inner.strip_prefix(HYPERPARAMETERS) {
                state.hyperparameters.insert(hyperparameter.to_owned(), only(name, self.numbers(name)?)?);
            } else if let Some(slot) = inner.strip_prefix(SLOTS) {
                let expected = "a slot of an optimiser";
                let damaged = || CheckpointError::Content { name: name.to_owned(), expected };
                let (position, rest) = slot.split_once('.').ok_or_else(damaged)?;
                let position: usize = position.parse().map_err(|_| damaged())?;
                let (slot, parameter) = rest.split_once('.').ok_or_else(damaged)?;
                let shape = self.entry(name)?.shape.clone();
                let key = SlotKey { name: slot.to_owned(), parameter: parameter.to_owned(), shape };
                slots.insert(position, Slot { key, values: self.numbers(name)? });
            }
        }
        state.slots = slots.into_values().collect();
        Ok(state)
    }

    /// Adds a text, as the configuration of a run.
    pub fn insert_text(&mut self, name: &str, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.entries.insert(name.to_owned(), Entry { dtype: Dtype::U8, shape: vec![bytes.len()], bytes });
    }

    /// The text under `name`.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`], [`Dtype`](CheckpointError::Dtype) or [`Content`](CheckpointError::Content).
    pub fn text(&self, name: &str) -> Result<&str, CheckpointError> {
        let entry = self.entry(name)?.expect_dtype(name, Dtype::U8)?;
        let damaged = |_| CheckpointError::Content { name: name.to_owned(), expected: "a text in UTF-8" };
        std::str::from_utf8(&entry.bytes).map_err(damaged)
    }

    /// Adds integers, as counters and the bits of random keys.
    pub fn insert_integers(&mut self, name: &str, integers: &[u64]) {
        let bytes = integers.iter().flat_map(|integer| integer.to_le_bytes()).collect();
        self.entries.insert(name.to_owned(), Entry { dtype: Dtype::U64, shape: vec![integers.len()], bytes });
    }

    /// The integers under `name`.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] or [`Dtype`](CheckpointError::Dtype).
    pub fn integers(&self, name: &str) -> Result<Vec<u64>, CheckpointError> {
        let entry = self.entry(name)?.expect_dtype(name, Dtype::U64)?;
        Ok(words(&entry.bytes).map(u64::from_le_bytes).collect())
    }

    /// Adds numbers, as a curve of losses.
    pub fn insert_numbers(&mut self, name: &str, numbers: &[f64]) {
        let entry = Entry { dtype: Dtype::F64, shape: vec![numbers.len()], bytes: to_bytes(numbers) };
        self.entries.insert(name.to_owned(), entry);
    }

    /// The numbers under `name`, row-major; f32 is widened.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] or [`Dtype`](CheckpointError::Dtype).
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, CheckpointError> {
        let entry = self.entry(name)?;
        if entry.dtype == Dtype::F32 {
            return Ok(words(&entry.bytes).map(|word| f32::from_le_bytes(word).into()).collect());
        }
        Ok(words(&entry.expect_dtype(name, Dtype::F64)?.bytes).map(f64::from_le_bytes).collect())
    }

    /// Puts a text for people into the file's header, under `about`: no model reads it, no other library minds it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("run.safetensors");
    /// let mut checkpoint = layers::Checkpoint::default();
    /// checkpoint.set_about("three epochs, seed 1");
    /// checkpoint.write(&path)?;
    /// assert_eq!(layers::Checkpoint::read(&path)?.about(), Some("three epochs, seed 1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_about(&mut self, about: impl Into<String>) {
        self.about = Some(about.into());
    }

    /// The text in the file's header, if there is one.
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// Shape of the entry under `name`: texts and lists have one axis, single numbers of a model none.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`].
    pub fn shape(&self, name: &str) -> Result<&[usize], CheckpointError> {
        Ok(&self.entry(name)?.shape)
    }

    /// Names of all entries, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The same entries under other names, as another library has them. Of entries that get the same name one is kept.
    ///
    /// ```
    /// let mut checkpoint = layers::Checkpoint::default();
    /// checkpoint.insert_integers("0.epoch", &[3]);
    /// let renamed = checkpoint.renamed(|name| name.replace("0.", "first."));
    /// assert_eq!(renamed.integers("first.epoch")?, [3]);
    /// # Ok::<(), layers::CheckpointError>(())
    /// ```
    #[must_use]
    pub fn renamed(&self, mut name: impl FnMut(&str) -> String) -> Self {
        let entries = self.entries.iter().map(|(old, entry)| (name(old), entry.clone())).collect();
        Self { entries, about: self.about.clone() }
    }

    /// Keeps the entries whose names `keeps` accepts.
    pub fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        self.entries.retain(|name, _| keeps(name));
    }

    /// Adds the entries of another checkpoint; they replace those of the same name. The text about the file stays.
    ///
    /// ```
    /// let (mut a, mut b) = (layers::Checkpoint::default(), layers::Checkpoint::default());
    /// a.insert_integers("epoch", &[3]);
    /// b.insert_integers("epoch", &[4]);
    /// b.insert_integers("seed", &[1]);
    /// a.extend(b);
    /// a.retain(|name| name != "seed");
    /// assert_eq!((a.integers("epoch")?, a.names().count()), (vec![4], 1));
    /// # Ok::<(), layers::CheckpointError>(())
    /// ```
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Writes the file, atomically.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; what was at `path` before is still there then, and no temporary file is left.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = path.as_ref();
        let views = self.entries.iter().map(|(name, Entry { dtype, shape, bytes })| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("an entry has as many bytes as its shape and dtype say"))
        });
        let format = |source| CheckpointError::Format { path: path.to_owned(), source };
        // One entry: the order of more would change from run to run.
        let about = self.about.clone().map(|about| HashMap::from([(ABOUT.to_owned(), about)]));
        let bytes = safetensors::serialize(views, about).map_err(format)?;
        let io = |source| CheckpointError::Io { path: path.to_owned(), action: "written", source };
        write_atomically(path, &bytes).map_err(io)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] when it cannot be read, [`CheckpointError::Format`] when it is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let io = |source| CheckpointError::Io { path: path.to_owned(), action: "read", source };
        let bytes = fs::read(path).map_err(io)?;
        Self::from_bytes(&bytes).map_err(|source| CheckpointError::Format { path: path.to_owned(), source })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, SafeTensorError> {
        let file = SafeTensors::deserialize(bytes)?;
        let entry = |view: TensorView<'_>| Entry {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let about = header.metadata().as_ref().and_then(|texts| texts.get(ABOUT).cloned());
        let entries = file.iter().map(|(name, view)| (name.to_owned(), entry(view))).collect();
        Ok(Self { entries, about })
    }

    fn entry(&self, name: &str) -> Result<&Entry, CheckpointError> {
        self.entries.get(name).ok_or_else(|| CheckpointError::Missing { name: name.to_owned() })
    }

    /// Entries under a prefix: their names, and what follows the prefix and a dot.
    fn under(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.names().filter_map(move |name| {
            let inner = match name.strip_prefix(prefix)? {
                "" => "",
                rest if prefix.is_empty() => rest,
                rest => rest.strip_prefix('.')?,
            };
            Some((name, inner))
        })
    }
}

const ABOUT: &str = "about";
const HYPERPARAMETERS: &str = "hyperparameters.";
const SLOTS: &str = "slots.";

impl Entry {
    fn expect_dtype(&self, name: &str, expected: Dtype) -> Result<&Self, CheckpointError> {
        if self.dtype == expected {
            return Ok(self);
        }
        let (expected, got) = (expected.to_string(), self.dtype.to_string());
        Err(CheckpointError::Dtype { name: name.to_owned(), expected, got })
    }

    fn expect_shape(&self, name: &str, expected: &[usize]) -> Result<&Self, CheckpointError> {
        if self.shape == expected {
            return Ok(self);
        }
        let (expected, got) = (expected.to_vec(), self.shape.clone());
        Err(CheckpointError::Shape { name: name.to_owned(), expected, got })
    }
}

/// `prefix.name`, or only one of them when the other is empty.
fn join(prefix: &str, name: &str) -> String {
    match (prefix, without_empty_end(name)) {
        ("", name) => name.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, name) => format!("{prefix}.{name}"),
    }
}

/// The one element of a list, which a damaged file may have made longer or shorter.
fn only<T: Copy>(name: &str, list: Vec<T>) -> Result<T, CheckpointError> {
    match list[..] {
        [one] => Ok(one),
        _ => Err(CheckpointError::Shape { name: name.to_owned(), expected: vec![1], got: vec![list.len()] }),
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

fn dtype_of<E: Real>() -> Dtype {
    if size_of::<E>() == size_of::<f32>() { Dtype::F32 } else { Dtype::F64 }
}

fn to_bytes<E: Real>(values: &[E]) -> Vec<u8> {
    match dtype_of::<E>() {
        Dtype::F32 => values.iter().flat_map(|value| (value.as_f64() as f32).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.as_f64().to_le_bytes()).collect(),
    }
}

fn from_bytes<E: Real>(bytes: &[u8]) -> Vec<E> {
    match dtype_of::<E>() {
        Dtype::F32 => words(bytes).map(|word| E::of(f32::from_le_bytes(word).into())).collect(),
        _ => words(bytes).map(|word| E::of(f64::from_le_bytes(word))).collect(),
    }
}

/// Writes beside the target, flushes, renames. The name of the temporary file is unique in this process and between
/// processes.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let file_name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(file_name);
    temporary.push(format!(".{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    let temporary = path.with_file_name(temporary);
    let result = (|| {
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?; // else a power cut may leave the new name with the old disk blocks
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
    }
    result
}

struct Collect<'a> {
    prefix: &'a str,
    entries: &'a mut BTreeMap<String, Entry>,
}
impl<E: Real, D: Device<E>> TensorVisitor<E, D> for Collect<'_> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = std::convert::Infallible;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        _options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, Self::Err> {
        let (shape, bytes) =
            (tensor.shape().concrete().into_iter().collect(), to_bytes(&read_row_major(tensor)));
        self.entries.insert(join(self.prefix, &name), Entry { dtype: dtype_of::<E>(), shape, bytes });
        Ok(None)
    }
    fn visit_scalar<N: NumCast>(
        &mut self,
        _options: ScalarOptions<N>,
        (scalar, name): (&N, String),
    ) -> Result<Option<N>, Self::Err> {
        // A scalar is a number of the layer's choice; one that f64 cannot hold becomes NaN, which loading refuses.
        let bytes = to_bytes(&[scalar.to_f64().unwrap_or(f64::NAN)]);
        self.entries.insert(join(self.prefix, &name), Entry { dtype: Dtype::F64, shape: Vec::new(), bytes });
        Ok(None)
    }
}

struct Compare<'a> {
    prefix: &'a str,
    checkpoint: &'a Checkpoint,
    names: BTreeSet<String>,
}
impl<E: Real, D: Device<E>> TensorVisitor<E, D> for Compare<'_> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = CheckpointError;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        _options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, CheckpointError> {
        let name = join(self.prefix, &name);
        let expected: Vec<usize> = tensor.shape().concrete().into_iter().collect();
        let entry = self.checkpoint.entry(&name)?;
        entry.expect_dtype(&name, dtype_of::<E>())?.expect_shape(&name, &expected)?;
        self.names.insert(name);
        Ok(None)
    }
    fn visit_scalar<N: NumCast>(
        &mut self,
        _options: ScalarOptions<N>,
        (_, name): (&N, String),
    ) -> Result<Option<N>, CheckpointError> {
        let name = join(self.prefix, &name);
        self.checkpoint.scalar::<N>(&name)?;
        self.names.insert(name);
        Ok(None)
    }
}

impl Checkpoint {
    fn scalar<N: NumCast>(&self, name: &str) -> Result<N, CheckpointError> {
        let entry = self.entry(name)?.expect_shape(name, &[])?;
        // Ours are f64; PyTorch counts batches in i64.
        let number = match entry.dtype {
            Dtype::I64 => words(&entry.bytes).next().map(|word| i64::from_le_bytes(word) as f64),
            _ => from_bytes::<f64>(&entry.expect_dtype(name, Dtype::F64)?.bytes).first().copied(),
        };
        let number = number.filter(|number| !number.is_nan());
        let damaged =
            || CheckpointError::Content { name: name.to_owned(), expected: "a number of the layer's type" };
        number.and_then(N::from).ok_or_else(damaged)
    }
}

struct Fill<'a> {
    prefix: &'a str,
    checkpoint: &'a Checkpoint,
}
impl<E: Real, D: Device<E>> TensorVisitor<E, D> for Fill<'_> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = CheckpointError;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        _options: TensorOptions<S, E, D>,
        (tensor, name): (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, CheckpointError> {
        let values: Vec<E> = from_bytes(&self.checkpoint.entry(&join(self.prefix, &name))?.bytes);
        crate::params::write_row_major(tensor, &values).map_err(DeviceError::new)?;
        Ok(None)
    }
    fn visit_scalar<N: NumCast>(
        &mut self,
        _options: ScalarOptions<N>,
        (scalar, name): (&mut N, String),
    ) -> Result<Option<N>, CheckpointError> {
        *scalar = self.checkpoint.scalar(&join(self.prefix, &name))?;
        Ok(None)
    }
}
