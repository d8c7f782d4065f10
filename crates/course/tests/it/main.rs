//! The command line, driven in this process with an experiment of its own.
use clap::Args;
use course::{Error, Unit};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How far a random walk gets: √steps, by theory.
struct Walk;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
struct WalkConfig {
    /// Length of each walk
    #[arg(long)]
    steps: usize,
    /// Repetitions
    #[arg(long)]
    num_seeds: usize,
    /// Forget that steps go both ways
    #[arg(long)]
    one_sided: bool,
}

impl Default for WalkConfig {
    fn default() -> Self {
        Self { steps: 900, num_seeds: 100, one_sided: false }
    }
}

impl ExperimentConfig for WalkConfig {
    fn quick() -> Self {
        Self { steps: 100, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.steps == 0 {
            return Err(lab::Error::Config { field: "steps", rule: "at least 1", value: "0".into() });
        }
        Ok(self)
    }
}

#[derive(Serialize, Deserialize)]
struct WalkReport {
    steps: usize,
    distance: Vec<f64>,
}

impl Experiment for Walk {
    type Config = WalkConfig;
    type Report = WalkReport;
    const ABOUT: About = About {
        name: "random-walk",
        lecture: 3,
        paper: "Pearson (1905), The problem of the random walk",
        claim: "the root mean square distance of a random walk grows as the square root of its steps",
        sources: &["the walk of this test"],
    };

    fn run(config: &WalkConfig, lab: &mut Lab) -> Result<WalkReport, lab::Error> {
        let mut distance = Vec::new();
        for seed in lab.seeds(config.num_seeds) {
            let mut draws = vec![0.0_f64; config.steps];
            seed.key("walk").fill_uniform(&mut draws);
            let walk: f64 =
                draws.iter().map(|&u| if u < 0.5 && !config.one_sided { -1.0 } else { 1.0 }).sum();
            distance.push(walk * walk / config.steps as f64);
        }
        lab.progress("walks", 1, 1, None)?;
        Ok(WalkReport { steps: config.steps, distance })
    }

    fn checks(report: &WalkReport) -> Vec<Check> {
        let measured = Measured::over(&report.distance);
        // The squared distance over steps has mean 1 and sd √2 over walks: four standard errors of 100 walks.
        vec![
            Check::new(
                "distance",
                "squared distance over steps is 1",
                measured,
                Bound::Within(0.43, 1.57),
                BoundSource::Paper,
            )
            .baseline("a walk that never turns", report.steps as f64)
            .reason_if_failed("the walk only goes one way"),
        ]
    }

