//! The result file: what an experiment found, how, and with which sources.
use crate::{About, Check, Error, atomic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version of dfdx that this workspace pins; a test compares it with the workspace's table.
const DFDX: &str = "0.13.0";

/// A check with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Claim, measured value, bound.
    #[serde(flatten)]
    pub check: Check,
    /// Whether the measured value keeps the bound.
    pub holds: bool,
}

/// What differs from machine to machine; comparisons skip it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unstable {
    /// Wall time of the run in seconds.
    pub wall_seconds: f64,
    /// Commit of the sources, when run inside a repository.
    pub commit: Option<String>,
    /// Processor, threads and system.
    pub machine: String,
}

/// The content of `book/results/NAME.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultFile {
    /// Version of this layout; this crate reads and writes [`ResultFile::FORMAT`].
    pub format: u32,
    /// Name of the experiment.
    pub name: String,
    /// Lecture 1 to 26.
    pub lecture: u8,
    /// Authors, year, title.
    pub paper: String,
    /// The claim in one sentence.
    pub claim: String,
    /// What to type to get this file again.
    pub command: String,
    /// Whether this is the short run for tests.
    pub quick: bool,
    /// Seeds in the order of use.
    pub seeds: Vec<u64>,
    /// Every field of the configuration.
    pub config: Value,
    /// What was measured.
    pub report: Value,
    /// Claims with numbers and verdicts.
    pub checks: Vec<Judged>,
    /// File names of the figures.
    pub figures: Vec<String>,
    /// SHA-256 over [`About::sources`].
    pub sources_sha256: String,
    /// Crates that decide the numbers.
    pub versions: BTreeMap<String, String>,
    /// Time, commit and machine.
    pub unstable: Unstable,
}

impl ResultFile {
    /// The layout that this crate writes.
    pub const FORMAT: u32 = 1;

    /// Where the result of experiment `name` lies in `folder`.
    pub fn path(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{name}.json"))
    }

    /// Reads and checks the result of experiment `about` in `folder`; `None` when there is no file.
    ///
    /// # Errors
    /// [`Error::Read`] when the file cannot be opened, [`Error::BrokenResult`] when it is not whole, of another
    /// layout or experiment, or its verdicts do not follow from its numbers.
    pub fn read(folder: &Path, about: &About) -> Result<Option<Self>, Error> {
        let path = Self::path(folder, about.name);
        let remedy = || format!("`cargo xtask run {}` writes it anew", about.name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path, source, remedy: remedy() }),
        };
        let broken = |problem: String| Error::BrokenResult { path: path.clone(), problem, remedy: remedy() };
        let result: Self = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if result.format != Self::FORMAT {
            return Err(broken(format!("layout {} instead of {}", result.format, Self::FORMAT)));
        }
        if result.name != about.name {
            return Err(broken(format!("it holds the result of `{}`", result.name)));
        }
        match result.checks.iter().find(|judged| judged.holds != judged.check.holds()) {
            Some(judged) => Err(broken(format!(
                "the verdict of check `{}` does not follow from its numbers",
                judged.check.id
            ))),
            None => Ok(Some(result)),
        }
    }

    /// Writes the file into `folder`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] with path, cause and remedy.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, Error> {
        let path = Self::path(folder, &self.name);
        let value = serde_json::to_value(self).expect("every key of a result is a string");
        let mut text = String::new();
        pretty(&value, 0, &mut text);
        text.push('\n');
        atomic::write(&path, text.as_bytes())?;
        Ok(path)
    }

    /// Whether every check holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|judged| judged.holds)
    }

    /// Whether the sources changed since this result was written.
    pub fn is_stale(&self, about: &About) -> bool {
        self.sources_sha256 != sources_sha256(about)
    }
}

