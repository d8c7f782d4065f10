//! # How many times the same network?
//!
//! *By hand, then in code.* Hidden units may change places, and a unit with an odd activation may change all its
//! signs: the function stays. How many weight vectors is a network with hidden layers of $n_1, n_2, \dots$ units?
//! Take the logarithm. What else can be changed with rectifiers?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The logarithm to base 10 of the number of weight vectors.
    pub fn log10_copies(hidden: &[usize], is_odd: bool) -> f64 {
        todo!("units of {} layers", hidden.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Units change places within their layer: $\prod_l n_l!$, times $2^{n_l}$ with an odd activation. One hundred
    //! units of $\tanh$ are more than $10^{187}$ equal minima. Rectifiers have no signs to change, but weights in
    //! front can be multiplied by any positive number and those behind divided by it: minima are not even isolated.
    //!
    //! The usual mistake is $(\sum_l n_l)!$. A unit cannot change places with one of another layer.

    // ANCHOR: solution
    /// The logarithm to base 10 of the number of weight vectors.
    pub fn log10_copies(hidden: &[usize], is_odd: bool) -> f64 {
        let signs = if is_odd { 2.0 } else { 1.0 };
        hidden.iter().flat_map(|&n| 1..=n).map(|place| (signs * place as f64).log10()).sum()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use kernels::{Activation, Relu, Tanh};
    use optim::landscape::symmetry;

    fn check(log10_copies: fn(&[usize], bool) -> f64) {
        for hidden in [&[2][..], &[100], &[3, 4], &[], &[30, 10, 5]] {
            for (kind, is_odd) in [(Tanh.kind(), true), (Relu.kind(), false)] {
                let (got, want) = (log10_copies(hidden, is_odd), symmetry::log10_copies(hidden, kind));
                assert!((got - want).abs() < 1e-9, "{hidden:?}, odd {is_odd}: {got}, not {want}");
            }
        }
        assert!(log10_copies(&[100], true) > 187.0);
    }

    #[test]
    fn solution_counts_as_the_crate_does() {
        check(super::solution::log10_copies);
    }

    #[test]
    #[should_panic = "units of 1 layers"]
    fn task_is_open() {
        check(super::task::log10_copies);
    }

    #[test]
    #[should_panic = "[3, 4], odd true"]
    fn layers_do_not_mix() {
        check(|hidden, is_odd| super::solution::log10_copies(&[hidden.iter().sum()], is_odd));
    }
}
