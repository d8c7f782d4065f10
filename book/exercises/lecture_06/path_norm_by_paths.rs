//! # The path norm, path by path
//!
//! `path_norm` adds up all paths in one pass. Write the slow twin for a network with one hidden layer, by walking along
//! each path, and use it to convince yourself that multiplying what enters a hidden unit and dividing what leaves it
//! changes nothing.

/// What is to be written.
pub mod task {
    use nalgebra::DMatrix;

    // ANCHOR: task
    /// The path norm of `second · relu(first · x)`, from all paths input → hidden unit → output.
    pub fn path_norm(first: &DMatrix<f64>, second: &DMatrix<f64>, p: f64) -> f64 {
        todo!("how many paths are there?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! There is one path for each input, hidden unit and output. In its product the hidden unit occurs twice, once in
    //! `first[(h, i)]` and once in `second[(o, h)]`, so a factor on one and its inverse on the other cancel.
    //!
    //! The usual mistake is to multiply the norms of both matrices: that is an upper bound, not the sum over paths.

    use nalgebra::DMatrix;

    // ANCHOR: solution
    /// The path norm of `second · relu(first · x)`, from all paths input → hidden unit → output.
    pub fn path_norm(first: &DMatrix<f64>, second: &DMatrix<f64>, p: f64) -> f64 {
        let mut sum = 0.0;
        for input in 0..first.ncols() {
            for hidden in 0..first.nrows() {
                for output in 0..second.nrows() {
                    sum += (first[(hidden, input)] * second[(output, hidden)]).abs().powf(p);
                }
            }
        }
        sum.powf(1.0 / p)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, dmatrix};
    use optim::regularize::path_norm;

    fn check(slow: fn(&DMatrix<f64>, &DMatrix<f64>, f64) -> f64) {
        let mut weights = [dmatrix![1.0, -2.0; 0.5, 3.0; -1.0, 0.1], dmatrix![2.0, 0.0, -1.0; 0.3, 1.0, 1.0]];
        for p in [1.0, 2.0] {
            let fast = path_norm::path_norm(&weights, p).unwrap();
            let got = slow(&weights[0], &weights[1], p);
            assert!((got - fast).abs() < 1e-12 * fast, "p = {p}: {got}, in one pass {fast}");
        }
        let before = slow(&weights[0], &weights[1], 2.0);
        path_norm::rescale(&mut weights, 1, 2, 7.0);
        assert!((slow(&weights[0], &weights[1], 2.0) - before).abs() < 1e-12 * before);
    }

    #[test]
    fn solution_agrees_with_one_pass() {
        check(super::solution::path_norm);
    }

    #[test]
    #[should_panic = "p = 1: "]
    fn a_product_of_norms_is_a_bound() {
        check(|first, second, p| {
            let norm = |w: &DMatrix<f64>| w.iter().map(|w| w.abs().powf(p)).sum::<f64>().powf(1.0 / p);
            norm(first) * norm(second)
        });
    }

    #[test]
    #[should_panic = "how many paths"]
    fn task_is_open() {
        check(super::task::path_norm);
    }
}
