//! Lectures 9 and 10: how few numbers describe a picture or a cell.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 9 | PCA |
//! | 9 | Deep autoencoder with RBM pretraining (Hinton 2006) |
//! | 9 | Diffusion maps (Coifman & Lafon) |
//! | 9 | Laplacian eigenmaps (Belkin & Niyogi) |
//! | 9 | Denoising autoencoder = score (Alain & Bengio) |
//! | 9 | Contractive and sparse autoencoders |
//! | 10 | SAUCIE |
//! | 10 | AAnet (archetypal) |
#![forbid(unsafe_code)]
