//! `$…$` and `$$…$$` become MathML; equations are numbered through a lecture, `\eqref` works over the whole book.
//!
//! All formulas of the book are converted in one go, so that a reference finds its label before and behind it
//! and in other chapters. The converter counts equations from 1 through the book; here the count becomes
//! "lecture.number". What it writes passes through Markdown once more and is protected from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};
use pulldown_cmark::Event;

use super::page::{Edit, Page};
use crate::error::{Fault, Faults, hint};

/// Macros of the course: name and meaning. `#1` is the argument.
pub const MACROS: &[(&str, &str)] = &[
    ("R", r"\mathbb{R}"),
    ("E", r"\mathbb{E}"),
    ("bm", r"\boldsymbol{#1}"),
    ("norm", r"\left\lVert #1 \right\rVert"),
    ("abs", r"\left\lvert #1 \right\rvert"),
    ("argmin", r"\operatorname*{arg\,min}"),
    ("argmax", r"\operatorname*{arg\,max}"),
    ("KL", r"\operatorname{KL}"),
    ("Var", r"\operatorname{Var}"),
    ("Cov", r"\operatorname{Cov}"),
    ("sign", r"\operatorname{sign}"),
    ("softmax", r"\operatorname{softmax}"),
    ("tr", r"\operatorname{tr}"),
    ("diag", r"\operatorname{diag}"),
];

/// What stands before the number of an equation in the converter's output, and before it alone.
const NUMBER_CELL: &str = "text-align: right;justify-items: end;\"";

/// A formula of a page.
#[derive(Debug)]
struct Formula {
    page: usize,
    range: Range<usize>,
    tex: String,
    display: MathDisplay,
}

/// A numbered equation: where it stands and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Equation {
    page: PathBuf,
    tag: String,
}

/// Converts the formulas of all pages.
pub fn render(pages: &mut [Page], faults: &mut Faults) {
    let formulas = find(pages);
    let config = MathCoreConfig {
        macros: MACROS.iter().map(|(name, body)| (name.to_string(), body.to_string())).collect(),
        ..Default::default()
    };
    let converter = LatexToMathML::new(config).expect("a test converts every macro");
    let snippets: Vec<(&str, MathDisplay)> = formulas.iter().map(|f| (f.tex.as_str(), f.display)).collect();
    let mut converted = Vec::with_capacity(formulas.len());
    for (result, formula) in converter.convert_all(&snippets).into_iter().zip(&formulas) {
        match result {
            Ok(result) => converted.push((formula, raise(&result.mathml))),
            Err(error) => faults.add(
                pages[formula.page].place(formula.range.start),
                Fault::Tex {
                    tex: one_line(&formula.tex),
                    reason: error.to_string().trim_end_matches('.').to_owned(),
                },
            ),
        }
    }
    let labels = number(pages, &mut converted, faults);
    let mut edits: Vec<Vec<Edit>> = pages.iter().map(|_| Vec::new()).collect();
    for (formula, mathml) in converted {
        let page = &pages[formula.page];
        let mathml = protect(&refer(page, formula, &mathml, &labels, faults));
        let mut range = formula.range.clone();
        let text = match formula.display {
            // A line does not begin with the full stop of a formula or end with the bracket before it: browsers would
            // break there.
            MathDisplay::Inline => {
                let before = &page.text[..range.start];
                range.start = before.trim_end_matches('(').len();
                let open = &before[range.start..];
                let rest = &page.text[range.end..];
                let mark =
                    &rest[..rest.len() - rest.trim_start_matches(['.', ',', ';', ':', '?', ')']).len()];
                range.end += mark.len();
                match (open, mark) {
                    ("", "") => mathml,
                    _ => format!("<span class=\"unbroken\">{open}{mathml}{mark}</span>"),
                }
            }
            // A block element on a line of its own stays raw HTML.
            MathDisplay::Block => {
                let (quote, indent) = margin(&page.text[..formula.range.start]);
                format!(
                    "\n{quote}\n{quote}{indent}<div class=\"equation\" tabindex=\"0\">{mathml}</div>\n{quote}\n{quote}{indent}"
                )
            }
        };
        edits[formula.page].push(Edit::new(range, text));
    }
    for (page, edits) in pages.iter_mut().zip(edits) {
        page.apply(edits);
    }
}

