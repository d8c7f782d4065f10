//! What Nielsen's chapter 3 changes in the network of chapter 1: another cost, a penalty on the weights, momentum, and a
//! learning rate that is halved while nothing improves.
//!
//! $$ C = C_0 + \begin{cases} \frac{\lambda}{2n} \sum_w w^2 & \text{L2} \\ \frac{\lambda}{n} \sum_w |w| & \text{L1}
//!    \end{cases}, \qquad C_0 = -\frac1n \sum_x \sum_j \bigl[ y_j \ln a_j + (1 - y_j) \ln(1 - a_j) \bigr], \qquad
//!    \delta^2 = a^2 - y $$
//!
//! $$ v \leftarrow \mu v - \eta \nabla C, \qquad w \leftarrow w + v $$
//!
//! The sums over $w$ are over weights alone: a large bias does not make a neuron sensitive to its inputs. $n$ is the number
//! of training examples, also where the gradient is that of a minibatch.
//!
//! | symbol | code |
//! |---|---|
//! | $C_0$ | [`Cost`] |
//! | $\lambda$ | [`Decay`] |
//! | $\mu$ | [`DescentConfig::momentum`]; 0 is plain descent |
//! | $\eta$ | [`SgdConfig::learning_rate`] |
//!
//! His third proposal for the descent, the *Hessian technique* $\Delta w = -\eta H^{-1} \nabla C$, is
//! [`newton_step`](crate::second_order::newton_step), and with products in place of the matrix
//! [`hessian_free`](crate::second_order::hessian_free).
//!
//! **Source**: Nielsen (2015), Neural Networks and Deep Learning, ch. 3.

use std::ops::ControlFlow;

use nalgebra::SVector;
use rand::{Rng, seq::SliceRandom};

use super::{Example, Gradient, Layer, Network, SgdConfig, check_examples, sigmoid};
use crate::Error;
use crate::regularize::penalty::Penalty;
use crate::schedules::{Plateau, PlateauConfig};

/// $C_0$ of one example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// $\frac12 \lVert y - a \rVert^2$, that of chapter 1.
    #[default]
    Quadratic,
    /// $-\sum_j [y_j \ln a_j + (1 - y_j) \ln(1 - a_j)]$: an output that is wrong and certain learns fastest.
    CrossEntropy,
}

impl Cost {
    /// The cost of outputs $\sigma(z)$ for the target `y`, given the votes `z`: finite for every finite vote.
    pub fn value<const O: usize>(self, z: &SVector<f64, O>, y: &SVector<f64, O>) -> f64 {
        let pairs = z.iter().zip(y);
        match self {
            Self::Quadratic => pairs.map(|(&z, y)| 0.5 * (sigmoid(z) - y).powi(2)).sum(),
            // −ln σ(z) = ln(1 + e^{−z}) and −ln(1 − σ(z)) = z + ln(1 + e^{−z}); e^{−|z|} cannot overflow.
            Self::CrossEntropy => pairs.map(|(z, y)| z.max(0.0) - y * z + (-z.abs()).exp().ln_1p()).sum(),
        }
    }

    /// $\delta^2$, its derivative with respect to the votes, given the outputs `a`.
    pub fn delta<const O: usize>(self, a: &SVector<f64, O>, y: &SVector<f64, O>) -> SVector<f64, O> {
        match self {
            Self::Quadratic => (a - y).component_mul(&a.map(slope)),
            Self::CrossEntropy => a - y, // σ' has cancelled
        }
    }
}

/// $\sigma'(z)$, given $a = \sigma(z)$.
fn slope(a: f64) -> f64 {
    a * (1.0 - a)
}

/// The penalty on the weights; $\lambda$ is finite and not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Decay {
    /// None.
    #[default]
    None,
    /// $\frac{\lambda}{n} \sum_w |w|$: every step moves a weight towards 0 by $\eta\lambda/n$, and one at 0 not at all.
    L1(f64),
    /// $\frac{\lambda}{2n} \sum_w w^2$: every step multiplies a weight by $1 - \eta\lambda/n$.
    L2(f64),
}

impl Decay {
    /// The penalty over `n` examples.
    fn over(self, n: usize) -> Penalty {
        match self {
            Self::None => Penalty::L2(0.0),
            Self::L1(lambda) => Penalty::L1(lambda / n as f64),
            Self::L2(lambda) => Penalty::L2(lambda / n as f64),
        }
    }
}

/// The *no-improvement-in-ten* rule of chapter 3, and the schedule that he makes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Halving {
    /// Epochs in a row without a better accuracy on the held-out examples before the rate is halved, at least 1; default 10.
    pub patience: u64,
    /// Training ends when the rate would be this share of the first, in (0, 1); default 1/128.
    pub smallest: f64,
}

impl Default for Halving {
    fn default() -> Self {
        Self { patience: 10, smallest: 1.0 / 128.0 }
    }
}

