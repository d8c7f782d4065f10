//! Browser test of the rendered book: every page as a reader sees it, and what a reader does with it.
//!
//! Each page is loaded in Chromium at two widths in two themes (the longest also in the others); `browser/view.js` looks for faults in it and a
//! screenshot goes to `target/shots`. Search, folded solutions, the print page, the keys, the theme menu, the sliders of
//! figures and the drawing tool are used. Two browsers share the work.
use crate::REPEATS;
use crate::links::hrefs;
use crate::outcome::Outcome;
use crate::serve::{self, Live, Reload, Site};
use crate::webdriver::{Driver, Error};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Widths of the view in CSS pixels: a telephone, a laptop.
const WIDTHS: [u32; 2] = [360, 1280];
/// Height of the view in CSS pixels.
const HEIGHT: u32 = 800;
/// The themes that a reader gets without choosing one: every page is shown in them.
const THEMES: [&str; 2] = ["light", "navy"];
/// The other themes of the menu: the longest chapter stands for all pages.
const OTHER_THEMES: [&str; 3] = ["rust", "coal", "ayu"];
/// Height of a screenshot in pixels; a higher page gets several. Chromium draws the whole page for each of them, and
/// no image above 16384.
const SHOT_HEIGHT: u32 = 12_000;
/// Pages that are shown in no view of their own: the frame of the side bar without JavaScript.
const FRAMES: &[&str] = &["toc.html"];
/// Time limit of a page load and of a script.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Time limit of the whole test. A page takes about a second per view.
const LIMIT: Duration = Duration::from_secs(600);
/// The key that leads to the next chapter, in WebDriver's spelling.
const ARROW_RIGHT: char = '\u{e014}';
/// The key that leads to the chapter before.
const ARROW_LEFT: char = '\u{e012}';
/// The key that moves a slider to its first value.
const HOME: char = '\u{e011}';

const VIEW: &str = include_str!("browser/view.js");
const SEARCH: &str = include_str!("browser/search.js");
const FRAMES_SEEN: &str = include_str!("browser/frames.js");
const DRAW: &str = include_str!("browser/draw.js");
/// The page with the drawing tool, and the result whose digits it must read as the crate does.
const DRAWING: (&str, &str) = ("lecture-14/draw.html", "results/pretrained-lenet.json");

/// Looks at every page of the rendered book in `folder`.
///
/// Every view of a page and every thing that a reader does counts as one check. Without a browser all of them are
/// skipped, which is a failure where the environment has `CI=true`.
///
/// # Errors
/// When the folder is not a rendered book, or there is no place for screenshots.
pub fn check(folder: &Path) -> Result<Outcome> {
    let site = Site::load(folder)?;
    let book = Book::new(&site)?;
    let shots = shots();
    // Pictures of an earlier run would pass for those of this one.
    match fs::remove_dir_all(&shots) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(&shots),
    }
    .with_context(|| format!("folder {}", shots.display()))?;
    let browsers = Browser::start(site, CALL_LIMIT).and_then(|first| Ok([first.beside()?, first]));
    let browsers = match browsers {
        Ok(browsers) => browsers,
        Err(error) => return without_browser(&error, is_ci()),
    };
    let round =
        &Round { tasks: book.tasks(), book: &book, shots, begin: Instant::now(), next: AtomicUsize::new(0) };
    let done = thread::scope(|scope| {
        let workers = browsers.map(|browser| scope.spawn(move || round.work(browser)));
        workers.map(|worker| worker.join().expect("no task panics"))
    });
    let mut done = done.concat();
    done.sort_by_key(|(task, _)| *task);
    let mut outcome = Outcome::default();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (task, faults) in done {
        match &round.tasks[task] {
            Task::Visit(name, _) => {
                outcome.record(faults.into_iter().map(|fault| format!("{name}: {fault}")))
            }
            Task::View(view) => {
                outcome.passed += usize::from(faults.is_empty());
                for fault in faults {
                    let line = format!("{}: {fault}", view.page);
                    found.entry(line).or_default().push(format!("{} {}", view.width, view.theme));
                }
            }
        }
    }
    // A fault that several views share is one line.
    outcome.failed.extend(found.into_iter().map(|(line, views)| format!("{line} [{}]", views.join(", "))));
    Ok(outcome)
}

