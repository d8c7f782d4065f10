//! The network of Nielsen's chapter 1, by hand: sigmoid neurons, quadratic cost, back-propagation, stochastic
//! gradient descent.
//!
//! $$ a^1 = \sigma(W^1 x + b^1), \quad a^2 = \sigma(W^2 a^1 + b^2), \quad
//!    C = \frac{1}{2n} \sum_x \lVert y(x) - a^2 \rVert^2, \quad \sigma(z) = \frac{1}{1 + e^{-z}} $$
//!
//! $$ \delta^2 = (a^2 - y) \odot \sigma'(z^2), \quad \delta^1 = (W^2)^\top \delta^2 \odot \sigma'(z^1), \quad
//!    \frac{\partial C_x}{\partial W^l} = \delta^l (a^{l-1})^\top, \quad
//!    \frac{\partial C_x}{\partial b^l} = \delta^l $$
//!
//! $$ W^l \leftarrow W^l - \frac{\eta}{m} \sum_{x \in \text{minibatch}} \frac{\partial C_x}{\partial W^l} $$
//!
//! | symbol | code | shape | unit, range |
//! |---|---|---|---|
//! | $x$, $y$ | [`Example::x`], [`Example::y`] | `I`, `O` | inputs best in \[0, 1\]; targets in \[0, 1\] |
//! | $W^1$, $b^1$ | [`Network::hidden`] | `(H, I)`, `H` | start: drawn from N(0, 1) |
//! | $W^2$, $b^2$ | [`Network::output`] | `(O, H)`, `O` | start: drawn from N(0, 1) |
//! | $a^l$ | [`Layer::forward`] | `H`, `O` | (0, 1) |
//! | $\delta^l$ | error of a layer, $\partial C_x/\partial z^l$ | `H`, `O` | any real |
//! | $\eta$ | [`SgdConfig::learning_rate`] | 1 | > 0; 3 |
//! | $m$ | [`SgdConfig::batch_size`] | 1 | ≥ 1; 10 |
//! | $n$ | number of examples | 1 | |
//!
//! **Use it** to read how learning works: every formula above is one line below. **Not** for work: the same
//! network as a dfdx module is a [`SigmoidNet`], trained by the kernels of all later lectures to the same weights.
//!
//! [`Network::descend`] trains it with what his chapter 3 adds: cross-entropy, a penalty on the weights, momentum, and a
//! learning rate that is halved.
//!
//! **Source**: Nielsen (2015), Neural Networks and Deep Learning, ch. 1 and 2.
//!
//! **Deviations**: one hidden layer, as in all of his experiments of chapter 1, so that shapes are checked by the
//! compiler; σ in two branches, so that $e^{-z}$ cannot overflow. All in f64, because its gradients are compared
//! with finite differences and with dfdx's tape. The N(0, 1) start, which saturates neurons with many inputs, is
//! his and kept.
//!
//! ```
//! use nalgebra::vector;
//! use optim::nielsen::{Example, Network, SgdConfig};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! let xor = [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]];
//! let train = xor.map(|[a, b, y]| Example { x: vector![a, b], y: vector![y] });
//! let mut rng = StdRng::seed_from_u64(1);
//! let mut network = Network::<2, 2, 1>::new(&mut rng);
//! let config = SgdConfig::default().epochs(2000).batch_size(4);
//! let before = network.cost(&train)?;
//! network.sgd(&train, config, &mut rng, |_| std::ops::ControlFlow::Continue(()))?;
//! assert!(network.cost(&train)? < before / 5.0);
//! # Ok::<(), optim::Error>(())
//! ```
mod improved;
mod twin;

pub use improved::{Cost, Decay, Descended, DescentConfig, Halving};
pub use twin::{DigitNet, SigmoidModel, SigmoidNet, quadratic_cost};

use std::ops::ControlFlow;

use nalgebra::{Const, Dyn, OMatrix, SVector};
use rand::{Rng, seq::SliceRandom};
use rand_distr::StandardNormal;

use crate::Error;

/// An input and the output that the network should give for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example<const I: usize, const O: usize> {
    /// The input, `I` values.
    pub x: SVector<f64, I>,
    /// The target, `O` values in \[0, 1\].
    pub y: SVector<f64, O>,
}

impl<const I: usize, const O: usize> Example<I, O> {
    /// The example of class `label`: its target is 1 at `label` and 0 elsewhere.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`] (with index 0) unless `label < O`.
    pub fn labelled(x: SVector<f64, I>, label: usize) -> Result<Self, Error> {
        if label >= O {
            return Err(Error::LabelOutOfRange { index: 0, label, classes: O });
        }
        let y = SVector::from_fn(|class, _| f64::from(u8::from(class == label)));
        Ok(Self { x, y })
    }

