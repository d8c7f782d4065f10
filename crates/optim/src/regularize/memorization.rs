//! Real data against noise: how a network that can memorise everything behaves differently when it need not.
//!
//! | quantity | what it says |
//! |---|---|
//! | [`gini`] of [`direct_sensitivity`] or [`unrolled_sensitivity`] | do few examples matter much, or all a little? |
//! | [`critical_sample_ratio`] | how many examples lie near a decision boundary? |
//! | [`randomize_labels`], [`gaussian_inputs`] | the two kinds of noise |
//!
//! **Loss sensitivity.** In the paper (section 3.2) $g_x$ is the mean over $t$ of $\lVert \partial L_t / \partial x
//! \rVert_1$, where $L_t$ is the mean loss after $t$ updates and the derivative by a *training* input $x$ goes through the
//! updates that used it: [`unrolled_sensitivity`]. The cheap proxy [`direct_sensitivity`] holds the weights fixed and
//! differentiates each example's own loss.
//!
//! $$ G = \frac{\sum_{i=1}^N (2i - N - 1)\, g_{(i)}}{N \sum_i g_i} $$
//!
//! **Critical samples** are found by LASS (Langevin adversarial sample search): from $x$ go by $\alpha
//! \operatorname{sign} \nabla_x L(f(\tilde x), \hat y) + \beta\eta$, $\eta \sim N(0, 1)$, where $\hat y$ is what the network
//! answers at $x$; project on the box $\lVert \tilde x - x\rVert_\infty \le r$; stop when the answer changes.
//!
//! **Paper**: Arpit et al. (2017), A closer look at memorization in deep networks, arXiv 1706.05394.
//! **Deviations**: the paper's algorithm prints the gradient at $x$ and leaves the output open; we take the gradient of
//! the loss of the network's own answer at the current point. Its $r = 0.3$, $\alpha = 0.25$, $\beta = 0.2$ are on the
//! scale 0 to 255; ours are on the scale of the inputs, and every run states them.
//! **Complexity**: [`unrolled_sensitivity`] makes, for each $t$ of `at`, $t$ forward and $t$ backward passes.
use dfdx::nn::Module;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Backward, Const, Cpu, Dim, Gradients, OwnedTape, Tensor, Trace};
use kernels::random::Key;
use kernels::{Device, Real};
use layers::params::{self, DeviceError};
use layers::{Along, Dual};
use rand::Rng;
use rand_distr::StandardNormal;

use super::adversarial::{input_gradient, sign};
use crate::Error;

