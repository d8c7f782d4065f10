//! # How small a step checks best?
//!
//! *By hand, then in code.* A gradient check compares with $\frac{f(x + h) - f(x - h)}{2h}$. Two errors work against
//! each other: the Taylor series leaves $\frac{h^2}{6}\lvert f'''\rvert$, and each value of $f$ is rounded by up to
//! $u\lvert f\rvert$, with $u = 2^{-53}$. Which $h$ makes the sum smallest, and how many digits are left there?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The best h for a function of this size with this third derivative.
    pub fn best_step(size: f64, third: f64) -> f64 {
        todo!("h^2 |f'''| / 6 + u |f| / h is smallest where its derivative is 0")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\frac{h}{3}\lvert f'''\rvert = \frac{u\lvert f\rvert}{h^2}$, so
    //! $h = (3u\lvert f\rvert/\lvert f'''\rvert)^{1/3}$, about $7\cdot10^{-6}$ where function and third derivative
    //! are of one size, and the error there is of the order $u^{2/3}$: two thirds of the digits. A check that asks
    //! for more than ten digits fails on a right gradient.
    //!
    //! The usual mistake is "the smaller the better", or $\sqrt u$, which is the best step of the *one-sided*
    //! difference. With it half of the digits are gone. The second mistake is to forget the scale: a function that
    //! changes a hundred times as fast needs a step a hundred times smaller.

    // ANCHOR: solution
    /// The best h for a function of this size with this third derivative.
    pub fn best_step(size: f64, third: f64) -> f64 {
        let u = f64::EPSILON / 2.0;
        (3.0 * u * size.abs() / third.abs()).cbrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::autodiff::gradcheck::GradCheck;

    /// Root mean square over 200 points of the difference's relative error for exp(ax).
    fn error(a: f64, step: impl Fn(f64) -> f64) -> f64 {
        let square = |i: i32| {
            let x = (1.0 + f64::from(i) / 100.0) / a;
            let h = step(x);
            let difference = ((a * (x + h)).exp() - (a * (x - h)).exp()) / ((x + h) - (x - h));
            (difference / (a * (a * x).exp()) - 1.0).powi(2)
        };
        ((0..200).map(square).sum::<f64>() / 200.0).sqrt()
    }

    fn check(best_step: fn(f64, f64) -> f64) {
        for a in [0.01, 1.0, 100.0] {
            let at = |factor: f64| error(a, |x| factor * best_step((a * x).exp(), a.powi(3) * (a * x).exp()));
            assert!(at(1.0) < 1e-10, "a = {a}: an error of {}", at(1.0));
            assert!(at(30.0) > 30.0 * at(1.0), "a = {a}: a larger step is as good");
            assert!(at(1.0 / 30.0) > 5.0 * at(1.0), "a = {a}: a smaller step is as good");
        }
        // The crate's check takes it for a = 1.
        let usual = GradCheck::default().epsilon;
        assert!((0.2..5.0).contains(&(best_step(1.0, 1.0) / usual)), "the usual step is {usual}");
    }

    #[test]
    fn solution_is_between_too_large_and_too_small() {
        check(super::solution::best_step);
    }

    #[test]
    #[should_panic = "is smallest where"]
    fn task_is_open() {
        check(super::task::best_step);
    }

    #[test]
    #[should_panic = "an error of"]
    fn the_root_is_too_small() {
        check(|size, third| (f64::EPSILON * size / third).sqrt());
    }

    #[test]
    #[should_panic = "a = 0.01"]
    fn a_step_without_a_scale_is_too_small_for_slow_functions() {
        check(|_, _| f64::EPSILON.cbrt());
    }
}
