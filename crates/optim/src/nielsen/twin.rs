//! The same network as a dfdx module, and its files.

use std::path::Path;

use kernels::{Device, Real};
use layers::params::{self, DeviceError};
use layers::prelude::*;

use super::{Layer, Network};
use crate::Error;

// ANCHOR: digit_net
/// The layers of a [`Network`] in dfdx's way: what `build_module` takes.
pub type SigmoidNet<const I: usize, const H: usize, const O: usize> =
    (Linear<I, H>, Sigmoid, Linear<H, O>, Sigmoid);

/// The network that reads MNIST digits.
pub type DigitNet = SigmoidNet<784, 30, 10>;
// ANCHOR_END: digit_net

/// A [`SigmoidNet`] with its weights, of dtype `E` on device `D`.
pub type SigmoidModel<const I: usize, const H: usize, const O: usize, E, D> =
    <SigmoidNet<I, H, O> as BuildOnDevice<D, E>>::Built;

// ANCHOR: quadratic_cost
/// $C = \frac{1}{2B} \sum_x \lVert y(x) - a(x) \rVert^2$ over a batch of outputs `(B, O)`, with gradients.
///
/// # Errors
/// The device's, when it has no memory.
pub fn quadratic_cost<B: Dim, const O: usize, E: Real, D: Device<E>, T: Tape<E, D>>(
    outputs: Tensor<(B, Const<O>), E, D, T>,
    targets: Tensor<(B, Const<O>), E, D>,
) -> Result<Tensor<(), E, D, T>, D::Err> {
    let mean = outputs.try_sub(targets)?.try_square()?.try_mean()?; // over B · O numbers
    mean.try_mul(E::of(O as f64 / 2.0))
}
// ANCHOR_END: quadratic_cost

impl<const I: usize, const H: usize, const O: usize> Network<I, H, O> {
    /// A dfdx module with these weights and biases, rounded to `E`.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn to_model<E: Real, D: Device<E>>(&self, dev: &D) -> Result<SigmoidModel<I, H, O, E, D>, Error> {
        let mut model = SigmoidNet::<I, H, O>::try_build_on_device(dev).map_err(DeviceError::new)?;
        let mut flat = Vec::with_capacity(H * (I + 1) + O * (H + 1));
        row_major(&self.hidden, &mut flat);
        row_major(&self.output, &mut flat);
        let mut flat = flat.into_iter();
        params::visit_mut(&mut model, |_, values| {
            values.iter_mut().zip(flat.by_ref()).for_each(|(value, weight)| *value = E::of(weight));
        })?;
        Ok(model)
    }

    /// The network with the weights and biases of a dfdx module.
    pub fn from_model<E: Real, D: Device<E>>(model: &SigmoidModel<I, H, O, E, D>) -> Self {
        let flat: Vec<f64> = params::flatten(model).into_iter().map(E::as_f64).collect();
        let (hidden, output) = flat.split_at(H * (I + 1));
        Self { hidden: from_row_major(hidden), output: from_row_major(output) }
    }

    /// Writes the network to a safetensors file, whole or not at all; the tensors are named as in dfdx:
    /// `0.weight`, `0.bias`, `2.weight`, `2.bias`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("network.safetensors");
    /// use optim::nielsen::Network;
    /// let network = Network::<4, 3, 2>::new(&mut kernels::random::Key::new(1).rng());
    /// network.save(&path)?;
    /// assert_eq!(Network::load(&path)?, network);
    /// assert!(Network::<4, 5, 2>::load(&path).is_err()); // three hidden neurons are not five
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Checkpoint`]; what was at `path` before is still there then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        Ok(layers::save(&self.to_model::<f64, _>(&Cpu::default())?, path)?)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when the file cannot be read, is damaged or holds another network;
    /// [`Error::NonFinite`] when a weight is not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let built = SigmoidNet::<I, H, O>::try_build_on_device(&Cpu::default());
        let mut model: SigmoidModel<I, H, O, f64, Cpu> = built.map_err(DeviceError::new)?;
        layers::load(&mut model, path)?;
        let network = Self::from_model(&model);
        network.check_finite(0)?;
        Ok(network)
    }
}

/// Appends the weights of a layer row by row, as dfdx stores them, then its biases.
fn row_major<const I: usize, const O: usize>(layer: &Layer<I, O>, flat: &mut Vec<f64>) {
    layer.weights.row_iter().for_each(|row| flat.extend(row.iter()));
    flat.extend(layer.biases.iter());
}

/// The layer whose weights and biases [`row_major`] wrote.
fn from_row_major<const I: usize, const O: usize>(flat: &[f64]) -> Layer<I, O> {
    Layer::from_fn(|j, k| flat[j * I + k], |j| flat[O * I + j])
}
