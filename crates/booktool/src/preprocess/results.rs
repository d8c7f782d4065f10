//! What the experiments recorded (`book/results/NAME.json`), as numbers, tables and verdicts for the page.
//!
//! | directive | shows |
//! |---|---|
//! | `{{result NAME.report.accuracy.mean:.3}}` | a number with 3 decimals |
//! | `{{result NAME.report.accuracy.mean:%1}}` | a fraction in percent with 1 decimal |
//! | `{{result NAME.report.accuracy:.3}}` | a mean with its standard deviation, 3 decimals |
//! | `{{result NAME.report.bytes:MB1}}` | bytes as megabytes with 1 decimal |
//! | `{{result NAME.report.distance:e1}}` | a number of any size with 1 decimal and a power of ten |
//! | `{{result NAME.config.epochs}}` | an integer, a word, or a short number as it is |
//! | `{{table NAME.report.confusion}}` | an object `{ "columns": […], "rows": [[…]] }` |
//! | `{{checks NAME}}` | claims with measured value, bound, baseline and verdict |
//! | `{{claims}}` | the checks of every result |

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::number;
use crate::error::{Error, Fault, hint};

/// Digits that a number may have when a page shows it without a format.
const PLAIN_DIGITS: usize = 6;

/// Every result file by its name.
#[derive(Debug, Default)]
pub struct Results(BTreeMap<String, Recorded>);

/// A result file: as it is, and the part that verdicts need.
#[derive(Debug)]
struct Recorded {
    whole: Value,
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    /// None: a measurement that belongs to no lecture.
    lecture: Option<u32>,
    paper: String,
    claim: String,
    command: String,
    quick: bool,
    seeds: Vec<u64>,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    claim: String,
    measured: Measured,
    bound: Bound,
    bound_source: String,
    baseline: Option<Baseline>,
    holds: bool,
    reason_if_failed: Option<String>,
}

/// `mean` is absent when it was not a number: JSON has no NaN.
#[derive(Debug, Deserialize)]
struct Measured {
    mean: Option<f64>,
    sd: Option<f64>,
    n: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
}

#[derive(Debug, Deserialize)]
struct Baseline {
    name: String,
    value: f64,
}

#[derive(Debug, Deserialize)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// How many checks of a lecture there are, and how many hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Checks whose bound is kept.
    pub hold: usize,
    /// All checks.
    pub listed: usize,
}