    /// The class of the example: the position of the largest target.
    pub fn label(&self) -> usize {
        self.y.imax()
    }
}

// ANCHOR: sigmoid
/// $\sigma(z) = 1/(1 + e^{-z})$, without overflow for any `z`.
///
/// ```
/// use optim::nielsen::sigmoid;
/// assert_eq!((sigmoid(0.0), sigmoid(1e4), sigmoid(-1e4)), (0.5, 1.0, 0.0));
/// ```
pub fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let exp = z.exp(); // in (0, 1): e^{-z} would overflow below z = -709
        exp / (1.0 + exp)
    }
}
// ANCHOR_END: sigmoid

/// `O` sigmoid neurons that read `I` inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer<const I: usize, const O: usize> {
    weights: OMatrix<f64, Const<O>, Dyn>, // (O, I); on the heap, since it may be large, and always with I columns
    biases: SVector<f64, O>,
}

impl<const I: usize, const O: usize> Layer<I, O> {
    /// The layer with weight `weight(j, k)` from input `k` to neuron `j`, called column by column (`j` runs
    /// fastest), and then bias `bias(j)` of neuron `j`.
    pub fn from_fn(weight: impl FnMut(usize, usize) -> f64, mut bias: impl FnMut(usize) -> f64) -> Self {
        let weights = OMatrix::from_fn_generic(Const::<O>, Dyn(I), weight);
        Self { weights, biases: SVector::from_fn(|j, _| bias(j)) }
    }

    fn zeros() -> Self {
        Self::from_fn(|_, _| 0.0, |_| 0.0)
    }

    fn standard_normal<R: Rng + ?Sized>(rng: &mut R) -> Self {
        let mut layer = Self::zeros();
        layer.parameters_mut().for_each(|value| *value = rng.sample(StandardNormal));
        layer
    }

    /// $W$, `(O, I)`: row `j` holds the weights of neuron `j`.
    pub fn weights(&self) -> &OMatrix<f64, Const<O>, Dyn> {
        &self.weights
    }

    /// $b$, `O`.
    pub fn biases(&self) -> &SVector<f64, O> {
        &self.biases
    }

    /// All weights, column by column, then all biases.
    pub fn parameters(&self) -> impl Iterator<Item = &f64> {
        self.weights.iter().chain(&self.biases)
    }

    /// [`parameters`](Self::parameters), to be changed.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.weights.iter_mut().chain(&mut self.biases)
    }

    // ANCHOR: layer
    /// $\sigma(W x + b)$: what the `O` neurons answer to `x`.
    pub fn forward(&self, x: &SVector<f64, I>) -> SVector<f64, O> {
        (&self.weights * x + self.biases).map(sigmoid)
    }
    // ANCHOR_END: layer

    /// Adds $\delta x^\top$ to the weights and $\delta$ to the biases.
    fn add_outer(&mut self, delta: &SVector<f64, O>, x: &SVector<f64, I>) {
        self.weights.ger(1.0, delta, x, 1.0);
        self.biases += delta;
    }

    fn descend(&mut self, step: f64, gradient: &Self) {
        self.weights.zip_apply(&gradient.weights, |w, g| *w -= step * g);
        self.biases.axpy(-step, &gradient.biases, 1.0);
    }
}

/// A network of `I` inputs, `H` hidden and `O` output neurons.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<const I: usize, const H: usize, const O: usize> {
    hidden: Layer<I, H>,
    output: Layer<H, O>,
}

/// The derivative of a cost with respect to every parameter of a [`Network`] of the same shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient<const I: usize, const H: usize, const O: usize> {
    hidden: Layer<I, H>,
    output: Layer<H, O>,
}

impl<const I: usize, const H: usize, const O: usize> Gradient<I, H, O> {
    /// All derivatives zero: where a sum over examples starts.
    pub fn zeros() -> Self {
        Self { hidden: Layer::zeros(), output: Layer::zeros() }
    }

    /// With respect to $W^1$, $b^1$.
    pub fn hidden(&self) -> &Layer<I, H> {
        &self.hidden
    }

    /// With respect to $W^2$, $b^2$.
    pub fn output(&self) -> &Layer<H, O> {
        &self.output
    }

    /// In the order of [`Network::parameters`].
    pub fn parameters(&self) -> impl Iterator<Item = &f64> {
        self.hidden.parameters().chain(self.output.parameters())
    }
}

