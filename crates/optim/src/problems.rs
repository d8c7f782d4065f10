//! Functions to try a method on, each with gradient, Hessian and, where there is one, its global minimiser.
//!
//! | problem | $f$ | what it is for |
//! |---|---|---|
//! | [`Quadratic`] | $\frac12\sum_i\lambda_i x_i^2$ | rates: everything depends on $\kappa = \lambda_{\max}/\lambda_{\min}$ |
//! | [`Ravine`] | the same in two turned dimensions | methods that look at one coordinate at a time |
//! | [`Rosenbrock`] | $\sum_i 100(x_{i+1}-x_i^2)^2+(1-x_i)^2$ | a bent valley |
//! | [`Beale`], [`Himmelblau`] | polynomials in two variables | plateaus, four equal minima |
//! | [`Saddle`] | $\frac12\sum_{i<d}x_i^2-\frac12x_d^2+\frac14x_d^4$ | a strict saddle at the origin, minima at $\pm e_d$ |
//! | [`MonkeySaddle`] | $x^3-3xy^2$ | a critical point whose Hessian says nothing |
//! | [`Cliff`] | $(w^Tb)^2$ | the product of many equal factors: a flat floor beside a wall |
//! | [`Rastrigin`], [`StyblinskiTang`] | | many local minima |
//! | [`Logistic`] | $\frac1n\sum_i\ln(1+e^{-y_ix_i\cdot w})+\frac\lambda2\lvert w\rvert^2$ | a smooth convex loss |
//! | [`CyclingParabola`] | $f'$ piecewise linear | momentum tuned for quadratics that never arrives |
//! | [`ReddiSequence`] | linear losses that arrive one at a time | Adam at the wrong end |
//!
//! **Sources**: Goodfellow et al. (2016), sections 4.3 and 8.2; Lessard, Recht & Packard (2016), 1408.3595; Reddi et al.
//! (2018), 1904.09237; Beale (1958); Himmelblau (1972). Points in f64, one slice of [`Problem::dimension`] numbers.
use crate::Error;
use nalgebra::{DMatrix, DVector};

/// A twice differentiable function of [`dimension`](Self::dimension) numbers; a slice of another length panics.
///
/// ```
/// use optim::problems::{Problem, Rosenbrock};
/// use optim::second_order::{Lbfgs, LbfgsConfig};
///
/// let valley = Rosenbrock { dimension: 2 };
/// let found = Lbfgs::try_new(LbfgsConfig::default())?.minimise(valley.objective(), &valley.start(), 200)?;
/// assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-5));
/// # Ok::<(), optim::Error>(())
/// ```
pub trait Problem {
    /// Numbers in a point.
    fn dimension(&self) -> usize;
    /// $f(x)$.
    fn value(&self, x: &[f64]) -> f64;
    /// $\nabla f(x)$.
    fn gradient(&self, x: &[f64]) -> Vec<f64>;
    /// $\nabla^2 f(x)$, symmetric.
    fn hessian(&self, x: &[f64]) -> DMatrix<f64>;
    /// A global minimiser; `None` when the function has none or none in closed form.
    fn minimiser(&self) -> Option<Vec<f64>>;
    /// Where the literature starts, or a point that shows what the function is for.
    fn start(&self) -> Vec<f64>;
    /// Value and gradient, as the methods of [`second_order`](crate::second_order) and [`descent`](crate::descent) take
    /// them.
    fn objective(&self) -> impl Fn(&[f64]) -> (f64, Vec<f64>)
    where
        Self: Sized,
    {
        |x| (self.value(x), self.gradient(x))
    }
}

/// $\frac12\sum_i\lambda_i x_i^2$ with positive $\lambda_i$.
#[derive(Clone, Debug, PartialEq)]
pub struct Quadratic {
    eigenvalues: Vec<f64>,
}

impl Quadratic {
    /// With these eigenvalues.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] when there is none or one is not finite and above 0.
    pub fn try_new(eigenvalues: impl Into<Vec<f64>>) -> Result<Self, Error> {
        let eigenvalues = eigenvalues.into();
        let broken = match eigenvalues.is_empty() {
            true => Some(0.0),
            false => eigenvalues.iter().copied().find(|&value| !(value > 0.0 && value.is_finite())),
        };
        match broken {
            Some(value) => Err(Error::InvalidHyper {
                name: "eigenvalues",
                rule: "at least one number, each finite and above 0",
                value,
            }),
            None => Ok(Self { eigenvalues }),
        }
    }

