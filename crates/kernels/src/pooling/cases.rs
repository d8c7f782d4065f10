//! Rows of the table for max pooling.
use super::{Pick, PlaneWindows, Sliding, composed};
use crate::shape::{Rounding, Taps};
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Layout, Numbers, Portable, Spec, Visit, flat};
use crate::{
    Device, Error, Real, global_max_pool, max_pool2d, max_unpool2d, pick, try_global_max_pool,
    try_max_pool2d, try_max_unpool2d, try_pick,
};
use dfdx::prelude::*;
use std::sync::Arc;

/// Every method of [`PoolingDevice`](super::PoolingDevice); the means are rows of [`resampling`](crate::resampling).
pub const OPERATIONS: &Operations =
    &[("max_pool", &["max_pool2d", "global_max_pool"]), ("pick", &["pick"]), ("place", &["max_unpool2d"])];

#[derive(Clone, Copy, Debug)]
enum Op {
    Max(PlaneWindows),
    /// Of planes with so many elements, so many.
    Pick([usize; 2]),
    Place([usize; 2]),
}

#[derive(Clone, Copy, Debug)]
struct OnPlanes(Op, usize);

/// Indices of which some come twice.
fn choice(planes: usize, sizes: [usize; 2]) -> Pick {
    let index = |i: usize| ((i * i * 7 + i + 3) % sizes[0]) as u32;
    Pick { sizes, indices: Arc::new((0..planes * sizes[1]).map(index).collect()) }
}

impl Case for OnPlanes {
    fn operation(self) -> &'static str {
        match self.0 {
            Op::Max(_) => "max_pool",
            Op::Pick(_) => "pick",
            Op::Place(_) => "place",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let [rows, cols] = match self.0 {
            Op::Max(windows) => windows.extents,
            Op::Pick([from, _]) => [1, from],
            Op::Place([_, to]) => [1, to],
        };
        // Elements apart from each other, so that none becomes the largest when another is moved.
        vec![Spec::new([self.1, rows, cols]).holding(Numbers::Distinct)]
    }

    /// Repeated elements are ties.
    fn layouts(self) -> &'static [Layout] {
        &[Layout::RowMajor, Layout::ColumnMajor]
    }

    fn is_linear(self) -> bool {
        !matches!(self.0, Op::Max(_))
    }
}

impl Portable for OnPlanes {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let shape = (x[0].shape[0], x[0].shape[1], x[0].shape[2]);
        let planes = x[0].taped::<_, T>(shape).contiguous();
        match self.0 {
            Op::Max(windows) if B::IS_FUSED => flat(D::max_pool(planes, windows).unwrap().0),
            Op::Max(windows) => flat(composed::max_pool(planes, windows).unwrap().0),
            Op::Pick(sizes) if B::IS_FUSED => flat(D::pick(planes, &choice(self.1, sizes)).unwrap()),
            Op::Pick(sizes) => flat(composed::pick(planes, &choice(self.1, sizes)).unwrap()),
            Op::Place(sizes) if B::IS_FUSED => flat(D::place(planes, &choice(self.1, sizes)).unwrap()),
            Op::Place(sizes) => flat(composed::place(planes, &choice(self.1, sizes)).unwrap()),
        }
    }
}

fn windows(extents: [usize; 2], taps: [Taps; 2], rounding: Rounding) -> PlaneWindows {
    let outputs = [0, 1].map(|axis| taps[axis].pool_positions(extents[axis], rounding).unwrap());
    PlaneWindows { extents, taps, outputs }
}

