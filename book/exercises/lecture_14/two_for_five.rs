//! # Two for five
//!
//! Two layers of 3 × 3 see what one of 5 × 5 sees. With the same number of channels everywhere they have 18 weights for
//! 25. But the maps between them may have another number of channels, and then it depends.
//!
//! Write a function that says whether a 3 × 3 layer from `c` to `m` channels and another from `m` to `o` make fewer
//! multiplications per pixel than one 5 × 5 layer from `c` to `o`. Up to which `m` do they, for 16 channels on both sides?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Whether two 3 × 3 layers with `m` channels between are cheaper than one 5 × 5.
    pub fn saves(c: usize, m: usize, o: usize) -> bool {
        todo!("{c} channels to {m} to {o}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Per pixel the two layers make $9 c m + 9 m o$ multiplications, the large one $25 c o$. So they are cheaper as long
    //! as $m < \frac{25}{9} \cdot \frac{c o}{c + o}$, which for $c = o$ is $m < \frac{25}{18} c$: up to 22 of 16 channels.
    //!
    //! The usual mistake is to compare at $m = o$ only. From few to many channels, as in the first layer of a network, this
    //! loses: from 3 to 64 channels two layers with 64 between cost eight times the large one.

    // ANCHOR: solution
    /// Whether two 3 × 3 layers with `m` channels between are cheaper than one 5 × 5.
    pub fn saves(c: usize, m: usize, o: usize) -> bool {
        9 * m * (c + o) < 25 * c * o
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use layers::Planned;
    use layers::builders::UnbiasedConv2D;

    fn check(saves: fn(usize, usize, usize) -> bool) {
        assert!(saves(16, 16, 16) && saves(16, 22, 16) && !saves(16, 23, 16));
        assert!(!saves(3, 64, 64));
        // The plan's own count, on a map that all three keep.
        type Two = (UnbiasedConv2D<3, 8, 3, 1, 1>, UnbiasedConv2D<8, 64, 3, 1, 1>);
        let macs = |plan: layers::Plan| plan.totals_of([3, 20, 20]).macs;
        assert_eq!(saves(3, 8, 64), macs(Two::PLAN) < macs(UnbiasedConv2D::<3, 64, 5, 1, 2>::PLAN));
    }

    #[test]
    fn solution_compares_costs() {
        check(super::solution::saves);
    }

    #[test]
    #[should_panic(expected = "saves(16, 23, 16)")]
    fn the_maps_between_count() {
        check(|c, _, o| 9 * o * (c + o) < 25 * c * o);
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::saves);
    }
}
