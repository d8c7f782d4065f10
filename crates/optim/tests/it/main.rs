//! The integration tests of lectures 1–8.
#[cfg(feature = "experiments")]
mod experiments;
mod golden;
mod gradients;
mod optimizers;
mod properties;
mod robustness;
mod schedules;
mod second_order;
#[cfg(feature = "experiments")]
mod trainer;
