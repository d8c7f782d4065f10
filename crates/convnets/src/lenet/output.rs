//! The output layer of 1998: how far F6's 84 numbers are from a drawing of each digit, 7 pixels wide and 12 high.
//!
//! $$ y_i = \sum_{j=1}^{84} (x_j - w_{ij})^2 \tag{7} $$
//! $$ E_8 = \frac1P \sum_p y_{D^p}^{(p)}, \qquad
//!    E_9 = \frac1P \sum_p \Bigl( y_{D^p}^{(p)} + \ln \bigl( e^{-J} + \textstyle\sum_i e^{-y_i^{(p)}} \bigr) \Bigr) $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $x$ | input, `(B, 84)` | the state of F6, within ±1.7159 |
//! | $w$ | [`DRAWINGS`], `(10, 84)` | +1 where a drawing has ink, −1 elsewhere; fixed |
//! | $y$ | output, `(B, 10)` | squared distances: the smallest is the answer |
//! | $E_8$, $E_9$ | [`likelihood_loss`], [`posterior_loss`] | equations 8 and 9 of the paper |
//! | $J$ | `garbage` | the distance at which a picture is of no class at all |
//!
//! **The step that people get wrong**: codes that are trained with $E_8$ have a solution without any error, all codes and
//! all states alike, and descent finds it ([`RadialBasis`]`<true>`). Fixed codes have none, and neither has $E_9$, in which
//! classes compete: it is the cross-entropy of the softmax of the negative distances with an eleventh class, garbage, at
//! distance $J$.
//!
//! **When**: where a picture may be of no class, since all distances may be large; a softmax has to choose. **Deviation**:
//! the paper prints its drawings as a figure only; these are our own. **Paper**: LeCun, Bottou, Bengio & Haffner (1998),
//! section II-B and II-C.
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, NonMutableModule};
use dfdx::prelude::{Dtype, Storage};
use kernels::{Device, Error, Real};
use layers::modules::Softplus;
use layers::plan::{Plan, Planned, Taps};
use layers::prelude::*;

/// Numbers of F6, pixels of a drawing.
pub const PIXELS: usize = 84;
/// Columns of a drawing.
pub const WIDE: usize = 7;

/// Ten digits of 7 × 12 pixels, `#` for ink.
pub const DRAWINGS: [[&str; 12]; 10] = [
    [
        "..###..", ".#...#.", "##...##", "#.....#", "#.....#", "#.....#", "#.....#", "#.....#", "#.....#",
        "##...##", ".#...#.", "..###..",
    ],
    [
        "...##..", "..###..", ".####..", "...##..", "...##..", "...##..", "...##..", "...##..", "...##..",
        "...##..", ".######", ".######",
    ],
    [
        ".#####.", "##...##", "#.....#", "......#", ".....##", "....##.", "...##..", "..##...", ".##....",
        "##.....", "#######", "#######",
    ],
    [
        ".#####.", "##...##", "......#", "......#", ".....##", "..####.", "..####.", ".....##", "......#",
        "......#", "##...##", ".#####.",
    ],
    [
        ".....#.", "....##.", "...###.", "..##.#.", ".##..#.", "##...#.", "#....#.", "#######", "#######",
        ".....#.", ".....#.", ".....#.",
    ],
    [
        "#######", "#######", "#......", "#......", "######.", "#....##", "......#", "......#", "......#",
        "#.....#", "##...##", ".#####.",
    ],
    [
        "..####.", ".##..##", "##.....", "#......", "#.###..", "###..#.", "##....#", "#.....#", "#.....#",
        "#.....#", ".#...#.", "..###..",
    ],
    [
        "#######", "#######", ".....##", ".....#.", "....##.", "....#..", "...##..", "...#...", "..##...",
        "..#....", ".##....", ".#.....",
    ],
    [
        "..###..", ".#...#.", "#.....#", "#.....#", ".#...#.", "..###..", ".#...#.", "#.....#", "#.....#",
        "#.....#", ".#...#.", "..###..",
    ],
    [
        "..###..", ".#...#.", "#.....#", "#.....#", "#.....#", "#....##", ".#..###", "..###.#", "......#",
        ".....##", "##..##.", ".####..",
    ],
];

/// The drawings as numbers, ±1, row by row, one digit after the other.
///
/// ```
/// use convnets::lenet::output::{PIXELS, codes};
/// let codes: Vec<f32> = codes();
/// let one_to_seven = codes[PIXELS..2 * PIXELS].iter().zip(&codes[7 * PIXELS..]).filter(|(a, b)| a != b);
/// assert_eq!(one_to_seven.count(), 36); // at a squared distance of 4 for each pixel
/// ```
pub fn codes<E: Real>() -> Vec<E> {
    let pixels = DRAWINGS.iter().flatten().flat_map(|row| row.bytes());
    pixels.map(|pixel| if pixel == b'#' { E::one() } else { -E::one() }).collect()
}

/// Descriptions of the layers of this module.
pub mod builder {
    /// Builds a [`super::BuiltRadialBasis`]; `IS_TRAINED` for codes that start as the drawings and are trained.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct RadialBasis<const IS_TRAINED: bool = false>;
}
pub use self::builder::RadialBasis;

