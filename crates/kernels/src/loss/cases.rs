//! The losses' rows of the table.
use super::{ClassLoss, DistributionLoss, PairKind, composed};
use crate::tests::laws::{Body, Case, Flat, Input, Numbers, Portable, Spec, Visit, flat};
use crate::{Device, Real};
use dfdx::prelude::*;

/// The methods of [`LossDevice`].
pub const OPERATIONS: &[&str] = &["pair_total", "pair_each", "class_loss", "distribution_loss"];

const PAIRS: [PairKind; 15] = [
    PairKind::Squared,
    PairKind::Absolute,
    PairKind::Huber(0.7),
    PairKind::SmoothL1(0.7),
    PairKind::LogCosh,
    PairKind::Quantile(0.9),
    PairKind::BceWithLogits { positive_weight: 1.0 },
    PairKind::BceWithLogits { positive_weight: 3.5 },
    PairKind::Focal { gamma: 2.0, alpha: 0.25 },
    PairKind::Focal { gamma: 0.0, alpha: 0.5 },
    PairKind::Hinge,
    PairKind::SquaredHinge,
    PairKind::KlDiv,
    PairKind::PoissonNll,
    PairKind::GaussianNll,
];

#[derive(Clone, Copy, Debug)]
struct Pair {
    kind: PairKind,
    is_each: bool,
    rows: usize,
    cols: usize,
}

impl Case for Pair {
    fn operation(self) -> &'static str {
        if self.is_each { "pair_each" } else { "pair_total" }
    }
    fn inputs(self) -> Vec<Spec> {
        let matrix = || Spec::new([self.rows, self.cols]);
        let target = match self.kind {
            PairKind::BceWithLogits { .. } | PairKind::Focal { .. } | PairKind::KlDiv => Numbers::Unit,
            _ => Numbers::Normal,
        };
        vec![matrix(), matrix().holding(target)]
    }
}

impl Portable for Pair {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let shape = (self.rows, self.cols);
        let (x, t) = (x[0].taped::<_, T>(shape), x[1].taped::<_, T>(shape));
        match self.is_each {
            true if B::IS_FUSED => flat(D::pair_each(x, t, self.kind).unwrap()),
            true => flat(composed::pair_each(x, t, self.kind).unwrap()),
            false if B::IS_FUSED => flat(D::pair_total(x, t, self.kind, 0.3).unwrap()),
            false => flat(composed::pair_total(x, t, self.kind, 0.3).unwrap()),
        }
    }
}

const CLASSES: [ClassLoss; 11] = [
    ClassLoss::CrossEntropy { label_smoothing: 0.0 },
    ClassLoss::CrossEntropy { label_smoothing: 0.1 },
    ClassLoss::Focal { gamma: 2.0 },
    ClassLoss::Focal { gamma: 0.0 },
    ClassLoss::GeneralisedCrossEntropy { q: 0.7 },
    ClassLoss::AbsoluteError,
    ClassLoss::SymmetricCrossEntropy { alpha: 0.1, beta: 1.0, log_zero: -4.0 },
    ClassLoss::ConfidencePenalty { beta: 0.1 },
    ClassLoss::MultiMargin { margin: 1.0 },
    ClassLoss::CrammerSinger { margin: 1.0 },
    ClassLoss::Nll,
];

#[derive(Clone, Copy, Debug)]
struct Class {
    loss: ClassLoss,
    /// Weights for the classes, and one label ignored.
    has_options: bool,
    rows: usize,
    cols: usize,
}

impl Case for Class {
    fn operation(self) -> &'static str {
        "class_loss"
    }
    fn inputs(self) -> Vec<Spec> {
        vec![Spec::new([self.rows, self.cols])]
    }
    fn layouts(self) -> &'static [crate::tests::laws::Layout] {
        use crate::tests::laws::Layout::{ColumnMajor, FirstRepeated, LastRepeated, RowMajor};
        match self.loss {
            // Equal logits are a tie of the largest margin.
            ClassLoss::CrammerSinger { .. } => &[RowMajor, ColumnMajor],
            _ => &[RowMajor, ColumnMajor, FirstRepeated, LastRepeated],
        }
    }
}

impl Portable for Class {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let labels: Vec<usize> = (0..self.rows).map(|row| (row * 7 + 3) % self.cols).collect();
        let weights: Vec<f64> = (0..self.cols).map(|k| 0.5 + k as f64 / self.cols as f64).collect();
        let (weights, ignored) =
            if self.has_options { (&weights[..], Some(3 % self.cols)) } else { (&[][..], None) };
        let x = x[0].taped::<_, T>((self.rows, self.cols));
        flat(
            match B::IS_FUSED {
                true => D::class_loss(x, &labels, self.loss, weights, ignored),
                false => composed::class_loss(x, &labels, self.loss, weights, ignored),
            }
            .unwrap(),
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Distribution {
    loss: DistributionLoss,
    rows: usize,
    cols: usize,
}

impl Case for Distribution {
    fn operation(self) -> &'static str {
        "distribution_loss"
    }
    fn inputs(self) -> Vec<Spec> {
        vec![
            Spec::new([self.rows, self.cols]),
            Spec::new([self.rows, self.cols]).holding(Numbers::Unit).data(),
        ]
    }
    /// Targets here are no distributions, and the terms of opposite sign of a small divergence cancel.
    fn slack(self) -> f64 {
        if self.loss == DistributionLoss::JensenShannon { 10.0 } else { 1.0 }
    }
}

impl Portable for Distribution {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let shape = (self.rows, self.cols);
        let (x, q) = (x[0].taped::<_, T>(shape), x[1].plain(shape));
        flat(
            match B::IS_FUSED {
                true => D::distribution_loss(x, &q, self.loss),
                false => composed::distribution_loss(x, &q, self.loss),
            }
            .unwrap(),
        )
    }
}

fn visit_all(visit: &mut impl Visit, shapes: &[(usize, usize)]) {
    use DistributionLoss::{CrossEntropy, JensenShannon, KlForward, KlReverse};
    for &(rows, cols) in shapes {
        for kind in PAIRS {
            for is_each in [false, true] {
                visit.visit(Pair { kind, is_each, rows, cols });
            }
        }
        for loss in CLASSES {
            for has_options in [false, true] {
                visit.visit(Class { loss, has_options, rows, cols });
            }
        }
        for loss in [CrossEntropy, KlForward, JensenShannon, KlReverse] {
            visit.visit(Distribution { loss, rows, cols });
        }
    }
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    visit_all(visit, &[(1, 2), (6, 5), (3, 70)]);
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    visit_all(visit, &[(60, 1001)]);
}
