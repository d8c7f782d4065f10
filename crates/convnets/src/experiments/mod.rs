//! The claims of lecture 14 as experiments: each is measured, judged and drawn by `cargo xtask run NAME`.
//!
//! | experiment | claim |
//! |---|---|
//! | [`PretrainedLenet`] | the networks in this crate beat the nearest neighbours, and rounding costs them nothing |
mod pretrained_lenet;

pub use pretrained_lenet::{PretrainedLenet, PretrainedLenetConfig, PretrainedLenetReport};

/// The experiments of this unit.
pub fn experiments() -> Vec<lab::Entry> {
    vec![lab::entry::<PretrainedLenet>()]
}
