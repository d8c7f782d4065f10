//! Losses with a tape, as single fused operations, and their tangents.
//!
//! Each takes its reduction in its name and returns a scalar in nats or squared units. They are [`kernels`]' own;
//! for a [`Dual`](crate::Dual) output use [`Dual::mse_mean`](crate::Dual::mse_mean) and
//! [`Dual::cross_entropy_mean`](crate::Dual::cross_entropy_mean).
//!
//! # Examples
//! ```
//! use layers::{losses, prelude::*};
//! let dev = Cpu::seed_from_u64(0);
//! let model = dev.build_module::<(Linear<4, 8, Relu>, Linear<8, 3>), f32>();
//! let x: Tensor<Rank2<5, 4>, f32, _> = dev.sample_normal();
//! let loss = losses::cross_entropy_mean(model.forward(x.leaky_trace()), &[0, 1, 2, 1, 0]);
//! assert!((loss.array() - 3.0_f32.ln()).abs() < 0.5); // near chance before training
//! ```
pub use kernels::{
    bce_with_logits_mean, cross_entropy_mean, mse_mean, try_bce_with_logits_mean, try_cross_entropy_mean,
    try_mse_mean,
};
