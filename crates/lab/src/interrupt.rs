//! Ctrl-C and the polite kill as a flag that training loops read between two steps.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Makes Ctrl-C, SIGTERM and SIGHUP ask for a stop; the second one ends the process at once with code 130.
///
/// A signal that the process was started to ignore stays ignored, and the others are heard all the same: SIGINT is
/// ignored by what a script starts in the background, SIGHUP by what `nohup` starts.
///
/// Without it a signal ends the process, and the last checkpoint is what remains. Later calls do nothing.
#[cfg(feature = "cli")]
pub fn listen() {
    use signal_hook::{consts, flag};
    use std::sync::Once;

    const SIGNALS: &[i32] = &[
        consts::SIGINT,
        consts::SIGTERM,
        #[cfg(unix)]
        consts::SIGHUP,
    ];
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        let ignored = ignored();
        for &signal in SIGNALS.iter().filter(|&&signal| (ignored >> (signal - 1)) & 1 == 0) {
            // In this order: the first signal finds the flag down and raises it, the second one finds it up.
            // Both calls fail for signals only that cannot be caught, and these can.
            let _ = flag::register_conditional_shutdown(signal, 130, Arc::clone(&REQUESTED));
            let _ = flag::register(signal, Arc::clone(&REQUESTED));
        }
    });
}

/// The signals that this process ignores, bit n - 1 for signal n; none where the system has no file that says so.
#[cfg(feature = "cli")]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether a stop was asked for.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
