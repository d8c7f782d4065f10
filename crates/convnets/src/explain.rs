//! Why a network said so: maps of the input, for one class.
//!
//! | function | map | paper |
//! |---|---|---|
//! | [`gradient`] | $\partial y_c / \partial x$ | Simonyan et al. (2014), arXiv 1312.6034 |
//! | [`gradient_x_input`] | $x \odot \partial y_c / \partial x$ | Shrikumar et al. (2016), arXiv 1605.01713 |
//! | [`integrated_gradients`] | $(x - x') \int_0^1 \partial y_c(x' + t (x - x')) / \partial x \, dt$ | Sundararajan et al. (2017), arXiv 1703.01365 |
//! | [`smooth_grad`] | mean gradient of noisy copies | Smilkov et al. (2017), arXiv 1706.03825 |
//! | [`grad_cam`] | $\mathrm{ReLU} \sum_k \alpha_k A_k$, $\alpha_k$ the mean of $\partial y_c / \partial A_k$ | Selvaraju et al. (2017), arXiv 1610.02391 |
//! | [`guided_grad_cam`] | guided backpropagation times Grad-CAM | the same |
//! | [`occlusion`] | drop of $y_c$ when a window is covered | Zeiler & Fergus (2014), arXiv 1311.2901 |
//! | [`gradient`] of a network with [`GuidedRelu`], [`DeconvRelu`] | only positive gradients pass | Springenberg et al. (2015), arXiv 1412.6806 |
//!
//! $y_c$ is the logit, before the softmax: a probability's gradient also says what speaks against the other classes.
//! **When not to believe a map**: guided backpropagation draws edges of the image whatever the weights of the last layers
//! are (Adebayo et al. 2018, arXiv 1810.03292); compare with a network whose last layer is drawn anew.
//! A network takes part when its activations are modules of their own: copy the weights of one with
//! [`Relu`](layers::modules::Relu) into one with [`GuidedRelu`] by `layers::params::flatten` and `unflatten`.
use dfdx::nn::{Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{
    Backward, Const, Dim, Gradients, HasShape, OwnedTape, Rank0, Shape, SplitTape, SumTo, Tape, Tensor,
    Trace, TryMul,
};
use kernels::random::Key;
use kernels::{Corners, Device, Real};
use layers::params::DeviceError;
use layers::plan::{Plan, Planned};

/// A batch of one image.
pub type Image<C, H, W, E, D> = Tensor<(Const<1>, C, H, W), E, D>;
/// [`Image`], recorded.
pub type Traced<C, H, W, E, D> = Tensor<(Const<1>, C, H, W), E, D, OwnedTape<E, D>>;
/// Logits of one image, recorded.
pub type Logits<const K: usize, E, D> = Tensor<(Const<1>, Const<K>), E, D, OwnedTape<E, D>>;

/// Why an explanation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// There is no such class.
    #[error("the network has {classes} classes, there is no class {class}")]
    Class {
        /// The class asked for.
        class: usize,
        /// Outputs of the network.
        classes: usize,
    },
    /// An empty window, or one that leaves the image.
    #[error("an occluding window of {window} with stride {stride} does not fit {rows} x {cols} pixels")]
    Window {
        /// Side of the window.
        window: usize,
        /// Step.
        stride: usize,
        /// Rows of the image.
        rows: usize,
        /// Columns of the image.
        cols: usize,
    },
    /// No steps or no samples.
    #[error("{what} must be at least 1, got 0")]
    Zero {
        /// Which number.
        what: &'static str,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

fn device(error: impl std::fmt::Debug + std::fmt::Display) -> ExplainError {
    ExplainError::Device(DeviceError::new(error))
}

/// The logit of `class` of what `model` says, alone.
fn logit<const K: usize, E: Real, D: Device<E>>(
    logits: Logits<K, E, D>,
    class: usize,
) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, ExplainError> {
    if class >= K {
        return Err(ExplainError::Class { class, classes: K });
    }
    let mut chosen = vec![E::zero(); K];
    chosen[class] = E::one();
    let mut mask = logits.device().try_zeros_like(&(Const::<1>, Const::<K>)).map_err(device)?;
    mask.copy_from(&chosen);
    logits.try_mul(mask).and_then(|y| y.try_sum()).map_err(device)
}

/// $\partial y_c / \partial x$, in the shape of the image.
///
/// # Examples
/// ```
/// use convnets::explain;
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Flatten, Linear<4, 3>), f64>();
/// let image: Tensor<Rank4<1, 1, 2, 2>, f64, _> = dev.sample_normal();
/// let map = explain::gradient(&model, &image, 2)?;
/// assert_eq!(map.as_vec(), model.1.weight.as_vec()[8..]); // a linear model's gradient is its weights
/// # Ok::<(), explain::ExplainError>(())
/// ```
///
/// # Errors
/// [`ExplainError::Class`] and the device's error.
pub fn gradient<M, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, const K: usize>(
    model: &M,
    image: &Image<C, H, W, E, D>,
    class: usize,
) -> Result<Image<C, H, W, E, D>, ExplainError>
where
    M: Module<Traced<C, H, W, E, D>, Output = Logits<K, E, D>>,
    M::Error: std::fmt::Display,
{
    let logits = model.try_forward(image.leaky_trace()).map_err(device)?;
    let gradients = logit(logits, class)?.try_backward().map_err(device)?;
    Ok(gradients.get(image))
}

/// $x \odot \partial y_c / \partial x$: what each pixel adds to the logit, as far as the network is linear.
///
/// For a linear network without biases the map adds up to the logit, and is [`integrated_gradients`] from a black image.
///
/// # Examples
/// ```
/// use convnets::explain;
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Flatten, UnbiasedLinear<4, 3>), f64>();
/// let image: Tensor<Rank4<1, 1, 2, 2>, f64, _> = dev.sample_normal();
/// let map = explain::gradient_x_input(&model, &image, 2)?;
/// let logit = model.forward(image).array()[0][2];
/// assert!((map.as_vec().iter().sum::<f64>() - logit).abs() < 1e-12);
/// # Ok::<(), explain::ExplainError>(())
/// ```
///
/// # Errors
/// [`ExplainError::Class`] and the device's error.
pub fn gradient_x_input<M, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, const K: usize>(
    model: &M,
    image: &Image<C, H, W, E, D>,
    class: usize,
) -> Result<Image<C, H, W, E, D>, ExplainError>
where
    M: Module<Traced<C, H, W, E, D>, Output = Logits<K, E, D>>,
    M::Error: std::fmt::Display,
{
    gradient(model, image, class)?.try_mul(image.clone()).map_err(device)
}

