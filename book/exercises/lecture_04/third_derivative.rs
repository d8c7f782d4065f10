//! # Once more
//!
//! *In code.* Nest dual numbers three deep and compute the third derivative of any function of one variable. Check it with
//! $\tanh$: with $t = \tanh x$,
//!
//! $$\tanh''' x = -2\,(1 - t^2)(1 - 3t^2) .$$

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use optim::autodiff::dual::DualNumber;

    /// One direction, three levels.
    pub type Third = DualNumber<DualNumber<DualNumber<f64, 1>, 1>, 1>;

    /// The third derivative of `f` at `x`.
    pub fn third_derivative(f: impl Fn(Third) -> Third, x: f64) -> f64 {
        let _ = f;
        todo!("which part of the result is it, at {x}?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Each level needs $x$ with the derivative 1: an input made of an input made of an input. The third derivative is
    //! the tangent of the tangent of the tangent.
    //!
    //! The usual mistake is to make the inner levels constants. Then the tangent of the outer level is right and has no
    //! tangent itself: the second derivative comes out as 0.

    // ANCHOR: solution
    use optim::autodiff::dual::DualNumber;

    /// One direction, three levels.
    pub type Third = DualNumber<DualNumber<DualNumber<f64, 1>, 1>, 1>;

    /// The third derivative of `f` at `x`.
    pub fn third_derivative(f: impl Fn(Third) -> Third, x: f64) -> f64 {
        let x = DualNumber::input(DualNumber::input(DualNumber::input(x, 0), 0), 0);
        f(x).tangent[0].tangent[0].tangent[0]
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::solution::Third;
    use optim::autodiff::{Number, dual::DualNumber};

    fn check(third: fn(fn(Third) -> Third, f64) -> f64) {
        for x in [-2.0, -0.3, 0.0, 0.5, 1.7_f64] {
            let t = x.tanh();
            let want = -2.0 * (1.0 - t * t) * (1.0 - 3.0 * t * t);
            let got = third(|x| x.tanh(), x);
            assert!((got - want).abs() < 1e-14, "at {x}: {got}, want {want}");
            assert!((third(|x| x.powi(4), x) - 24.0 * x).abs() < 1e-12);
        }
    }

    #[test]
    fn solution_finds_the_closed_form() {
        check(super::solution::third_derivative);
    }

    #[test]
    #[should_panic = "which part of the result"]
    fn task_is_open() {
        check(super::task::third_derivative);
    }

    #[test]
    #[should_panic = "at -2"]
    fn constants_inside_have_no_derivative() {
        check(|f, x| {
            let x = DualNumber::input(DualNumber::constant(DualNumber::constant(x)), 0);
            f(x).tangent[0].tangent[0].tangent[0]
        });
    }
}
