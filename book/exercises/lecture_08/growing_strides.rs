//! # Growing strides
//!
//! *By hand, then in code.* Rprop looks at signs only: while a coordinate's gradient keeps its sign, its stride grows
//! by the factor $\eta^+ = 1.2$ from step to step. The first stride is $\delta$. How many steps does it take to come
//! a distance $D$? Compare with AdaGrad and Adam, whose counts grow as $D^2$ and $D$.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps, as a real number, until strides from `first` on have covered this distance.
    pub fn steps(distance: f64, first: f64) -> f64 {
        todo!("a geometric sum")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $t$ strides cover $\delta\,(1 + 1.2 + \dots + 1.2^{t-1}) = \delta\,\frac{1.2^t - 1}{0.2}$, so
    //! $t = \ln(1 + 0.2D/\delta)/\ln 1.2$: the *logarithm* of the distance. That is why it needs no rate, and why it
    //! needs full gradients: with noise the sign turns by chance, each turn halves the stride, and one halving costs
    //! nearly four growths.
    //!
    //! The usual mistake is to solve $\delta\,1.2^t = D$, the step whose own stride is $D$. All strides before it
    //! have covered nearly five times that together.

    // ANCHOR: solution
    /// Steps, as a real number, until strides from `first` on have covered this distance.
    pub fn steps(distance: f64, first: f64) -> f64 {
        (1.0 + 0.2 * distance / first).ln() / 1.2_f64.ln()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{Optim, RpropConfig};

    /// Distances after each of twenty steps along a slope.
    fn walked(first: f64) -> Vec<f64> {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let rule = RpropConfig { learning_rate: first, ..Default::default() };
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let mut gradients = Gradients::leaky();
        let mut one = |slope: f64| {
            gradients.get_or_alloc_mut(&w).unwrap()[0] = slope;
            optimizer.step(&mut w, &mut gradients).unwrap();
            w.array()[0].abs()
        };
        // The size of the slope does not matter.
        (0..20).map(|t| one(0.1 + f64::from(t % 3))).collect()
    }

    fn check(steps: fn(f64, f64) -> f64) {
        for first in [0.01, 0.3] {
            for (i, distance) in walked(first).into_iter().enumerate() {
                let got = steps(distance, first);
                let want = i as f64 + 1.0;
                assert!((got - want).abs() < 1e-9, "{distance} takes {want} steps, not {got}");
            }
        }
    }

    #[test]
    fn solution_counts_the_strides() {
        check(super::solution::steps);
    }

    #[test]
    #[should_panic = "a geometric sum"]
    fn task_is_open() {
        check(super::task::steps);
    }

    #[test]
    #[should_panic = "takes 1 steps, not 0"]
    fn the_last_stride_is_not_the_way() {
        check(|distance, first| (distance / first).ln() / 1.2_f64.ln());
    }
}
