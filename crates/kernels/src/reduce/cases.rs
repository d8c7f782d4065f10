//! The reductions' rows of the table.
use super::{Correction, Reduction, composed};
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Numbers, Portable, Spec, Visit, flat};
use crate::{Device, Error, Real};
use dfdx::prelude::*;

/// The methods of [`ReduceDevice`] that are functions of tensors with a gradient.
pub const OPERATIONS: &Operations = &[
    (
        "reduce",
        &["sum_along", "mean_along", "var_along", "norm_along", "max_along", "min_along", "logsumexp_along"],
    ),
    ("softmax_along", &["softmax_along", "log_softmax_along"]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Reduce(Reduction),
    Softmax { is_log: bool },
}

/// Axes of a tensor of three axes, or of four.
#[derive(Clone, Copy, Debug)]
enum Over {
    First,
    Middle,
    Last,
    FirstTwo,
    /// Not side by side.
    Ends,
    /// Batch and space of images.
    Channels,
}

#[derive(Clone, Copy, Debug)]
struct Reduce {
    op: Op,
    over: Over,
    shape: [usize; 3],
}

impl Case for Reduce {
    fn operation(self) -> &'static str {
        match self.op {
            Op::Reduce(_) => "reduce",
            Op::Softmax { .. } => "softmax_along",
        }
    }
    fn inputs(self) -> Vec<Spec> {
        let [a, b, c] = self.shape;
        let shape = if let Over::Channels = self.over { vec![a, b, c, 3] } else { vec![a, b, c] };
        // Distinct numbers where a tie or a kink would have two gradients; they spread too far for exponentials.
        match self.op {
            Op::Reduce(Reduction::Max | Reduction::Min) => vec![Spec::new(shape).holding(Numbers::Distinct)],
            _ => vec![Spec::new(shape)],
        }
    }
    fn layouts(self) -> &'static [crate::tests::laws::Layout] {
        use crate::tests::laws::Layout::{ColumnMajor, FirstRepeated, LastRepeated, RowMajor};
        match self.op {
            // A repeated element is a tie: the gradient of the first of equals is not a difference of values.
            Op::Reduce(Reduction::Max | Reduction::Min) => &[RowMajor, ColumnMajor],
            _ => &[RowMajor, ColumnMajor, FirstRepeated, LastRepeated],
        }
    }
    /// The gradients of a softmax sum to 0, and those of equal columns are added.
    fn slack(self) -> f64 {
        if self.op == (Op::Softmax { is_log: false }) { 10.0 } else { 1.0 }
    }
    fn is_linear(self) -> bool {
        matches!(self.op, Op::Reduce(Reduction::Sum | Reduction::Mean))
    }
}

impl Portable for Reduce {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        fn one<B: Body, S, Ax, E: Real, D: Device<E>, T: Tape<E, D>>(
            op: Op,
            x: Tensor<S, E, D, T>,
        ) -> Flat<E, T, D>
        where
            S: Shape + ReduceShape<Ax>,
            Ax: Axes,
        {
            match op {
                Op::Reduce(kind) if B::IS_FUSED => flat(D::reduce::<S, Ax, T>(x, kind).unwrap()),
                Op::Reduce(kind) => flat(composed::reduce::<S, Ax, E, D, T>(x, kind).unwrap()),
                Op::Softmax { is_log } if B::IS_FUSED => {
                    flat(D::softmax_along::<S, Ax, T>(x, is_log).unwrap())
                }
                Op::Softmax { is_log } => flat(composed::softmax_along::<S, Ax, E, D, T>(x, is_log).unwrap()),
            }
        }
        let [a, b, c] = self.shape;
        let three = || x[0].taped::<_, T>((a, b, c));
        match self.over {
            Over::First => one::<B, _, Axis<0>, E, D, T>(self.op, three()),
            Over::Middle => one::<B, _, Axis<1>, E, D, T>(self.op, three()),
            Over::Last => one::<B, _, Axis<2>, E, D, T>(self.op, three()),
            Over::FirstTwo => one::<B, _, Axes2<0, 1>, E, D, T>(self.op, three()),
            Over::Ends => one::<B, _, Axes2<0, 2>, E, D, T>(self.op, three()),
            Over::Channels => one::<B, _, Axes3<0, 2, 3>, E, D, T>(self.op, x[0].taped::<_, T>((a, b, c, 3))),
        }
    }
}

