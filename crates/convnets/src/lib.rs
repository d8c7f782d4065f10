//! Lecture 14: networks that look at neighbouring pixels first.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 14 | Conv, pooling, transposed conv |
//! | 14 | GoogLeNet / Inception v1 |
//! | 14 | Inception v2/v3 factorisations |
//! | 14 | ResNet |
//! | 14 | U-Net |
#![forbid(unsafe_code)]
