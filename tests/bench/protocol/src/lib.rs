//! One side of a benchmark: a process that stays alive and does what it is told, one line at a time.
//!
//! | command | answer |
//! |---|---|
//! | `cases` | `cases NAME...` |
//! | `about` | `about name=NAME version=VERSION threads=N` |
//! | `case NAME` | `values KEY=NUMBER...`, `absent`, or `error TEXT` |
//! | `run N` | `seconds T1 ... TN` |
//! | `memory` | `peak BYTES` |
//! | `drop` | `dropped` |
//!
//! `case` prepares the inputs, computes the case once and says what came out; two sides whose values differ do not
//! compute the same thing, and are not timed. `tests/peers/torch/serve.py` speaks the same language in Python.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod data;
mod memory;
mod serve;

pub use serve::{Case, Side, serve};
