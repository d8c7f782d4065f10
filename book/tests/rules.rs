//! What every chapter keeps. Each rule is a function of a text, with a test that breaks it.
//!
//! The rendering keeps further rules (numbers of results, figures, citations, formulas: `booktool build`); here
//! are those that concern the listings and the shape of a chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeWithOffset};

/// Listings that are not tested: (chapter, first line, reason). An entry that is not needed fails.
const UNTESTED: &[(&str, &str, &str)] = &[];

/// Typed decimal numbers in prose: (file, words around and with the number, reason). An entry that is not needed
/// fails.
const TYPED_NUMBERS: &[(&str, &str, &str)] = &[];

/// Numbers that stand alone in a formula: (file, formula, where a paper or a definition has it). An entry that is not
/// needed fails.
const BARE_NUMBERS: &[(&str, &str, &str)] = &[
    ("src/lecture-01.md", r"22.25\,\%", "darkest guess in Nielsen's book, chapter 1"),
    ("src/lecture-01.md", r"95.42\,\%", "best epoch in Nielsen's book, chapter 1"),
    ("src/lecture-08.md", "0.76", "correlation in Choromanska et al. (2015), section 5"),
    ("src/lecture-08.md", "0.41", "correlation in Choromanska et al. (2015), section 5"),
];

/// Commands of TeX that say nothing of what a number is of: spaces, signs, relations, products.
const ANONYMOUS: &[&str] =
    &["pm", "approx", "le", "leq", "ge", "geq", "lt", "gt", "sim", "cdot", "times", "quad", "text"];

/// Words before a number that names a place in a work, or a version of something.
const PLACES: &[&str] = &[
    "section",
    "sections",
    "chapter",
    "chapters",
    "ch.",
    "§",
    "eq.",
    "equation",
    "theorem",
    "lemma",
    "figure",
    "table",
    "algorithm",
    "exercise",
    "version",
    "arxiv",
    "mdbook",
    "dfdx",
    "rust",
];

/// Hidden lines that one listing may have.
const HIDDEN_LINES: usize = 6;

/// Width of a listing in characters, so that it fits beside the sidebar.
const LISTING_WIDTH: usize = 88;

/// A Markdown file or an exercise.
#[derive(Debug, Clone)]
struct Chapter {
    /// Path below `book/src`, or below `book` for exercises.
    name: String,
    text: String,
}

/// A rule that a line breaks, with what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    name: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "book/{}:{}: {}", self.name, self.line, self.what)
    }
}

/// A fenced block.
#[derive(Debug)]
struct Fence {
    /// What follows the backticks.
    info: String,
    /// Byte of the opening fence.
    start: usize,
    text: String,
}

impl Fence {
    fn is_rust(&self) -> bool {
        self.info.split(',').next() == Some("rust")
    }

    /// `path:anchor` when the block shows code of a crate.
    fn include(&self) -> Option<&str> {
        self.text.trim().strip_prefix("{{#include ")?.split("}}").next().map(str::trim)
    }
}

impl Chapter {
    fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    fn fault(&self, at: usize, what: impl Into<String>) -> Fault {
        let line = self.text[..at].matches('\n').count() + 1;
        Fault { name: self.name.clone(), line, what: what.into() }
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        TextMergeWithOffset::new(Parser::new_ext(&self.text, options()).into_offset_iter())
    }

    /// Fenced blocks; an indented block is a fault, since no test sees it.
    fn fences(&self, faults: &mut Vec<Fault>) -> Vec<Fence> {
        let mut fences = Vec::new();
        let mut open: Option<Fence> = None;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    open = Some(Fence { info: info.to_string(), start: range.start, text: String::new() });
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
                    faults
                        .push(self.fault(range.start, "indented code is not tested; fence it with ```rust"));
                }
                Event::Text(text) => {
                    if let Some(fence) = &mut open {
                        fence.text.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => fences.extend(open.take()),
                _ => {}
            }
        }
        fences
    }
}

impl Chapter {
    /// The headings of level 2: where each begins, and its text.
    fn sections(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut open: Option<(usize, String)> = None;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                    open = Some((range.start, String::new()));
                }
                Event::End(TagEnd::Heading(_)) => found.extend(open.take()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, title)) = &mut open {
                        title.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// The Markdown of the book, and maths.
fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM
        | Options::ENABLE_MATH
}

// --- the rules ---

