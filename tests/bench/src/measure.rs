//! One case on every side, in turns.
use crate::Error;
use crate::statistics::{median, percentile};
use crate::worker::{Prepared, Worker, difference};
use serde::Serialize;
use std::time::Duration;

/// How far two sides may differ in what they compute: single precision, sums in another order, four steps of training.
const TOLERANCE: f64 = 1e-4;

/// Repetitions of one side in one round.
const FEWEST: usize = 3;
const MOST: usize = 2000;

/// A pause in which the threads of the last side go to sleep: OpenMP's spin for some milliseconds.
const PAUSE: Duration = Duration::from_millis(15);

/// How thoroughly a case is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds; in each every side has its turn.
    pub(crate) rounds: usize,
    /// Seconds that one turn should take.
    pub(crate) turn: f64,
}

impl Effort {
    /// For numbers that are kept.
    pub(crate) const FULL: Self = Self { rounds: 9, turn: 0.06 };
    /// For a look.
    pub(crate) const QUICK: Self = Self { rounds: 3, turn: 0.015 };
}

/// What was found out about one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) case: String,
    /// Ours first; absent sides are left out.
    pub(crate) sides: Vec<Timed>,
    /// Sides that have the case and were not timed, and why.
    pub(crate) refused: Vec<Refused>,
}

/// One side of one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Timed {
    /// Its name.
    pub(crate) side: &'static str,
    /// Percentile 10 of the seconds of one repetition.
    pub(crate) p10: f64,
    /// The middle repetition.
    pub(crate) p50: f64,
    /// Percentile 90.
    pub(crate) p90: f64,
    /// Its time over ours: the median over the rounds of the ratio of medians.
    pub(crate) ratio: f64,
    /// Percentile 10 of that over the rounds.
    pub(crate) ratio_p10: f64,
    /// Percentile 90 of that over the rounds.
    pub(crate) ratio_p90: f64,
    /// Bytes at the peak above what the process had before the case.
    pub(crate) peak_bytes: u64,
    /// Repetitions.
    pub(crate) repetitions: usize,
}

/// A side that was not timed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refused {
    /// Its name.
    pub(crate) side: &'static str,
    /// Why.
    pub(crate) why: String,
}

impl Timed {
    /// Percentile 90 over percentile 10: above 1.5 the case runs in two modes, or something else used the cores.
    pub(crate) fn spread(&self) -> f64 {
        self.p90 / self.p10
    }
}

impl Measured {
    /// The numbers of a side.
    pub(crate) fn side(&self, name: &str) -> Option<&Timed> {
        self.sides.iter().find(|timed| timed.side == name)
    }
}

/// Measures `case` on ours, the first of `workers`, and on every other side that computes the same.
///
/// # Errors
/// When a side does not answer.
pub(crate) fn measure(workers: &mut [Worker], case: &str, effort: Effort) -> Result<Measured, Error> {
    let (mut ready, mut refused) = (Vec::new(), Vec::new());
    let mut reference: Option<Vec<(String, f64)>> = None;
    for (i, worker) in workers.iter_mut().enumerate() {
        let side = worker.name;
        match worker.case(case)? {
            Prepared::Absent => continue,
            Prepared::Failed(why) => refused.push(Refused { side, why }),
            Prepared::Values(values) => {
                match reference.as_ref().and_then(|ours| difference(ours, &values, TOLERANCE)) {
                    Some(why) => refused.push(Refused { side, why }),
                    None => {
                        reference.get_or_insert(values);
                        ready.push(i);
                        continue;
                    }
                }
            }
        }
        worker.drop_case()?;
    }
    // [side][round][repetition]
    let mut seconds: Vec<Vec<Vec<f64>>> = vec![Vec::new(); ready.len()];
    let mut times = Vec::new();
    for &i in &ready {
        let once = median(&workers[i].run(FEWEST)?);
        times.push(((effort.turn / once) as usize).clamp(FEWEST, MOST));
    }
    for _ in 0..effort.rounds {
        for (side, &i) in ready.iter().enumerate() {
            std::thread::sleep(PAUSE);
            workers[i].run((times[side] / 3).max(1))?; // warms caches and threads up
            seconds[side].push(workers[i].run(times[side])?);
        }
    }
    let mut sides = Vec::new();
    for (side, &i) in ready.iter().enumerate() {
        let peak_bytes = workers[i].memory()?;
        workers[i].drop_case()?;
        sides.push(timed(workers[i].name, &seconds[side], &seconds[0], peak_bytes));
    }
    Ok(Measured { case: case.to_owned(), sides, refused })
}

/// The numbers of one side, from its rounds and those of the first side.
fn timed(side: &'static str, rounds: &[Vec<f64>], first: &[Vec<f64>], peak_bytes: u64) -> Timed {
    let all: Vec<f64> = rounds.concat();
    let ratios: Vec<f64> = rounds.iter().zip(first).map(|(a, b)| median(a) / median(b)).collect();
    let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|share| percentile(&all, share));
    let [ratio_p10, ratio, ratio_p90] = [0.1, 0.5, 0.9].map(|share| percentile(&ratios, share));
    Timed { side, p10, p50, p90, ratio, ratio_p10, ratio_p90, peak_bytes, repetitions: all.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_rounds() {
        // The machine was three times slower in the second round, for both.
        let (theirs, ours) = ([vec![2.0, 2.0], vec![6.0, 6.0]], [vec![1.0, 1.0], vec![3.0, 3.0]]);
        let timed = timed("torch", &theirs, &ours, 7);
        assert_eq!((timed.ratio_p10, timed.ratio, timed.ratio_p90), (2.0, 2.0, 2.0));
        assert_eq!((timed.p50, timed.repetitions, timed.peak_bytes), (4.0, 4, 7));
        assert_eq!(timed.spread(), 3.0);
    }

    /// A side in a few words of shell: prepares `value`, takes a millisecond.
    #[cfg(unix)]
    fn side(name: &'static str, value: &str) -> Worker {
        let script = format!(
            r#"while read -r word rest; do case $word in about) echo about name=x version=1 threads=1;;
            cases) echo cases a;; case) echo {value};;
            run) printf seconds; for i in $(seq $rest); do printf ' 0.001'; done; echo;;
            memory) echo peak 10;; *) echo dropped;; esac; done"#
        );
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]);
        Worker::start(crate::worker::Side { name, command }, std::path::Path::new("/dev/null")).unwrap()
    }

    #[test]
    #[cfg(unix)]
    fn who_computes_something_else_is_not_timed() {
        let mut workers = [
            side("ours", "values loss=2.0"),
            side("same", "values loss=2.00001"),
            side("other", "values loss=2.1"),
            side("broken", "error no memory"),
            side("without", "absent"),
        ];
        let measured = measure(&mut workers, "a", Effort { rounds: 2, turn: 0.004 }).unwrap();
        assert_eq!(measured.sides.iter().map(|s| s.side).collect::<Vec<_>>(), ["ours", "same"]);
        assert_eq!(measured.side("same").map(|s| (s.ratio, s.repetitions)), Some((1.0, 8)));
        let refused: Vec<_> = measured.refused.iter().map(|r| (r.side, r.why.as_str())).collect();
        assert_eq!(refused, [("other", "loss is 2 here and 2.1 there"), ("broken", "no memory")]);
    }
}
