//! # Which steps are acceptable?
//!
//! *By hand, then in code.* Along a direction a function is $\varphi(t) = -st + \frac h2t^2$. The strong Wolfe
//! conditions accept a step $t$ if $\varphi(t) \le -c_1st$ (Armijo: it falls enough) and
//! $\lvert\varphi'(t)\rvert \le c_2s$ (it is flatter there). Which interval is that? For which $c_1$ is the minimum
//! itself refused?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The first and the last acceptable step, if there are any.
    pub fn interval(slope: f64, curvature: f64, c1: f64, c2: f64) -> Option<(f64, f64)> {
        todo!("two conditions, three inequalities")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Armijo: $t \le 2(1 - c_1)s/h$. Flatness: $(1 - c_2)s/h \le t \le (1 + c_2)s/h$. The minimum is at $s/h$, and
    //! Armijo refuses it for $c_1 > \frac12$: with such a constant Newton's step is never taken, and with it goes the
    //! fast convergence. The usual $c_1 = 10^{-4}$ and $c_2 = 0.9$ accept nearly everything between a tenth of the
    //! best step and almost twice of it.
    //!
    //! The usual mistake is to leave out the second condition. Armijo alone is satisfied by steps as small as you
    //! like, and L-BFGS then learns a curvature from two points that are the same up to rounding.

    // ANCHOR: solution
    /// The first and the last acceptable step, if there are any.
    pub fn interval(slope: f64, curvature: f64, c1: f64, c2: f64) -> Option<(f64, f64)> {
        let best = slope / curvature;
        let first = (1.0 - c2) * best;
        let last = (1.0 + c2).min(2.0 * (1.0 - c1)) * best;
        (first <= last).then_some((first, last))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::second_order::{StrongWolfe, strong_wolfe};

    type Interval = fn(f64, f64, f64, f64) -> Option<(f64, f64)>;

    fn check(interval: Interval) {
        for (slope, curvature) in [(1.0, 1.0), (3.0, 0.2)] {
            let along = |t: f64| (-slope * t + 0.5 * curvature * t * t, curvature * t - slope);
            for (c1, c2) in [(1e-4, 0.9), (1e-4, 0.1), (0.4, 0.5), (0.45, 0.2), (0.7, 0.9), (0.95, 0.3)] {
                let got = interval(slope, curvature, c1, c2);
                for i in 1..400 {
                    let t = f64::from(i) * 0.0101 * slope / curvature;
                    let (value, there) = along(t);
                    let is_accepted = value <= -c1 * slope * t && there.abs() <= c2 * slope;
                    let is_inside = got.is_some_and(|(first, last)| (first..=last).contains(&t));
                    assert_eq!(is_inside, is_accepted, "c1 = {c1}, c2 = {c2}: the step {t}");
                }
            }
            // What the crate's search ends with, from steps that are far too short and far too long.
            for first in [1e-3, 1.0, 300.0] {
                let constants = StrongWolfe { curvature: 0.3, ..Default::default() };
                let mut objective = |x: &[f64]| {
                    let (value, there) = along(x[0]);
                    (value, vec![there])
                };
                let found =
                    strong_wolfe(&mut objective, &[0.0], (0.0, &[-slope]), &[1.0], first, constants).unwrap();
                let (low, high) = interval(slope, curvature, constants.decrease, 0.3).unwrap();
                assert!((low..=high).contains(&found.step), "the search ends at {}", found.step);
            }
        }
    }

    #[test]
    fn solution_is_what_both_conditions_accept() {
        check(super::solution::interval);
    }

    #[test]
    #[should_panic = "three inequalities"]
    fn task_is_open() {
        check(super::task::interval);
    }

    #[test]
    #[should_panic = "c1 = 0.0001, c2 = 0.9: the step 0.01"]
    fn armijo_accepts_steps_of_nothing() {
        check(|slope, curvature, c1, _| Some((0.0, 2.0 * (1.0 - c1) * slope / curvature)));
    }
}
