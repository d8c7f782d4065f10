//! Figures as descriptions: what is shown, not how it is drawn.
//!
//! An experiment returns [`Figure`]s made from its report; `course figures` draws them, plots as SVG that
//! follows the book's theme, rasters as PNG, [`Frames`] over sliders as one SVG. The same description gives the same bytes on every machine.
//! Colours are the first four of Okabe and Ito's palette that are told apart by all common kinds of
//! colour blindness; each series also has a dash or marker of its own, so that colour never speaks alone.

mod contours;
#[cfg(feature = "figures")]
mod font;
mod frames;
#[cfg(feature = "figures")]
mod heatmap;
#[cfg(feature = "figures")]
mod plot;
#[cfg(feature = "figures")]
mod raster;
#[cfg(feature = "figures")]
mod scale;
#[cfg(feature = "figures")]
mod svg;

pub use contours::contours;
pub use frames::{Frame, Frames, Slider};

/// One figure of an experiment: `book/src/figures/NAME-ID.svg`, or `.png` for a [`Raster`].
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Unique within the experiment, kebab case.
    pub id: String,
    /// First sentence: what to see. Then how it was made: data, seeds, n.
    pub caption: String,
    /// What is in the picture, for who cannot see it.
    pub alt: String,
    /// What is drawn.
    pub body: Body,
}

impl Figure {
    /// A figure with its texts.
    pub fn new(
        id: impl Into<String>,
        caption: impl Into<String>,
        alt: impl Into<String>,
        body: impl Into<Body>,
    ) -> Self {
        Self { id: id.into(), caption: caption.into(), alt: alt.into(), body: body.into() }
    }

    /// Name of the file of this figure for the experiment `name`.
    pub fn file_name(&self, name: &str) -> String {
        let extension = if matches!(self.body, Body::Raster(_)) { "png" } else { "svg" };
        format!("{name}-{}.{extension}", self.id)
    }

    /// Draws the figure into `folder` under its [`file_name`](Self::file_name), whole or not at all.
    ///
    /// # Errors
    /// [`crate::Error::Figure`] as [`draw`](Self::draw), [`crate::Error::Write`] when the disk refuses.
    #[cfg(feature = "figures")]
    pub fn write(&self, name: &str, folder: &std::path::Path) -> Result<std::path::PathBuf, crate::Error> {
        let file = self.file_name(name);
        let content = self.draw().map_err(|source| crate::Error::Figure { file: file.clone(), source })?;
        let path = folder.join(file);
        crate::atomic::write(&path, &content)?;
        Ok(path)
    }

    /// The file's content, SVG or PNG: the same bytes for the same description.
    ///
    /// # Errors
    /// [`FigureError`] when the description cannot be drawn or could not be read.
    #[cfg(feature = "figures")]
    pub fn draw(&self) -> Result<Vec<u8>, FigureError> {
        match &self.body {
            Body::Plot(plot) => {
                let drawings = plot::single(&[plot])?;
                Ok(drawings[0].finish(&self.alt, &self.caption))
            }
            Body::Panels { panels, columns } => {
                let drawings = plot::panels(&[panels], *columns)?;
                Ok(drawings[0].finish(&self.alt, &self.caption))
            }
            Body::Heatmap(heatmap) => Ok(heatmap::draw(heatmap)?.finish(&self.alt, &self.caption)),
            Body::Raster(raster) => raster::draw(raster),
            Body::Frames(frames) => frames::draw(frames, &self.alt, &self.caption),
        }
    }
}

