//! Against PyTorch, against loops that anyone can check, and against the errors that shapes must give.
use super::*;
use crate::pool::with_threads;
use crate::random::Key;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value["data"].as_array().expect("data").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn lengths<const N: usize>(value: &Value) -> [usize; N] {
    let lengths = value.as_array().expect("lengths");
    assert_eq!(lengths.len(), N);
    std::array::from_fn(|i| lengths[i].as_u64().expect("a length") as usize)
}

fn tensor(value: &Value) -> Tensor<(usize, usize, usize, usize), f64, Cpu> {
    let [n, c, h, w] = lengths(&value["shape"]);
    Cpu::default().tensor_from_vec(numbers(value), (n, c, h, w))
}

/// The files hold 12 digits.
#[track_caller]
fn assert_close(got: &[f64], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= 1e-11 * want.abs().max(1.0), "{what} [{i}]: {got} instead of {want}");
    }
}

fn agrees_with_pytorch(file: &str, transposed: bool) {
    let file: Value = serde_json::from_str(file).expect("a generator wrote it");
    let cases = file["cases"].as_array().expect("cases");
    assert!(cases.len() >= 9);
    for (i, case) in cases.iter().enumerate() {
        let (x, w) = (tensor(&case["x"]), tensor(&case["w"]));
        let y_shape: [usize; 4] = lengths(&case["y"]["shape"]);
        let bias = case.get("b").map(|b| {
            let b = numbers(b);
            let n = b.len();
            Cpu::default().tensor_from_vec(b, (n,))
        });
        let [stride, padding, dilation]: [[usize; 2]; 3] =
            ["stride", "padding", "dilation"].map(|key| lengths(&case[key]));
        let groups = case["groups"].as_u64().expect("groups") as usize;
        let (image, windows) = match transposed {
            false => (x.shape().concrete(), y_shape),
            true => (y_shape, x.shape().concrete()),
        };
        let kernel = [w.shape().2, w.shape().3];
        let axis = |a: usize| {
            let taps =
                Taps { kernel: kernel[a], stride: stride[a], padding: padding[a], dilation: dilation[a] };
            if transposed {
                let output_padding: [usize; 2] = lengths(&case["output_padding"]);
                assert_eq!(taps.transposed(windows[2 + a], output_padding[a]).unwrap(), image[2 + a]);
            } else {
                assert_eq!(taps.positions(image[2 + a]).unwrap(), windows[2 + a]);
            }
            Axis { extent: image[2 + a], windows: windows[2 + a], taps }
        };
        let sizes = Sizes {
            images: image[0],
            groups,
            image_channels: image[1] / groups,
            window_channels: windows[1] / groups,
            y: axis(0),
            x: axis(1),
            input_gradient: InputGradient::Needed,
            activation: ActivationKind::Identity,
        };
        let shape = (y_shape[0], y_shape[1], y_shape[2], y_shape[3]);
        let y = match transposed {
            false => Cpu::conv2d(x.leaky_trace(), &w, bias.as_ref(), sizes, shape),
            true => Cpu::conv_transpose2d(x.leaky_trace(), &w, bias.as_ref(), sizes, shape),
        }
        .unwrap();
        assert_close(&y.as_vec(), &numbers(&case["y"]), &format!("y of case {i}"));
        let grads = (y * tensor(&case["gy"])).sum::<(), _>().backward();
        assert_close(&grads.get(&x).as_vec(), &numbers(&case["gx"]), &format!("gx of case {i}"));
        assert_close(&grads.get(&w).as_vec(), &numbers(&case["gw"]), &format!("gw of case {i}"));
        if let Some(bias) = &bias {
            assert_close(&grads.get(bias).as_vec(), &numbers(&case["gb"]), &format!("gb of case {i}"));
        }
    }
}

#[test]
fn convolution_agrees_with_pytorch() {
    agrees_with_pytorch(include_str!("../../tests/golden/conv2d.json"), false);
}

