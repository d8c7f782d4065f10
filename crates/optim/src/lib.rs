//! Lectures 1–8.
#![forbid(unsafe_code)]
