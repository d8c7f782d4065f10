//! Random erasing: noise over a rectangle of an image.
use rand::Rng;

use super::augment::{Augment, Size};
use crate::Error;

/// Writes uniform noise over a rectangle of random place, area and shape, with a probability.
///
/// Algorithm 1 of Zhong et al. (2017): the area is a share $s$ of the image, drawn from `area`, and the height over the
/// width $r$ is drawn from `aspect`, both uniformly, until a rectangle of $\sqrt{s A r}$ times $\sqrt{s A / r}$ pixels fits
/// at the place drawn. The noise lies in \[0, 1), the range of the pixels ("RE-R", the best of the paper's four fillings).
///
/// **Deviation**: after a hundred rectangles that do not fit the image stays as it is; the paper's loop has no end. Sides
/// are rounded down, and at least one pixel long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomErasing {
    probability: f64,
    area: [f32; 2],
    aspect: [f32; 2],
}

impl Default for RandomErasing {
    /// The paper's: probability ½, 2 to 40 % of the area, 0.3 to 1/0.3 as high as wide.
    fn default() -> Self {
        Self { probability: 0.5, area: [0.02, 0.4], aspect: [0.3, 1.0 / 0.3] }
    }
}

impl RandomErasing {
    /// Erases with this probability, a share of the image between the two of `area`, and a height over a width between the
    /// two of `aspect`.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] unless `probability` lies in \[0, 1\], 0 < `area[0]` ≤ `area[1]` ≤ 1, and
    /// 0 < `aspect[0]` ≤ `aspect[1]`, all finite.
    pub fn try_new(probability: f64, area: [f32; 2], aspect: [f32; 2]) -> Result<Self, Error> {
        let refuse = |name, rule, value| Err(Error::InvalidHyper { name, rule, value });
        let is_range = |[low, high]: [f32; 2]| low > 0.0 && low <= high && high.is_finite();
        if !(0.0..=1.0).contains(&probability) {
            return refuse("probability", "in [0, 1]", probability);
        }
        if !is_range(area) || area[1] > 1.0 {
            return refuse("area", "two shares in (0, 1], the smaller first", f64::from(area[0]));
        }
        if !is_range(aspect) {
            return refuse("aspect", "two finite numbers above 0, the smaller first", f64::from(aspect[0]));
        }
        Ok(Self { probability, area, aspect })
    }
}

impl Augment for RandomErasing {
    fn apply<R: Rng + ?Sized>(&self, image: &[f32], (height, width): Size, rng: &mut R) -> Vec<f32> {
        assert_eq!(image.len(), height * width, "an image has height x width values");
        let mut image = image.to_vec();
        if image.is_empty() || rng.r#gen::<f64>() >= self.probability {
            return image;
        }
        for _ in 0..100 {
            let area = rng.gen_range(self.area[0]..=self.area[1]) * image.len() as f32;
            let aspect = rng.gen_range(self.aspect[0]..=self.aspect[1]);
            let side = |square: f32| (square.sqrt() as usize).max(1);
            let (rows, columns) = (side(area * aspect), side(area / aspect));
            let (top, left) = (rng.gen_range(0..height), rng.gen_range(0..width));
            if top + rows <= height && left + columns <= width {
                for row in top..top + rows {
                    image[row * width + left..][..columns].iter_mut().for_each(|pixel| *pixel = rng.r#gen());
                }
                break;
            }
        }
        image
    }
}
