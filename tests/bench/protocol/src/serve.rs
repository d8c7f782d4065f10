//! The loop that answers commands.
use crate::memory;
use std::io::{BufRead, BufWriter, Write};
use std::time::Instant;

/// Repetitions whose seconds have a place before a case is prepared, so that they are no part of its memory.
const PLACES: usize = 4096;

/// A case that is ready to be timed.
pub struct Case {
    /// What came out when it was computed once.
    pub values: Vec<(String, f64)>,
    /// Computes it once more.
    pub run: Box<dyn FnMut()>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("values", &self.values).finish_non_exhaustive()
    }
}

/// One side of the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Name of the library.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Threads that it computes with.
    pub threads: usize,
    /// Name and preparation of every case that it has.
    pub cases: &'a [(String, fn(&str) -> Case)],
}

/// Answers the commands of `input` on `output` until it ends. An unknown command is answered by `error`.
///
/// # Errors
/// When `input` cannot be read or `output` not be written.
pub fn serve(side: Side<'_>, input: impl BufRead, output: impl Write) -> std::io::Result<()> {
    let mut case: Option<Case> = None;
    let mut before = 0;
    let mut output = BufWriter::new(output);
    let mut seconds = vec![1.0_f64; PLACES]; // not 0: pages of zeros would be taken when they are first written
    for line in input.lines() {
        let line = line?;
        let (command, argument) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match (command, &mut case) {
            ("about", _) => {
                let Side { name, version, threads, .. } = side;
                write!(output, "about name={name} version={version} threads={threads}")?;
            }
            ("cases", _) => {
                write!(output, "cases")?;
                side.cases.iter().try_for_each(|(name, _)| write!(output, " {name}"))?;
            }
            ("case", _) => match side.cases.iter().find(|(name, _)| name == argument) {
                Some((name, prepare)) => {
                    case = None; // so that the memory of the last one is free
                    memory::reset_peak();
                    before = memory::bytes("RssAnon");
                    // The message of a panic goes to standard error; the other cases can still be served.
                    match std::panic::catch_unwind(|| prepare(name)) {
                        Ok(made) => {
                            write!(output, "values")?;
                            made.values.iter().try_for_each(|(key, v)| write!(output, " {key}={v:?}"))?;
                            case = Some(made);
                        }
                        Err(_) => write!(output, "error it panicked when it was prepared")?,
                    }
                }
                None => write!(output, "absent")?,
            },
            ("run", Some(case)) => match argument.parse::<usize>() {
                Ok(times) => {
                    seconds.clear();
                    // All are measured before any is written down.
                    seconds.extend((0..times).map(|_| {
                        let start = Instant::now();
                        (case.run)();
                        start.elapsed().as_secs_f64()
                    }));
                    write!(output, "seconds")?;
                    seconds.iter().try_for_each(|s| write!(output, " {s:.9}"))?;
                }
                Err(_) => write!(output, "error `run` needs a number, got `{argument}`")?,
            },
            ("memory", _) => write!(output, "peak {}", memory::peak_above(before))?,
            ("drop", _) => {
                case = None;
                write!(output, "dropped")?;
            }
            ("run", None) => write!(output, "error there is no case to run")?,
            _ => write!(output, "error unknown command `{command}`")?,
        }
        writeln!(output)?;
        output.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(commands: &str) -> Vec<String> {
        fn twice(name: &str) -> Case {
            Case { values: vec![(format!("{name}.rms"), 0.1)], run: Box::new(|| ()) }
        }
        fn broken(_: &str) -> Case {
            panic!("this test wants a panic")
        }
        let cases = [
            ("a/1".to_owned(), twice as fn(&str) -> Case),
            ("b/2".to_owned(), twice),
            ("broken".to_owned(), broken),
        ];
        let side = Side { name: "nobody", version: "0.1", threads: 2, cases: &cases };
        let mut output = Vec::new();
        serve(side, commands.as_bytes(), &mut output).expect("a vector takes everything");
        String::from_utf8(output).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_whole_conversation() {
        let said = talk("about\ncases\ncase b/2\nrun 3\nmemory\ndrop\nrun 1\n");
        assert_eq!(
            said[..3],
            ["about name=nobody version=0.1 threads=2", "cases a/1 b/2 broken", "values b/2.rms=0.1"]
        );
        let (word, times) = said[3].split_once(' ').expect("times");
        assert_eq!((word, times.split(' ').filter(|t| t.parse::<f64>().is_ok()).count()), ("seconds", 3));
        assert!(said[4].strip_prefix("peak ").is_some_and(|bytes| bytes.parse::<u64>().is_ok()), "{said:?}");
        assert_eq!(said[5..], ["dropped", "error there is no case to run"]);
    }

    #[test]
    fn what_is_not_understood_is_answered_too() {
        let said = talk("case c\ncase a/1\nrun x\nsing\ncase broken\ncase b/2\n");
        assert_eq!(said[0], "absent");
        assert!(said[4].starts_with("error it panicked") && said[5].starts_with("values"), "{said:?}");
        assert!(said[2].contains("needs a number") && said[3].contains("unknown command `sing`"), "{said:?}");
    }
}
