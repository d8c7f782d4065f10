//! `{{lectures}}`: the list of lectures with papers and state, from `book/lectures.toml`, the summary and the
//! results.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::results::{Results, Score};
use crate::error::{Error, Fault, Faults, Place};

/// The file that lists the lectures, below the book's root.
const FILE: &str = "lectures.toml";

/// The course's lectures in order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lectures {
    #[serde(default)]
    lecture: Vec<Lecture>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lecture {
    /// 1, 2, … without a gap.
    number: u32,
    /// The question that the chapter answers.
    title: String,
    /// What it is about, in the field's words.
    topic: String,
    /// The crate that holds its code.
    unit: String,
    /// The chapter below `src`; absent as long as there is none.
    chapter: Option<PathBuf>,
    /// What it reads.
    papers: Vec<String>,
}

impl Lectures {
    /// Reads `root/lectures.toml`; a book without that file has no lectures.
    ///
    /// # Errors
    /// When the file cannot be read or does not follow its format.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|source| Error::Toml { path, source: source.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// Numbers without gaps, chapters that the summary lists, and none that the list leaves out.
    pub fn check(&self, summary: &BTreeSet<PathBuf>, faults: &mut Faults) {
        let place = Place { file: FILE.into(), line: 1 };
        for (lecture, expected) in self.lecture.iter().zip(1..) {
            if lecture.number != expected {
                faults.add(&place, Fault::LectureNumber { number: lecture.number, expected });
            }
            let usual = format!("lecture-{:02}.md", lecture.number);
            if lecture.chapter.is_none() && summary.contains(Path::new(&usual)) {
                faults.add(&place, Fault::LectureUnlinked { number: lecture.number, chapter: usual });
            }
            if let Some(chapter) = lecture.chapter.as_ref().filter(|chapter| !summary.contains(*chapter)) {
                faults.add(
                    &place,
                    Fault::LectureChapter { number: lecture.number, chapter: chapter.display().to_string() },
                );
            }
        }
    }

    /// The list in Markdown, one section per unit.
    pub fn render(&self, results: &Results) -> String {
        let mut out = String::from("<div class=\"lectures\">\n");
        for unit in self.lecture.chunk_by(|a, b| a.unit == b.unit) {
            let (first, last) = (unit[0].number, unit[unit.len() - 1].number);
            let range = if first == last {
                format!("Lecture {first}")
            } else {
                format!("Lectures {first} to {last}")
            };
            write!(out, "\n### {range}: `{}`\n\n<ol>\n", unit[0].unit)
                .expect("writing to a string cannot fail");
            for lecture in unit {
                out += &lecture.render(results);
            }
            out += "</ol>\n";
        }
        out + "\n</div>\n"
    }
}

impl Lecture {
    fn render(&self, results: &Results) -> String {
        let (class, title, state) = match &self.chapter {
            Some(chapter) => {
                let title = format!("[{}]({})", self.title, super::page::slashes(chapter));
                let state = match results.score(self.number) {
                    Score { listed: 0, .. } => "readable".to_owned(),
                    Score { hold, listed } => format!("readable, {hold} of {listed} claims hold"),
                };
                ("readable", title, state)
            }
            None => ("unbuilt", self.title.clone(), "not built yet".to_owned()),
        };
        format!(
            "<li value=\"{}\" class=\"{class}\">\n\n**{title}** <span class=\"state\">{state}</span><br>\n{}\n\n\
             <span class=\"papers\">{}</span>\n\n</li>\n",
            self.number,
            self.topic,
            self.papers.join(" · ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
        [[lecture]]\nnumber = 1\ntitle = \"Can it?\"\ntopic = \"Votes\"\nunit = \"optim\"\n\
        chapter = \"lecture-01.md\"\npapers = [\"A 1958\", \"B 1962\"]\n\
        [[lecture]]\nnumber = 2\ntitle = \"Why?\"\ntopic = \"Limits\"\nunit = \"theory\"\npapers = [\"C 1989\"]\n";

    #[test]
    fn readable_and_unbuilt_lectures_say_so() {
        let lectures: Lectures = toml::from_str(TWO).unwrap();
        let html = lectures.render(&Results::default());
        for wanted in [
            "### Lecture 1: `optim`",
            "<li value=\"1\" class=\"readable\">\n\n**[Can it?](lecture-01.md)** <span class=\"state\">readable</span>",
            "<span class=\"papers\">A 1958 · B 1962</span>",
            "<li value=\"2\" class=\"unbuilt\">\n\n**Why?** <span class=\"state\">not built yet</span><br>\nLimits",
        ] {
            assert!(html.contains(wanted), "{wanted}\nin\n{html}");
        }
    }

    #[test]
    fn gaps_and_missing_chapters_are_faults() {
        let lectures: Lectures = toml::from_str(&TWO.replace("number = 2", "number = 3")).unwrap();
        let mut faults = Faults::default();
        lectures.check(&BTreeSet::new(), &mut faults);
        let faults = faults.to_string();
        assert!(faults.contains("lecture 3 stands where lecture 2 belongs"), "{faults}");
        assert!(faults.contains("`lecture-01.md`"), "{faults}");
        let mut none = Faults::default();
        let lectures: Lectures = toml::from_str(TWO).unwrap();
        lectures.check(&BTreeSet::from(["lecture-01.md".into()]), &mut none);
        assert_eq!(none.to_string(), "the book has 0 faults");
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(Lectures::read(root.path()).unwrap().lecture.is_empty());
        std::fs::write(root.path().join(FILE), TWO.replace("topic", "topics")).unwrap();
        assert!(matches!(Lectures::read(root.path()), Err(Error::Toml { .. })));
    }
}
