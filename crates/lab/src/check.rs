//! A claim as numbers: what was measured, the bound that it must keep, the baseline beside it.
use serde::{Deserialize, Serialize};

/// Mean and spread of one quantity over independent repetitions, usually seeds.
///
/// # Examples
/// ```
/// let accuracy = lab::Measured::over(&[0.90, 0.91, 0.89]);
/// assert_eq!((accuracy.mean * 100.0).round(), 90.0);
/// assert!((accuracy.sd - 0.01).abs() < 1e-12);
/// assert_eq!(accuracy.n, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Arithmetic mean; NaN for no values, which keeps no bound.
    pub mean: f64,
    /// Sample standard deviation (divisor n − 1); 0 for a single value, which has no spread.
    pub sd: f64,
    /// How many values.
    pub n: usize,
}

impl Measured {
    /// Mean and sample standard deviation of one value per seed, by two passes.
    pub fn over(values: &[f64]) -> Self {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let sd = if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 };
        Self { mean, sd, n }
    }

    /// `value`, such as a baseline, with as many decimals as the spread supports; with five significant digits of the
    /// mean and no closing zeros when there is no spread.
    pub fn rounded(&self, value: f64) -> String {
        let decimals = |scale: f64, digits: f64| (digits - scale.log10().floor()).clamp(0.0, 12.0) as usize;
        if self.sd > 0.0 {
            return format!("{value:.*}", decimals(self.sd, 1.0));
        }
        let text = format!("{value:.*}", decimals(self.mean.abs().max(1e-12), 4.0));
        if !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    }

    /// A quantity that no seed changes, such as a count or a closed form.
    pub fn exact(value: f64) -> Self {
        Self { mean: value, sd: 0.0, n: 1 }
    }
}

impl std::fmt::Display for Measured {
    /// `0.898 ± 0.011 (n = 3)`: two digits of the spread, and as many decimals of the mean.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.rounded(self.mean);
        match (self.sd > 0.0, self.n) {
            (true, n) => write!(f, "{text} ± {} (n = {n})", self.rounded(self.sd)),
            (false, 1) => f.write_str(&text),
            (false, n) => write!(f, "{text} (n = {n})"),
        }
    }
}

/// What the mean of a [`Measured`] must satisfy. NaN satisfies nothing.
///
/// In JSON: `{"at_least": 0.86}`, `{"at_most": 0.1}` or `{"within": [0.4, 0.6]}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// mean ≥ bound.
    AtLeast(f64),
    /// mean ≤ bound.
    AtMost(f64),
    /// low ≤ mean ≤ high.
    Within(f64, f64),
}

impl Bound {
    /// Whether `value` keeps the bound.
    pub fn admits(&self, value: f64) -> bool {
        match *self {
            Self::AtLeast(low) => value >= low,
            Self::AtMost(high) => value <= high,
            Self::Within(low, high) => value >= low && value <= high,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(low) => write!(f, "≥ {low}"),
            Self::AtMost(high) => write!(f, "≤ {high}"),
            Self::Within(low, high) => write!(f, "{low} to {high}"),
        }
    }
}

/// Where a bound comes from. Never from the run that it judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundSource {
    /// An earlier run: mean minus three standard deviations, or a stated margin.
    Pilot,
    /// A number or a theorem of the paper, or a comparison that it measures.
    Paper,
    /// What a paper says without measuring it, or measures otherwise (the reason tells how): the bound is the sign alone.
    Text,
    /// Neither: shown as a guess until a pilot replaces it.
    Guess,
}

impl std::fmt::Display for BoundSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pilot => "pilot",
            Self::Paper => "paper",
            Self::Text => "text",
            Self::Guess => "guess",
        })
    }
}

/// The opponent of a claim: another method, measured on the same split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The method's name.
    pub name: String,
    /// Its value of the measured quantity.
    pub value: f64,
}

