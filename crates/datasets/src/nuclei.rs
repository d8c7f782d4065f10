//! One fluorescence picture of cell nuclei, 512 × 512, with the outline of each of its 125 nuclei.
//!
//! **32 levels, 0 to 31** (noise of the camera is finer than one). The mask numbers the nuclei; 0 is background. The
//! upper half trains, the lower half tests: it is brighter, and 6 nuclei are cut by the seam and count in both.
//!
//! Opponent: blur with standard deviation 1, then the threshold that Otsu (1979) picks on the training half: pixels
//! agree with an intersection over union of 0.788 on the test half, but 67 nuclei melt into 42 objects.
//!
//! **Source**: 2018 Data Science Bowl, Broad Bioimage Benchmark Collection BBBC038 (Caicedo et al. 2019, Nature Methods
//! 16), as in the package stardist.
//!
//! # Examples
//! ```
//! use datasets::nuclei;
//! let halves = nuclei().halves();
//! assert_eq!((halves.train.height(), halves.test.height(), nuclei().width()), (256, 256, 512));
//! assert_eq!(halves.test.instances().len(), 67);
//! let tile = halves.train.tile::<64, 64>(0, 448)?;
//! assert_eq!(tile.image[0][0], halves.train.unit(0, 448));
//! assert!(halves.train.tile::<64, 64>(0, 449).is_err());
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use dfdx::prelude::{Const, Tensor, TensorFromVec};
use kernels::Real;

use crate::error::{At, DataError, Rule};
use crate::idx::Values;
use crate::registry::{self, Description, NamedSplit, Set};
use crate::split::Split;

const NAME: &str = "nuclei";
/// Height and width of the whole picture.
const SIZE: usize = 512;
/// The largest level.
const MAX_LEVEL: u8 = 31;

pub(crate) const SET: Set = Set {
    name: NAME,
    title: "one picture of cell nuclei, 512 x 512 pixels of 32 levels (0 to 31), with 125 outlined nuclei",
    splits: &[NamedSplit {
        name: "halves()",
        train: 256,
        validation: 0,
        test: 256,
        note: "rows of pixels; 64 nuclei touch the upper half, 67 the lower, 6 of them both",
    }],
    citation: "J. C. Caicedo et al. (2019), Nucleus segmentation across imaging experiments: the 2018 Data Science \
               Bowl, Nature Methods 16, 1247-1253; image set BBBC038v1",
};

/// The picture, or a band of its rows, with the number of the nucleus at each pixel. See the [module](self).
#[derive(Clone)]
pub struct Nuclei {
    pixels: Arc<[u8]>,     // (SIZE, SIZE), levels
    instances: Arc<[u16]>, // (SIZE, SIZE), 0 is background
    first: usize,          // row of the whole picture
    height: usize,
}

/// A rectangle cut out of [`Nuclei`].
#[derive(Clone, Debug, PartialEq)]
pub struct Tile<const H: usize, const W: usize> {
    /// Brightness in \[0, 1\].
    pub image: [[f32; W]; H],
    /// Number of the nucleus at each pixel, 0 for background.
    pub instances: [[u16; W]; H],
}

/// The whole picture, decoded at the first call and shared afterwards. See the [module](self).
pub fn nuclei() -> Nuclei {
    static NUCLEI: OnceLock<Nuclei> = OnceLock::new();
    NUCLEI.get_or_init(|| load().expect(registry::PARSED)).clone()
}

fn load() -> Result<Nuclei, DataError> {
    let array = |file: &str| {
        let (shape, values) = registry::embedded_array(file)?.into_parts();
        if shape != [SIZE, SIZE] {
            let rule = Rule::ImageShape { expected: vec![SIZE, SIZE] };
            return Err(DataError::format(Path::new(file), At::Byte(4), rule, format!("{shape:?}")));
        }
        Ok(values)
    };
    let (image, mask) = ("nuclei-image.idx.gz", "nuclei-mask.idx.gz");
    let pixels = match array(image)? {
        Values::U8(pixels) => pixels,
        other => return Err(DataError::unsupported_values(Path::new(image), &other, "u8")),
    };
    let instances: Vec<u16> = match array(mask)? {
        Values::I16(mask) => mask.into_iter().map(|id| id as u16).collect(), // ids are small and not negative
        other => return Err(DataError::unsupported_values(Path::new(mask), &other, "i16")),
    };
    Ok(Nuclei { pixels: pixels.into(), instances: instances.into(), first: 0, height: SIZE })
}

impl Nuclei {
    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of pixels.
    pub fn width(&self) -> usize {
        SIZE
    }

    /// The largest level, by which pixels are divided.
    pub fn max_level(&self) -> u8 {
        MAX_LEVEL
    }

