//! The product as a whole: its rooms, its commands, its papers, and people who depend on one crate.
#![forbid(unsafe_code)]

mod commands;
mod compile_errors;
mod coverage;
mod examples;
mod house;
mod outside;
mod peers;
mod predict;
mod readme;
mod support;
