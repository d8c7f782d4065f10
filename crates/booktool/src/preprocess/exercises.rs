//! `{{exercise lecture_01/name}}`: one Rust file holds task, solution and their test; the page shows the first
//! two, the second folded.
//!
//! ```text
//! //! # Title
//! //!
//! //! The task, in Markdown.
//!
//! // ANCHOR: task
//! pub mod task { … todo!() … }
//! // ANCHOR_END: task
//!
//! pub mod solution {
//!     //! Why it works and the usual mistake, in Markdown.
//!     // ANCHOR: solution
//!     …
//!     // ANCHOR_END: solution
//! }
//!
//! #[cfg(test)]
//! mod tests { … }
//! ```
//!
//! An exercise by hand has no anchor `task`, and its solution may be text alone.

use std::path::Path;
use std::sync::Arc;

use super::directive::{self, Directive};
use super::page::{Edit, Page};
use crate::error::{Fault, Faults, Place};

/// Expands the exercises of a page; `number` counts those of the page's lecture.
pub fn expand(page: &mut Page, root: &Path, number: &mut u32, faults: &mut Faults) {
    let mut edits = Vec::new();
    // Only this pass reports faults of directives that are not exercises: the next one finds them again.
    for Directive { argument, range, .. } in
        directive::find(page, &mut Faults::default()).into_iter().filter(|d| d.name == "exercise")
    {
        let place = page.place(range.start);
        let path = format!("exercises/{argument}.rs");
        let Ok(source) = std::fs::read_to_string(root.join(&path)) else {
            faults.add(place, Fault::NoExercise { path });
            continue;
        };
        match Exercise::parse(&source) {
            Ok(exercise) => {
                *number += 1;
                let label = page.lecture.map_or(number.to_string(), |lecture| format!("{lecture}.{number}"));
                edits.push(exercise.render(&argument, &label, &path).into_edit(range));
            }
            Err(fault) => faults.add(&Place { file: path.into(), line: 1 }, fault),
        }
    }
    page.apply(edits);
}

/// What a page shows of an exercise file. Each line carries its number in the file.
#[derive(Debug, PartialEq, Eq)]
struct Exercise<'a> {
    title: &'a str,
    task: Vec<(usize, &'a str)>,
    task_code: Vec<(usize, &'a str)>,
    solution: Vec<(usize, &'a str)>,
    solution_code: Vec<(usize, &'a str)>,
}

impl<'a> Exercise<'a> {
    fn parse(source: &'a str) -> Result<Self, Fault> {
        let lines: Vec<(usize, &str)> = source.lines().enumerate().map(|(i, line)| (i + 1, line)).collect();
        let mut task = inner_doc(&lines);
        let title = match task.first() {
            Some((_, line)) => line.strip_prefix("# ").ok_or(Fault::ExerciseTitle)?,
            None => return Err(Fault::ExerciseTitle),
        };
        task.remove(0);
        let inside = lines
            .iter()
            .position(|(_, line)| line.trim() == "pub mod solution {")
            .ok_or(Fault::NoSolution)?;
        let solution = inner_doc(&lines[inside + 1..]);
        if solution.is_empty() {
            return Err(Fault::NoSolution);
        }
        Ok(Self {
            title,
            task,
            task_code: anchored(&lines, "task")?,
            solution,
            solution_code: anchored(&lines, "solution")?,
        })
    }

    fn render(&self, name: &str, label: &str, file: &str) -> Draft {
        let id = name.replace(['/', '_'], "-");
        let mut draft = Draft { file: file.into(), text: String::new(), places: Vec::new() };
        draft.line(1, "<section class=\"exercise\">");
        draft.line(1, "");
        draft.line(1, &format!("### Exercise {label}. {} {{#exercise-{id}}}", self.title));
        draft.line(1, "");
        draft.lines(&self.task);
        draft.line(1, "");
        draft.code(&self.task_code);
        let folded = self.solution.first().map_or(1, |(line, _)| *line);
        draft.line(folded, "<details class=\"solution\"><summary>Solution</summary>");
        draft.line(folded, "");
        draft.lines(&self.solution);
        draft.line(folded, "");
        draft.code(&self.solution_code);
        draft.line(folded, "</details>");
        draft.line(folded, "</section>");
        draft
    }
}

/// Text in the making, with the place of each line.
struct Draft {
    file: Arc<str>,
    text: String,
    places: Vec<Place>,
}

impl Draft {
    fn line(&mut self, number: usize, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.places.push(Place { file: self.file.clone(), line: number });
    }

    fn lines(&mut self, lines: &[(usize, &str)]) {
        for (number, line) in lines {
            self.line(*number, line);
        }
    }

    fn code(&mut self, lines: &[(usize, &str)]) {
        let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last()) else { return };
        self.line(*first, "```rust");
        self.lines(lines);
        self.line(*last, "```");
        self.line(*last, "");
    }

    fn into_edit(self, range: std::ops::Range<usize>) -> Edit {
        Edit { range, text: self.text, places: self.places }
    }
}

/// The leading `//!` lines without their marker.
fn inner_doc<'a>(lines: &[(usize, &'a str)]) -> Vec<(usize, &'a str)> {
    lines
        .iter()
        .map_while(|(number, line)| {
            let text = line.trim_start().strip_prefix("//!")?;
            Some((*number, text.strip_prefix(' ').unwrap_or(text)))
        })
        .collect()
}

