//! Ctrl-C and the polite kill as a flag that training loops read between two steps.
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C, SIGTERM and SIGHUP ask for a stop; the second one ends the process at once with code 130.
///
/// Without it a signal ends the process, and the last checkpoint is what remains. Later calls do nothing.
#[cfg(feature = "cli")]
pub fn listen() {
    let handler = || {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    };
    // The only failure is that a handler is there already: another caller listens, which serves as well.
    let _ = ctrlc::try_set_handler(handler);
}

/// Whether a stop was asked for.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
