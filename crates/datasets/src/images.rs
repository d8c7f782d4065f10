//! Labelled images of one fixed size, and their way into tensors.
//!
//! Pixels stay bytes until a batch is made. [`Images`] is a view: splits share the pixels of the set they come
//! from and remember the row that each image has there ([`Images::row`]), so a misread digit in a figure can be
//! found again in the file.
//!
//! | symbol | meaning |
//! |---|---|
//! | `C`, `H`, `W` | channels, height, width |
//! | `B` | images in a batch, known at compile time (`[usize; B]`) or not (`&[usize]`, `Vec<usize>`) |
//! | `N` | pixels of a flattened image, `C · H · W` |
//! | `K` | classes |
//!
//! **Trap**: the largest level differs between sets (16 for the digits of scikit-learn, 255 for MNIST). Everything
//! here divides by [`Images::max_level`], so values lie in \[0, 1\].
//!
//! # Examples
//! ```
//! use datasets::{Batches, digits};
//! use dfdx::prelude::*;
//! let dev = Cpu::default();
//! let train = digits().by_writer().train;
//! for rows in Batches::new(train.len(), Const::<10>, 0).epoch(0).take(1) {
//!     let x: Tensor<Rank2<10, 64>, f32, _> = train.flat_batch(&rows, &dev);
//!     let y: Tensor<Rank2<10, 10>, f32, _> = train.one_hot(&rows, &dev);
//!     assert_eq!(y.array()[0][train.label(rows[0])], 1.0);
//!     assert_eq!(x.array()[0][9], train.unit(rows[0])[0][1][1]);
//! }
//! ```
use std::fmt;
use std::num::NonZeroU8;
use std::path::Path;
use std::sync::Arc;

use dfdx::prelude::{Const, Tensor, TensorFromVec};
use kernels::Real;
use kernels::random::Key;

use crate::batches::Rows;
use crate::error::{At, DataError, Rule};
use crate::features::Features;
use crate::idx::{self, Values};
use crate::registry::{self, Description};
use crate::split::{Split, Subset};

/// Sets the order of [`Images::permuted`] apart from whatever else is drawn from the same seed: "PERMUTED" in ASCII.
const PERMUTED: u64 = 0x5045_524D_5554_4544;

/// The classes of Fashion-MNIST, in the order of the labels: of its embedded part and of the full set.
pub(crate) const FASHION_CLASSES: &[&str] = &[
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The classes of MNIST and of the digits of scikit-learn.
pub(crate) const DIGIT_CLASSES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What is the same for all images of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageKind {
    /// The name of the set in messages and in `data list`.
    pub name: &'static str,
    /// The largest pixel value, by which pixels are divided.
    pub max_level: NonZeroU8,
    /// The classes, in the order of the labels.
    pub class_names: &'static [&'static str],
}

/// Labelled grey or colour images of `C` channels, `H` rows and `W` columns. See the [module](self).
///
/// A clone shares the pixels.
#[derive(Clone)]
pub struct Images<const C: usize, const H: usize, const W: usize> {
    kind: ImageKind,
    pixels: Arc<[u8]>, // of the whole set: (rows, C, H, W)
    labels: Arc<[u8]>, // of the whole set: (rows,)
    rows: Arc<[u32]>,  // of this view
}

impl<const C: usize, const H: usize, const W: usize> Images<C, H, W> {
    /// Pixels of an image, `C · H · W`.
    pub const PIXELS: usize = C * H * W;

    /// Reads a file of images, u8 with sizes `(n, H, W)` (one channel) or `(n, H, W, C)`, and one of labels,
    /// u8 with size `(n)`; each is unpacked when its name ends in `.gz`.
    ///
    /// # Errors
    /// Those of [`idx::read`]; [`DataError::Unsupported`] for values that are not u8; [`DataError::Format`] with
    /// [`Rule::ImageShape`], [`Rule::LabelCount`], [`Rule::LabelRange`] or [`Rule::Level`].
    pub fn read(images: &Path, labels: &Path, kind: ImageKind) -> Result<Self, DataError> {
        Self::from_arrays((images, idx::read(images)?), (labels, idx::read(labels)?), kind)
    }