#[test]
fn transposed_convolution_agrees_with_pytorch() {
    agrees_with_pytorch(include_str!("../../tests/golden/conv_transpose2d.json"), true);
}

/// Both sides, weights and biases of a convolution, drawn.
struct Drawn {
    sizes: Sizes,
    image: Vec<f64>,
    windows: Vec<f64>,
    weight: Vec<f64>,
    biases: [Vec<f64>; 2],
}

/// Windows from the image, what is added to the image, an image from windows, and the gradient of the weight: eight
/// loops.
fn by_loops(Drawn { sizes: s, image, windows, weight, biases }: &Drawn) -> [Vec<f64>; 4] {
    let (ci, co, [y, x]) = (s.image_channels, s.window_channels, [s.y, s.x]);
    let spread = |bias: &[f64], len: usize, plane: usize| -> Vec<f64> {
        (0..len).map(|i| bias[i / plane % bias.len()]).collect()
    };
    let mut to_windows = spread(&biases[0], windows.len(), y.windows * x.windows);
    let mut to_image = spread(&biases[1], image.len(), y.extent * x.extent);
    let (mut added, mut to_weight) = (vec![0.0; image.len()], vec![0.0; weight.len()]);
    let position = |axis: Axis, window: usize, tap: usize| {
        let at = (window * axis.taps.stride + tap * axis.taps.dilation).checked_sub(axis.taps.padding)?;
        (at < axis.extent).then_some(at)
    };
    for (n, g, o, c) in indices(s.images, s.groups, co, ci) {
        for (u, v, i, j) in indices(y.taps.kernel, x.taps.kernel, y.windows, x.windows) {
            let (Some(row), Some(column)) = (position(y, i, u), position(x, j, v)) else { continue };
            let w = (((g * co + o) * ci + c) * y.taps.kernel + u) * x.taps.kernel + v;
            let at = (((n * s.groups + g) * ci + c) * y.extent + row) * x.extent + column;
            let window = (((n * s.groups + g) * co + o) * y.windows + i) * x.windows + j;
            to_windows[window] += weight[w] * image[at];
            added[at] += weight[w] * windows[window];
            to_image[at] += weight[w] * windows[window];
            to_weight[w] += image[at] * windows[window];
        }
    }
    if s.activation == ActivationKind::Relu {
        to_windows.iter_mut().chain(&mut to_image).for_each(|y| *y = y.max(0.0));
    }
    [to_windows, added, to_image, to_weight]
}

/// Four loops in one.
fn indices(a: usize, b: usize, c: usize, d: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |i| (i / (b * c * d), i / (c * d) % b, i / d % c, i % d))
}

/// The same by the maps; the gradients are added to something.
fn by_maps(Drawn { sizes, image, windows, weight, biases }: &Drawn) -> [Vec<f64>; 4] {
    let mut to_windows = vec![f64::NAN; windows.len()];
    maps::to_windows(sizes, image, weight, Some(Some(&biases[0])), &mut to_windows);
    let mut to_image = vec![f64::NAN; image.len()];
    maps::to_image(sizes, windows, weight, Some(Some(&biases[1])), &mut to_image);
    let (mut added, mut to_weight) = (vec![0.5; image.len()], vec![0.25; weight.len()]);
    maps::to_image(sizes, windows, weight, None, &mut added);
    let mut sums = vec![f64::NAN; maps::partial_sums(sizes, weight.len())];
    maps::to_weights(sizes, image, windows, &mut sums, &mut to_weight);
    added.iter_mut().for_each(|x| *x -= 0.5);
    to_weight.iter_mut().for_each(|w| *w -= 0.25);
    [to_windows, added, to_image, to_weight]
}

