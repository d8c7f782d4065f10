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
    AbsoluteError, BceWithLogits, ClassLoss, Classes, DistributionLoss, Focal, Hinge, Huber, KlDiv, LogCosh,
    PairLoss, PoissonNll, Quantile, SmoothL1, SquaredError, SquaredHinge, bce_with_logits_mean,
    check_probabilities, class_loss_mean, class_loss_per_sample, class_loss_sum, contrastive_per_sample,
    cosine_embedding_per_sample, cross_entropy_mean, distribution_loss_mean, distribution_loss_per_sample,
    gaussian_nll_mean, loss_mean, loss_per_sample, loss_sum, mse_mean, triplet_margin_per_sample,
    try_bce_with_logits_mean, try_class_loss_mean, try_class_loss_per_sample,
    try_cosine_embedding_per_sample, try_cross_entropy_mean, try_distribution_loss_per_sample,
    try_gaussian_nll_mean, try_loss_mean, try_loss_per_sample, try_loss_sum, try_mse_mean,
};
