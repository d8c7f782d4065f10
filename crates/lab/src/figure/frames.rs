//! Still pictures over one or two sliders: the picture that a page shows first, and those that a reader moves to.
//!
//! All frames are drawn on the same axes. The file is one SVG: what all frames share stands there once; where they
//! differ, a group `data-gap` holds the content of the still frame, and `<defs>` the contents of the others. So the
//! file shows the still frame to everybody, and a script that exchanges the contents of the groups shows the others.
use super::{Body, Plot, Raster};
#[cfg(feature = "figures")]
use super::{FigureError, plot, raster, svg};

/// Largest file of an interactive figure: it is part of the page, so a reader loads it with the text.
#[cfg(feature = "figures")]
const LARGEST: usize = 300_000;
/// Largest table of the comparison of two frames; larger ones share their beginnings and ends only.
#[cfg(feature = "figures")]
const LARGEST_TABLE: usize = 4_000_000;

/// Something that a reader moves: a name and the values it can have, from left to right.
#[derive(Debug, Clone, PartialEq)]
pub struct Slider {
    /// Written beside it, such as `learning rate`.
    pub name: String,
    /// As a reader sees them, at least two.
    pub values: Vec<String>,
}

impl Slider {
    /// A slider over values, numbers or words.
    pub fn new<V: ToString>(name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self { name: name.into(), values: values.into_iter().map(|value| value.to_string()).collect() }
    }
}

/// One of [`Frames`].
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// A plot, panels or a raster; the same kind in all frames.
    pub body: Body,
    /// What this frame shows, in one short sentence that is written below the sliders and read out when it changes;
    /// may be empty.
    pub note: String,
}

impl Frame {
    /// A frame without note.
    pub fn new(body: impl Into<Body>) -> Self {
        Self { body: body.into(), note: String::new() }
    }

    /// Says what this frame shows.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl From<Body> for Frame {
    fn from(body: Body) -> Self {
        Self::new(body)
    }
}
impl From<Plot> for Frame {
    fn from(plot: Plot) -> Self {
        Self::new(plot)
    }
}
impl From<Raster> for Frame {
    fn from(raster: Raster) -> Self {
        Self::new(raster)
    }
}

/// Pictures over one or two sliders, each drawn by the same code on the same axes.
///
/// Without scripts, on paper and for who does not see it, the figure is the still frame: choose one that makes the
/// point by itself. Marks that all frames share should come before those that change.
///
/// # Examples
/// A parabola and the point that is reached after some steps:
/// ```
/// use lab::{Axis, Figure, Frame, Frames, Line, Plot, Slider};
/// let rates = [0.1, 0.5, 1.0];
/// let after = |rate: f64, step: usize| (1.0 - rate).powi(step as i32);
/// let parabola = || (-10..=10).map(|i| f64::from(i) / 10.0).map(|x| (x, x * x));
/// let frames = Frames::over_two(Slider::new("learning rate", rates), Slider::new("step", 0..=5), |rate, step| {
///     let x = after(rates[rate], step);
///     let plot = Plot::new(Axis::linear("x"), Axis::linear("loss"))
///         .line(Line::new("", parabola()))
///         .scatter("", [(x, x * x)]);
///     Frame::new(plot).note(format!("The loss is {:.2}.", x * x))
/// })
/// .still([1, 2]);
/// assert_eq!(frames.frames.len(), 18);
/// let figure = Figure::new("descent", "Caption.", "alternative text", frames);
/// assert_eq!(figure.file_name("optimisers"), "optimisers-descent.svg");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// One or two.
    pub sliders: Vec<Slider>,
    /// A frame for each value, or for each pair of values: the last slider moves fastest.
    pub frames: Vec<Frame>,
    /// Position of each slider at the start and in the still picture.
    pub still: Vec<usize>,
}

impl Frames {
    /// A frame for each value of the slider, from its index; the still picture is the middle one.
    pub fn over<F: Into<Frame>>(slider: Slider, mut frame: impl FnMut(usize) -> F) -> Self {
        let count = slider.values.len();
        Self {
            still: vec![count / 2],
            frames: (0..count).map(|i| frame(i).into()).collect(),
            sliders: vec![slider],
        }
    }

    /// A frame for each pair of values, from their indices; the still picture is the one in the middle.
    pub fn over_two<F: Into<Frame>>(
        first: Slider,
        second: Slider,
        mut frame: impl FnMut(usize, usize) -> F,
    ) -> Self {
        let (rows, columns) = (first.values.len(), second.values.len());
        let mut frames = Vec::with_capacity(rows * columns);
        for i in 0..rows {
            frames.extend((0..columns).map(|j| frame(i, j).into()));
        }
        Self { still: vec![rows / 2, columns / 2], frames, sliders: vec![first, second] }
    }

