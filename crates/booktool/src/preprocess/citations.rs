//! `[@key]` cites a work of `book/references.toml`; `{{references}}` lists the works with links back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::directive;
use super::page::{Edit, Page};
use crate::error::{Error, Fault, Faults, Place, hint};

/// The file that holds the works, below the book's root.
const FILE: &str = "references.toml";

/// A work, as its file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Work {
    /// Author and year in lower case; what chapters write after `@`.
    key: String,
    /// One string per author, initials first.
    authors: Vec<String>,
    /// Year of publication.
    year: u32,
    /// Title without a full stop.
    title: String,
    /// Journal, book or publisher, with volume and pages.
    venue: String,
    /// `1312.6114` or `math/0309136`.
    arxiv: Option<String>,
    /// `10.…/…`.
    doi: Option<String>,
    /// One clause: what a reader finds there.
    read_for: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reference: Vec<Work>,
}

/// The works, what they are called in the text, and where they are cited.
#[derive(Debug, Default)]
pub struct Works {
    works: Vec<Work>,
    labels: BTreeMap<String, String>,
    /// Line of each key in the file, for faults.
    lines: BTreeMap<String, usize>,
    cited: BTreeMap<String, Vec<Citation>>,
}

#[derive(Debug)]
struct Citation {
    page: PathBuf,
    anchor: String,
    chapter: String,
    section: Option<String>,
}

impl Works {
    /// Reads `root/references.toml`; a book without that file has no works.
    ///
    /// # Errors
    /// When the file cannot be read or does not follow its format.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|source| Error::Toml { path, source: source.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let works = toml::from_str::<File>(text)?.reference;
        let line_of = |key: &str| text.lines().position(|line| line.trim() == format!("key = \"{key}\""));
        let lines =
            works.iter().map(|work| (work.key.clone(), line_of(&work.key).map_or(1, |i| i + 1))).collect();
        Ok(Self { labels: labels(&works), works, lines, cited: BTreeMap::new() })
    }

    /// Keys occur once, identifiers have their form, every work is cited.
    pub fn check(&self, faults: &mut Faults) {
        let mut keys = BTreeSet::new();
        for work in &self.works {
            let place = self.place(&work.key);
            if !keys.insert(&work.key) {
                faults.add(&place, Fault::DuplicateKey { key: work.key.clone() });
            }
            if let Some(arxiv) = work.arxiv.as_ref().filter(|id| !is_arxiv(id)) {
                faults.add(&place, Fault::Arxiv { id: arxiv.clone() });
            }
            if let Some(doi) = work.doi.as_ref().filter(|doi| !(doi.starts_with("10.") && doi.contains('/')))
            {
                faults.add(&place, Fault::Doi { doi: doi.clone() });
            }
            if !self.cited.contains_key(&work.key) {
                faults.add(&place, Fault::Uncited { key: work.key.clone() });
            }
        }
    }

    /// Replaces the citations of a page by links to `target`, the page with the list of works.
    pub fn cite(&mut self, page: &mut Page, target: Option<&Path>, faults: &mut Faults) {
        let verbatim = page.verbatim();
        let headings = page.headings();
        let mut edits = Vec::new();
        let mut at = 0;
        while let Some(start) = page.text[at..].find("[@").map(|i| at + i) {
            at = start + 2;
            if verbatim.is_code(start) || verbatim.is_maths(start) || page.text[..start].ends_with('\\') {
                continue;
            }
            let Some(key) = page.text[at..].split_once(']').map(|(key, _)| key) else { continue };
            let Some(label) = self.labels.get(key) else {
                let hint = hint(key, self.labels.keys().map(String::as_str));
                faults.add(page.place(start), Fault::UnknownKey { key: key.to_owned(), hint });
                continue;
            };
            let Some(target) = target else {
                faults.add(page.place(start), Fault::NoReferencesPage);
                continue;
            };
            let range = start..at + key.len() + 1;
            at = range.end;
            let cited = self.cited.entry(key.to_owned()).or_default();
            let anchor = format!("cite-{key}-{}", cited.len() + 1);
            let link = page.link(target, key);
            edits.push(Edit::new(
                range,
                format!("<a class=\"cite\" id=\"{anchor}\" href=\"{link}\">{label}</a>"),
            ));
            let section = headings.iter().take_while(|(offset, _)| *offset < start).last();
            cited.push(Citation {
                page: page.path.clone(),
                anchor,
                chapter: page.name.clone(),
                section: section.map(|(_, heading)| heading.clone()),
            });
        }
        page.apply(edits);
    }

    /// Fills `{{references}}`.
    pub fn list(&self, page: &mut Page) {
        let list =
            directive::find(page, &mut Faults::default()).into_iter().filter(|d| d.name == "references");
        let edits = list.map(|d| Edit::new(d.range, self.render(page))).collect();
        page.apply(edits);
    }

    fn render(&self, page: &Page) -> String {
        let mut works: Vec<&Work> = self.works.iter().collect();
        works.sort_by_key(|work| {
            (work.authors.iter().map(|a| surname(a)).collect::<Vec<_>>(), work.year, &work.key)
        });
        let mut out = String::from("<div class=\"references\">\n\n");
        for work in works {
            let letter =
                &self.labels[&work.key][self.labels[&work.key].trim_end_matches(char::is_alphabetic).len()..];
            write!(
                out,
                "- <a id=\"{}\"></a>{}: *{}*. {}, {}{letter}.",
                work.key,
                work.authors.join(", "),
                work.title,
                work.venue,
                work.year
            )
            .expect("writing to a string cannot fail");
            if let Some(id) = &work.arxiv {
                write!(out, " [arXiv {id}](https://arxiv.org/abs/{id}).")
                    .expect("writing to a string cannot fail");
            }
            if let Some(doi) = &work.doi {
                write!(out, " [doi {doi}](https://doi.org/{doi}).").expect("writing to a string cannot fail");
            }
            write!(out, "\n  Read it for {}.\n", work.read_for.trim_end_matches('.'))
                .expect("writing to a string cannot fail");
            out += &self.back_links(page, &work.key);
        }
        out + "\n</div>\n"
    }

    /// One link per section that cites the work, by chapter.
    fn back_links(&self, page: &Page, key: &str) -> String {
        let citations = self.cited.get(key).map_or(&[][..], Vec::as_slice);
        let chapters = citations.chunk_by(|a, b| a.page == b.page).map(|citations| {
            let sections = citations.chunk_by(|a, b| a.section == b.section).map(|citations| {
                let section = citations[0].section.as_deref().unwrap_or("opening");
                format!("[{section}]({})", page.link(&citations[0].page, &citations[0].anchor))
            });
            format!("*{}* ({})", citations[0].chapter, sections.collect::<Vec<_>>().join(", "))
        });
        let chapters: Vec<String> = chapters.collect();
        if chapters.is_empty() { String::new() } else { format!("  Cited in {}.\n", chapters.join("; ")) }
    }

    fn place(&self, key: &str) -> Place {
        Place { file: FILE.into(), line: self.lines.get(key).copied().unwrap_or(1) }
    }
}