    /// Levels from the upper left, row by row, `height · width` of them.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels[self.span()]
    }

    /// Number of the nucleus at each pixel, 0 for background, in the order of [`pixels`](Self::pixels).
    pub fn mask(&self) -> &[u16] {
        &self.instances[self.span()]
    }

    /// Brightness at a row and a column, in \[0, 1\].
    ///
    /// # Panics
    /// When the point lies outside.
    pub fn unit(&self, row: usize, column: usize) -> f32 {
        f32::from(self.pixels()[self.at(row, column)]) / f32::from(MAX_LEVEL)
    }

    /// Number of the nucleus at a row and a column, 0 for background.
    ///
    /// # Panics
    /// When the point lies outside.
    pub fn instance(&self, row: usize, column: usize) -> u16 {
        self.mask()[self.at(row, column)]
    }

    /// Numbers of the nuclei that have a pixel here, rising.
    pub fn instances(&self) -> Vec<u16> {
        let ids: BTreeSet<u16> = self.mask().iter().copied().filter(|&id| id > 0).collect();
        ids.into_iter().collect()
    }

    /// Share of pixels that belong to a nucleus, in \[0, 1\].
    pub fn foreground(&self) -> f64 {
        self.mask().iter().filter(|&&id| id > 0).count() as f64 / self.mask().len() as f64
    }

    /// The rows `first .. first + height` of this band.
    ///
    /// # Errors
    /// [`DataError::Window`] when they do not all lie inside.
    pub fn band(&self, first: usize, height: usize) -> Result<Self, DataError> {
        self.check_window((first, 0), (height, SIZE))?;
        Ok(Nuclei { first: self.first + first, height, ..self.clone() })
    }

    /// The upper half of the whole picture for training, the lower half for testing.
    ///
    /// # Panics
    /// When this is not the whole picture.
    pub fn halves(&self) -> Split<Self> {
        assert_eq!(self.height, SIZE, "the split is one of the whole picture");
        let band = |first, height| self.band(first, height).expect("asserted");
        Split { train: band(0, SIZE / 2), validation: band(SIZE / 2, 0), test: band(SIZE / 2, SIZE / 2) }
    }

    /// The rectangle of `H` rows and `W` columns whose upper left pixel is at (`row`, `column`).
    ///
    /// # Errors
    /// [`DataError::Window`] when it does not lie inside.
    pub fn tile<const H: usize, const W: usize>(
        &self,
        row: usize,
        column: usize,
    ) -> Result<Tile<H, W>, DataError> {
        self.check_window((row, column), (H, W))?;
        let mut tile = Tile { image: [[0.0; W]; H], instances: [[0; W]; H] };
        for r in 0..H {
            for c in 0..W {
                tile.image[r][c] = self.unit(row + r, column + c);
                tile.instances[r][c] = self.instance(row + r, column + c);
            }
        }
        Ok(tile)
    }

    /// The rectangles with these upper left pixels as tensors `(B, 1, H, W)`: brightness in \[0, 1\], and 1 where a
    /// nucleus is.
    ///
    /// # Errors
    /// [`DataError::Window`] when one does not lie inside.
    ///
    /// # Panics
    /// When the device has no memory.
    pub fn batch<const H: usize, const W: usize, E: Real, D: TensorFromVec<E>>(
        &self,
        corners: &[(usize, usize)],
        dev: &D,
    ) -> Result<(Tiles<H, W, E, D>, Tiles<H, W, E, D>), DataError> {
        let (mut image, mut mask) = (Vec::new(), Vec::new());
        let max = E::of(f64::from(MAX_LEVEL));
        for &(row, column) in corners {
            self.check_window((row, column), (H, W))?;
            for r in row..row + H {
                let line = self.at(r, 0) + column;
                image.extend(self.pixels()[line..line + W].iter().map(|&p| E::of(f64::from(p)) / max));
                let is_nucleus = |&id: &u16| if id > 0 { E::ONE } else { E::default() };
                mask.extend(self.mask()[line..line + W].iter().map(is_nucleus));
            }
        }
        let tensor = |values| dev.tensor_from_vec(values, (corners.len(), Const, Const, Const));
        Ok((tensor(image), tensor(mask)))
    }

    /// Name, size, split, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(NAME)
    }

    fn span(&self) -> std::ops::Range<usize> {
        self.first * SIZE..(self.first + self.height) * SIZE
    }

    fn at(&self, row: usize, column: usize) -> usize {
        assert!(row < self.height && column < SIZE, "({row}, {column}) of ({}, {SIZE})", self.height);
        row * SIZE + column
    }

    fn check_window(&self, corner: (usize, usize), size: (usize, usize)) -> Result<(), DataError> {
        let fits = |start: usize, length, all| start.checked_add(length).is_some_and(|end| end <= all);
        if fits(corner.0, size.0, self.height) && fits(corner.1, size.1, SIZE) {
            return Ok(());
        }
        Err(DataError::Window { corner, size, picture: (self.height, SIZE) })
    }
}

/// A batch of tiles, `(B, 1, H, W)`.
pub type Tiles<const H: usize, const W: usize, E, D> = Tensor<(usize, Const<1>, Const<H>, Const<W>), E, D>;

impl fmt::Debug for Nuclei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nuclei(rows {}..{} of {SIZE})", self.first, self.first + self.height)
    }
}