/// Something that a reader does; what is wrong with the answer.
type Visit = fn(&Browser, &Book) -> Result<Vec<String>, Error>;

/// What one browser does without the other.
enum Task<'a> {
    /// It does what a reader does, under this name.
    Visit(&'static str, Visit),
    /// It looks at a page.
    View(View<'a>),
}

/// All tasks and the browsers' way through them. A page is drawn and its picture packed on one processor: two browsers
/// take half the time.
struct Round<'a> {
    tasks: Vec<Task<'a>>,
    book: &'a Book,
    shots: PathBuf,
    begin: Instant,
    /// Number of the first task that no browser has taken.
    next: AtomicUsize,
}

impl Round<'_> {
    /// Takes tasks until none is left; returns their numbers, each with the faults found.
    fn work(&self, mut browser: Browser) -> Vec<(usize, Vec<String>)> {
        let mut done = vec![];
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = self.tasks.get(number) else { return done };
            if self.begin.elapsed() > LIMIT {
                self.next.store(self.tasks.len(), Ordering::Relaxed);
                done.push((number, vec![format!("not reached within {} s", LIMIT.as_secs())]));
                return done;
            }
            match self.perform(task, &browser) {
                Ok(faults) => done.push((number, faults)),
                Err(error) => {
                    let mut faults = vec![error.to_string()];
                    let again = browser.restart();
                    faults.extend(again.as_ref().err().map(|error| format!("no new browser: {error}")));
                    done.push((number, faults));
                    if again.is_err() {
                        return done;
                    }
                }
            }
        }
    }

    fn perform(&self, task: &Task<'_>, browser: &Browser) -> Result<Vec<String>, Error> {
        match task {
            Task::Visit(_, visit) => {
                browser.driver.resize(WIDTHS[1], HEIGHT)?;
                visit(browser, self.book)
            }
            Task::View(view) => {
                let mut faults = browser.look(view)?;
                for (part, image) in browser.shoot(view)?.iter().enumerate() {
                    let written = fs::write(self.shots.join(view.file(part)), image);
                    faults.extend(written.err().map(|error| format!("its picture is not written: {error}")));
                }
                Ok(faults)
            }
        }
    }
}

/// What is recorded on a machine where no browser starts.
fn without_browser(error: &Error, is_ci: bool) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let line = format!("browser test: {error}");
    match error {
        Error::NotInstalled if !is_ci => outcome.skipped.push(line),
        _ => outcome.failed.push(line),
    }
    Ok(outcome)
}

/// Whether a missing browser is a failure.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Folder of the screenshots.
fn shots() -> PathBuf {
    crate::root().join("../target/shots")
}

/// The pages of a book.
struct Book {
    /// Every page with a view of its own, sorted by name.
    pages: Vec<String>,
    /// The chapters in the order of the table of contents.
    chapters: Vec<String>,
    /// The longest chapter.
    longest: String,
}

impl Book {
    fn new(site: &Site) -> Result<Self> {
        let is_page = |name: &&str| name.ends_with(".html") && !FRAMES.contains(name);
        let pages: Vec<String> = site.names().filter(is_page).map(str::to_owned).collect();
        let chapters: Vec<String> = hrefs(&site.text("toc.html").unwrap_or_default());
        ensure!(chapters.len() > 1, "the table of contents, toc.html, names fewer than two chapters");
        let length = |name: &&String| site.text(name).map_or(0, |text| text.len());
        let longest = chapters.iter().max_by_key(length).cloned().unwrap_or_default();
        Ok(Self { pages, chapters, longest })
    }

    /// All that is checked, the long ones first.
    fn tasks(&self) -> Vec<Task<'_>> {
        let visits = VISITS.into_iter().map(|(name, visit)| Task::Visit(name, visit));
        visits.chain(self.views().into_iter().map(Task::View)).collect()
    }

    /// Every page in every size and theme that it is looked at.
    fn views(&self) -> Vec<View<'_>> {
        let mut views = vec![];
        for theme in THEMES {
            for page in &self.pages {
                views.extend(WIDTHS.map(|width| View { page, theme, width }));
            }
        }
        views.extend(OTHER_THEMES.map(|theme| View { page: &self.longest, theme, width: WIDTHS[1] }));
        views
    }
}

/// A page as it is shown once.
struct View<'a> {
    page: &'a str,
    theme: &'static str,
    width: u32,
}

