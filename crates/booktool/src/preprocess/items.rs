//! ``[`Adam`](api:optim::optimizers::Adam)`` links an item of a crate; `{{api}}` lists the items with links back.
//!
//! A book that is rendered only has no documentation to lead to: each link leads to the item's line in that list, where
//! the chapters that use it stand. `booktool serve` leads the same links on into the documentation ([`lead_on`]).

use std::collections::BTreeMap;
use std::path::Path;

use pulldown_cmark::{Event, LinkType, Tag};

use super::directive;
use super::page::{Edit, Page};
use crate::api::{Known, Name};
use crate::error::{Fault, Faults, Place};

/// What a link to an item begins with.
const SCHEME: &str = "api:";
/// The page with the list, below `src`: the documentation is served beside it.
const PAGE: &str = "api/index.md";
/// That page as links to items lead to it, from any folder, up to the item.
const TARGET: &str = "api/index.html#";

/// The items that the book links, and where.
#[derive(Debug, Default)]
pub struct Items {
    /// By the item as it is written.
    used: BTreeMap<String, Vec<Use>>,
    count: usize,
}

/// A link to an item.
#[derive(Debug)]
struct Use {
    page: std::path::PathBuf,
    /// What the list calls the page.
    label: String,
    /// The page's title.
    title: String,
    anchor: String,
}

/// A link in a page.
struct Found<'a> {
    range: std::ops::Range<usize>,
    name: String,
    /// Markdown of what the reader sees; `None` in the forms that a code host would not show as text.
    text: Option<&'a str>,
}

/// The links to items of a page, in order.
fn find(page: &Page) -> Vec<Found<'_>> {
    let links = page.events().filter_map(|(event, range)| match event {
        Event::Start(Tag::Link { link_type, dest_url, .. }) => {
            let name = dest_url.strip_prefix(SCHEME)?.to_owned();
            let link = &page.text[range.clone()];
            let text = link.rfind("](").filter(|_| link_type == LinkType::Inline).map(|end| &link[1..end]);
            Some(Found { range, name, text })
        }
        _ => None,
    });
    links.collect()
}

/// Every item that a page links, with its place.
pub fn names(page: &Page) -> Vec<(Place, String)> {
    find(page).into_iter().map(|link| (page.place(link.range.start).clone(), link.name)).collect()
}

impl Items {
    /// Replaces the links of a page by links to their lines in the list.
    pub fn link(&mut self, page: &mut Page, known: &Known, has_list: bool, faults: &mut Faults) {
        let mut edits = Vec::new();
        let up = "../".repeat(page.path.components().count() - 1);
        for Found { range, name, text } in find(page) {
            let fault = match text {
                None => Some(Fault::ItemForm { name: name.clone() }),
                Some(_) if !has_list => Some(Fault::NoItemsPage),
                Some(_) => known.page(&name).err(),
            };
            if let Some(fault) = fault {
                faults.add(page.place(range.start), fault);
                continue;
            }
            let text = text.unwrap_or_default();
            self.count += 1;
            let anchor = format!("item-{}", self.count);
            let shelf = Name::parse(&name).map_or(String::new(), |name| name.shelf().0);
            let shelf = if shelf.is_empty() { shelf } else { format!(" data-in=\"{shelf}\"") };
            let link = format!("href=\"{up}{TARGET}{name}\" title=\"{name}\"");
            edits
                .push(Edit::new(range, format!("<a class=\"api\" id=\"{anchor}\" {link}{shelf}>{text}</a>")));
            let label = label(page);
            self.used.entry(name).or_default().push(Use {
                page: page.path.clone(),
                label,
                title: page.name.clone(),
                anchor,
            });
        }
        page.apply(edits);
    }

    /// Fills `{{api}}`.
    pub fn list(&self, page: &mut Page) {
        let list = directive::find(page, &mut Faults::default()).into_iter().filter(|d| d.name == "api");
        let edits = list.map(|d| Edit::new(d.range, self.render(page))).collect();
        page.apply(edits);
    }

