//! How large is the error on examples that were not learnt from: cross-validation, and what may leak into it.
//!
//! Everything that looks at data belongs inside of the fit: scaling ([`Standardized`]) and the choice of a setting
//! ([`GridSearch`]) are estimators themselves, so that [`cross_validate`] repeats them in every fold. The standard error
//! that it reports treats the folds as independent. They share training examples, so it is too small, and no unbiased
//! estimate of it exists (Bengio & Grandvalet 2004).
//!
//! **Property**: folds are disjoint, cover everything, differ in size by at most one; leaving one out agrees with the
//! closed form of [`ridge::leave_one_out`](super::ridge::leave_one_out).
use super::{Estimator, Predict, check, means, rows};
use crate::Error;
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// A number that says how wrong predictions are: `metric(predicted, target)`.
pub type Metric = fn(&DMatrix<f64>, &DMatrix<f64>) -> f64;

/// Mean squared error over all entries.
pub fn mse(predicted: &DMatrix<f64>, target: &DMatrix<f64>) -> f64 {
    (predicted - target).norm_squared() / target.len() as f64
}

/// Share of rows whose largest entry is not where the target's is.
pub fn error_rate(predicted: &DMatrix<f64>, target: &DMatrix<f64>) -> f64 {
    let pairs = super::classes(predicted).into_iter().zip(super::classes(target));
    pairs.filter(|(predicted, target)| predicted != target).count() as f64 / target.nrows() as f64
}

/// $R^2 = 1 - \sum(y - \hat y)^2/\sum(y - \bar y)^2$, the share of the variance that is explained; 1 is best.
pub fn r2(predicted: &DMatrix<f64>, target: &DMatrix<f64>) -> f64 {
    let spread = super::centred(target, &means(target)).norm_squared();
    1.0 - (predicted - target).norm_squared() / spread
}

// ANCHOR: folds
/// Cuts `0..n` into `k` parts in random order; sizes differ by at most one.
///
/// # Errors
/// [`Error::InvalidHyper`] unless 2 ≤ k ≤ n.
pub fn folds<R: Rng + ?Sized>(n: usize, k: usize, rng: &mut R) -> Result<Vec<Vec<usize>>, Error> {
    if !(2..=n).contains(&k) {
        let rule = "at least 2 and at most the number of examples";
        return Err(Error::InvalidHyper { name: "folds", rule, value: k as f64 });
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    Ok((0..k).map(|fold| order.iter().skip(fold).step_by(k).copied().collect()).collect())
}
// ANCHOR_END: folds

/// Error on each held-out fold.
#[derive(Clone, Debug, PartialEq)]
pub struct CvReport {
    /// The metric on each fold.
    pub scores: Vec<f64>,
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation of the scores over √k; too small, see the [module](self).
    pub standard_error: f64,
}

// ANCHOR: cross_validate
/// Learns without one fold, measures on it, in turn (Goodfellow et al. 2016, algorithm 5.1).
///
/// # Errors
/// Those of [`folds`], and what the estimator refuses.
pub fn cross_validate<L: Estimator, R: Rng + ?Sized>(
    learner: &L,
    x: &DMatrix<f64>,
    y: &DMatrix<f64>,
    k: usize,
    metric: Metric,
    rng: &mut R,
) -> Result<CvReport, Error> {
    check("cross_validate", x, y)?;
    let mut scores = Vec::with_capacity(k);
    for held_out in folds(x.nrows(), k, rng)? {
        let mut is_held_out = vec![false; x.nrows()];
        held_out.iter().for_each(|&i| is_held_out[i] = true);
        let train: Vec<usize> = (0..x.nrows()).filter(|&i| !is_held_out[i]).collect();
        let fitted = learner.fit(&rows(x, &train), &rows(y, &train))?;
        scores.push(metric(&fitted.predict(&rows(x, &held_out))?, &rows(y, &held_out)));
    }
    Ok(CvReport::over(scores))
}
// ANCHOR_END: cross_validate

impl CvReport {
    fn over(scores: Vec<f64>) -> Self {
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        Self { mean, standard_error: (squares / (n - 1.0) / n).sqrt(), scores }
    }
}

/// Gives every feature mean 0 and variance 1 by the statistics of the examples that are learnt from, then fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standardized<L>(pub L);

/// A fit behind a change of units.
#[derive(Clone, Debug)]
pub struct StandardizedFit<F> {
    means: Vec<f64>,
    scales: Vec<f64>,
    fitted: F,
}

impl<F> StandardizedFit<F> {
    fn units(means: &[f64], scales: &[f64], x: &DMatrix<f64>) -> DMatrix<f64> {
        DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| (x[(i, j)] - means[j]) / scales[j])
    }

    /// What was learnt, in standard units.
    pub fn fitted(&self) -> &F {
        &self.fitted
    }
}

impl<L: Estimator> Estimator for Standardized<L> {
    type Fitted = StandardizedFit<L::Fitted>;

    /// A feature that never changes keeps its unit, so that it stays zero after centring.
    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<Self::Fitted, Error> {
        check("Standardized::fit", x, y)?;
        let means = means(x);
        let scale = |(j, mean): (usize, &f64)| {
            let squares: f64 = x.column(j).iter().map(|x| (x - mean).powi(2)).sum();
            let sd = (squares / x.nrows() as f64).sqrt();
            if sd > 0.0 { sd } else { 1.0 }
        };
        let scales: Vec<f64> = means.iter().enumerate().map(scale).collect();
        let fitted = self.0.fit(&StandardizedFit::<L>::units(&means, &scales, x), y)?;
        Ok(StandardizedFit { means, scales, fitted })
    }
}

impl<F: Predict> Predict for StandardizedFit<F> {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        super::check_width("features", x.ncols(), self.means.len())?;
        self.fitted.predict(&Self::units(&self.means, &self.scales, x))
    }
}

/// Chooses among estimators by cross-validation on the examples that it is given, then fits the best to all of them.
#[derive(Clone, Debug)]
pub struct GridSearch<L> {
    /// What to choose from; the first one wins a tie.
    pub candidates: Vec<L>,
    /// Folds of the inner cross-validation.
    pub folds: usize,
    /// Smaller is better.
    pub metric: Metric,
    /// Of the folds, the same for all candidates.
    pub seed: u64,
}

impl<L: Estimator> GridSearch<L> {
    /// Index of the candidate with the smallest mean score.
    ///
    /// # Errors
    /// [`Error::Empty`] without candidates, and those of [`cross_validate`].
    pub fn choose(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<usize, Error> {
        let mut best = None;
        for (index, candidate) in self.candidates.iter().enumerate() {
            let mut rng = StdRng::seed_from_u64(self.seed);
            let score = cross_validate(candidate, x, y, self.folds, self.metric, &mut rng)?.mean;
            if best.is_none_or(|(_, least)| score < least) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index).ok_or(Error::Empty { what: "GridSearch, among its candidates," })
    }
}

impl<L: Estimator> Estimator for GridSearch<L> {
    type Fitted = L::Fitted;

    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<L::Fitted, Error> {
        self.candidates[self.choose(x, y)?].fit(x, y)
    }
}
