//! `![alt](figures/NAME-ID.svg "Caption")` becomes a numbered figure that follows the reader's theme.
//!
//! A plot is set into the page as SVG, because an `<img>` cannot follow the theme: its ink becomes
//! `currentColor`, its series become the custom properties `--c1` … `--c4` of `course.css`. A picture made of
//! pixels stays a file and is enlarged by a whole factor without smoothing. An SVG that holds frames gets its sliders
//! (`frames.rs`). The caption is Markdown with maths,
//! numbers of results and citations. `{{figure NAME-ID}}` is a link to the figure by its number.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Tag, TagEnd};

use super::directive;
use super::frames;
use super::page::{Edit, Page};
use crate::error::{Fault, Faults, hint};

/// An alternative text that says what is in the picture needs at least this many characters.
const ALT_CHARACTERS: usize = 15;

/// Width in CSS pixels up to which a picture of pixels is enlarged.
const RASTER_WIDTH: u32 = 320;

/// Height in CSS pixels up to which a picture of pixels is enlarged.
const RASTER_HEIGHT: u32 = 320;

/// Colours of the plotting code, and what they become on the page.
const COLOURS: &[(&str, &str)] = &[
    ("black", "currentColor"),
    ("#000000", "currentColor"),
    ("white", "none"),
    ("#ffffff", "none"),
    ("#cccccc", "var(--plot-grid)"),
    ("#0072b2", "var(--c1)"),
    ("#d55e00", "var(--c2)"),
    ("#009e73", "var(--c3)"),
    ("#cc79a7", "var(--c4)"),
];

/// Values that follow the theme by themselves.
const NEUTRAL: &[&str] = &["none", "currentColor", "inherit", "transparent"];

/// Where each figure stands and what it is called.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<String, (PathBuf, String)>);

impl Figures {
    /// Sets the figures of a page; `number` counts those of the page's chapter.
    pub fn set(&mut self, page: &mut Page, sources: &Path, number: &mut u32, faults: &mut Faults) {
        let mut edits = Vec::new();
        for image in images(page) {
            let place = page.place(image.range.start).clone();
            *number += 1;
            match self.render(page, sources, &image, *number) {
                Ok(html) => edits.push(Edit::new(image.range, html)),
                Err(fault) => faults.add(&place, fault),
            }
        }
        page.apply(edits);
    }

    /// Resolves `{{figure NAME-ID}}` once the figures of all pages are set.
    pub fn refer(&self, page: &mut Page, faults: &mut Faults) {
        let mut edits = Vec::new();
        for reference in
            directive::find(page, &mut Faults::default()).into_iter().filter(|d| d.name == "figure")
        {
            match self.0.get(&reference.argument) {
                Some((path, label)) => {
                    let link = page.link(path, &format!("fig-{}", reference.argument));
                    let label = label.replace(' ', "\u{a0}"); // stays on one line
                    edits.push(Edit::new(reference.range, format!("[{label}]({link})")));
                }
                None => {
                    let hint = hint(&reference.argument, self.0.keys().map(String::as_str));
                    let fault = Fault::UnknownFigure { id: reference.argument, hint };
                    faults.add(page.place(reference.range.start), fault);
                }
            }
        }
        page.apply(edits);
    }

    fn render(&mut self, page: &Page, sources: &Path, image: &Image, number: u32) -> Result<String, Fault> {
        let path = &image.path;
        let file = sources.join(page.folder()).join(path);
        let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let label = format!("Figure {}.{number}", page.chapter());
        // First of all, so that a broken figure is one fault and not one more at each reference.
        if self.0.insert(id.clone(), (page.path.clone(), label.clone())).is_some() {
            return Err(Fault::DuplicateFigure { id });
        }
        if image.alt.chars().count() < ALT_CHARACTERS {
            return Err(Fault::ShortAlt { path: path.clone(), minimum: ALT_CHARACTERS });
        }
        if image.caption.trim().is_empty() {
            return Err(Fault::NoCaption { path: path.clone() });
        }
        if page.line(image.range.start).trim_start()
            != page.text[image.range.clone()].lines().next().unwrap_or("")
        {
            return Err(Fault::NotAlone { directive: "figure".into() });
        }
        let bytes = std::fs::read(&file).map_err(|_| Fault::NoFigure { path: path.clone() })?;
        let (kind, body) = if path.ends_with(".png") {
            ("raster", raster(path, &bytes, &image.alt)?)
        } else {
            let svg = String::from_utf8(bytes).map_err(|_| Fault::NotSvg { path: path.clone() })?;
            let stage = |svg: &str| -> Result<String, Fault> {
                Ok(format!("<div class=\"stage\">{}</div>", adapt(path, svg, &image.alt, &id)?))
            };
            match frames::take_apart(path, &svg)? {
                None => ("plot", stage(&svg)?),
                Some((svg, sliders)) => {
                    let kind = if svg.contains("<image ") { "raster frames" } else { "plot frames" };
                    (kind, format!("{}\n{sliders}", stage(&svg)?))
                }
            }
        };
        Ok(format!(
            "<figure class=\"{kind}\" id=\"fig-{id}\">\n{body}\n<figcaption>\n\n**{label}.** {}\n\n</figcaption>\n</figure>\n",
            image.caption.trim()
        ))
    }
}

