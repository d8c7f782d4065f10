//! The fork-join pool that runs the parts of every operation.
//!
//! A join of a sleeping thread pool costs more than most operations of this crate (6–250 µs against 1–50 µs), so the
//! workers of this one spin for a while before they sleep, and a caller never waits for a sleeper:
//!
//! 1. The caller opens a new *epoch* and takes parts itself.
//! 2. A worker that sees the open epoch *joins* it and takes parts too.
//! 3. When no part is left, the caller *closes* the epoch and waits for the workers that joined, no others.
//!
//! Parts are dealt out as one run of neighbours per thread, the same for every region of as many parts: what a thread
//! wrote or read in one operation is likely still in its cache for the next. Each run has a counter, and a thread that
//! is through with its own run takes parts of the others', so nobody waits for a worker that is late or asleep.
//!
//! Epoch, closed flag and number of joined workers are one atomic word, so that joining and closing exclude each
//! other. Nothing nests: a part that calls an operation, and a caller that finds the pool in use by another thread,
//! run their parts one after the other. A panic in a part is raised again in the caller, after the wait.
//!
//! **Determinism.** Operations cut parts by the size of the problem alone, so results do not depend on the number
//! of threads.
//!
//! **Threads.** `RAYON_NUM_THREADS` of them, else as many as the process may use. The caller publishes the core it runs
//! on; a worker that finds itself there moves away, for otherwise it would spin on the time of the very thread that
//! waits for it, and it goes to sleep with that core excluded, so that it is not woken there. The caller may have moved
//! since: it sends away a worker that sleeps or waits on its own core, who could not move by itself, and without whom
//! the caller would do all parts alone, for milliseconds or until the system mends it. And a worker that has joined but
//! computes nothing, because some other program took its core, is brought to the caller's, who can do nothing but wait.
//! Afterwards every core is allowed again; with `KERNELS_PIN=1` exclusions stay. The caller itself is never bound to a
//! core. The example `pool_modes` measures what this is for.
//!
//! The protocol is model-checked: `cargo xtask check --loom` compiles this file as the package `pool-models`.
#![allow(unsafe_code)]
#[path = "pool/cores.rs"] // `pool-models` compiles this file from another folder
mod cores;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::OnceLock;
use sync::{
    Arc, AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, JoinHandle, Mutex,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence, spin_loop, yield_now,
};

/// The same names from the standard library and from the model checker.
mod sync {
    #[cfg(loom)]
    pub use loom::{
        sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
        sync::{Arc, Mutex},
        thread::{JoinHandle, park, yield_now, yield_now as spin_loop},
    };
    #[cfg(not(loom))]
    pub use std::{
        hint::spin_loop,
        sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
        sync::{Arc, Mutex},
        thread::{JoinHandle, park, yield_now},
    };

    /// A thread with a name; an error where the system has none to give.
    pub fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        #[cfg(loom)]
        return loom::thread::Builder::new().name(name).spawn(run);
        #[cfg(not(loom))]
        return std::thread::Builder::new().name(name).spawn(run);
    }
}

/// Looks at the state word before a worker sleeps: 0.2 to 0.6 ms, depending on what the processor takes a pause for.
const SPINS: u32 = if cfg!(loom) { 1 } else { 20_000 };
/// Spins between two looks at the core.
const LOOK: u32 = 64;
/// Spins of a waiting caller before it offers its core to a worker that has been driven from its own.
const PATIENCE: u32 = if cfg!(loom) { 1 } else { 1_000 };

/// In the state word: no worker may join. The epoch lies above, the number of joined workers below.
const CLOSED: u64 = 1 << 31;
const EPOCH: u32 = 32;

/// Where a thread's run of parts has got to; alone in its lines of cache, for its thread counts in it all the time.
#[repr(align(128))]
struct Run(AtomicUsize);

/// What the caller of a region leaves on its stack for those who join.
struct Job<'a> {
    parts: usize,
    part: Part<'a>,
}

