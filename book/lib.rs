//! The book's chapters as documentation tests.
#![forbid(unsafe_code)]
