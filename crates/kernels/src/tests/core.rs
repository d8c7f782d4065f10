//! Rows of the table for the operations that every unit uses: [`Device`](crate::Device)'s own methods.
use super::laws::{Body, Case, Flat, Input, Numbers, Portable, Spec, Visit, flat};
use crate::{ActivationKind, Device, InputGradient, Real, composed};
use ActivationKind::{Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
use dfdx::prelude::*;

/// Every method of [`Device`](crate::Device) that has rows here.
pub const OPERATIONS: &[&str] = &[
    "activate",
    "activation_slope",
    "softmax",
    "log_softmax",
    "linear",
    "cross_entropy_mean",
    "bce_with_logits_mean",
    "mse_mean",
    "sum_all",
    "mean_all",
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