/// Why a figure cannot be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// More series than a reader tells apart.
    #[error("a plot may show {most} series, got {got}; split it into panels")]
    TooManySeries {
        /// Series in the plot.
        got: usize,
        /// Series that have a colour and a dash of their own.
        most: usize,
    },
    /// A coordinate, cell or pixel is NaN or infinite.
    #[error("`{name}` must hold finite numbers, got {value}; leave the point out or report why it diverged")]
    NotFinite {
        /// Name of the series.
        name: String,
        /// The number.
        value: f64,
    },
    /// A logarithmic axis meets zero or less.
    #[error(
        "the logarithmic axis `{axis}` needs positive values, got {value}; set its range or make it linear"
    )]
    NotPositive {
        /// Label of the axis.
        axis: String,
        /// The number.
        value: f64,
    },
    /// A range is empty or reversed.
    #[error("the range of axis `{axis}` must rise, got {low} to {high}")]
    Range {
        /// Label of the axis.
        axis: String,
        /// First value.
        low: f64,
        /// Last value.
        high: f64,
    },
    /// No data and no range.
    #[error("the axis `{axis}` has no data to fit; draw something or set its range")]
    Empty {
        /// Label of the axis.
        axis: String,
    },
    /// A band has another length than its curve.
    #[error("the band of `{name}` needs one pair per point, {points} here, got {band}")]
    Band {
        /// Name of the curve.
        name: String,
        /// Points of the curve.
        points: usize,
        /// Pairs of the band.
        band: usize,
    },
    /// Panels beside each other must be readable.
    #[error("panels stand 1 to 4 in a row, got {columns}")]
    Columns {
        /// What was asked for.
        columns: usize,
    },
    /// A matrix is empty or not as large as its names say.
    #[error("the matrix must have a value for each of {rows} rows and {columns} columns, and at least one")]
    Matrix {
        /// Names of rows.
        rows: usize,
        /// Names of columns.
        columns: usize,
    },
    /// Tiles of a raster differ in size, or there are none.
    #[error("tile {tile} must have (height, width) {expected:?} like the first, got {got:?}")]
    Tiles {
        /// Index of the tile.
        tile: usize,
        /// Height and width of the first.
        expected: (usize, usize),
        /// Its height and width.
        got: (usize, usize),
    },
    /// A caption is wider than its tile.
    #[error("the caption `{caption}` is wider than its tile, which holds {most} letters")]
    Caption {
        /// The words.
        caption: String,
        /// Letters that fit.
        most: usize,
    },
    /// Sliders beyond what a reader can hold in mind, or none.
    #[error("an interactive figure has one or two sliders, got {got}")]
    Sliders {
        /// How many there are.
        got: usize,
    },
    /// A slider that cannot move.
    #[error("the slider `{name}` needs at least two values, got {values}")]
    Slider {
        /// Its name.
        name: String,
        /// How many values it has.
        values: usize,
    },
    /// A value or pair of values without a frame, or a frame without one.
    #[error("the sliders have {expected} positions but there are {got} frames; each position needs one")]
    FrameCount {
        /// Positions of the sliders.
        expected: usize,
        /// Frames.
        got: usize,
    },
    /// The still picture is none of the frames.
    #[error("the still picture {positions:?} needs one position for each slider, below its number of values")]
    Still {
        /// What was asked for.
        positions: Vec<usize>,
    },
    /// A frame of another kind or size.
    #[error(
        "frames are plots, panels or rasters, of one kind, size and number of panels; frame {frame} is not"
    )]
    FrameShape {
        /// Index of the frame.
        frame: usize,
    },
    /// A frame with axes of its own.
    #[error("frame {frame} must have the labels, scales and ranges of the axes of the first")]
    FrameAxes {
        /// Index of the frame.
        frame: usize,
    },
    /// A reader would wait for it.
    #[error("the {frames} frames take {bytes} bytes, at most {most} are allowed; use fewer frames or points")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
        /// Size that is allowed.
        most: usize,
        /// Number of frames.
        frames: usize,
    },
    /// The letters of pictures are ASCII and `→`.
    #[error("a caption in a picture may use ASCII and `→`, got `{letter}`")]
    Letter {
        /// The letter.
        letter: char,
    },
}

/// What a figure shows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// One plot.
    Plot(Plot),
    /// Small multiples: panels with titles, row by row, `columns` beside each other.
    Panels {
        /// Plots, each with its title.
        panels: Vec<Plot>,
        /// How many stand in a row, 1 to 4.
        columns: usize,
    },
    /// A matrix of numbers in coloured cells.
    Heatmap(Heatmap),
    /// Tiles of pixels.
    Raster(Raster),
    /// Plots, panels or rasters over one or two sliders.
    Frames(Frames),
}

impl From<Plot> for Body {
    fn from(plot: Plot) -> Self {
        Self::Plot(plot)
    }
}
impl From<Heatmap> for Body {
    fn from(heatmap: Heatmap) -> Self {
        Self::Heatmap(heatmap)
    }
}
impl From<Frames> for Body {
    fn from(frames: Frames) -> Self {
        Self::Frames(frames)
    }
}
impl From<Raster> for Body {
    fn from(raster: Raster) -> Self {
        Self::Raster(raster)
    }
}

/// Quantity, unit and scale of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Quantity with unit, such as `epoch` or `time (s)`.
    pub label: String,
    /// Powers of ten at equal distances.
    pub logarithmic: bool,
    /// First and last value shown; from the data when absent.
    pub range: Option<(f64, f64)>,
    /// Names in place of numbers, at 0, 1, 2, …
    pub categories: Vec<String>,
}

