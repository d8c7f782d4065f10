//! Rows of the table for the convolutions.
use super::patches::{Patches, composed_col2im, composed_im2col};
use super::{
    Axis, Convolution, ConvolutionDevice, DynConvolution, OutputPadding, Sizes, Steps, col2im, composed,
    conv_transpose1d, conv_transpose2d, conv_transpose2d_dyn, conv1d, conv2d, conv2d_dyn, im2col, try_col2im,
    try_conv_transpose1d, try_conv_transpose2d, try_conv_transpose2d_dyn, try_conv1d, try_conv2d,
    try_conv2d_dyn, try_im2col,
};
use crate::shape::Taps;
use crate::tests::hostile::{Hostile, Leaf, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{ActivationKind, Device, Error, InputGradient, Real};
use dfdx::prelude::*;

/// The methods of [`ConvolutionDevice`].
pub const OPERATIONS: &Operations = &[
    ("conv2d", &["conv2d", "conv1d", "conv2d_dyn"]),
    ("conv_transpose2d", &["conv_transpose2d", "conv_transpose1d", "conv_transpose2d_dyn"]),
    ("im2col", &["im2col"]),
    ("col2im", &["col2im"]),
];

/// A convolution or its adjoint.
#[derive(Clone, Copy, Debug)]
pub struct Convolved {
    pub transposed: bool,
    pub sizes: Sizes,
}

impl Convolved {
    /// Kernel, stride, padding and dilation per axis; `[images, groups, channels of an image's group, of the windows']`.
    pub fn new(
        [images, groups, image_channels, window_channels]: [usize; 4],
        [y, x]: [(usize, [usize; 4]); 2],
    ) -> Self {
        let axis = |(extent, [kernel, stride, padding, dilation]): (usize, [usize; 4])| {
            let taps = Taps { kernel, stride, padding, dilation };
            Axis { extent, windows: taps.positions(extent).expect("it fits"), taps }
        };
        let sizes = Sizes {
            images,
            groups,
            image_channels,
            window_channels,
            y: axis(y),
            x: axis(x),
            input_gradient: InputGradient::Needed,
            activation: ActivationKind::Identity,
        };
        Self { transposed: false, sizes }
    }
}

impl Case for Convolved {
    fn operation(self) -> &'static str {
        if self.transposed { "conv_transpose2d" } else { "conv2d" }
    }
    fn inputs(self) -> Vec<Spec> {
        let Sizes { images, groups, image_channels, window_channels, y, x, .. } = self.sizes;
        let (c, o, h, w) = match self.transposed {
            false => (image_channels, window_channels, y.extent, x.extent),
            true => (window_channels, image_channels, y.windows, x.windows),
        };
        let scale = ((c * y.taps.kernel * x.taps.kernel) as f64).sqrt().recip();
        let weight = [groups * window_channels, image_channels, y.taps.kernel, x.taps.kernel];
        vec![
            Spec::new([images, groups * c, h, w]),
            Spec::new(weight).scaled(scale),
            Spec::new([groups * o]).pinned(),
        ]
    }
    fn is_linear(self) -> bool {
        self.sizes.activation == ActivationKind::Identity
    }
}

impl Portable for Convolved {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let Sizes { images, groups, image_channels, window_channels, y, x: along_x, .. } = self.sizes;
        let shape = |input: &Input<E, D>| -> (usize, usize, usize, usize) {
            let s = &input.shape;
            (s[0], s[1], s[2], s[3])
        };
        let image = x[0].taped::<_, T>(shape(&x[0]));
        let weight = x[1].plain(shape(&x[1]));
        let bias = x[2].plain((x[2].shape[0],));
        let (to, sizes) = match self.transposed {
            false => ((images, groups * window_channels, y.windows, along_x.windows), self.sizes),
            true => ((images, groups * image_channels, y.extent, along_x.extent), self.sizes),
        };
        flat(
            match self.transposed {
                false if B::IS_FUSED => {
                    <D as ConvolutionDevice<E>>::conv2d(image, &weight, Some(&bias), sizes, to)
                }
                false => composed::conv2d(image, &weight, Some(&bias), sizes, to),
                true if B::IS_FUSED => {
                    <D as ConvolutionDevice<E>>::conv_transpose2d(image, &weight, Some(&bias), sizes, to)
                }
                true => composed::conv_transpose2d(image, &weight, Some(&bias), sizes, to),
            }
            .unwrap(),
        )
    }
}

