//! # Between nothing and too much
//!
//! *By hand, then in code.* Gradients are kept in half precision, in which numbers up to $2^{-25}$ round to 0 and
//! numbers from 65,520 on to infinity. The loss is multiplied by $2^k$ before the backward pass, and the gradients
//! divided by it afterwards. Which $k$ neither lose the smallest gradient nor make the largest one infinite? The
//! weights are kept in more digits beside: why, if half precision is enough for the gradients?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The smallest and the largest such k; none when the gradients are too different.
    pub fn exponents(smallest: f64, largest: f64) -> Option<(i32, i32)> {
        todo!("two inequalities for k")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $2^k g_{\min} > 2^{-25}$ and $2^k g_{\max} < 65{,}520$: from $\lfloor-25 - \log_2 g_{\min}\rfloor + 1$ to
    //! $\lceil\log_2(65{,}520/g_{\max}) \rceil - 1$. Nearly 41 factors of 2 lie between both ends, so one scale serves
    //! gradients that differ by a factor of $10^{12}$. A dynamic scale climbs to the upper end and falls back when it
    //! is passed. The weights are another matter: a weight of 1 has 11 bits in half precision, and a step of
    //! $10^{-4}$ rounds to nothing.
    //!
    //! The usual mistake is to stop at $2^{-14}$, the smallest number with all its digits. Below it, digits are lost
    //! one by one, and a gradient with three of them is far better than 0.

    // ANCHOR: solution
    /// The smallest and the largest such k; none when the gradients are too different.
    pub fn exponents(smallest: f64, largest: f64) -> Option<(i32, i32)> {
        let from = (-25.0 - smallest.log2()).floor() as i32 + 1;
        let to = (65_520.0 / largest).log2().ceil() as i32 - 1;
        (from <= to).then_some((from, to))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::master_copy::round_to_half;

    /// By rounding.
    fn tried(smallest: f64, largest: f64) -> Option<(i32, i32)> {
        let is_kept = |k: &i32| {
            let scaled = |g: f64| round_to_half(g * 2_f64.powi(*k));
            scaled(smallest) > 0.0 && scaled(largest).is_finite()
        };
        let kept: Vec<i32> = (-60..60).filter(is_kept).collect();
        Some((*kept.first()?, *kept.last()?))
    }

    fn check(exponents: fn(f64, f64) -> Option<(i32, i32)>) {
        let cases = [(1e-9, 3.0), (2_f64.powi(-30), 1.0), (1e-3, 65_520.0), (3e-12, 0.2), (1e-10, 1e4)];
        for (smallest, largest) in cases {
            let (got, want) = (exponents(smallest, largest), tried(smallest, largest));
            assert_eq!(got, want, "gradients from {smallest:e} to {largest:e}");
        }
        assert_eq!(exponents(1e-10, 1e4), None);
        assert_eq!(round_to_half(1.0 + 1e-4), 1.0, "a step that is lost");
    }

    #[test]
    fn solution_is_what_survives_rounding() {
        check(super::solution::exponents);
    }

    #[test]
    #[should_panic = "two inequalities"]
    fn task_is_open() {
        check(super::task::exponents);
    }

    #[test]
    #[should_panic = "gradients from 1e-9 to 3e0"]
    fn small_numbers_with_few_digits_are_no_zeros() {
        check(|smallest, largest| {
            let (from, to) = super::solution::exponents(smallest, largest)?;
            Some((from + 11, to))
        });
    }
}
