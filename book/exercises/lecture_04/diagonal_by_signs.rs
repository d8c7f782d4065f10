//! # A diagonal from products alone
//!
//! *In code.* A product $Hz$ with the Hessian of a model costs two gradients; the diagonal of $H$ would take as many
//! products as there are weights. Or a few, and chance: let every entry of $z$ be $+1$ or $-1$ with equal
//! probability. Find a function of $z$ and $Hz$ whose mean is the diagonal, and say what is left of the error after
//! one draw. Directions and products are models of the same type as the network.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use dfdx::prelude::Cpu;
    use layers::modules::Linear;

    /// Two inputs, one output.
    pub type Net = Linear<2, 1, f64, Cpu>;

    /// The mean over the models `signs` of an estimate of H's diagonal; `product(z)` is Hz.
    pub fn diagonal(signs: &[Net], product: &dyn Fn(&Net) -> Net) -> Vec<f64> {
        todo!("layers::params::flatten gives the weights of each of {} models", signs.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $z_i (Hz)_i = H_{ii} z_i^2 + \sum_{j\ne i} H_{ij} z_i z_j$. Signs have $z_i^2 = 1$ exactly and
    //! $E z_i z_j = 0$, so the mean is $H_{ii}$ and the error of one draw is what stands beside the diagonal: nothing
    //! for a diagonal matrix. The sum over $i$ estimates the trace in the same way (Hutchinson 1990).
    //!
    //! The usual mistake is one product with a vector of ones. It gives the sums of the rows, which are the diagonal
    //! only if nothing stands beside it, and no number of repetitions helps.

    // ANCHOR: solution
    use dfdx::prelude::Cpu;
    use layers::{modules::Linear, params::flatten};

    /// Two inputs, one output.
    pub type Net = Linear<2, 1, f64, Cpu>;

    /// The mean over the models `signs` of an estimate of H's diagonal; `product(z)` is Hz.
    pub fn diagonal(signs: &[Net], product: &dyn Fn(&Net) -> Net) -> Vec<f64> {
        let mut sum = Vec::new();
        for z in signs {
            let (z, image): (Vec<f64>, Vec<f64>) = (flatten(z), flatten(&product(z)));
            sum.resize(z.len(), 0.0);
            sum.iter_mut().zip(z.iter().zip(image)).for_each(|(sum, (z, hz))| *sum += z * hz);
        }
        sum.into_iter().map(|sum| sum / signs.len() as f64).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::solution::Net;
    use layers::{Along, Dual, params, prelude::*};
    use optim::autodiff::hessian_times_model;

    fn check(diagonal: fn(&[Net], &dyn Fn(&Net) -> Net) -> Vec<f64>) {
        let dev = Cpu::default();
        let model = dev.build_module::<builders::Linear<2, 1>, f64>();
        let x = dev.tensor([[1.0, 2.0], [3.0, -1.0]]);
        let product = |z: &Net| {
            hessian_times_model(&model, z, |model, z| {
                model.along(z, Dual::constant(x.leaky_trace())).mse_mean(dev.tensor([[0.5], [1.0]]))
            })
            .unwrap()
        };
        let all = (0..8).map(|signs| {
            let z: Vec<f64> = (0..3).map(|i| if signs >> i & 1 == 1 { 1.0 } else { -1.0 }).collect();
            let mut direction = model.clone();
            params::unflatten(&mut direction, &z).unwrap();
            direction
        });
        let signs: Vec<Net> = all.collect();
        let got = diagonal(&signs, &product);
        // Twice the mean square of each input, 1 for the bias.
        for (got, want) in got.iter().zip([10.0, 5.0, 2.0]) {
            assert!((got - want).abs() < 1e-12, "{got} on the diagonal, not {want}");
        }
    }

    #[test]
    fn solution_is_exact_over_all_signs() {
        check(super::solution::diagonal);
    }

    #[test]
    #[should_panic = "each of 8 models"]
    fn task_is_open() {
        check(super::task::diagonal);
    }

    #[test]
    #[should_panic = "on the diagonal, not"]
    fn ones_give_the_sums_of_rows() {
        check(|signs, product| params::flatten(&product(&signs[7])));
    }
}
