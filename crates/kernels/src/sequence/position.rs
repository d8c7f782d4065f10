//! Positions for models that do not see order: sinusoids to add, rotations to apply.
//!
//! With the frequencies $\omega_i = \text{base}^{-2i/C}$, base 10,000:
//!
//! $$ \mathrm{PE}(t)_{2i} = \sin \omega_i t, \quad \mathrm{PE}(t)_{2i+1} = \cos \omega_i t; \qquad
//!    R(t) = \bigoplus_i \begin{pmatrix} \cos \omega_i t & -\sin \omega_i t \\ \sin \omega_i t & \cos \omega_i t \end{pmatrix} $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $\mathrm{PE}$ | [`sinusoid`] | `(T, C)` |
//! | $R(t) x_t$ | [`rotary`] | `(B, T, C)`, each head of $C_h$ columns by itself: $\omega_i = \text{base}^{-2i/C_h}$ |
//!
//! $R(s)q \cdot R(t)k$ depends on $t - s$ alone, so rotated queries and keys give relative attention.
//! **Papers**: Vaswani et al. (2017), section 3.5; Su et al. (2021), arXiv 2104.09864. **Deviation** from several
//! libraries: sine and cosine alternate, and rotation pairs neighbouring columns, as in both papers; GPT-NeoX and
//! LLaMA checkpoints pair column $i$ with $i + C_h/2$, which is the same after a permutation of columns.
use super::SequenceDevice;
use crate::{Error, Real};
use dfdx::prelude::*;

/// Cosine and sine of each frequency at a position, for `pairs` pairs of columns.
pub(crate) fn cos_sin(position: usize, pairs: usize, base: f64) -> impl Iterator<Item = [f64; 2]> {
    let position = position as f64;
    (0..pairs).map(move |i| {
        let (sin, cos) = (position / base.powf(i as f64 / pairs as f64)).sin_cos();
        [cos, sin]
    })
}

/// The sinusoidal encodings of the positions `start` to `start + positions - 1`; `C` must be even.
///
/// ```
/// use dfdx::prelude::*;
/// let pe = kernels::sequence::sinusoid::<4, f64, _>(&Cpu::default(), 0, 2);
/// let pe = pe.as_vec();
/// assert_eq!(pe[..4], [0.0, 1.0, 0.0, 1.0]);
/// assert_eq!(pe[4..], [1_f64.sin(), 1_f64.cos(), 0.01_f64.sin(), 0.01_f64.cos()]);
/// ```
///
/// # Panics
/// On the errors of [`try_sinusoid`].
pub fn sinusoid<const C: usize, E: Real, D: crate::Device<E>>(
    device: &D,
    start: usize,
    positions: usize,
) -> Tensor<(usize, Const<C>), E, D> {
    try_sinusoid(device, start, positions).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`sinusoid`].
///
/// # Errors
/// [`Error::OddColumns`], and the device's error.
pub fn try_sinusoid<const C: usize, E: Real, D: crate::Device<E>>(
    device: &D,
    start: usize,
    positions: usize,
) -> Result<Tensor<(usize, Const<C>), E, D>, Error> {
    if !C.is_multiple_of(2) {
        return Err(Error::OddColumns { columns: C });
    }
    let encoding = device.filled((positions, Const), |elements| {
        for (t, row) in elements.chunks_exact_mut(C.max(1)).enumerate() {
            for (pair, [cos, sin]) in row.chunks_exact_mut(2).zip(cos_sin(start + t, C / 2, BASE)) {
                pair.copy_from_slice(&[E::of(sin), E::of(cos)]);
            }
        }
    });
    encoding.map_err(Error::device)
}

/// The usual base of the frequencies.
pub const BASE: f64 = 10_000.0;

/// Rotates each head's pairs of columns by angles that grow with the position; the first position is `start`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sequence::position::{BASE, rotary};
/// let x = Cpu::default().tensor([[[1.0_f64, 0.0], [1.0, 0.0]]]);
/// assert_eq!(rotary(x, 1, 0, BASE).array(), [[[1.0, 0.0], [1_f64.cos(), 1_f64.sin()]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_rotary`].
pub fn rotary<B: Dim, S: Dim, const C: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(B, S, Const<C>), E, D, T>,
    heads: usize,
    start: usize,
    base: f64,
) -> Tensor<(B, S, Const<C>), E, D, T> {
    try_rotary(x, heads, start, base).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`rotary`].
///
/// # Errors
/// [`Error::Heads`] when `heads` does not divide `C`, [`Error::OddColumns`] when a head has an odd number of columns, and
/// the device's error.
pub fn try_rotary<B: Dim, S: Dim, const C: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(B, S, Const<C>), E, D, T>,
    heads: usize,
    start: usize,
    base: f64,
) -> Result<Tensor<(B, S, Const<C>), E, D, T>, Error> {
    if heads == 0 || !C.is_multiple_of(heads) {
        return Err(Error::Heads { heads, features: C });
    }
    if !(C / heads).is_multiple_of(2) {
        return Err(Error::OddColumns { columns: C / heads });
    }
    D::rotary(x, heads, start, base)
}
