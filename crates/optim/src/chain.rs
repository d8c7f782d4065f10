//! A fully connected network whose widths are known at run time: what a sweep over widths or depths needs.
//!
//! $$ a^0 = x, \qquad a^l = \varphi(W^l a^{l-1} + b^l) \text{ for } l < L, \qquad f(x) = W^L a^{L-1} + b^L $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $x$ | input | `(B, widths[0])` |
//! | $W^l$ | [`Dense::weight`] | `(widths[l], widths[l - 1])`: row = output |
//! | $b^l$ | [`Dense::bias`] | `(widths[l])` |
//! | $\varphi$ | [`Chain::activation`] | element by element, none after the last layer |
//!
//! **Use it** when a width or the depth is a variable of the experiment. **Not** for one network of fixed sizes: there
//! a tuple of `layers::prelude::Linear` lets the compiler check every shape, and fuses product, bias and activation.
//! dfdx's collections of tensors have compile-time shapes, so a chain has an optimiser of its own, [`ChainSgd`].
//!
//! ```
//! use dfdx::prelude::*;
//! use kernels::{Relu, cross_entropy_mean, random::Key};
//! use layers::{SgdConfig, Step};
//! use optim::chain::{Chain, ChainSgd, he};
//!
//! let dev = Cpu::default();
//! let mut net = Chain::<f32, Cpu>::new(&dev, &[2, 16, 2], Relu, he, Key::new(0))?;
//! let mut sgd = ChainSgd::try_new(&net, SgdConfig { learning_rate: 0.5, ..Default::default() })?;
//! let x: Tensor<(usize, usize), f32, _> = Key::new(1).normal(&dev, (64, 2));
//! let labels: Vec<usize> = x.as_vec().chunks(2).map(|p| usize::from(p[0] > p[1])).collect();
//! let mut losses = vec![];
//! for _ in 0..100 {
//!     let loss = cross_entropy_mean(net.forward(x.leaky_trace()), &labels);
//!     losses.push(loss.array());
//!     sgd.step(&mut net, &mut loss.backward())?;
//! }
//! assert!(losses[99] < 0.2 * losses[0]);
//! # Ok::<(), optim::Error>(())
//! ```
use std::collections::BTreeMap;

use dfdx::nn::{Module, NonMutableModule};
use dfdx::prelude::{Axes2, Axis, Dtype, Gradients, HasShape, PermuteTo, Shape, Storage, Tape, Tensor};
use kernels::random::Key;
use kernels::{Activation, ActivationKind, Device, Real};
use layers::params::DeviceError;
use layers::rule::Rule;
use layers::{Momentum, SgdConfig, Slot, SlotKey, Step, StepError, StepReport, StepState};
use nalgebra::DMatrix;

use crate::Error;

/// A batch of vectors: `(B, F)`.
pub type Batch<E, D, T = dfdx::prelude::NoneTape> = Tensor<(usize, usize), E, D, T>;

/// One layer of a [`Chain`].
#[derive(Clone, Debug)]
pub struct Dense<E: Dtype, D: Storage<E>> {
    /// $W$, `(outputs, inputs)`.
    pub weight: Tensor<(usize, usize), E, D>,
    /// $b$, `(outputs)`.
    pub bias: Tensor<(usize,), E, D>,
}

impl<E: Real, D: Device<E>> Dense<E, D> {
    /// $W x + b$, without the activation.
    pub(crate) fn try_forward<T: Tape<E, D>>(&self, x: Batch<E, D, T>) -> Result<Batch<E, D, T>, D::Err> {
        let weight = self.weight.clone().try_permute::<(usize, usize), Axes2<1, 0>>()?;
        let product = kernels::try_matmul(x, weight);
        let z = product.map_err(|error| error.into_device::<D::Err>().unwrap_or_else(|e| panic!("{e}")))?;
        kernels::try_add_along(z, self.bias.clone(), Axis::<0>)
    }
}

/// Layers one after the other; see the [module](self).
#[derive(Clone, Debug)]
pub struct Chain<E: Dtype, D: Storage<E>> {
    /// From the input to the output, at least one.
    pub layers: Vec<Dense<E, D>>,
    /// $\varphi$, between two layers.
    pub activation: ActivationKind,
}

/// Standard deviation $\sqrt{2 / n_\text{in}}$ (He et al. 2015, arXiv 1502.01852): keeps $E\,a^2$ through ReLU.
pub fn he(inputs: usize, _outputs: usize) -> f64 {
    (2.0 / inputs as f64).sqrt()
}

