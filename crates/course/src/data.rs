//! `course data`.
use crate::text::Text;
use crate::{Error, FAILED, OK};
use clap::ArgMatches;
use datasets::registry;
use std::io::Write;

/// Describes the embedded sets, or recomputes their checksums.
pub(crate) fn data(matches: &ArgMatches, out: &mut dyn Write) -> Result<u8, Error> {
    if matches.subcommand_name() == Some("list") {
        for description in registry::descriptions() {
            writeln!(out, "{description}\n")?;
        }
        return Ok(OK);
    }
    let mut table = Text::new([("file", 34), ("bytes", 10), ("sha256", 64), ("state", 60)]);
    let mut failed = 0;
    for file in registry::registry() {
        let state = match file.verify() {
            Ok(()) => "ok".to_string(),
            Err(error) => {
                failed += 1;
                error.to_string()
            }
        };
        table.row([file.file.clone(), file.size.to_string(), file.sha256.clone(), state]);
    }
    table.write(out)?;
    let count = registry::registry().len();
    writeln!(out, "files: {} as recorded, {failed} not", count - failed)?;
    Ok(if failed > 0 { FAILED } else { OK })
}
