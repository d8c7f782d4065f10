//! The mean of several models: how far its error falls.
//!
//! If $k$ models have errors of mean square $v$ and mean product $c$, the error of their mean has the mean square
//! $\frac vk + \frac{k-1}{k} c$ (Goodfellow et al. 2016, eq. 7.51): it falls as $1/k$ for independent errors, and not
//! at all for equal ones. Bagging (Breiman 1996) makes errors differ by training each model on a resample.
//!
//! | symbol | code |
//! |---|---|
//! | $k$ | `models` |
//! | $v$, $c$ | [`ErrorMoments::variance`], [`ErrorMoments::covariance`] |
//!
//! The book calls $v$ and $c$ a variance and a covariance because its errors have the mean 0. The identity needs no such
//! mean: it is the square of a sum, and holds for what is measured on any examples.
use crate::Error;

/// $\frac vk + \frac{k-1}{k} c$.
///
/// # Errors
/// [`Error::InvalidHyper`] without a model.
pub fn variance_of_mean(models: usize, variance: f64, covariance: f64) -> Result<f64, Error> {
    if models == 0 {
        return Err(Error::InvalidHyper { name: "models", rule: "at least 1", value: 0.0 });
    }
    let k = models as f64;
    Ok(variance / k + (k - 1.0) / k * covariance)
}

/// How large the errors of several models are, and how much of that they share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorMoments {
    /// $v$: the mean square of an error, over models and examples.
    pub variance: f64,
    /// $c$: the mean product of the errors of two models at the same example, over pairs and examples.
    pub covariance: f64,
}

// ANCHOR: moments
impl ErrorMoments {
    /// $v$ and $c$ of models whose errors at the same examples, in the same order, are the rows.
    ///
    /// # Examples
    /// ```
    /// use optim::regularize::ensemble::ErrorMoments;
    /// // Two models that are wrong in turns, and by as much: their mean has half of the squared error.
    /// let in_turns = ErrorMoments::of(&[vec![1.0, 0.0], vec![0.0, 1.0]])?;
    /// assert_eq!((in_turns.variance, in_turns.covariance), (0.5, 0.0));
    /// assert_eq!(in_turns.of_mean(2)?, 0.25);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for less than two models, [`Error::Empty`] without an example, [`Error::Dimension`] for rows of
    /// different lengths.
    pub fn of(errors: &[Vec<f64>]) -> Result<Self, Error> {
        let k = errors.len();
        if k < 2 {
            let rule = "at least 2: one model has no pair";
            return Err(Error::InvalidHyper { name: "models", rule, value: k as f64 });
        }
        let want = errors[0].len();
        if want == 0 {
            return Err(Error::Empty { what: "ErrorMoments::of" });
        }
        if let Some(row) = errors.iter().find(|row| row.len() != want) {
            return Err(Error::Dimension { what: "errors of a model", got: row.len(), want });
        }
        let (mut squares, mut of_sums) = (0.0, 0.0);
        for example in 0..want {
            let at = || errors.iter().map(|row| row[example]);
            squares += at().map(|error| error * error).sum::<f64>();
            of_sums += at().sum::<f64>().powi(2); // the squares, and every product of two models twice
        }
        let (k, n) = (k as f64, want as f64);
        let covariance = (of_sums - squares) / (k * (k - 1.0) * n);
        Ok(Self { variance: squares / (k * n), covariance })
    }

    /// The mean square of the error of the mean of so many models of this kind: [`variance_of_mean`].
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] without a model.
    pub fn of_mean(&self, models: usize) -> Result<f64, Error> {
        variance_of_mean(models, self.variance, self.covariance)
    }
}
// ANCHOR_END: moments

/// `n` positions below `n`, drawn with repetition: a resample for bagging. About $1 - 1/e$ of them occur.
pub fn bootstrap<R: rand::Rng + ?Sized>(n: usize, rng: &mut R) -> Vec<usize> {
    (0..n).map(|_| rng.gen_range(0..n)).collect()
}
