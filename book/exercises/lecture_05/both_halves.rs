//! # Nothing thrown away
//!
//! *By hand, then in code.* A rectifier throws one half of its input away, and He's rule pays for it with weights of
//! variance 2 over the number of inputs. A concatenated rectifier turns $n$ votes into the $2n$ features $\max(x, 0)$
//! and $\max(-x, 0)$. Which variance of the weights that read these $2n$ features keeps the mean square of the votes?
//! And which weights make the next layer linear?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The variance of the weights behind a concatenated rectifier of so many votes.
    pub fn variance(votes: usize) -> f64 {
        todo!("the mean square of 2 x {votes} features")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! In every pair one feature is 0 and the other is $\lvert x\rvert$: the squares of the $2n$ features sum to that
    //! of the $n$ votes. So $\sigma^2 \sum_j h_j^2 = \sigma^2 n q = q$, and $\sigma^2 = 1/n$. He's rule for $2n$
    //! inputs says the same, $2/(2n)$. With the weights $w$ and $-w$ on the two halves the layer computes $w\cdot x$:
    //! a network of such layers starts linear if you wish, and no unit of it can die.
    //!
    //! The usual mistake is $2/n$, He's rule for the number of votes. The mean square then doubles in every layer.

    // ANCHOR: solution
    /// The variance of the weights behind a concatenated rectifier of so many votes.
    pub fn variance(votes: usize) -> f64 {
        1.0 / votes as f64
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use layers::prelude::*;
    use optim::architecture::crelu::CRelu;

    fn check(variance: fn(usize) -> f64) {
        let dev = Cpu::seed_from_u64(3);
        let crelu = dev.build_module::<CRelu, f64>();
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let x: Tensor<Rank2<8, 400>, f64, _> = dev.sample_normal();
        let mut votes = x * 1.7;
        let start = square(&votes.as_vec());
        for layer in 1..=4 {
            let features: Tensor<Rank2<8, 800>, f64, _> = crelu.forward(votes.clone());
            assert!((2.0 * square(&features.as_vec()) / square(&votes.as_vec()) - 1.0).abs() < 1e-12);
            let weights: Tensor<Rank2<800, 400>, f64, _> = dev.sample_normal();
            votes = features.matmul(weights * variance(400).sqrt());
            let grown = square(&votes.as_vec()) / start;
            assert!((0.7..1.4).contains(&grown), "layer {layer}: the mean square is {grown} of the first");
        }
    }

    #[test]
    fn solution_keeps_the_mean_square() {
        check(super::solution::variance);
    }

    #[test]
    #[should_panic = "2 x 400 features"]
    fn task_is_open() {
        check(super::task::variance);
    }

    #[test]
    #[should_panic = "layer 1: the mean square"]
    fn the_rule_of_he_for_the_votes_doubles_it() {
        check(|votes| 2.0 / votes as f64);
    }
}
