//! Support vector machines with a Gaussian kernel: opponents without layers.
//!
//! For two classes, labelled $y_i = \pm 1$, the machine is the only solution of
//!
//! $$ \max_\alpha\; \sum_i \alpha_i - \tfrac12 \sum_{i,j} \alpha_i \alpha_j\, y_i y_j\, K_{ij}, \qquad
//!    0 \le \alpha_i \le C, \quad \sum_i \alpha_i y_i = 0, \qquad K_{ij} = e^{-\gamma \lVert x_i - x_j \rVert^2}, $$
//!
//! and answers with the sign of $f(x) = \sum_i \alpha_i y_i K(x_i, x) + b$. Rows with $\alpha_i > 0$ are its support
//! vectors. For more classes each pair of them has a machine, every machine votes, and the class with the most votes is
//! the answer; of two with as many the smaller label.
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $C$ | `c` | what a row on the wrong side may weigh |
//! | $\gamma$ | `gamma` | how fast likeness falls with squared distance |
//! | $\alpha_i y_i$ | [`Machine::coefficients`] | weight of a support vector |
//! | $b$ | [`Machine::bias`] | offset |
//!
//! Sequential minimal optimisation: two $\alpha$ at a time, chosen by second-order information (Fan, Chen & Lin's working
//! set selection 2, which LIBSVM and scikit-learn have too), until the conditions of Karush, Kuhn and Tucker hold up to
//! [`SupportVectorConfig::tolerance`]. Nothing is drawn, so the same rows give the same bits.
//!
//! **Use it** on up to some thousand rows. **Not** for more: a pair's kernel matrix has as many entries as its rows
//! squared, 8 bytes each. **Scale the columns first** when their units differ.
//!
//! **Papers**: Boser, Guyon & Vapnik (1992), A training algorithm for optimal margin classifiers; Platt (1998),
//! Sequential minimal optimization; Fan, Chen & Lin (2005), Working set selection using second order information for
//! training support vector machines. **Deviations**: no shrinking, which changes the time alone.
//!
//! **Complexity**: $n^2 F$ for a pair of $n$ rows of $F$ numbers, then O(n) a step.
//!
//! # Examples
//! ```
//! use convnets::support_vectors::{SupportVectorConfig, SupportVectors};
//! use dfdx::prelude::*;
//! let dev = Cpu::default();
//! // No line parts these: 3 lies in the corners, 7 in the middle.
//! let corners = [-1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 0.0, 0.1, 0.1, 0.0];
//! let x = dev.tensor_from_vec(corners.to_vec(), (6_usize, 2_usize));
//! let fitted = SupportVectors::fit(SupportVectorConfig::default(), &x, &[3, 3, 3, 3, 7, 7])?;
//! let new = dev.tensor_from_vec(vec![0.9, 0.8, -0.1, 0.0], (2_usize, 2_usize));
//! assert_eq!(fitted.predict(&new)?, [3, 7]);
//! # Ok::<(), convnets::support_vectors::SupportVectorError>(())
//! ```
use dfdx::prelude::{Cpu, HasShape, Tensor, TensorFromVec};
use layers::params::DeviceError;

/// What is fitted: $C$, $\gamma$, and when to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupportVectorConfig {
    /// $C$, finite and above 0.
    pub c: f64,
    /// $\gamma$.
    pub gamma: Gamma,
    /// By how much the conditions of an optimum may be broken, finite and above 0.
    pub tolerance: f64,
    /// Steps that a pair of classes may take.
    pub max_steps: usize,
}

impl Default for SupportVectorConfig {
    /// $C$ = 1, [`Gamma::Scale`], 10⁻³: scikit-learn's.
    fn default() -> Self {
        Self { c: 1.0, gamma: Gamma::Scale, tolerance: 1e-3, max_steps: 10_000_000 }
    }
}

/// How fast likeness falls with squared distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gamma {
    /// One over columns times the variance of all training numbers; 1 when they are all equal.
    Scale,
    /// This, finite and above 0.
    Value(f64),
}

