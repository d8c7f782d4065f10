//! The integration tests of lectures 1–8.
mod adapters;
mod architecture;
mod autodiff;
mod derivatives;
#[cfg(feature = "experiments")]
mod experiments;
mod facts;
mod golden;
mod gradients;
mod graphs;
mod kfac;
mod landscape;
mod laws;
mod learning;
mod mixing;
mod nielsen;
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
mod sharing;
mod slopes;
mod starts;
mod state;
mod sums;
mod surfaces;
mod tape;
#[cfg(feature = "experiments")]
mod trainer;
mod unlabelled;