/// What a region does with the number of a part. Not a type parameter: several hundred operations would each compile
/// the whole protocol anew.
type Part<'a> = &'a (dyn Fn(usize) + Sync);

struct Shared {
    state: AtomicU64,
    /// The job of the open epoch; null asks the workers to end.
    job: AtomicPtr<Job<'static>>,
    /// The next part of each thread's run; the caller's first.
    runs: Box<[Run]>,
    done: AtomicUsize,
    /// The first panic of a worker in this epoch.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller_core: AtomicUsize,
}

/// What a worker and the callers know of each other.
struct Seat {
    asleep: AtomicBool,
    place: cores::Place,
}

struct Worker {
    seat: Arc<Seat>,
    thread: Option<JoinHandle<()>>,
}

struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    busy: Mutex<()>,
}

impl Pool {
    /// A pool of `threads`, the caller included. A system that refuses threads gives a smaller one.
    fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(CLOSED),
            job: AtomicPtr::new(ptr::null_mut()),
            runs: (0..threads).map(|_| Run(AtomicUsize::new(0))).collect(),
            done: AtomicUsize::new(0),
            panic: Mutex::new(None),
            caller_core: AtomicUsize::new(cores::current()),
        });
        let workers = (1..threads)
            .map_while(|i| {
                let seat =
                    Arc::new(Seat { asleep: AtomicBool::new(false), place: cores::Place::inherited() });
                let (shared, of_worker) = (shared.clone(), seat.clone());
                let thread = sync::spawn(format!("kernels-{i}"), move || shared.serve(i, &of_worker)).ok()?;
                Some(Worker { seat, thread: Some(thread) })
            })
            .collect();
        Self { shared, workers, busy: Mutex::new(()) }
    }

    /// Runs `part(0)` to `part(parts - 1)`; one after the other if another thread is in this pool.
    fn run(&self, parts: usize, part: Part<'_>) {
        let busy = self.busy.try_lock();
        if busy.is_err() || self.workers.is_empty() {
            return (0..parts).for_each(part);
        }
        let job = Job { parts, part };
        let shared = &*self.shared;
        let core = cores::current();
        shared.caller_core.store(core, Relaxed);
        for (thread, run) in shared.runs.iter().enumerate() {
            run.0.store(shared.first(thread, parts), Relaxed);
        }
        shared.done.store(0, Relaxed);
        shared.job.store(ptr::from_ref(&job).cast_mut().cast(), Relaxed);
        self.open(core);
        let mine = catch_unwind(AssertUnwindSafe(|| shared.take(0, &job)));
        let joined = (shared.state.fetch_or(CLOSED, AcqRel) & (CLOSED - 1)) as usize;
        let mut spins = 0;
        while shared.done.load(Acquire) < joined {
            spins += 1;
            if spins < PATIENCE {
                spin_loop();
                continue;
            }
            if spins % PATIENCE == 0 {
                self.fetch();
            }
            yield_now();
        }
        let theirs = shared.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        drop(busy);
        if let Err(panic) = mine {
            resume_unwind(panic)
        }
        if let Some(panic) = theirs {
            resume_unwind(panic)
        }
    }

    /// Brings workers to the caller's core that are awake and do not get on where they are.
    fn fetch(&self) {
        for Worker { seat, .. } in &self.workers {
            if !seat.asleep.load(Relaxed) {
                seat.place.fetch(cores::current());
            }
        }
    }

    /// Starts the next epoch and wakes the workers that sleep, on other cores than the caller's.
    fn open(&self, core: usize) {
        let epoch = (self.shared.state.load(Relaxed) >> EPOCH) + 1;
        self.shared.state.store(epoch << EPOCH, Release);
        // Pairs with the fence in `sleep`: either the worker sees the epoch or we see that it sleeps.
        fence(SeqCst);
        for worker in &self.workers {
            let Seat { asleep, place } = &*worker.seat;
            let asleep = asleep.load(Relaxed);
            if asleep || place.seen() == core {
                place.exclude(core);
            }
            if asleep && let Some(thread) = &worker.thread {
                thread.thread().unpark();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.job.store(ptr::null_mut(), Relaxed);
        self.open(cores::current());
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker catches the panics of its parts, so it always ends normally.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    /// First part of a thread's run; that of the next thread is where it ends.
    fn first(&self, thread: usize, parts: usize) -> usize {
        parts * thread / self.runs.len()
    }

    /// Takes parts until none is left: of the thread's own run, then of those after it.
    fn take(&self, thread: usize, job: &Job<'_>) {
        for thread in (thread..self.runs.len()).chain(0..thread) {
            let end = self.first(thread + 1, job.parts);
            loop {
                let part = self.runs[thread].0.fetch_add(1, Relaxed);
                if part >= end {
                    break;
                }
                (job.part)(part)
            }
        }
    }

    /// The life of a worker.
    fn serve(&self, thread: usize, Seat { asleep, place }: &Seat) {
        let mut seen = 0;
        let mut spins = 0;
        place.settle();
        loop {
            let state = self.state.load(Acquire);
            if state & CLOSED != 0 || state >> EPOCH == seen {
                spins += 1;
                if spins >= SPINS {
                    place.exclude(self.caller_core.load(Relaxed));
                    self.sleep(asleep, state);
                    place.look();
                    spins = 0;
                } else if spins % LOOK == 0 && place.look() == self.caller_core.load(Relaxed) {
                    place.exclude(self.caller_core.load(Relaxed));
                    place.look();
                    place.allow_all();
                } else {
                    spin_loop();
                }
                continue;
            }
            if self.state.compare_exchange(state, state + 1, AcqRel, Relaxed).is_err() {
                continue;
            }
            seen = state >> EPOCH;
            spins = 0;
            // SAFETY: this worker has joined, so the caller waits in `run` until `done` says otherwise, and the job
            // lies on its stack, behind it a closure that is `Sync` and borrowed for as long; null means that the pool
            // is being dropped. Loom model `loom_runs_every_part_once`.
            let Some(job) = (unsafe { self.job.load(Relaxed).as_ref() }) else { return };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(thread, job))) {
                let mut first = self.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                first.get_or_insert(panic);
            }
            self.done.fetch_add(1, Release); // `job` is not touched after this
            place.allow_all();
        }
    }

    /// Parks until a caller has opened an epoch after `state`.
    fn sleep(&self, asleep: &AtomicBool, state: u64) {
        asleep.store(true, Relaxed);
        fence(SeqCst); // pairs with the one in `open`
        if self.state.load(Acquire) >> EPOCH == state >> EPOCH {
            sync::park();
        }
        asleep.store(false, Relaxed);
    }
}

