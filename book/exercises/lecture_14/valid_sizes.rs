//! # Sizes that fit
//!
//! A U-Net without padding loses 4 pixels per level and way, and halves the map between levels: on the way down every
//! map must be even. An output of at least 4 pixels is asked for: then the sizes that fit `d` levels above the lowest
//! one are $2^d m + c_d$ for $m = 0, 1, 2, \dots$ Derive $c_d$, and write a function that says whether a size fits without
//! walking through the levels.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Whether a square of `size` pixels fits `depth` levels.
    pub fn fits(size: usize, depth: u32) -> bool {
        todo!("{size} pixels, {depth} levels")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Go from the bottom up. The lowest level ends with a map of at least 1 pixel that becomes 2, then loses 4: nothing
    //! is left. Ask backwards what gives an output of 4: before the last two convolutions 8, so 4 below; before *its*
    //! last two convolutions 8 again, and so on: the lowest map has 4 pixels after its two convolutions, 8 before. Upwards
    //! on the left side each level doubles and adds 4: $n_{l} = 2 n_{l+1} + 4$ with $n_d = 8$, so
    //! $n_0 + 4 = 2^d (8 + 4)$ and $c_d = 12 \cdot 2^d - 4$. One more pixel at the bottom is $2^d$ more at the top.
    //!
    //! The usual mistake is to test only that $2^d$ divides something: 12 pixels on one level are even at every halving,
    //! and nothing comes out.

    // ANCHOR: solution
    /// Whether a square of `size` pixels fits `depth` levels.
    pub fn fits(size: usize, depth: u32) -> bool {
        let step = 1 << depth;
        let least = 12 * step - 4;
        size >= least && (size - least).is_multiple_of(step)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    /// Level by level.
    fn walk(mut size: i64, depth: u32) -> Option<i64> {
        for _ in 0..depth {
            size -= 4;
            if size <= 0 || size % 2 == 1 {
                return None;
            }
            size /= 2;
        }
        size -= 4;
        for _ in 0..depth {
            size = 2 * size - 4;
        }
        (size > 0).then_some(size)
    }

    fn check(fits: fn(usize, u32) -> bool) {
        for depth in 1..=5 {
            for size in 1..700 {
                let walked = walk(size, depth).is_some_and(|out| out >= 4);
                assert_eq!(fits(size as usize, depth), walked, "{size} pixels, {depth} levels");
            }
        }
    }

    #[test]
    fn solution_fits() {
        check(super::solution::fits);
    }

    #[test]
    #[should_panic(expected = "12 pixels, 1 levels")]
    fn even_at_every_halving_is_not_enough() {
        check(|size, depth| size >= 12 && (size + 4).is_multiple_of(1 << depth));
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::fits);
    }
}