/// Every fence is one that is tested, or text; listings are narrow and hide little.
fn fences_are_known(
    chapter: &Chapter,
    untested: &[(&str, &str, &str)],
    used: &mut BTreeSet<usize>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for fence in chapter.fences(&mut faults) {
        let mut words = fence.info.split(',');
        let known = match words.next().unwrap_or("") {
            "rust" => words.all(|word| matches!(word, "should_panic" | "compile_fail")),
            "text" => words.count() <= 1,
            "toml" | "console" | "json" => words.next().is_none(),
            _ => false,
        };
        let first = fence.text.lines().next().unwrap_or("").trim();
        let excuse = untested.iter().position(|(name, line, _)| *name == chapter.name && *line == first);
        used.extend(excuse);
        if !known && excuse.is_none() {
            let what = format!(
                "```{} is not tested; use rust (with should_panic or compile_fail), text, toml, console or json",
                fence.info
            );
            faults.push(chapter.fault(fence.start, what));
        }
        if !fence.is_rust() {
            continue;
        }
        let hidden = fence.text.lines().filter(|line| *line == "#" || line.starts_with("# ")).count();
        if hidden > HIDDEN_LINES {
            let what =
                format!("{hidden} hidden lines; show what the reader needs, at most {HIDDEN_LINES} may hide");
            faults.push(chapter.fault(fence.start, what));
        }
        let wide = fence.text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        if wide > LISTING_WIDTH && fence.include().is_none() {
            let what = format!("a line of {wide} characters; break it, a listing has {LISTING_WIDTH}");
            faults.push(chapter.fault(fence.start, what));
        }
    }
    faults
}

/// What a listing prints is asserted: `println!` of the book, `shown("id")`, then the block `text,id`.
fn output_is_asserted(chapters: &[Chapter]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for chapter in chapters {
        let fences = chapter.fences(&mut Vec::new());
        for (i, fence) in fences.iter().enumerate() {
            if !fence.is_rust() {
                let Some(id) = fence.info.strip_prefix("text,") else { continue };
                if i == 0 || shown_id(&fences[i - 1]) != Some(id) {
                    let what =
                        format!("`text,{id}` follows no listing that ends with `# book::shown(\"{id}\");`");
                    faults.push(chapter.fault(fence.start, what));
                }
                continue;
            }
            let prints = fence.text.contains("println!(") && fence.include().is_none();
            match shown_id(fence) {
                None if prints => {
                    let what = "the listing prints, and nothing compares it; begin with `# use book::println;`, \
                         end with `# book::shown(\"id\");`, add the block ```text,id and run `cargo xtask book bless`";
                    faults.push(chapter.fault(fence.start, what));
                }
                None => {}
                Some(id) => {
                    *shown.entry(id.to_owned()).or_default() += 1;
                    if shown[id] > 1 {
                        faults.push(
                            chapter.fault(fence.start, format!("`{id}` is shown twice; ids are unique")),
                        );
                    }
                    if !fence.text.contains("# use book::println;\n") {
                        let what = "`shown` hears nothing without the hidden line `# use book::println;`";
                        faults.push(chapter.fault(fence.start, what));
                    }
                    if fences.get(i + 1).is_none_or(|next| next.info != format!("text,{id}")) {
                        let what =
                            format!("no block ```text,{id} follows; add it and run `cargo xtask book bless`");
                        faults.push(chapter.fault(fence.start, what));
                    }
                }
            }
        }
    }
    faults
}

/// The id in `book::shown("id")`.
fn shown_id(fence: &Fence) -> Option<&str> {
    if !fence.is_rust() {
        return None;
    }
    fence.text.split_once("book::shown(\"")?.1.split('"').next()
}

/// `{{#include path:anchor}}` fills a block of its own: build.rs takes the whole block out of the tests. That file
/// and anchor exist is a rule of the rendering.
fn includes_are_alone(chapter: &Chapter) -> Vec<Fault> {
    let mut faults = Vec::new();
    for fence in chapter.fences(&mut Vec::new()) {
        let what = match fence.include() {
            None if fence.text.contains("{{#include") => {
                "an include shares its block with other lines, which no test sees; give it a block of its own"
            }
            Some(_) if fence.text.trim().lines().count() > 1 => {
                "lines stand below an include, which no test sees; give it a block of its own"
            }
            Some(include) if !include.contains(':') => {
                "an include names an anchor, so that it keeps its size; write path:anchor"
            }
            _ => continue,
        };
        faults.push(chapter.fault(fence.start, what));
    }
    faults
}

/// The section that lists the items of the crates that a chapter uses.
const ITEMS: &str = "In the crates";

