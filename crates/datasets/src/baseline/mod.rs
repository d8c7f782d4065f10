//! Opponents that a model must beat before a chapter may call it good.
//!
//! | opponent | question that it answers | `by_writer()` of digits | `front_back(8000, 2000)` of mnist |
//! |---|---|---|---|
//! | [`Majority`] | how far does the commonest class alone get? | 0.100 | 0.122 |
//! | [`AverageDarkness`] | … the amount of ink alone? | 0.106 | 0.242 |
//! | [`NearestMean`] | … one picture per class? | 0.850 | 0.801 |
//! | [`NearestNeighbours`], k = 5 | … all training images, kept? | 0.964 | 0.937 |
//!
//! For tables there are [`LogisticRegression`], [`Ridge`] and [`NearestRows`], for sequences [`InterpolatedCounts`].
//!
//! Those of the table work on whole numbers (raw pixels) and break every tie by a stated rule, so a count of right answers is the
//! same on every machine. **Use them** in the same split as the model that they are set against. **Not** as
//! classifiers for large sets: neighbours are found by brute force.
//!
//! **Sources**: Nielsen (2015), Neural Networks and Deep Learning, chapter 1 (`mnist_average_darkness.py`); Fix &
//! Hodges (1951), Discriminatory analysis: nonparametric discrimination; Cover & Hart (1967), Nearest neighbor
//! pattern classification, IEEE Transactions on Information Theory 13(1).
//!
//! # Examples
//! ```
//! use datasets::baseline::{Baseline, NearestNeighbours};
//! use datasets::digits;
//! let split = digits().by_writer();
//! let knn = NearestNeighbours::fit(&split.train, 5)?;
//! assert_eq!(knn.num_correct(&split.test), 347);                       // of 360
//! # Ok::<(), datasets::DataError>(())
//! ```
mod counts;
mod linear;

pub use counts::InterpolatedCounts;
pub use linear::{LogisticRegression, NearestRows, Ridge};

use crate::error::DataError;
use crate::images::Images;

/// A classifier without training by gradients, fitted to images of one size.
pub trait Baseline<const C: usize, const H: usize, const W: usize> {
    /// The class of each image, in order.
    fn predict(&self, images: &Images<C, H, W>) -> Vec<usize>;

    /// How many images get their own class.
    fn num_correct(&self, images: &Images<C, H, W>) -> usize {
        self.predict(images)
            .into_iter()
            .zip(images.labels())
            .filter(|(predicted, label)| predicted == label)
            .count()
    }

    /// The share of images that get their own class, in \[0, 1\]; NaN when there are none.
    fn accuracy(&self, images: &Images<C, H, W>) -> f64 {
        self.num_correct(images) as f64 / images.len() as f64
    }
}

/// Answers the commonest class of the training images, the smaller label when two are equally common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Majority {
    /// The class.
    pub class: usize,
}

impl Majority {
    /// Counts the classes of `train`.
    ///
    /// # Errors
    /// [`DataError::NoImages`] when `train` is empty.
    pub fn fit<const C: usize, const H: usize, const W: usize>(
        train: &Images<C, H, W>,
    ) -> Result<Self, DataError> {
        if train.is_empty() {
            return Err(DataError::NoImages);
        }
        Ok(Majority { class: first_largest(&train.class_counts()) })
    }
}

impl<const C: usize, const H: usize, const W: usize> Baseline<C, H, W> for Majority {
    fn predict(&self, images: &Images<C, H, W>) -> Vec<usize> {
        vec![self.class; images.len()]
    }
}

/// Answers the class whose average sum of pixels is nearest, the smaller label when two are equally near.
#[derive(Clone, Debug, PartialEq)]
pub struct AverageDarkness {
    /// Mean over the training images of each class of the sum of raw pixels; `None` for a class without images.
    pub means: Vec<Option<f64>>,
}

impl AverageDarkness {
    /// Averages the ink of each class of `train`.
    ///
    /// # Errors
    /// [`DataError::NoImages`] when `train` is empty.
    pub fn fit<const C: usize, const H: usize, const W: usize>(
        train: &Images<C, H, W>,
    ) -> Result<Self, DataError> {
        if train.is_empty() {
            return Err(DataError::NoImages);
        }
        let counts = train.class_counts();
        let mut sums = vec![0u64; counts.len()];
        (0..train.len()).for_each(|i| sums[train.label(i)] += ink(train.pixels(i)));
        let mean = |(&sum, &count): (&u64, &usize)| (count > 0).then(|| sum as f64 / count as f64);
        Ok(AverageDarkness { means: sums.iter().zip(&counts).map(mean).collect() })
    }
}

impl<const C: usize, const H: usize, const W: usize> Baseline<C, H, W> for AverageDarkness {
    fn predict(&self, images: &Images<C, H, W>) -> Vec<usize> {
        let distance = |i| {
            let ink = ink(images.pixels(i)) as f64;
            move |mean: &Option<f64>| mean.map(|mean| (mean - ink).abs())
        };
        (0..images.len()).map(|i| nearest(self.means.iter().map(distance(i)))).collect()
    }
}

/// Answers the class whose mean image is nearest (Euclid), the smaller label when two are equally near.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestMean<const C: usize, const H: usize, const W: usize> {
    /// Mean raw pixels of each class, `C · H · W` values in C order; `None` for a class without images.
    pub means: Vec<Option<Vec<f64>>>,
}

