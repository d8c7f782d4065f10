//! Launches of the kernels in `cuda/*.cu`, on addresses: nothing here knows of tensors.
//!
//! Hence this file stands in the package `fake-gpu` too, whose driver runs the same kernels on the CPU.
#![allow(unsafe_code)]
use crate::convolution::Sizes;
use crate::update::{AdamStep, Formula, Prepare, RmsPropStep, SgdMomentum, Statistics};
use cudarc::driver::{
    CudaDevice, CudaFunction, DevicePtr, DeviceRepr, DriverError, LaunchAsync, LaunchConfig,
};
use std::marker::PhantomData;
use std::sync::Arc;

/// An address on the device.
pub(crate) type Address = u64;

/// `f32` or `f64`: which of the two names of a kernel.
pub(crate) trait Precision: DeviceRepr {
    const INDEX: usize;
}
impl Precision for f32 {
    const INDEX: usize = 0;
}
impl Precision for f64 {
    const INDEX: usize = 1;
}

/// A compiled file of kernels.
struct Module {
    name: &'static str,
    text: &'static str,
    kernels: &'static [[&'static str; 2]],
}

const UPDATE: Module = Module {
    name: "kernels_update",
    text: include_str!(concat!(env!("OUT_DIR"), "/update.ptx")),
    kernels: &[
        ["sgd_f32", "sgd_f64"],
        ["adam_f32", "adam_f64"],
        ["rmsprop_f32", "rmsprop_f64"],
        ["statistics_f32", "statistics_f64"],
    ],
};

const PATCHES: Module = Module {
    name: "kernels_patches",
    text: include_str!(concat!(env!("OUT_DIR"), "/patches.ptx")),
    kernels: &[["gather_f32", "gather_f64"], ["scatter_f32", "scatter_f64"]],
};

impl Module {
    fn kernel<E: Precision>(
        &self,
        device: &Arc<CudaDevice>,
        kernel: usize,
    ) -> Result<CudaFunction, DriverError> {
        let name = self.kernels[kernel][E::INDEX];
        if !device.has_func(self.name, name) {
            let names: Vec<&'static str> = self.kernels.iter().flatten().copied().collect();
            device.load_ptx(self.text.into(), self.name, &names)?;
        }
        Ok(device.get_func(self.name, name).expect("just loaded under this name"))
    }
}

/// Threads of a block, as `THREADS` in `kernel.h`.
const THREADS: usize = 256;

/// Blocks for `n` elements, at most `limit`: each thread walks on until all are done.
fn blocks(n: usize, limit: usize) -> u32 {
    n.div_ceil(THREADS).min(limit) as u32
}

fn grid(x: u32, y: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (x, y, 1), block_dim: (THREADS as u32, 1, 1), shared_mem_bytes: 0 }
}

/// `Prepare` of `update.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct DevicePrepare {
    scale: f64,
    limit: f64,
    l2: f64,
    keep: f64,
}

/// `Tensor` of `update.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct DeviceTensor {
    n: usize,
    from: Address,
    to: Address,
    gradient: Address,
    prepare: DevicePrepare,
}

/// `Sgd` of `update.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Sgd {
    tensor: DeviceTensor,
    velocity: Address,
    rate: f64,
    momentum: f64,
    share: f64,
    of_v: f64,
    of_g: f64,
}

/// `Adam` of `update.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Adam {
    tensor: DeviceTensor,
    mean: Address,
    square: Address,
    largest: Address,
    rate: f64,
    beta1: f64,
    beta2: f64,
    share1: f64,
    share2: f64,
    inverse_root: f64,
    epsilon: f64,
}

/// `RmsProp` of `update.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct RmsProp {
    tensor: DeviceTensor,
    square: Address,
    mean: Address,
    buffer: Address,
    rate: f64,
    alpha: f64,
    share: f64,
    epsilon_under: f64,
    epsilon_beside: f64,
    centred: f64,
    momentum: f64,
}

/// `Statistics` of `update.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct StatisticsOf {
    n: usize,
    x: Address,
    parts: Address,
}

/// `Axis` of `patches.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct DeviceAxis {
    extent: usize,
    windows: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

