//! What dropout does to a linear network, in closed form.
//!
//! A network $x \mapsto U V^\top x$ is trained on $y = M x$; each of its $r$ hidden units is kept with probability
//! $\theta$ and then divided by it. With $\lambda = (1 - \theta)/\theta$ and inputs of covariance $C$,
//!
//! $$ E_b\, E_x \bigl\lVert M x - \tfrac1\theta U\,\mathrm{diag}(b)\,V^\top x \bigr\rVert^2
//!    = E_x \lVert (M - U V^\top) x \rVert^2 + \lambda \sum_{i=1}^r \lVert u_i \rVert^2\; v_i^\top C v_i $$
//!
//! For $C = I$ the minimisers have equal products $\lVert u_i\rVert \lVert v_i\rVert$, and the smallest value is that of
//! $\lVert M - X \rVert_F^2 + \frac\lambda r \lVert X \rVert_*^2$ over matrices of rank at most $r$:
//!
//! $$ X = S_\tau(M), \quad \tau = \frac{\lambda \rho\, \kappa_\rho}{r + \lambda \rho}, \quad
//!    \kappa_j = \frac1j \sum_{i \le j} \sigma_i, \quad
//!    \rho = \max\Bigl\{ j \le r : \sigma_j > \frac{\lambda j\, \kappa_j}{r + \lambda j} \Bigr\} $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $M$ | `m` | `(outputs, inputs)` |
//! | $U$, $V$ | `u`, `v` | `(outputs, r)`, `(inputs, r)`; unit $i$ is column $i$ of both |
//! | $C$ | `covariance` | `(inputs, inputs)`; `None` for the identity |
//! | $\theta$ | `keep` | (0, 1\] |
//! | $\sigma_j$, $S_\tau$ | | singular values of $M$, and $M$ with each reduced by $\tau$, not below 0 |
//!
//! **Use it** to know what dropout is worth without drawing a mask. **Not** for networks with a non-linearity: there the
//! penalty depends on the data in more than their covariance.
//! **Paper**: Mianjy, Arora & Vidal (2018), On the implicit bias of dropout, arXiv 1806.09777.
//! **Deviations**: `keep` is the probability to keep a unit, as in the paper; the crate's dropout layers take the share
//! that is dropped.
//! **Complexity**: the optimum and [`equalize`] one singular value decomposition; the enumeration $2^r$ products.
use crate::linalg::Svd;
use nalgebra::DMatrix;

use crate::Error;

/// Largest number of hidden units whose masks are enumerated.
pub const MAX_ENUMERATED: usize = 16;

fn check_keep(keep: f64) -> Result<(), Error> {
    if keep > 0.0 && keep <= 1.0 {
        return Ok(());
    }
    Err(Error::InvalidHyper { name: "keep", rule: "in (0, 1], the probability to keep a unit", value: keep })
}

/// $\lambda = (1 - \theta)/\theta$.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `keep` lies in (0, 1\].
pub fn strength(keep: f64) -> Result<f64, Error> {
    check_keep(keep)?;
    Ok((1.0 - keep) / keep)
}

/// $\operatorname{tr} A C A^\top$, the mean square of $A x$.
fn mean_square(a: &DMatrix<f64>, covariance: Option<&DMatrix<f64>>) -> f64 {
    match covariance {
        None => a.norm_squared(),
        Some(c) => (a * c).dot(a),
    }
}

/// $E_x \lVert (M - U V^\top) x\rVert^2$: the loss without dropout.
pub fn plain_loss(
    m: &DMatrix<f64>,
    u: &DMatrix<f64>,
    v: &DMatrix<f64>,
    covariance: Option<&DMatrix<f64>>,
) -> f64 {
    mean_square(&(m - u * v.transpose()), covariance)
}

// ANCHOR: regulariser
/// $\lambda \sum_i \lVert u_i\rVert^2\, v_i^\top C v_i$: what dropout adds to the loss.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `keep` lies in (0, 1\].
pub fn regularizer(
    u: &DMatrix<f64>,
    v: &DMatrix<f64>,
    keep: f64,
    covariance: Option<&DMatrix<f64>>,
) -> Result<f64, Error> {
    let unit = |(u, v): (nalgebra::DVectorView<'_, f64>, nalgebra::DVectorView<'_, f64>)| {
        let spread = covariance.map_or_else(|| v.norm_squared(), |c| (c * v).dot(&v));
        u.norm_squared() * spread
    };
    Ok(strength(keep)? * u.column_iter().zip(v.column_iter()).map(unit).sum::<f64>())
}
// ANCHOR_END: regulariser