/// With what follows a convolution: kinds whose slope the output tells, and one whose slope is kept.
fn visit_activated(visitor: &mut impl Visit, case: Convolved) {
    for activation in [ActivationKind::Relu, ActivationKind::Tanh, ActivationKind::Gelu] {
        visit(visitor, Convolved { sizes: Sizes { activation, ..case.sizes }, ..case });
    }
}

fn visit(visitor: &mut impl Visit, case: Convolved) {
    visitor.visit(case);
    visitor.visit(Convolved { transposed: true, ..case });
    if case.is_linear() {
        visitor.visit(Patched::of(false, case.sizes));
        visitor.visit(Patched::of(true, case.sizes));
    }
}

/// The patches of the image side of a convolution, or their sum.
#[derive(Clone, Copy, Debug)]
struct Patched {
    is_back: bool,
    channels: usize,
    patches: Patches,
}

impl Patched {
    fn of(is_back: bool, Sizes { images, groups, image_channels, y, x, .. }: Sizes) -> Self {
        let channels = groups * image_channels;
        Self { is_back, channels, patches: Patches { planes: images * channels, y, x } }
    }
    fn image(self) -> (usize, usize, usize, usize) {
        let Self { channels, patches: Patches { planes, y, x }, .. } = self;
        (planes / channels, channels, y.extent, x.extent)
    }
    fn columns(self) -> (usize, usize, usize) {
        let Self { channels, patches: Patches { planes, y, x }, .. } = self;
        (planes / channels, channels * y.taps.kernel * x.taps.kernel, y.windows * x.windows)
    }
}

impl Case for Patched {
    fn operation(self) -> &'static str {
        if self.is_back { "col2im" } else { "im2col" }
    }
    fn inputs(self) -> Vec<Spec> {
        vec![if self.is_back {
            Spec::new(self.columns().concrete())
        } else {
            Spec::new(self.image().concrete())
        }]
    }
    fn is_linear(self) -> bool {
        true
    }
}

impl Portable for Patched {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let (image, columns, patches) = (self.image(), self.columns(), self.patches);
        match (self.is_back, B::IS_FUSED) {
            (false, true) => flat(D::im2col(x[0].taped::<_, T>(image), patches, columns).unwrap()),
            (false, false) => flat(composed_im2col(x[0].taped::<_, T>(image), patches, columns).unwrap()),
            (true, true) => flat(D::col2im(x[0].taped::<_, T>(columns), patches, image).unwrap()),
            (true, false) => flat(composed_col2im(x[0].taped::<_, T>(columns), patches, image).unwrap()),
        }
    }
}

