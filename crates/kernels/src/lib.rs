#![doc = include_str!("../README.md")]
pub mod activation;
mod bridge;
mod composed;
mod cpu;
mod device;
mod error;
mod formulas;
pub mod linear;
mod loops;
pub mod loss;
mod math;
pub mod pool;
mod product;
pub mod random;
mod real;
pub mod reduce;
mod rows;
pub mod sequence;
pub mod sgd;
pub mod shape;
mod simd;
pub mod softmax;
pub mod sparse;

pub use activation::{
    Activation, ActivationKind, Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh, activate,
    activation_slope, try_activate, try_activation_slope,
};
pub use bridge::{flat, flat_mut};
pub use device::{BaseDevice, Device};
pub use error::{DeviceError, Error};
pub use linear::{FeaturesLast, InputGradient, linear, matmul, try_linear, try_matmul};
pub use loss::{
    bce_with_logits_mean, cross_entropy_mean, mse_mean, try_bce_with_logits_mean, try_cross_entropy_mean,
    try_mse_mean,
};
pub use real::Real;
pub use reduce::{mean_all, sum_all, try_mean_all, try_sum_all};
pub use sgd::{Momentum, SgdStep, sgd_update, try_sgd_update};
pub use softmax::{log_softmax, softmax, try_log_softmax, try_softmax};

#[cfg(all(test, not(loom)))]
mod tests;
