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
//! Branches and sums give the smallest interval that holds all of theirs. **Not**: which pixels matter. The effective
//! field is a Gaussian far narrower than $r$ (Luo et al. 2016, arXiv 1701.04128).
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
    /// $r$, pixels; infinite behind a global or adaptive pooling.
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
            // An output pixel of a transposed convolution or of an enlargement sees few inputs: those at most.
            Plan::Transposed { taps, .. } => {
                let taps = taps[along];
                let seen = (taps.dilation * (taps.kernel - 1) / taps.stride) as f64;
                Self { size: self.size + seen * self.jump, jump: self.jump / taps.stride as f64, ..self }
            }
            Plan::Upsample { factor } => Self { jump: self.jump / factor[along] as f64, ..self },
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

    /// The first and last pixel that the output at `position` sees, in an image that reaches as far.
    ///
    /// ```
    /// use convnets::receptive_field::ReceptiveField;
    /// use layers::prelude::*;
    /// let field = ReceptiveField::of::<Conv2D<1, 1, 3, 2, 1>>();
    /// assert_eq!(field.pixels(4), (7, 9));
    /// ```
    pub fn pixels(&self, position: usize) -> (i64, i64) {
        let middle = self.centre + position as f64 * self.jump;
        ((middle - self.size / 2.0).round() as i64, (middle + self.size / 2.0).round() as i64 - 1)
    }
}
