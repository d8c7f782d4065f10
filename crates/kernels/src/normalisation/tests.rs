//! Values of PyTorch, closed forms, offsets.
use crate::random::Key;
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

/// The files hold 12 digits.
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

fn vector(value: &Value) -> Tensor<(usize,), f64, Cpu> {
    let numbers = numbers(value);
    let n = numbers.len();
    Cpu::default().tensor_from_vec(numbers, (n,))
}

#[test]
fn norms_of_maps_agree_with_pytorch() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/golden/pool_norm_resample.json")).unwrap();
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let (x, gy) = (|| maps(&case["x"]), || maps(&case["gy"]));
        let op = case["op"].as_str().unwrap();
        let x0 = x();
        let traced = x0.leaky_trace();
        let parameters = || (vector(&case["w"]), vector(&case["b"]));
        let (y, w, b) = match op {
            "batch_norm2d" => {
                let (w, b) = parameters();
                let before = [vector(&case["running_mean_before"]), vector(&case["running_var_before"])];
                if case["training"].as_bool().unwrap() {
                    let BatchNormed { output, moments } = batch_norm(traced, &w, &b, number("eps"), Identity);
                    let n = moments.count as f64;
                    let unbiased = moments.variance.as_vec().iter().map(|v| v * n / (n - 1.0)).collect();
                    let momentum = number("momentum");
                    for (after, (before, now)) in ["running_mean_after", "running_var_after"]
                        .into_iter()
                        .zip(before.iter().zip([moments.mean.as_vec(), unbiased]))
                    {
                        let average = |(old, new): (&f64, f64)| (1.0 - momentum) * old + momentum * new;
                        let got: Vec<f64> = before.as_vec().iter().zip(now).map(average).collect();
                        assert_close(&got, &case[after], after);
                    }
                    (output, Some(w), Some(b))
                } else {
                    let [mean, variance] = before;
                    let moments = BatchMoments { mean, variance, count: 2 };
                    let y = batch_norm_with(traced, &w, &b, &moments, number("eps"), Identity);
                    (y, Some(w), Some(b))
                }
            }
            "group_norm" => {
                let (w, b) = parameters();
                (group_norm(traced, number("groups") as usize, &w, &b, number("eps")), Some(w), Some(b))
            }
            "local_response_norm" => {
                let (size, k, alpha, beta) =
                    (number("n") as usize, number("k"), number("alpha"), number("beta"));
                let config = if case["convention"].as_str().unwrap().starts_with("paper") {
                    LocalResponse { size, k, alpha, beta }
                } else {
                    LocalResponse::averaged(size, k, alpha, beta)
                };
                (local_response_norm(traced, config), None, None)
            }
            _ => continue,
        };
        seen += 1;
        assert_close(&y.as_vec(), &case["y"], op);
        let gradients = (y * gy()).sum::<Rank0, _>().backward();
        assert_close(&gradients.get(&x0).as_vec(), &case["gx"], op);
        for (parameter, key) in [(w, "gw"), (b, "gb")] {
            if let Some(parameter) = parameter {
                assert_close(&gradients.get(&parameter).as_vec(), &case[key], key);
            }
        }
    }
    assert_eq!(seen, 7, "cases of normalisations in the file");
}

#[test]
fn norms_of_rows_agree_with_pytorch() {
    let file: Value = serde_json::from_str(include_str!("../../tests/golden/norms.json")).unwrap();
    let device = Cpu::default();

    let case = &file["layer_norm"];
    let x: Tensor<Rank2<3, 5>, f64, _> = device.tensor_from_vec(numbers(&case["x"]), Default::default());
    let gy: Tensor<Rank2<3, 5>, f64, _> = device.tensor_from_vec(numbers(&case["gy"]), Default::default());
    let w: Tensor<Rank1<5>, f64, _> = device.tensor(numbers(&case["w"]));
    let b: Tensor<Rank1<5>, f64, _> = device.tensor(numbers(&case["b"]));
    let y = layer_norm(x.leaky_trace(), &w, &b, case["eps"].as_f64().unwrap());
    assert_close(&y.as_vec(), &case["y"], "layer norm");
    let gradients = (y * gy).sum::<Rank0, _>().backward();
    assert_close(&gradients.get(&x).as_vec(), &case["gx"], "gx");
    assert_close(&gradients.get(&w).as_vec(), &case["gw"], "gw");
    assert_close(&gradients.get(&b).as_vec(), &case["gb"], "gb");

    let case = &file["batch_norm_1d"];
    let (w, b) = (vector(&case["gamma"]), vector(&case["beta"]));
    let shape = (case["x"].as_array().unwrap().len(), w.shape().0);
    let x = device.tensor_from_vec(numbers(&case["x"]), shape);
    let gy = device.tensor_from_vec(numbers(&case["upstream"]), shape);
    let epsilon = case["eps"].as_f64().unwrap();
    let BatchNormed { output, .. } = batch_norm(x.leaky_trace(), &w, &b, epsilon, Identity);
    assert_close(&output.as_vec(), &case["y"], "batch norm");
    let gradients = (output * gy).sum::<Rank0, _>().backward();
    assert_close(&gradients.get(&x).as_vec(), &case["dx"], "dx");
    assert_close(&gradients.get(&w).as_vec(), &case["dgamma"], "dgamma");
    assert_close(&gradients.get(&b).as_vec(), &case["dbeta"], "dbeta");
    let (mean, variance) = (vector(&case["running_mean"]), vector(&case["running_var"]));
    let moments = BatchMoments { mean, variance, count: shape.0 };
    let y = batch_norm_with(x, &w, &b, &moments, epsilon, Identity);
    assert_close(&y.as_vec(), &case["y_eval"], "evaluation");

    let case = &file["spectral"];
    let w: Tensor<Rank2<4, 6>, f64, _> = device.tensor_from_vec(numbers(&case["matrix"]), Default::default());
    let mut pair = Spectral { left: device.tensor(numbers(&case["u0"])), right: device.zeros::<Rank1<6>>() };
    for sigma in numbers(&case["power_iterations"]) {
        pair = power_iteration(&w, &pair, 1e-12);
        let got = w.array()[2][3] / spectral_norm(w.clone(), &pair).array()[2][3];
        assert!((got - sigma).abs() <= 1e-12 * sigma, "{got} instead of {sigma}");
    }
    for _ in 0..200 {
        pair = power_iteration(&w, &pair, 1e-12);
    }
    let sigma = case["spectral_norm"].as_f64().unwrap();
    let got = w.array()[0][0] / spectral_norm(w.clone(), &pair).array()[0][0];
    assert!((got - sigma).abs() <= 1e-12 * sigma, "{got} instead of {sigma}");
}

