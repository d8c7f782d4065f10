//! # How far a U-Net sees
//!
//! U-Net has two 3 × 3 convolutions at each of five resolutions, halves the resolution by 2 × 2 pools on the way down,
//! and has two more convolutions at each resolution on the way up. How large is the square of pixels that the lowest
//! resolution sees, and how large at most the one of an output? Use the formula for $r_l$ by hand, then write the sum for
//! any number of pools.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Side of the square of pixels that an output can see, for a U-Net with this many pools.
    pub fn receptive_field(pools: u32) -> usize {
        todo!("how long is a step at each resolution?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! At resolution $j$ a step is $2^j$ pixels. Two convolutions add $4 \cdot 2^j$ on the way down, and as much on the way
    //! up; a pool adds $2^j$. For four pools the lowest resolution sees $1 + 60 + 15 + 64 = 140$ pixels, an output at most
    //! $140 + 60 = 200$.
    //!
    //! The usual mistake is to count the convolutions on the way up with a step of 1 pixel. On the way up, too, neighbours
    //! at resolution $j$ stand for pixels that lie $2^j$ apart.

    // ANCHOR: solution
    /// Side of the square of pixels that an output can see, for a U-Net with this many pools.
    pub fn receptive_field(pools: u32) -> usize {
        let lowest = 4 * (1 << pools);
        let others: usize = (0..pools).map(|j| (4 + 1 + 4) * (1 << j)).sum();
        1 + lowest + others
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::architecture::zoo;

    fn check(receptive_field: fn(u32) -> usize) {
        assert_eq!(receptive_field(4), zoo::unet().cost().unwrap().receptive_field);
        assert_eq!(receptive_field(0), 5);
    }

    #[test]
    fn solution_agrees_with_the_walk() {
        check(super::solution::receptive_field);
    }

    #[test]
    #[should_panic = "left: 156"]
    fn on_the_way_up_a_step_is_as_long() {
        check(|pools| 1 + 4 * (1 << pools) + (0..pools).map(|j| 5 * (1 << j) + 4).sum::<usize>());
    }

    #[test]
    #[should_panic = "how long is a step"]
    fn task_is_open() {
        check(super::task::receptive_field);
    }
}
