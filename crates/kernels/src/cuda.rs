//! What only `Cuda` needs.
use crate::{BaseDevice, Real};
use dfdx::prelude::*;
use std::fmt::{self, Write};

/// [`BaseDevice::row_major`]: see [`RowMajor`](crate::RowMajor) for the fault of dfdx that this goes round.
pub(crate) fn row_major<S: Shape, E: Real, D: BaseDevice<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    if stored(&x.retaped::<NoneTape>()) == Some(x.shape().num_elements()) {
        return x.try_contiguous();
    }
    let ones: Tensor<S, E, D> = x.device().try_ones_like(x.shape())?;
    x.try_mul(ones)
}

/// How many elements a tensor has in memory: fewer than its shape says when it is broadcast.
///
/// dfdx keeps the storage to itself, but shows it in the `Debug` form, which begins
/// `Tensor { id: .., data: CachableCudaSlice { data: CudaSlice { cu_device_ptr: .., len: N, ..`. Formatting ends there,
/// since the rest may hold all elements. `None` when the form is another: that costs a copy and breaks nothing.
pub(crate) fn stored<S: Shape, E: Real, D: BaseDevice<E>>(x: &Tensor<S, E, D>) -> Option<usize> {
    let mut sink = Beginning::default();
    let _ = write!(sink, "{x:?}"); // an error when the sink has seen enough
    sink.len
}

/// Takes a text up to the first `len: N,`.
#[derive(Default)]
struct Beginning {
    text: String,
    len: Option<usize>,
}

impl Write for Beginning {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        /// Of what precedes a number; the length is found within it.
        const LONGEST: usize = 1000;
        self.text.push_str(part);
        let number = self.text.split_once(", len: ").and_then(|(_, rest)| rest.split_once(','));
        self.len = number.and_then(|(digits, _)| digits.parse().ok());
        if self.len.is_some() || self.text.len() > LONGEST { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_read_from_the_beginning() {
        let mut sink = Beginning::default();
        let form = "Tensor { id: UniqueId(3), data: CachableCudaSlice { data: CudaSlice { cu_device_ptr: 140, len: 12, host_buf: [1";
        assert!(write!(sink, "{form}").is_err());
        assert_eq!(sink.len, Some(12));
        let mut other = Beginning::default();
        assert!(write!(other, "Tensor {{ {} }}", "x".repeat(2000)).is_err());
        assert_eq!(other.len, None);
    }
}
