//! # The error that one sees
//!
//! *By hand, then in code.* Least squares with $d$ columns on $n$ points; the labels are $f(x_i)$ plus independent
//! noise of variance $\sigma^2$. The predictions at the $n$ points are $\hat y = Hy$ with
//! $H = X(X^\top X)^{-1}X^\top$. Over the noise, how large are
//!
//! 1. the mean squared error on these $n$ labels, and
//! 2. that on *new* labels at the same $n$ points?
//!
//! Both are the same squared bias plus a multiple of $\sigma^2$. Which multiple? What does their difference say about
//! a polynomial of degree $n - 1$?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// (expected error on the labels that were fitted, expected error on new labels).
    pub fn errors(x: &DMatrix<f64>, truth: &DVector<f64>, variance: f64) -> (f64, f64) {
        todo!("what does H do to the truth, and what to the noise?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $H$ is a projection: $H^2 = H$, and its trace is $d$. The residuals are $(I - H)(f + \epsilon)$, so the first
    //! error is $\lVert(I - H)f\rVert^2/n + \sigma^2(n - d)/n$. Against new labels the noise of the fit, of variance
    //! $\sigma^2 d/n$ on average, *adds* to that of the labels: $\lVert(I - H)f\rVert^2/n + \sigma^2(n + d)/n$. They
    //! differ by $2\sigma^2 d/n$: what capacity hides in the one it pays back in the other. With $d = n$ the first is
    //! 0 and the second $2\sigma^2$.
    //!
    //! The usual mistake is $\sigma^2$ for the first: as if the fit had not seen the noise that it is compared with.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// (expected error on the labels that were fitted, expected error on new labels).
    pub fn errors(x: &DMatrix<f64>, truth: &DVector<f64>, variance: f64) -> (f64, f64) {
        let (n, d) = (x.nrows() as f64, x.ncols() as f64);
        let normal = (x.transpose() * x).cholesky().expect("independent columns");
        let missed = truth - x * normal.solve(&(x.transpose() * truth));
        let bias = missed.norm_squared() / n;
        (bias + variance * (n - d) / n, bias + variance * (n + d) / n)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};

    /// Means over all 2⁶ signs of noise of size 0.5, with the fit made anew each time.
    fn enumerated(x: &DMatrix<f64>, truth: &DVector<f64>) -> (f64, f64) {
        let (mut seen, mut new) = (0.0, 0.0);
        for signs in 0..64 {
            let y = DVector::from_fn(6, |i, _| truth[i] + if signs >> i & 1 == 1 { 0.5 } else { -0.5 });
            let w = (x.transpose() * x).lu().solve(&(x.transpose() * &y)).unwrap();
            let fit = x * w;
            seen += (&y - &fit).norm_squared() / 6.0 / 64.0;
            new += ((truth - &fit).norm_squared() / 6.0 + 0.25) / 64.0; // new noise knows nothing of the fit
        }
        (seen, new)
    }

    fn check(errors: fn(&DMatrix<f64>, &DVector<f64>, f64) -> (f64, f64)) {
        let at = |i: usize| i as f64 / 5.0;
        let truth = DVector::from_fn(6, |i, _| (2.0 * at(i)).exp());
        for degree in 0..6 {
            let x = DMatrix::from_fn(6, degree + 1, |i, k| at(i).powi(k as i32));
            let (seen, new) = errors(&x, &truth, 0.25);
            let want = enumerated(&x, &truth);
            assert!((seen - want.0).abs() < 1e-8, "degree {degree}: on fitted labels {seen}, not {}", want.0);
            assert!((new - want.1).abs() < 1e-8, "degree {degree}: on new labels {new}, not {}", want.1);
        }
    }

    #[test]
    fn solution_is_the_mean_over_all_noise() {
        check(super::solution::errors);
    }

    #[test]
    #[should_panic = "what does H do"]
    fn task_is_open() {
        check(super::task::errors);
    }

    #[test]
    #[should_panic = "on fitted labels"]
    fn the_fit_has_seen_the_noise() {
        check(|x, truth, variance| {
            let (_, new) = super::solution::errors(x, truth, variance);
            (new - variance * x.ncols() as f64 / x.nrows() as f64, new)
        });
    }
}
