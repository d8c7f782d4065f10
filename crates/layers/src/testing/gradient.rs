//! The gradient checker: backward against central differences.
use crate::params;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{AsArray, Backward, Cpu, OwnedTape, Rank0, Tensor};

/// How far the gradient of a loss is from its central differences, at the worst element.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientReport {
    /// Difference at the worst element, relative to the largest derivative in the same tensor.
    pub relative_error: f64,
    /// Path name of the tensor that holds it.
    pub name: String,
    /// Row-major index in that tensor.
    pub index: usize,
    /// Derivative from the backward pass.
    pub analytic: f64,
    /// Central difference.
    pub numeric: f64,
    /// Number of elements that were compared.
    pub checked: usize,
}

impl GradientReport {
    /// Asserts that the worst relative error is at most `tolerance`.
    ///
    /// # Panics
    /// When it is not; the message names tensor, index and both derivatives.
    #[track_caller]
    pub fn assert(&self, tolerance: f64) {
        assert!(
            self.relative_error <= tolerance,
            "derivative by `{}`[{}]: backward {:e}, central difference {:e}, relative error {:.2e} > {tolerance:.0e} \
             ({} derivatives compared)",
            self.name,
            self.index,
            self.analytic,
            self.numeric,
            self.relative_error,
            self.checked
        );
    }
}

/// Compares the gradient of `loss` with central differences for every trainable tensor of `at`.
///
/// `at` is whatever the loss depends on: a model, or a tuple of a model and inputs (dfdx's tensors with compile-time
/// shape are collections too). The loss gets it by reference and must return a scalar with its tape; trace an input
/// with `leaky_trace`. Steps are `6e-6 · max(1, |x|)`, the best for f64. A difference is measured against the largest
/// derivative in the same tensor, but at least against `1e-4 · max(1, |loss|)`, since a difference quotient knows
/// nothing below `4e-11 · |loss|`. Stay away from kinks.
///
/// # Examples
/// ```
/// use layers::{prelude::*, testing::gradient_check};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Linear<3, 4>, Tanh), f64>();
/// let x: Tensor<Rank2<5, 3>, f64, _> = dev.sample_normal();
/// gradient_check(&(model, x), |(model, x)| model.forward(x.leaky_trace()).square().mean()).assert(1e-8);
/// ```
///
/// # Panics
/// When `at` has no trainable element.
pub fn gradient_check<C>(
    at: &C,
    loss: impl Fn(&C) -> Tensor<Rank0, f64, Cpu, OwnedTape<f64, Cpu>>,
) -> GradientReport
where
    C: TensorCollection<f64, Cpu> + Clone,
{
    let value = loss(at);
    let floor = 1e-4 * value.array().abs().max(1.0);
    let analytic =
        params::flatten_gradients(at, &mut value.backward()).expect("the CPU has memory for a test");
    let mut flat = params::flatten(at);
    assert!(!flat.is_empty(), "nothing to check: no trainable element");
    let mut moved = at.clone();
    let mut value_at = |flat: &[f64]| {
        params::unflatten(&mut moved, flat).expect("the vector comes from a clone of the same model");
        loss(&moved).array()
    };
    let numeric: Vec<f64> = (0..flat.len())
        .map(|i| {
            let x = flat[i];
            let step = 6e-6 * x.abs().max(1.0);
            let [(right, above), (left, below)] = [x + step, x - step].map(|moved| {
                flat[i] = moved;
                (moved, value_at(&flat))
            });
            flat[i] = x;
            (above - below) / (right - left) // the steps as they were rounded
        })
        .collect();
    let mut worst: Option<GradientReport> = None;
    let mut start = 0;
    for parameter in params::list(at).into_iter().filter(|p| p.is_trainable) {
        let range = start..start + parameter.numel();
        start = range.end;
        let scale = numeric[range.clone()].iter().fold(floor, |scale, n| scale.max(n.abs()));
        for i in range.clone() {
            let relative_error = (analytic[i] - numeric[i]).abs() / scale; // never -0 or -NaN: `abs` clears the sign
            // In `total_cmp` a NaN is worse than everything.
            if worst.as_ref().is_none_or(|w| relative_error.total_cmp(&w.relative_error).is_gt()) {
                let (analytic, numeric, name) = (analytic[i], numeric[i], parameter.name.clone());
                let (index, checked) = (i - range.start, flat.len());
                worst = Some(GradientReport { relative_error, name, index, analytic, numeric, checked });
            }
        }
    }
    worst.expect("there is an element, asserted above")
}
