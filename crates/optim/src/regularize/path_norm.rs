//! The path norm of a rectifier network, and Path-SGD, the descent that does not see how its weights are scaled.
//!
//! $$ \phi_p(w) = \Bigl( \sum_{\text{paths}} \prod_{e \in \text{path}} \lvert w_e \rvert^p \Bigr)^{1/p} $$
//!
//! A rectifier passes positive factors on, $\max(cz, 0) = c \max(z, 0)$: multiply what enters a hidden unit by $c > 0$
//! and divide what leaves it by $c$, and the network computes the same function. $\sum w_e^2$ changes, gradients change,
//! $\phi_p$ does not. Path-SGD (for $p = 2$) divides each derivative by the share of its edge in $\phi_2^2$:
//!
//! $$ w_e \leftarrow w_e - \frac{\eta}{\gamma_e} \frac{\partial L}{\partial w_e}, \qquad
//!    \gamma_{u \to v} = \gamma_\text{in}(u)\, \gamma_\text{out}(v) $$
//!
//! with $\gamma_\text{in}(u) = \sum_{\text{paths to } u} \prod w^2$ and $\gamma_\text{out}(v)$ the same from $v$ to the
//! outputs. Both take one pass over the squared weights. A bias is an edge from a unit that is always 1.
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $W^l$ | `weights[l]` | `(outputs, inputs)` of layer $l$ |
//! | $\phi_p$ | [`path_norm`] | 1 |
//! | $\gamma$ | [`path_gammas`] | as the weights |
//!
//! **Use it** for fully connected rectifier networks. **Not** with normalisation or weight sharing: edges that share a
//! weight share paths too.
//! **Papers**: Neyshabur, Tomioka & Srebro (2015), Norm-based capacity control, arXiv 1503.00036 ($\phi_p$); Neyshabur,
//! Salakhutdinov & Srebro (2015), Path-SGD, arXiv 1506.02617 (the step).
//! **Deviation**: where $\gamma_e$ is 0 no path runs through the edge, so its derivative is 0, and it is left alone.
//! **Complexity**: each a few passes over the weights.
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::Gradients;
use kernels::{Device, Real};
use layers::params::{self, DeviceError};
use layers::{Step, StepError, StepReport, StepState};
use nalgebra::{DMatrix, DVector};

use crate::Error;

/// The sizes of neighbouring layers must agree.
fn check(weights: &[DMatrix<f64>]) -> Result<(), Error> {
    if weights.is_empty() {
        return Err(Error::Empty { what: "a path norm (weight matrices)" });
    }
    for (l, pair) in weights.windows(2).enumerate() {
        if pair[0].nrows() != pair[1].ncols() {
            return Err(Error::NotAChain { layer: l + 1, outputs: pair[0].nrows(), inputs: pair[1].ncols() });
        }
    }
    Ok(())
}