/// What a chapter imports from `crates` in listings that the reader sees is in its section "In the crates", which stands
/// before the references, or at the end.
fn imports_are_listed(chapter: &Chapter, crates: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let sections: Vec<(usize, String)> = chapter.sections();
    let at = sections.iter().position(|(_, title)| title == ITEMS);
    let mut listed = BTreeSet::new();
    if let Some(at) = at {
        let end = sections.get(at + 1).map_or(chapter.text.len(), |(start, _)| *start);
        match sections.get(at + 1).map(|(_, title)| title.as_str()) {
            None | Some("References") => {}
            Some(next) => {
                let what = format!(
                    "the section `## {ITEMS}` stands before `## {next}`; put it before the references"
                );
                faults.push(chapter.fault(sections[at].0, what));
            }
        }
        for (event, range) in
            chapter.events().filter(|(_, range)| (sections[at].0..end).contains(&range.start))
        {
            if let Event::Start(Tag::Link { dest_url, .. }) = event
                && let Some(name) = dest_url.strip_prefix("api:")
                && !listed.insert(path(name).to_owned())
            {
                faults.push(chapter.fault(range.start, format!("`{}` is listed twice", path(name))));
            }
        }
    }
    let mut missing = BTreeSet::new();
    for fence in
        chapter.fences(&mut Vec::new()).iter().filter(|fence| fence.is_rust() && fence.include().is_none())
    {
        for import in imports(&fence.text).into_iter().filter(|import| {
            crates.iter().any(|name| import.split("::").next() == Some(name)) && !listed.contains(import)
        }) {
            if missing.insert(import.clone()) {
                let what = format!(
                    "the listing imports `{import}`, which `## {ITEMS}` does not list; \
                     add a row ``| [`…`](api:{import}) | what it is |`` there"
                );
                faults.push(chapter.fault(fence.start, what));
            }
        }
    }
    faults
}

/// The path of a linked item without the marks that say which of two things is meant.
fn path(name: &str) -> &str {
    name.trim_start_matches("mod@").trim_end_matches("()").trim_end_matches('!')
}

/// The paths that the visible `use` lines of a listing import; a glob imports its module.
fn imports(listing: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in listing.lines().filter(|line| *line != "#" && !line.starts_with("# ")) {
        let line = line.split("//").next().unwrap_or("");
        match &mut open {
            Some(tree) => tree.push_str(line),
            None => open = line.trim_start().strip_prefix("use ").map(str::to_owned),
        }
        if let Some(tree) = open.take_if(|tree| tree.contains(';')) {
            expand("", tree.split(';').next().unwrap_or_default(), &mut found);
        }
    }
    found
}