/// Integrated gradients from `baseline` to `image` by the midpoint rule: their sum is the difference of the two logits,
/// up to an error that falls with the square of `steps` where the network is smooth.
///
/// # Errors
/// [`ExplainError::Zero`] without steps, [`ExplainError::Class`], the device's error.
pub fn integrated_gradients<M, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, const K: usize>(
    model: &M,
    image: &Image<C, H, W, E, D>,
    baseline: &Image<C, H, W, E, D>,
    class: usize,
    steps: usize,
) -> Result<Image<C, H, W, E, D>, ExplainError>
where
    M: Module<Traced<C, H, W, E, D>, Output = Logits<K, E, D>>,
    M::Error: std::fmt::Display,
{
    if steps == 0 {
        return Err(ExplainError::Zero { what: "steps" });
    }
    let (from, to) = (baseline.as_vec(), image.as_vec());
    let way: Vec<E> = to.iter().zip(&from).map(|(to, from)| *to - *from).collect();
    let mut sum = vec![E::zero(); way.len()];
    for step in 0..steps {
        let at = E::of((step as f64 + 0.5) / steps as f64);
        let point: Vec<E> = from.iter().zip(&way).map(|(from, way)| *from + at * *way).collect();
        let map = gradient(model, &like(image, &point)?, class)?;
        sum.iter_mut().zip(map.as_vec()).for_each(|(sum, g)| *sum += g);
    }
    let scale = E::of(1.0 / steps as f64);
    like(image, &sum.iter().zip(&way).map(|(sum, way)| *sum * *way * scale).collect::<Vec<_>>())
}

