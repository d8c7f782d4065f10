//! Plots as SVG: axes, grid, marks, names beside what they name.
use super::scale::Scale;
use super::svg::{Anchor, DASHES, GRID, INK, LEADING, SERIES, Svg, TEXT, simplified, text_width};
use super::{Axis, FigureError, Line, Mark, Plot};

/// Size of a single plot in px.
const SINGLE: (f64, f64) = (640.0, 400.0);
/// Widest column of names to the right of a plot.
const WIDEST_NAMES: f64 = 190.0;
/// Space between panels.
const GUTTER: f64 = 14.0;

/// A rectangle in px.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// One plot of the full size for each frame, all on the same axes.
pub(super) fn single(frames: &[&Plot]) -> Result<Vec<Svg>, FigureError> {
    let (width, height) = SINGLE;
    let area = Area { left: 0.0, top: 0.0, right: width, bottom: height };
    let mut drawings: Vec<_> = frames.iter().map(|_| Svg::new(width, height)).collect();
    draw(&mut drawings, frames, area, Labels { x: true, y: true })?;
    Ok(drawings)
}

/// Small multiples, `columns` in a row, for each frame; a panel has the same axes in all frames. Labels that all
/// panels share are written at the outer ones only.
pub(super) fn panels(frames: &[&[Plot]], columns: usize) -> Result<Vec<Svg>, FigureError> {
    if !(1..=4).contains(&columns) {
        return Err(FigureError::Columns { columns });
    }
    let plots = frames.first().copied().unwrap_or_default();
    if let Some(frame) = frames.iter().position(|panels| panels.len() != plots.len()) {
        return Err(FigureError::FrameShape { frame });
    }
    let rows = plots.len().div_ceil(columns);
    let shares = |label: fn(&Plot) -> &str| plots.windows(2).all(|pair| label(&pair[0]) == label(&pair[1]));
    let (shares_x, shares_y) = (shares(|plot| &plot.x.label), shares(|plot| &plot.y.label));
    let outer = |is_shared: bool, is_outer: bool| !is_shared || is_outer;
    let labels: Vec<_> = (0..plots.len())
        .map(|i| Labels {
            x: outer(shares_x, i + columns >= plots.len()),
            y: outer(shares_y, i % columns == 0),
        })
        .collect();
    // Panels of one row are equally wide inside, so that the outer one gets room for its label.
    let label_room = if shares_y { LEADING + 4.0 } else { 0.0 };
    let (width, _) = SINGLE;
    let each = (width - label_room - GUTTER * (columns - 1) as f64) / columns as f64;
    let height = if columns == 1 { 260.0 } else { (each * 0.85).max(170.0) };
    let below = if shares_x { LEADING + 8.0 } else { 0.0 };
    let mut drawings: Vec<_> = frames.iter().map(|_| Svg::new(width, height * rows as f64 + below)).collect();
    for (i, labels) in labels.into_iter().enumerate() {
        let (row, column) = ((i / columns) as f64, (i % columns) as f64);
        let inner_left = label_room + column * (each + GUTTER);
        let bottom = (row + 1.0) * height + if labels.x && shares_x { below } else { 0.0 };
        let left = if labels.y { inner_left - label_room } else { inner_left };
        let area = Area { left, top: row * height, right: inner_left + each, bottom };
        let panel: Vec<&Plot> = frames.iter().map(|panels| &panels[i]).collect();
        draw(&mut drawings, &panel, area, labels)?;
    }
    Ok(drawings)
}

/// Which axes of a panel say their quantity.
#[derive(Debug, Clone, Copy)]
struct Labels {
    x: bool,
    y: bool,
}

/// A name beside the plot.
struct Name<'a> {
    text: &'a str,
    /// Height at which its curve or line ends.
    end: f64,
    /// Height of the name: the same, until names are moved apart.
    y: f64,
    colour: Option<&'static str>,
}

