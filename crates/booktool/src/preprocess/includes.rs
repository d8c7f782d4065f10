//! `{{#include PATH:ANCHOR}}` on a line of a code block: the part of the file, moved to the left margin, its long lines
//! broken.
//!
//! mdBook knows the directive too, but keeps the indentation of a method in its `impl`, and takes a missing file or
//! anchor for an empty listing. Other forms of the directive (line ranges, whole files) are left to mdBook.

use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, Tag};

use super::exercises::anchored;
use super::listing;
use super::page::{Edit, Page};
use crate::error::{Fault, Faults, hint};

/// Replaces the includes of a page whose file lies in the book's sources.
pub fn expand(page: &mut Page, sources: &Path, faults: &mut Faults) {
    let folder = sources.join(&page.path).parent().map(Path::to_owned).unwrap_or_default();
    let mut edits = Vec::new();
    for (event, block) in page.events() {
        if !matches!(event, Event::Start(Tag::CodeBlock(_))) {
            continue;
        }
        let mut at = block.start;
        for line in page.text[block].split_inclusive('\n') {
            let start = at + line.len() - line.trim_start().len();
            at += line.len();
            let Some((path, anchor)) = parse(line.trim()) else { continue };
            match read(&folder.join(path), path, anchor) {
                Ok(text) => edits.push(Edit::new(start..start + line.trim().len(), text)),
                Err(fault) => faults.add(page.place(start), fault),
            }
        }
    }
    page.apply(edits);
}

/// The path and the anchor of an include, when it has both.
fn parse(line: &str) -> Option<(&str, &str)> {
    let inside = line.strip_prefix("{{#include ")?.strip_suffix("}}")?.trim();
    let (path, anchor) = inside.split_once(':')?;
    anchor.starts_with(|c: char| c.is_alphabetic()).then_some((path, anchor))
}

/// The lines of an anchor; `name` is the path as written.
fn read(path: &Path, name: &str, anchor: &str) -> Result<String, Fault> {
    let source = fs::read_to_string(path)
        .map_err(|error| Fault::NoInclude { path: name.to_owned(), reason: error.to_string() })?;
    let lines: Vec<(usize, &str)> = source.lines().enumerate().collect();
    let inside = anchored(&lines, anchor)?;
    let code: Vec<&str> =
        inside.iter().map(|(_, line)| *line).filter(|line| !line.contains("// ANCHOR")).collect();
    if code.iter().all(|line| line.trim().is_empty()) {
        let known = source.lines().filter_map(|line| line.trim().strip_prefix("// ANCHOR: "));
        return Err(Fault::NoAnchor {
            path: name.to_owned(),
            anchor: anchor.to_owned(),
            hint: hint(anchor, known),
        });
    }
    Ok(listing::fit(&code).join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "struct A;\nimpl A {\n    // ANCHOR: step\n    fn step() {\n        // ANCHOR: inner\n        1;\n        \
        // ANCHOR_END: inner\n\n        2\n    }\n    // ANCHOR_END: step\n    // ANCHOR: empty\n    // ANCHOR_END: empty\n\
        // ANCHOR: open\n}\n";

    fn expanded(text: &str) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("part")).unwrap();
        fs::write(folder.path().join("a.rs"), SOURCE).unwrap();
        let mut page = Page::new("A", "part/a.md", text);
        let mut faults = Faults::default();
        expand(&mut page, folder.path(), &mut faults);
        (page.text, faults.to_string())
    }

    #[test]
    fn a_method_moves_to_the_left_margin() {
        let (text, faults) = expanded("```rust\n# hidden();\n{{#include ../a.rs:step}}\n```\n\nend\n");
        assert_eq!(text, "```rust\n# hidden();\nfn step() {\n    1;\n\n    2\n}\n```\n\nend\n", "{faults}");
        assert_eq!(expanded("```rust\n{{#include ../a.rs:inner}}\n```").0, "```rust\n1;\n```");
    }

    #[test]
    fn missing_files_and_anchors_are_faults_with_their_line() {
        for (include, want) in [
            ("../gone.rs:step", "part/a.md:4: `../gone.rs` cannot be included"),
            (
                "../a.rs:stop",
                "part/a.md:4: `../a.rs` has no code at the anchor `stop` (did you mean `step`?)",
            ),
            ("../a.rs:empty", "has no code at the anchor `empty`"),
            ("../a.rs:open", "the anchor `open` is not closed"),
        ] {
            let (_, faults) = expanded(&format!("text\n\n```rust\n{{{{#include {include}}}}}\n```\n"));
            assert!(faults.contains(want) && faults.contains("1 fault"), "{include}: {faults}");
        }
    }

    #[test]
    fn other_forms_and_prose_are_left_to_mdbook() {
        let text =
            "`{{#include ../a.rs:step}}`\n\n```rust\n{{#include ../a.rs}}\n{{#include ../a.rs:2:3}}\n```\n";
        assert_eq!(expanded(text).0, text);
    }
}
