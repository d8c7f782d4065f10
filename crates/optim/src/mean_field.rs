//! How large signals and gradients are, layer by layer, in a wide network with random weights.
//!
//! With weights of variance $\sigma_w^2/n_\text{in}$ and biases of variance $\sigma_b^2$, the votes of a layer are
//! Gaussian in the limit of many units, with a variance $q$ that the layer before determines:
//!
//! $$ q^{l+1} = \sigma_w^2\, E\,\varphi(\sqrt{q^l}\, z)^2 + \sigma_b^2, \qquad
//!    \chi = \sigma_w^2\, E\,\varphi'(\sqrt{q}\, z)^2, \qquad z \sim N(0, 1) $$
//!
//! Gradients grow by the factor $\chi$ (in squared size) per layer on the way back: below 1 they vanish, above 1 they
//! explode, and only weights with $\chi = 1$ can be trained through many layers.
//!
//! | symbol | code | unit, range |
//! |---|---|---|
//! | $\sigma_w^2$, $\sigma_b^2$ | [`MeanField::weight_variance`], [`MeanField::bias_variance`] | at least 0 |
//! | $q^l$ | [`MeanField::q_map`] | variance of a vote |
//! | $\chi$ | [`MeanField::chi`] | 1 |
//!
//! **Use it** to choose a scale for a new activation. **Not** for narrow layers: a layer of $n$ units strays from $q$ by
//! a relative $\sqrt{5/n}$ with ReLU, and layers add up.
//! **Paper**: Poole et al. (2016), Exponential expressivity in deep neural networks through transient chaos, arXiv
//! 1606.05340; Schoenholz et al. (2017), arXiv 1611.01232, for $\chi$.
//! **Deviation**: the Gaussian means are Simpson sums over both half lines, because kinks at 0 are where Gauss–Hermite
//! loses its accuracy.
use dfdx::prelude::{Cpu, TensorFromVec};
use kernels::{Activation, activate, activation_slope};

use crate::Error;

/// Half width of the integrals, in standard deviations: beyond lies less than 1e-30.
const REACH: f64 = 12.0;
/// Steps of each half.
const STEPS: usize = 3000;

/// Mean, mean square, and mean square of the derivative of an activation of a Gaussian vote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// $E\,\varphi$.
    pub mean: f64,
    /// $E\,\varphi^2$.
    pub second: f64,
    /// $E\,\varphi'^2$.
    pub slope: f64,
}

// ANCHOR: moments
/// The moments of $\varphi(\sqrt q\, z)$, to about ten digits.
///
/// ```
/// use optim::mean_field::moments;
/// let relu = moments(kernels::Relu, 1.0)?;
/// assert!((relu.second - 0.5).abs() < 1e-10 && (relu.slope - 0.5).abs() < 1e-10);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] unless `q` is finite and not negative.
pub fn moments(activation: impl Activation, q: f64) -> Result<Moments, Error> {
    check("q", q)?;
    let h = REACH / STEPS as f64;
    let half = |sign: f64| (0..=STEPS).map(move |i| sign * (i as f64 * h).max(1e-12));
    let z: Vec<f64> = half(-1.0).chain(half(1.0)).collect(); // either side of a kink at 0, not on it
    let votes = z.iter().map(|z| q.sqrt() * z).collect::<Vec<_>>();
    let votes = Cpu::default().tensor_from_vec(votes, (z.len(),));
    let (value, slope) = (activate(votes.clone(), activation), activation_slope(votes, activation));
    let simpson = |i: usize| match i % (STEPS + 1) {
        0 | STEPS => 1.0,
        k if k % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let weight = |i: usize| simpson(i) * h / 3.0 * (-0.5 * z[i] * z[i]).exp() / std::f64::consts::TAU.sqrt();
    let mean = |f: &dyn Fn(usize) -> f64| (0..z.len()).map(|i| weight(i) * f(i)).sum::<f64>();
    let (value, slope) = (value.as_vec(), slope.as_vec());
    Ok(Moments {
        mean: mean(&|i| value[i]),
        second: mean(&|i| value[i] * value[i]),
        slope: mean(&|i| slope[i] * slope[i]),
    })
}
// ANCHOR_END: moments

/// A wide network with random weights.
#[derive(Clone, Copy, Debug)]
pub struct MeanField<A> {
    /// $\varphi$.
    pub activation: A,
    /// $\sigma_w^2$: the variance of a weight times the number of inputs.
    pub weight_variance: f64,
    /// $\sigma_b^2$.
    pub bias_variance: f64,
}

impl<A: Activation> MeanField<A> {
    // ANCHOR: q_map
    /// $q^{l+1}$ from $q^l$.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] when a variance is negative or not finite; so do all methods.
    pub fn q_map(&self, q: f64) -> Result<f64, Error> {
        self.check()?;
        Ok(self.weight_variance * moments(self.activation, q)?.second + self.bias_variance)
    }

    /// $\chi$ at $q$.
    ///
    /// # Errors
    /// As [`q_map`](Self::q_map).
    pub fn chi(&self, q: f64) -> Result<f64, Error> {
        self.check()?;
        Ok(self.weight_variance * moments(self.activation, q)?.slope)
    }
    // ANCHOR_END: q_map

    /// $q^1, q^2, \dots$: the variance of the votes of `layers` layers, when the first layer's is `q`.
    ///
    /// # Errors
    /// As [`q_map`](Self::q_map).
    pub fn depth(&self, q: f64, layers: usize) -> Result<Vec<f64>, Error> {
        let mut all = vec![q; layers.min(1)];
        while all.len() < layers {
            all.push(self.q_map(all[all.len() - 1])?);
        }
        Ok(all)
    }

    fn check(&self) -> Result<(), Error> {
        check("weight_variance", self.weight_variance)?;
        check("bias_variance", self.bias_variance)
    }
}

/// The weight variance with $\chi = 1$ at $q$: the critical line.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `q` is finite and not negative; [`Error::Singular`] when the slope is 0 everywhere.
pub fn critical_weight_variance(activation: impl Activation, q: f64) -> Result<f64, Error> {
    let slope = moments(activation, q)?.slope;
    if slope > 0.0 { Ok(1.0 / slope) } else { Err(Error::Singular { what: "the mean squared slope, 0," }) }
}

fn check(name: &'static str, value: f64) -> Result<(), Error> {
    let is_legal = value.is_finite() && value >= 0.0;
    if is_legal { Ok(()) } else { Err(Error::InvalidHyper { name, rule: "finite and not negative", value }) }
}
