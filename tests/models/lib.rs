//! The thread pool of `kernels` under the model checker: `cargo xtask check --loom`, which sets `--cfg loom`.
//!
//! That flag would compile dfdx and every other dependency of `kernels` once more, for minutes, though the pool needs
//! none of them; hence its file alone, in a package of its own. Without the flag this crate is empty.
#[cfg(loom)]
#[path = "../../crates/kernels/src/pool.rs"]
pub mod pool;