impl<'a> Name<'a> {
    fn at(text: &'a str, end: f64, colour: Option<&'static str>) -> Self {
        Self { text, end, y: end, colour }
    }
}

/// Draws each plot into the drawing of its frame; ranges and room are those that all of them need.
fn draw(svgs: &mut [Svg], plots: &[&Plot], area: Area, labels: Labels) -> Result<(), FigureError> {
    let Some(first) = plots.first() else { return Ok(()) };
    for (frame, plot) in plots.iter().enumerate() {
        check(plot)?;
        if (&plot.x, &plot.y) != (&first.x, &first.y) {
            return Err(FigureError::FrameAxes { frame });
        }
    }
    let (x_extent, y_extent) = extents(plots);
    let (x, y) = (Scale::fit(&first.x, x_extent)?, Scale::fit(&first.y, y_extent)?);
    let inner = inner_area(plots, area, labels, &y);
    let x = x.on(inner.left, inner.right);
    // Numbers rise upwards, names are read downwards.
    let y = if first.y.categories.is_empty() {
        y.on(inner.bottom, inner.top)
    } else {
        y.on(inner.top, inner.bottom)
    };
    for (svg, plot) in svgs.iter_mut().zip(plots) {
        draw_between(svg, plot, (area, inner), labels, &x, &y);
    }
    Ok(())
}

/// Draws a plot on scales that have their pixels.
fn draw_between(
    svg: &mut Svg,
    plot: &Plot,
    (area, inner): (Area, Area),
    labels: Labels,
    x: &Scale,
    y: &Scale,
) {
    axes(svg, plot, inner, area, labels, (x, y));
    let mut names = marks(svg, plot, inner, x, y);
    settle(&mut names, inner);
    for name in &names {
        let x = inner.right + 12.0;
        if (name.y - name.end).abs() > 2.0 {
            svg.line(
                (inner.right + 1.0, name.end),
                (x - 2.0, name.y),
                &[("stroke", INK), ("stroke-width", "0.75")],
            );
        }
        let base_line = name.y + TEXT * 0.35;
        if let Some(colour) = name.colour {
            svg.rectangle((x, name.y - 4.5), (9.0, 9.0), &[("fill", colour)]);
            svg.words((x + 14.0, base_line), Anchor::Start, name.text, &[]);
        } else {
            svg.words((x, base_line), Anchor::Start, name.text, &[]);
        }
    }
    legend(svg, plot, inner, area);
}

/// Refuses what cannot be drawn or read.
fn check(plot: &Plot) -> Result<(), FigureError> {
    let series = plot.marks.iter().filter(|mark| mark.is_series()).count();
    if series > SERIES.len() {
        return Err(FigureError::TooManySeries { got: series, most: SERIES.len() });
    }
    for mark in &plot.marks {
        let name = mark.name();
        if let Mark::Line(Line { points, band: Some(band), .. }) = mark
            && band.len() != points.len()
        {
            return Err(FigureError::Band { name: name.into(), points: points.len(), band: band.len() });
        }
        if let Some(value) = mark.numbers().find(|value| !value.is_finite()) {
            return Err(FigureError::NotFinite { name: name.into(), value });
        }
    }
    Ok(())
}

