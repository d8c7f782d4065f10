//! Which core a thread runs on, and how to move it away: system calls of Linux; elsewhere nothing is known or done.
#[cfg(all(target_os = "linux", not(loom), not(miri)))]
pub use linux::{Allowed, current};
#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
pub use other::{Allowed, current};

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod linux {
    use std::sync::OnceLock;

    /// The core that runs this thread now; `usize::MAX` if the system does not say.
    pub fn current() -> usize {
        // SAFETY: takes no arguments and touches no memory of ours. Test `a_thread_leaves_an_excluded_core`.
        usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(usize::MAX)
    }

    /// The cores that this thread may use, as it was when the thread started.
    pub struct Allowed {
        all: Option<libc::cpu_set_t>,
        excluded: bool,
    }

    impl Allowed {
        /// Asks the system.
        pub fn of_this_thread() -> Self {
            // SAFETY: a `cpu_set_t` is an array of bits, so zeros are a value of it.
            let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
            // SAFETY: `set` is as large as we say, and 0 is the calling thread.
            let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) } != 0;
            Self { all: (!failed).then_some(set), excluded: false }
        }

        /// Moves this thread to any allowed core but `core`; does nothing if that leaves none.
        pub fn exclude(&mut self, core: usize) {
            let Some(mut set) = self.all else { return };
            if core >= libc::CPU_SETSIZE as usize {
                return;
            }
            // SAFETY: `core` is below the number of bits of the set, and both calls only touch the set.
            let left = unsafe {
                libc::CPU_CLR(core, &mut set);
                libc::CPU_COUNT(&set)
            };
            if left > 0 {
                apply(&set);
                self.excluded = true;
            }
        }

        /// Allows every core again, unless the environment asks for exclusions to stay.
        pub fn allow_all(&mut self) {
            static PIN: OnceLock<bool> = OnceLock::new();
            if self.excluded
                && !*PIN.get_or_init(|| std::env::var_os("KERNELS_PIN").is_some_and(|value| value == "1"))
                && let Some(all) = &self.all
            {
                apply(all);
                self.excluded = false;
            }
        }
    }

    /// A refusal costs speed, not correctness, so it is ignored.
    fn apply(set: &libc::cpu_set_t) {
        // SAFETY: `set` is as large as we say, and 0 is the calling thread.
        unsafe { libc::sched_setaffinity(0, size_of_val(set), set) };
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_thread_leaves_an_excluded_core() {
            let moved = std::thread::spawn(|| {
                let mut cores = Allowed::of_this_thread();
                let before = current();
                cores.exclude(before);
                let only_one = !cores.excluded;
                let after = current();
                cores.allow_all();
                only_one || after != before
            });
            assert!(moved.join().unwrap());
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
    pub struct Allowed;

    impl Allowed {
        /// Asks nobody.
        pub fn of_this_thread() -> Self {
            Self
        }

        /// Does nothing.
        pub fn exclude(&mut self, _core: usize) {}

        /// Does nothing.
        pub fn allow_all(&mut self) {}
    }
}
