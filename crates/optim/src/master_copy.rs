//! Weights with few digits for the passes through a network, and an exact copy of them for the steps.
//!
//! A number with $b$ bits behind the point cannot grow by less than $2^{-b-1}$ of itself: small steps are lost, each by
//! itself, although they would add up. So the optimiser works on a *master copy* with all digits, and the model holds the
//! copy rounded:
//!
//! $$ m \leftarrow m - \eta\,g(\operatorname{round}_b m), \qquad w = \operatorname{round}_b(m) $$
//!
//! | format | [`bits`](MasterCopy::try_new) |
//! |---|---|
//! | bfloat16 | 7 |
//! | half precision | 10 |
//! | f32 | 23 |
//!
//! **Use it** beside [`loss_scale`](crate::loss_scale), to see what training in another format does. **Deviation**: the
//! rounding is emulated, to nearest and to even in a tie, with the range of `E` ([`round_to_half`] has the range of half
//! precision, for gradients); products are still those of `E`. A
//! processor without such arithmetic is not made faster.
//! **Paper**: Micikevicius et al. (2018), Mixed precision training, 1710.03740, section 3.1.
use dfdx::nn::TensorCollection;
use dfdx::prelude::Gradients;
use kernels::{Device, Real};
use layers::{Step, StepError, StepReport, params};

use crate::Error;

/// The nearest number with `bits` bits behind the point of its mantissa; the even one of two that are as near.
///
/// ```
/// use optim::master_copy::round_to_bits;
/// assert_eq!(round_to_bits(1.0 + 1.0 / 256.0, 7), 1.0); // between 1 and 1 + 1/128: to even
/// assert_eq!(round_to_bits(1.0 + 3.0 / 256.0, 7), 1.0 + 1.0 / 64.0);
/// assert_eq!(round_to_bits(-0.1, 7), -0.10009765625); // −0.1 in bfloat16
/// ```
pub fn round_to_bits(value: f64, bits: u32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 2_f64.powi(value.abs().log2().floor() as i32 - bits as i32);
    // A logarithm that was rounded up makes the unit too large by a factor 2 for numbers just below a power of two.
    let unit = if value.abs() < unit * 2_f64.powi(bits as i32) { unit / 2.0 } else { unit };
    (value / unit).round_ties_even() * unit
}

/// The nearest number of half precision, IEEE 754's binary16: 10 bits behind the point, multiples of $2^{-24}$ below
/// $2^{-14}$, infinite from 65 520 on. A tie goes to the even one.
///
/// What a gradient loses that is kept in this format, and why [`loss_scale`](crate::loss_scale) is needed:
/// ```
/// use optim::master_copy::round_to_half;
/// assert_eq!(round_to_half(0.1), 0.0999755859375);
/// assert_eq!(round_to_half(2e-8), 0.0); // a small gradient is gone,
/// assert_eq!(round_to_half(2e-8 * 65_536.0) / 65_536.0, 1.9994331523776054e-8); // unless the loss is scaled
/// assert_eq!(round_to_half(1e5), f64::INFINITY);
/// ```
pub fn round_to_half(value: f64) -> f64 {
    const LARGEST: f64 = 65_504.0;
    let (smallest_normal, smallest) = (2_f64.powi(-14), 2_f64.powi(-24));
    let rounded = if value.abs() < smallest_normal {
        (value / smallest).round_ties_even() * smallest
    } else {
        round_to_bits(value, 10)
    };
    if rounded.abs() > LARGEST { f64::INFINITY.copysign(value) } else { rounded }
}

/// All weights of a model with all digits.
///
/// ```
/// use layers::prelude::*;
/// use optim::master_copy::MasterCopy;
///
/// let dev = Cpu::default();
/// let mut w = dev.tensor([1.0_f32]);
/// let mut sgd = Sgd::try_new(&w, SgdConfig { learning_rate: 1e-3, ..Default::default() })?;
/// let mut master = MasterCopy::try_new(&mut w, 7)?;
/// for _ in 0..100 {
///     let loss = w.leaky_trace().sum(); // gradient 1: each step is less than half of the last digit
///     master.step(&mut sgd, &mut w, &mut loss.backward())?;
/// }
/// assert_eq!(w.array(), [0.8984375]); // 0.9, rounded
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MasterCopy<E> {
    exact: Vec<E>,
    bits: u32,
}

impl<E: Real> MasterCopy<E> {
    /// Copies the weights and rounds those of the model to `bits` bits behind the point.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] unless `bits` lies in 1 to 52; [`Error::Params`] when a tensor cannot be written.
    pub fn try_new<M: TensorCollection<E, D>, D: Device<E>>(model: &mut M, bits: u32) -> Result<Self, Error> {
        if !(1..=52).contains(&bits) {
            let rule = "1 to 52; 7 for bfloat16, 10 for half precision";
            return Err(Error::InvalidHyper { name: "bits", rule, value: f64::from(bits) });
        }
        let master = Self { exact: params::flatten(model), bits };
        params::unflatten(model, &master.rounded())?;
        Ok(master)
    }

    fn rounded(&self) -> Vec<E> {
        self.exact.iter().map(|value| E::of(round_to_bits(value.as_f64(), self.bits))).collect()
    }

    /// The weights with all digits, in the order of [`params::flatten`].
    pub fn exact(&self) -> &[E] {
        &self.exact
    }

    // ANCHOR: step
    /// Makes the optimiser's step on the exact weights, with gradients that were taken at the rounded ones.
    ///
    /// # Errors
    /// The optimiser's; then neither copy has changed. [`Error::Params`] for a model with another number of weights.
    pub fn step<M, D, O>(
        &mut self,
        optimizer: &mut O,
        model: &mut M,
        gradients: &mut Gradients<E, D>,
    ) -> Result<StepReport, Error>
    where
        M: TensorCollection<E, D>,
        D: Device<E>,
        O: Step<M, E, D>,
    {
        params::unflatten(model, &self.exact)?;
        let report: Result<StepReport, StepError> = optimizer.step(model, gradients);
        if report.is_ok() {
            self.exact = params::flatten(model);
        }
        params::unflatten(model, &self.rounded())?;
        Ok(report?)
    }
    // ANCHOR_END: step
}
