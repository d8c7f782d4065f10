//! The losses' rows of the table.
use super::{ClassLoss, Classes, DistributionLoss, PairKind, SquaredError, composed};
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Layout, Numbers, Portable, Spec, Visit, flat};
use crate::{
    Device, Error, LossDevice, Real, check_probabilities, class_loss_mean, class_loss_per_sample,
    class_loss_sum, contrastive_per_sample, cosine_embedding_per_sample, distribution_loss_mean,
    distribution_loss_per_sample, gaussian_nll_mean, loss_mean, loss_per_sample, loss_sum,
    triplet_margin_per_sample, try_class_loss_mean, try_class_loss_per_sample,
};
use dfdx::prelude::*;

/// The methods of [`LossDevice`], and the losses of vectors, which are compositions; those with one form for every unit
/// are rows of [`core`](crate::tests::core).
pub const OPERATIONS: &Operations = &[
    ("pair_total", &["loss_mean", "loss_sum", "gaussian_nll_mean"]),
    ("pair_each", &["loss_per_sample"]),
    ("class_loss", &["class_loss_per_sample", "class_loss_sum", "class_loss_mean"]),
    ("distribution_loss", &["distribution_loss_per_sample", "distribution_loss_mean"]),
    ("cosine_embedding_per_sample", &["cosine_embedding_per_sample"]),
    ("contrastive_per_sample", &["contrastive_per_sample"]),
    ("triplet_margin_per_sample", &["triplet_margin_per_sample"]),
];

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
    fn layouts(self) -> &'static [Layout] {
        use Layout::{ColumnMajor, FirstRepeated, LastRepeated, RowMajor};
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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Vectors {
    Cosine,
    Contrastive,
    Triplet,
}

/// A loss of rows that belong together or do not.
#[derive(Clone, Copy, Debug)]
struct OfRows {
    op: Vectors,
    rows: usize,
    cols: usize,
}

impl Case for OfRows {
    fn operation(self) -> &'static str {
        match self.op {
            Vectors::Cosine => "cosine_embedding_per_sample",
            Vectors::Contrastive => "contrastive_per_sample",
            Vectors::Triplet => "triplet_margin_per_sample",
        }
    }
    fn inputs(self) -> Vec<Spec> {
        vec![Spec::new([self.rows, self.cols]); if self.op == Vectors::Triplet { 3 } else { 2 }]
    }
    fn layouts(self) -> &'static [Layout] {
        match self.op {
            // Vectors of equal elements are parallel: all gradients are rounding.
            Vectors::Cosine => &[Layout::RowMajor, Layout::ColumnMajor, Layout::FirstRepeated],
            _ => &[Layout::RowMajor, Layout::ColumnMajor, Layout::FirstRepeated, Layout::LastRepeated],
        }
    }
}

