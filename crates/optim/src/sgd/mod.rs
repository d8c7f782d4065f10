//! Lecture 3: stochastic gradient descent on sums, and how wrong a gradient may be (Goodfellow et al. 2016, 5.9; Nielsen
//! 2015, chapter 1).
//!
//! | module | content |
//! |---|---|
//! | here | [`FiniteSum`] with [`LeastSquares`] and [`Logistic`] |
//! | [`stochastic`] | sampling, step sizes, the conditions of Robbins and Monro, the method itself |
//! | [`averaging`] | means of iterates (Polyak–Ruppert) |
//! | [`gradient_noise`] | covariance of minibatch gradients, noise scale, stationary cloud |
//! | [`variance_reduction`] | SVRG and SAGA |
//!
//! Everything is f64 on flat weights, since the claims are about rates; networks train with `layers` and dfdx.
//!
//! # Examples
//! ```
//! use nalgebra::dmatrix;
//! use optim::sgd::LeastSquares;
//! use optim::sgd::stochastic::{Descent, Sampling, StepSize};
//!
//! let data = LeastSquares::new(dmatrix![1.0, 0.0; 0.0, 1.0; 1.0, 1.0], vec![1.0, 2.0, 3.0], 1.0)?;
//! let descent = Descent::new(StepSize::Constant(0.1)).sampling(Sampling::Cyclic).steps(600);
//! let end = descent.run(&data, &[0.0, 0.0], &mut rand::thread_rng(), |_| {})?;
//! assert!((end[0] - 1.0).abs() < 1e-6 && (end[1] - 2.0).abs() < 1e-6);
//! # Ok::<(), optim::Error>(())
//! ```
use crate::Error;
use crate::nielsen::sigmoid;
use nalgebra::{DMatrix, DVector};

pub mod averaging;
pub mod gradient_noise;
pub mod stochastic;
pub mod variance_reduction;

/// $f(w) = \frac1n\sum_i f_i(w)$.
pub trait FiniteSum {
    /// $n$, at least 1.
    fn terms(&self) -> usize;

    /// Number of weights.
    fn dim(&self) -> usize;

    /// $f(w)$.
    fn value(&self, w: &[f64]) -> f64;

    /// Adds `scale` times $\nabla f_i(w)$ to `out`.
    fn add_gradient(&self, i: usize, w: &[f64], scale: f64, out: &mut [f64]);

    /// Largest second derivative of $f_i$ along any direction, anywhere: $L_i$.
    fn curvature(&self, i: usize) -> f64;

    /// $\nabla f(w)$.
    fn gradient(&self, w: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.dim()];
        let scale = 1.0 / self.terms() as f64;
        (0..self.terms()).for_each(|i| self.add_gradient(i, w, scale, &mut out));
        out
    }
}

/// Examples `x`, `(n, d)`, stored one after the other.
fn rows(x: &DMatrix<f64>) -> Vec<f64> {
    x.transpose().as_slice().to_vec()
}

fn check(x: &DMatrix<f64>, y: &[f64]) -> Result<(), Error> {
    if x.is_empty() {
        return Err(Error::Empty { what: "a finite sum" });
    }
    if x.nrows() != y.len() {
        return Err(Error::LengthMismatch { examples: x.nrows(), labels: y.len() });
    }
    Ok(())
}

/// $f_i(w) = c\,(x_i\cdot w - y_i)^2$. Texts differ in $c$: 1 in tutorials, ½ where the gradient should be
/// $(\hat y - y)\,x$. A step size belongs to one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LeastSquares {
    x: Vec<f64>,
    y: Vec<f64>,
    dim: usize,
    factor: f64,
}