/// "Polyak 1964", "Minsky & Papert 1969", "LeCun et al. 1998"; letters tell works of one label apart.
fn labels(works: &[Work]) -> BTreeMap<String, String> {
    let name = |work: &Work| match &work.authors[..] {
        [] => format!("{} {}", work.title, work.year),
        [one] => format!("{} {}", surname(one), work.year),
        [one, two] => format!("{} & {} {}", surname(one), surname(two), work.year),
        [first, ..] => format!("{} et al. {}", surname(first), work.year),
    };
    let mut labels = BTreeMap::new();
    for (i, work) in works.iter().enumerate() {
        let label = name(work);
        let same = works.iter().filter(|other| name(other) == label).count();
        let before = works[..i].iter().filter(|other| name(other) == label).count();
        let letter = char::from_u32('a' as u32 + before as u32).filter(|_| same > 1);
        labels.insert(work.key.clone(), format!("{label}{}", letter.map(String::from).unwrap_or_default()));
    }
    labels
}

/// The name without leading initials: "D. E. van der Berg" is "van der Berg".
fn surname(author: &str) -> &str {
    let mut rest = author;
    while let Some((first, after)) = rest.split_once(' ') {
        if !first.ends_with('.') {
            break;
        }
        rest = after;
    }
    rest
}