impl Portable for OfRows {
    /// The slow twins are the formulas, in operations of dfdx.
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        fn sums<E: Real, D: Device<E>, T: Tape<E, D>>(
            x: Tensor<(usize, usize), E, D, T>,
        ) -> Tensor<(usize,), E, D, T> {
            x.sum::<(usize,), Axis<1>>()
        }
        let (shape, device) = ((self.rows, self.cols), x[0].leaf.device());
        let of = |i: usize| x[i].taped::<_, T>(shape);
        let distance = |i: usize| sums((of(0) - of(i)).square()).sqrt();
        // A margin that some pairs keep and others do not.
        let margin = 1.5 * (self.cols as f64).sqrt();
        match self.op {
            Vectors::Cosine if B::IS_FUSED => flat(cosine_embedding_per_sample(of(0), of(1))),
            Vectors::Cosine => {
                let lengths = sums(of(0).square()).sqrt() * sums(of(1).square()).sqrt();
                flat((sums(of(0) * of(1)) / lengths).negate() + E::ONE)
            }
            Vectors::Contrastive => {
                let together: Vec<bool> = (0..self.rows).map(|row| row % 3 == 0).collect();
                if B::IS_FUSED {
                    return flat(contrastive_per_sample(of(0), of(1), &together, margin));
                }
                let share = |is: bool| {
                    let shares = together.iter().map(|&t| if t == is { E::of(0.5) } else { E::zero() });
                    device.tensor_from_vec(shares.collect(), (self.rows,))
                };
                let near = distance(1).square() * share(true);
                let far = (distance(1).negate() + E::of(margin)).relu().square() * share(false);
                flat(near + far)
            }
            Vectors::Triplet if B::IS_FUSED => flat(triplet_margin_per_sample(of(0), of(1), of(2), margin)),
            Vectors::Triplet => flat((distance(1) - distance(2) + E::of(margin)).relu()),
        }
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
        for op in [Vectors::Cosine, Vectors::Contrastive, Vectors::Triplet] {
            visit.visit(OfRows { op, rows, cols });
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

/// No rows, no columns; labels, weights, flags and shapes that do not fit, settings out of range.
pub fn hostile(hostile: &mut Hostile) {
    const CE: ClassLoss = CLASSES[0];
    let (x, y, z, none) = (zeros((0, 3)), zeros((0, 3)), zeros((0, 3)), zeros((2, 0)));
    let taped = || (x.leaky_trace(), y.leaky_trace());
    for kind in PAIRS {
        let (x, t) = taped();
        hostile.empty("loss_sum", Cpu::pair_total(x, t, kind, 1.0).unwrap(), &[], 0.0, &[]);
        let (x, t) = taped();
        hostile.empty("loss_per_sample", Cpu::pair_each(x, t, kind).unwrap(), &[0, 3], 0.0, &[]);
    }
    hostile.empty("loss_mean", loss_mean(taped().0, taped().1, SquaredError), &[], f64::NAN, &[&x, &y]);
    hostile.empty("loss_sum", loss_sum(taped().0, taped().1, SquaredError), &[], 0.0, &[&x, &y]);
    hostile.empty(
        "loss_per_sample",
        loss_per_sample(taped().0, taped().1, SquaredError),
        &[0],
        0.0,
        &[&x, &y],
    );
    let y_of_none = loss_per_sample(none.leaky_trace(), none.clone(), SquaredError);
    hostile.empty("loss_per_sample", y_of_none, &[2], 0.0, &[&none]);
    hostile.empty("gaussian_nll_mean", gaussian_nll_mean(taped().0, taped().1, &z), &[], f64::NAN, &[&x, &y]);
    for loss in CLASSES {
        let options = Classes { weights: &[0.5, 2.0, 1.0], ignored: Some(2) };
        let each = class_loss_per_sample(x.leaky_trace(), &[], loss, options);
        hostile.empty("class_loss_per_sample", each, &[0], 0.0, &[&x]);
        hostile.empty("class_loss_sum", class_loss_sum(x.leaky_trace(), &[], loss, options), &[], 0.0, &[&x]);
        let mean = class_loss_mean(x.leaky_trace(), &[], loss, options);
        hostile.empty("class_loss_mean", mean, &[], f64::NAN, &[&x]);
    }
    use DistributionLoss::{CrossEntropy, JensenShannon, KlForward, KlReverse};
    for loss in [CrossEntropy, KlForward, JensenShannon, KlReverse] {
        let each = distribution_loss_per_sample(x.leaky_trace(), &y, loss);
        hostile.empty("distribution_loss_per_sample", each, &[0], 0.0, &[&x]);
        let mean = distribution_loss_mean(x.leaky_trace(), &y, loss);
        hostile.empty("distribution_loss_mean", mean, &[], f64::NAN, &[&x]);
    }
    let each = cosine_embedding_per_sample(taped().0, taped().1);
    hostile.empty("cosine_embedding_per_sample", each, &[0], 0.0, &[&x, &y]);
    // Rows of nothing have no direction, and distance 0.
    let each = cosine_embedding_per_sample(none.leaky_trace(), none.clone());
    hostile.empty("cosine_embedding_per_sample", each, &[2], f64::NAN, &[&none]);
    let each = contrastive_per_sample(taped().0, taped().1, &[], 1.0);
    hostile.empty("contrastive_per_sample", each, &[0], 0.0, &[&x, &y]);
    let each = contrastive_per_sample(none.leaky_trace(), none.clone(), &[true; 2], 1.0);
    hostile.empty("contrastive_per_sample", each, &[2], 0.0, &[&none]);
    let each = triplet_margin_per_sample(taped().0, taped().1, z.clone(), 1.0);
    hostile.empty("triplet_margin_per_sample", each, &[0], 0.0, &[&x, &y]);
    let each = triplet_margin_per_sample(none.leaky_trace(), none.clone(), none.clone(), 1.0);
    hostile.empty("triplet_margin_per_sample", each, &[2], 1.0, &[&none]);

    let logits = || zeros((2, 3));
    let refuse = |labels: &[usize], weights: &[f64], loss| {
        try_class_loss_mean(logits(), labels, loss, Classes { weights, ignored: Some(7) })
    };
    refuses! { hostile:
        "class_loss_mean", refuse(&[0], &[], CE) => Error::LabelCount { labels: 1, rows: 2 }, [1, 2];
        "class_loss_mean", refuse(&[7, 3], &[], CE)
            => Error::LabelOutOfRange { index: 1, label: 3, classes: 3 }, [1, 3];
        "class_loss_mean", refuse(&[0, 1], &[1.0; 2], CE)
            => Error::ClassWeightCount { weights: 2, classes: 3 }, [2, 3];
        "class_loss_mean", refuse(&[0, 1], &[1.0, -1.0, 1.0], CE)
            => Error::ClassWeight { class: 1, .. }, [1, -1];
        "class_loss_mean", refuse(&[0, 1], &[1.0, 1.0, f64::NAN], CE)
            => Error::ClassWeight { class: 2, .. }, [2, f64::NAN];
        "class_loss_per_sample", try_class_loss_per_sample(none.clone(), &[0, 0], CE, Classes::default())
            => Error::LabelOutOfRange { classes: 0, .. }, [0];
    }
    for (loss, name, value) in [
        (ClassLoss::CrossEntropy { label_smoothing: 1.0 }, "label_smoothing", 1.0),
        (ClassLoss::CrossEntropy { label_smoothing: -0.1 }, "label_smoothing", -0.1),
        (ClassLoss::Focal { gamma: -1.0 }, "gamma", -1.0),
        (ClassLoss::Focal { gamma: f64::NAN }, "gamma", f64::NAN),
        (ClassLoss::GeneralisedCrossEntropy { q: 0.0 }, "q", 0.0),
        (ClassLoss::GeneralisedCrossEntropy { q: 1.5 }, "q", 1.5),
    ] {
        refuses! { hostile:
            "class_loss_per_sample", try_class_loss_per_sample(logits(), &[0, 1], loss, Classes::default())
                => Error::LossSetting { .. }, [name, value];
        }
    }
    let targets = |last| Cpu::default().tensor([0.0, 1.0, last]);
    assert!(check_probabilities(&x).is_ok() && check_probabilities(&targets(0.5)).is_ok());
    for value in [-0.5, 1.5, f64::NAN] {
        refuses! { hostile:
            "check_probabilities", check_probabilities(&targets(value))
                => Error::Probability { index: 2, .. }, [2, value];
        }
    }
    let sum = || class_loss_sum(logits(), &[0, 5], CE, Classes::default());
    hostile.panics("class_loss_sum", sum, &[&1, &5, &3]);

    let other = || zeros((2, 4));
    let shapes: [&dyn std::fmt::Display; 2] = [&"(2, 3)", &"(2, 4)"];
    hostile.panics("loss_mean", || loss_mean(logits(), other(), SquaredError), &shapes);
    hostile.panics("loss_sum", || loss_sum(logits(), other(), SquaredError), &shapes);
    hostile.panics("loss_per_sample", || loss_per_sample(logits(), other(), SquaredError), &shapes);
    hostile.panics("gaussian_nll_mean", || gaussian_nll_mean(logits(), other(), &logits()), &shapes);
    hostile.panics("gaussian_nll_mean", || gaussian_nll_mean(logits(), logits(), &other()), &shapes);
    let each = || distribution_loss_per_sample(logits(), &other(), KlForward);
    hostile.panics("distribution_loss_per_sample", each, &shapes);
    hostile.panics(
        "distribution_loss_mean",
        || distribution_loss_mean(logits(), &other(), KlForward),
        &shapes,
    );
    let each = || cosine_embedding_per_sample(logits(), other());
    hostile.panics("cosine_embedding_per_sample", each, &shapes);
    let each = |flags: &[bool], y| contrastive_per_sample(logits(), y, flags, 1.0);
    hostile.panics("contrastive_per_sample", || each(&[true; 2], other()), &shapes);
    hostile.panics("contrastive_per_sample", || each(&[true; 5], logits()), &[&5, &2]);
    let each = |p, n| triplet_margin_per_sample(logits(), p, n, 1.0);
    hostile.panics("triplet_margin_per_sample", || each(other(), logits()), &shapes);
    hostile.panics("triplet_margin_per_sample", || each(logits(), other()), &shapes);
}