/// The leaves of a tree of imports: `a::{b, c::{self, d as e}, f::*}` is `a::b`, `a::c`, `a::c::d`, `a::f`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        None => {
            let leaf = tree.split(" as ").next().unwrap_or(tree).trim();
            let leaf = leaf.strip_suffix("::*").or(leaf.strip_suffix("::self")).unwrap_or(leaf);
            let whole = matches!(leaf, "self" | "*");
            let path =
                if whole { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{leaf}") };
            if !leaf.is_empty() {
                found.push(path);
            }
        }
        Some((head, rest)) => {
            let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
            let (mut depth, mut start) = (0usize, 0);
            for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
                match c {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    ',' if depth == 0 => {
                        expand(&format!("{prefix}{}", head.trim()), &inner[start..at], found);
                        start = at + 1;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// A lecture's chapter has exercises, references, a figure and a number that an experiment measured.
fn lecture_is_whole(chapter: &Chapter) -> Vec<Fault> {
    if !chapter.name.starts_with("src/lecture-") {
        return Vec::new();
    }
    let mut headings = BTreeSet::new();
    let mut figures = 0;
    let mut heading: Option<String> = None;
    for (event, _) in chapter.events() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => headings.extend(heading.take()),
            Event::Start(Tag::Image { dest_url, .. }) => {
                figures += usize::from(dest_url.contains("figures/"))
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    let mut missing = Vec::new();
    for section in ["Exercises", ITEMS, "References"] {
        if !headings.contains(section) {
            missing.push(format!("the section `## {section}`"));
        }
    }
    if figures == 0 {
        missing.push("a figure".to_owned());
    }
    if !chapter.text.contains("{{result ") {
        missing.push("a number that an experiment measured (`{{result …}}`)".to_owned());
    }
    missing.into_iter().map(|what| chapter.fault(0, format!("the chapter lacks {what}"))).collect()
}

/// A decimal number in prose is a measurement, and measurements come from result files.
fn numbers_are_measured(
    chapter: &Chapter,
    typed: &[(&str, &str, &str)],
    used: &mut BTreeSet<usize>,
) -> Vec<Fault> {
    let text = blank_directives(&chapter.text);
    let mut faults = Vec::new();
    let mut code = false;
    let mut captions = Vec::new();
    for (event, range) in TextMergeWithOffset::new(Parser::new_ext(&text, options()).into_offset_iter()) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Start(Tag::Image { .. }) => captions.push(range),
            Event::Text(_) if !code => {
                for number in decimals(&text[range.clone()]) {
                    let line = number_context(&text, range.start + number.start);
                    let excuse = typed
                        .iter()
                        .position(|(name, words, _)| *name == chapter.name && line.contains(words));
                    used.extend(excuse);
                    if excuse.is_none() {
                        let what = format!(
                            "the number {} is typed; write `{{{{result …}}}}`, or a formula if it is no measurement",
                            &text[range.start + number.start..range.start + number.end]
                        );
                        faults.push(chapter.fault(range.start + number.start, what));
                    }
                }
            }
            _ => {}
        }
    }
    for range in captions {
        // The title of an image is Markdown of its own.
        let Some((start, title)) =
            text[range.clone()].split_once(" \"").map(|(a, b)| (range.start + a.len() + 2, b))
        else {
            continue;
        };
        let caption = Chapter::new(&chapter.name, title.trim_end_matches([')', '"']));
        for fault in numbers_are_measured(&caption, typed, used) {
            faults.push(chapter.fault(start, fault.what));
        }
    }
    faults
}

/// A formula that is a number and nothing else says a measurement as prose would: a number with decimals, a
/// percentage, or a value with its spread, and no symbol or function that it is the value of.
fn formulas_are_no_measurements(
    chapter: &Chapter,
    bare: &[(&str, &str, &str)],
    used: &mut BTreeSet<usize>,
) -> Vec<Fault> {
    let text = blank_directives(&chapter.text);
    let mut faults = Vec::new();
    let mut titles = Vec::new();
    for (event, range) in TextMergeWithOffset::new(Parser::new_ext(&text, options()).into_offset_iter()) {
        match event {
            Event::InlineMath(formula) | Event::DisplayMath(formula) if is_measurement(&formula) => {
                let excuse = bare.iter().position(|(name, of, _)| *name == chapter.name && *of == &*formula);
                used.extend(excuse);
                if excuse.is_none() {
                    let what = format!(
                        "the formula `${formula}$` is a number alone; write `{{{{result …}}}}`, or say of what as in \
                         `$\\eta = 0.1$`"
                    );
                    faults.push(chapter.fault(range.start, what));
                }
            }
            Event::Start(Tag::Image { title, .. }) => titles.push((range.start, title.to_string())),
            _ => {}
        }
    }
    for (start, title) in titles {
        let caption = Chapter::new(&chapter.name, &title);
        let found = formulas_are_no_measurements(&caption, bare, used);
        faults.extend(found.into_iter().map(|fault| chapter.fault(start, fault.what)));
    }
    faults
}

/// Whether a formula has digits with a decimal point, a percent sign or a spread, and names nothing.
fn is_measurement(formula: &str) -> bool {
    let mut rest = formula;
    let (mut has_digit, mut has_mark) = (false, false);
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                let (command, after) = rest.split_at(end);
                if !command.is_empty() && !ANONYMOUS.contains(&command) {
                    return false;
                }
                has_mark |= has_digit && command == "pm"; // a spread, not both signs
                // `\text{points}`: words, no symbol
                rest = match (command, after.split_once('}')) {
                    ("text", Some((_, after))) => after,
                    _ => after,
                };
            }
            c if c.is_alphabetic() || matches!(c, '=' | '+' | '/') => return false,
            '%' => has_mark = true,
            '±' => has_mark |= has_digit,
            '.' => has_mark |= before.is_ascii_digit() && rest.starts_with(|c: char| c.is_ascii_digit()),
            c => has_digit |= c.is_ascii_digit(),
        }
        before = c;
    }
    has_digit && has_mark
}

/// Directives with the same number of bytes and no number in them.
fn blank_directives(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest[start..].find("}}").map(|end| start + end + 2) else { break };
        out.push_str(&rest[..start]);
        out.extend(rest[start..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { 'x' }));
        rest = &rest[end..];
    }
    out + rest
}