/// `1312.6114`, `2010.11929` or the form before 2007, `cs/0309136` and `math.GT/0309136`; no version.
fn is_arxiv(id: &str) -> bool {
    let digits = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if let Some((month, number)) = id.split_once('.')
        && digits(month, 4, 4)
    {
        return digits(number, 4, 5);
    }
    id.split_once('/').is_some_and(|(archive, number)| {
        let letters = |c: char| c.is_ascii_alphabetic() || c == '-' || c == '.';
        !archive.is_empty() && archive.chars().all(letters) && digits(number, 7, 7)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, authors: &str, year: u32, more: &str) -> String {
        format!(
            "[[reference]]\nkey = \"{key}\"\nauthors = [{authors}]\nyear = {year}\ntitle = \"On {key}\"\n\
             venue = \"Journal 1\"\nread_for = \"the proof\"\n{more}\n"
        )
    }

    fn works() -> Works {
        let text = [
            entry("polyak1964", "\"B. T. Polyak\"", 1964, "doi = \"10.1/x\""),
            entry("minsky1969", "\"M. Minsky\", \"S. Papert\"", 1969, ""),
            entry("lecun1998", "\"Y. LeCun\", \"L. Bottou\", \"P. Haffner\"", 1998, ""),
            entry("kingma2015", "\"D. P. Kingma\", \"J. Ba\"", 2015, "arxiv = \"1412.6980\""),
            entry("kingma2015more", "\"D. P. Kingma\", \"J. Ba\"", 2015, ""),
        ];
        Works::parse(&text.concat()).unwrap()
    }

    #[test]
    fn labels_follow_the_number_of_authors() {
        let works = works();
        for (key, label) in [
            ("polyak1964", "Polyak 1964"),
            ("minsky1969", "Minsky & Papert 1969"),
            ("lecun1998", "LeCun et al. 1998"),
            ("kingma2015", "Kingma & Ba 2015a"),
            ("kingma2015more", "Kingma & Ba 2015b"),
        ] {
            assert_eq!(works.labels[key], label);
        }
        assert_eq!(surname("L. van der Maaten"), "van der Maaten");
        assert_eq!(surname("J.-B. Fourier"), "Fourier");
        assert_eq!(surname("Theano Team"), "Theano Team");
    }

    #[test]
    fn citations_link_there_and_back() {
        let mut works = works();
        let text = "# T\n\nBy [@polyak1964].\n\n## The idea\n\n`[@minsky1969]` [@polyak1964] [@polyak1964]\n";
        let mut page = Page::new("Gradients", "lecture-08/gd.md", text);
        let mut list = Page::new("References", "references.md", "{{references}}\n");
        let mut faults = Faults::default();
        works.cite(&mut page, Some(Path::new("references.md")), &mut faults);
        works.list(&mut list);
        assert_eq!(faults.to_string(), "the book has 0 faults");
        let link = "By <a class=\"cite\" id=\"cite-polyak1964-1\" href=\"../references.md#polyak1964\">Polyak 1964</a>.";
        assert!(page.text.contains(link) && page.text.contains("`[@minsky1969]`"), "{}", page.text);
        let entry = "- <a id=\"polyak1964\"></a>B. T. Polyak: *On polyak1964*. Journal 1, 1964. \
            [doi 10.1/x](https://doi.org/10.1/x).\n  Read it for the proof.\n  \
            Cited in *Gradients* ([opening](lecture-08/gd.md#cite-polyak1964-1), \
            [The idea](lecture-08/gd.md#cite-polyak1964-2)).\n";
        assert!(list.text.contains(entry), "{}", list.text);
        assert!(
            list.text.contains("2015a. [arXiv 1412.6980](https://arxiv.org/abs/1412.6980)."),
            "{}",
            list.text
        );
        let order: Vec<_> = ["kingma2015\"", "kingma2015more", "lecun", "minsky", "polyak"]
            .map(|key| list.text.find(&format!("<a id=\"{key}")).unwrap())
            .into();
        assert!(order.is_sorted(), "by author, then year: {order:?}");
    }

    #[test]
    fn uncited_unknown_and_malformed_works_are_faults() {
        let mut works = works();
        let mut faults = Faults::default();
        let mut page = Page::new("A", "a.md", "\n[@polyak1946]");
        works.cite(&mut page, Some(Path::new("references.md")), &mut faults);
        let mut cites = Page::new("B", "b.md", "[@lecun1998]");
        works.cite(&mut cites, None, &mut faults);
        works.check(&mut faults);
        let faults = faults.to_string();
        for wanted in [
            "src/a.md:2: no work `polyak1946` in references.toml (did you mean `polyak1964`?)",
            "src/b.md:1: the citation has nowhere to lead",
            "references.toml:10: no chapter cites `minsky1969`",
        ] {
            assert!(faults.contains(wanted), "{wanted}\nin\n{faults}");
        }
        let text =
            entry("a", "", 1, "arxiv = \"1412.698\"") + &entry("a", "", 1, "doi = \"https://doi.org/1\"");
        let mut faults = Faults::default();
        Works::parse(&text).unwrap().check(&mut faults);
        let faults = faults.to_string();
        for wanted in ["arXiv identifier `1412.698`", "DOI `https://doi.org/1`", "two works have the key `a`"]
        {
            assert!(faults.contains(wanted), "{wanted}\nin\n{faults}");
        }
    }

    #[test]
    fn arxiv_identifiers_of_both_forms() {
        for id in ["1312.6114", "2010.11929", "math/0309136", "cs.LG/0309136", "cond-mat/0309136"] {
            assert!(is_arxiv(id), "{id}");
        }
        for id in [
            "1312.611",
            "1312.6114v2",
            "131.26114",
            "arXiv:1312.6114",
            "math/030913",
            "/0309136",
            "1312.611400",
        ] {
            assert!(!is_arxiv(id), "{id}");
        }
    }
}
