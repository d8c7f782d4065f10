//! `cargo xtask bench`: our operations and training steps beside PyTorch, burn and candle, in turns, in one run.
//!
//! | part | what it does |
//! |---|---|
//! | `cases` | which cases there are, and which of them a person means |
//! | `sides` | prepares the peers: a Python with PyTorch, the packages of `tests/peers` |
//! | `worker` | talks to a side, compares what the sides compute |
//! | `measure` | rounds, in which each side has its turn |
//! | `report` | the table, the result file, the closing line |
//! | `figure` | the picture of the ratios |
//! | `ours` | our side: every case on the public API of `kernels`, `layers` and `optim` |
//!
//! Exit code 0: done. 1: a side failed, or a file could not be written. 2: bad use.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cases;
mod error;
mod figure;
mod machine;
mod measure;
mod ours;
mod report;
mod sides;
mod statistics;
mod worker;

use cases::Group;
use clap::{Parser, Subcommand};
use error::Error;
use measure::{Effort, measure};
use report::{Report, Run};
use sides::{Peer, Way};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use worker::Worker;

/// Times our operations and training steps beside PyTorch, dfdx, burn and candle.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Cases, families (what stands before a slash) or groups: steps, operations, updates, growth, ways [default: all]
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Whom to compare with
    #[arg(long, value_delimiter = ',', default_value = "torch,compile,fused,dfdx,burn,candle", value_enum)]
    peers: Vec<Peer>,
    /// Three short rounds instead of nine: a look, in a few minutes; nothing is recorded
    #[arg(long)]
    quick: bool,
    /// Name the cases and end
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    serve: Option<Serve>,
}

#[derive(Debug, Subcommand)]
enum Serve {
    /// Be our side of a comparison: commands on standard input, answers on standard output
    Serve {
        /// Or another way of ours
        #[arg(value_enum)]
        way: Option<Way>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Serve::Serve { way }) = arguments.serve {
        return match ours::serve(way) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE, // whoever asked is gone
        };
    }
    match bench(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.code())
        }
    }
}

/// Every case: the steps in the order of the tables, then what else our side has.
fn known() -> Vec<String> {
    let mut known: Vec<String> = cases::STEPS.iter().map(|name| name.to_string()).collect();
    known.extend(ours::names().into_iter().filter(|name| !cases::STEPS.contains(&name.as_str())));
    known
}

fn bench(arguments: &Arguments) -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    let chosen = cases::select(&known(), &arguments.cases).map_err(|word| Error::UnknownCase { word })?;
    if arguments.list {
        chosen.iter().for_each(|case| println!("{case}"));
        return Ok(());
    }
    let logs = root.join("target/bench");
    std::fs::create_dir_all(&logs).map_err(|source| Error::Write { path: logs.clone(), source })?;
    let has = |group: fn(Group) -> bool| chosen.iter().any(|case| group(Group::of(case)));
    let mut all = vec![sides::ours(None)?];
    if has(|group| group != Group::Ways) {
        for peer in &arguments.peers {
            all.push(peer.prepare(root)?);
        }
    }
    if has(|group| group == Group::Ways) {
        for way in Way::ALL {
            all.push(sides::ours(Some(way))?);
        }
    }
    let load = machine::load();
    println!("{}; load before the start {}", machine::processor(), report::load(load));
    let mut workers = Vec::new();
    for side in all {
        let log = logs.join(format!("{}.log", side.name));
        workers.push(Worker::start(side, &log)?);
    }
    let start = Instant::now();
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let mut measured = Vec::new();
    println!("{}", report::header(&workers));
    for case in &chosen {
        // A fresh process for each case of ours: no memory of an earlier one.
        for way in [None].into_iter().chain(Way::ALL.map(Some)) {
            let side = sides::ours(way)?;
            if let Some(worker) = workers.iter_mut().find(|worker| worker.name == side.name) {
                let log = logs.join(format!("{}.log", side.name));
                *worker = Worker::start(side, &log)?;
            }
        }
        let found = measure(&mut workers, case, effort)?;
        println!("{}", report::row(&found, &workers));
        measured.push(found);
    }
    let run = Run {
        load,
        is_quick: arguments.quick,
        versions: workers.iter().map(|worker| (worker.name, worker.version.clone())).collect(),
        wall_seconds: start.elapsed().as_secs_f64(),
    };
    Report::new(run, measured).finish(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["bench"], words].concat())
    }

    #[test]
    fn cases_peers_and_quick_are_understood() {
        let arguments = parsed(&["mlp", "exp/1m", "--peers", "torch,burn", "--quick"]).unwrap();
        assert_eq!(arguments.cases, ["mlp", "exp/1m"]);
        assert_eq!(arguments.peers, [Peer::Torch, Peer::Burn]);
        assert!(arguments.quick && !arguments.list && arguments.serve.is_none());
    }

    #[test]
    fn without_words_everything_is_compared_with_everybody() {
        let arguments = parsed(&[]).unwrap();
        assert!(arguments.cases.is_empty() && !arguments.quick);
        let all = [Peer::Torch, Peer::Compile, Peer::Fused, Peer::Dfdx, Peer::Burn, Peer::Candle];
        assert_eq!(arguments.peers, all);
    }

    #[test]
    fn an_unknown_peer_is_refused_with_the_known_ones() {
        let said = parsed(&["--peers", "torhc"]).unwrap_err().to_string();
        assert!(said.contains("torhc") && said.contains("candle"), "{said}");
    }

    #[test]
    fn xtask_reads_a_list_of_these_cases() {
        let all = cases::select(&known(), &[]).unwrap();
        assert_eq!(include_str!("../cases.txt").lines().collect::<Vec<_>>(), all);
    }

    #[test]
    fn our_side_is_a_command_of_its_own() {
        assert!(matches!(parsed(&["serve"]).unwrap().serve, Some(Serve::Serve { way: None })));
        let way = parsed(&["serve", "duals"]).unwrap().serve;
        assert!(matches!(way, Some(Serve::Serve { way: Some(Way::Duals) })));
        assert!(parsed(&["serve", "mlp"]).is_err());
    }
}