/// Smallest and largest value of the data in each direction.
fn extents(plots: &[&Plot]) -> (Option<(f64, f64)>, Option<(f64, f64)>) {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for (plot, mark) in plots.iter().flat_map(|plot| plot.marks.iter().map(move |mark| (plot, mark))) {
        let is_sideways = !plot.y.categories.is_empty();
        match mark {
            Mark::Line(Line { points, band, .. }) => {
                xs.extend(points.iter().map(|point| point.0));
                ys.extend(points.iter().map(|point| point.1));
                let band = band.iter().flatten().flat_map(|&(low, high)| [low, high]);
                ys.extend(band.filter(|&value| !plot.y.logarithmic || value > 0.0));
            }
            Mark::Scatter { points, .. } => {
                xs.extend(points.iter().map(|point| point.0));
                ys.extend(points.iter().map(|point| point.1));
            }
            Mark::Bars { heights, .. } => {
                let axis = if is_sideways { &plot.x } else { &plot.y };
                let values = heights.iter().flat_map(|&(height, spread)| [height - spread, height + spread]);
                let values = values.filter(|&value| !axis.logarithmic || value > 0.0);
                let base = (!axis.logarithmic).then_some(0.0);
                if is_sideways { xs.extend(values.chain(base)) } else { ys.extend(values.chain(base)) }
            }
            Mark::Histogram { range, counts, .. } => {
                xs.extend([range.0, range.1]);
                ys.extend(counts.iter().map(|&count| count as f64).chain([0.0]));
            }
            Mark::Faint { lines } => {
                xs.extend(lines.iter().flatten().map(|point| point.0));
                ys.extend(lines.iter().flatten().map(|point| point.1));
            }
            Mark::Horizontal { y, .. } => ys.push(*y),
            Mark::Vertical { x, .. } => xs.push(*x),
            Mark::Text { .. } => {}
        }
    }
    (extent(&xs), extent(&ys))
}

fn extent(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some((low, high))
}

/// Where the data goes, once titles, names, labels and numbers have their room.
fn inner_area(plots: &[&Plot], area: Area, labels: Labels, y: &Scale) -> Area {
    let (x, names_up) = (&plots[0].x, &plots[0].y.categories);
    let marks = || plots.iter().flat_map(|plot| &plot.marks);
    let title = if plots.iter().any(|plot| plot.title.is_some()) { LEADING + 2.0 } else { 0.0 };
    let has_legend = marks().any(Mark::is_in_legend);
    let has_top_names = marks().any(|mark| matches!(mark, Mark::Vertical { .. }));
    let above = if has_legend || has_top_names { LEADING + 4.0 } else { 0.0 };
    let top = area.top + 10.0 + title + above;
    let label = if labels.x { LEADING + 8.0 } else { 0.0 };
    // Names of categories may need more lines, which makes room for fewer and so for no wider numbers.
    let lowest = area.bottom - 8.0 - LEADING - label;
    let numbers = if names_up.is_empty() {
        y.ticks(ticks_up(lowest - top)).iter().map(|(_, text)| text_width(text)).fold(0.0, f64::max)
    } else {
        names_up.iter().map(|name| text_width(name)).fold(0.0, f64::max)
    };
    let left = area.left + numbers + 10.0 + if labels.y { LEADING + 4.0 } else { 0.0 };
    let names = marks().filter(|mark| mark.is_named_beside()).map(|mark| text_width(mark.name()));
    let widest = names.fold(0.0, f64::max);
    let right = area.right - if widest > 0.0 { (widest + 34.0).min(WIDEST_NAMES) } else { 12.0 };
    let lines = category_lines(x, right - left).iter().map(Vec::len).max().unwrap_or(1).max(1);
    let bottom = lowest - LEADING * (lines - 1) as f64;
    Area { left, top, right, bottom }
}

/// How many numbers stand at a vertical axis of this height.
fn ticks_up(height: f64) -> usize {
    (height / 52.0).clamp(2.0, 8.0) as usize
}

/// Names of categories below an axis of this width, broken at spaces.
fn category_lines(axis: &Axis, width: f64) -> Vec<Vec<String>> {
    let slot = width / axis.categories.len().max(1) as f64;
    axis.categories.iter().map(|name| broken(name, slot - 6.0)).collect()
}

/// `text` in lines of at most `width` px where spaces allow it.
fn broken(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}")) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