impl Results {
    /// Reads `root/results/*.json`; a book without that folder has no results.
    ///
    /// # Errors
    /// When a file cannot be read, is no JSON, lacks a field, or records a quick run.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mut results = BTreeMap::new();
        for (path, name, text) in json_files(&root.join("results"))? {
            let recorded = Recorded::parse(&text).map_err(|source| Error::Result {
                path: path.clone(),
                name: name.clone(),
                source,
            })?;
            if recorded.head.quick {
                return Err(Error::QuickResult { path, name });
            }
            results.insert(name, recorded);
        }
        Ok(Self(results))
    }

    /// The value at `path[:format]` as Markdown, or as TeX when it stands in a formula.
    pub fn value(&self, argument: &str, in_maths: bool) -> Result<String, Fault> {
        let (path, format) = argument.rsplit_once(':').unwrap_or((argument, ""));
        let value = self.at(path)?;
        let float =
            || value.as_f64().ok_or_else(|| Fault::NotANumber { path: path.into(), value: brief(value) });
        if let (true, Ok(Measured { mean: Some(mean), sd: Some(sd), n })) =
            (value.is_object() && argument.contains(':'), Measured::deserialize(value))
        {
            return number::with_spread(mean, (n > 1).then_some(sd), format, in_maths);
        }
        if argument.contains(':') {
            return number::formatted(float()?, format, in_maths);
        }
        if let Value::String(text) = value {
            return Ok(text.clone()); // words, or data of a figure: not a number that happens to stand in it
        }
        let text = plain(path, value)?;
        Ok(if in_maths { text } else { number::typeset(&text) })
    }

    /// The table at `path` as Markdown; columns of numbers are aligned to the right, those without a value left out.
    pub fn table(&self, path: &str) -> Result<String, Fault> {
        let table =
            Table::deserialize(self.at(path)?).map_err(|_| Fault::NotATable { path: path.to_owned() })?;
        if table.rows.iter().any(|row| row.len() != table.columns.len()) {
            return Err(Fault::NotATable { path: path.to_owned() });
        }
        let rows: Vec<Vec<String>> = table
            .rows
            .iter()
            .map(|row| {
                row.iter().map(|cell| number::cell(cell.as_str().unwrap_or(&cell.to_string()))).collect()
            })
            .collect();
        let is_empty = |&column: &usize| !rows.is_empty() && rows.iter().all(|row| row[column].is_empty());
        let shown: Vec<usize> = (0..table.columns.len()).filter(|column| !is_empty(column)).collect();
        let of = |row: &[String]| shown.iter().map(|&column| row[column].clone()).collect::<Vec<_>>();
        let columns: Vec<String> = table.columns.iter().map(|column| number::cell(column)).collect();
        Ok(markdown_table(&of(&columns), &rows.iter().map(|row| of(row)).collect::<Vec<_>>()))
    }

    /// The checks of one experiment, with the command that repeats it.
    pub fn checks(&self, name: &str) -> Result<String, Fault> {
        Ok(self.recorded(name)?.head.checks())
    }

    /// Every claim of the course, by lecture; what was only measured claims nothing and is left out.
    pub fn claims(&self) -> String {
        let mut heads: Vec<(&String, &Head)> =
            self.0.iter().map(|(name, recorded)| (name, &recorded.head)).collect();
        heads.retain(|(_, head)| !head.checks.is_empty());
        heads.sort_by_key(|(name, head)| (head.lecture.is_none(), head.lecture, *name));
        let all = Score::of(heads.iter().map(|(_, head)| *head));
        let mut out =
            format!("**{} listed, {} hold, {} do not.**\n", all.listed, all.hold, all.listed - all.hold);
        for (name, head) in heads {
            let (heading, paper) = match head.lecture {
                Some(lecture) => {
                    (format!("Lecture {lecture}"), format!("Paper: {}\n\n", sentence(&head.paper)))
                }
                None => ("Measurement".to_owned(), String::new()),
            };
            write!(
                out,
                "\n## {heading}: {name} {{#claim-{name}}}\n\n{}\n\n{paper}{}",
                number::prose(&head.claim),
                head.checks()
            )
            .expect("writing to a string cannot fail");
        }
        out
    }

    /// The checks of a lecture's experiments.
    pub fn score(&self, lecture: u32) -> Score {
        Score::of(self.0.values().map(|recorded| &recorded.head).filter(|head| head.lecture == Some(lecture)))
    }

    fn recorded(&self, name: &str) -> Result<&Recorded, Fault> {
        self.0.get(name).ok_or_else(|| Fault::NoResult {
            name: name.to_owned(),
            hint: hint(name, self.0.keys().map(String::as_str)),
        })
    }

    /// Follows `NAME.key.key`; a number is an index into a list.
    fn at(&self, path: &str) -> Result<&Value, Fault> {
        let mut keys = path.split('.');
        let name = keys.next().unwrap_or_default();
        let mut value = &self.recorded(name)?.whole;
        for key in keys {
            let next = match value {
                Value::Array(list) => key.parse::<usize>().ok().and_then(|index| list.get(index)),
                other => other.get(key),
            };
            value = next.ok_or_else(|| Fault::NoKey {
                path: path.to_owned(),
                key: key.to_owned(),
                has: match value {
                    Value::Object(map) => map.keys().cloned().collect::<Vec<_>>().join(", "),
                    Value::Array(list) => format!("a list of {}", list.len()),
                    other => other.to_string(),
                },
            })?;
        }
        Ok(value)
    }
}

impl Recorded {
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let whole: Value = serde_json::from_str(text)?;
        let head = Head::deserialize(&whole)?;
        Ok(Self { whole, head })
    }
}

impl Score {
    fn of<'a>(heads: impl Iterator<Item = &'a Head>) -> Self {
        let mut score = Self::default();
        for check in heads.flat_map(|head| &head.checks) {
            score.listed += 1;
            score.hold += usize::from(check.holds);
        }
        score
    }
}

impl Head {
    /// The checks as a table, with the command that repeats them.
    fn checks(&self) -> String {
        let columns = ["Verdict", "Claim", "Measured", "Bound", "Baseline"].map(str::to_owned);
        let rows: Vec<Vec<String>> = self.checks.iter().map(Check::row).collect();
        let seeds = match self.seeds.len() {
            0 => "no seeds: it draws nothing".to_owned(),
            1 => "1 seed".to_owned(),
            n => format!("{n} seeds"),
        };
        format!(
            "<div class=\"checks\">\n\n{}\nRepeat it: `{}` ({seeds}).\n\n</div>\n",
            markdown_table(&columns, &rows),
            self.command
        )
    }
}

