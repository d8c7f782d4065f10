//! Rows of the table for the operations that every unit uses: [`Device`](crate::Device)'s own methods.
use super::hostile::{Hostile, Leaf, Operations, refuses, zeros};
use super::laws::{
    Body, Case, Flat, Fused, Input, Layout, Numbers, Portable, Spec, Traced, Visit, draw, flat,
};
use crate::{ActivationKind, Device, Error, InputGradient, Real, composed, random::Key};
use ActivationKind::{Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
use dfdx::prelude::*;

/// Every method of [`Device`](crate::Device) that has rows here.
pub const OPERATIONS: &Operations = &[
    (
        "activate",
        &["activate", "exp", "expm1", "ln", "ln_1p", "sqrt", "abs", "erf", "sin", "cos", "powf", "clamp"],
    ),
    ("activation_slope", &["activation_slope"]),
    ("softmax", &["softmax"]),
    ("log_softmax", &["log_softmax"]),
    ("linear", &["linear"]),
    ("cross_entropy_mean", &["cross_entropy_mean"]),
    ("bce_with_logits_mean", &["bce_with_logits_mean"]),
    ("mse_mean", &["mse_mean"]),
    ("sum_all", &["sum_all"]),
    ("mean_all", &["mean_all"]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Activate(ActivationKind),
    Slope(ActivationKind),
    Softmax,
    LogSoftmax,
    Linear(ActivationKind),
    CrossEntropy,
    Bce,
    Mse,
    SumAll,
    MeanAll,
}

pub const KINDS: [ActivationKind; 9] =
    [Identity, Relu, LeakyRelu(0.1), LeakyRelu(-0.5), Sigmoid, Tanh, Gelu, Silu, Softplus];

/// The other functions; a linear layer finds them in the same place as those above.
pub const MORE_KINDS: [ActivationKind; 31] = {
    use ActivationKind::*;
    [
        Relu6,
        ReluSquared,
        Elu(1.0),
        Elu(0.3),
        Celu(2.0),
        Selu,
        LogSigmoid,
        LecunTanh,
        GeluTanh,
        Swish(1.7),
        Swish(-0.6),
        Mish,
        SoftplusBeta(2.0),
        Squareplus(4.0),
        Squareplus(0.5),
        Softsign,
        HardTanh,
        HardSigmoid,
        HardSwish,
        Exp,
        Expm1,
        Ln,
        Ln1p,
        Sqrt,
        Power(2.0),
        Power(-0.7),
        Power(3.0),
        Abs,
        Clamp { low: -0.4, high: 0.9 },
        Erf,
        Sin,
    ]
};

/// Positive numbers are the whole domain of some.
fn numbers(kind: ActivationKind) -> Numbers {
    use ActivationKind::*;
    match kind {
        Ln | Ln1p | Sqrt => Numbers::Positive,
        Power(p) if p != 2.0 && p != 3.0 => Numbers::Positive,
        _ => Numbers::Normal,
    }
}

pub fn operations() -> Vec<Op> {
    use Op::*;
    let all = || KINDS.into_iter().chain(MORE_KINDS).chain([ActivationKind::Cos, ActivationKind::Power(0.0)]);
    [Softmax, LogSoftmax, CrossEntropy, Bce, Mse, SumAll, MeanAll]
        .into_iter()
        .chain(all().map(Activate))
        .chain(all().map(Slope))
        .chain(KINDS.into_iter().chain([ActivationKind::Elu(1.0), ActivationKind::LecunTanh]).map(Linear))
        .collect()
}

/// Outputs of the linear layer.
const OUT: usize = 3;

/// An operation on a matrix.
#[derive(Clone, Copy, Debug)]
pub struct OnMatrix {
    pub op: Op,
    pub rows: usize,
    pub cols: usize,
}

impl Case for OnMatrix {
    fn operation(self) -> &'static str {
        match self.op {
            Op::Activate(_) => "activate",
            Op::Slope(_) => "activation_slope",
            Op::Softmax => "softmax",
            Op::LogSoftmax => "log_softmax",
            Op::Linear(_) => "linear",
            Op::CrossEntropy => "cross_entropy_mean",
            Op::Bce => "bce_with_logits_mean",
            Op::Mse => "mse_mean",
            Op::SumAll => "sum_all",
            Op::MeanAll => "mean_all",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let Self { op, rows, cols } = self;
        let matrix = || Spec::new([rows, cols]);
        match op {
            Op::Mse => vec![matrix(), matrix()],
            Op::Bce => vec![matrix(), matrix().holding(Numbers::Unit).data()],
            Op::Linear(_) => vec![
                matrix(),
                Spec::new([OUT, cols]).scaled((cols.max(1) as f64).sqrt().recip()), // pre-activations of order 1
                Spec::new([OUT]).pinned(),
            ],
            Op::Activate(kind) | Op::Slope(kind) => vec![matrix().holding(numbers(kind))],
            _ => vec![matrix()],
        }
    }

    fn is_linear(self) -> bool {
        matches!(self.op, Op::SumAll | Op::MeanAll | Op::Linear(Identity) | Op::Activate(Identity))
    }
}

impl Portable for OnMatrix {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        fn linear<const I: usize, B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(
            kind: ActivationKind,
            x: &[Input<E, D>],
        ) -> Flat<E, T, D> {
            let rows = x[0].shape[0];
            let data = x[0].taped::<_, T>((rows, Const::<I>));
            let weight = x[1].plain((Const::<OUT>, Const::<I>));
            let bias = x[2].plain((Const::<OUT>,));
            let needed = InputGradient::Needed;
            flat(
                match B::IS_FUSED {
                    true => D::linear(data, &weight, &bias, kind, needed),
                    false => composed::linear(data, &weight, &bias, kind, needed),
                }
                .unwrap(),
            )
        }
        let shape = (x[0].shape[0], x[0].shape[1]);
        let first = || x[0].taped::<_, T>(shape);
        let second = || x[1].taped::<_, T>((x[1].shape[0], x[1].shape[1]));
        let labels = || (0..shape.0).map(|row| (row * 7 + 3) % shape.1).collect::<Vec<_>>();
        macro_rules! either {
            ($operation:ident, $($argument:expr),*) => {
                flat(if B::IS_FUSED { D::$operation($($argument),*) } else { composed::$operation($($argument),*) }.unwrap())
            };
        }
        match self.op {
            Op::Activate(kind) => either!(activate, first(), kind),
            Op::Slope(kind) => either!(activation_slope, first(), kind),
            Op::Softmax => either!(softmax, first()),
            Op::LogSoftmax => either!(log_softmax, first()),
            Op::CrossEntropy => either!(cross_entropy_mean, first(), &labels()),
            Op::Bce => either!(bce_with_logits_mean, first(), &x[1].plain(shape)),
            Op::Mse => either!(mse_mean, first(), second()),
            Op::SumAll => either!(sum_all, first()),
            Op::MeanAll => either!(mean_all, first()),
            Op::Linear(kind) => match shape.1 {
                1 => linear::<1, B, E, D, T>(kind, x),
                2 => linear::<2, B, E, D, T>(kind, x),
                7 => linear::<7, B, E, D, T>(kind, x),
                33 => linear::<33, B, E, D, T>(kind, x),
                1001 => linear::<1001, B, E, D, T>(kind, x),
                other => panic!("no linear layer with {other} inputs in the table"),
            },
        }
    }
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    for op in operations() {
        for (rows, cols) in [(1, 1), (1, 7), (5, 1), (6, 2), (13, 33)] {
            visit.visit(OnMatrix { op, rows, cols });
        }
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    for op in operations() {
        visit.visit(OnMatrix { op, rows: 60, cols: 1001 });
    }
}

/// No rows, no columns; labels and shapes of other operands.
pub fn hostile(hostile: &mut Hostile) {
    for op in operations() {
        for (rows, cols) in [(0, 7), (0, 1)] {
            let case = OnMatrix { op, rows, cols };
            let x = draw::<f64>(case, Key::new(6), Layout::RowMajor);
            let y = case.run_on::<Fused, f64, Cpu, Traced<f64>>(&x);
            let (lengths, value) = match op {
                Op::SumAll => (1, 0.0),
                Op::CrossEntropy | Op::Bce | Op::Mse | Op::MeanAll => (1, f64::NAN), // the mean of nothing
                _ => (0, 0.0),
            };
            // Sums over nothing: weights and biases have gradient 0.
            let leaves: Vec<_> = x.iter().filter(|x| x.has_gradient).map(|x| &x.leaf as &dyn Leaf).collect();
            hostile.empty(case.operation(), y, &[lengths], value, &leaves);
        }
    }
    let (none, some) = (zeros((2, 0)), zeros((2, 3)));
    for y in [crate::softmax(none.leaky_trace()), crate::log_softmax(none.leaky_trace())] {
        hostile.empty("softmax", y, &[2, 0], 0.0, &[&none]);
    }
    let (narrow, weight, bias) =
        (zeros((2, Const::<0>)), zeros((Const::<3>, Const::<0>)), zeros((Const::<3>,)));
    let y = crate::linear(narrow.leaky_trace(), &weight, &bias, crate::Identity, InputGradient::Needed);
    hostile.empty("linear", y, &[2, 3], 0.0, &[&narrow, &weight]);
    let (x, weight, bias) = (zeros((2, Const::<3>)), zeros((Const::<0>, Const::<3>)), zeros((Const::<0>,)));
    let y = crate::linear(x.leaky_trace(), &weight, &bias, crate::Relu, InputGradient::Needed);
    hostile.empty("linear", y, &[2, 0], 0.0, &[&x, &weight, &bias]);
    macro_rules! functions {
        ($($name:ident($($setting:expr),*))*) => { $(
            let y = crate::$name(none.leaky_trace() $(, $setting)*);
            hostile.empty(stringify!($name), y, &[2, 0], 0.0, &[&none]);
            hostile.always_fit(&[stringify!($name)]);
        )* };
    }
    functions!(exp() expm1() ln() ln_1p() sqrt() abs() erf() sin() cos() powf(-0.5) clamp(-1.0, 1.0));
    // Bounds in the wrong order: the upper one wins, as the formula says.
    hostile.holds("clamp", &crate::clamp(some.clone(), 1.0, -1.0), &[2, 3], -1.0);
    hostile.always_fit(&[
        "activate",
        "activation_slope",
        "softmax",
        "log_softmax",
        "linear",
        "sum_all",
        "mean_all",
    ]);

    let cross_entropy = |x: &Tensor<(usize, usize), f64, Cpu>, labels: &[usize]| {
        crate::try_cross_entropy_mean(x.clone(), labels)
    };
    refuses! { hostile:
        "cross_entropy_mean", cross_entropy(&some, &[0]) => Error::LabelCount { labels: 1, rows: 2 }, [1, 2];
        "cross_entropy_mean", cross_entropy(&some, &[2, 3])
            => Error::LabelOutOfRange { index: 1, label: 3, classes: 3 }, [1, 3];
        "cross_entropy_mean", cross_entropy(&none, &[0, 0])
            => Error::LabelOutOfRange { index: 0, label: 0, classes: 0 }, [0];
    }
    let shapes: [&dyn std::fmt::Display; 2] = [&"(2, 3)", &"(2, 0)"];
    hostile.panics("bce_with_logits_mean", || crate::try_bce_with_logits_mean(some.clone(), &none), &shapes);
    hostile.panics("mse_mean", || crate::try_mse_mean(some.clone(), none.clone()), &shapes);
}
