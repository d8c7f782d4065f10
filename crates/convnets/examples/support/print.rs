//! Lines on standard output that may end before the example does.
use std::io::{ErrorKind, Write};

/// Prints a line. Whoever closed the pipe has read enough: the example ends, and well. A full disk is a failure.
pub fn print(line: std::fmt::Arguments<'_>) {
    let Err(error) = writeln!(std::io::stdout(), "{line}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("standard output cannot be written; free some space or choose another place: {error}");
    std::process::exit(1);
}

/// In place of the standard one, which panics where a line cannot be printed.
macro_rules! println {
    ($($line:tt)*) => {
        crate::support::print(format_args!($($line)*))
    };
}