    /// Crates as sections, modules as terms, each item with the chapters that link it.
    fn render(&self, page: &Page) -> String {
        let mut shelves: BTreeMap<String, Vec<(String, &String, &Vec<Use>)>> = BTreeMap::new();
        for (written, uses) in &self.used {
            let Some((shelf, item)) = Name::parse(written).map(|name| name.shelf()) else { continue };
            shelves
                .entry(if shelf.is_empty() { item.clone() } else { shelf })
                .or_default()
                .push((item, written, uses));
        }
        let mut out = String::new();
        let mut open = "";
        for (shelf, items) in &shelves {
            let name = shelf.split("::").next().unwrap_or(shelf);
            if name != open {
                out += if open.is_empty() { "" } else { "</dl>\n\n" };
                out += &format!("## `{name}` {{#crate-{name}}}\n\n<dl class=\"items\">\n");
                open = name;
            }
            out += &format!("<dt><code>{shelf}</code></dt>\n<dd>");
            let items = items.iter().map(|(item, written, uses)| {
                let link = format!("../{TARGET}{written}");
                format!(
                    "<a id=\"{written}\" href=\"{link}\"><code>{item}</code></a> <small>({})</small>",
                    back_links(page, uses)
                )
            });
            out += &items.collect::<Vec<_>>().join(",\n");
            out += "</dd>\n";
        }
        out + if open.is_empty() { "" } else { "</dl>\n" }
    }
}

/// One link per page.
fn back_links(page: &Page, uses: &[Use]) -> String {
    let pages = uses.chunk_by(|a, b| a.page == b.page).map(|uses| {
        let Use { page: target, label, title, anchor } = &uses[0];
        let title = title.replace('&', "&amp;").replace('"', "&quot;");
        format!("<a href=\"{}\" title=\"{title}\">{label}</a>", page.link(target, anchor))
    });
    pages.collect::<Vec<_>>().join(", ")
}

/// The lecture's number, with the file's name for a page below the lecture's; the file's name for other pages.
fn label(page: &Page) -> String {
    let name = page.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match page.lecture {
        Some(lecture) if page.folder() == Path::new("") => lecture.to_string(),
        Some(lecture) => format!("{lecture} {name}"),
        None if page.path == Path::new(PAGE) => "here".to_owned(),
        None => name,
    }
}

/// Whether the page has the list.
pub fn is_list(page: &Page) -> bool {
    page.path == Path::new(PAGE)
        && directive::find(page, &mut Faults::default()).iter().any(|d| d.name == "api")
}

