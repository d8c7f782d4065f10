//! The crate from outside.
mod figures;
