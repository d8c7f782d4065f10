//! booktool.
#![forbid(unsafe_code)]
fn main() {}