    /// `dimension` eigenvalues from 1 to `condition`, each the same multiple of the one before.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for no dimension or a condition number below 1.
    pub fn log_spaced(dimension: usize, condition: f64) -> Result<Self, Error> {
        if !(condition >= 1.0 && condition.is_finite()) {
            let (name, rule) = ("condition", "finite and at least 1");
            return Err(Error::InvalidHyper { name, rule, value: condition });
        }
        let last = dimension.saturating_sub(1).max(1) as f64;
        Self::try_new((0..dimension).map(|i| condition.powf(i as f64 / last)).collect::<Vec<_>>())
    }

    /// $\lambda_i$ as given.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Smallest and largest eigenvalue, $\mu$ and $L$.
    pub fn extremes(&self) -> (f64, f64) {
        self.eigenvalues.iter().fold((f64::INFINITY, 0.0), |(low, high), &l| (l.min(low), l.max(high)))
    }
}

impl Problem for Quadratic {
    fn dimension(&self) -> usize {
        self.eigenvalues.len()
    }
    fn value(&self, x: &[f64]) -> f64 {
        0.5 * self.eigenvalues.iter().zip(x).map(|(l, x)| l * x * x).sum::<f64>()
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        self.eigenvalues.iter().zip(x).map(|(l, x)| l * x).collect()
    }
    fn hessian(&self, _: &[f64]) -> DMatrix<f64> {
        DMatrix::from_diagonal(&DVector::from_column_slice(&self.eigenvalues))
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![0.0; self.dimension()])
    }
    fn start(&self) -> Vec<f64> {
        vec![1.0; self.dimension()]
    }
}

/// $\frac12(u^2+\kappa v^2)$ where $(u, v)$ is $(x, y)$ turned by `angle`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ravine {
    /// $\kappa$, how much steeper it is across than along.
    pub condition: f64,
    /// Between the floor and the x axis, in radians; 0 lays the floor along the axis.
    pub angle: f64,
}

impl Ravine {
    fn matrix(&self) -> [[f64; 2]; 2] {
        let (sine, cosine) = self.angle.sin_cos();
        let k = self.condition;
        let mixed = (1.0 - k) * sine * cosine;
        [[cosine * cosine + k * sine * sine, mixed], [mixed, sine * sine + k * cosine * cosine]]
    }
}

impl Problem for Ravine {
    fn dimension(&self) -> usize {
        2
    }
    fn value(&self, x: &[f64]) -> f64 {
        let gradient = self.gradient(x);
        0.5 * (x[0] * gradient[0] + x[1] * gradient[1])
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        self.matrix().iter().map(|row| row[0] * x[0] + row[1] * x[1]).collect()
    }
    fn hessian(&self, _: &[f64]) -> DMatrix<f64> {
        let [[a, b], [_, c]] = self.matrix();
        DMatrix::from_row_slice(2, 2, &[a, b, b, c])
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![0.0; 2])
    }
    fn start(&self) -> Vec<f64> {
        let (sine, cosine) = self.angle.sin_cos();
        vec![-2.0 * cosine - 0.7 * sine, -2.0 * sine + 0.7 * cosine] // far along the floor, up one wall
    }
}

/// Rosenbrock's valley; the global minimum 0 at $(1, \dots, 1)$.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rosenbrock {
    /// At least 2; with fewer the function is 0.
    pub dimension: usize,
}

impl Problem for Rosenbrock {
    fn dimension(&self) -> usize {
        self.dimension
    }
    fn value(&self, x: &[f64]) -> f64 {
        x.windows(2).map(|p| 100.0 * (p[1] - p[0] * p[0]).powi(2) + (1.0 - p[0]).powi(2)).sum()
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let mut gradient = vec![0.0; x.len()];
        for (i, p) in x.windows(2).enumerate() {
            let above = p[1] - p[0] * p[0];
            gradient[i] += -400.0 * p[0] * above - 2.0 * (1.0 - p[0]);
            gradient[i + 1] += 200.0 * above;
        }
        gradient
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let mut hessian = DMatrix::zeros(x.len(), x.len());
        for (i, p) in x.windows(2).enumerate() {
            hessian[(i, i)] += 1200.0 * p[0] * p[0] - 400.0 * p[1] + 2.0;
            hessian[(i, i + 1)] = -400.0 * p[0];
            hessian[(i + 1, i)] = -400.0 * p[0];
            hessian[(i + 1, i + 1)] += 200.0;
        }
        hessian
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![1.0; self.dimension])
    }
    fn start(&self) -> Vec<f64> {
        (0..self.dimension).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect()
    }
}

/// $(1.5-x+xy)^2+(2.25-x+xy^2)^2+(2.625-x+xy^3)^2$; the minimum 0 at (3, 0.5) lies on a wide plateau.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beale;

