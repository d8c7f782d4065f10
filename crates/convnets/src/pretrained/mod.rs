//! Small trained networks, in the crate: a LeNet that reads digits and one that knows clothes.
//!
//! | network | data | weights | right on the test images | before rounding |
//! |---|---|---|---|---|
//! | [`Pretrained::Mnist`] | 8,000 digits of MNIST | 65 kB | 1964 of 2,000 | 1964 |
//! | [`Pretrained::Fashion`] | 1,000 pictures of Fashion-MNIST | 65 kB | 333 of 400 | 333 |
//!
//! Both have the shape [`LeNet`]: LeNet-5 with full connections, rectified linear units and maxima, 61,706 parameters.
//! Pixels are in \[0, 1\], light on dark, 28 × 28; outputs are logits. A digit of another size or place is brought into
//! MNIST's frame by [`Picture::fit`].
//!
//! **How they were trained**: by `training::train` (feature `experiments`). Each recipe was judged on images kept out of
//! the *training* part; then the network was trained on that whole part, and the test images were read once.
//! `cargo run --release -p convnets --features experiments --example train_pretrained` makes the files again, the same
//! bytes on a processor with the same vector instructions.
//!
//! **Rounding**: weights are whole numbers from -127 to 127 times one scale for each output ([`rounding`]); biases are
//! not rounded. The table says what that costs; a test counts both columns again.
//!
//! **Use them** to see a trained network at once, to explain its answers, to start from. **Not** as a reader of
//! anybody's handwriting: 8,000 digits are a seventh of MNIST.
//!
//! # Examples
//! ```
//! use convnets::pretrained::{Picture, Pretrained};
//! use layers::prelude::*;
//! let dev = Cpu::default();
//! let model = Pretrained::Mnist.build(&dev)?;
//! let mut ink = vec![0; 60 * 40]; // a stroke from top to bottom, 6 pixels wide
//! for row in ink.chunks_exact_mut(40).skip(5).take(50) {
//!     row[17..23].fill(255);
//! }
//! let digit = Picture::new(40, 60, ink)?.fit()?;
//! let logits = model.forward(dev.tensor(digit).reshape::<Rank4<1, 1, 28, 28>>()).array()[0];
//! let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
//! assert_eq!(Pretrained::Mnist.classes()[best], "1");
//! # Ok::<(), convnets::pretrained::Error>(())
//! ```
use crate::lenet::LeNet5Padded;
use kernels::{Device, Real};
use layers::prelude::*;

mod picture;
pub mod rounding;
#[cfg(test)]
mod tests;
#[cfg(feature = "experiments")]
pub mod training;

pub use picture::{FRAME, MAX_PIXELS, Picture};

/// The shape of the networks here: 28 × 28 pixels to ten logits.
pub type LeNet = LeNet5Padded<Relu, MaxPool2D<2, 2>>;

/// A trained network of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pretrained {
    /// Digits.
    Mnist,
    /// Clothes.
    Fashion,
}

/// How many test images a network reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Images whose largest logit is that of their class.
    pub right: usize,
    /// The same with the weights before rounding.
    pub right_before_rounding: usize,
    /// All test images.
    pub of: usize,
}

impl Score {
    /// Share that is read, in \[0, 1\].
    pub fn accuracy(self) -> f64 {
        self.right as f64 / self.of as f64
    }
}

impl Pretrained {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mnist, Self::Fashion];

    /// `mnist` or `fashion`, as the data are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::Fashion => "fashion",
        }
    }

    /// What the logits stand for, in order.
    pub const fn classes(self) -> [&'static str; 10] {
        match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::Fashion => [
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
        }
    }

    /// The file of its weights: safetensors, see [`rounding`].
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Mnist => include_bytes!("../../weights/mnist-lenet.safetensors"),
            Self::Fashion => include_bytes!("../../weights/fashion-lenet.safetensors"),
        }
    }

    /// What it reads of the test images: the last 2,000 of `datasets::mnist()`, the test part of `datasets::fashion()`.
    pub const fn score(self) -> Score {
        match self {
            Self::Mnist => Score { right: 1964, right_before_rounding: 1964, of: 2000 },
            Self::Fashion => Score { right: 333, right_before_rounding: 333, of: 400 },
        }
    }

    /// The network on a device.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has no memory.
    pub fn build<E, D>(self, device: &D) -> Result<<LeNet as BuildOnDevice<D, E>>::Built, Error>
    where
        E: Real,
        D: Device<E>,
        LeNet: BuildOnDevice<D, E>,
    {
        let mut model = LeNet::try_build_on_device(device).map_err(layers::params::DeviceError::new)?;
        rounding::load(&mut model, self.bytes())?;
        Ok(model)
    }
}

/// Why weights do not load or a picture has no digit in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are damaged or cut off.
    #[error("these bytes are no whole safetensors file; take the file as it was written")]
    Format(#[source] safetensors::SafeTensorError),
    /// The file lacks a tensor.
    #[error("the file has no tensor `{name}`; load it into the network that it was written for")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The file has a tensor that the network does not have.
    #[error("the network has no tensor `{name}`; load the file into the network that it was written for")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape or type.
    #[error(
        "`{name}` must be {expected}, the file has {found}; load it into the network that it was written for"
    )]
    Tensor {
        /// Its name.
        name: String,
        /// Type and shape that the network needs.
        expected: String,
        /// Type and shape in the file.
        found: String,
    },
    /// A number of the file is not finite.
    #[error("`{name}` has {value} at {index}, and numbers must be finite; take the file as it was written")]
    NotFinite {
        /// The tensor.
        name: String,
        /// Position in it, row by row.
        index: usize,
        /// The number.
        value: f32,
    },
    /// A picture without pixels, or with more than it may have.
    #[error(
        "a picture must have 1 to {max} pixels, got {width} x {height}; make it smaller",
        max = MAX_PIXELS
    )]
    Size {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// There are more or fewer levels than pixels.
    #[error("{width} x {height} pixels need as many levels, got {got}")]
    Levels {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Levels that were given.
        got: usize,
    },
    /// All pixels are equally light.
    #[error("the picture is empty: every pixel has level {level}; draw light ink on a dark ground")]
    Empty {
        /// That level.
        level: u8,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] layers::params::DeviceError),
}
