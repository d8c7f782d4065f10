//! Lines of included code that a laptop shows without a break.
//!
//! The crates' lines are longer than the book's column. A browser would break them anywhere and start again at the left
//! margin; here comments are filled anew, and code is broken where its nesting is lowest, with a deeper indentation.

/// Characters that fit into the column of a page 1280 px wide.
pub const WIDTH: usize = 96;
/// The share of the column that a broken line fills at least.
const LEAST: usize = WIDTH / 3;
/// How much deeper the second part of a broken line begins.
const DEEPER: &str = "    ";

/// Breaks the lines that are too long; those that cannot be broken stay as they are.
pub fn fit(lines: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut in_fence = false;
    while at < lines.len() {
        let (prefix, text) = comment(lines[at]);
        if prefix.is_empty() {
            code(lines[at], &mut out);
            at += 1;
            continue;
        }
        in_fence ^= text.starts_with("```");
        let is_prose = |line: &str| {
            let (its_prefix, text) = comment(line);
            its_prefix == prefix && is_prose(text)
        };
        let rest =
            if in_fence { 0 } else { lines[at + 1..].iter().take_while(|line| is_prose(line)).count() };
        let paragraph = if is_prose(lines[at]) { &lines[at..=at + rest] } else { &lines[at..=at] };
        if in_fence || paragraph.iter().all(|line| length(line) <= WIDTH) {
            out.extend(paragraph.iter().map(|&line| line.to_owned()));
        } else {
            fill(prefix, paragraph.iter().map(|line| comment(line).1), &mut out);
        }
        at += paragraph.len();
    }
    out
}

/// The marker of a comment with its indentation, and the text behind it; an empty marker for code.
fn comment(line: &str) -> (&str, &str) {
    let body = line.trim_start();
    if !body.starts_with("//") {
        return ("", line);
    }
    let marker = body.len() - body.trim_start_matches(['/', '!']).len();
    let (prefix, text) = line.split_at(line.len() - body.len() + marker);
    (prefix, text.trim())
}

/// Whether a line of a comment goes on in the next one: no heading, item, row or fence.
fn is_prose(text: &str) -> bool {
    let is_numbered = text.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ");
    !(text.is_empty()
        || is_numbered
        || text.starts_with("```")
        || text.starts_with(['#', '|', '-', '*', '>']))
}

