//! `course claims`.
use crate::house::House;
use crate::{Error, FAILED, OK, Unit, run};
use clap::ArgMatches;
use lab::ResultFile;
use std::io::Write;

/// Writes every claim with its number and verdict; the last line counts them.
pub(crate) fn claims(
    units: &[Unit],
    house: &House,
    matches: &ArgMatches,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let (mut listed, mut hold, mut fail, mut stale, mut missing, mut broken) = (0, 0, 0, 0, 0, 0);
    for entry in units.iter().flat_map(|unit| &unit.experiments) {
        let about = entry.about();
        write!(out, "lecture {} · {}", about.lecture, about.name)?;
        match ResultFile::read(&house.results(), about) {
            Ok(Some(result)) => {
                if result.is_stale(about) {
                    stale += 1;
                    write!(
                        out,
                        " · STALE: its sources changed, `cargo xtask run {}` measures again",
                        about.name
                    )?;
                }
                writeln!(out)?;
                run::checks(&result).write(out)?;
                let holding = result.checks.iter().filter(|judged| judged.holds).count();
                listed += result.checks.len();
                hold += holding;
                fail += result.checks.len() - holding;
            }
            Ok(None) => {
                (listed, missing) = (listed + 1, missing + 1);
                writeln!(out, " · NOT RUN\n{}", about.claim)?;
            }
            Err(error) => {
                (listed, broken) = (listed + 1, broken + 1);
                writeln!(out, " · BROKEN\n{error}")?;
            }
        }
        writeln!(out)?;
    }
    for (count, what) in [(stale, "stale"), (missing, "without a result"), (broken, "broken")] {
        if count > 0 {
            writeln!(out, "experiments {what}: {count}")?;
        }
    }
    writeln!(out, "claims: {listed} listed, {hold} hold, {fail} do not")?;
    let is_checked = matches.get_flag("check");
    Ok(if broken > 0 || is_checked && stale + missing > 0 { FAILED } else { OK })
}
