//! Laws of single maps, and what is refused; values of PyTorch stand in the tests of pooling.
use super::Band;
use crate::random::Key;
use crate::*;
use dfdx::prelude::*;

fn draw(h: usize, w: usize) -> Tensor<(usize, usize, usize, usize), f64, Cpu> {
    Key::new(3).normal(&Cpu::default(), (2, 8, h, w))
}

#[test]
fn a_transposed_band_is_the_transposed_matrix() {
    let taps = shape::Taps { kernel: 2, stride: 3, padding: 1, dilation: 2 };
    for band in [
        Band::windows(
            10,
            taps,
            taps.pool_positions(10, shape::Rounding::Down).unwrap(),
            CountPadding::Included,
        ),
        Band::adaptive(7, 3).unwrap(),
        Band::nearest(5, 2).unwrap(),
        Band::linear(3, 8, Corners::Edges).unwrap(),
    ] {
        let (rows, cols) = (band.outputs(), band.inputs());
        let (dense, transposed) = (band.dense(), band.transposed());
        assert_eq!((transposed.outputs(), transposed.inputs()), (cols, rows));
        for (i, number) in transposed.dense().into_iter().enumerate() {
            assert_eq!(number, dense[(i % rows) * cols + i / rows]);
        }
    }
}

#[test]
fn maps_to_the_same_size_change_nothing() {
    let x = draw(3, 5);
    assert_eq!(resize_nearest(x.clone(), 3, 5).as_vec(), x.as_vec());
    for corners in [Corners::Edges, Corners::Centres] {
        assert_eq!(resize_bilinear(x.clone(), 3, 5, corners).as_vec(), x.as_vec());
    }
}

/// A plane stays a plane between its outermost points.
#[test]
fn bilinear_maps_keep_straight_lines() {
    let line: Vec<f64> = (0..12).map(|i| f64::from(i % 4) + 10.0 * f64::from(i / 4)).collect();
    let x = Cpu::default().tensor_from_vec(line, (1, 1, 3, 4));
    let y = resize_bilinear(x, 5, 7, Corners::Centres).as_vec();
    for (i, y) in y.iter().enumerate() {
        let want = (i % 7) as f64 * 0.5 + 10.0 * (i / 7) as f64 * 0.5;
        assert!((y - want).abs() < 1e-13, "{y} instead of {want}");
    }
}

#[test]
fn pixel_shuffle_has_an_inverse() {
    let x = draw(3, 4);
    assert_eq!(pixel_unshuffle(pixel_shuffle(x.clone(), 2), 2).as_vec(), x.as_vec());
    let x = draw(6, 4);
    assert_eq!(pixel_shuffle(pixel_unshuffle(x.clone(), 2), 2).as_vec(), x.as_vec());
}

/// One tensor as both operands collects both gradients; the second one's tape is kept.
#[test]
fn concatenation_keeps_both_tapes() {
    let device = Cpu::default();
    let x = device.tensor([[1.0_f64, 2.0]]);
    let w = device.tensor([[1.0, 2.0, 3.0, 4.0]]);
    let z: Tensor<Rank2<1, 4>, f64, _, _> = concat_channels(x.leaky_trace(), x.leaky_trace());
    assert_eq!((z * w.clone()).sum::<Rank0, _>().backward().get(&x).array(), [[4.0, 6.0]]);
    let y = device.tensor([[5.0_f64, 6.0]]);
    let z: Tensor<Rank2<1, 4>, f64, _, _> = concat_channels(x.leaky_trace(), y.leaky_trace().square());
    assert_eq!((z * w).sum::<Rank0, _>().backward().get(&y).array(), [[30.0, 48.0]]);
}

#[test]
fn hostile_sizes_are_refused() {
    let device = Cpu::default();
    let zeros = |shape: (usize, usize, usize, usize)| -> Tensor<_, f32, Cpu> { device.zeros_like(&shape) };
    assert!(matches!(try_resize_nearest(zeros((1, 1, 0, 2)), 2, 2), Err(Error::WindowTooLong { .. })));
    assert!(matches!(
        try_resize_bilinear(zeros((1, 1, 2, 2)), 2, 0, Corners::Edges),
        Err(Error::NoOutputs { extent: 2 })
    ));
    for factor in [0, 2] {
        let shuffled = try_pixel_shuffle(zeros((1, 6, 2, 2)), factor).map(|_| ());
        assert!(matches!(shuffled, Err(Error::Indivisible { size: 6, .. })), "{factor}");
        let unshuffled = try_pixel_unshuffle(zeros((1, 1, 3, 4)), factor).map(|_| ());
        assert!(matches!(unshuffled, Err(Error::Indivisible { size: 3, .. })), "{factor}");
    }
    let error = try_concat_channels(zeros((1, 2, 3, 4)), zeros((1, 2, 3, 5))).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::AxisLength { axis: "columns", expected: 4, found: 5 }), "{error}");
    let error = try_concat_channels(zeros((1, 2, 3, 4)), zeros((2, 2, 3, 4))).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::AxisLength { axis: "batch size", .. }), "{error}");
}