fn axes(svg: &mut Svg, plot: &Plot, inner: Area, area: Area, labels: Labels, (x, y): (&Scale, &Scale)) {
    let grid = [("stroke", GRID), ("stroke-width", "1")];
    let ink = [("stroke", INK), ("stroke-width", "1")];
    let ticks_across = ((inner.right - inner.left) / 75.0).clamp(2.0, 8.0) as usize;
    if plot.x.categories.is_empty() {
        for (value, text) in x.ticks(ticks_across) {
            let at = x.pixel(value);
            svg.line((at, inner.top), (at, inner.bottom), &grid);
            svg.line((at, inner.bottom), (at, inner.bottom + 4.0), &ink);
            svg.words((at, inner.bottom + LEADING), Anchor::Middle, &text, &[]);
        }
    } else {
        for (i, lines) in category_lines(&plot.x, inner.right - inner.left).iter().enumerate() {
            for (j, line) in lines.iter().enumerate() {
                let at = (x.pixel(i as f64), inner.bottom + LEADING * (j + 1) as f64);
                svg.words(at, Anchor::Middle, line, &[]);
            }
        }
    }
    if plot.y.categories.is_empty() {
        for (value, text) in y.ticks(ticks_up(inner.bottom - inner.top)) {
            let at = y.pixel(value);
            svg.line((inner.left, at), (inner.right, at), &grid);
            svg.line((inner.left - 4.0, at), (inner.left, at), &ink);
            svg.words((inner.left - 7.0, at + TEXT * 0.35), Anchor::End, &text, &[]);
        }
    } else {
        for (i, name) in plot.y.categories.iter().enumerate() {
            let at = (inner.left - 7.0, y.pixel(i as f64) + TEXT * 0.35);
            svg.words(at, Anchor::End, name, &[]);
        }
    }
    svg.line((inner.left, inner.bottom), (inner.right, inner.bottom), &ink);
    svg.line((inner.left, inner.top), (inner.left, inner.bottom), &ink);
    let middle = ((inner.left + inner.right) / 2.0, (inner.top + inner.bottom) / 2.0);
    if labels.x {
        svg.words((middle.0, area.bottom - 7.0), Anchor::Middle, &plot.x.label, &[]);
    }
    if labels.y && !plot.y.label.is_empty() {
        svg.words_upwards((area.left + TEXT, middle.1), &plot.y.label);
    }
    if let Some(title) = &plot.title {
        svg.words((middle.0, area.top + TEXT + 2.0), Anchor::Middle, title, &[("font-weight", "bold")]);
    }
}

