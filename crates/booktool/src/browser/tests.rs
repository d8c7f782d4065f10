//! The checker itself: it finds each seeded fault, it invents none, and a page that hangs does not stop it.
use super::*;

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pages");

/// A browser on the pages with seeded faults; `None`, with a message, where a reader's machine has no browser.
fn browser(limit: Duration) -> Option<Browser> {
    match Browser::start(Site::load(Path::new(PAGES)).unwrap(), limit) {
        Ok(browser) => Some(browser),
        Err(error @ Error::NotInstalled) if !is_ci() => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn each_seeded_fault_is_found() {
    let Some(browser) = browser(CALL_LIMIT) else { return };
    for theme in THEMES {
        let view = View { page: "faults.html", theme, width: 360 };
        let faults = browser.look(&view).unwrap();
        for want in [
            "wider than the view (910 px): <div> A block of 900 pixels",
            "wider than the view (910 px): <div> A folded block of 900 pixels",
            "image not loaded: gone.png",
            "image without alternative text: dot.png",
            "image not loaded: https://example.invalid/dot.png",
            "asks another host: https://example.invalid/dot.png",
            "a formula with an error: <merror> unknown command",
            "the mathematical font is not loaded",
            "a line begins with the punctuation after a formula: <p> . Stop",
            "figure without role=\"img\": <svg> faint text",
            "figure without title: <svg> faint text",
            "<p> Grey on grey",
            "<p> Faded",
            "<text> dark on dark",
            "<text> see-through",
            "Uncaught Error: on purpose",
            "console: http://127.0.0.1:",
        ] {
            assert!(faults.iter().any(|f| f.contains(want)), "{theme}: not found: {want}\n{faults:#?}");
        }
        assert_eq!(faults.iter().any(|f| f.contains("<text> faint text")), theme == "light", "{faults:#?}");
        assert!(faults.iter().any(|f| f.starts_with("contrast of series colour --c2")), "{faults:#?}");
        assert!(!faults.iter().any(|f| f.contains("--c1")), "{faults:#?}");
    }
    let laptop = View { page: "faults.html", theme: "light", width: 1280 };
    let faults = browser.look(&laptop).unwrap();
    let want = "cut off at its right (900 px in a column of 300 px): <div> An equation of 900 pixels";
    assert!(faults.iter().any(|fault| fault == want), "{faults:#?}");
    assert!(!faults.iter().any(|fault| fault.starts_with("wider than the view")), "{faults:#?}");
    let dead = crate::links::check(Path::new(PAGES)).unwrap().failed;
    for want in ["`faults.html` has no id `nowhere`", "no file `gone.png`", "comes with the book"] {
        assert!(dead.iter().any(|f| f.contains(want)), "{dead:#?}");
    }
}

#[test]
fn a_page_without_faults_has_none_in_any_view() {
    let Some(browser) = browser(CALL_LIMIT) else { return };
    for theme in THEMES {
        for width in WIDTHS {
            let view = View { page: "clean.html", theme, width };
            assert_eq!(browser.look(&view).unwrap(), Vec::<String>::new(), "{view}");
        }
    }
    let other = View { page: "clean.html", theme: "ayu", width: 360 };
    browser.show(&other).unwrap();
    let faults = browser.driver.run(VIEW, &[json!("navy")]).unwrap();
    assert!(faults.to_string().contains("the theme is not navy"), "{faults}");

    // Signature, then width and height of the header chunk.
    let view = View { page: "clean.html", theme: "light", width: 360 };
    browser.show(&view).unwrap();
    let images = browser.shoot(&view).unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(&images[0][..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(images[0][16..24], [0, 0, 1, 104, 0, 0, 3, 32], "360 x 800");
    browser.driver.run("document.querySelector('main').style.height = '13000px';", &[]).unwrap();
    assert_eq!(browser.shoot(&view).unwrap().len(), 2);
}

#[test]
fn sliders_move_their_figures() {
    let folder = crate::tests::fixture();
    let site = crate::build_in(&folder.path().join("book")).unwrap();
    let open = |site: &Path| match Browser::start(Site::load(site).unwrap(), CALL_LIMIT) {
        Ok(browser) => Some(browser),
        Err(error @ Error::NotInstalled) if !is_ci() => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    };
    let Some(browser) = open(&site) else { return };
    let page = "lecture-02/momentum.html".to_owned();
    let book = Book { pages: vec![page.clone()], chapters: vec![page.clone()], longest: page };
    assert_eq!(slide(&browser, &book).unwrap(), Vec::<String>::new());
    assert_eq!(stand_still(&browser, &book).unwrap(), Vec::<String>::new());

    // A script that does not listen, one that turns the page by an arrow key, one that says nothing, one that hides.
    let script = site.join("theme/course.js");
    let whole = fs::read_to_string(&script).unwrap();
    let broken = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        fs::write(&script, whole.replace(from, to)).unwrap();
        slide(&open(&site).unwrap(), &book).unwrap().join("; ")
    };
    assert!(
        broken("addEventListener('input', show)", "addEventListener('keypress', show)")
            .contains("stays the same")
    );
    assert!(
        broken(
            "controls.hidden = false;",
            "controls.hidden = false; onkeyup = () => location = '../index.html';"
        )
        .contains("turn the page")
    );
    assert!(broken("input.setAttribute('aria-valuetext', words[i]);", "").contains("is read out as"));
    assert!(broken("controls.hidden = false;", "").contains("without a label"));
}

#[test]
fn a_page_that_hangs_ends_by_the_time_limit() {
    let begin = Instant::now();
    let Some(mut browser) = browser(Duration::from_secs(2)) else { return };
    let process = browser.driver.process();
    let hangs = View { page: "hangs.html", theme: "light", width: 360 };
    let error = browser.look(&hangs).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(15), "{error} after {:?}", begin.elapsed());

    browser.restart().unwrap();
    assert!(!is_running(process), "the browser that hung still runs");
    let clean = View { page: "clean.html", ..hangs };
    assert_eq!(browser.look(&clean).unwrap(), Vec::<String>::new());
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

/// Whether a process still does something; one that ended and waits for its parent has no command line.
fn is_running(process: u64) -> bool {
    fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_browser_that_lost_its_driver_ends_too() {
    let Some(mut browser) = browser(CALL_LIMIT) else { return };
    let process = browser.driver.process();
    assert!(is_running(process));
    browser.driver.lose();
    drop(browser);
    let begin = Instant::now();
    while is_running(process) {
        assert!(begin.elapsed() < Duration::from_secs(5), "the browser still runs");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_missing_browser_is_skipped_for_a_reader_and_fails_in_ci() {
    let skipped = without_browser(&Error::NotInstalled, false).unwrap();
    assert_eq!(skipped.to_string(), "0 passed, 0 failed, 1 skipped");
    assert!(skipped.skipped[0].contains("apt-get install"), "{skipped:?}");
    assert_eq!(
        without_browser(&Error::NotInstalled, true).unwrap().to_string(),
        "0 passed, 1 failed, 0 skipped"
    );
    // A browser that is there and does not start is a fault for everybody.
    let broken = Error::Start { source: std::io::Error::other("no memory") };
    assert_eq!(without_browser(&broken, false).unwrap().to_string(), "0 passed, 1 failed, 0 skipped");
}

#[test]
fn screenshots_have_names_of_their_own() {
    let view = View { page: "lecture-08/adam.html", theme: "navy", width: 360 };
    assert_eq!(view.file(0), "lecture-08-adam-360-navy-0.png");
}
