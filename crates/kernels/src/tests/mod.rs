//! Tests that look at all operations together.
mod golden;
mod table;
