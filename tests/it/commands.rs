//! Command lines as a person types them: what they print, and how they end.
use crate::support::{binary, output, text};

/// Runs a binary of this workspace; its output and exit code.
fn run(name: &str, arguments: &[&str]) -> (String, i32) {
    text(&output(binary(name).args(arguments)))
}

#[test]
fn a_slip_names_the_command_that_was_meant() {
    for (given, meant) in [("sevre", "serve"), ("testall", "test-all"), ("claim", "claims")] {
        let (said, code) = run("xtask", &[given]);
        assert_eq!(code, 2, "{said}");
        assert_eq!(said.trim_end(), format!("unknown command `{given}`; did you mean `{meant}`?"));
    }
}

#[test]
fn what_is_not_built_says_so_in_one_line() {
    for command in ["bench", "gpu-pack"] {
        let (said, code) = run("xtask", &[command]);
        assert_eq!((said.lines().count(), code), (1, 2), "{said}");
        assert!(said.contains("not built yet"), "{said}");
    }
}

#[test]
fn help_of_every_own_command_says_what_it_does() {
    for command in ["test-all", "test", "check", "book", "run"] {
        let (said, code) = run("xtask", &[command, "--help"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(command) && said.lines().count() >= 2, "{said}");
    }
}
