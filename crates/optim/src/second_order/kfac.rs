//! K-FAC: natural gradient descent with a Kronecker product for the curvature of each layer (lecture 8.6).
//!
//! For a layer $z = W\bar a$ with $\bar a = (a, 1)$ and the error $\delta = \partial\bigl(-\ln p(y \mid x)\bigr)/\partial z$,
//! the Fisher matrix of its weights, stacked by columns, and its approximation are
//!
//! $$ F = \mathbb E\bigl[\bar a \bar a^\top \otimes \delta\delta^\top\bigr] \;\approx\;
//!    A \otimes G, \qquad A = \mathbb E[\bar a \bar a^\top], \quad G = \mathbb E[\delta\delta^\top] , $$
//!
//! $$ (A \otimes G)^{-1} \operatorname{vec}(\nabla) = \operatorname{vec}\bigl(G^{-1}\, \nabla\, A^{-1}\bigr) . $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $A$ | [`Factors::inputs`] | `(I + 1, I + 1)`, the last row and column for the bias |
//! | $G$ | [`Factors::errors`] | `(O, O)` |
//! | $\nabla$ | `gradient` | `(O, I + 1)`, the bias in the last column |
//! | $\lambda$ | [`KfacConfig::damping`] | 1 |
//! | $\pi$ | balance of the damping | $\sqrt{\operatorname{tr}A/\dim A \,/\, (\operatorname{tr}G/\dim G)}$ |
//! | $\epsilon$ | [`KfacConfig::decay`] | share of the old factors that is kept |
//!
//! The expectation is over inputs *and over labels that the model itself would give* ([`Labels`]), not over the labels of
//! the data: with those the second moment is the empirical Fisher matrix, which is no curvature.
//!
//! **Exact** when $\bar a$ and $\delta$ are independent: for a single example, and for softmax regression at weight 0.
//! **Use it** for fully connected networks of some hundred units in a layer. **Not** for wide layers: each refresh solves
//! systems of their width, in cubic time.
//!
//! **Paper**: Martens & Grosse (2015), Optimizing neural networks with Kronecker-factored approximate curvature, arXiv
//! 1503.05671: factored Tikhonov damping (section 6.3), running averages (section 5).
//! **Deviations**: blocks between layers are left out (their "block diagonal" form); the length of a step is bounded by
//! the change of the model's distribution that the factors predict, as later implementations do (Ba, Grosse & Martens
//! 2017), and not found from a second exact quadratic form, so that a step costs two gradients; no momentum.
//!
//! ```
//! use dfdx::prelude::*;
//! use kernels::{Tanh, random::Key};
//! use optim::chain::{Chain, glorot};
//! use optim::second_order::kfac::{Kfac, KfacConfig};
//!
//! let dev = Cpu::default();
//! let mut net = Chain::<f64, Cpu>::new(&dev, &[2, 8, 2], Tanh, glorot, Key::new(0))?;
//! let x: Tensor<(usize, usize), f64, _> = Key::new(1).normal(&dev, (64, 2));
//! let labels: Vec<usize> = x.as_vec().chunks(2).map(|p| usize::from(p[0] * p[1] > 0.0)).collect();
//! let mut kfac = Kfac::try_new(KfacConfig::default())?;
//! let first = kfac.step(&mut net, &x, &labels, Key::new(2))?.loss;
//! for step in 0..40 {
//!     kfac.step(&mut net, &x, &labels, Key::new(3).fold(step))?;
//! }
//! let last = kfac.step(&mut net, &x, &labels, Key::new(4))?.loss;
//! assert!(last < 0.2 * first);
//! # Ok::<(), optim::Error>(())
//! ```
use dfdx::prelude::{Backward, Gradients, HasShape, Module, Tensor, Trace, TryAdd};
use kernels::random::Key;
use kernels::{Device, Real, try_cross_entropy_mean};
use layers::params::DeviceError;
use nalgebra::DMatrix;

use super::check;
use crate::Error;
use crate::calibration::probabilities;
use crate::chain::{Batch, Chain};

/// Whose labels the second moment of the errors is taken over.
#[derive(Clone, Copy, Debug)]
pub enum Labels {
    /// The expectation over the model's own labels, exactly: one pass back for each class.
    Expected,
    /// One label for each example, drawn from the model: one pass back, and the paper's choice.
    Drawn(Key),
}

