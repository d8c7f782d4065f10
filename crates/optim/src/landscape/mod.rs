//! What the surface of a loss looks like: critical points, the spherical spin glass, bands of test losses.
//!
//! | module | content |
//! |---|---|
//! | [`critical`] | minimum, maximum or saddle: the test by second derivatives |
//! | [`spin_glass`] | a random polynomial on a sphere, its minima found by descent |
//! | [`complexity`] | how many critical points it has at each height, in closed form |
//! | [`recurrence`] | what the same matrix does to a gradient many times |
//! | [`symmetry`] | how many weight vectors are the same network |
//! | [`loss_band`] | many networks from random starts, and how far apart they end |
//!
//! **Paper**: Choromanska, Henaff, Mathieu, Ben Arous & LeCun (2015), The loss surfaces of multilayer networks, 1412.0233.
pub mod complexity;
pub mod critical;
pub mod loss_band;
pub mod recurrence;
pub mod spin_glass;
pub mod symmetry;
