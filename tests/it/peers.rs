//! The numbers of another library beside ours: each file in `book/peers` was written by the program that is there now, with
//! the settings of the experiment that is recorded now.
use crate::support::{crc32, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const TWINS: &str = "tests/peers/torch/twins";

/// Stems of the files with this ending, as names of experiments.
fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    files.map(|path| path.file_stem().expect("a name").to_string_lossy().replace('_', "-")).collect()
}

fn json(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_twin_is_recorded_as_it_stands_and_with_our_settings() {
    let mut twins = names(&root().join(TWINS), "py");
    assert!(twins.remove("common"), "{TWINS}/common.py");
    assert_eq!(names(&root().join("book/peers"), "json"), twins, "book/peers and {TWINS}");
    let read = |file: &str| std::fs::read(root().join(TWINS).join(file)).expect("a program");
    for name in twins {
        let (file, program) = (format!("book/peers/{name}.json"), name.replace('-', "_") + ".py");
        let (peer, ours) = (json(&file), json(&format!("book/results/{name}.json")));
        let again = format!("run `python {TWINS}/{program}` again");
        let sum = crc32(&[read(&program), read("common.py")].concat());
        assert_eq!(peer["source_crc32"], sum, "{file}: the program has changed; {again}");
        assert_eq!(peer["config"], ours["config"], "{file}: the settings of `{name}` have changed; {again}");
        assert_eq!(peer["command"], format!("python {TWINS}/{program}"), "{file}");
    }
}
