//! Any rule behind dfdx's own trait of optimisers.
use dfdx::optim::{Optimizer, OptimizerUpdateError, UnusedTensors};
use dfdx::prelude::Gradients;
use kernels::{Device, Real};
use layers::{Step, StepError};

/// Makes an optimiser of this crate fit code that is written for [`dfdx::optim::Optimizer`].
///
/// dfdx lends the gradients read-only, so each update copies them once; [`Step::step`] does not. dfdx's error has two
/// variants, neither of which says what is wrong with a value: every refusal comes out as `UnusedParams`, and
/// [`refused`](Self::refused) keeps the reason. The model is unchanged then.
///
/// ```
/// use dfdx::optim::Optimizer;
/// use layers::prelude::*;
/// use optim::optimizers::{AsDfdx, Lion, LionConfig};
///
/// fn written_for_dfdx<M, O: Optimizer<M, Cpu, f32>>(model: &mut M, optimizer: &mut O, gradients: Gradients<f32, Cpu>) {
///     optimizer.update(model, &gradients).unwrap();
/// }
///
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<Linear<2, 1>, f32>();
/// let mut lion = AsDfdx::new(Lion::try_new(&model, LionConfig::default())?);
/// let x: Tensor<Rank2<4, 2>, f32, _> = dev.sample_normal();
/// let gradients = model.forward(x.leaky_trace()).square().mean().backward();
/// written_for_dfdx(&mut model, &mut lion, gradients);
/// assert_eq!(lion.inner.steps(), 1);
/// # Ok::<(), layers::StepError>(())
/// ```
#[derive(Debug)]
pub struct AsDfdx<O> {
    /// The optimiser: rates, schedules and states are set here.
    pub inner: O,
    refused: Option<StepError>,
}

impl<O> AsDfdx<O> {
    /// Around an optimiser.
    pub fn new(inner: O) -> Self {
        Self { inner, refused: None }
    }

    /// Why the last update was refused; none when it was made.
    pub fn refused(&self) -> Option<&StepError> {
        self.refused.as_ref()
    }
}

impl<M, E: Real, D: Device<E>, O: Step<M, E, D>> Optimizer<M, D, E> for AsDfdx<O> {
    fn update(
        &mut self,
        module: &mut M,
        gradients: &Gradients<E, D>,
    ) -> Result<(), OptimizerUpdateError<D::Err>> {
        self.refused = self.inner.step(module, &mut gradients.clone()).err();
        match self.refused {
            None => Ok(()),
            Some(_) => Err(OptimizerUpdateError::UnusedParams(UnusedTensors { ids: Vec::new() })),
        }
    }
}
