//! Arithmetic on duals: what dfdx's `Residual` needs, and enough to end in a loss.
use super::Dual;
use dfdx::prelude::{
    Axes, Axis, BroadcastTo, Const, Device, Dim, Dtype, HasShape, Rank0, ReduceShape, Shape, SumTo, Tape,
    Tensor, TryAdd, TryDiv, TryMul, TrySub, WithEmptyTape,
};
use kernels::{Real, RowMajor};

impl<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>> WithEmptyTape for Dual<S, E, D, T> {
    fn with_empty_tape(&self) -> Self {
        Self { value: self.value.with_empty_tape(), tangent: self.tangent.clone() }
    }
}

impl<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>> std::ops::Add for Dual<S, E, D, T> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.try_add(other).unwrap()
    }
}

impl<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>> TryAdd for Dual<S, E, D, T> {
    fn try_add(self, other: Self) -> Result<Self, D::Err> {
        let ((x, dx), (y, dy)) = (self.split(), other.split());
        Ok(Dual::join(x.try_add(y)?, dx.try_add(dy)?))
    }
}

impl<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>> Dual<S, E, D, T> {
    /// `self - constant`.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_sub_constant(self, constant: Tensor<S, E, D>) -> Result<Self, D::Err> {
        let (x, dx) = self.split();
        Ok(Dual::join(x.try_sub(constant)?, dx))
    }

    /// Element-wise product: $(xy)^{\cdot} = \dot x y + x \dot y$.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_mul(self, other: Self) -> Result<Self, D::Err> {
        let ((x, dx), (y, dy)) = (self.split(), other.split());
        let tangent = dx.try_mul(y.with_empty_tape())?.try_add(x.with_empty_tape().try_mul(dy)?)?;
        Ok(Dual::join(x.try_mul(y)?, tangent))
    }

    /// Sum over all elements.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_sum_all(self) -> Result<Dual<Rank0, E, D, T>, D::Err> {
        let (x, dx) = self.split();
        Ok(Dual::join(kernels::try_sum_all(x)?, kernels::try_sum_all(dx)?))
    }

    /// Mean over all elements.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_mean_all(self) -> Result<Dual<Rank0, E, D, T>, D::Err> {
        let (x, dx) = self.split();
        Ok(Dual::join(kernels::try_mean_all(x)?, kernels::try_mean_all(dx)?))
    }

    /// Mean squared error to a constant target, with its tangent $\frac2n \sum (y - t)\,\dot y$.
    ///
    /// # Panics
    /// When the device fails; [`try_mse_mean`](Self::try_mse_mean) returns the error.
    pub fn mse_mean(self, target: Tensor<S, E, D>) -> Dual<Rank0, E, D, T> {
        self.try_mse_mean(target).unwrap()
    }

    /// Fallible twin of [`mse_mean`](Self::mse_mean).
    ///
    /// # Errors
    /// The device's error.
    pub fn try_mse_mean(self, target: Tensor<S, E, D>) -> Result<Dual<Rank0, E, D, T>, D::Err> {
        let (y, dy) = self.split();
        let error = y.with_empty_tape().try_sub(target.clone())?;
        let tangent = kernels::try_mean_all(error.try_mul(dy)?)?.try_mul(E::of(2.0))?;
        Ok(Dual::join(kernels::try_mse_mean(y, target)?, tangent))
    }
}

