//! The integration tests of lectures 1–8.
mod golden;
mod gradients;
mod properties;
mod robustness;
