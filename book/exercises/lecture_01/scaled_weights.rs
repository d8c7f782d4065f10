//! # Scaled weights
//!
//! *By hand.* Multiply every weight and every bias of a network by the same number $c > 0$.
//!
//! 1. Show that a network of perceptrons computes the same function as before, for every $c$.
//! 2. Let the neurons be sigmoid neurons instead. Show that for $c \to \infty$ the network computes what the
//!    perceptrons compute, provided that no vote $w \cdot x + b$ in the perceptron network is exactly 0 for
//!    the input in question.
//! 3. What goes wrong with a neuron whose vote is exactly 0?

pub mod solution {
    //! 1. A perceptron looks at the sign of $w \cdot x + b$ only, and $c\,(w \cdot x + b)$ has the same sign.
    //!    So the first layer answers as before, the second layer gets the same inputs as before, and so on:
    //!    induction over the layers.
    //! 2. A sigmoid neuron answers $\sigma(c z)$. For $z > 0$ this tends to 1, for $z < 0$ to 0, as
    //!    $c \to \infty$: the perceptron's answer. For the next layer use continuity: its inputs come as
    //!    close as we like to those of the perceptron network, so each of its votes comes as close as we like
    //!    to a number that is not 0, and has its sign from some $c$ on. Induction again.
    //! 3. $\sigma(c \cdot 0) = \tfrac12$ for every $c$, while the perceptron answers 0. The next layer gets
    //!    $\tfrac12$, an input that the perceptron network never sees.
    //!
    //! The usual mistake is to stop after one neuron. In a deeper layer the inputs change with $c$ as well,
    //! so the vote is not $c\,z$ with a fixed $z$, and an argument about limits of the *inputs* is needed.
    //! The function below shows the limit on the half adder.

    // ANCHOR: solution
    use optim::logic;

    /// How far the half adder made of sigmoid neurons is from the half adder made of perceptrons:
    /// the largest difference over all inputs and outputs.
    pub fn distance(c: f64) -> f64 {
        let adder = logic::half_adder();
        let mut largest = 0.0_f64;
        for (a, b) in [(false, false), (false, true), (true, false), (true, true)] {
            let exact = adder.evaluate([a, b]);
            let smooth = adder.evaluate_sigmoid([a, b].map(|bit| f64::from(u8::from(bit))), c);
            for (exact, smooth) in exact.iter().zip(smooth) {
                largest = largest.max((f64::from(u8::from(*exact)) - smooth).abs());
            }
        }
        largest
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use super::solution::distance;
    use optim::nielsen::sigmoid;

    #[test]
    fn the_sigmoid_network_tends_to_the_perceptron_network() {
        // All votes of the half adder are odd integers, so at least 1 in size: the last gate is off by about σ(-c).
        assert!(distance(1.0) > 0.2, "c = 1 is still a blur: {}", distance(1.0));
        for c in [8.0, 16.0, 32.0] {
            let limit = 1.5 * sigmoid(-c);
            assert!(distance(c) < limit, "c = {c}: {} ≥ {limit}", distance(c));
        }
    }

    #[test]
    fn a_vote_of_zero_stays_in_the_middle() {
        for c in [1.0, 1e3, 1e6] {
            assert_eq!(sigmoid(c * 0.0), 0.5);
        }
    }
}