/// What keeps a machine from being fitted or asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SupportVectorError {
    /// Rows and labels do not pair.
    #[error("each row must have one label, found {rows} rows and {labels} labels; pair them first")]
    Labels {
        /// Rows.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// There are not two classes.
    #[error(
        "there must be rows of at least two classes, found {classes}; a machine tells one class from another"
    )]
    Classes {
        /// Classes with rows.
        classes: usize,
    },
    /// The rows have no columns.
    #[error("rows must have at least one column, found none; without numbers all rows are alike")]
    NoColumns,
    /// A number is NaN or infinite.
    #[error(
        "numbers must be finite, found {value} in row {row}, column {column}; leave the row out or fill it"
    )]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The number.
        value: f64,
    },
    /// A setting is out of range.
    #[error("{name} must be finite and above 0, got {value}; {remedy}")]
    Setting {
        /// `c`, `gamma` or `tolerance`.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What helps.
        remedy: &'static str,
    },
    /// Rows to be classified have another width than those of the fit.
    #[error("rows must have the {expected} columns of the fit, found {found}; prepare both in the same way")]
    Columns {
        /// Columns of the fit.
        expected: usize,
        /// Columns at hand.
        found: usize,
    },
    /// The optimum was not reached.
    #[error(
        "classes {} and {}: no optimum within {steps} steps; raise tolerance or max_steps, or lower c",
        classes[0], classes[1]
    )]
    Steps {
        /// The two labels.
        classes: [usize; 2],
        /// Steps allowed.
        steps: usize,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Rows of numbers, `(n, F)`.
type Rows = Tensor<(usize, usize), f64, Cpu>;

/// One machine for each pair of classes.
#[derive(Clone, Debug)]
pub struct SupportVectors {
    classes: Vec<usize>,
    gamma: f64,
    /// Training rows that some machine needs, `(S, F)`.
    vectors: Rows,
    machines: Vec<Machine>,
}

/// The machine that tells two classes apart.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The label that a positive value votes for, and the other, which is larger.
    pub classes: [usize; 2],
    /// Its support vectors: numbers of training rows, those of the first class first.
    pub rows: Vec<usize>,
    /// $\alpha_i y_i$ of each.
    pub coefficients: Vec<f64>,
    /// $b$.
    pub bias: f64,
    /// What the optimum is worth.
    pub objective: f64,
    /// Steps taken.
    pub steps: usize,
    /// Where its support vectors stand among those of all machines.
    places: Vec<usize>,
}

impl SupportVectors {
    /// Fits a machine to each pair of the classes that occur among `labels`, one for each row of `x`.
    ///
    /// # Errors
    /// [`SupportVectorError`].
    pub fn fit(config: SupportVectorConfig, x: &Rows, labels: &[usize]) -> Result<Self, SupportVectorError> {
        positive("c", config.c, "1 is the usual choice, 10 for data with little noise")?;
        positive("tolerance", config.tolerance, "0.001 is the usual choice")?;
        let (n, columns) = *x.shape();
        if n != labels.len() {
            return Err(SupportVectorError::Labels { rows: n, labels: labels.len() });
        }
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Err(SupportVectorError::Classes { classes: classes.len() });
        }
        let values = finite(x)?;
        let gamma = match config.gamma {
            Gamma::Scale => scale(&values, columns),
            Gamma::Value(gamma) => gamma,
        };
        positive("gamma", gamma, "scale the columns to a variance near 1")?;
        let mut machines = Vec::new();
        for (i, &first) in classes.iter().enumerate() {
            for &second in &classes[i + 1..] {
                let of = |class| (0..n).filter(move |&row| labels[row] == class);
                let rows: Vec<usize> = of(first).chain(of(second)).collect();
                let signs: Vec<f64> =
                    rows.iter().map(|&row| if labels[row] == first { 1.0 } else { -1.0 }).collect();
                let pair = gather(&values, columns, &rows)?;
                let mut kernel =
                    kernels::try_pairwise_squared_distances(pair).map_err(DeviceError::new)?.as_vec();
                kernel.iter_mut().for_each(|entry| *entry = (-gamma * *entry).exp());
                let found = solve(&kernel, &signs, &config)
                    .ok_or(SupportVectorError::Steps { classes: [first, second], steps: config.max_steps })?;
                let support: Vec<usize> = (0..rows.len()).filter(|&at| found.alphas[at] > 0.0).collect();
                machines.push(Machine {
                    classes: [first, second],
                    coefficients: support.iter().map(|&at| signs[at] * found.alphas[at]).collect(),
                    rows: support.into_iter().map(|at| rows[at]).collect(),
                    bias: found.bias,
                    objective: found.objective,
                    steps: found.steps,
                    places: Vec::new(),
                });
            }
        }
        let mut all: Vec<usize> = machines.iter().flat_map(|machine| machine.rows.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        for machine in &mut machines {
            machine.places =
                machine.rows.iter().map(|row| all.partition_point(|other| other < row)).collect();
        }
        Ok(Self { classes, gamma, vectors: gather(&values, columns, &all)?, machines })
    }

