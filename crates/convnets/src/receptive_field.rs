//! Which pixels an output sees: the receptive field, from a network's plan.
//!
//! $$ r_l = r_{l-1} + d_l (k_l - 1)\, j_{l-1}, \qquad j_l = s_l\, j_{l-1}, \qquad
//!    c_l = c_{l-1} + \Bigl(\frac{d_l (k_l - 1)}{2} - p_l\Bigr) j_{l-1} $$
//!
//! with $r_0 = j_0 = 1$, $c_0 = \tfrac12$.
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $r$ | [`ReceptiveField::size`] | pixels that an output sees along one axis |
//! | $j$ | [`ReceptiveField::jump`] | pixels between the fields of two neighbouring outputs |
//! | $c$ | [`ReceptiveField::centre`] | middle of the first output's field, where the first pixel's middle is ½ |
//! | $k, s, p, d$ | [`Taps`] | kernel, stride, padding, dilation |
//!
//! Branches and sums give the smallest interval that holds all of theirs.
//!
//! **Maps that grow** see inputs at fractions of a step. Output $o$ of a transposed convolution is written by the inputs
//! $i$ with $0 \le o + p - i s \le d (k - 1)$, an interval of length $d (k - 1) / s$:
//!
//! $$ r_l = r_{l-1} + \frac{d_l (k_l - 1)}{s_l}\, j_{l-1}, \qquad j_l = \frac{j_{l-1}}{s_l}, \qquad
//!    c_l = c_{l-1} + \frac1{s_l} \Bigl(p_l - \frac{d_l (k_l - 1)}{2}\Bigr) j_{l-1} $$
//!
//! Then $r$ is no whole number, and outputs see at most its whole part, some fewer: [`ReceptiveField::pixels`] says which.
//! An enlargement by $R$ counts as bilinear (two neighbours, $2 - 1/R$ steps for even $R$, $2 - 2/R$ for odd), so the
//! field of a nearest one is too wide by up to a step. Corner-aligned ones move their centres with the size of the image,
//! which a plan does not hold: their fields are those of half pixels.
//!
//! **Not**: which pixels matter. The effective field is a Gaussian far narrower than $r$ (Luo et al. 2016, arXiv
//! 1701.04128).
//! **Source**: Araujo, Norris & Sim (2019), Computing receptive fields of convolutional neural networks, Distill.
use layers::plan::{Plan, Planned, Taps};

/// The part of an image that one output depends on, along the height or the width.
///
/// # Examples
/// ```
/// use convnets::receptive_field::ReceptiveField;
/// use layers::prelude::*;
/// type Three = (Conv2D<8, 8, 3>, Conv2D<8, 8, 3>, Conv2D<8, 8, 3>);
/// assert_eq!(ReceptiveField::of::<Three>().size, 7.0); // three 3×3 see what one 7×7 sees
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceptiveField {
    /// $r$, pixels; infinite behind a global or adaptive pooling, the most that an output sees where maps grow.
    pub size: f64,
    /// $j$, pixels.
    pub jump: f64,
    /// $c$, pixels.
    pub centre: f64,
}

/// Height or width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Height.
    Rows,
    /// Width.
    Columns,
}

impl ReceptiveField {
    /// A pixel.
    pub const PIXEL: Self = Self { size: 1.0, jump: 1.0, centre: 0.5 };

    /// The field along the height of the outputs of `M`.
    pub const fn of<M: Planned>() -> Self {
        Self::PIXEL.after(&M::PLAN, Axis::Rows)
    }

    /// The field after one more window.
    pub const fn after_taps(self, taps: Taps) -> Self {
        let reach = (taps.dilation * (taps.kernel - 1)) as f64;
        Self {
            size: self.size + reach * self.jump,
            jump: self.jump * taps.stride as f64,
            centre: self.centre + (reach / 2.0 - taps.padding as f64) * self.jump,
        }
    }

