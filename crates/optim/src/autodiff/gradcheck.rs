//! Is a gradient the derivative? Central differences, coordinate by coordinate.
//!
//! $(f(x + h e_i) - f(x - h e_i))/2h$ has an error of $h^2|f'''|/6$ from truncation and of about $\epsilon|f|/h$ from
//! rounding; $h = 6\cdot10^{-6}\max(1, |x_i|)$ balances them in f64. Within $10h$ of a kink the comparison means nothing.
use crate::Error;

/// Step of the difference at 1, for f64: the cube root of its precision.
pub const STEP: f64 = 6e-6;

/// The coordinate where analytic and numeric derivative differ most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Its number.
    pub index: usize,
    /// What the gradient says.
    pub analytic: f64,
    /// What the difference says.
    pub numeric: f64,
    /// $|a - n|/\max(1, |a|, |n|)$.
    pub error: f64,
}

/// Compares `gradient` with central differences of `f` at `x` and reports the worst coordinate.
///
/// # Errors
/// [`Error::Empty`] for no coordinates, [`Error::LengthMismatch`] when the gradient has another length.
pub fn gradcheck(f: impl Fn(&[f64]) -> f64, x: &[f64], gradient: &[f64]) -> Result<Report, Error> {
    if x.is_empty() {
        return Err(Error::Empty { what: "gradcheck" });
    }
    if x.len() != gradient.len() {
        return Err(Error::LengthMismatch { examples: x.len(), labels: gradient.len() });
    }
    let mut at = x.to_vec();
    let mut check = |index: usize| {
        let h = STEP * x[index].abs().max(1.0);
        at[index] = x[index] + h;
        let above = f(&at);
        at[index] = x[index] - h;
        let below = f(&at);
        at[index] = x[index];
        let (analytic, numeric) = (gradient[index], (above - below) / (2.0 * h));
        let error = (analytic - numeric).abs() / analytic.abs().max(numeric.abs()).max(1.0);
        Report { index, analytic, numeric, error }
    };
    // NaN is the largest in `total_cmp`: a gradient that is not a number is the worst.
    let reports = (0..x.len()).map(&mut check);
    Ok(reports.max_by(|a, b| a.error.total_cmp(&b.error)).expect("at least one coordinate"))
}