thread_local! {
    /// This thread is running a part: what it calls runs serially.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The pool of `with_threads`, if this thread is inside it.
    static CHOSEN: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
}

/// The pool of the process, started by the first operation that is large enough to be cut.
fn global() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::new(wanted_threads(std::env::var("RAYON_NUM_THREADS").ok().as_deref())))
}

/// The value of `RAYON_NUM_THREADS` if it is a positive number, else what the process may use.
fn wanted_threads(variable: Option<&str>) -> usize {
    variable
        .and_then(|value| value.trim().parse().ok())
        .filter(|&threads| threads > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Number of threads that operations called from here can use, the caller included.
///
/// ```
/// assert!(kernels::pool::threads() >= 1);
/// ```
pub fn threads() -> usize {
    CHOSEN.with_borrow(|chosen| chosen.as_deref().unwrap_or_else(|| global()).workers.len() + 1)
}

/// Runs `f` with a pool of `threads` threads, the caller included, for all operations that `f` calls on this thread.
///
/// For tests and measurements: the pool starts here and ends here. An operation gives the same bits for any number.
///
/// ```
/// use kernels::pool::{threads, with_threads};
/// assert_eq!(with_threads(3, || threads()), 3);
/// ```
///
/// # Panics
/// When `threads` is 0: somebody must do the work.
pub fn with_threads<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    assert!(threads > 0, "a pool needs at least one thread, the caller");
    struct Restore(Option<Arc<Pool>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CHOSEN.set(self.0.take());
        }
    }
    let _restore = Restore(CHOSEN.replace(Some(Arc::new(Pool::new(threads)))));
    f()
}

