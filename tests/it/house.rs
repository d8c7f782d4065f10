//! ARCHITECTURE.md, checked: arrows between rooms, where `unsafe` lives, one table of versions, plain builds.
use crate::support::{cargo, files, output, read, root, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// What each room may use of our own crates (normal dependencies).
const ARROWS: &[(&str, &[&str])] = &[
    ("kernels", &[]),
    ("layers", &["kernels"]),
    ("datasets", &["kernels"]),
    ("lab", &["datasets", "kernels", "layers"]),
    ("optim", &["datasets", "kernels", "lab", "layers"]),
    ("autoencoders", &["datasets", "kernels", "lab", "layers", "optim"]),
    ("convnets", &["datasets", "kernels", "lab", "layers", "optim"]),
    ("sequence", &["datasets", "kernels", "lab", "layers", "optim"]),
    ("graphs", &["datasets", "kernels", "lab", "layers", "optim"]),
    ("generative", &["autoencoders", "convnets", "datasets", "kernels", "lab", "layers", "optim"]),
    ("node", &["datasets", "generative", "kernels", "lab", "layers", "optim"]),
    ("theory", &["autoencoders", "convnets", "datasets", "kernels", "lab", "layers", "optim"]),
    ("course", &["datasets", "lab", UNITS]),
    ("book", &["datasets", "kernels", "lab", "layers", UNITS]),
    ("booktool", &[]),
    ("xtask", &[]),
    ("bench-protocol", &[]),
    ("pool-models", &[]),
    ("fake-gpu", &["kernels"]),
    ("bench", &["bench-protocol", "datasets", "kernels", "layers", "optim"]),
    ("course-tests", &["kernels", "lab", "layers", UNITS]),
];

/// Stands for any unit.
const UNITS: &str = "units";
const UNIT_NAMES: &[&str] =
    &["optim", "autoencoders", "generative", "convnets", "sequence", "graphs", "node", "theory"];

/// The files of `kernels` that may hold `unsafe`.
const UNSAFE_FILES: &[&str] = &[
    "pool.rs",
    "cores.rs",
    "simd.rs",
    "bridge.rs",
    "product.rs",
    "slender.rs",
    "turned.rs",
    "launch.rs",
    "resident.rs",
    "patches.rs",
];

fn metadata() -> Value {
    let result = output(&mut cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]));
    assert!(result.status.success(), "{}", text(&result).0);
    serde_json::from_slice(&result.stdout).expect("cargo writes JSON")
}

fn packages(metadata: &Value) -> BTreeMap<&str, &Value> {
    let list = metadata["packages"].as_array().expect("a list of packages");
    list.iter().map(|package| (package["name"].as_str().expect("a name"), package)).collect()
}

#[test]
fn arrows_point_to_the_right_only() {
    let metadata = metadata();
    let packages = packages(&metadata);
    let rooms: Vec<&str> = ARROWS.iter().map(|arrow| arrow.0).collect();
    for name in packages.keys() {
        assert!(
            rooms.contains(name),
            "`{name}` is no room of the house: name it in ARCHITECTURE.md and here"
        );
    }
    for (room, allowed) in ARROWS {
        let package = packages.get(room).unwrap_or_else(|| panic!("the room `{room}` is missing"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = dependency["name"].as_str().expect("a name");
            let is_ours = packages.contains_key(name) && name != *room;
            let is_allowed =
                allowed.contains(&name) || (allowed.contains(&UNITS) && UNIT_NAMES.contains(&name));
            let for_tests = dependency["kind"] == "dev";
            assert!(!is_ours || is_allowed || for_tests, "`{room}` must not use `{name}`");
        }
    }
}

#[test]
fn units_have_the_same_features_and_nothing_by_default() {
    let metadata = metadata();
    let packages = packages(&metadata);
    for unit in UNIT_NAMES {
        let features = packages[unit]["features"].as_object().expect("features");
        for name in ["experiments", "cuda", "ci-check"] {
            assert!(features.contains_key(name), "`{unit}` has no feature `{name}`");
        }
        assert_eq!(features["default"], serde_json::json!([]), "`{unit}` switches something on by default");
    }
}

#[test]
fn unsafe_code_lives_in_named_files_of_kernels_with_a_reason_each() {
    for path in files("", ".rs").into_iter().filter(|path| !path.ends_with(file!())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let code = read(&path);
        let in_kernels = path.starts_with(root().join("crates/kernels/src"));
        if name == "lib.rs" || name == "main.rs" {
            let forbids = code.contains("#![forbid(unsafe_code)]");
            let is_test = path.components().any(|part| part.as_os_str() == "it");
            // They include a file of `kernels`: its pool, its launches.
            let includes = path.ends_with("tests/models/lib.rs") || path.ends_with("tests/fake-gpu/lib.rs");
            assert!(forbids || in_kernels || is_test || includes, "{}: forbid unsafe_code", path.display());
        }
        let lines: Vec<&str> = code.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !(code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn ")) {
                continue;
            }
            let allowed = in_kernels && UNSAFE_FILES.contains(&name.as_str());
            assert!(allowed, "{}:{}: unsafe", path.display(), i + 1);
            // Above the block, or for a small `unsafe fn` inside it.
            let near = &lines[i.saturating_sub(8)..(i + 2).min(lines.len())];
            let has_reason = near.iter().any(|l| l.contains("SAFETY") || l.contains("# Safety"));
            assert!(has_reason, "{}:{}: unsafe without a SAFETY comment", path.display(), i + 1);
        }
    }
}

#[test]
fn versions_stand_in_one_table() {
    for path in files("", "Cargo.toml") {
        // The peers are a workspace of their own, with a table of their own.
        if [root().join("Cargo.toml"), root().join("tests/peers/Cargo.toml")].contains(&path) {
            continue;
        }
        let mut in_dependencies = false;
        for line in read(&path).lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
                continue;
            }
            let has_version =
                line.contains("= \"") && !line.contains("path = ") || line.contains("version =");
            let is_wrong = in_dependencies && has_version;
            assert!(!is_wrong, "{}: `{line}` belongs into the workspace's table", path.display());
        }
    }
}

#[test]
fn nothing_builds_with_all_features() {
    // Spelled in two parts, so that this file does not find itself.
    let flag = ["--all", "-features"].concat();
    for path in files("xtask", ".rs").into_iter().chain(files(".ci", "run")) {
        for line in read(&path).lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(
                !line.contains(&flag),
                "{}: `{line}` would build kernels that cannot run",
                path.display()
            );
        }
    }
}

#[test]
fn the_tree_speaks_of_the_project_alone() {
    // Spelled in parts, so that this file does not find itself.
    let paths = [["/ho", "me/"].concat(), ["/ro", "ot/"].concat(), ["/tmp/", "target"].concat()];
    for path in files("", "") {
        // Pictures, fonts and packed data are no text.
        let Ok(content) = std::fs::read_to_string(&path) else { continue };
        for word in &paths {
            assert!(!content.contains(word), "{} names a path of one machine: {word}", path.display());
        }
    }
}