/// The curvature of one layer as a Kronecker product.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// $A = \mathbb E[\bar a\bar a^\top]$, `(I + 1, I + 1)`.
    pub inputs: DMatrix<f64>,
    /// $G = \mathbb E[\delta\delta^\top]$, `(O, O)`.
    pub errors: DMatrix<f64>,
}

impl Factors {
    /// $A \otimes G$, `(O (I + 1), O (I + 1))`: what the factors stand for, for weights stacked by columns. To look at,
    /// not to compute with.
    pub fn block(&self) -> DMatrix<f64> {
        self.inputs.kronecker(&self.errors)
    }

    // ANCHOR: precondition
    /// $(G + \tfrac{\sqrt\lambda}{\pi} I)^{-1}\, \nabla\, (A + \pi\sqrt\lambda\, I)^{-1}$, `(O, I + 1)` as the gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] for another gradient, [`Error::InvalidHyper`] unless the damping is finite and not negative,
    /// [`Error::Singular`] without damping where a factor has no inverse (that of softmax's votes never has one).
    pub fn precondition(&self, gradient: &DMatrix<f64>, damping: f64) -> Result<DMatrix<f64>, Error> {
        let want = (self.errors.nrows(), self.inputs.nrows());
        if gradient.shape() != want {
            return Err(Error::Shape { what: "the gradient of a layer", got: gradient.shape(), want });
        }
        check("damping", "finite and not negative", damping, damping >= 0.0 && damping.is_finite())?;
        let mean = |factor: &DMatrix<f64>| factor.trace() / factor.nrows() as f64;
        let ratio = (mean(&self.inputs) / mean(&self.errors)).sqrt();
        let balance = if ratio > 0.0 && ratio.is_finite() { ratio } else { 1.0 };
        let solved = |factor: &DMatrix<f64>, shift: f64, right: &DMatrix<f64>| {
            let size = factor.nrows();
            let damped = factor + DMatrix::identity(size, size) * shift;
            let factored = damped.cholesky().ok_or(Error::Singular { what: "a Kronecker factor" })?;
            Ok::<_, Error>(factored.solve(right))
        };
        let left = solved(&self.errors, damping.sqrt() / balance, gradient)?;
        Ok(solved(&self.inputs, damping.sqrt() * balance, &left.transpose())?.transpose())
    }
    // ANCHOR_END: precondition

    /// `share` of these and the rest of `new`.
    fn mix(&mut self, new: &Self, share: f64) {
        self.inputs = &self.inputs * share + &new.inputs * (1.0 - share);
        self.errors = &self.errors * share + &new.errors * (1.0 - share);
    }
}

// ANCHOR: factors
/// The factors of every layer of a classifier with softmax and cross-entropy, from the inputs `x`, `(B, I)`.
///
/// # Errors
/// [`Error::Empty`] without examples, [`Error::Dimension`] for inputs of another width, those of the device and of the
/// loss.
pub fn factors<E: Real, D: Device<E>>(
    chain: &Chain<E, D>,
    x: &Batch<E, D>,
    labels: Labels,
) -> Result<Vec<Factors>, Error> {
    let first = pass(chain, x, None)?;
    let (n, classes) = first.votes.shape();
    let votes = first.votes.transpose(); // column-major, so its values are those of `(n, classes)` row by row
    let probs = probabilities(votes.as_slice(), classes, 1.0)?;
    let inputs: Vec<DMatrix<f64>> = first.inputs.iter().map(|rows| rows.tr_mul(rows) / n as f64).collect();
    let mut errors: Vec<DMatrix<f64>> =
        chain.layers.iter().map(|layer| DMatrix::zeros(layer.bias.shape().0, layer.bias.shape().0)).collect();
    let mut add = |labels: &[usize], weight: &dyn Fn(usize) -> f64| -> Result<(), Error> {
        for (sum, delta) in errors.iter_mut().zip(pass(chain, x, Some(labels))?.errors) {
            let weighted = DMatrix::from_fn(n, delta.ncols(), |i, j| weight(i) * delta[(i, j)]);
            *sum += weighted.tr_mul(&delta) / n as f64;
        }
        Ok(())
    };
    match labels {
        Labels::Expected => {
            for class in 0..classes {
                add(&vec![class; n], &|i| probs[i * classes + class])?;
            }
        }
        Labels::Drawn(key) => add(&draw(&probs, classes, key), &|_| 1.0)?,
    }
    Ok(inputs.into_iter().zip(errors).map(|(inputs, errors)| Factors { inputs, errors }).collect())
}
// ANCHOR_END: factors