/// `Patches` of `patches.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Patches {
    images: usize,
    groups: usize,
    channels: usize,
    y: DeviceAxis,
    x: DeviceAxis,
    image: Address,
    patches: Address,
}

// SAFETY: `repr(C)`, every member is a number of 8 bytes. Its size is asserted below and in `cuda/*.cu`.
unsafe impl DeviceRepr for Sgd {}
// SAFETY: as above.
unsafe impl DeviceRepr for Adam {}
// SAFETY: as above.
unsafe impl DeviceRepr for RmsProp {}
// SAFETY: as above.
unsafe impl DeviceRepr for StatisticsOf {}
// SAFETY: as above.
unsafe impl DeviceRepr for Patches {}

/// What a step reads and writes of one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Elements of each of the following.
    pub n: usize,
    /// The weights before the step.
    pub from: Address,
    /// Those after it; may be the same.
    pub to: Address,
    pub gradient: Address,
    /// 0 for a slot that the rule does not have.
    pub slots: [Address; Formula::SLOTS],
}

/// One step of one tensor.
///
/// # Safety
/// Every address of `place` but 0 holds `n` elements of type `E` on this device, which nothing but work of its default
/// stream uses until that has come to this step, and the slots are those that `formula` uses.
pub(crate) unsafe fn step<E: Precision>(
    device: &Arc<CudaDevice>,
    place: Place,
    prepare: Prepare,
    formula: Formula,
) -> Result<(), DriverError> {
    let Place { n, from, to, gradient, slots } = place;
    let Prepare { scale, limit, l2, decay } = prepare;
    let prepare = DevicePrepare { scale, limit, l2, keep: 1.0 - decay };
    let tensor = DeviceTensor { n, from, to, gradient, prepare };
    /// A block has work for a few rounds: more would only cost their start.
    const BLOCKS: usize = 1 << 14;
    let grid = grid(blocks(n, BLOCKS), 1);
    match formula {
        Formula::Sgd { learning_rate: rate, momentum } => {
            let SgdMomentum { coefficient: momentum, share, is_nesterov } =
                momentum.unwrap_or(SgdMomentum { coefficient: 0.0, share: 1.0, is_nesterov: false });
            let [of_v, of_g] = if is_nesterov { [momentum, 1.0] } else { [1.0, 0.0] };
            let arguments = Sgd { tensor, velocity: slots[0], rate, momentum, share, of_v, of_g };
            let kernel = UPDATE.kernel::<E>(device, 0)?;
            // SAFETY: the kernel takes this structure, and goes over `n` elements of what the caller vouches for. Tests
            // `steps_have_the_bits_of_the_cpu` of `fake-gpu` and `tests::cuda` on a device.
            unsafe { kernel.launch(grid, (arguments,)) }
        }
        Formula::Adam(AdamStep { rate, beta1, beta2, root_correction, epsilon, keeps_maximum }) => {
            let [mean, square, largest] = slots;
            let arguments = Adam {
                tensor,
                mean,
                square,
                largest: if keeps_maximum { largest } else { 0 },
                rate,
                beta1,
                beta2,
                share1: 1.0 - beta1,
                share2: 1.0 - beta2,
                inverse_root: 1.0 / root_correction,
                epsilon,
            };
            let kernel = UPDATE.kernel::<E>(device, 1)?;
            // SAFETY: as above.
            unsafe { kernel.launch(grid, (arguments,)) }
        }
        Formula::RmsProp(RmsPropStep { rate, alpha, epsilon, epsilon_in_root, is_centred, momentum }) => {
            let [square, mean, buffer] = slots;
            let [epsilon_under, epsilon_beside] =
                if epsilon_in_root { [epsilon, 0.0] } else { [0.0, epsilon] };
            let has_all = is_centred || momentum != 0.0;
            let arguments = RmsProp {
                tensor,
                square,
                mean: if has_all { mean } else { 0 },
                buffer: if has_all { buffer } else { 0 },
                rate,
                alpha,
                share: 1.0 - alpha,
                epsilon_under,
                epsilon_beside,
                centred: if is_centred { 1.0 } else { 0.0 },
                momentum,
            };
            let kernel = UPDATE.kernel::<E>(device, 2)?;
            // SAFETY: as above.
            unsafe { kernel.launch(grid, (arguments,)) }
        }
    }
}