/// All formulas in the order of the book.
fn find(pages: &[Page]) -> Vec<Formula> {
    let mut formulas = Vec::new();
    for (page, content) in pages.iter().enumerate() {
        for (event, range) in content.events() {
            let (tex, display) = match event {
                Event::InlineMath(tex) => (tex.to_string(), MathDisplay::Inline),
                Event::DisplayMath(tex) => (tex.to_string(), MathDisplay::Block),
                _ => continue,
            };
            formulas.push(Formula { page, range, tex, display });
        }
    }
    formulas
}

/// Gives every equation its "chapter.number" and collects the labels.
fn number(
    pages: &[Page],
    converted: &mut [(&Formula, String)],
    faults: &mut Faults,
) -> BTreeMap<String, Equation> {
    let mut labels: BTreeMap<String, Equation> = BTreeMap::new();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (formula, mathml) in converted {
        let page = &pages[formula.page];
        let mut out = String::with_capacity(mathml.len());
        for (i, piece) in mathml.split(NUMBER_CELL).enumerate() {
            if i == 0 {
                out.push_str(piece);
                continue;
            }
            // `[ id="label"]><mtext>(N)</mtext>…`
            let (label, rest) = match piece.strip_prefix(" id=\"").and_then(|rest| rest.split_once('"')) {
                Some((label, rest)) => (Some(label), rest),
                None => (None, piece),
            };
            let numbered = rest.strip_prefix("><mtext>(").and_then(|rest| rest.split_once(')'));
            let Some((tag, rest)) = numbered else {
                out.push_str(NUMBER_CELL);
                out.push_str(piece);
                continue;
            };
            let tag = if tag.bytes().all(|b| b.is_ascii_digit()) {
                let chapter = page.chapter();
                let count = counts.entry(chapter.clone()).or_default();
                *count += 1;
                format!("{chapter}.{count}")
            } else {
                tag.to_owned()
            };
            out.push_str(NUMBER_CELL);
            if let Some(label) = label {
                out.push_str(&format!(" id=\"eq-{label}\""));
                let equation = Equation { page: page.path.clone(), tag: tag.clone() };
                if labels.insert(label.to_owned(), equation).is_some() {
                    let fault = Fault::DuplicateLabel { label: label.to_owned() };
                    faults.add(page.place(formula.range.start), fault);
                }
            }
            out.push_str(&format!("><mtext>({tag}){rest}"));
        }
        *mathml = out;
    }
    labels
}

/// Replaces the targets and the texts of `\eqref`.
fn refer(
    page: &Page,
    formula: &Formula,
    mathml: &str,
    labels: &BTreeMap<String, Equation>,
    faults: &mut Faults,
) -> String {
    const LINK: &str = "<mtext><a href=\"#";
    let mut pieces = mathml.split(LINK);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((label, rest)) = piece.split_once("\">(") else {
            out.push_str(LINK);
            out.push_str(piece);
            continue;
        };
        let rest = rest.split_once(')').map_or("", |(_, rest)| rest);
        match labels.get(label) {
            Some(equation) => {
                let link = page.link(&equation.page, &format!("eq-{label}"));
                out.push_str(&format!("<mtext><a href=\"{link}\">({}){rest}", equation.tag));
            }
            None => {
                let hint = hint(label, labels.keys().map(String::as_str));
                let fault = Fault::UnknownLabel { label: label.to_owned(), hint };
                faults.add(page.place(formula.range.start), fault);
            }
        }
    }
    out
}