impl<const C: usize, const H: usize, const W: usize> NearestMean<C, H, W> {
    /// Averages the images of each class of `train`.
    ///
    /// # Errors
    /// [`DataError::NoImages`] when `train` is empty.
    pub fn fit(train: &Images<C, H, W>) -> Result<Self, DataError> {
        if train.is_empty() {
            return Err(DataError::NoImages);
        }
        let counts = train.class_counts();
        let mut sums = vec![vec![0u64; C * H * W]; counts.len()];
        for i in 0..train.len() {
            let sum = &mut sums[train.label(i)];
            sum.iter_mut().zip(train.pixels(i)).for_each(|(sum, &p)| *sum += u64::from(p));
        }
        let mean = |(sum, &count): (&Vec<u64>, &usize)| {
            (count > 0).then(|| sum.iter().map(|&sum| sum as f64 / count as f64).collect())
        };
        Ok(NearestMean { means: sums.iter().zip(&counts).map(mean).collect() })
    }
}

impl<const C: usize, const H: usize, const W: usize> Baseline<C, H, W> for NearestMean<C, H, W> {
    fn predict(&self, images: &Images<C, H, W>) -> Vec<usize> {
        let distance = |i| {
            let pixels = images.pixels(i);
            move |mean: &Option<Vec<f64>>| mean.as_ref().map(|mean| squared_distance_to_mean(mean, pixels))
        };
        (0..images.len()).map(|i| nearest(self.means.iter().map(distance(i)))).collect()
    }
}

/// Answers the commonest class among the `k` nearest training images (Euclid on raw pixels).
///
/// Of two images at the same distance the one earlier in the training part is nearer; of two classes with as many
/// votes the smaller label wins. Complexity: `n · C · H · W` operations for each prediction, n training images.
#[derive(Clone, Debug)]
pub struct NearestNeighbours<const C: usize, const H: usize, const W: usize> {
    train: Images<C, H, W>,
    k: usize,
}

impl<const C: usize, const H: usize, const W: usize> NearestNeighbours<C, H, W> {
    /// Keeps `train`; `k` neighbours will vote.
    ///
    /// # Errors
    /// [`DataError::NoImages`] when `train` is empty, [`DataError::Neighbours`] unless `k` lies in 1..=n.
    pub fn fit(train: &Images<C, H, W>, k: usize) -> Result<Self, DataError> {
        match train.len() {
            0 => Err(DataError::NoImages),
            rows if !(1..=rows).contains(&k) => Err(DataError::Neighbours { k, rows }),
            _ => Ok(NearestNeighbours { train: train.clone(), k }),
        }
    }

    /// The numbers of the `k` training images nearest to `pixels`, the nearest first, with squared distances.
    pub fn neighbours(&self, pixels: &[u8]) -> Vec<(u64, usize)> {
        let distance = |i| (squared_distance(self.train.pixels(i), pixels), i);
        let mut all: Vec<(u64, usize)> = (0..self.train.len()).map(distance).collect();
        if self.k < all.len() {
            all.select_nth_unstable(self.k);
            all.truncate(self.k);
        }
        all.sort_unstable();
        all
    }
}

impl<const C: usize, const H: usize, const W: usize> Baseline<C, H, W> for NearestNeighbours<C, H, W> {
    fn predict(&self, images: &Images<C, H, W>) -> Vec<usize> {
        let vote = |i| {
            let mut votes = vec![0; self.train.class_names().len()];
            self.neighbours(images.pixels(i)).iter().for_each(|&(_, row)| votes[self.train.label(row)] += 1);
            first_largest(&votes)
        };
        (0..images.len()).map(vote).collect()
    }
}

// The loops over pixels are not generic, so that they are compiled here, at this crate's optimisation level.

fn ink(pixels: &[u8]) -> u64 {
    pixels.iter().map(|&p| u64::from(p)).sum()
}

fn squared_distance(a: &[u8], b: &[u8]) -> u64 {
    // 2^16 squares of at most 255^2 fit in u32.
    let part = |(a, b): (&[u8], &[u8])| -> u64 {
        let square = |(&a, &b): (&u8, &u8)| u32::from(a.abs_diff(b)) * u32::from(a.abs_diff(b));
        u64::from(a.iter().zip(b).map(square).sum::<u32>())
    };
    a.chunks(1 << 16).zip(b.chunks(1 << 16)).map(part).sum()
}

fn squared_distance_to_mean(mean: &[f64], pixels: &[u8]) -> f64 {
    mean.iter().zip(pixels).map(|(mean, &p)| (mean - f64::from(p)).powi(2)).sum()
}

/// The position of the largest count, the first of several.
fn first_largest(counts: &[usize]) -> usize {
    let largest = (0..counts.len()).rev().max_by_key(|&i| counts[i]);
    largest.expect("a set of images that is not empty has a class")
}

/// The position of the smallest distance, the first of several; classes without images have none.
fn nearest(distances: impl Iterator<Item = Option<f64>>) -> usize {
    let known = distances.enumerate().filter_map(|(class, distance)| Some((class, distance?)));
    let nearest = known.min_by(|(_, a), (_, b)| a.total_cmp(b));
    nearest.expect("fitted on at least one image").0
}