/// Draws what the plot shows and returns the names to stand to the right of it.
fn marks<'a>(svg: &mut Svg, plot: &'a Plot, inner: Area, x: &Scale, y: &Scale) -> Vec<Name<'a>> {
    let mut names = Vec::new();
    let bars = plot.marks.iter().filter(|mark| matches!(mark, Mark::Bars { .. })).count();
    let (mut series, mut bar, mut lines) = (0, 0, 0);
    for mark in &plot.marks {
        let colour = SERIES[series % SERIES.len()];
        match mark {
            Mark::Line(line) => {
                curve(svg, line, (series, DASHES[lines % DASHES.len()]), x, y);
                lines += 1;
                let end = line.points.iter().rev().find(|point| x.clamp(point.0) == point.0);
                if let Some(end) = end.filter(|_| !line.name.is_empty()) {
                    names.push(Name::at(&line.name, y.pixel(y.clamp(end.1)), Some(colour)));
                }
            }
            Mark::Scatter { points, .. } => {
                let is_inside = |&&(px, py): &&(f64, f64)| x.clamp(px) == px && y.clamp(py) == py;
                for &(px, py) in points.iter().filter(is_inside) {
                    svg.marker(series, (x.pixel(px), y.pixel(py)));
                }
            }
            Mark::Bars { heights, .. } => {
                columns(svg, plot, heights, (bar, bars), series, x, y);
                bar += 1;
            }
            Mark::Histogram { range, counts, .. } => {
                let width = (range.1 - range.0) / counts.len().max(1) as f64;
                let base = y.pixel(y.base());
                for (i, &count) in counts.iter().enumerate() {
                    let edges = [i, i + 1].map(|i| x.pixel(x.clamp(range.0 + width * i as f64)));
                    let top = y.pixel(y.clamp(count as f64));
                    bar_from_to(svg, (edges[0] + 0.5, base), (edges[1] - 0.5, top), series);
                }
            }
            Mark::Faint { lines } => {
                let style = [("stroke", INK), ("stroke-width", "1"), ("stroke-opacity", "0.35")];
                for piece in lines.iter().flat_map(|line| visible(line, x, y)) {
                    svg.polyline(&piece, &style);
                }
            }
            Mark::Horizontal { name, y: at } if y.clamp(*at) == *at => {
                let at = y.pixel(*at);
                let style = [("stroke", INK), ("stroke-width", "1.5"), ("stroke-dasharray", "2 3")];
                svg.line((inner.left, at), (inner.right, at), &style);
                names.push(Name::at(name, at, None));
            }
            Mark::Vertical { name, x: at } if x.clamp(*at) == *at => {
                let at = x.pixel(*at);
                let style = [("stroke", INK), ("stroke-width", "1.5"), ("stroke-dasharray", "2 3")];
                svg.line((at, inner.top), (at, inner.bottom), &style);
                let half = text_width(name) / 2.0;
                let centre = at.max(inner.left + half).min((inner.right - half).max(inner.left + half));
                svg.words((centre, inner.top - 6.0), Anchor::Middle, name, &[]);
            }
            Mark::Text { .. } | Mark::Horizontal { .. } | Mark::Vertical { .. } => {}
        }
        series += usize::from(mark.is_series());
    }
    // Last, so that no line runs over the letters.
    for mark in &plot.marks {
        if let Mark::Text { text, at } = mark {
            label(svg, text, (x.pixel(x.clamp(at.0)), y.pixel(y.clamp(at.1))), inner);
        }
    }
    names
}

/// Words in the plot: centred at a point, or, where they end with an arrow, so that the arrow stands at the point.
fn label(svg: &mut Svg, text: &str, at: (f64, f64), inner: Area) {
    let half = text_width("↓") / 2.0;
    if text.ends_with('↓') && at.0 + half - text_width(text) >= inner.left {
        svg.words((at.0 + half, at.1), Anchor::End, text, &[]);
    } else {
        svg.words(at, Anchor::Middle, text, &[]);
    }
}

fn curve(svg: &mut Svg, line: &Line, (series, dash): (usize, &str), x: &Scale, y: &Scale) {
    let colour = SERIES[series % SERIES.len()];
    if let Some(band) = &line.band {
        let shown: Vec<_> = line.points.iter().zip(band).filter(|((px, _), _)| x.clamp(*px) == *px).collect();
        let edge = |(point, value): (f64, f64)| (x.pixel(point), y.pixel(y.clamp(value)));
        let upper = shown.iter().map(|((px, _), (_, high))| edge((*px, *high)));
        let lower = shown.iter().rev().map(|((px, _), (low, _))| edge((*px, *low)));
        let outline =
            [simplified(&upper.collect::<Vec<_>>()), simplified(&lower.collect::<Vec<_>>())].concat();
        svg.polygon(&outline, &[("fill", colour), ("fill-opacity", "0.18")]);
    }
    for piece in visible(&line.points, x, y) {
        let style = [
            ("stroke", colour),
            ("stroke-width", "2.5"),
            ("stroke-dasharray", dash),
            ("stroke-linejoin", "round"),
        ];
        svg.polyline(&piece, &style);
    }
    if let [(px, py)] = line.points[..] {
        svg.marker(series, (x.pixel(px), y.pixel(py)));
    }
}