    /// Builds images from two parsed files, as [`read`](Self::read). Each array comes with its file's name.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_arrays(
        (image_file, images): (&Path, idx::Array),
        (label_file, labels): (&Path, idx::Array),
        kind: ImageKind,
    ) -> Result<Self, DataError> {
        let expected = if C == 1 { vec![H, W] } else { vec![H, W, C] };
        let (n, pixels, start) = match bytes(image_file, images)? {
            (shape, pixels) if shape[1..] == expected => (shape[0], pixels, 4 + 4 * shape.len()),
            (shape, _) => {
                let rule = Rule::ImageShape { expected };
                return Err(DataError::format(image_file, At::Byte(4), rule, format!("{:?}", &shape[1..])));
            }
        };
        if let Some(at) = pixels.iter().position(|&p| p > kind.max_level.get()) {
            let rule = Rule::Level { max: kind.max_level.get() };
            return Err(DataError::format(image_file, At::Byte(start + at), rule, pixels[at].to_string()));
        }
        let (shape, labels) = bytes(label_file, labels)?;
        if shape != [n] {
            let rule = Rule::LabelCount { images: n };
            return Err(DataError::format(label_file, At::Byte(4), rule, format!("sizes {shape:?}")));
        }
        if let Some(at) = labels.iter().position(|&label| usize::from(label) >= kind.class_names.len()) {
            let rule = Rule::LabelRange { classes: kind.class_names.len() };
            return Err(DataError::format(label_file, At::Byte(8 + at), rule, labels[at].to_string()));
        }
        let pixels = if C == 1 { pixels } else { channels_first::<C, H, W>(&pixels) };
        let rows = (0..n as u32).collect(); // n < 2^32: an IDX size
        Ok(Images { kind, pixels: pixels.into(), labels: labels.into(), rows })
    }

    /// Images whose pixels are `(n, C, H, W)` already, with one label each in range: the caller has checked.
    pub(crate) fn from_checked(kind: ImageKind, pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        debug_assert_eq!(pixels.len(), labels.len() * Self::PIXELS);
        let rows = (0..labels.len() as u32).collect(); // no file has 2^32 images
        Images { kind, pixels: pixels.into(), labels: labels.into(), rows }
    }

    /// The images of two embedded files, which a test has seen to parse.
    pub(crate) fn embedded(images: &str, labels: &str, kind: ImageKind) -> Self {
        let load = || {
            let (i, l) = (registry::embedded_array(images)?, registry::embedded_array(labels)?);
            Self::from_arrays((Path::new(images), i), (Path::new(labels), l), kind)
        };
        load().expect(registry::PARSED)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no images, as in a part that a split does not have.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The largest pixel value of the set, by which pixels are divided.
    pub fn max_level(&self) -> u8 {
        self.kind.max_level.get()
    }

    /// The names of the classes, in the order of the labels.
    pub fn class_names(&self) -> &'static [&'static str] {
        self.kind.class_names
    }

    /// Name, sizes, splits, source, licence and citation of the embedded set of this name; `None` when there is
    /// none, as for images read from a file under a name of their own.
    pub fn describe(&self) -> Option<&'static Description> {
        registry::describe(self.kind.name)
    }

    /// The row that image `i` has in the file.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len); so do all methods that take an image's number.
    pub fn row(&self, i: usize) -> usize {
        self.rows[i] as usize
    }

    /// The class of image `i`.
    pub fn label(&self, i: usize) -> usize {
        usize::from(self.labels[self.row(i)])
    }

    /// The classes of all images, in order.
    pub fn labels(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.label(i)).collect()
    }

    /// How many images each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.kind.class_names.len()];
        (0..self.len()).for_each(|i| counts[self.label(i)] += 1);
        counts
    }

    /// The raw pixels of image `i`, `(C, H, W)` in C order, each in `0..=max_level`.
    pub fn pixels(&self, i: usize) -> &[u8] {
        let start = self.row(i) * Self::PIXELS;
        &self.pixels[start..start + Self::PIXELS]
    }

    /// Image `i` as `(C, H, W)` values in \[0, 1\].
    pub fn unit(&self, i: usize) -> [[[f32; W]; H]; C] {
        let mut image = [[[0.0; W]; H]; C];
        image
            .as_flattened_mut()
            .as_flattened_mut()
            .iter_mut()
            .zip(self.unit_values(i))
            .for_each(|(to, v)| *to = v);
        image
    }

    /// The `C · H · W` values of image `i` in \[0, 1\], in C order: what a vector of any library is built from.
    pub fn unit_values<E: Real>(&self, i: usize) -> impl ExactSizeIterator<Item = E> + '_ {
        let levels = self.levels();
        self.pixels(i).iter().map(move |&p| levels[usize::from(p)])
    }

    /// All images of this view, flattened, in \[0, 1\]: `(n, C · H · W)`.
    pub fn features(&self) -> Features {
        let values = (0..self.len()).flat_map(|i| self.unit_values(i)).collect();
        Features::try_new(Self::PIXELS, values).expect("whole rows")
    }

    /// The rows that the images of this view have in the file, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.rows.iter().map(|&row| row as usize)
    }

    /// The images of this view with the numbers `chosen`, in that order.
    pub fn select(&self, chosen: impl IntoIterator<Item = usize>) -> Self {
        Images { rows: chosen.into_iter().map(|i| self.rows[i]).collect(), ..self.clone() }
    }

    /// All images in a random order that depends on `(len, seed)` alone.
    pub fn permuted(&self, seed: u64) -> Self {
        self.select(Key::new(seed).fold(PERMUTED).permutation(self.len()))
    }

    /// The first `n_train` images for training and the last `n_test` for testing, none for validation.
    ///
    /// # Errors
    /// [`DataError::Overlap`] when that is more than there are.
    pub fn front_back(&self, n_train: usize, n_test: usize) -> Result<Split<Self>, DataError> {
        let rows = self.len();
        match n_train.checked_add(n_test) {
            Some(total) if total <= rows => Ok(Split {
                train: self.select(0..n_train),
                validation: self.select(0..0),
                test: self.select(rows - n_test..rows),
            }),
            _ => Err(DataError::Overlap { train: n_train, test: n_test, rows }),
        }
    }

    /// The images `rows` as a tensor `(B, C, H, W)` of values in \[0, 1\].
    ///
    /// # Panics
    /// When a row is not below [`len`](Self::len), or the device fails ([`try_batch`](Self::try_batch) returns
    /// that error).
    pub fn batch<R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Tensor<(R::Dim, Const<C>, Const<H>, Const<W>), E, D> {
        self.try_batch(rows, dev).unwrap()
    }

    /// Fallible twin of [`batch`](Self::batch).
    ///
    /// # Errors
    /// The device's, when it has no memory.
    pub fn try_batch<R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Result<Tensor<(R::Dim, Const<C>, Const<H>, Const<W>), E, D>, D::Err> {
        dev.try_tensor_from_vec(self.unit_batch(rows.rows()), (rows.dim(), Const, Const, Const))
    }

    /// The images `rows`, flattened, as a tensor `(B, N)` of values in \[0, 1\]; `N` must be `C · H · W`.
    ///
    /// Stable Rust cannot write `C * H * W` in a type, so `N` comes from the type of the result; a wrong one does
    /// not compile:
    /// ```compile_fail
    /// # use dfdx::prelude::*;
    /// let dev = Cpu::default();
    /// let x: Tensor<Rank2<2, 63>, f32, _> = datasets::digits().flat_batch(&[0, 1], &dev); // 8 · 8 is 64
    /// ```
    ///
    /// # Panics
    /// When a row is not below [`len`](Self::len), or the device fails ([`try_flat_batch`](Self::try_flat_batch)
    /// returns that error).
    pub fn flat_batch<const N: usize, R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Tensor<(R::Dim, Const<N>), E, D> {
        self.try_flat_batch(rows, dev).unwrap()
    }

    /// Fallible twin of [`flat_batch`](Self::flat_batch).
    ///
    /// # Errors
    /// The device's, when it has no memory.
    pub fn try_flat_batch<const N: usize, R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Result<Tensor<(R::Dim, Const<N>), E, D>, D::Err> {
        const { assert!(N == C * H * W, "a flattened image must have N = C * H * W values") };
        dev.try_tensor_from_vec(self.unit_batch(rows.rows()), (rows.dim(), Const))
    }

    /// The classes of the images `rows`.
    ///
    /// # Panics
    /// When a row is not below [`len`](Self::len).
    pub fn batch_labels<R: Rows + ?Sized>(&self, rows: &R) -> Vec<usize> {
        rows.rows().iter().map(|&i| self.label(i)).collect()
    }

    /// The classes of the images `rows` as a tensor `(B, K)`: 1 at the class, 0 elsewhere.
    ///
    /// # Panics
    /// When `K` is not the number of classes, a row is not below [`len`](Self::len), or the device fails
    /// ([`try_one_hot`](Self::try_one_hot) returns that error).
    pub fn one_hot<const K: usize, R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Tensor<(R::Dim, Const<K>), E, D> {
        self.try_one_hot(rows, dev).unwrap()
    }

    /// Fallible twin of [`one_hot`](Self::one_hot).
    ///
    /// # Errors
    /// The device's, when it has no memory.
    ///
    /// # Panics
    /// As [`one_hot`](Self::one_hot), the device's failure excepted.
    pub fn try_one_hot<const K: usize, R: Rows + ?Sized, E: Real, D: TensorFromVec<E>>(
        &self,
        rows: &R,
        dev: &D,
    ) -> Result<Tensor<(R::Dim, Const<K>), E, D>, D::Err> {
        let classes = self.kind.class_names.len();
        assert!(K == classes, "`{}` has {classes} classes, not K = {K}", self.kind.name);
        let mut values = vec![E::default(); rows.rows().len() * K];
        for (row, &i) in values.chunks_exact_mut(K).zip(rows.rows()) {
            row[self.label(i)] = E::ONE;
        }
        dev.try_tensor_from_vec(values, (rows.dim(), Const))
    }

    /// Pixels in [0, 1], image after image.
    fn unit_batch<E: Real>(&self, rows: &[usize]) -> Vec<E> {
        let levels: Vec<E> = self.levels();
        let mut values = Vec::with_capacity(rows.len() * Self::PIXELS);
        for &i in rows {
            values.extend(self.pixels(i).iter().map(|&p| levels[usize::from(p)]));
        }
        values
    }

    /// The value of each level, so that a pixel costs a look-up and not a division.
    fn levels<E: Real>(&self) -> Vec<E> {
        let max = E::of(f64::from(self.max_level()));
        (0..=self.max_level()).map(|level| E::of(f64::from(level)) / max).collect()
    }
}

impl<const C: usize, const H: usize, const W: usize> Subset for Images<C, H, W> {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        self.select(chosen.iter().copied())
    }
}

impl<const C: usize, const H: usize, const W: usize> fmt::Debug for Images<C, H, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Images<{C}, {H}, {W}>({} of `{}`)", self.len(), self.kind.name)
    }
}

/// Shape and values of an array of bytes.
fn bytes(file: &Path, array: idx::Array) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    match array.into_parts() {
        (shape, Values::U8(values)) => Ok((shape, values)),
        (_, other) => Err(DataError::unsupported_values(file, &other, "u8")),
    }
}

/// (n, H, W, C) → (n, C, H, W)
fn channels_first<const C: usize, const H: usize, const W: usize>(pixels: &[u8]) -> Vec<u8> {
    let image = |image: &[u8]| {
        (0..C).flat_map(|c| image.iter().skip(c).step_by(C).copied().collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    pixels.chunks_exact(C * H * W).flat_map(image).collect()
}
