//! Compiles the kernels of `kernels` and the driver that runs them with the C++ compiler of this machine: `CXX`, or `c++`.
//!
//! Without one the crate is empty but for a test that is ignored and says why.
use std::env::var_os;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kernels of `kernels`, without `.cu`.
const KERNELS: [&str; 2] = ["patches", "update"];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(has_compiler)");
    println!("cargo:rerun-if-env-changed=CXX");
    let here = PathBuf::from(var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(var_os("OUT_DIR").expect("set by cargo"));
    let kernels = here.join("../../crates/kernels/cuda");
    for watched in [&kernels, &here] {
        println!("cargo:rerun-if-changed={}", watched.display());
    }
    for name in KERNELS {
        let path = out.join(format!("{name}.ptx"));
        std::fs::write(path, "// the fake driver has the kernels built in").expect("OUT_DIR can be written");
    }
    let compiler = var_os("CXX").unwrap_or_else(|| "c++".into());
    let asan = ["asan", "ubsan"].map(|name| library(Command::new(&compiler), name));
    let is_sanitized = asan.iter().all(Option::is_some);
    let mut objects = vec![out.join("driver.o")];
    let mut sources = vec![here.join("driver.cpp")];
    for name in KERNELS {
        objects.push(out.join(format!("{name}.o")));
        sources.push(kernels.join(format!("{name}.cu")));
    }
    for (source, object) in sources.iter().zip(&objects) {
        let mut command = Command::new(&compiler);
        command.args(["-std=c++20", "-x", "c++", "-O1", "-g", "-fPIC", "-ffp-contract=off", "-Wall"]);
        if is_sanitized {
            command.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
        }
        command.arg("-I").arg(&here).arg("-c").arg(source).arg("-o").arg(object);
        match command.status() {
            Ok(status) if status.success() => (),
            Ok(status) => panic!("{command:?}: {status}"),
            Err(_) => return, // no compiler: nothing of this crate is compiled
        }
    }
    let archive = out.join("libfake_gpu.a");
    _ = std::fs::remove_file(&archive);
    let status = Command::new("ar").arg("crs").arg(&archive).args(&objects).status();
    assert!(status.is_ok_and(|status| status.success()), "`ar`, which comes with the compiler, has failed");
    println!("cargo:rustc-cfg=has_compiler");
    println!("cargo:rustc-link-search=native={}", out.display());
    // Whole: kernels enter the driver's table before `main`, and nothing names them.
    println!("cargo:rustc-link-lib=static:+whole-archive=fake_gpu");
    for (name, folder) in ["asan", "ubsan"].into_iter().zip(asan).filter(|_| is_sanitized) {
        println!("cargo:rustc-link-search=native={}", folder.unwrap_or_default().display());
        println!("cargo:rustc-link-lib=dylib={name}");
    }
    println!("cargo:rustc-link-lib=dylib=stdc++");
}

/// The folder of a library of the compiler's own, which says its bare name when it has none.
fn library(mut compiler: Command, name: &str) -> Option<PathBuf> {
    let output = compiler.arg(format!("-print-file-name=lib{name}.so")).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let path = Path::new(said.trim());
    path.is_absolute().then(|| path.parent().map(Path::to_path_buf)).flatten()
}
