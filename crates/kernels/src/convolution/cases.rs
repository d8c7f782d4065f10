//! Rows of the table for the convolutions.
use super::patches::{Patches, composed_col2im, composed_im2col};
use super::{Axis, ConvolutionDevice, Sizes, composed};
use crate::shape::Taps;
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{ActivationKind, Device, InputGradient, Real};
use dfdx::prelude::*;

/// The methods of [`ConvolutionDevice`].
pub const OPERATIONS: &[&str] = &["conv2d", "conv_transpose2d", "im2col", "col2im"];

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
