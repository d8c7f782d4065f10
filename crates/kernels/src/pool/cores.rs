//! Which core a thread runs on, and how to keep a worker off one: system calls of Linux; elsewhere nothing is known or
//! done.
#[cfg(all(target_os = "linux", not(loom), not(miri)))]
pub use linux::{Place, current};
#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
pub use other::{Place, current};

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod linux {
    use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

    /// The core that runs this thread now; `usize::MAX` if the system does not say.
    pub fn current() -> usize {
        // SAFETY: takes no arguments and touches no memory of ours. Test `a_thread_leaves_an_excluded_core`.
        usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(usize::MAX)
    }

    /// Which cores the system lets a worker use.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Cores {
        All,
        AllBut(usize),
        Only(usize),
    }

    /// Where one worker runs and may run.
    pub struct Place {
        /// 0 until the worker has settled.
        thread: AtomicI32,
        core: AtomicUsize,
        /// The cores that the worker inherits from the thread that starts it; none if the system does not say.
        all: Option<libc::cpu_set_t>,
        /// Held while the system is told, so that its state and this one agree.
        allowed: Mutex<Cores>,
        /// Nanoseconds that the worker had computed at the last `fetch`.
        computed: AtomicU64,
    }

    impl Place {
        /// The place of a worker that this thread is about to start.
        pub fn inherited() -> Self {
            // SAFETY: a `cpu_set_t` is an array of bits, so zeros are a value of it.
            let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
            // SAFETY: `set` is as large as we say, and 0 is the calling thread.
            let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) } != 0;
            Self {
                thread: AtomicI32::new(0),
                core: AtomicUsize::new(usize::MAX),
                all: (!failed).then_some(set),
                allowed: Mutex::new(Cores::All),
                computed: AtomicU64::new(u64::MAX),
            }
        }

        /// The calling thread is the worker of this place.
        pub fn settle(&self) {
            // SAFETY: takes no arguments and touches no memory of ours. Test `a_thread_leaves_an_excluded_core`.
            self.thread.store(unsafe { libc::gettid() }, Relaxed);
            self.look();
        }

        /// The worker notes on which core it is.
        pub fn look(&self) -> usize {
            let core = current();
            self.core.store(core, Relaxed);
            core
        }

        /// The core that the worker saw last.
        pub fn seen(&self) -> usize {
            self.core.load(Relaxed)
        }

        /// Moves the worker, whether it runs, waits for a core or sleeps, to any allowed core but `core`; does nothing
        /// if that leaves none.
        pub fn exclude(&self, core: usize) {
            self.set(Cores::AllBut(core));
        }

        /// Moves the worker to `core` if it has not computed since the last call: something else runs where it waits.
        pub fn fetch(&self, core: usize) {
            let thread = self.thread.load(Relaxed);
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // The clock of a thread's own computing time, as glibc's `pthread_getcpuclockid` makes it.
            let clock = !thread << 3 | 6;
            // SAFETY: writes `time` only. Test `another_thread_can_move_a_worker`.
            if thread == 0 || unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
                return;
            }
            let computed = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
            if self.computed.swap(computed, Relaxed) == computed {
                self.set(Cores::Only(core));
            }
        }

        /// Allows every core again, unless the environment asks for exclusions to stay.
        pub fn allow_all(&self) {
            static PIN: OnceLock<bool> = OnceLock::new();
            let pin = *PIN.get_or_init(|| std::env::var_os("KERNELS_PIN").is_some_and(|value| value == "1"));
            if !(pin && matches!(*self.lock(), Cores::AllBut(_))) {
                self.set(Cores::All);
            }
        }

        fn lock(&self) -> MutexGuard<'_, Cores> {
            self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Asks the system for these cores, unless the worker has them already or none would be left. A refusal costs
        /// speed, not correctness.
        fn set(&self, cores: Cores) {
            let mut allowed = self.lock();
            let (thread, Some(all)) = (self.thread.load(Relaxed), &self.all) else { return };
            if thread == 0 || *allowed == cores {
                return;
            }
            let mut set = *all;
            // SAFETY: the cores are below the number of bits of the set, and the calls touch nothing but `set`, which
            // is as large as we say. Tests `a_thread_leaves_an_excluded_core`, `another_thread_can_move_a_worker`.
            let done = unsafe {
                match cores {
                    Cores::AllBut(core) if core < libc::CPU_SETSIZE as usize => libc::CPU_CLR(core, &mut set),
                    Cores::Only(core) if core < libc::CPU_SETSIZE as usize && libc::CPU_ISSET(core, all) => {
                        libc::CPU_ZERO(&mut set);
                        libc::CPU_SET(core, &mut set);
                    }
                    Cores::All => (),
                    _ => return,
                }
                libc::CPU_COUNT(&set) > 0 && libc::sched_setaffinity(thread, size_of_val(&set), &set) == 0
            };
            if done {
                *allowed = cores;
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::sync::mpsc;

        /// Number of cores that the calling thread may use.
        fn allowed() -> usize {
            // SAFETY: counts the bits of a set.
            Place::inherited().all.map_or(1, |set| unsafe { libc::CPU_COUNT(&set) } as usize)
        }

        #[test]
        fn a_thread_leaves_an_excluded_core() {
            let place = Place::inherited();
            let all = allowed();
            place.exclude(current()); // nobody has settled: must not move this thread
            assert_eq!((*place.lock(), allowed()), (Cores::All, all));
            std::thread::scope(|scope| {
                let worker = scope.spawn(|| {
                    place.settle();
                    let before = place.seen();
                    place.exclude(before);
                    let during = (place.look(), allowed());
                    place.allow_all();
                    (before, during, allowed())
                });
                let (before, (during, left), after) = worker.join().unwrap();
                assert_eq!(after, all, "every core is allowed again");
                assert!(all == 1 || during != before && left == all - 1, "{before} {during} {left}");
            });
        }

        /// A sleeping worker wakes where it was sent.
        #[test]
        fn another_thread_can_move_a_worker() {
            let place = Place::inherited();
            let ((started, wait), (wake, sleep)) = (mpsc::channel(), mpsc::channel());
            let place = &place;
            std::thread::scope(|scope| {
                let worker = scope.spawn(move || {
                    place.settle();
                    let mut seen = vec![place.seen()];
                    for _ in 0..2 {
                        started.send(seen[seen.len() - 1]).unwrap();
                        sleep.recv().unwrap();
                        seen.push(place.look());
                    }
                    seen
                });
                let first = wait.recv().unwrap();
                place.exclude(first);
                wake.send(()).unwrap();
                wait.recv().unwrap();
                // The worker goes to sleep about now; once it has computed nothing between two looks, it is moved.
                let start = std::time::Instant::now();
                while *place.lock() != Cores::Only(first) {
                    place.fetch(first);
                    assert!(start.elapsed().as_secs() < 10, "a sleeping worker seems to compute");
                }
                wake.send(()).unwrap();
                let seen = worker.join().unwrap();
                assert_eq!(seen[2], first, "{seen:?}");
                assert!(allowed() == 1 || seen[1] != first, "{seen:?}");
            });
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
mod other {
    /// Unknown.
    pub fn current() -> usize {
        usize::MAX
    }

    /// Nothing is known about the cores.
    pub struct Place;

    impl Place {
        /// Asks nobody.
        pub fn inherited() -> Self {
            Self
        }

        /// Does nothing.
        pub fn settle(&self) {}

        /// Unknown.
        pub fn look(&self) -> usize {
            usize::MAX - 1
        }

        /// Unknown.
        pub fn seen(&self) -> usize {
            usize::MAX - 1
        }

        /// Does nothing.
        pub fn exclude(&self, _core: usize) {}

        /// Does nothing.
        pub fn fetch(&self, _core: usize) {}

        /// Does nothing.
        pub fn allow_all(&self) {}
    }
}
