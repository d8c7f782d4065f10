//! Gradients of single examples whose noise vanishes at the minimum: SVRG (Johnson & Zhang 2013) and SAGA (Defazio et al.
//! 2014).
//!
//! Both subtract from $\nabla f_i(w)$ something that is close to it and whose mean is known. SVRG keeps a snapshot
//! $\tilde w$ with its full gradient, SAGA the last gradient of every example. With a constant step both converge linearly
//! on strongly convex sums, where plain stochastic descent stays in a ball.
//!
//! **Property**: unbiased; no noise at the minimum. **Closed form**: linear convergence on logistic regression.
use super::FiniteSum;
use crate::Error;
use rand::Rng;

fn check_rate(learning_rate: f64) -> Result<(), Error> {
    if learning_rate > 0.0 && learning_rate.is_finite() {
        return Ok(());
    }
    let rule = "finite and above 0; a tenth of 1/L is safe";
    Err(Error::InvalidHyper { name: "learning_rate", rule, value: learning_rate })
}

/// Stochastic variance-reduced gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Svrg {
    /// Constant step size.
    pub learning_rate: f64,
    /// Snapshots; each costs 3n gradients, n for itself and 2n for as many steps.
    pub snapshots: usize,
}

impl Svrg {
    /// $\nabla f_i(w) - \nabla f_i(\tilde w) + \nabla f(\tilde w)$.
    pub fn estimate<P: FiniteSum>(
        problem: &P,
        i: usize,
        w: &[f64],
        snapshot: &[f64],
        full: &[f64],
    ) -> Vec<f64> {
        // ANCHOR: svrg
        let mut gradient = full.to_vec();
        problem.add_gradient(i, w, 1.0, &mut gradient);
        problem.add_gradient(i, snapshot, -1.0, &mut gradient);
        // ANCHOR_END: svrg
        gradient
    }

    /// Weights after each snapshot's n steps.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`], [`Error::Dimension`].
    pub fn run<P: FiniteSum, R: Rng + ?Sized>(
        &self,
        problem: &P,
        start: &[f64],
        rng: &mut R,
    ) -> Result<Vec<Vec<f64>>, Error> {
        check_rate(self.learning_rate)?;
        if start.len() != problem.dim() {
            return Err(Error::Dimension { what: "weights", got: start.len(), want: problem.dim() });
        }
        let mut w = start.to_vec();
        let mut history = Vec::new();
        for _ in 0..self.snapshots {
            let (snapshot, full) = (w.clone(), problem.gradient(&w));
            for _ in 0..problem.terms() {
                let i = rng.gen_range(0..problem.terms());
                let gradient = Self::estimate(problem, i, &w, &snapshot, &full);
                w.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= self.learning_rate * g);
            }
            history.push(w.clone());
        }
        Ok(history)
    }
}

/// The same idea with a table of gradients instead of snapshots: memory n·d, one new gradient per step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saga {
    /// Constant step size; $1/3L$ in the paper.
    pub learning_rate: f64,
    /// Passes of n steps.
    pub epochs: usize,
}

impl Saga {
    /// Weights after each pass.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`], [`Error::Dimension`].
    pub fn run<P: FiniteSum, R: Rng + ?Sized>(
        &self,
        problem: &P,
        start: &[f64],
        rng: &mut R,
    ) -> Result<Vec<Vec<f64>>, Error> {
        check_rate(self.learning_rate)?;
        let (n, d) = (problem.terms(), problem.dim());
        if start.len() != d {
            return Err(Error::Dimension { what: "weights", got: start.len(), want: d });
        }
        let mut w = start.to_vec();
        let mut table = vec![vec![0.0; d]; n];
        (0..n).for_each(|i| problem.add_gradient(i, &w, 1.0, &mut table[i]));
        let mut mean = problem.gradient(&w);
        let mut history = Vec::new();
        for _ in 0..self.epochs {
            for _ in 0..n {
                let i = rng.gen_range(0..n);
                let mut new = vec![0.0; d];
                problem.add_gradient(i, &w, 1.0, &mut new);
                for j in 0..d {
                    let change = new[j] - table[i][j];
                    w[j] -= self.learning_rate * (change + mean[j]);
                    mean[j] += change / n as f64;
                }
                table[i] = new;
            }
            history.push(w.clone());
        }
        Ok(history)
    }
}
