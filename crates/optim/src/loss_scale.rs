//! A loss scale that follows the gradients, for arithmetic in which small gradients vanish.
//!
//! The loss is multiplied by $S$ before the backward pass, so that gradients stay above the smallest number of the
//! format; before the step they are divided by $S$ again. When a gradient overflows, the step is left out and $S$ is
//! multiplied by `backoff`; after `interval` steps without overflow it is multiplied by `growth`.
//!
//! **Use it** with half precision. In f32 and f64 the division by a power of two is exact, so that it changes nothing,
//! which is what the tests check; and on gradients that were
//! [rounded to half precision](crate::master_copy::round_to_half) they check that it saves the small ones.
//!
//! **Paper**: Micikevicius et al. (2018), Mixed precision training, 1710.03740; the defaults are PyTorch's.
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorRef,
};
use dfdx::prelude::{Cpu, Gradients, HasErr, Shape, Tensor};
use kernels::{Device, Real};
use layers::params::DeviceError;
use layers::{Step, StepError, StepReport};

/// Settings of [`DynamicLossScale`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScaleConfig {
    /// $S$ at the start, above 0. Default 65 536.
    pub initial: f64,
    /// Steps without overflow after which $S$ grows, at least 1. Default 2000.
    pub interval: u64,
    /// Above 1. Default 2.
    pub growth: f64,
    /// In (0, 1). Default 0.5.
    pub backoff: f64,
}

impl Default for LossScaleConfig {
    fn default() -> Self {
        Self { initial: 65_536.0, interval: 2000, growth: 2.0, backoff: 0.5 }
    }
}

/// $S$ and the steps since it changed.
///
/// ```
/// use layers::prelude::*;
/// use optim::loss_scale::{DynamicLossScale, LossScaleConfig};
/// use optim::optimizers::{Sgd, SgdConfig};
///
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<Linear<2, 1>, f32>();
/// let mut sgd = Sgd::try_new(&model, SgdConfig::default())?;
/// let mut scale = DynamicLossScale::try_new(LossScaleConfig::default())?;
/// let x: Tensor<Rank2<4, 2>, f32, _> = dev.sample_normal();
/// let loss = model.forward(x.leaky_trace()).square().mean() * scale.scale() as f32;
/// let report = scale.step(&mut sgd, &mut model, &mut loss.backward())?;
/// assert!(report.is_some_and(|report| !report.is_clipped)); // none when a gradient overflowed
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DynamicLossScale {
    config: LossScaleConfig,
    scale: f64,
    good: u64,
}

impl DynamicLossScale {
    /// At the initial scale.
    ///
    /// # Errors
    /// [`crate::Error::InvalidHyper`] names the first setting out of range.
    pub fn try_new(config: LossScaleConfig) -> Result<Self, crate::Error> {
        let LossScaleConfig { initial, interval, growth, backoff } = config;
        let check = crate::second_order::check;
        check("initial", "finite and above 0", initial, initial > 0.0 && initial.is_finite())?;
        check("interval", "at least 1", interval as f64, interval > 0)?;
        check("growth", "finite and above 1", growth, growth > 1.0 && growth.is_finite())?;
        check("backoff", "in (0, 1)", backoff, backoff > 0.0 && backoff < 1.0)?;
        Ok(Self { config, scale: initial, good: 0 })
    }

    /// $S$: what to multiply the next loss by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Divides the gradients by $S$ and makes the step; none when one of them is not finite: then the model is as before
    /// and $S$ smaller.
    ///
    /// # Errors
    /// Those of the optimiser.
    pub fn step<M, E, O>(
        &mut self,
        optimizer: &mut O,
        model: &mut M,
        gradients: &mut Gradients<E, Cpu>,
    ) -> Result<Option<StepReport>, StepError>
    where
        E: Scaled,
        Cpu: Device<E>,
        M: TensorCollection<E, Cpu>,
        O: Step<M, E, Cpu>,
    {
        if !E::multiply(model, gradients, E::of(1.0 / self.scale))? {
            self.scale *= self.config.backoff;
            self.good = 0;
            return Ok(None);
        }
        let report = optimizer.step(model, gradients)?;
        self.good += 1;
        if self.good == self.config.interval {
            self.scale *= self.config.growth;
            self.good = 0;
        }
        Ok(Some(report))
    }
}

/// Numbers whose gradients on the processor can be divided in place: f32 and f64.
pub trait Scaled: Real {
    /// Multiplies every gradient of the trainable tensors; whether all are finite afterwards.
    ///
    /// # Errors
    /// The device's, when a gradient that is absent cannot be allocated.
    fn multiply<M: TensorCollection<Self, Cpu>>(
        model: &M,
        gradients: &mut Gradients<Self, Cpu>,
        factor: Self,
    ) -> Result<bool, DeviceError>
    where
        Cpu: Device<Self>;
}

struct Unscale<'a, E: Real> {
    gradients: &'a mut Gradients<E, Cpu>,
    factor: E,
    is_finite: bool,
}

macro_rules! scaled {
    ($E:ty) => {
        impl TensorVisitor<$E, Cpu> for Unscale<'_, $E> {
            type Viewer = ViewTensorRef;
            type Err = <Cpu as HasErr>::Err;
            type E2 = $E;
            type D2 = Cpu;

            fn visit<S: Shape>(
                &mut self,
                options: TensorOptions<S, $E, Cpu>,
                tensor: &Tensor<S, $E, Cpu>,
            ) -> Result<Option<Tensor<S, $E, Cpu>>, Self::Err> {
                if options.do_gradient_update {
                    for gradient in self.gradients.get_or_alloc_mut(tensor)?.iter_mut() {
                        *gradient *= self.factor;
                        self.is_finite &= gradient.is_finite();
                    }
                }
                Ok(None)
            }
        }

        impl Scaled for $E {
            fn multiply<M: TensorCollection<Self, Cpu>>(
                model: &M,
                gradients: &mut Gradients<Self, Cpu>,
                factor: Self,
            ) -> Result<bool, DeviceError> {
                let mut walk = Unscale { gradients, factor, is_finite: true };
                M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut walk }).map_err(DeviceError::new)?;
                Ok(walk.is_finite)
            }
        }
    };
}
scaled!(f32);
scaled!(f64);
