//! Whole networks against torchvision's: names, wiring, strides, paddings and pooling in one.
//!
//! A network's plan is evaluated by loops and a matrix product, on weights that are made from torchvision's names when
//! they are needed: no type of a network is compiled. That its modules compute what their plans say is tested module by
//! module, in `torchvision`, `networks` and in `layers`.
use convnets::resnet::ResNet18;
use convnets::slim::{EPSILON, GoogLeNet, InceptionV3};
use convnets::torchvision::Layout;
use convnets::vgg::{Block2, Block3};
use kernels::{ActivationKind, activate};
use layers::assert_close;
use layers::plan::{Map, Plan, Planned, Reduction, Rounding, Taps};
use layers::prelude::*;
use layers::testing::Golden;
use std::collections::{BTreeMap, BTreeSet};

/// VGG-16 with a sixteenth of the channels, on 64×96 pixels.
type NarrowVgg = (
    (Block2<3, 4>, Block2<4, 8>, Block3<8, 16>, Block3<16, 32>, Block3<32, 32>),
    (Flatten, (Linear<192, 64, Relu>, Dropout), (Linear<64, 64, Relu>, Dropout), Linear<64, 10>),
);

/// One image.
#[derive(Clone)]
struct Maps {
    shape: Map,
    values: Vec<f64>,
}

/// `n` numbers in \[0, 1): FNV-1a of the name, a Weyl sequence from there, the finaliser of MurmurHash3.
fn draws(name: &str, n: usize) -> impl Iterator<Item = f64> {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..n as u32).map(move |k| {
        let mut x = hash.wrapping_add(k.wrapping_mul(0x9e37_79b9));
        x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
        x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        f64::from(x ^ (x >> 16)) / 2_f64.powi(32)
    })
}

struct Network<'a> {
    /// torchvision's names of the tensors, by ours.
    keys: BTreeMap<String, String>,
    /// Of its normalisations, which a plan does not hold.
    epsilon: f64,
    /// Parts whose outputs are in the golden file, by our paths.
    parts: BTreeMap<&'a str, &'a str>,
    golden: &'a Golden,
    name: &'a str,
    compared: BTreeSet<&'a str>,
}

