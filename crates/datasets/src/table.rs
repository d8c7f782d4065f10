//! What the loaders of embedded tables have in common: columns that name parts, classes and lists.
use crate::error::{DataError, Rule};
use crate::split::Role;
use crate::tsv::Table;

/// The column `split`.
pub(crate) fn roles(table: &Table) -> Result<Vec<Role>, DataError> {
    table.parsed("split", |field| Role::from_name(field).ok_or(Rule::Role))
}

/// A column of classes as positions in `names`.
pub(crate) fn classes(table: &Table, column: &str, names: &[&str]) -> Result<Vec<usize>, DataError> {
    let position = |field: &str| names.iter().position(|&name| name == field);
    table.parsed(column, |field| {
        position(field).ok_or(Rule::OneOf { names: names.iter().map(|&n| n.into()).collect() })
    })
}
