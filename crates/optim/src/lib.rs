//! Lectures 1–8: from the perceptron to the optimisers of deep learning.
//!
//! | lecture | subject | modules |
//! |---|---|---|
//! | 1 | perceptron, sigmoid neuron, a network that reads digits | [`perceptron`], [`logic`], [`nielsen`] |
//! | 2 | machine-learning basics | [`learning`] |
//! | 3 | stochastic gradient descent, linear regression | [`sgd`] |
//! | 4 | back-propagation and automatic differentiation | [`autodiff`] |
//! | 5 | losses, activations, initialisation | `layers::{losses, activation, init}`, [`saturation`], [`mean_field`], [`init`], [`sparse_start`], [`mixture`], [`calibration`], [`summation`] |
//! | 6 | regularisation | [`regularize`], [`chain`] |
//! | 7 | architectures and the project proposal | [`architecture`] |
//! | 8 | variations on stochastic gradient descent | [`optimizers`], [`schedules`], [`range_test`], [`search`], [`second_order`], [`descent`], [`continuation`], [`problems`], [`landscape`], [`loss_scale`], [`master_copy`] |
//!
//! Inputs are one nalgebra vector per example; accuracy is a share in \[0, 1\]; whatever draws takes its random
//! generator as an argument. The feature `experiments` adds the claims of the lectures as runnable experiments.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod architecture;
pub mod autodiff;
pub mod calibration;
pub mod chain;
pub mod continuation;
pub mod descent;
mod error;
#[cfg(feature = "experiments")]
pub mod experiments;
pub mod init;
pub mod landscape;
pub mod learning;
mod linalg;
pub mod logic;
pub mod loss_scale;
pub mod master_copy;
pub mod mean_field;
pub mod mixture;
pub mod nielsen;
pub mod optimizers;
pub mod perceptron;
pub mod problems;
pub mod range_test;
pub mod regularize;
pub mod saturation;
pub mod schedules;
pub mod search;
pub mod second_order;
pub mod sgd;
pub mod sparse_start;
pub mod summation;

pub use error::Error;
/// What the models that the rules train are made of: dfdx and our modules in [`layers::prelude`], losses, checkpoints.
pub use layers;

/// The names that most programs need.
pub mod prelude {
    pub use crate::Error;
    pub use crate::nielsen::{Example, Network, SgdConfig, sigmoid};
    pub use crate::perceptron::{
        AveragedPerceptron, MarginConfig, MaxEpochs, MulticlassPerceptron, Perceptron, hard_margin,
        novikoff_bound,
    };
}
