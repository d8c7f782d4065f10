//! # First it grows
//!
//! *By hand, then in code.* A recurrent network multiplies its state by the same matrix in every step,
//!
//! $$ W = \begin{pmatrix} a & b \\ 0 & a \end{pmatrix}, \quad 0 < a < 1, \quad b \text{ large} . $$
//!
//! Both eigenvalues are $a$, so everything vanishes in the end. Find $W^t$, and the $t$ at which its largest entry is
//! largest.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The number of steps, from 1 on, after which the entry beside the diagonal is largest.
    pub fn peak(a: f64) -> u32 {
        todo!("when does one more step still make it larger?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $W^t = \begin{pmatrix} a^t & tba^{t-1} \\ 0 & a^t\end{pmatrix}$. One more step multiplies the entry by
    //! $\frac{t+1}ta$, which is above 1 while $t < \frac a{1-a}$: the peak is at the next integer, and for $a = 0.93$
    //! the gradient grows for 14 steps. Eigenvalues decide what happens in the end; for a matrix whose eigenvectors
    //! are not orthogonal, and here there is only one, the way to there can pass over a cliff.
    //!
    //! The usual mistake is to bound $\lVert W^t\rVert$ by the $t$-th power of the largest eigenvalue. That holds for
    //! symmetric matrices.

    // ANCHOR: solution
    /// The number of steps, from 1 on, after which the entry beside the diagonal is largest.
    pub fn peak(a: f64) -> u32 {
        (a / (1.0 - a)).ceil().max(1.0) as u32
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::dmatrix;
    use optim::landscape::recurrence::factors;

    fn check(peak: fn(f64) -> u32) {
        for a in [0.3, 0.83, 0.93, 0.987] {
            let w = dmatrix![a, 20.0; 0.0, a];
            let beside = |t: u32| w.pow(t)[(0, 1)];
            let got = peak(a);
            for other in (1..200).filter(|&t| t != got) {
                assert!(beside(other) < beside(got), "a = {a}: larger after {other} steps than after {got}");
            }
            // What the eigenvalues promise.
            assert!(factors(&w, 5).unwrap().iter().all(|factor| *factor < 1.0));
        }
    }

    #[test]
    fn solution_is_the_peak() {
        check(super::solution::peak);
    }

    #[test]
    #[should_panic = "still make it larger"]
    fn task_is_open() {
        check(super::task::peak);
    }

    #[test]
    #[should_panic = "a = 0.83: larger after 2 steps"]
    fn eigenvalues_do_not_rule_the_beginning() {
        check(|_| 1);
    }
}