impl Axis {
    /// Equal steps at equal distances.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), logarithmic: false, range: None, categories: Vec::new() }
    }

    /// Equal ratios at equal distances; values must be positive.
    pub fn logarithmic(label: impl Into<String>) -> Self {
        Self { logarithmic: true, ..Self::linear(label) }
    }

    /// Names at 0, 1, 2, …, for bars.
    pub fn categories<S: Into<String>>(label: impl Into<String>, names: impl IntoIterator<Item = S>) -> Self {
        Self { categories: names.into_iter().map(Into::into).collect(), ..Self::linear(label) }
    }

    /// Fixes the first and last value shown.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }
}

/// A named curve, optionally with a band around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Written beside the end of the curve.
    pub name: String,
    /// (x, y) from left to right.
    pub points: Vec<(f64, f64)>,
    /// (low, high) for each point, such as mean ± sd over seeds.
    pub band: Option<Vec<(f64, f64)>>,
}

impl Line {
    /// A curve without band.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect(), band: None }
    }

    /// Mean of several runs of equal length with a band of one standard deviation; `runs[seed][i]` belongs to `x[i]`.
    pub fn over_seeds(name: impl Into<String>, x: &[f64], runs: &[Vec<f64>]) -> Self {
        let column = |i: usize| runs.iter().filter_map(|run| run.get(i).copied()).collect::<Vec<_>>();
        let measured: Vec<_> = (0..x.len()).map(|i| crate::Measured::over(&column(i))).collect();
        Self {
            name: name.into(),
            points: x.iter().zip(&measured).map(|(&x, m)| (x, m.mean)).collect(),
            band: Some(measured.iter().map(|m| (m.mean - m.sd, m.mean + m.sd)).collect()),
        }
    }

    /// Sets the (low, high) of each point.
    #[must_use]
    pub fn band(mut self, band: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.band = Some(band.into_iter().collect());
        self
    }
}

/// One layer of a plot; layers are drawn in order, each series in the next colour.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Mark {
    /// A curve.
    Line(Line),
    /// Points of one class.
    Scatter {
        /// Name of the class, in the legend.
        name: String,
        /// (x, y).
        points: Vec<(f64, f64)>,
    },
    /// One bar per category of the x axis.
    Bars {
        /// Name of the series.
        name: String,
        /// Height of each bar, with half the height of its whisker (0 for none).
        heights: Vec<(f64, f64)>,
    },
    /// Counts in bins of equal width.
    Histogram {
        /// Name of the series.
        name: String,
        /// Left edge of the first bin and right edge of the last.
        range: (f64, f64),
        /// Count of each bin.
        counts: Vec<usize>,
    },
    /// A straight reference at a height.
    Horizontal {
        /// Written beside the line.
        name: String,
        /// Where.
        y: f64,
    },
    /// A straight reference at a place.
    Vertical {
        /// Written beside the line.
        name: String,
        /// Where.
        x: f64,
    },
    /// Thin lines behind the data that are no series, such as [`contours`] or earlier states of a line.
    Faint {
        /// (x, y) along each line.
        lines: Vec<Vec<(f64, f64)>>,
    },
    /// A word at a point.
    Text {
        /// The word.
        text: String,
        /// Where, (x, y).
        at: (f64, f64),
    },
}

/// Axes and what is drawn between them.
///
/// # Examples
/// ```
/// use lab::{Axis, Line, Plot};
/// let plot = Plot::new(Axis::linear("epoch"), Axis::linear("test accuracy").range(0.7, 1.0))
///     .line(Line::over_seeds("network", &[1.0, 2.0], &[vec![0.79, 0.84], vec![0.77, 0.85]]))
///     .horizontal("nearest class mean", 0.801);
/// assert_eq!(plot.marks.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Written above; needed in small multiples only, a single plot has its caption.
    pub title: Option<String>,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, back to front.
    pub marks: Vec<Mark>,
}

