//! `booktool serve` as it is typed: what it says and how it ends when it cannot start.
use std::net::TcpListener;
use std::process::{Command, Output};

fn serve(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_booktool")).arg("serve").args(args).output().expect("the tool starts")
}

#[test]
fn an_occupied_port_is_one_line_with_the_flag_and_exit_code_1() {
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let output = serve(&["--port", &port.to_string()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    let want = format!("port {port} is in use; choose another with --port N, or --port 0 for any free one\n");
    assert_eq!(message, want);
    assert!(output.stdout.is_empty(), "nothing is served");
}

#[test]
fn help_names_every_flag_and_exits_with_0() {
    for flag in ["--help", "-h"] {
        let output = serve(&[flag]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(["cargo xtask serve", "--port N", "--open"].iter().all(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn bad_flags_are_one_line_and_exit_code_2() {
    for args in [&["--port", "99999"][..], &["--port"], &["--por=1"], &["80"]] {
        let output = serve(args);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
        assert!(message.contains("--port"), "{args:?}: {message}");
    }
}
