//! `course figures`.
use crate::house::House;
use crate::{Error, FAILED, OK, Unit};
use clap::ArgMatches;
use lab::ResultFile;
use std::io::Write;

/// Draws the figures of the recorded results, or compares them with their files.
pub(crate) fn figures(
    units: &[Unit],
    house: &House,
    matches: &ArgMatches,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let (name, is_check) = (matches.get_one::<String>("name"), matches.get_flag("check"));
    let (mut same, mut differ) = (0, 0);
    for entry in units.iter().flat_map(|unit| &unit.experiments) {
        let about = entry.about();
        if name.is_some_and(|name| name != about.name) {
            continue;
        }
        let Some(result) = ResultFile::read(&house.results(), about)? else {
            writeln!(out, "{}: not run yet, `cargo xtask run {}` does", about.name, about.name)?;
            continue;
        };
        for figure in entry.figures(&result, ResultFile::path(&house.results(), about.name))? {
            let path = house.figures().join(figure.file_name(about.name));
            if !is_check {
                writeln!(out, "{}", house.shown(&figure.write(about.name, &house.figures())?))?;
                continue;
            }
            let drawn = figure
                .draw()
                .map_err(|source| lab::Error::Figure { file: figure.file_name(about.name), source })?;
            // A file that cannot be read differs from what is drawn.
            if std::fs::read(&path).is_ok_and(|kept| kept == drawn) {
                same += 1;
            } else {
                differ += 1;
                writeln!(
                    out,
                    "{} differs; `cargo xtask figures {}` draws it",
                    house.shown(&path),
                    about.name
                )?;
            }
        }
    }
    if is_check {
        writeln!(out, "figures: {same} as drawn, {differ} not")?;
    }
    Ok(if differ > 0 { FAILED } else { OK })
}
