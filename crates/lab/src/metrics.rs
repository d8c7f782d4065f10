//! What happened during a run, one JSON object a line.
use crate::{Error, atomic};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// `metrics.jsonl` of one run: `{"part": "seed 0", "step": 120, "loss": 0.31}` a line.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
    parts: BTreeSet<String>,
}

impl Metrics {
    /// Opens the file in `folder`, empty unless `keeps` is set, which a resumed run does.
    pub(crate) fn open(folder: &Path, keeps: bool) -> Result<Self, Error> {
        let path = folder.join("metrics.jsonl");
        if !keeps {
            atomic::write(&path, b"")?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = BufWriter::new(file.map_err(|source| atomic::write_error(&path, source))?);
        Ok(Self { path, file, parts: BTreeSet::new() })
    }

    /// Appends one line. The first line of a part in this process drops what an interrupted run
    /// wrote at this step and later.
    pub(crate) fn record(&mut self, part: &str, step: u64, values: &[(&str, f64)]) -> Result<(), Error> {
        if !self.parts.contains(part) {
            self.rewind(part, step)?;
            self.parts.insert(part.to_string());
        }
        let mut line = Map::new();
        line.insert("part".into(), part.into());
        line.insert("step".into(), step.into());
        line.extend(values.iter().map(|(name, value)| (name.to_string(), Value::from(*value))));
        writeln!(self.file, "{}", Value::Object(line))
            .map_err(|source| atomic::write_error(&self.path, source))
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.file.flush().map_err(|source| atomic::write_error(&self.path, source))
    }

    fn rewind(&mut self, part: &str, step: u64) -> Result<(), Error> {
        self.flush()?;
        let text = fs::read(&self.path).map_err(|source| atomic::write_error(&self.path, source))?;
        let stays = |line: &&[u8]| match serde_json::from_slice::<Value>(line) {
            Ok(value) => value["part"] != part || value["step"].as_u64().is_some_and(|at| at < step),
            Err(_) => false, // the line that a kill cut short
        };
        let kept: Vec<u8> =
            text.split_inclusive(|&byte| byte == b'\n').filter(stays).flatten().copied().collect();
        if kept.len() != text.len() {
            atomic::write(&self.path, &kept)?;
            let file = OpenOptions::new().append(true).open(&self.path);
            self.file = BufWriter::new(file.map_err(|source| atomic::write_error(&self.path, source))?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_part_replaces_its_own_later_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut metrics = Metrics::open(folder.path(), false).unwrap();
        for (part, step) in [("a", 1), ("b", 1), ("a", 2), ("a", 3)] {
            metrics.record(part, step, &[("loss", 0.5)]).unwrap();
        }
        metrics.flush().unwrap();
        drop(metrics);
        let path = folder.path().join("metrics.jsonl");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"part\":\"a\",\"st"); // killed while it wrote
        fs::write(&path, text).unwrap();

        let mut metrics = Metrics::open(folder.path(), true).unwrap();
        metrics.record("a", 2, &[("loss", 0.25)]).unwrap();
        metrics.flush().unwrap();
        let want = [
            r#"{"part":"a","step":1,"loss":0.5}"#,
            r#"{"part":"b","step":1,"loss":0.5}"#,
            r#"{"part":"a","step":2,"loss":0.25}"#,
        ];
        assert_eq!(fs::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), want);
    }
}