    /// Chooses the still picture by the position of each slider, counted from 0.
    #[must_use]
    pub fn still(mut self, positions: impl IntoIterator<Item = usize>) -> Self {
        self.still = positions.into_iter().collect();
        self
    }
}

/// The file.
#[cfg(feature = "figures")]
pub(super) fn draw(figure: &Frames, alt: &str, caption: &str) -> Result<Vec<u8>, FigureError> {
    let still = check(figure)?;
    let drawings = drawings(figure)?;
    let frames: Vec<Vec<&str>> = drawings.iter().map(|drawing| drawing.lines().collect()).collect();
    let mut shared = frames[0].clone();
    for frame in &frames[1..] {
        shared = common(&shared, frame);
    }
    let gaps: Vec<Vec<Vec<&str>>> = frames.iter().map(|frame| gaps(frame, &shared)).collect();
    let is_used = |gap: &usize| gaps.iter().any(|gaps| !gaps[*gap].is_empty());
    let used: Vec<usize> = (0..=shared.len()).filter(is_used).collect();

    let mut content = String::new();
    for (gap, lines) in gaps[still].iter().enumerate() {
        if used.contains(&gap) {
            content += "<g data-gap=\"\">\n";
            lines.iter().for_each(|line| content.extend([line, "\n"]));
            content += "</g>\n";
        }
        if let Some(line) = shared.get(gap) {
            content.extend([line, "\n"]);
        }
    }
    let mut appendix = format!("<metadata>{}</metadata>\n<defs>\n", svg::escape(&description(figure)));
    for (i, gaps) in gaps.iter().enumerate().filter(|(i, _)| *i != still) {
        appendix += &format!("<g data-frame=\"{i}\">");
        for gap in &used {
            appendix += "<g>";
            gaps[*gap].iter().for_each(|line| appendix += line);
            appendix += "</g>";
        }
        appendix += "</g>\n";
    }
    appendix += "</defs>\n";
    let file = svg::file(drawings[0].size(), alt, caption, &content, &appendix);
    if file.len() > LARGEST {
        return Err(FigureError::TooLarge { bytes: file.len(), most: LARGEST, frames: frames.len() });
    }
    Ok(file)
}

/// Refuses sliders that lead nowhere; returns the index of the still frame.
#[cfg(feature = "figures")]
fn check(figure: &Frames) -> Result<usize, FigureError> {
    let sliders = figure.sliders.len();
    if !(1..=2).contains(&sliders) {
        return Err(FigureError::Sliders { got: sliders });
    }
    if let Some(slider) = figure.sliders.iter().find(|slider| slider.values.len() < 2) {
        return Err(FigureError::Slider { name: slider.name.clone(), values: slider.values.len() });
    }
    let expected = figure.sliders.iter().map(|slider| slider.values.len()).product();
    if figure.frames.len() != expected {
        return Err(FigureError::FrameCount { expected, got: figure.frames.len() });
    }
    let mut still = 0;
    for (i, slider) in figure.sliders.iter().enumerate() {
        match figure.still.get(i) {
            Some(&position) if position < slider.values.len() && figure.still.len() == sliders => {
                still = still * slider.values.len() + position;
            }
            _ => return Err(FigureError::Still { positions: figure.still.clone() }),
        }
    }
    Ok(still)
}

/// Each frame as a drawing of the same size.
#[cfg(feature = "figures")]
fn drawings(figure: &Frames) -> Result<Vec<svg::Svg>, FigureError> {
    let bodies: Vec<&Body> = figure.frames.iter().map(|frame| &frame.body).collect();
    // The bodies of one kind; the first of another kind is a fault.
    fn all<'a, T>(bodies: &[&'a Body], take: impl Fn(&'a Body) -> Option<T>) -> Result<Vec<T>, FigureError> {
        let taken = bodies.iter().enumerate();
        taken.map(|(frame, body)| take(body).ok_or(FigureError::FrameShape { frame })).collect()
    }
    match bodies[0] {
        Body::Plot(_) => plot::single(&all(&bodies, |body| match body {
            Body::Plot(plot) => Some(plot),
            _ => None,
        })?),
        Body::Panels { columns, .. } => {
            let panels = all(&bodies, |body| match body {
                Body::Panels { panels, columns: others } if others == columns => Some(panels.as_slice()),
                _ => None,
            })?;
            plot::panels(&panels, *columns)
        }
        Body::Raster(_) => {
            let rasters = all(&bodies, |body| match body {
                Body::Raster(raster) => Some(raster),
                _ => None,
            })?;
            pictures(&rasters)
        }
        Body::Heatmap(_) | Body::Frames(_) => Err(FigureError::FrameShape { frame: 0 }),
    }
}

