//! The integration tests of lectures 1–8.
mod adapters;
mod architecture;
mod autodiff;
#[cfg(feature = "experiments")]
mod experiments;
mod facts;
mod golden;
mod gradients;
mod kfac;
mod landscape;
mod laws;
mod learning;
mod optimizers;
mod outputs;
mod problems;
mod properties;
mod regularize;
mod robustness;
mod saturation;
mod schedules;
mod search;
mod second_order;
mod sgd;
#[cfg(feature = "experiments")]
mod trainer;