/// How [`Network::sgd`] trains; the defaults are Nielsen's.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SgdConfig {
    /// Passes over the data, at least 1; default 30.
    pub epochs: usize,
    /// $m$, examples in a minibatch, at least 1; default 10. The last one of an epoch may be smaller.
    pub batch_size: usize,
    /// $\eta$, > 0 and finite; default 3.
    pub learning_rate: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { epochs: 30, batch_size: 10, learning_rate: 3.0 }
    }
}

impl SgdConfig {
    /// The configuration with another number of passes.
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// The configuration with another size of minibatches.
    pub fn batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// The configuration with another learning rate.
    pub fn learning_rate(self, learning_rate: f64) -> Self {
        Self { learning_rate, ..self }
    }

    /// The configuration itself if every field is in its range.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] naming the field.
    pub fn check(self) -> Result<Self, Error> {
        let at_least_one = |name, value: usize| match value {
            0 => Err(Error::InvalidHyper { name, rule: "at least 1", value: 0.0 }),
            _ => Ok(()),
        };
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        check_learning_rate(self.learning_rate)?;
        Ok(self)
    }
}

fn check_learning_rate(value: f64) -> Result<(), Error> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::InvalidHyper {
        name: "learning_rate",
        rule: "positive and finite; 3 is Nielsen's choice",
        value,
    })
}

/// What the monitor of [`Network::sgd`] sees after each epoch.
#[derive(Debug)]
#[non_exhaustive]
pub struct Epoch<'a, const I: usize, const H: usize, const O: usize> {
    /// Passes made, from 1.
    pub number: usize,
    /// The network as it is now.
    pub network: &'a Network<I, H, O>,
}

/// How often each class was taken for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion<const O: usize> {
    counts: [[usize; O]; O],
}

impl<const O: usize> Confusion<O> {
    /// Row = true class, column = predicted class.
    pub fn counts(&self) -> &[[usize; O]; O] {
        &self.counts
    }

    /// The share of examples on the diagonal, in \[0, 1\].
    pub fn accuracy(&self) -> f64 {
        let right: usize = (0..O).map(|class| self.counts[class][class]).sum();
        right as f64 / self.counts.as_flattened().iter().sum::<usize>() as f64
    }
}

impl<const I: usize, const H: usize, const O: usize> Network<I, H, O> {
    /// All weights and biases drawn from N(0, 1), as Nielsen does in chapter 1, in the order of
    /// [`parameters`](Self::parameters).
    pub fn new<R: Rng + ?Sized>(rng: &mut R) -> Self {
        Self { hidden: Layer::standard_normal(rng), output: Layer::standard_normal(rng) }
    }

    /// The network of these two layers.
    pub fn from_layers(hidden: Layer<I, H>, output: Layer<H, O>) -> Self {
        Self { hidden, output }
    }

    /// $W^1$, $b^1$.
    pub fn hidden(&self) -> &Layer<I, H> {
        &self.hidden
    }

    /// $W^2$, $b^2$.
    pub fn output(&self) -> &Layer<H, O> {
        &self.output
    }

    /// $W^1$ column by column, $b^1$, $W^2$ column by column, $b^2$.
    pub fn parameters(&self) -> impl Iterator<Item = &f64> {
        self.hidden.parameters().chain(self.output.parameters())
    }

