//! `course list`.
use crate::house::House;
use crate::text::Text;
use crate::{Error, OK, Unit};
use lab::{Entry, ResultFile};
use std::io::Write;

/// Writes a table of all experiments.
pub(crate) fn list(units: &[Unit], house: &House, out: &mut dyn Write) -> Result<u8, Error> {
    let mut table =
        Text::new([("experiment", 26), ("lecture", 7), ("paper", 34), ("claim", 44), ("result", 12)]);
    for entry in units.iter().flat_map(|unit| &unit.experiments) {
        let about = entry.about();
        let state = state(entry, ResultFile::read(&house.results(), about));
        let text = [about.name, &about.lecture.to_string(), about.paper, about.claim, &state];
        table.row(text.map(String::from));
    }
    table.write(out)?;
    Ok(OK)
}

fn state(entry: &Entry, result: Result<Option<ResultFile>, lab::Error>) -> String {
    match result {
        Err(_) => "broken".into(),
        Ok(None) => "not run".into(),
        Ok(Some(result)) => {
            let failed = result.checks.iter().filter(|judged| !judged.holds).count();
            let verdict = match failed {
                0 => "holds".into(),
                _ => format!("fails {failed} of {}", result.checks.len()),
            };
            if result.is_stale(entry.about()) { format!("{verdict}, stale") } else { verdict }
        }
    }
}