impl Plot {
    /// Empty axes.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self { title: None, x, y, marks: Vec::new() }
    }

    /// Names a panel.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a curve.
    #[must_use]
    pub fn line(self, line: Line) -> Self {
        self.mark(Mark::Line(line))
    }

    /// Adds points.
    #[must_use]
    pub fn scatter(self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.mark(Mark::Scatter { name: name.into(), points: points.into_iter().collect() })
    }

    /// Adds one bar per category with a whisker of ± the second number.
    #[must_use]
    pub fn bars(self, name: impl Into<String>, heights: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.mark(Mark::Bars { name: name.into(), heights: heights.into_iter().collect() })
    }

    /// Adds counts in bins of equal width over `range`.
    #[must_use]
    pub fn histogram(self, name: impl Into<String>, range: (f64, f64), counts: Vec<usize>) -> Self {
        self.mark(Mark::Histogram { name: name.into(), range, counts })
    }

    /// Adds a reference line at a height, such as a baseline.
    #[must_use]
    pub fn horizontal(self, name: impl Into<String>, y: f64) -> Self {
        self.mark(Mark::Horizontal { name: name.into(), y })
    }

    /// Adds a reference line at a place, such as the end of a phase.
    #[must_use]
    pub fn vertical(self, name: impl Into<String>, x: f64) -> Self {
        self.mark(Mark::Vertical { name: name.into(), x })
    }

    /// Adds thin lines that are no series; they belong before the data, which is drawn over them.
    #[must_use]
    pub fn faint(self, lines: impl IntoIterator<Item = Vec<(f64, f64)>>) -> Self {
        self.mark(Mark::Faint { lines: lines.into_iter().collect() })
    }

    /// Adds a word at a point.
    #[must_use]
    pub fn text(self, text: impl Into<String>, at: (f64, f64)) -> Self {
        self.mark(Mark::Text { text: text.into(), at })
    }

    /// Adds any layer.
    #[must_use]
    pub fn mark(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }
}

/// A matrix with its numbers written in coloured cells, such as a confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    /// What the rows are, such as `true digit`.
    pub row_label: String,
    /// What the columns are, such as `read as`.
    pub column_label: String,
    /// Name of each row.
    pub rows: Vec<String>,
    /// Name of each column.
    pub columns: Vec<String>,
    /// `values[row][column]`.
    pub values: Vec<Vec<f64>>,
    /// Decimals of the written numbers.
    pub decimals: usize,
    /// What the colours bring out.
    pub emphasis: Emphasis,
}

/// What the colours of a [`Heatmap`] bring out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// Positive cells vermilion, negative ones blue, strong as their magnitude.
    #[default]
    Sign,
    /// The diagonal blue, everything beside it vermilion, each strong relative to its own largest cell, so that
    /// rare errors show beside many hits.
    Errors,
}

impl Heatmap {
    /// A square matrix of counts: `counts[truth][answer]`, as a confusion matrix shows it.
    pub fn confusion<S: Into<String>>(classes: impl IntoIterator<Item = S>, counts: &[Vec<usize>]) -> Self {
        let names: Vec<String> = classes.into_iter().map(Into::into).collect();
        Self {
            row_label: "true class".into(),
            column_label: "read as".into(),
            rows: names.clone(),
            columns: names,
            values: counts.iter().map(|row| row.iter().map(|&count| count as f64).collect()).collect(),
            decimals: 0,
            emphasis: Emphasis::Errors,
        }
    }
}

/// How pixel values become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ramp {
    /// `low` is white, `high` is black, as ink on paper.
    Ink {
        /// Value of white.
        low: f64,
        /// Value of black.
        high: f64,
    },
    /// Blue below zero, white at zero, vermilion above; ±`extreme` are the full colours.
    Diverging {
        /// Largest magnitude.
        extreme: f64,
    },
    /// A value is a colour itself: red · 65,536 + green · 256 + blue, each 0 to 255.
    Rgb,
}

/// One picture of a [`Raster`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Pixels row by row from the top.
    pub pixels: Vec<Vec<f64>>,
    /// A few characters below the tile: digits, letters, `→`, `.`, `-`.
    pub caption: Option<String>,
}

impl Tile {
    /// Pixels row by row from the top, `width` in a row.
    pub fn new(width: usize, pixels: &[f64]) -> Self {
        Self { pixels: pixels.chunks(width.max(1)).map(<[f64]>::to_vec).collect(), caption: None }
    }

    /// Height and width.
    #[cfg(feature = "figures")]
    fn size(&self) -> (usize, usize) {
        (self.pixels.len(), self.pixels.first().map_or(0, Vec::len))
    }

    /// Sets the words below the tile.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = Some(caption.into());
        self
    }
}

/// Tiles of pixels in one PNG: samples, weights, reconstructions.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    /// Tiles row by row.
    pub tiles: Vec<Tile>,
    /// How many stand in a row.
    pub columns: usize,
    /// How values become colours.
    pub ramp: Ramp,
}