/// Standard deviation $\sqrt{2 / (n_\text{in} + n_\text{out})}$ (Glorot & Bengio 2010).
pub fn glorot(inputs: usize, outputs: usize) -> f64 {
    (2.0 / (inputs + outputs) as f64).sqrt()
}

/// Standard deviation of the default of dfdx and PyTorch, $1/\sqrt{3 n_\text{in}}$: U(±1/√n) has it.
pub fn library_default(inputs: usize, _outputs: usize) -> f64 {
    (3.0 * inputs as f64).powf(-0.5)
}

impl<E: Real, D: Device<E>> Chain<E, D> {
    /// Weights from N(0, `deviation(inputs, outputs)`²), biases 0; `widths` from the input to the output.
    ///
    /// # Errors
    /// [`Error::Empty`] for fewer than two widths, [`Error::InvalidHyper`] for a width of 0 or a deviation that is not
    /// finite and not negative, [`Error::Device`] without memory.
    pub fn new(
        device: &D,
        widths: &[usize],
        activation: impl Activation,
        deviation: impl Fn(usize, usize) -> f64,
        key: Key,
    ) -> Result<Self, Error> {
        if widths.len() < 2 {
            return Err(Error::Empty { what: "Chain::new (widths of input and output)" });
        }
        let mut layers = Vec::new();
        for (l, pair) in widths.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            if inputs == 0 || outputs == 0 {
                return Err(Error::InvalidHyper {
                    name: "widths",
                    rule: "at least 1 everywhere",
                    value: 0.0,
                });
            }
            let value = deviation(inputs, outputs);
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::InvalidHyper { name: "deviation", rule: "finite, not negative", value });
            }
            let mut weight = vec![E::of(0.0); inputs * outputs];
            key.fold(l as u64).fill_normal(&mut weight);
            weight.iter_mut().for_each(|w| *w *= E::of(value));
            let weight = device.try_tensor_from_vec(weight, (outputs, inputs)).map_err(DeviceError::new)?;
            let bias = device.try_zeros_like(&(outputs,)).map_err(DeviceError::new)?;
            layers.push(Dense { weight, bias });
        }
        Ok(Self { layers, activation: activation.kind() })
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers
            .iter()
            .map(|layer| layer.weight.shape().num_elements() + layer.bias.shape().num_elements())
            .sum()
    }

    /// The output, with `hook(l, a)` applied to each hidden layer's activations: dropout, noise, a skip, a recorder.
    ///
    /// # Errors
    /// The device's error, or the hook's.
    pub fn try_forward_with<T: Tape<E, D>>(
        &self,
        x: Batch<E, D, T>,
        mut hook: impl FnMut(usize, Batch<E, D, T>) -> Result<Batch<E, D, T>, D::Err>,
    ) -> Result<Batch<E, D, T>, D::Err> {
        let mut a = x;
        for (l, layer) in self.layers.iter().enumerate() {
            a = layer.try_forward(a)?;
            if l + 1 < self.layers.len() {
                a = hook(l, kernels::try_activate(a, self.activation)?)?;
            }
        }
        Ok(a)
    }

    /// The weight matrices in f64, rows = outputs; biases are left out.
    pub fn matrices(&self) -> Vec<DMatrix<f64>> {
        let matrix = |layer: &Dense<E, D>| {
            let (outputs, inputs) = *layer.weight.shape();
            let values = layer.weight.as_vec().into_iter().map(Real::as_f64);
            DMatrix::from_row_iterator(outputs, inputs, values)
        };
        self.layers.iter().map(matrix).collect()
    }
}

impl<E: Dtype, D: Storage<E>> NonMutableModule for Chain<E, D> {}

impl<E: Real, D: Device<E>, T: Tape<E, D>> Module<Batch<E, D, T>> for Chain<E, D> {
    type Output = Batch<E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Batch<E, D, T>) -> Result<Self::Output, D::Err> {
        self.try_forward_with(x, |_, a| Ok(a))
    }
}

/// Stochastic gradient descent of a [`Chain`], with the formulas of [`layers::Sgd`]: without momentum or with a heavy
/// ball, and a weight decay that is part of the gradient.
#[derive(Clone, Debug)]
pub struct ChainSgd<E> {
    config: SgdConfig,
    momentum: f64,
    velocities: Vec<(SlotKey, Vec<E>)>,
    steps: u64,
}

