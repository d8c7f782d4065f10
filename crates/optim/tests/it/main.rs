//! The integration tests of lectures 1–8.
mod autodiff;
#[cfg(feature = "experiments")]
mod experiments;
mod golden;
mod gradients;
mod learning;
mod optimizers;
mod properties;
mod robustness;
mod schedules;
mod second_order;
mod sgd;
#[cfg(feature = "experiments")]
mod trainer;
