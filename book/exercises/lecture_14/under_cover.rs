//! # Under cover
//!
//! Covering asks by how much a logit falls when a square of the picture gets the value `fill`. It costs one forward pass for
//! each place of the square. For a logit that is linear in the picture, $y = w \cdot x + b$, no pass is needed.
//!
//! Write the map of all drops: `weights` and `pixels` row by row, `side` pixels in a row, a square of `window` pixels that
//! moves by one. Then say which map without squares it comes from.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// By how much the logit falls for each place of the square, row by row.
    pub fn drops(weights: &[f64], pixels: &[f64], side: usize, window: usize, fill: f64) -> Vec<f64> {
        todo!("{} weights, {} pixels, {side}, {window}, {fill}", weights.len(), pixels.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A covered pixel moves the logit by $w_i (f - x_i)$, so the logit falls by the sum of $w_i (x_i - f)$ over the square.
    //! That is gradient × input, with the picture measured from the fill, behind a convolution with a window of ones: the
    //! larger the square, the more it blurs. For a network that is not linear both maps differ, and covering sees what
    //! happens far from the picture, not only at it.
    //!
    //! The usual mistake is to forget the fill: only a black cover takes away $w_i x_i$.

    // ANCHOR: solution
    /// By how much the logit falls for each place of the square, row by row.
    pub fn drops(weights: &[f64], pixels: &[f64], side: usize, window: usize, fill: f64) -> Vec<f64> {
        let share = |at: usize| weights[at] * (pixels[at] - fill);
        let (rows, places) = (pixels.len() / side, side + 1 - window);
        let below = |top: usize, left: usize| {
            (0..window * window).map(|i| share((top + i / window) * side + left + i % window)).sum()
        };
        (0..rows + 1 - window)
            .flat_map(|top| (0..places).map(move |left| (top, left)))
            .map(|(t, l)| below(t, l))
            .collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::explain::{self, Cover};
    use dfdx::prelude::{Cpu, DeviceBuildExt, Rank4, SampleTensor, Tensor};
    use layers::builders::{Flatten, Linear};

    fn check(drops: fn(&[f64], &[f64], usize, usize, f64) -> Vec<f64>) {
        let dev = Cpu::seed_from_u64(0);
        let model = dev.build_module::<(Flatten, Linear<20, 3>), f64>();
        let image: Tensor<Rank4<1, 1, 4, 5>, f64, _> = dev.sample_normal();
        let weights = &model.1.weight.as_vec()[40..];
        for (window, fill) in [(1, 0.0), (2, 0.0), (2, 0.7), (3, -0.2)] {
            let cover = Cover { window, stride: 1, fill };
            let found = explain::occlusion(&model, &image, 2, cover).unwrap().concat();
            let ours = drops(weights, &image.as_vec(), 5, window, fill);
            assert_eq!(ours.len(), found.len());
            for (ours, found) in ours.iter().zip(&found) {
                assert!((ours - found).abs() < 1e-12, "{ours} and {found}");
            }
        }
    }

    #[test]
    fn solution_is_occlusion() {
        check(super::solution::drops);
    }

    #[test]
    #[should_panic(expected = " and ")]
    fn a_grey_cover_is_no_black_one() {
        check(|weights, pixels, side, window, _| super::solution::drops(weights, pixels, side, window, 0.0));
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::drops);
    }
}
