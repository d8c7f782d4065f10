//! Normalisations of weights: what a layer multiplies with is a function of what is trained.
use super::{Grouping, vector};
use crate::{Device, Error, Real, RowMajor};
use dfdx::prelude::*;

/// Weight normalisation: row $o$ of the result is $g_o\, v_o / \lVert v_o \rVert$, so that length and direction of what
/// output $o$ looks for are trained apart.
///
/// A row of zeros has no direction and gives NaN. A convolution's weight is passed as `(O, I K K)`.
///
/// ```
/// use dfdx::prelude::*;
/// let device = Cpu::default();
/// let v = device.tensor([[3.0_f64, 4.0], [0.0, -2.0]]);
/// let w = kernels::weight_norm(v, &device.tensor([10.0, 1.0])).array();
/// assert!((w[0][0] - 6.0).abs() < 1e-14 && (w[0][1] - 8.0).abs() < 1e-14);
/// assert!(w[1][0] == 0.0 && (w[1][1] + 1.0).abs() < 1e-14);
/// ```
///
/// # Panics
/// On the errors of [`try_weight_norm`].
pub fn weight_norm<O: Dim, I: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    v: Tensor<(O, I), E, D, T>,
    g: &Tensor<(O,), E, D>,
) -> Tensor<(O, I), E, D, T> {
    try_weight_norm(v, g).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`weight_norm`].
///
/// # Errors
/// [`Error::AxisLength`] when run-time numbers of outputs differ, and the device's error.
pub fn try_weight_norm<O: Dim, I: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    v: Tensor<(O, I), E, D, T>,
    g: &Tensor<(O,), E, D>,
) -> Result<Tensor<(O, I), E, D, T>, Error> {
    let shape = *v.shape();
    let (outputs, inputs) = (shape.0.size(), shape.1.size());
    let (v, tape) = v.split_tape();
    let (g, tape) = vector(g, outputs, tape)?;
    let grouping = Grouping { groups: outputs, epsilon: 0.0, is_centred: false };
    let run = || -> Result<_, D::Err> {
        // v / |v| is v / √(mean v²), divided by √I; of no inputs nothing is divided, and g has gradient 0.
        let (scale, tape) =
            g.put_tape(tape).try_mul(E::of((inputs.max(1) as f64).sqrt().recip()))?.split_tape();
        let no_bias = v.device().try_zeros_like(&(outputs,))?;
        let v = v.put_tape(tape).try_reshaped(&(1, outputs, inputs))?;
        D::group_norm(v, scale, no_bias, grouping)?.try_reshaped(&shape)
    };
    run().map_err(Error::device)
}

/// The singular vectors that [`power_iteration`] follows, of a weight $W$ `(O, I)`.
#[derive(Clone, Debug)]
pub struct Spectral<O: Dim, I: Dim, E: Real, D: Storage<E>> {
    /// $u$, `(O)`, of length 1.
    pub left: Tensor<(O,), E, D>,
    /// $v$, `(I)`, of length 1.
    pub right: Tensor<(I,), E, D>,
}

/// Vectors as long as the sides of the weight.
fn check_pair<O: Dim, I: Dim, E: Real, D: Device<E>>(
    weight: &(O, I),
    pair: &Spectral<O, I, E, D>,
) -> Result<(), Error> {
    for (axis, expected, found) in [
        ("number of outputs", pair.left.shape().0.size(), weight.0.size()),
        ("number of inputs", pair.right.shape().0.size(), weight.1.size()),
    ] {
        if expected != found {
            return Err(Error::AxisLength { axis, expected, found });
        }
    }
    Ok(())
}