/// The constants of the three terms, with the powers of y.
const BEALE: [(f64, i32); 3] = [(1.5, 1), (2.25, 2), (2.625, 3)];

impl Problem for Beale {
    fn dimension(&self) -> usize {
        2
    }
    fn value(&self, x: &[f64]) -> f64 {
        BEALE.iter().map(|&(c, p)| (c - x[0] + x[0] * x[1].powi(p)).powi(2)).sum()
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let (mut by_x, mut by_y) = (0.0, 0.0);
        for (c, p) in BEALE {
            let power = x[1].powi(p);
            let residual = c - x[0] + x[0] * power;
            by_x += 2.0 * residual * (power - 1.0);
            by_y += 2.0 * residual * x[0] * f64::from(p) * x[1].powi(p - 1);
        }
        vec![by_x, by_y]
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (c, p) in BEALE {
            let (n, power, slope) = (f64::from(p), x[1].powi(p), x[1].powi(p - 1));
            let curve = if p > 1 { n * (n - 1.0) * x[1].powi(p - 2) } else { 0.0 };
            let residual = c - x[0] + x[0] * power;
            xx += 2.0 * (power - 1.0).powi(2);
            xy += 2.0 * n * slope * (x[0] * (power - 1.0) + residual);
            yy += 2.0 * ((x[0] * n * slope).powi(2) + residual * x[0] * curve);
        }
        DMatrix::from_row_slice(2, 2, &[xx, xy, xy, yy])
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![3.0, 0.5])
    }
    fn start(&self) -> Vec<f64> {
        vec![1.0, 1.0]
    }
}

/// $(x^2+y-11)^2+(x+y^2-7)^2$; four minima of value 0, one of them (3, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Himmelblau;

impl Problem for Himmelblau {
    fn dimension(&self) -> usize {
        2
    }
    fn value(&self, x: &[f64]) -> f64 {
        (x[0] * x[0] + x[1] - 11.0).powi(2) + (x[0] + x[1] * x[1] - 7.0).powi(2)
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let (a, b) = (x[0] * x[0] + x[1] - 11.0, x[0] + x[1] * x[1] - 7.0);
        vec![4.0 * x[0] * a + 2.0 * b, 2.0 * a + 4.0 * x[1] * b]
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let mixed = 4.0 * (x[0] + x[1]);
        let xx = 12.0 * x[0] * x[0] + 4.0 * x[1] - 42.0;
        let yy = 12.0 * x[1] * x[1] + 4.0 * x[0] - 26.0;
        DMatrix::from_row_slice(2, 2, &[xx, mixed, mixed, yy])
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![3.0, 2.0])
    }
    fn start(&self) -> Vec<f64> {
        vec![0.0, 0.0]
    }
}

/// $\frac12\sum_{i<d}x_i^2-\frac12x_d^2+\frac14x_d^4$: a strict saddle of index 1 at 0, minima of $-\frac14$ at $\pm e_d$.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saddle {
    /// $d$, at least 1.
    pub dimension: usize,
}

impl Problem for Saddle {
    fn dimension(&self) -> usize {
        self.dimension
    }
    fn value(&self, x: &[f64]) -> f64 {
        let Some((&last, others)) = x.split_last() else { return 0.0 };
        0.5 * others.iter().map(|x| x * x).sum::<f64>() - 0.5 * last * last + 0.25 * last.powi(4)
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let mut gradient = x.to_vec();
        if let Some(last) = gradient.last_mut() {
            *last = last.powi(3) - *last;
        }
        gradient
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let mut hessian = DMatrix::identity(x.len(), x.len());
        if let Some((last, others)) = x.split_last() {
            hessian[(others.len(), others.len())] = 3.0 * last * last - 1.0;
        }
        hessian
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        let mut x = vec![0.0; self.dimension];
        *x.last_mut()? = 1.0;
        Some(x)
    }
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.dimension]
    }
}

/// $x^3-3xy^2$: room for two legs and a tail; unbounded below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonkeySaddle;

impl Problem for MonkeySaddle {
    fn dimension(&self) -> usize {
        2
    }
    fn value(&self, x: &[f64]) -> f64 {
        x[0].powi(3) - 3.0 * x[0] * x[1] * x[1]
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        vec![3.0 * (x[0] * x[0] - x[1] * x[1]), -6.0 * x[0] * x[1]]
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        DMatrix::from_row_slice(2, 2, &[x[0], -x[1], -x[1], -x[0]]) * 6.0
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        None
    }
    fn start(&self) -> Vec<f64> {
        vec![0.5, 0.5]
    }
}

