//! Does a network that says 90 % err once in ten times? Reliability, and a temperature that repairs it.
//!
//! $$ \mathrm{ECE} = \sum_b \frac{n_b}{n}\,\lvert \mathrm{acc}_b - \mathrm{conf}_b\rvert, \qquad
//!    p = \mathrm{softmax}(z / T), \qquad T = \arg\min_T -\frac1n\sum_i \ln p_{i, y_i} $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $b$, $n_b$ | [`Bin`], [`Bin::count`] | interval of the largest probability, examples whose answer falls into it |
//! | conf, acc | [`Bin::confidence`], [`Bin::accuracy`] | mean largest probability, share of right answers |
//! | $T$ | [`temperature`] | above 1 makes a network less certain; the answers stay the same |
//!
//! The loss is convex in $1/T$. At its minimum the mean vote of the labels is the mean vote under $p$, which is how the
//! minimum is found and tested.
//! **Use** data that were not trained on: on training images a network is right almost always and $T$ would fall below 1.
//! **Papers**: Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, arXiv 1706.04599; Naeini,
//! Cooper & Hauskrecht (2015) for the error. **Deviation**: an ECE depends on the number of bins and is biased upwards for
//! few examples per bin; compare only equal sizes.
use crate::Error;

/// Examples whose largest probability lies in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Number of examples.
    pub count: usize,
    /// Mean of their largest probabilities; 0 without an example.
    pub confidence: f64,
    /// Share that is right; 0 without an example.
    pub accuracy: f64,
}

/// How certain and how right, by certainty.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// Intervals of equal width from 0 to 1, the upper end included.
    pub bins: Vec<Bin>,
    /// Mean of |accuracy − confidence| over examples.
    pub expected_error: f64,
    /// The largest |accuracy − confidence| of a bin with an example.
    pub largest_error: f64,
}

fn check(numbers: usize, classes: usize, labels: &[usize]) -> Result<(), Error> {
    if labels.is_empty() || classes == 0 {
        return Err(Error::Empty { what: "calibration" });
    }
    if numbers != labels.len() * classes {
        return Err(Error::LengthMismatch { examples: numbers / classes, labels: labels.len() });
    }
    match labels.iter().position(|&label| label >= classes) {
        Some(index) => Err(Error::LabelOutOfRange { index, label: labels[index], classes }),
        None => Ok(()),
    }
}

// ANCHOR: reliability
/// Reliability of `probs`, `(n, classes)` row by row, in `bins` intervals.
///
/// ```
/// use optim::calibration::reliability;
/// // 90 % certain three times and right twice; 60 % certain once and right.
/// let probs = [0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.4, 0.6];
/// let found = reliability(&probs, 2, &[0, 1, 1, 1], 10)?;
/// assert!((found.expected_error - (0.75 * (0.9 - 2.0 / 3.0) + 0.25 * 0.4)).abs() < 1e-12);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::Empty`] without an example or a class, [`Error::LengthMismatch`], [`Error::LabelOutOfRange`],
/// [`Error::InvalidHyper`] without a bin or for a largest probability outside of \[0, 1\].
pub fn reliability(
    probs: &[f64],
    classes: usize,
    labels: &[usize],
    bins: usize,
) -> Result<Reliability, Error> {
    check(probs.len(), classes, labels)?;
    if bins == 0 {
        return Err(Error::InvalidHyper { name: "bins", rule: "at least 1", value: 0.0 });
    }
    let mut found = vec![Bin::default(); bins];
    for (row, &label) in probs.chunks(classes).zip(labels) {
        let answer = (0..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
        let confidence = row[answer];
        if !(0.0..=1.0).contains(&confidence) {
            return Err(Error::InvalidHyper { name: "probability", rule: "in [0, 1]", value: confidence });
        }
        let bin = &mut found[((confidence * bins as f64) as usize).min(bins - 1)];
        bin.count += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(answer == label));
    }
    let (mut expected_error, mut largest_error) = (0.0, 0.0_f64);
    for bin in found.iter_mut().filter(|bin| bin.count > 0) {
        let n = bin.count as f64;
        (bin.confidence, bin.accuracy) = (bin.confidence / n, bin.accuracy / n);
        let gap = (bin.accuracy - bin.confidence).abs();
        expected_error += n / labels.len() as f64 * gap;
        largest_error = largest_error.max(gap);
    }
    Ok(Reliability { bins: found, expected_error, largest_error })
}
// ANCHOR_END: reliability

/// $\mathrm{softmax}(z/T)$ of each row of `classes` logits.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `temperature` is finite and above 0; [`Error::Empty`] without a class.
pub fn probabilities(logits: &[f64], classes: usize, temperature: f64) -> Result<Vec<f64>, Error> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(Error::InvalidHyper {
            name: "temperature",
            rule: "finite and above 0",
            value: temperature,
        });
    }
    if classes == 0 {
        return Err(Error::Empty { what: "calibration" });
    }
    let mut probs = logits.to_vec();
    for row in probs.chunks_mut(classes) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        row.iter_mut().for_each(|z| *z = ((*z - largest) / temperature).exp());
        let total: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= total);
    }
    Ok(probs)
}

/// Ends of the search for $1/T$.
const COLDEST: f64 = 1e3;

// ANCHOR: temperature
/// The $T$ of the lowest cross-entropy for `logits`, `(n, classes)` row by row, between 0.001 and 1000: logits that are
/// right without exception want $T = 0$.
///
/// # Errors
/// As [`reliability`].
pub fn temperature(logits: &[f64], classes: usize, labels: &[usize]) -> Result<f64, Error> {
    check(logits.len(), classes, labels)?;
    // The slope of the loss in β = 1/T: the mean vote under p less the vote of the label. It grows with β.
    let slope = |beta: f64| -> Result<f64, Error> {
        let probs = probabilities(logits, classes, 1.0 / beta)?;
        let rows = logits.chunks(classes).zip(probs.chunks(classes)).zip(labels);
        let excess = |((z, p), &label): ((&[f64], &[f64]), &usize)| {
            z.iter().zip(p).map(|(z, p)| z * p).sum::<f64>() - z[label]
        };
        Ok(rows.map(excess).sum())
    };
    let (mut low, mut high) = (1.0 / COLDEST, COLDEST);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if slope(middle)? > 0.0 { high = middle } else { low = middle }
    }
    Ok(1.0 / (low * high).sqrt())
}
// ANCHOR_END: temperature
