//! No free lunch (Wolpert 1996), by enumeration: over all labellings of a few points every learner is wrong on half of
//! the points that it was not shown.
//!
//! For each labelling that agrees with the examples there is the one with the unseen labels flipped. A learner sees the
//! same examples in both, so it answers the same, and what is right in one is wrong in the other.
//!
//! **Closed form**: the mean is ½ exactly, for any deterministic learner.
use crate::Error;
use crate::perceptron::{MaxEpochs, Perceptron};
use nalgebra::vector;

/// A rule that answers for a point after examples `(point, label)`.
pub type Learner<'a> = &'a dyn Fn(&[(f64, bool)], f64) -> bool;

/// Most points; the enumeration has $2^n$ labellings.
pub const MAX_POINTS: usize = 20;

// ANCHOR: enumerate
/// For each of the $2^n$ labellings of the points $0, 1, \dots, n-1$: the share of the points outside of `train` that
/// `learner` gets wrong after seeing the labels in `train`. Bit $i$ of the index is the label of point $i$.
///
/// # Errors
/// [`Error::InvalidHyper`] when `n` is 0 or above [`MAX_POINTS`], an index is out of range, or no point is left unseen.
pub fn enumerate(learner: Learner<'_>, n: usize, train: &[usize]) -> Result<Vec<f64>, Error> {
    check(n, train)?;
    let unseen: Vec<usize> = (0..n).filter(|i| !train.contains(i)).collect();
    let error = |labels: usize| {
        let label = |i: usize| labels >> i & 1 == 1;
        let examples: Vec<_> = train.iter().map(|&i| (i as f64, label(i))).collect();
        let wrong = unseen.iter().filter(|&&i| learner(&examples, i as f64) != label(i)).count();
        wrong as f64 / unseen.len() as f64
    };
    Ok((0..1 << n).map(error).collect())
}
// ANCHOR_END: enumerate

fn check(n: usize, train: &[usize]) -> Result<(), Error> {
    let invalid = |name, rule, value: usize| Err(Error::InvalidHyper { name, rule, value: value as f64 });
    if !(1..=MAX_POINTS).contains(&n) {
        return invalid("n", "between 1 and 20, since all labellings are enumerated", n);
    }
    if let Some(&index) = train.iter().find(|&&i| i >= n) {
        return invalid("train", "numbers of points, which count from 0", index);
    }
    if (0..n).all(|i| train.contains(&i)) {
        return invalid("train", "a part of the points; some must stay unseen", train.len());
    }
    Ok(())
}

/// Answers with the more frequent label; a tie is `false`.
pub fn majority(examples: &[(f64, bool)], _: f64) -> bool {
    2 * examples.iter().filter(|(_, label)| *label).count() > examples.len()
}

/// Answers with the less frequent label.
pub fn anti_majority(examples: &[(f64, bool)], point: f64) -> bool {
    !majority(examples, point)
}

/// Answers with the label of the nearest example, the first one in a tie; `false` without examples.
pub fn nearest_neighbour(examples: &[(f64, bool)], point: f64) -> bool {
    let distance = |example: &&(f64, bool)| (example.0 - point).abs();
    examples.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).is_some_and(|(_, label)| *label)
}

/// Repeats what it was shown, and answers `false` elsewhere.
pub fn memoriser(examples: &[(f64, bool)], point: f64) -> bool {
    examples.iter().any(|(seen, label)| *seen == point && *label)
}

/// Answers with a perceptron trained for at most 100 passes.
pub fn perceptron(examples: &[(f64, bool)], point: f64) -> bool {
    let x: Vec<_> = examples.iter().map(|(x, _)| vector![*x]).collect();
    let labels: Vec<i8> = examples.iter().map(|(_, label)| if *label { 1 } else { -1 }).collect();
    let fit = Perceptron::train(&x, &labels, MaxEpochs(100));
    fit.is_ok_and(|fit| fit.perceptron.fires(&vector![point]))
}