/// One class for each row of `probs`.
fn draw(probs: &[f64], classes: usize, key: Key) -> Vec<usize> {
    let mut uniform = vec![0.0_f64; probs.len() / classes];
    key.fill_uniform(&mut uniform);
    let one = |(row, u): (&[f64], f64)| {
        let mut below = 0.0;
        let passed = row.iter().take_while(|p| {
            below += **p;
            below <= u
        });
        passed.count().min(classes - 1)
    };
    probs.chunks(classes).zip(uniform).map(one).collect()
}

/// What a pass through a chain leaves behind, one row for each example.
struct Pass {
    /// $\bar a$ of each layer, `(B, I + 1)`.
    inputs: Vec<DMatrix<f64>>,
    /// `(B, C)`.
    votes: DMatrix<f64>,
    /// $\delta$ of each layer, `(B, O)`; none without labels.
    errors: Vec<DMatrix<f64>>,
}

/// Forward, and back from the sum of the losses when there are labels.
fn pass<E: Real, D: Device<E>>(
    chain: &Chain<E, D>,
    x: &Batch<E, D>,
    labels: Option<&[usize]>,
) -> Result<Pass, Error> {
    let (n, features) = *x.shape();
    if n == 0 {
        return Err(Error::Empty { what: "kfac::factors" });
    }
    let want = chain.layers[0].weight.shape().1;
    if features != want {
        return Err(Error::Dimension { what: "features", got: features, want });
    }
    let device = |error: D::Err| DeviceError::new(error);
    let rows = |values: Vec<E>| -> DMatrix<f64> {
        let columns = values.len() / n;
        DMatrix::from_row_iterator(n, columns, values.into_iter().map(Real::as_f64))
    };
    let mut inputs = Vec::new();
    let mut probes = Vec::new();
    let mut a = x.leaky_trace();
    for (l, layer) in chain.layers.iter().enumerate() {
        let values = rows(a.as_vec());
        let behind = values.ncols();
        inputs.push(values.insert_column(behind, 1.0)); // ones for the bias
        // The gradient of a zero that is added to z is δ.
        let probe: Batch<E, D> = x.device().try_zeros_like(&(n, layer.bias.shape().0)).map_err(device)?;
        let z = layer.try_forward(a).map_err(device)?.try_add(probe.clone()).map_err(device)?;
        probes.push(probe);
        let is_last = l + 1 == chain.layers.len();
        a = if is_last { z } else { kernels::try_activate(z, chain.activation).map_err(device)? };
    }
    let votes = rows(a.as_vec());
    let mut errors = Vec::new();
    if let Some(labels) = labels {
        let gradients = try_cross_entropy_mean(a, labels)?.try_backward().map_err(device)?;
        // Times n: the loss is a mean over examples, δ belongs to one of them.
        errors = probes.iter().map(|probe| rows(gradients.get(probe).as_vec()) * n as f64).collect();
    }
    Ok(Pass { inputs, votes, errors })
}

/// Hyperparameters of [`Kfac`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KfacConfig {
    /// Longest step along the natural gradient, above 0. Default 1.
    pub learning_rate: f64,
    /// $\lambda$, above 0. Default 0.01.
    pub damping: f64,
    /// $\epsilon$ in \[0, 1): share of the old factors that is kept; the first steps average. Default 0.95, the paper's.
    pub decay: f64,
    /// A step may change the model's distribution by this much, as the factors see it, in nats; above 0. Default 0.01.
    pub trust: f64,
}

impl Default for KfacConfig {
    fn default() -> Self {
        Self { learning_rate: 1.0, damping: 0.01, decay: 0.95, trust: 0.01 }
    }
}

/// What a step of [`Kfac`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KfacStep {
    /// Mean cross-entropy of the batch before the step, in nats.
    pub loss: f64,
    /// The share of the natural gradient that was walked, at most the learning rate.
    pub scale: f64,
}

/// Natural gradient descent of a [`Chain`] with softmax and cross-entropy; see the [module](self).
#[derive(Clone, Debug)]
pub struct Kfac {
    config: KfacConfig,
    factors: Vec<Factors>,
    steps: u64,
}

impl Kfac {
    /// With no factors as yet.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] naming the field.
    pub fn try_new(config: KfacConfig) -> Result<Self, Error> {
        let KfacConfig { learning_rate, damping, decay, trust } = config;
        for (name, value) in [("learning_rate", learning_rate), ("damping", damping), ("trust", trust)] {
            check(name, "finite and above 0", value, value > 0.0 && value.is_finite())?;
        }
        check("decay", "0 <= decay < 1", decay, (0.0..1.0).contains(&decay))?;
        Ok(Self { config, factors: Vec::new(), steps: 0 })
    }

