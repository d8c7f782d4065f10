//! Helpers for tests (feature `testing`): a gradient checker, [`assert_close!`](crate::assert_close) and a reader of
//! golden files.
//!
//! They panic where a test has to fail, and their messages say where to look: index, both values, relative error.
mod close;
mod golden;
mod gradient;

pub use close::{Flat, assert_close_flat};
pub use golden::Golden;
pub use gradient::{GradientReport, gradient_check};
