//! Tangents of the operations on sparse matrices and segments.
use super::Dual;
use dfdx::prelude::{
    Backward, Dim, Merge, OwnedTape, ReshapeTo, SplitTape, Tape, Tensor, TryMul, TrySub, WithEmptyTape,
};
use kernels::sparse::{
    Csr, Pattern, Reduction, RowIndex, Segments, SparseDevice, SparseError, try_gather_rows,
    try_scatter_add_rows, try_sddmm, try_segment_reduce, try_segment_softmax, try_spmm, try_spmm_weighted,
};
use kernels::{Real, try_sum_all};

/// The tangent of a sum of two terms.
fn sum<S, E, D, T>(a: Tensor<S, E, D, T>, b: Tensor<S, E, D, T>) -> Result<Tensor<S, E, D, T>, SparseError>
where
    S: dfdx::prelude::Shape,
    E: Real,
    D: SparseDevice<E>,
    T: Tape<E, D> + Merge<T>,
{
    dfdx::prelude::TryAdd::try_add(a, b).map_err(device_error)
}

fn device_error(error: impl std::fmt::Debug + std::fmt::Display + Send + Sync + 'static) -> SparseError {
    SparseError::Device(kernels::DeviceError::new(error))
}

impl<N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>> Dual<(N, F), E, D, T> {
    /// A X for a sparse matrix of constants: $(A X)^{\cdot} = A \dot X$.
    ///
    /// # Errors
    /// As [`try_spmm`].
    pub fn try_spmm<M: Dim>(self, a: &Csr<E, M, N>) -> Result<Dual<(M, F), E, D, T>, SparseError> {
        let (x, dx) = self.split();
        Ok(Dual::join(try_spmm(a, x)?, try_spmm(a, dx)?))
    }

    /// A X for a sparse matrix whose weights, one for each entry of `pattern`, move too:
    /// $(A X)^{\cdot} = \dot A X + A \dot X$.
    ///
    /// # Errors
    /// As [`try_spmm_weighted`].
    pub fn try_spmm_weighted<M: Dim, W: Dim>(
        self,
        pattern: &Pattern<M, N>,
        weights: Dual<(W,), E, D, T>,
    ) -> Result<Dual<(M, F), E, D, T>, SparseError> {
        let ((x, dx), (w, dw)) = (self.split(), weights.split());
        let tangent = sum(
            try_spmm_weighted(pattern, dw, x.with_empty_tape())?,
            try_spmm_weighted(pattern, w.with_empty_tape(), dx)?,
        )?;
        Ok(Dual::join(try_spmm_weighted(pattern, w, x)?, tangent))
    }

    /// ⟨qᵢ, kⱼ⟩ for the entries of `pattern`, with `self` as q: the product rule.
    ///
    /// # Errors
    /// As [`try_sddmm`].
    pub fn try_sddmm<M: Dim>(
        self,
        pattern: &Pattern<N, M>,
        keys: Dual<(M, F), E, D, T>,
    ) -> Result<Dual<(usize,), E, D, T>, SparseError> {
        let ((q, dq), (k, dk)) = (self.split(), keys.split());
        let tangent =
            sum(try_sddmm(pattern, dq, k.with_empty_tape())?, try_sddmm(pattern, q.with_empty_tape(), dk)?)?;
        Ok(Dual::join(try_sddmm(pattern, q, k)?, tangent))
    }

