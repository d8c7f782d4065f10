//! `test-all`: every stage in turn, going on after a failing one; a table of stages; one closing line.
use crate::check;
use crate::count::{Count, closing_line};
use crate::process::{Exit, FAILED, OK, USAGE, cannot_start, cargo};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One row of the table.
struct Stage {
    name: &'static str,
    /// Runs it; where it is strict, tools learn that nothing may be left out.
    run: fn(strict: bool) -> Count,
}

/// In this order: cheap and telling first.
const STAGES: &[Stage] = &[
    Stage { name: "format", run: |strict| perform(check::format_command(), strict) },
    Stage { name: "lints", run: |strict| perform(check::lint_command(), strict) },
    Stage { name: "cuda types", run: |strict| perform(check::cuda_command(), strict) },
    Stage {
        name: "tests",
        run: |strict| {
            let kinds = ["--lib", "--bins", "--tests", "--examples"];
            let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
            command.args(kinds);
            perform(command, strict)
        },
    },
    Stage {
        name: "doctests",
        run: |strict| perform(doctests(&["--workspace", "--exclude", "book"]), strict),
    },
    Stage { name: "listings", run: listings },
    Stage { name: "loom", run: |strict| perform(check::loom_command(), strict) },
    Stage {
        name: "memory",
        run: |strict| match check::memory_command() {
            Ok(command) => perform(command, strict),
            Err(why) => skipped(&why),
        },
    },
    Stage { name: "documentation", run: documentation },
    Stage { name: "book", run: |strict| perform(booktool("build"), strict) },
    Stage { name: "book pages", run: |strict| perform(booktool("check"), strict) },
    Stage { name: "claims", run: |strict| perform(course(&["claims", "--check"]), strict) },
    Stage { name: "figures", run: |strict| perform(course(&["figures", "--check"]), strict) },
    Stage { name: "quick results", run: |strict| perform(course(&["results", "--check"]), strict) },
];

fn booktool(command: &str) -> Command {
    cargo(&["run", "-q", "-p", "booktool", "--", command])
}

fn course(arguments: &[&str]) -> Command {
    let mut command = cargo(&["run", "-q", "-p", "course", "--"]);
    command.args(arguments);
    command
}

fn doctests(packages: &[&str]) -> Command {
    let mut command = cargo(&["test", "--no-fail-fast", "--doc"]);
    command.args(packages).env(check::DOCTEST_FLAGS.0, check::DOCTEST_FLAGS.1).env_remove("BLESS");
    command
}

/// The listings of the book: each runs, and none has escaped, so their number is the one that booktool counts.
fn listings(strict: bool) -> Count {
    let mut count = perform(doctests(&["-p", "book"]), strict);
    let counted = booktool("listings").stdin(Stdio::null()).output();
    let wanted = counted.ok().and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok());
    if wanted == Some(count.total()) {
        count.passed += 1;
    } else {
        let wanted = wanted.map_or("an unknown number of".into(), |number| number.to_string());
        println!("the chapters have {wanted} listings, rustdoc found {}", count.total());
        count.failed += 1;
    }
    count
}

