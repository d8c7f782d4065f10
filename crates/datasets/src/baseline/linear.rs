//! Linear opponents: logistic regression and ridge regression.
use crate::error::DataError;
use crate::features::{Features, Standardiser, check_columns};

/// Multinomial logistic regression with a quadratic penalty, on standardised columns.
///
/// $$ \min_{W, b} \; \tfrac12 \lVert W \rVert^2 + C \sum_i -\log \mathrm{softmax}(W x_i + b)_{y_i} $$
///
/// The columns are scaled by [`Standardiser`] of the training rows; the bias is not penalised. So is scikit-learn's
/// `make_pipeline(StandardScaler(), LogisticRegression(C))`. The minimum (the function is convex) is found by L-BFGS
/// (Nocedal & Wright 2006, Numerical Optimization, algorithm 7.5) with ten pairs and backtracking, until the largest
/// derivative is below 10⁻⁴ · C or after 300 steps. Complexity: n · F · K a step.
#[derive(Clone, Debug)]
pub struct LogisticRegression {
    scale: Standardiser,
    classes: usize,
    weights: Vec<f64>, // (K, F + 1), the bias last
}

impl LogisticRegression {
    /// Fits `classes` classes to rows with the given labels; `c` is the inverse strength of the penalty.
    ///
    /// # Errors
    /// [`DataError::NoRows`], [`DataError::Targets`], [`DataError::Label`], [`DataError::Penalty`] unless `c` is
    /// positive and finite.
    pub fn fit(train: &Features, labels: &[usize], classes: usize, c: f64) -> Result<Self, DataError> {
        check_targets(train, labels.len())?;
        check_penalty(c)?;
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            return Err(DataError::Label { row, label: labels[row], classes });
        }
        let scale = Standardiser::fit(train)?;
        let x = scale.transform(train)?;
        let problem = Problem { x: &x, labels, classes, c };
        let weights =
            minimise(vec![0.0; classes * (x.num_columns() + 1)], 1e-4 * c.max(1e-3), |w| problem.loss(w));
        Ok(LogisticRegression { scale, classes, weights })
    }

    /// The class of each row: the largest of the K sums, the smaller label of two that are equal.
    ///
    /// # Errors
    /// [`DataError::Columns`].
    pub fn predict(&self, features: &Features) -> Result<Vec<usize>, DataError> {
        let x = self.scale.transform(features)?;
        let class = |row: &[f64]| {
            let sums = logits(&self.weights, row, self.classes);
            (0..self.classes).rev().max_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0)
        };
        Ok(x.iter().map(class).collect())
    }

    /// The share of rows that get their label, in \[0, 1\].
    ///
    /// # Errors
    /// [`DataError::Columns`], [`DataError::Targets`], [`DataError::NoRows`].
    pub fn accuracy(&self, features: &Features, labels: &[usize]) -> Result<f64, DataError> {
        check_targets(features, labels.len())?;
        let right = self.predict(features)?.iter().zip(labels).filter(|(a, b)| a == b).count();
        Ok(right as f64 / labels.len() as f64)
    }
}

/// W x + b of one row.
fn logits(weights: &[f64], row: &[f64], classes: usize) -> Vec<f64> {
    let width = row.len() + 1;
    (0..classes)
        .map(|k| {
            let line = &weights[k * width..(k + 1) * width];
            dot(&line[..row.len()], row) + line[row.len()]
        })
        .collect()
}

/// A sum in eight lanes, so that the loop fills vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let ((a8, a1), (b8, b1)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a8.iter().zip(b8) {
        lanes.iter_mut().zip(x.iter().zip(y)).for_each(|(lane, (x, y))| *lane += x * y);
    }
    lanes.iter().sum::<f64>() + a1.iter().zip(b1).map(|(x, y)| x * y).sum::<f64>()
}

struct Problem<'a> {
    x: &'a Features,
    labels: &'a [usize],
    classes: usize,
    c: f64,
}

