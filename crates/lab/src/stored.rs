//! Checkpoint files together with what must agree before a run goes on from one.
use crate::{Error, Lab, atomic};
use layers::{Checkpoint, CheckpointError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::Path;

const IDENTITY: &str = "identity";
const VALUE: &str = "value";

impl Lab {
    /// Computes a part of the run, or reads it from its checkpoint when an interrupted run goes on.
    ///
    /// For parts that take seconds and are not trained by a [`Trainer`](crate::Trainer), such as one seed of a method
    /// that trains itself. The name must say what the part depends on beside configuration and sources: its seed.
    ///
    /// # Errors
    /// Those of `compute`; [`Error::BrokenCheckpoint`] and [`Error::ForeignCheckpoint`] when an earlier checkpoint does
    /// not fit; [`Error::Write`] when the disk refuses.
    ///
    /// # Examples
    /// ```
    /// let mut lab = lab::Lab::quiet(); // keeps nothing, so it computes
    /// let sum = lab.once("sum of seed 0", |_| Ok((1..=10).sum::<u32>()))?;
    /// assert_eq!(sum, 55);
    /// # Ok::<(), lab::Error>(())
    /// ```
    pub fn once<T: Serialize + DeserializeOwned>(
        &mut self,
        part: &str,
        compute: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(path) = self.checkpoint(&format!("{part} once")) else { return compute(self) };
        let identity = serde_json::json!({ "run": self.identity(), "part": part });
        if let Some(checkpoint) = read(&path, &identity)? {
            return json(&checkpoint, VALUE, "the result of this part")
                .map_err(|source| broken(&path, source));
        }
        let value = compute(self)?;
        self.flush()?;
        let mut checkpoint = Checkpoint::default();
        checkpoint.insert_text(VALUE, &crate::execute::to_value(&value).to_string());
        write(&path, &identity, checkpoint)?;
        Ok(value)
    }
}

/// The checkpoint at `path`, if there is one; it must have been written with this identity.
pub(crate) fn read(path: &Path, identity: &Value) -> Result<Option<Checkpoint>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let checkpoint = Checkpoint::read(path).map_err(|source| broken(path, source))?;
    let found = json(&checkpoint, IDENTITY, "what the run was").map_err(|source| broken(path, source))?;
    if let Some((field, found, expected)) = difference(&found, identity, String::new()) {
        let (found, expected) = (Box::new(found), Box::new(expected));
        return Err(Error::ForeignCheckpoint { path: path.to_path_buf(), field, found, expected });
    }
    Ok(Some(checkpoint))
}

/// Writes a checkpoint with its identity; the file at `path` is replaced when the new one is complete.
pub(crate) fn write(path: &Path, identity: &Value, mut checkpoint: Checkpoint) -> Result<(), Error> {
    checkpoint.insert_text(IDENTITY, &identity.to_string());
    checkpoint.write(path).map_err(|error| match error {
        CheckpointError::Io { path, source, .. } => atomic::write_error(&path, source),
        source => broken(path, source),
    })
}

pub(crate) fn broken(path: &Path, source: CheckpointError) -> Error {
    Error::BrokenCheckpoint { path: path.to_path_buf(), source: Box::new(source) }
}

/// A JSON text of a checkpoint; `expected` says what it should hold.
pub(crate) fn json<T: DeserializeOwned>(
    checkpoint: &Checkpoint,
    name: &str,
    expected: &'static str,
) -> Result<T, CheckpointError> {
    serde_json::from_str(checkpoint.text(name)?)
        .map_err(|_| CheckpointError::Content { name: name.into(), expected })
}

/// The first place where two JSON values differ: its path, and both values.
fn difference(found: &Value, expected: &Value, path: String) -> Option<(String, Value, Value)> {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), inner)
            })
        }
        _ if found == expected => None,
        _ => Some((path, found.clone(), expected.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabOptions;
    use serde_json::json;

    fn open(runs: &Path, identity: &str) -> Lab {
        let options = LabOptions {
            name: "sums".into(),
            runs: Some(runs.into()),
            identity: json!(identity),
            ..LabOptions::default()
        };
        Lab::open(options).unwrap()
    }

    #[test]
    fn a_part_is_computed_once_until_the_run_is_finished() {
        let runs = tempfile::tempdir().unwrap();
        let third = 1.0_f64 / 3.0; // must come back with the same bits
        assert_eq!(open(runs.path(), "a").once("part", |_| Ok(third)).unwrap(), third);
        let mut lab = open(runs.path(), "a");
        let again: f64 = lab.once("part", |_| panic!("computed a second time")).unwrap();
        assert_eq!(again.to_bits(), third.to_bits());
        assert_eq!(lab.once("another part", |_| Ok(7)).unwrap(), 7);
        lab.finish().unwrap();
        assert_eq!(open(runs.path(), "a").once("part", |_| Ok(2.0)).unwrap(), 2.0);
    }

    #[test]
    fn a_part_that_failed_is_not_kept() {
        let runs = tempfile::tempdir().unwrap();
        let failed = open(runs.path(), "a").once("part", |_| Err::<u8, _>(Error::NoCuda));
        assert!(matches!(failed, Err(Error::NoCuda)), "{failed:?}");
        assert_eq!(open(runs.path(), "a").once("part", |_| Ok(3)).unwrap(), 3);
    }

    #[test]
    fn a_part_of_another_run_or_a_damaged_one_is_refused() {
        let runs = tempfile::tempdir().unwrap();
        let mut lab = open(runs.path(), "a");
        lab.once("part", |_| Ok(1)).unwrap();
        let path = lab.checkpoint("part once").unwrap();
        drop(lab);
        let foreign = open(runs.path(), "b").once("part", |_| Ok(2));
        assert!(
            matches!(&foreign, Err(Error::ForeignCheckpoint { field, .. }) if field == "run"),
            "{foreign:?}"
        );
        let other_type = open(runs.path(), "a").once("part", |_| Ok(String::new()));
        assert!(matches!(other_type, Err(Error::BrokenCheckpoint { .. })), "{other_type:?}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = open(runs.path(), "a").once("part", |_| Ok(2)).unwrap_err().to_string();
        assert!(error.contains("--fresh"), "{error}");
    }

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let found = json!({"run": {"config": {"epochs": 3, "batch": 10}}, "part": "a"});
        let mut expected = found.clone();
        assert_eq!(difference(&found, &expected, String::new()), None);
        expected["run"]["config"]["batch"] = json!(20);
        let got = difference(&found, &expected, String::new());
        assert_eq!(got, Some(("run.config.batch".into(), json!(10), json!(20))));
        expected = json!({"run": {"config": {"epochs": 3, "batch": 10, "rate": 1}}, "part": "a"});
        let got = difference(&found, &expected, String::new());
        assert_eq!(got, Some(("run.config.rate".into(), Value::Null, json!(1))));
    }
}