impl Network<'_> {
    /// Weights are uniform with the variance 2 / fan in, gains and variances lie in [¾, 5⁄4), all else in [-0.1, 0.1).
    fn tensor(&self, path: &str, name: &str, n: usize) -> Vec<f64> {
        let key = &self.keys[&format!("{path}.{name}")];
        let is_gain = name == "weight" || name == "running_var";
        draws(key, n).map(|u| if is_gain { 0.75 + 0.5 * u } else { 0.2 * (u - 0.5) }).collect()
    }

    fn weights(&self, path: &str, rows: usize, fan_in: usize) -> Vec<f64> {
        let scale = (6.0 / fan_in as f64).sqrt();
        let key = &self.keys[&format!("{path}.weight")];
        draws(key, rows * fan_in).map(|u| scale * (2.0 * u - 1.0)).collect()
    }

    /// A layer: weights times columns, a bias for each row, an activation.
    fn linear(
        &self,
        path: &str,
        to: usize,
        columns: Vec<f64>,
        size: [usize; 2],
        (is_biased, activation): (bool, ActivationKind),
    ) -> Vec<f64> {
        let dev = Cpu::default();
        let weights = dev.tensor_from_vec(self.weights(path, to, size[0]), (to, size[0]));
        let product = weights.matmul(dev.tensor_from_vec(columns, (size[0], size[1])));
        let mut values = product.as_vec();
        if is_biased {
            let bias = self.tensor(path, "bias", to);
            for (row, bias) in values.chunks_exact_mut(size[1]).zip(bias) {
                row.iter_mut().for_each(|value| *value += bias);
            }
        }
        applied(values, activation)
    }

    fn run(&mut self, plan: &Plan, path: &str, x: Maps) -> Maps {
        let child = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let place = |part: &Plan, i: usize| match part {
            Plan::Named(..) => path.to_owned(),
            _ => child(&i.to_string()),
        };
        let [channels, rows, cols] = x.shape;
        let area = rows * cols;
        let y = match *plan {
            Plan::Chain(parts) => {
                parts.iter().enumerate().fold(x, |x, (i, part)| self.run(part, &place(part, i), x))
            }
            Plan::Repeat(part, n) => (0..n).fold(x, |x, i| self.run(part, &child(&i.to_string()), x)),
            Plan::Named(name, part) => self.run(part, &child(name), x),
            Plan::Branches(parts) => {
                let mut all = Maps { shape: [0; 3], values: Vec::new() };
                for (i, part) in parts.iter().enumerate() {
                    let y = self.run(part, &place(part, i), x.clone());
                    all.shape = [all.shape[0] + y.shape[0], y.shape[1], y.shape[2]];
                    all.values.extend(y.values);
                }
                all
            }
            // The ReLU of a residual block comes after the sum, and is not in its plan.
            Plan::Sum([branch, shortcut]) => {
                let mut sum = self.run(branch, &place(branch, 0), x.clone());
                let other = self.run(shortcut, &place(shortcut, 1), x);
                assert_eq!(sum.shape, other.shape, "{path}");
                sum.values.iter_mut().zip(other.values).for_each(|(sum, other)| *sum += other);
                Maps { values: applied(sum.values, ActivationKind::Relu), ..sum }
            }
            Plan::Convolution { from, to, taps, groups: 1, is_biased, activation } => {
                assert_eq!(channels, from, "{path}");
                let (columns, [height, width]) = patches(&x, taps);
                let size = [from * taps[0].kernel * taps[1].kernel, height * width];
                let values = self.linear(path, to, columns, size, (is_biased, activation));
                Maps { shape: [to, height, width], values }
            }
            Plan::Linear { from, to, is_biased, activation } => {
                assert_eq!(x.shape, [from, 1, 1], "{path}");
                let values = self.linear(path, to, x.values, [from, 1], (is_biased, activation));
                Maps { shape: [to, 1, 1], values }
            }
            Plan::PerChannel { channels: n, params: 2, activation } => {
                assert_eq!(n, channels, "{path}");
                let [gain, offset, mean, variance] =
                    ["weight", "bias", "running_mean", "running_var"].map(|name| self.tensor(path, name, n));
                let mut values = x.values;
                for (c, plane) in values.chunks_exact_mut(area).enumerate() {
                    let scale = gain[c] / (variance[c] + self.epsilon).sqrt();
                    plane.iter_mut().for_each(|value| *value = (*value - mean[c]) * scale + offset[c]);
                }
                Maps { shape: x.shape, values: applied(values, activation) }
            }
            Plan::Pool { taps, rounding, reduction } => pooled(&x, taps, rounding, reduction),
            // Of these networks: the mean.
            Plan::Global => Maps {
                shape: [channels, 1, 1],
                values: x
                    .values
                    .chunks_exact(area)
                    .map(|plane| plane.iter().sum::<f64>() / area as f64)
                    .collect(),
            },
            Plan::Flatten => Maps { shape: [channels * area, 1, 1], values: x.values },
            Plan::Activation(kind) => Maps { shape: x.shape, values: applied(x.values, kind) },
            Plan::Pointwise => x,
            other => panic!("{path}: {other:?} is in none of these networks"),
        };
        if let Some(part) = self.parts.get(path) {
            let at = |key: &str| format!("networks/{}/outputs/{part}/{key}", self.name);
            let shape: Vec<f64> = [1].iter().chain(&y.shape).map(|&n| n as f64).collect();
            let published = self.golden.numbers(&at("shape"));
            if shape[..published.len()] != published[..] {
                return y; // a part of it with a name of its own, on the way
            }
            let norm = y.values.iter().map(|y| y * y).sum::<f64>().sqrt();
            // Twelve digits are in the file, and a hundred layers of sums in another order cost three of them.
            assert_close!(norm, self.golden.number(&at("norm")), 1e-9, 0.0, "{} {part}", self.name);
            let step = self.golden.number(&at("step")) as usize;
            let some: Vec<f64> = y.values.iter().copied().step_by(step).collect();
            assert_close!(some, self.golden.numbers(&at("some")), 1e-9, 1e-9, "{} {part}", self.name);
            self.compared.insert(part);
        }
        y
    }
}

fn applied(values: Vec<f64>, kind: ActivationKind) -> Vec<f64> {
    let n = values.len();
    activate(Cpu::default().tensor_from_vec(values, (n,)), kind).as_vec()
}

/// The pixel under a tap, none in the padding.
fn under(taps: Taps, output: usize, tap: usize, extent: usize) -> Option<usize> {
    (output * taps.stride + tap * taps.dilation).checked_sub(taps.padding).filter(|at| *at < extent)
}

