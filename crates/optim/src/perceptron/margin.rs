//! How far apart two classes are: the largest margin of a plane, between two bounds.

use nalgebra::{RealField, SVector, convert};

use super::{Perceptron, check_binary, sign, to_f64};
use crate::Error;

/// Sweeps over the examples with $\alpha_i > 0$, few of all, between two passes over all of them. On the 45 pairs
/// of digits 10 sweeps cut the number of passes to a tenth.
const SUPPORT_SWEEPS: usize = 10;

/// When [`hard_margin`] stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginConfig {
    /// Largest accepted `(upper − lower) / upper`, in (0, 1); default 1e-6.
    pub tolerance_rel: f64,
    /// Largest number of passes over the data, at least 1; default 100 000.
    pub max_passes: usize,
}

impl Default for MarginConfig {
    fn default() -> Self {
        Self { tolerance_rel: 1e-6, max_passes: 100_000 }
    }
}

impl MarginConfig {
    /// The configuration with another tolerance.
    pub fn tolerance_rel(self, tolerance_rel: f64) -> Self {
        Self { tolerance_rel, ..self }
    }

    /// The configuration with another limit of passes.
    pub fn max_passes(self, max_passes: usize) -> Self {
        Self { max_passes, ..self }
    }

    fn check(self) -> Result<Self, Error> {
        if !(self.tolerance_rel > 0.0 && self.tolerance_rel < 1.0) {
            let rule = "in (0, 1); 1e-6 is a usual choice";
            return Err(Error::InvalidHyper { name: "tolerance_rel", rule, value: self.tolerance_rel });
        }
        if self.max_passes == 0 {
            return Err(Error::InvalidHyper { name: "max_passes", rule: "at least 1", value: 0.0 });
        }
        Ok(self)
    }
}

/// The plane of (nearly) largest margin, and two bounds between which the largest margin lies.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Margin<const D: usize, E = f64> {
    /// The separating plane, with $\lVert(w, b)\rVert = 1$.
    pub plane: Perceptron<D, E>,
    /// The margin that `plane` has: a lower bound of the largest one.
    pub lower: f64,
    /// The length of a point in the convex hull of all $y_i\,(x_i, 1)$: an upper bound of the largest margin.
    pub upper: f64,
    /// $R = \max_i \lVert(x_i, 1)\rVert$.
    pub radius: f64,
    /// Passes over the data that were made.
    pub passes: usize,
}

impl<const D: usize, E> Margin<D, E> {
    /// Novikoff's bound on the mistakes with the margin of `plane`, $(R/\gamma)^2$.
    pub fn novikoff_bound(&self) -> f64 {
        novikoff_bound(self.radius, self.lower)
    }
}

/// Novikoff's theorem: when some plane through the origin separates the $(x_i, 1)$ with margin $\gamma$ and none
/// of them is longer than $R$, Rosenblatt's rule makes at most $(R/\gamma)^2$ mistakes, in whatever order and
/// however often the examples come. Infinite for a margin of 0.
///
/// ```
/// assert_eq!(optim::perceptron::novikoff_bound(3.0, 0.5), 36.0);
/// ```
pub fn novikoff_bound(radius: f64, margin: f64) -> f64 {
    (radius / margin).powi(2)
}