impl LeastSquares {
    /// From inputs `(n, d)`, targets and $c$. For a constant term give a column of ones, and do not standardise it.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::InvalidHyper`] for a factor not above 0.
    pub fn new(x: DMatrix<f64>, y: Vec<f64>, factor: f64) -> Result<Self, Error> {
        check(&x, &y)?;
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(Error::InvalidHyper {
                name: "factor",
                rule: "finite and above 0; ½ or 1",
                value: factor,
            });
        }
        Ok(Self { x: rows(&x), y, dim: x.ncols(), factor })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.x[i * self.dim..(i + 1) * self.dim]
    }

    /// The Hessian $\frac{2c}n\sum_i x_ix_i^\top$, `(d, d)`.
    pub fn hessian(&self) -> DMatrix<f64> {
        let x = DMatrix::from_row_slice(self.y.len(), self.dim, &self.x);
        x.tr_mul(&x) * (2.0 * self.factor / self.y.len() as f64)
    }

    /// The minimiser.
    ///
    /// # Errors
    /// [`Error::Singular`] when the Hessian has no inverse.
    pub fn minimiser(&self) -> Result<Vec<f64>, Error> {
        let x = DMatrix::from_row_slice(self.y.len(), self.dim, &self.x);
        let right = x.tr_mul(&DVector::from_column_slice(&self.y));
        let factor =
            x.tr_mul(&x).cholesky().ok_or(Error::Singular { what: "the Hessian of least squares" })?;
        Ok(factor.solve(&right).as_slice().to_vec())
    }

    /// What one cyclic pass at a constant rate does to the distance from the minimiser where all residuals can be zero:
    /// $\prod_i (I - 2c\eta\,x_ix_i^\top)$, last example leftmost. It diverges when an eigenvalue is above 1 in size.
    pub fn cycle(&self, learning_rate: f64) -> DMatrix<f64> {
        let mut product = DMatrix::identity(self.dim, self.dim);
        for i in 0..self.y.len() {
            let x = DVector::from_column_slice(self.row(i));
            let step = &x * x.transpose() * (2.0 * self.factor * learning_rate);
            product = (DMatrix::identity(self.dim, self.dim) - step) * product;
        }
        product
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(out: &mut [f64], scale: f64, x: &[f64]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += scale * x);
}

impl FiniteSum for LeastSquares {
    fn terms(&self) -> usize {
        self.y.len()
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn value(&self, w: &[f64]) -> f64 {
        let squares = (0..self.y.len()).map(|i| (dot(self.row(i), w) - self.y[i]).powi(2));
        self.factor * squares.sum::<f64>() / self.y.len() as f64
    }
    // ANCHOR: gradient
    fn add_gradient(&self, i: usize, w: &[f64], scale: f64, out: &mut [f64]) {
        let error = dot(self.row(i), w) - self.y[i];
        add_scaled(out, scale * 2.0 * self.factor * error, self.row(i));
    }
    // ANCHOR_END: gradient
    fn curvature(&self, i: usize) -> f64 {
        2.0 * self.factor * dot(self.row(i), self.row(i))
    }
}

/// $f_i(w) = \ln(1 + e^{-y_i\,x_i\cdot w}) + \frac\lambda2\lVert w\rVert^2$ with labels $y_i = \pm 1$.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    x: Vec<f64>,
    labels: Vec<f64>,
    dim: usize,
    penalty: f64,
}

impl Logistic {
    /// From inputs `(n, d)`, labels ±1 and $\lambda \ge 0$.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelNotSign`], [`Error::InvalidHyper`].
    pub fn new(x: DMatrix<f64>, labels: &[i8], penalty: f64) -> Result<Self, Error> {
        if let Some((index, &label)) = labels.iter().enumerate().find(|(_, label)| label.abs() != 1) {
            return Err(Error::LabelNotSign { index, label });
        }
        let labels: Vec<f64> = labels.iter().map(|&label| f64::from(label)).collect();
        check(&x, &labels)?;
        if !(penalty >= 0.0 && penalty.is_finite()) {
            return Err(Error::InvalidHyper {
                name: "penalty",
                rule: "finite and at least 0",
                value: penalty,
            });
        }
        Ok(Self { x: rows(&x), labels, dim: x.ncols(), penalty })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.x[i * self.dim..(i + 1) * self.dim]
    }
}

impl FiniteSum for Logistic {
    fn terms(&self) -> usize {
        self.labels.len()
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn value(&self, w: &[f64]) -> f64 {
        // ln(1 + e^{-m}) without overflow: max(-m, 0) + ln(1 + e^{-|m|}).
        let loss = |m: f64| (-m).max(0.0) + (-m.abs()).exp().ln_1p();
        let sum: f64 = (0..self.labels.len()).map(|i| loss(self.labels[i] * dot(self.row(i), w))).sum();
        sum / self.labels.len() as f64 + 0.5 * self.penalty * dot(w, w)
    }
    fn add_gradient(&self, i: usize, w: &[f64], scale: f64, out: &mut [f64]) {
        let margin = self.labels[i] * dot(self.row(i), w);
        add_scaled(out, -scale * self.labels[i] * sigmoid(-margin), self.row(i));
        add_scaled(out, scale * self.penalty, w);
    }
    fn curvature(&self, i: usize) -> f64 {
        0.25 * dot(self.row(i), self.row(i)) + self.penalty
    }
}