/// The pieces of a line that the axes show, in px.
fn visible(points: &[(f64, f64)], x: &Scale, y: &Scale) -> Vec<Vec<(f64, f64)>> {
    let points: Vec<_> = points.iter().map(|&(px, py)| (x.pixel(px), y.pixel(py))).collect();
    let (low_x, high_x) = x.ends();
    let (low_y, high_y) = y.ends();
    let (one, other) = (y.pixel(low_y), y.pixel(high_y));
    let frame =
        Area { left: x.pixel(low_x), top: one.min(other), right: x.pixel(high_x), bottom: one.max(other) };
    inside(&points, frame)
}

/// The pieces of a line inside of the frame, cut exactly at its edges.
fn inside(points: &[(f64, f64)], frame: Area) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = cut(pair[0], pair[1], frame) else { continue };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// The part of a segment inside of the frame (Liang and Barsky 1984).
fn cut(from: (f64, f64), to: (f64, f64), frame: Area) -> Option<((f64, f64), (f64, f64))> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let borders = [
        (-dx, from.0 - frame.left),
        (dx, frame.right - from.0),
        (-dy, from.1 - frame.top),
        (dy, frame.bottom - from.1),
    ];
    for (speed, distance) in borders {
        if speed == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if speed < 0.0 {
            enter = enter.max(distance / speed);
        } else {
            leave = leave.min(distance / speed);
        }
    }
    let at = |t: f64| {
        if t == 0.0 {
            from
        } else if t == 1.0 {
            to
        } else {
            (from.0 + t * dx, from.1 + t * dy)
        }
    };
    (enter <= leave).then(|| (at(enter), at(leave)))
}

/// Bars of one series among `of` series, with whiskers.
fn columns(
    svg: &mut Svg,
    plot: &Plot,
    heights: &[(f64, f64)],
    (index, of): (usize, usize),
    series: usize,
    x: &Scale,
    y: &Scale,
) {
    let is_sideways = !plot.y.categories.is_empty();
    let (along, across) = if is_sideways { (y, x) } else { (x, y) };
    let thickness = 0.72 / of.max(1) as f64;
    for (i, &(height, spread)) in heights.iter().enumerate() {
        let from = i as f64 - 0.36 + thickness * index as f64;
        let edges = (along.pixel(from), along.pixel(from + thickness));
        let centre = (edges.0 + edges.1) / 2.0;
        let (base, end) = (across.pixel(across.base()), across.pixel(across.clamp(height)));
        let turn = |(a, b): (f64, f64)| if is_sideways { (b, a) } else { (a, b) };
        bar_from_to(svg, turn((edges.0, base)), turn((edges.1, end)), series);
        if spread > 0.0 {
            let style = [("stroke", INK), ("stroke-width", "1.5")];
            let [low, high] =
                [height - spread, height + spread].map(|value| across.pixel(across.clamp(value)));
            svg.line(turn((centre, low)), turn((centre, high)), &style);
            for cap in [low, high] {
                svg.line(turn((centre - 4.0, cap)), turn((centre + 4.0, cap)), &style);
            }
        }
    }
}

/// Later series are paler, so that they differ without their colour.
const FILLS: [&str; 4] = ["0.85", "0.35", "0.6", "0.1"];

fn bar_from_to(svg: &mut Svg, a: (f64, f64), b: (f64, f64), series: usize) {
    let colour = SERIES[series % SERIES.len()];
    let (at, size) = ((a.0.min(b.0), a.1.min(b.1)), ((a.0 - b.0).abs(), (a.1 - b.1).abs()));
    let style = [("fill", colour), ("fill-opacity", FILLS[series % FILLS.len()]), ("stroke", colour)];
    svg.rectangle(at, size, &style);
}