/// What [`smooth_grad`] adds to an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Noisy copies, at least 1; 50 in the paper.
    pub samples: usize,
    /// Standard deviation; 0.1 to 0.2 of the range of the pixels in the paper.
    pub standard_deviation: f64,
    /// Where it is drawn from.
    pub key: Key,
}

/// The mean gradient over copies of the image with normal noise.
///
/// # Errors
/// [`ExplainError::Zero`] without samples, [`ExplainError::Class`], the device's error.
pub fn smooth_grad<M, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, const K: usize>(
    model: &M,
    image: &Image<C, H, W, E, D>,
    class: usize,
    noise: Noise,
) -> Result<Image<C, H, W, E, D>, ExplainError>
where
    M: Module<Traced<C, H, W, E, D>, Output = Logits<K, E, D>>,
    M::Error: std::fmt::Display,
{
    let Noise { samples, standard_deviation, key } = noise;
    if samples == 0 {
        return Err(ExplainError::Zero { what: "samples" });
    }
    let pixels = image.as_vec();
    let (mut sum, mut noise) = (vec![E::zero(); pixels.len()], vec![E::zero(); pixels.len()]);
    for sample in 0..samples {
        key.fold(sample as u64).fill_normal(&mut noise);
        let sigma = E::of(standard_deviation);
        let noisy: Vec<E> = pixels.iter().zip(&noise).map(|(x, z)| *x + sigma * *z).collect();
        let map = gradient(model, &like(image, &noisy)?, class)?;
        sum.iter_mut().zip(map.as_vec()).for_each(|(sum, g)| *sum += g);
    }
    let scale = E::of(1.0 / samples as f64);
    like(image, &sum.iter().map(|sum| *sum * scale).collect::<Vec<_>>())
}

/// What Grad-CAM finds on the maps that `features` ends in.
#[derive(Clone, Debug)]
pub struct GradCam<E> {
    /// $\alpha_k$, one per map.
    pub weights: Vec<E>,
    /// Rows and columns of the maps.
    pub size: (usize, usize),
    /// $\mathrm{ReLU} \sum_k \alpha_k A_k$, row by row.
    pub map: Vec<E>,
    /// [`map`](Self::map) at the size of the image, bilinear (pixels' edges aligned).
    pub upsampled: Vec<E>,
}

/// Grad-CAM of a network that is `features` followed by `head`.
///
/// # Errors
/// [`ExplainError::Class`] and the device's error.
pub fn grad_cam<F, M, C, H, W, P, Q, R, E, D, const K: usize>(
    features: &F,
    head: &M,
    image: &Image<C, H, W, E, D>,
    class: usize,
) -> Result<GradCam<E>, ExplainError>
where
    C: Dim,
    H: Dim,
    W: Dim,
    P: Dim,
    Q: Dim,
    R: Dim,
    E: Real,
    D: Device<E>,
    F: Module<Image<C, H, W, E, D>, Output = Image<P, Q, R, E, D>>,
    F::Error: std::fmt::Display,
    M: Module<Traced<P, Q, R, E, D>, Output = Logits<K, E, D>>,
    M::Error: std::fmt::Display,
{
    // ANCHOR: grad_cam
    let maps = features.try_forward(image.clone()).map_err(device)?;
    let slopes = gradient(head, &maps, class)?.as_vec();
    let (_, _, rows, cols) = *maps.shape();
    let (size, area) = ((rows.size(), cols.size()), rows.size() * cols.size());
    let share = E::of(1.0 / area as f64);
    let mean = |slopes: &[E]| slopes.iter().fold(E::zero(), |sum, g| sum + *g) * share;
    let weights: Vec<E> = slopes.chunks(area).map(mean).collect();
    let values = maps.as_vec();
    let at = |pixel: usize| {
        let maps = weights.iter().enumerate();
        let sum = maps.fold(E::zero(), |sum, (k, weight)| sum + *weight * values[k * area + pixel]);
        sum.max(E::zero())
    };
    let map: Vec<E> = (0..area).map(at).collect();
    // ANCHOR_END: grad_cam
    let mut small = maps.device().try_zeros_like(&(1_usize, 1_usize, size.0, size.1)).map_err(device)?;
    small.copy_from(&map);
    let (_, _, h, w) = *image.shape();
    let upsampled =
        kernels::try_resize_bilinear(small, h.size(), w.size(), Corners::Edges).map_err(device)?.as_vec();
    Ok(GradCam { weights, size, map, upsampled })
}

