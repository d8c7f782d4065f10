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

/// The points that a line needs, the ends among them: what is left out lies within a tenth of a px of what is drawn.
///
/// A curve is computed at more places than a screen has (contours cross every cell), and a page carries each of them.
/// Douglas and Peucker, *Algorithms for the reduction of the number of points required to represent a digitized line or
/// its caricature*, Cartographica 10 (1973).
pub(super) fn simplified(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const TOLERANCE: f64 = 0.1;
    let mut kept = vec![points.len() < 3; points.len()];
    let mut open = Vec::new();
    if let [_, .., _] = points {
        let last = points.len() - 1;
        (kept[0], kept[last]) = (true, true);
        open.push((0, last));
    }
    while let Some((from, to)) = open.pop() {
        let farthest = (from + 1..to)
            .map(|i| (i, distance(points[i], points[from], points[to])))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, away)) = farthest
            && away > TOLERANCE
        {
            kept[i] = true;
            open.extend([(from, i), (i, to)]);
        }
    }
    points.iter().zip(kept).filter_map(|(&point, kept)| kept.then_some(point)).collect()
}

/// How far `point` lies from the segment between two others.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (along, away) = ((to.0 - from.0, to.1 - from.1), (point.0 - from.0, point.1 - from.1));
    let length = along.0 * along.0 + along.1 * along.1;
    let share =
        if length > 0.0 { ((along.0 * away.0 + along.1 * away.1) / length).clamp(0.0, 1.0) } else { 0.0 };
    (away.0 - share * along.0).hypot(away.1 - share * along.1)
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

    /// A line through points, without those that nobody would see.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], attributes: &[(&str, &str)]) {
        let points = joined(&simplified(points));
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
    fn points_on_a_straight_line_are_left_out() {
        let straight: Vec<_> = (0..=100).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect();
        assert_eq!(simplified(&straight), [(0.0, 0.0), (100.0, 200.0)]);
        let bent = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 1.0), (2.0, 2.0)];
        assert_eq!(simplified(&bent), [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0)]);
        // There and back again: the ends alone would say nothing of the way.
        let closed = [(0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 0.0)];
        assert_eq!(simplified(&closed), closed);
        for few in [&[][..], &[(1.0, 1.0)], &[(1.0, 1.0), (1.0, 1.0)]] {
            assert_eq!(simplified(few), few);
        }
    }

    proptest::proptest! {
        /// What is left out would not be seen, and what is kept was there, in the same order.
        #[test]
        fn simplified_lines_stay_within_a_tenth_of_a_px(
            steps in proptest::collection::vec((-0.3..0.5_f64, -0.3..0.3_f64), 1..200),
        ) {
            let points: Vec<_> = steps
                .iter()
                .scan((0.0, 0.0), |at, step| { *at = (at.0 + step.0, at.1 + step.1); Some(*at) })
                .collect();
            let line = simplified(&points);
            let mut segment = 0;
            for &point in &points {
                if line.get(segment + 1) == Some(&point) {
                    segment += 1;
                }
                let to = line[(segment + 1).min(line.len() - 1)];
                proptest::prop_assert!(distance(point, line[segment], to) <= 0.1 + 1e-12);
            }
            proptest::prop_assert_eq!(segment + 1, line.len());
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
