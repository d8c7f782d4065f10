//! Link test of the rendered book: every link leads somewhere, and no markup is left in the text.
//!
//! Nothing is fetched. Links to other hosts are checked for `https:` only, and allowed only where a reader clicks: what
//! a page loads by itself (images, scripts, style sheets, fonts) must come with the book.
mod html;

use crate::REPEATS;
use crate::outcome::Outcome;
use crate::serve::Site;
use anyhow::{Result, ensure};
use html::Tag;
pub use html::{Token, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Markup that has no business in the text of a page, and what it shows.
const LEFTOVERS: &[(&str, &str)] = &[
    ("](", "a Markdown link that was not rendered (raw HTML block? leave a blank line around the Markdown)"),
    ("{{", "a directive that nobody expanded"),
    ("??", "a reference to a label that does not exist"),
    ("$$", "a formula that was not rendered"),
    ("[@", "a citation that was not expanded"),
];

/// Elements whose text is code: shown as it is written.
const CODE: &[&str] = &["code", "pre", "kbd", "samp"];

/// A page, reduced to what links need.
#[derive(Debug, Default)]
struct Page {
    /// Folder against which relative links resolve: that of the page, or that of its `<base>`.
    base: String,
    ids: BTreeSet<String>,
    links: Vec<Link>,
    faults: Vec<String>,
}

/// A reference to another place, as it is written in the page.
#[derive(Debug)]
struct Link {
    target: String,
    use_: Use,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The reader follows it.
    Followed,
    /// The page loads it.
    Loaded,
}

/// Checks every page and style sheet below `folder`.
///
/// Each page without a fault counts as one passed check; each fault is a line `PAGE: what is wrong`.
///
/// # Errors
/// When the folder cannot be read or holds no page.
pub fn check(folder: &Path) -> Result<Outcome> {
    let site = Site::load(folder)?;
    let pages: BTreeMap<&str, Page> = site
        .names()
        .filter(|name| name.ends_with(".html"))
        .filter_map(|name| Some((name, read_page(name, &site.text(name)?))))
        .collect();
    ensure!(
        !pages.is_empty(),
        "{} holds no page; render the book first: cargo xtask book build",
        folder.display()
    );
    let files: BTreeSet<&str> = site.names().collect();

    let mut outcome = Outcome::default();
    for (name, page) in &pages {
        let dead = page.links.iter().filter_map(|link| fault(name, page, link, &pages, &files));
        let faults: Vec<String> = page.faults.iter().cloned().chain(dead).collect();
        outcome.record(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    for name in site.names().filter(|name| name.ends_with(".css")) {
        let base = parent(name);
        let style = Page { base, ..Page::default() };
        let links = urls(&site.text(name).unwrap_or_default());
        let faults = links
            .into_iter()
            .map(|target| Link { target, use_: Use::Loaded })
            .filter_map(|link| fault(name, &style, &link, &pages, &files));
        outcome.record(faults.map(|fault| format!("{name}: {fault}")));
    }
    Ok(outcome)
}

fn read_page(name: &str, text: &str) -> Page {
    let mut page = Page { base: parent(name), ..Page::default() };
    let mut code = 0;
    let mut in_style = false;
    for token in tokens(text) {
        match token {
            Token::Open(tag) => {
                code += usize::from(CODE.contains(&tag.name.as_str()));
                in_style = tag.name == "style";
                page.read_tag(&tag);
            }
            Token::Close(tag) => {
                code -= usize::from(code > 0 && CODE.contains(&tag.as_str()));
                in_style = false;
            }
            Token::Text(text) if in_style => page.load(urls(&text)),
            Token::Text(_) if name == REPEATS => {}
            Token::Text(text) => page.faults.extend(leftovers(&text, code > 0)),
        }
    }
    page
}

impl Page {
    fn read_tag(&mut self, tag: &Tag) {
        for (name, value) in &tag.attributes {
            match (tag.name.as_str(), name.as_str()) {
                (_, "id") => {
                    let is_new = self.ids.insert(value.clone());
                    let fault =
                        || format!("two elements have the id `{value}`; a link reaches only the first");
                    self.faults.extend((!is_new).then(fault));
                }
                ("base", "href") => {
                    self.base = join("", parent(value).trim_start_matches('/')).unwrap_or_default()
                }
                ("a" | "area", "href" | "xlink:href") => {
                    self.links.push(Link { target: value.clone(), use_: Use::Followed });
                }
                (_, "href" | "xlink:href" | "src" | "poster") | ("object", "data") => {
                    self.load([value.clone()])
                }
                (_, "srcset") => self.load(
                    // Candidates are separated by a comma and white space: a comma alone may belong to the address.
                    value.split(", ").filter_map(|c| c.split_whitespace().next()).map(str::to_owned),
                ),
                _ if value.contains("url(") => self.load(urls(value)),
                _ => {}
            }
        }
    }

    fn load(&mut self, targets: impl IntoIterator<Item = String>) {
        self.links.extend(targets.into_iter().map(|target| Link { target, use_: Use::Loaded }));
    }
}

/// What is wrong with a link of the page or style sheet `name`, if anything.
fn fault(
    name: &str,
    page: &Page,
    link: &Link,
    pages: &BTreeMap<&str, Page>,
    files: &BTreeSet<&str>,
) -> Option<String> {
    let target = link.target.trim();
    if let Some((scheme, _)) =
        target.split_once(':').filter(|(s, _)| s.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return match (scheme.to_ascii_lowercase().as_str(), link.use_) {
            ("https", Use::Followed) | ("data", Use::Loaded) => None,
            (_, Use::Followed) => Some(format!("link to `{target}`: write https: or a path within the book")),
            (_, Use::Loaded) => {
                Some(format!("loads `{target}`: everything that a page loads comes with the book"))
            }
        };
    }
    if target.starts_with("//") {
        return Some(format!("link to `{target}`: write https: or a path within the book"));
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = path.split('?').next().unwrap_or_default();
    let Some(path) = crate::serve::percent_decode(path) else {
        return Some(format!("link to `{target}`: a `%` without two hexadecimal digits"));
    };
    let file = if path.is_empty() {
        Some(name.to_owned())
    } else {
        match path.strip_prefix('/') {
            Some(absolute) => join("", absolute),
            None => join(&page.base, &path),
        }
    };
    let Some(mut file) = file else {
        return Some(format!("link to `{target}` leads out of the book"));
    };
    if file.is_empty() || file.ends_with('/') {
        file.push_str("index.html");
    }
    if !files.contains(file.as_str()) {
        return Some(format!("link to `{target}`: there is no file `{file}`"));
    }
    let fragment = crate::serve::percent_decode(fragment).unwrap_or_default();
    // `#` and `#top` mean the top of any page.
    if fragment.is_empty() || fragment == "top" {
        return None;
    }
    match pages.get(file.as_str()) {
        Some(page) if !page.ids.contains(&fragment) => {
            Some(format!("link to `{target}`: `{file}` has no id `{fragment}`"))
        }
        _ => None,
    }
}

/// The targets of the links of a page, in order, without fragments.
pub fn hrefs(page: &str) -> Vec<String> {
    let page = read_page("", page);
    let links = page.links.iter().filter(|link| link.use_ == Use::Followed);
    links.map(|link| link.target.split('#').next().unwrap_or_default().to_owned()).collect()
}

/// The folder of a file, `""` or ending with `/`.
pub fn parent(name: &str) -> String {
    name.rfind('/').map_or(String::new(), |slash| name[..=slash].to_owned())
}

/// Folds `.` and `..` of `path` below `base`; `None` when it leads out.
pub fn join(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    let mut is_folder = true;
    for part in path.split('/') {
        is_folder = matches!(part, "" | "." | "..");
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    let slash = if is_folder && !parts.is_empty() { "/" } else { "" };
    Some(parts.join("/") + slash)
}

/// The targets of `url(…)` in a style sheet or attribute.
fn urls(style: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = style;
    while let Some(start) = rest.find("url(") {
        rest = &rest[start + 4..];
        let inner = rest.trim_start();
        let end = match inner.chars().next() {
            Some(quote @ ('"' | '\'')) => inner[1..].find(quote).map(|end| (1, end + 1)),
            _ => inner.find(')').map(|end| (0, end)),
        };
        let Some((start, end)) = end else { break };
        out.push(inner[start..end].trim().to_owned());
        rest = &inner[end..];
    }
    out
}

/// Markup in the text of a page. In code only an include is looked for: it would be an empty listing.
fn leftovers(text: &str, is_code: bool) -> Vec<String> {
    let patterns = if is_code { &[("{{#", "an include that was not expanded")][..] } else { LEFTOVERS };
    patterns
        .iter()
        .filter_map(|(pattern, meaning)| {
            let at = text.find(pattern)?;
            let begin = text[..at].char_indices().rev().take(20).last().map_or(at, |(i, _)| i);
            let around: String = text[begin..].chars().take(60).collect();
            Some(format!(
                "`{pattern}` in the text, {meaning}: `{}`",
                around.split_whitespace().collect::<Vec<_>>().join(" ")
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Faults of a book whose `part/page.html` holds `body`, next to some files that links may use.
    fn faults(body: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("index.html", "<h1 id=start>Start</h1><h2 id='ä-b'>x</h2>");
        write("part/index.html", "<p id=inner>part</p>");
        write("part/page.html", &format!("<main><p id=here>{body}</main>"));
        write("a b.png", "");
        write(
            "style.css",
            "@font-face { src: url('a b.png') format('woff2'), url(data:font/woff2;base64,AA) }",
        );
        let outcome = check(folder.path()).unwrap();
        assert_eq!(outcome.passed, 4 - usize::from(!outcome.failed.is_empty()), "{outcome:?}");
        outcome.failed
    }

    #[test]
    fn good_links_pass() {
        let body = "<a href='#here'></a><a href='page.html#here'></a><a href='../index.html#start'></a>\
            <a href='..'></a><a href='../'></a><a href='./'></a><a href='../part/?q=1#inner'></a><a href='#'></a>\
            <a href='/index.html#%C3%A4-b'></a><a href='https://arxiv.org/abs/1412.6980'></a>\
            <img src='../a%20b.png' srcset='../a%20b.png 1x, /a%20b.png 2x'><img src='data:image/png;base64,AA'>\
            <svg><use xlink:href='#here'/><g clip-path='url(#here)'></g></svg><code>a[i](b) ?? {{x}}</code>\
            <script>let a = '](';</script>";
        assert_eq!(faults(body), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_fault_is_found_and_named() {
        for (body, part) in [
            ("<a href='gone.html'>x</a>", "link to `gone.html`: there is no file `part/gone.html`"),
            ("<a href='../index.html#gone'>x</a>", "`index.html` has no id `gone`"),
            ("<a href='#gone'>x</a>", "`part/page.html` has no id `gone`"),
            ("<a href='../../secret'>x</a>", "leads out of the book"),
            ("<a href='http://arxiv.org'>x</a>", "write https:"),
            ("<a href='//arxiv.org'>x</a>", "write https:"),
            ("<a href='javascript:alert(1)'>x</a>", "write https:"),
            ("<a href='%zz'>x</a>", "a `%` without"),
            ("<img src=gone.png>", "no file `part/gone.png`"),
            ("<img srcset='../a%20b.png 1x, gone.png 2x'>", "no file `part/gone.png`"),
            ("<img src='https://x.org/a.png'>", "comes with the book"),
            ("<link rel=stylesheet href='https://x.org/a.css'>", "comes with the book"),
            ("<svg><g clip-path='url(#gone)'></g></svg>", "has no id `gone`"),
            ("<style>p { background: url(\"gone.svg\") }</style>", "no file `part/gone.svg`"),
            ("<p id=here>", "two elements have the id `here`"),
            ("see [the book](index.html)", "`](` in the text"),
            ("[<code>x</code>](index.html)", "`](` in the text"),
            ("accuracy {{result x.y}}", "`{{` in the text"),
            ("<pre><code>{{#include x.rs:gone}}</code></pre>", "an include that was not expanded"),
            ("equation (??)", "`??` in the text"),
            ("so $$x$$", "`$$` in the text"),
            ("as [@kingma2014] says", "`[@` in the text"),
        ] {
            let found = faults(body);
            assert!(found.len() == 1 && found[0].contains(part), "{body}: {found:?}");
            assert!(found[0].starts_with("part/page.html: "), "{found:?}");
        }
    }

    #[test]
    fn style_sheets_resolve_against_their_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("css")).unwrap();
        fs::write(folder.path().join("index.html"), "").unwrap();
        fs::write(folder.path().join("font.woff2"), "").unwrap();
        fs::write(folder.path().join("css/a.css"), "a{src:url(../font.woff2)} b{src:url(font.woff2)}")
            .unwrap();
        let outcome = check(folder.path()).unwrap();
        assert_eq!(outcome.failed, ["css/a.css: link to `font.woff2`: there is no file `css/font.woff2`"]);
    }

    #[test]
    fn the_base_of_a_page_counts() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("x.png"), "").unwrap();
        fs::write(folder.path().join("deep/404.html"), "<base href='/'><img src=x.png><img src=y.png>")
            .unwrap();
        let outcome = check(folder.path()).unwrap();
        assert_eq!(outcome.failed, ["deep/404.html: link to `y.png`: there is no file `y.png`"]);
    }

    #[test]
    fn an_empty_folder_is_an_error_and_not_a_pass() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path()).unwrap_err().to_string().contains("holds no page"));
    }
}