    /// [`parameters`](Self::parameters), to be changed.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.hidden.parameters_mut().chain(self.output.parameters_mut())
    }

    // ANCHOR: feedforward
    /// $a^2$, the outputs of the network for input `x`, each in (0, 1).
    pub fn feedforward(&self, x: &SVector<f64, I>) -> SVector<f64, O> {
        let hidden = self.hidden.forward(x); // (H)
        self.output.forward(&hidden) // (O)
    }
    // ANCHOR_END: feedforward

    /// The class whose output is largest, in `0..O`.
    pub fn predict(&self, x: &SVector<f64, I>) -> usize {
        self.feedforward(x).imax()
    }

    // ANCHOR: backprop
    /// Adds the gradient of $C_x = \tfrac12 \lVert y - a^2 \rVert^2$ at one example to `sum`.
    pub fn backprop(&self, example: &Example<I, O>, sum: &mut Gradient<I, H, O>) {
        let hidden = self.hidden.forward(&example.x); // (H)
        let output = self.output.forward(&hidden); // (O)
        let slope = |a: f64| a * (1.0 - a); // σ'(z), given a = σ(z)
        let delta_output = (output - example.y).component_mul(&output.map(slope)); // (O)
        let back = self.output.weights.tr_mul(&delta_output); // (H)
        let delta_hidden = SVector::from_fn(|j, _| back[j] * slope(hidden[j])); // (H)
        sum.output.add_outer(&delta_output, &hidden);
        sum.hidden.add_outer(&delta_hidden, &example.x);
    }
    // ANCHOR_END: backprop

    // ANCHOR: update
    /// One step of gradient descent on the mean of $C_x$ over a minibatch.
    ///
    /// # Errors
    /// [`Error::Empty`] for an empty minibatch, [`Error::InvalidHyper`] for the learning rate.
    pub fn update_mini_batch<'a>(
        &mut self,
        batch: impl IntoIterator<Item = &'a Example<I, O>>,
        learning_rate: f64,
    ) -> Result<(), Error> {
        check_learning_rate(learning_rate)?;
        let (mut sum, mut m) = (Gradient::zeros(), 0);
        for example in batch {
            self.backprop(example, &mut sum);
            m += 1;
        }
        if m == 0 {
            return Err(Error::Empty { what: "Network::update_mini_batch" });
        }
        let step = learning_rate / f64::from(m); // the mean over the minibatch, not the sum
        self.hidden.descend(step, &sum.hidden);
        self.output.descend(step, &sum.output);
        Ok(())
    }
    // ANCHOR_END: update

    // ANCHOR: sgd
    /// Stochastic gradient descent: each epoch shuffles the examples and cuts them into minibatches. `monitor`
    /// is called after each epoch and may stop the training.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::FeatureNotFinite`], [`Error::InvalidHyper`]; [`Error::NonFinite`] when a
    /// parameter overflows.
    pub fn sgd<R: Rng + ?Sized>(
        &mut self,
        train: &[Example<I, O>],
        config: SgdConfig,
        rng: &mut R,
        mut monitor: impl FnMut(Epoch<'_, I, H, O>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let config = config.check()?;
        check_examples("Network::sgd", train)?;
        let mut order: Vec<&Example<I, O>> = train.iter().collect();
        for number in 1..=config.epochs {
            order.shuffle(rng);
            for batch in order.chunks(config.batch_size) {
                self.update_mini_batch(batch.iter().copied(), config.learning_rate)?;
            }
            self.check_finite(number * train.len().div_ceil(config.batch_size))?;
            if monitor(Epoch { number, network: self }).is_break() {
                break;
            }
        }
        Ok(())
    }
    // ANCHOR_END: sgd

    /// $C = \frac{1}{2n}\sum_x \lVert y - a^2 \rVert^2$.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::FeatureNotFinite`].
    pub fn cost(&self, data: &[Example<I, O>]) -> Result<f64, Error> {
        check_examples("Network::cost", data)?;
        let sum: f64 = data.iter().map(|e| (self.feedforward(&e.x) - e.y).norm_squared()).sum();
        Ok(sum / (2.0 * data.len() as f64))
    }

    /// Which classes are taken for which.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::FeatureNotFinite`].
    pub fn confusion(&self, data: &[Example<I, O>]) -> Result<Confusion<O>, Error> {
        check_examples("Network::confusion", data)?;
        let mut counts = [[0; O]; O];
        for example in data {
            counts[example.label()][self.predict(&example.x)] += 1;
        }
        Ok(Confusion { counts })
    }

    /// The share of examples whose class is predicted, in \[0, 1\].
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::FeatureNotFinite`].
    pub fn evaluate(&self, data: &[Example<I, O>]) -> Result<f64, Error> {
        Ok(self.confusion(data)?.accuracy())
    }

    fn check_finite(&self, step: usize) -> Result<(), Error> {
        let broken = |layer: Option<&f64>, path| match layer {
            Some(&value) => Err(Error::NonFinite { path, step: step as u64, value }),
            None => Ok(()),
        };
        broken(self.hidden.parameters().find(|v| !v.is_finite()), "hidden")?;
        broken(self.output.parameters().find(|v| !v.is_finite()), "output")
    }
}

fn check_examples<const I: usize, const O: usize>(
    what: &'static str,
    data: &[Example<I, O>],
) -> Result<(), Error> {
    if data.is_empty() {
        return Err(Error::Empty { what });
    }
    for (example, e) in data.iter().enumerate() {
        if let Some(feature) = e.x.iter().chain(&e.y).position(|value| !value.is_finite()) {
            let value = *e.x.iter().chain(&e.y).nth(feature).expect("position found it");
            return Err(Error::FeatureNotFinite { example, feature, value });
        }
    }
    Ok(())
}
