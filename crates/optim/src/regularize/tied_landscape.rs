//! All critical points of a small tied network with dropout.
//!
//! $$ L(U) = \lVert M - U U^\top \rVert_F^2 + \lambda \sum_{i=1}^r \lVert u_i \rVert^4 , \qquad
//!    \nabla L = -4 (M - U U^\top) U + 4 \lambda\, U \operatorname{diag}(\lVert u_i \rVert^2) $$
//!
//! is what dropout makes of a linear auto-encoder with tied weights ([`tied_optimum`]
//! has its minimum). Without dropout every rotation of the units is as good, and no critical point stands alone; with it
//! there are finitely many, and for $d r \le 4$ weights they can all be found.
//!
//! The paper proves that for $\lambda < \frac{r \sigma_r}{\sum_{i \le r} \sigma_i - r \sigma_r}$, where the best product has
//! full rank, all local minima are global and every saddle has a direction of descent. That all points have been found can
//! be checked: since $L$ grows in all directions, $\sum (-1)^{\text{index}} = 1$ over them, if none is degenerate.
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $M$ | `m` | `(d, d)`, symmetric without negative eigenvalues |
//! | $U$ | `u` | `(d, r)`; unit $i$ is column $i$ |
//!
//! **Method**: Newton's method on $\nabla L = 0$ from every point of a grid on the box that holds all solutions, its axes
//! along the eigenvectors of $M$; what is found stands for its mirror images too, since turning a row's or a unit's sign
//! and exchanging units changes nothing there. **Complexity**: $g^{dr}$ runs for $g$ grid points on an axis.
//! **Paper**: Mianjy, Arora & Vidal (2018), On the implicit bias of dropout, arXiv 1806.09777.
//! **Deviation**: the paper draws the surface for one input and two units; here its points are computed.
use nalgebra::DMatrix;

use super::dropout_theory::tied_optimum;
use crate::Error;
use crate::landscape::critical::{Critical, classify};
use crate::second_order::check;

/// Most weights of a network whose points are searched for.
pub const MAX_WEIGHTS: usize = 4;

/// Where $\nabla L = 0$.
#[derive(Clone, Debug)]
pub struct Point {
    /// $U$.
    pub u: DMatrix<f64>,
    /// $L(U)$.
    pub value: f64,
    /// Minimum, maximum, saddle, or not decided by second derivatives.
    pub kind: Critical,
    /// Smallest eigenvalue of the Hessian: below 0 there is a way down.
    pub least_curvature: f64,
}

/// $L(U)$.
pub fn loss(m: &DMatrix<f64>, u: &DMatrix<f64>, lambda: f64) -> f64 {
    let fourth: f64 = u.column_iter().map(|unit| unit.norm_squared().powi(2)).sum();
    (m - u * u.transpose()).norm_squared() + lambda * fourth
}

/// $\nabla L$, `(d, r)`.
pub fn gradient(m: &DMatrix<f64>, u: &DMatrix<f64>, lambda: f64) -> DMatrix<f64> {
    let mut gradient = (m - u * u.transpose()) * u * -4.0;
    for (i, mut column) in gradient.column_iter_mut().enumerate() {
        let unit = u.column(i);
        column += unit * (4.0 * lambda * unit.norm_squared());
    }
    gradient
}

/// $\nabla^2 L$, `(dr, dr)`, entries of $U$ column by column.
pub fn hessian(m: &DMatrix<f64>, u: &DMatrix<f64>, lambda: f64) -> DMatrix<f64> {
    let (d, r) = u.shape();
    let rest = m - u * u.transpose();
    let mut hessian = DMatrix::zeros(d * r, d * r);
    for k in 0..d * r {
        let mut v = DMatrix::zeros(d, r);
        v[k] = 1.0;
        let mut image = &rest * &v * -4.0 + (&v * u.transpose() + u * v.transpose()) * u * 4.0;
        for (i, mut column) in image.column_iter_mut().enumerate() {
            let (unit, direction) = (u.column(i), v.column(i));
            column += direction * (4.0 * lambda * unit.norm_squared());
            column += unit * (8.0 * lambda * unit.dot(&direction));
        }
        hessian.column_mut(k).copy_from_slice(image.as_slice());
    }
    hessian
}

/// $\frac{r \sigma_r}{\sum_{i \le r} \sigma_i - r \sigma_r}$ of the eigenvalues of `m`: the paper's bound on $\lambda$, infinite
/// when the first $r$ are equal, and 0 when $M$ has a rank below $r$.
///
/// # Errors
/// As [`tied_optimum`].
pub fn benign_below(m: &DMatrix<f64>, units: usize) -> Result<f64, Error> {
    let spectrum = tied_optimum(m, 0.0, units)?.singular_values;
    let r = units as f64;
    let last = spectrum.get(units - 1).copied().unwrap_or(0.0);
    let excess = spectrum.iter().take(units).sum::<f64>() - r * last;
    Ok(if last <= 0.0 {
        0.0
    } else if excess <= 1e-12 * spectrum[0] {
        f64::INFINITY
    } else {
        r * last / excess
    })
}

