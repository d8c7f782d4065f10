//! Eigenvalues of a symmetric matrix of which only products with vectors are known: a Hessian, say.
//!
//! Lanczos' method builds an orthonormal basis $q_1, q_2, \dots$ of the powers $v, Hv, H^2v, \dots$, in which $H$ has three
//! diagonals:
//!
//! $$ \beta_{k} q_{k+1} = H q_k - \alpha_k q_k - \beta_{k-1} q_{k-1}, \qquad \alpha_k = q_k^\top H q_k $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $\theta_i$ | [`Spectrum::values`] | eigenvalues of the three diagonals |
//! | $s_{1i}^2$ | [`Spectrum::weights`] | share of the start in the direction of $\theta_i$; they sum to 1 |
//! | $\beta_k \lvert s_{ki}\rvert$ | [`Spectrum::residuals`] | some eigenvalue of $H$ is as near to $\theta_i$ as this |
//!
//! The ends of the spectrum come first, after a few dozen products for a network of any size. The weighted values are a
//! Gaussian quadrature: $v^\top f(H)v \approx |v|^2 \sum_i s_{1i}^2 f(\theta_i)$, exact for polynomials of degree below twice
//! the steps; averaged over random $v$ they estimate the density of the spectrum.
//!
//! **Use it** for the sharpness of a minimum, the condition of a problem, the number of negative directions. An eigenvalue
//! that occurs several times is found once. **Power iteration** finds the one largest in absolute value, with its vector.
//!
//! **Papers**: Lanczos (1950); Golub & Meurant (2010), Matrices, moments and quadrature. **Golden**: the spectrum of the
//! Hessian of a network in JAX. **Deviation**: every new vector is made orthogonal to all before it, twice; without that
//! rounding brings eigenvalues back. Time: `steps` products and O(steps² n); memory O(steps n).
use nalgebra::{DMatrix, DVector};

use crate::Error;
use crate::second_order::check;

/// Below this share of the largest length so far a new direction is rounding.
const NOTHING_NEW: f64 = 1e-12;

/// What [`lanczos`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Estimates of eigenvalues, the smallest first.
    pub values: Vec<f64>,
    /// The share of the start that lies in the direction of each.
    pub weights: Vec<f64>,
    /// How far each can be from an eigenvalue.
    pub residuals: Vec<f64>,
}

/// A product of the right length with finite numbers.
fn product_of(
    product: &mut impl FnMut(&[f64]) -> Result<Vec<f64>, Error>,
    v: &DVector<f64>,
) -> Result<DVector<f64>, Error> {
    let image = product(v.as_slice())?;
    if image.len() != v.len() {
        return Err(Error::Dimension { what: "numbers in a product", got: image.len(), want: v.len() });
    }
    match image.iter().all(|x| x.is_finite()) {
        true => Ok(DVector::from_vec(image)),
        false => Err(Error::NotFiniteMatrix { what: "a product with the matrix" }),
    }
}

/// The start with length 1.
fn unit(start: &[f64]) -> Result<DVector<f64>, Error> {
    let start = DVector::from_column_slice(start);
    let norm = start.norm();
    check("start", "finite and not zero", norm, norm > 0.0 && norm.is_finite())?;
    Ok(start / norm)
}

/// `steps` steps of Lanczos' method from `start`, fewer when the powers end before; `product(v)` is $Hv$.
///
/// ```
/// use optim::autodiff::spectrum::lanczos;
/// // The second difference on five points: eigenvalues 2 − 2 cos(kπ/6).
/// let product = |v: &[f64]| {
///     let at = |i: isize| usize::try_from(i).ok().and_then(|i| v.get(i)).copied().unwrap_or(0.0);
///     Ok((0..5).map(|i| 2.0 * at(i) - at(i - 1) - at(i + 1)).collect())
/// };
/// let found = lanczos(product, &[1.0, 0.3, -0.2, 0.5, 0.9], 5)?;
/// let largest = 2.0 - 2.0 * (5.0 * std::f64::consts::FRAC_PI_6).cos();
/// assert!((found.values[4] - largest).abs() < 1e-12);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] for no steps or a start that is zero or not finite, [`Error::Dimension`] and
/// [`Error::NotFiniteMatrix`] for a product that is none, and those of `product`.
// ANCHOR: lanczos
pub fn lanczos(
    mut product: impl FnMut(&[f64]) -> Result<Vec<f64>, Error>,
    start: &[f64],
    steps: usize,
) -> Result<Spectrum, Error> {
    check("steps", "at least 1", steps as f64, steps > 0)?;
    let mut basis = vec![unit(start)?];
    let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let left = loop {
        let last = &basis[basis.len() - 1];
        let mut next = product_of(&mut product, last)?;
        let scale = next.norm();
        diagonal.push(last.dot(&next));
        for _ in 0..2 {
            for q in &basis {
                next.axpy(-q.dot(&next), q, 1.0);
            }
        }
        let length = next.norm();
        if basis.len() == steps.min(start.len()) || length <= NOTHING_NEW * scale {
            break length;
        }
        beside.push(length);
        basis.push(next / length);
    };
    let k = diagonal.len();
    let tridiagonal = DMatrix::from_fn(k, k, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    });
    let eigen = tridiagonal.symmetric_eigen();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&i, &j| eigen.eigenvalues[i].total_cmp(&eigen.eigenvalues[j]));
    let of = |f: &dyn Fn(usize) -> f64| order.iter().map(|&i| f(i)).collect();
    Ok(Spectrum {
        values: of(&|i| eigen.eigenvalues[i]),
        weights: of(&|i| eigen.eigenvectors[(0, i)].powi(2)),
        residuals: of(&|i| left * eigen.eigenvectors[(k - 1, i)].abs()),
    })
}
// ANCHOR_END: lanczos

/// The eigenvalue that is largest in absolute value, with its vector of length 1, by repeated products from `start`, until
/// $|Hv - \lambda v| \le$ `tolerance` · $|\lambda|$.
///
/// # Errors
/// [`Error::NotConverged`] after `max_products`, as when the two largest are equal but for their sign, and those of
/// [`lanczos`].
pub fn power_iteration(
    mut product: impl FnMut(&[f64]) -> Result<Vec<f64>, Error>,
    start: &[f64],
    tolerance: f64,
    max_products: usize,
) -> Result<(f64, Vec<f64>), Error> {
    check("tolerance", "above 0", tolerance, tolerance > 0.0)?;
    let mut v = unit(start)?;
    let mut residual = f64::INFINITY;
    for _ in 0..max_products {
        let image = product_of(&mut product, &v)?;
        let value = v.dot(&image);
        residual = (&image - &v * value).norm();
        if residual <= tolerance * value.abs() {
            return Ok((value, v.as_slice().to_vec()));
        }
        v = unit(image.as_slice())?;
    }
    Err(Error::NotConverged { what: "power iteration", passes: max_products, residual, tolerance })
}
