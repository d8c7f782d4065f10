//! Tests that look at all operations together.
mod accuracy;
mod core;
#[cfg(feature = "cuda")]
mod cuda;
mod golden;
pub mod hostile;
#[cfg_attr(feature = "cuda", allow(dead_code))] // the laws of `Cpu`, see `table`
pub mod laws;
mod table;
