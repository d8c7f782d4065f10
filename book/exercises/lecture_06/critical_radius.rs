//! # A box of the right size
//!
//! *Open.* The share of critical samples depends on the box: with half side $0.02$
//! real data and noise differ, with $0.1$ every sample of every kind is critical. Train a network on 300 digits as the
//! experiment `memorisation` does, on real labels and on random ones, and plot both shares against the half side on a
//! logarithmic axis. Where is the difference largest? Does that half side change with the number of training images,
//! and with it what you would conclude from the measure? State half side, step, noise and number of iterations with
//! every number that you report.
