//! How well a segmentation fits the truth: pixel by pixel, instance by instance, as a partition.
//!
//! | function | value | best |
//! |---|---|---|
//! | [`pixel_error`] | share of pixels whose class is wrong | 0 |
//! | [`iou`], [`dice`] | $\lvert A \cap B\rvert / \lvert A \cup B\rvert$; $2 \lvert A \cap B\rvert / (\lvert A\rvert + \lvert B\rvert)$ | 1 |
//! | [`matched`] | instances paired by IoU: AP, F1, panoptic quality | 1 |
//! | [`adapted_rand`] | one minus the F-score of pairs of pixels put together | 0 |
//! | [`variation_of_information`] | bits by which one partition leaves the other open | 0, 0 |
//!
//! Background is 0. **When which**: IoU of pixels hides cells that merge, since a bridge is a few pixels; F1 of instances
//! and the count see them. "Warping error" of the U-Net paper is not here: [`components`] of both pictures compare their
//! number of cells.
use super::{Grid, SegmentationError};
use std::collections::BTreeMap;

/// Which pixels touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Neighbours in a row or column.
    Four,
    /// Diagonal neighbours too.
    Eight,
}

fn counts(truth: &Grid<u16>, found: &Grid<u16>) -> Result<[f64; 3], SegmentationError> {
    truth.same_size(found)?;
    let count = |f: &dyn Fn(bool, bool) -> bool| {
        truth.values.iter().zip(&found.values).filter(|(a, b)| f(**a > 0, **b > 0)).count() as f64
    };
    Ok([count(&|a, b| a && b), count(&|a, b| a || b), count(&|a, b| a != b)])
}

/// Share of pixels that are background in one and cell in the other.
///
/// # Errors
/// [`SegmentationError::Sizes`].
pub fn pixel_error(truth: &Grid<u16>, found: &Grid<u16>) -> Result<f64, SegmentationError> {
    Ok(counts(truth, found)?[2] / truth.values.len() as f64)
}

/// Intersection over union of the pixels of cells; 1 when neither has any.
///
/// # Errors
/// [`SegmentationError::Sizes`].
pub fn iou(truth: &Grid<u16>, found: &Grid<u16>) -> Result<f64, SegmentationError> {
    let [both, either, _] = counts(truth, found)?;
    Ok(if either == 0.0 { 1.0 } else { both / either })
}

/// Dice's coefficient of the pixels of cells; 1 when neither has any.
///
/// # Errors
/// [`SegmentationError::Sizes`].
pub fn dice(truth: &Grid<u16>, found: &Grid<u16>) -> Result<f64, SegmentationError> {
    let [both, either, _] = counts(truth, found)?;
    Ok(if either == 0.0 { 1.0 } else { 2.0 * both / (both + either) })
}

/// Cells as connected components of at least `least` pixels, numbered from 1 in the order of their first pixel.
///
/// ```
/// use convnets::segmentation::{Grid, metrics::{Connectivity, components}};
/// let diagonal = Grid::try_new(2, 2, vec![true, false, false, true]).unwrap();
/// assert_eq!(components(&diagonal, Connectivity::Four, 1).values, [1, 0, 0, 2]);
/// assert_eq!(components(&diagonal, Connectivity::Eight, 1).values, [1, 0, 0, 1]);
/// ```
///
/// # Panics
/// With more than 65,535 components.
pub fn components(is_cell: &Grid<bool>, connectivity: Connectivity, least: usize) -> Grid<u16> {
    let (height, width) = (is_cell.height as i64, is_cell.width as i64);
    let mut labels = is_cell.map(|_| 0_u16);
    let mut seen = is_cell.map(|_| false);
    let mut next: u16 = 1;
    for start in 0..is_cell.values.len() {
        if !is_cell.values[start] || seen.values[start] {
            continue;
        }
        let (mut members, mut at) = (vec![start], 0);
        seen.values[start] = true;
        while let Some(&pixel) = members.get(at) {
            at += 1;
            let (row, column) = (pixel as i64 / width, pixel as i64 % width);
            for (i, j) in (-1..=1).flat_map(|i| (-1..=1).map(move |j| (i, j))) {
                let (y, x) = (row + i, column + j);
                let touches = connectivity == Connectivity::Eight || i == 0 || j == 0;
                if touches && (0..height).contains(&y) && (0..width).contains(&x) {
                    let neighbour = (y * width + x) as usize;
                    if is_cell.values[neighbour] && !seen.values[neighbour] {
                        seen.values[neighbour] = true;
                        members.push(neighbour);
                    }
                }
            }
        }
        if members.len() >= least {
            members.iter().for_each(|&pixel| labels.values[pixel] = next);
            next = next.checked_add(1).expect("at most 65,535 cells");
        }
    }
    labels
}

/// Pixels that instance `a` of the truth and `b` of the prediction share; background is 0.
fn overlaps(truth: &Grid<u16>, found: &Grid<u16>) -> Result<BTreeMap<(u16, u16), f64>, SegmentationError> {
    truth.same_size(found)?;
    let mut table = BTreeMap::new();
    for pair in truth.values.iter().copied().zip(found.values.iter().copied()) {
        *table.entry(pair).or_insert(0.0) += 1.0;
    }
    Ok(table)
}

/// What [`matched`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Matching {
    /// Pairs with IoU of at least the threshold.
    pub true_positives: usize,
    /// Predicted instances without a partner.
    pub false_positives: usize,
    /// True instances without a partner.
    pub false_negatives: usize,
    /// TP / (TP + FP + FN).
    pub average_precision: f64,
    /// 2 TP / (2 TP + FP + FN).
    pub f1: f64,
    /// Sum of the pairs' IoU / (TP + ½ FP + ½ FN).
    pub panoptic_quality: f64,
}

