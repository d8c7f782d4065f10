//! A small SVG writer: rounded coordinates, escaped text, the colours that the book's theme knows.
use std::fmt::{Display, Write};

/// Text, axes and outlines.
pub(super) const INK: &str = "#000000";
/// Grid lines.
pub(super) const GRID: &str = "#cccccc";
/// Blue, vermilion, green, purple of Okabe and Ito's palette, in the order of series.
pub(super) const SERIES: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// Dash patterns in the order of series; the first is a full line.
pub(super) const DASHES: [&str; 4] = ["", "9 4", "2 4", "11 4 2 4"];
/// Height of letters in px: readable when a 640 px figure shrinks to a phone's 360.
pub(super) const TEXT: f64 = 15.0;
/// Distance of base lines of stacked text.
pub(super) const LEADING: f64 = 18.0;

/// Width of `text` in px, estimated from the shapes of a common sans-serif face; a little too wide on average.
pub(super) fn text_width(text: &str) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' => 0.31,
        'f' | 't' | 'r' | '-' => 0.4,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.88,
        'A'..='Z' => 0.7,
        _ => 0.58,
    };
    text.chars().map(em).sum::<f64>() * TEXT
}

/// A coordinate with at most two decimals, without a sign of zero.
pub(super) fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Where a text begins, is centred or ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Display for Anchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        })
    }
}

/// A drawing that grows element by element, one in a line.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    height: f64,
    text: String,
}

impl Svg {
    /// An empty drawing.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, text: String::new() }
    }

    /// Width and height in px.
    pub(super) fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// The elements in their order, without line breaks.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The file, on a white ground, with what it shows in words: a page that sets it in makes a head of its own and
    /// takes the words from its text.
    pub(super) fn finish(&self, alt: &str, caption: &str) -> Vec<u8> {
        file(self.size(), alt, caption, &self.text, "")
    }

    /// An element with numbers rounded and other attributes as given.
    pub(super) fn element(&mut self, name: &str, numbers: &[(&str, f64)], attributes: &[(&str, &str)]) {
        self.open(name, numbers, attributes);
        self.text.push_str("/>\n");
    }

    fn open(&mut self, name: &str, numbers: &[(&str, f64)], attributes: &[(&str, &str)]) {
        write!(self.text, "<{name}").expect("a String takes everything");
        for (key, value) in numbers {
            write!(self.text, " {key}=\"{}\"", coordinate(*value)).expect("a String takes everything");
        }
        for (key, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            write!(self.text, " {key}=\"{value}\"").expect("a String takes everything");
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), attributes: &[(&str, &str)]) {
        self.element("line", &[("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1)], attributes);
    }

    /// A line through points.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], attributes: &[(&str, &str)]) {
        let points = joined(points);
        self.element(
            "polyline",
            &[],
            &[&[("points", points.as_str()), ("fill", "none")], attributes].concat(),
        );
    }

    /// A filled outline.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], attributes: &[(&str, &str)]) {
        let points = joined(points);
        self.element("polygon", &[], &[&[("points", points.as_str())], attributes].concat());
    }

    /// A rectangle from its upper left corner.
    pub(super) fn rectangle(&mut self, at: (f64, f64), size: (f64, f64), attributes: &[(&str, &str)]) {
        let numbers = [("x", at.0), ("y", at.1), ("width", size.0), ("height", size.1)];
        self.element("rect", &numbers, attributes);
    }

    /// Words in ink, the base line at `at`.
    pub(super) fn words(&mut self, at: (f64, f64), anchor: Anchor, words: &str, attributes: &[(&str, &str)]) {
        let anchor = anchor.to_string();
        let all = [&[("text-anchor", anchor.as_str()), ("fill", INK)], attributes].concat();
        self.open("text", &[("x", at.0), ("y", at.1)], &all);
        writeln!(self.text, ">{}</text>", escape(words)).expect("a String takes everything");
    }

    /// Words that read upwards, centred at `at`.
    pub(super) fn words_upwards(&mut self, at: (f64, f64), words: &str) {
        let turn = format!("rotate(-90 {} {})", coordinate(at.0), coordinate(at.1));
        self.words(at, Anchor::Middle, words, &[("transform", &turn)]);
    }

    /// The sign of series `index` at a point: circle, square, triangle, diamond.
    pub(super) fn marker(&mut self, index: usize, (x, y): (f64, f64)) {
        const R: f64 = 3.6;
        let colour = SERIES[index % SERIES.len()];
        let style = [("fill", colour), ("fill-opacity", "0.75")];
        match index % SERIES.len() {
            0 => self.element("circle", &[("cx", x), ("cy", y), ("r", R)], &style),
            1 => self.rectangle((x - R * 0.9, y - R * 0.9), (R * 1.8, R * 1.8), &style),
            2 => self.polygon(&[(x, y - 1.2 * R), (x + 1.1 * R, y + R), (x - 1.1 * R, y + R)], &style),
            _ => {
                let r = 1.3 * R;
                self.polygon(&[(x, y - r), (x + r, y), (x, y + r), (x - r, y)], &style);
            }
        }
    }
}

/// An SVG file: `content` in the letters of figures, then `appendix` which is not shown by itself.
pub(super) fn file(
    (width, height): (f64, f64),
    alt: &str,
    caption: &str,
    content: &str,
    appendix: &str,
) -> Vec<u8> {
    let (w, h) = (coordinate(width), coordinate(height));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         role=\"img\" aria-label=\"{}\" data-caption=\"{}\">\n<g font-size=\"{TEXT}\" \
         font-family=\"sans-serif\">\n<rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>\n{content}</g>\n\
         {appendix}</svg>\n",
        escape(alt),
        escape(caption),
    )
    .into_bytes()
}

fn joined(points: &[(f64, f64)]) -> String {
    let points: Vec<_> =
        points.iter().map(|&(x, y)| format!("{},{}", coordinate(x), coordinate(y))).collect();
    points.join(" ")
}

/// Text as content or attribute value of one line.
pub(super) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_have_two_decimals_at_most() {
        let cases =
            [(1.0, "1"), (1.005, "1"), (1.239, "1.24"), (-0.001, "0"), (-3.1, "-3.1"), (100.0, "100")];
        for (value, text) in cases {
            assert_eq!(coordinate(value), text);
        }
    }

    #[test]
    fn text_cannot_break_the_markup() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.words((0.0, 0.0), Anchor::Start, "<script>", &[]);
        svg.words((0.0, 0.0), Anchor::Start, "two\nlines", &[]);
        assert_eq!(svg.lines().count(), 2);
        let text = String::from_utf8(svg.finish("a < b & c", "\"quoted\"")).unwrap();
        assert!(
            text.contains("a &lt; b &amp; c")
                && text.contains("&lt;script&gt;")
                && !text.contains("<script>")
        );
    }
}
