//! Rules that see a tensor as a matrix: the first axis against all others.
//!
//! | rule | update | paper |
//! |---|---|---|
//! | [`Adafactor`] | the second moment is the outer product of its row and column means | Shazeer & Stern 2018, 1804.04235 |
//! | [`Muon`] | the momentum with all its singular values set to about 1 | Jordan et al. 2024 |
//! | [`Shampoo`] | $L \mathrel{+}= GG^\top$, $R \mathrel{+}= G^\top G$, $W \mathrel{-}= \eta L^{-1/4}GR^{-1/4}$ | Gupta, Koren & Singer 2018, 1802.09568 |
//! | [`SparseAdam`] | Adam on the rows that have a gradient | PyTorch |
//!
//! Each runs one tensor on one thread, several tensors in parallel. Time of one step for an (n, m) tensor: Adafactor and
//! SparseAdam O(nm), Muon O(nm min(n, m)), Shampoo O(n³ + m³).
//!
//! **Golden**: PyTorch, 12 steps on a matrix: Adafactor and SparseAdam to 1e-9; Muon to 2e-2, for PyTorch iterates in
//! bfloat16 and we in the dtype of the model. Shampoo has none; its test is that a rotation of the problem rotates the
//! trajectory.
use super::{Code, WeightDecay, adaptive::divide, rule};
use kernels::Real;
use kernels::update::{Cut, Element, Run, squares};
use layers::StepError;
use layers::params::Parameter;
use layers::rule::{At, SlotSpec};
use nalgebra::DMatrix;

/// √Σ x².
fn norm<E: Real>(x: &[E]) -> f64 {
    squares(&[x])[0].sqrt()
}

rule! {
    /// Hyperparameters of [`Adafactor`]; the defaults are PyTorch's.
    AdafactorConfig,
    /// Adafactor, in the form of PyTorch; see the [table](crate::optimizers).
    ///
    /// For an (n, m) matrix it remembers n + m numbers where Adam remembers 2nm; vectors keep a full second moment. With
    /// more than two axes, the last two are the matrix. The step is relative: $\eta_t$ is $\min(\eta, 1/\sqrt t)$ times the
    /// root mean square of the weights, at least [`smallest_scale`](AdafactorConfig::smallest_scale).
    Adafactor, "adafactor", Decoupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.01, rate;
        /// $c$: second moments are averaged with share $t^c$.
        decay_power: -0.8, negative;
        /// Smallest root mean square of the weights that counts.
        smallest_scale: 1e-3, positive;
        /// $d$: the root mean square of the direction is clipped to this.
        clip: 1.0, positive;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        ["rows", "columns", "square"].map(SlotSpec::zeros).to_vec()
    }
    fn slot_shape(&self, slot: usize, shape: &[usize]) -> Vec<usize> {
        let n = shape.len();
        match slot {
            0 if n > 1 => shape[..n - 1].to_vec(),
            1 if n > 1 => [&shape[..n - 2], &shape[n - 1..]].concat(),
            2 if n <= 1 => shape.to_vec(),
            _ => vec![0],
        }
    }
    fn cut(&self) -> Cut {
        Cut::Whole
    }
    fn update<E: Real>(&self, at: &At<'_>, mut run: Run<'_, E>) {
        let count = run.weights.len() as f64;
        if run.weights.is_empty() {
            return;
        }
        let t = at.step as f64;
        let scale = (norm(run.weights) / count.sqrt()).max(self.smallest_scale);
        let rate = at.learning_rate.min(1.0 / t.sqrt()) * scale;
        let share = E::of(t.powf(self.decay_power));
        // Becomes the direction, in place.
        let mut direction = run.prepared();
        let [rows, columns, square, ..] = run.slots;
        let toward = |mean: &mut E, value: E| *mean = share.mul_add(value - *mean, *mean);
        let smallest = E::epsilon();
        if let [.., n, m] = *run.dims.sizes() {
            let moments = rows.chunks_mut(n).zip(columns.chunks_mut(m));
            for (matrix, (rows, columns)) in direction.chunks_mut(n * m).zip(moments) {
                let lines: Vec<&[E]> = matrix.chunks(m).collect();
                for (mean, square) in rows.iter_mut().zip(squares(&lines)) {
                    toward(mean, E::of(square / m as f64));
                }
                let mut sums = vec![E::zero(); m];
                lines.iter().for_each(|line| each(&mut sums, line, AddSquare));
                for (mean, sum) in columns.iter_mut().zip(sums) {
                    toward(mean, sum / E::of(n as f64));
                }
                let mean = rows.iter().copied().sum::<E>() / E::of(n as f64);
                let mean = if mean > smallest { mean } else { smallest };
                for (line, &row) in matrix.chunks_mut(m).zip(&*rows) {
                    each(line, columns, Factored { row, mean, smallest });
                }
            }
        } else {
            for (g, v) in direction.iter_mut().zip(square) {
                toward(v, *g * *g);
                *g = inverse_root(*v, smallest) * *g;
            }
        }
        let excess = (norm(&direction) / (count.sqrt() * self.clip)).max(1.0);
        each(run.weights, &direction, Descend(E::of(rate / excess)));
    }
}

