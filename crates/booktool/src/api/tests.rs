//! The index and what rustdoc writes: by the real rustdoc, on the two crates of `tests/fixtures/crates`.
use super::record::{compare, record};
use super::*;
use crate::error::Place;
use std::fs;

/// Documentation of the crates `walks` and `votes`.
fn documented_crates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/crates");
    let run = |program: &str, args: &[&str], source: &str| {
        let mut command = Command::new(program);
        command.args(["--edition", "2024"]).args(args).arg(sources.join(source)).current_dir(folder.path());
        let output = command.output().expect("the toolchain is on the path");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run("rustdoc", &["-o", "doc"], "walks.rs");
    run("rustc", &["--crate-type", "lib", "--emit", "metadata"], "walks.rs");
    run("rustdoc", &["-o", "doc", "--extern", "walks=libwalks.rmeta"], "votes.rs");
    folder
}

fn names(written: &[&str]) -> Vec<(Place, String)> {
    let place = |line| Place { file: "src/lecture-01.md".into(), line };
    written.iter().enumerate().map(|(i, name)| (place(i + 1), (*name).to_owned())).collect()
}

fn index(entries: &[(&str, &str)]) -> Index {
    entries.iter().map(|(name, page)| ((*name).to_owned(), (*page).to_owned())).collect()
}

#[test]
fn every_kind_of_item_has_its_page() {
    let folder = documented_crates();
    let documentation = Documentation::open(folder.path().join("doc")).unwrap();
    let find = |written: &str| documentation.find(&Name::parse(written).unwrap());
    assert_eq!(documentation.crates(), ["votes", "walks"]);
    for (written, page) in [
        ("votes", "votes/index.html"),
        ("mod@votes::digits", "votes/digits/index.html"),
        ("votes::digits()", "votes/digits/fn.digits.html"),
        ("votes::digits::digits", "votes/digits/fn.digits.html"),
        ("votes::digits::Images", "votes/digits/struct.Images.html"),
        ("votes::Pictures", "votes/digits/struct.Images.html"),
        ("votes::Pictures::new", "votes/digits/struct.Images.html#method.new"),
        ("votes::digits::Images::new()", "votes/digits/struct.Images.html#method.new"),
        ("votes::digits::Images::pixels", "votes/digits/struct.Images.html#structfield.pixels"),
        ("votes::digits::Images::WIDTH", "votes/digits/struct.Images.html#associatedconstant.WIDTH"),
        ("votes::digits::Images::walk", "votes/digits/struct.Images.html#method.walk"),
        ("votes::Verdict", "votes/enum.Verdict.html"),
        ("votes::Verdict::Fails", "votes/enum.Verdict.html#variant.Fails"),
        ("votes::strolls", "walks/index.html"),
        ("votes::strolls::Walk", "walks/trait.Walk.html"),
        ("walks::Walk::walk", "walks/trait.Walk.html#tymethod.walk"),
        ("walks::Walk::twice", "walks/trait.Walk.html#method.twice"),
        ("walks::Walk::Path", "walks/trait.Walk.html#associatedtype.Path"),
        ("votes::prelude::Images", "votes/digits/struct.Images.html"),
        ("votes::prelude::Verdict", "votes/prelude/enum.Verdict.html"),
        ("votes::vote!", "votes/macro.vote.html"),
        ("votes::vote", "votes/macro.vote.html"),
        ("votes::Byte", "votes/type.Byte.html"),
        ("votes::LIMIT", "votes/constant.LIMIT.html"),
    ] {
        assert_eq!(find(written).as_deref(), Ok(page), "{written}");
        let (file, id) = page.split_once('#').unwrap_or((page, ""));
        let text = fs::read_to_string(folder.path().join("doc").join(file)).unwrap();
        assert!(id.is_empty() || text.contains(&format!("id=\"{id}\"")), "{page}");
    }
    // The page exists, in some form, but is not what was asked for.
    for written in [
        "votes::digit",
        "votes::Byte()",
        "votes::digits::Images!",
        "votes::LIMIT::x",
        "vote",
        "votes::hidden",
    ] {
        assert_eq!(find(written), Err(Missing::Unknown), "{written}");
    }
    assert_eq!(find("votes::digits"), Err(Missing::Ambiguous(vec!["function".into(), "module".into()])));
}

#[test]
fn a_page_that_rustdoc_has_left_behind_is_no_item() {
    let folder = documented_crates();
    let doc = folder.path().join("doc");
    fs::copy(doc.join("votes/type.Byte.html"), doc.join("votes/type.Nibble.html")).unwrap();
    let documentation = Documentation::open(doc).unwrap();
    assert_eq!(documentation.find(&Name::parse("votes::Nibble").unwrap()), Err(Missing::Unknown));
    assert!(Documentation::open(folder.path().join("nowhere")).is_none());
}

#[test]
fn an_unknown_item_is_answered_by_the_nearest() {
    let folder = documented_crates();
    let known = Known {
        index: Index::default(),
        built: vec![Documentation::open(folder.path().join("doc")).unwrap()],
    };
    for (written, wanted) in [
        ("votes::digits::Image", "(did you mean `votes::digits::Images`?)"),
        ("votes::Images", "(did you mean `votes::digits::Images`?)"),
        ("vote::Verdict", "(did you mean `votes::Verdict`?)"),
        ("walks::Walk::twise", "(did you mean `walks::Walk::twice`?)"),
        (
            "nothing::of_this::Sort",
            "in the documentation of the crates; if it is new, run `cargo xtask book api`",
        ),
        ("votes::digits", "is a function and a module; write `votes::digits()` for the function"),
        ("votes.digits", "`votes.digits` is no path of an item"),
    ] {
        let fault = known.page(written).unwrap_err().to_string();
        assert!(fault.contains(wanted), "{written}: {fault}");
    }
    assert_eq!(known.page("votes::Verdict").as_deref(), Ok("votes/enum.Verdict.html"));
}

