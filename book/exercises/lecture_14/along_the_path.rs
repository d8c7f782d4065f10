//! # Along the path
//!
//! A logit that is quadratic in two pixels, $y = a x_1 x_2 + c\, x_1^2$, has a gradient that changes along the way from a black
//! picture. Gradient × input adds up to $2 y$: twice what the picture brings.
//!
//! Write integrated gradients by the midpoint rule for any function: `gradient` gives its slopes, `from` and `to` are the
//! pictures at the ends. How many steps does the quadratic logit need?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// What each pixel adds on the way.
    pub fn path(gradient: &dyn Fn(&[f64]) -> Vec<f64>, from: &[f64], to: &[f64], steps: usize) -> Vec<f64> {
        todo!("{} slopes, {} pixels, {steps}", gradient(from).len(), to.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The slopes are asked for in the middle of each of the `steps` parts, averaged, and multiplied by the way. The slope of a
    //! quadratic function is linear along a line, and its mean is the slope in the middle: one step is exact. In general the
    //! error falls with the square of the steps.
    //!
    //! The usual mistake is to ask at the beginning of each part: then the slopes of the black picture count too much, and the
    //! error falls only with the number of steps.

    // ANCHOR: solution
    /// What each pixel adds on the way.
    pub fn path(gradient: &dyn Fn(&[f64]) -> Vec<f64>, from: &[f64], to: &[f64], steps: usize) -> Vec<f64> {
        let mut sum = vec![0.0; from.len()];
        for step in 0..steps {
            let at = (step as f64 + 0.5) / steps as f64;
            let point: Vec<f64> = from.iter().zip(to).map(|(from, to)| from + at * (to - from)).collect();
            sum.iter_mut().zip(gradient(&point)).for_each(|(sum, slope)| *sum += slope / steps as f64);
        }
        sum.iter().zip(from.iter().zip(to)).map(|(slope, (from, to))| slope * (to - from)).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::explain;
    use dfdx::prelude::{Cpu, DeviceBuildExt, Rank4, SampleTensor, Tensor, TensorFromVec};
    use layers::builders::{Flatten, Linear, Tanh};

    type Path = fn(&dyn Fn(&[f64]) -> Vec<f64>, &[f64], &[f64], usize) -> Vec<f64>;
    type Picture = Tensor<Rank4<1, 1, 2, 3>, f64, Cpu>;

    fn check(path: Path) {
        // y = 3 x₁ x₂ + 2 x₁²: from nothing to (0.5, -1) it falls by 1, all of it by the two pixels together.
        let slopes = |x: &[f64]| vec![3.0 * x[1] + 4.0 * x[0], 3.0 * x[0]];
        let map = path(&slopes, &[0.0, 0.0], &[0.5, -1.0], 1);
        assert!((map[0] + 0.25).abs() < 1e-12 && (map[1] + 0.75).abs() < 1e-12, "one step is exact: {map:?}");
        // A network: the crate's map.
        let dev = Cpu::seed_from_u64(0);
        let model = dev.build_module::<(Flatten, Linear<6, 5, Tanh>, Linear<5, 2>), f64>();
        let [from, to]: [Picture; 2] = [dev.sample_normal(), dev.sample_normal()];
        let gradient = |x: &[f64]| {
            let x: Picture = dev.tensor_from_vec(x.to_vec(), Default::default());
            explain::gradient(&model, &x, 1).unwrap().as_vec()
        };
        for steps in [1, 4, 7] {
            let found = explain::integrated_gradients(&model, &to, &from, 1, steps).unwrap().as_vec();
            let ours = path(&gradient, &from.as_vec(), &to.as_vec(), steps);
            for (ours, found) in ours.iter().zip(&found) {
                assert!((ours - found).abs() < 1e-12, "{ours} and {found}");
            }
        }
    }

    #[test]
    fn solution_is_integrated_gradients() {
        check(super::solution::path);
    }

    #[test]
    #[should_panic(expected = "one step is exact: [0.0, -0.0]")]
    fn the_beginning_is_not_the_middle() {
        check(|gradient, from, to, steps| {
            let mut sum = vec![0.0; from.len()];
            for step in 0..steps {
                let at = step as f64 / steps as f64;
                let point: Vec<f64> = from.iter().zip(to).map(|(from, to)| from + at * (to - from)).collect();
                sum.iter_mut().zip(gradient(&point)).for_each(|(sum, slope)| *sum += slope / steps as f64);
            }
            sum.iter().zip(from.iter().zip(to)).map(|(slope, (from, to))| slope * (to - from)).collect()
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::path);
    }
}