/// Moves names apart until none covers another, as little as possible, within the height of the plot.
fn settle(names: &mut [Name<'_>], inner: Area) {
    names.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut floor = f64::NEG_INFINITY;
    for name in names.iter_mut() {
        name.y = name.y.max(floor);
        floor = name.y + LEADING;
    }
    let mut ceiling = inner.bottom; // below it stand the numbers of the axis
    for name in names.iter_mut().rev() {
        name.y = name.y.min(ceiling);
        ceiling = name.y - LEADING;
    }
}

/// Names of bars, points and histograms above the plot, each beside its sign.
fn legend(svg: &mut Svg, plot: &Plot, inner: Area, area: Area) {
    let title = if plot.title.is_some() { LEADING + 2.0 } else { 0.0 };
    let y = area.top + title + 18.0;
    let mut at = inner.left;
    let series = plot.marks.iter().filter(|mark| mark.is_series()).enumerate();
    for (i, mark) in series.filter(|(_, mark)| mark.is_in_legend()) {
        if matches!(mark, Mark::Scatter { .. }) {
            svg.marker(i, (at + 6.0, y - 5.0));
        } else {
            bar_from_to(svg, (at, y - 11.0), (at + 12.0, y), i);
        }
        svg.words((at + 18.0, y), Anchor::Start, mark.name(), &[]);
        at += 18.0 + text_width(mark.name()) + 20.0;
    }
}

impl Mark {
    fn name(&self) -> &str {
        match self {
            Self::Line(Line { name, .. })
            | Self::Scatter { name, .. }
            | Self::Bars { name, .. }
            | Self::Histogram { name, .. }
            | Self::Horizontal { name, .. }
            | Self::Vertical { name, .. } => name,
            Self::Faint { .. } => "thin lines",
            Self::Text { text, .. } => text,
        }
    }

    /// Whether it takes a colour of its own.
    fn is_series(&self) -> bool {
        matches!(self, Self::Line(_) | Self::Scatter { .. } | Self::Bars { .. } | Self::Histogram { .. })
    }

    fn is_named_beside(&self) -> bool {
        matches!(self, Self::Line(_) | Self::Horizontal { .. }) && !self.name().is_empty()
    }

    fn is_in_legend(&self) -> bool {
        matches!(self, Self::Scatter { .. } | Self::Bars { .. } | Self::Histogram { .. })
            && !self.name().is_empty()
    }

    fn numbers(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        let flat = |pairs: &'_ [(f64, f64)]| pairs.iter().flat_map(|&(a, b)| [a, b]).collect::<Vec<_>>();
        match self {
            Self::Line(Line { points, band, .. }) => {
                Box::new(flat(points).into_iter().chain(flat(band.as_deref().unwrap_or_default())))
            }
            Self::Scatter { points, .. } => Box::new(flat(points).into_iter()),
            Self::Faint { lines } => Box::new(lines.iter().flatten().flat_map(|&(a, b)| [a, b])),
            Self::Bars { heights, .. } => Box::new(flat(heights).into_iter()),
            Self::Histogram { range, .. } => Box::new([range.0, range.1].into_iter()),
            Self::Horizontal { y, .. } => Box::new([*y].into_iter()),
            Self::Vertical { x, .. } => Box::new([*x].into_iter()),
            Self::Text { at, .. } => Box::new([at.0, at.1].into_iter()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Area = Area { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn a_line_is_cut_at_the_frame() {
        let pieces = inside(&[(-5.0, 5.0), (5.0, 5.0), (5.0, 15.0), (8.0, 15.0), (8.0, 5.0)], FRAME);
        assert_eq!(pieces, [vec![(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)], vec![(8.0, 10.0), (8.0, 5.0)]]);
    }

    #[test]
    fn names_never_cover_each_other() {
        let name = |y| Name::at("", y, None);
        let mut names = [9.0, 9.5, 2.0, 9.2].map(name);
        let inner = Area { bottom: 100.0, ..FRAME };
        settle(&mut names, inner);
        let ys: Vec<f64> = names.iter().map(|name| name.y).collect();
        assert!(ys.windows(2).all(|pair| pair[1] - pair[0] >= LEADING - 1e-9), "{ys:?}");
    }
}
