//! From a picture's bytes to what a network was trained on: resize, crop, standardise.
//!
//! $$ x_{c} = \frac{v_c / 255 - \mu_c}{\sigma_c} $$
//!
//! | symbol | code | shape | unit, range |
//! |---|---|---|---|
//! | $v$ | bytes of the picture | `(H, W, 3)` | level of red, green, blue, 0 to 255 |
//! | $\mu$ | [`mean`](ImagePreprocess::mean) | `(3)` | share of full brightness |
//! | $\sigma$ | [`deviation`](ImagePreprocess::deviation) | `(3)` | the same, above 0 |
//! | $x$ | result of [`ImagePreprocess::apply`] | `(3, S, S)` | |
//!
//! A network's weights expect the preprocessing that they were trained with; another mean or crop costs accuracy and is
//! no error anywhere. The short side is resized, the middle S × S pixels stay, each channel is standardised.
//!
//! | weights of torchvision | preprocessing |
//! |---|---|
//! | VGG, ResNet (`IMAGENET1K_V1`), ResNeXt-50 (V1) | [`ImagePreprocess::IMAGENET`] |
//! | ResNet-50 to 152, ResNeXt-50 (`IMAGENET1K_V2`) | [`ImagePreprocess::IMAGENET_V2`] |
//! | GoogLeNet | [`ImagePreprocess::GOOGLENET`] |
//! | Inception v3 | [`ImagePreprocess::INCEPTION_V3`] |
//!
//! **Resizing** is Pillow's bilinear filter, to the bit: a triangle as wide as two pixels of the smaller of the two
//! pictures, so that shrinking averages, in fixed point with 22 bits, columns first, rounded to levels in between.
//! **Deviations**: torchvision standardises by ImageNet's moments for its Inception networks too and then undoes it in
//! the network (`transform_input`); here both steps are one, which differs in the last bits.
//! **Sources**: torchvision 0.29, `transforms/_presets.py`, `models/googlenet.py`; Pillow, `src/libImaging/Resample.c`.
use kernels::Real;

/// Resize the short side, crop the middle, standardise; see the [module](self).
///
/// # Examples
/// ```
/// use convnets::preprocess::ImagePreprocess;
/// use layers::prelude::*;
/// let (height, width) = (480, 640);
/// let grey = vec![128; height * width * 3]; // red, green, blue, row by row from the top
/// let pixels = ImagePreprocess::IMAGENET.apply::<f32>(height, width, &grey)?;
/// let x = Cpu::default().tensor_from_vec(pixels, (Const::<1>, Const::<3>, Const::<224>, Const::<224>));
/// assert!((x.array()[0][0][0][0] - (128.0 / 255.0 - 0.485) / 0.229).abs() < 1e-6);
/// # Ok::<(), convnets::preprocess::PreprocessError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImagePreprocess<const S: usize> {
    /// Pixels of the short side after resizing, from `S` to 65,536.
    pub short_side: usize,
    /// $\mu$ of red, green, blue.
    pub mean: [f32; 3],
    /// $\sigma$ of red, green, blue, above 0.
    pub deviation: [f32; 3],
}

/// Moments of ImageNet's training images.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// The longest short side.
const LONGEST: usize = 1 << 16;

impl ImagePreprocess<224> {
    /// 256 pixels, ImageNet's moments.
    pub const IMAGENET: Self = Self { short_side: 256, mean: MEAN, deviation: DEVIATION };
    /// 232 pixels, ImageNet's moments: torchvision's second weights.
    pub const IMAGENET_V2: Self = Self { short_side: 232, ..Self::IMAGENET };
    /// 256 pixels, from −1 to 1.
    pub const GOOGLENET: Self = Self { short_side: 256, mean: [0.5; 3], deviation: [0.5; 3] };
}

impl ImagePreprocess<299> {
    /// 342 pixels, from −1 to 1.
    pub const INCEPTION_V3: Self = Self { short_side: 342, mean: [0.5; 3], deviation: [0.5; 3] };
}

/// Why a picture cannot be brought into a network's form.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// A picture without pixels.
    #[error("a picture must have pixels, got {width} x {height}; take another")]
    Empty {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// More or fewer bytes than the size says.
    #[error(
        "{width} x {height} pixels of red, green and blue need three bytes each, got {got}; drop alpha, or make grey \
         three equal channels"
    )]
    Length {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The crop is empty, or larger than what resizing leaves.
    #[error(
        "the short side must have {crop} to 65536 pixels for a crop of {crop}, at least 1, got {short_side}"
    )]
    ShortSide {
        /// [`ImagePreprocess::short_side`].
        short_side: usize,
        /// Side of the crop.
        crop: usize,
    },
    /// A mean or deviation that is no number, or a deviation that is not above 0.
    #[error("channel {channel} must have a finite mean and a deviation above 0, got {mean} and {deviation}")]
    Moments {
        /// 0 for red, 1 for green, 2 for blue.
        channel: usize,
        /// Its mean.
        mean: f32,
        /// Its deviation.
        deviation: f32,
    },
}

