//! What the compiler says when a shape is wrong: each file of `tests/ui` must not compile, with the message that lies
//! beside it.
//!
//! After a change of a message, `BLESS=1 cargo test -p course-tests compile_errors` writes it anew: read it as a reader
//! would before you commit it. It must name the rule that was broken.
use crate::support::{files, library, output, read, root};
use std::path::Path;
use std::process::Command;
use std::thread;

/// The crates that the files name.
const CRATES: [&str; 4] = ["dfdx", "kernels", "nalgebra", "optim"];

#[test]
fn wrong_shapes_do_not_compile() {
    let sources = files("tests/ui", ".rs");
    let bless = std::env::var_os("BLESS").is_some();
    library("kernels"); // cargo speaks once, before the threads start
    let (even, odd): (Vec<_>, Vec<_>) = sources.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let faults: Vec<String> = thread::scope(|scope| {
        let halves = [even, odd].map(|half| {
            scope.spawn(move || half.into_iter().filter_map(|(_, source)| fault(source, bless)).collect())
        });
        halves.into_iter().flat_map(|half| half.join().unwrap_or_else(|_| vec!["a panic".into()])).collect()
    });
    assert!(faults.is_empty(), "{} of {} files:\n{}", faults.len(), sources.len(), faults.join("\n"));
    let left_over: Vec<_> =
        files("tests/ui", ".stderr").into_iter().filter(|path| !path.with_extension("rs").exists()).collect();
    assert!(left_over.is_empty(), "messages without a source: {left_over:?}");
}

/// What is wrong with a file's message, if anything.
fn fault(source: &Path, bless: bool) -> Option<String> {
    let name = source.strip_prefix(root()).expect("a file of the workspace").display().to_string();
    let Some(said) = complaint(source) else { return Some(format!("{name} compiles")) };
    let pinned = source.with_extension("stderr");
    if bless {
        std::fs::write(&pinned, &said).expect("a writable file");
    }
    let wanted = if pinned.exists() { read(&pinned) } else { "no message at all".into() };
    (said != wanted).then(|| format!("{name} was to say\n{wanted}\nand says\n{said}"))
}

/// The compiler's message about a file, without what changes where nothing of interest does; `None` if it compiles.
fn complaint(source: &Path) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder for the compiler");
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args([
        "--edition=2024",
        "--emit=metadata",
        "--cap-lints=allow",
        "--verbose",
        "--diagnostic-width=140",
    ]);
    command.arg("--out-dir").arg(folder.path()).current_dir(root());
    for name in CRATES {
        let path = library(name);
        command.arg("--extern").arg(format!("{name}={}", path.display()));
        command.arg("-L").arg(format!("dependency={}", path.parent().expect("a folder").display()));
    }
    let result = output(command.arg(source));
    (!result.status.success()).then(|| plain(&String::from_utf8_lossy(&result.stderr), root()))
}

/// A message without line numbers, the folder of the workspace, and the compiler's closing lines.
fn plain(message: &str, root: &Path) -> String {
    let root = format!("{}/", root.display());
    let mut text = String::new();
    let mut surplus = 0; // columns that the line numbers of this error take beyond the first
    for line in message.lines() {
        let closing = ["error: aborting due to", "For more information about", "Some errors have detailed"];
        if closing.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        let inner = line.trim_start();
        let arrow = ["--> ", "::: "].iter().find_map(|arrow| Some((arrow, inner.strip_prefix(*arrow)?)));
        if let Some((arrow, path)) = arrow {
            surplus = (line.len() - inner.len()).saturating_sub(1);
            let path = path.split(':').next().unwrap_or_default();
            let path = path.strip_prefix(&root).unwrap_or(path);
            let path = match path.strip_prefix("tests/") {
                Some(path) => path.to_owned(),
                None => format!("$WORKSPACE/{path}"),
            };
            text += &format!(" {arrow}{path}\n");
            continue;
        }
        let unnumbered = inner.trim_start_matches(|c: char| c.is_ascii_digit());
        let behind = unnumbered.trim_start();
        if behind.starts_with('|') && unnumbered.len() < inner.len() {
            text += &format!("  {behind}\n");
        } else {
            let indent = line.len() - inner.len();
            text += &format!("{}\n", line[surplus.min(indent)..].trim_end());
        }
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn numbers_and_folders_are_no_part_of_a_message() {
    let message = "error[E0308]: mismatched types
  --> /w/tests/ui/a.rs:10:9
   |
 9 |     f(
   |     -
10 |     x,
   |     ^ expected `1`, found `2`
   |
   = note: expected `A`
              found `B`
note: function defined here
  --> /w/crates/k/src/l.rs:7:8
   |
 7 | fn f() {
   |    ^

error: aborting due to 1 previous error

For more information about this error, try `rustc --explain E0308`.
";
    let want = "error[E0308]: mismatched types
 --> ui/a.rs
  |
  |     f(
  |     -
  |     x,
  |     ^ expected `1`, found `2`
  |
  = note: expected `A`
             found `B`
note: function defined here
 --> $WORKSPACE/crates/k/src/l.rs
  |
  | fn f() {
  |    ^
";
    assert_eq!(plain(message, Path::new("/w")), want);
}
