//! # On the border
//!
//! *By hand, then in code.* Minimise $\frac12\sum_i h_i(x_i - m_i)^2$ with $h_i > 0$ subject to
//! $\lVert x\rVert \le c$. With a multiplier, $h_i(x_i - m_i) + \lambda x_i = 0$. Find $x$ for a given $\lambda$,
//! then the $\lambda$: when is it 0, and how do you find it else? Is $x$ the point of the ball that is nearest to
//! $m$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// (x, multiplier), to ten digits.
    pub fn constrained(h: &[f64], m: &[f64], radius: f64) -> (Vec<f64>, f64) {
        todo!("{} numbers; the length of x falls with the multiplier", h.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $x_i = h_im_i/(h_i + \lambda)$. If $\lVert m\rVert \le c$ the bound does nothing and $\lambda = 0$. Else
    //! $\lVert x\rVert$ falls from $\lVert m\rVert$ to 0 as $\lambda$ grows, and bisection finds the one with length
    //! $c$. Flat directions are cut first, as by weight decay, whose factor $\lambda$ is. $x$ is the nearest point of
    //! the ball only if all $h_i$ are equal.
    //!
    //! The usual mistake is to scale $m$ to the length $c$: the projection of the minimum is not the minimum on the
    //! ball. Projected *descent* is right, because it projects every step and not the result.

    // ANCHOR: solution
    /// (x, multiplier), to ten digits.
    pub fn constrained(h: &[f64], m: &[f64], radius: f64) -> (Vec<f64>, f64) {
        let at = |l: f64| h.iter().zip(m).map(|(h, m)| h * m / (h + l)).collect::<Vec<f64>>();
        let is_long = |l: f64| at(l).iter().map(|x| x * x).sum::<f64>().sqrt() > radius;
        if !is_long(0.0) {
            return (m.to_vec(), 0.0);
        }
        let (mut low, mut high) = (0.0, 1.0);
        while is_long(high) {
            high *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            *(if is_long(middle) { &mut low } else { &mut high }) = middle;
        }
        (at(high), high)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};
    use optim::second_order::constrained::by_multiplier;

    fn check(constrained: fn(&[f64], &[f64], f64) -> (Vec<f64>, f64)) {
        let (h, m) = ([10.0, 1.0, 0.1_f64], [1.0, -2.0, 3.0]);
        // The same as least squares: |A x - b|² / 2 with the roots of h on the diagonal.
        let a = DMatrix::from_diagonal(&DVector::from_fn(3, |i, _| h[i].sqrt()));
        let b = DVector::from_fn(3, |i, _| h[i].sqrt() * m[i]);
        for radius in [0.1, 1.0, 3.0, 5.0] {
            let (x, multiplier) = constrained(&h, &m, radius);
            let want = by_multiplier(&a, &b, radius).unwrap();
            let apart = (DVector::from_vec(x) - &want.x).norm();
            assert!(apart < 1e-8, "radius {radius}: {apart} from the minimum {}", want.x);
            assert!((multiplier - want.multiplier).abs() <= 1e-8 * (1.0 + want.multiplier));
        }
    }

    #[test]
    fn solution_is_the_minimum_in_the_ball() {
        check(super::solution::constrained);
    }

    #[test]
    #[should_panic = "falls with the multiplier"]
    fn task_is_open() {
        check(super::task::constrained);
    }

    #[test]
    #[should_panic = "radius 0.1: "]
    fn a_shortened_minimum_is_none() {
        check(|_, m, radius| {
            let length = m.iter().map(|m| m * m).sum::<f64>().sqrt();
            (m.iter().map(|m| m * (radius / length).min(1.0)).collect(), 0.0)
        });
    }
}