// ANCHOR: critical_points
/// The critical points of $L$ for `units` units, in order of their values; `grid` starts on each axis.
///
/// Every one of them lies in the box: $\langle \nabla L, U \rangle = 0$ means
/// $\lVert U U^\top \rVert_F^2 \le \operatorname{tr} U^\top M U$, so $\lVert U \rVert_F^2 \le \sigma_1 \min(d, r)$.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::landscape::critical::Critical;
/// use optim::regularize::tied_landscape::critical_points;
///
/// let points = critical_points(&dmatrix![1.0], 0.6, 2, 9)?; // one number, two units
/// let minima: Vec<_> = points.iter().filter(|point| point.kind == Critical::Minimum).collect();
/// assert_eq!((points.len(), minima.len()), (9, 4)); // both units as large, any signs
/// assert!((minima[0].u[0].abs() - minima[0].u[1].abs()).abs() < 1e-12);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// As [`tied_optimum`]; [`Error::InvalidHyper`] for `lambda` 0 (no point would stand alone), more than [`MAX_WEIGHTS`]
/// weights, or a grid of fewer than 2 points.
pub fn critical_points(
    m: &DMatrix<f64>,
    lambda: f64,
    units: usize,
    grid: usize,
) -> Result<Vec<Point>, Error> {
    tied_optimum(m, lambda, units)?; // refuses what is no problem of this kind
    check("lambda", "above 0", lambda, lambda > 0.0)?;
    check("grid", "at least 2, usually an odd number from 5 on", grid as f64, grid >= 2)?;
    let weights = m.nrows() * units;
    check("weights", "at least 1 and at most 4", weights as f64, (1..=MAX_WEIGHTS).contains(&weights))?;
    let eigen = m.clone().symmetric_eigen();
    let straight = DMatrix::from_diagonal(&eigen.eigenvalues);
    let largest = eigen.eigenvalues.max().max(f64::MIN_POSITIVE);
    let radius = (largest * m.nrows().min(units) as f64).sqrt();
    let mut points: Vec<Point> = Vec::new();
    for start in 0..grid.pow(weights as u32) {
        let place = |k: usize| start / grid.pow(k as u32) % grid;
        let at = |k: usize| radius * (2.0 * place(k) as f64 / (grid - 1) as f64 - 1.0);
        let u = DMatrix::from_iterator(m.nrows(), units, (0..weights).map(at));
        let Some(found) = newton(&straight, u, lambda, radius, largest) else { continue };
        if points.iter().any(|known| (&known.u - &found).amax() <= 1e-6 * radius) {
            continue;
        }
        let curvature = hessian(&straight, &found, lambda);
        let (value, kind) = (loss(&straight, &found, lambda), classify(&curvature, 1e-7 * largest)?);
        let least_curvature = curvature.symmetric_eigenvalues().min();
        for u in images(&found) {
            if points.iter().all(|known| (&known.u - &u).amax() > 1e-6 * radius) {
                points.push(Point { u, value, kind, least_curvature });
            }
        }
    }
    points.iter_mut().for_each(|point| point.u = &eigen.eigenvectors * &point.u);
    points.sort_by(|a, b| a.value.total_cmp(&b.value));
    Ok(points)
}
// ANCHOR_END: critical_points

/// `u` with all signs of rows and of units, and all orders of units.
fn images(u: &DMatrix<f64>) -> Vec<DMatrix<f64>> {
    let (d, r) = u.shape();
    let mut orders = vec![Vec::new()];
    for _ in 0..r {
        let longer = orders.iter().flat_map(|order: &Vec<usize>| {
            (0..r).filter(|unit| !order.contains(unit)).map(|unit| [&order[..], &[unit]].concat())
        });
        orders = longer.collect();
    }
    let sign = |signs: usize, k: usize| if signs >> k & 1 == 1 { -1.0 } else { 1.0 };
    let all = (0..1_usize << (d + r)).flat_map(|signs| orders.iter().map(move |order| (signs, order)));
    all.map(|(signs, order)| {
        DMatrix::from_fn(d, r, |i, j| sign(signs, i) * sign(signs, d + j) * u[(i, order[j])])
    })
    .collect()
}

/// Steps of one run; from the grid a few dozen are usual.
const MAX_STEPS: usize = 200;

/// A root of the gradient near `u`, or none: a step along a flat direction is left out, a long one is cut.
fn newton(
    m: &DMatrix<f64>,
    mut u: DMatrix<f64>,
    lambda: f64,
    radius: f64,
    largest: f64,
) -> Option<DMatrix<f64>> {
    for _ in 0..MAX_STEPS {
        let slope = gradient(m, &u, lambda);
        if slope.amax() <= 1e-13 * largest * radius {
            return Some(u);
        }
        let eigen = hessian(m, &u, lambda).symmetric_eigen();
        let right = DMatrix::from_column_slice(slope.len(), 1, slope.as_slice());
        let mut along = eigen.eigenvectors.transpose() * right;
        for (along, curvature) in along.iter_mut().zip(eigen.eigenvalues.iter()) {
            *along = if curvature.abs() > 1e-10 * largest { *along / curvature } else { 0.0 };
        }
        let step = &eigen.eigenvectors * along;
        let cut = (0.5 * radius / step.norm()).min(1.0);
        u.iter_mut().zip(step.iter()).for_each(|(u, step)| *u -= cut * step);
    }
    None
}