/// A large bracket with an exponent, grouped: alone as the base of a script it would shrink in Chromium.
fn raise(mathml: &str) -> String {
    let mut out = String::with_capacity(mathml.len());
    let mut rest = mathml;
    while let Some(at) = rest.find("><mo ") {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        rest = after;
        let is_base = ["<msup>", "<msub>", "<msubsup>"].iter().any(|tag| before.ends_with(tag));
        let is_large = after.split('>').next().is_some_and(|tag| tag.contains("minsize"));
        if let (true, true, Some(end)) = (is_base, is_large, after.find("</mo>")) {
            let (bracket, after) = after.split_at(end + "</mo>".len());
            out.push_str(&format!("<mrow>{bracket}</mrow>"));
            rest = after;
        }
    }
    out + rest
}

/// The markers of quotes, and the spaces of list items, that a new line needs to stay in the same block.
fn margin(before: &str) -> (String, String) {
    let line = before.rsplit('\n').next().unwrap_or("");
    let body = line.trim_start_matches([' ', '>']);
    let lead = &line[..line.len() - body.len()];
    let quote_end = lead.rfind('>').map_or(0, |at| at + 1);
    let marker = {
        let digits = body.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &body[digits..];
        match (digits, rest.as_bytes()) {
            (0, [b'-' | b'*' | b'+', b' ', ..]) => 2,
            (1..=9, [b'.' | b')', b' ', ..]) => digits + 2,
            _ => 0,
        }
    };
    (lead[..quote_end].to_owned(), " ".repeat(lead.len() - quote_end + marker))
}

