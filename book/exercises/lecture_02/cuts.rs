//! # How many cuts are there?
//!
//! *By hand, then in code.* Of the $2^n$ labellings of $n$ points a plane with a constant term makes only some. Count
//! them, for points of $d$ numbers in general position (no $d + 1$ of them on one plane): let $C(n, d)$ be the count,
//! add a point, and ask which of the old labellings can be continued in both ways. Those are the ones made by a plane
//! *through* the new point, and planes through a point are planes of one dimension less. For how many points is it
//! just half of all labellings?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Labellings of so many points in general position that a plane in this dimension makes.
    pub fn labellings(points: usize, dimension: usize) -> u64 {
        todo!("C(n + 1, d) from C(n, d) and C(n, d - 1)")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $C(n + 1, d) = C(n, d) + C(n, d - 1)$, with $C(1, d) = 2$, and $C(n, 0) = 2$: a plane of dimension 0 with a
    //! constant term says the same of all points. That adds up to $C(n, d) = 2\sum_{k=0}^{d} \binom{n-1}{k}$ (Cover
    //! 1965): all $2^n$ up to $n = d + 1$, the VC dimension, and half of them at $n = 2(d + 1)$. Beyond that the
    //! share falls to 0 quickly: a plane that fits many more labels than twice its weights has found something.
    //!
    //! The usual mistake is to stop the sum at $d - 1$. That counts planes through the origin, which have one weight
    //! less.

    // ANCHOR: solution
    /// Labellings of so many points in general position that a plane in this dimension makes.
    pub fn labellings(points: usize, dimension: usize) -> u64 {
        let mut binomial = 1;
        let mut sum = 0;
        for k in 0..=dimension.min(points - 1) {
            sum += binomial;
            binomial = binomial * (points - 1 - k) as u64 / (k as u64 + 1);
        }
        2 * sum
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{SVector, vector};
    use optim::perceptron::{MaxEpochs, Perceptron};

    /// Labellings that the perceptron learns.
    fn learnt<const D: usize>(points: &[SVector<f64, D>]) -> u64 {
        let is_learnt = |labels: &u32| {
            let labels: Vec<i8> =
                (0..points.len()).map(|i| if labels >> i & 1 == 1 { 1 } else { -1 }).collect();
            Perceptron::fit(points, &labels, MaxEpochs(10_000)).is_ok()
        };
        (0..1 << points.len()).filter(is_learnt).count() as u64
    }

    fn check(labellings: fn(usize, usize) -> u64) {
        let flat = [
            vector![0.0, 0.0],
            vector![1.0, 0.2],
            vector![0.3, 1.0],
            vector![1.1, 1.3],
            vector![-0.6, 0.7],
        ];
        for n in 1..=5 {
            assert_eq!(labellings(n, 2), learnt(&flat[..n]), "{n} points in the plane");
        }
        let deep = [
            vector![0.0, 0.0, 0.0],
            vector![1.0, 0.1, 0.2],
            vector![0.2, 1.0, -0.1],
            vector![0.1, -0.2, 1.0],
            vector![1.0, 1.1, 1.2],
        ];
        assert_eq!(labellings(5, 3), learnt(&deep), "5 points in space");
        assert_eq!(labellings(20, 9), 1 << 19, "20 points, 10 weights: half");
    }

    #[test]
    fn solution_counts_what_the_perceptron_learns() {
        check(super::solution::labellings);
    }

    #[test]
    #[should_panic = "C(n + 1, d) from"]
    fn task_is_open() {
        check(super::task::labellings);
    }

    #[test]
    #[should_panic = "points in the plane"]
    fn planes_through_the_origin_are_fewer() {
        check(|points, dimension| super::solution::labellings(points, dimension - 1));
    }
}
