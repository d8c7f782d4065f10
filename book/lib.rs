//! The book's chapters as documentation tests, and the exercises with their solutions.
//!
//! - `cargo test --doc -p book` compiles and runs every listing of every chapter.
//! - `cargo test -p book --lib` runs the solution of every exercise.
//! - A listing that prints begins with the hidden line `use book::println;` and ends with the hidden line
//!   `book::shown("id");`: what it printed must equal the block `text,id` that follows it in the chapter.
//!   `BLESS=1 cargo test --doc -p book` (or `cargo xtask book bless`) writes the block instead.
//!
//! The modules of this crate are made by `build.rs` from `src/SUMMARY.md` and `exercises/`.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, io};

include!(concat!(env!("OUT_DIR"), "/chapters.rs"));
include!(concat!(env!("OUT_DIR"), "/exercises.rs"));

thread_local! {
    /// What the listing on this thread has printed since it began.
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Listings run as threads of one process; one of them at a time compares or rewrites a chapter.
static CHAPTERS: Mutex<()> = Mutex::new(());

/// `println!` for listings: prints, and keeps the line for [`shown`].
///
/// Only the thread that runs the listing is heard.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::say(&format!($($text)*)) };
}

/// Prints a line and keeps it for [`shown`]; listings call it through [`println!`].
pub fn say(line: &str) {
    std::println!("{line}");
    PRINTED.with_borrow_mut(|printed| {
        printed.push_str(line);
        printed.push('\n');
    });
}

/// Asserts that this listing printed what the chapter shows in its block `text,id`.
///
/// With `BLESS` in the environment the block is rewritten instead.
///
/// # Panics
/// When the texts differ, when no chapter has the block, or when a chapter cannot be read or written.
pub fn shown(id: &str) {
    let printed = PRINTED.take();
    let _guard = CHAPTERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files =
        markdown(&sources).unwrap_or_else(|error| panic!("cannot list {}: {error}", sources.display()));
    for file in files {
        let text = fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        match compare(&text, id, &printed) {
            Shown::Elsewhere => continue,
            Shown::Same => return,
            Shown::Different { blessed, .. } if env::var_os("BLESS").is_some() => {
                return replace(&file, &blessed)
                    .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
            }
            Shown::Different { expected, .. } => panic!(
                "{}: block `text,{id}` shows\n{expected}\nbut the listing printed\n{printed}\n\
                 if the listing is right, run `cargo xtask book bless`",
                file.display()
            ),
        }
    }
    panic!("no chapter has a block ```text,{id} for what this listing printed:\n{printed}");
}

/// How a chapter's block relates to what its listing printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The chapter has no such block.
    Elsewhere,
    /// The block shows what was printed.
    Same,
    /// The block shows something else.
    Different {
        /// What the block shows.
        expected: String,
        /// The chapter with the block as it should be.
        blessed: String,
    },
}

/// Compares the block `text,id` of a chapter with what the listing printed.
pub fn compare(chapter: &str, id: &str, printed: &str) -> Shown {
    let Some(block) = block(chapter, id) else { return Shown::Elsewhere };
    if chapter[block.clone()] == *printed {
        return Shown::Same;
    }
    Shown::Different {
        expected: chapter[block.clone()].to_owned(),
        blessed: format!("{}{printed}{}", &chapter[..block.start], &chapter[block.end..]),
    }
}

/// The bytes between the fences of the block `text,id`, its last line break included.
fn block(chapter: &str, id: &str) -> Option<Range<usize>> {
    let opening = format!("```text,{id}");
    let mut start = None;
    let mut at = 0;
    for line in chapter.split_inclusive('\n') {
        match start {
            None if line.trim_end() == opening => start = Some(at + line.len()),
            Some(start) if line.starts_with("```") => return Some(start..at),
            _ => {}
        }
        at += line.len();
    }
    None
}

/// Writes beside `file` and renames, so that an interrupted run leaves the old or the new chapter.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let draft = file.with_extension("md.new");
    fs::write(&draft, text)?;
    fs::rename(&draft, file)
}

/// Every Markdown file below `folder`, sorted by path.
///
/// # Errors
/// When a folder cannot be listed.
pub fn markdown(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(markdown(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "# A\n\n```text,other\n1\n```\n\n```text,steps\n0: 0.5\n1: 0.25\n```\n\nafter\n";

    #[test]
    fn the_right_output_passes() {
        assert_eq!(compare(CHAPTER, "steps", "0: 0.5\n1: 0.25\n"), Shown::Same);
        assert_eq!(compare(CHAPTER, "step", "0: 0.5\n"), Shown::Elsewhere);
    }

    #[test]
    fn an_edited_output_fails_and_blessing_repairs_it() {
        let edited = CHAPTER.replace("0.25", "0.52");
        let Shown::Different { expected, blessed } = compare(&edited, "steps", "0: 0.5\n1: 0.25\n") else {
            panic!("the edit went unnoticed");
        };
        assert_eq!(expected, "0: 0.5\n1: 0.52\n");
        assert_eq!(blessed, CHAPTER);
    }

    #[test]
    fn an_empty_block_is_filled() {
        let Shown::Different { expected, blessed } = compare("```text,a\n```\n", "a", "x ``` y\n") else {
            panic!("the empty block went unnoticed");
        };
        assert_eq!((expected.as_str(), blessed.as_str()), ("", "```text,a\nx ``` y\n```\n"));
        assert_eq!(compare(&blessed, "a", "x ``` y\n"), Shown::Same);
    }

    #[test]
    fn listings_are_heard_and_then_forgotten() {
        crate::println!("{} {}", 1, "two");
        crate::println!("three");
        assert_eq!(PRINTED.take(), "1 two\nthree\n");
        assert_eq!(PRINTED.take(), "");
    }
}