/// Guided Grad-CAM: the map of guided backpropagation, each pixel times [`GradCam::upsampled`].
///
/// `guided` is the network that is `features` and `head`, its activations [`GuidedRelu`]; the fine map says where the image
/// has edges, the coarse one which of them are of the class. It inherits the fault of the fine map: within the coarse areas
/// it draws the image.
///
/// # Errors
/// [`ExplainError::Class`] and the device's error.
pub fn guided_grad_cam<G, F, M, C, H, W, P, Q, R, E, D, const K: usize>(
    guided: &G,
    (features, head): (&F, &M),
    image: &Image<C, H, W, E, D>,
    class: usize,
) -> Result<Image<C, H, W, E, D>, ExplainError>
where
    C: Dim,
    H: Dim,
    W: Dim,
    P: Dim,
    Q: Dim,
    R: Dim,
    E: Real,
    D: Device<E>,
    G: Module<Traced<C, H, W, E, D>, Output = Logits<K, E, D>>,
    G::Error: std::fmt::Display,
    F: Module<Image<C, H, W, E, D>, Output = Image<P, Q, R, E, D>>,
    F::Error: std::fmt::Display,
    M: Module<Traced<P, Q, R, E, D>, Output = Logits<K, E, D>>,
    M::Error: std::fmt::Display,
{
    let coarse = grad_cam(features, head, image, class)?.upsampled;
    let fine = gradient(guided, image, class)?.as_vec();
    // The coarse map has one channel, which counts for all of the image.
    let product: Vec<E> =
        fine.iter().zip(coarse.iter().cycle()).map(|(fine, coarse)| *fine * *coarse).collect();
    like(image, &product)
}

/// What [`occlusion`] puts over an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cover {
    /// Side of the square, at least 1.
    pub window: usize,
    /// Pixels between two positions, at least 1.
    pub stride: usize,
    /// Value of the covered pixels, in all channels.
    pub fill: f64,
}

/// By how much $y_c$ falls when a square is covered, for every position: rows × columns of positions.
///
/// # Errors
/// [`ExplainError::Window`], [`ExplainError::Class`], the device's error.
pub fn occlusion<M, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, const K: usize>(
    model: &M,
    image: &Image<C, H, W, E, D>,
    class: usize,
    cover: Cover,
) -> Result<Vec<Vec<E>>, ExplainError>
where
    M: Module<Image<C, H, W, E, D>, Output = Tensor<(Const<1>, Const<K>), E, D>>,
    M::Error: std::fmt::Display,
{
    if class >= K {
        return Err(ExplainError::Class { class, classes: K });
    }
    let Cover { window, stride, fill } = cover;
    let (_, channels, h, w) = *image.shape();
    let (rows, cols) = (h.size(), w.size());
    if window == 0 || stride == 0 || window > rows || window > cols {
        return Err(ExplainError::Window { window, stride, rows, cols });
    }
    let score = |x: Image<C, H, W, E, D>| -> Result<E, ExplainError> {
        Ok(model.try_forward(x).map_err(device)?.as_vec()[class])
    };
    let (pixels, whole) = (image.as_vec(), score(image.clone())?);
    let positions = |extent: usize| (0..=extent - window).step_by(stride);
    positions(rows)
        .map(|top| {
            positions(cols)
                .map(|left| {
                    let mut covered = pixels.clone();
                    for (plane, row) in
                        (0..channels.size()).flat_map(|c| (top..top + window).map(move |row| (c, row)))
                    {
                        let start = (plane * rows + row) * cols + left;
                        covered[start..start + window].fill(E::of(fill));
                    }
                    Ok(whole - score(like(image, &covered)?)?)
                })
                .collect()
        })
        .collect()
}

