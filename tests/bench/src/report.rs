//! The table that a person reads, the result files that the book reads, and the closing line.
use crate::cases::{Described, FUSED_GOALS, GOALS, GROWING, Group, STEPS, WAYS};
use crate::machine::{self, MOST_LOAD, THREADS};
use crate::measure::{Effort, Measured, Timed};
use crate::sides::{OURS, Way};
use crate::statistics::{geometric_mean, slope};
use crate::worker::Worker;
use crate::{Error, figure, ours};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Above this, the 90th percentile over the 10th is called two modes.
const MOST_SPREAD: f64 = 1.5;

/// The side that ratios are judged by.
const TORCH: &str = "torch";

/// Goals: PyTorch's time over ours, on average and at worst; the same for the other peers; our peak over PyTorch's.
const LEAST_MEAN: f64 = 1.5;
const LEAST_WORST: f64 = 0.8;
const LEAST_RUST: f64 = 3.0;
const MOST_MEMORY: f64 = 1.0;

/// Goals of the ways: the tape of matrices over dfdx's, milliseconds of a million operations on the tape of numbers, one
/// example after the other over all as one matrix (what Nielsen's problem promises).
const MOST_GRAPH: f64 = 2.0;
const MOST_MILLION: f64 = 30.0;
const LEAST_MATRIX: f64 = 5.0;

/// A peer with fewer cases in a group has no column, which a page has no room for: the figure and the checks show it.
const LEAST_CASES: usize = 3;

/// How the run was made.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Busy cores before the start.
    pub(crate) load: Option<f64>,
    /// Short rounds.
    pub(crate) is_quick: bool,
    /// Side and version of its library.
    pub(crate) versions: Vec<(&'static str, String)>,
    /// Seconds of the whole.
    pub(crate) wall_seconds: f64,
}

impl Run {
    /// Whether its numbers may be kept.
    fn is_valid(&self) -> bool {
        !self.is_quick && self.load.is_some_and(|load| load <= MOST_LOAD)
    }
}

/// What a run found.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    run: Run,
    measured: Vec<Measured>,
}

/// Load in words.
pub(crate) fn load(load: Option<f64>) -> String {
    match load {
        None => "unknown: this run is not valid".into(),
        Some(load) if load > MOST_LOAD => format!("{load:.2}, above {MOST_LOAD}: this run is not valid"),
        Some(load) => format!("{load:.2}"),
    }
}

/// Names of the columns.
pub(crate) fn header(workers: &[Worker]) -> String {
    let peers = workers.iter().skip(1).map(|worker| format!("{:>8} {:<13}", worker.name, "[10%, 90%]"));
    let peers: String = peers.collect();
    format!("{:<34}{:>12} {:>7}  {peers}{:>16}", "case", "ours, ms", "90/10", "peak ours/torch")
}

/// One case: our time, and how many times as long each peer takes.
pub(crate) fn row(measured: &Measured, workers: &[Worker]) -> String {
    let mut text = format!("{:<34}", measured.case);
    let Some(ours) = measured.side(OURS) else {
        let why = measured.refused.iter().find(|refused| refused.side == OURS);
        return text + &format!("{:>12}", why.map_or("absent", |refused| refused.why.as_str()));
    };
    let flag = if ours.spread() > MOST_SPREAD { "!" } else { " " };
    text += &format!("{:>12.4} {:>6.2}{flag}  ", 1e3 * ours.p50, ours.spread());
    for worker in workers.iter().skip(1) {
        text += &match measured.side(worker.name) {
            Some(t) => {
                format!("{:>8.2} {:<13}", t.ratio, format!("[{:.2}, {:.2}]", t.ratio_p10, t.ratio_p90))
            }
            None => format!("{:>8} {:<13}", "-", ""),
        };
    }
    let peak =
        |timed: Option<&Timed>| timed.map_or("-".into(), |t| format!("{:.1}", t.peak_bytes as f64 / 1e6));
    text += &format!("{:>16}", format!("{} / {} MB", peak(Some(ours)), peak(measured.side(TORCH))));
    for refused in &measured.refused {
        text += &format!("\n    {} is not timed: {}", refused.side, refused.why);
    }
    text
}

