//! Tests that look at all operations together.
mod core;
mod golden;
pub mod laws;
mod table;
