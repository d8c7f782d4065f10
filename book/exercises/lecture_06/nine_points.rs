//! # Nine points
//!
//! *By hand.* Tied weights with two hidden units for one number:
//! $L(u) = (m - u_1^2 - u_2^2)^2 + \lambda(u_1^4 + u_2^4)$ with $m > 0$ and $\lambda > 0$. Set both slopes to 0, find
//! all points where they are, and tell minima from saddles. Can descent be caught in a point where one unit does all
//! the work?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use optim::landscape::critical::Critical;

    /// All points with slope 0, and what they are.
    pub fn points(m: f64, lambda: f64) -> Vec<([f64; 2], Critical)> {
        todo!("each unit is either 0 or not")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\partial L/\partial u_i = 4u_i\bigl((1 + \lambda)u_i^2 + u_j^2 - m\bigr)$. Both 0: the maximum. One of them
    //! 0: the other has $u^2 = m/(1 + \lambda)$. None 0: the difference of the two brackets says
    //! $u_1^2 = u_2^2 = m/(2 + \lambda)$. Where $u_2 = 0$ the second derivative by $u_2$ is
    //! $4(u_1^2 - m) = -4m\lambda/(1 + \lambda) < 0$: a saddle, and the way down is to share the work. The minima are
    //! the four points with equal units.
    //!
    //! The usual mistake is to look only along the axis: there $L$ has a minimum in $u_1$, and one stops.

    // ANCHOR: solution
    use optim::landscape::critical::Critical;

    /// All points with slope 0, and what they are.
    pub fn points(m: f64, lambda: f64) -> Vec<([f64; 2], Critical)> {
        let (alone, shared) = ((m / (1.0 + lambda)).sqrt(), (m / (2.0 + lambda)).sqrt());
        let mut points = vec![([0.0, 0.0], Critical::Maximum)];
        for sign in [-1.0, 1.0] {
            points.push(([sign * alone, 0.0], Critical::Saddle { index: 1 }));
            points.push(([0.0, sign * alone], Critical::Saddle { index: 1 }));
            points.push(([sign * shared, shared], Critical::Minimum));
            points.push(([sign * shared, -shared], Critical::Minimum));
        }
        points
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::dmatrix;
    use optim::landscape::critical::Critical;
    use optim::regularize::tied_landscape::critical_points;

    fn check(points: fn(f64, f64) -> Vec<([f64; 2], Critical)>) {
        for (m, lambda) in [(1.0, 0.6), (2.5, 0.1), (0.7, 3.0)] {
            let got = points(m, lambda);
            let want = critical_points(&dmatrix![m], lambda, 2, 9).unwrap();
            assert_eq!(got.len(), want.len(), "number of points");
            for point in want {
                let at = [point.u[0], point.u[1]];
                let is_here = |u: &[f64; 2]| (u[0] - at[0]).hypot(u[1] - at[1]) < 1e-9;
                let found = got.iter().find(|(u, _)| is_here(u));
                assert!(found.is_some(), "m = {m}: a point at {at:?} is missing");
                let kind = found.map(|(_, kind)| *kind);
                assert_eq!(kind, Some(point.kind), "m = {m}: the point at {at:?}");
            }
        }
    }

    #[test]
    fn solution_lists_all() {
        check(super::solution::points);
    }

    #[test]
    #[should_panic = "either 0 or not"]
    fn task_is_open() {
        check(super::task::points);
    }

    #[test]
    #[should_panic = "m = 1: the point at"]
    fn a_minimum_along_the_axis_is_none() {
        check(|m, lambda| {
            let kind = |kind| match kind {
                Critical::Saddle { .. } => Critical::Minimum,
                other => other,
            };
            super::solution::points(m, lambda).into_iter().map(|(u, k)| (u, kind(k))).collect()
        });
    }
}
