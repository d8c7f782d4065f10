//! k-means (Lloyd 1982) from the starts of k-means++ (Arthur & Vassilvitskii 2007).
//!
//! Two steps in turn, each of which can only lower $\sum_i \lVert x_i - c_{z_i}\rVert^2$: give every point to its nearest
//! centre, move every centre to the mean of its points. A centre without points takes the point that lies farthest from
//! its own centre. The end depends on the start.
//!
//! **Property**: the cost never rises; the mean of each cluster is its centre.
use super::{check_count, check_inputs, check_width};
use crate::Error;
use nalgebra::DMatrix;
use rand::Rng;

/// How to cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KMeans {
    /// Clusters, at least 1 and at most the number of points.
    pub k: usize,
    /// Most passes. Default 300.
    pub max_passes: usize,
}

/// Clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeansFit {
    /// `(k, F)`.
    pub centres: DMatrix<f64>,
    /// Cluster of each point.
    pub clusters: Vec<usize>,
    /// Cost after each assignment.
    pub cost: Vec<f64>,
    /// Whether the last pass changed no cluster.
    pub converged: bool,
}

impl KMeans {
    /// At most 300 passes.
    pub fn new(k: usize) -> Self {
        Self { k, max_passes: 300 }
    }

    /// Clusters the rows of `x`, `(n, F)`.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a `k` of 0 or above n and for no passes, [`Error::FeatureNotFinite`].
    pub fn fit<R: Rng + ?Sized>(&self, x: &DMatrix<f64>, rng: &mut R) -> Result<KMeansFit, Error> {
        check_count("k", self.k)?;
        check_count("max_passes", self.max_passes)?;
        if self.k > x.nrows() {
            let rule = "at most the number of points";
            return Err(Error::InvalidHyper { name: "k", rule, value: self.k as f64 });
        }
        check_inputs(x)?;
        let mut centres = self.start(x, rng);
        let mut clusters = vec![usize::MAX; x.nrows()];
        let mut cost = Vec::new();
        let mut converged = false;
        while !converged && cost.len() < self.max_passes {
            let (nearest, mut distances): (Vec<usize>, Vec<f64>) = assign(x, &centres).into_iter().unzip();
            cost.push(distances.iter().sum());
            converged = nearest == clusters;
            clusters = nearest;
            for c in 0..self.k {
                let members: Vec<usize> = (0..x.nrows()).filter(|&i| clusters[i] == c).collect();
                let mean = if members.is_empty() {
                    let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
                    let farthest = (0..x.nrows()).max_by(by_distance).expect("n ≥ k ≥ 1 points");
                    distances[farthest] = 0.0;
                    x.row(farthest).into_owned()
                } else {
                    x.select_rows(&members).row_mean()
                };
                centres.set_row(c, &mean);
            }
        }
        Ok(KMeansFit { centres, clusters, cost, converged })
    }

    /// Points drawn with probability proportional to their squared distance from the centres so far.
    fn start<R: Rng + ?Sized>(&self, x: &DMatrix<f64>, rng: &mut R) -> DMatrix<f64> {
        let mut chosen = vec![rng.gen_range(0..x.nrows())];
        while chosen.len() < self.k {
            let distances: Vec<f64> =
                assign(x, &x.select_rows(&chosen)).into_iter().map(|(_, distance)| distance).collect();
            let total: f64 = distances.iter().sum();
            let mut left = rng.gen_range(0.0..1.0) * total;
            let hit = distances.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            // All points coincide with a centre: any other index will do.
            let other = || (0..x.nrows()).find(|i| !chosen.contains(i)).expect("k ≤ n");
            let next = hit.unwrap_or_else(other);
            chosen.push(next);
        }
        x.select_rows(&chosen)
    }
}

/// Nearest centre of each row and its squared distance; the first one in a tie.
fn assign(x: &DMatrix<f64>, centres: &DMatrix<f64>) -> Vec<(usize, f64)> {
    let (points, centres) = (x.transpose(), centres.transpose());
    let nearest = |i: usize| {
        let distance = |c: usize| points.column(i).metric_distance(&centres.column(c)).powi(2);
        let better = |best: (usize, f64), c: usize| {
            let d = distance(c);
            if d < best.1 { (c, d) } else { best }
        };
        (1..centres.ncols()).fold((0, distance(0)), better)
    };
    (0..points.ncols()).map(nearest).collect()
}

impl KMeansFit {
    /// Nearest centre of each row of `x`.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn assign(&self, x: &DMatrix<f64>) -> Result<Vec<usize>, Error> {
        check_width("features", x.ncols(), self.centres.ncols())?;
        Ok(assign(x, &self.centres).into_iter().map(|(cluster, _)| cluster).collect())
    }
}
