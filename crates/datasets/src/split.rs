//! Train, validation and test parts.
use kernels::random::Key;

use crate::error::DataError;

/// Sets the folds of [`stratified_folds`] apart from whatever else is drawn from the same seed: "FOLDS" in ASCII.
const FOLDS: u64 = 0x46_4F4C_4453;

/// The parts of a set. A part that a split does not have is empty.
///
/// Fit on `train`, choose on `validation`, look at `test` once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split<T> {
    /// For fitting.
    pub train: T,
    /// For choosing between fitted models; may be empty.
    pub validation: T,
    /// For the number that is reported.
    pub test: T,
}

impl<T> Split<T> {
    /// The same parts of something else: `split.map(|part| part.features())`.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Split<U> {
        Split { train: f(self.train), validation: f(self.validation), test: f(self.test) }
    }

    /// The parts, borrowed.
    pub fn as_ref(&self) -> Split<&T> {
        Split { train: &self.train, validation: &self.validation, test: &self.test }
    }
}

/// Which part a row belongs to, as the column `split` of a file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `train`
    Train,
    /// `valid`
    Validation,
    /// `test`
    Test,
    /// `none`: seen, but in no part, as most nodes of a graph.
    None,
}

impl Role {
    /// The role that a file calls `name`.
    pub fn from_name(name: &str) -> Option<Role> {
        match name {
            "train" => Some(Role::Train),
            "valid" => Some(Role::Validation),
            "test" => Some(Role::Test),
            "none" => Some(Role::None),
            _ => None,
        }
    }
}

/// The positions of `roles` that each part has, in rising order.
pub fn rows_by_role(roles: &[Role]) -> Split<Vec<usize>> {
    let rows = |wanted| (0..roles.len()).filter(|&i| roles[i] == wanted).collect();
    Split { train: rows(Role::Train), validation: rows(Role::Validation), test: rows(Role::Test) }
}

/// Something with rows of which some can be chosen.
pub trait Subset: Sized {
    /// Number of rows.
    fn num_rows(&self) -> usize;

    /// The rows `chosen`, in that order; a row may be chosen more than once.
    ///
    /// # Panics
    /// When a row is not below [`num_rows`](Self::num_rows).
    fn subset(&self, chosen: &[usize]) -> Self;
}

impl<T: Clone> Subset for Vec<T> {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        chosen.iter().map(|&i| self[i].clone()).collect()
    }
}

impl<T: Subset> Split<T> {
    /// The parts of `all` that `roles` names, one role for each row.
    pub(crate) fn by_role(all: &T, roles: &[Role]) -> Self {
        rows_by_role(roles).map(|rows| all.subset(&rows))
    }

    /// Makes the last `n` training rows the validation part, in place of the one that is there.
    ///
    /// # Errors
    /// [`DataError::Validation`] when that would leave nothing to train on.
    pub fn with_validation(self, n: usize) -> Result<Self, DataError> {
        let train = self.train.num_rows();
        if n >= train {
            return Err(DataError::Validation { n, train });
        }
        let rows: Vec<usize> = (0..train).collect();
        let (front, back) = rows.split_at(train - n);
        Ok(Split { train: self.train.subset(front), validation: self.train.subset(back), test: self.test })
    }
}

/// Folds for cross-validation: which rows are tested together, with the classes spread evenly over the folds.
///
/// The rows of each class are put in an order that depends on `(number of rows, seed)` alone and dealt out one by one,
/// going on at the fold where the class before ended; so folds differ by at most one row, in all and in each class.
///
/// # Errors
/// [`DataError::Folds`] unless `2 <= folds <= labels.len()`.
///
/// # Examples
/// ```
/// let labels = [0, 0, 0, 0, 1, 1];
/// let folds = datasets::split::stratified_folds(&labels, 2, 0)?;
/// assert!(folds.iter().all(|fold| fold.iter().filter(|&&row| labels[row] == 1).count() == 1));
/// # Ok::<(), datasets::DataError>(())
/// ```
pub fn stratified_folds(labels: &[usize], folds: usize, seed: u64) -> Result<Vec<Vec<usize>>, DataError> {
    if !(2..=labels.len()).contains(&folds) {
        return Err(DataError::Folds { folds, rows: labels.len() });
    }
    let mut order = Key::new(seed).fold(FOLDS).permutation(labels.len());
    order.sort_by_key(|&row| labels[row]); // stable: the drawn order stays inside of a class
    let mut parts = vec![Vec::new(); folds];
    order.into_iter().enumerate().for_each(|(i, row)| parts[i % folds].push(row));
    parts.iter_mut().for_each(|part| part.sort_unstable());
    Ok(parts)
}