    /// The field behind `plan`, when this is the field of its input.
    pub const fn after(self, plan: &Plan, axis: Axis) -> Self {
        let along = axis as usize;
        match *plan {
            Plan::Convolution { taps, .. } | Plan::Pool { taps, .. } => self.after_taps(taps[along]),
            Plan::Other { taps, .. } => self.after_taps(taps),
            Plan::Pad { sides } => Self { centre: self.centre - sides[2 * along] as f64 * self.jump, ..self },
            Plan::Subsample { step, .. } => {
                self.after_taps(Taps { kernel: 1, stride: step, padding: 0, dilation: 1 })
            }
            Plan::Transposed { taps, .. } => {
                let taps = taps[along];
                let (reach, stride) = ((taps.dilation * (taps.kernel - 1)) as f64, taps.stride as f64);
                Self {
                    size: self.size + reach / stride * self.jump,
                    jump: self.jump / stride,
                    centre: self.centre + (taps.padding as f64 - reach / 2.0) / stride * self.jump,
                }
            }
            Plan::Upsample { factor } => {
                // The weights of two neighbours at multiples of 1 / factor, offset by a half of it where it is even.
                let factor = factor[along];
                let offsets = if factor.is_multiple_of(2) { 2 * factor - 1 } else { 2 * factor - 2 };
                let (offsets, factor) = (offsets as f64, factor as f64);
                Self {
                    size: self.size + offsets / factor * self.jump,
                    jump: self.jump / factor,
                    centre: self.centre - (factor - 1.0) / (2.0 * factor) * self.jump,
                }
            }
            Plan::Global | Plan::Adaptive { .. } => Self { size: f64::INFINITY, ..self },
            Plan::Chain(parts) => {
                let (mut field, mut i) = (self, 0);
                while i < parts.len() {
                    field = field.after(&parts[i], axis);
                    i += 1;
                }
                field
            }
            Plan::Repeat(part, n) => {
                let (mut field, mut i) = (self, 0);
                while i < n {
                    field = field.after(part, axis);
                    i += 1;
                }
                field
            }
            Plan::Named(_, part) => self.after(part, axis),
            Plan::Branches(parts) | Plan::Sum(parts) => {
                let (mut field, mut i) = (self.after(&parts[0], axis), 1);
                while i < parts.len() {
                    field = field.and(self.after(&parts[i], axis));
                    i += 1;
                }
                field
            }
            Plan::Skip(part) => self.after(part, axis).and(self),
            _ => self,
        }
    }

    /// The smallest interval that holds both.
    const fn and(self, other: Self) -> Self {
        if !self.size.is_finite() || !other.size.is_finite() {
            return Self { size: f64::INFINITY, ..self };
        }
        let first = (self.centre - self.size / 2.0).min(other.centre - other.size / 2.0);
        let last = (self.centre + self.size / 2.0).max(other.centre + other.size / 2.0);
        Self { size: last - first, centre: (first + last) / 2.0, ..self }
    }

    /// The first and last pixel that the output at `position` sees, in an image that reaches as far; behind maps that
    /// grow after they have shrunk, pixels within which it sees some.
    ///
    /// ```
    /// use convnets::receptive_field::ReceptiveField;
    /// use layers::prelude::*;
    /// let field = ReceptiveField::of::<Conv2D<1, 1, 3, 2, 1>>();
    /// assert_eq!(field.pixels(4), (7, 9));
    /// let up = ReceptiveField::of::<ConvTranspose2D<1, 1, 3, 2>>();
    /// assert_eq!((up.pixels(4), up.pixels(5)), ((1, 2), (2, 2))); // places written twice and once
    /// ```
    pub fn pixels(&self, position: usize) -> (i64, i64) {
        const ROUNDING: f64 = 1e-6; // a third is no exact number
        let middle = self.centre + position as f64 * self.jump;
        let (first, end) = (middle - self.size / 2.0 - ROUNDING, middle + self.size / 2.0 + ROUNDING);
        (first.ceil() as i64, end.floor() as i64 - 1)
    }
}