    /// The labels that occurred, rising.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// $\gamma$ as it was used.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// A machine for each pair of classes: first with second, first with third, …, second with third, ….
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// How many training rows some machine needs.
    pub fn num_vectors(&self) -> usize {
        self.vectors.shape().0
    }

    /// $f(x)$ of each row of `x`, one number for each of [`machines`](Self::machines).
    ///
    /// # Errors
    /// [`SupportVectorError::Columns`], [`SupportVectorError::NotFinite`], [`SupportVectorError::Device`].
    pub fn decisions(&self, x: &Rows) -> Result<Vec<Vec<f64>>, SupportVectorError> {
        /// Rows whose distances are held at once.
        const CHUNK: usize = 256;
        let ((n, found), (vectors, expected)) = (*x.shape(), *self.vectors.shape());
        if found != expected {
            return Err(SupportVectorError::Columns { expected, found });
        }
        let values = finite(x)?;
        let mut decisions = Vec::with_capacity(n);
        for start in (0..n).step_by(CHUNK) {
            let rows: Vec<usize> = (start..n.min(start + CHUNK)).collect();
            let chunk = gather(&values, expected, &rows)?;
            let distances = kernels::try_squared_distances(chunk, self.vectors.clone())
                .map_err(DeviceError::new)?
                .as_vec();
            decisions.extend(distances.chunks(vectors).map(|distances| {
                let likeness: Vec<f64> =
                    distances.iter().map(|distance| (-self.gamma * distance).exp()).collect();
                self.machines.iter().map(|machine| machine.decide(&likeness)).collect::<Vec<f64>>()
            }));
        }
        Ok(decisions)
    }

    /// The label of each row of `x`.
    ///
    /// # Errors
    /// As [`decisions`](Self::decisions).
    pub fn predict(&self, x: &Rows) -> Result<Vec<usize>, SupportVectorError> {
        let vote = |decisions: Vec<f64>| {
            let mut votes = vec![0_usize; self.classes.len()];
            for (machine, decision) in self.machines.iter().zip(decisions) {
                let label = machine.classes[usize::from(decision <= 0.0)];
                votes[self.classes.partition_point(|&class| class < label)] += 1;
            }
            let best = (0..votes.len()).fold(0, |best, at| if votes[at] > votes[best] { at } else { best });
            self.classes[best]
        };
        Ok(self.decisions(x)?.into_iter().map(vote).collect())
    }

    /// The share of the rows of `x` that get their label, in \[0, 1\]; NaN when there are none.
    ///
    /// # Errors
    /// As [`decisions`](Self::decisions), and [`SupportVectorError::Labels`].
    pub fn accuracy(&self, x: &Rows, labels: &[usize]) -> Result<f64, SupportVectorError> {
        let rows = x.shape().0;
        if rows != labels.len() {
            return Err(SupportVectorError::Labels { rows, labels: labels.len() });
        }
        let right = self.predict(x)?.iter().zip(labels).filter(|(a, b)| a == b).count();
        Ok(right as f64 / rows as f64)
    }
}

impl Machine {
    /// $f$ of a row from its likeness to the support vectors of all machines.
    fn decide(&self, likeness: &[f64]) -> f64 {
        let sum =
            self.places.iter().zip(&self.coefficients).map(|(&at, coefficient)| coefficient * likeness[at]);
        sum.sum::<f64>() + self.bias
    }
}

/// The optimum of one pair.
struct Optimum {
    alphas: Vec<f64>,
    bias: f64,
    objective: f64,
    steps: usize,
}

/// A direction without curvature is taken to have this much, as in LIBSVM: rows that are equal and labelled differently.
const LEAST_CURVATURE: f64 = 1e-12;