/// Kernels, strides, paddings and dilations of all kinds, also different ones along the two axes.
pub fn cases(visitor: &mut impl Visit) {
    for (channels, axes) in [
        ([2, 1, 3, 4], [(5, [3, 1, 1, 1]), (6, [3, 1, 1, 1])]),
        ([1, 1, 2, 3], [(7, [3, 2, 1, 1]), (8, [3, 2, 1, 1])]),
        ([2, 1, 2, 2], [(7, [2, 2, 0, 1]), (6, [2, 2, 0, 1])]),
        ([1, 1, 1, 9], [(9, [5, 1, 2, 1]), (7, [5, 2, 2, 1])]),
        ([2, 1, 5, 3], [(4, [1, 1, 0, 1]), (5, [1, 1, 0, 1])]),
        ([1, 1, 3, 2], [(5, [1, 2, 0, 1]), (6, [1, 3, 1, 1])]),
        ([2, 4, 1, 1], [(5, [3, 1, 1, 1]), (5, [3, 1, 1, 1])]),
        ([1, 3, 1, 2], [(6, [3, 2, 1, 1]), (5, [3, 1, 1, 1])]),
        ([1, 2, 3, 2], [(9, [3, 1, 2, 2]), (11, [3, 2, 3, 3])]),
        ([1, 1, 2, 3], [(1, [1, 1, 0, 1]), (9, [7, 1, 3, 1])]),
        ([1, 1, 1, 1], [(3, [3, 1, 4, 1]), (3, [2, 1, 3, 1])]),
        ([5, 1, 1, 7], [(10, [3, 3, 1, 1]), (7, [2, 2, 0, 2])]),
    ] {
        visit(visitor, Convolved::new(channels, axes));
    }
    visit_activated(visitor, Convolved::new([2, 1, 3, 4], [(5, [3, 1, 1, 1]), (6, [3, 1, 1, 1])]));
}

/// Cases of several parts.
pub fn large_cases(visitor: &mut impl Visit) {
    for (channels, axes) in [
        ([9, 1, 5, 17], [(20, [3, 1, 1, 1]), (23, [3, 1, 1, 1])]),
        ([2, 1, 16, 32], [(20, [3, 2, 1, 1]), (23, [3, 2, 1, 1])]),
        ([3, 48, 1, 1], [(30, [5, 1, 2, 1]), (31, [5, 1, 2, 1])]),
        ([6, 1, 24, 16], [(30, [1, 1, 0, 1]), (31, [1, 1, 0, 1])]),
    ] {
        visit(visitor, Convolved::new(channels, axes));
    }
    let activated = Convolved::new([9, 1, 5, 17], [(20, [3, 1, 1, 1]), (23, [3, 1, 1, 1])]);
    visit(
        visitor,
        Convolved { sizes: Sizes { activation: ActivationKind::Relu, ..activated.sizes }, ..activated },
    );
}

