//! `tests/coverage.tsv`: one row per method of the course; a filled cell must name something that exists.
use crate::support::{files, read, root};

const COLUMNS: &[&str] = &[
    "lecture",
    "unit",
    "method",
    "module",
    "golden_or_closed_form",
    "gradient_test",
    "experiment",
    "chapter",
    "exercise",
];

/// Units that are declared complete: none of their cells may be empty.
const COMPLETE: &[&str] = &["optim", "convnets"];

/// What a cell may say instead of a name: that there is nothing to name, and why.
const NONE: &str = "none: ";

/// Columns where that is possible: nothing to differentiate, nothing to measure.
const OPTIONAL: &[&str] = &["gradient_test", "experiment"];

/// A row's cells by column; a cell may list several names, separated by `; `.
struct Row {
    number: usize,
    cells: Vec<String>,
}

impl Row {
    fn names(&self, column: &str) -> Vec<&str> {
        let i = COLUMNS.iter().position(|c| *c == column).expect("a known column");
        let cell = if self.cells[i].starts_with(NONE) { "" } else { &self.cells[i] };
        cell.split("; ").filter(|name| !name.is_empty()).collect()
    }

    /// Why a cell names nothing, if it says so.
    fn reason(&self, column: &str) -> Option<&str> {
        let i = COLUMNS.iter().position(|c| *c == column)?;
        self.cells[i].strip_prefix(NONE)
    }
}

fn rows() -> Vec<Row> {
    let table = read(&root().join("tests/coverage.tsv"));
    let mut lines = table.lines();
    assert_eq!(lines.next().map(|line| line.split('\t').collect::<Vec<_>>()), Some(COLUMNS.to_vec()));
    let rows: Vec<Row> = lines
        .enumerate()
        .map(|(i, line)| Row { number: i + 2, cells: line.split('\t').map(String::from).collect() })
        .collect();
    for row in &rows {
        assert_eq!(row.cells.len(), COLUMNS.len(), "line {}: wrong number of cells", row.number);
    }
    rows
}

/// All Rust code of a unit, its tests included.
fn code(unit: &str) -> String {
    files(&format!("crates/{unit}"), ".rs").iter().map(|path| read(path)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_lecture_and_every_unit_is_there() {
    let rows = rows();
    for lecture in 1..=26 {
        let covers = |row: &Row| {
            row.names("lecture")[0].split(',').any(|part| match part.split_once('-') {
                Some((a, b)) => (a.parse().unwrap_or(99)..=b.parse().unwrap_or(0)).contains(&lecture),
                None => part.parse() == Ok(lecture),
            })
        };
        assert!(rows.iter().any(covers), "no method of lecture {lecture}");
    }
    for row in &rows {
        let unit = row.names("unit")[0];
        assert!(root().join("crates").join(unit).is_dir(), "line {}: no crate `{unit}`", row.number);
    }
}

#[test]
fn what_a_cell_names_exists() {
    for row in rows() {
        let (line, unit) = (row.number, row.names("unit")[0]);
        for module in row.names("module") {
            let source = root().join("crates").join(unit).join("src").join(module.replace("::", "/"));
            let exists = source.with_extension("rs").is_file() || source.join("mod.rs").is_file();
            assert!(exists, "line {line}: crate `{unit}` has no module `{module}`");
        }
        for column in ["golden_or_closed_form", "gradient_test"] {
            for test in row.names(column) {
                // A test in a crate that uses the unit has that crate's name in front.
                let (unit, test) = test.split_once('/').unwrap_or((unit, test));
                let function = test.rsplit("::").next().unwrap_or(test);
                let name = format!("fn {function}(");
                let code = code(unit);
                // The attribute stands above the function, perhaps with documentation or another one between them.
                let is_test =
                    |at: usize| code[..at].lines().rev().take(5).any(|line| line.trim() == "#[test]");
                let found = code.match_indices(&name).any(|(at, _)| is_test(at));
                assert!(found, "line {line}: crate `{unit}` has no test `{test}`");
            }
        }
        for experiment in row.names("experiment") {
            let result = root().join(format!("book/results/{experiment}.json"));
            assert!(result.is_file(), "line {line}: no recorded result {}", result.display());
        }
        for chapter in row.names("chapter") {
            let (file, anchor) = chapter.split_once('#').unwrap_or((chapter, ""));
            let text = read(&root().join("book/src").join(file));
            let found = anchor.is_empty() || text.lines().any(|l| l.starts_with('#') && slug(l) == anchor);
            assert!(found, "line {line}: {file} has no heading `#{anchor}`");
        }
        for exercise in row.names("exercise") {
            let file = root().join(format!("book/exercises/{exercise}.rs"));
            assert!(file.is_file(), "line {line}: no exercise {}", file.display());
        }
    }
}

#[test]
fn a_cell_without_a_name_gives_a_reason_where_one_is_possible() {
    for row in rows() {
        for (column, cell) in COLUMNS.iter().zip(&row.cells).filter(|(_, cell)| cell.contains(NONE.trim())) {
            let line = row.number;
            assert!(OPTIONAL.contains(column), "line {line}: `{column}` cannot be left out");
            let reason = row.reason(column).unwrap_or_default();
            assert!(
                reason.split_whitespace().count() >= 3,
                "line {line}: `{column}` without a reason: {cell}"
            );
        }
    }
}

#[test]
fn complete_units_leave_no_cell_empty() {
    for row in rows().iter().filter(|row| COMPLETE.contains(&row.names("unit")[0])) {
        for column in COLUMNS {
            let is_filled = !row.names(column).is_empty() || row.reason(column).is_some();
            assert!(is_filled, "line {}: `{column}` is empty", row.number);
        }
    }
}

/// The id that mdBook gives a heading: lower case, blanks become hyphens, other signs vanish.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[test]
fn slugs_are_mdbooks() {
    assert_eq!(slug("## From step to sigmoid"), "from-step-to-sigmoid");
    assert_eq!(slug("### What did not reproduce?"), "what-did-not-reproduce");
}