impl Check {
    /// Verdict, claim, measured, bound, baseline.
    fn row(&self) -> Vec<String> {
        let mut claim = number::prose(&self.claim);
        if let (false, Some(reason)) = (self.holds, &self.reason_if_failed) {
            let reason = number::prose(reason);
            write!(claim, "<br><em>Why it fails:</em> {reason}").expect("writing to a string cannot fail");
        }
        let source = &self.bound_source;
        let bound = match self.bound {
            Bound::AtLeast(low) => format!("≥\u{a0}{}", number::bound(low)),
            Bound::AtMost(high) => format!("≤\u{a0}{}", number::bound(high)),
            Bound::Within(low, high) => format!("{} to {}", number::bound(low), number::bound(high)),
        };
        let baseline = match &self.baseline {
            Some(Baseline { name, value }) => {
                let value =
                    number::compared(*value, self.measured.mean.unwrap_or(0.0), self.measured.spread());
                format!("{}: {value}", number::prose(name))
            }
            None => "none".to_owned(),
        };
        let verdict = if self.holds {
            "<span class=\"verdict holds\">✓ holds</span>"
        } else {
            "<span class=\"verdict fails\">✗ fails</span>"
        };
        vec![verdict.into(), claim, self.measured.show(), format!("{bound} <br>({source})"), baseline]
    }
}

impl Measured {
    /// The standard deviation, where there is more than one value.
    fn spread(&self) -> Option<f64> {
        self.sd.filter(|_| self.n > 1)
    }

    fn show(&self) -> String {
        match self.mean {
            None => format!("not a number (n\u{a0}=\u{a0}{})", self.n),
            Some(mean) if self.n < 2 => number::measured(mean, None),
            Some(mean) => {
                number::cell(&format!("{} <br>(n = {})", number::measured(mean, self.spread()), self.n))
            }
        }
    }
}

/// The files `*.json` of a folder: path, name without ending, text. None where the folder is missing.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn json_files(folder: &Path) -> Result<Vec<(PathBuf, String, String)>, Error> {
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read(folder))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(read(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).map_err(read(&path))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.push((path, name, text));
        }
    }
    Ok(files)
}

/// A text with a mark at its end.
fn sentence(text: &str) -> String {
    if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}

/// An integer, a word, or a number with few digits.
fn plain(path: &str, value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => {
            let text = match number.as_f64() {
                Some(float) if number.is_f64() => float.to_string(), // 3.0 is written 3
                _ => number.to_string(),
            };
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            if number.is_f64() && digits > PLAIN_DIGITS {
                return Err(Fault::NoFormat { path: path.to_owned(), value: text });
            }
            Ok(text)
        }
        _ => Err(Fault::NotAValue { path: path.to_owned() }),
    }
}

/// A table in Markdown; a column of numbers, or dashes where there is none, is aligned to the right.
fn markdown_table(columns: &[String], rows: &[Vec<String>]) -> String {
    // `2-ethylpyridine` and `3,5-dimethylphenol` are words.
    let is_number = |cell: &str| {
        let digits = cell.trim_start_matches(['-', '−', '+', '(']);
        let behind = digits.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ','));
        let is_word = behind.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        digits.starts_with(|c: char| c.is_ascii_digit()) && !is_word
    };
    let is_absent = |cell: &str| matches!(cell, "" | "–" | "-");
    let cells = |row: &[String]| {
        let escaped: Vec<String> =
            row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        format!("| {} |\n", escaped.join(" | "))
    };
    let rule = (0..columns.len()).map(|i| {
        let numeric = rows.iter().any(|row| is_number(&row[i]))
            && rows.iter().all(|row| is_number(&row[i]) || is_absent(&row[i]));
        if numeric { "--:".to_owned() } else { "---".to_owned() }
    });
    let mut out = cells(columns);
    out += &cells(&rule.collect::<Vec<_>>());
    out.extend(rows.iter().map(|row| cells(row)));
    out
}

