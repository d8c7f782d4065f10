//! The command line of the examples that measure and print a table: help, or nothing.

/// Goes on when nothing was typed. Help prints the documentation at the top of `source`, the example's own text, and
/// ends with 0; any other word ends with 2.
pub fn no_arguments(source: &str) {
    let Some(word) = std::env::args_os().nth(1) else { return };
    if word != "--help" && word != "-h" {
        eprintln!("`{}` is not known: the example takes nothing but --help", word.to_string_lossy());
        std::process::exit(2);
    }
    let text = source.lines().map_while(|line| line.strip_prefix("//!"));
    for line in text.filter(|line| !line.starts_with(" ```")) {
        println!("{}", line.strip_prefix(' ').unwrap_or(line));
    }
    std::process::exit(0);
}
