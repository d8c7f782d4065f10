//! # Sixty thousand
//!
//! LeNet-5 of 1998 has 60,000 trainable numbers before its output layer. Count them while the program is compiled:
//! write a `const fn` that adds up C1 (6 kernels of 5 × 5), S2 (a gain and a bias per map), C3 (a kernel per
//! connection of the table, a bias per map), S4, C5 (120 kernels over all 16 maps) and F6 (84 neurons).
//!
//! The table is `convnets::lenet::CONNECTIONS`, 16 rows of 6 truth values.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Trainable numbers of C1, S2, C3, S4, C5 and F6.
    pub const fn layers() -> [usize; 6] {
        todo!()
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A `const fn` may loop with `while`, not with `for`, since iterators are not known to the compiler's
    //! interpreter. The sum over the table has 60 connections, so C3 has $60 \cdot 25 + 16 = 1516$ numbers
    //! where full connections have 2416.
    //!
    //! The usual mistake is to give every kernel of C3 a bias: the paper has one per map.

    // ANCHOR: solution
    use convnets::lenet::CONNECTIONS;

    /// Trainable numbers of C1, S2, C3, S4, C5 and F6.
    pub const fn layers() -> [usize; 6] {
        let (mut connections, mut map) = (0, 0);
        while map < 16 {
            let mut s2 = 0;
            while s2 < 6 {
                connections += CONNECTIONS[map][s2] as usize;
                s2 += 1;
            }
            map += 1;
        }
        let kernel = 5 * 5;
        [
            6 * (kernel + 1),
            6 * 2,
            connections * kernel + 16,
            16 * 2,
            120 * (16 * kernel + 1),
            84 * (120 + 1),
        ]
    }
    const _: () = {
        let [c1, s2, c3, s4, c5, f6] = layers();
        assert!(c1 + s2 + c3 + s4 + c5 + f6 == 60_000);
    };
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    fn check(layers: fn() -> [usize; 6]) {
        assert_eq!(layers(), [156, 12, 1_516, 32, 48_120, 10_164]);
    }

    #[test]
    fn solution_counts_every_layer() {
        check(super::solution::layers);
    }

    #[test]
    #[should_panic(expected = "1560")]
    fn a_map_has_one_bias() {
        check(|| {
            let mut layers = super::solution::layers();
            layers[2] += 60 - 16;
            layers
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::layers);
    }
}
