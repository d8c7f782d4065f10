//! Rows of the table for resampling, all means of pooling among them.
use super::{Band, Corners, CountPadding, Edge, Filling, Rearrangement, composed};
use crate::shape::{Rounding, Taps};
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{Device, Real, RowMajor};
use dfdx::prelude::*;

/// Every method of [`ResamplingDevice`](super::ResamplingDevice).
pub const OPERATIONS: &[&str] = &["separable", "pad", "rearrange", "concat_channels"];

/// What is done along an axis.
#[derive(Clone, Copy, Debug)]
enum Along {
    Windows(Taps, Rounding, CountPadding),
    Adaptive(usize),
    Nearest(usize),
    Linear(usize, Corners),
    Mean,
}

impl Along {
    fn band(self, extent: usize) -> Band {
        match self {
            Self::Windows(taps, rounding, count) => {
                Band::windows(extent, taps, taps.pool_positions(extent, rounding).unwrap(), count)
            }
            Self::Adaptive(outputs) => Band::adaptive(extent, outputs).unwrap(),
            Self::Nearest(outputs) => Band::nearest(extent, outputs).unwrap(),
            Self::Linear(outputs, corners) => Band::linear(extent, outputs, corners).unwrap(),
            Self::Mean => Band::mean(extent).unwrap(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Separable([Along; 2], [usize; 3]),
    /// The filling; planes; rows and columns with what is added.
    Pad(Filling, usize, [[usize; 3]; 2]),
    /// Rows and columns of a rectangle.
    Rearrange([usize; 2], Rearrangement, [usize; 4]),
    /// Samples, channels of each batch, positions.
    Concat(usize, &'static [usize], usize),
}

impl Case for Op {
    fn operation(self) -> &'static str {
        match self {
            Self::Separable(..) => "separable",
            Self::Pad(..) => "pad",
            Self::Rearrange(..) => "rearrange",
            Self::Concat(..) => "concat_channels",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        match self {
            Self::Separable(_, shape) => vec![Spec::new(shape)],
            Self::Pad(_, planes, [[height, ..], [width, ..]]) => vec![Spec::new([planes, height, width])],
            Self::Rearrange(_, _, shape) => vec![Spec::new(shape)],
            Self::Concat(n, channels, m) => channels.iter().map(|&c| Spec::new([n, c, m])).collect(),
        }
    }

    fn is_linear(self) -> bool {
        true
    }
}

impl Portable for Op {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let planes = |i: usize| {
            let shape = (x[i].shape[0], x[i].shape[1], x[i].shape[2]);
            x[i].taped::<_, T>(shape).try_row_major().unwrap()
        };
        match self {
            Self::Separable([rows, cols], [_, height, width]) => {
                let (rows, cols) = (rows.band(height), cols.band(width));
                flat(if B::IS_FUSED {
                    D::separable(planes(0), [&rows, &cols]).unwrap()
                } else {
                    composed::separable(planes(0), [&rows, &cols]).unwrap()
                })
            }
            Self::Pad(filling, _, edges) => {
                let edges = edges.map(|[extent, before, after]| Edge { extent, before, after });
                flat(if B::IS_FUSED {
                    D::pad(planes(0), filling, edges).unwrap()
                } else {
                    composed::pad(planes(0), filling, edges).unwrap()
                })
            }
            Self::Rearrange(factors, way, [n, c, h, w]) => {
                let maps = x[0].taped::<_, T>((n, c, h, w)).try_row_major().unwrap();
                flat(if B::IS_FUSED {
                    D::rearrange(maps, factors, way).unwrap()
                } else {
                    composed::rearrange(maps, factors, way).unwrap()
                })
            }
            Self::Concat(_, channels, _) => {
                let (first, mut tape) = planes(0).split_tape();
                let others: Vec<_> = (1..channels.len())
                    .map(|i| {
                        let (x, more) = planes(i).split_tape();
                        tape = std::mem::take(&mut tape).merge(more);
                        x
                    })
                    .collect();
                flat(if B::IS_FUSED {
                    D::concat_channels(first, others, tape).unwrap()
                } else {
                    composed::concat_channels(first, others, tape).unwrap()
                })
            }
        }
    }
}

fn averages(
    [kernel, stride, padding, dilation]: [usize; 4],
    rounding: Rounding,
    count: CountPadding,
) -> Along {
    Along::Windows(Taps { kernel, stride, padding, dilation }, rounding, count)
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    use Along::{Adaptive, Linear, Mean, Nearest};
    use CountPadding::{Excluded, Included};
    use Rounding::{Down, Up};
    for (axes, shape) in [
        ([averages([2, 2, 0, 1], Down, Included), averages([2, 2, 0, 1], Down, Included)], [3, 6, 6]),
        ([averages([3, 2, 1, 1], Up, Included), averages([3, 1, 1, 1], Down, Excluded)], [2, 7, 5]),
        ([averages([2, 3, 1, 2], Up, Excluded), averages([1, 4, 0, 1], Down, Included)], [2, 8, 9]),
        ([Adaptive(3), Adaptive(7)], [2, 7, 3]),
        ([Nearest(6), Nearest(2)], [2, 4, 5]),
        ([Linear(6, Corners::Edges), Linear(9, Corners::Centres)], [2, 3, 4]),
        ([Linear(2, Corners::Centres), Linear(1, Corners::Centres)], [2, 5, 4]),
        ([Linear(3, Corners::Edges), Mean], [2, 5, 70]),
    ] {
        visit.visit(Op::Separable(axes, shape));
    }
    for filling in [Filling::Zeros, Filling::Replication, Filling::Reflection, Filling::Circular] {
        visit.visit(Op::Pad(filling, 3, [[4, 3, 1], [5, 2, 4]]));
        visit.visit(Op::Pad(filling, 2, [[1, 0, 0], [3, 0, 2]]));
    }
    visit.visit(Op::Pad(Filling::Replication, 2, [[1, 3, 2], [1, 0, 4]]));
    visit.visit(Op::Pad(Filling::Zeros, 2, [[2, 5, 0], [1, 3, 3]]));
    for [p, q] in [[1, 1], [2, 2], [3, 3], [1, 3], [3, 2]] {
        visit.visit(Op::Rearrange([p, q], Rearrangement::Shuffle, [2, 2 * p * q, 3, 2]));
        visit.visit(Op::Rearrange([p, q], Rearrangement::Unshuffle, [2, 2, 3 * p, 2 * q]));
    }
    visit.visit(Op::Concat(1, &[1, 1], 1));
    visit.visit(Op::Concat(3, &[2, 4], 5));
    visit.visit(Op::Concat(2, &[3, 1, 2, 4], 3));
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    let axes = [Along::Linear(40, Corners::Edges), Along::Nearest(50)];
    visit.visit(Op::Separable(axes, [60, 20, 25]));
    visit.visit(Op::Pad(Filling::Reflection, 61, [[30, 3, 4], [31, 4, 3]]));
    visit.visit(Op::Rearrange([2, 2], Rearrangement::Shuffle, [9, 32, 20, 20]));
    visit.visit(Op::Rearrange([2, 2], Rearrangement::Unshuffle, [9, 8, 40, 40]));
    visit.visit(Op::Concat(9, &[10, 20, 5], 300));
}