// ANCHOR: gini
/// Gini coefficient of non-negative values: 0 when all are equal, near 1 when one holds everything.
///
/// ```
/// use optim::regularize::memorization::gini;
/// assert_eq!(gini(&[2.0, 2.0, 2.0])?, 0.0);
/// assert_eq!(gini(&[0.0, 0.0, 0.0, 8.0])?, 0.75); // (N − 1)/N
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::Empty`] without values; [`Error::InvalidHyper`] for a value that is negative or not finite, or a sum of 0.
pub fn gini(values: &[f64]) -> Result<f64, Error> {
    if values.is_empty() {
        return Err(Error::Empty { what: "gini" });
    }
    let is_legal = |value: &f64| value.is_finite() && *value >= 0.0;
    if let Some(&value) = values.iter().find(|value| !is_legal(value)) {
        return Err(Error::InvalidHyper { name: "value", rule: "finite and not negative", value });
    }
    let (n, total) = (values.len() as f64, values.iter().sum::<f64>());
    if total == 0.0 {
        return Err(Error::InvalidHyper { name: "sum of the values", rule: "above 0", value: total });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |i: usize| 2.0 * (i + 1) as f64 - n - 1.0;
    Ok(sorted.iter().enumerate().map(|(i, g)| rank(i) * g).sum::<f64>() / (n * total))
}
// ANCHOR_END: gini

/// A copy of `labels` in which every one is drawn again, uniformly from `classes`, with probability `share`.
pub fn randomize_labels<R: Rng + ?Sized>(
    labels: &[usize],
    classes: usize,
    share: f64,
    rng: &mut R,
) -> Vec<usize> {
    let draw = |&label: &usize| {
        let (is_drawn, new) = (rng.r#gen::<f64>() < share, rng.gen_range(0..classes));
        if is_drawn { new } else { label }
    };
    labels.iter().map(draw).collect()
}

/// Independent Gaussian numbers with the mean and standard deviation of `values`, as many of them.
pub fn gaussian_inputs<R: Rng + ?Sized>(values: &[f32], rng: &mut R) -> Vec<f32> {
    let n = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
    values.iter().map(|_| mean + deviation * rng.sample::<f32, _>(StandardNormal)).collect()
}

/// $\lVert \partial \ell(f(x_n), y_n) / \partial x_n \rVert_1$ of each sample's own loss, with the weights held fixed.
///
/// # Errors
/// Those of [`input_gradient`].
pub fn direct_sensitivity<M, B, C, F, E, D>(
    model: &M,
    x: &Tensor<(B, F), E, D>,
    labels: &[usize],
) -> Result<Vec<f64>, Error>
where
    B: Dim,
    C: Dim,
    F: Dim,
    E: Real,
    D: Device<E>,
    M: Module<
            Tensor<(B, F), E, D, OwnedTape<E, D>>,
            Output = Tensor<(B, C), E, D, OwnedTape<E, D>>,
            Error = D::Err,
        >,
{
    let (_, gradient) = input_gradient(model, x, labels)?;
    let rows = labels.len() as f64; // the mean loss has 1/B of each sample's own
    let features = gradient.len() / labels.len().max(1);
    let size = |row: &[E]| row.iter().map(|g| g.as_f64().abs()).sum::<f64>() * rows;
    Ok(gradient.chunks(features.max(1)).map(size).collect())
}

/// A run of plain stochastic gradient descent that is differentiated as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a, const I: usize> {
    /// Training inputs, row-major, `I` values each.
    pub x: &'a [f64],
    /// Their classes.
    pub labels: &'a [usize],
    /// Positions of the examples of each update.
    pub batches: &'a [Vec<usize>],
    /// $\eta$.
    pub learning_rate: f64,
}

impl<const I: usize> Run<'_, I> {
    fn batch(&self, rows: &[usize]) -> Result<(Tensor<(usize, Const<I>), f64, Cpu>, Vec<usize>), Error> {
        let values = rows.iter().flat_map(|&row| &self.x[row * I..(row + 1) * I]).copied().collect();
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        let device = Cpu::default();
        let x = dfdx::prelude::TensorFromVec::try_tensor_from_vec(&device, values, (rows.len(), Const::<I>));
        Ok((x.map_err(DeviceError::new)?, labels))
    }
}

type Taped<const N: usize> = Tensor<(usize, Const<N>), f64, Cpu, OwnedTape<f64, Cpu>>;
type TapedDual<const N: usize> = Dual<(usize, Const<N>), f64, Cpu, OwnedTape<f64, Cpu>>;

/// Mean over the `at` of $\lVert \partial L_t / \partial x_n \rVert_1$ for each training example $n$: $L_t$ is the mean
/// training loss after $t$ updates from `start`, with its own inputs held fixed, so the derivative goes through the
/// updates alone.
///
/// With $\theta_{s+1} = \theta_s - \eta \nabla\ell_s(\theta_s)$ and $\lambda_t = \nabla L(\theta_t)$, go back by
/// $\lambda_s = \lambda_{s+1} - \eta H_s \lambda_{s+1}$ and collect $-\eta\, \partial_x(\lambda_{s+1} \cdot \nabla\ell_s)$:
/// both are gradients of the one number $\lambda \cdot \nabla\ell_s$, which a forward tangent computes.
///
/// # Errors
/// [`Error::Empty`] without batches or times, [`Error::InvalidHyper`] for a time beyond the last update;
/// [`Error::Kernel`] for labels that do not fit; [`Error::Device`].
pub fn unrolled_sensitivity<M, const I: usize, const C: usize>(
    start: &M,
    run: Run<'_, I>,
    at: &[usize],
) -> Result<Vec<f64>, Error>
where
    M: TensorCollection<f64, Cpu> + Clone,
    M: Module<Taped<I>, Output = Taped<C>> + Along<TapedDual<I>, Output = TapedDual<C>>,
{
    let samples = run.labels.len();
    if run.batches.is_empty() || at.is_empty() || samples == 0 {
        return Err(Error::Empty { what: "unrolled_sensitivity (samples, batches, times)" });
    }
    if let Some(&late) = at.iter().find(|&&t| t > run.batches.len()) {
        let rule = "at most the number of updates";
        return Err(Error::InvalidHyper { name: "at", rule, value: late as f64 });
    }
    let path = descend(start, run)?;
    let mut sum = vec![0.0; samples];
    for &t in at {
        let by_input = pull_back(&path, run, t)?;
        for (sum, gradient) in sum.iter_mut().zip(by_input.chunks(I)) {
            *sum += gradient.iter().map(|g| g.abs()).sum::<f64>() / at.len() as f64;
        }
    }
    Ok(sum)
}

/// The gradient of the mean loss of some examples by the weights.
fn slope<M, const I: usize, const C: usize>(
    model: &M,
    run: Run<'_, I>,
    rows: &[usize],
) -> Result<Vec<f64>, Error>
where
    M: TensorCollection<f64, Cpu> + Module<Taped<I>, Output = Taped<C>>,
{
    let (x, labels) = run.batch(rows)?;
    let loss = kernels::try_cross_entropy_mean(model.forward(x.leaky_trace()), &labels)?;
    let mut gradients = loss.try_backward().map_err(DeviceError::new)?;
    Ok(params::flatten_gradients(model, &mut gradients)?)
}

/// The models before the first and after each update.
fn descend<M, const I: usize, const C: usize>(start: &M, run: Run<'_, I>) -> Result<Vec<M>, Error>
where
    M: TensorCollection<f64, Cpu> + Clone + Module<Taped<I>, Output = Taped<C>>,
{
    let mut path = vec![start.clone()];
    for rows in run.batches {
        let mut next = path[path.len() - 1].clone();
        let step = slope(&next, run, rows)?;
        let moved: Vec<f64> =
            params::flatten(&next).iter().zip(step).map(|(w, g)| w - run.learning_rate * g).collect();
        params::unflatten(&mut next, &moved)?;
        path.push(next);
    }
    Ok(path)
}

// ANCHOR: unrolled
/// $\partial L_t / \partial x$ for all training inputs, through the first `t` updates.
fn pull_back<M, const I: usize, const C: usize>(
    path: &[M],
    run: Run<'_, I>,
    t: usize,
) -> Result<Vec<f64>, Error>
where
    M: TensorCollection<f64, Cpu> + Clone,
    M: Module<Taped<I>, Output = Taped<C>> + Along<TapedDual<I>, Output = TapedDual<C>>,
{
    let everything: Vec<usize> = (0..run.labels.len()).collect();
    let mut lambda = slope(&path[t], run, &everything)?;
    let mut by_input = vec![0.0; run.x.len()];
    for s in (0..t).rev() {
        let (x, labels) = run.batch(&run.batches[s])?;
        let mut direction = path[s].clone();
        params::unflatten(&mut direction, &lambda)?;
        let output = path[s].along(&direction, Dual::constant(x.leaky_trace()));
        let along = output.try_cross_entropy_mean(&labels)?.tangent(); // lambda . grad of the loss
        let mut gradients: Gradients<f64, Cpu> = along.try_backward().map_err(DeviceError::new)?;
        for (row, g) in run.batches[s].iter().zip(gradients.get(&x).as_vec().chunks(I)) {
            let to = &mut by_input[row * I..(row + 1) * I];
            to.iter_mut().zip(g).for_each(|(to, g)| *to -= run.learning_rate * g);
        }
        let curved = params::flatten_gradients(&path[s], &mut gradients)?; // H lambda
        lambda.iter_mut().zip(curved).for_each(|(l, h)| *l -= run.learning_rate * h);
    }
    Ok(by_input)
}
// ANCHOR_END: unrolled

/// Settings of [`critical_sample_ratio`], on the scale of the inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lass {
    /// $r$: half the side of the box.
    pub radius: f64,
    /// $\alpha$: factor of the sign of the gradient.
    pub alpha: f64,
    /// $\beta$: factor of the noise.
    pub beta: f64,
    /// Most steps for a sample.
    pub iterations: usize,
}

// ANCHOR: lass
/// Share of the samples for which the search finds another answer of the network within the box.
///
/// # Errors
/// [`Error::InvalidHyper`] for a setting that is negative or not finite; [`Error::Empty`] without samples; those of
/// [`input_gradient`].
pub fn critical_sample_ratio<M>(
    model: &M,
    x: &Tensor<(usize, usize), f32, Cpu>,
    settings: Lass,
    key: Key,
) -> Result<f64, Error>
where
    M: Module<
            Tensor<(usize, usize), f32, Cpu, OwnedTape<f32, Cpu>>,
            Output = Tensor<(usize, usize), f32, Cpu, OwnedTape<f32, Cpu>>,
            Error = <Cpu as dfdx::prelude::HasErr>::Err,
        > + Module<
            Tensor<(usize, usize), f32, Cpu>,
            Output = Tensor<(usize, usize), f32, Cpu>,
            Error = <Cpu as dfdx::prelude::HasErr>::Err,
        >,
{
    settings.check()?;
    let (samples, features) = *dfdx::prelude::HasShape::shape(x);
    if samples == 0 {
        return Err(Error::Empty { what: "critical_sample_ratio" });
    }
    let tensor = |values: &[f32]| {
        let rows = values.len() / features.max(1);
        let device = Cpu::default();
        dfdx::prelude::TensorFromVec::try_tensor_from_vec(&device, values.to_vec(), (rows, features))
            .map_err(DeviceError::new)
    };
    let own = answers(model, x)?;
    // Samples still searched: position, where it started, where it is.
    let start = x.as_vec();
    let mut open: Vec<usize> = (0..samples).collect();
    let mut at = start.clone();
    let (radius, alpha, beta) = (settings.radius as f32, settings.alpha as f32, settings.beta as f32);
    for step in 0..settings.iterations {
        if open.is_empty() {
            break;
        }
        let labels: Vec<usize> = open.iter().map(|&sample| own[sample]).collect();
        let (_, slope) = input_gradient(model, &tensor(&at)?, &labels)?;
        let mut noise = vec![0.0_f32; at.len()];
        key.fold(step as u64).fill_normal(&mut noise);
        for (i, position) in at.iter_mut().enumerate() {
            let from = start[open[i / features] * features + i % features];
            let moved = *position + alpha * sign(f64::from(slope[i])) as f32 + beta * noise[i];
            *position = moved.clamp(from - radius, from + radius);
        }
        let now = answers(model, &tensor(&at)?)?;
        let stays: Vec<bool> = now.iter().zip(&labels).map(|(now, own)| now == own).collect();
        at = at
            .chunks(features)
            .zip(&stays)
            .filter(|(_, stays)| **stays)
            .flat_map(|(x, _)| x)
            .copied()
            .collect();
        open = open.into_iter().zip(stays).filter_map(|(sample, stays)| stays.then_some(sample)).collect();
    }
    Ok((samples - open.len()) as f64 / samples as f64)
}
// ANCHOR_END: lass

impl Lass {
    fn check(self) -> Result<(), Error> {
        for (name, value) in [("radius", self.radius), ("alpha", self.alpha), ("beta", self.beta)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::InvalidHyper { name, rule: "finite and not negative", value });
            }
        }
        Ok(())
    }
}

/// The class with the largest output, for each row; the first of equals.
///
/// # Errors
/// [`Error::Device`] without memory.
pub fn answers<M>(model: &M, x: &Tensor<(usize, usize), f32, Cpu>) -> Result<Vec<usize>, Error>
where
    M: Module<Tensor<(usize, usize), f32, Cpu>, Output = Tensor<(usize, usize), f32, Cpu>>,
{
    let output = model
        .try_forward(x.clone())
        .map_err(|error| Error::Device(DeviceError::new(format!("{error:?}"))))?;
    let classes = dfdx::prelude::HasShape::shape(&output).1;
    let largest = |row: &[f32]| {
        let best = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
        (0..classes).fold(0, best)
    };
    Ok(output.as_vec().chunks(classes).map(largest).collect())
}
