//! Lectures 11 to 13: networks that draw new data, compare distributions and translate between domains.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 11 | VAE |
//! | 11 | Generalised DAE, walkback (Bengio 2013) |
//! | 11 | scVI (Lopez 2018) |
//! | 11 | Variational Bayes tutorial (2103.01327): MFVB, FFVB, natural gradient |
//! | 11 | Goodfellow ch. 20: Boltzmann machines, DBN, DBM, autoregressive nets |
//! | 12 | GAN (Goodfellow 2014) |
//! | 12 | MMD networks (Dziugaite 2015) |
//! | 12 | Divergences: KL, reverse KL, JS, MLE study |
//! | 12 | WGAN with clipping |
//! | 12 | WGAN-GP |
//! | 13 | Conditional GAN |
//! | 13 | InfoGAN |
//! | 13 | DiscoGAN |
//! | 13 | CycleGAN |
//! | 13 | MAGAN (manifold alignment) |
//! | 13 | TraVeLGAN |
//! | 13 | StyleGAN v1 (AdaIN, mixing) |
//! | 13 | StyleGAN metrics: path length, truncation, style mixing (part of StyleGAN row) |
#![forbid(unsafe_code)]