fn documentation(strict: bool) -> Count {
    let mut command = cargo(&["doc", "-q", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    perform(command, strict)
}

fn skipped(why: &str) -> Count {
    println!("skipped: {why}");
    Count { skipped: 1, ..Count::default() }
}

/// What git sees as changed in the book; `None` where there is no git or no repository.
fn book_changes() -> Option<Vec<u8>> {
    let mut command = Command::new("git");
    command.args(["diff", "--", "book"]).current_dir(crate::process::root());
    command.output().ok().filter(|output| output.status.success()).map(|output| output.stdout)
}

/// No test may have rewritten a chapter, a result or a figure.
fn untouched(before: Option<Vec<u8>>) -> Count {
    match (before, book_changes()) {
        (Some(before), Some(after)) if before == after => Count { passed: 1, ..Count::default() },
        (Some(_), Some(_)) => {
            println!("a test has changed files under book/; `git diff -- book` shows them");
            Count { failed: 1, ..Count::default() }
        }
        _ => skipped("git cannot tell whether a test has changed files under book/"),
    }
}

/// What became of a stage.
struct Row {
    name: &'static str,
    time: Duration,
    count: Count,
}

/// `cargo xtask ci`.
pub fn ci(arguments: &[String]) -> Exit {
    if !arguments.is_empty() {
        eprintln!("ci takes no arguments");
        return USAGE;
    }
    all(true)
}

/// `cargo xtask test-all`. Under `CI=true` a skipped check counts as failed.
pub fn run(arguments: &[String]) -> Exit {
    if !arguments.is_empty() {
        eprintln!("test-all takes no arguments; `cargo xtask test UNIT` tests one crate");
        return USAGE;
    }
    all(std::env::var("CI").is_ok_and(|value| value == "true" || value == "1"))
}

fn all(strict: bool) -> Exit {
    let before = book_changes();
    let mut rows = Vec::new();
    for (i, stage) in STAGES.iter().enumerate() {
        println!("\n== {}/{} {}", i + 1, STAGES.len(), stage.name);
        let start = Instant::now();
        let count = (stage.run)(strict);
        rows.push(Row { name: stage.name, time: start.elapsed(), count });
    }
    rows.push(Row { name: "book untouched", time: Duration::ZERO, count: untouched(before) });
    let (text, code) = summary(&rows, strict);
    print!("{text}");
    std::io::stdout().flush().ok();
    code
}

/// Runs a command, shows its output and adds up the closing lines in it.
///
/// A command without closing lines is one check itself. One that fails although its lines name no failure (it did
/// not compile, or crashed) counts as one failed check more.
fn perform(mut command: Command, strict: bool) -> Count {
    if strict {
        command.env("CI", "true");
    }
    let mut child = match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            cannot_start(&command, &error);
            return Count { failed: 1, ..Count::default() };
        }
    };
    let mut count = Count::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some(counted) = closing_line(&line) {
                count.add(counted);
            }
        }
    }
    let success = child.wait().is_ok_and(|status| status.success());
    match (success, count.failed) {
        (true, _) if count.total() == 0 => count.passed = 1,
        (false, 0) => count.failed = 1,
        _ => {}
    }
    count
}

/// The table and the closing line; where `strict`, what was skipped has failed.
fn summary(rows: &[Row], strict: bool) -> (String, Exit) {
    let mut text =
        format!("\n{:<14} {:>8} {:>7} {:>7} {:>8}\n", "stage", "seconds", "passed", "failed", "skipped");
    let mut total = Count::default();
    for row in rows {
        let Count { passed, failed, skipped } = row.count;
        let seconds = row.time.as_secs_f64();
        text += &format!("{:<14} {seconds:>8.1} {passed:>7} {failed:>7} {skipped:>8}\n", row.name);
        total.add(row.count);
    }
    let seconds: f64 = rows.iter().map(|row| row.time.as_secs_f64()).sum();
    text += &format!("{:<14} {seconds:>8.1}\n\n", "all");
    let skipped = if strict { 0 } else { total.skipped };
    let failed = total.failed + total.skipped - skipped;
    text += &format!("{} passed, {failed} failed", total.passed);
    if skipped > 0 {
        text += &format!(", {skipped} skipped");
    }
    text.push('\n');
    (text, if failed == 0 { OK } else { FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn closing_lines_are_added_up() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored;'; echo '3 passed, 0 failed'";
        assert_eq!(perform(shell(script), false), Count { passed: 5, failed: 0, skipped: 1 });
    }

    #[test]
    fn a_command_without_counts_is_one_check() {
        assert_eq!(perform(shell("true"), false), Count { passed: 1, failed: 0, skipped: 0 });
        assert_eq!(perform(shell("false"), false), Count { passed: 0, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_crash_after_green_tests_still_fails() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored;'; exit 101";
        assert_eq!(perform(shell(script), false), Count { passed: 2, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_program_that_is_not_there_fails() {
        assert_eq!(perform(Command::new("no-such-program-here"), false).failed, 1);
    }

    #[test]
    fn what_is_skipped_fails_only_where_it_is_strict() {
        let rows = || {
            vec![Row { name: "x", time: Duration::ZERO, count: Count { passed: 7, failed: 0, skipped: 2 } }]
        };
        let (text, code) = summary(&rows(), false);
        assert_eq!((text.lines().last(), code), (Some("7 passed, 0 failed, 2 skipped"), OK));
        let (text, code) = summary(&rows(), true);
        assert_eq!((text.lines().last(), code), (Some("7 passed, 2 failed"), FAILED));
    }
}
