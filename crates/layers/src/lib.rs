//! dfdx modules made of kernels, exact second order with `Dual`, losses, the `Step` trait and what models share.
#![forbid(unsafe_code)]
