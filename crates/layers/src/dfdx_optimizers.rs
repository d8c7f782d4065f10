//! [`Step`] for dfdx's own optimisers.
//!
//! They do the same update as before, with one difference: parameters without a gradient are found *before* anything is
//! changed, where dfdx reports them after it has updated the others. Their moments are private and keyed by tensor ids,
//! so their state can be neither saved nor loaded, and it restarts silently when a model moves to another dtype or
//! device. Their state is also unaware of the model: an instance that is given two models keeps two sets of moments.
use crate::params::{DeviceError, MissingGradients};
use crate::step::{Step, StepError, StepReport, StepState, check_hyperparameter};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::optim::{Adam, Optimizer, OptimizerUpdateError, RMSprop, Sgd};
use dfdx::prelude::{Device, Dtype, Gradients};

macro_rules! step_for {
    ($optimizer:ident, $name:literal, $instead:literal) => {
        impl<M: TensorCollection<E, D>, E: Dtype, D: Device<E>> Step<M, E, D> for $optimizer<M, E, D> {
            fn step(
                &mut self,
                model: &mut M,
                gradients: &mut Gradients<E, D>,
            ) -> Result<StepReport, StepError> {
                let names = MissingGradients::default().find(model, gradients)?;
                if !names.is_empty() {
                    return Err(StepError::Unused { names });
                }
                match self.update(model, gradients) {
                    Ok(()) => Ok(StepReport::new(self.cfg.lr)),
                    Err(OptimizerUpdateError::DeviceError(error)) => Err(DeviceError::new(error).into()),
                    Err(OptimizerUpdateError::UnusedParams(_)) => {
                        unreachable!("every gradient was found above")
                    }
                }
            }
            fn learning_rate(&self) -> f64 {
                self.cfg.lr
            }
            fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), StepError> {
                let holds = learning_rate >= 0.0 && learning_rate.is_finite();
                check_hyperparameter("learning_rate", learning_rate, "finite and not negative", holds)?;
                self.cfg.lr = learning_rate;
                Ok(())
            }
            fn state(&self) -> Result<StepState, StepError> {
                Err(StepError::StateIsPrivate { optimizer: $name, instead: $instead })
            }
            fn load_state(&mut self, _state: &StepState) -> Result<(), StepError> {
                Err(StepError::StateIsPrivate { optimizer: $name, instead: $instead })
            }
        }
    };
}
step_for!(Sgd, "Sgd", "layers::Sgd");
step_for!(Adam, "Adam", "layers::Adam");
step_for!(RMSprop, "RMSprop", "layers::RmsProp");