/// $(w^Tb)^2$ of the point $(w, b)$: what $T$ steps of the same linear recurrence do to one input. Between the flat floor
/// at $|w| < 1$ and the wall beyond it the gradient grows by orders of magnitude (Goodfellow et al. 2016, figure 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cliff {
    /// $T$, at least 1. The book's picture has a recurrence of this kind; 10 makes the wall steep.
    pub steps: i32,
}

impl Problem for Cliff {
    fn dimension(&self) -> usize {
        2
    }
    fn value(&self, x: &[f64]) -> f64 {
        (x[0].powi(self.steps) * x[1]).powi(2)
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let (n, [w, b]) = (2 * self.steps, [x[0], x[1]]);
        vec![f64::from(n) * w.powi(n - 1) * b * b, 2.0 * w.powi(n) * b]
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let (n, [w, b]) = (2 * self.steps, [x[0], x[1]]);
        let mixed = 2.0 * f64::from(n) * w.powi(n - 1) * b;
        let ww = f64::from(n * (n - 1)) * w.powi(n - 2) * b * b;
        DMatrix::from_row_slice(2, 2, &[ww, mixed, mixed, 2.0 * w.powi(n)])
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![0.0; 2])
    }
    fn start(&self) -> Vec<f64> {
        vec![1.3, 1.0]
    }
}

/// $\sum_i x_i^2-10\cos 2\pi x_i+10$; a local minimum near every point with integer coordinates, the global one at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rastrigin {
    /// Numbers in a point.
    pub dimension: usize,
}

impl Problem for Rastrigin {
    fn dimension(&self) -> usize {
        self.dimension
    }
    fn value(&self, x: &[f64]) -> f64 {
        x.iter().map(|x| x * x - 10.0 * (std::f64::consts::TAU * x).cos() + 10.0).sum()
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let tau = std::f64::consts::TAU;
        x.iter().map(|x| 2.0 * x + 10.0 * tau * (tau * x).sin()).collect()
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let tau = std::f64::consts::TAU;
        let second = x.iter().map(|x| 2.0 + 10.0 * tau * tau * (tau * x).cos());
        DMatrix::from_diagonal(&DVector::from_iterator(x.len(), second))
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![0.0; self.dimension])
    }
    fn start(&self) -> Vec<f64> {
        vec![3.3; self.dimension]
    }
}

/// $\frac12\sum_i x_i^4-16x_i^2+5x_i$; two minima per coordinate, the global one has every coordinate at −2.9035.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StyblinskiTang {
    /// Numbers in a point.
    pub dimension: usize,
}

impl Problem for StyblinskiTang {
    fn dimension(&self) -> usize {
        self.dimension
    }
    fn value(&self, x: &[f64]) -> f64 {
        x.iter().map(|x| 0.5 * (x.powi(4) - 16.0 * x * x + 5.0 * x)).sum()
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| 2.0 * x.powi(3) - 16.0 * x + 2.5).collect()
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        let second = x.iter().map(|x| 6.0 * x * x - 16.0);
        DMatrix::from_diagonal(&DVector::from_iterator(x.len(), second))
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![-2.903_534_027_771_177; self.dimension]) // the least root of 2x³ − 16x + 2.5
    }
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.dimension]
    }
}

/// Logistic regression with an ℓ2 penalty: mean over the examples, strongly convex with $\mu \ge \lambda$.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    features: DMatrix<f64>,
    signs: DVector<f64>,
    penalty: f64,
}

impl Logistic {
    /// One row of `features` and one label, −1 or +1, per example.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelNotSign`], [`Error::FeatureNotFinite`], and
    /// [`Error::InvalidHyper`] for a penalty that is not finite or negative.
    pub fn try_new(features: DMatrix<f64>, labels: &[i8], penalty: f64) -> Result<Self, Error> {
        let examples = features.nrows();
        if examples == 0 {
            return Err(Error::Empty { what: "Logistic" });
        }
        if examples != labels.len() {
            return Err(Error::LengthMismatch { examples, labels: labels.len() });
        }
        if let Some(index) = labels.iter().position(|label| label.abs() != 1) {
            return Err(Error::LabelNotSign { index, label: labels[index] });
        }
        if let Some(place) = features.iter().position(|value| !value.is_finite()) {
            let (example, feature) = (place % examples, place / examples); // columns first
            return Err(Error::FeatureNotFinite { example, feature, value: features[place] });
        }
        if !(penalty >= 0.0 && penalty.is_finite()) {
            return Err(Error::InvalidHyper {
                name: "penalty",
                rule: "finite and not negative",
                value: penalty,
            });
        }
        let signs = DVector::from_iterator(examples, labels.iter().map(|&label| f64::from(label)));
        Ok(Self { features, signs, penalty })
    }