/// Divides $W$ by its largest singular value, as estimated from a pair of singular vectors:
///
/// $$ \hat W = \frac{W}{\sigma}, \qquad \sigma = u^\top W v, \qquad
///    \frac{\partial L}{\partial W} = \frac1\sigma \bigl(G - \langle G, \hat W \rangle\, u v^\top\bigr) $$
///
/// $u$ and $v$ count as constants; [`power_iteration`] moves them towards the singular vectors, once per step.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Spectral, power_iteration, spectral_norm};
/// let device = Cpu::default();
/// let w = device.tensor([[0.0_f64, 3.0], [4.0, 0.0]]);
/// let mut pair = Spectral { left: device.tensor([0.6, 0.8]), right: device.tensor([1.0, 0.0]) };
/// for _ in 0..50 {
///     pair = power_iteration(&w, &pair, 1e-12);
/// }
/// let y = spectral_norm(w, &pair).array();
/// assert!((y[1][0] - 1.0).abs() < 1e-12 && (y[0][1] - 0.75).abs() < 1e-12);
/// ```
///
/// # Panics
/// On the errors of [`try_spectral_norm`].
pub fn spectral_norm<O: Dim, I: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    w: Tensor<(O, I), E, D, T>,
    pair: &Spectral<O, I, E, D>,
) -> Tensor<(O, I), E, D, T> {
    try_spectral_norm(w, pair).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`spectral_norm`].
///
/// # Errors
/// [`Error::AxisLength`] when a run-time length of the pair differs from that of the weight, and the device's error.
pub fn try_spectral_norm<O: Dim, I: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    w: Tensor<(O, I), E, D, T>,
    pair: &Spectral<O, I, E, D>,
) -> Result<Tensor<(O, I), E, D, T>, Error> {
    let shape = *w.shape();
    check_pair(&shape, pair)?;
    let outer = crate::try_outer(pair.left.clone(), pair.right.clone()).map_err(Error::device)?; // u vᵀ
    let run = || -> Result<_, D::Err> {
        let sigma = D::sum_all(w.with_empty_tape().try_mul(outer)?)?;
        w.try_div(sigma.try_broadcast_like(&shape)?)
    };
    run().map_err(Error::device)
}

/// One step of power iteration: $v \leftarrow W^\top u / \lVert W^\top u \rVert$, then
/// $u \leftarrow W v / \lVert W v \rVert$. Nothing is recorded.
///
/// `epsilon` is the least length that is divided by: a weight of zeros keeps $u$ and $v$ finite.
///
/// # Panics
/// On the errors of [`try_power_iteration`].
pub fn power_iteration<O: Dim, I: Dim, E: Real, D: Device<E>>(
    w: &Tensor<(O, I), E, D>,
    pair: &Spectral<O, I, E, D>,
    epsilon: f64,
) -> Spectral<O, I, E, D> {
    try_power_iteration(w, pair, epsilon).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`power_iteration`].
///
/// # Errors
/// As [`try_spectral_norm`].
pub fn try_power_iteration<O: Dim, I: Dim, E: Real, D: Device<E>>(
    w: &Tensor<(O, I), E, D>,
    pair: &Spectral<O, I, E, D>,
    epsilon: f64,
) -> Result<Spectral<O, I, E, D>, Error> {
    fn unit<N: Dim, E: Real, D: Device<E>>(
        x: Tensor<(usize, usize), E, D>,
        shape: &(N,),
        epsilon: f64,
    ) -> Result<Tensor<(N,), E, D>, Error> {
        let run = || -> Result<_, D::Err> {
            let squares = D::sum_all(x.clone().try_square()?)?.as_vec();
            let length = squares[0].sqrt();
            let length = if length > E::of(epsilon) { length } else { E::of(epsilon) };
            x.try_div(length)?.try_reshaped(shape)
        };
        run().map_err(Error::device)
    }
    check_pair(w.shape(), pair)?;
    let (outputs, inputs) = (w.shape().0.size(), w.shape().1.size());
    let w = w.clone().try_reshaped(&(outputs, inputs)).map_err(Error::device)?;
    let left = pair.left.clone().try_reshaped(&(1, outputs)).map_err(Error::device)?;
    let right = unit(crate::try_matmul(left, w.clone())?, pair.right.shape(), epsilon)?;
    let column = right.clone().try_reshaped(&(inputs, 1)).map_err(Error::device)?;
    let left = unit(crate::try_matmul(w, column)?, pair.left.shape(), epsilon)?;
    Ok(Spectral { left, right })
}
