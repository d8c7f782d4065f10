//! Ties, NaN, infinities, and rounding of long sums.
use super::*;
use crate::random::Key;

#[test]
fn the_first_of_equals_is_the_extreme() {
    let device = Cpu::default();
    for n in [3, 40, 70_000] {
        // The largest twice, in different parts of a long row.
        let mut row = vec![0.5_f32; n];
        (row[n / 3], row[n - 1]) = (2.0, 2.0);
        let x = device.tensor_from_vec(row, (1, n));
        assert_eq!(argmax_along(&x, Axis::<1>), [n / 3], "{n}");
        assert_eq!(argmin_along(&x, Axis::<1>), [0], "{n}");
        let gradient = max_along(x.leaky_trace(), Axis::<1>).sum::<Rank0, _>().backward().get(&x).as_vec();
        assert_eq!(gradient.iter().sum::<f32>(), 1.0);
        assert_eq!(gradient[n / 3], 1.0);
        // The same down a column.
        let column = x.reshape_like(&(n, 1)).concat_along_twice();
        assert_eq!(argmax_along(&column, Axis::<0>), [n / 3; 2], "{n}");
    }
}

/// A column next to itself.
trait Twice {
    fn concat_along_twice(self) -> Tensor<(usize, usize), f32, Cpu>;
}
impl Twice for Tensor<(usize, usize), f32, Cpu> {
    fn concat_along_twice(self) -> Self {
        let n = self.shape().0;
        let both = self.as_vec().into_iter().flat_map(|x| [x, x]).collect();
        self.device().tensor_from_vec(both, (n, 2))
    }
}

#[test]
fn a_nan_is_larger_than_everything() {
    let device = Cpu::default();
    let nan = f64::NAN;
    let x = device.tensor([[1.0, nan, 9.0, nan], [f64::NEG_INFINITY; 4]]);
    assert_eq!(argmax_along(&x, Axis::<1>), [1, 0]);
    let y = max_along(x.clone(), Axis::<1>).array();
    assert!(y[0].is_nan() && y[1] == f64::NEG_INFINITY);
    assert!(min_along(x.clone(), Axis::<1>).array()[0].is_nan());
    assert!(logsumexp_along(x.clone(), Axis::<1>).array()[0].is_nan());
    assert_eq!(logsumexp_along(x, Axis::<1>).array()[1], f64::NEG_INFINITY);
    let mut long = vec![0.0_f32; 100];
    (long[50], long[70]) = (f32::NAN, f32::INFINITY);
    let long = device.tensor_from_vec(long, (1, 100));
    assert_eq!(argmax_along(&long, Axis::<1>), [50]);
    assert!(norm_along(long, Axis::<1>).as_vec()[0].is_nan());
}

#[test]
fn norms_neither_overflow_nor_vanish() {
    let device = Cpu::default();
    let x =
        device.tensor([[3e30_f32, -4e30], [3e-30, 4e-30], [0.0, 0.0], [f32::INFINITY, 1.0], [3e-45, 0.0]]);
    let y = norm_along(x.leaky_trace(), Axis::<1>);
    let got = y.array();
    for (got, want) in got.iter().zip([5e30, 5e-30, 0.0, f32::INFINITY, 2.8e-45]) {
        assert!(
            *got == want || (got / want - 1.0).abs() < 1e-6 || (got - want).abs() <= 1e-44,
            "{got} instead of {want}"
        );
    }
    let gradient = y.sum::<Rank0, _>().backward().get(&x).array();
    assert_eq!(gradient[2], [0.0, 0.0]);
    assert!((gradient[0][0] - 0.6).abs() < 1e-6 && (gradient[1][1] - 0.8).abs() < 1e-6);
}

/// A running sum of a million tenths is off by 1e-2 in f32; partial sums keep five digits and more, along both axes.
#[test]
fn long_sums_keep_their_digits() {
    let device = Cpu::default();
    const N: usize = 1_000_000;
    let x = device.tensor_from_vec(vec![0.1_f32; N], (N,));
    let want = 0.1_f32 as f64 * N as f64;
    for got in [
        sum_along(x.clone().reshape_like(&(1, N)), Axis::<1>).as_vec()[0],
        sum_along(x.clone().reshape_like(&(N, 1)), Axis::<0>).as_vec()[0],
        sum_along(x.clone().reshape_like(&(N / 2, 2)), Axis::<0>).as_vec()[0] * 2.0,
        mean_along(x.reshape_like(&(N / 4, 4)), Axes2::<0, 1>).array() * N as f32,
    ] {
        // Measured 2.2e-6, for two columns.
        assert!((f64::from(got) / want - 1.0).abs() < 1e-5, "{got} instead of {want}");
    }
}

/// Adding a constant changes neither a variance (two passes) nor a softmax.
#[test]
fn shifts_change_neither_variance_nor_softmax() {
    let device = Cpu::default();
    let x = Key::new(3).normal::<Rank2<40, 30>, f64, _>(&device, Default::default());
    let far = x.clone() + 1e6;
    for (a, b) in [
        (
            var_along(x.clone(), Axis::<0>, Correction::Sample).as_vec(),
            var_along(far.clone(), Axis::<0>, Correction::Sample).as_vec(),
        ),
        (softmax_along(x.clone(), Axis::<0>).as_vec(), softmax_along(far.clone(), Axis::<0>).as_vec()),
        (log_softmax_along(x, Axis::<0>).as_vec(), log_softmax_along(far, Axis::<0>).as_vec()),
    ] {
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() <= 1e-9 * a.abs().max(1e-3), "{b} instead of {a}");
        }
    }
}