/// A value as JSON, its beginning when it is long.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let text = r#"{
            "format": 1, "name": "digits", "lecture": 1, "paper": "Nielsen 2015", "claim": "It reads.",
            "command": "cargo xtask run digits", "quick": false, "seeds": [0, 1, 2],
            "config": { "epochs": 30, "bytes": 25690112, "learning_rate": 3.0, "size": [64, 30, 10], "loss": "quadratic", "weights": "-1e-3" },
            "report": {
                "accuracy": { "mean": 0.93456, "sd": 0.0123 }, "gain": -0.25, "broken": null,
                "third": 0.3333333333333333,
                "confusion": { "columns": ["digit", "read"], "rows": [["a|b", "9"], ["c", 10]] },
                "gaps": { "columns": ["a", "never", "b"], "rows": [["x", "", ""], ["y", "", 2]] },
                "names": { "columns": ["name", "at -1", "to 1e-6"], "rows": [["2-pentene", "1-10", "3,210 × 2"]] },
                "ragged": { "columns": ["a"], "rows": [["1", "2"]] }
            },
            "checks": [
                { "id": "a", "claim": "accuracy", "measured": { "mean": 0.93456, "sd": 0.0123, "n": 3 },
                  "bound": { "at_least": 0.86 }, "bound_source": "pilot",
                  "baseline": { "name": "nearest mean", "value": 0.80123 }, "holds": true, "reason_if_failed": null },
                { "id": "b", "claim": "gap", "measured": { "mean": -0.5, "sd": 0.0, "n": 1 },
                  "bound": { "within": [0.0, 0.1] }, "bound_source": "guess",
                  "baseline": null, "holds": false, "reason_if_failed": "too few seeds" }
            ]
        }"#;
        Results(BTreeMap::from([("digits".to_owned(), Recorded::parse(text).unwrap())]))
    }

    #[test]
    fn values_have_the_digits_that_the_author_asks_for() {
        let results = results();
        for (argument, text, tex) in [
            ("digits.report.accuracy.mean:.3", "0.935", "0.935"),
            ("digits.report.accuracy.mean:%1", "93.5\u{202f}%", "93.5\\,\\%"),
            ("digits.report.gain:.1", "−0.2", "-0.2"),
            ("digits.report.third:.0", "under 1", "0"),
            ("digits.report.gain:e1", "−0.25", "-2.5 \\cdot 10^{-1}"),
            ("digits.checks.0.measured:.2", "0.93\u{a0}±\u{a0}0.01", "0.93 \\pm 0.01"),
            ("digits.config.bytes:MB1", "25.7\u{202f}MB", "25.7\\,\\text{MB}"),
            ("digits.config.epochs", "30", "30"),
            ("digits.config.learning_rate", "3", "3"),
            ("digits.config.size.1", "30", "30"),
            ("digits.config.loss", "quadratic", "quadratic"),
            ("digits.config.weights", "-1e-3", "-1e-3"), // data of a figure
            ("digits.seeds.2:.1", "2.0", "2.0"),
        ] {
            assert_eq!(results.value(argument, false).unwrap(), text, "{argument}");
            assert_eq!(results.value(argument, true).unwrap(), tex, "{argument} in a formula");
        }
    }

    #[test]
    fn wrong_paths_and_formats_say_what_there_is() {
        let results = results();
        for (argument, wanted) in [
            ("digist.report", "no result `digist` (did you mean `digits`?)"),
            ("digits.report.acuracy", "no `acuracy`; there is accuracy, gain, broken"),
            ("digits.config.size.3", "no `3`; there is a list of 3"),
            ("digits.config.epochs.x", "no `x`; there is 30"),
            ("digits.config.epochs:3f", "`3f` is no format"),
            ("digits.config.epochs:.x", "`.x` is no format"),
            ("digits.config.epochs:€", "`€` is no format"),
            ("digits.config.loss:.2", "is \"quadratic\", not a number"),
            ("digits.report.broken:.2", "is null, not a number"),
            ("digits.report:.2", "…, not a number"),
            ("digits.report.third", "append a format"),
            ("digits.report", "is a list or an object"),
        ] {
            let fault = results.value(argument, false).unwrap_err().to_string();
            assert!(fault.contains(wanted), "{argument}: {fault}");
        }
    }

    #[test]
    fn tables_align_numbers_and_escape_bars() {
        let expected = "| digit | read |\n| --- | --: |\n| a\\|b | 9 |\n| c | 10 |\n";
        assert_eq!(results().table("digits.report.confusion").unwrap(), expected);
        let expected = "| a | b |\n| --- | --: |\n| x |  |\n| y | 2 |\n";
        assert_eq!(results().table("digits.report.gaps").unwrap(), expected);
        let expected = "| name | at −1 | to 10⁻⁶ |\n| --- | --: | --: |\n| 2-pentene | 1-10 | 3210\u{202f}×\u{202f}2 |\n";
        assert_eq!(results().table("digits.report.names").unwrap(), expected);
        for path in ["digits.report.ragged", "digits.report.accuracy"] {
            assert_eq!(results().table(path), Err(Fault::NotATable { path: path.into() }));
        }
    }

    #[test]
    fn checks_show_spread_bound_baseline_and_verdict() {
        let table = results().checks("digits").unwrap();
        for row in [
            "| <span class=\"verdict holds\">✓ holds</span> | accuracy | \
             0.935\u{a0}±\u{a0}0.012 <br>(n\u{a0}=\u{a0}3) | ≥\u{a0}0.86 <br>(pilot) | nearest mean: 0.801 |",
            "| <span class=\"verdict fails\">✗ fails</span> | gap<br><em>Why it fails:</em> too few seeds | \
             −0.5 | 0 to 0.1 <br>(guess) | none |",
            "Repeat it: `cargo xtask run digits` (3 seeds).",
        ] {
            assert!(table.contains(row), "{row}\nin\n{table}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_says_so() {
        let nothing = Measured { mean: None, sd: None, n: 3 };
        assert_eq!(nothing.show(), "not a number (n\u{a0}=\u{a0}3)");
    }

    #[test]
    fn failed_claims_stay_listed_and_are_counted() {
        let claims = results().claims();
        assert!(claims.starts_with("**2 listed, 1 hold, 1 do not.**"), "{claims}");
        assert!(
            claims.contains("## Lecture 1: digits {#claim-digits}") && claims.contains("✗ fails"),
            "{claims}"
        );
        assert!(claims.contains("\n\nPaper: Nielsen 2015.\n\n"), "{claims}");
        assert_eq!(sentence("Is it meaningful?"), "Is it meaningful?");
        assert_eq!(results().score(1), Score { hold: 1, listed: 2 });
        assert_eq!(results().score(2), Score::default());
    }

    #[test]
    fn a_measurement_without_a_lecture_comes_last() {
        let text = r#"{"lecture":null,"paper":"","claim":"It is fast.","command":"x","quick":false,"seeds":[],"checks":[]}"#;
        let check = r#""checks":[{"id":"a","claim":"ratio","measured":{"mean":2.0,"sd":0.1,"n":9},"bound":{"at_least":1.5},
            "bound_source":"paper","baseline":null,"holds":true,"reason_if_failed":null}]"#;
        let mut results = results();
        results.0.insert("growth".to_owned(), Recorded::parse(text).unwrap());
        results
            .0
            .insert("bench".to_owned(), Recorded::parse(&text.replace(r#""checks":[]"#, check)).unwrap());
        assert!(!results.claims().contains("growth"), "it claims nothing");
        let claims = results.claims();
        let [lecture, bench] =
            ["## Lecture 1: digits", "## Measurement: bench {#claim-bench}\n\nIt is fast.\n\n<div"]
                .map(|heading| claims.find(heading).unwrap_or_else(|| panic!("no {heading} in {claims}")));
        assert!(lecture < bench);
    }

    #[test]
    fn broken_and_quick_files_name_the_command_that_repairs_them() {
        let root = tempfile::tempdir().unwrap();
        assert!(Results::read(root.path()).unwrap().0.is_empty());
        let folder = root.path().join("results");
        std::fs::create_dir(&folder).unwrap();
        for text in ["{", "[]", r#"{"lecture": 1}"#] {
            std::fs::write(folder.join("digits.json"), text).unwrap();
            let error = Results::read(root.path()).unwrap_err().to_string();
            assert!(error.contains("digits.json") && error.contains("cargo xtask run digits"), "{error}");
        }
        let quick = r#"{"lecture":1,"paper":"","claim":"","command":"","quick":true,"seeds":[],"checks":[]}"#;
        std::fs::write(folder.join("digits.json"), quick).unwrap();
        let error = Results::read(root.path()).unwrap_err().to_string();
        assert!(error.contains("quick run"), "{error}");
    }
}
