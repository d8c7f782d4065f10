//! # A cost from its slope
//!
//! A neuron has the output $a = \tanh z$ and targets $y = \pm 1$. Find the cost $C(a, y)$ with
//! $\partial C/\partial z = a - y$ and $C(y, y) = 0$, by integrating over $z$. Then write it as a function of the vote,
//! without loss of accuracy for large votes.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The cost of the vote `z` for the target `y`, −1 or 1; 0 for a vote that is right and certain.
    pub fn cost(z: f64, y: f64) -> f64 {
        todo!("integrate (a - y) over z")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\int (\tanh z - y)\,dz = \ln\cosh z - yz + \text{const}$. For $y = \pm 1$ and $yz \to \infty$,
    //! $\ln\cosh z \to |z| - \ln 2$, so the constant $\ln 2$ makes the smallest value 0:
    //! $C = \ln(2\cosh z) - yz = \ln(1 + e^{-2yz})$, the cross-entropy of a sigmoid with twice the vote. In terms of the
    //! output it is $-\ln\frac{1 + ya}2$.
    //!
    //! The usual mistake is to compute $\cosh z$: it overflows at $z \approx 710$. Take out the larger exponential.

    // ANCHOR: solution
    /// The cost of the vote `z` for the target `y`, −1 or 1; 0 for a vote that is right and certain.
    pub fn cost(z: f64, y: f64) -> f64 {
        let m = -2.0 * y * z;
        m.max(0.0) + (-m.abs()).exp().ln_1p()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    fn check(cost: fn(f64, f64) -> f64) {
        for y in [-1.0, 1.0] {
            for z in [-3.0, -0.2, 0.0, 1.5, 4.0] {
                let h = 1e-6;
                let slope = (cost(z + h, y) - cost(z - h, y)) / (2.0 * h);
                assert!((slope - (f64::tanh(z) - y)).abs() < 1e-8, "z = {z}, y = {y}");
            }
            assert!(cost(30.0 * y, y) < 1e-20);
            assert_eq!(cost(-1000.0 * y, y), 2000.0);
        }
    }

    #[test]
    fn solution_has_the_slope() {
        check(super::solution::cost);
    }

    #[test]
    #[should_panic = "assertion"]
    fn the_hyperbolic_cosine_overflows() {
        check(|z, y| (2.0 * z.cosh()).ln() - y * z);
    }

    #[test]
    #[should_panic = "integrate"]
    fn task_is_open() {
        check(super::task::cost);
    }
}
