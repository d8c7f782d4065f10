//! # By signs alone
//!
//! *By hand, then in code.* Let least squares have data for which $X\operatorname{sign}(X^\top y) = c\,y$ with a
//! number $c > 0$. Show that AdaGrad with $\epsilon \to 0$, started at 0 with full gradients, never leaves the line
//! through $\operatorname{sign}(X^\top y)$, and say where it ends. The shortest solution is another one. Take the data of
//! the chapter: the label, two constants, and private features. Which of the two would you trust with a new example, of
//! which only the first three features have been seen before?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// Where AdaGrad ends.
    pub fn end(x: &DMatrix<f64>, y: &DVector<f64>) -> DVector<f64> {
        todo!("the gradient at a point s * a of the line, for {} examples", x.nrows())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! At $w = as$ with $s = \operatorname{sign}(X^\top y)$ the gradient is $X^\top(aXs - y) = (ac - 1)X^\top y$: a
    //! multiple of one vector for ever. AdaGrad divides each entry by the root of its own sum of squares, and what is
    //! left is its sign: the step is along $s$ again. It ends where $ac = 1$, at $s/c$: every feature, also one that
    //! occurs once, gets the same weight. On the chapter's data the two constants then outvote the label $-1$ of a new
    //! example. The shortest solution is a combination of examples, gives rare features little, and reads it rightly.
    //!
    //! The usual mistake is to expect that all methods that fit the data end at the shortest solution. Only those
    //! whose steps lie in the span of the examples do (Wilson et al. 2017).

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// Where AdaGrad ends.
    pub fn end(x: &DMatrix<f64>, y: &DVector<f64>) -> DVector<f64> {
        let signs = (x.transpose() * y).map(f64::signum);
        let c = (x * &signs).dot(y) / y.norm_squared();
        signs / c
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use nalgebra::{DMatrix, DVector, dvector};
    use optim::optimizers::{AdaGradConfig, Optim};

    /// Three examples: their label, two ones, and features of their own, one for a positive and five for a negative one.
    fn data() -> (DMatrix<f64>, DVector<f64>) {
        let y = dvector![1.0, 1.0, -1.0];
        let own = [3..4, 4..5, 5..10];
        let entry = |i: usize, j: usize| match j {
            0 => y[i],
            1 | 2 => 1.0,
            _ if own[i].contains(&j) => 1.0,
            _ => 0.0,
        };
        (DMatrix::from_fn(3, 10, entry), y)
    }

    fn run(x: &DMatrix<f64>, y: &DVector<f64>) -> DVector<f64> {
        let mut w: Tensor<Rank1<10>, f64, Cpu> = Cpu::default().zeros();
        let rule = AdaGradConfig { learning_rate: 0.1, epsilon: 0.0, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        for _ in 0..3000 {
            let slope = x.transpose() * (x * DVector::from_row_slice(&w.array()) - y);
            gradients.get_or_alloc_mut(&w).unwrap().copy_from_slice(slope.as_slice());
            optimizer.step(&mut w, &mut gradients).unwrap();
        }
        DVector::from_row_slice(&w.array())
    }

    fn check(end: fn(&DMatrix<f64>, &DVector<f64>) -> DVector<f64>) {
        let (x, y) = data();
        let (got, want) = (end(&x, &y), run(&x, &y));
        assert!((&x * &got - &y).norm() < 1e-12, "it does not fit");
        assert!((&got - &want).norm() < 1e-9, "AdaGrad ends at {want}, not at {got}");
        let new = [-1.0, 1.0, 1.0]; // a negative example
        let score = |w: &DVector<f64>| -> f64 { new.iter().zip(w.iter()).map(|(x, w)| x * w).sum() };
        let shortest = x.transpose() * (&x * x.transpose()).lu().solve(&y).unwrap();
        assert!(score(&got) > 0.2 && score(&shortest) < -0.1, "{} {}", score(&got), score(&shortest));
    }

    #[test]
    fn solution_is_where_it_ends() {
        check(super::solution::end);
    }

    #[test]
    #[should_panic = "for 3 examples"]
    fn task_is_open() {
        check(super::task::end);
    }

    #[test]
    #[should_panic = "AdaGrad ends at"]
    fn it_is_not_the_shortest_solution() {
        check(|x, y| x.transpose() * (x * x.transpose()).lu().solve(y).unwrap());
    }
}