/// An image of the Markdown.
#[derive(Debug)]
struct Image {
    /// Its bytes in the page.
    range: Range<usize>,
    /// File relative to the page.
    path: String,
    /// The text in brackets.
    alt: String,
    /// The title as the author wrote it: Markdown, not yet unescaped.
    caption: String,
}

/// The images of a page that are figures.
fn images(page: &Page) -> Vec<Image> {
    let mut found = Vec::new();
    let mut open: Option<Image> = None;
    for (event, range) in page.events() {
        match event {
            Event::Start(Tag::Image { dest_url, .. })
                if dest_url.ends_with(".svg") || dest_url.ends_with(".png") =>
            {
                let caption = title(&page.text[range.clone()], &dest_url);
                open = Some(Image { range, path: dest_url.to_string(), alt: String::new(), caption });
            }
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) => {
                if let Some(image) = &mut open {
                    image.alt.push_str(&text);
                }
            }
            Event::SoftBreak => {
                if let Some(image) = &mut open {
                    image.alt.push(' ');
                }
            }
            Event::End(TagEnd::Image) => found.extend(open.take()),
            _ => {}
        }
    }
    found
}

/// The raw title of `![alt](url "title")`; the parser's own would have lost the backslashes of formulas.
fn title(source: &str, url: &str) -> String {
    let after = source.rfind(&format!("]({url}")).map_or("", |at| &source[at + 2 + url.len()..]);
    let inner = after.trim_end_matches(')').trim();
    inner.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or("").replace("\\\"", "\"")
}

/// Makes the SVG of a plot part of the page.
fn adapt(path: &str, svg: &str, alt: &str, id: &str) -> Result<String, Fault> {
    let not_svg = || Fault::NotSvg { path: path.to_owned() };
    // One line: a blank line would end the block of HTML.
    let svg = svg.split(['\n', '\r']).map(str::trim).collect::<Vec<_>>().join(" ");
    let start = svg.find("<svg").ok_or_else(not_svg)?;
    let end = start + svg[start..].find('>').ok_or_else(not_svg)? + 1;
    let (width, height) = size(&svg[start..end]).ok_or_else(not_svg)?;
    let mut body = String::with_capacity(svg.len());
    for (i, piece) in svg[end..].split('<').enumerate() {
        let Some((tag, text)) = piece.split_once('>').filter(|_| i > 0) else {
            body.push_str(piece);
            continue;
        };
        body.push('<');
        body.push_str(&adapt_tag(path, tag, id)?);
        body.push('>');
        body.push_str(text);
    }
    let alt = escape(alt);
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" fill=\"currentColor\" style=\"max-width:{width}px\">\
         <title>{alt}</title>{}",
        body.trim()
    ))
}

/// Width and height of an `<svg …>` tag, by its attributes or its view box.
fn size(tag: &str) -> Option<(f64, f64)> {
    let number = |name: &str| attribute(tag, name)?.trim_end_matches("px").parse::<f64>().ok();
    if let (Some(width), Some(height)) = (number("width"), number("height")) {
        return Some((width, height));
    }
    let numbers: Vec<f64> =
        attribute(tag, "viewBox")?.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    match numbers[..] {
        [0.0, 0.0, width, height] => Some((width, height)),
        _ => None,
    }
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()
}

