//! Convolutions on the device: kernels of our own write what the windows see as a matrix, cuBLAS multiplies it.
#![allow(unsafe_code)]
use super::launch::PatchesOf;
use super::resident::driver;
use super::stored;
use crate::convolution::composed::{self, finish};
use crate::convolution::{ConvolutionDevice, Sizes};
use crate::{InputGradient, RowMajor};
use cudarc::driver::DevicePtr;
use dfdx::prelude::*;

/// What a tensor of this crate tells of itself, or the form of dfdx's tensors has changed.
fn address<S: Shape, E: crate::Real>(x: &Tensor<S, E, Cuda>) -> u64
where
    Cuda: crate::BaseDevice<E>,
{
    stored(x).expect("a tensor of dfdx 0.13.0 shows its address").address
}

/// `(groups, channels · taps, images · windows)`: the shape of the matrix of patches.
type Matrix = (usize, usize, usize);

/// The shape of the matrix.
fn matrix(sizes: &Sizes) -> Matrix {
    let Sizes { images, groups, image_channels, y, x, .. } = *sizes;
    (groups, image_channels * y.taps.kernel * x.taps.kernel, images * y.windows * x.windows)
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cuda` stores.
macro_rules! convolutions {
    ($E:ty, $see:ident, $place:ident) => {
        /// The matrix of patches of an image.
        fn $see<X: Shape, T: Tape<$E, Cuda>>(
            x: Tensor<X, $E, Cuda, T>,
            of: PatchesOf<$E>,
            sizes: &Sizes,
        ) -> Result<Tensor<Matrix, $E, Cuda, T>, CudaError> {
            let (x, mut tape) = x.try_row_major()?.split_tape();
            let device = driver::<$E>(x.device())?;
            let y: Tensor<Matrix, $E, Cuda> = x.device().try_zeros_like(&matrix(sizes))?;
            // SAFETY: both tensors are row-major and have the elements that `of` was made for; `x` and `y` are freed in
            // the order of the stream. Test `tests::cuda::families::convolution` on a device.
            unsafe { of.gather(&device, address(&x), address(&y)) }?;
            if T::OWNS_TAPE && sizes.input_gradient == InputGradient::Needed {
                let (x, y) = (x.ghost(), y.ghost());
                tape.add_backward_op(move |gradients| {
                    let from = *gradients.get_or_alloc_mut(&y)?.device_ptr();
                    let to = *gradients.get_or_alloc_mut(&x)?.device_ptr();
                    // SAFETY: gradients have the elements of their tensors, and the map keeps both. Test as above.
                    unsafe { of.scatter(&device, to, from) }?;
                    Ok(())
                });
            }
            Ok(y.put_tape(tape))
        }

        /// The adjoint: the image of `shape` to which the patches add up. The matrix must have no other use: its gradient
        /// is written and not added to.
        fn $place<Y: Shape, T: Tape<$E, Cuda>>(
            patches: Tensor<Matrix, $E, Cuda, T>,
            of: PatchesOf<$E>,
            shape: Y,
        ) -> Result<Tensor<Y, $E, Cuda, T>, CudaError> {
            let (x, mut tape) = patches.try_row_major()?.split_tape();
            let device = driver::<$E>(x.device())?;
            let y: Tensor<Y, $E, Cuda> = x.device().try_zeros_like(&shape)?;
            // SAFETY: as in the function above.
            unsafe { of.scatter(&device, address(&y), address(&x)) }?;
            if T::OWNS_TAPE {
                let (x, y) = (x.ghost(), y.ghost());
                tape.add_backward_op(move |gradients| {
                    let from = *gradients.get_or_alloc_mut(&y)?.device_ptr();
                    let to = *gradients.get_or_alloc_mut(&x)?.device_ptr();
                    // SAFETY: as above.
                    unsafe { of.gather(&device, from, to) }?;
                    Ok(())
                });
            }
            Ok(y.put_tape(tape))
        }

        impl ConvolutionDevice<$E> for Cuda {
            fn conv2d<X: Shape, W: Shape, O: Dim, Y: Shape, T: Tape<$E, Self>>(
                x: Tensor<X, $E, Self, T>,
                weight: &Tensor<W, $E, Self>,
                bias: Option<&Tensor<(O,), $E, Self>>,
                sizes: Sizes,
                shape: Y,
            ) -> Result<Tensor<Y, $E, Self, T>, CudaError> {
                let Some(of) = PatchesOf::<$E>::new(&sizes) else {
                    return composed::conv2d(x, weight, bias, sizes, shape);
                };
                let Sizes { images, groups, window_channels, y, x: along_x, .. } = sizes;
                let patches = $see(x, of, &sizes)?;
                let weight =
                    weight.retaped::<T>().try_reshaped(&(groups, window_channels, patches.shape().1))?;
                let maps = weight.try_matmul(patches)?;
                let maps =
                    maps.try_reshaped(&(groups * window_channels, images, y.windows * along_x.windows))?;
                finish(maps.try_permute::<Matrix, Axes3<1, 0, 2>>()?, bias, sizes.activation, shape)
            }

            fn conv_transpose2d<X: Shape, W: Shape, O: Dim, Y: Shape, T: Tape<$E, Self>>(
                x: Tensor<X, $E, Self, T>,
                weight: &Tensor<W, $E, Self>,
                bias: Option<&Tensor<(O,), $E, Self>>,
                sizes: Sizes,
                shape: Y,
            ) -> Result<Tensor<Y, $E, Self, T>, CudaError> {
                let Some(of) = PatchesOf::<$E>::new(&sizes) else {
                    return composed::conv_transpose2d(x, weight, bias, sizes, shape);
                };
                let Sizes { images, groups, image_channels, window_channels, y, x: along_x, .. } = sizes;
                let windows = y.windows * along_x.windows;
                let x = composed::input(x, sizes.input_gradient)?;
                let x = x.try_reshaped(&(images, groups * window_channels, windows))?;
                let x = x.try_permute::<Matrix, Axes3<1, 0, 2>>()?;
                let x = x.try_reshaped(&(groups, window_channels, images * windows))?;
                let (_, rows, _) = matrix(&sizes);
                let weight = weight.retaped::<T>().try_reshaped(&(groups, window_channels, rows))?;
                let patches = weight.try_permute::<Matrix, Axes3<0, 2, 1>>()?.try_matmul(x)?;
                let plane = y.extent * along_x.extent;
                let maps = $place(patches, of, (images, groups * image_channels, plane))?;
                finish(maps, bias, sizes.activation, shape)
            }
        }
    };
}
convolutions!(f32, see_f32, place_f32);
convolutions!(f64, see_f64, place_f64);
