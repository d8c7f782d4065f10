//! Every command that a person types: `cargo xtask NAME` (the alias stands in `.cargo/config.toml`).
//!
//! No dependencies, so that it builds in a second on a fresh machine. What a command does is decided in `course`
//! and `booktool`; this binary builds the right one, says so while it takes long, and hands the arguments over.
#![forbid(unsafe_code)]

mod check;
mod count;
mod gpu_pack;
mod nearest;
mod process;
mod test_all;

use process::{Exit, FAILED, OK, USAGE};
use std::io::Write;

/// What a command does with its arguments.
#[derive(Clone, Copy)]
enum Action {
    /// Runs a function of this binary.
    Own(fn(&[String]) -> Exit),
    /// Hands over to the binary `.0`; `.1` comes before the person's arguments.
    Forward(&'static str, &'static [&'static str]),
}

struct Command {
    name: &'static str,
    arguments: &'static str,
    does: &'static str,
    action: Action,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "serve",
        arguments: "[--port N] [--open] [--no-api]",
        does: "build the book and serve it on this machine, with live reload and the crates' documentation",
        action: Action::Forward("booktool", &["serve"]),
    },
    Command {
        name: "test-all",
        arguments: "",
        does: "run every test and check; the last line counts them",
        action: Action::Own(test_all::run),
    },
    Command {
        name: "test",
        arguments: "UNIT",
        does: "run the tests and examples of one crate",
        action: Action::Own(check::test),
    },
    Command {
        name: "check",
        arguments: "[--memory] [--loom]",
        does: "format, lints and types; with a flag: kernels under valgrind, the thread pool under loom",
        action: Action::Own(check::check),
    },
    Command {
        name: "run",
        arguments: "[NAME] [--quick] [--unit U] [--missing] [--seed N] [--device cpu|cuda]",
        does: "list or run experiments; an interrupted one resumes",
        action: Action::Own(run),
    },
    Command {
        name: "claims",
        arguments: "[--check]",
        does: "every claim of the course, our number, and whether it holds",
        action: Action::Forward("course", &["claims"]),
    },
    Command {
        name: "figures",
        arguments: "[NAME]",
        does: "draw the figures again from the recorded results",
        action: Action::Forward("course", &["figures"]),
    },
    Command {
        name: "results",
        arguments: "--check",
        does: "rerun the quick experiments and compare them with their bounds",
        action: Action::Forward("course", &["results"]),
    },
    Command {
        name: "data",
        arguments: "[list | fetch NAME | import NAME PATH | verify [NAME] | path]",
        does: "the data sets: sizes, checksums, licences; fetch or import the larger ones",
        action: Action::Forward("course", &["data"]),
    },
    Command {
        name: "book",
        arguments: "[build | check | api | bless]",
        does: "render the book; check links and pages; look up linked items; rewrite printed output",
        action: Action::Own(book),
    },
    Command {
        name: "bench",
        arguments: "[CASE...] [--peers torch,compile,burn,candle] [--quick] [--list]",
        does: "time operations and training steps beside PyTorch, burn and candle",
        action: Action::Own(bench),
    },
    Command {
        name: "check-cuda",
        arguments: "",
        does: "check the CUDA code's types and lints on a machine without a GPU",
        action: Action::Own(check::check_cuda),
    },
    Command {
        name: "gpu-pack",
        arguments: "",
        does: "build the tests of the CUDA code without a GPU and pack them for a machine with one",
        action: Action::Own(gpu_pack::run),
    },
    Command {
        name: "ci",
        arguments: "",
        does: "what continuous integration runs: test-all, where a skipped check counts as failed",
        action: Action::Own(test_all::ci),
    },
];

fn main() {
    let words = std::env::args_os().skip(1).map(std::ffi::OsString::into_string);
    std::process::exit(match words.collect::<Result<Vec<_>, _>>() {
        Ok(arguments) => dispatch(&arguments),
        Err(word) => {
            eprintln!(
                "`{}` is not Unicode; a file with such a name needs another one",
                word.to_string_lossy()
            );
            USAGE
        }
    });
}

fn dispatch(arguments: &[String]) -> Exit {
    let Some((name, rest)) = arguments.split_first() else {
        return say(&overview());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return say(&overview());
    }
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        return unknown("command", name, COMMANDS.iter().map(|c| c.name));
    };
    // What is handed over has flags of its own: its binary prints the longer help.
    let is_handed_over = matches!(command.action, Action::Forward(..)) || command.name == "run";
    if rest.first().is_some_and(|a| a == "--help" || a == "-h") && !is_handed_over {
        return say(&format!("cargo xtask {} {}\n  {}\n", command.name, command.arguments, command.does));
    }
    match command.action {
        Action::Own(function) => function(rest),
        Action::Forward(binary, before) => process::forward(binary, before, rest),
    }
}

/// Prints; whoever closed the pipe has read enough.
fn say(text: &str) -> Exit {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("cannot write to standard output: {error}");
            FAILED
        }
        _ => OK,
    }
}

