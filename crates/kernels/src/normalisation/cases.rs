//! Rows of the table for the normalisations.
use super::{Grouping, LocalResponse, Volume, composed};
use crate::tests::laws::{Body, Case, Flat, Input, Layout, Numbers, Portable, Spec, Visit, flat};
use crate::{ActivationKind, Device, Real};
use ActivationKind::{Gelu, Identity, LeakyRelu, Relu, Tanh};
use dfdx::prelude::*;

/// Every method of [`NormalisationDevice`](super::NormalisationDevice).
pub const OPERATIONS: &[&str] = &["batch_norm", "batch_norm_with", "group_norm", "local_response_norm"];

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
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    visit_all(visit, &[(200, 130, 1), (5, 30, 300)]);
}