impl Report {
    pub(crate) fn new(run: Run, measured: Vec<Measured>) -> Self {
        Self { run, measured }
    }

    /// Prints what follows from the rows, writes the results, ends with the closing line.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn finish(&self, root: &Path) -> Result<(), Error> {
        for line in self.slopes().iter().map(Slope::text).chain(self.modes()) {
            println!("{line}");
        }
        for group in Group::ALL {
            let cases = self.of(group);
            if cases.is_empty() {
                continue;
            }
            for peer in self.peers(group).filter(|_| group != Group::Ways) {
                println!("{}", self.summary(group, peer));
            }
            let is_whole = if group == Group::Ways {
                let is_there = |case: &str, side: &str| {
                    cases.iter().any(|measured| measured.case == case && measured.side(side).is_some())
                };
                WAYS.iter().all(|way| is_there(way.case, way.side))
            } else {
                ours::names().iter().filter(|name| Group::of(name) == group).all(|name| {
                    cases.iter().any(|measured| measured.case == *name && measured.side(TORCH).is_some())
                })
            };
            let book = root.join("book");
            let (results, figures) = if self.run.is_valid() && is_whole {
                (book.join("results"), book.join("src/figures"))
            } else {
                (root.join("target/bench"), root.join("target/bench"))
            };
            let name = format!("bench-{}", group.name());
            let text =
                serde_json::to_string_pretty(&self.json(group)).expect("numbers and words are JSON") + "\n";
            write(&results.join(format!("{name}.json")), &text)?;
            if has_figure(group) {
                write(&figures.join(format!("{name}-ratios.svg")), &figure::ratios(&self.ratios(group)))?;
            }
            println!(
                "wrote {}",
                results.join(format!("{name}.json")).strip_prefix(root).unwrap_or(&results).display()
            );
        }
        println!("{}", self.closing());
        Ok(())
    }

    fn of(&self, group: Group) -> Vec<&Measured> {
        self.measured.iter().filter(|measured| Group::of(&measured.case) == group).collect()
    }

    /// Who is compared with ours in a group: other libraries, or other ways of our own.
    fn peers(&self, group: Group) -> impl Iterator<Item = &'static str> {
        let is_way = |name: &str| Way::ALL.iter().any(|way| way.name() == name);
        let names = self.run.versions.iter().map(|(name, _)| *name).filter(|name| *name != OURS);
        names.filter(move |name| is_way(name) == (group == Group::Ways))
    }

    /// Case and ratio of one peer's time to ours.
    fn against(&self, group: Group, peer: &str) -> Vec<(&str, &Timed)> {
        let of = self.of(group).into_iter();
        of.filter_map(|measured| Some((measured.case.as_str(), measured.side(peer)?))).collect()
    }

    /// Every case's ratios, for the figure.
    fn ratios(&self, group: Group) -> Vec<figure::Row> {
        let row = |measured: &&Measured| {
            measured.side(OURS)?;
            let peers = self.peers(group).filter_map(|peer| {
                let t = measured.side(peer)?;
                Some(figure::Dot { peer, ratio: t.ratio, low: t.ratio_p10, high: t.ratio_p90 })
            });
            Some(figure::Row { case: measured.case.clone(), dots: peers.collect() })
        };
        self.of(group).iter().filter_map(row).collect()
    }

    fn summary(&self, group: Group, peer: &str) -> String {
        let found = self.against(group, peer);
        let ratios: Vec<f64> = found.iter().map(|(_, timed)| timed.ratio).collect();
        let worst = found.iter().min_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio));
        match worst {
            None => format!("{}, {peer} time / our time: no case", group.name()),
            Some((case, timed)) => format!(
                "{}, {peer} time / our time: geometric mean {:.2}, worst {case} {:.2}, {} cases",
                group.name(),
                geometric_mean(&ratios),
                timed.ratio,
                ratios.len()
            ),
        }
    }

    /// Cases in which ours has two modes.
    fn modes(&self) -> Vec<String> {
        let spread = |measured: &Measured| Some((measured.case.clone(), measured.side(OURS)?.spread()));
        let wide = self.measured.iter().filter_map(spread).filter(|(_, spread)| *spread > MOST_SPREAD);
        wide.map(|(case, spread)| format!("two modes: {case}, percentile 90 / 10 of ours {spread:.2}"))
            .collect()
    }

    fn slopes(&self) -> Vec<Slope> {
        let mut slopes = Vec::new();
        for growing in GROWING {
            for side in [OURS].into_iter().chain(self.peers(Group::Growth)) {
                let mut points: Vec<(f64, &Timed)> = self
                    .measured
                    .iter()
                    .filter_map(|measured| {
                        let (family, size) = measured.case.split_once('/')?;
                        let size = size.parse().ok().filter(|_| family == growing.family)?;
                        Some((size, measured.side(side)?))
                    })
                    .collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                // The small sizes show what a call costs, the large ones how the time grows.
                let Some(large) = points.len().checked_sub(3).map(|from| &points[from..]) else { continue };
                let of =
                    |y: fn(&Timed) -> f64| slope(&large.iter().map(|(x, t)| (*x, y(t))).collect::<Vec<_>>());
                slopes.push(Slope {
                    what: growing.what,
                    expected: growing.exponent,
                    side,
                    sizes: (large[0].0, large[2].0),
                    time: of(|timed| timed.p50),
                    memory: of(|timed| timed.peak_bytes.max(1) as f64),
                });
            }
        }
        slopes
    }

    /// The last line of a run.
    fn closing(&self) -> String {
        let found = self.against(Group::Steps, TORCH);
        let wanted = self.measured.iter().filter(|measured| STEPS.contains(&measured.case.as_str())).count();
        let worst = found.iter().min_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio));
        let ratios: Vec<f64> = found.iter().map(|(_, timed)| timed.ratio).collect();
        let Some((case, timed)) = worst else {
            return format!("training steps, PyTorch time / our time: cases 0/{wanted}");
        };
        format!(
            "training steps, PyTorch time / our time: geometric mean {:.2}, worst {case} {:.2}, cases {}/{wanted}",
            geometric_mean(&ratios),
            timed.ratio,
            ratios.len()
        )
    }

    /// The result file of one group, in the form of an experiment's.
    fn json(&self, group: Group) -> Value {
        let name = format!("bench-{}", group.name());
        let peers: serde_json::Map<String, Value> = self
            .peers(group)
            .filter(|peer| !self.against(group, peer).is_empty())
            .map(|peer| (peer.to_owned(), self.against_json(group, peer)))
            .collect();
        let versions: serde_json::Map<String, Value> =
            self.run.versions.iter().map(|(side, version)| (side.to_string(), json!(version))).collect();
        let effort = if self.run.is_quick { Effort::QUICK } else { Effort::FULL };
        let claim = match group {
            Group::Steps => "Training steps take less time and memory than PyTorch's.",
            Group::Operations => "Operations take less time than PyTorch's.",
            Group::Updates => "Rules of lecture 8 step faster than PyTorch's.",
            Group::Growth => "Time grows as the arithmetic does.",
            Group::Ways => "Each idea takes less time than what it replaces.",
        };
        json!({
            "format": 1,
            "name": name,
            "lecture": null,
            "paper": "none: a measurement on one machine",
            "claim": claim,
            "command": "cargo xtask bench",
            "quick": self.run.is_quick,
            "seeds": [],
            "config": { "rounds": effort.rounds, "turn_seconds": effort.turn, "threads": THREADS },
            "report": {
                "peers": peers,
                "planned": if group == Group::Steps { STEPS.len() } else { self.of(group).len() },
                "table": if group == Group::Ways { self.way_table() } else { self.table(group) },
                "ways": if group == Group::Ways { self.ways() } else { Value::Null },
                "slopes": self.slope_table(),
                "cases": self.of(group),
                "machine": machine::processor(),
                "load": self.run.load,
            },
            "checks": self.checks(group),
            "figures": if has_figure(group) { vec![format!("{name}-ratios.svg")] } else { vec![] },
            "versions": versions,
            "unstable": { "wall_seconds": self.run.wall_seconds, "commit": commit(), "machine": machine::processor() },
        })
    }

    fn against_json(&self, group: Group, peer: &str) -> Value {
        let found = self.against(group, peer);
        let ratios: Vec<f64> = found.iter().map(|(_, timed)| timed.ratio).collect();
        let worst = found.iter().min_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio));
        json!({
            "geometric_mean": geometric_mean(&ratios),
            "worst": worst.map(|(_, timed)| timed.ratio),
            "worst_case": worst.map(|(case, _)| case),
            "cases": ratios.len(),
        })
    }

    /// Columns and rows as the book shows them.
    fn table(&self, group: Group) -> Value {
        let has_column = |peer: &&str| *peer == TORCH || self.against(group, peer).len() >= LEAST_CASES;
        let peers: Vec<&str> = self.peers(group).filter(has_column).collect();
        let mut columns = vec!["case".to_owned(), "ours, ms".to_owned(), "90/10".to_owned()];
        columns.extend(peers.iter().map(|peer| (*peer).to_owned())); // its time over ours
        let has_goals = group == Group::Steps;
        if has_goals {
            columns.insert(4, "goal".to_owned());
        }
        columns.push("peak ours, MB".to_owned());
        columns.push("peak torch, MB".to_owned());
        let megabytes = |timed: Option<&Timed>| {
            timed.map_or("".to_owned(), |t| format!("{:.1}", t.peak_bytes as f64 / 1e6))
        };
        let row =
            |measured: &&Measured| -> Option<Vec<String>> {
                let ours = measured.side(OURS)?;
                let mut row =
                    vec![measured.case.clone(), milliseconds(ours.p50), format!("{:.2}", ours.spread())];
                row.extend(peers.iter().map(|peer| {
                    measured.side(peer).map_or("".into(), |timed| format!("{:.2}", timed.ratio))
                }));
                if has_goals {
                    let goal = GOALS.iter().find(|(case, _)| *case == measured.case);
                    row.insert(4, goal.map_or("".into(), |(_, most)| format!("{:.2}", most.recip())));
                }
                row.push(megabytes(Some(ours)));
                row.push(megabytes(measured.side(TORCH)));
                Some(row)
            };
        json!({ "columns": columns, "rows": self.of(group).iter().filter_map(row).collect::<Vec<_>>() })
    }

    /// Every way with its time, in the order of [`WAYS`].
    fn ways_found(&self) -> impl Iterator<Item = (&'static Described, &Timed)> {
        WAYS.iter().filter_map(|way| {
            let measured = self.measured.iter().find(|measured| measured.case == way.case)?;
            Some((way, measured.side(way.side)?))
        })
    }

    /// Each way by the name of its case and of its side, for the text: milliseconds of a pass and of all passes.
    fn ways(&self) -> Value {
        let mut cases = serde_json::Map::new();
        for (way, timed) in self.ways_found() {
            let numbers = json!({
                "milliseconds": 1e3 * timed.p50,
                "ratio": timed.ratio,
                "passes": way.passes,
                "all_seconds": timed.p50 * f64::from(way.passes),
                "peak_megabytes": timed.peak_bytes as f64 / 1e6,
            });
            let case = cases.entry(way.case.replace(['/', '-'], "_")).or_insert_with(|| json!({}));
            case[way.side] = numbers;
        }
        Value::Object(cases)
    }

    fn way_table(&self) -> Value {
        let columns = ["what is computed", "way", "a pass, ms", "passes", "all of it, ms", "peak memory, MB"];
        let row = |(way, timed): (&Described, &Timed)| {
            let all = milliseconds(timed.p50 * f64::from(way.passes));
            let peak = format!("{:.1}", timed.peak_bytes as f64 / 1e6);
            [way.what.into(), way.how.into(), milliseconds(timed.p50), way.passes.to_string(), all, peak]
        };
        json!({ "columns": columns, "rows": self.ways_found().map(row).collect::<Vec<[String; 6]>>() })
    }

    fn slope_table(&self) -> Value {
        let rows: Vec<[String; 6]> = self
            .slopes()
            .iter()
            .map(|s| {
                let sizes = format!("{} to {}", s.sizes.0, s.sizes.1);
                let [expected, time, memory] = [s.expected, s.time, s.memory].map(|x| format!("{x:.2}"));
                [s.what.to_owned(), sizes, expected, s.side.to_owned(), time, memory]
            })
            .collect();
        json!({ "columns": ["what grows", "sizes", "arithmetic", "side", "time", "peak memory"], "rows": rows })
    }

    /// The goals as checks.
    fn checks(&self, group: Group) -> Vec<Value> {
        let mut checks = Vec::new();
        let mut check = |id: String, claim: String, value: f64, n: usize, bound: Value, holds: bool| {
            let reason = (!holds).then_some(match (group, id.rsplit('-').next()) {
                (Group::Steps, Some("mlp" | "gp" | "ntk" | "vae")) => {
                    "more than half of the step is products of matrices, in which both sides reach what the processor can; \
                     what is left between them is less than the goal assumed"
                }
                (Group::Steps, Some("small" | "ode")) => {
                    "some dozens of operations of less than a microsecond, each with its place on dfdx's tape: no single one \
                     stands out"
                }
                (Group::Ways, Some("graph")) => {
                    "its products are nalgebra's, on one thread; those of our kernels use both and wider vectors"
                }
                (Group::Ways, _) => {
                    "likely: an example of so small a network is over in microseconds, and the weights stay in a cache between \
                     examples: there is little that a larger product can save"
                }
                (Group::Updates, _) => {
                    "before it changes a weight a step looks through the whole gradient for what is not a number. That is a \
                     second way through memory, and memory bounds a plain rule on a million weights: timed alone, the look \
                     takes two thirds of what the step itself does. Adafactor runs one tensor on one thread"
                }
                _ => "the slowest rows are products and sums, which the processor and its memory bound on every side",
            });
            checks.push(json!({
                "id": id, "claim": claim, "measured": { "mean": value, "sd": null, "n": n }, "bound": bound,
                "bound_source": "goal", "baseline": null, "holds": holds, "reason_if_failed": reason,
            }));
        };
        for (way, timed) in self.ways_found().filter(|_| group == Group::Ways) {
            let (claim, value, bound) = match (way.case, way.side) {
                (_, "graph") => ("time of the tape of matrices over dfdx's", timed.ratio, Err(MOST_GRAPH)),
                ("chain/1m", OURS) => {
                    ("milliseconds for a million operations and back", 1e3 * timed.p50, Err(MOST_MILLION))
                }
                ("minibatch/10", "loop") => {
                    ("time of ten examples one by one over one matrix", timed.ratio, Ok(LEAST_MATRIX))
                }
                ("minibatch/100", "loop") => ("the same for a hundred", timed.ratio, Ok(LEAST_MATRIX)),
                _ => continue,
            };
            let id = format!("{}-{}", way.case.replace('/', "-"), way.side);
            let (holds, bound) = match bound {
                Ok(least) => (value >= least, json!({ "at_least": least })),
                Err(most) => (value <= most, json!({ "at_most": most })),
            };
            check(id, claim.to_owned(), value, timed.repetitions, bound, holds);
        }
        for peer in self.peers(group).filter(|_| has_figure(group)) {
            let ratios: Vec<f64> = self.against(group, peer).iter().map(|(_, timed)| timed.ratio).collect();
            let least = match peer {
                TORCH => LEAST_MEAN,
                "burn" | "candle" => LEAST_RUST,
                _ => continue,
            };
            let (mean, n) = (geometric_mean(&ratios), ratios.len());
            if n == 0 {
                continue;
            }
            let claim = format!("geometric mean of {peer}'s time over ours");
            check(format!("{peer}-mean"), claim, mean, n, json!({ "at_least": least }), mean >= least);
            if peer == TORCH {
                let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let claim = "PyTorch's time over ours in the worst case".to_owned();
                check(
                    "torch-worst".into(),
                    claim,
                    worst,
                    n,
                    json!({ "at_least": LEAST_WORST }),
                    worst >= LEAST_WORST,
                );
            }
        }
        let of_steps = GOALS.iter().map(|&(case, most)| (case, TORCH, most));
        for (case, peer, most) in of_steps.chain(FUSED_GOALS.iter().copied()) {
            let found = self.against(group, peer);
            let Some((_, timed)) = found.iter().find(|(name, _)| *name == case) else { continue };
            let who = match peer {
                TORCH => "PyTorch's time",
                "fused" => "time of PyTorch with a fused optimiser",
                _ => "dfdx's time",
            };
            let id = format!("{peer}-{}", case.replace('/', "-"));
            let claim = format!("{who} over ours in {case}");
            let least = most.recip();
            let bound = json!({ "at_least": least });
            check(id, claim, timed.ratio, timed.repetitions, bound, timed.ratio >= least);
        }
        let peaks = self.of(group).into_iter().filter_map(|measured| {
            let [ours, torch] = [OURS, TORCH].map(|side| measured.side(side).map(|timed| timed.peak_bytes));
            let (ours, torch) = (ours?, torch?.max(1));
            Some(ours as f64 / torch as f64)
        });
        let peaks: Vec<f64> = peaks.collect();
        if has_figure(group) && !peaks.is_empty() {
            let most = peaks.iter().copied().fold(0.0, f64::max);
            let claim = "our peak memory over PyTorch's in the worst case".to_owned();
            check(
                "memory".into(),
                claim,
                most,
                peaks.len(),
                json!({ "at_most": MOST_MEMORY }),
                most <= MOST_MEMORY,
            );
        }
        checks
    }
}

