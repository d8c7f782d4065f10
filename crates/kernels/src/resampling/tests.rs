//! Laws of single maps; values of PyTorch stand in the tests of pooling, what is refused in the cases.
use super::{Band, Bordered, Circular, Filling};
use crate::random::Key;
use crate::*;
use dfdx::prelude::*;
use serde_json::Value;

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
    // Of sequences: channel 3 c + a of position l becomes position 3 l + a of channel c.
    let numbers = (0..24).map(f64::from).collect();
    let x: Tensor<(usize, usize, usize), f64, Cpu> = x.device().tensor_from_vec(numbers, (2, 6, 2));
    let y = pixel_shuffle1d(x.clone(), 3);
    assert_eq!(*y.shape(), (2, 2, 6));
    assert_eq!(y.as_vec()[..8], [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0]);
    assert_eq!(pixel_unshuffle1d(y, 3).as_vec(), x.as_vec());
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

/// Reflection and replication against PyTorch; circular padding shows what a torus would.
#[test]
fn borders_agree_with_pytorch() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/golden/pool_norm_resample.json")).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value["data"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let integers = |value: &Value| -> Vec<usize> {
        value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        let filling = match case["op"].as_str().unwrap() {
            "reflection_pad2d" => Filling::Reflection,
            "replication_pad2d" => Filling::Replication,
            _ => continue,
        };
        seen += 1;
        let (shape, sides) = (integers(&case["x"]["shape"]), integers(&case["pad_left_right_top_bottom"]));
        let border = Bordered { filling, rows: [sides[2], sides[3]], cols: [sides[0], sides[1]] };
        let shape = (shape[0], shape[1], shape[2], shape[3]);
        let x = Cpu::default().tensor_from_vec(numbers(&case["x"]), shape);
        let y = pad2d(x.leaky_trace(), border);
        assert_eq!(y.as_vec(), numbers(&case["y"]));
        let gy = x.device().tensor_from_vec(numbers(&case["gy"]), *y.shape());
        let gx = (y * gy).sum::<Rank0, _>().backward().get(&x).as_vec();
        for (got, want) in gx.iter().zip(numbers(&case["gx"])) {
            assert!((got - want).abs() <= 1e-11 * want.abs().max(1.0), "{got} instead of {want}");
        }
    }
    assert_eq!(seen, 4);
    let x = Cpu::default().tensor([[[1.0_f32, 2.0, 3.0]]]);
    let y = pad1d(x, Circular::<0, 0, 3, 2>);
    assert_eq!(y.array(), [[[1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]]);
}
