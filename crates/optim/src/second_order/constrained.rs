//! Least squares in a ball, twice: through the multiplier of its constraint, and by projected gradient steps.
//!
//! $$ \min_x \tfrac12\lVert A x - b\rVert^2 \text{ subject to } \lVert x\rVert \le c : \qquad
//!    A^\top(A x - b) + \lambda x = 0, \quad \lambda \ge 0, \quad \lambda\,(\lVert x\rVert - c) = 0 $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $\lambda$ | [`Constrained::multiplier`] | how much a little more room, $c$ times itself, would be worth; 0 inside of the ball |
//! | $x(\lambda)$ | | $(A^\top A + \lambda I)^{-1} A^\top b$: ridge regression, shorter for larger $\lambda$ |
//!
//! The three conditions (Karush, Kuhn and Tucker) say that a bound on the length *is* weight decay with the $\lambda$ for
//! which $\lVert x(\lambda)\rVert = c$. Its logarithm is found by bisection, since the length falls with $\lambda$.
//! **Source**: Goodfellow et al. (2016), section 4.5. **Deviation**: the constraint there is $x^\top x \le 1$, whose
//! multiplier is half of ours.
use nalgebra::{DMatrix, DVector};

use super::check;
use crate::Error;
use crate::linalg::Svd;

/// A minimiser within the ball.
#[derive(Clone, Debug, PartialEq)]
pub struct Constrained {
    /// $x$.
    pub x: DVector<f64>,
    /// $\lambda$.
    pub multiplier: f64,
    /// Bisections or steps.
    pub iterations: usize,
}

fn check_all(a: &DMatrix<f64>, b: &DVector<f64>, radius: f64) -> Result<(), Error> {
    if a.is_empty() {
        return Err(Error::Empty { what: "least squares in a ball" });
    }
    if a.nrows() != b.len() {
        return Err(Error::LengthMismatch { examples: a.nrows(), labels: b.len() });
    }
    if !(a.iter().chain(b.iter()).all(|value| value.is_finite())) {
        return Err(Error::NotFiniteMatrix { what: "A or b of least squares in a ball" });
    }
    check("radius", "finite and above 0", radius, radius.is_finite() && radius > 0.0)
}

// ANCHOR: multiplier
/// By bisection on the logarithm of the multiplier. Where the shortest solution without the constraint fits into the ball
/// it is returned, with $\lambda = 0$.
///
/// # Errors
/// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::NotFiniteMatrix`]; [`Error::InvalidHyper`] unless `radius` is
/// finite and above 0.
pub fn by_multiplier(a: &DMatrix<f64>, b: &DVector<f64>, radius: f64) -> Result<Constrained, Error> {
    check_all(a, b, radius)?;
    let svd = Svd::new(a);
    let (sigma, along, smallest) = (&svd.sigma, svd.u.tr_mul(b), svd.noise());
    let at = |multiplier: f64| {
        let share = |(s, along): (&f64, &f64)| {
            if *s > smallest { s * along / (s * s + multiplier) } else { 0.0 }
        };
        DVector::from_iterator(sigma.len(), sigma.iter().zip(along.iter()).map(share))
    };
    let found = |multiplier: f64, iterations| {
        let x = &svd.v * at(multiplier);
        Ok(Constrained { x, multiplier, iterations })
    };
    if at(0.0).norm() <= radius {
        return found(0.0, 0);
    }
    // |x(λ)| ≤ |Aᵀb| / λ, so the multiplier is at most |Aᵀb| / c.
    let (mut low, mut high) = (0.0, sigma.component_mul(&along).norm() / radius);
    let mut iterations = 0;
    while high - low > 2.0 * f64::EPSILON * high && iterations < 2000 {
        let middle = if low > 0.0 { (low * high).sqrt() } else { high * 1e-3 };
        if at(middle).norm() > radius {
            low = middle
        } else {
            high = middle
        }
        iterations += 1;
    }
    found(high, iterations)
}
// ANCHOR_END: multiplier

// ANCHOR: projected
/// By gradient steps of length $1/\sigma_{\max}^2$, each followed by the projection on the ball, until a step moves less
/// than `tolerance` times the radius.
///
/// # Errors
/// As [`by_multiplier`]; [`Error::InvalidHyper`] unless `tolerance` is finite and above 0; [`Error::NotConverged`] after
/// `max_steps`.
pub fn by_projection(
    a: &DMatrix<f64>,
    b: &DVector<f64>,
    radius: f64,
    tolerance: f64,
    max_steps: usize,
) -> Result<Constrained, Error> {
    check_all(a, b, radius)?;
    check("tolerance", "finite and above 0", tolerance, tolerance.is_finite() && tolerance > 0.0)?;
    let curvature = Svd::new(a).sigma[0].powi(2);
    let mut x = DVector::zeros(a.ncols());
    let mut moved = 0.0;
    for iterations in 1..=max_steps {
        let gradient = a.tr_mul(&(a * &x - b));
        let mut next = &x - gradient / curvature.max(f64::MIN_POSITIVE);
        let length = next.norm();
        if length > radius {
            next *= radius / length;
        }
        moved = (&next - &x).norm();
        x = next;
        if moved < tolerance * radius {
            // On the border the gradient points along −x: λ = −x·gradient / |x|².
            let pull = -x.dot(&a.tr_mul(&(a * &x - b))) / x.norm_squared().max(f64::MIN_POSITIVE);
            let is_inside = x.norm() < radius * (1.0 - 1e-12);
            return Ok(Constrained {
                x,
                multiplier: if is_inside { 0.0 } else { pull.max(0.0) },
                iterations,
            });
        }
    }
    let what = "projected gradient descent";
    Err(Error::NotConverged { what, passes: max_steps, residual: moved, tolerance: tolerance * radius })
}
// ANCHOR_END: projected
