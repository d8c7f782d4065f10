//! Medians and other percentiles, geometric means, and slopes on logarithmic axes.

/// The value below which the share `share` of `values` lies, between neighbours by linear interpolation (type 7 of
/// Hyndman and Fan 1996, the default of R and NumPy). NaN for no values.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let low = (at.floor() as usize).min(last);
    let high = (low + 1).min(last);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// exp of the mean logarithm; NaN for no values.
pub(crate) fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|x| x.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// The exponent p of the best y = c xᵖ: the slope of the least-squares line through (ln x, ln y).
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let (x, y) = logs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (over, under) =
        logs.iter().fold((0.0, 0.0), |(a, b), (u, v)| (a + (u - x) * (v - y), b + (u - x).powi(2)));
    over / under
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_neighbours() {
        let values = [40.0, 10.0, 30.0, 20.0];
        assert_eq!(percentile(&values, 0.0), 10.0);
        assert_eq!(median(&values), 25.0);
        assert_eq!(percentile(&values, 0.9), 37.0);
        assert_eq!(percentile(&values, 1.0), 40.0);
        assert_eq!(percentile(&[7.0], 0.1), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_geometric_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean(&[4.0, 0.25]) - 1.0).abs() < 1e-15);
        assert!((geometric_mean(&[1.0, 10.0, 100.0]) - 10.0).abs() < 1e-13);
    }

    #[test]
    fn slopes_are_exponents() {
        let points = [1.0, 4.0, 16.0].map(|x: f64| (x, 3.0 * x.powf(1.5)));
        assert!((slope(&points) - 1.5).abs() < 1e-14);
    }
}