/// How [`Network::descend`] trains; the default is what [`Network::sgd`] does.
///
/// ```
/// use optim::nielsen::{Cost, Decay, DescentConfig, Halving, SgdConfig};
/// let config = DescentConfig::default()
///     .sgd(SgdConfig::default().learning_rate(0.5))
///     .cost(Cost::CrossEntropy)
///     .decay(Decay::L2(5.0))
///     .momentum(0.5)
///     .halving(Halving::default());
/// assert!(config.check().is_ok() && config.momentum(1.0).check().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DescentConfig {
    /// Epochs at most, minibatches and the first learning rate.
    pub sgd: SgdConfig,
    /// $C_0$; default quadratic.
    pub cost: Cost,
    /// The penalty; default none.
    pub decay: Decay,
    /// $\mu$ in [0, 1); default 0.
    pub momentum: f64,
    /// When the rate falls; default never.
    pub halving: Option<Halving>,
}

impl DescentConfig {
    /// The configuration with other epochs, minibatches and rate.
    pub fn sgd(self, sgd: SgdConfig) -> Self {
        Self { sgd, ..self }
    }

    /// The configuration with another cost.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// The configuration with another penalty.
    pub fn decay(self, decay: Decay) -> Self {
        Self { decay, ..self }
    }

    /// The configuration with another $\mu$.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// The configuration with a rate that falls.
    pub fn halving(self, halving: Halving) -> Self {
        Self { halving: Some(halving), ..self }
    }

    /// The configuration itself if every field is in its range.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] naming the field.
    pub fn check(self) -> Result<Self, Error> {
        self.sgd.check()?;
        let refuse = |name, rule, value| Err(Error::InvalidHyper { name, rule, value });
        if let Decay::L1(lambda) | Decay::L2(lambda) = self.decay
            && !(lambda.is_finite() && lambda >= 0.0)
        {
            return refuse("decay", "finite and not negative", lambda);
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return refuse("momentum", "in [0, 1)", self.momentum);
        }
        if let Some(Halving { patience, smallest }) = self.halving {
            if patience == 0 {
                return refuse("patience", "at least 1", 0.0);
            }
            if !(smallest > 0.0 && smallest < 1.0) {
                return refuse("smallest", "in (0, 1)", smallest);
            }
        }
        Ok(self)
    }
}

/// What the monitor of [`Network::descend`] sees after each epoch.
#[derive(Debug)]
#[non_exhaustive]
pub struct Descended<'a, const I: usize, const H: usize, const O: usize> {
    /// Passes made, from 1.
    pub number: usize,
    /// The learning rate of this pass.
    pub learning_rate: f64,
    /// The network as it is now.
    pub network: &'a Network<I, H, O>,
}

impl<const I: usize, const O: usize> Layer<I, O> {
    fn add_penalty(&mut self, penalty: Penalty, at: &Self) -> Result<(), Error> {
        penalty.add_gradient(at.weights.as_slice(), self.weights.as_mut_slice())
    }

    /// $v \leftarrow \mu v - \eta g$ with $g$ a share of this sum.
    fn turn(&mut self, momentum: f64, step: f64, gradient: &Self) {
        self.weights.zip_apply(&gradient.weights, |v, g| *v = momentum * *v - step * g);
        self.biases.zip_apply(&gradient.biases, |v, g| *v = momentum * *v - step * g);
    }
}

impl<const I: usize, const H: usize, const O: usize> Network<I, H, O> {
    /// Adds the gradient of $C_0$ at one example to `sum`: [`backprop`](Self::backprop) for any [`Cost`].
    pub fn backprop_of(&self, cost: Cost, example: &Example<I, O>, sum: &mut Gradient<I, H, O>) {
        let hidden = self.hidden.forward(&example.x); // (H)
        let delta_output = cost.delta(&self.output.forward(&hidden), &example.y); // (O)
        let back = self.output.weights.tr_mul(&delta_output); // (H)
        let delta_hidden = SVector::from_fn(|j, _| back[j] * slope(hidden[j])); // (H)
        sum.output.add_outer(&delta_output, &hidden);
        sum.hidden.add_outer(&delta_hidden, &example.x);
    }

    /// $C$ over these examples, the penalty included.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::FeatureNotFinite`], [`Error::InvalidHyper`] for $\lambda$.
    pub fn cost_of(&self, data: &[Example<I, O>], cost: Cost, decay: Decay) -> Result<f64, Error> {
        check_examples("Network::cost_of", data)?;
        let value = |e: &Example<I, O>| {
            let votes = &self.output.weights * self.hidden.forward(&e.x) + self.output.biases;
            cost.value(&votes, &e.y)
        };
        let penalty = decay.over(data.len());
        let on_weights =
            penalty.value(self.hidden.weights.as_slice())? + penalty.value(self.output.weights.as_slice())?;
        Ok(data.iter().map(value).sum::<f64>() / data.len() as f64 + on_weights)
    }

