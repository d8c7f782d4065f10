//! The one test binary of `layers`.
mod checkpoint;
mod cost;
mod dual;
mod modules;
mod params;
mod sgd;
mod step;
mod testing;

/// Path of a golden file beside its generator.
fn golden(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}
