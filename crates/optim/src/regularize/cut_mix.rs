//! CutMix: a rectangle of one image in another, with targets in the proportion of the areas.
//!
//! $$ \tilde x = m \odot x_i + (1 - m) \odot x_j, \qquad \tilde q = \mu\,\mathrm{onehot}(y_i)
//!    + (1 - \mu)\,\mathrm{onehot}(y_j), \qquad \mu = \text{share of the pixels where } m = 1 $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $m$ | 0 inside of a [`Patch`], 1 outside | `(H, W)`, the same for all channels and images of a batch |
//! | $\mu$ | [`Patch::share`] | |
//! | $j$ | `partner` | `(B)`, a permutation of the rows |
//!
//! The share $\lambda$ that is drawn, uniformly in the paper ([`mixup::share`](super::mixup::share) with $\alpha = 1$), gives the sides
//! $H\sqrt{1-\lambda}$ and $W\sqrt{1-\lambda}$; where the rectangle reaches over the border it is cut off, and $\mu$ is what is
//! left: labels always follow the pixels.
//!
//! **Use it** for photographs, where it keeps each place natural, while [`mixup`](super::mixup) makes ghosts and
//! [`augment::Cutout`](super::augment::Cutout) throws pixels away. **Not** where the label is in a small part of the image:
//! the rectangle may take all of it and leave its label.
//!
//! **Paper**: Yun et al. (2019), CutMix: regularization strategy to train strong classifiers with localizable features,
//! arXiv 1905.04899, algorithm A1. **Deviation**: sides are rounded down and may be odd; the authors' code halves and
//! doubles them.
use dfdx::prelude::{GatherTo, HasShape, Tensor};
use kernels::{Device, Real};
use layers::params::DeviceError;
use rand::Rng;

use super::augment::Size;
use super::manifold::mix_targets;
use super::mixup::Mixed;
use crate::Error;

/// The rectangle that comes from the other image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

impl Patch {
    // ANCHOR: draw
    /// A rectangle of about $1 - \lambda$ of the pixels, its middle anywhere.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] unless `lambda` lies in \[0, 1\]; [`Error::Empty`] for an image without pixels.
    pub fn draw<R: Rng + ?Sized>(size: Size, lambda: f64, rng: &mut R) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&lambda) {
            return Err(Error::InvalidHyper { name: "lambda", rule: "in [0, 1]", value: lambda });
        }
        if size.0 * size.1 == 0 {
            return Err(Error::Empty { what: "Patch::draw (pixels)" });
        }
        let mut span = |end: usize| {
            let (side, middle) = (((1.0 - lambda).sqrt() * end as f64) as usize, rng.gen_range(0..end));
            let from = middle.saturating_sub(side / 2);
            (from, (middle + side.div_ceil(2)).min(end) - from)
        };
        let ((top, rows), (left, columns)) = (span(size.0), span(size.1));
        Ok(Self { top, left, rows, columns })
    }
    // ANCHOR_END: draw

    /// $\mu$: the share of the pixels that stay.
    pub fn share(self, size: Size) -> f64 {
        1.0 - (self.rows * self.columns) as f64 / (size.0 * size.1) as f64
    }

    fn contains(self, row: usize, column: usize) -> bool {
        (self.top..self.top + self.rows).contains(&row)
            && (self.left..self.left + self.columns).contains(&column)
    }
}

/// Puts the patch of image `partner[i]` into image `i`; the rows of `x` are images of one or several channels, `(B, C H W)`.
///
/// # Errors
/// [`Error::Dimension`] when the rows are no whole number of channels of this size, or the patch does not lie inside; and
/// what [`mix_targets`] refuses.
pub fn cut_mix<E: Real, D: Device<E>>(
    x: &Tensor<(usize, usize), E, D>,
    size: Size,
    labels: &[usize],
    classes: usize,
    partner: &[usize],
    patch: Patch,
) -> Result<Mixed<E, D>, Error> {
    let ((rows, features), pixels) = (*x.shape(), size.0 * size.1);
    if pixels == 0 || !features.is_multiple_of(pixels) {
        return Err(Error::Dimension { what: "values of an image", got: features, want: pixels });
    }
    for (what, got, want) in [
        ("rows up to the end of the patch", patch.top.saturating_add(patch.rows), size.0),
        ("columns up to the end of the patch", patch.left.saturating_add(patch.columns), size.1),
    ] {
        if got > want {
            return Err(Error::Dimension { what, got, want });
        }
    }
    if partner.len() != rows {
        return Err(Error::LengthMismatch { examples: rows, labels: partner.len() });
    }
    let targets = mix_targets(x.device(), labels, classes, partner, patch.share(size))?;
    let is_own = |i: usize| !patch.contains(i % pixels / size.1, i % size.1);
    let is_own: Vec<bool> = (0..rows).flat_map(|_| (0..features).map(is_own)).collect();
    let mix = || -> Result<_, D::Err> {
        let partner = x.device().try_tensor_from_vec(partner.to_vec(), (rows,))?;
        let others: Tensor<(usize, usize), E, D> = x.clone().try_gather(partner)?;
        kernels::try_choose(&is_own, x.clone(), others)
    };
    Ok(Mixed { x: mix().map_err(DeviceError::new)?, targets })
}
