//! Rows of the table for arithmetic with a small tensor, and for selection.
use super::{Arithmetic, composed};
use crate::tests::hostile::{Hostile, Operations, ones, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Numbers, Portable, Spec, Visit, flat};
use crate::{Device, Real, ReducedShape};
use dfdx::prelude::*;

/// The methods of [`ElementwiseDevice`]; functions of one operand are rows of [`core`](crate::tests::core).
pub const OPERATIONS: &Operations = &[
    ("arithmetic", &["add", "sub", "mul", "div"]),
    ("arithmetic_along", &["add_along", "sub_along", "mul_along", "div_along"]),
    ("choose", &["choose"]),
];

#[derive(Clone, Copy, Debug)]
enum Along {
    Rows,
    Columns,
    Middle,
    Channels,
    Everything,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Pair(Arithmetic),
    Arithmetic(Arithmetic, Along),
    Choose,
}

#[derive(Clone, Copy, Debug)]
struct Elementwise {
    op: Op,
    shape: [usize; 3],
}

impl Case for Elementwise {
    fn operation(self) -> &'static str {
        match self.op {
            Op::Pair(_) => "arithmetic",
            Op::Arithmetic(..) => "arithmetic_along",
            Op::Choose => "choose",
        }
    }
    fn inputs(self) -> Vec<Spec> {
        let [a, b, c] = self.shape;
        let large = Spec::new([a, b, c]);
        let small = |shape: &[usize]| Spec::new(shape).holding(Numbers::Positive).pinned();
        match self.op {
            Op::Pair(_) => vec![large.clone(), large.holding(Numbers::Positive)],
            Op::Arithmetic(_, Along::Rows) => vec![large, small(&[b, c])],
            Op::Arithmetic(_, Along::Columns) => vec![large, small(&[a, b])],
            Op::Arithmetic(_, Along::Middle) => vec![large, small(&[a, c])],
            Op::Arithmetic(_, Along::Channels) => vec![large, small(&[b])],
            Op::Arithmetic(_, Along::Everything) => vec![large, small(&[1])],
            Op::Choose => vec![large.clone(), large],
        }
    }
}

impl Portable for Elementwise {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        fn one<B: Body, Ax, E: Real, D: Device<E>, T: Tape<E, D>>(
            arithmetic: Arithmetic,
            x: Tensor<(usize, usize, usize), E, D, T>,
            small: Tensor<ReducedShape<(usize, usize, usize), Ax>, E, D, T>,
        ) -> Flat<E, T, D>
        where
            (usize, usize, usize): ReduceShape<Ax>,
            Ax: Axes,
        {
            flat(
                match B::IS_FUSED {
                    true => D::arithmetic_along::<_, Ax, T, T>(x, small, arithmetic),
                    false => composed::arithmetic_along::<_, Ax, E, D, T, T>(x, small, arithmetic),
                }
                .unwrap(),
            )
        }
        let [a, b, c] = self.shape;
        let large = x[0].taped::<_, T>((a, b, c));
        match self.op {
            Op::Pair(arithmetic) => {
                let other = x[1].taped::<_, T>((a, b, c));
                flat(
                    match B::IS_FUSED {
                        true => D::arithmetic(large, other, arithmetic),
                        false => composed::arithmetic(large, other, arithmetic),
                    }
                    .unwrap(),
                )
            }
            Op::Arithmetic(arithmetic, along) => match along {
                Along::Rows => one::<B, Axis<0>, E, D, T>(arithmetic, large, x[1].taped((b, c))),
                Along::Middle => one::<B, Axis<1>, E, D, T>(arithmetic, large, x[1].taped((a, c))),
                Along::Columns => one::<B, Axis<2>, E, D, T>(arithmetic, large, x[1].taped((a, b))),
                Along::Channels => one::<B, Axes2<0, 2>, E, D, T>(arithmetic, large, x[1].taped((b,))),
                Along::Everything => {
                    let small = x[1].taped::<_, T>((1,)).reshape_like(&());
                    one::<B, Axes3<0, 1, 2>, E, D, T>(arithmetic, large, small)
                }
            },
            Op::Choose => {
                let is_first: Vec<bool> = (0..a * b * c).map(|i| i % 3 != 1).collect();
                let other = x[1].taped::<_, T>((a, b, c));
                flat(
                    match B::IS_FUSED {
                        true => D::choose(&is_first, large, other),
                        false => composed::choose(&is_first, large, other),
                    }
                    .unwrap(),
                )
            }
        }
    }
}

