//! `assert_close!`.
use dfdx::prelude::{Dtype, Shape, Storage, Tensor};

/// Numbers in a fixed order: scalars, arrays, slices, vectors and tensors (row-major) of f32 or f64.
pub trait Flat {
    /// The numbers as f64.
    fn flat(&self) -> Vec<f64>;
}

macro_rules! flat_scalar {
    ($($number:ty)*) => {$(
        impl Flat for $number {
            fn flat(&self) -> Vec<f64> {
                vec![f64::from(*self)]
            }
        }
    )*};
}
flat_scalar!(f32 f64);

impl<T: Flat + ?Sized> Flat for &T {
    fn flat(&self) -> Vec<f64> {
        (**self).flat()
    }
}
impl<T: Flat> Flat for [T] {
    fn flat(&self) -> Vec<f64> {
        self.iter().flat_map(Flat::flat).collect()
    }
}
impl<T: Flat, const N: usize> Flat for [T; N] {
    fn flat(&self) -> Vec<f64> {
        self.as_slice().flat()
    }
}
impl<T: Flat> Flat for Vec<T> {
    fn flat(&self) -> Vec<f64> {
        self.as_slice().flat()
    }
}
impl<S: Shape, E: Dtype + Flat, D: Storage<E>, T> Flat for Tensor<S, E, D, T> {
    fn flat(&self) -> Vec<f64> {
        self.as_vec().flat()
    }
}

/// Asserts that two sets of numbers agree: `assert_close!(got, want, relative)` or
/// `assert_close!(got, want, relative, absolute)`.
///
/// Every element must satisfy `|got - want| <= relative · scale + absolute`, where `scale` is the largest `|want|` of
/// the whole set (for two scalars that is the relative error). NaN agrees with nothing, an infinity with itself. Both
/// sides may be anything [`Flat`](crate::testing::Flat). Further arguments are a message as in `assert!`.
///
/// # Examples
/// ```
/// use layers::assert_close;
/// assert_close!(0.1 + 0.2, 0.3, 1e-15);
/// assert_close!([[1.0, 2.0], [3.0, 4.0]], vec![1.0, 2.0, 3.0, 4.0 + 1e-12], 1e-12, 0.0, "rows of {}", "A");
/// ```
/// ```should_panic
/// layers::assert_close!([1.0, 2.0], [1.0, 2.1], 1e-3); // element 1: got 2, want 2.1, error 0.1 ...
/// ```
#[macro_export]
macro_rules! assert_close {
    ($got:expr, $want:expr, $relative:expr $(,)?) => {
        $crate::testing::assert_close_flat(&$got, &$want, $relative, 0.0, "")
    };
    ($got:expr, $want:expr, $relative:expr, $absolute:expr $(,)?) => {
        $crate::testing::assert_close_flat(&$got, &$want, $relative, $absolute, "")
    };
    ($got:expr, $want:expr, $relative:expr, $absolute:expr, $($message:tt)+) => {
        $crate::testing::assert_close_flat(&$got, &$want, $relative, $absolute, &format!($($message)+))
    };
}

/// The function behind [`assert_close!`](crate::assert_close).
///
/// # Panics
/// When the sets differ in length or an element differs by more than the tolerance.
#[track_caller]
pub fn assert_close_flat(got: &impl Flat, want: &impl Flat, relative: f64, absolute: f64, message: &str) {
    let (got, want) = (got.flat(), want.flat());
    let message = if message.is_empty() { String::new() } else { format!("{message}: ") };
    assert!(got.len() == want.len(), "{message}got {} numbers, want {}", got.len(), want.len());
    let scale = want.iter().filter(|w| w.is_finite()).fold(0.0_f64, |scale, w| scale.max(w.abs()));
    let tolerance = relative * scale + absolute;
    let error = |i: &usize| if got[*i] == want[*i] { 0.0 } else { (got[*i] - want[*i]).abs() };
    // NaN is the largest in `total_cmp`, so a NaN is always the worst element.
    let Some(worst) = (0..got.len()).max_by(|i, j| error(i).total_cmp(&error(j))) else { return };
    let bad = (0..got.len()).filter(|i| error(i).is_nan() || error(i) > tolerance).count();
    assert!(
        bad == 0,
        "{message}element {worst}: got {:e}, want {:e}, error {:.3e} ({:.3e} of the largest |want|, {scale:e}), \
         allowed {tolerance:.3e}; {bad} of {} elements differ",
        got[worst],
        want[worst],
        error(&worst),
        error(&worst) / scale,
        got.len(),
    );
}
