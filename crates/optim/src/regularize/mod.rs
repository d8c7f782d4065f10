//! Lecture 6: what keeps a network from memorising.
//!
//! | I want | module |
//! |---|---|
//! | small or sparse weights | [`penalty`]; `weight_decay` of every optimiser; max-norm: `layers::optimizer::Constraint`, [`noise::max_norm`] |
//! | to stop in time | [`early_stop`] |
//! | dropout, and what it does exactly | `layers::modules::Dropout`, [`dropout`], [`dropout_theory`] |
//! | batch norm | `layers::modules::BatchNorm1D` |
//! | noise on inputs, weights, labels | `layers::modules::GaussianNoise`, [`noise`] |
//! | more data from the data | [`augment`], [`mixup`] |
//! | soft labels, robust losses | `layers::losses` |
//! | several models | [`ensemble`] |
//! | robustness against small changes | [`adversarial`], [`tangent`]; `layers::gradient_penalty` |
//! | a measure of size that rescaling does not change, and descent on it | [`path_norm`] |
//! | to see memorisation happen | [`memorization`] |
pub mod adversarial;
pub mod augment;
pub mod dropout;
pub mod dropout_theory;
pub mod early_stop;
pub mod ensemble;
pub mod memorization;
pub mod mixup;
pub mod noise;
pub mod path_norm;
pub mod penalty;
pub mod tangent;
