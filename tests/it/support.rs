//! What several of these tests need: the root folder, cargo, the built binaries.
use serde_json::{Value, json};
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

/// Cargo's messages about all that these tests start or link: binaries, examples and the libraries below them.
///
/// After `cargo xtask test-all` has compiled them for the tests, cargo only says where they lie: it asks for the
/// features of all packages here as it does there.
fn artifacts() -> &'static [Value] {
    static BUILT: OnceLock<Vec<Value>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut command = cargo(&["build", "-q", "--workspace", "--message-format=json"]);
        command.args(["--bin", "xtask", "--bin", "course", "--bin", "booktool", "--examples"]);
        let result = output(&mut command);
        assert!(result.status.success(), "{}", text(&result).0);
        let messages = String::from_utf8_lossy(&result.stdout).into_owned();
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    })
}

/// The examples of all crates.
pub fn examples() -> impl Iterator<Item = &'static Path> {
    let of = |value: &'static Value| {
        let path = Path::new(value["executable"].as_str()?);
        (value["target"]["kind"] == json!(["example"])).then_some(path)
    };
    artifacts().iter().filter_map(of)
}

/// A binary or an example of this workspace.
pub fn binary(name: &str) -> Command {
    let mut paths = artifacts().iter().filter_map(|value| Some(Path::new(value["executable"].as_str()?)));
    let path = paths.find(|path| path.file_stem().is_some_and(|stem| stem == name));
    let mut command = Command::new(path.unwrap_or_else(|| panic!("cargo built no {name}")));
    command.current_dir(root());
    command
}

/// The compiled library of this name, of this workspace or below it.
pub fn library(name: &str) -> &'static Path {
    let is_library =
        |value: &&Value| value["target"]["name"] == name && value["target"]["kind"] == json!(["lib"]);
    let files = artifacts().iter().filter(is_library).filter_map(|value| value["filenames"].as_array());
    let mut paths = files.flatten().filter_map(|path| path.as_str().map(Path::new));
    paths.find(|path| path.extension().is_some_and(|e| e == "rlib")).unwrap_or_else(|| panic!("no {name}"))
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

/// The checksum of PNG's chunks and of zip archives (ISO 3309).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
