//! Hessian times vector by hand: Pearlmutter's R-operator for one hidden layer.
//!
//! $\mathcal R\{f\}(w) = \frac{d}{dr} f(w + rv)\big|_{r=0}$ obeys the rules of a derivative. Applied to the four equations of
//! back-propagation it gives $Hv$ exactly, at the cost of two more passes (Pearlmutter 1994). This is the oracle that the
//! automatic ways are tested with: [`tensor`](super::tensor), and [`layers::Dual`] on dfdx's tape.
//!
//! Network $z^1 = W^1x + b^1$, $a = \tanh z^1$, $z^2 = W^2a + b^2$, loss: mean cross-entropy of softmax$(z^2)$.
//! Parameters are one flat vector $[W^1\ (H \times I), b^1, W^2\ (O \times H), b^2]$, matrices row by row, as dfdx stores
//! them.
//!
//! **Golden**: JAX, all quantities.
use crate::Error;
use nalgebra::{DMatrix, DVector};

/// Sizes of input, hidden and output layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Inputs.
    pub inputs: usize,
    /// Hidden neurons.
    pub hidden: usize,
    /// Classes.
    pub outputs: usize,
}

/// The network's parameters, or anything of the same shape: a gradient, a direction.
#[derive(Clone, Debug, PartialEq)]
struct Parameters {
    w1: DMatrix<f64>,
    b1: DVector<f64>,
    w2: DMatrix<f64>,
    b2: DVector<f64>,
}

impl Sizes {
    /// Number of parameters.
    pub fn parameters(self) -> usize {
        (self.inputs + 1) * self.hidden + (self.hidden + 1) * self.outputs
    }

    fn split(self, flat: &[f64]) -> Result<Parameters, Error> {
        let want = self.parameters();
        if flat.len() != want {
            return Err(Error::Dimension { what: "parameters", got: flat.len(), want });
        }
        let (w1, rest) = flat.split_at(self.inputs * self.hidden);
        let (b1, rest) = rest.split_at(self.hidden);
        let (w2, b2) = rest.split_at(self.hidden * self.outputs);
        Ok(Parameters {
            w1: DMatrix::from_row_slice(self.hidden, self.inputs, w1),
            b1: DVector::from_column_slice(b1),
            w2: DMatrix::from_row_slice(self.outputs, self.hidden, w2),
            b2: DVector::from_column_slice(b2),
        })
    }
}

impl Parameters {
    fn flat(&self) -> Vec<f64> {
        let (w1, w2) = (self.w1.transpose(), self.w2.transpose()); // row by row
        w1.iter().chain(self.b1.iter()).chain(w2.iter()).chain(self.b2.iter()).copied().collect()
    }
}

/// Loss, gradient, and products of the Hessian and the Gauss–Newton matrix with a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondOrder {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// $\nabla L$.
    pub gradient: Vec<f64>,
    /// $v\cdot\nabla L$.
    pub directional: f64,
    /// $Hv$.
    pub hessian_vector: Vec<f64>,
    /// $J^\top H_L J v$ with the Jacobian $J$ of the logits.
    pub gauss_newton_vector: Vec<f64>,
}

