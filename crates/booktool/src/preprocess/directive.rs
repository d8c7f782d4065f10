//! `{{name argument}}`: found in the text, never in code; in formulas only when the name is known.

use std::ops::Range;

use super::page::Page;
use crate::error::{Fault, Faults, nearest};

/// Every directive of the course, with whether it fills lines of its own.
const NAMES: &[(&str, bool)] = &[
    ("result", false),
    ("peer", false),
    ("figure", false),
    ("table", true),
    ("checks", true),
    ("claims", true),
    ("lectures", true),
    ("references", true),
    ("api", true),
    ("exercise", true),
];

/// Those that name what they show.
const NAMING: &[&str] = &["result", "peer", "figure", "table", "checks", "exercise"];

/// A directive in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its first word.
    pub name: String,
    /// The rest, trimmed.
    pub argument: String,
    /// Its bytes, braces included.
    pub range: Range<usize>,
    /// Whether it stands inside a formula.
    pub in_maths: bool,
}

/// All directives of a page, in order; unknown ones and misplaced ones become faults.
pub fn find(page: &Page, faults: &mut Faults) -> Vec<Directive> {
    let verbatim = page.verbatim();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = page.text[at..].find("{{").map(|i| at + i) {
        at = start + 2;
        // mdBook's own directives begin with `#`; a backslash shows the braces themselves.
        let escaped = page.text[..start].ends_with('\\');
        if escaped || page.text[at..].starts_with('#') || verbatim.is_code(start) {
            continue;
        }
        let in_maths = verbatim.is_maths(start);
        let body = page.text[at..].split('\n').next().unwrap_or("");
        let inner = body.find("}}").map(|end| &body[..end]);
        let word = inner.unwrap_or(body).trim();
        let (name, argument) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        let known = NAMES.iter().find(|(known, _)| *known == name);
        if in_maths && (known.is_none() || inner.is_none()) {
            continue; // nested braces of TeX
        }
        let Some(inner) = inner else {
            faults.add(page.place(start), Fault::OpenDirective { name: name.to_owned() });
            continue;
        };
        let Some((_, alone)) = known else {
            let nearest = nearest(name, NAMES.iter().map(|(name, _)| *name)).to_owned();
            faults.add(page.place(start), Fault::UnknownDirective { name: name.to_owned(), nearest });
            continue;
        };
        let range = start..start + inner.len() + 4;
        at = range.end;
        if *alone && page.line(start).trim() != &page.text[range.clone()] {
            faults.add(page.place(start), Fault::NotAlone { directive: name.to_owned() });
            continue;
        }
        if argument.trim().is_empty() && NAMING.contains(&name) {
            faults.add(page.place(start), Fault::NoArgument { name: name.to_owned() });
            continue;
        }
        found.push(Directive {
            name: name.to_owned(),
            argument: argument.trim().to_owned(),
            range,
            in_maths,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> (Vec<String>, String) {
        let mut faults = Faults::default();
        let found = find(&Page::new("A", "a.md", text), &mut faults);
        (found.into_iter().map(|d| format!("{} {}", d.name, d.argument)).collect(), faults.to_string())
    }

    #[test]
    fn code_and_tex_braces_are_no_directives() {
        let text = "`{{result a}}` \\{{result b}} $x^{{2}}$ {{#include x}}\n\n```text\n{{table c}}\n```\n";
        let (found, faults) = names(text);
        assert!(found.is_empty() && faults.contains("0 faults"), "{found:?} {faults}");
    }

    #[test]
    fn text_formulas_and_captions_have_directives() {
        let text =
            "{{result a.b:.3}} $\\eta = {{result c}}$\n\n![alt](f.svg \"is {{result d}}\")\n\n{{table e}}\n";
        assert_eq!(names(text).0, ["result a.b:.3", "result c", "result d", "table e"]);
    }

    #[test]
    fn faults_say_what_to_write() {
        for (text, wanted) in [
            ("\n{{reslut a}}", "a.md:2: no directive `reslut`; did you mean `result`?"),
            ("{{result a", "`{{result` has no `}}` on its line"),
            ("{{checks }}", "`{{checks}}` does not say of what; write `{{checks NAME}}`"),
            ("see {{table a}}", "`{{table …}}` fills lines of its own"),
        ] {
            let (found, faults) = names(text);
            assert!(found.is_empty() && faults.contains(wanted), "{text:?}: {faults}");
        }
    }
}