    /// The running averages, layer by layer; empty before the first step.
    pub fn factors(&self) -> &[Factors] {
        &self.factors
    }

    // ANCHOR: step
    /// One step on the batch `x`, `(B, I)`; `key` draws the model's labels.
    ///
    /// # Errors
    /// Those of [`factors`] and of the loss; [`Error::LengthMismatch`] for labels of another number,
    /// [`Error::Dimension`] for a chain with other layers than in the step before,
    /// [`Error::NotFiniteMatrix`] when a gradient is not finite. The chain is as before after an error.
    pub fn step<E: Real, D: Device<E>>(
        &mut self,
        chain: &mut Chain<E, D>,
        x: &Batch<E, D>,
        labels: &[usize],
        key: Key,
    ) -> Result<KfacStep, Error> {
        let fresh = factors(chain, x, Labels::Drawn(key))?;
        let (loss, gradients) = gradient(chain, x, labels)?;
        let kept = self.config.decay.min(1.0 - 1.0 / (self.steps + 1) as f64);
        let mut factors = if self.factors.is_empty() { fresh.clone() } else { self.factors.clone() };
        if factors.len() != fresh.len() {
            return Err(Error::Dimension { what: "layers", got: fresh.len(), want: factors.len() });
        }
        let (mut directions, mut change) = (Vec::new(), 0.0);
        for ((old, new), gradient) in factors.iter_mut().zip(&fresh).zip(&gradients) {
            if old.inputs.shape() != new.inputs.shape() || old.errors.shape() != new.errors.shape() {
                let (got, want) = (new.inputs.nrows(), old.inputs.nrows());
                return Err(Error::Dimension { what: "inputs of a layer and its bias", got, want });
            }
            old.mix(new, kept);
            let direction = old.precondition(gradient, self.config.damping)?;
            change += direction.dot(gradient); // d'(F + λ)d, and d'Fd/2 is the change in nats
            directions.push(direction);
        }
        if !change.is_finite() {
            return Err(Error::NotFiniteMatrix { what: "the gradient" });
        }
        let scale = self.config.learning_rate.min((2.0 * self.config.trust / change).sqrt());
        for (layer, direction) in chain.layers.iter_mut().zip(&directions) {
            let inputs = direction.ncols() - 1;
            let mut weight = layer.weight.as_vec();
            for (i, w) in weight.iter_mut().enumerate() {
                *w -= E::of(scale * direction[(i / inputs, i % inputs)]);
            }
            let mut bias = layer.bias.as_vec();
            for (o, b) in bias.iter_mut().enumerate() {
                *b -= E::of(scale * direction[(o, inputs)]);
            }
            layer.weight.copy_from(&weight);
            layer.bias.copy_from(&bias);
        }
        self.factors = factors;
        self.steps += 1;
        Ok(KfacStep { loss, scale })
    }
    // ANCHOR_END: step
}

/// Mean cross-entropy and its gradient, layer by layer, `(O, I + 1)`.
fn gradient<E: Real, D: Device<E>>(
    chain: &Chain<E, D>,
    x: &Batch<E, D>,
    labels: &[usize],
) -> Result<(f64, Vec<DMatrix<f64>>), Error> {
    let examples = x.shape().0;
    if labels.len() != examples {
        return Err(Error::LengthMismatch { examples, labels: labels.len() });
    }
    let device = |error: D::Err| DeviceError::new(error);
    let loss = try_cross_entropy_mean(chain.try_forward(x.leaky_trace()).map_err(device)?, labels)?;
    let value = loss.as_vec()[0].as_f64();
    let gradients = loss.try_backward().map_err(device)?;
    let of = |layer: &crate::chain::Dense<E, D>| {
        let (outputs, inputs) = *layer.weight.shape();
        let weight = read(&gradients, &layer.weight);
        let bias = read(&gradients, &layer.bias);
        DMatrix::from_fn(
            outputs,
            inputs + 1,
            |o, i| if i < inputs { weight[o * inputs + i] } else { bias[o] },
        )
    };
    Ok((value, chain.layers.iter().map(of).collect()))
}

fn read<S: dfdx::prelude::Shape, E: Real, D: Device<E>>(
    gradients: &Gradients<E, D>,
    parameter: &Tensor<S, E, D>,
) -> Vec<f64> {
    gradients.get(parameter).as_vec().into_iter().map(Real::as_f64).collect()
}
