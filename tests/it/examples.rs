//! What every example of every crate must do, and what some answer.
use crate::support::{binary, examples, output, text};
use std::process::Command;

fn run(name: &str, arguments: &[&str]) -> (String, i32) {
    text(&output(binary(name).args(arguments)))
}

/// Whoever asks gets help, whoever mistypes learns it: nothing starts to train, nothing panics.
#[test]
fn examples_explain_themselves_and_refuse_what_they_do_not_know() {
    let mut seen = 0;
    for path in examples() {
        let (help, code) = text(&output(Command::new(path).arg("--help")));
        assert_eq!(code, 0, "{}: {help}", path.display());
        assert!(
            ["usage", "cargo run"].iter().any(|way| help.to_lowercase().contains(way)),
            "{}: {help}",
            path.display()
        );
        let (said, code) = text(&output(Command::new(path).arg("--no-such-flag")));
        assert_eq!(code, 2, "{}: {said}", path.display());
        assert!(said.contains("--no-such-flag"), "{}: {said}", path.display());
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} examples were found");
}

/// Nielsen's network has 23,860 parameters (784 · 30 + 30 + 30 · 10 + 10) and 23,820 products.
#[test]
fn parameters_are_counted() {
    let (said, code) = run("count_parameters", &["--mlp", "784,30,10"]);
    let row: Vec<&str> = said.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!((&row[..4], code), (&["MLP", "784", "23860", "23820"][..], 0), "{said}");
    let (all, code) = run("count_parameters", &[]);
    assert!(code == 0 && all.contains("ResNet-50") && all.contains("25557032"), "{all}");
    let (one, _) = run("count_parameters", &["resnet-50", "--batch", "1"]);
    assert!(one.contains("25557032") && !one.contains("ResNet-18"), "{one}");
    for (arguments, word) in [
        (vec!["resnet-51"], "resnet-51"),
        (vec!["--mlp", "784"], "at least 2"),
        (vec!["--mlp", "784,0,10"], "0"),
        (vec!["--batch", "0"], "0"),
        (vec!["ResNet-50", "--mlp", "1,2"], "--mlp"),
    ] {
        let (said, code) = run("count_parameters", &arguments);
        assert!(code == 2 && said.contains(word), "{arguments:?}: {said}");
    }
}

/// Labels without a rule are learnt more slowly than digits, and more of what was learnt lies near a boundary.
#[test]
fn memorising_differs_from_learning() {
    let (said, code) = run("memorization", &["--digits", "200", "--epochs", "40"]);
    assert_eq!(code, 0, "{said}");
    let row = |name: &str| -> Vec<f64> {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{said}"));
        let cells = line[name.len()..].split_whitespace().map(|cell| cell.trim_end_matches('%'));
        cells.map(|cell| cell.parse().expect("a number")).collect()
    };
    let (digits, drawn) = (row("digits"), row("drawn labels"));
    assert!(digits[0] > drawn[0] + 20.0, "{said}");
    assert!(digits[2] > drawn[2], "{said}");
    assert!(digits[3] < drawn[3], "{said}");
}

#[test]
fn minima_of_a_spin_glass_lie_between_the_limits() {
    let (said, code) = run("spin_glass", &["--spins", "12", "--starts", "6"]);
    assert!(code == 0 && said.contains("6 end in a minimum, 0 are not at rest"), "{said}");
    let counts =
        said.lines().skip(1).take(10).filter_map(|line| line.split_whitespace().nth(1)?.parse::<u32>().ok());
    assert_eq!(counts.sum::<u32>(), 6, "{said}");
    assert_eq!(run("spin_glass", &["--spins", "2"]).1, 2);
}
