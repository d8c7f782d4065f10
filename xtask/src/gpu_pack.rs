//! `gpu-pack`: the tests of the CUDA code, built where there is no GPU and packed for a machine that has one.
//!
//! Building needs a C compiler and Python with pip: the compiler of CUDA comes from Python wheels. dfdx's build script
//! asks `nvidia-smi` for the card, and the linker asks for the driver's libraries; neither is here, so a script answers
//! for the first and libraries without contents, made from cudarc's declarations, stand for the others. The machine
//! that runs the pack needs a driver for CUDA 13, cuBLAS and NVRTC, and neither Rust nor a network.
use crate::process::{self, Built, Exit, FAILED, OK, USAGE, cargo};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Where a pack is built, and unpacked on the other machine. The path must be the same on both: dfdx compiles kernels
/// at run time too, and has the folders of their headers compiled in.
const HOME: &str = "/tmp/course-gpu";

/// The card's generation: 9.0 is Hopper. Later cards run the same kernels.
const COMPUTE_CAPABILITY: [&str; 2] = ["9.0", "90"];

/// CUDA 13.0, not a later one: the drivers of that release refuse what a newer compiler writes.
const WHEELS: [&str; 6] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-nvrtc==13.0.88",
];

/// What cudarc links: library, the name under which a program asks for it, module with its declarations.
const LIBRARIES: [[&str; 3]; 4] = [
    ["cuda", "libcuda.so.1", "driver"],
    ["nvrtc", "libnvrtc.so.13", "nvrtc"],
    ["cublas", "libcublas.so.13", "cublas"],
    ["cublasLt", "libcublasLt.so.13", "cublaslt"],
];

/// The work is the device's: code for this side is made quickly, and without what only a debugger reads.
const PROFILE: [&str; 2] = ["profile.dev.package.kernels.opt-level=0", "profile.dev.debug=false"];

/// A packed program.
struct Program {
    /// In the pack.
    name: &'static str,
    /// The package, and cargo's command and target.
    package: &'static str,
    target: [&'static str; 2],
    /// The name of what cargo builds.
    built: &'static str,
    command: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "kernels",
        package: "kernels",
        command: "test",
        target: ["--lib", "--quiet"],
        built: "kernels",
    },
    Program { name: "layers", package: "layers", command: "test", target: ["--test", "cuda"], built: "cuda" },
    Program {
        name: "speed",
        package: "kernels",
        command: "build",
        target: ["--example", "device_speed"],
        built: "device_speed",
    },
];

/// The same cases in PyTorch, for a machine that has it.
const SPEED_OF_TORCH: &str = include_str!("../../crates/kernels/examples/device_speed.py");

/// Allocates one byte where a program asks for none: some drivers refuse, and dfdx asks for an empty buffer first.
const ONE_BYTE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
typedef int (*Pooled)(void *, size_t, void *);
typedef int (*Plain)(void *, size_t);
int cuMemAllocAsync(void *to, size_t bytes, void *stream) {
    return ((Pooled)dlsym(RTLD_NEXT, "cuMemAllocAsync"))(to, bytes ? bytes : 1, stream);
}
int cuMemAlloc_v2(void *to, size_t bytes) {
    return ((Plain)dlsym(RTLD_NEXT, "cuMemAlloc_v2"))(to, bytes ? bytes : 1);
}
"#;

const RUN: &str = include_str!("gpu-run.sh");

/// Why there is no pack.
#[derive(Debug)]
enum Error {
    /// A file or folder cannot be read or written.
    File { path: PathBuf, source: io::Error },
    /// A program is not there.
    Start { program: String, source: io::Error, remedy: &'static str },
    /// A program has failed.
    Ended { program: String, status: ExitStatus, remedy: &'static str },
    /// Cargo's metadata name no cudarc.
    NoCudarc,
    /// A module of cudarc declares nothing.
    NoDeclarations { path: PathBuf },
    /// Cargo has not built a program, and has said why.
    NotBuilt { program: &'static str },
    /// dfdx's build has left no headers for its run-time compilation.
    NoHeaders { under: PathBuf },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "cannot use {}: {source}", path.display()),
            Self::Start { program, source, remedy } => {
                write!(f, "cannot start {program}: {source}; {remedy}")
            }
            Self::Ended { program, status, remedy } => write!(f, "{program} failed, {status}; {remedy}"),
            Self::NoCudarc => {
                write!(f, "cargo metadata names no cudarc; the feature `cuda` of kernels needs it")
            }
            Self::NoDeclarations { path } => write!(
                f,
                "{} declares no function; stand-ins for libraries are made from cudarc 0.9",
                path.display()
            ),
            Self::NotBuilt { program } => write!(f, "cargo has not built the program {program}; see above"),
            Self::NoHeaders { under } => {
                write!(f, "no *.cuh under {}; remove {HOME} and start again", under.display())
            }
        }
    }
}

