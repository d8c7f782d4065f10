//! Where data sets that are not embedded live.
//!
//! The first of these that is given: the path that the caller passes (`--data-dir`), `$DLTA_DATA`,
//! `$XDG_DATA_HOME/dlta`, `~/.local/share/dlta`; on Windows `%LOCALAPPDATA%\dlta` in place of the last two. An empty
//! variable counts as unset, and so does a relative `$XDG_DATA_HOME` (XDG Base Directory Specification 0.8).
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// The directory of data sets, `explicit` if that is given. It need not exist.
///
/// # Errors
/// [`DataError::NoDataDirectory`] when nothing is given and the environment says nothing either.
pub fn data_dir(explicit: Option<&Path>) -> Result<PathBuf, DataError> {
    resolve(explicit, |name| std::env::var_os(name), cfg!(windows))
}

fn resolve(
    explicit: Option<&Path>,
    environment: impl Fn(&str) -> Option<OsString>,
    is_windows: bool,
) -> Result<PathBuf, DataError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let by_platform = || {
        if is_windows {
            return variable("LOCALAPPDATA").map(|base| base.join("dlta"));
        }
        let xdg = variable("XDG_DATA_HOME").filter(|base| base.is_absolute());
        xdg.or_else(|| Some(variable("HOME")?.join(".local/share"))).map(|base| base.join("dlta"))
    };
    explicit
        .map(Path::to_owned)
        .or_else(|| variable("DLTA_DATA"))
        .or_else(by_platform)
        .ok_or(DataError::NoDataDirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(explicit: Option<&str>, variables: &[(&str, &str)], is_windows: bool) -> Option<PathBuf> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        resolve(explicit.map(Path::new), find, is_windows).ok()
    }

    #[test]
    fn the_first_that_is_given_wins() {
        let all = [("DLTA_DATA", "/d"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h"), ("LOCALAPPDATA", "/l")];
        assert_eq!(with(Some("e"), &all, false), Some("e".into()));
        assert_eq!(with(None, &all, false), Some("/d".into()));
        assert_eq!(with(None, &all[1..], false), Some("/x/dlta".into()));
        assert_eq!(with(None, &all[2..], false), Some("/h/.local/share/dlta".into()));
        assert_eq!(with(None, &all[1..], true), Some("/l/dlta".into()));
        assert_eq!(with(None, &all[3..], false), None);
    }

    #[test]
    fn empty_and_relative_variables_count_as_unset() {
        let odd = [("DLTA_DATA", ""), ("XDG_DATA_HOME", "relative"), ("HOME", "/h")];
        assert_eq!(with(None, &odd, false), Some("/h/.local/share/dlta".into()));
    }

    #[test]
    fn nothing_given_says_what_to_pass() {
        let message = resolve(None, |_| None, false).unwrap_err().to_string();
        assert!(message.contains("DLTA_DATA") && message.ends_with("pass --data-dir PATH"), "{message}");
    }
}