/// One vectorised loop over two slices.
fn each<E: Real>(to: &mut [E], from: &[E], element: impl Element<E, 0>) {
    let (dims, prepare, slots) = Default::default();
    Run { tensor: 0, dims, weights: to, gradient: from, slots, prepare }.each(element)
}

/// s += g².
#[derive(Clone, Copy)]
struct AddSquare;
impl<E: Real> Element<E, 0> for AddSquare {
    #[inline(always)]
    fn apply(self, sum: E, g: E, slots: [E; 0]) -> (E, [E; 0]) {
        (g.mul_add(g, sum), slots)
    }
}

/// A gradient over the root of its second moment, which its row and its column share.
#[derive(Clone, Copy)]
struct Factored<E> {
    row: E,
    mean: E,
    smallest: E,
}
impl<E: Real> Element<E, 0> for Factored<E> {
    #[inline(always)]
    fn apply(self, g: E, column: E, slots: [E; 0]) -> (E, [E; 0]) {
        (inverse_root(self.row * column / self.mean, self.smallest) * g, slots)
    }
}

/// w −= η d.
#[derive(Clone, Copy)]
struct Descend<E>(E);
impl<E: Real> Element<E, 0> for Descend<E> {
    #[inline(always)]
    fn apply(self, w: E, d: E, slots: [E; 0]) -> (E, [E; 0]) {
        (d.mul_add(-self.0, w), slots)
    }
}

/// 1 / √max(x, ε²).
#[inline(always)]
fn inverse_root<E: Real>(x: E, epsilon: E) -> E {
    let x = if x > epsilon * epsilon { x } else { epsilon * epsilon };
    E::ONE / x.sqrt()
}

/// How [`Muon`] scales its learning rate to the (n, m) shape of a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuonScale {
    /// $\sqrt{\max(1, n/m)}$, the author's.
    #[default]
    Original,
    /// $0.2\sqrt{\max(n, m)}$: steps of the root mean square of AdamW's (Liu et al. 2025, 2502.16982).
    MatchRms,
}
impl Code for MuonScale {
    fn code(self) -> f64 {
        (self == Self::MatchRms).code()
    }
}

rule! {
    /// Hyperparameters of [`Muon`]; the defaults are PyTorch's.
    MuonConfig,
    /// Muon; see the [table](crate::optimizers).
    ///
    /// For weight matrices of hidden layers; give vectors, embeddings and the last layer to
    /// [`AdamW`](super::AdamW). A tensor of one axis is refused.
    Muon, "muon", Decoupled(0.1),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\mu$.
        momentum: 0.95, coefficient;
        /// $\epsilon$: a smaller norm of the momentum counts as this.
        epsilon: 1e-7, positive;
    }
    {
        /// Whether the direction is the gradient moved to the momentum (Nesterov) and not the momentum.
        is_nesterov: bool = true;
        /// Scale of the learning rate.
        scale: MuonScale = MuonScale::Original;
    }
    fn check_parameter(&self, parameter: &Parameter) -> Result<(), StepError> {
        if parameter.ndim() > 1 {
            return Ok(());
        }
        Err(StepError::ParameterShape {
            rule: "muon",
            needs: "tensors of two or more axes",
            parameter: parameter.name.clone(),
            shape: parameter.shape.clone(),
        })
    }
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("mean")]
    }
    fn cut(&self) -> Cut {
        Cut::Whole
    }
    fn update<E: Real>(&self, at: &At<'_>, mut run: Run<'_, E>) {
        let [n, m] = run.dims.rows();
        if n * m == 0 {
            return;
        }
        let gradient = run.prepared();
        let (momentum, share) = (E::of(self.momentum), E::of(1.0 - self.momentum));
        let [mean, ..] = run.slots;
        let mut direction = Vec::with_capacity(n * m);
        for (m, &g) in mean.iter_mut().zip(&gradient) {
            *m = share.mul_add(g - *m, *m);
            direction.push(if self.is_nesterov { momentum.mul_add(*m - g, g) } else { *m }.as_f64());
        }
        let direction = orthogonalise(DMatrix::from_row_slice(n, m, &direction), self.epsilon);
        let (rows, columns) = (n as f64, m as f64);
        let scale = match self.scale {
            MuonScale::Original => (rows / columns).max(1.0).sqrt(),
            MuonScale::MatchRms => 0.2 * rows.max(columns).sqrt(),
        };
        for (i, w) in run.weights.iter_mut().enumerate() {
            *w -= E::of(at.learning_rate * scale * direction[(i / m, i % m)]);
        }
    }
}

