//! Lecture 7: what an architecture costs, what a shortcut buys, and what a project proposal must say.
//!
//! | I want | module |
//! |---|---|
//! | parameters, multiply-adds, memory, receptive field of a description | [`count`] |
//! | the descriptions of the networks that the course names | [`zoo`] |
//! | shortcuts around layers | [`skip`] for a depth known at run time, [`blocks`] as dfdx modules |
//! | a proposal that refuses to be vague | [`proposal`] |
//!
//! For a built model: `layers::params::count`; for a type at compile time: `layers::Cost`.
pub mod blocks;
pub mod count;
pub mod proposal;
pub mod skip;
pub mod zoo;
