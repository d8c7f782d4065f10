//! `course`: list, run and judge every experiment of the course, draw its figures, show its data.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    ExitCode::from(course::main(&course::units(), &arguments))
}