impl View<'_> {
    /// File name of a part of its screenshot, counted from 0.
    fn file(&self, part: usize) -> String {
        let page = self.page.trim_end_matches(".html").replace('/', "-");
        format!("{page}-{}-{}-{part}.png", self.width, self.theme)
    }
}

impl std::fmt::Display for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} px, {})", self.page, self.width, self.theme)
    }
}

/// A browser and the server of the pages that it shows.
struct Browser {
    driver: Driver,
    limit: Duration,
    /// `http://127.0.0.1:PORT/`
    root: String,
}

impl Browser {
    fn start(site: Site, limit: Duration) -> Result<Self, Error> {
        let listener =
            serve::listen(0).map_err(|error| Error::Start { source: std::io::Error::other(error) })?;
        let address = listener.local_addr().map_err(|source| Error::Start { source })?;
        let driver = Self::driver(limit)?;
        serve::start(listener, Arc::new(Live::new(site, Reload::Off)));
        Ok(Self { driver, limit, root: format!("http://{address}/") })
    }

    /// Another browser, with settings of its own, for the pages of the same server.
    fn beside(&self) -> Result<Self, Error> {
        Ok(Self { driver: Self::driver(self.limit)?, limit: self.limit, root: self.root.clone() })
    }

    fn driver(limit: Duration) -> Result<Driver, Error> {
        let driver = Driver::start(limit)?;
        // The print page opens the dialogue of the system, which nobody would close.
        driver.prepend("window.print = () => {};")?;
        Ok(driver)
    }

    /// A new browser in the place of one that hangs.
    fn restart(&mut self) -> Result<(), Error> {
        self.driver = Self::driver(self.limit)?;
        Ok(())
    }

    /// Shows a page and returns its faults.
    fn look(&self, view: &View<'_>) -> Result<Vec<String>, Error> {
        self.show(view)?;
        let found = self.driver.run(VIEW, &[json!(view.theme)])?;
        let mut faults: Vec<String> =
            found.as_array().into_iter().flatten().filter_map(|f| f.as_str()).map(str::to_owned).collect();
        for (level, text) in self.driver.console()? {
            if level == "SEVERE" {
                faults.push(format!("console: {text}"));
            }
        }
        Ok(faults)
    }

    /// Loads a page in its theme; the theme is kept as a reader's choice is, so it needs a page of the same server.
    fn show(&self, view: &View<'_>) -> Result<(), Error> {
        let url = format!("{}{}", self.root, view.page);
        self.driver.resize(view.width, HEIGHT)?;
        if !self.driver.url()?.starts_with(&self.root) {
            self.driver.open(&url)?;
        }
        self.driver.run("localStorage.setItem('mdbook-theme', arguments[0]);", &[json!(view.theme)])?;
        self.driver.console()?; // what was said before concerns another view
        self.driver.open(&url)
    }

    /// Pictures of the whole page that is shown, from its top on.
    fn shoot(&self, view: &View<'_>) -> Result<Vec<Vec<u8>>, Error> {
        if view.page == REPEATS {
            return Ok(vec![]);
        }
        let height = self.driver.run("return document.documentElement.scrollHeight;", &[])?;
        let height = height.as_u64().and_then(|height| u32::try_from(height).ok()).unwrap_or(HEIGHT);
        (0..height.max(1).div_ceil(SHOT_HEIGHT))
            .map(|part| part * SHOT_HEIGHT)
            .map(|top| self.driver.screenshot(top, view.width, SHOT_HEIGHT.min(height - top)))
            .collect()
    }

    fn open(&self, page: &str) -> Result<(), Error> {
        self.driver.open(&format!("{}{page}", self.root))
    }

