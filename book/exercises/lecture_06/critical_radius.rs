//! # A box of the right size
//!
//! *Open.* The share of critical samples depends on the box: with half side $r = 0.02$
//! real data and noise differ, with $r = 0.1$ every sample of every kind is critical. Train a network on 300 digits as the
//! experiment `memorisation` does, on real labels and on random ones, and plot both shares against the half side on a
//! logarithmic axis. Where is the difference largest? Does that half side change with the number of training images,
//! and with it what you would conclude from the measure? State half side, step, noise and number of iterations with
//! every number that you report.

pub mod solution {
    //! A box that is too small contains no boundary for any kind of data, one that is too large contains one for every
    //! sample; in between the shares rise at different half sides, and where the difference is largest depends on how far
    //! training has pushed the boundaries away from the samples. In our runs real data have about one critical sample in
    //! seventy at a half side of $r = 0.02$, random labels four in ten. More images bring boundaries closer together, so the
    //! best half side shrinks; compare kinds of data at the same number of images only.
    //!
    //! The usual mistake is to report one share without its half side, or to let the search run longer for one kind.
}