    /// $\nabla C$ over a minibatch of a training set of `n` examples.
    ///
    /// # Errors
    /// [`Error::Empty`] for an empty minibatch, [`Error::InvalidHyper`] for $\lambda$.
    pub fn gradient_of<'a>(
        &self,
        batch: impl IntoIterator<Item = &'a Example<I, O>>,
        n: usize,
        cost: Cost,
        decay: Decay,
    ) -> Result<Gradient<I, H, O>, Error> {
        let (mut sum, mut m) = (Gradient::zeros(), 0);
        for example in batch {
            self.backprop_of(cost, example, &mut sum);
            m += 1;
        }
        if m == 0 {
            return Err(Error::Empty { what: "Network::gradient_of" });
        }
        let Gradient { hidden, output } = &mut sum;
        hidden.parameters_mut().chain(output.parameters_mut()).for_each(|g| *g /= f64::from(m));
        hidden.add_penalty(decay.over(n), &self.hidden)?;
        output.add_penalty(decay.over(n), &self.output)?;
        Ok(sum)
    }

    // ANCHOR: descend
    /// Stochastic gradient descent as [`sgd`](Self::sgd), with all that the configuration asks for. Gives the learning rate of
    /// each epoch that was made. `held_out` decides when the rate is halved, and is not looked at otherwise.
    ///
    /// ```
    /// use nalgebra::vector;
    /// use optim::nielsen::{Cost, DescentConfig, Example, Network, SgdConfig};
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use std::ops::ControlFlow;
    ///
    /// // One example, and a start that is certain and wrong: the quadratic cost is slow to correct it.
    /// let train = [Example { x: vector![1.0], y: vector![0.0] }];
    /// let answer = |cost| {
    ///     let mut network = Network::<1, 1, 1>::new(&mut StdRng::seed_from_u64(0));
    ///     network.parameters_mut().for_each(|w| *w = 3.0);
    ///     let config = DescentConfig::default().cost(cost).sgd(SgdConfig::default().learning_rate(0.5));
    ///     network.descend(&train, &[], config, &mut StdRng::seed_from_u64(1), |_| ControlFlow::Continue(()))?;
    ///     Ok::<_, optim::Error>(network.feedforward(&train[0].x)[0])
    /// };
    /// assert!(answer(Cost::Quadratic)? > 0.9 && answer(Cost::CrossEntropy)? < 0.1);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] for no training examples, or no held-out ones when the rate is to be halved;
    /// [`Error::FeatureNotFinite`], [`Error::InvalidHyper`]; [`Error::NonFinite`] when a parameter overflows.
    pub fn descend<R: Rng + ?Sized>(
        &mut self,
        train: &[Example<I, O>],
        held_out: &[Example<I, O>],
        config: DescentConfig,
        rng: &mut R,
        mut monitor: impl FnMut(Descended<'_, I, H, O>) -> ControlFlow<()>,
    ) -> Result<Vec<f64>, Error> {
        let DescentConfig { sgd, cost, decay, momentum, halving } = config.check()?;
        check_examples("Network::descend", train)?;
        let mut plateau = match halving {
            Some(halving) => Some((halving, halving.plateau(sgd.learning_rate)?)),
            None => None,
        };
        let mut order: Vec<&Example<I, O>> = train.iter().collect();
        let (mut velocity, mut rates, mut rate) = (Gradient::zeros(), Vec::new(), sgd.learning_rate);
        for number in 1..=sgd.epochs {
            order.shuffle(rng);
            for batch in order.chunks(sgd.batch_size) {
                let gradient = self.gradient_of(batch.iter().copied(), train.len(), cost, decay)?;
                velocity.hidden.turn(momentum, rate, &gradient.hidden);
                velocity.output.turn(momentum, rate, &gradient.output);
                self.hidden.descend(-1.0, &velocity.hidden);
                self.output.descend(-1.0, &velocity.output);
            }
            self.check_finite(number * train.len().div_ceil(sgd.batch_size))?;
            rates.push(rate);
            if monitor(Descended { number, learning_rate: rate, network: self }).is_break() {
                break;
            }
            if let Some((halving, plateau)) = &mut plateau {
                rate = plateau.observe(1.0 - self.evaluate(held_out)?);
                if rate <= halving.smallest * sgd.learning_rate {
                    break;
                }
            }
        }
        Ok(rates)
    }
    // ANCHOR_END: descend
}

impl Halving {
    fn plateau(self, base: f64) -> Result<Plateau, Error> {
        let patience = self.patience.saturating_sub(1); // so many are forgiven, one more is not
        Plateau::try_new(PlateauConfig { base, factor: 0.5, patience, threshold: 0.0, ..Default::default() })
    }
}
