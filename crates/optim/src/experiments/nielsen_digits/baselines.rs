//! What a network must beat: guesses that learn almost nothing.

use nalgebra::SVector;

/// For each test vector the class whose mean training vector is nearest.
///
/// With one feature, the darkness of the image, this is the first guess of Nielsen's chapter 1.
pub(super) fn nearest_class_mean<const D: usize>(
    train: &[SVector<f64, D>],
    labels: &[usize],
    test: &[SVector<f64, D>],
    num_classes: usize,
) -> Vec<usize> {
    let mut means = vec![(SVector::<f64, D>::zeros(), 0.0); num_classes];
    for (x, &label) in train.iter().zip(labels) {
        means[label].0 += x;
        means[label].1 += 1.0;
    }
    means.iter_mut().for_each(|(sum, count)| *sum /= *count); // NaN for a class without examples: never nearest
    let nearest = |x: &SVector<f64, D>| {
        let mut best = (0, f64::INFINITY);
        for (class, (mean, _)) in means.iter().enumerate() {
            let distance = (x - mean).norm_squared();
            if distance < best.1 {
                best = (class, distance);
            }
        }
        best.0
    };
    test.iter().map(nearest).collect()
}

/// All ink of each image: one feature.
pub(super) fn darkness<const D: usize>(images: &[SVector<f64, D>]) -> Vec<SVector<f64, 1>> {
    images.iter().map(|image| SVector::from([image.sum()])).collect()
}

/// The share of the most frequent label of `train` among the labels of `test`.
pub(super) fn majority(train: &[usize], test: &[usize], num_classes: usize) -> f64 {
    let count = |labels: &[usize], class| labels.iter().filter(|label| **label == class).count();
    let most = (0..num_classes).max_by_key(|&class| count(train, class)).unwrap_or(0);
    count(test, most) as f64 / test.len() as f64
}

/// The share of answers that are right.
pub(super) fn accuracy(answers: &[usize], labels: &[usize]) -> f64 {
    answers.iter().zip(labels).filter(|(answer, label)| answer == label).count() as f64 / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::vector;

    #[test]
    fn nearest_mean_splits_the_line_in_the_middle() {
        // Means 1 and 4, none for class 2: the border is 2.5.
        let train = [vector![0.0], vector![2.0], vector![4.0]];
        let answers = nearest_class_mean(&train, &[0, 0, 1], &[vector![2.4], vector![2.6], vector![-9.0]], 3);
        assert_eq!(answers, [0, 1, 0]);
    }

    #[test]
    fn guesses_are_counted() {
        assert_eq!(majority(&[1, 1, 0], &[1, 0, 0, 0], 2), 0.25);
        assert_eq!(accuracy(&[1, 2, 3], &[1, 2, 0]), 2.0 / 3.0);
        assert_eq!(darkness(&[vector![0.5, 0.25]]), [vector![0.75]]);
    }
}
