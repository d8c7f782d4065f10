//! README.md: its commands exist, its links lead somewhere, its numbers are the recorded ones.
use crate::support::{binary, output, read, root, text};
use serde_json::Value;

fn readme() -> String {
    read(&root().join("README.md"))
}

#[test]
fn every_command_is_one_of_xtask() {
    let (overview, code) = text(&output(&mut binary("xtask")));
    assert_eq!(code, 0, "{overview}");
    let readme = readme();
    let commands: Vec<&str> = readme
        .split("cargo xtask ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next())
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        assert!(overview.contains(&format!("\n  {command} ")), "`{command}` is not in\n{overview}");
    }
}

#[test]
fn every_link_and_picture_leads_to_a_file() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for link in read(&root().join(document)).split("](").skip(1).filter_map(|rest| rest.split(')').next())
        {
            let is_here = !link.contains("://") && !link.starts_with('#');
            let path = root().join(link.split('#').next().unwrap_or(link));
            assert!(!is_here || path.exists(), "{document}: {link} does not exist");
        }
    }
}

#[test]
fn the_headline_number_is_the_recorded_one() {
    let result = read(&root().join("book/results/nielsen-digits.json"));
    let result: Value = serde_json::from_str(&result).expect("a result is JSON");
    let checks = result["checks"].as_array().expect("a list of checks");
    let measured = &checks.first().expect("a first check")["measured"];
    let number =
        |key: &str| measured[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {measured}"));
    let wanted = format!("{:.3} ± {:.3} ({} seeds)", number("mean"), number("sd"), measured["n"]);
    assert!(readme().contains(&wanted), "README.md should say {wanted}");
}
