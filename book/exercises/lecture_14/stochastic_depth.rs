//! # A network of random depth
//!
//! *Stochastic depth* leaves residual blocks out at random during training: block $l$ of $L$ becomes
//! $x + b_l F_l(x)$, where $b_l$ is 1 with probability $p_l = 1 - \frac{l}{L} (1 - p_L)$ and else 0. The first blocks are
//! hardly ever left out, the last one with probability $1 - p_L$.
//!
//! How many blocks does a step run on average, for 54 blocks and $p_L = \frac12$? And by what must $F_l$ be multiplied when
//! the trained network is used whole? Answer for branches $F_l(x) = a_l x$, where both can be checked exactly.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Mean number of `l` blocks that run, the last one with probability `last`.
    pub fn mean_depth(l: usize, last: f64) -> f64 {
        todo!("{l} blocks, the last with probability {last}")
    }

    /// What the whole network makes of `x`, for branches that multiply by `slopes`.
    pub fn whole(x: f64, slopes: &[f64], last: f64) -> f64 {
        todo!("{x} through {} blocks, the last with probability {last}", slopes.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The mean is $\sum_l p_l = L - (1 - p_L) \frac{L + 1}{2}$, which is 40¼ of 54 blocks: a quarter of the work is
    //! saved. In use each branch counts as often as it did in training, $x + p_l F_l(x)$. For linear branches that is exactly
    //! the mean over all subsets of blocks, because the draws are independent and
    //! $\mathbb{E} \prod_l (1 + b_l a_l) = \prod_l (1 + p_l a_l)$; with rectifiers between it is an approximation.
    //!
    //! The usual mistake is to divide by $p_l$ as inverted dropout does, and to do it in use: the division belongs into
    //! training, or the multiplication into use, never both.

    // ANCHOR: solution
    /// Mean number of `l` blocks that run, the last one with probability `last`.
    pub fn mean_depth(l: usize, last: f64) -> f64 {
        l as f64 - (1.0 - last) * (l as f64 + 1.0) / 2.0
    }

    /// What the whole network makes of `x`, for branches that multiply by `slopes`.
    pub fn whole(x: f64, slopes: &[f64], last: f64) -> f64 {
        let l = slopes.len() as f64;
        let runs = |i: usize| 1.0 - (i as f64 + 1.0) / l * (1.0 - last);
        slopes.iter().enumerate().fold(x, |x, (i, slope)| x + runs(i) * slope * x)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    fn check(mean_depth: fn(usize, f64) -> f64, whole: fn(f64, &[f64], f64) -> f64) {
        assert_eq!(mean_depth(54, 0.5), 40.25);
        let (slopes, last) = ([0.5, -0.3, 0.2, 1.5, -0.7], 0.4);
        let runs = |i: usize| 1.0 - (i as f64 + 1.0) / 5.0 * (1.0 - last);
        // Every subset of blocks with its probability.
        let (mut mean, mut depth) = (0.0, 0.0);
        for subset in 0..32_u32 {
            let (mut x, mut probability) = (2.0, 1.0);
            for (i, slope) in slopes.iter().enumerate() {
                let is_in = subset >> i & 1 == 1;
                probability *= if is_in { runs(i) } else { 1.0 - runs(i) };
                x += if is_in { slope * x } else { 0.0 };
            }
            mean += probability * x;
            depth += probability * f64::from(subset.count_ones());
        }
        assert!((whole(2.0, &slopes, last) - mean).abs() < 1e-12, "all subsets say {mean}");
        assert!((mean_depth(5, last) - depth).abs() < 1e-12, "{depth}");
    }

    #[test]
    fn solution_is_the_mean_of_all_subsets() {
        check(super::solution::mean_depth, super::solution::whole);
    }

    #[test]
    #[should_panic(expected = "all subsets say")]
    fn in_use_a_branch_counts_as_often_as_in_training() {
        check(super::solution::mean_depth, |x, slopes, _| super::solution::whole(x, slopes, 1.0));
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::mean_depth, super::task::whole);
    }
}