/// All of [`SecondOrder`] for examples `x`, `(n, inputs)`, and their labels.
///
/// # Errors
/// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelOutOfRange`], and [`Error::Dimension`] for another number
/// of parameters or features.
pub fn second_order(
    sizes: Sizes,
    parameters: &[f64],
    v: &[f64],
    x: &DMatrix<f64>,
    labels: &[usize],
) -> Result<SecondOrder, Error> {
    let n = x.nrows();
    if n == 0 {
        return Err(Error::Empty { what: "hvp::second_order" });
    }
    if n != labels.len() {
        return Err(Error::LengthMismatch { examples: n, labels: labels.len() });
    }
    if x.ncols() != sizes.inputs {
        return Err(Error::Dimension { what: "features", got: x.ncols(), want: sizes.inputs });
    }
    let targets = crate::learning::one_hot(labels, sizes.outputs)?;
    let (p, v) = (sizes.split(parameters)?, sizes.split(v)?);
    let add =
        |m: &DMatrix<f64>, b: &DVector<f64>| DMatrix::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)] + b[j]);
    let bias = |delta: &DMatrix<f64>| delta.row_sum_tr();

    // ANCHOR: r_operator
    // Forward: (n, hidden) and (n, outputs); `r_` is the same quantity under R.
    let a = add(&(x * p.w1.transpose()), &p.b1).map(f64::tanh);
    let slope = a.map(|a| 1.0 - a * a);
    let logits = add(&(&a * p.w2.transpose()), &p.b2);
    let r_z1 = add(&(x * v.w1.transpose()), &v.b1);
    let r_a = slope.component_mul(&r_z1);
    let r_logits = add(&(&r_a * p.w2.transpose() + &a * v.w2.transpose()), &v.b2);

    // Backward: δ² = (softmax − target)/n, δ¹ = (δ² W²) ⊙ tanh'(z¹).
    let (probs, loss) = softmax(&logits, &targets);
    let d2 = (&probs - &targets) / n as f64;
    let back = &d2 * &p.w2;
    let d1 = back.component_mul(&slope);
    let r_d2 = r_softmax(&probs, &r_logits) / n as f64;
    let r_slope = a.component_mul(&r_a) * -2.0; // tanh'' R{z} = −2 tanh tanh' R{z}
    let r_d1 = (&r_d2 * &p.w2 + &d2 * &v.w2).component_mul(&slope) + back.component_mul(&r_slope);
    let gradient = Parameters { w1: d1.tr_mul(x), b1: bias(&d1), w2: d2.tr_mul(&a), b2: bias(&d2) };
    let hessian_vector = Parameters {
        w1: r_d1.tr_mul(x),
        b1: bias(&r_d1),
        w2: r_d2.tr_mul(&a) + d2.tr_mul(&r_a),
        b2: bias(&r_d2),
    };
    // ANCHOR_END: r_operator

    // Gauss–Newton: the same backward pass with R{δ²} in place of δ², and no other second derivative.
    let g1 = (&r_d2 * &p.w2).component_mul(&slope);
    let gauss_newton = Parameters { w1: g1.tr_mul(x), b1: bias(&g1), w2: r_d2.tr_mul(&a), b2: bias(&r_d2) };
    let gradient = gradient.flat();
    Ok(SecondOrder {
        loss,
        directional: gradient.iter().zip(v.flat()).map(|(g, v)| g * v).sum(),
        gradient,
        hessian_vector: hessian_vector.flat(),
        gauss_newton_vector: gauss_newton.flat(),
    })
}

/// Probabilities and mean cross-entropy.
fn softmax(logits: &DMatrix<f64>, targets: &DMatrix<f64>) -> (DMatrix<f64>, f64) {
    let mut probs = logits.clone();
    let mut loss = 0.0;
    for (i, mut row) in probs.row_iter_mut().enumerate() {
        let largest = row.max();
        row.apply(|z| *z = (*z - largest).exp());
        let sum = row.sum();
        row /= sum;
        let log_sum = sum.ln() + largest;
        loss -= targets.row(i).iter().zip(logits.row(i).iter()).map(|(y, z)| y * (z - log_sum)).sum::<f64>();
    }
    (probs, loss / logits.nrows() as f64)
}

/// R of softmax: $p \odot (R z - p \cdot Rz)$ row by row.
fn r_softmax(probs: &DMatrix<f64>, r_logits: &DMatrix<f64>) -> DMatrix<f64> {
    let mean: Vec<f64> = (0..probs.nrows()).map(|i| probs.row(i).dot(&r_logits.row(i))).collect();
    DMatrix::from_fn(probs.nrows(), probs.ncols(), |i, j| probs[(i, j)] * (r_logits[(i, j)] - mean[i]))
}
