//! # A normalisation for nothing
//!
//! In evaluation a batch normalisation multiplies each map by a number and adds another. A convolution in front of it, which
//! has no bias of its own then, can do that itself, so that a trained network loses a layer and no answer.
//!
//! Write it: `weights` are the kernels of the convolution, output by output, `taps` numbers for each; `norm` holds the
//! gain, the offset, the running mean and the running variance of each output. Give the weights and the biases of the one
//! layer that does both.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Weights and biases of the convolution that normalises.
    pub fn fold(
        weights: &[f64],
        taps: usize,
        norm: [&[f64]; 4],
        epsilon: f64,
    ) -> (Vec<f64>, Vec<f64>) {
        todo!("{} weights of {taps} taps, {} maps, {epsilon}", weights.len(), norm[0].len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The normalisation computes $\gamma (z - \mu) / \sqrt{v + \epsilon} + \beta$ of $z = w \cdot x$. With
    //! $s = \gamma / \sqrt{v + \epsilon}$ that is $(s w) \cdot x + (\beta - s \mu)$: a convolution is linear in its weights.
    //!
    //! The usual mistake is to fold in training: there mean and variance are those of the batch, and depend on $w$. Another
    //! is to fold behind a rectifier, which is not linear.

    // ANCHOR: solution
    /// Weights and biases of the convolution that normalises.
    pub fn fold(
        weights: &[f64],
        taps: usize,
        norm: [&[f64]; 4],
        epsilon: f64,
    ) -> (Vec<f64>, Vec<f64>) {
        let [gains, offsets, means, variances] = norm;
        let scales: Vec<f64> = gains
            .iter()
            .zip(variances)
            .map(|(gain, variance)| gain / (variance + epsilon).sqrt())
            .collect();
        let kernels = weights.chunks(taps).zip(&scales);
        let folded =
            kernels.flat_map(|(kernel, scale)| kernel.iter().map(move |weight| weight * scale));
        let biases = offsets
            .iter()
            .zip(means)
            .zip(&scales)
            .map(|((offset, mean), scale)| offset - mean * scale);
        (folded.collect(), biases.collect())
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::{Cpu, DeviceBuildExt, Module, Rank4, SampleTensor, Tensor};
    use layers::builders::{BatchNorm2D, Conv2D, UnbiasedConv2D};

    type Fold = fn(&[f64], usize, [&[f64]; 4], f64) -> (Vec<f64>, Vec<f64>);

    fn check(fold: Fold) {
        let dev = Cpu::seed_from_u64(0);
        let mut two = dev.build_module::<(UnbiasedConv2D<2, 3, 3>, BatchNorm2D<3>), f64>();
        let numbers = [[0.5, -2.0, 1.0], [1.0, 0.0, -0.7], [0.3, -0.2, 2.0], [0.1, 4.0, 1e-4]];
        let [gains, offsets, means, variances] = &numbers;
        two.1.weight.copy_from(gains);
        two.1.bias.copy_from(offsets);
        two.1.running_mean.copy_from(means);
        two.1.running_var.copy_from(variances);
        let norm = [&gains[..], offsets, means, variances];
        let (weights, biases) = fold(&two.0.weight.as_vec(), 2 * 9, norm, two.1.epsilon);
        let mut one = dev.build_module::<Conv2D<2, 3, 3>, f64>();
        one.weight.copy_from(&weights);
        one.bias.copy_from(&biases);
        let x: Tensor<Rank4<2, 2, 6, 5>, f64, _> = dev.sample_normal();
        let (one, two) = (one.forward(x.clone()).as_vec(), two.forward(x).as_vec());
        for (one, two) in one.iter().zip(&two) {
            assert!((one - two).abs() < 1e-11 * (1.0 + two.abs()), "{one} and {two}");
        }
    }

    #[test]
    fn solution_is_both_layers() {
        check(super::solution::fold);
    }

    #[test]
    #[should_panic(expected = " and ")]
    fn the_mean_is_scaled_too() {
        check(|weights, taps, norm, epsilon| {
            let (folded, _) = super::solution::fold(weights, taps, norm, epsilon);
            let [_, offsets, means, _] = norm;
            (folded, offsets.iter().zip(means).map(|(offset, mean)| offset - mean).collect())
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::fold);
    }
}
