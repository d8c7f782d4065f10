//! Makes the chapters documentation, so that rustdoc tests their listings, and the exercises modules.
//!
//! Every chapter of `src/SUMMARY.md` becomes an empty module `chapters::NAME` that carries the chapter as its
//! documentation; a block whose first line is `{{#include …}}` is blanked line for line, because that code belongs
//! to a crate and is tested there. Every `exercises/GROUP/NAME.rs` becomes the module `GROUP::NAME`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=exercises");
    match chapters().and_then(|()| exercises()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes `OUT_DIR/chapters.rs` and beside it the text of each chapter. The modules lie in one of their own, since
/// a group of exercises is named as its chapter.
fn chapters() -> Result<(), String> {
    let out = out_dir()?;
    let mut modules =
        String::from("/// The chapters; each module's documentation is the chapter.\npub mod chapters {\n");
    for path in listed(&read(Path::new("src/SUMMARY.md"))?) {
        let text = read(&Path::new("src").join(&path))?;
        let file = out.join(path.replace('/', "__"));
        write(&file, &without_includes(&text))?;
        let module = path.trim_end_matches(".md").replace(['/', '-', '.'], "_");
        // The lints of documentation are for reference pages, not for chapters.
        write!(
            modules,
            "#[doc = include_str!({file:?})]\n#[allow(clippy::all, rustdoc::all)]\npub mod {module} {{}}\n"
        )
        .expect("writing to a string cannot fail");
    }
    modules.push_str("}\n");
    write(&out.join("chapters.rs"), &modules)
}

/// Writes `OUT_DIR/exercises.rs`.
fn exercises() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercises");
    let mut modules = String::new();
    for group in entries(&root)?.into_iter().filter(|path| path.is_dir()) {
        let name = stem(&group);
        writeln!(modules, "/// Exercises of {}.\npub mod {name} {{", name.replace('_', " "))
            .expect("writing to a string cannot fail");
        for file in entries(&group)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
            // The body of a task is `todo!()`: it uses none of its arguments.
            writeln!(modules, "#[allow(unused_variables)]\n#[path = {file:?}]\npub mod {};", stem(&file))
                .expect("writing to a string cannot fail");
        }
        modules.push_str("}\n");
    }
    write(&out_dir()?.join("exercises.rs"), &modules)
}

/// The Markdown files that a summary links to, in its order.
fn listed(summary: &str) -> Vec<String> {
    summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|path| path.ends_with(".md"))
        .map(str::to_owned)
        .collect()
}

/// Blanks every fenced block that begins with an include, keeping the number of lines.
fn without_includes(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let includes =
        |i: usize| lines.get(i + 1).is_some_and(|line| line.trim_start().starts_with("{{#include"));
    let mut out = String::new();
    let mut skip = false;
    for (i, line) in lines.iter().enumerate() {
        let fence = line.trim_start().starts_with("```");
        if fence && !skip && includes(i) {
            skip = true;
        } else if fence && skip {
            skip = false;
        } else if !skip {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// Files and folders of `folder` by name; none when the folder does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let list = match fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot list {}: {error}", folder.display())),
    };
    let mut paths = list
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn out_dir() -> Result<PathBuf, String> {
    env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| "OUT_DIR is not set; cargo sets it".into())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| {
        format!("cannot read book/{}: {error}; SUMMARY.md names only files that exist", path.display())
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
