//! Decision trees (Breiman et al. 1984): questions `x_j ≤ t` that halve the examples, and a mean at every leaf.
//!
//! A question is chosen to lower the sum of squared distances from the leaf means the most. With
//! [`one_hot`](super::one_hot) targets that sum is $n\sum_c p_c(1 - p_c)$, Gini's impurity: one criterion serves numbers
//! and classes. A threshold lies halfway between two neighbouring values. Ties go to the first feature and the lowest
//! threshold.
//!
//! Time of a fit: O(F n log n) per level of the tree. A tree without limit of depth repeats its examples: it has the
//! capacity of a list.
//!
//! **Property**: without a limit, distinct examples are repeated exactly; a deeper tree never has a larger training error.
use super::{Estimator, Predict, check, check_count, check_width};
use crate::Error;
use nalgebra::DMatrix;

/// Grows a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionTree {
    /// Most questions on the way to a leaf; 0 gives the mean.
    pub max_depth: usize,
    /// Fewest examples in a leaf, at least 1.
    pub min_leaf: usize,
}

impl DecisionTree {
    /// A tree of at most this depth.
    pub fn new(max_depth: usize) -> Self {
        Self { max_depth, min_leaf: 1 }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Leaf { mean: Vec<f64> },
    Question { feature: usize, threshold: f64, yes: Box<Node>, no: Box<Node> },
}

/// A grown tree.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionTreeFit {
    features: usize,
    outputs: usize,
    root: Node,
}

impl Node {
    fn leaves(&self) -> usize {
        match self {
            Self::Leaf { .. } => 1,
            Self::Question { yes, no, .. } => yes.leaves() + no.leaves(),
        }
    }
}

impl DecisionTreeFit {
    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.root.leaves()
    }
}

impl Estimator for DecisionTree {
    type Fitted = DecisionTreeFit;

    fn fit(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<DecisionTreeFit, Error> {
        check("DecisionTree::fit", x, y)?;
        check_count("min_leaf", self.min_leaf)?;
        let examples: Vec<usize> = (0..x.nrows()).collect();
        let root = self.grow(x, y, &examples, self.max_depth);
        Ok(DecisionTreeFit { features: x.ncols(), outputs: y.ncols(), root })
    }
}

/// Sums over some examples, from which their squared distance from the mean follows. Targets enter as distances from
/// `centre`, so that their squares do not cancel when their mean is large.
#[derive(Clone, Debug)]
struct Sums {
    centre: Vec<f64>,
    n: f64,
    sum: Vec<f64>,
    squares: f64,
}

impl Sums {
    fn new(centre: &[f64]) -> Self {
        Self { centre: centre.to_vec(), n: 0.0, sum: vec![0.0; centre.len()], squares: 0.0 }
    }

    fn add(&mut self, y: &DMatrix<f64>, example: usize, sign: f64) {
        self.n += sign;
        for (output, sum) in self.sum.iter_mut().enumerate() {
            let value = y[(example, output)] - self.centre[output];
            *sum += sign * value;
            self.squares += sign * value * value;
        }
    }

    /// $\sum_i\lVert y_i - \bar y\rVert^2$.
    fn spread(&self) -> f64 {
        self.squares - self.sum.iter().map(|sum| sum * sum).sum::<f64>() / self.n
    }
}

impl DecisionTree {
    fn grow(&self, x: &DMatrix<f64>, y: &DMatrix<f64>, examples: &[usize], depth: usize) -> Node {
        let question = if depth > 0 { self.question(x, y, examples) } else { None };
        let Some((feature, threshold)) = question else {
            return Node::Leaf { mean: mean(y, examples) };
        };
        let (yes, no): (Vec<_>, Vec<_>) = examples.iter().partition(|&&i| x[(i, feature)] <= threshold);
        let grow = |part: &[usize]| Box::new(self.grow(x, y, part, depth - 1));
        Node::Question { feature, threshold, yes: grow(&yes), no: grow(&no) }
    }

    // ANCHOR: question
    /// The question that lowers the spread of the targets the most, if there is one.
    fn question(&self, x: &DMatrix<f64>, y: &DMatrix<f64>, examples: &[usize]) -> Option<(usize, f64)> {
        let centre = mean(y, examples);
        let mut all = Sums::new(&centre);
        examples.iter().for_each(|&i| all.add(y, i, 1.0));
        // Splits that only rounding makes look better are none.
        let (mut best, mut found) = (all.spread() - 1e-12 * all.squares, None);
        for feature in 0..x.ncols() {
            let mut sorted = examples.to_vec();
            sorted.sort_by(|&a, &b| x[(a, feature)].total_cmp(&x[(b, feature)]));
            let (mut yes, mut no) = (Sums::new(&centre), all.clone());
            for pair in sorted.windows(2) {
                yes.add(y, pair[0], 1.0);
                no.add(y, pair[0], -1.0);
                let (low, high) = (x[(pair[0], feature)], x[(pair[1], feature)]);
                let is_allowed = low < high && yes.n.min(no.n) >= self.min_leaf as f64;
                let spread = yes.spread() + no.spread();
                if is_allowed && spread < best {
                    (best, found) = (spread, Some((feature, midpoint(low, high))));
                }
            }
        }
        found
    }
    // ANCHOR_END: question
}

/// Mean target of some examples.
fn mean(y: &DMatrix<f64>, examples: &[usize]) -> Vec<f64> {
    let mean = |output| examples.iter().map(|&i| y[(i, output)]).sum::<f64>() / examples.len() as f64;
    (0..y.ncols()).map(mean).collect()
}

/// A number with `low <= it < high`, even where the half of the sum rounds up to `high`.
fn midpoint(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    if middle < high { middle } else { low }
}

impl Predict for DecisionTreeFit {
    fn predict(&self, x: &DMatrix<f64>) -> Result<DMatrix<f64>, Error> {
        check_width("features", x.ncols(), self.features)?;
        let mut y = DMatrix::zeros(x.nrows(), self.outputs);
        for i in 0..x.nrows() {
            let mut node = &self.root;
            let mean = loop {
                match node {
                    Node::Leaf { mean } => break mean,
                    Node::Question { feature, threshold, yes, no } => {
                        node = if x[(i, *feature)] <= *threshold { yes } else { no };
                    }
                }
            };
            mean.iter().enumerate().for_each(|(output, value)| y[(i, output)] = *value);
        }
        Ok(y)
    }
}