/// Runs `f(0)` to `f(parts - 1)`, in parallel where the pool is free, in any order.
///
/// Cut parts by the size of the problem, never by [`threads`], and results do not depend on the machine.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
/// let sum = AtomicUsize::new(0);
/// kernels::pool::parallel(5, |part| { sum.fetch_add(part, Relaxed); });
/// assert_eq!(sum.into_inner(), 10);
/// ```
///
/// # Panics
/// When a part panics: with the same payload, after all parts have ended.
pub fn parallel(parts: usize, f: impl Fn(usize) + Sync) {
    region(parts, &f)
}

fn region(parts: usize, part: Part<'_>) {
    if parts <= 1 || INSIDE.get() {
        return (0..parts).for_each(part);
    }
    let part = |i| {
        struct Leave(bool);
        impl Drop for Leave {
            fn drop(&mut self) {
                INSIDE.set(self.0);
            }
        }
        let _leave = Leave(INSIDE.replace(true));
        part(i)
    };
    match CHOSEN.with_borrow(Clone::clone) {
        Some(pool) => pool.run(parts, &part),
        None => global().run(parts, &part),
    }
}

/// A slice cut into chunks that different threads write.
struct Chunks<'a, E> {
    start: *mut E,
    len: usize,
    chunk: usize,
    _slice: std::marker::PhantomData<&'a mut [E]>,
}

// SAFETY: `get` hands out disjoint `&mut [E]`, which may go to other threads when `E` may. Test `chunks_are_disjoint`.
unsafe impl<E: Send> Sync for Chunks<'_, E> {}

impl<'a, E> Chunks<'a, E> {
    fn new(slice: &'a mut [E], chunk: usize) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), chunk, _slice: std::marker::PhantomData }
    }

    /// The elements of chunk `i`; the last one may be shorter.
    ///
    /// # Safety
    /// No chunk may be borrowed twice at a time.
    unsafe fn get(&self, i: usize) -> &'a mut [E] {
        let from = (i * self.chunk).min(self.len);
        let to = (from + self.chunk).min(self.len);
        // SAFETY: `from..to` lies inside the slice that this value borrows mutably, chunks do not overlap, and the
        // caller takes each once.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), to - from) }
    }
}

/// Cuts `y` into chunks of `chunk` elements and runs `f(start, chunk of y)` for each, in parallel.
///
/// ```
/// let mut y = [0; 5];
/// kernels::pool::chunks_mut(&mut y, 2, |start, y| y.fill(start));
/// assert_eq!(y, [0, 0, 2, 2, 4]);
/// ```
///
/// # Panics
/// When `chunk` is 0, or a part panics.
pub fn chunks_mut<E: Send>(y: &mut [E], chunk: usize, f: impl Fn(usize, &mut [E]) + Sync) {
    let parts = y.len().div_ceil(chunk);
    let y = Chunks::new(y, chunk);
    // SAFETY: `parallel` calls each part once. Test `chunks_are_disjoint`.
    parallel(parts, |i| f(i * chunk, unsafe { y.get(i) }));
}