impl Problem<'_> {
    /// The penalised loss and its gradient.
    fn loss(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let width = self.x.num_columns() + 1;
        let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len()]);
        for (row, &label) in self.x.iter().zip(self.labels) {
            let sums = logits(weights, row, self.classes);
            let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let normaliser = sums.iter().map(|sum| (sum - largest).exp()).sum::<f64>().ln() + largest;
            loss += normaliser - sums[label];
            for (k, sum) in sums.into_iter().enumerate() {
                let error = self.c * ((sum - normaliser).exp() - f64::from(u8::from(k == label)));
                let line = &mut gradient[k * width..(k + 1) * width];
                line.iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
                line[width - 1] += error;
            }
        }
        let mut penalty = 0.0;
        for (line, g) in weights.chunks(width).zip(gradient.chunks_mut(width)) {
            penalty += 0.5 * dot(&line[..width - 1], &line[..width - 1]);
            g.iter_mut().zip(&line[..width - 1]).for_each(|(g, w)| *g += w);
        }
        (self.c * loss + penalty, gradient)
    }
}

/// A minimum of a smooth convex function, from `start`, until no derivative is larger than `tolerance`.
fn minimise(start: Vec<f64>, tolerance: f64, f: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    const MEMORY: usize = 10;
    const STEPS: usize = 300;
    let mut x = start;
    let (mut value, mut gradient) = f(&x);
    let mut pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new(); // step, change of gradient, their product
    for _ in 0..STEPS {
        if gradient.iter().all(|g| g.abs() <= tolerance) {
            break;
        }
        let mut direction = gradient.clone();
        let mut alphas = Vec::with_capacity(pairs.len());
        for (s, y, product) in pairs.iter().rev() {
            let alpha = dot(s, &direction) / product;
            direction.iter_mut().zip(y).for_each(|(d, y)| *d -= alpha * y);
            alphas.push(alpha);
        }
        let scale = match pairs.last() {
            Some((_, y, product)) => product / dot(y, y),
            None => 1.0 / dot(&gradient, &gradient).sqrt(),
        };
        direction.iter_mut().for_each(|d| *d *= scale);
        for ((s, y, product), alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = dot(y, &direction) / product;
            direction.iter_mut().zip(s).for_each(|(d, s)| *d += (alpha - beta) * s);
        }
        let slope = -dot(&gradient, &direction); // the step goes along −direction
        let mut length = 1.0;
        let accepted = loop {
            let next: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x - length * d).collect();
            let (next_value, next_gradient) = f(&next);
            if next_value <= value + 1e-4 * length * slope {
                break Some((next, next_value, next_gradient));
            }
            length *= 0.5;
            if length < 1e-10 {
                break None; // rounding hides any further descent
            }
        };
        let Some((next, next_value, next_gradient)) = accepted else { break };
        let step: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let product = dot(&step, &change);
        if product > 1e-12 * dot(&change, &change) {
            pairs.push((step, change, product));
            if pairs.len() > MEMORY {
                pairs.remove(0);
            }
        }
        (x, value, gradient) = (next, next_value, next_gradient);
    }
    x
}

/// Ridge regression: $\min_{w, b} \sum_i (y_i - w \cdot x_i - b)^2 + \alpha \lVert w \rVert^2$, in closed form.
///
/// The bias is not penalised: columns and targets are centred first. Complexity: n F² + F³.
#[derive(Clone, Debug, PartialEq)]
pub struct Ridge {
    weights: Vec<f64>,
    bias: f64,
    /// The penalty α that was used.
    pub alpha: f64,
}

impl Ridge {
    /// Fits with a given penalty.
    ///
    /// # Errors
    /// [`DataError::NoRows`], [`DataError::Targets`], [`DataError::Penalty`] unless `alpha` is positive and finite.
    pub fn fit(train: &Features, targets: &[f64], alpha: f64) -> Result<Self, DataError> {
        check_penalty(alpha)?;
        let centred = Centred::new(train, targets)?;
        Ok(centred.solve(&centred.factor(alpha), alpha))
    }