/// Sets words in lines behind a prefix.
fn fill<'a>(prefix: &str, texts: impl Iterator<Item = &'a str>, out: &mut Vec<String>) {
    let mut line = prefix.to_owned();
    for word in texts.flat_map(str::split_whitespace) {
        if line.len() > prefix.len() && length(&line) + 1 + length(word) > WIDTH {
            out.push(std::mem::replace(&mut line, prefix.to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push(line);
}

/// A line of code: its comment moves above it, and it is broken as often as it takes.
fn code(line: &str, out: &mut Vec<String>) {
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut rest = line.to_owned();
    if length(&rest) > WIDTH
        && let Some(at) = places(&rest).comment
    {
        fill(&format!("{indent}//"), std::iter::once(rest[at..].trim_start_matches('/')), out);
        rest.truncate(rest[..at].trim_end().len());
    }
    while length(&rest) > WIDTH {
        let Some(at) = places(&rest).best else { break };
        let next = format!("{indent}{DEEPER}{}", rest[at..].trim_start());
        rest.truncate(rest[..at].trim_end().len());
        out.push(std::mem::replace(&mut rest, next));
    }
    out.push(rest);
}

/// Where a line of code can be broken.
#[derive(Default)]
struct Places {
    /// Start of the second part: the last of those with the lowest nesting.
    best: Option<usize>,
    /// Start of the comment at the end.
    comment: Option<usize>,
}

fn places(line: &str) -> Places {
    let indent = line.len() - line.trim_start().len();
    let mut places = Places::default();
    let (mut depth, mut lowest, mut column) = (0_i32, (i32::MAX, false), 0);
    let mut skipped_to = 0; // end of a string or a character
    for (at, c) in line.char_indices() {
        column += 1;
        if at < skipped_to {
            continue;
        }
        let (before, rest) = (&line[..at], &line[at..]);
        if rest.starts_with("//") {
            places.comment = Some(at);
            break;
        }
        skipped_to = at + literal(rest);
        let opens_generics = c == '<' && !before.ends_with(' ');
        let closes_generics = c == '>' && !before.ends_with([' ', '-', '=']);
        if matches!(c, ')' | ']' | '}') || closes_generics {
            depth -= 1;
        }
        if (indent + LEAST..=WIDTH + 1).contains(&column)
            && let Some(start) = Start::of(before, rest)
        {
            let cost = (depth, start == Start::Operator || start == Start::Method && depth > 0);
            if cost <= lowest {
                (lowest, places.best) = (cost, Some(at));
            }
        }
        if matches!(c, '(' | '[' | '{') || opens_generics {
            depth += 1;
        }
    }
    places
}

/// Bytes of the string or character literal at the start of a text; 0 without one.
fn literal(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match text.as_bytes().first() {
        Some(b'"') => {
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => _ = chars.next(),
                    '"' => return at + 1,
                    _ => {}
                }
            }
            text.len()
        }
        Some(b'\'') => match text.char_indices().skip(1).find(|(_, c)| *c == '\'') {
            // 'a' and '\n', but no lifetime
            Some((at, _)) if at <= 5 && (text[1..].starts_with('\\') || text[1..at].chars().count() == 1) => {
                at + 1
            }
            _ => 0,
        },
        _ => 0,
    }
}

/// What the second part of a broken line begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// What follows a comma or a brace, an arrow, `else`.
    Part,
    /// A call on the result of a call.
    Method,
    /// An operator, or what follows `=`.
    Operator,
}

impl Start {
    /// `None` where a line cannot be broken.
    fn of(before: &str, rest: &str) -> Option<Self> {
        if let Some(name) = rest.strip_prefix('.') {
            let rest = name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            let is_call = rest.len() < name.len() && (rest.starts_with('(') || rest.starts_with("::<"));
            return (is_call && before.ends_with([')', '?'])).then_some(Self::Method);
        }
        if !before.ends_with(' ') || rest.starts_with(' ') {
            return None;
        }
        let begins = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
        let follows = |words: &[&str]| words.iter().any(|word| before.ends_with(word));
        if follows(&[", ", "{ ", "; "]) || begins(&["-> ", "else "]) {
            Some(Self::Part)
        } else if begins(&["+ ", "- ", "* ", "/ ", "&& ", "|| "]) || follows(&[" = ", "=> "]) {
            Some(Self::Operator)
        } else {
            None
        }
    }
}

fn length(line: &str) -> usize {
    line.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str) -> String {
        fit(&text.lines().collect::<Vec<_>>()).join("\n")
    }

    #[test]
    fn short_lines_stay_as_they_are() {
        let text =
            "/// One.\n///\n/// ```\n/// let x = 1;\n/// ```\nfn f() {\n    // two\n}\n\n#[derive(Debug)]";
        assert_eq!(fitted(text), text);
    }

    #[test]
    fn a_long_comment_is_filled_as_a_paragraph() {
        let text = format!("    /// {}\n    /// bb\n    ///\n    /// # Errors", "aaaa ".repeat(19).trim());
        let filled =
            format!("    /// {}\n    /// aaaa aaaa bb\n    ///\n    /// # Errors", "aaaa ".repeat(17).trim());
        assert_eq!(fitted(&text), filled);
        let list = format!("// - {}\n// - b", "aaaa ".repeat(19).trim());
        assert_eq!(fitted(&list), format!("// - {}\n// aaaa\n// - b", "aaaa ".repeat(18).trim()));
    }

    #[test]
    fn code_is_broken_where_its_nesting_is_lowest() {
        for (line, parts) in [
            (
                "let mut ready: VecDeque<NodeIndex> = graph.node_indices().filter(|node| waits_for[node] == 0).collect();",
                vec![
                    "let mut ready: VecDeque<NodeIndex> = graph.node_indices().filter(|node| waits_for[node] == 0)",
                    "    .collect();",
                ],
            ),
            (
                "    pub fn stationary(hessian: &DMatrix<f64>, noise: &DMatrix<f64>, rate: f64) -> Result<DMatrix<f64>, Error> {",
                vec![
                    "    pub fn stationary(hessian: &DMatrix<f64>, noise: &DMatrix<f64>, rate: f64)",
                    "        -> Result<DMatrix<f64>, Error> {",
                ],
            ),
            (
                "return Err(Error::InvalidHyper { name: \"tolerance, step\", rule: \"finite and above 0\", value: tolerance });",
                vec![
                    "return Err(Error::InvalidHyper { name: \"tolerance, step\", rule: \"finite and above 0\",",
                    "    value: tolerance });",
                ],
            ),
            (
                "if channels == out && stride == 1 { vec![] } else { vec![bare_conv(out, 1, stride, 0, 1), Layer::Norm] }",
                vec![
                    "if channels == out && stride == 1 { vec![] }",
                    "    else { vec![bare_conv(out, 1, stride, 0, 1), Layer::Norm] }",
                ],
            ),
            (
                "            |row, unit| if unit < svd.sigma.len() { side[(row, unit)] * svd.sigma[unit].sqrt() } else { 0.0 };",
                vec![
                    "            |row, unit| if unit < svd.sigma.len() {",
                    "                side[(row, unit)] * svd.sigma[unit].sqrt() } else { 0.0 };",
                ],
            ),
            (
                "            let (first, second) = (side.column(low).clone_owned(), side.column(high).clone_owned());",
                vec![
                    "            let (first, second) = (side.column(low).clone_owned(),",
                    "                side.column(high).clone_owned());",
                ],
            ),
            (
                "    let mut out = vec![DVector::repeat(weights[weights.len() - 1].nrows(), 1.0)]; // gamma_out of its outputs",
                vec![
                    "    // gamma_out of its outputs",
                    "    let mut out = vec![DVector::repeat(weights[weights.len() - 1].nrows(), 1.0)];",
                ],
            ),
        ] {
            assert_eq!(fitted(line), parts.join("\n"));
        }
        let word = "x".repeat(120);
        assert_eq!(fitted(&word), word, "a line that cannot be broken");
    }

    #[test]
    fn strings_and_characters_are_not_broken() {
        assert_eq!(literal("\"a \\\" b\" c"), 8);
        assert_eq!(literal("'a', 'b'"), 3);
        assert_eq!(literal("'\\n'"), 4);
        assert_eq!(literal("'t>(x: &'t str)"), 0);
        assert_eq!(literal("\"open"), 5);
        assert_eq!(literal("x"), 0);
    }
}
