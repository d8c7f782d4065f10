//! # Lost units, lost wires
//!
//! *By hand, then in code.* A linear layer $y_j = \sum_i w_{ji}x_i$ with two outputs. Dropout keeps each *input* with
//! probability $\theta$, DropConnect each *weight*; both divide by $\theta$. Find the variance of $y_1$, and the
//! covariance of $y_1$ and $y_2$, under each of the two. Which of the two disturbs the layer's answer as a whole?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// (variance of the first output under either, covariance under dropout, covariance under
    /// DropConnect).
    pub fn noise(w: &[[f64; 3]; 2], x: &[f64; 3], keep: f64) -> (f64, f64, f64) {
        todo!("which outputs share a mask?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A mask over $\theta$ has the mean 1 and the variance $(1 - \theta)/\theta$. Both give $y_1$ the variance
    //! $\frac{1-\theta}\theta\sum_i w_{1i}^2x_i^2$: seen from one unit they are the same. Under dropout both outputs
    //! lose the same inputs, and have the covariance $\frac{1-\theta}\theta\sum_i w_{1i}w_{2i}x_i^2$; under
    //! DropConnect none. So dropout disturbs the answer as a whole, by one number for each input; DropConnect disturbs
    //! every output by itself, by one number for each weight.
    //!
    //! The usual mistake is to compare the two by their variances alone and to conclude that they are one method.

    // ANCHOR: solution
    /// (variance of the first output under either, covariance under dropout, covariance under
    /// DropConnect).
    pub fn noise(w: &[[f64; 3]; 2], x: &[f64; 3], keep: f64) -> (f64, f64, f64) {
        let together = |a: &[f64; 3], b: &[f64; 3]| -> f64 {
            let terms = a.iter().zip(b).zip(x).map(|((a, b), x)| a * b * x * x);
            (1.0 - keep) / keep * terms.sum::<f64>()
        };
        (together(&w[0], &w[0]), together(&w[0], &w[1]), 0.0)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    type Weights = [[f64; 3]; 2];

    /// Over all masks: `bit(output, input)` says which bit of the mask is meant.
    fn enumerated(w: &Weights, x: &[f64; 3], keep: f64, bits: u32, bit: fn(usize, usize) -> usize) -> [f64; 2] {
        let (mut mean, mut second, mut both) = ([0.0; 2], 0.0, 0.0);
        for mask in 0..1_u32 << bits {
            let kept = mask.count_ones() as i32;
            let chance = keep.powi(kept) * (1.0 - keep).powi(bits as i32 - kept);
            let y: [f64; 2] = std::array::from_fn(|j| {
                let terms = w[j].iter().zip(x).enumerate();
                terms.map(|(i, (w, x))| f64::from(mask >> bit(j, i) & 1) * w * x / keep).sum()
            });
            mean.iter_mut().zip(y).for_each(|(mean, y)| *mean += chance * y);
            second += chance * y[0] * y[0];
            both += chance * y[0] * y[1];
        }
        [second - mean[0] * mean[0], both - mean[0] * mean[1]]
    }

    fn check(noise: fn(&Weights, &[f64; 3], f64) -> (f64, f64, f64)) {
        let (w, x) = ([[1.0, -2.0, 0.5], [0.3, 1.0, 2.0]], [1.0, 0.7, -1.5]);
        for keep in [0.5, 0.8] {
            let (variance, dropout, connect) = noise(&w, &x, keep);
            let units = enumerated(&w, &x, keep, 3, |_, i| i);
            let wires = enumerated(&w, &x, keep, 6, |j, i| 3 * j + i);
            let is_near = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(is_near(variance, units[0]) && is_near(variance, wires[0]), "a variance of {variance}");
            assert!(is_near(dropout, units[1]), "dropout: a covariance of {dropout}, not {}", units[1]);
            assert!(is_near(connect, wires[1]), "DropConnect: a covariance of {connect}, not {}", wires[1]);
        }
    }

    #[test]
    fn solution_is_the_mean_over_all_masks() {
        check(super::solution::noise);
    }

    #[test]
    #[should_panic = "which outputs share"]
    fn task_is_open() {
        check(super::task::noise);
    }

    #[test]
    #[should_panic = "DropConnect: a covariance"]
    fn wires_are_lost_one_by_one() {
        check(|w, x, keep| {
            let (variance, dropout, _) = super::solution::noise(w, x, keep);
            (variance, dropout, dropout)
        });
    }
}
