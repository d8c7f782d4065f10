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
    run_built(build_binary(binary, &[]), before, arguments)
}

/// The same with all optimisations, as whoever times something wants it.
pub fn forward_release(binary: &str, arguments: &[String]) -> Exit {
    run_built(build_binary(binary, &["--release"]), &[], arguments)
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

/// What cargo has built.
#[derive(Default)]
pub struct Built {
    /// The paths of binaries and test programs.
    executables: Vec<PathBuf>,
    /// The names of what was compiled this time, and not before.
    pub compiled: Vec<String>,
}

impl Built {
    /// The binary of this name, or the unit tests of the package of this name.
    pub fn executable(&self, name: &str) -> Option<&Path> {
        let named = |is: fn(&Path, &str) -> bool| {
            self.executables.iter().map(PathBuf::as_path).find(|path| is(path, name))
        };
        named(is_binary).or_else(|| named(are_tests))
    }
}

/// Builds a binary and finds out where cargo put it.
///
/// It asks for the features of all packages, though it compiles what the binary needs and no more: with those of one
/// package the crates below would be compiled once more than for the tests.
fn build_binary(name: &str, flags: &[&str]) -> Result<PathBuf, Exit> {
    let mut command = cargo(&["build", "--workspace", "--bin", name]);
    command.args(flags);
    build(command)?.executable(name).map(Path::to_path_buf).ok_or(FAILED)
}

/// Runs a command of cargo that compiles (`test` does not run what it has compiled) and reads what it has built.
///
/// Cargo shows its progress on standard error, which takes minutes on a fresh machine and one line afterwards.
pub fn build(mut command: Command) -> Result<Built, Exit> {
    if command.get_args().next().is_some_and(|first| first == "test") {
        command.arg("--no-run");
    }
    command.arg("--message-format=json-render-diagnostics");
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return Err(cannot_start(&command, &error)),
    };
    let lines = child.stdout.take().map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
    let mut built = Built::default();
    for line in lines.into_iter().flatten() {
        built.executables.extend(executable(&line));
        built.compiled.extend(compiled(&line));
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(built),
        _ => Err(FAILED),
    }
}

/// The path in cargo's JSON message about a finished binary, if the line is one.
fn executable(line: &str) -> Option<PathBuf> {
    let quoted = line.split_once("\"executable\":\"")?.1;
    Some(PathBuf::from(quoted.split('"').next()?.replace("\\\\", "\\")))
}

/// The name in cargo's JSON message about something that it has compiled, if the line is one.
fn compiled(line: &str) -> Option<String> {
    let is_new = line.contains(r#""reason":"compiler-artifact""#) && line.contains(r#""fresh":false"#);
    let target = line.split_once(r#""target":{"#)?.1;
    let name = target.split_once(r#""name":""#)?.1.split('"').next()?;
    is_new.then(|| name.to_owned())
}

fn is_binary(path: &Path, name: &str) -> bool {
    path.file_stem().is_some_and(|stem| stem == name)
}

/// Programs of tests carry a hash: `kernels-0123456789abcdef`.
fn are_tests(path: &Path, name: &str) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.rsplit_once('-')).is_some_and(|(stem, _)| stem == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"course"},"executable":"/t/debug/course","fresh":true}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/t/debug/course")));
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        let windows = r#"{"executable":"C:\\t\\course.exe","fresh":true}"#;
        assert_eq!(executable(windows), Some(PathBuf::from(r"C:\t\course.exe")));
    }

    #[test]
    fn finds_what_was_compiled_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","package_id":"p#0.1.0","target":{"kind":["lib"],"name":"optim"},"fresh":false}"#;
        assert_eq!(compiled(line), Some("optim".into()));
        assert_eq!(compiled(&line.replace("false", "true")), None);
        assert_eq!(compiled(r#"{"reason":"build-script-executed","package_id":"p"}"#), None);
    }

    #[test]
    fn knows_a_binary_and_unit_tests_by_their_names() {
        let executables = ["/t/deps/course-0f", "/t/course", "/t/deps/kernels-0f"].map(PathBuf::from).into();
        let built = Built { executables, ..Built::default() };
        assert_eq!(built.executable("kernels"), Some(Path::new("/t/deps/kernels-0f")));
        assert_eq!(built.executable("course"), Some(Path::new("/t/course")));
        assert_eq!(built.executable("kern"), None);
    }
}