    fn figures(report: &WalkReport) -> Vec<Figure> {
        let points = report.distance.iter().enumerate().map(|(i, &d)| (i as f64, d));
        let plot = Plot::new(Axis::linear("seed"), Axis::linear("squared distance / steps"))
            .scatter("walks", points);
        vec![Figure::new("distances", "Most walks end near.", "Squared distances scatter around one", plot)]
    }
}

fn units() -> Vec<Unit> {
    vec![Unit { name: "walks", experiments: vec![lab::entry::<Walk>()] }]
}

/// A course of its own in a temporary folder.
fn house() -> tempfile::TempDir {
    let house = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(house.path().join("book/results")).unwrap();
    std::fs::create_dir(house.path().join("crates")).unwrap();
    house
}

fn course(house: &Path, arguments: &str) -> (Result<u8, Error>, String) {
    course_with(house, arguments.split_whitespace().map(String::from))
}

/// The same with arguments that may hold spaces.
fn course_with(house: &Path, arguments: impl IntoIterator<Item = String>) -> (Result<u8, Error>, String) {
    let arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
    let mut out = Vec::new();
    let code = course::execute(&units(), house, &arguments, &mut out);
    (code, String::from_utf8(out).unwrap())
}

fn code(result: &Result<u8, Error>) -> u8 {
    match result {
        Ok(code) => *code,
        Err(error) => error.code(),
    }
}

#[test]
fn a_run_writes_result_and_figure_and_claims_count_it() {
    let house = house();
    let (done, text) = course(house.path(), "run random-walk --seed 5 --steps 400");
    assert_eq!(code(&done), 0, "{done:?} {text}");
    assert!(
        text.contains("yes") && text.contains("400.0 (a walk that never") && text.contains("seeds 5 to 104"),
        "{text}"
    );
    let result = std::fs::read_to_string(house.path().join("book/results/random-walk.json")).unwrap();
    let result: lab::ResultFile = serde_json::from_str(&result).unwrap();
    assert_eq!(result.command, "cargo xtask run random-walk --seed 5 --steps 400");
    assert_eq!((result.seeds.len(), result.seeds[0], result.seeds[99]), (100, 5, 104));
    assert_eq!((&result.config["steps"], result.quick), (&400.into(), false));
    assert!(house.path().join("book/src/figures/random-walk-distances.svg").is_file());

    let (done, text) = course(house.path(), "claims --check");
    assert_eq!((code(&done), text.lines().last()), (0, Some("claims: 1 listed, 1 hold, 0 do not")), "{text}");
    assert!(course(house.path(), "list").1.contains("holds"));
    assert_eq!(code(&course(house.path(), "figures --check").0), 0);
    std::fs::write(house.path().join("book/src/figures/random-walk-distances.svg"), "<svg>").unwrap();
    assert_eq!(code(&course(house.path(), "figures --check").0), 1);
    assert_eq!(code(&course(house.path(), "figures random-walk").0), 0);
    assert_eq!(code(&course(house.path(), "figures --check").0), 0);
    assert!(course(house.path(), "results").1.contains("random-walk"));
}

#[test]
fn quick_runs_never_touch_the_recorded_result() {
    let house = house();
    let (done, text) = course(house.path(), "run --quick random-walk");
    assert_eq!(code(&done), 0, "{done:?} {text}");
    assert!(text.contains("target/quick/results/random-walk.json"), "{text}");
    assert_eq!(std::fs::read_dir(house.path().join("book/results")).unwrap().count(), 0);
    let (done, text) = course(house.path(), "claims");
    assert_eq!((code(&done), text.lines().last()), (0, Some("claims: 1 listed, 0 hold, 0 do not")));
    assert_eq!(code(&course(house.path(), "claims --check").0), 1, "a missing result is not up to date");
    let (done, text) = course(house.path(), "results --check");
    assert_eq!(
        (code(&done), text.lines().last()),
        (0, Some("quick experiments: 1 passed, 0 failed")),
        "{text}"
    );
}

#[test]
fn a_check_that_fails_is_listed_with_its_reason_and_code_1() {
    let house = house();
    let (done, text) = course(house.path(), "run random-walk --one-sided");
    assert_eq!(code(&done), 1);
    assert!(text.contains("NO: the walk only") && text.contains("900 (n = 100)"), "{text}");
    let (done, text) = course(house.path(), "claims");
    assert_eq!((code(&done), text.lines().last()), (0, Some("claims: 1 listed, 0 hold, 1 do not")), "{text}");
}

#[test]
fn changed_sources_make_a_result_stale_and_due() {
    let house = house();
    let path = house.path().join("book/results/random-walk.json");
    assert_eq!(code(&course(house.path(), "run --missing").0), 0);
    let fresh = std::fs::read_to_string(&path).unwrap();
    assert_eq!(course(house.path(), "run --unit walks --missing").1, "", "nothing was due");
    let hash = serde_json::from_str::<lab::ResultFile>(&fresh).unwrap().sources_sha256;
    std::fs::write(&path, fresh.replace(&hash, "0")).unwrap();
    let (done, text) = course(house.path(), "claims --check");
    assert_eq!(code(&done), 1);
    assert!(text.contains("STALE"), "{text}");
    assert_eq!(code(&course(house.path(), "run --missing").0), 0);
    assert_eq!(code(&course(house.path(), "claims --check").0), 0);
}

/// What is typed once holds for each experiment of a unit; a result names a command that can be typed again.
#[test]
fn a_unit_takes_the_flags_of_one() {
    let house = house();
    let out = house.path().join("a folder");
    let arguments = ["run", "--unit", "walks", "--quick", "--fresh", "--seed", "3", "--out"];
    let arguments = arguments.map(String::from).into_iter().chain([out.display().to_string()]);
    let done = course_with(house.path(), arguments);
    assert_eq!(code(&done.0), 0, "{}", done.1);
    let result = std::fs::read_to_string(out.join("random-walk.json")).unwrap();
    let result: lab::ResultFile = serde_json::from_str(&result).unwrap();
    assert!(
        result.quick && result.command == "cargo xtask run random-walk --quick --seed 3",
        "{}",
        result.command
    );
    let again = result.command.strip_prefix("cargo xtask ").unwrap();
    assert_eq!(code(&course(house.path(), again).0), 0, "{again}");
}

#[test]
fn bad_use_ends_with_code_2_and_names_the_nearest() {
    let house = house();
    let cases = [
        ("run random-wlk", "there is no experiment 'random-wlk'; did you mean 'random-walk'?"),
        ("run nothing", "there is no experiment 'nothing'; `cargo xtask run` lists them"),
        ("run --quick", "`--quick` is for a run, and no experiment is chosen"),
        ("run --unit walks random-walk", "`--unit` chooses experiments, and 'random-walk' is named"),
        ("run --missing random-walk", "`--missing` chooses experiments"),
        ("run random-walk --step 4", "--steps"),
        ("run random-walk --steps many", "invalid digit"),
        ("run random-walk --steps 0", "steps must be at least 1, got 0"),
        ("run random-walk --seed -1", "a seed is a whole number from 0"),
        ("run random-walk --device gpu", "cpu"),
        ("run --unit walk", "walks"),
        ("figures random-wolk", "random-walk"),
        ("clams", "claims"),
        ("data lst", "list"),
        ("data", "verify"),
    ];
    for (arguments, expected) in cases {
        let (done, _) = course(house.path(), arguments);
        let error = done.expect_err(arguments);
        assert_eq!(error.code(), 2, "{arguments}: {error}");
        assert!(error.to_string().contains(expected), "{arguments}: {error}");
    }
    if cfg!(not(feature = "cuda")) {
        let (done, _) = course(house.path(), "run random-walk --device cuda");
        let error = done.unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
    let (done, _) = course(Path::new("/"), "list");
    assert_eq!(done.unwrap_err().code(), 2);
}

#[test]
fn usage_says_what_a_reader_types() {
    for (arguments, expected) in [
        ("data fetch", "Usage: cargo xtask data fetch <NAME>"),
        ("run random-walk --quik", "Usage: cargo xtask run random-walk"),
        ("run random-walk --seed x", "a seed is a whole number from 0"),
        ("data verify nope", "iris"),
    ] {
        let error = course(house().path(), arguments).0.expect_err(arguments).to_string();
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn one_embedded_set_is_verified_by_its_name() {
    let (done, text) = course(house().path(), "data verify iris");
    assert_eq!(code(&done), 0, "{text}");
    assert!(text.contains("iris.tsv") && text.contains("files: 1 as recorded, 0 not"), "{text}");
}

#[test]
fn help_lists_every_field_with_both_defaults() {
    let (done, _) = course(house().path(), "run random-walk --help");
    let help = done.unwrap_err();
    assert_eq!(help.code(), 0);
    let help = help.to_string();
    for expected in [
        "--steps <STEPS>",
        "[full: 900, quick: 100]",
        "--num-seeds",
        "[full: 100, quick: 100]",
        "--quick",
        "--one-sided",
    ] {
        assert!(help.contains(expected), "{expected} is missing in {help}");
    }
}

#[test]
fn broken_results_are_one_clear_error() {
    let house = house();
    let path = house.path().join("book/results/random-walk.json");
    assert_eq!(code(&course(house.path(), "run random-walk").0), 0);
    let whole = std::fs::read_to_string(&path).unwrap();
    for text in
        [&whole[..whole.len() / 2], "", "null", "[]", &whole.replace("\"distance\": [", "\"distanc\": [")]
    {
        std::fs::write(&path, text).unwrap();
        let (done, _) = course(house.path(), "figures");
        let error = done.expect_err(text).to_string();
        assert!(
            error.contains("random-walk.json") && error.contains("cargo xtask run random-walk"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
    std::fs::write(&path, &whole[..99]).unwrap();
    let (done, text) = course(house.path(), "claims");
    assert!(code(&done) == 1 && text.contains("BROKEN"), "{text}");
    assert!(course(house.path(), "list").1.contains("broken"));
}

#[test]
fn a_result_that_cannot_be_written_leaves_the_old_one() {
    let house = house();
    std::fs::write(house.path().join("file"), "old").unwrap();
    let arguments = format!("run random-walk --out {}", house.path().join("file").display());
    let error = course(house.path(), &arguments).0.unwrap_err();
    assert_eq!(error.code(), 1);
    assert!(error.to_string().contains("--out"), "{error}");
    assert_eq!(std::fs::read_to_string(house.path().join("file")).unwrap(), "old");
}

/// The process that the next test starts under a limit: runs the experiment in the house that its environment names,
/// and has nothing to do without it.
#[test]
fn child() {
    let Some(house) = std::env::var_os("COURSE_TEST_HOUSE") else { return };
    let (done, _) = course(Path::new(&house), "run random-walk");
    match done {
        Ok(code) => std::process::exit(code.into()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(error.code().into());
        }
    }
}

/// A limit on the size of files stands in for a full disk: the system refuses to write in the middle of the file.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_result_and_no_half_written_file() {
    let house = house();
    let folder = house.path().join("book/results");
    assert_eq!(code(&course(house.path(), "run random-walk --seed 7").0), 0);
    let old = std::fs::read(folder.join("random-walk.json")).unwrap();
    assert!(old.len() > 1024, "a smaller result would pass under the limit");
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("COURSE_TEST_HOUSE", house.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(1), "{message}");
    assert!(message.contains("random-walk.json") && message.contains("free some space"), "{message}");
    assert_eq!(std::fs::read(folder.join("random-walk.json")).unwrap(), old);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn data_is_listed_and_verified() {
    let house = house();
    let course = |arguments: &str| {
        course(house.path(), &format!("{arguments} --data-dir {}", house.path().join("data").display()))
    };
    let (done, text) = course("data list");
    assert!(code(&done) == 0 && text.contains("digits") && text.contains("licence"), "{text}");
    assert!(text.contains("absent, `cargo xtask data fetch cifar-10`"), "{text}");
    assert!(text.lines().last().is_some_and(|line| line == "sets: 24 embedded, 8 on disk"), "{text}");
    let (done, text) = course("data verify");
    assert_eq!((code(&done), text.lines().last()), (0, Some("files: 41 as recorded, 0 not")), "{text}");
    let (done, text) = course("data path");
    assert!(code(&done) == 0 && text.trim_end().ends_with("/data"), "{text}");
}

/// The ladder of clothes on the full set: whatever is in the folder instead of it is one line, and no result is written.
#[test]
fn a_full_set_that_is_absent_or_wrong_is_refused() {
    const NAMES: [&str; 4] = [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ];
    if Path::new("/usr/share/datasets/fashion-mnist").exists() {
        return; // Debian's package is found wherever else one looks: then nothing is absent, and a run takes minutes
    }
    let house = house();
    let data = house.path().join("data");
    let folder = data.join("fashion-mnist");
    std::fs::create_dir_all(&folder).unwrap();
    let refused = || {
        let arguments = format!("run fashion-ladder-full --data-dir {}", data.display());
        let arguments: Vec<_> = arguments.split_whitespace().map(Into::into).collect();
        let error = course::execute(&course::units(), house.path(), &arguments, &mut Vec::new()).unwrap_err();
        assert_eq!((error.code(), error.to_string().lines().count()), (1, 1), "{error}");
        assert_eq!(std::fs::read_dir(house.path().join("book/results")).unwrap().count(), 0);
        error.to_string()
    };
    let error = refused();
    assert!(error.contains("`train-images-idx3-ubyte.gz`") || error.contains("fashion-mnist"), "{error}");
    assert!(error.ends_with("type `cargo xtask data fetch fashion-mnist`"), "{error}");

    // Small files of the right form, packed: they are not the set, and their hashes say so.
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/data");
    let small = |name: &str| std::fs::read(embedded.join(name)).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    for name in NAMES {
        let part = if name.starts_with("train") { "train" } else { "test" };
        let what = if name.contains("images") { "images" } else { "labels" };
        write(name, &small(&format!("fashion-{part}-{what}.idx.gz")));
    }
    let valid = refused();
    assert!(valid.contains("train-images-idx3-ubyte.gz") && valid.contains("must be c59f468a"), "{valid}");
    // Cut off, without the packing, with another magic number, empty.
    let images = small("fashion-train-images.idx.gz");
    for bytes in [&images[..images.len() / 2], &[0, 0, 8, 3, 0, 0, 0, 1], &small("digits-images.idx.gz"), &[]]
    {
        write(NAMES[0], bytes);
        let error = refused();
        assert!(error.contains("train-images-idx3-ubyte.gz"), "{error}");
        assert!(error != valid, "{error}");
    }
    // One of the four is missing.
    std::fs::remove_file(folder.join(NAMES[0])).unwrap();
    assert!(refused().ends_with("type `cargo xtask data fetch fashion-mnist`"));
}

#[test]
fn a_set_is_imported_verified_and_refused_when_it_changes() {
    let house = house();
    let course = |arguments: &str| {
        course(house.path(), &format!("{arguments} --data-dir {}", house.path().join("data").display()))
    };
    let mine = house.path().join("delaney-processed.csv");
    std::fs::write(&mine, "smiles,measured log solubility in mols per litre\nCCO,1.1\n").unwrap();
    let (done, text) = course(&format!("data import esol {}", mine.display()));
    assert_eq!(
        (code(&done), text.lines().last()),
        (0, Some("esol: 1 of 1 files, checked")),
        "{done:?} {text}"
    );
    let (done, text) = course("data verify esol");
    assert_eq!((code(&done), text.lines().last()), (0, Some("files: 1 as recorded, 0 not")), "{text}");
    assert!(course("data list").1.contains("delaney-processed.csv: checked, "));
    std::fs::write(house.path().join("data/esol/delaney-processed.csv"), "other").unwrap();
    let (done, text) = course("data verify");
    assert!(code(&done) == 1 && text.contains("not used, get it"), "{text}");
    assert_eq!(text.lines().last(), Some("files: 41 as recorded, 1 not"));

    for (arguments, code, expected) in [
        ("data verify mnist", 1, "type `cargo xtask data fetch mnist`"),
        ("data fetch cora", 2, "convert the Planetoid release"),
        ("data fetch cifar", 2, "cifar-10"),
        ("data fetch cora --from mirror", 2, "must be a web address, found `mirror`"),
        ("data fetch cora --from http://127.0.0.1:1", 1, "cannot fetch http://127.0.0.1:1/cora.tsv.gz"),
        ("data import mnist /nowhere", 1, "`nowhere` is not here"),
        ("data import mnist", 2, "PATH"),
    ] {
        let (done, _) = course(arguments);
        let error = done.expect_err(arguments);
        assert_eq!(error.code(), code, "{arguments}: {error}");
        assert!(error.to_string().contains(expected), "{arguments}: {error}");
    }
}
