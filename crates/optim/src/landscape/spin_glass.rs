//! The spherical spin glass: a random polynomial of many weights on a sphere.
//!
//! $$ \mathcal H_{\Lambda,H}(w) = \Lambda^{-(H-1)/2}\sum_{i_1,\dots,i_H=1}^{\Lambda} X_{i_1\dots i_H}\,
//! w_{i_1}\cdots w_{i_H}, \qquad \tfrac1\Lambda\sum_i w_i^2 = 1, \quad X \sim \mathcal N(0, 1) $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $H$ | `H` | degree; layers of the network that it stands for, at least 2 |
//! | $\Lambda$ | `spins` | weights |
//! | $X$ | | couplings, kept symmetric: the sum does not see more |
//!
//! A rectified network sends each input along all paths through its layers, and a path is a product of $H$ weights; if
//! paths are switched on independently of each other and of the data, inputs are Gaussian and the weights lie on a sphere,
//! its loss is this polynomial. **The authors say themselves that these assumptions do not hold** (and posed it as an open
//! problem, COLT 2015): the model and networks *look alike* in simulations; nothing about networks follows from it.
//!
//! The contraction with a point goes one index at a time: O(Λ^H) for energy, gradient and Hessian together, memory
//! O(Λ^H), refused above 2 GiB.
//!
//! **Paper**: Choromanska et al. (2015), 1412.0233, section 3.
use super::critical::{Critical, classify};
use crate::Error;
use crate::second_order::{dot, norm};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::StandardNormal;

/// A drawn polynomial of degree `H`.
///
/// ```
/// use optim::landscape::spin_glass::{DescendConfig, Hamiltonian};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(0);
/// let glass = Hamiltonian::<3>::sample(12, &mut rng)?;
/// let found = glass.descend(&glass.start(&mut rng), DescendConfig::default())?;
/// assert_eq!(found.index, 0); // a minimum
/// assert!(found.gradient_norm < 1e-8 && found.energy_per_spin < -1.0);
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hamiltonian<const H: usize> {
    spins: usize,
    /// Symmetric, $\Lambda^H$ numbers, the last index fastest.
    couplings: Vec<f64>,
}

/// Settings of [`Hamiltonian::descend`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DescendConfig {
    /// Norm of the gradient along the sphere at which to stop, above 0. Default 1e-8.
    pub tolerance: f64,
    /// Steps, at least 1. Default 20 000.
    pub max_iterations: usize,
}

impl Default for DescendConfig {
    fn default() -> Self {
        Self { tolerance: 1e-8, max_iterations: 20_000 }
    }
}

/// Where a descent ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CriticalPoint {
    /// The point, $\lvert w\rvert^2 = \Lambda$.
    pub w: Vec<f64>,
    /// $\mathcal H(w)/\Lambda$.
    pub energy_per_spin: f64,
    /// Directions of descent that are left; 0 at a minimum.
    pub index: usize,
    /// Norm of the gradient along the sphere.
    pub gradient_norm: f64,
    /// Steps made.
    pub iterations: usize,
}

/// Memory that the couplings may take.
const LIMIT: u128 = 2 << 30;
/// Curvature that counts as none, relative to curvatures of order 1.
const FLAT: f64 = 1e-7;

impl<const H: usize> Hamiltonian<H> {
    const AT_LEAST_TWO: () = assert!(H >= 2, "a spin glass needs at least two layers");

    fn check(spins: usize) -> Result<(), Error> {
        let () = Self::AT_LEAST_TWO;
        let bytes = (0..H).try_fold(8_u128, |bytes, _| bytes.checked_mul(spins as u128)).unwrap_or(u128::MAX);
        match spins {
            0 | 1 => Err(Error::InvalidHyper { name: "spins", rule: "at least 2", value: spins as f64 }),
            _ if bytes > LIMIT => Err(Error::TooManyCouplings { spins, layers: H, limit: LIMIT }),
            _ => Ok(()),
        }
    }