/// Each raster as a drawing that holds its PNG.
#[cfg(feature = "figures")]
fn pictures(rasters: &[&Raster]) -> Result<Vec<svg::Svg>, FigureError> {
    let mut drawings: Vec<svg::Svg> = Vec::with_capacity(rasters.len());
    for (frame, picture) in rasters.iter().enumerate() {
        let (width, height) = raster::size(picture);
        let mut drawing = svg::Svg::new(width as f64, height as f64);
        let address = format!("data:image/png;base64,{}", base64(&raster::draw(picture)?));
        let size = [("width", width as f64), ("height", height as f64)];
        drawing.element("image", &size, &[("href", &address)]);
        if drawings.first().is_some_and(|first| first.size() != drawing.size()) {
            return Err(FigureError::FrameShape { frame });
        }
        drawings.push(drawing);
    }
    Ok(drawings)
}

/// Bytes as text (RFC 4648, section 4).
#[cfg(feature = "figures")]
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= group.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

/// What a page must know: the sliders, where they stand, and what each frame says.
#[cfg(feature = "figures")]
fn description(figure: &Frames) -> String {
    let sliders = figure.sliders.iter().zip(&figure.still);
    let sliders: Vec<_> = sliders
        .map(|(slider, still)| {
            serde_json::json!({ "name": slider.name, "values": slider.values, "still": still })
        })
        .collect();
    let notes: Vec<_> = figure.frames.iter().map(|frame| frame.note.as_str()).collect();
    let notes = if notes.iter().all(|note| note.is_empty()) { Vec::new() } else { notes };
    serde_json::json!({ "sliders": sliders, "notes": notes }).to_string()
}

/// A longest list of lines that both have in this order.
#[cfg(feature = "figures")]
fn common<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<&'a str> {
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[start..], &b[start..]);
    let end = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (middle_a, middle_b) = (&rest_a[..rest_a.len() - end], &rest_b[..rest_b.len() - end]);
    let mut shared = a[..start].to_vec();
    if middle_a.len().saturating_mul(middle_b.len()) <= LARGEST_TABLE {
        shared.extend(longest_common(middle_a, middle_b));
    }
    shared.extend(&a[a.len() - end..]);
    shared
}

/// Longest common subsequence; time and memory O(|a|·|b|).
#[cfg(feature = "figures")]
fn longest_common<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<&'a str> {
    // `length[i][j]`: of the longest common subsequence of `a[i..]` and `b[j..]`.
    let mut length = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            length[i][j] =
                if a[i] == b[j] { length[i + 1][j + 1] + 1 } else { length[i + 1][j].max(length[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut shared) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            shared.push(a[i]);
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    shared
}

/// What a frame has before each shared line, and after the last.
#[cfg(feature = "figures")]
fn gaps<'a>(frame: &[&'a str], shared: &[&str]) -> Vec<Vec<&'a str>> {
    let mut gaps = vec![Vec::new()];
    for line in frame {
        if shared.get(gaps.len() - 1) == Some(line) {
            gaps.push(Vec::new());
        } else if let Some(gap) = gaps.last_mut() {
            gap.push(*line);
        }
    }
    gaps
}

#[cfg(all(test, feature = "figures"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text); // RFC 4648, section 10
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn lines_that_all_frames_have_are_kept_once_in_their_order() {
        assert_eq!(common(&["a", "b", "c", "d"], &["a", "x", "c", "b", "d"]).len(), 3);
        assert_eq!(common(&["a", "b"], &["b", "a"]).len(), 1);
        assert_eq!(common(&["a", "a"], &["a", "a", "a"]), ["a", "a"]);
        assert!(common(&[], &["a"]).is_empty());
    }

    proptest! {
        #[test]
        fn shared_lines_and_gaps_give_each_frame_back(
            frames in prop::collection::vec(prop::collection::vec("[a-d]", 0..12), 1..5),
        ) {
            let frames: Vec<Vec<&str>> =
                frames.iter().map(|frame| frame.iter().map(String::as_str).collect()).collect();
            let shared = frames[1..].iter().fold(frames[0].clone(), |shared, frame| common(&shared, frame));
            for frame in &frames {
                let gaps = gaps(frame, &shared);
                prop_assert_eq!(gaps.len(), shared.len() + 1);
                let mut again: Vec<&str> = Vec::new();
                for (i, gap) in gaps.iter().enumerate() {
                    again.extend(gap);
                    again.extend(shared.get(i));
                }
                prop_assert_eq!(&again, frame);
            }
        }
    }
}
