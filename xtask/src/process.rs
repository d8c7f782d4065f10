//! Child processes: cargo, and the two binaries that commands are forwarded to.
use std::io::{BufRead, BufReader, Error};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An exit code of this binary.
pub type Exit = i32;
/// All went well.
pub const OK: Exit = 0;
/// Something ran and failed.
pub const FAILED: Exit = 1;
/// The command line was wrong, or asks for what is not built yet.
pub const USAGE: Exit = 2;

/// The workspace's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// The cargo that runs us, in the workspace's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end; a code of 1 and a line on standard error when it cannot be started.
pub fn status(mut command: Command) -> Exit {
    match command.status() {
        // No code: a signal ended it, as Ctrl-C does.
        Ok(status) => status.code().unwrap_or(130),
        Err(error) => cannot_start(&command, &error),
    }
}

/// The line for a program that is not there.
pub fn cannot_start(command: &Command, error: &Error) -> Exit {
    eprintln!("cannot start {}: {error}", command.get_program().to_string_lossy());
    FAILED
}

/// Builds a binary of this workspace and runs it where the person stands.
pub fn forward(binary: &str, before: &[&str], arguments: &[String]) -> Exit {
    run_built(build(binary, &[]), before, arguments)
}

/// The same with all optimisations, as whoever times something wants it.
pub fn forward_release(binary: &str, arguments: &[String]) -> Exit {
    run_built(build(binary, &["--release"]), &[], arguments)
}

fn run_built(built: Result<PathBuf, Exit>, before: &[&str], arguments: &[String]) -> Exit {
    match built {
        Ok(path) => {
            let mut command = Command::new(path);
            command.args(before).args(arguments);
            status(command)
        }
        Err(code) => code,
    }
}

/// Builds the binary of the package of the same name and finds out where cargo put it.
///
/// Cargo shows its progress on standard error, which takes minutes on a fresh machine and one line afterwards.
fn build(package: &str, flags: &[&str]) -> Result<PathBuf, Exit> {
    let mut command = cargo(&["build", "--package", package, "--message-format=json-render-diagnostics"]);
    command.args(flags);
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return Err(cannot_start(&command, &error)),
    };
    let mut path = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            path = executable(&line, package).or(path);
        }
    }
    match (child.wait(), path) {
        (Ok(status), Some(path)) if status.success() => Ok(path),
        _ => Err(FAILED),
    }
}

/// The path in cargo's JSON message about a finished binary of this name, if the line is one.
pub fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let quoted = line.split_once("\"executable\":\"")?.1;
    let path = PathBuf::from(quoted.split('"').next()?.replace("\\\\", "\\"));
    let stem = path.file_stem()?.to_str()?;
    // Test binaries carry a hash: `kernels-0123456789abcdef`.
    (stem == name || stem.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"course"},"executable":"/t/debug/course","fresh":true}"#;
        assert_eq!(executable(line, "course"), Some(PathBuf::from("/t/debug/course")));
        assert_eq!(executable(line, "cours"), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#, "course"), None);
        let test = r#"{"executable":"/t/debug/deps/kernels-00ff","fresh":true}"#;
        assert_eq!(executable(test, "kernels"), Some(PathBuf::from("/t/debug/deps/kernels-00ff")));
        let windows = r#"{"executable":"C:\\t\\course.exe","fresh":true}"#;
        assert!(executable(windows, "course").is_some() || !cfg!(windows));
    }
}
