//! The integration tests of lectures 1–8.
#[cfg(feature = "experiments")]
mod experiments;
mod golden;
mod gradients;
mod properties;
mod robustness;
#[cfg(feature = "experiments")]
mod trainer;
