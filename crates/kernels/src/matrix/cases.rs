//! Rows of the table for products and distances.
use super::{Index, Plan, composed, lengths};
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{Device, Error, Multiply, Real};
use dfdx::prelude::*;

/// Every method of [`MatrixDevice`](crate::MatrixDevice).
pub const OPERATIONS: &Operations = &[
    ("multiply", &["matmul", "outer"]),
    ("gram", &["gram", "gram_columns"]),
    ("squared_distances", &["squared_distances"]),
    ("pairwise_squared_distances", &["pairwise_squared_distances"]),
];

/// Which operation, and of which shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Matrices,
    MatrixVector,
    VectorMatrix,
    Batch,
    BatchOfBatches,
    SharedRight,
    SharedRightTwice,
    Outer,
    Gram,
    SquaredDistances,
    Pairwise,
}

const ALL: [Op; 11] = [
    Op::Matrices,
    Op::MatrixVector,
    Op::VectorMatrix,
    Op::Batch,
    Op::BatchOfBatches,
    Op::SharedRight,
    Op::SharedRightTwice,
    Op::Outer,
    Op::Gram,
    Op::SquaredDistances,
    Op::Pairwise,
];

/// An operation on `(m, k)` and `(k, n)` matrices, or `(m, k)` and `(n, k)` points; batches have 3, or 2 × 3, entries.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub op: Op,
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// A product composed of dfdx operations, for the slow twins of other families too.
pub fn matmul<S: Multiply<R>, R: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<Q>, Q: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    y: Tensor<R, E, D, Q>,
) -> Result<Tensor<S::Product, E, D, T>, D::Err> {
    let plan = Plan::new((S::LEFT, &lengths(x.shape())), (S::RIGHT, &lengths(y.shape()))).unwrap();
    let shape = x.shape().product(y.shape());
    composed::multiply(x, y, plan, shape)
}

impl Case for Product {
    fn operation(self) -> &'static str {
        match self.op {
            Op::Gram => "gram",
            Op::SquaredDistances => "squared_distances",
            Op::Pairwise => "pairwise_squared_distances",
            _ => "multiply",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let Self { op, m, k, n } = self;
        match op {
            Op::Matrices => vec![Spec::new([m, k]), Spec::new([k, n])],
            Op::MatrixVector => vec![Spec::new([m, k]), Spec::new([k])],
            Op::VectorMatrix => vec![Spec::new([k]), Spec::new([k, n])],
            Op::Batch => vec![Spec::new([3, m, k]), Spec::new([3, k, n])],
            Op::BatchOfBatches => vec![Spec::new([2, 3, m, k]), Spec::new([2, 3, k, n])],
            Op::SharedRight => vec![Spec::new([3, m, k]), Spec::new([k, n])],
            Op::SharedRightTwice => vec![Spec::new([2, 3, m, k]), Spec::new([k, n])],
            Op::Outer => vec![Spec::new([m]), Spec::new([n])],
            Op::Gram | Op::Pairwise => vec![Spec::new([m, k])],
            Op::SquaredDistances => vec![Spec::new([m, k]), Spec::new([n, k])],
        }
    }

    fn is_linear(self) -> bool {
        self.operation() == "multiply"
    }
}

impl Portable for Product {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        fn multiply<B: Body, S: Multiply<R>, R: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
            x: Tensor<S, E, D, T>,
            y: Tensor<R, E, D>,
        ) -> Flat<E, T, D> {
            flat(match B::IS_FUSED {
                true => crate::matmul(x, y),
                false => matmul(x, y).unwrap(),
            })
        }
        let Self { op, m, k, n } = self;
        match op {
            Op::Matrices => multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((m, k)), x[1].plain((k, n))),
            Op::MatrixVector => multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((m, k)), x[1].plain((k,))),
            Op::VectorMatrix => multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((k,)), x[1].plain((k, n))),
            Op::Batch => multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((3, m, k)), x[1].plain((3, k, n))),
            Op::BatchOfBatches => {
                multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((2, 3, m, k)), x[1].plain((2, 3, k, n)))
            }
            Op::SharedRight => {
                multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((3, m, k)), x[1].plain((k, n)))
            }
            Op::SharedRightTwice => {
                multiply::<B, _, _, E, D, T>(x[0].taped::<_, T>((2, 3, m, k)), x[1].plain((k, n)))
            }
            Op::Outer if B::IS_FUSED => flat(crate::outer(x[0].taped::<_, T>((m,)), x[1].plain((n,)))),
            Op::Outer => {
                let (left, right) = (&[Index::Row], &[Index::Column]);
                let plan = Plan::new((left, &[m]), (right, &[n])).unwrap();
                flat(composed::multiply(x[0].taped::<_, T>((m,)), x[1].plain((n,)), plan, (m, n)).unwrap())
            }
            Op::Gram if B::IS_FUSED => flat(crate::gram(x[0].taped::<_, T>((m, k)))),
            Op::Gram => flat(composed::gram(x[0].taped::<_, T>((m, k))).unwrap()),
            Op::SquaredDistances => {
                let (x, y) = (x[0].taped::<_, T>((m, k)), x[1].plain((n, k)));
                if B::IS_FUSED {
                    flat(crate::squared_distances(x, y))
                } else {
                    flat(composed::squared_distances(x, y).unwrap())
                }
            }
            Op::Pairwise => {
                let x = x[0].taped::<_, T>((m, k));
                if B::IS_FUSED {
                    flat(crate::pairwise_squared_distances(x))
                } else {
                    let y = x.with_empty_tape();
                    flat(composed::squared_distances(x, y).unwrap())
                }
            }
        }
    }
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    for op in ALL {
        for (m, k, n) in [(1, 1, 1), (1, 5, 1), (4, 1, 3), (3, 7, 2), (9, 4, 11)] {
            visit.visit(Product { op, m, k, n });
        }
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    for op in ALL {
        visit.visit(Product { op, m: 130, k: 65, n: 150 });
    }
}