const REDUCTIONS: [Op; 8] = [
    Op::Reduce(Reduction::Sum),
    Op::Reduce(Reduction::Mean),
    Op::Reduce(Reduction::Var(Correction::Population)),
    Op::Reduce(Reduction::Var(Correction::Sample)),
    Op::Reduce(Reduction::Norm),
    Op::Reduce(Reduction::Max),
    Op::Reduce(Reduction::Min),
    Op::Reduce(Reduction::LogSumExp),
];
const SOFTMAXES: [Op; 2] = [Op::Softmax { is_log: false }, Op::Softmax { is_log: true }];

fn visit_all(visit: &mut impl Visit, shapes: &[[usize; 3]]) {
    for &shape in shapes {
        for op in REDUCTIONS {
            for over in [Over::First, Over::Middle, Over::Last, Over::FirstTwo, Over::Ends, Over::Channels] {
                visit.visit(Reduce { op, over, shape });
            }
        }
        for op in SOFTMAXES {
            for over in [Over::First, Over::Middle, Over::Last] {
                visit.visit(Reduce { op, over, shape });
            }
        }
    }
}

/// Small cases: short rows, rows of several lanes, columns of several strips. No axis of one element, whose sample
/// variance is 0/0.
pub fn cases(visit: &mut impl Visit) {
    visit_all(visit, &[[2, 3, 4], [5, 2, 70], [2, 67, 3]]);
}

/// Cases that are cut into several parts: many rows, one long row, many columns.
pub fn large_cases(visit: &mut impl Visit) {
    visit_all(visit, &[[70, 9, 50], [2, 9000, 2], [3, 2, 6000], [18_000, 1, 2]]);
}

/// Axes of no elements, reduced or kept.
pub fn hostile(hostile: &mut Hostile) {
    let x = zeros((3, 2, 0));
    macro_rules! nothing {
        ($($name:ident($($more:expr),*) $value:expr;)*) => { $(
            let all = super::$name(x.leaky_trace(), Axis::<2> $(, $more)*);
            hostile.empty(stringify!($name), all, &[3, 2], $value, &[&x]);
            let kept = super::$name(x.leaky_trace(), Axis::<0> $(, $more)*);
            hostile.empty(stringify!($name), kept, &[2, 0], $value, &[&x]);
            let ends = super::$name(x.leaky_trace(), Axes2::<0, 2> $(, $more)*);
            hostile.empty(stringify!($name), ends, &[2], $value, &[&x]);
            hostile.always_fit(&[stringify!($name)]);
        )* };
    }
    nothing! {
        sum_along() 0.0;
        mean_along() f64::NAN;
        var_along(Correction::Population) f64::NAN;
        var_along(Correction::Sample) f64::NAN;
        norm_along() 0.0;
        max_along() f64::NEG_INFINITY;
        min_along() f64::INFINITY;
        logsumexp_along() f64::NEG_INFINITY;
    }
    // The unbiased variance of one number is 0/0.
    let one = super::var_along(zeros((1, 1)), Axis::<1>, Correction::Sample);
    hostile.holds("var_along", &one, &[1], f64::NAN);
    macro_rules! softmaxes {
        ($($name:ident)*) => { $(
            let along = super::$name(x.leaky_trace(), Axis::<2>);
            hostile.empty(stringify!($name), along, &[3, 2, 0], 0.0, &[&x]);
            let along = super::$name(x.leaky_trace(), Axis::<0>);
            hostile.empty(stringify!($name), along, &[3, 2, 0], 0.0, &[&x]);
            hostile.always_fit(&[stringify!($name)]);
        )* };
    }
    softmaxes!(softmax_along log_softmax_along);
    refuses! { hostile:
        "argmax_along", super::try_argmax_along(&x, Axis::<2>) => Error::EmptyAxis { axis: 2 }, [2];
        "argmin_along", super::try_argmin_along(&x, Axis::<2>) => Error::EmptyAxis { axis: 2 }, [2];
    }
    assert_eq!(super::argmax_along(&x, Axis::<0>), [0_usize; 0]);
    assert_eq!(super::argmin_along(&x, Axis::<0>), [0_usize; 0]);
}
