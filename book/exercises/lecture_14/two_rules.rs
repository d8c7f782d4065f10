//! # Two rules for one rectifier
//!
//! The gradient passes a ReLU where its input is positive. The deconvnet asks whether the *gradient* is positive, guided
//! backpropagation asks both.
//!
//! Write the three backward passes of a layer of ReLUs: `inputs` and `slopes`, the gradients that come from above, give the
//! gradients that go on. Then say what the deconvnet's map has to do with the picture if the network has no pooling.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The gradients that go on: by the gradient's own rule, by the deconvnet's, by guided backpropagation's.
    pub fn passed(inputs: &[f64], slopes: &[f64]) -> [Vec<f64>; 3] {
        todo!("{} inputs, {} slopes", inputs.len(), slopes.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Each rule is a mask. The deconvnet's does not look at the inputs: without pooling, whose switches remember where a maximum
    //! was, its map is the same for every picture, since all that it then uses are the weights and the class. Guided
    //! backpropagation looks at the inputs, and so follows the edges of the picture.
    //!
    //! The usual mistake is to take the ReLU of the product of gradient and mask at the end: what is negative has to go at every
    //! layer, or two negative ways make a positive one.

    // ANCHOR: solution
    /// The gradients that go on: by the gradient's own rule, by the deconvnet's, by guided backpropagation's.
    pub fn passed(inputs: &[f64], slopes: &[f64]) -> [Vec<f64>; 3] {
        let by = |passes: fn(f64, f64) -> bool| {
            inputs
                .iter()
                .zip(slopes)
                .map(|(x, slope)| if passes(*x, *slope) { *slope } else { 0.0 })
                .collect()
        };
        [by(|x, _| x > 0.0), by(|_, slope| slope > 0.0), by(|x, slope| x > 0.0 && slope > 0.0)]
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::explain::{self, DeconvRelu, GuidedRelu};
    use dfdx::prelude::{Cpu, DeviceBuildExt, Rank4, SampleTensor, Tensor};
    use layers::builders::{Flatten, Linear, Relu};
    use layers::params;

    type Net<A> = (Flatten, Linear<6, 8>, A, Linear<8, 5>, A, Linear<5, 2>);

    /// `slopes` times a matrix of `rows` rows.
    fn back(weights: &[f64], slopes: &[f64]) -> Vec<f64> {
        let columns = weights.len() / slopes.len();
        (0..columns)
            .map(|c| slopes.iter().enumerate().map(|(r, slope)| slope * weights[r * columns + c]).sum())
            .collect()
    }

    fn check(passed: fn(&[f64], &[f64]) -> [Vec<f64>; 3]) {
        let dev = Cpu::seed_from_u64(4);
        let net = dev.build_module::<Net<Relu>, f64>();
        let image: Tensor<Rank4<1, 1, 2, 3>, f64, _> = dev.sample_normal();
        let mut guided = dev.build_module::<Net<GuidedRelu>, f64>();
        let mut deconv = dev.build_module::<Net<DeconvRelu>, f64>();
        params::unflatten(&mut guided, &params::flatten(&net)).unwrap();
        params::unflatten(&mut deconv, &params::flatten(&net)).unwrap();
        let maps = [
            explain::gradient(&net, &image, 1).unwrap().as_vec(),
            explain::gradient(&deconv, &image, 1).unwrap().as_vec(),
            explain::gradient(&guided, &image, 1).unwrap().as_vec(),
        ];
        // The same by hand, from the last layer back.
        let apply = |weights: &[f64], bias: &[f64], x: &[f64]| -> Vec<f64> {
            let row = |(row, bias): (&[f64], &f64)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            weights.chunks(x.len()).zip(bias).map(row).collect()
        };
        let (w1, w2, w3) = (net.1.weight.as_vec(), net.3.weight.as_vec(), net.5.weight.as_vec());
        let first = apply(&w1, &net.1.bias.as_vec(), &image.as_vec());
        let rectified: Vec<f64> = first.iter().map(|x| x.max(0.0)).collect();
        let second = apply(&w2, &net.3.bias.as_vec(), &rectified);
        for (rule, map) in maps.iter().enumerate() {
            let slopes = passed(&second, &w3[5..])[rule].clone();
            let slopes = passed(&first, &back(&w2, &slopes))[rule].clone();
            for (ours, found) in back(&w1, &slopes).iter().zip(map) {
                assert!((ours - found).abs() < 1e-13, "rule {rule}: {ours} and {found}");
            }
        }
        assert_ne!(maps[0], maps[2]);
        assert_ne!(maps[1], maps[2]);
    }

    #[test]
    fn solution_is_the_crates_rules() {
        check(super::solution::passed);
    }

    #[test]
    #[should_panic(expected = "rule 2")]
    fn guided_asks_for_the_input_too() {
        check(|inputs, slopes| {
            let [gradient, deconvnet, _] = super::solution::passed(inputs, slopes);
            [gradient, deconvnet.clone(), deconvnet]
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::passed);
    }
}