/// Climbs to the optimum, or gives up after the steps allowed.
///
/// `slopes` holds $y_t - \sum_j \alpha_j y_j K_{tj}$. To move $\alpha_i y_i$ up and $\alpha_j y_j$ down by the same amount
/// keeps their sum and gains as long as $i$ has the larger slope; there is nothing to gain when no pair that may move has.
// ANCHOR: minimal_optimisation
fn solve(kernel: &[f64], signs: &[f64], config: &SupportVectorConfig) -> Option<Optimum> {
    let (n, c) = (signs.len(), config.c);
    let (mut alphas, mut slopes) = (vec![0.0; n], signs.to_vec());
    for steps in 0..=config.max_steps {
        // How far αy may rise or fall.
        let room = |t: usize, rises: bool| if (signs[t] > 0.0) == rises { c - alphas[t] } else { alphas[t] };
        let highest =
            (0..n).filter(|&t| room(t, true) > 0.0).reduce(|a, b| if slopes[b] > slopes[a] { b } else { a });
        let falling = || (0..n).filter(|&t| room(t, false) > 0.0);
        let lowest = falling().reduce(|a, b| if slopes[b] < slopes[a] { b } else { a });
        let (i, lowest) = (highest?, lowest?);
        if slopes[i] - slopes[lowest] < config.tolerance {
            return Some(optimum(alphas, &slopes, signs, c, (slopes[i] + slopes[lowest]) / 2.0, steps));
        }
        if steps == config.max_steps {
            break;
        }
        let curvature =
            |j: usize| (kernel[i * n + i] + kernel[j * n + j] - 2.0 * kernel[i * n + j]).max(LEAST_CURVATURE);
        let gain = |j: usize| (slopes[i] - slopes[j]).powi(2) / curvature(j);
        let partners = falling().filter(|&j| slopes[j] < slopes[i]);
        let j = partners.map(|j| (gain(j), j)).reduce(|a, b| if b.0 > a.0 { b } else { a })?.1;
        let (up, down) = (room(i, true), room(j, false));
        let step = ((slopes[i] - slopes[j]) / curvature(j)).min(up).min(down);
        let moved = |t: usize, rises: bool, room: f64| match ((signs[t] > 0.0) == rises, step >= room) {
            (true, true) => c,
            (false, true) => 0.0,
            (true, false) => (alphas[t] + step).min(c),
            (false, false) => (alphas[t] - step).max(0.0),
        };
        (alphas[i], alphas[j]) = (moved(i, true, up), moved(j, false, down));
        let (towards, away) = (&kernel[i * n..(i + 1) * n], &kernel[j * n..(j + 1) * n]);
        slopes.iter_mut().zip(towards.iter().zip(away)).for_each(|(slope, (a, b))| *slope -= step * (a - b));
    }
    None
}
// ANCHOR_END: minimal_optimisation

/// The offset is the mean slope of the rows strictly between the bounds, for which $y f = 1$, or `middle` without any.
fn optimum(alphas: Vec<f64>, slopes: &[f64], signs: &[f64], c: f64, middle: f64, steps: usize) -> Optimum {
    let free: Vec<f64> =
        alphas.iter().zip(slopes).filter(|&(&a, _)| a > 0.0 && a < c).map(|(_, slope)| *slope).collect();
    let bias = if free.is_empty() { middle } else { free.iter().sum::<f64>() / free.len() as f64 };
    let worth =
        alphas.iter().zip(slopes.iter().zip(signs)).map(|(a, (slope, sign))| a * (1.0 + sign * slope));
    Optimum { objective: worth.sum::<f64>() / 2.0, alphas, bias, steps }
}

fn positive(name: &'static str, value: f64, remedy: &'static str) -> Result<(), SupportVectorError> {
    let holds = value > 0.0 && value.is_finite();
    if holds { Ok(()) } else { Err(SupportVectorError::Setting { name, value, remedy }) }
}

/// The numbers, row after row.
fn finite(x: &Rows) -> Result<Vec<f64>, SupportVectorError> {
    let (rows, columns) = *x.shape();
    if columns == 0 {
        return Err(SupportVectorError::NoColumns);
    }
    // dfdx copies no tensor without elements.
    let values = if rows > 0 { x.as_vec() } else { Vec::new() };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => {
            Err(SupportVectorError::NotFinite { row: at / columns, column: at % columns, value: values[at] })
        }
        None => Ok(values),
    }
}

/// [`Gamma::Scale`].
fn scale(values: &[f64], columns: usize) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    if variance == 0.0 { 1.0 } else { 1.0 / (columns as f64 * variance) }
}

fn gather(values: &[f64], columns: usize, rows: &[usize]) -> Result<Rows, SupportVectorError> {
    let some = rows.iter().flat_map(|row| &values[row * columns..(row + 1) * columns]).copied().collect();
    Ok(Cpu::default().try_tensor_from_vec(some, (rows.len(), columns)).map_err(DeviceError::new)?)
}
