//! How many critical points a spherical spin glass has below a height: closed forms.
//!
//! Let $\mathcal C_\Lambda(u)$ be the number of critical points of the [Hamiltonian](super::spin_glass) of $H$ layers and
//! $\Lambda$ weights with value at most $\Lambda u$, and $\mathcal C_{\Lambda,k}(u)$ that of index $k$ (directions of
//! descent). Their means grow like $e^{\Lambda\Theta_H(u)}$ and $e^{\Lambda\Theta_{k,H}(u)}$ with
//!
//! $$ \Theta_H(u) = \tfrac12\ln(H-1) - \tfrac{H-2}{4(H-1)}u^2 - I(u)\,[u \le -E_\infty] \quad\text{for } u \le 0,
//! \qquad \Theta_{k,H}(u) = \tfrac12\ln(H-1) - \tfrac{H-2}{4(H-1)}u^2 - (k+1)I(u) \quad\text{for } u \le -E_\infty, $$
//!
//! $$ I(u) = \frac2{E_\infty^2}\int_{E_\infty}^{-u}\sqrt{z^2-E_\infty^2}\,dz, \qquad E_\infty = 2\sqrt{\tfrac{H-1}H} . $$
//!
//! Above 0, $\Theta_H = \frac12\ln(H-1)$; above $-E_\infty$, $\Theta_{k,H} = \frac12\ln(H-1)-\frac{H-2}H$.
//! $E_k$ is where $\Theta_{k,H}(-E_k) = 0$: below $-E_k$ only critical points of index less than $k$ are to be expected.
//!
//! **Papers**: Auffinger, Ben Arous & Černý (2013), Random matrices and complexity of spin glasses, 1003.1129; Choromanska
//! et al. (2015), 1412.0233, theorems 4.1 to 4.3.
use crate::Error;

/// The complexity of the model with a fixed number of layers.
///
/// ```
/// use optim::landscape::complexity::Complexity;
/// let three = Complexity::try_new(3)?;
/// assert!((three.e_inf() - 1.632993).abs() < 1e-6); // no minimum above −E∞, in the limit of many weights
/// assert!((three.e_k(0) - 1.656998).abs() < 1e-6);  // and none below −E₀
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complexity {
    layers: f64,
}

impl Complexity {
    /// For $H$ layers.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for fewer than 3: with 2 the model is a quadratic form and the counts do not grow.
    pub fn try_new(layers: usize) -> Result<Self, Error> {
        let layers = layers as f64;
        if layers < 3.0 {
            return Err(Error::InvalidHyper { name: "layers", rule: "at least 3", value: layers });
        }
        Ok(Self { layers })
    }

    /// $E_\infty$.
    pub fn e_inf(&self) -> f64 {
        2.0 * ((self.layers - 1.0) / self.layers).sqrt()
    }

    // ANCHOR: rate
    /// $I(u)$; 0 for $u > -E_\infty$.
    pub fn rate(&self, u: f64) -> f64 {
        let edge = self.e_inf();
        let root = (u * u - edge * edge).max(0.0).sqrt();
        if u > -edge {
            return 0.0;
        }
        -u / (edge * edge) * root - (root - u).ln() + edge.ln()
    }
    // ANCHOR_END: rate

    fn parabola(&self, u: f64) -> f64 {
        let h = self.layers;
        0.5 * (h - 1.0).ln() - (h - 2.0) / (4.0 * (h - 1.0)) * u * u
    }

    /// $\Theta_H(u)$: all critical points.
    pub fn theta(&self, u: f64) -> f64 {
        self.parabola(u.min(0.0)) - self.rate(u)
    }

    /// $\Theta_{k,H}(u)$: those with `index` directions of descent.
    pub fn theta_k(&self, index: usize, u: f64) -> f64 {
        let u = u.min(-self.e_inf()); // no more of them above
        self.parabola(u) - (index as f64 + 1.0) * self.rate(u)
    }

    /// $E_k$, by bisection to the last bit.
    pub fn e_k(&self, index: usize) -> f64 {
        // Θ_k falls in E from a positive value at E∞, ½ ln(H − 1) > (H − 2)/H. At 2 + 2√(ln H) the parabola alone is
        // negative.
        let (mut low, mut high) = (self.e_inf(), 2.0 + 2.0 * self.layers.ln().sqrt());
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return middle;
            }
            if self.theta_k(index, -middle) > 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
}
