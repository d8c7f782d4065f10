//! Lecture 19: neural ordinary differential equations, with depth as time.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 19 | Neural ODE with adjoint |
//! | 19 | Continuous normalising flow, FFJORD |
//! | 19 | Latent ODE |
//! | 19 | TrajectoryNet |
//! | 19 | Discrete adjoint model (Errico 1997) |
#![forbid(unsafe_code)]
