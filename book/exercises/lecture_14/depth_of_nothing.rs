//! # A deep network of no depth
//!
//! Set the gain of the last normalisation of every residual block to 0, and each block is its shortcut. What does the
//! whole network compute then? Take shortcuts without parameters: where the map is halved, every second row and column is
//! kept, and as many maps of zeros are put behind.
//!
//! Write the logits of such a network from the `c` maps of `side` × `side` that its stem gives (none of them negative):
//! one halving to `2 c` maps, the mean of each map, a linear layer of `weights`, `(classes, 2 c)` row by row, and `bias`.
//! How many of its weights does the start use?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Logits of a residual network whose last gains are 0.
    pub fn logits(maps: &[f64], side: usize, weights: &[f64], bias: &[f64]) -> Vec<f64> {
        todo!("{} values of side {side}, {} weights, {bias:?}", maps.len(), weights.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A block adds 0 to its shortcut and rectifies, and what is not negative stays. So the network reads every second row
    //! and column of the stem's maps, takes their means, and applies the first $c$ columns of the linear layer: the maps of
    //! zeros have the mean 0. Half of the weights and all blocks wait until training wakes them, however many blocks there
    //! are.
    //!
    //! The usual mistake is to take the mean of the whole map: the halving throws three quarters of the places away, it does
    //! not average them.

    // ANCHOR: solution
    /// Logits of a residual network whose last gains are 0.
    pub fn logits(maps: &[f64], side: usize, weights: &[f64], bias: &[f64]) -> Vec<f64> {
        let kept = side.div_ceil(2);
        let mean = |map: &[f64]| {
            let places = (0..kept * kept).map(|at| map[2 * (at / kept) * side + 2 * (at % kept)]);
            places.sum::<f64>() / (kept * kept) as f64
        };
        let means: Vec<f64> = maps.chunks(side * side).map(mean).collect();
        let class = |row: &[f64]| row.iter().zip(&means).map(|(w, mean)| w * mean).sum::<f64>();
        weights.chunks(2 * means.len()).zip(bias).map(|(row, bias)| class(row) + bias).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::resnet::{Basic, BasicPadded, zero_last_gains};
    use dfdx::prelude::{Cpu, DeviceBuildExt, Module, Rank4, SampleTensor, Tensor};
    use layers::builders::{GlobalAvgPool, Linear};

    fn check(logits: fn(&[f64], usize, &[f64], &[f64]) -> Vec<f64>) {
        type Blocks = (Basic<2>, BasicPadded<2, 4, 2>, Basic<4>);
        let dev = Cpu::seed_from_u64(0);
        let mut blocks = dev.build_module::<Blocks, f64>();
        zero_last_gains(&mut blocks).unwrap();
        let head = dev.build_module::<(GlobalAvgPool, Linear<4, 3>), f64>();
        let maps: Tensor<Rank4<1, 2, 6, 6>, f64, _> = dev.sample_uniform();
        let whole = head.forward(blocks.forward(maps.clone())).as_vec();
        let ours = logits(&maps.as_vec(), 6, &head.1.weight.as_vec(), &head.1.bias.as_vec());
        assert_eq!(ours.len(), 3);
        for (ours, whole) in ours.iter().zip(&whole) {
            assert!((ours - whole).abs() < 1e-12, "{ours} and {whole}");
        }
    }

    #[test]
    fn solution_is_the_network() {
        check(super::solution::logits);
    }

    #[test]
    #[should_panic(expected = " and ")]
    fn halving_does_not_average() {
        check(|maps, side, weights, bias| {
            let mean = |map: &[f64]| map.iter().sum::<f64>() / map.len() as f64;
            let means: Vec<f64> = maps.chunks(side * side).map(mean).collect();
            let class = |row: &[f64]| row.iter().zip(&means).map(|(w, mean)| w * mean).sum::<f64>();
            weights.chunks(2 * means.len()).zip(bias).map(|(row, bias)| class(row) + bias).collect()
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::logits);
    }
}
