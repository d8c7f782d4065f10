//! What only `Cuda` needs: our own kernels, and what dfdx does not tell of a tensor.
mod launch;
mod patches;
mod resident;

use crate::{BaseDevice, Real};
use dfdx::prelude::*;
use std::fmt::{self, Write};

/// [`BaseDevice::row_major`]: see [`RowMajor`](crate::RowMajor) for the fault of dfdx that this goes round.
pub(crate) fn row_major<S: Shape, E: Real, D: BaseDevice<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    if stored(&x.retaped::<NoneTape>()).map(|stored| stored.len) == Some(x.shape().num_elements()) {
        return x.try_contiguous();
    }
    let ones: Tensor<S, E, D> = x.device().try_ones_like(x.shape())?;
    x.try_mul(ones)
}

/// Where the elements of a tensor are on the device, and how many: fewer than its shape says when it is broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub address: u64,
    pub len: usize,
}

/// The memory of a tensor.
///
/// dfdx keeps the storage to itself, but shows it in the `Debug` form, which begins
/// `Tensor { id: .., data: CachableCudaSlice { data: CudaSlice { cu_device_ptr: P, len: N, ..`. Formatting ends there,
/// since the rest may hold all elements. `None` when the form is another.
pub(crate) fn stored<S: Shape, E: Real, D: BaseDevice<E>>(x: &Tensor<S, E, D>) -> Option<Stored> {
    let mut sink = Beginning::default();
    let _ = write!(sink, "{x:?}"); // an error when the sink has seen enough
    sink.stored
}

/// Takes a text up to the first `cu_device_ptr: P, len: N,`.
#[derive(Default)]
struct Beginning {
    text: String,
    stored: Option<Stored>,
}

impl Beginning {
    /// The number after `key`, once what follows it is there.
    fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        let (_, rest) = self.text.split_once(key)?;
        rest.split_once(',')?.0.parse().ok()
    }
}

impl Write for Beginning {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        /// Of what precedes the numbers, and they with it.
        const LONGEST: usize = 1000;
        self.text.push_str(part);
        let found = self.number("cu_device_ptr: ").zip(self.number(", len: "));
        self.stored = found.map(|(address, len)| Stored { address, len });
        if self.stored.is_some() || self.text.len() > LONGEST { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn address_and_length_are_read_from_the_beginning() {
        let mut sink = Beginning::default();
        let form = "Tensor { id: UniqueId(3), data: CachableCudaSlice { data: CudaSlice { cu_device_ptr: 140, len: 12, host_buf: [1";
        assert!(write!(sink, "{form}").is_err());
        assert_eq!(sink.stored, Some(Stored { address: 140, len: 12 }));
        let mut other = Beginning::default();
        assert!(write!(other, "Tensor {{ {} }}", "x".repeat(2000)).is_err());
        assert_eq!(other.stored, None);
    }
}