/// An offset a million times the spread costs f32 the digits of x itself, and no more.
#[test]
fn offsets_cost_no_digit_of_the_variance() {
    let device = Cpu::default();
    let mut z = vec![0.0_f32; 4000];
    Key::new(5).fill_normal(&mut z);
    // Steps of 1/16 are exact up to 2²⁰.
    let z: Vec<f32> = z.iter().map(|z| (z * 16.0).round() / 16.0).collect();
    let moved: Vec<f32> = z.iter().map(|z| z + 1_000_000.0).collect();
    let (w, b) = (device.ones::<Rank1<4>>(), device.zeros::<Rank1<4>>());
    for inner in [1, 100] {
        let run = |x: &[f32]| {
            let x: Tensor<(usize, Const<4>, usize), f32, _> =
                device.tensor_from_vec(x.to_vec(), (1000 / inner, Const, inner));
            let normed = batch_norm(x.clone(), &w, &b, 0.0, Identity);
            let grouped = group_norm(x, 2, &w, &b, 1e-12);
            (normed.output.as_vec(), normed.moments.variance.as_vec(), grouped.as_vec())
        };
        let (near, far) = (run(&z), run(&moved));
        for (near, far) in [(near.0, far.0), (near.1, far.1)] {
            for (near, far) in near.iter().zip(&far) {
                assert!((near - far).abs() <= 3e-6, "{near} and {far} with {inner} positions");
            }
        }
        if inner > 1 {
            for (near, far) in near.2.iter().zip(&far.2) {
                assert!((near - far).abs() <= 3e-6, "{near} and {far} in groups");
            }
        }
    }
}

/// What scales all inputs of a layer by a positive number changes nothing behind a normalisation.
#[test]
fn norms_ignore_scale() {
    let device = Cpu::default();
    let x = Key::new(6).normal::<Rank4<3, 4, 5, 2>, f64, _>(&device, Default::default());
    let (w, b) = (device.ones::<Rank1<4>>(), device.zeros::<Rank1<4>>());
    let close = |a: Vec<f64>, b: Vec<f64>| {
        a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 1e-13, "{a} and {b}"));
    };
    let scaled = || x.clone() * 64.0;
    close(
        batch_norm(x.clone(), &w, &b, 0.0, Relu).output.as_vec(),
        batch_norm(scaled(), &w, &b, 0.0, Relu).output.as_vec(),
    );
    close(instance_norm(x.clone(), 0.0).as_vec(), instance_norm(scaled(), 0.0).as_vec());
    close(group_norm(x.clone(), 4, &w, &b, 0.0).as_vec(), instance_norm(x.clone(), 0.0).as_vec());
    let (w, b) = (device.ones::<Rank1<2>>(), device.zeros::<Rank1<2>>());
    close(layer_norm(x.clone(), &w, &b, 0.0).as_vec(), layer_norm(scaled(), &w, &b, 0.0).as_vec());
    close(rms_norm(x.clone(), &w, 0.0).as_vec(), rms_norm(scaled(), &w, 0.0).as_vec());
}

/// A NaN stays where its mean reaches, and shows there.
#[test]
fn a_nan_shows() {
    let device = Cpu::default();
    let x = device.tensor([[1.0_f32, f32::NAN], [2.0, 3.0], [4.0, 5.0]]);
    let normed = batch_norm(x.clone(), &device.ones(), &device.zeros(), 1e-5, Relu);
    assert!(normed.output.array().iter().all(|row| !row[0].is_nan() && row[1].is_nan()));
    assert!(normed.moments.variance.array()[1].is_nan());
    let y = layer_norm(x, &device.ones(), &device.zeros(), 1e-5).array();
    assert!(y[0].iter().all(|y| y.is_nan()) && y[1].iter().all(|y| !y.is_nan()));
}
