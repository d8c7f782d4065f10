//! Is a gradient the derivative? Central differences, coordinate by coordinate or along random directions.
//!
//! $(f(x + h e_i) - f(x - h e_i))/2h$ has an error of $h^2|f'''|/6$ from truncation and of about $\epsilon|f|/h$ from
//! rounding; $h = 6\cdot10^{-6}\max(1, |x_i|)$ balances them in f64. Within $10h$ of a kink the comparison means nothing.
//!
//! All coordinates take two values of $f$ each. For many of them compare $g\cdot v$ with the difference along a few
//! random $v$ ([`Directions::Random`]): with $v_i = \pm1/\sqrt n$ no coordinate is left out, and an error $e$ in one of
//! them shows as $e/\sqrt n$.
//!
//! # Examples
//! ```
//! use optim::autodiff::gradcheck::{Directions, GradCheck};
//!
//! let f = |x: &[f64]| x.iter().map(|x| x.powi(3)).sum();
//! let x: Vec<f64> = (0..10_000).map(|i| (i as f64).sin()).collect();
//! let mut gradient: Vec<f64> = x.iter().map(|x| 3.0 * x * x).collect();
//! let check = GradCheck { directions: Directions::Random { count: 3, seed: 0 }, ..GradCheck::default() };
//! assert!(check.run(f, &x, &gradient)?.is_within); // six values of f instead of 20 000
//! gradient[1234] += 0.01;
//! assert!(!check.run(f, &x, &gradient)?.is_within);
//! # Ok::<(), optim::Error>(())
//! ```
use crate::Error;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Step of the difference at 1, for f64: the cube root of its precision.
pub const STEP: f64 = 6e-6;

/// The direction in which analytic and numeric derivative differ most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Its number: that of the coordinate, or of the random direction.
    pub index: usize,
    /// What the gradient says.
    pub analytic: f64,
    /// What the difference says.
    pub numeric: f64,
    /// $|a - n|/\max(1, |a|, |n|)$.
    pub error: f64,
    /// Whether `error` is at most the tolerance; not when it is not a number.
    pub is_within: bool,
}

/// Along what the derivative is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// Each coordinate.
    Coordinates,
    /// `count` vectors of length 1 whose entries have one size and random signs.
    Random {
        /// How many.
        count: usize,
        /// Decides the signs.
        seed: u64,
    },
}

/// How a gradient is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradCheck {
    /// Step of the difference at 1, above 0; it grows with $|x|$.
    pub epsilon: f64,
    /// Largest error that passes, at least 0.
    pub tolerance: f64,
    /// Along what the derivative is compared.
    pub directions: Directions,
}

/// Step [`STEP`], tolerance $10^{-6}$, each coordinate.
impl Default for GradCheck {
    fn default() -> Self {
        Self { epsilon: STEP, tolerance: 1e-6, directions: Directions::Coordinates }
    }
}

impl GradCheck {
    /// Compares `gradient` with central differences of `f` at `x` and reports the worst direction.
    ///
    /// # Errors
    /// [`Error::Empty`] for no coordinates, [`Error::LengthMismatch`] when the gradient has another length,
    /// [`Error::InvalidHyper`] for a step, a tolerance or a number of directions outside of its range.
    pub fn run(&self, f: impl Fn(&[f64]) -> f64, x: &[f64], gradient: &[f64]) -> Result<Report, Error> {
        let Self { epsilon, tolerance, directions } = *self;
        if x.is_empty() {
            return Err(Error::Empty { what: "gradcheck" });
        }
        if x.len() != gradient.len() {
            return Err(Error::LengthMismatch { examples: x.len(), labels: gradient.len() });
        }
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(Error::InvalidHyper {
                name: "epsilon",
                rule: "positive, usually 6e-6",
                value: epsilon,
            });
        }
        if tolerance.is_nan() || tolerance < 0.0 {
            let rule = "at least 0, usually 1e-6";
            return Err(Error::InvalidHyper { name: "tolerance", rule, value: tolerance });
        }
        let report = |index: usize, analytic: f64, numeric: f64| {
            let error = (analytic - numeric).abs() / analytic.abs().max(numeric.abs()).max(1.0);
            Report { index, analytic, numeric, error, is_within: error <= tolerance }
        };
        let mut reports = Vec::new();
        match directions {
            Directions::Coordinates => {
                let mut at = x.to_vec();
                for (index, &middle) in x.iter().enumerate() {
                    let h = epsilon * middle.abs().max(1.0);
                    at[index] = middle + h;
                    let above = f(&at);
                    at[index] = middle - h;
                    let below = f(&at);
                    at[index] = middle;
                    reports.push(report(index, gradient[index], (above - below) / (2.0 * h)));
                }
            }
            Directions::Random { count: 0, .. } => {
                return Err(Error::InvalidHyper { name: "count", rule: "at least 1", value: 0.0 });
            }
            Directions::Random { count, seed } => {
                let mut rng = StdRng::seed_from_u64(seed);
                let largest = x.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
                let (h, size) = (epsilon * largest, 1.0 / (x.len() as f64).sqrt());
                for index in 0..count {
                    let v: Vec<f64> =
                        x.iter().map(|_| if rng.gen_bool(0.5) { size } else { -size }).collect();
                    let along = |h: f64| f(&x.iter().zip(&v).map(|(x, v)| x + h * v).collect::<Vec<_>>());
                    let analytic = gradient.iter().zip(&v).map(|(g, v)| g * v).sum();
                    reports.push(report(index, analytic, (along(h) - along(-h)) / (2.0 * h)));
                }
            }
        }
        // NaN is the largest in `total_cmp`: a gradient that is not a number is the worst.
        let worst = reports.into_iter().max_by(|a, b| a.error.total_cmp(&b.error));
        Ok(worst.expect("at least one direction"))
    }
}

/// [`GradCheck::default`] of `gradient` at `x`: every coordinate, the worst of which is reported.
///
/// # Errors
/// [`Error::Empty`] for no coordinates, [`Error::LengthMismatch`] when the gradient has another length.
pub fn gradcheck(f: impl Fn(&[f64]) -> f64, x: &[f64], gradient: &[f64]) -> Result<Report, Error> {
    GradCheck::default().run(f, x, gradient)
}