/// `cargo xtask gpu-pack`.
pub fn run(arguments: &[String]) -> Exit {
    if !arguments.is_empty() {
        eprintln!("gpu-pack takes no arguments");
        return USAGE;
    }
    match pack(Path::new(HOME), &process::root().join("target/gpu-pack")) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("gpu-pack: {error}");
            FAILED
        }
    }
}

fn pack(home: &Path, to: &Path) -> Result<(), Error> {
    toolkit(home)?;
    stand_ins(home)?;
    let bin = home.join("bin");
    folder(&bin)?;
    for program in PROGRAMS {
        let built = build(home, &program)?;
        let executable = built.executable(program.built).ok_or(Error::NotBuilt { program: program.name })?;
        let path = bin.join(program.name);
        fs::copy(executable, &path).map_err(|source| Error::File { path, source })?;
    }
    write(&bin.join("speed.py"), SPEED_OF_TORCH)?;
    write(&bin.join("commit"), &commit())?;
    let headers = headers(home)?;
    folder(to)?;
    let mut tar = Command::new("tar");
    tar.args(["-C", HOME, "--dereference", "--exclude=cuda/include/cccl", "-czf"])
        .arg(to.join("pack.tar.gz"));
    tar.args(["bin", "cuda/include"]).args(headers);
    finish(tar, "it comes with every Linux")?;
    let script = to.join("gpu-run.sh");
    write(&script, &RUN.replace("HOME_OF_THE_PACK", HOME))?;
    println!("{} holds the pack; on a machine with a GPU: sh gpu-run.sh RESULTS SECONDS", to.display());
    Ok(())
}

/// The compiler of CUDA and its headers, as a folder `cuda` like that of an installation.
fn toolkit(home: &Path) -> Result<(), Error> {
    let cuda = home.join("cuda");
    if cuda.join("bin/nvcc").exists() {
        return Ok(());
    }
    println!("fetching the compiler of CUDA: 190 MB, once");
    folder(home)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target"]);
    pip.arg(home.join("toolkit")).args(WHEELS);
    finish(pip, "gpu-pack needs Python with pip and a way to its package index")?;
    std::os::unix::fs::symlink("toolkit/nvidia/cu13", &cuda)
        .map_err(|source| Error::File { path: cuda, source })
}

/// What building asks for and this machine lacks.
fn stand_ins(home: &Path) -> Result<(), Error> {
    let shim = home.join("shim");
    folder(&shim)?;
    let smi = shim.join("nvidia-smi");
    write(&smi, &format!("#!/bin/sh\nprintf 'compute_cap\\n{}\\n'\n", COMPUTE_CAPABILITY[0]))?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&smi, executable).map_err(|source| Error::File { path: smi, source })?;
    let libraries = home.join("cuda/lib64/stubs"); // where cudarc's build script looks
    folder(&libraries)?;
    let declarations = cudarc()?.join("src");
    for [library, name, module] in LIBRARIES {
        let path = declarations.join(module).join("sys.rs");
        let text = fs::read_to_string(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        let functions = functions(&text);
        if functions.is_empty() {
            return Err(Error::NoDeclarations { path });
        }
        let bodies: String = functions.iter().map(|name| format!("void {name}(void) {{}}\n")).collect();
        shared_library(home, &libraries.join(format!("lib{library}.so")), name, &bodies)?;
    }
    let bin = home.join("bin");
    folder(&bin)?;
    shared_library(home, &bin.join("libone_byte.so"), "libone_byte.so", ONE_BYTE)
}