/// Indented JSON with each list of plain values on one line: a line per pixel would make a file four times as long.
fn pretty(value: &Value, depth: usize, text: &mut String) {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    let mut lines = |opening: char, closing: char, items: Vec<(Option<&String>, &Value)>| {
        text.push(opening);
        for (i, (key, item)) in items.iter().enumerate() {
            text.push_str(if i == 0 { "\n" } else { ",\n" });
            text.push_str(&"  ".repeat(depth + 1));
            if let Some(key) = key {
                text.push_str(&format!("{}: ", Value::from(key.as_str())));
            }
            pretty(item, depth + 1, text);
        }
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
        text.push(closing);
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            lines('{', '}', fields.iter().map(|(key, item)| (Some(key), item)).collect());
        }
        Value::Array(items) if !items.iter().all(is_plain) => {
            lines('[', ']', items.iter().map(|item| (None, item)).collect());
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// SHA-256 over the experiment's sources, each preceded by its length, so that moving text from one file to
/// the next changes the hash.
pub(crate) fn sources_sha256(about: &About) -> String {
    let mut hash = Sha256::new();
    for source in about.sources {
        hash.update((source.len() as u64).to_le_bytes());
        hash.update(source.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Versions that decide the numbers.
pub(crate) fn versions() -> BTreeMap<String, String> {
    [("lab", env!("CARGO_PKG_VERSION")), ("dfdx", DFDX)]
        .map(|(name, version)| (name.to_string(), version.to_string()))
        .into()
}

/// Commit of the working folder, when git and a repository are there.
pub(crate) fn commit() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success()).then(|| text.trim().to_string())
}

/// Processor, threads and system in words.
pub(crate) fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_string())
    });
    let processor = model.unwrap_or_else(|| std::env::consts::ARCH.to_string());
    format!("{processor}, {threads} threads, {}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bound, BoundSource, Measured};

    #[test]
    fn pretty_json_reads_back_and_keeps_plain_lists_on_a_line() {
        let value = serde_json::json!({
            "pixels": [0, 0.25, -7.5], "empty": {}, "none": [], "quoted \"key\"": "line\nbreak",
            "rows": [[1, 2], [3, 4]], "objects": [{"a": null}, {"b": true}],
        });
        let mut text = String::new();
        pretty(&value, 0, &mut text);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value, "{text}");
        assert!(text.contains("\n  \"pixels\": [0,0.25,-7.5],\n"), "{text}");
        assert!(text.contains("\n    [1,2],\n"), "{text}");
    }

    const ABOUT: About =
        About { name: "unit-test", lecture: 1, paper: "", claim: "", sources: &["a file", "another"] };

    fn result() -> ResultFile {
        let check =
            Check::new("c", "claim", Measured::exact(0.1 + 0.2), Bound::AtLeast(0.25), BoundSource::Paper);
        ResultFile {
            format: ResultFile::FORMAT,
            name: ABOUT.name.into(),
            lecture: 1,
            paper: String::new(),
            claim: String::new(),
            command: String::new(),
            quick: false,
            seeds: vec![0, 1],
            config: serde_json::json!({"epochs": 3}),
            report: serde_json::json!({"accuracy": 0.1 + 0.2}),
            checks: vec![Judged { holds: check.holds(), check }],
            figures: Vec::new(),
            sources_sha256: sources_sha256(&ABOUT),
            versions: versions(),
            unstable: Unstable { wall_seconds: 0.5, commit: None, machine: machine() },
        }
    }

    #[test]
    fn write_then_read_gives_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        result().write(folder.path()).unwrap();
        assert_eq!(ResultFile::read(folder.path(), &ABOUT).unwrap().unwrap(), result());
    }

    #[test]
    fn broken_files_are_typed_errors_with_path_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = result().write(folder.path()).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let mut cases: Vec<(String, &str)> = vec![
            (String::new(), "EOF"),
            ("{\"format\": 1".into(), "EOF"),
            (whole.replace("\"format\": 1", "\"format\": 9"), "layout 9 instead of 1"),
            (whole.replace("unit-test", "other"), "result of `other`"),
            (whole.replace("\"holds\": true", "\"holds\": false"), "does not follow from its numbers"),
            (whole.replace("at_least", "at_lest"), "at_lest"),
        ];
        cases.extend((1..whole.len() - 2).step_by(7).map(|end| (whole[..end].to_string(), "")));
        for (text, expected) in cases {
            std::fs::write(&path, &text).unwrap();
            let error = ResultFile::read(folder.path(), &ABOUT).expect_err(&text).to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
            assert!(
                error.contains("unit-test.json") && error.contains("cargo xtask run unit-test"),
                "{error}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(ResultFile::read(folder.path(), &ABOUT).unwrap(), None);
    }

    #[test]
    fn hash_sees_each_source_and_its_border() {
        let with = |sources| sources_sha256(&About { sources, ..ABOUT });
        assert_ne!(with(&["a file", "another"]), with(&["a file", "anothex"]));
        assert_ne!(with(&["a file", "another"]), with(&["a filea", "nother"]));
    }

    #[test]
    fn dfdx_version_is_the_pinned_one() {
        let table =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
        assert!(
            table.contains(&format!("dfdx = {{ version = \"={DFDX}\"")),
            "DFDX is not what Cargo.toml pins"
        );
    }
}
