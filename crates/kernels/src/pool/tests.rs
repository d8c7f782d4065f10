use super::*;
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[test]
fn parts_run_once_each() {
    for threads in [1, 2, 7] {
        with_threads(threads, || {
            for parts in [0, 1, 2, 3, 100, 1000] {
                let runs: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                parallel(parts, |i| {
                    runs[i].fetch_add(1, Relaxed);
                });
                assert!(runs.iter().all(|runs| runs.load(Relaxed) == 1), "{threads} threads, {parts} parts");
            }
        });
    }
}

#[test]
fn chunks_are_disjoint() {
    with_threads(3, || {
        for len in [0, 1, 9, 10, 11, 1003] {
            let (mut y, mut sizes) = (vec![0; len], vec![0; len.div_ceil(10)]);
            chunks_mut(&mut y, 10, |start, y| y.iter_mut().enumerate().for_each(|(i, y)| *y += start + i));
            assert!(y.iter().enumerate().all(|(i, &y)| i == y), "{len} elements");
            chunks_mut2((&mut y, 10), (&mut sizes, 1), |start, y, size| {
                assert_eq!(y[0], start);
                size[0] = y.len();
            });
            assert_eq!(sizes.iter().sum::<usize>(), len);
        }
    });
}

/// Both kinds: in the part that the caller took and in one that a worker took.
#[test]
fn panics_reach_the_caller_after_all_parts() {
    with_threads(2, || {
        for _ in 0..20 {
            let caller = std::thread::current().id();
            for in_caller in [true, false] {
                let ended = AtomicUsize::new(0);
                let panicked = AtomicBool::new(false);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    parallel(64, |_| {
                        if (std::thread::current().id() == caller) == in_caller
                            && !panicked.swap(true, Relaxed)
                        {
                            panic!("part");
                        }
                        std::thread::sleep(Duration::from_micros(20));
                        ended.fetch_add(1, Relaxed);
                    })
                }));
                match result {
                    Err(payload) => {
                        assert_eq!(payload.downcast_ref(), Some(&"part"));
                        let after = ended.load(Relaxed);
                        std::thread::sleep(Duration::from_millis(1));
                        assert_eq!(after, ended.load(Relaxed), "a part ran on after the region");
                    }
                    Ok(()) => assert!(!panicked.load(Relaxed), "a panic was lost"),
                }
                // The pool still works.
                let sum = AtomicUsize::new(0);
                parallel(8, |i| {
                    sum.fetch_add(i, Relaxed);
                });
                assert_eq!(sum.into_inner(), 28);
            }
        }
    });
}

#[test]
fn nested_calls_run_serially() {
    with_threads(3, || {
        let inner = AtomicUsize::new(0);
        parallel(4, |_| {
            let here = std::thread::current().id();
            parallel(5, |_| {
                std::thread::sleep(Duration::from_micros(200)); // time for another thread to take a part
                assert_eq!(std::thread::current().id(), here);
                inner.fetch_add(1, Relaxed);
            });
        });
        assert_eq!(inner.into_inner(), 20);
        assert!(!INSIDE.get());
    });
}

#[test]
fn many_callers_share_the_pool() {
    std::thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                for round in 0..50 {
                    let mut y = vec![0; 100];
                    chunks_mut(&mut y, 7, |start, y| y.fill(caller * 1000 + round + start));
                    assert!(y.iter().enumerate().all(|(i, &y)| y == caller * 1000 + round + i / 7 * 7));
                }
            });
        }
    });
}

/// A pool ends while its workers spin, and while they sleep.
#[test]
fn pools_end_at_any_moment() {
    for idle in [0, 1, 20] {
        let start = Instant::now();
        with_threads(4, || {
            parallel(8, |_| ());
            std::thread::sleep(Duration::from_millis(idle));
        });
        assert!(start.elapsed() < Duration::from_secs(10), "a worker did not end");
    }
}

/// The process ends at once while the workers of its pool spin or sleep, whichever thread started them: this test
/// runs itself in a process of its own.
#[test]
fn a_process_ends_while_workers_sleep() {
    const IDLE: &str = "KERNELS_TEST_IDLE_MILLISECONDS";
    if let Ok(idle) = std::env::var(IDLE) {
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                parallel(8, |i| {
                    sum.fetch_add(i, Relaxed);
                })
            });
        });
        assert_eq!(sum.into_inner(), 28);
        std::thread::sleep(Duration::from_millis(idle.parse().unwrap()));
        std::process::exit(7);
    }
    for idle in ["0", "30"] {
        let start = Instant::now();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pool::tests::a_process_ends_while_workers_sleep"])
            .env(IDLE, idle)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(7), "after {idle} ms idle");
        assert!(start.elapsed() < Duration::from_secs(20), "the process hung after {idle} ms idle");
    }
}

/// Workers do take parts: with parts that sleep, more than one thread is seen.
#[test]
fn workers_take_part() {
    with_threads(2, || {
        let seen = Mutex::new(HashSet::new());
        for idle in [0, 5] {
            std::thread::sleep(Duration::from_millis(idle)); // workers asleep at the second round
            seen.lock().unwrap().clear();
            parallel(20, |_| {
                seen.lock().unwrap().insert(std::thread::current().id());
                std::thread::sleep(Duration::from_millis(1));
            });
            assert_eq!(seen.lock().unwrap().len(), 2, "after {idle} ms idle");
        }
    });
}

#[test]
fn the_number_of_threads_follows_the_variable() {
    assert_eq!(wanted_threads(Some("3")), 3);
    let default = wanted_threads(None);
    for odd in ["0", "-1", "many", ""] {
        assert_eq!(wanted_threads(Some(odd)), default, "{odd:?}");
    }
}
