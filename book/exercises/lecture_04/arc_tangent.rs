//! # A new operation
//!
//! *In code.* The angle of a point, $\operatorname{atan2}(y, x)$, is not among the operations of the tape. Build it for dual
//! numbers: value and derivatives from those of $y$ and $x$.
//!
//! Hint: for $x > 0$ the angle is $\arctan(y/x)$. Its differential is $(x\,dy - y\,dx)/(x^2 + y^2)$, and that is right in
//! *all* directions from the origin.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use optim::autodiff::dual::DualNumber;

    /// The angle of the point (x, y).
    pub fn atan2<const N: usize>(
        y: DualNumber<f64, N>,
        x: DualNumber<f64, N>,
    ) -> DualNumber<f64, N> {
        todo!("value and {N} derivatives at ({}, {})", x.value, y.value)
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The differential needs no case distinction. Written as $\arctan(y/x)$ the function has no value on the axis
    //! $x = 0$ and the wrong one for $x < 0$, although its *derivative* is right there: value and derivative are two
    //! things, and a rule may use different formulas for them.
    //!
    //! The usual mistake is the sign: increasing $x$ turns a point above the axis towards the angle 0, so the part of $dx$
    //! is $-y/(x^2 + y^2)$.

    // ANCHOR: solution
    use optim::autodiff::dual::DualNumber;

    /// The angle of the point (x, y).
    pub fn atan2<const N: usize>(
        y: DualNumber<f64, N>,
        x: DualNumber<f64, N>,
    ) -> DualNumber<f64, N> {
        let squared = x.value * x.value + y.value * y.value;
        let part = |i: usize| (x.value * y.tangent[i] - y.value * x.tangent[i]) / squared;
        DualNumber { value: y.value.atan2(x.value), tangent: std::array::from_fn(part) }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::autodiff::dual::DualNumber;
    use optim::autodiff::gradcheck::gradcheck;

    type Pair = DualNumber<f64, 2>;

    fn check(atan2: fn(Pair, Pair) -> Pair) {
        for [y, x] in [[1.0, 2.0], [1.0, -2.0], [-0.5, -0.1], [2.0, 0.0]] {
            let got = atan2(DualNumber::input(y, 0), DualNumber::input(x, 1));
            assert_eq!(got.value, y.atan2(x));
            let report = gradcheck(|p| p[0].atan2(p[1]), &[y, x], &got.tangent).unwrap();
            assert!(report.error < 1e-8, "at ({x}, {y}): {report:?}");
        }
    }

    #[test]
    fn solution_is_the_derivative_everywhere() {
        check(super::solution::atan2);
    }

    #[test]
    #[should_panic = "value and 2 derivatives"]
    fn task_is_open() {
        check(super::task::atan2);
    }

    #[test]
    #[should_panic = "at (2, 1)"]
    fn the_other_sign_is_wrong() {
        check(|y, x| {
            let right = super::solution::atan2(y, x);
            DualNumber { tangent: right.tangent.map(|t| -t), ..right }
        });
    }
}
