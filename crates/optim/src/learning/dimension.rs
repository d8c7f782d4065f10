//! The curse of dimensionality, in two numbers.
//!
//! A cube that holds the share $v$ of the unit cube has edges of length $v^{1/d}$: to see a hundredth of the data in ten
//! dimensions a neighbourhood reaches over 63 % of every axis. And the distances from a point to the others all become
//! alike: their *contrast* $(\max - \min)/\min$ tends to 0 (Beyer et al. 1999).
//!
//! **Closed form**: edges; contrast of points on a line.
use crate::Error;
use nalgebra::DMatrix;

/// Edge of the cube in `dimension` dimensions that holds the share `volume` of the unit cube.
///
/// # Errors
/// [`Error::InvalidHyper`] for a share outside of \[0, 1\] or dimension 0.
///
/// # Examples
/// ```
/// let edge = optim::learning::dimension::edge_length(0.01, 10)?;
/// assert!((edge - 0.631).abs() < 1e-3);
/// # Ok::<(), optim::Error>(())
/// ```
pub fn edge_length(volume: f64, dimension: usize) -> Result<f64, Error> {
    super::check_count("dimension", dimension)?;
    if !(0.0..=1.0).contains(&volume) {
        return Err(Error::InvalidHyper { name: "volume", rule: "in [0, 1]", value: volume });
    }
    Ok(volume.powf(1.0 / dimension as f64))
}

/// Mean over all points, `(n, d)`, of $(\max - \min)/\min$ of the distances to the others.
///
/// # Errors
/// [`Error::Empty`] for fewer than two points, [`Error::InvalidHyper`] when two of them are the same.
pub fn contrast(points: &DMatrix<f64>) -> Result<f64, Error> {
    let n = points.nrows();
    if n < 2 {
        return Err(Error::Empty { what: "dimension::contrast, which compares distances," });
    }
    let columns = points.transpose(); // points side by side in memory
    let mut sum = 0.0;
    for i in 0..n {
        let distance = |j: usize| columns.column(i).metric_distance(&columns.column(j));
        let others = (0..n).filter(|&j| j != i).map(distance);
        let (least, most) = others.fold((f64::INFINITY, 0.0_f64), |(a, b), d| (a.min(d), b.max(d)));
        if least == 0.0 {
            let (name, rule) = ("distance", "above 0; two points are the same");
            return Err(Error::InvalidHyper { name, rule, value: least });
        }
        sum += (most - least) / least;
    }
    Ok(sum / n as f64)
}