/// The patches of an image as columns, and how many lie below and beside each other.
fn patches(x: &Maps, [down, across]: [Taps; 2]) -> (Vec<f64>, [usize; 2]) {
    let [channels, rows, cols] = x.shape;
    let (height, width) = (down.positions(rows).unwrap(), across.positions(cols).unwrap());
    let mut columns = Vec::with_capacity(channels * down.kernel * across.kernel * height * width);
    for plane in x.values.chunks_exact(rows * cols) {
        for (u, v) in (0..down.kernel).flat_map(|u| (0..across.kernel).map(move |v| (u, v))) {
            for i in 0..height {
                let row = under(down, i, u, rows);
                columns.extend((0..width).map(|j| match (row, under(across, j, v, cols)) {
                    (Some(row), Some(col)) => plane[row * cols + col],
                    _ => 0.0,
                }));
            }
        }
    }
    (columns, [height, width])
}

fn pooled(x: &Maps, [down, across]: [Taps; 2], rounding: Rounding, reduction: Reduction) -> Maps {
    let [channels, rows, cols] = x.shape;
    let height = down.pool_positions(rows, rounding).unwrap();
    let width = across.pool_positions(cols, rounding).unwrap();
    let mut values = Vec::with_capacity(channels * height * width);
    for plane in x.values.chunks_exact(rows * cols) {
        for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
            let pixels = (0..down.kernel).filter_map(|u| under(down, i, u, rows)).flat_map(|row| {
                let cols_seen = (0..across.kernel).filter_map(|v| under(across, j, v, cols));
                cols_seen.map(move |col| plane[row * cols + col])
            });
            values.push(match reduction {
                Reduction::Max => pixels.fold(f64::NEG_INFINITY, f64::max),
                // The padding counts.
                Reduction::Average => pixels.sum::<f64>() / (down.kernel * across.kernel) as f64,
            });
        }
    }
    Maps { shape: [channels, height, width], values }
}

/// Runs a plan and compares the parts, by our paths; the path of the whole is empty.
fn compare(
    golden: &Golden,
    name: &str,
    layout: Layout,
    (plan, epsilon): (Plan, f64),
    parts: &[(&str, &str)],
) {
    let size = |key: &str| golden.number(&format!("networks/{name}/{key}")) as usize;
    let shape = [3, size("rows"), size("columns")];
    let rows = plan.rows(shape).unwrap();
    let tensors = ["weight", "bias", "running_mean", "running_var"];
    let names: Vec<String> = rows
        .iter()
        .filter(|row| row.cost.params > 0)
        .flat_map(|row| tensors.map(|tensor| format!("{}.{tensor}", row.path)))
        .collect();
    let keys = layout.keys(names.iter().map(String::as_str));
    let parts = parts.iter().copied().collect();
    let mut network = Network { keys, epsilon, parts, golden, name, compared: BTreeSet::new() };
    let pixels = draws("pixels", shape.iter().product()).map(|u| 2.0 * u - 1.0).collect();
    network.run(&plan, "", Maps { shape, values: pixels });
    assert_eq!(network.compared.len(), network.parts.len(), "{name}");
}

#[test]
fn networks_compute_what_torchvisions_do() {
    let golden = Golden::open(crate::golden("torchvision.json"));
    let usual = 1e-5;
    compare(
        &golden,
        "vgg16",
        Layout::Vgg,
        (NarrowVgg::PLAN, usual),
        &[
            ("0.0", "features.4"),
            ("0.1", "features.9"),
            ("0.2", "features.16"),
            ("0.3", "features.23"),
            ("0.4", "features.30"),
            ("", "logits"),
        ],
    );
    compare(
        &golden,
        "resnet18",
        Layout::ResNet,
        (ResNet18::<10>::PLAN, usual),
        &[("1", "layer1"), ("2", "layer2"), ("3", "layer3"), ("4", "layer4"), ("", "logits")],
    );
    compare(
        &golden,
        "googlenet",
        Layout::GoogLeNet,
        (GoogLeNet::<10>::PLAN, EPSILON),
        &[
            ("early.0.1.1", "conv3"),
            ("early.1.1", "inception3b"),
            ("early.2", "inception4a"),
            ("middle.2", "inception4d"),
            ("late.0.0", "inception4e"),
            ("late.1.1", "inception5b"),
            ("", "logits"),
        ],
    );
    compare(
        &golden,
        "inception_v3",
        Layout::InceptionV3,
        (InceptionV3::<10>::PLAN, EPSILON),
        &[
            ("0.1.1", "Conv2d_4a_3x3"),
            ("1.2", "Mixed_5d"),
            ("2.0", "Mixed_6a"),
            ("2.3", "Mixed_6e"),
            ("3.0", "Mixed_7a"),
            ("3.2", "Mixed_7c"),
            ("", "logits"),
        ],
    );
    for other in ["source", "norm", "layers", "modules", "preprocess"] {
        golden.skip(other);
    }
    golden.finish();
}