/// [`chunks_mut`] for two slices at once: chunk `i` of `a` has `chunk_a` elements, that of `b` has `chunk_b`.
///
/// ```
/// let (mut rows, mut sums) = ([1, 2, 3, 4], [0; 2]);
/// kernels::pool::chunks_mut2((&mut rows, 2), (&mut sums, 1), |_, row, sum| sum[0] = row.iter().sum());
/// assert_eq!(sums, [3, 7]);
/// ```
///
/// # Panics
/// When the two slices do not have the same number of chunks, a chunk has 0 elements, or a part panics.
pub fn chunks_mut2<A: Send, B: Send>(
    (a, chunk_a): (&mut [A], usize),
    (b, chunk_b): (&mut [B], usize),
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let parts = a.len().div_ceil(chunk_a);
    assert_eq!(parts, b.len().div_ceil(chunk_b), "both slices must have the same number of chunks");
    let (a, b) = (Chunks::new(a, chunk_a), Chunks::new(b, chunk_b));
    // SAFETY: `parallel` calls each part once. Test `chunks_are_disjoint`.
    parallel(parts, |i| unsafe { f(i * chunk_a, a.get(i), b.get(i)) });
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod models {
    use super::*;

    /// Every interleaving with at most `switches` forced switches of threads.
    fn check(switches: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(switches);
        builder.check(model);
    }

    /// One worker, two regions one after the other: each part runs once, `run` returns after its parts, and the
    /// worker ends when the pool is dropped, whether it spins, sleeps or has just joined.
    #[test]
    fn loom_runs_every_part_once() {
        check(3, || {
            let pool = Pool::new(2);
            for _ in 0..2 {
                let runs = [AtomicUsize::new(0), AtomicUsize::new(0)];
                pool.run(2, &|i| {
                    runs[i].fetch_add(1, Relaxed);
                });
                assert_eq!(runs.each_ref().map(|runs| runs.load(Relaxed)), [1, 1]);
            }
        });
    }

    /// Two workers that wake, join and end in any order.
    #[test]
    fn loom_two_workers() {
        check(1, || {
            let pool = Pool::new(3);
            let runs = [AtomicUsize::new(0), AtomicUsize::new(0)];
            pool.run(2, &|i| {
                runs[i].fetch_add(1, Relaxed);
            });
            assert_eq!(runs.each_ref().map(|runs| runs.load(Relaxed)), [1, 1]);
        });
    }

    /// A panic in a part, whoever takes it, reaches the caller, and the worker lives on to the end of the pool.
    #[test]
    fn loom_panics_reach_the_caller() {
        check(2, || {
            let pool = Pool::new(2);
            let run = || {
                pool.run(2, &|i| {
                    if i == 1 {
                        resume_unwind(Box::new("part"))
                    }
                })
            };
            let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("the part panics");
            assert_eq!(payload.downcast_ref(), Some(&"part"));
        });
    }

    /// One region: what a worker wrote is visible after the join without any other synchronisation.
    #[test]
    fn loom_joins_see_plain_writes() {
        check(3, || {
            let pool = Pool::new(2);
            let cells = [loom::cell::UnsafeCell::new(0), loom::cell::UnsafeCell::new(0)];
            struct Cells([loom::cell::UnsafeCell<usize>; 2]);
            // SAFETY: each part writes its own cell; loom reports any two accesses that are not ordered.
            unsafe impl Sync for Cells {}
            let cells = Cells(cells);
            let cells = &cells;
            // SAFETY: as above.
            pool.run(2, &|i| cells.0[i].with_mut(|cell| unsafe { *cell = i + 1 }));
            // SAFETY: `run` has returned, so nobody writes.
            let sum: usize = cells.0.iter().map(|cell| cell.with(|cell| unsafe { *cell })).sum();
            assert_eq!(sum, 3);
        });
    }

    /// Two callers: one of them runs serially, neither loses a part.
    #[test]
    fn loom_two_callers() {
        check(2, || {
            let pool = Arc::new(Pool::new(2));
            let other = pool.clone();
            let count = |pool: &Pool| {
                let runs = AtomicUsize::new(0);
                pool.run(2, &|_| {
                    runs.fetch_add(1, Relaxed);
                });
                assert_eq!(runs.load(Relaxed), 2);
            };
            let thread = loom::thread::spawn(move || count(&other));
            count(&pool);
            thread.join().unwrap();
        });
    }
}
