//! What another library measured (`book/peers/NAME.json`): beside our own numbers, and never among the claims.
//!
//! | directive | shows |
//! |---|---|
//! | `{{peer NAME.accuracy:.1}}` | a mean and its standard deviation with 1 decimal, a single number alone |
//! | `{{peer NAME.gain:%1}}` | fractions in percent with 1 decimal |
//! | `{{peer NAME.accuracy:n}}` | over how many seeds |
//!
//! A program of `tests/peers` writes the file that has the name of an experiment of ours.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::number;
use super::results::json_files;
use crate::error::{Error, Fault, hint};

/// Every file of a peer by the name of its experiment.
#[derive(Debug, Default)]
pub struct Peers(BTreeMap<String, Recorded>);

#[derive(Debug, Deserialize)]
struct Recorded {
    /// What writes the file.
    #[serde(rename = "command")]
    _command: String,
    values: BTreeMap<String, Measured>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    mean: f64,
    sd: f64,
    n: usize,
}

impl Peers {
    /// Reads `root/peers/*.json`; a book without that folder has none.
    ///
    /// # Errors
    /// When a file cannot be read, is no JSON or lacks a field.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mut peers = BTreeMap::new();
        for (path, name, text) in json_files(&root.join("peers"))? {
            let recorded = serde_json::from_str(&text).map_err(|source| Error::Peer { path, source })?;
            peers.insert(name, recorded);
        }
        Ok(Self(peers))
    }

    /// The quantity at `NAME.key:format`, as Markdown or as TeX.
    pub fn value(&self, argument: &str, in_maths: bool) -> Result<String, Fault> {
        let (path, format) = argument.split_once(':').unwrap_or((argument, ""));
        let (name, key) = path.split_once('.').unwrap_or((path, ""));
        let recorded = self.0.get(name).ok_or_else(|| Fault::NoPeer {
            name: name.to_owned(),
            hint: hint(name, self.0.keys().map(String::as_str)),
        })?;
        let measured = recorded.values.get(key).ok_or_else(|| Fault::NoKey {
            path: path.to_owned(),
            key: key.to_owned(),
            has: recorded.values.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        let Measured { mean, sd, n } = *measured;
        if format == "n" {
            return Ok(n.to_string());
        }
        number::with_spread(mean, (n > 1).then_some(sd), format, in_maths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{ "name": "digits", "command": "python digits.py", "values": {
        "error": { "mean": -12.345, "sd": 0.271, "n": 3 }, "gain": { "mean": 0.0123, "sd": 0.004, "n": 4 },
        "steps": { "mean": 62.0, "sd": 0.0, "n": 1 } } }"#;

    fn peers() -> Peers {
        Peers(BTreeMap::from([("digits".to_owned(), serde_json::from_str(TEXT).unwrap())]))
    }

    #[test]
    fn a_mean_has_its_spread_and_a_single_number_has_none() {
        for (argument, printed, in_maths) in [
            ("digits.error:.1", "−12.3\u{a0}±\u{a0}0.3", "-12.3 \\pm 0.3"),
            ("digits.gain:%1", "1.2\u{202f}%\u{a0}±\u{a0}0.4\u{202f}%", "1.2\\,\\% \\pm 0.4\\,\\%"),
            ("digits.steps:.0", "62", "62"),
            ("digits.gain:n", "4", "4"),
        ] {
            assert_eq!(peers().value(argument, false).unwrap(), printed);
            assert_eq!(peers().value(argument, true).unwrap(), in_maths);
        }
    }

    #[test]
    fn faults_say_what_there_is() {
        for (argument, wanted) in [
            ("digist.error:.1", "no numbers of a peer for `digist` (did you mean `digits`?)"),
            ("digits.eror:.1", "no `eror`; there is error, gain, steps"),
            ("digits:.1", "no ``; there is error"),
            ("digits.error", "`` is no format"),
            ("digits.error:x1", "`x1` is no format"),
        ] {
            let fault = peers().value(argument, false).unwrap_err().to_string();
            assert!(fault.contains(wanted), "{argument}: {fault}");
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        assert!(Peers::read(root.path()).unwrap().0.is_empty());
        std::fs::create_dir(root.path().join("peers")).unwrap();
        let file = root.path().join("peers/digits.json");
        std::fs::write(&file, TEXT).unwrap();
        assert_eq!(Peers::read(root.path()).unwrap().0.len(), 1);
        std::fs::write(&file, TEXT.replace("\"sd\": 0.0,", "")).unwrap();
        let error = Peers::read(root.path()).unwrap_err().to_string();
        assert!(error.contains("digits.json") && error.contains("tests/peers"), "{error}");
    }
}
