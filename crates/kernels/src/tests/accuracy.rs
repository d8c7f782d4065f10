//! Errors of the activation functions and of their slopes over all f32, against the bounds that the documentation states.
use crate::formulas::{Kept, Passes, SELU, slope_is_stored};
use crate::{ActivationKind as K, math};

/// Every `step`-th bit pattern of f32, both signs: normal and subnormal numbers, infinities and NaN.
fn all_floats(step: usize) -> impl Iterator<Item = Vec<f32>> {
    let mut patterns = (0..=u32::MAX).step_by(step);
    std::iter::from_fn(move || {
        let block: Vec<f32> = patterns.by_ref().take(1 << 14).map(f32::from_bits).collect();
        (!block.is_empty()).then_some(block)
    })
}

/// Distance in units in the last place of the true value; of the smallest normal number below that.
fn ulps(got: f32, want: f64) -> f64 {
    let exponent = want.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (f64::from(got) - want).abs() / (f64::from(f32::EPSILON) * exponent.exp2())
}

/// Distance in units in the last place of the true slope, or of 1 where that is larger: what a sum of gradients sees.
fn slope_units(got: f32, want: f64) -> f64 {
    if want.abs() < 1.0 { (f64::from(got) - want).abs() / f64::from(f32::EPSILON) } else { ulps(got, want) }
}