// ANCHOR: path_norm
/// $\phi_p$ of the network with these weight matrices and no biases, by passing ones through $\lvert W\rvert^p$.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::regularize::path_norm::path_norm;
/// // Two paths from one input to one output: 1 · 3 and 2 · 4.
/// let weights = [dmatrix![1.0; 2.0], dmatrix![3.0, -4.0]];
/// assert_eq!(path_norm(&weights, 1.0)?, 3.0 + 8.0);
/// assert_eq!(path_norm(&weights, 2.0)?, (9.0_f64 + 64.0).sqrt());
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::Empty`] without a matrix, [`Error::NotAChain`] when sizes do not fit, [`Error::InvalidHyper`] unless `p` is
/// finite and at least 1.
pub fn path_norm(weights: &[DMatrix<f64>], p: f64) -> Result<f64, Error> {
    check(weights)?;
    if !(p.is_finite() && p >= 1.0) {
        return Err(Error::InvalidHyper { name: "p", rule: "finite and at least 1", value: p });
    }
    let mut paths = DVector::repeat(weights[0].ncols(), 1.0);
    for w in weights {
        paths = w.map(|w| w.abs().powf(p)) * paths;
    }
    Ok(paths.sum().powf(1.0 / p))
}
// ANCHOR_END: path_norm

// ANCHOR: gammas
/// $\gamma_e$ for $p = 2$, as matrices of the weights' shapes.
///
/// # Errors
/// [`Error::Empty`] without a matrix, [`Error::NotAChain`] when sizes do not fit.
pub fn path_gammas(weights: &[DMatrix<f64>]) -> Result<Vec<DMatrix<f64>>, Error> {
    check(weights)?;
    let no_biases = vec![None; weights.len()];
    Ok(gammas(weights, &no_biases).into_iter().map(|(weight, _)| weight).collect())
}

/// $\gamma$ of the weights and of the biases of each layer.
fn gammas(weights: &[DMatrix<f64>], biases: &[Option<DVector<f64>>]) -> Vec<(DMatrix<f64>, DVector<f64>)> {
    let square = |w: &DMatrix<f64>| w.map(|w| w * w);
    let mut into = vec![DVector::repeat(weights[0].ncols(), 1.0)]; // gamma_in of each layer's inputs
    for (w, b) in weights.iter().zip(biases) {
        let mut sum = square(w) * &into[into.len() - 1];
        if let Some(b) = b {
            sum += b.map(|b| b * b);
        }
        into.push(sum);
    }
    let mut out = DVector::repeat(weights[weights.len() - 1].nrows(), 1.0); // gamma_out of its outputs
    let mut gammas = Vec::new();
    for (w, into) in weights.iter().zip(&into).rev() {
        let next = square(w).transpose() * &out;
        gammas.push((&out * into.transpose(), out));
        out = next;
    }
    gammas.reverse();
    gammas
}
// ANCHOR_END: gammas

/// Rescales the hidden units of a rectifier network without biases so that $\sum w^2$ is as small as it gets for the
/// function computed: what enters each unit is then as large as what leaves it.
///
/// One pass makes each unit's factor $\sqrt{\lVert\text{out}\rVert / \lVert\text{in}\rVert}$; passes go on until no
/// factor differs from 1 by more than 1e-12, at most 10 000 (units without an entering or leaving weight stay).
///
/// # Errors
/// [`Error::Empty`] without a matrix, [`Error::NotAChain`] when sizes do not fit.
pub fn balance(weights: &mut [DMatrix<f64>]) -> Result<(), Error> {
    check(weights)?;
    for _ in 0..10_000 {
        let mut largest = 0.0_f64;
        for l in 1..weights.len() {
            for unit in 0..weights[l].ncols() {
                let (into, out) = (weights[l - 1].row(unit).norm(), weights[l].column(unit).norm());
                if into > 0.0 && out > 0.0 {
                    let factor = (out / into).sqrt();
                    rescale(weights, l, unit, factor);
                    largest = largest.max((factor - 1.0).abs());
                }
            }
        }
        if largest < 1e-12 {
            break;
        }
    }
    Ok(())
}

/// Multiplies what enters hidden unit `unit` of layer `layer` (the inputs of `weights[layer]`) by `factor`, and divides
/// what leaves it: the function stays the same for `factor` > 0.
///
/// # Panics
/// When there is no such unit.
pub fn rescale(weights: &mut [DMatrix<f64>], layer: usize, unit: usize, factor: f64) {
    weights[layer - 1].row_mut(unit).scale_mut(factor);
    weights[layer].column_mut(unit).unscale_mut(factor);
}

/// The weight matrices and biases of a model whose tensors are a chain of fully connected layers.
fn read<M, E, D>(model: &M) -> Result<(Vec<DMatrix<f64>>, Vec<Option<DVector<f64>>>), Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let (mut weights, mut biases) = (Vec::<DMatrix<f64>>::new(), Vec::new());
    let mut refused = None;
    params::visit(model, |parameter, values: &[E]| {
        let values = values.iter().map(|value| value.as_f64());
        match parameter.shape[..] {
            [rows, columns] => {
                weights.push(DMatrix::from_row_iterator(rows, columns, values));
                biases.push(None);
            }
            [rows]
                if weights.last().is_some_and(|w| w.nrows() == rows)
                    && biases[biases.len() - 1].is_none() =>
            {
                let last = biases.len() - 1;
                biases[last] = Some(DVector::from_iterator(rows, values));
            }
            _ => {
                refused.get_or_insert_with(|| Error::NotDense {
                    path: parameter.name.clone(),
                    shape: parameter.shape.clone(),
                });
            }
        }
    });
    match refused {
        Some(error) => Err(error),
        None => check(&weights).map(|()| (weights, biases)),
    }
}

/// The weight matrices of a dfdx model of fully connected layers, rows = outputs, in f64; biases are left out.
///
/// # Errors
/// [`Error::NotDense`] for a tensor of another kind of layer, [`Error::NotAChain`] when sizes do not fit one after the
/// other, [`Error::Empty`] without a layer.
pub fn matrices<M, E, D>(model: &M) -> Result<Vec<DMatrix<f64>>, Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    read(model).map(|(weights, _)| weights)
}

/// Path-SGD for any dfdx model of fully connected rectifier layers.
///
/// ```
/// use layers::{Step, prelude::*};
/// use optim::regularize::path_norm::PathSgd;
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<(Linear<4, 8, Relu>, Linear<8, 1>), f64>();
/// let mut descent = PathSgd::try_new(&model, 0.02)?;
/// let x: Tensor<Rank2<32, 4>, f64, _> = dev.sample_normal();
/// let mut losses = vec![];
/// for _ in 0..100 {
///     let loss = (model.forward(x.leaky_trace()) - 1.0).square().mean();
///     losses.push(loss.array());
///     descent.step(&mut model, &mut loss.backward())?;
/// }
/// assert!(losses[99] < 0.1 * losses[0]);
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PathSgd {
    learning_rate: f64,
    steps: u64,
}