/// No images, no channels, no outputs; windows, groups and operands that do not fit.
pub fn hostile(hostile: &mut Hostile) {
    let (square, line) = (Convolution::square(Steps::<1>), Convolution::line(Steps::<1>));
    let (image, sequence) = (|c, h| zeros((1, c, h, h)), |c, l| zeros((1, c, l)));
    let (weight, taps) = (|o, c| zeros((o, c, Const::<3>, Const::<3>)), |o, c| zeros((o, c, Const::<3>)));
    for (n, c, o) in [(0, 2, 3), (2, 0, 3), (2, 2, 0)] {
        let (b, x, l) = (zeros((o,)), zeros((n, c, 5, 6)), zeros((n, c, 5)));
        // Without input channels only the bias is left.
        let counted = if c == 0 { 2 } else { 3 };
        let w = weight(o, c);
        let y = conv2d(x.leaky_trace(), &w, Some(&b), square);
        hostile.empty("conv2d", y, &[n, o, 3, 4], 0.0, &([&x, &w, &b] as [&dyn Leaf; 3])[..counted]);
        let w = weight(c, o);
        let y = conv_transpose2d(x.leaky_trace(), &w, Some(&b), square, OutputPadding::<0, 0>);
        let leaves: [&dyn Leaf; 3] = [&x, &w, &b];
        hostile.empty("conv_transpose2d", y, &[n, o, 7, 8], 0.0, &leaves[..counted]);
        let w = taps(o, c);
        let y = conv1d(l.leaky_trace(), &w, Some(&b), line);
        hostile.empty("conv1d", y, &[n, o, 3], 0.0, &([&l, &w, &b] as [&dyn Leaf; 3])[..counted]);
        let w = taps(c, o);
        let y = conv_transpose1d(l.leaky_trace(), &w, Some(&b), line, OutputPadding::<0, 0>);
        let leaves: [&dyn Leaf; 3] = [&l, &w, &b];
        hostile.empty("conv_transpose1d", y, &[n, o, 7], 0.0, &leaves[..counted]);
    }

    let (w, five) = (weight(4, 2), zeros((5,)));
    let (cropped, short) = (Convolution::square(Steps::<1, 3>), Convolution::line(Steps::<1, 3>));
    let point = zeros((4, 2, Const::<0>, Const::<0>));
    let still = Convolution::square(Steps::<0>);
    let dense = Convolution::square(Steps::<1, 0, 0>);
    let vast = Convolution::square(Steps::<1, { usize::MAX }>);
    refuses! { hostile:
        "conv2d", try_conv2d(image(2, 2), &w, None, square)
            => Error::WindowTooLong { extent: 2, padding: 0, span: 3 }, [2, 3, 1];
        "conv2d", try_conv2d(image(2, 0), &w, None, square)
            => Error::WindowTooLong { extent: 0, .. }, [0, 3, 2];
        "conv2d", try_conv2d(image(3, 5), &w, None, square)
            => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "conv2d", try_conv2d(image(4, 5), &w, None, square.in_groups::<3>())
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv2d", try_conv2d(image(6, 5), &w, None, square.in_groups::<3>())
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv2d", try_conv2d(image(2, 5), &w, None, square.in_groups::<0>())
            => Error::Indivisible { size: 2, divisor: 0 }, [2, 0];
        "conv2d", try_conv2d(image(2, 5), &w, Some(&five), square)
            => Error::AxisLength { expected: 4, found: 5, .. }, [4, 5];
        "conv2d", try_conv2d(image(2, 5), &point, None, square)
            => Error::EmptyWindow { kernel: 0, stride: 1, dilation: 1 }, [0, 1];
        "conv2d", try_conv2d(image(2, 5), &w, None, still) => Error::EmptyWindow { stride: 0, .. }, [3, 0, 1];
        "conv2d", try_conv2d(image(2, 5), &w, None, dense)
            => Error::EmptyWindow { dilation: 0, .. }, [3, 1, 0];
        "conv2d", try_conv2d(image(2, 5), &w, None, vast) => Error::SizeOverflow, [];
    }
    let none = OutputPadding::<0, 0>;
    refuses! { hostile:
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, None, cropped, none)
            => Error::TransposedEmpty { full: 4, padding: 3 }, [4, 3];
        "conv_transpose2d", try_conv_transpose2d(image(4, 0), &w, None, square, none)
            => Error::TransposedEmpty { full: 0, padding: 0 }, [0];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, None, square, OutputPadding::<1, 1>)
            => Error::OutputPadding { output_padding: 1, stride: 1, dilation: 1 }, [1];
        "conv_transpose2d", try_conv_transpose2d(image(3, 2), &w, None, square, none)
            => Error::AxisLength { expected: 4, found: 3, .. }, [4, 3];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, None, square.in_groups::<3>(), none)
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, None, square.in_groups::<0>(), none)
            => Error::Indivisible { size: 4, divisor: 0 }, [4, 0];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, Some(&five), square, none)
            => Error::AxisLength { expected: 2, found: 5, .. }, [2, 5];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &point, None, square, none)
            => Error::EmptyWindow { kernel: 0, .. }, [0, 1];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, None, still, none)
            => Error::EmptyWindow { stride: 0, .. }, [3, 0, 1];
        "conv_transpose2d", try_conv_transpose2d(image(4, 2), &w, None, vast, none)
            => Error::SizeOverflow, [];
    }
    let w = taps(4, 2);
    refuses! { hostile:
        "conv1d", try_conv1d(sequence(2, 2), &w, None, line)
            => Error::WindowTooLong { extent: 2, padding: 0, span: 3 }, [2, 3, 1];
        "conv1d", try_conv1d(sequence(3, 5), &w, None, line)
            => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "conv1d", try_conv1d(sequence(4, 5), &w, None, line.in_groups::<3>())
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv1d", try_conv1d(sequence(6, 5), &w, None, line.in_groups::<3>())
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv1d", try_conv1d(sequence(2, 5), &w, Some(&five), line)
            => Error::AxisLength { expected: 4, found: 5, .. }, [4, 5];
        "conv1d", try_conv1d(sequence(2, 5), &w, None, Convolution::line(Steps::<0>))
            => Error::EmptyWindow { stride: 0, .. }, [3, 0, 1];
        "conv_transpose1d", try_conv_transpose1d(sequence(4, 2), &w, None, short, none)
            => Error::TransposedEmpty { full: 4, padding: 3 }, [4, 3];
        "conv_transpose1d", try_conv_transpose1d(sequence(4, 2), &w, None, line, OutputPadding::<0, 1>)
            => Error::OutputPadding { output_padding: 1, .. }, [1];
        "conv_transpose1d", try_conv_transpose1d(sequence(3, 2), &w, None, line, none)
            => Error::AxisLength { expected: 4, found: 3, .. }, [4, 3];
        "conv_transpose1d", try_conv_transpose1d(sequence(4, 2), &w, None, line.in_groups::<3>(), none)
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv_transpose1d", try_conv_transpose1d(sequence(4, 2), &w, Some(&five), line, none)
            => Error::AxisLength { expected: 2, found: 5, .. }, [2, 5];
    }
    hostile_at_run_time(hostile);
    hostile_patches(hostile);
}

