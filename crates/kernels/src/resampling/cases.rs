//! Rows of the table for resampling, all means of pooling among them.
use super::{
    Band, Bordered, Corners, CountPadding, Edge, Filling, Rearrangement, Replication, composed, pad1d, pad2d,
    try_pad1d, try_pad2d,
};
use crate::pooling::Sliding;
use crate::shape::{Rounding, Taps};
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{
    Device, Error, Real, RowMajor, adaptive_avg_pool2d, avg_pool2d, concat_channels, global_avg_pool,
    pixel_shuffle, pixel_shuffle1d, pixel_unshuffle, pixel_unshuffle1d, resize_bilinear, resize_nearest,
    try_adaptive_avg_pool2d, try_avg_pool2d, try_concat_channels, try_global_avg_pool, try_pixel_shuffle,
    try_pixel_shuffle1d, try_pixel_unshuffle, try_pixel_unshuffle1d, try_resize_bilinear, try_resize_nearest,
};
use dfdx::prelude::*;

/// Every method of [`ResamplingDevice`](super::ResamplingDevice).
pub const OPERATIONS: &Operations = &[
    (
        "separable",
        &["resize_nearest", "resize_bilinear", "avg_pool2d", "adaptive_avg_pool2d", "global_avg_pool"],
    ),
    ("pad", &["pad1d", "pad2d"]),
    ("rearrange", &["pixel_shuffle", "pixel_unshuffle", "pixel_shuffle1d", "pixel_unshuffle1d"]),
    ("concat_channels", &["concat_channels"]),
];

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