impl<const S: usize> ImagePreprocess<S> {
    /// The preprocessing, if its numbers make sense.
    ///
    /// # Errors
    /// [`PreprocessError::ShortSide`], [`PreprocessError::Moments`].
    pub fn check(self) -> Result<Self, PreprocessError> {
        if S == 0 || !(S..=LONGEST).contains(&self.short_side) {
            return Err(PreprocessError::ShortSide { short_side: self.short_side, crop: S });
        }
        for (channel, (mean, deviation)) in self.mean.into_iter().zip(self.deviation).enumerate() {
            if !(mean.is_finite() && deviation.is_finite() && deviation > 0.0) {
                return Err(PreprocessError::Moments { channel, mean, deviation });
            }
        }
        Ok(self)
    }

    /// $x$, `(3, S, S)` row-major, of a picture of `height` × `width` pixels: red, green, blue of each, row by row from
    /// the top.
    ///
    /// **Complexity**: linear in the pixels that the crop covers, whatever the picture's shape.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), [`PreprocessError::Empty`], [`PreprocessError::Length`].
    pub fn apply<E: Real>(&self, height: usize, width: usize, rgb: &[u8]) -> Result<Vec<E>, PreprocessError> {
        let levels = self.crop(height, width, rgb)?;
        let value = |(i, level): (usize, u8)| {
            let channel = i / (S * S);
            E::of(((f32::from(level) / 255.0 - self.mean[channel]) / self.deviation[channel]).into())
        };
        Ok(levels.into_iter().enumerate().map(value).collect())
    }

    /// The resized middle as levels, `(3, S, S)`: what there is to see for the network.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn crop(&self, height: usize, width: usize, rgb: &[u8]) -> Result<Vec<u8>, PreprocessError> {
        self.check()?;
        if height == 0 || width == 0 {
            return Err(PreprocessError::Empty { width, height });
        }
        if height.checked_mul(width).and_then(|pixels| pixels.checked_mul(3)) != Some(rgb.len()) {
            return Err(PreprocessError::Length { width, height, got: rgb.len() });
        }
        let (down, across) = (self.taps(height, height.min(width)), self.taps(width, height.min(width)));
        // Only the rows that the crop sees; columns first.
        let first = down.first().map_or(0, |taps| taps.first);
        let end = down.last().map_or(0, |taps| taps.first + taps.weights.len());
        let mut narrow = vec![0; (end - first) * S * 3];
        for (line, row) in narrow.chunks_exact_mut(S * 3).zip(rgb.chunks_exact(width * 3).skip(first)) {
            for (pixel, taps) in line.as_chunks_mut::<3>().0.iter_mut().zip(&across) {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    *value = taps.mean(|i| row[i * 3 + channel]);
                }
            }
        }
        let mut levels = vec![0; 3 * S * S];
        for (i, level) in levels.iter_mut().enumerate() {
            let (channel, row, column) = (i / (S * S), i / S % S, i % S);
            *level = down[row].mean(|line| narrow[((line - first) * S + column) * 3 + channel]);
        }
        Ok(levels)
    }

    /// Where each of the crop's pixels comes from along an axis of `extent` pixels, when the shorter has `short`.
    fn taps(&self, extent: usize, short: usize) -> Vec<Taps> {
        // Of 128 bits, since a long side may become longer.
        let resized = (self.short_side as u128 * extent as u128 / short as u128) as usize;
        let beyond = resized - S;
        let half = beyond / 2;
        let start = if beyond % 2 == 1 { half + half % 2 } else { half }; // a half goes to the even neighbour
        if resized == extent {
            return (start..start + S).map(|first| Taps { first, weights: vec![1 << BITS] }).collect();
        }
        let scale = extent as f64 / resized as f64;
        let reach = scale.max(1.0); // half of the triangle's foot, in pixels of the picture
        let taps = |i: usize| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(extent);
            let weight = |j: usize| (1.0 - ((j as f64 - centre + 0.5) * (1.0 / reach)).abs()).max(0.0);
            let sum: f64 = (first..end).map(weight).sum();
            let fixed = |j: usize| (0.5 + weight(j) / sum * f64::from(1 << BITS)) as u32;
            Taps { first, weights: (first..end).map(fixed).collect() }
        };
        (start..start + S).map(taps).collect()
    }
}

/// Bits behind the point of a weight.
const BITS: u32 = 22;

/// The pixels that one of the resized pixels is a mean of, and their weights.
struct Taps {
    first: usize,
    weights: Vec<u32>,
}

impl Taps {
    fn mean(&self, level: impl Fn(usize) -> u8) -> u8 {
        let half = 1 << (BITS - 1);
        let sum = |sum, (j, weight)| sum + u64::from(level(self.first + j)) * u64::from(weight);
        let sum: u64 = self.weights.iter().copied().enumerate().fold(half, sum);
        (sum >> BITS).min(255) as u8
    }
}