fn hostile_at_run_time(hostile: &mut Hostile) {
    let plain = DynConvolution::default();
    let in_groups = |groups| DynConvolution { groups, ..plain };
    let (image, weight) = (|c, h| zeros((1, c, h, h)), |o, c, k| zeros((o, c, k, k)));
    for (n, c, o) in [(0, 2, 3), (2, 0, 3), (2, 2, 0)] {
        let (b, x) = (zeros((o,)), zeros((n, c, 5, 6)));
        let counted = if c == 0 { 2 } else { 3 };
        let w = weight(o, c, 3);
        let y = conv2d_dyn(x.leaky_trace(), &w, Some(&b), plain);
        hostile.empty("conv2d_dyn", y, &[n, o, 3, 4], 0.0, &([&x, &w, &b] as [&dyn Leaf; 3])[..counted]);
        let w = weight(c, o, 3);
        let y = conv_transpose2d_dyn(x.leaky_trace(), &w, Some(&b), plain);
        let leaves: [&dyn Leaf; 3] = [&x, &w, &b];
        hostile.empty("conv_transpose2d_dyn", y, &[n, o, 7, 8], 0.0, &leaves[..counted]);
    }
    let (w, five) = (weight(4, 2, 3), zeros((5,)));
    let still = DynConvolution { stride: [1, 0], ..plain };
    let dense = DynConvolution { dilation: [0, 1], ..plain };
    let vast = DynConvolution { padding: [usize::MAX / 2 + 1; 2], ..plain };
    let cropped = DynConvolution { padding: [3; 2], ..plain };
    let longer = DynConvolution { output_padding: [0, 1], ..plain };
    refuses! { hostile:
        "conv2d_dyn", try_conv2d_dyn(image(2, 2), &w, None, plain)
            => Error::WindowTooLong { extent: 2, padding: 0, span: 3 }, [2, 3, 1];
        "conv2d_dyn", try_conv2d_dyn(image(3, 5), &w, None, plain)
            => Error::AxisLength { expected: 2, found: 3, .. }, [2, 3];
        "conv2d_dyn", try_conv2d_dyn(image(2, 5), &weight(4, 2, 0), None, plain)
            => Error::EmptyWindow { kernel: 0, .. }, [0, 1];
        "conv2d_dyn", try_conv2d_dyn(image(2, 5), &w, None, still)
            => Error::EmptyWindow { stride: 0, .. }, [3, 0, 1];
        "conv2d_dyn", try_conv2d_dyn(image(2, 5), &w, None, dense)
            => Error::EmptyWindow { dilation: 0, .. }, [3, 1, 0];
        "conv2d_dyn", try_conv2d_dyn(image(4, 5), &w, None, in_groups(3))
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv2d_dyn", try_conv2d_dyn(image(4, 5), &w, None, in_groups(0))
            => Error::Indivisible { size: 4, divisor: 0 }, [4, 0];
        "conv2d_dyn", try_conv2d_dyn(image(4, 5), &weight(3, 2, 3), None, in_groups(2))
            => Error::Indivisible { size: 3, divisor: 2 }, [3, 2];
        "conv2d_dyn", try_conv2d_dyn(image(2, 5), &w, Some(&five), plain)
            => Error::AxisLength { expected: 4, found: 5, .. }, [4, 5];
        "conv2d_dyn", try_conv2d_dyn(image(2, 5), &w, None, vast) => Error::SizeOverflow, [];
        "conv_transpose2d_dyn", try_conv_transpose2d_dyn(image(4, 2), &w, None, cropped)
            => Error::TransposedEmpty { full: 4, padding: 3 }, [4, 3];
        "conv_transpose2d_dyn", try_conv_transpose2d_dyn(image(4, 2), &w, None, longer)
            => Error::OutputPadding { output_padding: 1, stride: 1, dilation: 1 }, [1];
        "conv_transpose2d_dyn", try_conv_transpose2d_dyn(image(5, 2), &w, None, plain)
            => Error::AxisLength { expected: 4, found: 5, .. }, [4, 5];
        "conv_transpose2d_dyn", try_conv_transpose2d_dyn(image(4, 2), &w, None, in_groups(3))
            => Error::Indivisible { size: 4, divisor: 3 }, [4, 3];
        "conv_transpose2d_dyn", try_conv_transpose2d_dyn(image(4, 2), &w, Some(&five), plain)
            => Error::AxisLength { expected: 2, found: 5, .. }, [2, 5];
        "conv_transpose2d_dyn", try_conv_transpose2d_dyn(image(4, 2), &w, None, still)
            => Error::EmptyWindow { stride: 0, .. }, [3, 0, 1];
    }
}

