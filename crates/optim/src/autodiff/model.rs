//! From a dfdx model onto the tape of matrices, and second derivatives as models.
use dfdx::nn::TensorCollection;
use dfdx::prelude::{OwnedTape, Rank0};
use kernels::{Device, Real};
use layers::{Dual, params};
use nalgebra::DMatrix;

use super::tensor::{Tape, Var};
use crate::Error;

impl Tape {
    /// The trainable tensors of a dfdx model as inputs, with their path names and in the order of
    /// [`layers::params::flatten`]: copies, vectors as rows `(1, n)`, scalars as `(1, 1)`.
    ///
    /// ```
    /// use layers::prelude::*;
    /// use optim::autodiff::tensor::Tape;
    ///
    /// let model = Cpu::default().build_module::<Linear<3, 2>, f32>();
    /// let tape = Tape::new();
    /// let inputs = tape.inputs_of(&model)?;
    /// let shapes: Vec<_> = inputs.iter().map(|(name, var)| (name.as_str(), var.shape())).collect();
    /// assert_eq!(shapes, [("weight", (2, 3)), ("bias", (1, 2))]);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotAMatrix`] for the first tensor of more than two axes.
    pub fn inputs_of<M, E: Real, D: Device<E>>(&self, model: &M) -> Result<Vec<(String, Var<'_>)>, Error>
    where
        M: TensorCollection<E, D>,
    {
        let (mut inputs, mut refused) = (Vec::new(), None);
        params::visit(model, |parameter, values| {
            let (rows, columns) = match parameter.shape[..] {
                [] => (1, 1),
                [n] => (1, n),
                [rows, columns] => (rows, columns),
                _ => {
                    refused.get_or_insert((parameter.name.clone(), parameter.shape.clone()));
                    return;
                }
            };
            if parameter.is_trainable {
                let values: Vec<f64> = values.iter().map(|value| value.as_f64()).collect();
                let matrix = DMatrix::from_row_slice(rows, columns, &values);
                inputs.push((parameter.name.clone(), self.input(matrix)));
            }
        });
        match refused {
            Some((path, shape)) => Err(Error::NotAMatrix { path, shape }),
            None => Ok(inputs),
        }
    }
}

/// $H v$ where direction and product are models: the Hessian of a loss by the weights of `model`, times the weights of
/// `direction`, in tensors of the same names and shapes.
///
/// It is [`layers::hessian_vector_product`] without the flat vectors. In the product whatever is not trained (running
/// statistics) is 0. It shares no memory with the model, but dfdx identifies its tensors with those of the model, as
/// those of any clone: do not put both on one tape.
///
/// # Examples
/// The loss $(w \cdot x + b)^2$ has the Hessian $2 (x, 1)(x, 1)^\top$:
/// ```
/// use layers::{Along, Dual, prelude::*};
/// use optim::autodiff::hessian_times_model;
///
/// let dev = Cpu::default();
/// let mut model = dev.build_module::<Linear<2, 1>, f64>();
/// let mut direction = model.clone();
/// direction.weight = dev.tensor([[1.0, 0.0]]);
/// direction.bias = dev.tensor([0.0]);
/// model.bias = dev.tensor([0.0]);
/// let x = dev.tensor([[1.0, 2.0]]);
/// let product = hessian_times_model(&model, &direction, |model, direction| {
///     model.along(direction, Dual::constant(x.leaky_trace())).mse_mean(dev.tensor([[0.0]]))
/// })?;
/// assert_eq!((product.weight.array(), product.bias.array()), ([[2.0, 4.0]], [2.0]));
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::Params`] when `direction` has another number of weights than `model`, and the device's error.
pub fn hessian_times_model<M, E, D>(
    model: &M,
    direction: &M,
    loss: impl FnOnce(&M, &M) -> Dual<Rank0, E, D, OwnedTape<E, D>>,
) -> Result<M, Error>
where
    M: TensorCollection<E, D> + Clone,
    E: Real,
    D: Device<E>,
{
    let flat = layers::hessian_vector_product(model, &params::flatten(direction), loss)?;
    let mut product = model.clone();
    params::visit_mut(&mut product, |_, values| values.fill(E::zero()))?;
    params::unflatten(&mut product, &flat)?;
    Ok(product)
}