    /// Fits with the penalty of `alphas` that has the smallest mean square error when each training row is predicted
    /// from all others (Golub, Heath & Wahba 1979), the first of several; so is scikit-learn's `RidgeCV`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); [`DataError::Penalty`] also when there are none.
    pub fn fit_best(train: &Features, targets: &[f64], alphas: &[f64]) -> Result<Self, DataError> {
        let centred = Centred::new(train, targets)?;
        let mut best: Option<(f64, Ridge)> = None;
        for &alpha in alphas {
            check_penalty(alpha)?;
            let factor = centred.factor(alpha);
            let ridge = centred.solve(&factor, alpha);
            let error = centred.leave_one_out(&factor, &ridge);
            if best.as_ref().is_none_or(|(smallest, _)| error < *smallest) {
                best = Some((error, ridge));
            }
        }
        best.map(|(_, ridge)| ridge).ok_or(DataError::Penalty { value: f64::NAN })
    }

    /// The target of each row.
    ///
    /// # Errors
    /// [`DataError::Columns`].
    pub fn predict(&self, features: &Features) -> Result<Vec<f64>, DataError> {
        check_columns(self.weights.len(), features)?;
        Ok(features.iter().map(|row| dot(row, &self.weights) + self.bias).collect())
    }

    /// The root mean square error, in the unit of the targets.
    ///
    /// # Errors
    /// [`DataError::Columns`], [`DataError::Targets`], [`DataError::NoRows`].
    pub fn rmse(&self, features: &Features, targets: &[f64]) -> Result<f64, DataError> {
        check_targets(features, targets.len())?;
        let square = |(p, y): (f64, &f64)| (p - y) * (p - y);
        let sum: f64 = self.predict(features)?.into_iter().zip(targets).map(square).sum();
        Ok((sum / targets.len() as f64).sqrt())
    }
}

/// Columns and targets with their means taken away.
struct Centred {
    x: Vec<Vec<f64>>,
    y: Vec<f64>,
    means: Vec<f64>,
    mean: f64,
    gram: Vec<Vec<f64>>, // XᵀX
}

impl Centred {
    fn new(train: &Features, targets: &[f64]) -> Result<Self, DataError> {
        check_targets(train, targets.len())?;
        let n = train.len() as f64;
        let mut means = vec![0.0; train.num_columns()];
        train.iter().for_each(|row| means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / n));
        let mean = targets.iter().sum::<f64>() / n;
        let x: Vec<Vec<f64>> =
            train.iter().map(|row| row.iter().zip(&means).map(|(x, mean)| x - mean).collect()).collect();
        let mut gram = vec![vec![0.0; means.len()]; means.len()];
        for row in &x {
            for (i, line) in gram.iter_mut().enumerate().filter(|&(i, _)| row[i] != 0.0) {
                line[..=i].iter_mut().zip(row).for_each(|(g, x)| *g += row[i] * x);
            }
        }
        Ok(Centred { x, y: targets.iter().map(|y| y - mean).collect(), means, mean, gram })
    }

    /// The lower triangle L of XᵀX + αI = LLᵀ (Cholesky).
    fn factor(&self, alpha: f64) -> Vec<Vec<f64>> {
        let mut factor = self.gram.clone();
        for i in 0..factor.len() {
            let (above, rest) = factor.split_at_mut(i);
            let line = &mut rest[0];
            for (j, other) in above.iter().enumerate() {
                line[j] = (line[j] - dot(&line[..j], &other[..j])) / other[j];
            }
            line[i] = (line[i] + alpha - dot(&line[..i], &line[..i])).max(f64::MIN_POSITIVE).sqrt();
        }
        factor
    }

    fn solve(&self, factor: &[Vec<f64>], alpha: f64) -> Ridge {
        let mut right = vec![0.0; self.means.len()];
        for (row, y) in self.x.iter().zip(&self.y) {
            right.iter_mut().zip(row).for_each(|(r, x)| *r += x * y);
        }
        let mut weights = forward(factor, &right);
        for i in (0..weights.len()).rev() {
            let below: f64 = (i + 1..weights.len()).map(|j| factor[j][i] * weights[j]).sum();
            weights[i] = (weights[i] - below) / factor[i][i];
        }
        Ridge { bias: self.mean - dot(&weights, &self.means), weights, alpha }
    }

    /// Mean square error of each row predicted from the others: the residual over 1 minus the row's leverage.
    fn leave_one_out(&self, factor: &[Vec<f64>], ridge: &Ridge) -> f64 {
        let n = self.x.len() as f64;
        let error = |(row, y): (&Vec<f64>, &f64)| {
            let half = forward(factor, row);
            let leverage = 1.0 / n + dot(&half, &half); // the mean is fitted too
            ((y - dot(row, &ridge.weights)) / (1.0 - leverage)).powi(2)
        };
        self.x.iter().zip(&self.y).map(error).sum::<f64>() / n
    }
}

