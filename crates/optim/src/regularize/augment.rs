//! Images moved a little: more training examples without more labels.
//!
//! | type | what it does | from |
//! |---|---|---|
//! | [`Shift`] | by whole pixels in both directions, uniformly | Nielsen (2015), ch. 3 |
//! | [`Rotate`] | about the middle, bilinear | |
//! | [`Elastic`] | each pixel by a smooth random field | Simard, Steinkraus & Platt (2003) |
//! | [`Cutout`] | blanks a square | DeVries & Taylor (2017), arXiv 1708.04552 |
//!
//! An image is `height · width` values, row by row; what comes from outside is 0 (paper). Each draws from the generator
//! that it is given, so a key per sample makes any order of samples give the same images.
use rand::Rng;
use rand_distr::StandardNormal;

/// Height and width of an image.
pub type Size = (usize, usize);

/// A random change of an image that keeps its class.
pub trait Augment {
    /// The changed image.
    ///
    /// # Panics
    /// When the image has not `size.0 · size.1` values.
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], size: Size, rng: &mut R) -> Vec<f32>;
}

/// The value at a point between pixels, bilinear, 0 outside.
fn at(image: &[f32], (height, width): Size, y: f32, x: f32) -> f32 {
    let pixel = |row: f32, column: f32| {
        let is_inside = row >= 0.0 && column >= 0.0 && row < height as f32 && column < width as f32;
        if is_inside { image[row as usize * width + column as usize] } else { 0.0 }
    };
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let row = |row: f32| pixel(row, left) * (1.0 - right) + pixel(row, left + 1.0) * right;
    row(top) * (1.0 - down) + row(top + 1.0) * down
}

/// The image whose pixel `(y, x)` is read at `from(y, x)`.
fn warp(image: &[f32], size: Size, from: impl Fn(usize, usize) -> (f32, f32)) -> Vec<f32> {
    assert_eq!(image.len(), size.0 * size.1, "an image has height x width values");
    let (height, width) = size;
    let points = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    points.map(|(y, x)| from(y, x)).map(|(y, x)| at(image, size, y, x)).collect()
}

// ANCHOR: shift
/// Moves by −`max` to `max` whole pixels in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    /// Farthest, in pixels.
    pub max: usize,
}

impl Augment for Shift {
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], size: Size, rng: &mut R) -> Vec<f32> {
        let mut draw = || rng.gen_range(0..=2 * self.max) as f32 - self.max as f32;
        let (down, right) = (draw(), draw());
        warp(image, size, |y, x| (y as f32 - down, x as f32 - right))
    }
}
// ANCHOR_END: shift

/// Turns by −`max_degrees` to `max_degrees` about the middle.
#[derive(Clone, Copy, Debug)]
pub struct Rotate {
    /// Farthest, in degrees.
    pub max_degrees: f32,
}

impl Augment for Rotate {
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], size: Size, rng: &mut R) -> Vec<f32> {
        let (sin, cos) = (rng.gen_range(-1.0..=1.0) * self.max_degrees).to_radians().sin_cos();
        let middle = ((size.0 as f32 - 1.0) / 2.0, (size.1 as f32 - 1.0) / 2.0);
        warp(image, size, |y, x| {
            let (y, x) = (y as f32 - middle.0, x as f32 - middle.1);
            (middle.0 + cos * y - sin * x, middle.1 + sin * y + cos * x)
        })
    }
}

/// Moves each pixel by a random field, uniform in \[−1, 1\], smoothed by a Gaussian and scaled.
#[derive(Clone, Copy, Debug)]
pub struct Elastic {
    /// Factor of the smoothed field, in pixels; Simard et al. take 34 for 29 × 29 pixels.
    pub alpha: f32,
    /// Standard deviation of the Gaussian, in pixels; they take 4.
    pub sigma: f32,
}

impl Augment for Elastic {
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], size: Size, rng: &mut R) -> Vec<f32> {
        let mut field = || {
            let noise: Vec<f32> = (0..size.0 * size.1).map(|_| rng.gen_range(-1.0..=1.0)).collect();
            blur(&noise, size, self.sigma)
        };
        let (down, right) = (field(), field());
        warp(image, size, |y, x| {
            let i = y * size.1 + x;
            (y as f32 + self.alpha * down[i], x as f32 + self.alpha * right[i])
        })
    }
}

/// Gaussian smoothing along both axes, 0 outside, cut at four standard deviations.
fn blur(image: &[f32], (height, width): Size, sigma: f32) -> Vec<f32> {
    let reach = (4.0 * sigma).ceil() as isize;
    let taps: Vec<f32> =
        (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma.max(f32::MIN_POSITIVE)).powi(2)).exp()).collect();
    let total: f32 = taps.iter().sum();
    let pass = |image: &[f32], step: (isize, isize)| -> Vec<f32> {
        let points = (0..height as isize).flat_map(|y| (0..width as isize).map(move |x| (y, x)));
        let value = |(y, x): (isize, isize)| {
            let tap = |(d, weight): (isize, &f32)| {
                let (y, x) = (y + d * step.0, x + d * step.1);
                let is_inside = y >= 0 && x >= 0 && y < height as isize && x < width as isize;
                if is_inside { weight * image[y as usize * width + x as usize] } else { 0.0 }
            };
            (-reach..=reach).zip(&taps).map(tap).sum::<f32>() / total
        };
        points.map(value).collect()
    };
    pass(&pass(image, (1, 0)), (0, 1))
}

/// Blanks a square whose middle is anywhere in the image.
#[derive(Clone, Copy, Debug)]
pub struct Cutout {
    /// Side, in pixels.
    pub side: usize,
}

impl Augment for Cutout {
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], (height, width): Size, rng: &mut R) -> Vec<f32> {
        assert_eq!(image.len(), height * width, "an image has height x width values");
        let (y, x) = (rng.gen_range(0..height), rng.gen_range(0..width));
        let span = |middle: usize, end: usize| {
            middle.saturating_sub(self.side / 2)..(middle + self.side.div_ceil(2)).min(end)
        };
        let (rows, columns) = (span(y, height), span(x, width));
        let mut image = image.to_vec();
        rows.for_each(|row| image[row * width..][columns.clone()].fill(0.0));
        image
    }
}

/// Adds Gaussian noise of this standard deviation to every pixel; on the tape `kernels::gaussian_noise` does the same.
#[derive(Clone, Copy, Debug)]
pub struct PixelNoise {
    /// Standard deviation, in units of the pixels.
    pub deviation: f32,
}

impl Augment for PixelNoise {
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], _size: Size, rng: &mut R) -> Vec<f32> {
        image.iter().map(|p| p + self.deviation * rng.sample::<f32, _>(StandardNormal)).collect()
    }
}
