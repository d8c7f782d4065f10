//! `test-all`: every stage in turn, going on after a failing one; a table of stages; one closing line.
use crate::check;
use crate::count::{Count, closing_line};
use crate::process::{self, Built, Exit, FAILED, OK, USAGE, cannot_start, cargo};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// One row of the table.
struct Stage {
    name: &'static str,
    run: fn(&mut Session) -> Count,
}

/// What the stages of one run share.
struct Session {
    /// Tools learn that nothing may be left out.
    strict: bool,
    /// What the stage "build" made, if it has.
    built: Option<Built>,
    /// The stage "memory", which runs beside those before it: valgrind keeps one processor busy for a minute, and some
    /// of what rustdoc does keeps only one busy too.
    memory: Option<JoinHandle<(Count, Vec<String>)>>,
}

impl Session {
    /// A binary of the workspace as the stage "build" made it. `cargo run -p` would compile dfdx and all that rests on
    /// it once more, because one package alone asks for other features of the crates below than all packages together.
    fn binary(&self, name: &str) -> Result<Command, String> {
        let built = self.built.as_ref().ok_or("what this stage runs was not built")?;
        let mut command = Command::new(built.executable(name).ok_or(format!("cargo built no {name}"))?);
        command.current_dir(process::root());
        Ok(command)
    }

    fn perform(&self, command: Result<Command, String>) -> Count {
        match command {
            Ok(command) => perform(command, self.strict),
            Err(why) => {
                println!("{why}");
                Count { failed: 1, ..Count::default() }
            }
        }
    }

    fn booktool(&self, arguments: &[&str]) -> Count {
        self.perform(self.binary("booktool").map(|mut booktool| {
            booktool.args(arguments);
            booktool
        }))
    }

    fn course(&self, arguments: &[&str]) -> Count {
        self.perform(self.binary("course").map(|mut course| {
            course.args(arguments);
            course
        }))
    }
}

/// In this order: cheap and telling first.
const STAGES: &[Stage] = &[
    Stage { name: "format", run: |session| perform(check::format_command(), session.strict) },
    Stage { name: "lints", run: |session| perform(check::lint_command(), session.strict) },
    Stage { name: "cuda types", run: |session| perform(check::cuda_command(), session.strict) },
    Stage { name: "build", run: build },
    Stage { name: "tests", run: tests },
    Stage { name: "doctests", run: doctests },
    Stage { name: "loom", run: |session| perform(check::loom_command(), session.strict) },
    Stage { name: "memory", run: memory },
    Stage { name: "documentation", run: documentation },
    Stage { name: "linked items", run: |session| session.booktool(&["api", "--check"]) },
    Stage { name: "book", run: |session| session.booktool(&["build"]) },
    Stage { name: "book pages", run: |session| session.booktool(&["check"]) },
    Stage { name: "claims", run: |session| session.course(&["claims", "--check"]) },
    Stage { name: "figures", run: |session| session.course(&["figures", "--check"]) },
    Stage { name: "quick results", run: |session| session.course(&["results", "--check"]) },
];

/// Compiles every test, binary and example: what the later stages run. Without a choice of targets cargo makes programs
/// of the examples, which tests run.
fn build(session: &mut Session) -> Count {
    session.built = process::build(cargo(&["test", "--workspace"])).ok();
    if session.built.is_none() {
        return Count { failed: 1, ..Count::default() };
    }
    // What people build and tests start: the same crates, with the same features of each, or all is compiled twice.
    match process::build(cargo(&["build", "--workspace", "--bin", "course", "--bin", "booktool"])) {
        Ok(again) if again.compiled.is_empty() => Count { passed: 2, ..Count::default() },
        Ok(again) => {
            println!(
                "`cargo build` compiles once more what `cargo test` has compiled with other features: {}; \
                 tests/Cargo.toml says how both ask for the same",
                again.compiled.join(", ")
            );
            Count { passed: 1, failed: 1, ..Count::default() }
        }
        Err(_) => Count { passed: 1, failed: 1, ..Count::default() },
    }
}

/// All that `cargo test` runs but documentation and examples, which hold no tests.
const TARGETS: [&str; 4] = ["--workspace", "--lib", "--bins", "--tests"];

fn tests(session: &mut Session) -> Count {
    let mut command = cargo(&["test", "--no-fail-fast"]);
    command.args(TARGETS);
    perform(command, session.strict)
}

/// The examples in the documentation and the listings of the book. No listing has escaped: their number is the one that
/// booktool counts.
fn doctests(session: &mut Session) -> Count {
    begin_memory(session);
    let mut command = cargo(&["test", "--no-fail-fast", "--doc", "--workspace"]);
    command.env(check::DOCTEST_FLAGS.0, check::DOCTEST_FLAGS.1).env_remove("BLESS");
    let mut listings = 0;
    let mut count = perform_each(command, session.strict, |line| listings += u64::from(is_listing(line)));
    let counted = session.binary("booktool").map(|mut booktool| booktool.arg("listings").output());
    let wanted = counted
        .ok()
        .and_then(Result::ok)
        .and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok());
    if wanted == Some(listings) {
        count.passed += 1;
    } else {
        let wanted = wanted.map_or("an unknown number of".into(), |number: u64| number.to_string());
        println!("the chapters have {wanted} listings, rustdoc found {listings}");
        count.failed += 1;
    }
    count
}

/// Whether a line of rustdoc's report is about a listing of the book, which is documentation of a module `chapters`.
fn is_listing(line: &str) -> bool {
    line.starts_with("test ") && line.contains(".md - chapters::")
}

fn begin_memory(session: &mut Session) {
    let Ok(tests) = session.binary("kernels") else { return };
    if check::has_valgrind() {
        let (command, strict) = (check::memory_command(tests), session.strict);
        session.memory = Some(thread::spawn(move || {
            let mut lines = Vec::new();
            (watch(command, strict, |line| lines.push(line.to_owned())), lines)
        }));
    }
}

fn memory(session: &mut Session) -> Count {
    if !check::has_valgrind() {
        return skipped(check::NO_VALGRIND);
    }
    match session.memory.take().map(JoinHandle::join) {
        Some(Ok((count, lines))) => {
            lines.iter().for_each(|line| println!("{line}"));
            count
        }
        _ => session.perform(session.binary("kernels").map(check::memory_command)),
    }
}

fn documentation(session: &mut Session) -> Count {
    let mut command = cargo(&["doc", "-q", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    perform(command, session.strict)
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
    let mut session = Session { strict, built: None, memory: None };
    for (i, stage) in STAGES.iter().enumerate() {
        println!("\n== {}/{} {}", i + 1, STAGES.len(), stage.name);
        let start = Instant::now();
        let count = (stage.run)(&mut session);
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
fn perform(command: Command, strict: bool) -> Count {
    perform_each(command, strict, |_| ())
}

/// [`perform`], which also shows `look` each line of the output.
fn perform_each(command: Command, strict: bool, mut look: impl FnMut(&str)) -> Count {
    watch(command, strict, |line| {
        println!("{line}");
        look(line);
    })
}

/// [`perform`], which does not show the output but hands over each line of it.
fn watch(mut command: Command, strict: bool, mut look: impl FnMut(&str)) -> Count {
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
            look(&line);
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
    fn knows_listings_from_other_examples() {
        assert!(is_listing("test /t/out/lecture-01.md - chapters::lecture_01 (line 154) ... ok"));
        assert!(!is_listing("test crates/kernels/src/pool.rs - pool::parallel (line 343) ... ok"));
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
