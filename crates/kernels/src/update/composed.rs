//! The body on any device: weights and gradients through the host.
use super::{Dims, Slices};
use crate::{BaseDevice, Error, Real};
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorMut,
};
use dfdx::prelude::*;

/// One tensor on the host.
struct Copy<E> {
    weights: Vec<E>,
    gradient: Vec<E>,
    dims: Dims,
}

struct Read<'a, E: Real, D: Storage<E>> {
    gradients: Option<&'a mut Gradients<E, D>>,
    copies: Vec<Copy<E>>,
}
impl<E: Real, D: BaseDevice<E>> TensorVisitor<E, D> for Read<'_, E, D> {
    type Viewer = ViewTensorMut;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &mut Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            let dims = Dims::of(tensor.shape());
            let is_empty = tensor.shape().num_elements() == 0; // dfdx cannot read an empty tensor
            let weights = if is_empty { Vec::new() } else { tensor.as_vec() };
            let gradient = match &mut self.gradients {
                Some(gradients) if !is_empty => {
                    gradients.try_alloc_for(&*tensor)?;
                    gradients.get(&*tensor).as_vec()
                }
                _ => Vec::new(),
            };
            self.copies.push(Copy { weights, gradient, dims });
        }
        Ok(None)
    }
}

struct Write<E>(std::vec::IntoIter<Copy<E>>);
impl<E: Real, D: BaseDevice<E>> TensorVisitor<E, D> for Write<E> {
    type Viewer = ViewTensorMut;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &mut Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update
            && let Some(copy) = self.0.next()
            && !copy.weights.is_empty()
        {
            *tensor = tensor.clone().try_contiguous()?;
            tensor.copy_from(&copy.weights);
        }
        Ok(None)
    }
}

pub fn with_tensors<M, E, D, R>(
    model: &mut M,
    gradients: Option<&mut Gradients<E, D>>,
    f: impl FnOnce(&mut [Slices<'_, E>]) -> R,
) -> Result<R, Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: BaseDevice<E>,
{
    let mut read = Read { gradients, copies: Vec::new() };
    M::iter_tensors(&mut RecursiveWalker { m: &mut *model, f: &mut read }).map_err(Error::device)?;
    let mut copies = read.copies;
    let mut slices: Vec<Slices<'_, E>> = copies
        .iter_mut()
        .map(|copy| Slices { weights: &mut copy.weights, gradient: &copy.gradient, dims: copy.dims })
        .collect();
    let result = f(&mut slices);
    let mut write = Write(copies.into_iter());
    M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut write }).map_err(Error::device)?;
    Ok(result)
}
