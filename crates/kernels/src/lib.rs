#![doc = include_str!("../README.md")]
pub mod activation;
mod bridge;
mod composed;
pub mod convolution;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
pub mod dropout;
pub mod elementwise;
mod error;
mod formulas;
mod gradient;
mod lanes;
pub mod linear;
mod loops;
pub mod loss;
mod math;
pub mod matrix;
pub mod normalisation;
pub mod pool;
pub mod pooling;
mod product;
pub mod random;
mod real;
pub mod reduce;
pub mod resampling;
mod row_major;
mod rows;
pub mod sequence;
pub mod shape;
mod simd;
pub mod softmax;
pub mod sparse;
pub mod update;

pub use activation::{
    Abs, Activation, ActivationKind, Celu, Clamp, Cos, Elu, Erf, Exp, Expm1, Gelu, GeluTanh, HardSigmoid,
    HardSwish, HardTanh, Identity, LeakyRelu, LecunTanh, Ln, Ln1p, LogSigmoid, Mish, Power, Relu, Relu6,
    ReluSquared, Selu, Sigmoid, Silu, Sin, Softplus, SoftplusBeta, Softsign, Sqrt, Squareplus, Swish, Tanh,
    activate, activation_slope, try_activate, try_activation_slope,
};
pub use bridge::{flat, flat_mut};
pub use device::{BaseDevice, Device};
pub use dropout::{
    NoiseDevice, alpha_dropout, dropout, feature_dropout, gaussian_dropout, gaussian_noise,
    try_alpha_dropout, try_dropout, try_feature_dropout, try_gaussian_dropout, try_gaussian_noise,
};
pub use elementwise::{
    Arithmetic, ElementwiseDevice, abs, add, add_along, choose, clamp, cos, div, div_along, erf, exp, expm1,
    ln, ln_1p, mul, mul_along, powf, sin, sqrt, sub, sub_along, try_abs, try_add, try_add_along, try_choose,
    try_clamp, try_cos, try_div, try_div_along, try_erf, try_exp, try_expm1, try_ln, try_ln_1p, try_mul,
    try_mul_along, try_powf, try_sin, try_sqrt, try_sub, try_sub_along,
};
pub use error::{DeviceError, Error};
pub use gradient::{backward_from, try_backward_from};
pub use linear::{FeaturesLast, InputGradient, linear, try_linear};
pub use loss::{
    AbsoluteError, BatchFirst, BceWithLogits, ClassLoss, Classes, DistributionLoss, Focal, Hinge, Huber,
    KlDiv, LogCosh, LossDevice, PairKind, PairLoss, PoissonNll, Quantile, SmoothL1, SquaredError,
    SquaredHinge, bce_with_logits_mean, check_probabilities, class_loss_mean, class_loss_per_sample,
    class_loss_sum, contrastive_per_sample, cosine_embedding_per_sample, cross_entropy_mean,
    distribution_loss_mean, distribution_loss_per_sample, gaussian_nll_mean, loss_mean, loss_per_sample,
    loss_sum, mse_mean, triplet_margin_per_sample, try_bce_with_logits_mean, try_class_loss_mean,
    try_class_loss_per_sample, try_cosine_embedding_per_sample, try_cross_entropy_mean,
    try_distribution_loss_per_sample, try_gaussian_nll_mean, try_loss_mean, try_loss_per_sample,
    try_loss_sum, try_mse_mean,
};
pub use matrix::{
    MatrixDevice, Multiply, gram, gram_columns, matmul, outer, pairwise_squared_distances, squared_distances,
    try_gram, try_gram_columns, try_matmul, try_outer, try_pairwise_squared_distances, try_squared_distances,
};
pub use normalisation::{
    BatchMoments, BatchNormed, ChannelsSecond, LastAxis, LocalResponse, Spectral, batch_norm,
    batch_norm_with, group_norm, instance_norm, layer_norm, local_response_norm, power_iteration, rms_norm,
    spectral_norm, try_batch_norm, try_batch_norm_with, try_group_norm, try_instance_norm, try_layer_norm,
    try_local_response_norm, try_power_iteration, try_rms_norm, try_spectral_norm, try_weight_norm,
    weight_norm,
};
pub use pooling::{
    MaxPooled, PoolIndices, adaptive_avg_pool2d, avg_pool2d, global_avg_pool, global_max_pool, max_pool2d,
    max_unpool2d, pick, try_adaptive_avg_pool2d, try_avg_pool2d, try_global_avg_pool, try_global_max_pool,
    try_max_pool2d, try_max_unpool2d, try_pick,
};
pub use real::Real;
pub use reduce::{
    Correction, ReduceDevice, ReducedShape, Reduction, argmax_along, argmin_along, log_softmax_along,
    logsumexp_along, max_along, mean_all, mean_along, min_along, norm_along, softmax_along, sum_all,
    sum_along, try_argmax_along, try_argmin_along, try_log_softmax_along, try_logsumexp_along, try_max_along,
    try_mean_all, try_mean_along, try_min_along, try_norm_along, try_softmax_along, try_sum_all,
    try_sum_along, try_var_along, var_along,
};
pub use resampling::{
    Corners, CountPadding, concat_channels, pad1d, pad2d, pixel_shuffle, pixel_shuffle1d, pixel_unshuffle,
    pixel_unshuffle1d, resize_bilinear, resize_nearest, try_concat_channels, try_pad1d, try_pad2d,
    try_pixel_shuffle, try_pixel_shuffle1d, try_pixel_unshuffle, try_pixel_unshuffle1d, try_resize_bilinear,
    try_resize_nearest,
};
pub use row_major::RowMajor;
pub use softmax::{log_softmax, softmax, try_log_softmax, try_softmax};

#[cfg(all(test, not(loom)))]
mod tests;
