//! Does a parallel region always take the same time, or does the pool have modes?
//!
//! ```text
//! cargo run --release -p kernels --example pool_modes
//! ```
//! Every line is one way of calling: short and long regions, one after the other or after pauses in which the workers
//! fall asleep, from one thread or from a fresh one each time (the system chooses another core), on an idle machine or
//! with a thread that computes on one core all the time. The ways take turns for some seconds, so that a mode that
//! lasts is seen in all of them. Times in microseconds: one thread, then the 10th, 50th and 90th percentile with all
//! threads, and the 90th over the 10th, which above 1.5 is a defect on an idle machine.
mod support;

use kernels::pool::{parallel, threads, with_threads};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One way of calling.
struct Way {
    name: &'static str,
    parts: usize,
    /// Multiplications in a part, one after the other.
    work: usize,
    pause: Pause,
    fresh_thread: bool,
    load: bool,
}

/// What the caller does between two regions.
#[derive(Clone, Copy)]
enum Pause {
    None,
    Compute(Duration),
    Sleep(Duration),
}

impl Pause {
    fn take(self) {
        match self {
            Pause::None => (),
            Pause::Sleep(time) => std::thread::sleep(time),
            Pause::Compute(time) => {
                let start = Instant::now();
                while start.elapsed() < time {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

const ROUNDS: usize = 20;
/// Of one way in one round.
const SLICE: Duration = Duration::from_millis(60);

fn part(work: usize) {
    let mut x = black_box(1.0_f64);
    for _ in 0..work {
        x = x.mul_add(0.999_999, 1e-6);
    }
    black_box(x);
}

/// Microseconds of one region.
fn region(way: &Way) -> f64 {
    let start = Instant::now();
    parallel(way.parts, |_| part(way.work));
    start.elapsed().as_secs_f64() * 1e6
}

/// Times of the regions of one slice.
fn slice(way: &Way) -> Vec<f64> {
    let mut times = vec![];
    let end = Instant::now() + SLICE;
    while Instant::now() < end {
        way.pause.take();
        times.push(if way.fresh_thread {
            std::thread::scope(|scope| scope.spawn(|| region(way)).join().expect("parts do not panic"))
        } else {
            region(way)
        });
    }
    times
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn main() {
    support::no_arguments(include_str!("pool_modes.rs"));
    let (short, long) = (2_000, 50_000);
    let millisecond = Duration::from_millis(1);
    let way = |name, parts, work, pause| Way { name, parts, work, pause, fresh_thread: false, load: false };
    let ways = [
        way("short, back to back", 2, short, Pause::None),
        way("short, after computing 20 us", 2, short, Pause::Compute(millisecond / 50)),
        way("short, after computing 2 ms", 2, short, Pause::Compute(2 * millisecond)),
        way("short, after sleeping 2 ms", 2, short, Pause::Sleep(2 * millisecond)),
        Way { fresh_thread: true, ..way("short, from fresh threads", 2, short, Pause::None) },
        way("long, back to back", 16, long, Pause::None),
        way("long, after computing 2 ms", 16, long, Pause::Compute(2 * millisecond)),
        way("long, after sleeping 2 ms", 16, long, Pause::Sleep(2 * millisecond)),
        Way { fresh_thread: true, ..way("long, from fresh threads", 16, long, Pause::None) },
        Way { load: true, ..way("short, back to back, load", 2, short, Pause::None) },
        Way { load: true, ..way("long, back to back, load", 16, long, Pause::None) },
    ];
    let mut times = ways.each_ref().map(|_| vec![]);
    let warm = Instant::now();
    while warm.elapsed() < SLICE {
        part(1000);
    }
    let serial = ways.each_ref().map(|way| {
        let mut times: Vec<f64> = with_threads(1, || (0..20).map(|_| region(way)).collect());
        times.sort_by(f64::total_cmp);
        at(&times, 0.5)
    });
    for _ in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                if way.load {
                    scope.spawn(|| {
                        while !stop.load(Relaxed) {
                            part(1000);
                        }
                    });
                }
                times.push(slice(way));
                stop.store(true, Relaxed);
            });
        }
    }
    println!("{} threads", threads());
    println!("{:<30}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}", "", "serial", "10th", "50th", "90th", "90/10", "slices");
    for ((way, rounds), serial) in ways.iter().zip(&mut times).zip(serial) {
        // Medians of the slices tell a mode that lasts from single slow regions.
        let mut medians: Vec<f64> = rounds
            .iter_mut()
            .map(|times| {
                times.sort_by(f64::total_cmp);
                at(times, 0.5)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let mut all = rounds.concat();
        all.sort_by(f64::total_cmp);
        let [low, median, high] = [0.1, 0.5, 0.9].map(|share| at(&all, share));
        println!(
            "{:<30}{serial:>9.1}{low:>9.1}{median:>9.1}{high:>9.1}{:>9.2}{:>9.2}",
            way.name,
            high / low,
            medians[medians.len() - 1] / medians[0]
        );
    }
}