    /// $y_i\,x_i\cdot w$.
    fn margins(&self, w: &[f64]) -> DVector<f64> {
        (&self.features * DVector::from_column_slice(w)).component_mul(&self.signs)
    }
}

/// $\ln(1+e^{-z})$ without overflow.
fn softplus_minus(z: f64) -> f64 {
    (-z.abs()).exp().ln_1p() + (-z).max(0.0)
}

/// $1/(1+e^{z})$ without overflow.
fn sigmoid_minus(z: f64) -> f64 {
    if z > 0.0 { (-z).exp() / (1.0 + (-z).exp()) } else { 1.0 / (1.0 + z.exp()) }
}

impl Problem for Logistic {
    fn dimension(&self) -> usize {
        self.features.ncols()
    }
    fn value(&self, w: &[f64]) -> f64 {
        let loss = self.margins(w).map(softplus_minus).mean();
        loss + 0.5 * self.penalty * w.iter().map(|w| w * w).sum::<f64>()
    }
    fn gradient(&self, w: &[f64]) -> Vec<f64> {
        let n = self.signs.len() as f64;
        let pull = self.margins(w).map(sigmoid_minus).component_mul(&self.signs) / -n;
        let gradient = self.features.tr_mul(&pull) + DVector::from_column_slice(w) * self.penalty;
        gradient.as_slice().to_vec()
    }
    fn hessian(&self, w: &[f64]) -> DMatrix<f64> {
        let weights = self.margins(w).map(|z| sigmoid_minus(z) * sigmoid_minus(-z)) / self.signs.len() as f64;
        let mut weighted = self.features.clone();
        for (mut row, weight) in weighted.row_iter_mut().zip(weights.iter()) {
            row *= *weight;
        }
        let d = self.dimension();
        self.features.tr_mul(&weighted) + DMatrix::identity(d, d) * self.penalty
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        None
    }
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.dimension()]
    }
}

/// $f'(x) = 25x$ below 1, $x+24$ from 1 to 2, $25x-24$ from 2 on: strongly convex with $\mu = 1$, $L = 25$, and heavy ball
/// with the momentum that is best for quadratics cycles on it for ever (Lessard et al. 2016, section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CyclingParabola;

impl Problem for CyclingParabola {
    fn dimension(&self) -> usize {
        1
    }
    fn value(&self, x: &[f64]) -> f64 {
        match x[0] {
            x if x < 1.0 => 12.5 * x * x,
            x if x < 2.0 => 0.5 * x * x + 24.0 * x - 12.0,
            x => 12.5 * x * x - 24.0 * x + 36.0,
        }
    }
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        vec![match x[0] {
            x if x < 1.0 => 25.0 * x,
            x if x < 2.0 => x + 24.0,
            x => 25.0 * x - 24.0,
        }]
    }
    fn hessian(&self, x: &[f64]) -> DMatrix<f64> {
        DMatrix::from_element(1, 1, if x[0] < 1.0 || x[0] >= 2.0 { 25.0 } else { 1.0 })
    }
    fn minimiser(&self) -> Option<Vec<f64>> {
        Some(vec![0.0])
    }
    fn start(&self) -> Vec<f64> {
        vec![3.3]
    }
}

/// The losses $f_t(x) = s_tx$ on \[−1, 1\] with $s_t = C$ when $t \equiv 1$ modulo `period` and $-c$ otherwise: the mean
/// slope is positive, so the best fixed point is −1, and Adam goes to +1 (Reddi et al. 2018, theorem 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReddiSequence {
    /// $C$.
    pub large: f64,
    /// $c$.
    pub small: f64,
    /// Losses until the large one comes again.
    pub period: u64,
}

impl ReddiSequence {
    /// Theorem 1 of the paper: $C > 2$, $c = 1$, every third loss is the large one.
    pub fn theorem(large: f64) -> Self {
        Self { large, small: 1.0, period: 3 }
    }

    /// Section 5 of the paper: slopes of 1010 and −10, period 101.
    pub fn experiment() -> Self {
        Self { large: 1010.0, small: 10.0, period: 101 }
    }

    /// $s_t$; $t$ counts from 1.
    pub fn slope(&self, t: u64) -> f64 {
        if t % self.period == 1 % self.period { self.large } else { -self.small }
    }

    /// Mean slope over a period: positive when −1 is the best fixed point.
    pub fn mean_slope(&self) -> f64 {
        (self.large - self.small * (self.period - 1) as f64) / self.period as f64
    }
}
