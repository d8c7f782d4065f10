//! What several of these tests need: the root folder, cargo, the built binaries.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Cargo in the root folder.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command that must start; its text is in the message when it does not.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard output and error of a command together, and its exit code.
pub fn text(output: &Output) -> (String, i32) {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    (String::from_utf8_lossy(&both).into_owned(), output.status.code().unwrap_or(-1))
}

/// A binary of this workspace, built once for all tests.
///
/// `cargo xtask test-all` has built them, with the features of all packages together, and names their folder in
/// `COURSE_BINARIES`. Compiling them here, with the features of three packages, would compile dfdx once more.
pub fn binary(name: &str) -> Command {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if let Some(folder) = std::env::var_os("COURSE_BINARIES") {
            let name = |name| Path::new(&folder).join(name).with_extension(std::env::consts::EXE_EXTENSION);
            return ["xtask", "course", "booktool"].map(name).into();
        }
        let packages =
            ["build", "-q", "-p", "xtask", "-p", "course", "-p", "booktool", "--message-format=json"];
        let result = output(&mut cargo(&packages));
        assert!(result.status.success(), "{}", text(&result).0);
        let messages = String::from_utf8_lossy(&result.stdout).into_owned();
        let values = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.filter_map(|value| value["executable"].as_str().map(PathBuf::from)).collect()
    });
    let path = built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    let mut command = Command::new(path.unwrap_or_else(|| panic!("cargo built no {name}: {built:?}")));
    command.current_dir(root());
    command
}

/// An example of `convnets`, built as the [binaries](binary) are.
pub fn example(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        if let Some(folder) = std::env::var_os("COURSE_BINARIES") {
            return Path::new(&folder).join("examples");
        }
        let arguments = ["build", "-q", "-p", "convnets", "--features", "pretrained", "--examples"];
        let result = output(cargo(&arguments).arg("--message-format=json"));
        assert!(result.status.success(), "{}", text(&result).0);
        let messages = String::from_utf8_lossy(&result.stdout).into_owned();
        let values = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut built =
            values.filter_map(|value| Some(Path::new(value["executable"].as_str()?).parent()?.to_owned()));
        built.next_back().expect("cargo built an example")
    });
    let mut command = Command::new(folder.join(name).with_extension(std::env::consts::EXE_EXTENSION));
    command.current_dir(root());
    command
}

/// All files below a folder of the repository whose name ends so, without build output.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !matches!(name.as_ref(), "target" | ".git" | "runs") {
                walk(&path, ending, found);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no *{ending} below {folder}");
    found
}

/// A file's text.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