/// Rewrites colours, ids and fonts of one tag.
fn adapt_tag(path: &str, tag: &str, id: &str) -> Result<String, Fault> {
    let mut out = String::with_capacity(tag.len());
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let (value, next) = after.split_once('"').ok_or_else(|| Fault::NotSvg { path: path.to_owned() })?;
        let name = before.rsplit(char::is_whitespace).next().unwrap_or("");
        let value = match name {
            // The page's own font applies.
            "font-family" => {
                out.push_str(before[..before.len() - name.len()].trim_end());
                rest = next;
                continue;
            }
            "fill" | "stroke" | "stop-color" => colour(path, value)?,
            "style" => style(path, value)?,
            "id" => format!("{id}-{value}"),
            "href" | "xlink:href" => value.replace('#', &format!("#{id}-")),
            _ => value.replace("url(#", &format!("url(#{id}-")),
        };
        out.push_str(before);
        out.push_str("=\"");
        out.push_str(&value);
        out.push('"');
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

/// Rewrites the colours of `name:value;…`.
fn style(path: &str, style: &str) -> Result<String, Fault> {
    let declarations = style.split(';').filter(|d| !d.trim().is_empty()).map(|declaration| {
        let (name, value) = declaration.split_once(':').unwrap_or((declaration, ""));
        Ok(match name.trim() {
            "font-family" => String::new(),
            name @ ("fill" | "stroke" | "stop-color") => format!("{name}:{};", colour(path, value.trim())?),
            name => format!("{name}:{};", value.trim()),
        })
    });
    declarations.collect()
}

/// What a colour of the plotting code becomes.
fn colour(path: &str, value: &str) -> Result<String, Fault> {
    if NEUTRAL.contains(&value) || value.starts_with("var(--") || value.starts_with("url(#") {
        return Ok(value.to_owned());
    }
    let lower = value.to_ascii_lowercase();
    let known = COLOURS.iter().find(|(from, _)| *from == lower);
    known
        .map(|(_, to)| (*to).to_owned())
        .ok_or_else(|| Fault::Colour { path: path.to_owned(), colour: value.to_owned() })
}

/// A picture of pixels as `<img>`, enlarged by a whole factor.
fn raster(path: &str, png: &[u8], alt: &str) -> Result<String, Fault> {
    let not_png = || Fault::NotPng { path: path.to_owned() };
    let word = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    if !png.starts_with(b"\x89PNG\r\n\x1a\n") || png.get(12..16) != Some(b"IHDR") {
        return Err(not_png());
    }
    let (width, height) = word(16).zip(word(20)).filter(|(w, h)| *w > 0 && *h > 0).ok_or_else(not_png)?;
    let scale = (RASTER_WIDTH / width).min(RASTER_HEIGHT / height).max(1);
    Ok(format!(
        "<img src=\"{path}\" alt=\"{}\"{} width=\"{}\" height=\"{}\">",
        escape(alt),
        if scale == 1 { " class=\"fine\"" } else { "" },
        u64::from(width) * u64::from(scale),
        u64::from(height) * u64::from(scale)
    ))
}

/// Text as content or attribute value of HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"400\">\n\
        <rect width=\"640\" height=\"400\" fill=\"white\"/>\n\n\
        <clipPath id=\"kuva-clip-0\"><rect/></clipPath>\n\
        <path clip-path=\"url(#kuva-clip-0)\" stroke=\"#0072B2\" style=\"fill:none;stroke:#d55e00\"/>\n\
        <text font-family=\"Arial\" fill=\"#000000\">a &gt; b = \"c\"</text></svg>\n";

    /// 3 by 2 pixels: the signature and the head are all that is read.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08\0\0\0\0";

    fn set(text: &str) -> (Figures, Page, String) {
        let sources = tempfile::tempdir().unwrap();
        let folder = sources.path().join("figures");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("run-loss.svg"), SVG).unwrap();
        std::fs::write(folder.join("run-odd.svg"), SVG.replace("#0072B2", "#123456")).unwrap();
        let frames = SVG.replace("</svg>", concat!(
            "<metadata>{&quot;sliders&quot;:[{&quot;name&quot;:&quot;step&quot;,&quot;values&quot;:[&quot;0&quot;,",
            "&quot;1&quot;],&quot;still&quot;:0}],&quot;notes&quot;:[]}</metadata>\n",
            "<defs><g data-frame=\"1\"><g><path fill=\"#009E73\"/></g></g></defs></svg>",
        ));
        std::fs::write(folder.join("run-step.svg"), &frames).unwrap();
        std::fs::write(folder.join("run-lost.svg"), frames.replace("still", "start")).unwrap();
        std::fs::write(folder.join("run-digits.png"), PNG).unwrap();
        std::fs::write(folder.join("run-text.png"), "no picture").unwrap();
        std::fs::write(folder.join("run-text.svg"), "no picture").unwrap();
        let mut page = Page::new("A", "lecture-01.md", text);
        let (mut figures, mut faults) = (Figures::default(), Faults::default());
        figures.set(&mut page, sources.path(), &mut 1, &mut faults);
        figures.refer(&mut page, &mut faults);
        (figures, page, faults.to_string())
    }

    #[test]
    fn a_plot_follows_the_theme_and_keeps_its_ids_to_itself() {
        let (_, page, faults) =
            set("a\n\n![loss falls & stays low](figures/run-loss.svg \"Down to $\\eta\\,x$.\")\n");
        assert!(faults.contains("0 faults"), "{faults}");
        let expected = "a\n\n<figure class=\"plot\" id=\"fig-run-loss\">\n\
            <div class=\"stage\"><svg viewBox=\"0 0 640 400\" role=\"img\" fill=\"currentColor\" style=\"max-width:640px\">\
            <title>loss falls &amp; stays low</title>\
            <rect width=\"640\" height=\"400\" fill=\"none\"/>  \
            <clipPath id=\"run-loss-kuva-clip-0\"><rect/></clipPath> \
            <path clip-path=\"url(#run-loss-kuva-clip-0)\" stroke=\"var(--c1)\" style=\"fill:none;stroke:var(--c2);\"/> \
            <text fill=\"currentColor\">a &gt; b = \"c\"</text></svg></div>\n\
            <figcaption>\n\n**Figure 1.2.** Down to $\\eta\\,x$.\n\n</figcaption>\n</figure>\n\n";
        assert_eq!(page.text, expected);
    }

    #[test]
    fn a_raster_is_enlarged_by_a_whole_factor() {
        let (_, page, faults) = set("![weights of ten digits](figures/run-digits.png \"Weights\")\n");
        assert!(faults.contains("0 faults"), "{faults}");
        let img =
            "<img src=\"figures/run-digits.png\" alt=\"weights of ten digits\" width=\"318\" height=\"212\">";
        assert!(page.text.contains(img), "{}", page.text);
    }

    #[test]
    fn frames_get_their_sliders_and_follow_the_theme() {
        let (_, page, faults) = set("![the path after each step](figures/run-step.svg \"Steps\")\n");
        assert!(faults.contains("0 faults"), "{faults}");
        let start = "<figure class=\"plot frames\" id=\"fig-run-step\">\n<div class=\"stage\"><svg viewBox=";
        assert!(page.text.starts_with(start), "{}", page.text);
        for part in [
            "<defs><g data-frame=\"1\"><g><path fill=\"var(--c3)\"/></g></g></defs></svg></div>\n<div class=\"sliders\" hidden>",
            "<p class=\"reading\" aria-live=\"polite\" data-notes=\"[]\">",
        ] {
            assert!(page.text.contains(part), "{}", page.text);
        }
        assert!(!page.text.contains("metadata"), "{}", page.text);
    }

    #[test]
    fn references_link_to_the_number() {
        let (figures, page, _) =
            set("see {{figure run-loss}}\n\n![loss falls and stays](figures/run-loss.svg \"Down.\")\n");
        assert!(page.text.starts_with("see [Figure\u{a0}1.2](#fig-run-loss)\n"), "{}", page.text);
        let mut other = Page::new("B", "lecture-02/b.md", "{{figure run-loss}} {{figure run-los}}");
        let mut faults = Faults::default();
        figures.refer(&mut other, &mut faults);
        assert!(
            other.text.starts_with("[Figure\u{a0}1.2](../lecture-01.md#fig-run-loss) "),
            "{}",
            other.text
        );
        assert!(faults.to_string().contains("no figure `run-los` (did you mean `run-loss`?)"), "{faults}");
    }

    #[test]
    fn bad_figures_are_faults() {
        for (markdown, wanted) in [
            ("![](figures/run-loss.svg \"C\")", "at least 15 characters"),
            ("![fourteen chars](figures/run-loss.svg \"C\")", "at least 15 characters"),
            ("![loss falls and stays](figures/run-loss.svg)", "has no caption"),
            ("![loss falls and stays](figures/run-los.svg \"C\")", "no file"),
            ("![loss falls and stays](figures/run-odd.svg \"C\")", "colour #123456"),
            ("![loss falls and stays](figures/run-text.svg \"C\")", "is no SVG"),
            ("![loss falls and stays](figures/run-lost.svg \"C\")", "does not say what its sliders are"),
            ("![loss falls and stays](figures/run-text.png \"C\")", "is no PNG"),
            ("see ![loss falls and stays](figures/run-loss.svg \"C\")", "fills lines of its own"),
            (
                "![loss falls and stays](figures/run-loss.svg \"C\")\n\n![loss falls and stays](figures/run-loss.svg \"C\")",
                "`run-loss` is shown twice",
            ),
        ] {
            let (_, _, faults) = set(&format!("\n{markdown}\n"));
            assert!(faults.contains(wanted) && faults.contains("lecture-01.md:"), "{markdown}: {faults}");
        }
    }
}