/// The largest margin of a plane that separates the two classes, the bias being the weight of a constant
/// feature 1 (the same convention as [`Perceptron`] and [`novikoff_bound`]).
///
/// With $z_i = y_i\,(x_i, 1)$ the problem and its dual are
///
/// $$ \min_w \tfrac12\lVert w\rVert^2 \;\text{s.t.}\; w\cdot z_i \ge 1 \qquad\Longleftrightarrow\qquad
///    \max_{\alpha \ge 0}\; \sum_i \alpha_i - \tfrac12 \Bigl\lVert \sum_i \alpha_i z_i \Bigr\rVert^2 . $$
///
/// The dual is climbed one coordinate at a time, each step exact and projected on $\alpha_i \ge 0$:
/// $\alpha_i \leftarrow \max\bigl(0,\; \alpha_i + (1 - w\cdot z_i)/\lVert z_i\rVert^2\bigr)$ with
/// $w = \sum_i \alpha_i z_i$ kept up to date. Any $\alpha$ gives both bounds, whose distance is the duality gap:
///
/// $$ \frac{\min_i w\cdot z_i}{\lVert w\rVert} \;\le\; \gamma \;\le\; \frac{\lVert w\rVert}{\sum_i \alpha_i} . $$
///
/// # Complexity
/// `O(n D)` for a pass; the gap shrinks linearly, the slower the smaller the margin. Between two passes the
/// examples with $\alpha_i > 0$ are swept ten times more.
///
/// # Errors
/// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelNotSign`], [`Error::FeatureNotFinite`],
/// [`Error::InvalidHyper`]; [`Error::NonFinite`] when the square of an input overflows; [`Error::NotSeparable`] when
/// `max_passes` gave no plane with a margin, which is the case for overlapping classes, and [`Error::GapTooWide`]
/// when they gave one, but not its best margin to the accuracy asked for.
///
/// # Examples
/// ```
/// use nalgebra::vector;
/// use optim::perceptron::{MarginConfig, hard_margin};
///
/// // In one dimension: x = 1 against x = -1. The best plane is w = 1, b = 0, at distance 1 from both.
/// let margin = hard_margin(&[vector![1.0], vector![-1.0]], &[1, -1], MarginConfig::default())?;
/// assert!((margin.lower - 1.0).abs() < 1e-6 && (margin.upper - 1.0).abs() < 1e-6);
/// # Ok::<(), optim::Error>(())
/// ```
pub fn hard_margin<const D: usize, E: RealField + Copy>(
    x: &[SVector<E, D>],
    labels: &[i8],
    config: MarginConfig,
) -> Result<Margin<D, E>, Error> {
    check_binary("hard_margin", x, labels)?;
    let config = config.check()?;
    let y: Vec<E> = labels.iter().map(|&label| sign(label)).collect();
    let norm_squared: Vec<E> = x.iter().map(|x| x.norm_squared() + E::one()).collect();
    let radius = norm_squared.iter().fold(E::zero(), |largest, &norm| largest.max(norm)).sqrt();
    if !radius.is_finite() {
        return Err(Error::NonFinite { path: "radius", step: 0, value: to_f64(radius) });
    }
    let mut alpha = vec![E::zero(); x.len()];
    let mut w = Perceptron::zeros();
    let (mut lower, mut upper) = (0.0, f64::INFINITY);
    for passes in 1..=config.max_passes {
        for sweep in 0..=SUPPORT_SWEEPS {
            for i in 0..x.len() {
                if sweep > 0 && alpha[i] == E::zero() {
                    continue;
                }
                let step = (E::one() - y[i] * w.score(&x[i])) / norm_squared[i];
                let new = (alpha[i] + step).max(E::zero());
                let change = (new - alpha[i]) * y[i];
                if change != E::zero() {
                    w.weights.axpy(change, &x[i], E::one());
                    w.bias += change;
                    alpha[i] = new;
                }
            }
        }
        let length = (w.weights.norm_squared() + w.bias * w.bias).sqrt();
        let infinity = convert(f64::INFINITY);
        let nearest = x.iter().zip(&y).fold(infinity, |least: E, (x, &y)| least.min(y * w.score(x)));
        lower = to_f64(nearest / length);
        upper = to_f64(length / alpha.iter().fold(E::zero(), |sum, &a| sum + a));
        if lower > 0.0 && upper - lower <= config.tolerance_rel * upper {
            let plane = Perceptron { weights: w.weights / length, bias: w.bias / length };
            return Ok(Margin { plane, lower, upper, radius: to_f64(radius), passes });
        }
    }
    if lower > 0.0 {
        return Err(Error::GapTooWide { passes: config.max_passes, lower, upper });
    }
    let wrong = x.iter().zip(labels).filter(|(x, label)| w.predict(x) != **label).count();
    Err(Error::NotSeparable { passes: config.max_passes, wrong })
}
