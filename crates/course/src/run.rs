//! `course run`.
use crate::house::House;
use crate::text::Text;
use crate::{Error, FAILED, OK, Unit, list};
use clap::ArgMatches;
use clap::parser::ValueSource;
use lab::{CheckpointEvery, Entry, Progress, ResultFile, RunOptions};
use std::io::Write;
use std::path::PathBuf;

/// Flags that every experiment takes.
const COMMON: &[&str] = &["quick", "seed", "device", "out", "runs", "fresh"];

/// Runs what is asked for; without a name, `--unit` or `--missing`, lists what could be run.
pub(crate) fn run(
    units: &[Unit],
    house: &House,
    matches: &ArgMatches,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let (unit, is_missing) = (matches.get_one::<String>("unit"), matches.get_flag("missing"));
    let choice = if is_missing { Some("--missing") } else { unit.map(|_| "--unit") };
    if let Some((name, matches)) = matches.subcommand() {
        if let Some(flag) = choice {
            return Err(Error::ChosenTwice { name: name.into(), flag });
        }
        let entry = units.iter().flat_map(|unit| &unit.experiments).find(|entry| entry.about().name == name);
        let entry = entry.expect("clap accepts names of experiments only");
        return run_one(house, entry, matches, out);
    }
    if choice.is_none() {
        if let Some(flag) = typed(matches, COMMON).into_iter().next() {
            return Err(Error::NothingToRun { flag });
        }
        list::list(units, house, out)?;
        writeln!(out, "\nrun one: cargo xtask run NAME [--quick]; its flags: cargo xtask run NAME --help")?;
        return Ok(OK);
    }
    let chosen = units.iter().filter(|one| unit.is_none_or(|name| one.name == name));
    let mut code = OK;
    for entry in chosen.flat_map(|unit| &unit.experiments) {
        if is_missing && !is_due(house, entry)? {
            continue;
        }
        // One experiment that fails does not keep the others from running; an interruption does.
        match run_one(house, entry, &without_flags(entry, matches)?, out) {
            Ok(one) => code = code.max(one),
            Err(error @ Error::Lab(lab::Error::Interrupted { .. })) => return Err(error),
            Err(error) => {
                eprintln!("error: {}: {error}", entry.about().name);
                code = code.max(FAILED);
            }
        }
    }
    Ok(code)
}

/// Whether there is no result, or one of other sources.
fn is_due(house: &House, entry: &Entry) -> Result<bool, Error> {
    let result = ResultFile::read(&house.results(), entry.about())?;
    Ok(result.is_none_or(|result| result.is_stale(entry.about())))
}

/// The flags that all experiments share, as if they had been typed behind the experiment's name.
fn without_flags(entry: &Entry, shared: &ArgMatches) -> Result<ArgMatches, Error> {
    let unit = [Unit { name: "", experiments: vec![*entry] }];
    let mut arguments: Vec<String> = vec!["course".into(), "run".into(), entry.about().name.into()];
    arguments.extend(typed(shared, COMMON));
    let matches = crate::command_line::command(&unit).try_get_matches_from(arguments)?;
    let (_, run) = matches.subcommand().expect("the arguments begin with `run`");
    let (_, one) = run.subcommand().expect("the arguments name an experiment");
    Ok(one.clone())
}

fn run_one(house: &House, entry: &Entry, matches: &ArgMatches, out: &mut dyn Write) -> Result<u8, Error> {
    let quick = matches.get_flag("quick");
    let out_folder = matches.get_one::<PathBuf>("out");
    let base = if quick { Some(house.quick()) } else { None };
    let results = out_folder.cloned().or(base.as_ref().map(|base| base.join("results")));
    let figures = out_folder.cloned().or(base.as_ref().map(|base| base.join("figures")));
    let runs = matches.get_one::<PathBuf>("runs").cloned().or(base.as_ref().map(|base| base.join("runs")));
    let name = entry.about().name;
    let ids: Vec<String> =
        entry.command().get_arguments().map(|argument| argument.get_id().to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let command = |more: &[&str]| {
        let flags = typed(matches, &[more, &ids].concat());
        ["cargo xtask run".to_string(), name.to_string()]
            .into_iter()
            .chain(flags.iter().map(|word| quoted(word)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let options = RunOptions {
        quick,
        seed: *matches.get_one("seed").expect("it has a default"),
        device: *matches.get_one("device").expect("it has a default"),
        progress: Progress::detect(),
        results: results.unwrap_or_else(|| house.results()),
        runs: runs.unwrap_or_else(|| house.runs()),
        starts_afresh: matches.get_flag("fresh"),
        checkpoint_every: CheckpointEvery::default(),
        command: command(&["quick", "seed", "device"]),
        resume: command(&["quick", "seed", "device", "out", "runs"]),
    };
    lab::interrupt::listen();
    let result = entry.run(matches, &options)?;
    let path = ResultFile::path(&options.results, name);
    let folder = figures.unwrap_or_else(|| house.figures());
    for figure in entry.figures(&result, path.clone())? {
        figure.write(name, &folder)?;
    }
    writeln!(out, "{name}: {}", entry.about().claim)?;
    checks(&result).write(out)?;
    let seconds = result.unstable.wall_seconds;
    writeln!(out, "{seconds:.1} s, {}; {}", seeds(&result.seeds), house.shown(&path))?;
    out.flush()?;
    Ok(if result.holds() { OK } else { FAILED })
}

/// Those that take no value.
const SWITCHES: &[&str] = &["quick", "fresh"];

/// The flags among `ids` that were typed, each with its value, as a program gets them.
fn typed(matches: &ArgMatches, ids: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for id in ids {
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        words.push(format!("--{}", id.replace('_', "-")));
        if SWITCHES.contains(id) {
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        words.extend(values.map(|value| value.to_string_lossy().into_owned()));
    }
    words
}

/// A word that a shell leaves as it is.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Seeds in words.
pub(crate) fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [] => "no seeds".into(),
        [seed] => format!("seed {seed}"),
        [first, .., last] if seeds.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]) => {
            format!("seeds {first} to {last}")
        }
        _ => format!("seeds {}", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The verdicts of a result.
pub(crate) fn checks(result: &ResultFile) -> Text<5> {
    let mut table =
        Text::new([("claim", 44), ("measured", 26), ("bound", 18), ("baseline", 26), ("holds", 24)]);
    for judged in &result.checks {
        let check = &judged.check;
        let baseline = check.baseline.as_ref();
        let reason = check.reason_if_failed.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
        table.row([
            check.claim.clone(),
            check.measured.to_string(),
            format!("{} ({})", check.bound, check.bound_source),
            baseline
                .map_or(String::new(), |one| format!("{} ({})", check.measured.rounded(one.value), one.name)),
            if judged.holds { "yes".into() } else { format!("NO{reason}") },
        ]);
    }
    table
}
