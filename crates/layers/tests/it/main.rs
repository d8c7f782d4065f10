//! The one test binary of `layers`.
mod params;
mod step;
mod testing;
