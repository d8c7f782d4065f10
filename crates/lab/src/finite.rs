//! A search for gradients that are not finite, fast enough for every step.
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorRef,
};
use dfdx::prelude::{Gradients, Shape, Tensor};
use kernels::{Device, Real};
use layers::params::{self, DeviceError};

/// Path name of the first trainable tensor whose gradient holds a NaN or an infinity. A tensor without a gradient
/// gets one of zeros.
///
/// NaN and infinity survive a sum, so one fast sum per tensor clears all of them in almost every step. The exact
/// search follows only when a sum is suspect, which finite numbers that overflow it can make it too.
pub(crate) fn first_gradient_not_finite<M, E, D>(
    model: &M,
    gradients: &mut Gradients<E, D>,
) -> Result<Option<String>, DeviceError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut sums = Sums { gradients, is_suspect: false };
    M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut sums }).map_err(DeviceError::new)?;
    if sums.is_suspect { params::first_gradient_not_finite(model, gradients) } else { Ok(None) }
}

struct Sums<'a, E: Real, D: Device<E>> {
    gradients: &'a mut Gradients<E, D>,
    is_suspect: bool,
}

impl<E: Real, D: Device<E>> TensorVisitor<E, D> for Sums<'_, E, D> {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update && !self.is_suspect {
            self.gradients.try_alloc_for(tensor)?;
            let sum = kernels::try_sum_all(self.gradients.get(tensor))?;
            self.is_suspect = !sum.as_vec()[0].as_f64().is_finite();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfdx::prelude::*;

    #[test]
    fn only_what_is_not_finite_is_named() {
        let dev = Cpu::default();
        let model = dev.build_module::<(Linear<2, 3>, Linear<3, 1>), f32>();
        let search = |last: [f32; 3]| {
            let mut gradients = model.alloc_grads();
            let weight = &model.1.weight;
            gradients.get_or_alloc_mut(weight).unwrap().copy_from_slice(&last);
            first_gradient_not_finite(&model, &mut gradients).unwrap()
        };
        assert_eq!(search([1.0, -2.0, 3.0]), None);
        assert_eq!(search([f32::MAX, f32::MAX, 1.0]), None, "finite numbers whose sum overflows");
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(search([1.0, bad, 0.0]), Some("1.weight".into()), "{bad}");
        }
        assert_eq!(search([f32::INFINITY, f32::NEG_INFINITY, 0.0]), Some("1.weight".into()));
    }
}