/// The names of the functions that a file of declarations names, each once.
fn functions(declarations: &str) -> Vec<&str> {
    let name = |line: &'_ str| line.trim_start().strip_prefix("pub fn ").map(str::len);
    let mut names: Vec<&str> = declarations
        .lines()
        .filter_map(|line| {
            let rest = &line[line.len() - name(line)?..];
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
        })
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn shared_library(home: &Path, to: &Path, name: &str, text: &str) -> Result<(), Error> {
    let source = home.join("library.c");
    write(&source, text)?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-w"]).arg(format!("-Wl,-soname,{name}")).arg("-o").arg(to).arg(&source);
    finish(cc, "gpu-pack needs a C compiler; on Debian: apt-get install gcc")
}

/// The folder of cudarc's sources.
fn cudarc() -> Result<PathBuf, Error> {
    let mut metadata = cargo(&["metadata", "--format-version=1", "--features", "kernels/cuda"]);
    let output = metadata.output().map_err(|source| Error::Start {
        program: "cargo".into(),
        source,
        remedy: "it runs this command",
    })?;
    manifest_folder(&String::from_utf8_lossy(&output.stdout), "cudarc").ok_or(Error::NoCudarc)
}

/// The folder of the package `name-VERSION` in cargo's metadata.
fn manifest_folder(metadata: &str, name: &str) -> Option<PathBuf> {
    let paths = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut folders = paths.filter_map(|path| Path::new(path).parent());
    let is_it = |folder: &Path| {
        let version = folder.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('-')?;
        version.starts_with(|c: char| c.is_ascii_digit()).then_some(())
    };
    folders.find(|folder| is_it(folder).is_some()).map(Path::to_path_buf)
}

/// Builds one program in a target folder of their own.
fn build(home: &Path, program: &Program) -> Result<Built, Error> {
    let mut command = cargo(&[program.command, "-p", program.package, "--features", "cuda", "--target-dir"]);
    command.arg(home.join("target")).args(program.target);
    command.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    let mut folders = vec![home.join("shim"), home.join("cuda/bin")];
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command.env("CUDA_PATH", home.join("cuda")).env("CUDA_COMPUTE_CAP", COMPUTE_CAPABILITY[1]);
    command.env("KERNELS_SM", COMPUTE_CAPABILITY[1]);
    process::build(command).map_err(|_| Error::NotBuilt { program: program.name })
}

/// The headers of dfdx's run-time compilation, relative to `home`.
fn headers(home: &Path) -> Result<Vec<PathBuf>, Error> {
    let under = home.join("target/debug/build");
    let entries = |path: &Path| -> Result<Vec<PathBuf>, Error> {
        let read = fs::read_dir(path).map_err(|source| Error::File { path: path.into(), source })?;
        Ok(read.flatten().map(|entry| entry.path()).collect())
    };
    let is_dfdx = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dfdx-"))
            && path.join("out").is_dir()
    };
    let mut found = Vec::new();
    for build in entries(&under)?.iter().filter(|path| is_dfdx(path)) {
        let files = entries(&build.join("out"))?;
        let headers = files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "cuh"));
        found.extend(headers.filter_map(|path| path.strip_prefix(home).ok().map(Path::to_path_buf)));
    }
    if found.is_empty() { Err(Error::NoHeaders { under }) } else { Ok(found) }
}

/// What the pack was built from, for the log of its run.
fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(process::root());
    let output = git.output().ok().filter(|output| output.status.success());
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    format!("commit {}\n", said.as_deref().unwrap_or("unknown: no git repository"))
}

fn finish(mut command: Command, remedy: &'static str) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Ended { program, status, remedy }),
        Err(source) => Err(Error::Start { program, source, remedy }),
    }
}

fn folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::File { path: path.into(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_functions_are_found_once() {
        let text = "extern \"C\" {\n    pub fn cuInit(Flags: u32) -> R;\n    pub fn cuInit(Flags: u32) -> R;\n\
                    pub fn cuMemAlloc_v2(\n        p: *mut u64,\n    ) -> R;\n}\npub struct A;\n";
        assert_eq!(functions(text), ["cuInit", "cuMemAlloc_v2"]);
    }

    #[test]
    fn a_package_is_known_by_its_folder() {
        let metadata = r#"{"manifest_path":"/r/cudarc-extra-1.0/Cargo.toml"},{"manifest_path":"/r/cudarc-0.9.15/Cargo.toml"}"#;
        assert_eq!(manifest_folder(metadata, "cudarc"), Some(PathBuf::from("/r/cudarc-0.9.15")));
        assert_eq!(manifest_folder(metadata, "dfdx"), None);
    }

    #[test]
    fn the_script_for_the_other_machine_knows_where_it_unpacks() {
        assert_eq!(RUN.matches("HOME_OF_THE_PACK").count(), 1);
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let said = finish(Command::new("no-such-compiler"), "install one").unwrap_err().to_string();
        assert!(
            said.starts_with("cannot start no-such-compiler: ") && said.ends_with("; install one"),
            "{said}"
        );
        let said = finish(Command::new("false"), "try again").unwrap_err().to_string();
        assert!(said.starts_with("false failed, exit status: 1") && said.ends_with("; try again"), "{said}");
    }
}