#[test]
fn without_documentation_the_index_is_all_there_is() {
    let known = Known {
        index: index(&[("votes::Verdict", "votes/enum.Verdict.html"), ("walks", "walks/index.html")]),
        built: vec![],
    };
    assert_eq!(known.page("votes::Verdict").as_deref(), Ok("votes/enum.Verdict.html"));
    let fault = known.page("votes::Verdikt").unwrap_err().to_string();
    assert_eq!(
        fault,
        "no item `votes::Verdikt` in the documentation of the crates (did you mean `votes::Verdict`?); \
         if it is new, run `cargo xtask book api`"
    );
}

#[test]
fn the_index_is_written_from_the_documentation_and_compared_with_it() {
    let folder = documented_crates();
    let documentation = Documentation::open(folder.path().join("doc")).unwrap();
    let used = names(&["votes::Verdict", "walks::Walk::walk", "votes::Verdict"]);
    let right = record(&used, &documentation).unwrap();
    let entries = [
        ("votes::Verdict", "votes/enum.Verdict.html"),
        ("walks::Walk::walk", "walks/trait.Walk.html#tymethod.walk"),
    ];
    assert_eq!(right, index(&entries));
    let outcome = compare(&used, &right, &documentation);
    assert_eq!((outcome.passed, outcome.failed), (2, vec![]));

    // An item that is not there is a fault of the chapter, in both.
    let wrong = names(&["votes::Verdict", "votes::Verdct"]);
    let error = record(&wrong, &documentation).unwrap_err().to_string();
    assert!(error.starts_with("book/src/lecture-01.md:2: no item `votes::Verdct`"), "{error}");
    assert!(error.contains("did you mean `votes::Verdict`?"), "{error}");
    for (used, index, wanted) in [
        (&wrong[1..], index(&[]), "book/src/lecture-01.md:2: no item `votes::Verdct`"),
        (
            &used[..1],
            index(&[]),
            "lecture-01.md:1: `votes::Verdict` is not in book/api.tsv; run `cargo xtask book api`",
        ),
        (
            &used[..1],
            index(&[("votes::Verdict", "votes/struct.Verdict.html")]),
            "has `votes::Verdict` at `votes/struct.Verdict.html`, rustdoc at `votes/enum.Verdict.html`; run",
        ),
        (&used[..0], index(&entries[..1]), "book/api.tsv has `votes::Verdict`, which no chapter links; run"),
    ] {
        let outcome = compare(used, &index, &documentation);
        assert!(outcome.passed == 0 && outcome.failed.len() == 1, "{outcome:?}");
        assert!(outcome.failed[0].contains(wanted), "{outcome:?}");
    }
}

#[test]
fn the_file_of_the_index_is_read_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Index::read(folder.path()).unwrap(), Index::default());
    let written = index(&[("a::B::c()", "a/struct.B.html#method.c"), ("mod@a::b", "a/b/index.html")]);
    let write = |text: &str| fs::write(folder.path().join("api.tsv"), text).unwrap();
    write(&written.text());
    assert_eq!(Index::read(folder.path()).unwrap(), written);
    for line in [
        "a::B",
        "a::B\t",
        "a B\ta/b.html",
        "a::B\t../b.html",
        "a::B\t/b.html",
        "a::B\ta/b.html\" x",
        "a\tb.txt",
    ] {
        write(&format!("# head\na\ta/index.html\n{line}\n"));
        let error = Index::read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("book/api.tsv:3 is not an item, a tab and its page"), "{line}: {error}");
    }
}

#[test]
fn names_are_paths_with_marks() {
    for written in
        ["optim", "optim::sgd::Sgd", "mod@optim::sgd", "datasets::mnist()", "votes::vote!", "a::B::c"]
    {
        assert_eq!(Name::parse(written).unwrap().to_string(), written);
    }
    for text in ["", "a::", "::a", "a:b", "a b", "a::<B>", "fn@a", "a/b", "1a", "a()()", "\"", "a#b"] {
        assert_eq!(Name::parse(text), None, "{text}");
    }
    for (written, shelf, item) in [
        ("optim", "", "optim"),
        ("optim::perceptron::MaxEpochs", "optim::perceptron", "MaxEpochs"),
        ("optim::perceptron::Perceptron::train()", "optim::perceptron", "Perceptron::train"),
        ("datasets::mnist()", "datasets", "mnist"),
        ("mod@optim::sgd", "optim", "sgd"),
        ("kernels::LIMIT", "kernels", "LIMIT"),
    ] {
        let found = Name::parse(written).unwrap().shelf();
        assert_eq!((found.0.as_str(), found.1.as_str()), (shelf, item), "{written}");
    }
}

#[test]
fn the_command_documents_the_crates_of_the_course_and_no_tool() {
    let command = document(Path::new("/t"));
    let words: Vec<_> = command.get_args().collect();
    assert_eq!(words, ["doc", "--no-deps", "--color", "never", "--target-dir", "/t/api"]);
    assert_eq!(documented(Path::new("/t")), Path::new("/t/api/doc"));
    // Without a choice of packages cargo takes the default members.
    let folder = command.get_current_dir().unwrap();
    let workspace: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    let members = workspace["workspace"]["default-members"].as_array().unwrap();
    for name in ["kernels", "layers", "datasets", "lab", "optim", "convnets"] {
        assert!(
            members.iter().any(|member| member.as_str() == Some(&format!("crates/{name}"))),
            "{members:?}"
        );
    }
    assert!(!members.iter().any(|member| member.as_str() == Some("crates/booktool")), "{members:?}");
}