/// Kernels, steps, paddings and groups of all kinds, of one part and of many.
#[test]
fn maps_agree_with_loops_on_drawn_shapes() {
    let mut draws = Key::new(10).rng();
    let mut below = move |n: usize| draws.below(n as u64) as usize;
    let mut drawn = 0;
    while drawn < 80 {
        let most = if drawn % 10 == 0 { 20 } else { 7 };
        let [images, groups, ci, co] = [1 + below(most), 1 + below(4), 1 + below(most), 1 + below(most)];
        let mut taps =
            || Taps { kernel: 1 + below(5), stride: 1 + below(3), padding: below(5), dilation: 1 + below(3) };
        let taps = [taps(), taps()];
        let extents = [1 + below(19), 1 + below(34)];
        let activation = [ActivationKind::Identity, ActivationKind::Relu][below(2)];
        let [Ok(rows), Ok(columns)] = [0, 1].map(|a: usize| taps[a].positions(extents[a])) else { continue };
        drawn += 1;
        let sizes = Sizes {
            images,
            groups,
            image_channels: ci,
            window_channels: co,
            y: Axis { extent: extents[0], windows: rows, taps: taps[0] },
            x: Axis { extent: extents[1], windows: columns, taps: taps[1] },
            input_gradient: InputGradient::Needed,
            activation,
        };
        let normal = |seed: u64, n: usize| -> Vec<f64> {
            Key::new(seed).normal::<_, f64, _>(&Cpu::default(), (n,)).as_vec()
        };
        let data = Drawn {
            sizes,
            image: normal(1, images * groups * ci * extents[0] * extents[1]),
            windows: normal(2, images * groups * co * rows * columns),
            weight: normal(3, groups * co * ci * taps[0].kernel * taps[1].kernel),
            biases: [normal(4, groups * co), normal(5, groups * ci)],
        };
        let (got, want) = (with_threads(1, || by_maps(&data)), by_loops(&data));
        assert!(with_threads(3, || by_maps(&data)) == got, "threads change bits: {sizes:?}");
        for (what, (got, want)) in got.iter().zip(&want).enumerate() {
            for (got, want) in got.iter().zip(want) {
                assert!(
                    (got - want).abs() <= 1e-12 * (1.0 + want.abs()),
                    "map {what}: {got}, {want}, {sizes:?}"
                );
            }
        }
    }
}

/// A sequence is an image of height 1, values and gradients to the bit.
#[test]
fn sequences_are_images_of_height_one() {
    let device = Cpu::default();
    let x = Key::new(6).normal::<Rank3<2, 4, 11>, f64, _>(&device, Default::default());
    let w = Key::new(7).normal::<Rank3<6, 2, 3>, f64, _>(&device, Default::default());
    let b = Key::new(8).normal::<Rank1<6>, f64, _>(&device, Default::default());
    let line = Convolution::line(Steps::<2, 3, 2>).in_groups::<2>().with_activation(crate::Relu);
    let y: Tensor<Rank3<2, 6, 7>, f64, _, _> = conv1d(x.leaky_trace(), &w, Some(&b), line);
    let image = x.clone().reshape::<Rank4<2, 4, 1, 11>>();
    let square = Convolution::new(Steps::<1>, Steps::<2, 3, 2>).in_groups::<2>().with_activation(crate::Relu);
    let kernel = w.clone().reshape::<Rank4<6, 2, 1, 3>>();
    let want = conv2d(image.leaky_trace(), &kernel, Some(&b), square);
    assert_eq!(y.as_vec(), want.as_vec());
    assert!(y.as_vec().contains(&0.0) && y.as_vec().iter().any(|&y| y > 0.0));
    let (got, want) = (y.square().sum::<(), _>().backward(), want.square().sum::<(), _>().backward());
    assert_eq!(got.get(&x).as_vec(), want.get(&image).as_vec());
    assert_eq!(got.get(&w).as_vec(), want.get(&kernel).as_vec());
    assert_eq!(got.get(&b).array(), want.get(&b).array());

    let w = Key::new(9).normal::<Rank3<4, 3, 3>, f64, _>(&device, Default::default());
    let kernel = w.clone().reshape::<Rank4<4, 3, 1, 3>>();
    let up = OutputPadding::<0, 1>;
    let line = Convolution::line(Steps::<2, 1>).in_groups::<2>();
    let y: Tensor<Rank3<2, 6, 22>, f64, _> = conv_transpose1d(x.clone(), &w, Some(&b), line, up);
    let square = Convolution::new(Steps::<1>, Steps::<2, 1>).in_groups::<2>();
    assert_eq!(y.as_vec(), conv_transpose2d(image, &kernel, Some(&b), square, up).as_vec());
}

