//! # A bitwise output layer
//!
//! Ten outputs for ten digits are a luxury; four bits would do. Add a layer of four sigmoid neurons behind
//! the ten outputs that writes the digit as a binary number: neuron $j$ answers 1 if bit $j$ of the digit is
//! set ($j = 0$ is the lowest).
//!
//! Assume that the output of the right digit is at least $1 - \epsilon$ and that the nine others are at most
//! $\epsilon = 0.01$. Find weights and biases such that under this assumption every bit that is set comes out at
//! $1 - \epsilon$ or more, and every other bit at $\epsilon$ or less. No training is needed.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Weights, one row of ten per bit, and biases of the layer that turns ten
    /// activations into four bits.
    pub fn bitwise_layer() -> ([[f64; 10]; 4], [f64; 4]) {
        todo!("which digits should speak for bit j?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Digit $d$ votes for bit $j$ if that bit of $d$ is set: weight $s$ if so and 0 otherwise, with bias
    //! $-s/2$. If the bit is set, the vote is at least $0.99\,s - s/2 = 0.49\,s$. If it is not, the at most
    //! five digits that have the bit contribute $0.01\,s$ each, and the vote is at most
    //! $0.05\,s - s/2 = -0.45\,s$. With $s = 20$ the answers are $\sigma(9.8)$ or more and $\sigma(-9)$ or
    //! less.
    //!
    //! The usual mistake is to leave the bias at 0. Then the votes for a 0, which sets no bit, are 0 or a little
    //! more, and all four neurons answer one half or more: a threshold has to lie between the two cases.

    // ANCHOR: solution
    /// Weights, one row of ten per bit, and biases of the layer that turns ten
    /// activations into four bits.
    pub fn bitwise_layer() -> ([[f64; 10]; 4], [f64; 4]) {
        const STRENGTH: f64 = 20.0;
        let weight = |bit: usize, digit: usize| if digit >> bit & 1 == 1 { STRENGTH } else { 0.0 };
        let weights = std::array::from_fn(|bit| std::array::from_fn(|digit| weight(bit, digit)));
        (weights, [-STRENGTH / 2.0; 4])
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::nielsen::sigmoid;

    /// The votes are linear, so that the worst case lies in a corner of what is assumed: all 2^10 corners for each digit.
    fn check(layer: fn() -> ([[f64; 10]; 4], [f64; 4])) {
        let (weights, biases) = layer();
        for digit in 0..10_usize {
            for corner in 0..1 << 10 {
                let activation: [f64; 10] = std::array::from_fn(|i| {
                    let high = corner >> i & 1 == 1;
                    match (i == digit, high) {
                        (true, true) => 1.0,
                        (true, false) => 0.99,
                        (false, true) => 0.01,
                        (false, false) => 0.0,
                    }
                });
                for bit in 0..4 {
                    let vote: f64 = weights[bit].iter().zip(activation).map(|(w, a)| w * a).sum();
                    let answer = sigmoid(vote + biases[bit]);
                    let is_set = digit >> bit & 1 == 1;
                    assert!(
                        if is_set { answer >= 0.99 } else { answer <= 0.01 },
                        "digit {digit}, bit {bit}, activations {activation:?}: {answer}"
                    );
                }
            }
        }
    }

    #[test]
    fn solution_writes_every_digit_in_binary() {
        check(super::solution::bitwise_layer);
    }

    #[test]
    #[should_panic = "which digits should speak"]
    fn task_is_open() {
        check(super::task::bitwise_layer);
    }

    #[test]
    #[should_panic = "digit 0, bit 0"]
    fn without_a_bias_zero_is_undecided() {
        check(|| (super::solution::bitwise_layer().0, [0.0; 4]));
    }
}
