//! The crate from outside.
mod figures;
mod training;
