//! The integration tests of lectures 1–8.
mod adapters;
mod architecture;
mod autodiff;
#[cfg(feature = "experiments")]
mod experiments;
mod golden;
mod gradients;
mod landscape;
mod learning;
mod optimizers;
mod problems;
mod properties;
mod regularize;
mod robustness;
mod saturation;
mod schedules;
mod second_order;
mod sgd;
#[cfg(feature = "experiments")]
mod trainer;
