//! Initialisation of a whole model from one key.
//!
//! dfdx's own initialisation (`build_module`, `reset_params`) draws from the device's generator, whose state cannot be
//! saved or compared. A [`Key`] gives every tensor numbers of its own: the values of one do not depend on the sizes of
//! the others or on the number of threads.
use crate::params::{self, DeviceError, Parameter};
use dfdx::nn::tensor_collection::TensorCollection;
use kernels::random::Key;
use kernels::{Device, Real};

/// Draws every trainable element from a normal distribution with mean 0 and the standard deviation that
/// `standard_deviation` gives for its tensor.
///
/// # Examples
/// Nielsen's first network (chapter 1) starts all weights and biases from N(0, 1); chapter 3 divides the weights by the
/// square root of the number of inputs:
/// ```
/// use kernels::random::Key;
/// use layers::{init, params, prelude::*};
/// let mut model = Cpu::default().build_module::<(Linear<784, 30, Sigmoid>, Linear<30, 10, Sigmoid>), f32>();
/// init::normal(&mut model, |_| 1.0, Key::new(1))?;
/// init::normal(&mut model, |p| if p.ndim() == 2 { (p.shape[1] as f64).powf(-0.5) } else { 1.0 }, Key::new(1))?;
/// # let mean_square = params::flatten(&model.0.weight).iter().map(|w| f64::from(w * w)).sum::<f64>() / 23520.0;
/// # assert!((mean_square * 784.0 - 1.0).abs() < 4.0 * (2.0_f64 / 23520.0).sqrt()); // four standard errors
/// # Ok::<(), params::DeviceError>(())
/// ```
///
/// # Errors
/// The device's error when a tensor cannot be written.
pub fn normal<M, E, D>(
    model: &mut M,
    standard_deviation: impl Fn(&Parameter) -> f64,
    key: Key,
) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut position = 0;
    params::visit_mut(model, |parameter, values: &mut [E]| {
        if parameter.is_trainable {
            key.fold(position).fill_normal(values);
            let scale = E::of(standard_deviation(parameter));
            values.iter_mut().for_each(|value| *value *= scale);
            position += 1;
        }
    })
}
