//! Rows of the table for the normalisations.
use super::{Grouping, LocalResponse, Volume, composed};
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Layout, Numbers, Portable, Spec, Visit, flat};
use crate::{
    ActivationKind, BatchMoments, Device, Error, Real, Spectral, batch_norm, batch_norm_with, group_norm,
    instance_norm, layer_norm, local_response_norm, power_iteration, rms_norm, spectral_norm, try_batch_norm,
    try_batch_norm_with, try_group_norm, try_instance_norm, try_layer_norm, try_local_response_norm,
    try_power_iteration, try_rms_norm, try_spectral_norm, try_weight_norm, weight_norm,
};
use ActivationKind::{Gelu, Identity, LeakyRelu, Relu, Tanh};
use dfdx::prelude::*;

/// Every method of [`NormalisationDevice`](super::NormalisationDevice), and the normalisations of weights, which are
/// compositions.
pub const OPERATIONS: &Operations = &[
    ("batch_norm", &["batch_norm"]),
    ("batch_norm_with", &["batch_norm_with"]),
    ("group_norm", &["group_norm", "instance_norm", "layer_norm", "rms_norm"]),
    ("local_response_norm", &["local_response_norm"]),
    ("weight_norm", &["weight_norm"]),
    ("spectral_norm", &["spectral_norm"]),
    ("power_iteration", &["power_iteration"]),
];

#[derive(Clone, Copy, Debug)]
enum Op {
    Batch(ActivationKind),
    BatchWith(ActivationKind),
    Group(Grouping),
    Response(LocalResponse),
}

/// An operation on `(N, C, M)`.
#[derive(Clone, Copy, Debug)]
struct OnVolume(Op, Volume);

impl Case for OnVolume {
    fn operation(self) -> &'static str {
        match self.0 {
            Op::Batch(_) => "batch_norm",
            Op::BatchWith(_) => "batch_norm_with",
            Op::Group(_) => "group_norm",
            Op::Response(_) => "local_response_norm",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let (samples, channels, inner) = self.1;
        let volume = Spec::new([samples, channels, inner]);
        let vector = || Spec::new([channels]).pinned();
        match self.0 {
            Op::Batch(_) | Op::Group(_) => vec![volume, vector(), vector()],
            Op::BatchWith(_) => {
                let variance = vector().holding(Numbers::Positive).data();
                vec![volume, vector(), vector(), vector().data(), variance]
            }
            Op::Response(_) => vec![volume],
        }
    }

    /// Repeated elements have no variance of their own.
    fn layouts(self) -> &'static [Layout] {
        &[Layout::RowMajor, Layout::ColumnMajor]
    }

    fn is_linear(self) -> bool {
        matches!(self.0, Op::BatchWith(Identity))
    }

    /// Two values per mean, as in the smallest batch, divide by their difference.
    fn slack(self) -> f64 {
        10.0
    }
}

