//! # Places first, maps second
//!
//! A 3 × 3 convolution mixes places and maps at once. A *depthwise separable* one does it in turns: first each of the `c`
//! maps is convolved with a kernel of its own, then a 1 × 1 convolution mixes the maps into `o`.
//!
//! Count the multiply-adds per pixel of both, for kernels of `k` × `k`. What is their ratio, and what does it become for
//! many maps?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Multiply-adds per pixel: the convolution, and the separable one.
    pub fn costs(c: usize, o: usize, k: usize) -> [usize; 2] {
        todo!("{c} maps to {o} with kernels of {k} x {k}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The convolution makes $k^2 c\, o$ multiply-adds per pixel, the separable one $k^2 c + c\, o$. Their ratio is
    //! $1/o + 1/k^2$: for many maps a ninth with 3 × 3 kernels, a twenty-fifth with 5 × 5. It has fewer weights in the same
    //! ratio, and so it can express less: a map is seen by all outputs through one and the same kernel.
    //!
    //! The usual mistake is $k^2 c\, o$ for the first half: a depthwise layer has one kernel for each map, not for each pair.

    // ANCHOR: solution
    /// Multiply-adds per pixel: the convolution, and the separable one.
    pub fn costs(c: usize, o: usize, k: usize) -> [usize; 2] {
        [k * k * c * o, k * k * c + c * o]
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use layers::Planned;
    use layers::builders::{GroupedConv2D, Identity, UnbiasedConv2D};
    use layers::convolution::Unbiased;

    fn check(costs: fn(usize, usize, usize) -> [usize; 2]) {
        let [full, separable] = costs(64, 128, 3);
        let ratio = separable as f64 / full as f64;
        assert!((ratio - (1.0 / 128.0 + 1.0 / 9.0)).abs() < 1e-15, "a ratio of {ratio}");
        // The plans' own count on maps of 5 x 5.
        type Depthwise = GroupedConv2D<6, 6, 5, 6, 1, 2, 1, Identity, Unbiased>;
        type Separable = (Depthwise, UnbiasedConv2D<6, 10, 1>);
        let macs = |plan: layers::Plan| plan.totals_of([6, 5, 5]).macs as usize / 25;
        let counted = [macs(UnbiasedConv2D::<6, 10, 5, 1, 2>::PLAN), macs(Separable::PLAN)];
        assert_eq!(costs(6, 10, 5), counted);
    }

    #[test]
    fn solution_is_the_count() {
        check(super::solution::costs);
    }

    #[test]
    #[should_panic(expected = "a ratio of")]
    fn one_kernel_for_each_map() {
        check(|c, o, k| [k * k * c * o, k * k * c * o + c * o]);
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::costs);
    }
}