/// A kernel with a single 1 copies its input; constant shapes come out constant.
#[test]
fn a_delta_kernel_is_the_identity() {
    let device = Cpu::default();
    let x = Key::new(1).normal::<Rank4<2, 1, 5, 6>, f32, _>(&device, Default::default());
    let mut delta = device.zeros::<Rank4<1, 1, 3, 3>>();
    delta[[0, 0, 1, 1]] = 1.0;
    let y: Tensor<Rank4<2, 1, 5, 6>, f32, _> =
        conv2d(x.clone(), &delta, None, Convolution::square(Steps::<1, 1>));
    assert_eq!(y.array(), x.array());
}

#[test]
fn a_skipped_input_gradient_is_not_computed() {
    let device = Cpu::default();
    let x = Key::new(2).normal::<Rank4<2, 3, 5, 5>, f64, _>(&device, Default::default());
    let w = Key::new(3).normal::<Rank4<4, 3, 3, 3>, f64, _>(&device, Default::default());
    let run = |wanted| {
        let convolution = Convolution::square(Steps::<1, 1>).with_input_gradient(wanted);
        conv2d(x.leaky_trace(), &w, None, convolution).square().sum::<(), _>().backward()
    };
    let (needed, mut skipped) = (run(InputGradient::Needed), run(InputGradient::Skipped));
    assert!(skipped.get_or_alloc_mut(&x).unwrap().iter().all(|&g| g == 0.0), "allocated here, as zeros");
    assert!(needed.get(&x).as_vec().iter().any(|&g| g != 0.0));
    assert_eq!(needed.get(&w).array(), skipped.get(&w).array());
}