impl Portable for OnVolume {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let volume = x[0].taped::<_, T>(self.1).contiguous();
        let vector = |i: usize| x[i].plain((self.1.1,));
        macro_rules! either {
            ($operation:ident, $($argument:expr),*) => {
                if B::IS_FUSED { D::$operation($($argument),*) } else { composed::$operation($($argument),*) }.unwrap()
            };
        }
        flat(match self.0 {
            Op::Batch(kind) => either!(batch_norm, volume, vector(1), vector(2), 1e-3, kind).0,
            Op::BatchWith(kind) => {
                let moments = [vector(3), vector(4)];
                either!(batch_norm_with, volume, vector(1), vector(2), moments, 1e-3, kind)
            }
            Op::Group(grouping) => either!(group_norm, volume, vector(1), vector(2), grouping),
            Op::Response(config) => either!(local_response_norm, volume, config),
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Weights {
    Weight,
    Spectral,
    Power,
}

/// A normalisation of a weight `(O, I)`.
#[derive(Clone, Copy, Debug)]
struct OnWeight(Weights, usize, usize);

impl Case for OnWeight {
    fn operation(self) -> &'static str {
        match self.0 {
            Weights::Weight => "weight_norm",
            Weights::Spectral => "spectral_norm",
            Weights::Power => "power_iteration",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let Self(op, outputs, inputs) = self;
        // All positive, so that σ is not near 0.
        let positive = |length: usize| Spec::new([length]).holding(Numbers::Positive).pinned().data();
        let weight = Spec::new([outputs, inputs]).holding(Numbers::Positive);
        match op {
            Weights::Weight => vec![Spec::new([outputs, inputs]), Spec::new([outputs]).pinned()],
            Weights::Spectral => vec![weight, positive(outputs), positive(inputs)],
            Weights::Power => vec![weight.data(), positive(outputs), positive(inputs)],
        }
    }
}

impl Portable for OnWeight {
    /// The slow twins are the formulas, in operations of dfdx.
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let Self(op, outputs, inputs) = self;
        let shape = (outputs, inputs);
        let w = x[0].taped::<_, T>(shape);
        if let Weights::Weight = op {
            let g = x[1].plain((outputs,));
            if B::IS_FUSED {
                return flat(weight_norm(w, &g));
            }
            let lengths = w.with_empty_tape().square().sum::<(usize,), Axis<1>>().sqrt();
            return flat(w * (g.retaped::<T>() / lengths).broadcast_like::<_, Axis<1>>(&shape));
        }
        let pair = Spectral { left: x[1].plain((outputs,)), right: x[2].plain((inputs,)) };
        let left = || pair.left.clone().reshape_like(&(1, outputs));
        match op {
            Weights::Spectral if B::IS_FUSED => flat(spectral_norm(w, &pair)),
            Weights::Spectral => {
                let right = pair.right.clone().reshape_like(&(inputs, 1));
                let weight = w.with_empty_tape().contiguous();
                let sigma = left().retaped::<T>().matmul(weight).matmul(right).reshape_like(&());
                flat(w / sigma.broadcast_like(&shape))
            }
            _ => {
                let w = x[0].plain(shape);
                let Spectral { left, right } = if B::IS_FUSED {
                    power_iteration(&w, &pair, 1e-12)
                } else {
                    let unit = |v: Tensor<(usize, usize), E, D>| {
                        let length = v.clone().square().sum::<(), _>().sqrt();
                        let shape = *v.shape();
                        v / length.broadcast_like(&shape)
                    };
                    let w = w.contiguous();
                    let right = unit(left().matmul(w.clone())).reshape_like(&(inputs, 1));
                    let left = unit(w.matmul(right.clone()));
                    Spectral { left: left.reshape_like(&(outputs,)), right: right.reshape_like(&(inputs,)) }
                };
                (flat(left.retaped::<T>()), flat(right.retaped::<T>())).concat_along(Axis::<0>)
            }
        }
    }
}

fn visit_weights(visit: &mut impl Visit, outputs: usize, inputs: usize) {
    for op in [Weights::Weight, Weights::Spectral, Weights::Power] {
        visit.visit(OnWeight(op, outputs, inputs));
    }
}

const KINDS: [ActivationKind; 5] = [Identity, Relu, LeakyRelu(0.1), Tanh, Gelu];

fn groupings(channels: usize) -> Vec<Grouping> {
    let mut groupings = Vec::new();
    for groups in [1, channels / 2, channels] {
        if groups > 0 && channels.is_multiple_of(groups) {
            for is_centred in [true, false] {
                groupings.push(Grouping { groups, epsilon: 1e-3, is_centred });
            }
        }
    }
    groupings
}

const RESPONSES: [LocalResponse; 2] = [
    LocalResponse { size: 5, k: 2.0, alpha: 0.1, beta: 0.75 },
    LocalResponse { size: 4, k: 1.0, alpha: 0.3, beta: 0.5 },
];

fn visit_all(visit: &mut impl Visit, volumes: &[Volume]) {
    for &volume in volumes {
        for kind in KINDS {
            visit.visit(OnVolume(Op::Batch(kind), volume));
            visit.visit(OnVolume(Op::BatchWith(kind), volume));
        }
        for grouping in groupings(volume.1) {
            visit.visit(OnVolume(Op::Group(grouping), volume));
        }
        for config in RESPONSES {
            visit.visit(OnVolume(Op::Response(config), volume));
        }
    }
}

/// Small cases: matrices, short and long channels.
pub fn cases(visit: &mut impl Visit) {
    visit_all(visit, &[(6, 7, 1), (3, 4, 6), (2, 2, 75)]);
    for (outputs, inputs) in [(1, 2), (3, 4), (9, 70)] {
        visit_weights(visit, outputs, inputs);
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    visit_all(visit, &[(200, 130, 1), (5, 30, 300)]);
    visit_weights(visit, 130, 700);
}

/// No samples, no channels, no positions; too few values, groups and vectors that do not fit, settings out of range.
pub fn hostile(hostile: &mut Hostile) {
    let x = |n, c, m| zeros((n, c, m));
    let vector = |c| zeros((c,));
    let moments = |c| BatchMoments { mean: vector(c), variance: vector(c), count: 2 };
    for (n, c, m) in [(0, 3, 2), (2, 0, 3), (2, 3, 0)] {
        let (x, w, b, many) = (x(n, c, m), vector(c), vector(c), moments(c));
        let shape = [n, c, m];
        if n * m > 1 {
            let normed = batch_norm(x.leaky_trace(), &w, &b, 1e-5, crate::Relu);
            hostile.empty("batch_norm", normed.output, &shape, 0.0, &[&x, &w, &b]);
        }
        let y = batch_norm_with(x.leaky_trace(), &w, &b, &many, 1e-5, crate::Relu);
        hostile.empty("batch_norm_with", y, &shape, 0.0, &[&x, &w, &b]);
        hostile.empty("group_norm", group_norm(x.leaky_trace(), 1, &w, &b, 1e-5), &shape, 0.0, &[&x, &w, &b]);
        hostile.empty("instance_norm", instance_norm(x.leaky_trace(), 1e-5), &shape, 0.0, &[&x]);
        let y = local_response_norm(x.leaky_trace(), LocalResponse::ALEXNET);
        hostile.empty("local_response_norm", y, &shape, 0.0, &[&x]);
        let (w, b) = (vector(m), vector(m));
        hostile.empty("layer_norm", layer_norm(x.leaky_trace(), &w, &b, 1e-5), &shape, 0.0, &[&x, &w, &b]);
        hostile.empty("rms_norm", rms_norm(x.leaky_trace(), &w, 1e-5), &shape, 0.0, &[&x, &w]);
    }
    for (o, i) in [(0, 3), (3, 0)] {
        let (w, g) = (zeros((o, i)), vector(o));
        hostile.empty("weight_norm", weight_norm(w.leaky_trace(), &g), &[o, i], 0.0, &[&w, &g]);
        let pair = Spectral { left: vector(o), right: vector(i) };
        hostile.empty("spectral_norm", spectral_norm(w.leaky_trace(), &pair), &[o, i], 0.0, &[&w]);
        let pair = power_iteration(&w, &pair, 1e-12);
        hostile.holds("power_iteration", &pair.left, &[o], 0.0);
        hostile.holds("power_iteration", &pair.right, &[i], 0.0);
    }

    let (w, b, many, few) = (vector(3), vector(3), moments(3), moments(2));
    let batch = |n, c, m, epsilon| try_batch_norm(x(n, c, m), &w, &b, epsilon, crate::Identity);
    let with = |c, many, epsilon| try_batch_norm_with(x(2, c, 4), &w, &b, many, epsilon, crate::Identity);
    let group = |c, groups, epsilon| try_group_norm(x(2, c, 4), groups, &w, &b, epsilon);
    assert_eq!(batch(2, 3, 5, 1e-5).unwrap().moments.count, 10);
    for (n, m, count) in [(1, 1, 1), (0, 5, 0), (2, 0, 0)] {
        refuses! { hostile:
            "batch_norm", batch(n, 3, m, 1e-5) => Error::BatchTooSmall { .. }, [count];
        }
    }
    for groups in [0, 2] {
        refuses! { hostile:
            "group_norm", group(3, groups, 1e-5) => Error::Indivisible { size: 3, .. }, [3, groups];
        }
    }
    refuses! { hostile:
        "batch_norm", batch(2, 4, 5, 1e-5) => Error::AxisLength { expected: 3, found: 4, .. }, [3, 4];
        "batch_norm_with", with(4, &many, 1e-5) => Error::AxisLength { expected: 3, found: 4, .. }, [3, 4];
        "batch_norm_with", with(3, &few, 1e-5) => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "group_norm", group(4, 2, 1e-5) => Error::AxisLength { expected: 3, found: 4, .. }, [3, 4];
        "instance_norm", try_instance_norm(zeros((2, 3)), 1e-5) => Error::BatchTooSmall { count: 1 }, [1];
        "layer_norm", try_layer_norm(x(2, 3, 4), &w, &b, 1e-5)
            => Error::AxisLength { expected: 3, found: 4, .. }, [3, 4];
        "rms_norm", try_rms_norm(x(2, 3, 4), &w, 1e-5)
            => Error::AxisLength { expected: 3, found: 4, .. }, [3, 4];
    }
    for epsilon in [-1e-5, f64::NAN, f64::INFINITY] {
        refuses! { hostile:
            "batch_norm", batch(2, 3, 5, epsilon) => Error::Epsilon { .. }, [epsilon];
            "batch_norm_with", with(3, &many, epsilon) => Error::Epsilon { .. }, [epsilon];
            "group_norm", group(3, 3, epsilon) => Error::Epsilon { .. }, [epsilon];
            "instance_norm", try_instance_norm(x(2, 3, 4), epsilon) => Error::Epsilon { .. }, [epsilon];
            "layer_norm", try_layer_norm(x(2, 4, 3), &w, &b, epsilon) => Error::Epsilon { .. }, [epsilon];
            "rms_norm", try_rms_norm(x(2, 4, 3), &w, epsilon) => Error::Epsilon { .. }, [epsilon];
        }
    }
    let response = |config| try_local_response_norm(x(2, 3, 4), config);
    let usual = LocalResponse::ALEXNET;
    refuses! { hostile:
        "local_response_norm", response(LocalResponse { size: 0, ..usual }) => Error::EmptyWindow { .. }, [0];
        "local_response_norm", response(LocalResponse { k: 0.0, ..usual })
            => Error::LocalResponse { .. }, ["k = 0"];
        "local_response_norm", response(LocalResponse { k: f64::NAN, ..usual })
            => Error::LocalResponse { .. }, ["k = NaN"];
        "local_response_norm", response(LocalResponse { alpha: -1.0, ..usual })
            => Error::LocalResponse { .. }, ["alpha = -1"];
    }

    let w = zeros((3, 4));
    let pair = |o, i| Spectral { left: vector(o), right: vector(i) };
    refuses! { hostile:
        "weight_norm", try_weight_norm(w.clone(), &vector(2))
            => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "spectral_norm", try_spectral_norm(w.clone(), &pair(2, 4))
            => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "spectral_norm", try_spectral_norm(w.clone(), &pair(3, 5))
            => Error::AxisLength { expected: 5, found: 4, .. }, [5, 4];
        "power_iteration", try_power_iteration(&w, &pair(2, 4), 1e-12)
            => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "power_iteration", try_power_iteration(&w, &pair(3, 5), 1e-12)
            => Error::AxisLength { expected: 5, found: 4, .. }, [5, 4];
    }
}