/// A tensor of the image's shape with other values.
fn like<S: Shape, E: Real, D: Device<E>>(
    image: &Tensor<S, E, D>,
    values: &[E],
) -> Result<Tensor<S, E, D>, ExplainError> {
    let mut tensor = image.device().try_zeros_like(image).map_err(device)?;
    tensor.copy_from(values);
    Ok(tensor)
}

/// Spearman's rank correlation of two maps, in \[−1, 1\]: equal values share the mean of their ranks. NaN when a map is
/// constant.
///
/// # Panics
/// When the maps differ in length.
///
/// ```
/// use convnets::explain::rank_correlation;
/// assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[1.0, 20.0, 300.0]), 1.0);
/// assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
/// ```
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "maps of one size");
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let end = order[start..].iter().take_while(|&&i| values[i] == values[order[start]]).count() + start;
        order[start..end].iter().for_each(|&i| ranks[i] = (start + end - 1) as f64 / 2.0);
        start = end;
    }
    ranks
}

/// A ReLU whose backward lets a gradient pass where both the input and the gradient are positive: guided
/// backpropagation.
///
/// It works on tapes of `leaky_trace`, as [`gradient`] makes, whose gradients of intermediate tensors are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuidedRelu;
/// A ReLU whose backward is a ReLU of the gradient: the "deconvolutional network" of Zeiler & Fergus. As [`GuidedRelu`]
/// otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeconvRelu;

macro_rules! relu {
    ($($name:ident: $sees_input:literal;)*) => { $(
        impl ZeroSizedModule for $name {}
        impl NonMutableModule for $name {}
        impl Planned for $name {
            const PLAN: Plan = Plan::Pointwise;
        }
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for $name {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, mut tape) = x.split_tape();
                // A tensor of its own: the gradient that comes down is this one's.
                let y = kernels::try_activate(x.clone(), kernels::Relu)?.try_mul(E::one())?;
                let output = y.clone();
                tape.add_backward_op(move |gradients: &mut Gradients<E, D>| {
                    gradients.try_alloc_for(&output)?;
                    let mut passed = gradients.get(&output);
                    let (slopes, inputs) = (passed.as_vec(), x.as_vec());
                    let allowed = |(slope, input): (&E, &E)| {
                        let passes = *slope > E::zero() && (!$sees_input || *input > E::zero());
                        if passes { *slope } else { E::zero() }
                    };
                    let values: Vec<E> = slopes.iter().zip(&inputs).map(allowed).collect();
                    passed = passed.try_mul(E::one())?; // an id of its own
                    passed.copy_from(&values);
                    // Adds `passed` to the gradient of x, on any device: it is the derivative of their inner product.
                    let so_far = std::mem::replace(gradients, Gradients::leaky());
                    *gradients = x.traced(so_far).try_mul(passed)?.try_sum::<Rank0, _>()?.try_backward()?;
                    Ok(())
                });
                Ok(dfdx::prelude::PutTape::put_tape(y, tape))
            }
        }
    )* };
}
relu! {
    GuidedRelu: true;
    DeconvRelu: false;
}
