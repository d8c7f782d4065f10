//! The integration tests of lectures 1–8.
mod adapters;
mod architecture;
#[cfg(feature = "experiments")]
mod experiments;
mod golden;
mod gradients;
mod landscape;
mod optimizers;
mod problems;
mod properties;
mod regularize;
mod robustness;
mod saturation;
mod schedules;
mod second_order;
#[cfg(feature = "experiments")]
mod trainer;