/// The same loss with dropout, by going through all $2^r$ masks: the witness for the closed form.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `keep` lies in (0, 1\] and there are at most [`MAX_ENUMERATED`] units.
pub fn expected_loss_enumerated(
    m: &DMatrix<f64>,
    u: &DMatrix<f64>,
    v: &DMatrix<f64>,
    keep: f64,
    covariance: Option<&DMatrix<f64>>,
) -> Result<f64, Error> {
    check_keep(keep)?;
    let units = u.ncols();
    if units > MAX_ENUMERATED {
        let rule = "at most 16: there are 2^r masks; use plain_loss + regularizer";
        return Err(Error::InvalidHyper { name: "hidden units", rule, value: units as f64 });
    }
    let mut sum = 0.0;
    for mask in 0_u32..1 << units {
        let kept = mask.count_ones() as i32;
        let probability = keep.powi(kept) * (1.0 - keep).powi(units as i32 - kept);
        let masked = DMatrix::from_fn(u.nrows(), units, |row, unit| {
            if mask >> unit & 1 == 1 { u[(row, unit)] / keep } else { 0.0 }
        });
        sum += probability * mean_square(&(m - masked * v.transpose()), covariance);
    }
    Ok(sum)
}

/// The best that a linear network with dropout can do; see [`optimum`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Optimum {
    /// $\rho$: rank of the best product.
    pub rank: usize,
    /// $\tau$: what is subtracted from the singular values of $M$.
    pub threshold: f64,
    /// Singular values of the best product, largest first; `rank` of them are above 0.
    pub singular_values: Vec<f64>,
    /// The best product $X = U V^\top$.
    pub product: DMatrix<f64>,
    /// Loss plus penalty there.
    pub value: f64,
    /// $\lVert u_i\rVert \lVert v_i\rVert$, the same for all units.
    pub unit_product: f64,
}

// ANCHOR: optimum
/// Minimiser and minimum of $\lVert M - U V^\top\rVert_F^2 + \lambda \sum_i \lVert u_i\rVert^2 \lVert v_i\rVert^2$ over
/// networks with `units` hidden units, for whitened inputs.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `lambda` is finite and not negative and there is a unit.
pub fn optimum(m: &DMatrix<f64>, lambda: f64, units: usize) -> Result<Optimum, Error> {
    check_problem(lambda, units)?;
    let svd = Svd::new(m);
    let (rank, threshold) = cut(svd.sigma.as_slice(), lambda, units);
    let shrunk = |j: usize| if j < rank { svd.sigma[j] - threshold } else { 0.0 };
    let singular_values: Vec<f64> = (0..svd.sigma.len()).map(shrunk).collect();
    let middle = DMatrix::from_diagonal(&nalgebra::DVector::from_vec(singular_values.clone()));
    let product = &svd.u * middle * svd.v.transpose();
    let (r, nuclear) = (units as f64, singular_values.iter().sum::<f64>());
    let value = (m - &product).norm_squared() + lambda / r * nuclear.powi(2);
    Ok(Optimum { rank, threshold, singular_values, product, value, unit_product: nuclear / r })
}

/// $\rho$ and $\tau$ for singular values in descending order.
fn cut(sigma: &[f64], lambda: f64, units: usize) -> (usize, f64) {
    let (r, mut best, mut sum) = (units as f64, (0, 0.0), 0.0);
    for (index, value) in sigma.iter().take(units).enumerate() {
        let j = (index + 1) as f64;
        sum += value; // j kappa_j
        let threshold = lambda * sum / (r + lambda * j);
        if *value > threshold {
            best = (index + 1, threshold);
        }
    }
    best
}
// ANCHOR_END: optimum

