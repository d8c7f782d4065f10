//! # An activation that is trained as well
//!
//! *Open in its second part.* Swish is $z\,\sigma(\beta z)$: for $\beta = 0$ half the identity, for $\beta = 1$ SiLU, for
//! $\beta \to \infty$ the rectifier. Let $\beta$ be a parameter of the network. Derive $\partial/\partial\beta$ and write the
//! activation so that the tape passes gradients to both, $z$ and $\beta$. Then train it on digits (the tests do) and report
//! where $\beta$ ends when it starts at 1. Does it end elsewhere when it starts at a fifth or at 5? What does the loss say about
//! how much $\beta$ matters?

use dfdx::prelude::{Const, Cpu, NoneTape, OwnedTape, Rank0, Tensor};

/// Hidden units.
pub const HIDDEN: usize = 32;

/// Votes of the hidden units, a row for each example.
pub type Votes<T = NoneTape> = Tensor<(usize, Const<HIDDEN>), f64, Cpu, T>;

/// A single number that is trained.
pub type Beta = Tensor<Rank0, f64, Cpu>;

/// What is to be written.
pub mod task {
    use super::{Beta, OwnedTape, Votes};
    use dfdx::prelude::Cpu;

    // ANCHOR: task
    /// z σ(β z), with gradients to z and to β.
    pub fn swish(z: Votes<OwnedTape<f64, Cpu>>, beta: &Beta) -> Votes<OwnedTape<f64, Cpu>> {
        todo!("β needs a tape of its own")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\partial/\partial\beta\; z\,\sigma(\beta z) = z^2\,\sigma(\beta z)\,(1 - \sigma(\beta z))$: never negative. The tape
    //! has to see $z$ twice, once inside of the gate; `with_empty_tape` keeps the same tensor and so the same gradient.
    //! In our runs $\beta$ rises from 1 to nearly 2 in twenty passes, from a fifth nearly as far, and from 5, where the gate is
    //! nearly a step, it hardly moves; all three end at the same loss within the spread of the starts. The weights before the
    //! activation can scale $z$ and do what $\beta$ would, so it matters little here.
    //!
    //! The usual mistake is to write β as a number, `z.clone() * beta.array()`: the values are right, and $\beta$ never
    //! moves, because no tape has seen it.

    use super::{Beta, OwnedTape, Votes};
    use dfdx::prelude::*;

    // ANCHOR: solution
    /// z σ(β z), with gradients to z and to β.
    pub fn swish(z: Votes<OwnedTape<f64, Cpu>>, beta: &Beta) -> Votes<OwnedTape<f64, Cpu>> {
        let beta = beta.retaped::<OwnedTape<f64, Cpu>>().broadcast_like::<_, Axes2<0, 1>>(z.shape());
        let gate = (beta * z.with_empty_tape()).sigmoid();
        z * gate
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::{Beta, HIDDEN, Votes};
    use datasets::{Batches, digits};
    use dfdx::prelude::*;
    use kernels::{Silu, activate, cross_entropy_mean};
    use layers::{Sgd, SgdConfig, Step};

    type Swish = fn(Votes<OwnedTape<f64, Cpu>>, &Beta) -> Votes<OwnedTape<f64, Cpu>>;

    /// Values and both gradients.
    fn derivatives(swish: Swish) {
        let dev = Cpu::seed_from_u64(0);
        let z: Votes = dev.sample_normal_like(&(7, Const));
        let beta = |value: f64| -> Beta { dev.tensor(value) };
        let silu = activate(z.clone(), Silu).as_vec();
        let ours = swish(z.leaky_trace(), &beta(1.0)).as_vec();
        assert!(ours.iter().zip(silu).all(|(ours, silu)| (ours - silu).abs() < 1e-14), "β = 1 is SiLU");
        for at in [0.2, 1.0, 3.0] {
            let given = beta(at);
            let mut gradients = swish(z.leaky_trace(), &given).sum::<Rank0, _>().backward();
            let total = |beta: &Beta, z: &Votes| swish(z.leaky_trace(), beta).sum::<Rank0, _>().array();
            let slope = (total(&beta(at + 1e-5), &z) - total(&beta(at - 1e-5), &z)) / 2e-5;
            let got = gradients.get_or_alloc_mut(&given).unwrap()[0];
            assert!((got - slope).abs() < 1e-7, "β = {at}: gradient by β {got}, slope {slope}");
            let by_z = gradients.get(&z).as_vec().iter().sum::<f64>();
            let slope = (total(&given, &(z.clone() + 1e-5)) - total(&given, &(z.clone() - 1e-5))) / 2e-5;
            assert!((by_z - slope).abs() < 1e-7, "β = {at}: gradient by z {by_z}, slope {slope}");
        }
    }

    /// Trains a network of digits for twenty passes: β at the end, and the mean loss of the last pass.
    fn trained(swish: Swish, start: f64, seed: u64) -> (f64, f64) {
        let dev = Cpu::seed_from_u64(seed);
        let images = digits().permuted(0);
        let mut net = dev.build_module::<(Linear<64, HIDDEN>, Linear<HIDDEN, 10>), f64>();
        let mut sgd = Sgd::try_new(&net, SgdConfig { learning_rate: 0.2, ..Default::default() }).unwrap();
        let mut beta: Beta = dev.tensor(start);
        let mut last = Vec::new();
        for epoch in 0..20 {
            last.clear();
            for rows in Batches::new(600, 50_usize, seed).epoch(epoch) {
                let x: Tensor<(usize, Const<64>), f64, _> = images.flat_batch(&rows, &dev);
                let labels = images.batch_labels(&rows);
                let hidden = swish(net.0.forward(x.leaky_trace()), &beta);
                let loss = cross_entropy_mean(net.1.forward(hidden), &labels);
                last.push(loss.array());
                let mut gradients = loss.backward();
                let slope = gradients.get(&beta).array();
                sgd.step(&mut net, &mut gradients).unwrap();
                beta = dev.tensor(beta.array() - 0.2 * slope);
            }
        }
        (beta.array(), last.iter().sum::<f64>() / last.len() as f64)
    }

    fn check(swish: Swish) {
        derivatives(swish);
        for seed in 0..3 {
            let (beta, loss) = trained(swish, 1.0, seed);
            // An independent program, six other starts: 1.86 to 1.95, and a loss of 0.19 to 0.21.
            assert!(beta > 1.5 && loss < 0.3, "seed {seed}: β ends at {beta:.3}, the loss at {loss:.3}");
        }
    }

    #[test]
    fn solution_trains_its_beta() {
        check(super::solution::swish);
    }

    #[test]
    #[should_panic = "gradient by β"]
    fn a_number_is_not_trained() {
        check(|z, beta| {
            let gate = (z.with_empty_tape() * beta.array()).sigmoid();
            z * gate
        });
    }

    #[test]
    #[should_panic = "a tape of its own"]
    fn task_is_open() {
        check(super::task::swish);
    }
}