impl<E: Real> ChainSgd<E> {
    /// # Errors
    /// [`Error::Step`] for an illegal setting; [`Error::InvalidHyper`] for a momentum of another kind than a heavy ball.
    pub fn try_new<D: Device<E>>(chain: &Chain<E, D>, config: SgdConfig) -> Result<Self, Error> {
        config.check()?;
        let momentum = match config.momentum {
            Momentum::None => 0.0,
            Momentum::HeavyBall(coefficient) => coefficient,
            _ => {
                let rule = "none or a heavy ball; use a tuple of layers with layers::Sgd for others";
                return Err(Error::InvalidHyper { name: "momentum", rule, value: f64::NAN });
            }
        };
        let mut velocities = Vec::new();
        for (l, layer) in chain.layers.iter().enumerate() {
            let (rows, columns) = *layer.weight.shape();
            for (name, shape) in [("weight", vec![rows, columns]), ("bias", vec![rows])] {
                let zeros = vec![E::of(0.0); shape.iter().product()];
                let parameter = format!("{l}.{name}");
                velocities.push((SlotKey { name: "velocity".to_owned(), parameter, shape }, zeros));
            }
        }
        Ok(Self { config, momentum, velocities, steps: 0 })
    }

    fn update<S: Shape, D: Device<E>>(
        &mut self,
        slot: usize,
        parameter: &mut Tensor<S, E, D>,
        gradients: &mut Gradients<E, D>,
    ) -> Result<(), DeviceError> {
        gradients.try_alloc_for(&*parameter).map_err(DeviceError::new)?;
        let gradient = gradients.get(&*parameter).as_vec();
        let [rate, momentum, decay] =
            [self.config.learning_rate, self.momentum, self.config.weight_decay].map(E::of);
        let mut weights = parameter.as_vec();
        let velocity = &mut self.velocities[slot].1;
        for ((w, g), v) in weights.iter_mut().zip(gradient).zip(velocity) {
            *v = momentum * *v + (g + decay * *w);
            *w -= rate * *v;
        }
        parameter.copy_from(&weights);
        Ok(())
    }

    fn hyperparameters(&self) -> BTreeMap<String, f64> {
        let pairs = [("momentum", self.momentum), ("weight_decay", self.config.weight_decay)];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl<E: Real, D: Device<E>> Step<Chain<E, D>, E, D> for ChainSgd<E> {
    fn step(
        &mut self,
        model: &mut Chain<E, D>,
        gradients: &mut Gradients<E, D>,
    ) -> Result<StepReport, StepError> {
        for (l, layer) in model.layers.iter_mut().enumerate() {
            self.update(2 * l, &mut layer.weight, gradients)?;
            self.update(2 * l + 1, &mut layer.bias, gradients)?;
        }
        self.steps += 1;
        Ok(StepReport::new(self.config.learning_rate))
    }

    fn learning_rate(&self) -> f64 {
        self.config.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), StepError> {
        let is_legal = learning_rate.is_finite() && learning_rate >= 0.0;
        layers::step::check_hyperparameter("learning_rate", learning_rate, "finite, not negative", is_legal)?;
        self.config.learning_rate = learning_rate;
        Ok(())
    }

    fn state(&self) -> Result<StepState, StepError> {
        let slot = |(key, values): &(SlotKey, Vec<E>)| Slot {
            key: key.clone(),
            values: values.iter().map(|value| value.as_f64()).collect(),
        };
        Ok(StepState {
            rule: "chain-sgd".to_owned(),
            step: self.steps,
            learning_rate: self.config.learning_rate,
            hyperparameters: self.hyperparameters(),
            slots: self.velocities.iter().map(slot).collect(),
        })
    }

    fn load_state(&mut self, state: &StepState) -> Result<(), StepError> {
        state.check(
            "chain-sgd",
            &self.hyperparameters(),
            self.velocities.iter().map(|(key, _)| key.clone()),
        )?;
        let values: Result<Vec<Vec<E>>, StepError> = state.slots.iter().map(Slot::exact_values).collect();
        for ((_, velocity), values) in self.velocities.iter_mut().zip(values?) {
            *velocity = values;
        }
        self.config.learning_rate = state.learning_rate;
        self.steps = state.step;
        Ok(())
    }
}