/// The bytes of numbers such as 0.97 that do not name a place in a work.
fn decimals(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // end of the last number that named a place
    let mut place = None;
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len()
            && (bytes[at].is_ascii_digit()
                || (bytes[at] == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)))
        {
            at += 1;
        }
        let before = text[..start].trim_end_matches(['\u{a0}', ' ', '\n', '(', '“', '–']);
        let word = before.rsplit([' ', '\n', '(', '\u{a0}']).next().unwrap_or("").to_lowercase();
        // "sections 6.1 and 6.2", "6.1–6.3": a list of places
        let between = place.map_or("", |end: usize| text[end..start].trim());
        let is_place = PLACES.iter().any(|place| word.ends_with(place))
            || matches!(between, "and" | "or" | "to" | "," | "–");
        if is_place {
            place = Some(at);
        } else if text[start..at].contains('.') {
            found.push(start..at);
        }
    }
    found
}

/// The line around a byte, for exemptions.
fn number_context(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
    &text[start..end]
}

/// Every chapter is in the summary; a file that is not would be neither shown nor tested.
fn chapters_are_listed(summary: &str, chapters: &[Chapter]) -> Vec<Fault> {
    let listed: BTreeSet<String> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(format!("src/{}", rest.split(')').next()?)))
        .collect();
    chapters
        .iter()
        .filter(|chapter| chapter.name != "src/SUMMARY.md" && !listed.contains(&chapter.name))
        .map(|chapter| chapter.fault(0, "the chapter is not in SUMMARY.md; list it, or remove the file"))
        .collect()
}

/// Code of an exercise is tested by its tests; a fence in its documentation would be a listing that nobody counts.
fn exercises_have_no_listings(exercise: &Chapter) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut at = 0;
    for line in exercise.text.split_inclusive('\n') {
        let doc = line.trim().strip_prefix("//!").or(line.trim().strip_prefix("///"));
        if doc.is_some_and(|text| matches!(text.trim(), "```" | "```rust")) {
            faults.push(exercise.fault(at, "a listing in an exercise; put it between the anchors"));
        }
        at += line.len();
    }
    faults
}

// --- the book ---

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Chapter {
    let name =
        path.strip_prefix(root()).unwrap().iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>();
    Chapter { name: name.join("/"), text: std::fs::read_to_string(path).unwrap() }
}

fn chapters() -> Vec<Chapter> {
    book::markdown(&root().join("src")).unwrap().iter().map(|path| read(path)).collect()
}

/// The libraries below `crates/`.
fn crates() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("../crates")).unwrap().map(|entry| entry.unwrap());
    let libraries = folders.filter(|folder| folder.path().join("src/lib.rs").is_file());
    libraries.map(|folder| folder.file_name().into_string().unwrap()).collect()
}

