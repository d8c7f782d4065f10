//! dfdx modules made of kernels, exact second order with `Dual`, losses, the `Step` trait and what models share.
//!
//! | I need | module |
//! |---|---|
//! | path names, flat vectors, groups of a model's tensors | [`params`] |
//! | an optimiser interface, its saved state, learning-rate schedules | [`step`] |
//! | gradient checker, `assert_close!`, golden files (feature `testing`) | `testing` |
//!
//! Shapes are batch first, features last: `(B, F)`, `(B, T, F)`.
#![forbid(unsafe_code)]

mod dfdx_optimizers;
pub mod params;
pub mod step;
#[cfg(feature = "testing")]
pub mod testing;

pub use step::{Schedule, Slot, SlotKey, Step, StepError, StepReport, StepState};

pub mod prelude {
    //! dfdx's prelude.
    pub use dfdx::prelude::*;
}
