//! `course results`.
use crate::house::House;
use crate::text::Text;
use crate::{Error, FAILED, OK, Unit, run};
use clap::ArgMatches;
use lab::{CheckpointEvery, Device, Progress, ResultFile, RunOptions};
use std::io::Write;

/// Writes what is recorded, or reruns the quick versions and judges them.
pub(crate) fn results(
    units: &[Unit],
    house: &House,
    matches: &ArgMatches,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let name = matches.get_one::<String>("name");
    let entries = units.iter().flat_map(|unit| &unit.experiments);
    let chosen = entries.filter(|entry| name.is_none_or(|name| name == entry.about().name));
    if !matches.get_flag("check") {
        let mut table =
            Text::new([("experiment", 26), ("seeds", 20), ("seconds", 8), ("commit", 12), ("machine", 44)]);
        for entry in chosen {
            if let Some(result) = ResultFile::read(&house.results(), entry.about())? {
                let commit = result.unstable.commit.unwrap_or_default();
                table.row([
                    result.name,
                    run::seeds(&result.seeds),
                    format!("{:.1}", result.unstable.wall_seconds),
                    commit.chars().take(12).collect(),
                    result.unstable.machine,
                ]);
            }
        }
        table.write(out)?;
        return Ok(OK);
    }
    lab::interrupt::listen();
    let (mut passed, mut failed) = (0, 0);
    for entry in chosen {
        let about = entry.about();
        let command = format!("cargo xtask run {} --quick", about.name);
        let options = RunOptions {
            quick: true,
            seed: 0,
            device: Device::Cpu,
            progress: Progress::detect(),
            results: house.quick().join("results"),
            runs: house.quick().join("runs"),
            starts_afresh: true,
            checkpoint_every: CheckpointEvery::default(),
            resume: command.clone(),
            command,
        };
        let changes = entry.command().try_get_matches_from([about.name])?;
        match entry.run(&changes, &options) {
            Ok(result) => {
                writeln!(out, "{} (quick)", about.name)?;
                run::checks(&result).write(out)?;
                writeln!(out)?;
                if result.holds() { passed += 1 } else { failed += 1 }
            }
            Err(error @ lab::Error::Interrupted { .. }) => return Err(error.into()),
            Err(error) => {
                writeln!(out, "{} (quick)\nerror: {error}\n", about.name)?;
                failed += 1;
            }
        }
    }
    writeln!(out, "quick experiments: {passed} passed, {failed} failed")?;
    Ok(if failed > 0 { FAILED } else { OK })
}