/// One falsifiable sentence with the number that decides it.
///
/// # Examples
/// ```
/// use lab::{Bound, BoundSource, Check, Measured};
/// let check = Check::new(
///     "accuracy",
///     "a network with 30 hidden neurons reads at least 86 % of unseen digits",
///     Measured::over(&[0.90, 0.91, 0.89]),
///     Bound::AtLeast(0.86),
///     BoundSource::Pilot,
/// )
/// .baseline("nearest class mean", 0.801);
/// assert!(check.holds());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Short name, unique within the experiment, kebab case.
    pub id: String,
    /// The claim in one sentence.
    pub claim: String,
    /// The quantity that decides.
    pub measured: Measured,
    /// What its mean must satisfy.
    pub bound: Bound,
    /// Where the bound comes from.
    pub bound_source: BoundSource,
    /// The opponent, where there is one.
    pub baseline: Option<Baseline>,
    /// Our best explanation, shown when the claim does not hold.
    pub reason_if_failed: Option<String>,
}

impl Check {
    /// A check without baseline and explanation.
    pub fn new(
        id: impl Into<String>,
        claim: impl Into<String>,
        measured: Measured,
        bound: Bound,
        bound_source: BoundSource,
    ) -> Self {
        let (id, claim) = (id.into(), claim.into());
        Self { id, claim, measured, bound, bound_source, baseline: None, reason_if_failed: None }
    }

    /// Names the opponent and its value.
    #[must_use]
    pub fn baseline(mut self, name: impl Into<String>, value: f64) -> Self {
        self.baseline = Some(Baseline { name: name.into(), value });
        self
    }

    /// What to tell the reader when the claim does not hold.
    #[must_use]
    pub fn reason_if_failed(mut self, reason: impl Into<String>) -> Self {
        self.reason_if_failed = Some(reason.into());
        self
    }

    /// Whether the measured mean keeps the bound.
    pub fn holds(&self) -> bool {
        self.bound.admits(self.measured.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squares 32, divisor 7
        let measured = Measured::over(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(measured.mean, 5.0);
        assert!((measured.sd - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15, "sd {}", measured.sd);
        assert_eq!(Measured::over(&[3.0]), Measured { mean: 3.0, sd: 0.0, n: 1 });
    }

    #[test]
    fn text_has_the_digits_that_the_spread_allows() {
        let text = |mean, sd, n| Measured { mean, sd, n }.to_string();
        assert_eq!(text(0.898_333, 0.011_24, 3), "0.898 ± 0.011 (n = 3)");
        assert_eq!(text(1234.5, 12.0, 5), "1234 ± 12 (n = 5)");
        assert_eq!(text(22.0, 0.0, 1), "22");
        assert_eq!(text(0.25, 0.0, 3), "0.25 (n = 3)");
        assert_eq!(text(1.0 / 3.0, 0.0, 1), "0.33333");
        assert_eq!(text(100.0, 0.0, 1), "100");
        assert_eq!(Measured { mean: 0.88, sd: 0.061, n: 10 }.rounded(0.105_555), "0.106");
    }

    #[test]
    fn no_values_and_nan_keep_no_bound() {
        let nothing = Measured::over(&[]);
        for bound in [Bound::AtLeast(-1e300), Bound::AtMost(1e300), Bound::Within(-1e300, 1e300)] {
            assert!(!bound.admits(nothing.mean), "{bound} admitted the mean of nothing");
        }
    }

    #[test]
    fn bounds_include_their_ends() {
        assert!(Bound::AtLeast(0.5).admits(0.5) && !Bound::AtLeast(0.5).admits(0.4999));
        assert!(Bound::AtMost(0.5).admits(0.5) && !Bound::AtMost(0.5).admits(0.5001));
        let within = Bound::Within(0.4, 0.6);
        assert!(within.admits(0.4) && within.admits(0.6) && !within.admits(0.39) && !within.admits(0.61));
    }

    #[test]
    fn json_form_is_the_documented_one() {
        let json =
            serde_json::to_string(&[Bound::AtLeast(0.86), Bound::AtMost(0.1), Bound::Within(0.4, 0.6)]);
        assert_eq!(json.unwrap(), r#"[{"at_least":0.86},{"at_most":0.1},{"within":[0.4,0.6]}]"#);
    }
}
