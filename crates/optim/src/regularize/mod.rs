//! Lecture 6: what keeps a network from memorising.
//!
//! | I want | module |
//! |---|---|
//! | small or sparse weights | [`penalty`]; `weight_decay` of every optimiser; max-norm: `layers::optimizer::Constraint`, [`noise::max_norm`] |
//! | units that are silent most of the time | [`activity`] |
//! | to stop in time, and to use all data then | [`early_stop`], [`refit`] |
//! | dropout, and what it does exactly | `layers::modules::Dropout`, of whole channels (spatial dropout) `FeatureDropout`, [`dropout`], [`dropout_theory`], [`tied_landscape`] |
//! | dropout of single weights | [`drop_connect`] |
//! | batch norm | `layers::modules::BatchNorm1D` |
//! | noise on inputs, weights, labels | `layers::modules::GaussianNoise`, [`noise`] |
//! | more data from the data | [`augment`], [`erasing`], [`mixup`], [`manifold`], [`cut_mix`] |
//! | two networks that stay near each other, or share weights | [`tying`] |
//! | one network for several tasks | [`multitask`] |
//! | to learn from examples without labels | [`semi_supervised`] |
//! | soft labels, robust losses | `layers::losses` |
//! | several models, resamples | [`ensemble`] |
//! | robustness against small changes | [`adversarial`], [`tangent`]; `layers::gradient_penalty` |
//! | a measure of size that rescaling does not change, and descent on it | [`path_norm`] |
//! | to see memorisation happen | [`memorization`] |
pub mod activity;
pub mod adversarial;
pub mod augment;
pub mod cut_mix;
pub mod drop_connect;
pub mod dropout;
pub mod dropout_theory;
pub mod early_stop;
pub mod ensemble;
pub mod erasing;
pub mod manifold;
pub mod memorization;
pub mod mixup;
pub mod multitask;
pub mod noise;
pub mod path_norm;
pub mod penalty;
pub mod refit;
pub mod semi_supervised;
pub mod tangent;
pub mod tied_landscape;
pub mod tying;
