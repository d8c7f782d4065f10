//! What can be typed.
use crate::Unit;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use datasets::catalogue::DISK_SETS;
use datasets::registry::descriptions;
use std::path::PathBuf;

/// The whole command line; every experiment is a subcommand of `run` with flags of its own.
pub(crate) fn command(units: &[Unit]) -> Command {
    let names = || units.iter().flat_map(|unit| &unit.experiments).map(|entry| entry.about().name);
    let one_name = || {
        Arg::new("name")
            .value_name("NAME")
            .value_parser(PossibleValuesParser::new(names()))
            .hide_possible_values(true)
            .help("One experiment; all when left out")
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let experiments = units.iter().flat_map(|unit| &unit.experiments);
    let run = Command::new("run")
        .about("Run experiments; without a name, list them")
        .arg(
            Arg::new("unit")
                .long("unit")
                .value_name("U")
                .value_parser(PossibleValuesParser::new(units.iter().map(|unit| unit.name)))
                .help("Run the experiments of this crate"),
        )
        .arg(flag("missing", "Run those without a result, or whose sources changed since"))
        .args(common().map(|arg| arg.global(true)))
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Experiments")
        .disable_help_subcommand(true)
        .args_conflicts_with_subcommands(false)
        .subcommands(experiments.map(lab::Entry::command));
    let set = || {
        Arg::new("name")
            .value_name("NAME")
            .value_parser(PossibleValuesParser::new(DISK_SETS.iter().map(|set| set.name)))
    };
    let any_set = || {
        let embedded = || descriptions().iter().map(|set| set.name);
        let on_disk =
            DISK_SETS.iter().map(|set| set.name).filter(|name| embedded().all(|known| known != *name));
        let names = embedded().chain(on_disk);
        Arg::new("name").value_name("NAME").value_parser(PossibleValuesParser::new(names))
    };
    let data = Command::new("data")
        .about("The data sets: those in this repository, and larger ones that you fetch")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("data-dir")
                .long("data-dir")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .global(true)
                .help("Where fetched sets live [default: $DLTA_DATA, else the user's data directory]"),
        )
        .subcommand(Command::new("list").about("Every set with files, splits, source, licence, citation"))
        .subcommand(
            Command::new("fetch")
                .about("Download a set with curl or wget, check it, keep it")
                .arg(set().required(true))
                .arg(Arg::new("from").long("from").value_name("URL").help(
                    "A mirror that has the files under their own names [default: the publisher's address]",
                )),
        )
        .subcommand(
            Command::new("import")
                .about("Copy a set that you have already, after checking it")
                .arg(set().required(true))
                .arg(
                    Arg::new("path")
                        .value_name("PATH")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("A file of the set under its own name, or a folder with some of them"),
                ),
        )
        .subcommand(
            Command::new("verify").about("Recompute every checksum, or those of one set").arg(any_set()),
        )
        .subcommand(Command::new("path").about("The folder of fetched sets"));
    Command::new("course")
        .bin_name("cargo xtask") // what a reader types; it hands over to this binary
        .about("The experiments of the course: each one a claim, a number and a verdict")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            // Typed as `cargo xtask run` without a name.
            Command::new("list").about("Every experiment and the state of its result").hide(true),
        )
        .subcommand(run)
        .subcommand(
            Command::new("claims")
                .about("Every claim, our number, and whether it holds")
                .arg(flag("check", "Fail when a result is missing, or older than its sources")),
        )
        .subcommand(
            Command::new("figures")
                .about("Draw the figures again from the recorded results")
                .arg(one_name())
                .arg(flag("check", "Write nothing; fail when a figure differs from its file")),
        )
        .subcommand(
            Command::new("results")
                .about("What is recorded: seeds, time, commit, machine")
                .arg(one_name())
                .arg(flag("check", "Rerun the quick version of each and judge it by its bounds")),
        )
        .subcommand(data)
}

/// A seed, or which values there are.
fn whole_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}, such as 7", u64::MAX))
}

/// Flags of every run, before or after the name.
fn common() -> [Arg; 6] {
    let folder = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("DIR").value_parser(value_parser!(PathBuf)).help(help)
    };
    [
        Arg::new("quick")
            .long("quick")
            .action(ArgAction::SetTrue)
            .help("The version for tests, in seconds; writes to target/quick, never to the recorded results"),
        Arg::new("seed")
            .long("seed")
            .value_name("N")
            .default_value("0")
            .value_parser(whole_number)
            .allow_negative_numbers(true) // so that our own message refuses them
            .help("The first seed; an experiment over n seeds uses N to N + n − 1"),
        Arg::new("device")
            .long("device")
            .value_name("DEVICE")
            .default_value("cpu")
            .value_parser(value_parser!(lab::Device))
            .help("Where to compute"),
        folder("out", "Where result and figures go [default: book/results and book/src/figures]"),
        folder("runs", "Where metrics and checkpoints go [default: target/runs]"),
        Arg::new("fresh")
            .long("fresh")
            .action(ArgAction::SetTrue)
            .help("Start again instead of going on from the checkpoint of an interrupted run"),
    ]
}