/// Statistics of vectors of `n` elements at an address each; one wait for the device for all of them.
///
/// # Safety
/// Each address holds its `n` elements of type `E` on this device, which nothing but work of its default stream writes.
pub(crate) unsafe fn statistics<E: Precision>(
    device: &Arc<CudaDevice>,
    vectors: &[(Address, usize)],
) -> Result<Vec<Statistics>, DriverError> {
    /// Blocks of one vector: enough to keep a large device busy.
    const BLOCKS: usize = 512;
    /// Numbers of one block.
    const NUMBERS: usize = 3;
    let of = |n: usize| blocks(n, BLOCKS) as usize;
    let total: usize = vectors.iter().map(|&(_, n)| of(n)).sum();
    if total == 0 {
        return Ok(vec![Statistics::default(); vectors.len()]);
    }
    let parts = device.alloc_zeros::<f64>(NUMBERS * total)?;
    let mut at = *parts.device_ptr();
    for &(x, n) in vectors.iter().filter(|(_, n)| *n > 0) {
        let kernel = UPDATE.kernel::<E>(device, 3)?;
        // SAFETY: as in `step`; each block writes the three numbers of its own part. Test
        // `statistics_are_those_of_the_cpu` of `fake-gpu`.
        unsafe { kernel.launch(grid(of(n) as u32, 1), (StatisticsOf { n, x, parts: at },)) }?;
        at += (NUMBERS * of(n) * size_of::<f64>()) as u64;
    }
    let numbers = device.dtoh_sync_copy(&parts)?;
    let mut numbers = numbers.chunks(NUMBERS);
    let fold = |&(_, n): &(Address, usize)| {
        let mut all = Statistics::default();
        for part in numbers.by_ref().take(of(n)) {
            all.squares += part[0];
            all.largest = if part[1] > all.largest { part[1] } else { all.largest };
            all.is_finite &= part[2] == 0.0;
        }
        all
    };
    Ok(vectors.iter().map(fold).collect())
}

/// A matrix of patches and the images that it sees, both on one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PatchesOf<E> {
    images: usize,
    groups: usize,
    channels: usize,
    axes: [crate::convolution::Axis; 2],
    element: PhantomData<E>,
}

impl<E: Precision> PatchesOf<E> {
    /// `None` where a number of elements does not fit into 32 bits, or is 0: the kernels count with these.
    pub(crate) fn new(sizes: &Sizes) -> Option<Self> {
        let Sizes { images, groups, image_channels: channels, y, x, .. } = *sizes;
        let patches = Self { images, groups, channels, axes: [y, x], element: PhantomData };
        let fits = |n: Option<usize>| n.is_some_and(|n| n > 0 && u32::try_from(n).is_ok());
        (fits(patches.elements()) && fits(patches.image_elements())).then_some(patches)
    }

    fn image_elements(&self) -> Option<usize> {
        let [y, x] = self.axes;
        let channels = self.images.checked_mul(self.groups)?.checked_mul(self.channels)?;
        channels.checked_mul(y.extent)?.checked_mul(x.extent)
    }

    fn elements(&self) -> Option<usize> {
        let [y, x] = self.axes;
        let rows =
            self.groups.checked_mul(self.channels)?.checked_mul(y.taps.kernel)?.checked_mul(x.taps.kernel)?;
        rows.checked_mul(self.images)?.checked_mul(y.windows)?.checked_mul(x.windows)
    }

    fn arguments(&self, image: Address, patches: Address) -> Patches {
        let [y, x] = self.axes.map(|axis| DeviceAxis {
            extent: axis.extent,
            windows: axis.windows,
            kernel: axis.taps.kernel,
            stride: axis.taps.stride,
            padding: axis.taps.padding,
            dilation: axis.taps.dilation,
        });
        Patches { images: self.images, groups: self.groups, channels: self.channels, y, x, image, patches }
    }

    /// Rows of the grid: a row of the matrix, or a channel of an image, in each.
    const ROWS: usize = 65_535;