    /// Waits until the browser shows another page of the book; returns its name.
    fn wait_for(&self, page: &str) -> Result<String, Error> {
        let begin = Instant::now();
        loop {
            let url = self.driver.url()?;
            let shown = url.strip_prefix(&self.root).unwrap_or(&url);
            let shown = shown.split(['#', '?']).next().unwrap_or_default();
            if shown == page || begin.elapsed() > CALL_LIMIT / 4 {
                return Ok(shown.to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Moves a slider of the page from its first value to its last by keys, and says what is wrong with it.
    fn move_slider(&self, slider: u64, page: &str) -> Result<Vec<String>, Error> {
        let see = || self.driver.run(FRAMES_SEEN, &[json!(slider)]);
        see()?; // gives it the focus
        self.driver.press(HOME)?;
        let mut seen = vec![see()?];
        for _ in 0..seen[0]["steps"].as_u64().unwrap_or_default() {
            self.driver.press(ARROW_RIGHT)?;
            seen.push(see()?);
        }
        let mut faults = vec![];
        let different = |key: &str| {
            seen.iter().map(|seen| seen[key].to_string()).collect::<std::collections::BTreeSet<_>>().len()
        };
        if different("value") != seen.len() {
            faults.push(format!("{} of its {} values are shown", different("value"), seen.len()));
        }
        if different("picture") < 2 {
            faults.push("the picture stays the same".into());
        }
        if let Some(seen) = seen.iter().find(|seen| seen["value"] != seen["spoken"]) {
            faults.push(format!("{} is read out as {}", seen["value"], seen["spoken"]));
        }
        if let Some(seen) = seen.iter().find(|seen| seen["is_named"] != json!(true)) {
            faults.push(format!("without a label at {}", seen["value"]));
        }
        if !self.driver.url()?.ends_with(page) {
            faults.push("its arrow keys turn the page".into());
        }
        Ok(faults)
    }

    /// Runs a script that returns a text.
    fn text(&self, script: &str) -> Result<String, Error> {
        Ok(self.driver.run(script, &[])?.as_str().unwrap_or_default().to_owned())
    }
}

/// What a reader does with the book, each a check of its own.
const VISITS: [(&str, Visit); 8] = [
    ("search", search),
    ("folded solutions", unfold),
    ("print page", print),
    ("arrow keys", turn_pages),
    ("theme menu", choose_theme),
    ("sliders", slide),
    ("sliders without scripts", stand_still),
    ("drawing tool", draw),
];

/// The longest word of the longest chapter's title leads to that chapter.
fn search(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    browser.open(&book.longest)?;
    let title = browser.text("return document.querySelector('main h1')?.textContent ?? '';")?;
    let words = title.split(|c: char| !c.is_alphabetic());
    let Some(word) = words.max_by_key(|word| word.chars().count()).filter(|word| !word.is_empty()) else {
        return Ok(vec![format!("{} has no title", book.longest)]);
    };
    browser.open(&book.chapters[0])?;
    let found = browser.driver.run(SEARCH, &[json!(word)])?;
    let is_found = found.as_array().into_iter().flatten().any(|page| page == &json!(book.longest));
    Ok(Vec::from_iter(
        (!is_found).then(|| format!("`{word}` does not lead to {}, but to {found}", book.longest)),
    ))
}

/// Every `<details>` of the book is closed at first, opens by its summary, and then shows more.
fn unfold(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    let script = "let n = 0;
        for (const d of document.querySelectorAll('main details')) {
            const closed = d.getBoundingClientRect().height;
            const wasOpen = d.open;
            d.querySelector('summary').click();
            n += !wasOpen && d.open && d.getBoundingClientRect().height > closed ? 1 : -1000000;
        }
        return n;";
    let (mut faults, mut count) = (vec![], 0);
    for page in &book.chapters {
        browser.open(page)?;
        let opened = browser.driver.run(script, &[])?.as_i64().unwrap_or_default();
        if opened < 0 {
            faults.push(format!("{page}: a folded part does not open by a click on its summary"));
        }
        count += opened;
    }
    if count == 0 {
        faults.push("no chapter has a folded solution".into());
    }
    Ok(faults)
}

/// The print page has the title of every chapter, in order.
fn print(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    let titles =
        "return [...document.querySelectorAll('main h1')].map(h => h.textContent.trim()).join('\\n');";
    let mut want = vec![];
    for page in &book.chapters {
        browser.open(page)?;
        want.push(browser.text(titles)?);
    }
    browser.open("print.html")?;
    let have = browser.text(titles)?;
    let want = want.join("\n");
    Ok(Vec::from_iter(
        (have != want).then(|| format!("its titles are {have:?}, those of the chapters {want:?}")),
    ))
}

/// The arrow keys turn the pages.
fn turn_pages(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    browser.open(&book.chapters[0])?;
    let mut faults = vec![];
    for (key, name, page) in
        [(ARROW_RIGHT, "right", &book.chapters[1]), (ARROW_LEFT, "left", &book.chapters[0])]
    {
        browser.driver.press(key)?;
        let shown = browser.wait_for(page)?;
        if &shown != page {
            faults.push(format!("the {name} arrow leads to {shown} and not to {page}"));
        }
    }
    Ok(faults)
}

/// Every slider of every figure moves by the keyboard, says its value, and changes the picture; the page stays, and has
/// no fault on a telephone in the dark when all sliders are at their ends.
fn slide(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    let mut faults = vec![];
    for page in &book.chapters {
        let view = View { page, theme: THEMES[1], width: WIDTHS[0] };
        browser.show(&view)?;
        let count =
            browser.driver.run("return document.querySelectorAll('figure.frames input').length;", &[])?;
        for slider in 0..count.as_u64().unwrap_or_default() {
            let moved = browser.move_slider(slider, page)?;
            faults.extend(moved.into_iter().map(|fault| format!("{page}: slider {}: {fault}", slider + 1)));
        }
        if count != json!(0) {
            let found = browser.driver.run(VIEW, &[json!(view.theme)])?;
            let found = found.as_array().into_iter().flatten().filter_map(|fault| fault.as_str());
            faults.extend(found.map(|fault| format!("{page}, moved: {fault}")));
        }
    }
    Ok(faults)
}

/// Without JavaScript no slider is offered; the still picture is there, with its setting in words.
fn stand_still(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    let script = "return [...document.querySelectorAll('figure.frames')].flatMap(figure => {
        const faults = [];
        if (figure.querySelector('.sliders').checkVisibility()) faults.push('a slider that does nothing');
        if (!figure.querySelector('.setting').checkVisibility()) faults.push('no setting in words');
        const drawn = [...figure.querySelectorAll('svg [data-gap] *')].filter(e => e.getBoundingClientRect().width > 0);
        if (!drawn.length) faults.push('no still picture');
        return faults.map(fault => `${figure.id}: ${fault}`);
    });";
    browser.driver.allow_scripts(false)?;
    let mut faults = vec![];
    for page in &book.chapters {
        browser.open(page)?;
        let found = browser.driver.run(script, &[])?;
        let found = found.as_array().into_iter().flatten().filter_map(|fault| fault.as_str());
        faults.extend(found.map(|fault| format!("{page}: {fault}")));
    }
    browser.driver.allow_scripts(true)?;
    Ok(faults)
}

/// The drawing tool computes what the crate computes, on a hundred digits; mouse, keys and buttons work.
fn draw(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    let (page, result) = DRAWING;
    if !book.chapters.iter().any(|chapter| chapter == page) {
        return Ok(vec![format!("the book has no page {page}")]);
    }
    let recorded = fs::read(crate::root().join(result)).ok();
    let recorded: Option<Value> = recorded.and_then(|text| serde_json::from_slice(&text).ok());
    let Some(recorded) = recorded else {
        return Ok(vec![format!("{result} cannot be read; `cargo xtask run pretrained-lenet` writes it")]);
    };
    let report = &recorded["report"];
    browser.open(page)?;
    let arguments = ["digits", "logits", "fitted_logits"].map(|key| report[key].clone());
    let found = browser.driver.run(DRAW, &arguments)?;
    let mut faults: Vec<String> = found
        .as_array()
        .into_iter()
        .flatten()
        .map(|fault| fault.as_str().unwrap_or_default().into())
        .collect();
    if !found.is_array() {
        faults.push(format!("the check returned {found}"));
    }
    faults.extend(
        browser.driver.console()?.into_iter().filter(|(level, _)| level == "SEVERE").map(|(_, text)| text),
    );
    Ok(faults)
}

/// A theme chosen in the menu is shown at once and after the next page load.
fn choose_theme(browser: &Browser, book: &Book) -> Result<Vec<String>, Error> {
    let mut faults = vec![];
    for theme in ["coal", THEMES[0]] {
        browser.open(&book.chapters[0])?;
        let choose = "document.getElementById('mdbook-theme-toggle').click();
            document.getElementById(`mdbook-theme-${arguments[0]}`).click();";
        browser.driver.run(choose, &[json!(theme)])?;
        for moment in ["at once", "after the next page load"] {
            let classes = browser.text("return document.documentElement.className;")?;
            if !classes.split_whitespace().any(|class| class == theme) {
                faults.push(format!("the theme {theme} is not shown {moment}"));
            }
            browser.open(&book.chapters[1])?;
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests;