    /// Independent standard normal couplings for `spins` weights.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for fewer than 2 weights, [`Error::TooManyCouplings`] above 2 GiB.
    pub fn sample<R: Rng + ?Sized>(spins: usize, rng: &mut R) -> Result<Self, Error> {
        Self::check(spins)?;
        let couplings = (0..spins.pow(H as u32)).map(|_| rng.sample(StandardNormal)).collect();
        Ok(Self { spins, couplings: symmetric::<H>(spins, couplings) })
    }

    /// Given couplings, the last index fastest; only their symmetric part matters.
    ///
    /// # Errors
    /// As [`sample`](Self::sample), [`Error::InvalidHyper`] for another count than $\Lambda^H$ or a coupling that is not
    /// finite.
    pub fn from_couplings(spins: usize, couplings: Vec<f64>) -> Result<Self, Error> {
        Self::check(spins)?;
        let (name, count) = ("couplings", spins.pow(H as u32));
        if couplings.len() != count {
            let value = couplings.len() as f64;
            return Err(Error::InvalidHyper { name, rule: "one for every choice of H spins", value });
        }
        match couplings.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(Error::InvalidHyper { name, rule: "finite", value }),
            None => Ok(Self { spins, couplings: symmetric::<H>(spins, couplings) }),
        }
    }

    /// $\Lambda$.
    pub fn spins(&self) -> usize {
        self.spins
    }

    fn scale(&self) -> f64 {
        (self.spins as f64).powf(-0.5 * (H as f64 - 1.0))
    }

    // ANCHOR: contract
    /// $\sum X_{i_1\dots i_H} w_{i_3}\cdots w_{i_H}$, a symmetric matrix, one index at a time.
    fn contract(&self, w: &[f64]) -> Vec<f64> {
        let mut sums = Vec::new();
        for index in 2..H {
            let source = if index == 2 { &self.couplings } else { &sums };
            sums = source.chunks_exact(self.spins).map(|row| dot(row, w)).collect();
        }
        if H == 2 { self.couplings.clone() } else { sums }
    }

    /// $\mathcal H(w)$ and its gradient in space; the polynomial is defined off the sphere as well.
    pub fn evaluate(&self, w: &[f64]) -> (f64, Vec<f64>) {
        let matrix = self.contract(w);
        let image: Vec<f64> = matrix.chunks_exact(self.spins).map(|row| dot(row, w)).collect();
        let scale = self.scale();
        (scale * dot(&image, w), image.iter().map(|x| H as f64 * scale * x).collect())
    }
    // ANCHOR_END: contract

    /// The part of the gradient along the sphere: $\nabla\mathcal H - (w\cdot\nabla\mathcal H)\,w/\lvert w\rvert^2$.
    pub fn riemannian_gradient(&self, w: &[f64]) -> Vec<f64> {
        along_sphere(&self.evaluate(w).1, w)
    }

    /// Second derivatives along the sphere: $P(\nabla^2\mathcal H - (w\cdot\nabla\mathcal H)/\lvert w\rvert^2)P$ with $P$ the
    /// projection onto the tangent space; the radial direction has eigenvalue 1, so that it counts as no descent.
    pub fn riemannian_hessian(&self, w: &[f64]) -> DMatrix<f64> {
        let n = self.spins;
        let matrix = DMatrix::from_row_slice(n, n, &self.contract(w));
        let w = DVector::from_column_slice(w);
        let (h, scale) = (H as f64, self.scale());
        let image = &matrix * &w * (h * scale);
        let square = w.norm_squared();
        let tangent = DMatrix::identity(n, n) - &w * w.transpose() / square;
        let curvature = matrix * (h * (h - 1.0) * scale) - DMatrix::identity(n, n) * (image.dot(&w) / square);
        let projected = &tangent * curvature * &tangent;
        (&projected + projected.transpose()) * 0.5 + &w * w.transpose() / square
    }

    /// A point drawn evenly from the sphere.
    pub fn start<R: Rng + ?Sized>(&self, rng: &mut R) -> Vec<f64> {
        let normal: Vec<f64> = (0..self.spins).map(|_| rng.sample(StandardNormal)).collect();
        self.retract(&normal)
    }

    /// Back to the sphere, $\sqrt\Lambda\,w/\lvert w\rvert$.
    fn retract(&self, w: &[f64]) -> Vec<f64> {
        let factor = (self.spins as f64).sqrt() / norm(w);
        w.iter().map(|w| w * factor).collect()
    }

    /// Gradient descent along the sphere with the steps of Barzilai and Borwein, each accepted when the energy is below
    /// the largest of the last ten (Grippo, Lampariello & Lucidi).
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for settings out of range or a start of another dimension or without length;
    /// [`Error::Diverged`] does not happen: energy is bounded on a sphere.
    pub fn descend(&self, start: &[f64], config: DescendConfig) -> Result<CriticalPoint, Error> {
        let DescendConfig { tolerance, max_iterations } = config;
        crate::second_order::check("tolerance", "above 0", tolerance, tolerance > 0.0)?;
        let steps = max_iterations as f64;
        crate::second_order::check("max_iterations", "at least 1", steps, max_iterations > 0)?;
        let length = norm(start);
        let fits = start.len() == self.spins && length > 0.0 && length.is_finite();
        crate::second_order::check("start", "one finite number per spin, not all 0", length, fits)?;

        let mut w = self.retract(start);
        let (mut energy, gradient) = self.evaluate(&w);
        let mut gradient = along_sphere(&gradient, &w);
        let mut recent = vec![energy];
        let (mut step, mut iterations) = (0.1, 0); // curvatures are of order 1
        while norm(&gradient) > tolerance && iterations < max_iterations {
            let square = dot(&gradient, &gradient);
            let highest = recent.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let rounding = 1e-13 * energy.abs();
            let (next, next_energy, next_gradient) = loop {
                let moved: Vec<f64> = w.iter().zip(&gradient).map(|(w, g)| w - step * g).collect();
                let next = self.retract(&moved);
                let (value, slope) = self.evaluate(&next);
                if value <= highest - 1e-4 * step * square + rounding || step < 1e-12 {
                    break (next.clone(), value, along_sphere(&slope, &next));
                }
                step *= 0.25;
            };
            let s: Vec<f64> = next.iter().zip(&w).map(|(new, old)| new - old).collect();
            let y: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
            step = (dot(&s, &s) / dot(&s, &y).abs()).clamp(1e-3, 10.0); // NaN only where both are 0
            step = if step.is_nan() { 0.1 } else { step };
            (w, energy, gradient) = (next, next_energy, next_gradient);
            if recent.len() == 10 {
                recent.remove(0);
            }
            recent.push(energy);
            iterations += 1;
        }
        let index = match classify(&self.riemannian_hessian(&w), FLAT)? {
            Critical::Saddle { index } | Critical::Degenerate { index, .. } => index,
            Critical::Minimum | Critical::Maximum => 0, // the radial direction rises: never a maximum
        };
        let energy_per_spin = energy / self.spins as f64;
        Ok(CriticalPoint { w, energy_per_spin, index, gradient_norm: norm(&gradient), iterations })
    }
}

