//! # The checkerboard
//!
//! A transposed convolution of 3 taps and stride 2 writes three numbers for each number it reads, two places further
//! each time. Some places get one contribution, some two, and a network that is not trained yet paints a checkerboard.
//!
//! Write a function that counts the contributions along one axis: for `n` inputs, a kernel of `k` taps and stride `s`
//! without padding, how often is each place of the output written? Then say which of these have no pattern:
//! `k` = 3 or 4 with `s` = 2, U-Net's `k` = 2 with `s` = 2, and a map whose pixels are copied first, `k` = 3 with `s` = 1.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// How often each place of the output is written.
    pub fn multiplicity(n: usize, k: usize, s: usize) -> Vec<usize> {
        todo!("{n} inputs, {k} taps, stride {s}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Input $i$ writes to $si, \dots, si + k - 1$, so the output has $(n-1)s + k$ places. Away from the border a
    //! place is written $\lceil k/s \rceil$ or $\lfloor k/s \rfloor$ times: the same number everywhere exactly if $s$
    //! divides $k$. So 2 taps (once each) and 4 taps (twice each) with stride 2 are even inside, 3 taps are not, and
    //! along two axes the counts multiply: 1, 2, 2, 4. Behind copies a convolution has stride 1, which divides everything.
    //!
    //! The usual mistake is to look at the border, where even 4 taps with stride 2 are written once: that frame is
    //! there too, but it is not the checkerboard.

    // ANCHOR: solution
    /// How often each place of the output is written.
    pub fn multiplicity(n: usize, k: usize, s: usize) -> Vec<usize> {
        let mut count = vec![0; (n - 1) * s + k];
        for i in 0..n {
            count[i * s..i * s + k].iter_mut().for_each(|count| *count += 1);
        }
        count
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    fn check(multiplicity: fn(usize, usize, usize) -> Vec<usize>) {
        assert_eq!(multiplicity(4, 3, 2), [1, 1, 2, 1, 2, 1, 2, 1, 1]);
        assert_eq!(multiplicity(4, 4, 2), [1, 1, 2, 2, 2, 2, 2, 2, 1, 1]);
        assert_eq!(multiplicity(3, 2, 2), [1; 6]);
        assert_eq!(multiplicity(6, 3, 1), [1, 2, 3, 3, 3, 3, 2, 1]);
        // The kernels' own answers: patches of ones added up, and ones as weights.
        use dfdx::prelude::{Const, Cpu, OnesTensor, Rank4, TensorFrom};
        use kernels::convolution::{Convolution, OutputPadding, Steps, col2im, conv_transpose2d, im2col};
        use kernels::shape::Taps;
        for (n, k, s) in [(4, 3, 2), (5, 4, 2), (3, 5, 3), (6, 2, 2), (4, 1, 3), (6, 3, 1)] {
            let length = (n - 1) * s + k;
            let ones = Cpu::default().ones_like(&(Const::<1>, Const::<1>, 1, length));
            let taps = |kernel, stride| Taps { kernel, stride, padding: 0, dilation: 1 };
            let taps = [taps(1, 1), taps(k, s)];
            let sums: Vec<f32> = col2im(im2col(ones, taps), (Const::<1>, 1, length), taps).as_vec();
            assert_eq!(multiplicity(n, k, s).into_iter().map(|count| count as f32).collect::<Vec<_>>(), sums);
        }
        let dev = Cpu::default();
        let (x, w) = (dev.ones::<Rank4<1, 1, 1, 4>>(), dev.tensor([[[[1.0_f32; 3]]]]));
        let y =
            conv_transpose2d(x, &w, None, Convolution::new(Steps::<1>, Steps::<2>), OutputPadding::<0, 0>);
        let counts: Vec<f32> = multiplicity(4, 3, 2).into_iter().map(|n| n as f32).collect();
        assert_eq!(y.as_vec(), counts);
    }

    #[test]
    fn solution_counts_contributions() {
        check(super::solution::multiplicity);
    }

    #[test]
    #[should_panic(expected = "left: [1, 2, 2, 2, 2, 2, 2, 2, 1]")]
    fn taps_over_stride_is_a_mean_only() {
        check(|n, k, s| {
            let mut count = vec![k.div_ceil(s); (n - 1) * s + k];
            let last = count.len() - 1;
            (count[0], count[last]) = (1, 1);
            count
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::multiplicity);
    }
}