fn visit_all(visit: &mut impl Visit, shapes: &[[usize; 3]]) {
    for &shape in shapes {
        for arithmetic in [Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul, Arithmetic::Div] {
            visit.visit(Elementwise { op: Op::Pair(arithmetic), shape });
            for along in [Along::Rows, Along::Columns, Along::Middle, Along::Channels, Along::Everything] {
                visit.visit(Elementwise { op: Op::Arithmetic(arithmetic, along), shape });
            }
        }
        visit.visit(Elementwise { op: Op::Choose, shape });
    }
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    visit_all(visit, &[[1, 1, 1], [2, 3, 4], [5, 2, 70]]);
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    visit_all(visit, &[[70, 9, 50], [2, 3, 9000]]);
}

/// No elements; two shapes that differ.
pub fn hostile(hostile: &mut Hostile) {
    macro_rules! pairs {
        ($($name:ident $along:ident)*) => { $(
            for shape in [(0, 3), (2, 0)] {
                let (x, y) = (zeros(shape), ones(shape));
                let z = crate::$name(x.leaky_trace(), y.leaky_trace());
                hostile.empty(stringify!($name), z, &[shape.0, shape.1], 0.0, &[&x, &y]);
                let row = ones((shape.1,));
                let z = crate::$along(x.leaky_trace(), row.leaky_trace(), Axis::<0>);
                hostile.empty(stringify!($along), z, &[shape.0, shape.1], 0.0, &[&x, &row]);
                let column = ones((shape.0,));
                let z = crate::$along(x.leaky_trace(), column.leaky_trace(), Axis::<1>);
                hostile.empty(stringify!($along), z, &[shape.0, shape.1], 0.0, &[&x, &column]);
            }
            let x = || zeros((2, 3));
            hostile.panics(stringify!($name), || crate::$name(x(), zeros((2, 4))), &[&"(2, 3)", &"(2, 4)"]);
            let along = || crate::$along(x(), zeros((2,)), Axis::<0>);
            hostile.panics(stringify!($along), along, &[&"(2,)", &"(3,)"]);
        )* };
    }
    pairs!(add add_along sub sub_along mul mul_along div div_along);
    let x = zeros((0, 3));
    let y = zeros((0, 3));
    let z = crate::choose(&[], x.leaky_trace(), y.leaky_trace());
    hostile.empty("choose", z, &[0, 3], 0.0, &[&x, &y]);
    let two = zeros((2,));
    hostile.panics("choose", || crate::choose(&[true; 2], two.clone(), zeros((3,))), &[&"(2,)", &"(3,)"]);
    hostile.panics("choose", || crate::choose(&[true; 5], two.clone(), two.clone()), &[&5, &2]);
}

/// As with dfdx's operators, an operand without a tape of its own is a leaf like any other.
#[test]
fn an_operand_without_a_tape_gets_its_gradient() {
    let device = Cpu::default();
    let (x, y) = (device.tensor([3.0_f64, -1.0]), device.tensor([2.0_f64, 4.0]));
    let gradients = |both: Tensor<Rank1<2>, f64, Cpu, OwnedTape<f64, Cpu>>| {
        let gradients = both.sum().backward();
        [gradients.get(&x).array(), gradients.get(&y).array()]
    };
    assert_eq!(gradients(crate::add(x.leaky_trace(), y.clone())), [[1.0, 1.0], [1.0, 1.0]]);
    assert_eq!(gradients(crate::sub(x.leaky_trace(), y.clone())), [[1.0, 1.0], [-1.0, -1.0]]);
    assert_eq!(gradients(crate::mul(x.leaky_trace(), y.clone())), [[2.0, 4.0], [3.0, -1.0]]);
    assert_eq!(gradients(crate::div(x.leaky_trace(), y.clone())), [[0.5, 0.25], [-0.75, 0.0625]]);
    assert_eq!(
        gradients(crate::choose(&[true, false], x.leaky_trace(), y.clone())),
        [[1.0, 0.0], [0.0, 1.0]]
    );

    let small = device.tensor(2.0_f64);
    let y = crate::mul_along(x.leaky_trace(), small.clone(), Axis::<0>);
    assert_eq!(y.sum().backward().get(&small).array(), 2.0);
}
