//! From a dfdx model onto the tape of matrices.
use dfdx::nn::TensorCollection;
use kernels::{Device, Real};
use layers::params;
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
