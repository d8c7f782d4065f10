//! # A steady climb
//!
//! Ascent on $y_c(I) - \lambda \lVert I \rVert^2$ moves the picture by $\eta$ times the gradient. For a class whose logit is
//! linear in the picture, $y_c = w \cdot I + b$, you can say without climbing where it is after `steps` steps: at `w`, $\eta$,
//! $\lambda$ and the start alone.
//!
//! Write it, one number for each pixel. Then say for which $\eta$ the ascent arrives at all.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The picture after so many steps.
    pub fn climbed(start: &[f64], weights: &[f64], rate: f64, decay: f64, steps: u32) -> Vec<f64> {
        todo!("{} pixels, {} weights, {rate}, {decay}, {steps}", start.len(), weights.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A step is $I \leftarrow I + \eta (w - 2 \lambda I)$. The top is where nothing moves, $I^* = w / 2\lambda$, and the distance
    //! from it shrinks by the same factor in each step: $I_n - I^* = (1 - 2 \eta \lambda)^n (I_0 - I^*)$. It arrives for
    //! $0 < \eta < 1/\lambda$, in one step for $\eta = 1 / 2\lambda$, and flies off beyond.
    //!
    //! The usual mistake is to drop the 2 of the square's derivative, and to find the picture twice as bright.

    // ANCHOR: solution
    /// The picture after so many steps.
    pub fn climbed(start: &[f64], weights: &[f64], rate: f64, decay: f64, steps: u32) -> Vec<f64> {
        let left = (1.0 - 2.0 * rate * decay).powi(steps as i32);
        let pixel = |(start, weight): (&f64, &f64)| {
            let top = weight / (2.0 * decay);
            top + left * (start - top)
        };
        start.iter().zip(weights).map(pixel).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::features::{Ascent, maximise};
    use dfdx::prelude::{Cpu, DeviceBuildExt, Rank4, SampleTensor, Tensor};
    use kernels::random::Key;
    use layers::builders::{Flatten, Linear};

    fn check(climbed: fn(&[f64], &[f64], f64, f64, u32) -> Vec<f64>) {
        let dev = Cpu::seed_from_u64(0);
        let model = dev.build_module::<(Flatten, Linear<6, 3>), f64>();
        let start: Tensor<Rank4<1, 1, 2, 3>, f64, _> = dev.sample_normal();
        let weights = &model.1.weight.as_vec()[6..12];
        for (rate, decay, steps) in [(0.1, 0.5, 1), (0.1, 0.5, 7), (0.3, 2.0, 4), (0.8, 1.5, 5)] {
            let ascent = Ascent {
                steps: steps as usize,
                learning_rate: rate,
                decay,
                jitter: 0,
                key: Key::new(0),
            };
            let found = maximise(&model, &start, 1, ascent).unwrap().image.as_vec();
            let ours = climbed(&start.as_vec(), weights, rate, decay, steps);
            assert_eq!(ours.len(), 6);
            for (ours, found) in ours.iter().zip(&found) {
                assert!((ours - found).abs() < 1e-11 * (1.0 + found.abs()), "{ours} and {found}");
            }
        }
    }

    #[test]
    fn solution_is_the_ascent() {
        check(super::solution::climbed);
    }

    #[test]
    #[should_panic(expected = " and ")]
    fn a_square_has_the_slope_2() {
        check(|start, weights, rate, decay, steps| {
            super::solution::climbed(start, weights, rate, decay / 2.0, steps)
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::climbed);
    }
}
