//! # As many memories
//!
//! *By hand, then in code.* Averaging $n$ weights with independent noise divides its variance by $n$. An exponential
//! average $a \leftarrow \beta a + (1 - \beta)w$ has weights $(1 - \beta)\beta^k$. With which $\beta$ does it divide
//! the variance by $n$ as well? What would you give for averaging over the last 100 steps?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The decay of an exponential average that is as quiet as the mean of so many.
    pub fn decay(count: f64) -> f64 {
        todo!("the sum of the squares of the weights is 1 over {count}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\sum_k (1 - \beta)^2\beta^{2k} = \frac{(1 - \beta)^2}{1 - \beta^2} = \frac{1 - \beta}{1 + \beta} = \frac1n$,
    //! so $\beta = \frac{n - 1}{n + 1}$, for 100 of them $\beta = 0.98$. Its mean age is
    //! $\beta/(1 - \beta) = \frac{n-1}2$, just that of the last $n$: noise and age agree. The mean over *all* steps
    //! since some start (Polyak–Ruppert, ASGD, SWA) gets quieter for ever, and older as well: it needs weights that
    //! no longer go anywhere.
    //!
    //! The usual mistake is $\beta = 1 - \frac1n$, which averages over twice as many.

    // ANCHOR: solution
    /// The decay of an exponential average that is as quiet as the mean of so many.
    pub fn decay(count: f64) -> f64 {
        (count - 1.0) / (count + 1.0)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{Average, Optim, SgdConfig};

    const STEPS: usize = 400;

    /// What one unit of weight in step `at` is worth in the average of the optimiser after all steps.
    fn share(average: Average, at: usize) -> f64 {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let rule = SgdConfig { learning_rate: 1.0, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap().average(average).unwrap();
        let mut gradients = Gradients::leaky();
        for step in 0..STEPS {
            // To 1 in this step, back to 0 in the next.
            let slope = if step == at { -1.0 } else { w.array()[0] };
            gradients.get_or_alloc_mut(&w).unwrap()[0] = slope;
            optimizer.step(&mut w, &mut gradients).unwrap();
        }
        optimizer.evaluation(&w).unwrap().array()[0]
    }

    fn variance(average: Average) -> f64 {
        (0..STEPS).map(|at| share(average, at).powi(2)).sum()
    }

    fn check(decay: fn(f64) -> f64) {
        for count in [2.0, 10.0, 25.0] {
            let got = variance(Average::Exponential { decay: decay(count) });
            assert!((got * count - 1.0).abs() < 1e-6, "a variance of {got} for {count}");
        }
        // The uniform average over the last 25 steps.
        let last = Average::Uniform { from: STEPS as u64 - 24, every: 1 };
        assert!((variance(last) * 25.0 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn solution_is_as_quiet() {
        check(super::solution::decay);
    }

    #[test]
    #[should_panic = "1 over 2"]
    fn task_is_open() {
        check(super::task::decay);
    }

    #[test]
    #[should_panic = "for 10"]
    fn one_less_one_over_n_is_quieter() {
        check(|count| if count > 2.0 { 1.0 - 1.0 / count } else { super::solution::decay(count) });
    }
}