/// No images, no channels, empty planes; sizes, windows and factors that do not fit.
pub fn hostile(hostile: &mut Hostile) {
    let x = |h, w| zeros((2, 2, h, w));
    let sliding =
        |kernel, stride, padding, dilation| Sliding::square(Taps { kernel, stride, padding, dilation });
    let framed = |filling, rows, cols| Bordered { filling, rows, cols };
    for (n, c) in [(0, 4), (2, 0)] {
        let (x, l) = (zeros((n, c, 4, 6)), zeros((n, c, 6)));
        let y = resize_nearest(x.leaky_trace(), 3, 5);
        hostile.empty("resize_nearest", y, &[n, c, 3, 5], 0.0, &[&x]);
        let y = resize_bilinear(x.leaky_trace(), 3, 5, Corners::Edges);
        hostile.empty("resize_bilinear", y, &[n, c, 3, 5], 0.0, &[&x]);
        let y = avg_pool2d(x.leaky_trace(), sliding(2, 2, 0, 1), CountPadding::Included);
        hostile.empty("avg_pool2d", y, &[n, c, 2, 3], 0.0, &[&x]);
        hostile.empty(
            "adaptive_avg_pool2d",
            adaptive_avg_pool2d(x.leaky_trace(), 3, 1),
            &[n, c, 3, 1],
            0.0,
            &[&x],
        );
        hostile.empty("global_avg_pool", global_avg_pool(x.leaky_trace()), &[n, c], 0.0, &[&x]);
        let y = pad2d(x.leaky_trace(), framed(Filling::Reflection, [1, 2], [3, 0]));
        hostile.empty("pad2d", y, &[n, c, 7, 9], 0.0, &[&x]);
        let y = pad1d(l.leaky_trace(), framed(Filling::Circular, [0, 0], [1, 2]));
        hostile.empty("pad1d", y, &[n, c, 9], 0.0, &[&l]);
        hostile.empty("pixel_shuffle", pixel_shuffle(x.leaky_trace(), 2), &[n, c / 4, 8, 12], 0.0, &[&x]);
        hostile.empty("pixel_unshuffle", pixel_unshuffle(x.leaky_trace(), 2), &[n, 4 * c, 2, 3], 0.0, &[&x]);
        hostile.empty("pixel_shuffle1d", pixel_shuffle1d(l.leaky_trace(), 2), &[n, c / 2, 12], 0.0, &[&l]);
        hostile.empty("pixel_unshuffle1d", pixel_unshuffle1d(l.leaky_trace(), 3), &[n, 3 * c, 2], 0.0, &[&l]);
        let more = zeros((n, 3, 4, 6));
        let y = concat_channels(x.leaky_trace(), more.leaky_trace()); // 3 channels when the first has none
        hostile.holds("concat_channels", &y, &[n, c + 3, 4, 6], 0.0);
        let none = zeros((n, 0, 4, 6));
        let y = concat_channels(none.leaky_trace(), none.leaky_trace());
        hostile.empty("concat_channels", y, &[n, 0, 4, 6], 0.0, &[&none]);
    }
    hostile.holds("pad2d", &pad2d(x(0, 0), framed(Filling::Zeros, [1, 1], [0, 2])), &[2, 2, 2, 2], 0.0);

    let count = CountPadding::Included;
    refuses! { hostile:
        "resize_nearest", try_resize_nearest(x(0, 2), 2, 2) => Error::WindowTooLong { extent: 0, .. }, [0];
        "resize_nearest", try_resize_nearest(x(2, 3), 2, 0) => Error::NoOutputs { extent: 3 }, [3];
        "resize_bilinear", try_resize_bilinear(x(2, 0), 2, 2, Corners::Edges)
            => Error::WindowTooLong { extent: 0, .. }, [0];
        "resize_bilinear", try_resize_bilinear(x(2, 2), 2, 0, Corners::Edges)
            => Error::NoOutputs { extent: 2 }, [2];
        "avg_pool2d", try_avg_pool2d(x(2, 2), sliding(3, 1, 0, 1), count)
            => Error::WindowTooLong { extent: 2, span: 3, .. }, [2, 3, 1];
        "avg_pool2d", try_avg_pool2d(x(0, 2), sliding(2, 1, 0, 1), count)
            => Error::WindowTooLong { extent: 0, .. }, [0, 2];
        "avg_pool2d", try_avg_pool2d(x(5, 5), sliding(3, 1, 2, 1), count)
            => Error::PoolPadding { padding: 2, kernel: 3 }, [2, 3];
        "avg_pool2d", try_avg_pool2d(x(5, 5), sliding(0, 1, 0, 1), count) => Error::EmptyWindow { .. }, [0];
        "avg_pool2d", try_avg_pool2d(x(5, 5), sliding(1, 0, 0, 1), count) => Error::EmptyWindow { .. }, [0];
        "avg_pool2d", try_avg_pool2d(x(5, 5), sliding(1, 1, 0, 0), count) => Error::EmptyWindow { .. }, [0];
        "adaptive_avg_pool2d", try_adaptive_avg_pool2d(x(2, 2), 0, 1) => Error::NoOutputs { extent: 2 }, [2];
        "adaptive_avg_pool2d", try_adaptive_avg_pool2d(x(2, 0), 1, 1)
            => Error::WindowTooLong { extent: 0, .. }, [0];
        "global_avg_pool", try_global_avg_pool(x(0, 2)) => Error::WindowTooLong { extent: 0, .. }, [0];
        "global_avg_pool", try_global_avg_pool(x(2, 0)) => Error::WindowTooLong { extent: 0, .. }, [0];
    }

    let line = |c, l| zeros((1, c, l));
    let empty = zeros(Rank4::<1, 1, 0, 2>::default());
    refuses! { hostile:
        "pad2d", try_pad2d(x(2, 3), framed(Filling::Reflection, [0, 0], [1, 3]))
            => Error::Reflection { extent: 3, padding: 3 }, [3];
        "pad2d", try_pad2d(x(2, 2), framed(Filling::Circular, [0, 0], [1, 3]))
            => Error::Wrap { extent: 2, padding: 3 }, [2, 3];
        "pad2d", try_pad2d(x(0, 2), framed(Filling::Replication, [0, 0], [1, 3])) => Error::Replication, [0];
        "pad2d", try_pad2d(empty, Replication::<1, 1, 0, 0>) => Error::Replication, [0];
        "pad2d", try_pad2d(x(2, 2), framed(Filling::Zeros, [usize::MAX, 0], [0, 0]))
            => Error::SizeOverflow, [];
        "pad1d", try_pad1d(line(1, 2), framed(Filling::Zeros, [1, 0], [0, 0]))
            => Error::AxisLength { expected: 1, found: 2, .. }, [1, 2];
        "pad1d", try_pad1d(line(1, 2), framed(Filling::Reflection, [0, 0], [2, 0]))
            => Error::Reflection { extent: 2, padding: 2 }, [2];
    }
    for factor in [0, 2] {
        refuses! { hostile:
            "pixel_shuffle", try_pixel_shuffle(zeros((1, 6, 2, 2)), factor)
                => Error::Indivisible { size: 6, .. }, [6, factor * factor];
            "pixel_unshuffle", try_pixel_unshuffle(x(3, 4), factor)
                => Error::Indivisible { size: 3, .. }, [3, factor];
            "pixel_unshuffle", try_pixel_unshuffle(x(4, 5), factor) => Error::Indivisible { .. }, [factor];
            "pixel_shuffle1d", try_pixel_shuffle1d(line(3, 5), factor)
                => Error::Indivisible { size: 3, .. }, [3, factor];
            "pixel_unshuffle1d", try_pixel_unshuffle1d(line(3, 5), factor)
                => Error::Indivisible { size: 5, .. }, [5, factor];
        }
    }
    refuses! { hostile:
        "pixel_shuffle", try_pixel_shuffle(x(2, 2), usize::MAX) => Error::Indivisible { .. }, [2];
        "pixel_unshuffle", try_pixel_unshuffle(x(2, 2), usize::MAX) => Error::SizeOverflow, [];
        "concat_channels", try_concat_channels(x(3, 4), x(3, 5))
            => Error::AxisLength { axis: "columns", expected: 4, found: 5 }, ["columns", 4, 5];
        "concat_channels", try_concat_channels(x(3, 4), x(2, 4))
            => Error::AxisLength { axis: "rows", expected: 3, found: 2 }, ["rows", 3, 2];
        "concat_channels", try_concat_channels(zeros((1, 2, 3, 4)), x(3, 4))
            => Error::AxisLength { axis: "batch size", expected: 1, found: 2 }, ["batch size", 1, 2];
    }
}