impl PathSgd {
    const NAME: &'static str = "path-sgd";

    /// # Errors
    /// Those of [`matrices`], and [`Error::Step`] unless `learning_rate` is finite and above 0.
    pub fn try_new<M, E, D>(model: &M, learning_rate: f64) -> Result<Self, Error>
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
    {
        matrices(model)?;
        layers::rule::check_learning_rate(learning_rate)?;
        Ok(Self { learning_rate, steps: 0 })
    }
}

impl<M, E, D> Step<M, E, D> for PathSgd
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    // ANCHOR: path_sgd
    fn step(&mut self, model: &mut M, gradients: &mut Gradients<E, D>) -> Result<StepReport, StepError> {
        // The constructor has read a model of this type, so it is a chain.
        let (weights, biases) = read(model).map_err(|error| DeviceError::new(error.to_string()))?;
        let scale: Vec<f64> = gammas(&weights, &biases)
            .iter()
            .zip(&biases)
            .flat_map(|((weight, of_bias), bias)| {
                let weight = weight.transpose(); // row-major order, as the model's
                let of_bias = if bias.is_some() { of_bias.as_slice() } else { &[] };
                weight.iter().chain(of_bias).copied().collect::<Vec<f64>>()
            })
            .collect();
        let derivatives = params::flatten_gradients(model, gradients)?;
        let mut flat = params::flatten(model);
        for ((w, g), gamma) in flat.iter_mut().zip(derivatives).zip(scale) {
            if gamma > 0.0 {
                *w -= E::of(self.learning_rate / gamma * g.as_f64());
            }
        }
        params::unflatten(model, &flat).map_err(DeviceError::new)?;
        self.steps += 1;
        Ok(StepReport::new(self.learning_rate))
    }
    // ANCHOR_END: path_sgd

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), StepError> {
        let is_legal = learning_rate.is_finite() && learning_rate >= 0.0;
        layers::step::check_hyperparameter("learning_rate", learning_rate, "finite, not negative", is_legal)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn state(&self) -> Result<StepState, StepError> {
        Ok(StepState {
            rule: Self::NAME.to_owned(),
            step: self.steps,
            learning_rate: self.learning_rate,
            ..StepState::default()
        })
    }

    fn load_state(&mut self, state: &StepState) -> Result<(), StepError> {
        state.check(Self::NAME, &std::collections::BTreeMap::new(), [])?;
        (self.learning_rate, self.steps) = (state.learning_rate, state.step);
        Ok(())
    }
}