/// Says what was wrong and which name was probably meant.
fn unknown<'a>(what: &str, given: &str, known: impl Iterator<Item = &'a str>) -> Exit {
    let known: Vec<&str> = known.collect();
    match nearest::nearest(given, &known) {
        Some(meant) => eprintln!("unknown {what} `{given}`; did you mean `{meant}`?"),
        None => eprintln!("unknown {what} `{given}`; known: {}", known.join(", ")),
    }
    USAGE
}

fn overview() -> String {
    let mut text = String::from("cargo xtask COMMAND\n\n");
    for c in COMMANDS {
        text += &format!("  {:<11} {}\n", c.name, c.does);
        if !c.arguments.is_empty() {
            text += &format!("              {}\n", c.arguments);
        }
    }
    text + "\n`cargo xtask COMMAND --help` says more.\n"
}

/// Every case of the benchmark, a line each; a test of the package `bench` compares it with what that can do.
const CASES: &str = include_str!("../../tests/bench/cases.txt");

/// The other sides of the benchmark, as its `--peers` names them.
const PEERS: [&str; 4] = ["torch", "compile", "burn", "candle"];
/// Its other flags.
const BENCH_FLAGS: [&str; 4] = ["--quick", "--list", "--help", "-h"];

/// What is timed is compiled with all optimisations, for minutes: a word that names nothing is refused before.
fn bench(arguments: &[String]) -> Exit {
    let mut known = vec!["steps", "operations", "growth", "ways"];
    for case in CASES.lines() {
        known.push(case);
        known.extend(case.split_once('/').map(|(family, _)| family));
    }
    known.sort_unstable();
    known.dedup();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let peers = match word.as_str() {
            "--peers" => Some(words.next().map_or("", String::as_str)),
            word => word.strip_prefix("--peers="),
        };
        if let Some(peers) = peers {
            if let Some(other) = peers.split(',').find(|peer| !PEERS.contains(peer)) {
                return unknown("peer", other, PEERS.into_iter());
            }
        } else if word.starts_with('-') && !BENCH_FLAGS.contains(&word.as_str()) {
            return unknown("flag", word, BENCH_FLAGS.into_iter().chain(["--peers"]));
        } else if !word.starts_with('-') && !known.contains(&word.as_str()) {
            return unknown("case", word, known.into_iter());
        }
    }
    process::forward_release("bench", arguments)
}

/// Without a name or a selection there is nothing to run: list what there is.
fn run(arguments: &[String]) -> Exit {
    if arguments.is_empty() {
        return process::forward("course", &["list"], &[]);
    }
    process::forward("course", &["run"], arguments)
}

fn book(arguments: &[String]) -> Exit {
    match arguments.first().map(String::as_str) {
        None => process::forward("booktool", &["build"], &[]),
        Some("api") if matches!(&arguments[1..], [flag] if flag == "--check") => {
            process::forward("booktool", &[], arguments)
        }
        Some("build" | "check" | "api" | "bless") if arguments.len() == 1 => {
            process::forward("booktool", &[], arguments)
        }
        Some("api") => {
            eprintln!("cargo xtask book api takes --check or nothing, got `{}`", arguments[1..].join(" "));
            USAGE
        }
        Some(name @ ("build" | "check" | "bless")) => {
            eprintln!("cargo xtask book {name} takes no arguments, got `{}`", arguments[1..].join(" "));
            USAGE
        }
        Some(name) => {
            unknown("part of `cargo xtask book`", name, ["build", "check", "api", "bless"].into_iter())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_house_is_there_once() {
        let names: Vec<&str> = COMMANDS.iter().map(|c| c.name).collect();
        let wanted =
            "serve test-all test check run claims figures results data book bench check-cuda gpu-pack ci";
        assert_eq!(names.join(" "), wanted);
    }

    #[test]
    fn what_a_command_does_not_take_exits_with_two() {
        assert_eq!(dispatch(&["gpu-pack".into(), "--fast".into()]), USAGE);
    }

    #[test]
    fn unknown_cases_of_the_benchmark_exit_with_two_before_anything_is_compiled() {
        for words in [
            &["--peers", "torch", "mlq"][..],
            &["--peers"],
            &["--peers", "torch,brun"],
            &["--peers=torhc"],
            &["mlp", "--quik"],
        ] {
            let words: Vec<String> = ["bench"].iter().chain(words).map(|word| (*word).to_owned()).collect();
            assert_eq!(dispatch(&words), USAGE, "{words:?}");
        }
    }

    #[test]
    fn unknown_commands_exit_with_two() {
        assert_eq!(dispatch(&["test-al".into()]), USAGE);
    }

    #[test]
    fn the_overview_names_every_command() {
        let text = overview();
        for c in COMMANDS {
            assert!(
                text.contains(&format!("  {:<11} {}", c.name, c.does)),
                "{} is missing in\n{text}",
                c.name
            );
        }
    }
}