/// Ten squared distances from drawings: equation 7.
///
/// # Examples
/// ```
/// use convnets::lenet::output::{RadialBasis, codes};
/// use layers::{params, prelude::*};
/// let dev = Cpu::default();
/// let layer = dev.build_module::<RadialBasis, f32>();
/// assert_eq!(params::count(&layer), 0); // 840 connections, nothing to train
/// let mut state = dev.zeros::<Rank2<1, 84>>();
/// state.copy_from(&codes()[3 * 84..4 * 84]);
/// let distances = layer.forward(state).array()[0];
/// assert_eq!(distances[3], 0.0);
/// assert!(distances.iter().enumerate().all(|(digit, distance)| digit == 3 || *distance >= 4.0 * 20.0));
/// ```
#[derive(Clone, Debug)]
pub struct BuiltRadialBasis<const IS_TRAINED: bool, E: Dtype, D: Storage<E>> {
    /// $w$, `(10, 84)`; starts as the drawings.
    pub codes: Tensor<Rank2<10, PIXELS>, E, D>,
}

impl<const IS_TRAINED: bool> Planned for RadialBasis<IS_TRAINED> {
    const PLAN: Plan = Plan::Other {
        params: if IS_TRAINED { 10 * PIXELS } else { 0 },
        macs_per_pixel: 10 * PIXELS,
        taps: Taps::new(1),
        to: 10,
    };
}
impl<const IS_TRAINED: bool, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
    for RadialBasis<IS_TRAINED>
{
    type Built = BuiltRadialBasis<IS_TRAINED, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}
impl<const IS_TRAINED: bool, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for BuiltRadialBasis<IS_TRAINED, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = BuiltRadialBasis<IS_TRAINED, E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let drawn = |weight: &mut Tensor<Rank2<10, PIXELS>, E, D>| {
            weight.copy_from(&codes());
            Ok(())
        };
        let options =
            if IS_TRAINED { TensorOptions::reset_with(drawn) } else { TensorOptions::detached(drawn) };
        visitor.visit_fields(
            Self::tensor("codes", |layer| &layer.codes, |layer| &mut layer.codes, options),
            |codes| BuiltRadialBasis { codes },
        )
    }
}
impl<const IS_TRAINED: bool, E: Dtype, D: Storage<E>> NonMutableModule
    for BuiltRadialBasis<IS_TRAINED, E, D>
{
}

impl<const IS_TRAINED: bool, N: Dim, E: Real, D: Device<E>, T: Tape<E, D>>
    Module<Tensor<(N, Const<PIXELS>), E, D, T>> for BuiltRadialBasis<IS_TRAINED, E, D>
{
    type Output = Tensor<(N, Const<10>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, Const<PIXELS>), E, D, T>) -> Result<Self::Output, D::Err> {
        kernels::try_squared_distances(x, self.codes.clone())
            .map_err(|error| error.into_device::<D::Err>().unwrap_or_else(|error| panic!("{error}")))
    }
}

fn device(error: impl std::fmt::Debug + std::fmt::Display + Send + Sync + 'static) -> Error {
    Error::Device(kernels::DeviceError::new(error))
}

/// One for the class of each row over the number of rows, zeros elsewhere.
fn chosen<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    distances: &Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Result<Tensor<(B, C), E, D>, Error> {
    let (rows, classes) = (distances.shape().0.size(), distances.shape().1.size());
    if labels.len() != rows {
        return Err(Error::LabelCount { labels: labels.len(), rows });
    }
    if let Some(index) = labels.iter().position(|&label| label >= classes) {
        return Err(Error::LabelOutOfRange { index, label: labels[index], classes });
    }
    let mut shares = vec![E::zero(); rows * classes];
    for (row, label) in shares.chunks_mut(classes).zip(labels) {
        row[*label] = E::of(1.0 / rows as f64);
    }
    let mut chosen = distances.device().try_zeros_like(distances).map_err(device)?;
    chosen.copy_from(&shares);
    Ok(chosen)
}

/// Equation 8: the mean distance from the drawing of the right class.
///
/// # Errors
/// [`Error::LabelCount`] and [`Error::LabelOutOfRange`] for labels that do not fit, [`Error::Device`].
pub fn likelihood_loss<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    distances: Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    let chosen = chosen(&distances, labels)?;
    distances.try_mul(chosen).and_then(SumTo::try_sum).map_err(device)
}

/// Equation 9: the right drawing near, all others far, up to about `garbage`.
///
/// # Examples
/// ```
/// use convnets::lenet::output::posterior_loss;
/// use layers::prelude::*;
/// let distances = Cpu::default().tensor([[1.0_f64, 2.0]]);
/// let loss = posterior_loss(distances, &[0], 3.0)?.array();
/// let softmax = (-1.0_f64).exp() / ((-1.0_f64).exp() + (-2.0_f64).exp() + (-3.0_f64).exp());
/// assert!((loss + softmax.ln()).abs() < 1e-12);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// Those of [`likelihood_loss`]; [`Error::LossSetting`] unless `garbage` is above 0 and finite.
pub fn posterior_loss<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    distances: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    garbage: f64,
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    if !(garbage > 0.0 && garbage.is_finite()) {
        let rule = "above 0 and finite; take less than the squared distance of two codes";
        return Err(Error::LossSetting { name: "garbage", rule, value: garbage });
    }
    let near = likelihood_loss(distances.with_empty_tape(), labels)?;
    // ln(e^-J + e^L) = softplus(L + J) - J, with L the logarithm of the sum over classes.
    let all =
        kernels::try_logsumexp_along(distances.try_negate().map_err(device)?, Axis::<1>).map_err(device)?;
    let all = Softplus.try_forward(all.try_add(E::of(garbage)).map_err(device)?).map_err(device)?;
    let far = all.try_mean().and_then(|mean: Tensor<Rank0, E, D, T>| mean.try_sub(E::of(garbage)));
    far.and_then(|far| far.try_add(near)).map_err(device)
}
