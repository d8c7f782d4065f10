//! Mini-batches: which rows go together in which epoch.
//!
//! [`Batches`] knows the number of rows, never the rows themselves, so the same object serves images, text and
//! tables. The order of an epoch depends on `(n, seed, epoch)` alone: a run that is resumed at epoch 7 sees the
//! batches that an uninterrupted run would have seen, and no state has to be saved.
//!
//! # Examples
//! ```
//! use datasets::Batches;
//! use dfdx::shapes::Const;
//! let mut seen: Vec<usize> = Batches::new(10, 4, 1).epoch(0).flatten().collect();   // 4 + 4 + 2 rows
//! seen.sort_unstable();
//! assert_eq!(seen, (0..10).collect::<Vec<_>>());
//!
//! assert_eq!(Batches::new(10, 4, 1).drop_last().epoch(0).count(), 2);                // 4 + 4 rows
//! let fixed: Vec<[usize; 4]> = Batches::new(10, Const::<4>, 1).epoch(0).collect();   // 4 + 4 rows
//! assert_eq!(fixed.len(), 2);
//! ```
use std::fmt::Debug;

use dfdx::shapes::{Const, Dim};
use kernels::random::Key;

use crate::error::DataError;

/// Sets the orders of batches apart from whatever else is drawn from the same seed: "BATCHES" in ASCII.
const BATCHES: u64 = 0x42_4154_4348_4553;

/// A list of rows that becomes the first dimension of a tensor: `[usize; B]` gives `Const<B>`, a slice or `Vec`
/// gives a run-time dimension.
pub trait Rows {
    /// The dimension.
    type Dim: Dim;
    /// The dimension's value.
    fn dim(&self) -> Self::Dim;
    /// The rows.
    fn rows(&self) -> &[usize];
}

impl<const B: usize> Rows for [usize; B] {
    type Dim = Const<B>;
    fn dim(&self) -> Const<B> {
        Const
    }
    fn rows(&self) -> &[usize] {
        self
    }
}

impl Rows for [usize] {
    type Dim = usize;
    fn dim(&self) -> usize {
        self.len()
    }
    fn rows(&self) -> &[usize] {
        self
    }
}

impl Rows for Vec<usize> {
    type Dim = usize;
    fn dim(&self) -> usize {
        self.len()
    }
    fn rows(&self) -> &[usize] {
        self
    }
}

/// A batch size: `usize` at run time, `Const<B>` at compile time.
pub trait BatchSize: Dim {
    /// What one batch is: `Vec<usize>` or `[usize; B]`.
    type Batch: Rows<Dim = Self> + Debug + Clone;
    /// Whether a batch may be smaller than the batch size.
    const ALLOWS_SMALLER: bool;
    /// `rows` as a batch; `None` when this size cannot hold that many.
    fn batch(rows: &[usize]) -> Option<Self::Batch>;
}

impl BatchSize for usize {
    type Batch = Vec<usize>;
    const ALLOWS_SMALLER: bool = true;
    fn batch(rows: &[usize]) -> Option<Vec<usize>> {
        Some(rows.to_vec())
    }
}

impl<const B: usize> BatchSize for Const<B> {
    type Batch = [usize; B];
    const ALLOWS_SMALLER: bool = false;
    fn batch(rows: &[usize]) -> Option<[usize; B]> {
        rows.try_into().ok()
    }
}

/// Cuts `0..n` into batches, in another order each epoch. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches<B: BatchSize = usize> {
    rows: usize,
    batch: B,
    seed: u64,
    keeps_last: bool,
}

impl<B: BatchSize> Batches<B> {
    /// Batches of `batch` of the rows `0..n`; `seed` chooses the sequence of orders.
    ///
    /// With a `usize` the last batch of an epoch has the `n mod batch` rows that are left, unless
    /// [`drop_last`](Self::drop_last) is called. With a `Const<B>` it is always dropped, since its shape would
    /// differ; the rows that sit out change from epoch to epoch.
    ///
    /// # Panics
    /// When `batch` is 0; [`try_new`](Self::try_new) returns the error.
    pub fn new(n: usize, batch: B, seed: u64) -> Self {
        Self::try_new(n, batch, seed).unwrap()
    }

    /// Fallible twin of [`new`](Self::new), for a batch size that a user gives.
    ///
    /// # Errors
    /// [`DataError::EmptyBatch`] when `batch` is 0.
    pub fn try_new(n: usize, batch: B, seed: u64) -> Result<Self, DataError> {
        if batch.size() == 0 {
            return Err(DataError::EmptyBatch);
        }
        Ok(Batches { rows: n, batch, seed, keeps_last: B::ALLOWS_SMALLER })
    }

    /// Drops the last batch of each epoch when it is smaller than the others.
    pub fn drop_last(self) -> Self {
        Batches { keeps_last: false, ..self }
    }

    /// Number of batches in an epoch.
    pub fn len(&self) -> usize {
        if self.keeps_last { self.rows.div_ceil(self.batch.size()) } else { self.rows / self.batch.size() }
    }

    /// Whether an epoch has no batch: no rows, or fewer than one whole batch where smaller ones are dropped.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches of epoch `epoch`, counted from 0.
    pub fn epoch(&self, epoch: u64) -> Epoch<B> {
        Epoch {
            order: Key::new(self.seed).fold(BATCHES).fold(epoch).permutation(self.rows),
            batch: self.batch,
            next: 0,
            len: self.len(),
        }
    }
}

/// The batches of one epoch, made by [`Batches::epoch`].
#[derive(Clone, Debug)]
pub struct Epoch<B: BatchSize> {
    order: Vec<usize>,
    batch: B,
    next: usize,
    len: usize,
}

impl<B: BatchSize> Iterator for Epoch<B> {
    type Item = B::Batch;

    fn next(&mut self) -> Option<B::Batch> {
        if self.next == self.len {
            return None;
        }
        let start = self.next * self.batch.size();
        let end = (start + self.batch.size()).min(self.order.len());
        self.next += 1;
        B::batch(&self.order[start..end])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len - self.next, Some(self.len - self.next))
    }
}

impl<B: BatchSize> ExactSizeIterator for Epoch<B> {}