/// `pool_norm_resample.json` holds PyTorch's `unfold`, with `fold` of the output's gradient as gradient.
#[test]
fn patches_agree_with_pytorch() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/golden/pool_norm_resample.json")).unwrap();
    let mut seen = 0;
    for case in file["cases"].as_array().expect("cases").iter().filter(|case| case["op"] == "im2col") {
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let taps = [Taps {
            kernel: number("kernel"),
            stride: number("stride"),
            padding: number("padding"),
            dilation: number("dilation"),
        }; 2];
        let x = tensor(&case["x"]);
        let y = im2col(x.leaky_trace(), taps);
        assert_eq!(y.shape().concrete(), lengths::<3>(&case["y"]["shape"]));
        assert_close(&y.as_vec(), &numbers(&case["y"]), "y");
        let gy = Cpu::default().tensor_from_vec(numbers(&case["gy"]), *y.shape());
        let (_, c, h, w) = *x.shape();
        assert_close(&col2im(gy.clone(), (c, h, w), taps).as_vec(), &numbers(&case["gx"]), "fold");
        let grads = (y * gy).sum::<(), _>().backward();
        assert_close(&grads.get(&x).as_vec(), &numbers(&case["gx"]), "gx");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// The convolution is the product of the weights with the patches, and the patches of ones add up to the number of
/// windows of each pixel.
#[test]
fn a_convolution_is_a_product_with_the_patches() {
    let device = Cpu::default();
    let x = Key::new(11).normal::<Rank4<2, 3, 7, 6>, f64, _>(&device, Default::default());
    let w = Key::new(12).normal::<Rank4<4, 3, 3, 3>, f64, _>(&device, Default::default());
    let y: Tensor<Rank4<2, 4, 4, 3>, f64, _> =
        conv2d(x.clone(), &w, None, Convolution::square(Steps::<2, 1>));
    let taps = [Taps { kernel: 3, stride: 2, padding: 1, dilation: 1 }; 2];
    let w = w.reshape::<Rank2<4, 27>>().realize::<(usize, usize)>();
    for (columns, want) in im2col(x, taps).as_vec().chunks(27 * 12).zip(y.as_vec().chunks(4 * 12)) {
        let columns = device.tensor_from_vec(columns.to_vec(), (27, 12));
        assert_close(&crate::matmul(w.clone(), columns).as_vec(), want, "a product");
    }
    let ones: Tensor<Rank4<1, 1, 4, 4>, f64, _> = device.ones();
    let taps = [Taps { kernel: 3, stride: 1, padding: 1, dilation: 1 }; 2];
    let seen = col2im(im2col(ones, taps), (Const::<1>, Const::<4>, Const::<4>), taps);
    let edge = [4.0, 6.0, 6.0, 4.0];
    assert_eq!(seen.array(), [[[edge, edge.map(|n| 1.5 * n), edge.map(|n| 1.5 * n), edge]]]);
}

/// The run-time twins give the bits of the functions of types, of images and of sequences.
#[test]
fn run_time_twins_give_the_same_bits() {
    let device = Cpu::default();
    let x = Key::new(13).normal::<Rank4<2, 4, 9, 8>, f64, _>(&device, Default::default());
    let w = Key::new(14).normal::<Rank4<6, 2, 3, 2>, f64, _>(&device, Default::default());
    let b = Key::new(15).normal::<Rank1<6>, f64, _>(&device, Default::default());
    let typed =
        Convolution::new(Steps::<2, 1, 2>, Steps::<1, 1, 3>).in_groups::<2>().with_activation(crate::Relu);
    let numbers = DynConvolution {
        stride: [2, 1],
        padding: [1, 1],
        dilation: [2, 3],
        groups: 2,
        activation: ActivationKind::Relu,
        ..DynConvolution::default()
    };
    let bias = b.clone().realize::<(usize,)>();
    let y = try_conv2d_dyn(x.leaky_trace(), &w, Some(&bias), numbers).unwrap();
    let want: Tensor<Rank4<2, 6, 4, 7>, f64, _, _> = conv2d(x.leaky_trace(), &w, Some(&b), typed);
    assert_eq!((y.shape(), y.as_vec()), (&(Const, 6, 4, 7), want.as_vec()));
    let (got, want) = (y.square().sum::<(), _>().backward(), want.square().sum::<(), _>().backward());
    assert_eq!(got.get(&w).as_vec(), want.get(&w).as_vec());
    assert_eq!(got.get(&x).as_vec(), want.get(&x).as_vec());

    let v = Key::new(16).normal::<Rank4<4, 3, 3, 2>, f64, _>(&device, Default::default());
    let up = DynConvolution { output_padding: [1, 0], ..numbers };
    let y = try_conv_transpose2d_dyn(x.clone(), &v, Some(&bias), up).unwrap();
    let want = conv_transpose2d(x.clone(), &v, Some(&b), typed, OutputPadding::<1, 0>);
    assert_eq!(y.as_vec(), want.as_vec());

    let line = x.reshape::<Rank3<2, 12, 24>>();
    let v = v.reshape::<Rank3<12, 2, 3>>();
    let y = try_conv_transpose2d_dyn(line.clone(), &v, None, up).unwrap();
    let steps = Convolution::line(Steps::<1, 1, 3>).in_groups::<2>().with_activation(crate::Relu);
    let want = conv_transpose1d(line.clone(), &v, None, steps, OutputPadding::<0, 0>);
    assert_eq!((y.shape(), y.as_vec()), (&(Const, 4, 28), want.as_vec()));
    let w = w.reshape::<Rank3<2, 6, 6>>();
    let y = try_conv2d_dyn(line.clone(), &w, None, numbers).unwrap();
    let want: Tensor<Rank3<2, 2, 11>, f64, _> = conv1d(line, &w, None, steps);
    assert_eq!(y.as_vec(), want.as_vec());
}