    /// Writes the matrix.
    ///
    /// # Safety
    /// `image` holds the images and `patches` has room for the matrix on this device, neither of which anything but work
    /// of its default stream uses until that has come to this.
    pub(crate) unsafe fn gather(
        &self,
        device: &Arc<CudaDevice>,
        image: Address,
        patches: Address,
    ) -> Result<(), DriverError> {
        let [y, x] = self.axes;
        let rows = self.groups * self.channels * y.taps.kernel * x.taps.kernel;
        let columns = self.images * y.windows * x.windows;
        let kernel = PATCHES.kernel::<E>(device, 0)?;
        let grid = grid(blocks(columns, 1 << 14), rows.min(Self::ROWS) as u32);
        // SAFETY: as in `step`; each thread writes elements of its own. Test `patches_are_those_of_the_definition` of
        // `fake-gpu`.
        unsafe { kernel.launch(grid, (self.arguments(image, patches),)) }
    }

    /// Adds the adjoint of the matrix to the images.
    ///
    /// # Safety
    /// As for [`gather`](Self::gather).
    pub(crate) unsafe fn scatter(
        &self,
        device: &Arc<CudaDevice>,
        image: Address,
        patches: Address,
    ) -> Result<(), DriverError> {
        let [y, x] = self.axes;
        let planes = self.images * self.groups * self.channels;
        let kernel = PATCHES.kernel::<E>(device, 1)?;
        let grid = grid(blocks(y.extent * x.extent, 1 << 14), planes.min(Self::ROWS) as u32);
        // SAFETY: as above.
        unsafe { kernel.launch(grid, (self.arguments(image, patches),)) }
    }
}

// The sizes that `static_assert`s in `cuda/*.cu` name too.
const _: () = assert!(size_of::<Sgd>() == 14 * 8);
const _: () = assert!(size_of::<Adam>() == 18 * 8);
const _: () = assert!(size_of::<RmsProp>() == 18 * 8);
const _: () = assert!(size_of::<StatisticsOf>() == 3 * 8);
const _: () = assert!(size_of::<Patches>() == 17 * 8);