/// The solution of L z = `right`.
fn forward(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut z = Vec::with_capacity(right.len());
    for (i, line) in factor.iter().enumerate() {
        let known = dot(&line[..i], &z);
        z.push((right[i] - known) / line[i]);
    }
    z
}

fn check_targets(features: &Features, targets: usize) -> Result<(), DataError> {
    match features.len() {
        rows if rows != targets => Err(DataError::Targets { rows, targets }),
        0 => Err(DataError::NoRows),
        _ => Ok(()),
    }
}

fn check_penalty(value: f64) -> Result<(), DataError> {
    if value > 0.0 && value.is_finite() { Ok(()) } else { Err(DataError::Penalty { value }) }
}

/// Votes of the `k` nearest training rows (Euclid on the columns as they are), for tables of numbers.
///
/// Of two rows at the same distance the earlier is nearer; of two classes with as many votes the smaller label wins.
/// Complexity: n F for each prediction.
#[derive(Clone, Debug)]
pub struct NearestRows {
    train: Features,
    labels: Vec<usize>,
    classes: usize,
    k: usize,
}

impl NearestRows {
    /// Keeps rows and labels; `k` neighbours will vote.
    ///
    /// # Errors
    /// [`DataError::NoRows`], [`DataError::Targets`], [`DataError::Label`], [`DataError::Neighbours`] unless `k` lies in
    /// 1..=n.
    pub fn fit(train: &Features, labels: &[usize], classes: usize, k: usize) -> Result<Self, DataError> {
        check_targets(train, labels.len())?;
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            return Err(DataError::Label { row, label: labels[row], classes });
        }
        if !(1..=train.len()).contains(&k) {
            return Err(DataError::Neighbours { k, rows: train.len() });
        }
        Ok(NearestRows { train: train.clone(), labels: labels.to_vec(), classes, k })
    }

    /// The class of each row.
    ///
    /// # Errors
    /// [`DataError::Columns`].
    pub fn predict(&self, features: &Features) -> Result<Vec<usize>, DataError> {
        check_columns(self.train.num_columns(), features)?;
        let class = |row: &[f64]| {
            let distance = |(i, other): (usize, &[f64])| {
                (row.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>(), i)
            };
            let mut all: Vec<(f64, usize)> = self.train.iter().enumerate().map(distance).collect();
            all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut votes = vec![0usize; self.classes];
            all[..self.k].iter().for_each(|&(_, i)| votes[self.labels[i]] += 1);
            super::first_largest(&votes)
        };
        Ok(features.iter().map(class).collect())
    }

    /// How many rows get their label.
    ///
    /// # Errors
    /// [`DataError::Columns`], [`DataError::Targets`].
    pub fn num_correct(&self, features: &Features, labels: &[usize]) -> Result<usize, DataError> {
        check_targets(features, labels.len())?;
        Ok(self.predict(features)?.iter().zip(labels).filter(|(a, b)| a == b).count())
    }
}
