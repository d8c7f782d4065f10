//! A picture of any size, and MNIST's way of putting a digit into its frame.
use super::Error;

/// Rows and columns of the frame.
pub const FRAME: usize = 28;
/// A digit's longer side in the frame.
const BOX: f64 = 20.0;
/// Pixels that a picture may have: 16 megapixels, as a good camera.
pub const MAX_PIXELS: usize = 1 << 24;

/// Levels of grey, 0 is the ground and 255 is ink, row by row from the top.
///
/// # Examples
/// A black letter on white paper becomes ink on ground:
/// ```
/// use convnets::pretrained::Picture;
/// let paper = Picture::new(3, 3, vec![255, 255, 255, 255, 0, 255, 255, 255, 255])?;
/// assert_eq!(paper.light_on_dark().levels(), [0, 0, 0, 0, 255, 0, 0, 0, 0]);
/// # Ok::<(), convnets::pretrained::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

impl Picture {
    /// A picture of `width * height` levels.
    ///
    /// # Errors
    /// [`Error::Size`] for no pixels or more than [`MAX_PIXELS`], [`Error::Levels`] for another number of levels.
    pub fn new(width: usize, height: usize, levels: Vec<u8>) -> Result<Self, Error> {
        match width.checked_mul(height) {
            Some(1..=MAX_PIXELS) if levels.len() == width * height => Ok(Self { width, height, levels }),
            Some(1..=MAX_PIXELS) => Err(Error::Levels { width, height, got: levels.len() }),
            _ => Err(Error::Size { width, height }),
        }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The levels, row by row.
    pub fn levels(&self) -> &[u8] {
        &self.levels
    }

    /// Whether most of the picture's border is lighter than half: ink on paper, the opposite of MNIST.
    pub fn is_dark_on_light(&self) -> bool {
        let Self { width, height, .. } = *self;
        let is_border = |i: usize| {
            let (row, column) = (i / width, i % width);
            row == 0 || column == 0 || row == height - 1 || column == width - 1
        };
        let border = self.levels.iter().enumerate().filter(|(i, _)| is_border(*i));
        let (light, all) =
            border.fold((0, 0), |(light, all), (_, &level)| (light + usize::from(level >= 128), all + 1));
        2 * light > all
    }

    /// The picture, inverted where it [is dark on light](Self::is_dark_on_light).
    #[must_use]
    pub fn light_on_dark(mut self) -> Self {
        if self.is_dark_on_light() {
            self.levels.iter_mut().for_each(|level| *level = 255 - *level);
        }
        self
    }

    /// The digit in MNIST's frame, values in \[0, 1\]: its box becomes 20 pixels long, its centre of mass the centre of
    /// the 28 × 28.
    ///
    /// Levels are stretched first: the darkest becomes 0, the lightest 1, and what stays below an eighth is ground. A
    /// pixel of the frame is the mean of what it covers, so there are no steps at any size.
    ///
    /// **Source**: LeCun, Bottou, Bengio & Haffner (1998), section III.A. **Deviation**: they move by whole pixels.
    ///
    /// # Errors
    /// [`Error::Empty`] when all levels are the same.
    // ANCHOR: fit
    pub fn fit(&self) -> Result<[[f32; FRAME]; FRAME], Error> {
        let (mut low, mut high) = (u8::MAX, 0);
        for &level in &self.levels {
            (low, high) = (low.min(level), high.max(level));
        }
        if low >= high {
            return Err(Error::Empty { level: low });
        }
        let stretched = self.levels.iter().map(|level| f64::from(level - low) / f64::from(high - low));
        let ink: Vec<f64> = stretched.map(|value| if value < 0.125 { 0.0 } else { value }).collect();

        // The box around the ink, its mass and its centre of mass; pixel i covers [i, i + 1).
        let (mut left, mut right, mut top, mut bottom) = (self.width, 0, self.height, 0);
        let (mut mass, mut x_mean, mut y_mean) = (0.0, 0.0, 0.0);
        for (i, &value) in ink.iter().enumerate().filter(|(_, value)| **value > 0.0) {
            let (x, y) = (i % self.width, i / self.width);
            (left, right, top, bottom) = (left.min(x), right.max(x + 1), top.min(y), bottom.max(y + 1));
            mass += value;
            x_mean += value * (x as f64 + 0.5);
            y_mean += value * (y as f64 + 0.5);
        }
        let scale = BOX / (right - left).max(bottom - top) as f64;
        let columns = Window { scale, origin: FRAME as f64 / 2.0 - scale * x_mean / mass };
        let rows = Window { scale, origin: FRAME as f64 / 2.0 - scale * y_mean / mass };

        // Columns first, then rows: the mean over a cell is a product of two.
        let mut narrow = vec![[0.0; FRAME]; self.height];
        for (y, line) in narrow.iter_mut().enumerate().take(bottom).skip(top) {
            for x in left..right {
                let value = ink[y * self.width + x];
                columns.spread(x, |j, share| line[j] += share * value);
            }
        }
        let mut frame = [[0.0; FRAME]; FRAME];
        for (y, line) in narrow.iter().enumerate().take(bottom).skip(top) {
            rows.spread(y, |i, share| {
                for (pixel, value) in frame[i].iter_mut().zip(line) {
                    *pixel += share * value;
                }
            });
        }
        Ok(frame.map(|row| row.map(|value: f64| value.min(1.0) as f32)))
    }
    // ANCHOR_END: fit
}

/// How one axis of a picture lies on the frame: `x` goes to `origin + scale * x`.
struct Window {
    scale: f64,
    origin: f64,
}

impl Window {
    /// The cells of the frame that pixel `x` covers, each with the share of the cell.
    fn spread(&self, x: usize, mut give: impl FnMut(usize, f64)) {
        let from = (self.origin + self.scale * x as f64).max(0.0);
        let to = (self.origin + self.scale * (x + 1) as f64).min(FRAME as f64);
        if from >= to {
            return; // outside of the frame
        }
        for cell in from as usize..(to.ceil() as usize).min(FRAME) {
            let share = to.min((cell + 1) as f64) - from.max(cell as f64);
            if share > 0.0 {
                give(cell, share);
            }
        }
    }
}