/// A matrix with the singular vectors of `x` and singular values between about 0.7 and 1.2: five steps of the
/// Newton–Schulz iteration $X \leftarrow aX + (bA + cA^2)X$, $A = XX^\top$, with $(a, b, c)$ = (3.4445, −4.775, 2.0315),
/// from $x/\max(|x|, \epsilon)$.
///
/// ```
/// use nalgebra::{DMatrix, dmatrix};
/// let x: DMatrix<f64> = dmatrix![3.0, 0.0; 0.0, 1.0; 0.0, 0.0];
/// let y = optim::optimizers::orthogonalise(x, 1e-7);
/// assert!(y[(0, 1)].abs() < 1e-12 && (y[(0, 0)] - 1.0).abs() < 0.35 && (y[(1, 1)] - 1.0).abs() < 0.35);
/// ```
pub fn orthogonalise(x: DMatrix<f64>, epsilon: f64) -> DMatrix<f64> {
    const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
    const STEPS: usize = 5;
    let is_tall = x.nrows() > x.ncols();
    let mut x = if is_tall { x.transpose() } else { x };
    x /= x.norm().max(epsilon);
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..STEPS {
        let gram = &x * x.transpose();
        let polynomial = &gram * b + &gram * &gram * c;
        x = &x * a + polynomial * &x;
    }
    if is_tall { x.transpose() } else { x }
}

rule! {
    /// Hyperparameters of [`Shampoo`].
    ShampooConfig,
    /// Shampoo; see the [table](crate::optimizers). A vector is a matrix of one column.
    ///
    /// **Deviation**: roots of the preconditioners are taken in every step, by the eigenvalue decomposition in f64; large
    /// models take them every few hundred steps.
    Shampoo, "shampoo", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.1, rate;
        /// $\epsilon$: both preconditioners start at $\epsilon I$.
        epsilon: 1e-4, positive;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        ["left", "right"].map(SlotSpec::zeros).to_vec()
    }
    fn slot_shape(&self, slot: usize, shape: &[usize]) -> Vec<usize> {
        let rows = shape.first().copied().unwrap_or(1);
        let columns = shape.iter().skip(1).product();
        let n = if slot == 0 { rows } else { columns };
        vec![n, n]
    }
    fn cut(&self) -> Cut {
        Cut::Whole
    }
    fn update<E: Real>(&self, at: &At<'_>, mut run: Run<'_, E>) {
        let [n, m] = run.dims.rows();
        if n * m == 0 {
            return;
        }
        let gradient: Vec<f64> = run.prepared().into_iter().map(E::as_f64).collect();
        let gradient = DMatrix::from_row_slice(n, m, &gradient);
        let [left, right, ..] = run.slots;
        let add = |sum: &mut [E], product: &DMatrix<f64>| {
            // Symmetric, so its order in memory does not matter.
            sum.iter_mut().zip(product.iter()).for_each(|(sum, &x)| *sum += E::of(x));
        };
        add(left, &(&gradient * gradient.transpose()));
        add(right, &(gradient.transpose() * &gradient));
        let root = |sum: &[E], n: usize| {
            let sum = DMatrix::from_iterator(n, n, sum.iter().map(|x| x.as_f64()));
            let mut eigen = sum.symmetric_eigen();
            // Rounding may leave an eigenvalue of 0 slightly negative.
            eigen.eigenvalues.apply(|value| *value = (value.max(0.0) + self.epsilon).powf(-0.25));
            eigen.recompose()
        };
        let direction = root(left, n) * gradient * root(right, m);
        for (i, w) in run.weights.iter_mut().enumerate() {
            *w -= E::of(at.learning_rate * direction[(i / m, i % m)]);
        }
    }
}

rule! {
    /// Hyperparameters of [`SparseAdam`]; Adam's.
    SparseAdamConfig,
    /// Adam for embeddings: a row whose gradient is all zeros keeps its weights and moments; see the [table](crate::optimizers).
    ///
    /// Bias correction uses the number of all steps. $\epsilon$ stands beside the root before correction, as in PyTorch.
    SparseAdam, "sparse_adam", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$.
        epsilon: 1e-8, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("mean"), SlotSpec::zeros("square")]
    }
    fn cut(&self) -> Cut {
        Cut::Whole
    }
    fn update<E: Real>(&self, at: &At<'_>, mut run: Run<'_, E>) {
        let columns = run.dims.rows()[1].max(1);
        let is_seen: Vec<bool> =
            run.gradient.chunks(columns).map(|row| row.iter().any(|&g| g != E::zero())).collect();
        let gradient = run.prepared();
        let t = at.step as f64;
        let rate = at.learning_rate * (1.0 - self.beta2.powf(t)).sqrt() / (1.0 - self.beta1.powf(t));
        let (rate, epsilon) = (E::of(rate), E::of(self.epsilon));
        let (share1, share2) = (E::of(1.0 - self.beta1), E::of(1.0 - self.beta2));
        let [mean, square, ..] = run.slots;
        for (i, w) in run.weights.iter_mut().enumerate().filter(|(i, _)| is_seen[i / columns]) {
            let g = gradient[i];
            mean[i] += share1 * (g - mean[i]);
            square[i] += share2 * (g * g - square[i]);
            *w -= rate * divide(mean[i], square[i].sqrt() + epsilon);
        }
    }
}