fn along_sphere(gradient: &[f64], w: &[f64]) -> Vec<f64> {
    let radial = dot(gradient, w) / dot(w, w);
    gradient.iter().zip(w).map(|(g, w)| g - radial * w).collect()
}

/// The mean over all orders of the indices.
fn symmetric<const H: usize>(spins: usize, mut couplings: Vec<f64>) -> Vec<f64> {
    let mut orders = vec![[0; H]];
    for place in 1..H {
        // Every order of the first `place` indices, with the next one put at each of its places.
        orders = orders
            .iter()
            .flat_map(|order| {
                (0..=place).map(move |at| {
                    let mut longer = *order;
                    longer[at..=place].rotate_right(1);
                    longer[at] = place;
                    longer
                })
            })
            .collect();
    }
    let flat = |indices: [usize; H]| indices.iter().fold(0, |flat, index| flat * spins + index);
    for place in 0..couplings.len() {
        let mut indices = [0; H];
        let mut rest = place;
        for index in indices.iter_mut().rev() {
            (*index, rest) = (rest % spins, rest / spins);
        }
        if indices.is_sorted() {
            let places = || orders.iter().map(|order| flat(order.map(|at| indices[at])));
            let mean = places().map(|place| couplings[place]).sum::<f64>() / orders.len() as f64;
            for place in places() {
                couplings[place] = mean;
            }
        }
    }
    couplings
}