/// No rows, no columns, sums over nothing, no matrices; sizes that do not agree.
pub fn hostile(hostile: &mut Hostile) {
    for (m, k, n) in [(0, 3, 2), (2, 0, 3), (3, 2, 0), (0, 0, 0)] {
        let (x, y, points) = (zeros((m, k)), zeros((k, n)), zeros((n, k)));
        let product = crate::matmul(x.leaky_trace(), y.leaky_trace());
        hostile.empty("matmul", product, &[m, n], 0.0, &[&x, &y]);
        let turned = points.leaky_trace().permute::<_, Axes2<1, 0>>();
        hostile.empty("matmul", crate::matmul(x.leaky_trace(), turned), &[m, n], 0.0, &[&x, &points]);
        let distances = crate::squared_distances(x.leaky_trace(), points.leaky_trace());
        hostile.empty("squared_distances", distances, &[m, n], 0.0, &[&x, &points]);
        let within = crate::pairwise_squared_distances(x.leaky_trace());
        hostile.empty("pairwise_squared_distances", within, &[m, m], 0.0, &[&x]);
        hostile.empty("gram", crate::gram(x.leaky_trace()), &[m, m], 0.0, &[&x]);
        hostile.empty("gram_columns", crate::gram_columns(x.leaky_trace()), &[k, k], 0.0, &[&x]);
        let (a, b) = (zeros((m,)), zeros((n,)));
        hostile.empty("outer", crate::outer(a.leaky_trace(), b.leaky_trace()), &[m, n], 0.0, &[&a, &b]);
    }
    let (x, y, shared) = (zeros((0, 2, 3)), zeros((0, 3, 4)), zeros((3, 4)));
    hostile.empty("matmul", crate::matmul(x.leaky_trace(), y.leaky_trace()), &[0, 2, 4], 0.0, &[&x, &y]);
    let product = crate::matmul(x.leaky_trace(), shared.leaky_trace());
    hostile.empty("matmul", product, &[0, 2, 4], 0.0, &[&x, &shared]);
    hostile.always_fit(&["outer", "gram", "gram_columns", "pairwise_squared_distances"]);

    let batch = |b| zeros((b, 2, 2));
    assert!(crate::try_matmul(batch(2), batch(2)).is_ok());
    refuses! { hostile:
        "matmul", crate::try_matmul(zeros((2, 3)), zeros((4, 5)))
            => Error::ProductSizes { .. }, ["[2, 3]", "[4, 5]"];
        "matmul", crate::try_matmul(zeros((2, 3)), zeros((4,)))
            => Error::ProductSizes { .. }, ["[2, 3]", "[4]"];
        "matmul", crate::try_matmul(batch(2), batch(3))
            => Error::ProductSizes { .. }, ["[2, 2, 2]", "[3, 2, 2]"];
        "matmul", crate::try_matmul(zeros((2, 3, 2, 2)), zeros((2, 4, 2, 2)))
            => Error::ProductSizes { .. }, ["[2, 3, 2, 2]", "[2, 4, 2, 2]"];
        "squared_distances", crate::try_squared_distances(zeros((2, 3)), zeros((2, 4)))
            => Error::FeatureCount { left: 3, right: 4 }, [3, 4];
    }
}