/// Kernel, stride, padding, dilation.
fn taps([kernel, stride, padding, dilation]: [usize; 4]) -> Taps {
    Taps { kernel, stride, padding, dilation }
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    let square = |numbers| [taps(numbers); 2];
    for (extents, taps) in [
        ([1, 1], square([1, 1, 0, 1])),
        ([6, 6], square([2, 2, 0, 1])),
        ([7, 5], square([3, 2, 1, 1])),
        ([5, 8], square([3, 1, 1, 1])),
        ([9, 8], square([2, 1, 0, 2])),
        ([9, 11], square([3, 3, 1, 2])),
        ([6, 9], [taps([1, 1, 0, 1]), taps([4, 3, 2, 1])]),
        ([4, 4], [taps([4, 1, 2, 1]), taps([3, 2, 1, 1])]),
    ] {
        for rounding in [Rounding::Down, Rounding::Up] {
            visit.visit(OnPlanes(Op::Max(windows(extents, taps, rounding)), 3));
        }
    }
    for sizes in [[1, 1], [12, 5], [5, 12]] {
        visit.visit(OnPlanes(Op::Pick(sizes), 3));
        visit.visit(OnPlanes(Op::Place(sizes), 3));
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    let square = [taps([3, 2, 1, 1]); 2];
    visit.visit(OnPlanes(Op::Max(windows([40, 30], square, Rounding::Up)), 70));
    visit.visit(OnPlanes(Op::Pick([900, 300]), 70));
    visit.visit(OnPlanes(Op::Place([900, 300]), 70));
}

/// No images, no channels, empty planes; windows and indices that do not fit.
pub fn hostile(hostile: &mut Hostile) {
    let x = |h, w| zeros((2, 2, h, w));
    let window = |numbers| Sliding::square(taps(numbers));
    for (n, c) in [(0, 2), (2, 0)] {
        let (x, y) = (zeros((n, c, 4, 4)), zeros((n, c, 2, 2)));
        let pooled = max_pool2d(x.leaky_trace(), window([2, 2, 0, 1]));
        hostile.empty("max_pool2d", pooled.output, &[n, c, 2, 2], 0.0, &[&x]);
        hostile.empty("global_max_pool", global_max_pool(x.leaky_trace()), &[n, c], 0.0, &[&x]);
        let picked = pick(x.leaky_trace(), &pooled.indices, y.shape());
        hostile.empty("pick", picked, &[n, c, 2, 2], 0.0, &[&x]);
        let placed = max_unpool2d(y.leaky_trace(), &pooled.indices);
        hostile.empty("max_unpool2d", placed, &[n, c, 4, 4], 0.0, &[&y]);
    }
    let pooled = max_pool2d(x(4, 4), window([2, 2, 0, 1]));
    let (indices, shape) = (&pooled.indices, pooled.output.shape());
    refuses! { hostile:
        "max_pool2d", try_max_pool2d(x(2, 5), window([3, 1, 0, 1]))
            => Error::WindowTooLong { extent: 2, span: 3, .. }, [2, 3, 1];
        "max_pool2d", try_max_pool2d(x(0, 5), window([2, 1, 1, 1]))
            => Error::WindowTooLong { extent: 0, .. }, [0, 2];
        "max_pool2d", try_max_pool2d(x(5, 5), window([3, 1, 2, 1]))
            => Error::PoolPadding { padding: 2, kernel: 3 }, [2, 3];
        "max_pool2d", try_max_pool2d(x(5, 5), window([0, 1, 0, 1]))
            => Error::EmptyWindow { kernel: 0, .. }, [0];
        "max_pool2d", try_max_pool2d(x(5, 5), window([1, 0, 0, 1]))
            => Error::EmptyWindow { stride: 0, .. }, [0];
        "max_pool2d", try_max_pool2d(x(5, 5), window([1, 1, 0, 0]))
            => Error::EmptyWindow { dilation: 0, .. }, [0];
        "max_pool2d", try_max_pool2d(x(5, 5), window([3, 1, 0, usize::MAX])) => Error::SizeOverflow, [];
        "global_max_pool", try_global_max_pool(x(0, 2)) => Error::WindowTooLong { extent: 0, .. }, [0];
        "global_max_pool", try_global_max_pool(x(2, 0)) => Error::WindowTooLong { extent: 0, .. }, [0];
        "max_unpool2d", try_max_unpool2d(x(3, 3), indices)
            => Error::IndexCount { indices: 16, elements: 36 }, [16, 36];
        "pick", try_pick(x(4, 5), indices, shape) => Error::IndexCount { indices: 16, elements: 16 }, [16];
        "pick", try_pick(x(4, 4), indices, &(2, 2, 2, 3))
            => Error::IndexCount { indices: 16, elements: 24 }, [16, 24];
        "pick", try_pick(zeros((1, 2, 4, 4)), indices, &(1, 2, 2, 2))
            => Error::IndexCount { indices: 16, elements: 8 }, [16, 8];
    }
}