/// The Markdown of exercises, one line for each line of the file.
fn exercises() -> Vec<Chapter> {
    let mut found = Vec::new();
    let Ok(groups) = std::fs::read_dir(root().join("exercises")) else { return found };
    for group in groups.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        found.extend(std::fs::read_dir(group).unwrap().map(|entry| read(&entry.unwrap().path())));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The text of an exercise as Markdown, without its code.
fn prose(exercise: &Chapter) -> Chapter {
    let lines = exercise.text.lines().map(|line| {
        let text = line.trim_start().strip_prefix("//!").unwrap_or("");
        text.strip_prefix(' ').unwrap_or(text)
    });
    Chapter { name: exercise.name.clone(), text: lines.collect::<Vec<_>>().join("\n") }
}

fn assert_none(mut faults: Vec<Fault>) {
    faults.sort();
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n{} faults", lines.join("\n"), lines.len());
}

fn assert_all_used(list: &[(&str, &str, &str)], used: &BTreeSet<usize>, name: &str) {
    for (i, (file, words, reason)) in list.iter().enumerate() {
        assert!(used.contains(&i), "{name}: nothing needs ({file}, {words}); remove the entry");
        assert!(reason.split_whitespace().count() >= 3, "{name}: ({file}, {words}) needs a reason");
    }
}

#[test]
fn every_listing_is_tested_and_every_fence_is_known() {
    let mut used = BTreeSet::new();
    assert_none(
        chapters().iter().flat_map(|chapter| fences_are_known(chapter, UNTESTED, &mut used)).collect(),
    );
    assert_all_used(UNTESTED, &used, "UNTESTED");
}

#[test]
fn everything_printed_is_asserted() {
    assert_none(output_is_asserted(&chapters()));
}

#[test]
fn every_include_has_a_block_of_its_own() {
    assert_none(chapters().iter().flat_map(includes_are_alone).collect());
}

#[test]
fn every_lecture_is_whole() {
    assert_none(chapters().iter().flat_map(lecture_is_whole).collect());
}

#[test]
fn every_import_is_listed() {
    let crates = crates();
    assert!(crates.iter().any(|name| name == "kernels"), "{crates:?}");
    assert_none(chapters().iter().flat_map(|chapter| imports_are_listed(chapter, &crates)).collect());
}

#[test]
fn no_measurement_is_typed() {
    let mut used = BTreeSet::new();
    let texts = chapters().into_iter().chain(exercises().iter().map(prose).collect::<Vec<_>>());
    assert_none(texts.flat_map(|text| numbers_are_measured(&text, TYPED_NUMBERS, &mut used)).collect());
    assert_all_used(TYPED_NUMBERS, &used, "TYPED_NUMBERS");
}

#[test]
fn no_measurement_is_typed_as_a_formula() {
    let mut used = BTreeSet::new();
    let texts = chapters().into_iter().chain(exercises().iter().map(prose).collect::<Vec<_>>());
    assert_none(
        texts.flat_map(|text| formulas_are_no_measurements(&text, BARE_NUMBERS, &mut used)).collect(),
    );
    assert_all_used(BARE_NUMBERS, &used, "BARE_NUMBERS");
}

#[test]
fn every_chapter_is_in_the_summary() {
    assert_none(chapters_are_listed(&read(&root().join("src/SUMMARY.md")).text, &chapters()));
}

#[test]
fn every_listing_of_an_exercise_is_in_its_tests() {
    assert_none(exercises().iter().flat_map(exercises_have_no_listings).collect());
}

// --- the rules can fail ---

fn faults_of(rule: impl Fn(&Chapter) -> Vec<Fault>, text: &str) -> String {
    rule(&Chapter::new("src/lecture-01.md", text)).iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn untested_listings_fail() {
    let rule = |chapter: &Chapter| fences_are_known(chapter, &[], &mut BTreeSet::new());
    for (text, wanted) in [
        ("\n```rust,ignore\nx\n```\n", "lecture-01.md:2: ```rust,ignore is not tested"),
        ("```rust,no_run\nx\n```\n", "```rust,no_run is not tested"),
        ("```\nx\n```\n", "``` is not tested"),
        ("```python\nx\n```\n", "```python is not tested"),
        ("- a\n\n  ```sh\n  x\n  ```\n", "```sh is not tested"),
        ("text\n\n    let x = 1;\n", "lecture-01.md:3: indented code"),
        ("```rust\n# a\n# b\n# c\n# d\n# e\n# f\n# g\n```\n", "7 hidden lines"),
        (&format!("```rust\n{}\n```\n", "x".repeat(89)), "a line of 89 characters"),
    ] {
        let faults = faults_of(rule, text);
        assert!(faults.contains(wanted), "{text:?}: {faults:?}");
    }
    let fine = "```rust,should_panic\n#[derive(Debug)]\nx\n```\n\n```text,id\nx\n```\n\n```rust,compile_fail\nx\n```\n";
    assert_eq!(faults_of(rule, fine), "");
}

#[test]
fn exemptions_excuse_one_listing_and_complain_when_unused() {
    let list: &[(&str, &str, &str)] =
        &[("src/lecture-01.md", "x", "shows what was"), ("src/lecture-01.md", "y", "shows what was")];
    let mut used = BTreeSet::new();
    assert_eq!(
        fences_are_known(&Chapter::new("src/lecture-01.md", "```python\nx\n```\n"), list, &mut used),
        []
    );
    let complaint = std::panic::catch_unwind(|| assert_all_used(list, &used, "LIST")).unwrap_err();
    assert!(complaint.downcast_ref::<String>().unwrap().contains("nothing needs (src/lecture-01.md, y)"));
}

#[test]
fn output_without_its_pair_fails() {
    let listing = "```rust\n# use book::println;\nprintln!(\"x\");\n# book::shown(\"a\");\n```\n\n";
    let block = "```text,a\nx\n```\n\n";
    let rule = |chapter: &Chapter| output_is_asserted(std::slice::from_ref(chapter));
    assert_eq!(faults_of(rule, &format!("{listing}and so\n\n{block}")), "");
    for (text, wanted) in [
        (listing.to_owned(), "no block ```text,a follows"),
        (block.to_owned(), "`text,a` follows no listing"),
        (format!("{listing}{block}{block}"), "`text,a` follows no listing"),
        (format!("{listing}{block}{listing}{block}"), "`a` is shown twice"),
        (listing.replace("# use book::println;\n", "") + block, "hears nothing"),
        (listing.replace("# book::shown(\"a\");\n", ""), "nothing compares it"),
    ] {
        let faults = faults_of(rule, &text);
        assert!(faults.contains(wanted), "{text}: {faults:?}");
    }
}

#[test]
fn an_include_among_other_lines_fails() {
    assert_eq!(faults_of(includes_are_alone, "```rust\n{{#include a.rs:step}}\n```\n"), "");
    for (body, wanted) in [
        ("{{#include a.rs}}", "names an anchor"),
        ("{{#include a.rs:step}}\nlet x = 1;", "lines stand below"),
        ("let x = 1;\n{{#include a.rs:step}}", "block of its own"),
    ] {
        let faults = faults_of(includes_are_alone, &format!("```rust\n{body}\n```\n"));
        assert!(faults.contains(wanted), "{body}: {faults:?}");
    }
}

#[test]
fn a_chapter_without_its_parts_fails() {
    let whole =
        "## Exercises\n\n## In the crates\n\n## References\n\n![a](figures/a.svg \"b\") {{result a.b}}\n";
    assert_eq!(faults_of(lecture_is_whole, whole), "");
    for (part, wanted) in [
        ("## Exercises", "the section `## Exercises`"),
        ("## In the crates", "the section `## In the crates`"),
        ("## References", "the section `## References`"),
        ("figures/", "lacks a figure"),
        ("{{result a.b}}", "a number that an experiment measured"),
    ] {
        let faults = faults_of(lecture_is_whole, &whole.replace(part, ""));
        assert!(faults.contains(wanted), "{part}: {faults:?}");
    }
    assert_eq!(lecture_is_whole(&Chapter::new("src/claims.md", "")), []);
}

#[test]
fn an_import_that_is_not_listed_fails() {
    let rule = |chapter: &Chapter| imports_are_listed(chapter, &["optim".to_owned(), "layers".to_owned()]);
    let listing = "```rust\n# use layers::hidden;\nuse layers::{Cost, prelude::*};\nuse rand::Rng;\n\
        use optim::sgd::{\n    self, Sgd as S,\n};\nlet use_ = 1;\n```\n\n";
    let rows = ["layers::Cost", "layers::prelude", "mod@optim::sgd", "optim::sgd::Sgd"]
        .map(|name| format!("| [`x`](api:{name}) | y |\n"));
    let table = |rows: &[String]| {
        format!("## In the crates\n\n| item | what it is |\n|---|---|\n{}\n", rows.concat())
    };
    assert_eq!(faults_of(rule, &format!("{listing}{}## References\n", table(&rows))), "");
    assert_eq!(faults_of(rule, &format!("{listing}{}", table(&rows))), "");
    for (left_out, name) in
        ["layers::Cost", "layers::prelude", "optim::sgd", "optim::sgd::Sgd"].iter().enumerate()
    {
        let mut rows = rows.to_vec();
        rows.remove(left_out);
        let faults = faults_of(rule, &format!("{listing}{}", table(&rows)));
        assert!(
            faults.contains(&format!("lecture-01.md:1: the listing imports `{name}`, which")),
            "{faults}"
        );
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
    // A link in another section lists nothing; the section has its place; an item has one row.
    let elsewhere = format!("{listing}{}## References\n\n[`x`](api:layers::Cost)\n", table(&rows[1..]));
    assert!(faults_of(rule, &elsewhere).contains("imports `layers::Cost`"));
    let early = format!("{listing}{}## Exercises\n", table(&rows));
    assert!(faults_of(rule, &early).contains("stands before `## Exercises`; put it before the references"));
    let twice = format!("{listing}{}", table(&[&rows[..], &rows[..1]].concat()));
    assert!(faults_of(rule, &twice).contains("`layers::Cost` is listed twice"));
    assert_eq!(faults_of(rule, "```rust\nuse rand::Rng;\nuse optimal::x;\n```\n"), "");
}

#[test]
fn imports_are_read_as_rust_reads_them() {
    let read = |text: &str| imports(text).join(" ");
    for (text, wanted) in [
        ("use a::b;", "a::b"),
        ("use a::{b, c::{self, d as e}, f::*}; // x", "a::b a::c a::c::d a::f"),
        ("fn main() {\n    use a::b;\n    let x = \"use c::d\";\n}", "a::b"),
        ("let x = 1;\nuse a::{\n    b,\n};\n", "a::b"),
        ("# use a::b;\nuse c;", "c"),
        ("reuse(a);\nlet cause = because;", ""),
    ] {
        assert_eq!(read(text), wanted, "{text}");
    }
}

#[test]
fn typed_numbers_fail() {
    let rule = |chapter: &Chapter| numbers_are_measured(chapter, &[], &mut BTreeSet::new());
    for (text, number) in [
        ("It reads 0.97 of them.", "0.97"),
        ("It reads\n*97.5* %.", "97.5"),
        ("| a |\n|---|\n| 0.5 |\n", "0.5"),
        ("## A gain of 2.5 points\n", "2.5"),
        ("![shows 0.5](figures/a.svg \"c\")", "0.5"),
        ("![shows](figures/a.svg \"It is **0.25** here.\")", "0.25"),
        ("see section 6.1, which says 0.75.", "0.75"),
        ("as section 6.1 and 0.75 of the digits in chapter 2, or so, and 0.25", "0.25"),
    ] {
        let faults = faults_of(rule, text);
        assert!(faults.contains(&format!("the number {number} is typed")), "{text}: {faults:?}");
    }
    let fine = "{{result a.b:.3}} $0.5$ `0.5` 60 000 of 2024. Section 6.1, chapters 6.1 and 6.2, §4.3, dfdx 0.13.\n\n\
        ![at {{result a.b:.2}}](figures/a.svg \"With $\\\\eta = 0.5$ {{result a.b:.2}}.\")\n\n\
        $$ x = 0.5 $$\n\n```text\n0.5\n```\n";
    assert_eq!(faults_of(rule, fine), "");
    let excuses: &[(&str, &str, &str)] = &[("src/lecture-01.md", "since 0.9", "names a release")];
    let mut used = BTreeSet::new();
    assert_eq!(
        numbers_are_measured(&Chapter::new("src/lecture-01.md", "since 0.9\n"), excuses, &mut used),
        []
    );
    assert_eq!(used, BTreeSet::from([0]));
}

#[test]
fn a_formula_that_is_a_number_alone_fails() {
    let rule = |chapter: &Chapter| formulas_are_no_measurements(chapter, &[], &mut BTreeSet::new());
    for formula in [
        "0.97",
        "30.3 \\pm 4.3",
        "68 \\pm 23",
        "-0.17 ± 0.18",
        "16\\,\\%",
        "\\approx 0.5",
        "> 92\\%",
        "1.2 \\cdot 10^{-3}",
        "2.5\\,\\text{points}",
    ] {
        for text in [
            format!("It reads ${formula}$ of them.\n"),
            format!("| a |\n|---|\n| ${formula}$ |\n"),
            format!("![a](figures/a.svg \"It is ${}$ here.\")\n", formula.replace('\\', "\\\\")),
        ] {
            let faults = faults_of(rule, &text);
            assert!(
                faults.contains(&format!("the formula `${formula}$` is a number alone")),
                "{text}: {faults}"
            );
        }
    }
    for fine in [
        "\\eta = 0.1",
        "x = 0.5 \\pm 0.1",
        "\\sigma \\approx 0.001",
        "e^{1.5}",
        "\\sqrt{0.5}",
        "3 \\times 3",
        "\\pm 1",
        "1/128 + 1/9 \\approx 0.119",
        "10^{-6}",
        "1000",
        "{{result a.b:.3}} \\pm {{result a.c:.3}}",
    ] {
        assert_eq!(faults_of(rule, &format!("With ${fine}$ it works, `$0.5$` is code.\n")), "", "{fine}");
    }
    let excuses: &[(&str, &str, &str)] = &[("src/lecture-01.md", "95.42\\,\\%", "Nielsen's book, chapter 1")];
    let mut used = BTreeSet::new();
    let chapter = Chapter::new("src/lecture-01.md", "The book has $95.42\\,\\%$.\n");
    assert_eq!(formulas_are_no_measurements(&chapter, excuses, &mut used), []);
    assert_eq!(used, BTreeSet::from([0]));
}

#[test]
fn a_chapter_outside_the_summary_fails() {
    let chapters =
        [Chapter::new("src/a.md", ""), Chapter::new("src/b/c.md", ""), Chapter::new("src/SUMMARY.md", "")];
    let faults = chapters_are_listed("[A](a.md)\n- [Draft]()\n", &chapters);
    assert_eq!(faults.iter().map(|fault| fault.name.as_str()).collect::<Vec<_>>(), ["src/b/c.md"]);
    assert_eq!(chapters_are_listed("[A](a.md)\n  - [C](b/c.md)\n", &chapters), []);
}

#[test]
fn a_listing_in_an_exercise_fails() {
    let faults = faults_of(exercises_have_no_listings, "//! # T\n//! ```\n//! x\n//! ```text\n/// ```rust\n");
    assert_eq!(faults.matches("put it between the anchors").count(), 2, "{faults}");
}
