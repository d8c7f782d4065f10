//! Under `cuda`: compiles the kernels of `cuda/` with `nvcc`, which is to be in `PATH`, for cards of the generation
//! `KERNELS_SM` (90, which is Hopper, unless it is set) and later ones. Under `ci-check` they are empty files: such a
//! build can be checked and not run.
use std::env::{var, var_os};
use std::path::PathBuf;
use std::process::Command;

/// Files of kernels, without `.cu`.
const KERNELS: [&str; 2] = ["patches", "update"];

fn main() {
    println!("cargo:rerun-if-changed=cuda");
    println!("cargo:rerun-if-env-changed=KERNELS_SM");
    if var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let out = PathBuf::from(var_os("OUT_DIR").expect("set by cargo"));
    for name in KERNELS {
        let text = out.join(format!("{name}.ptx"));
        if var_os("CARGO_FEATURE_CI_CHECK").is_some() {
            std::fs::write(text, "").expect("OUT_DIR can be written");
            continue;
        }
        let generation = var("KERNELS_SM").unwrap_or_else(|_| "90".into());
        let mut nvcc = Command::new("nvcc");
        // Without contraction a step of an optimiser has the bits of `Cpu`.
        nvcc.args(["-O3", "--fmad=false", "--ptx", "-arch"]).arg(format!("compute_{generation}"));
        nvcc.arg("-o").arg(text).arg(format!("cuda/{name}.cu"));
        match nvcc.status() {
            Ok(status) => assert!(status.success(), "{nvcc:?}: {status}"),
            Err(error) => panic!("the feature `cuda` needs nvcc of the CUDA toolkit in PATH: {error}"),
        }
    }
}