/// Whether the ratios of a group are drawn.
fn has_figure(group: Group) -> bool {
    matches!(group, Group::Steps | Group::Operations | Group::Updates)
}

/// How the time and memory of one side grow.
#[derive(Clone, Debug)]
struct Slope {
    what: &'static str,
    expected: f64,
    side: &'static str,
    sizes: (f64, f64),
    time: f64,
    memory: f64,
}

impl Slope {
    fn text(&self) -> String {
        let Self { what, expected, side, sizes, time, memory } = self;
        format!(
            "growth, {what}, {} to {}: {side} time ^{time:.2}, memory ^{memory:.2} (arithmetic ^{expected})",
            sizes.0, sizes.1
        )
    }
}

/// Three significant digits.
fn milliseconds(seconds: f64) -> String {
    let value = 1e3 * seconds;
    let decimals = (2.0 - value.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

/// The commit of the working tree, where git knows one.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Writes beside the file and renames, so that an interrupted run leaves the old or the new one.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(side: &'static str, p50: f64, ratio: f64, peak_bytes: u64) -> Timed {
        let (p10, p90) = (0.9 * p50, 1.8 * p50);
        let (ratio_p10, ratio_p90) = (0.9 * ratio, 1.1 * ratio);
        Timed { side, p10, p50, p90, ratio, ratio_p10, ratio_p90, peak_bytes, repetitions: 9 }
    }

    fn measured(case: &str, ours: f64, torch: f64) -> Measured {
        let sides = vec![timed(OURS, ours, 1.0, 50_000_000), timed(TORCH, torch, torch / ours, 40_000_000)];
        Measured { case: case.into(), sides, refused: vec![] }
    }

    fn report(measured: Vec<Measured>) -> Report {
        let versions = vec![(OURS, "0.1.0".to_owned()), (TORCH, "2.15.0".to_owned())];
        Report::new(Run { load: Some(0.1), is_quick: false, versions, wall_seconds: 1.0 }, measured)
    }

    #[test]
    fn the_closing_line_speaks_of_training_steps_alone() {
        let mut without = measured("gpt", 1.0, 1.0);
        without.sides.pop();
        let report = report(vec![
            measured("mlp", 1.0, 4.0),
            measured("vae", 2.0, 2.0),
            without,
            measured("exp/1m", 9.0, 1.0),
        ]);
        let wanted =
            "training steps, PyTorch time / our time: geometric mean 2.00, worst vae 1.00, cases 2/3";
        assert_eq!(report.closing(), wanted);
    }

    /// Other libraries are not asked for our own ways, nor these for the operations; passes are multiplied.
    #[test]
    fn ways_stand_apart() {
        let mut all = report(vec![measured("mlp", 1.0, 4.0)]);
        all.run.versions.extend([("graph", "0.1.0".to_owned()), ("duals", "0.1.0".to_owned())]);
        let sides = vec![
            timed(OURS, 1e-3, 1.0, 2_000_000),
            timed("graph", 3e-3, 3.0, 9_000_000),
            timed("duals", 5e-3, 5.0, 0),
        ];
        all.measured.push(Measured { case: "gradient/784-100-10".into(), sides, refused: vec![] });
        assert_eq!(all.peers(Group::Steps).collect::<Vec<_>>(), [TORCH]);
        assert_eq!(all.peers(Group::Ways).collect::<Vec<_>>(), ["graph", "duals"]);
        let json = all.json(Group::Ways);
        let duals = &json["report"]["ways"]["gradient_784_100_10"]["duals"];
        assert!((duals["all_seconds"].as_f64().unwrap() - 397.55).abs() < 1e-9, "{duals}");
        assert_eq!(json["report"]["table"]["rows"][1][4], "3.00");
        let checks = json["checks"].as_array().unwrap();
        assert_eq!((checks.len(), checks[0]["holds"].as_bool()), (1, Some(false)));
        assert_eq!(all.json(Group::Steps)["checks"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn slopes_are_those_of_the_three_largest_sizes() {
        let cases = [(1, 5.0), (4, 5.0), (16, 6.0), (64, 24.0), (256, 96.0)];
        let report = report(cases.map(|(n, t)| measured(&format!("batch/{n}"), t, 2.0 * t)).to_vec());
        let slopes = report.slopes();
        assert_eq!(slopes.len(), 2);
        assert_eq!((slopes[0].side, slopes[0].sizes), (OURS, (16.0, 256.0)));
        assert!((slopes[0].time - 1.0).abs() < 1e-12 && slopes[0].memory.abs() < 1e-12, "{slopes:?}");
    }

    #[test]
    fn a_wide_spread_is_called_two_modes() {
        let modes = report(vec![measured("mlp", 1.0, 4.0)]).modes();
        assert_eq!(modes, ["two modes: mlp, percentile 90 / 10 of ours 2.00"]);
    }

    #[test]
    fn goals_are_judged() {
        let json = report(vec![measured("mlp", 1.0, 4.0), measured("vae", 2.0, 1.5)]).json(Group::Steps);
        let checks = json["checks"].as_array().unwrap();
        let verdicts: Vec<_> =
            checks.iter().map(|c| (c["id"].as_str().unwrap(), c["holds"].as_bool().unwrap())).collect();
        let of_cases = [("torch-mlp", true), ("torch-vae", false)];
        assert_eq!(
            verdicts,
            [&[("torch-mean", true), ("torch-worst", false)], &of_cases[..], &[("memory", false)]].concat()
        );
        assert_eq!(json["report"]["table"]["rows"][1][1], "2000");
        assert_eq!(json["report"]["table"]["columns"][4], "goal");
        assert_eq!(json["report"]["table"]["rows"][1][4], "1.67");
    }

    #[test]
    fn only_a_full_run_on_a_quiet_machine_is_valid() {
        let mut run = report(vec![]).run;
        assert!(run.is_valid());
        run.load = Some(0.31);
        assert!(!run.is_valid() && load(run.load).contains("not valid"));
        run.load = None;
        assert!(!run.is_valid());
        (run.load, run.is_quick) = (Some(0.0), true);
        assert!(!run.is_valid());
    }

    #[test]
    fn three_digits_of_a_time() {
        assert_eq!(
            ["0.00123", "12.3", "1235"],
            [1.234e-6, 0.01234, 1.2346].map(milliseconds).map(|t| t.leak() as &str)
        );
    }
}
