//! Not built yet.
#![forbid(unsafe_code)]
