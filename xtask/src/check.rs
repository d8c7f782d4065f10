//! `test`, `check` and `check-cuda`: parts of `test-all` that one runs while working.
use crate::process::{self, Exit, FAILED, OK, USAGE, cargo};
use std::process::{Command, Stdio};

/// Crates whose code has a CUDA body. Never `--all-features`: `ci-check` makes kernels that cannot run.
const CUDA: &[&str] = &[
    "kernels",
    "layers",
    "lab",
    "optim",
    "autoencoders",
    "generative",
    "convnets",
    "sequence",
    "graphs",
    "node",
    "theory",
];

/// Doctests are compiled without optimisation unless told otherwise, and dfdx's generic code with them.
pub const DOCTEST_FLAGS: (&str, &str) = ("RUSTDOCFLAGS", "-Copt-level=1");

pub fn format_command() -> Command {
    cargo(&["fmt", "--all", "--", "--check"])
}

pub fn lint_command() -> Command {
    cargo(&["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

pub fn cuda_command() -> Command {
    let mut command = cargo(&["clippy", "-q", "--all-targets"]);
    for package in CUDA {
        command.args(["-p", package]);
    }
    command.args(["--features", "cuda,ci-check", "--", "-D", "warnings"]);
    command
}

/// `cargo xtask test UNIT`.
pub fn test(arguments: &[String]) -> Exit {
    let packages = packages();
    let unit = match arguments {
        [unit] if packages.contains(unit) => unit,
        [unit] => return crate::unknown("crate", unit, packages.iter().map(String::as_str)),
        _ => {
            eprintln!("usage: cargo xtask test UNIT, UNIT one of: {}", packages.join(", "));
            return USAGE;
        }
    };
    let mut examples = cargo(&["test", "-p", unit, "--no-fail-fast"]);
    examples.env(DOCTEST_FLAGS.0, DOCTEST_FLAGS.1);
    process::status(examples)
}

/// The folders of `crates/`: each is a package of that name.
fn packages() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(process::root().join("crates"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// `cargo xtask check [--memory] [--loom]`.
pub fn check(arguments: &[String]) -> Exit {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let all = [format_command(), lint_command(), cuda_command()];
            all.into_iter().map(process::status).fold(OK, Exit::max)
        }
        ["--memory"] if !has_valgrind() => {
            eprintln!("{NO_VALGRIND}");
            FAILED
        }
        ["--memory"] => match process::build(cargo(&["test", "-q", "-p", "kernels", "--lib"])) {
            Ok(built) => built
                .executable("kernels")
                .map_or(FAILED, |tests| process::status(memory_command(Command::new(tests)))),
            Err(code) => code,
        },
        ["--loom"] => process::status(loom_command()),
        _ => {
            eprintln!("usage: cargo xtask check [--memory | --loom]");
            USAGE
        }
    }
}

/// `cargo xtask check-cuda`.
pub fn check_cuda(arguments: &[String]) -> Exit {
    if !arguments.is_empty() {
        eprintln!("check-cuda takes no arguments");
        return USAGE;
    }
    process::status(cuda_command())
}

/// The thread pool under the model checker: another `cfg`, so another target folder.
pub fn loom_command() -> Command {
    let mut command = cargo(&["test", "-p", "pool-models", "--target-dir", "target/loom"]);
    command.env("RUSTFLAGS", "--cfg loom").env("LOOM_MAX_PREEMPTIONS", "2");
    command
}

/// What to do where [`has_valgrind`] is false.
pub const NO_VALGRIND: &str = "valgrind is not installed; on Debian: apt-get install valgrind";

/// Whether valgrind is on this machine.
pub fn has_valgrind() -> bool {
    let quiet =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Tests of the kernels that valgrind would take minutes for. They repeat, at more places or larger sizes, what shorter
/// tests run through the same `unsafe` code: every operation forward and backward by `f32_is_near_f64`, the pool and the
/// cutting of slices by tests of their own.
const LONG_UNDER_VALGRIND: [&str; 4] =
    ["threads_change_no_bit", "bodies_agree", "gradients_are_differences", "errors_over_all_f32"];

/// The kernels' unit tests, all of `unsafe` among them, under valgrind's memory checker.
pub fn memory_command(tests: Command) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--error-exitcode=9", "--quiet", "--fair-sched=yes"])
        .arg(tests.get_program())
        .args(["--test-threads=1"])
        .args(LONG_UNDER_VALGRIND.iter().flat_map(|name| ["--skip", name]))
        .env("PROPTEST_CASES", "4")
        .current_dir(process::root().join("crates/kernels"));
    command
}