/// Minimum of $\lVert M - U U^\top\rVert_F^2 + \lambda \sum_i \lVert u_i\rVert^4$, an auto-encoder with tied weights, for
/// a symmetric `m` without negative eigenvalues: the same rank, threshold and value with eigenvalues in place of
/// singular values.
///
/// # Errors
/// As [`optimum`]; [`Error::NotPositive`] unless `m` is symmetric and has no eigenvalue below 0.
pub fn tied_optimum(m: &DMatrix<f64>, lambda: f64, units: usize) -> Result<Optimum, Error> {
    check_problem(lambda, units)?;
    let scale = m.amax().max(f64::MIN_POSITIVE);
    if !m.is_square() || (m - m.transpose()).amax() > 1e-9 * scale {
        return Err(Error::NotPositive { what: "the matrix of a tied network", reason: "not symmetric" });
    }
    if m.clone().symmetric_eigenvalues().min() < -1e-9 * scale {
        return Err(Error::NotPositive {
            what: "the matrix of a tied network",
            reason: "an eigenvalue is negative",
        });
    }
    optimum(m, lambda, units)
}

fn check_problem(lambda: f64, units: usize) -> Result<(), Error> {
    if !(lambda.is_finite() && lambda >= 0.0) {
        return Err(Error::InvalidHyper { name: "lambda", rule: "finite and not negative", value: lambda });
    }
    if units == 0 {
        return Err(Error::InvalidHyper { name: "hidden units", rule: "at least 1", value: 0.0 });
    }
    Ok(())
}

/// Decomposition of $U V^\top$ by way of the triangular factors, which are small where the product is not.
fn product_svd(u: &DMatrix<f64>, v: &DMatrix<f64>) -> Svd {
    let ((u, u_triangle), (v, v_triangle)) = (u.clone().qr().unpack(), v.clone().qr().unpack());
    let core = Svd::new(&(u_triangle * v_triangle.transpose()));
    Svd { u: u * core.u, sigma: core.sigma, v: v * core.v }
}

// ANCHOR: equalize
/// A factorisation with the same product and as many units in which all $\lVert u_i\rVert\lVert v_i\rVert$ are equal:
/// the one with the least penalty.
///
/// Split the singular values evenly, $U_0 = P \Sigma^{1/2}$ and $V_0 = Q \Sigma^{1/2}$; then $U_0^\top U_0 = V_0^\top
/// V_0 = \Sigma$, and a rotation $R$ of the units gives all of them the product $(R^\top \Sigma R)_{ii}$. One rotation
/// in the plane of a unit below the mean and one above it brings one of them to the mean, so $r - 1$ are enough.
pub fn equalize(u: &DMatrix<f64>, v: &DMatrix<f64>) -> (DMatrix<f64>, DMatrix<f64>) {
    let units = u.ncols();
    let svd = product_svd(u, v);
    let half = |side: &DMatrix<f64>| {
        let entry =
            |row, unit| if unit < svd.sigma.len() { side[(row, unit)] * svd.sigma[unit].sqrt() } else { 0.0 };
        DMatrix::from_fn(side.nrows(), units, entry)
    };
    let (mut u, mut v) = (half(&svd.u), half(&svd.v));
    let mean = u.norm_squared() / units as f64;
    let mut open: Vec<usize> = (0..units).collect();
    while open.len() > 1 {
        let square = |unit: &usize| u.column(*unit).norm_squared();
        open.sort_by(|a, b| square(a).total_cmp(&square(b)));
        let (low, high) = (open[0], open[open.len() - 1]);
        let (a, d) = (square(&low) - mean, square(&high) - mean);
        let b = u.column(low).dot(&u.column(high));
        // (a + 2 b t + d t^2) / (1 + t^2) = 0 with t = tan of the angle; a <= 0 <= d.
        let t = if d > 0.0 { (-b + (b * b - a * d).max(0.0).sqrt()) / d } else { 0.0 };
        let (cos, sin) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
        for side in [&mut u, &mut v] {
            let (first, second) = (side.column(low).clone_owned(), side.column(high).clone_owned());
            side.set_column(low, &(&first * cos + &second * sin));
            side.set_column(high, &(second * cos - first * sin));
        }
        open.remove(0);
    }
    (u, v)
}
// ANCHOR_END: equalize

/// $\lVert u_i\rVert \lVert v_i\rVert$ of each unit.
pub fn unit_products(u: &DMatrix<f64>, v: &DMatrix<f64>) -> Vec<f64> {
    u.column_iter().zip(v.column_iter()).map(|(u, v)| u.norm() * v.norm()).collect()
}