/// Makes the text between tags survive the Markdown pass that follows.
fn protect(mathml: &str) -> String {
    let mut out = String::with_capacity(mathml.len());
    let mut in_tag = false;
    for c in mathml.chars() {
        match c {
            '\n' => continue,
            '<' => in_tag = true,
            '>' => in_tag = false,
            '*' | '_' | '[' | ']' | '\\' | '`' | '~' | '|' | '\'' | '"' | '!' | '-' | '.' | ':' | '{'
            | '}' | '$'
                if !in_tag =>
            {
                out.push_str(&format!("&#{};", u32::from(c)));
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

fn one_line(tex: &str) -> String {
    tex.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(pages: &[(&str, &str)]) -> (Vec<String>, String) {
        let mut pages: Vec<Page> = pages.iter().map(|(path, text)| Page::new(*path, *path, *text)).collect();
        let mut faults = Faults::default();
        render(&mut pages, &mut faults);
        (pages.into_iter().map(|page| page.text).collect(), faults.to_string())
    }

    #[test]
    fn every_macro_converts() {
        for (name, body) in MACROS {
            let argument = if body.contains("#1") { "{x}" } else { "" };
            let (_, faults) = rendered(&[("a.md", &format!("$\\{name}{argument}$"))]);
            assert!(faults.contains("0 faults"), "{faults}");
        }
    }

    #[test]
    fn code_is_left_alone_and_nothing_turns_into_markdown() {
        let text = "`$x$` $a_1*b_2*c$\n\n```rust\nlet s = \"$y$\";\n```\n";
        let (pages, faults) = rendered(&[("lecture-03.md", text)]);
        assert!(faults.contains("0 faults"), "{faults}");
        assert!(pages[0].starts_with("`$x$` <math>") && pages[0].contains("\"$y$\""), "{}", pages[0]);
        assert!(!pages[0].contains('*'), "{}", pages[0]);
    }

    #[test]
    fn punctuation_stays_with_its_formula() {
        let (pages, faults) = rendered(&[("a.md", "($x$), [$y$](b.md) $z$ w")]);
        assert!(faults.contains("0 faults"), "{faults}");
        assert!(pages[0].starts_with("<span class=\"unbroken\">(<math>"), "{}", pages[0]);
        assert!(pages[0].contains("</math>),</span> [<math>"), "{}", pages[0]);
        assert!(
            pages[0].contains("</math>](b.md) <math>") && pages[0].ends_with("</math> w"),
            "{}",
            pages[0]
        );
    }

    #[test]
    fn a_large_bracket_with_an_exponent_keeps_its_size() {
        let (pages, _) = rendered(&[("a.md", "$\\bigl(x\\bigr)^2 + \\bigl(y)^2$")]);
        assert!(pages[0].contains("<msup><mrow><mo minsize=\"1.2em\""), "{}", pages[0]);
        assert_eq!(pages[0].matches("<mrow><mo").count(), 1, "{}", pages[0]);
        assert!(pages[0].contains(")</mo></mrow><mn>2</mn></msup>"), "{}", pages[0]);
    }

    #[test]
    fn numbers_carry_the_lecture_and_run_through_its_pages() {
        let (pages, faults) = rendered(&[
            (
                "lecture-03/a.md",
                "see $\\eqref{b}$ and $\\eqref{c}$\n\n$$\\begin{equation}\\label{a} x \\end{equation}$$\n",
            ),
            ("lecture-03/b.md", "$$\\begin{align} y \\label{b} \\\\ z \\tag{*} \\label{c} \\end{align}$$\n"),
            ("lecture-04.md", "$$\\begin{equation} u \\end{equation}$$ from $\\eqref{a}$, $\\text{(1)}$\n"),
            ("speed.md", "$$\\begin{equation} v \\end{equation}$$\n"),
        ]);
        assert!(pages[3].contains("<mtext>(S&#46;1)</mtext>"), "{}", pages[3]);
        assert!(faults.contains("0 faults"), "{faults}");
        assert!(pages[0].contains("<a href=\"../lecture-03/b.md#eq-b\">(3&#46;2)</a>"), "{}", pages[0]);
        assert!(pages[0].contains("<a href=\"../lecture-03/b.md#eq-c\">(&#42;)</a>"), "{}", pages[0]);
        assert!(pages[0].contains("id=\"eq-a\"><mtext>(3&#46;1)</mtext>"), "{}", pages[0]);
        assert!(pages[1].contains("id=\"eq-b\"><mtext>(3&#46;2)</mtext>"), "{}", pages[1]);
        assert!(pages[2].contains("<mtext>(4&#46;1)</mtext>"), "{}", pages[2]);
        assert!(pages[2].contains("<a href=\"lecture-03/a.md#eq-a\">(3&#46;1)</a>"), "{}", pages[2]);
        assert!(pages[2].contains("<mtext>(1)</mtext>"), "text is no number: {}", pages[2]);
    }

    #[test]
    fn wrong_tex_and_labels_are_faults_with_their_line() {
        for (text, wanted) in [
            ("a\n\n$\\nosuchthing x$", "src/a.md:3: `\\nosuchthing x` is no TeX that we know"),
            (
                "$\\eqref{gradeint}$ $$\\begin{equation}\\label{gradient} x \\end{equation}$$",
                "did you mean `gradient`?",
            ),
            (
                "$$\\begin{equation}\\label{a} x \\end{equation}$$\n\n$$\\begin{equation}\\label{a} x \\end{equation}$$",
                "src/a.md:3: two equations have the label `a`",
            ),
        ] {
            let (_, faults) = rendered(&[("a.md", text)]);
            assert!(faults.contains(wanted), "{wanted}\nin\n{faults}");
        }
    }

    #[test]
    fn displayed_formulas_stay_in_their_list_or_quote() {
        for (before, quote, indent) in [
            ("", "", ""),
            ("prose ", "", ""),
            ("a\n   ", "", "   "),
            ("- ", "", "  "),
            ("12. so ", "", "    "),
            ("> ", ">", " "),
            ("> - ", ">", "   "),
        ] {
            assert_eq!(margin(before), (quote.to_owned(), indent.to_owned()), "{before:?}");
        }
        let (pages, _) = rendered(&[("a.md", "1. first\n   $$x$$\n   more\n2. second\n")]);
        let lists = pulldown_cmark::Parser::new(&pages[0])
            .filter(|event| matches!(event, Event::Start(pulldown_cmark::Tag::List(_))))
            .count();
        assert_eq!(lists, 1, "{}", pages[0]);
        assert!(pages[0].contains("\n   <div class=\"equation\""), "{}", pages[0]);
    }
}