/// A rendered page whose links to items lead into the documentation: `api/index.html#ITEM` becomes `api/` and the item's
/// page, where that is known.
pub fn lead_on(page: &str, target: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.find(TARGET) {
        let (before, after) = rest.split_at(at);
        out += before;
        // An attribute that holds the link and nothing else, from whatever folder.
        let is_link = before.trim_end_matches("../").ends_with("href=\"");
        let name = after[TARGET.len()..].split_once('"').map(|(name, _)| name).filter(|_| is_link);
        match name.and_then(|name| Some((name, target(name)?))) {
            Some((name, page)) => {
                out += "api/";
                out += &page;
                rest = &after[TARGET.len() + name.len()..];
            }
            None => {
                out += TARGET;
                rest = &after[TARGET.len()..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const INDEX: &str = "votes\tvotes/index.html\nvotes::Verdict\tvotes/enum.Verdict.html\n\
        votes::Walk::twice()\twalks/trait.Walk.html#method.twice\n";

    fn known() -> Known {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("api.tsv"), INDEX).unwrap();
        Known::read(folder.path(), &folder.path().join("no-target")).unwrap()
    }

    /// The text of a page after the pass, and its faults.
    fn linked(path: &str, text: &str) -> (String, String) {
        let mut page = Page::new("A", path, text);
        let mut faults = Faults::default();
        Items::default().link(&mut page, &known(), true, &mut faults);
        (page.text, faults.to_string())
    }

    #[test]
    fn links_keep_their_text_and_lead_to_the_list() {
        let (text, faults) =
            linked("part/a.md", "See [the `Verdict` *here*](api:votes::Verdict), [x](y.md).\n");
        assert_eq!(
            text,
            "See <a class=\"api\" id=\"item-1\" href=\"../api/index.html#votes::Verdict\" title=\"votes::Verdict\" \
             data-in=\"votes\">the `Verdict` *here*</a>, [x](y.md).\n",
            "{faults}"
        );
        let (text, _) = linked("a.md", "| [`a[0]`](api:votes::Walk::twice()) |\n|---|\n");
        assert!(text.contains("href=\"api/index.html#votes::Walk::twice()\""), "{text}");
        assert!(text.contains(">`a[0]`</a> |"), "{text}");
    }

    #[test]
    fn code_is_no_link() {
        let text = "`[a](api:votes::Verdikt)`\n\n```text\n[a](api:votes::Verdikt)\n```\n";
        assert_eq!(linked("a.md", text), (text.to_owned(), "the book has 0 faults".to_owned()));
    }

    #[test]
    fn faults_name_file_line_and_the_nearest_item() {
        for (text, wanted) in [
            ("\n[a](api:votes::Verdikt)", "book/src/a.md:2: no item `votes::Verdikt` in the documentation"),
            ("[a](api:votes::Verdikt)", "(did you mean `votes::Verdict`?)"),
            ("[a](api:votes.Verdict)", "a.md:1: `votes.Verdict` is no path of an item; write `api:krate::"),
            (
                "<api:votes::Verdict>",
                "the link to `votes::Verdict` has another form; write [`Item`](api:votes::Verdict)",
            ),
            ("[a][b]\n\n[b]: api:votes::Verdict\n", "has another form"),
        ] {
            let (_, faults) = linked("a.md", text);
            assert!(faults.contains(wanted) && faults.contains("1 fault"), "{text}: {faults}");
        }
        let mut page = Page::new("A", "a.md", "[a](api:votes::Verdict)");
        let mut faults = Faults::default();
        Items::default().link(&mut page, &known(), false, &mut faults);
        assert!(faults.to_string().contains("write `{{api}}` in src/api/index.md"), "{faults}");
    }

    #[test]
    fn the_list_names_each_item_once_with_its_chapters() {
        let mut items = Items::default();
        let mut faults = Faults::default();
        for (path, text) in [
            (
                "lecture-01.md",
                "[a](api:votes::Verdict) [b](api:votes::Walk::twice()) [c](api:votes::Verdict)",
            ),
            ("lecture-02/momentum.md", "[a](api:votes::Verdict) [b](api:votes)"),
        ] {
            items.link(&mut Page::new("A & \"B\"", path, text), &known(), true, &mut faults);
        }
        let mut list = Page::new("Items", PAGE, "{{api}}\n");
        assert!(is_list(&list) && !is_list(&Page::new("Items", "a.md", "{{api}}\n")));
        items.list(&mut list);
        for wanted in [
            "## `votes` {#crate-votes}\n\n<dl class=\"items\">\n<dt><code>votes</code></dt>\n<dd>",
            "<a id=\"votes::Verdict\" href=\"../api/index.html#votes::Verdict\"><code>Verdict</code></a> <small>(\
             <a href=\"../lecture-01.md#item-1\" title=\"A &amp; &quot;B&quot;\">1</a>, \
             <a href=\"../lecture-02/momentum.md#item-4\" title=\"A &amp; &quot;B&quot;\">2 momentum</a>)</small>",
            "<code>Walk::twice</code></a> <small>(<a href=\"../lecture-01.md#item-2\"",
        ] {
            assert!(list.text.contains(wanted), "no {wanted} in\n{}", list.text);
        }
        assert_eq!(list.text.matches("id=\"votes::Verdict\"").count(), 1);
    }

    #[test]
    fn served_links_lead_into_the_documentation() {
        let known = known();
        let on = |page: &str| lead_on(page, |item| known.page(item).ok());
        for (page, wanted) in [
            ("<a href=\"api/index.html#votes\">", "<a href=\"api/votes/index.html\">"),
            (
                "<a class=\"api\" href=\"../../api/index.html#votes::Walk::twice()\" title=\"x\">",
                "<a class=\"api\" href=\"../../api/walks/trait.Walk.html#method.twice\" title=\"x\">",
            ),
            // another anchor of the page, the page itself, and text are left alone
            ("<a href=\"api/index.html#the-crates\">", "<a href=\"api/index.html#the-crates\">"),
            ("<a href=\"api/index.html\">", "<a href=\"api/index.html\">"),
            ("api/index.html#votes\"", "api/index.html#votes\""),
            ("<a href=\"api/index.html#votes", "<a href=\"api/index.html#votes"),
            ("<p data-x=\"api/index.html#votes\">", "<p data-x=\"api/index.html#votes\">"),
        ] {
            assert_eq!(on(page), wanted);
        }
        let both = "<a href=\"api/index.html#x\"><a href=\"api/index.html#votes\">";
        assert_eq!(on(both), "<a href=\"api/index.html#x\"><a href=\"api/votes/index.html\">");
    }
}