/// In `kernels` with the feature `cuda` these run on a device; in the package `fake-gpu`, which includes this file, on the
/// CPU.
#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::convolution::Axis;
    use crate::shape::Taps;
    use crate::update::{Cut, Dims, Memory, Slices, for_each_run, squares as squares_of};
    use cudarc::driver::{CudaSlice, ValidAsZeroBits};

    fn device() -> Arc<CudaDevice> {
        CudaDevice::new(0).expect("a driver with a device")
    }

    /// Numbers between -2 and 2 that no two neighbours share.
    fn numbers<E: crate::Real>(n: usize, seed: usize) -> Vec<E> {
        let number = |i: usize| ((i * 7919 + seed * 104_729) % 4001) as f64 / 1000.0 - 2.0;
        (0..n).map(|i| E::of(number(i))).collect()
    }

    /// Every formula, as its step `t`.
    fn formulas(t: i32) -> Vec<Formula> {
        let momentum = |is_nesterov| SgdMomentum { coefficient: 0.9, share: 0.5, is_nesterov };
        let sgd = |momentum| Formula::Sgd { learning_rate: 0.1, momentum };
        let adam = |keeps_maximum| {
            Formula::Adam(AdamStep {
                rate: 0.1 / (1.0 - 0.9_f64.powi(t)),
                beta1: 0.9,
                beta2: 0.99,
                root_correction: (1.0 - 0.99_f64.powi(t)).sqrt(),
                epsilon: 1e-8,
                keeps_maximum,
            })
        };
        let rmsprop = |epsilon_in_root, is_centred, momentum| {
            let (rate, alpha, epsilon) = (0.05, 0.9, 1e-6);
            Formula::RmsProp(RmsPropStep { rate, alpha, epsilon, epsilon_in_root, is_centred, momentum })
        };
        vec![
            sgd(None),
            sgd(Some(momentum(false))),
            sgd(Some(momentum(true))),
            adam(false),
            adam(true),
            rmsprop(false, false, 0.0),
            rmsprop(true, true, 0.8),
        ]
    }

    /// A NaN has no bits of its own: its sign and payload are the processor's.
    fn bits<E: crate::Real>(x: &[E]) -> Vec<Option<u64>> {
        x.iter().map(|x| (!x.is_nan()).then(|| x.as_f64().to_bits())).collect()
    }

    fn steps_agree<E: crate::Real + Precision + ValidAsZeroBits + Unpin>(n: usize) {
        let device = device();
        let prepare = Prepare { scale: 0.5, limit: 0.6, l2: 0.1, decay: 0.01 };
        for which in 0..formulas(1).len() {
            let mut weights = numbers::<E>(n, 1);
            let mut memory = [Memory::default()];
            memory[0][..formulas(1)[which].slots()].fill(vec![E::zero(); n]);
            let up = |x: &[E]| device.htod_sync_copy(x).unwrap();
            let mut from = up(&weights);
            let mut slots: Vec<CudaSlice<E>> =
                memory[0][..formulas(1)[which].slots()].iter().map(|slot| up(slot)).collect();
            for t in 1..=3 {
                let formula = formulas(t as i32)[which];
                let mut g = numbers::<E>(n, 1 + t);
                g[0] = E::zero(); // and the first weight: 0 / 0 is 0
                if t == 2 {
                    g[n - 1] = E::nan();
                }
                let mut tensors = [Slices { weights: &mut weights, gradient: &g, dims: Dims::default() }];
                for_each_run(
                    &mut tensors,
                    &mut memory,
                    Cut::Runs,
                    |_| Some(prepare),
                    |run| formula.apply(run),
                )
                .unwrap();

                let gradient = up(&g);
                let to: CudaSlice<E> = device.alloc_zeros(n).unwrap();
                let mut addresses = [0; Formula::SLOTS];
                for (address, slot) in addresses.iter_mut().zip(&slots) {
                    *address = *slot.device_ptr();
                }
                let place = Place {
                    n,
                    from: *from.device_ptr(),
                    to: *to.device_ptr(),
                    gradient: *gradient.device_ptr(),
                    slots: addresses,
                };
                // SAFETY: five vectors of `n` elements on this device, which live to the end of the round.
                unsafe { step::<E>(&device, place, prepare, formula) }.unwrap();
                let got = device.dtoh_sync_copy(&to).unwrap();
                assert_eq!(bits(&got), bits(&weights), "{formula:?}, step {t}");
                for (slot, want) in slots.iter_mut().zip(&memory[0]) {
                    assert_eq!(
                        bits(&device.dtoh_sync_copy(slot).unwrap()),
                        bits(want),
                        "{formula:?}, step {t}"
                    );
                }
                from = to;
            }
        }
    }

    #[test]
    fn steps_have_the_bits_of_the_cpu() {
        steps_agree::<f32>(1000);
        steps_agree::<f64>(1000);
        steps_agree::<f32>(1);
        steps_agree::<f64>(257);
    }

    #[test]
    fn statistics_are_those_of_the_cpu() {
        let device = device();
        let mut long = numbers::<f32>(700, 1);
        long[699] = -3.0;
        let vectors = [long, vec![], vec![2.0], vec![1.0, f32::NAN], vec![f32::NEG_INFINITY, 0.0]];
        let copies = vectors.each_ref().map(|x| device.htod_sync_copy(x).unwrap());
        let places: Vec<_> = copies.iter().zip(&vectors).map(|(x, of)| (*x.device_ptr(), of.len())).collect();
        // SAFETY: the addresses of vectors that are alive.
        let got = unsafe { statistics::<f32>(&device, &places) }.unwrap();
        let squares = squares_of(&vectors.each_ref().map(|x| &x[..]));
        assert!((got[0].squares - squares[0]).abs() <= 1e-12 * squares[0], "{:?}", got[0]);
        assert_eq!((got[0].largest, got[0].is_finite), (3.0, true));
        assert_eq!(got[1], Statistics::default());
        assert_eq!(got[2], Statistics { squares: 4.0, largest: 2.0, is_finite: true });
        assert!(got[3].squares.is_nan() && got[3].largest == 1.0 && !got[3].is_finite, "{:?}", got[3]);
        assert_eq!(got[4], Statistics { squares: f64::INFINITY, largest: f64::INFINITY, is_finite: false });
        // The square of a finite f64 may overflow.
        let huge = device.htod_sync_copy(&[1e200_f64; 300]).unwrap();
        // SAFETY: as above.
        let got = unsafe { statistics::<f64>(&device, &[(*huge.device_ptr(), 300)]) }.unwrap();
        assert_eq!(got, [Statistics { squares: f64::INFINITY, largest: 1e200, is_finite: true }]);
    }

    fn axis(extent: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> Axis {
        let windows = (extent + 2 * padding - (dilation * (kernel - 1) + 1)) / stride + 1;
        Axis { extent, windows, taps: Taps { kernel, stride, padding, dilation } }
    }

    fn patches_agree<E: crate::Real + Precision + ValidAsZeroBits + Unpin>(sizes: Sizes) {
        let device = device();
        let of = PatchesOf::<E>::new(&sizes).expect("small enough");
        let Sizes { images, groups, image_channels, y, x, .. } = sizes;
        let channels = groups * image_channels;
        // Integers: sums are exact in any order.
        let image: Vec<E> = (0..of.image_elements().unwrap()).map(|i| E::of((i % 97 + 1) as f64)).collect();
        let weights: Vec<E> = (0..of.elements().unwrap()).map(|i| E::of((i % 89) as f64)).collect();
        let mut patches = Vec::new();
        let mut adjoint = vec![E::one(); image.len()]; // it is added to
        for (channel, u) in (0..channels).flat_map(|c| (0..y.taps.kernel).map(move |u| (c, u))) {
            for (v, n) in (0..x.taps.kernel).flat_map(|v| (0..images).map(move |n| (v, n))) {
                for (i, j) in (0..y.windows).flat_map(|i| (0..x.windows).map(move |j| (i, j))) {
                    let at = |axis: Axis, window: usize, tap: usize| {
                        let padded = window * axis.taps.stride + tap * axis.taps.dilation;
                        padded.checked_sub(axis.taps.padding).filter(|at| *at < axis.extent)
                    };
                    let place = at(y, i, u)
                        .zip(at(x, j, v))
                        .map(|(row, column)| ((n * channels + channel) * y.extent + row) * x.extent + column);
                    if let Some(place) = place {
                        adjoint[place] += weights[patches.len()];
                    }
                    patches.push(place.map_or(E::zero(), |place| image[place]));
                }
            }
        }
        let up = device.htod_sync_copy(&image).unwrap();
        let matrix: CudaSlice<E> = device.alloc_zeros(patches.len()).unwrap();
        // SAFETY: an image and a matrix of the sizes in `of`, alive to the end of the function.
        unsafe { of.gather(&device, *up.device_ptr(), *matrix.device_ptr()) }.unwrap();
        assert_eq!(bits(&device.dtoh_sync_copy(&matrix).unwrap()), bits(&patches), "{sizes:?}");
        let (to, weights) = (
            device.htod_sync_copy(&vec![E::one(); image.len()]).unwrap(),
            device.htod_sync_copy(&weights).unwrap(),
        );
        // SAFETY: as above.
        unsafe { of.scatter(&device, *to.device_ptr(), *weights.device_ptr()) }.unwrap();
        assert_eq!(bits(&device.dtoh_sync_copy(&to).unwrap()), bits(&adjoint), "{sizes:?}");
    }

    #[test]
    fn patches_are_those_of_the_definition() {
        let sizes = |images, groups, image_channels, y, x| Sizes {
            images,
            groups,
            image_channels,
            window_channels: 1,
            y,
            x,
            input_gradient: crate::InputGradient::Needed,
            activation: crate::ActivationKind::Identity,
        };
        patches_agree::<f32>(sizes(2, 1, 3, axis(9, 3, 1, 1, 1), axis(7, 3, 1, 1, 1)));
        patches_agree::<f64>(sizes(1, 2, 2, axis(8, 3, 2, 2, 2), axis(11, 2, 3, 0, 1)));
        patches_agree::<f32>(sizes(3, 1, 1, axis(1, 1, 1, 0, 1), axis(20, 4, 2, 3, 3)));
        patches_agree::<f32>(sizes(1, 1, 1, axis(5, 2, 2, 4, 1), axis(5, 2, 2, 4, 1))); // windows in the padding alone
        let none = sizes(0, 1, 1, axis(5, 2, 1, 0, 1), axis(5, 2, 1, 0, 1));
        assert!(PatchesOf::<f32>::new(&none).is_none());
        let huge = sizes(1 << 31, 1, 1, axis(5, 2, 1, 0, 1), axis(5, 2, 1, 0, 1));
        assert!(PatchesOf::<f32>::new(&huge).is_none());
    }
}