fn sigmoid(x: f64) -> f64 {
    // e^(−x) of a very negative x is infinite, and the quotient 0.
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Infinities as the largest numbers, so that a product with 0 is 0.
fn finite(x: f64) -> f64 {
    x.clamp(f64::MIN, f64::MAX)
}

/// x where the functions of a normal or logistic gate still bend; beyond, their slope is 0 or 1.
fn near(x: f64) -> f64 {
    x.clamp(-1e3, 1e3)
}

/// Value and slope of x σ(v) from v and v′.
fn gated(x: f64, v: fn(f64) -> [f64; 2]) -> [f64; 2] {
    let [at, slope] = v(near(x));
    let s = sigmoid(at);
    [finite(x) * s, s * (1.0 + near(x) * sigmoid(-at) * slope)]
}

/// ReLU's kind of function: two straight pieces that meet at 0.
fn pieces(x: f64, below: [f64; 2], above: [f64; 2]) -> [f64; 2] {
    if x > 0.0 { above } else { below }
}

/// Within bounds: the slope is `edge` at both.
fn clamped(x: f64, low: f64, high: f64, edge: f64) -> [f64; 2] {
    let inside = if x > low && x < high { 1.0 } else { 0.0 };
    [x.clamp(low, high), if x == low || x == high { edge } else { inside }]
}

fn gelu(x: f64) -> [f64; 2] {
    let [distribution, density] = math::normal(x);
    [finite(x) * distribution, distribution + near(x) * density]
}

fn gelu_tanh(x: f64) -> [f64; 2] {
    gated(x, |x| {
        let c = (8.0 / std::f64::consts::PI).sqrt();
        [c * (x + 0.044715 * x.powi(3)), c * (1.0 + 0.134145 * x * x)]
    })
}

/// tanh(ln(1 + eˣ)) = 1 − 2 / ((1 + eˣ)² + 1), and for negative x without the difference.
fn mish(x: f64) -> [f64; 2] {
    let n = near(x).min(100.0).exp();
    let (t, rest) = (n * (n + 2.0) / (n * (n + 2.0) + 2.0), 2.0 / (n * (n + 2.0) + 2.0));
    [finite(x) * t, t + near(x) * sigmoid(x) * rest * (1.0 + t)]
}

/// (x + √(x² + 4)) / 2, and for negative x without the difference.
fn squareplus(x: f64) -> [f64; 2] {
    let x = finite(x);
    let root = x.hypot(2.0);
    if x < 0.0 {
        [2.0 / (root - x), 2.0 / root / (root - x)]
    } else {
        [(root + x) / 2.0, (1.0 + x / root) / 2.0]
    }
}

fn elu(x: f64, alpha: f64, rate: f64) -> [f64; 2] {
    pieces(x, [alpha * (rate * x).exp_m1(), alpha * rate * (rate * x).exp()], [x, 1.0])
}

fn selu(x: f64) -> [f64; 2] {
    elu(x, SELU[1], 1.0).map(|y| SELU[0] * y)
}

/// Value and slope of a tanh(b x).
fn tanh(x: f64, a: f64, b: f64) -> [f64; 2] {
    let y = (b * x).tanh();
    // 1 − y² = 4 e / (1 + e)² with e = e^(−2|bx|), without the difference.
    let e = (-2.0 * (b * x).abs()).exp();
    [a * y, a * b * 4.0 * e / ((1.0 + e) * (1.0 + e))]
}

/// A function with the bounds of its value, in units in the last place, and of its slope, see [`slope_units`]; the truth
/// in f64.
type Row = (&'static str, K, [f64; 2], fn(f64) -> [f64; 2]);
const ROWS: &[Row] = &[
    ("Identity", K::Identity, [0.0, 0.0], |x| [x, 1.0]),
    ("Relu", K::Relu, [0.0, 0.0], |x| pieces(x, [0.0, 0.0], [x, 1.0])),
    ("Relu6", K::Relu6, [0.0, 0.0], |x| clamped(x, 0.0, 6.0, 0.0)),
    ("ReluSquared", K::ReluSquared, [0.5, 0.0], |x| pieces(x, [0.0, 0.0], [x * x, 2.0 * x])),
    ("LeakyRelu", K::LeakyRelu(0.01), [0.9, 0.1], |x| pieces(x, [0.01 * x, 0.01], [x, 1.0])),
    ("Elu", K::Elu(1.0), [1.0, 0.5], |x| elu(x, 1.0, 1.0)),
    ("Celu", K::Celu(0.5), [1.0, 0.5], |x| elu(x, 0.5, 2.0)),
    ("Selu", K::Selu, [1.9, 1.6], selu),
    ("Sigmoid", K::Sigmoid, [3.0, 0.9], |x| [sigmoid(x), sigmoid(x) * sigmoid(-x)]),
    ("LogSigmoid", K::LogSigmoid, [1.9, 0.9], |x| [-softplus(-x), sigmoid(-x)]),
    ("Tanh", K::Tanh, [2.8, 2.8], |x| tanh(x, 1.0, 1.0)),
    ("LecunTanh", K::LecunTanh, [4.2, 4.2], |x| tanh(x, 1.7159, 2.0 / 3.0)),
    ("Gelu", K::Gelu, [34.0, 1.6], gelu),
    ("GeluTanh", K::GeluTanh, [230.0, 2.4], gelu_tanh),
    ("Silu", K::Silu, [58.0, 2.1], |x| gated(x, |x| [x, 1.0])),
    ("Swish", K::Swish(1.5), [105.0, 2.1], |x| gated(x, |x| [1.5 * x, 1.5])),
    ("Mish", K::Mish, [58.0, 1.7], mish),
    ("Softplus", K::Softplus, [1.9, 0.9], |x| [softplus(x), sigmoid(x)]),
    ("SoftplusBeta", K::SoftplusBeta(3.0), [75.0, 1.0], |x| [softplus(3.0 * x) / 3.0, sigmoid(3.0 * x)]),
    ("Squareplus", K::Squareplus(4.0), [3.3, 1.3], squareplus),
    ("Softsign", K::Softsign, [1.7, 2.0], |x| {
        [finite(x) / (1.0 + finite(x.abs())), (1.0 + x.abs()).powi(-2)]
    }),
    ("HardTanh", K::HardTanh, [0.0, 0.0], |x| clamped(x, -1.0, 1.0, 0.0)),
    ("HardSigmoid", K::HardSigmoid, [1.5, 0.1], |x| {
        let [y, slope] = clamped(x, -3.0, 3.0, 0.0);
        [(y + 3.0) / 6.0, slope / 6.0]
    }),
    ("HardSwish", K::HardSwish, [2.1, 0.8], |x| match x {
        x if x <= -3.0 => [0.0, 0.0],
        x if x >= 3.0 => [x, 1.0],
        x => [x * (x + 3.0) / 6.0, x / 3.0 + 0.5],
    }),
    ("Exp", K::Exp, [1.1, 1.1], |x| [x.exp(); 2]),
    ("Expm1", K::Expm1, [1.7, 1.1], |x| [x.exp_m1(), x.exp()]),
    ("Ln", K::Ln, [1.0, 0.6], |x| [x.ln(), x.recip()]),
    ("Ln1p", K::Ln1p, [1.5, 1.7], |x| [x.ln_1p(), (1.0 + x).recip()]),
    ("Sqrt", K::Sqrt, [0.5, 1.7], |x| [x.sqrt(), 0.5 / x.sqrt()]),
    ("Power", K::Power(2.5), [0.51, 1.4], |x| [x.powf(2.5), 2.5 * x.powf(1.5)]),
    ("Power", K::Power(-3.0), [0.51, 1.4], |x| [x.powi(-3), -3.0 * x.powi(-4)]),
    ("Abs", K::Abs, [0.0, 0.0], |x| [x.abs(), if x == 0.0 { 0.0 } else { x.signum() }]),
    ("Clamp", K::Clamp { low: -0.7, high: 2.0 }, [0.0, 0.0], |x| clamped(x, f64::from(-0.7_f32), 2.0, 1.0)),
    ("Erf", K::Erf, [2.5, 1.5], |x| [math::erf(x), (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI]),
    ("Sin", K::Sin, [1.5, 0.7], |x| [x.sin(), x.cos()]),
    ("Cos", K::Cos, [1.5, 0.7], |x| [x.cos(), -x.sin()]),
];

/// The slope that backward uses: the stored one, or the one that it finds from the value.
fn backward(kind: K, y: &[f32], d: &[f32], slope: &mut [f32]) {
    slope.fill(0.0);
    let kept = if slope_is_stored(kind) { Kept::Slope(d) } else { Kept::Output(y) };
    f32::back(kind, kept, &vec![1.0; y.len()], slope);
}

/// The largest errors of value and slope over all f32, and where they are. Where the truth is no finite number of f32
/// the result must be the same, or the largest number; the slope at a NaN is nobody's promise.
fn worst_errors(step: usize, (name, kind, _, truth): Row) -> [(f64, f32); 2] {
    let mut worst = [(0.0, 0.0); 2];
    let check =
        |worst: &mut (f64, f32), unit: fn(f32, f64) -> f64, what: &str, x: f32, got: f32, want: f64| {
            let rounded = want as f32;
            if rounded.is_nan() || rounded.is_infinite() {
                let is_same =
                    got == rounded || got == f32::MAX.copysign(rounded) || (got.is_nan() && rounded.is_nan());
                assert!(is_same, "{what} of {name} at {x:e} is {got:e} instead of {rounded:e}");
                return;
            }
            let off = unit(got, want);
            assert!(!off.is_nan(), "{what} of {name} at {x:e} is {got:e} instead of {want:e}");
            if off > worst.0 {
                *worst = (off, x);
            }
        };
    let mut buffers = [vec![0.0; 1 << 14], vec![0.0; 1 << 14], vec![0.0; 1 << 14], vec![0.0; 1 << 14]];
    for x in all_floats(step) {
        let [y, with_slope, d, back] = buffers.each_mut().map(|buffer| &mut buffer[..x.len()]);
        f32::value(kind, &x, y);
        f32::value_and_slope(kind, &x, with_slope, d);
        backward(kind, with_slope, d, back);
        for (i, &x) in x.iter().enumerate() {
            let [value, slope] = if x.is_nan() { [f64::NAN; 2] } else { truth(f64::from(x)) };
            check(&mut worst[0], ulps, "value", x, y[i], value);
            check(&mut worst[0], ulps, "value", x, with_slope[i], value);
            if !x.is_nan() {
                check(&mut worst[1], slope_units, "slope", x, d[i], slope);
                check(&mut worst[1], slope_units, "slope in backward", x, back[i], slope);
            }
        }
    }
    worst
}

/// Every 977th number, or every `FLOAT_STEP`-th: after a change of a formula run it with 1, which takes hours.
#[test]
fn errors_over_all_f32_are_within_bounds() {
    let step = std::env::var("FLOAT_STEP").map_or(977, |text| text.parse().expect("FLOAT_STEP is a number"));
    for &row in ROWS {
        let (name, kind, bounds, _) = row;
        let worst = worst_errors(step, row);
        println!(
            "{name}: value {:.3} at {:e}, slope {:.3} at {:e}",
            worst[0].0, worst[0].1, worst[1].0, worst[1].1
        );
        for (what, ((off, x), bound)) in ["value", "slope"].into_iter().zip(worst.into_iter().zip(bounds)) {
            assert!(off <= bound, "the {what} of {kind:?} at {x:e} is {off:.3} units off, more than {bound}");
        }
    }
}

/// The table of the documentation states these bounds, and no function is missing there or here.
#[test]
fn bounds_are_those_of_the_documentation() {
    let (_, table) = include_str!("../activation.rs").split_once("**Accuracy**").expect("a section");
    let mut stated = std::collections::BTreeMap::new();
    let lines = table.lines().skip_while(|line| !line.starts_with("//! |---")).skip(1);
    for line in lines.take_while(|line| line.starts_with("//! |")) {
        let cells: Vec<&str> = line.trim_start_matches("//! |").split('|').map(str::trim).collect();
        let [names, value, slope, ""] = cells[..] else { panic!("{line}") };
        let bounds = [value, slope].map(|cell| cell.parse::<f64>().unwrap_or_else(|_| panic!("{line}")));
        for name in names.split(", ") {
            let name = name.trim_matches(['[', ']', '`']);
            assert!(stated.insert(name.to_owned(), bounds).is_none(), "{name} has two rows");
        }
    }
    let held: std::collections::BTreeMap<String, [f64; 2]> =
        ROWS.iter().map(|&(name, _, bounds, _)| (name.to_owned(), bounds)).collect();
    assert_eq!(stated, held);
    let declared =
        include_str!("../activation.rs").split_once("pub enum ActivationKind {").expect("an enum").1;
    let declared = declared.split_once("\n}").expect("its end").0.lines();
    let kinds: std::collections::BTreeSet<&str> = declared
        .filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase)))
        .map(|line| line.split(['(', ',', ' ']).next().expect("a name"))
        .collect();
    assert_eq!(kinds, held.keys().map(String::as_str).collect());
}
