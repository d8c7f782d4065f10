//! The CUDA kernels of `kernels` and the code that launches them, tested where there is no GPU.
//!
//! The build script compiles `crates/kernels/cuda/*.cu` as C++, and `driver.cpp`, which stands for NVIDIA's driver: memory
//! is the host's, a launch runs the kernel on the CPU. The tests are those of `launch.rs` itself, which run on a device
//! too; here every access to memory is watched by the compiler's sanitizers, where it has them. dfdx cannot be built for
//! CUDA without CUDA's compiler, hence this file alone, as in `pool-models`: what it does not show is that tensors are
//! handed over rightly, which only `cargo xtask gpu-pack` does.
#[cfg(all(test, has_compiler))]
use kernels::{ActivationKind, InputGradient, Real, convolution, shape, update};

#[cfg(all(test, has_compiler))]
#[path = "../../crates/kernels/src/cuda/launch.rs"]
mod launch;

#[cfg(all(test, not(has_compiler)))]
#[test]
#[ignore = "there is no C++ compiler; on Debian: apt-get install g++"]
fn the_kernels_agree_with_the_cpu() {}
