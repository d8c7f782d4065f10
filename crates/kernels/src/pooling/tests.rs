//! Values of PyTorch, ties, NaN.
use super::{Ceil, Floor, Sliding};
use crate::shape::{Rounding, Taps};
use crate::*;
use dfdx::prelude::*;
use serde_json::Value;

type Maps = Tensor<(usize, usize, usize, usize), f64, Cpu>;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        Value::Object(tensor) => numbers(&tensor["data"]),
        number => vec![number.as_f64().expect("a number")],
    }
}

/// The file holds 12 digits.
#[track_caller]
fn assert_close(got: &[f64], want: &Value, what: &str) {
    let want = numbers(want);
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= 1e-10 * want.abs().max(0.1), "{what} [{i}]: {got} instead of {want}");
    }
}

fn maps(value: &Value) -> Maps {
    let shape: Vec<usize> = numbers(&value["shape"]).iter().map(|&n| n as usize).collect();
    Cpu::default().tensor_from_vec(numbers(value), (shape[0], shape[1], shape[2], shape[3]))
}

/// Pooling and resampling, which share the file's form.
#[test]
fn pooling_and_resampling_agree_with_pytorch() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/golden/pool_norm_resample.json")).unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for (i, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let flag = |key: &str| case[key].as_bool().unwrap();
        let op = case["op"].as_str().unwrap();
        if ["batch_norm2d", "group_norm", "local_response_norm"].contains(&op)
            || ["im2col", "reflection_pad2d", "replication_pad2d"].contains(&op)
        {
            continue; // elsewhere: normalisations, convolution and borders
        }
        let x = maps(&case["x"]);
        let traced = x.leaky_trace();
        let windows = || {
            let dilation = case.get("dilation").map_or(1, |dilation| dilation.as_u64().unwrap() as usize);
            let (kernel, stride, padding) = (number("kernel"), number("stride"), number("padding"));
            let taps = Taps { kernel, stride, padding, dilation };
            let rounding = if flag("ceil_mode") { Rounding::Up } else { Rounding::Down };
            Sliding { rows: taps, cols: taps, rounding }
        };
        let size = || {
            let size = numbers(&case["output_size"]);
            (size[0] as usize, size[1] as usize)
        };
        let y = match op {
            "max_pool2d" => max_pool2d(traced, windows()).output,
            "avg_pool2d" => {
                let count =
                    if flag("count_include_pad") { CountPadding::Included } else { CountPadding::Excluded };
                avg_pool2d(traced, windows(), count)
            }
            "adaptive_avg_pool2d" => {
                if size() == (1, 1) {
                    assert_close(&global_avg_pool(x.clone()).as_vec(), &case["y"], "global mean");
                }
                adaptive_avg_pool2d(traced, size().0, size().1)
            }
            "global_max_pool2d" => {
                let y = global_max_pool(traced);
                let shape = (y.shape().0, y.shape().1, 1, 1);
                y.reshape_like(&shape)
            }
            "pixel_shuffle" => pixel_shuffle(traced, number("r")),
            "pixel_unshuffle" => pixel_unshuffle(traced, number("r")),
            "upsample_nearest" => resize_nearest(traced, size().0, size().1),
            "upsample_bilinear" => {
                let corners = if flag("align_corners") { Corners::Centres } else { Corners::Edges };
                resize_bilinear(traced, size().0, size().1, corners)
            }
            other => panic!("no test for {other}"),
        };
        *seen.entry(op).or_insert(0) += 1;
        let what = format!("case {i}, {op}");
        assert_close(&y.as_vec(), &case["y"], &what);
        let gy = y.device().tensor_from_vec(numbers(&case["gy"]), *y.shape());
        let gradients = (y * gy).sum::<Rank0, _>().backward();
        assert_close(&gradients.get(&x).as_vec(), &case["gx"], &what);
    }
    assert_eq!(seen.values().sum::<i32>(), 31, "{seen:?}");
}

/// Padding is −∞: a window of negative numbers at the border has a negative maximum.
#[test]
fn padding_never_wins() {
    let device = Cpu::default();
    let x = device.tensor([[[[-3.0_f32, -2.0], [-1.0, -4.0]]]]);
    let pooled = max_pool2d(x, Floor::<2, 2, 1>);
    assert_eq!(pooled.output.array(), [[[[-3.0, -2.0], [-1.0, -4.0]]]]);
    assert_eq!(pooled.indices.as_slice(), [0, 1, 2, 3]);
}

/// Nothing is larger than −∞: the first position counts; a NaN is larger than everything.
#[test]
fn infinities_and_nan() {
    let device = Cpu::default();
    let low = f32::NEG_INFINITY;
    let x = device.tensor([[[[low, low, low], [low, low, low], [1.0, f32::NAN, 2.0]]]]);
    let pooled = max_pool2d(x, Floor::<2, 1>);
    let y = pooled.output.array()[0][0];
    assert_eq!(y[0], [low, low]);
    assert!(y[1].iter().all(|y| y.is_nan()));
    assert_eq!(pooled.indices.as_slice(), [0, 1, 7, 7]);
    let bordered = device.tensor([[[[low, low], [low, low]]]]);
    assert_eq!(max_pool2d(bordered, Floor::<2, 2, 1>).indices.as_slice(), [0, 1, 2, 3]);
}

/// Unpooling puts back what was picked; where windows share a maximum, it adds.
#[test]
fn unpooling_puts_back() {
    let device = Cpu::default();
    let x = device.tensor([[[[1.0_f64, 9.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]]]);
    let pooled = max_pool2d(x.clone(), Floor::<2, 1>);
    let back = max_unpool2d(pooled.output.clone(), &pooled.indices);
    assert_eq!(back.array(), [[[[0.0, 18.0, 0.0], [0.0, 0.0, 0.0], [0.0, 7.0, 8.0]]]]);
    assert_eq!(pick(x, &pooled.indices, pooled.output.shape()).array(), pooled.output.array());
}

/// Compile-time shapes are those of the numbers.
#[test]
fn types_and_numbers_agree() {
    let device = Cpu::default();
    let x: Tensor<Rank4<2, 3, 7, 6>, f32, Cpu> = random::Key::new(1).normal(&device, Default::default());
    let taps = Taps { kernel: 3, stride: 2, padding: 1, dilation: 1 };
    for rounding in [Rounding::Down, Rounding::Up] {
        let sliding = Sliding { rows: taps, cols: taps, rounding };
        let numbers = max_pool2d(x.clone(), sliding).output;
        let types = match rounding {
            Rounding::Down => max_pool2d(x.clone(), Floor::<3, 2, 1>).output.as_vec(),
            Rounding::Up => {
                let y: Tensor<Rank4<2, 3, 4, 4>, f32, Cpu> = max_pool2d(x.clone(), Ceil::<3, 2, 1>).output;
                y.as_vec()
            }
        };
        assert_eq!(types, numbers.as_vec(), "{rounding:?}");
    }
}
