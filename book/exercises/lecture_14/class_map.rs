//! # A map for each class
//!
//! Some networks end in the mean of each map and one linear layer. There a class has a map of its own: the sum of the last
//! maps, each with the class's weight. It was drawn before Grad-CAM was invented.
//!
//! Write it: `maps` are the last maps one after the other, each of `area` places, `weights` the row of the linear layer for
//! the class. Then say what Grad-CAM gives for such a network, and why it needs no gradient here.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The class's map, `area` numbers.
    pub fn class_map(maps: &[f64], weights: &[f64], area: usize) -> Vec<f64> {
        todo!("{} maps of {area} places for {} weights", maps.len(), weights.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The logit is $y_c = b_c + \sum_k w_{c,k} \cdot \frac1Z \sum_{i} A_{k,i}$ with $Z$ places, so
    //! $\partial y_c / \partial A_{k,i} = w_{c,k} / Z$ at every place, and their mean is $\alpha_k = w_{c,k} / Z$. Grad-CAM is
    //! the class's map divided by $Z$, with negative places cut off: the same picture.
    //!
    //! The usual mistake is to forget that the mean divides by $Z$, and to find the two maps different.

    // ANCHOR: solution
    /// The class's map, `area` numbers.
    pub fn class_map(maps: &[f64], weights: &[f64], area: usize) -> Vec<f64> {
        let mut sum = vec![0.0; area];
        for (map, weight) in maps.chunks(area).zip(weights) {
            sum.iter_mut().zip(map).for_each(|(sum, value)| *sum += weight * value);
        }
        sum
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::{Cpu, DeviceBuildExt, SampleTensor, Tensor};
    use layers::builders::{GlobalAvgPool, Linear};

    fn check(class_map: fn(&[f64], &[f64], usize) -> Vec<f64>) {
        let dev = Cpu::seed_from_u64(0);
        let head = dev.build_module::<(GlobalAvgPool, Linear<3, 2>), f64>();
        let maps: Tensor<dfdx::prelude::Rank4<1, 3, 4, 4>, f64, _> = dev.sample_normal();
        let cam = convnets::explain::grad_cam(&layers::builders::Identity, &head, &maps, 1).unwrap();
        let ours = class_map(&maps.as_vec(), &head.1.weight.as_vec()[3..], 16);
        assert_eq!(ours.len(), 16);
        assert!(ours.iter().any(|value| *value < 0.0), "a place that speaks against the class");
        for (ours, cam) in ours.iter().zip(&cam.map) {
            assert!((ours.max(0.0) / 16.0 - cam).abs() < 1e-12, "{ours} and {cam}");
        }
    }

    #[test]
    fn solution_is_grad_cam() {
        check(super::solution::class_map);
    }

    #[test]
    #[should_panic(expected = " and ")]
    fn the_mean_divides_once() {
        check(|maps, weights, area| {
            let map = super::solution::class_map(maps, weights, area);
            map.into_iter().map(|value| value / area as f64).collect()
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::class_map);
    }
}
