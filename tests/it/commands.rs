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
fn what_a_command_does_not_take_is_said_in_one_line() {
    let (said, code) = run("xtask", &["gpu-pack", "--fast"]);
    assert_eq!((said.lines().count(), code), (1, 2), "{said}");
    assert!(said.contains("no arguments"), "{said}");
}

#[test]
fn help_of_every_own_command_says_what_it_does() {
    for command in ["test-all", "test", "check", "book", "run", "bench", "gpu-pack"] {
        let (said, code) = run("xtask", &[command, "--help"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(command) && said.lines().count() >= 2, "{said}");
    }
}

#[test]
fn a_quick_experiment_shows_progress_and_a_table_of_checks() {
    let folder = tempfile::tempdir().expect("a folder for the result");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut command = binary("course");
    command.args(["run", "nielsen-digits", "--quick", "--out", &path("out"), "--runs", &path("runs")]);
    let result = output(&mut command);
    let (said, code) = text(&result);
    assert_eq!(code, 0, "{said}");
    let progress = String::from_utf8_lossy(&result.stderr);
    assert!(progress.lines().any(|line| line.contains("seed 0: ") && line.contains(" %, ")), "{progress}");
    let table = String::from_utf8_lossy(&result.stdout);
    for part in ["claim", "measured", "bound", "baseline", "holds", "≥ 0.86 (pilot)", "nearest class mean"]
    {
        assert!(table.contains(part), "no `{part}` in\n{table}");
    }
    let written = std::fs::read_to_string(folder.path().join("out/nielsen-digits.json"));
    let written: serde_json::Value = serde_json::from_str(&written.expect("a result file")).expect("JSON");
    assert_eq!(written["quick"], true);
}

#[test]
fn wrong_names_flags_and_values_are_one_clear_error_each() {
    for (arguments, code, part) in [
        (&["run", "nielsen-digit"][..], 2, "'nielsen-digits'"),
        (&["run", "xor", "--epoch", "3"], 2, "'--epochs'"),
        (&["run", "--quick"], 2, "no experiment is chosen"),
        (&["run", "xor", "--quick", "--epochs", "0"], 2, "at least 1, got 0"),
        (&["run", "xor", "--quick", "--device", "cuda"], 2, "--features cuda"),
        (&["run", "xor", "--quick", "--out", "/dev/null/x"], 1, "a file stands where a folder is needed"),
        (&["figures", "nothing"], 2, "nothing"),
        (&["serve"], 2, "serve"),
    ] {
        let (said, got) = run("course", arguments);
        assert_eq!(got, code, "{arguments:?}: {said}");
        assert!(said.contains(part) && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn the_tool_of_the_book_has_help_and_reports_a_full_disk() {
    for help in [&["--help"][..], &["build", "--help"]] {
        let (said, code) = run("booktool", help);
        assert!(code == 0 && said.contains("Usage: cargo xtask book"), "{help:?}: {said}");
    }
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let ended = binary("booktool").arg("listings").stdout(full).output().expect("booktool starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.starts_with("cannot write to standard output"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_word_that_is_not_unicode_is_refused_in_a_line() {
    use std::os::unix::ffi::OsStrExt;
    let word = std::ffi::OsStr::from_bytes(b"a\xff\xfeb");
    for name in ["xtask", "booktool", "course", "predict", "compare_optimisers"] {
        let (said, code) = text(&output(binary(name).arg(word)));
        let wanted = if name == "predict" { 1 } else { 2 }; // it takes the word for a file
        assert_eq!(code, wanted, "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

#[test]
fn an_example_ends_well_when_nobody_reads_on_and_fails_on_a_full_disk() {
    use std::process::Stdio;
    let mut command = binary("compare_optimisers");
    let mut child = command
        .args(["--steps", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(text(&ended), (String::new(), 0));
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let ended = binary("compare_optimisers").arg("--help").stdout(full).output().expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((said.lines().count(), ended.status.code()), (1, Some(1)), "{said}");
        assert!(said.starts_with("standard output cannot be written"), "{said}");
    }
}

#[test]
fn an_occupied_port_names_the_flag() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (said, code) = run("booktool", &["serve", "--port", &port]);
    assert_eq!((said.lines().count(), code), (1, 1), "{said}");
    assert!(said.contains(&port) && said.contains("--port N"), "{said}");
}