/// Pairs instances so that their IoU add up to the most (Hungarian algorithm), and counts pairs of at least `threshold`.
/// **Complexity**: cubic in the number of instances.
///
/// # Errors
/// [`SegmentationError::Sizes`].
pub fn matched(truth: &Grid<u16>, found: &Grid<u16>, threshold: f64) -> Result<Matching, SegmentationError> {
    let table = overlaps(truth, found)?;
    let sizes = |first: bool| {
        let mut sizes = BTreeMap::new();
        for ((a, b), n) in &table {
            *sizes.entry(if first { *a } else { *b }).or_insert(0.0) += n;
        }
        sizes.remove(&0);
        sizes
    };
    let (rows, columns) = (sizes(true), sizes(false));
    let iou: Vec<Vec<f64>> = rows
        .iter()
        .map(|(a, size)| {
            let of = |(b, other): (&u16, &f64)| {
                let both = table.get(&(*a, *b)).copied().unwrap_or(0.0);
                both / (size + other - both)
            };
            columns.iter().map(of).collect()
        })
        .collect();
    let pairs: Vec<f64> =
        assignment(&iou).into_iter().filter(|iou| *iou >= threshold && *iou > 0.0).collect();
    let (tp, fp, fne) = (pairs.len(), columns.len() - pairs.len(), rows.len() - pairs.len());
    let share = |part: f64, whole: f64| if whole == 0.0 { 1.0 } else { part / whole };
    let (t, wrong) = (tp as f64, (fp + fne) as f64);
    Ok(Matching {
        true_positives: tp,
        false_positives: fp,
        false_negatives: fne,
        average_precision: share(t, t + wrong),
        f1: share(2.0 * t, 2.0 * t + wrong),
        panoptic_quality: share(pairs.iter().sum(), t + 0.5 * wrong),
    })
}

/// Values of the pairs of the assignment whose sum is largest (Kuhn–Munkres with potentials).
fn assignment(value: &[Vec<f64>]) -> Vec<f64> {
    let columns = value.first().map_or(0, Vec::len);
    let n = value.len().max(columns);
    let cost = |i: usize, j: usize| value.get(i).and_then(|row| row.get(j)).map_or(0.0, |v| -v);
    let (mut u, mut v) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let (mut row_of, mut way) = (vec![0; n + 1], vec![0; n + 1]); // 0 stands for none: rows and columns count from 1
    for row in 1..=n {
        row_of[0] = row;
        let (mut least, mut used, mut column) = (vec![f64::INFINITY; n + 1], vec![false; n + 1], 0);
        while row_of[column] != 0 {
            used[column] = true;
            let (i, mut delta, mut next) = (row_of[column], f64::INFINITY, 0);
            for j in 1..=n {
                if !used[j] {
                    let reduced = cost(i - 1, j - 1) - u[i] - v[j];
                    if reduced < least[j] {
                        (least[j], way[j]) = (reduced, column);
                    }
                    if least[j] < delta {
                        (delta, next) = (least[j], j);
                    }
                }
            }
            for j in 0..=n {
                if used[j] {
                    u[row_of[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[way[column]];
            column = way[column];
        }
    }
    (1..=n).filter_map(|j| value.get(row_of[j] - 1)?.get(j - 1).copied()).collect()
}

/// What [`adapted_rand`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AdaptedRand {
    /// 1 − F-score of precision and recall.
    pub error: f64,
    /// Of the pairs of pixels that the prediction puts together, those that belong together.
    pub precision: f64,
    /// Of the pairs that belong together, those that the prediction puts together.
    pub recall: f64,
}

/// The adapted Rand error over pixels that are not background in the truth; the prediction's background counts as one
/// segment there (scikit-image's definition).
///
/// # Errors
/// [`SegmentationError::Sizes`].
pub fn adapted_rand(truth: &Grid<u16>, found: &Grid<u16>) -> Result<AdaptedRand, SegmentationError> {
    let table: BTreeMap<_, _> =
        overlaps(truth, found)?.into_iter().filter(|((truth, _), _)| *truth > 0).collect();
    let n: f64 = table.values().sum();
    let pairs = |sums: Vec<f64>| sums.iter().map(|s| s * s).sum::<f64>() - n;
    let sums = |first: bool| {
        let mut sums = BTreeMap::new();
        table.iter().for_each(|((a, b), n)| *sums.entry(if first { *a } else { *b }).or_insert(0.0) += n);
        sums.into_values().collect::<Vec<f64>>()
    };
    let together = pairs(table.values().copied().collect());
    let share = |whole: f64| if whole == 0.0 { 1.0 } else { together / whole };
    let (precision, recall) = (share(pairs(sums(false))), share(pairs(sums(true))));
    let sum = precision + recall;
    Ok(AdaptedRand {
        error: 1.0 - if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum },
        precision,
        recall,
    })
}

/// Conditional entropies in bits: of the prediction given the truth (too many segments), of the truth given the
/// prediction (too few). Background is a segment.
///
/// # Errors
/// [`SegmentationError::Sizes`].
pub fn variation_of_information(truth: &Grid<u16>, found: &Grid<u16>) -> Result<[f64; 2], SegmentationError> {
    let table = overlaps(truth, found)?;
    let n = truth.values.len() as f64;
    let given = |first: bool| {
        let mut sums: BTreeMap<u16, f64> = BTreeMap::new();
        table.iter().for_each(|((a, b), n)| *sums.entry(if first { *a } else { *b }).or_insert(0.0) += n);
        let term = |((a, b), count): (&(u16, u16), &f64)| {
            -count / n * (count / sums[if first { a } else { b }]).log2()
        };
        table.iter().map(term).sum()
    };
    Ok([given(true), given(false)])
}