    /// The rows that `index` lists, of value and tangent.
    ///
    /// # Errors
    /// As [`try_gather_rows`].
    pub fn try_gather_rows(self, index: &RowIndex<N>) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        let (x, dx) = self.split();
        Ok(Dual::join(try_gather_rows(x, index)?, try_gather_rows(dx, index)?))
    }

    /// Sums of rows by index, of value and tangent.
    ///
    /// # Errors
    /// As [`try_scatter_add_rows`].
    pub fn try_scatter_add_rows<M: Dim>(
        self,
        index: &RowIndex<M>,
    ) -> Result<Dual<(M, F), E, D, T>, SparseError> {
        let (x, dx) = self.split();
        Ok(Dual::join(try_scatter_add_rows(x, index)?, try_scatter_add_rows(dx, index)?))
    }

    /// Softmax over segments: $\dot y = y\,(\dot x - \sum y\,\dot x)$, the sum over the segment.
    ///
    /// # Errors
    /// As [`try_segment_softmax`].
    pub fn try_segment_softmax(self, segments: &Segments) -> Result<Self, SparseError> {
        let (x, dx) = self.split();
        let y = try_segment_softmax(x, segments)?;
        let tangent = centred(y.with_empty_tape(), dx, segments)?;
        Ok(Dual::join(y, tangent))
    }

    /// Sums over segments, of value and tangent.
    ///
    /// # Errors
    /// As [`try_segment_reduce`].
    pub fn try_segment_sum(self, segments: &Segments) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        self.linear_over(segments, Reduction::Sum)
    }

    /// Means over segments, of value and tangent.
    ///
    /// # Errors
    /// As [`try_segment_reduce`].
    pub fn try_segment_mean(self, segments: &Segments) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        self.linear_over(segments, Reduction::Mean)
    }

    /// Largest elements of segments: the tangent is that of the first of equals; that of an empty segment is 0.
    ///
    /// # Errors
    /// As [`try_segment_reduce`].
    pub fn try_segment_max(self, segments: &Segments) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        self.extreme_over(segments, Reduction::Max)
    }

    /// Smallest elements of segments, with tangents as for [`try_segment_max`](Self::try_segment_max).
    ///
    /// # Errors
    /// As [`try_segment_reduce`].
    pub fn try_segment_min(self, segments: &Segments) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        self.extreme_over(segments, Reduction::Min)
    }

    fn extreme_over(
        self,
        segments: &Segments,
        reduction: Reduction,
    ) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        let (x, dx) = self.split();
        // One where an element is taken: the gradient of the sum of all results.
        let taken = || {
            let leaf = x.with_empty_tape().split_tape().0.try_contiguous().map_err(device_error)?;
            let y = try_segment_reduce(leaf.retaped::<OwnedTape<E, D>>(), segments, reduction)?;
            let gradients = try_sum_all(y).and_then(|sum| sum.try_backward()).map_err(device_error)?;
            Ok::<_, SparseError>(gradients.get(&leaf))
        };
        let taken = dx.try_mul(taken()?).map_err(device_error)?;
        let tangent = try_segment_reduce(taken, segments, Reduction::Sum)?;
        Ok(Dual::join(try_segment_reduce(x, segments, reduction)?, tangent))
    }

    fn linear_over(
        self,
        segments: &Segments,
        reduction: Reduction,
    ) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        let (x, dx) = self.split();
        Ok(Dual::join(
            try_segment_reduce(x, segments, reduction)?,
            try_segment_reduce(dx, segments, reduction)?,
        ))
    }

    /// ln Σ eˣ over segments: the tangent is the mean of $\dot x$ under the softmax.
    ///
    /// # Errors
    /// As [`try_segment_reduce`].
    pub fn try_segment_log_sum_exp(
        self,
        segments: &Segments,
    ) -> Result<Dual<(usize, F), E, D, T>, SparseError> {
        let (x, dx) = self.split();
        let probs = try_segment_softmax(x.with_empty_tape(), segments)?;
        let weighted = probs.try_mul(dx).map_err(device_error)?;
        let tangent = try_segment_reduce(weighted, segments, Reduction::Sum)?;
        Ok(Dual::join(try_segment_reduce(x, segments, Reduction::LogSumExp)?, tangent))
    }
}

/// y (dx − Σ y dx), the sum over each segment spread to its rows.
fn centred<N: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    y: Tensor<(N, F), E, D, T>,
    dx: Tensor<(N, F), E, D, T>,
    segments: &Segments,
) -> Result<Tensor<(N, F), E, D, T>, SparseError> {
    use dfdx::prelude::HasShape;
    let shape = *y.shape();
    let weighted = y.with_empty_tape().try_mul(dx.with_empty_tape()).map_err(device_error)?;
    let sums = try_segment_reduce(weighted, segments, Reduction::Sum)?;
    let lengths = segments.starts().windows(2).zip(0_u32..);
    let owner: Vec<u32> =
        lengths.flat_map(|(bounds, i)| std::iter::repeat_n(i, bounds[1] - bounds[0])).collect();
    let spread = try_gather_rows(sums, &RowIndex::try_new(segments.len(), &owner)?)?;
    let spread = spread.try_reshape_like(&shape).map_err(device_error)?;
    y.try_mul(dx.try_sub(spread).map_err(device_error)?).map_err(device_error)
}
