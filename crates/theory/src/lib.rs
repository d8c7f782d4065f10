//! Lectures 20 to 22, 24 and 25: what networks can represent, why they generalise, what their loss looks like.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 20 | Universality, constructive |
//! | 21 | Information plane (Tishby) |
//! | 21 | Information flow in noisy nets (Goldfeld) |
//! | 21 | Lottery ticket (IMP with rewinding) |
//! | 21 | Johnson-Lindenstrauss projection |
//! | 21 | M-PHATE |
//! | 22 | Double descent (Belkin 2019) |
//! | 22 | Random labels (Zhang 2017) |
//! | 22 | Capacity bounds (Neyshabur 2019) |
//! | 22 | SGD stability (Hardt 2016) |
//! | 22 | Uniform stability bounds (Bousquet & Elisseeff) |
//! | 22 | Empirical Rademacher complexity |
//! | 22 | Coherent gradients (Chatterjee) |
//! | 24 | NTK, analytic |
//! | 24 | Empirical NTK, linearised training |
//! | 24 | Lazy training, alpha scaling (Chizat) |
//! | 24 | CNTK (Arora) |
//! | 24 | Enhanced CNTK (Li 2019) |
//! | 24 | Kernel functions, kernel regression baselines |
//! | 25 | Minimum-energy paths, AutoNEB (Draxler) |
//! | 25 | Filter-normalised landscapes (Li 2018) |
//! | 25 | Sharp minima by rescaling (Dinh) |
//! | 25 | Large-batch sharpness (Keskar) |
//! | 25 | Loss-landscape geometry by PHATE/TDA (Horoi) |
//! | 25 | Hessian spectrum (Lanczos/SLQ) of real nets |
#![forbid(unsafe_code)]