/// The lines between `// ANCHOR: name` and `// ANCHOR_END: name`, moved to the left margin; none without anchor.
pub fn anchored<'a>(lines: &[(usize, &'a str)], name: &str) -> Result<Vec<(usize, &'a str)>, Fault> {
    let find = |mark: String| lines.iter().position(|(_, line)| line.trim() == mark);
    let Some(start) = find(format!("// ANCHOR: {name}")) else { return Ok(Vec::new()) };
    let end = find(format!("// ANCHOR_END: {name}"))
        .filter(|end| *end > start)
        .ok_or_else(|| Fault::OpenAnchor { anchor: name.to_owned() })?;
    let inside = &lines[start + 1..end];
    let indent = |line: &str| line.len() - line.trim_start().len();
    let margin =
        inside.iter().filter(|(_, l)| !l.trim().is_empty()).map(|(_, l)| indent(l)).min().unwrap_or(0);
    Ok(inside.iter().map(|(number, line)| (*number, line.get(margin..).unwrap_or(""))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
//! # Swap two bits
//!
//! Write $f$, see [@knuth].

// ANCHOR: task
pub mod task {
    /// Swaps.
    pub fn f(x: u8) -> u8 {
        todo!()
    }
}
// ANCHOR_END: task

pub mod solution {
    //! Because `^` is its own inverse.
    // ANCHOR: solution
    /// Swaps.
    pub fn f(x: u8) -> u8 {
        x ^ 3
    }
    // ANCHOR_END: solution
}
";

    fn expanded(files: &[(&str, &str)], text: &str) -> (Page, String) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let mut page = Page::new("A", "lecture-03.md", text);
        let mut faults = Faults::default();
        expand(&mut page, root.path(), &mut 1, &mut faults);
        (page, faults.to_string())
    }

    #[test]
    fn the_page_shows_task_then_folded_solution() {
        let (page, faults) =
            expanded(&[("exercises/bits/swap_two.rs", FILE)], "a\n\n{{exercise bits/swap_two}}\n\nb\n");
        assert!(faults.contains("0 faults"), "{faults}");
        let expected = "a\n\n<section class=\"exercise\">\n\n\
            ### Exercise 3.2. Swap two bits {#exercise-bits-swap-two}\n\n\n\
            Write $f$, see [@knuth].\n\n\
            ```rust\npub mod task {\n    /// Swaps.\n    pub fn f(x: u8) -> u8 {\n        todo!()\n    }\n}\n```\n\n\
            <details class=\"solution\"><summary>Solution</summary>\n\n\
            Because `^` is its own inverse.\n\n\
            ```rust\n/// Swaps.\npub fn f(x: u8) -> u8 {\n    x ^ 3\n}\n```\n\n\
            </details>\n</section>\n\n\nb\n";
        assert_eq!(page.text, expected);
        let place = |word: &str| page.place(page.text.find(word).unwrap()).to_string();
        assert_eq!(place("[@knuth]"), "book/exercises/bits/swap_two.rs:3");
        assert_eq!(place("Because"), "book/exercises/bits/swap_two.rs:15");
        assert_eq!(place("b\n"), "book/src/lecture-03.md:5");
    }

    #[test]
    fn an_exercise_by_hand_has_no_code() {
        let file = "//! # Prove it\n//!\n//! Show that.\npub mod solution {\n    //! Since.\n}\n";
        let (page, faults) = expanded(&[("exercises/a/b.rs", file)], "{{exercise a/b}}\n");
        assert!(
            faults.contains("0 faults") && page.text.contains("Since.") && !page.text.contains("```"),
            "{faults}"
        );
    }

    #[test]
    fn broken_exercises_are_faults() {
        let swap = "exercises/a/b.rs";
        for (files, wanted) in [
            (vec![], "src/lecture-03.md:1: no file book/exercises/a/b.rs"),
            (vec![(swap, "//! No title\n")], "begins with `//! # Title`"),
            (vec![(swap, "//! # T\n")], "a solution that says why"),
            (vec![(swap, "//! # T\npub mod solution {\n}\n")], "a solution that says why"),
            (
                vec![(swap, FILE.trim_end_matches("    // ANCHOR_END: solution\n}\n"))],
                "`solution` is not closed",
            ),
        ] {
            let (_, faults) = expanded(&files, "{{exercise a/b}}\n");
            assert!(faults.contains(wanted), "{wanted:?} in {faults}");
        }
    }
}
