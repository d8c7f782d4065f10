//! The other end of the line: a process that serves one side.
use crate::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How to start one side.
#[derive(Debug)]
pub(crate) struct Side {
    /// Name in tables and on the command line.
    pub(crate) name: &'static str,
    /// Program, arguments, environment.
    pub(crate) command: Command,
}

/// A running side.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Name in tables and on the command line.
    pub(crate) name: &'static str,
    /// Version of the library.
    pub(crate) version: String,
    /// The cases that it has.
    pub(crate) cases: Vec<String>,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a side says about a case before it is timed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Prepared {
    /// It computed these.
    Values(Vec<(String, f64)>),
    /// It does not have the case.
    Absent,
    /// It could not prepare it.
    Failed(String),
}

impl Worker {
    /// Starts a side and asks who it is; what it writes on standard error goes to `log`.
    ///
    /// # Errors
    /// When the program cannot be started, ends, or answers otherwise than the protocol says.
    pub(crate) fn start(side: Side, log: &Path) -> Result<Self, Error> {
        let Side { name, mut command } = side;
        let failed = |source| Error::Start { name, source };
        let log = std::fs::File::create(log).map_err(failed)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped above")
        };
        let (version, cases, output) = (String::new(), Vec::new(), BufReader::new(output));
        let mut worker = Self { name, version, cases, child, input, output };
        let about = worker.ask("about", "about")?;
        let version = about.split(' ').find_map(|pair| pair.strip_prefix("version="));
        worker.version = version.unwrap_or_default().to_owned();
        worker.cases = worker.ask("cases", "cases")?.split_whitespace().map(str::to_owned).collect();
        Ok(worker)
    }

    /// Prepares a case.
    pub(crate) fn case(&mut self, name: &str) -> Result<Prepared, Error> {
        let answer = self.say(&format!("case {name}"))?;
        if answer == "absent" {
            return Ok(Prepared::Absent);
        }
        if let Some(text) = answer.strip_prefix("error ") {
            return Ok(Prepared::Failed(text.to_owned()));
        }
        let values = answer.strip_prefix("values").and_then(|pairs| {
            let pairs = pairs.split_whitespace().map(|pair| pair.split_once('='));
            pairs
                .map(|pair| pair.and_then(|(key, value)| Some((key.to_owned(), value.parse().ok()?))))
                .collect()
        });
        values.map(Prepared::Values).ok_or_else(|| self.misunderstood("case", answer))
    }

    /// Seconds of each of `times` repetitions.
    pub(crate) fn run(&mut self, times: usize) -> Result<Vec<f64>, Error> {
        let answer = self.ask(&format!("run {times}"), "seconds")?;
        let seconds: Option<Vec<f64>> = answer.split_whitespace().map(|t| t.parse().ok()).collect();
        seconds.filter(|seconds| seconds.len() == times).ok_or_else(|| self.misunderstood("run", answer))
    }

    /// Bytes at the peak of the case, above what the process had before.
    pub(crate) fn memory(&mut self) -> Result<u64, Error> {
        let answer = self.ask("memory", "peak")?;
        answer.parse().map_err(|_| self.misunderstood("memory", answer))
    }

    /// Ends the case.
    pub(crate) fn drop_case(&mut self) -> Result<(), Error> {
        self.ask("drop", "dropped").map(drop)
    }

    /// Sends a command; what follows `word` in the answer.
    fn ask(&mut self, command: &str, word: &str) -> Result<String, Error> {
        let answer = self.say(command)?;
        match answer.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(self.misunderstood(command, answer)),
        }
    }

    fn say(&mut self, command: &str) -> Result<String, Error> {
        let name = self.name;
        let silent = |source| Error::Silent { name, command: command.to_owned(), source };
        writeln!(self.input, "{command}").and_then(|()| self.input.flush()).map_err(silent)?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).map_err(silent)?;
        if answer.is_empty() {
            return Err(silent(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(answer.trim_end().to_owned())
    }

    fn misunderstood(&self, command: &str, answer: String) -> Error {
        Error::Answer { name: self.name, command: command.to_owned(), answer }
    }
}

impl Drop for Worker {
    /// A side that nobody asks any more is ended: it may be in the middle of a long case.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first value in which two sides differ by more than `tolerance`: relative, or absolute for an `.angle`, which is
/// of the size of one. A `gain`, what training steps take off a loss, may differ a hundred times as much: it is a small
/// difference of losses, and Adam's first steps have the size of the learning rate whatever the gradient's, so that a
/// gradient that is nothing but rounding moves its weight as far as any.
/// Sides that name other values differ too.
pub(crate) fn difference(ours: &[(String, f64)], theirs: &[(String, f64)], tolerance: f64) -> Option<String> {
    if !ours.iter().map(|v| &v.0).eq(theirs.iter().map(|v| &v.0)) {
        let keys =
            |values: &[(String, f64)]| values.iter().map(|v| v.0.clone()).collect::<Vec<_>>().join(", ");
        return Some(format!("ours computes {}, theirs {}", keys(ours), keys(theirs)));
    }
    let far = ours.iter().zip(theirs).find(|((key, a), (_, b))| {
        let scale = match key.as_str() {
            "gain" => 100.0 * a.abs().max(b.abs()),
            key if key.ends_with(".angle") => 1.0,
            _ => a.abs().max(b.abs()),
        };
        let apart = (a - b).abs();
        apart.is_nan() || apart > tolerance * scale
    });
    far.map(|((key, a), (_, b))| format!("{key} is {a} here and {b} there"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A side in a few words of shell.
    fn worker(script: &str) -> Result<Worker, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Worker::start(Side { name: "shell", command }, Path::new("/dev/null"))
    }

    const SIDE: &str = r#"while read -r word rest; do case $word in
        about) echo about name=shell version=5 threads=1;; cases) echo cases a b;;
        case) [ "$rest" = a ] && echo values y.rms=1.5 y.angle=-2e-1 || echo absent;;
        run) echo seconds 0.25 0.5;; memory) echo peak 4096;; *) echo dropped;; esac; done"#;

    #[test]
    fn a_whole_conversation() {
        let mut worker = worker(SIDE).unwrap();
        assert_eq!(
            (worker.version.as_str(), &worker.cases[..]),
            ("5", &["a".to_owned(), "b".to_owned()][..])
        );
        let values = vec![("y.rms".to_owned(), 1.5), ("y.angle".to_owned(), -0.2)];
        assert_eq!(worker.case("a").unwrap(), Prepared::Values(values));
        assert_eq!(worker.case("c").unwrap(), Prepared::Absent);
        assert_eq!(worker.run(2).unwrap(), [0.25, 0.5]);
        assert_eq!(worker.memory().unwrap(), 4096);
        worker.drop_case().unwrap();
    }

    #[test]
    fn a_wrong_number_of_times_and_a_side_that_ends_are_errors() {
        let mut worker = worker(SIDE).unwrap();
        assert!(matches!(worker.run(3), Err(Error::Answer { name: "shell", .. })));
        let dead = self::worker("exit 3");
        assert!(matches!(dead, Err(Error::Silent { name: "shell", .. })), "{dead:?}");
    }

    #[test]
    fn differences_are_relative_but_for_angles() {
        let values = |rms: f64, angle: f64| vec![("y.rms".to_owned(), rms), ("y.angle".to_owned(), angle)];
        assert_eq!(difference(&values(1000.0, 0.0), &values(1000.05, 5e-5), 1e-4), None);
        assert!(difference(&values(1000.0, 0.0), &values(1000.2, 0.0), 1e-4).unwrap().starts_with("y.rms"));
        assert!(difference(&values(1.0, 0.0), &values(1.0, 2e-4), 1e-4).unwrap().starts_with("y.angle"));
        let gain = |gain: f64| vec![("gain".to_owned(), gain)];
        assert_eq!(difference(&gain(0.5), &gain(0.504), 1e-4), None);
        assert!(difference(&gain(0.5), &gain(0.506), 1e-4).is_some());
        assert!(difference(&values(f64::NAN, 0.0), &values(1.0, 0.0), 1e-4).is_some());
        assert!(
            difference(&values(1.0, 0.0), &values(1.0, 0.0)[..1], 1e-4).unwrap().contains("theirs y.rms")
        );
    }
}
