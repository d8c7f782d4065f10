//! # There and back again
//!
//! *In code.* For residuals $f(x)$ with the Jacobian $J$ the Gauss–Newton matrix is $J^\top J$. It may be far too
//! large to write down, but $J^\top J v$ for one vector $v$ costs about as much as two gradients. Which two functions
//! of the tape give it, and in which order? And what is missing against the Hessian of $\frac12\lVert f\rVert^2$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::DMatrix;
    use optim::Error;
    use optim::autodiff::tensor::Var;

    /// Residuals on the tape.
    pub type Residuals = for<'a, 't> fn(&'a [Var<'t>]) -> Var<'t>;

    /// JᵀJv at `x`; `v` is shaped as `x`.
    pub fn gauss_newton(
        f: Residuals,
        x: &DMatrix<f64>,
        v: &DMatrix<f64>,
    ) -> Result<DMatrix<f64>, Error> {
        todo!("optim::autodiff::tensor has jvp, vjp and hvp")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Forward for $Jv$, which is shaped as the residuals, then backward with it as the seed. The Hessian of
    //! $\frac12\lVert f\rVert^2$ is $J^\top J + \sum_i f_i \nabla^2 f_i$: the second term is small where the
    //! residuals are, and it is the one that can have negative eigenvalues.
    //!
    //! The usual mistake is to take the product with the Hessian of the loss instead, because there is a function for
    //! it. Conjugate gradients then meet directions of negative curvature that Gauss–Newton does not have.

    // ANCHOR: solution
    use nalgebra::DMatrix;
    use optim::Error;
    use optim::autodiff::tensor::{Var, jvp, vjp};

    /// Residuals on the tape.
    pub type Residuals = for<'a, 't> fn(&'a [Var<'t>]) -> Var<'t>;

    /// JᵀJv at `x`; `v` is shaped as `x`.
    pub fn gauss_newton(
        f: Residuals,
        x: &DMatrix<f64>,
        v: &DMatrix<f64>,
    ) -> Result<DMatrix<f64>, Error> {
        let x = [x.clone()];
        let (_, change) = jvp(f, &x, std::slice::from_ref(v))?;
        let (_, mut back) = vjp(f, &x, &change)?;
        Ok(back.swap_remove(0))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, dmatrix};
    use optim::Error;
    use optim::autodiff::tensor::{Var, hvp, jacobian};

    type Residuals = for<'a, 't> fn(&'a [Var<'t>]) -> Var<'t>;
    type Product = fn(Residuals, &DMatrix<f64>, &DMatrix<f64>) -> Result<DMatrix<f64>, Error>;

    /// Three residuals of two numbers, none of them 0.
    fn residuals<'t>(x: &[Var<'t>]) -> Var<'t> {
        let weights = x[0].tape().constant(dmatrix![1.0, -0.5; 0.3, 2.0; -1.0, 0.7]);
        weights.matmul(x[0]).tanh().shift(-2.0)
    }

    fn check(product: Product) {
        let (x, v) = (dmatrix![0.4; -0.3], dmatrix![1.0; 2.0]);
        let j = jacobian(residuals, std::slice::from_ref(&x)).unwrap();
        let want = j.transpose() * &j * &v;
        let got = product(residuals, &x, &v).unwrap();
        assert!((&got - &want).norm() < 1e-12, "{got} is not {want}");
    }

    #[test]
    fn solution_is_the_product_with_the_matrix() {
        check(super::solution::gauss_newton);
    }

    #[test]
    #[should_panic = "has jvp, vjp and hvp"]
    fn task_is_open() {
        check(super::task::gauss_newton);
    }

    #[test]
    #[should_panic = "is not"]
    fn the_hessian_of_the_loss_is_another_matrix() {
        check(|f, x, v| {
            Ok(hvp(|x| half_of(f, x), std::slice::from_ref(x), std::slice::from_ref(v))?.swap_remove(0))
        });
    }

    fn half_of<'t>(f: Residuals, x: &[Var<'t>]) -> Var<'t> {
        f(x).powi(2).sum().scale(0.5)
    }
}