fn hostile_patches(hostile: &mut Hostile) {
    let taps = |kernel, stride| [Taps { kernel, stride, padding: 0, dilation: 1 }; 2];
    for (n, c) in [(0, 2), (2, 0)] {
        let (x, columns) = (zeros((n, c, 3, 3)), zeros((n, 4 * c, 4)));
        hostile.empty("im2col", im2col(x.leaky_trace(), taps(2, 1)), &[n, 4 * c, 4], 0.0, &[&x]);
        let y = col2im(columns.leaky_trace(), (c, 3, 3), taps(2, 1));
        hostile.empty("col2im", y, &[n, c, 3, 3], 0.0, &[&columns]);
    }
    let image = || zeros((1, 2, 2, 2));
    let folded = |rows, windows| try_col2im(zeros((1, rows, windows)), (2, 3, 3), taps(2, 1));
    let vast = [Taps { padding: usize::MAX, ..Taps::new(1) }; 2];
    refuses! { hostile:
        "im2col", try_im2col(image(), taps(3, 1)) => Error::WindowTooLong { extent: 2, span: 3, .. }, [2, 3];
        "im2col", try_im2col(image(), taps(0, 1)) => Error::EmptyWindow { kernel: 0, .. }, [0, 1];
        "im2col", try_im2col(image(), taps(1, 0)) => Error::EmptyWindow { stride: 0, .. }, [0, 1];
        "im2col", try_im2col(image(), vast) => Error::SizeOverflow, [];
        "col2im", folded(9, 4) => Error::AxisLength { expected: 8, found: 9, .. }, [8, 9];
        "col2im", folded(8, 5) => Error::AxisLength { expected: 4, found: 5, .. }, [4, 5];
        "col2im", try_col2im(zeros((1, 8, 4)), (2, 1, 1), taps(2, 1))
            => Error::WindowTooLong { extent: 1, span: 2, .. }, [1, 2];
    }
}
