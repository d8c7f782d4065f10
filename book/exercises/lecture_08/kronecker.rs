//! # Curvature by two small matrices
//!
//! For a layer $z = W a$ with the error $\delta = \partial C_x/\partial z$ of each example, the gradient is the mean
//! of $\delta a^\top$, and the curvature of all weights of the layer together is about $A \otimes G$ with
//! $A = \operatorname{mean}(a a^\top)$ and $G = \operatorname{mean}(\delta\delta^\top)$ (Martens and Grosse 2015,
//! *K-FAC*), with the columns of $W$ stacked by $\operatorname{vec}$. A matrix for 64 times 32 weights would have
//! four million entries; the two factors have five thousand. Write the direction
//! $(A \otimes G)^{-1}\operatorname{vec}(\nabla)$ without ever forming the product. Add `damping` to the diagonal of
//! both factors first.

use nalgebra::DMatrix;

/// What is to be written.
pub mod task {
    use super::DMatrix;

    // ANCHOR: task
    /// The step for $W$, `(out, in)`, from inputs `(n, in)` and errors `(n, out)`, one row per
    /// example.
    pub fn direction(
        inputs: &DMatrix<f64>,
        errors: &DMatrix<f64>,
        damping: f64,
    ) -> Option<DMatrix<f64>> {
        todo!("two small systems in place of one large one")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $(A \otimes G)\operatorname{vec}(D) = \operatorname{vec}(G D A)$ because $A$ is symmetric. So
    //! $G D A = \nabla$, hence $D = G^{-1}\,\nabla\,A^{-1}$: one solution from the left and one from the right.
    //!
    //! The usual mistakes: to swap the factors, which the shapes forbid unless the layer is square; to forget
    //! that both means need the *same* examples; and to leave out the damping, without which a feature that
    //! is always 0 makes $A$ singular. What is gained: without damping a linear change of the inputs,
    //! $a \mapsto Ma$, changes the direction to $D M^{-1}$, so the network takes the same steps however its
    //! inputs are scaled and mixed. Adam can undo the scaling, not the mixing.

    use super::DMatrix;

    // ANCHOR: solution
    /// The step for $W$, `(out, in)`, from inputs `(n, in)` and errors `(n, out)`, one row per
    /// example.
    pub fn direction(
        inputs: &DMatrix<f64>,
        errors: &DMatrix<f64>,
        damping: f64,
    ) -> Option<DMatrix<f64>> {
        let n = inputs.nrows() as f64;
        let gradient = errors.tr_mul(inputs) / n; // (out, in)
        let factor = |rows: &DMatrix<f64>| {
            let size = rows.ncols();
            (rows.tr_mul(rows) / n + DMatrix::identity(size, size) * damping).cholesky()
        };
        let left = factor(errors)?.solve(&gradient);
        Some(factor(inputs)?.solve(&left.transpose()).transpose())
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::DMatrix;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    type Direction = fn(&DMatrix<f64>, &DMatrix<f64>, f64) -> Option<DMatrix<f64>>;

    fn check(direction: Direction) {
        let mut rng = StdRng::seed_from_u64(0);
        let mut draw = |rows, columns| DMatrix::from_fn(rows, columns, |_, _| rng.gen_range(-1.0..1.0_f64));
        let (inputs, errors, mixing) = (draw(40, 4), draw(40, 3), draw(4, 4));
        let found = direction(&inputs, &errors, 0.1).expect("damped factors have inverses");
        assert_eq!(found.shape(), (3, 4));

        // Against the large system, all 12 weights at once.
        let damped = |rows: &DMatrix<f64>| {
            rows.transpose() * rows / 40.0 + DMatrix::identity(rows.ncols(), rows.ncols()) * 0.1
        };
        let large = damped(&inputs).kronecker(&damped(&errors));
        let gradient = errors.transpose() * &inputs / 40.0;
        let stacked = DMatrix::from_column_slice(12, 1, gradient.as_slice());
        let want = large.lu().solve(&stacked).expect("it is positive definite");
        for (found, want) in found.iter().zip(want.iter()) {
            assert!((found - want).abs() < 1e-10, "{found} is not {want}");
        }

        // Mixed inputs: a becomes M a, and the outputs D M⁻¹ M a stay what they were.
        let plain = direction(&inputs, &errors, 0.0).expect("40 examples fill 4 dimensions");
        let mixed = direction(&(&inputs * mixing.transpose()), &errors, 0.0).expect("as above");
        assert!((mixed * mixing - plain).amax() < 1e-8);

        let silent = DMatrix::from_fn(40, 4, |i, j| if j == 0 { 0.0 } else { inputs[(i, j)] });
        assert!(direction(&silent, &errors, 0.0).is_none(), "a feature that is always 0 has no curvature");
    }

    #[test]
    fn solution_solves_the_large_system() {
        check(super::solution::direction);
    }

    #[test]
    #[should_panic = " is not "]
    fn without_damping_it_is_another_step() {
        check(|inputs, errors, _| super::solution::direction(inputs, errors, 0.0));
    }

    #[test]
    #[should_panic = "two small systems"]
    fn task_is_open() {
        check(super::task::direction);
    }
}