impl<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>> Dual<S, E, D, T> {
    /// Softmax over the last axis: $\dot p = p (\dot z - \sum_k p_k \dot z_k)$.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_softmax(self) -> Result<Self, D::Err> {
        let (z, dz) = self.split();
        let p = kernels::try_softmax(z)?;
        let weighted = dz.with_empty_tape().try_mul(p.with_empty_tape())?;
        let mean = weighted.try_sum::<_, S::LastAxis>()?.try_broadcast_like(p.shape())?;
        let tangent = dz.try_sub(mean)?.try_mul(p.with_empty_tape())?;
        Ok(Dual::join(p, tangent))
    }

    /// Logarithm of the softmax over the last axis: $\dot\ell = \dot z - \sum_k p_k \dot z_k$.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_log_softmax(self) -> Result<Self, D::Err> {
        let (z, dz) = self.split();
        let p = kernels::try_softmax(z.with_empty_tape())?;
        let mean =
            dz.with_empty_tape().try_mul(p)?.try_sum::<_, S::LastAxis>()?.try_broadcast_like(z.shape())?;
        Ok(Dual::join(kernels::try_log_softmax(z)?, dz.try_sub(mean)?))
    }

    /// Log-sum-exp over an axis: $\dot y = \sum_k p_k \dot z_k$.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_logsumexp_along<Ax: Axes>(
        self,
        axes: Ax,
    ) -> Result<Dual<kernels::ReducedShape<S, Ax>, E, D, T>, D::Err>
    where
        S: ReduceShape<Ax>,
    {
        let (z, dz) = self.split();
        let p = kernels::try_softmax_along(z.with_empty_tape(), axes)?;
        let tangent = kernels::try_sum_along(dz.try_mul(p)?, axes)?;
        Ok(Dual::join(kernels::try_logsumexp_along(z, axes)?, tangent))
    }

    /// Mean binary cross-entropy in nats between logits and fixed probabilities, with its tangent
    /// $\frac1n \sum (\sigma(z) - p)\,\dot z$.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_bce_with_logits_mean(self, probs: &Tensor<S, E, D>) -> Result<Dual<Rank0, E, D, T>, D::Err> {
        let (z, dz) = self.split();
        let error = kernels::try_activate(z.with_empty_tape(), kernels::Sigmoid)?.try_sub(probs.clone())?;
        let tangent = kernels::try_mean_all(error.try_mul(dz)?)?;
        Ok(Dual::join(kernels::try_bce_with_logits_mean(z, probs)?, tangent))
    }
}

impl<B: Dim, const C: usize, E: Real, D: kernels::Device<E>, T: Tape<E, D>> Dual<(B, Const<C>), E, D, T> {
    /// Mean cross-entropy in nats between logits and one class index per row, with its tangent
    /// $\frac1B \sum_n \bigl(\sum_k \mathrm{softmax}(z_n)_k\,\dot z_{nk} - \dot z_{n y_n}\bigr)$.
    ///
    /// # Panics
    /// On the errors of [`try_cross_entropy_mean`](Self::try_cross_entropy_mean).
    pub fn cross_entropy_mean(self, labels: &[usize]) -> Dual<Rank0, E, D, T> {
        self.try_cross_entropy_mean(labels).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Fallible twin of [`cross_entropy_mean`](Self::cross_entropy_mean).
    ///
    /// # Errors
    /// [`kernels::Error::LabelCount`] and [`kernels::Error::LabelOutOfRange`] for labels that do not fit, and the
    /// device's error.
    pub fn try_cross_entropy_mean(self, labels: &[usize]) -> Result<Dual<Rank0, E, D, T>, kernels::Error> {
        let (z, dz) = self.split();
        let (shape, device) = (*z.shape(), z.device().clone());
        let probs = kernels::try_softmax(z.with_empty_tape()).map_err(device_error)?;
        let value = kernels::try_cross_entropy_mean(z, labels)?; // refuses labels that do not fit
        let mut targets = vec![E::zero(); labels.len() * C];
        labels.iter().enumerate().for_each(|(row, label)| targets[row * C + label] = E::one());
        let tangent = (|| {
            let targets = device.try_tensor_from_vec(targets, shape)?;
            let rows = E::of(labels.len() as f64);
            kernels::try_sum_all(probs.try_sub(targets)?.try_mul(dz)?)?.try_div(rows)
        })();
        Ok(Dual::join(value, tangent.map_err(device_error)?))
    }
}

fn device_error(error: impl std::fmt::Debug + std::fmt::Display + Send + Sync + 'static) -> kernels::Error {
    kernels::Error::Device(kernels::DeviceError::new(error))
}

/// Sums everything but the first axis: one number per sample.
pub(super) fn per_sample_sum<S: Shape, E: Real, D: kernels::Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<(usize,), E, D, T>, D::Err> {
    let (samples, features) = samples_and_features(x.shape());
    x.try_reshaped(&(samples, features))?.try_sum::<(usize,), Axis<1>>()
}

/// Length of the first axis, and of all others together.
pub(super) fn samples_and_features<S: Shape>(shape: &S) -> (usize, usize) {
    let samples = shape.concrete().into_iter().next().unwrap_or(1);
    (samples, shape.num_elements().checked_div(samples).unwrap_or(0))
}
