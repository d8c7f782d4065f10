//! Perceptrons as logic gates, circuits made of them, and exclusive or, which no single perceptron can compute.
//!
//! A perceptron with weights (−2, −2) and bias 3 fires unless both of its inputs are 1: it is a NAND gate, and
//! every Boolean function is a circuit of NAND gates (Nielsen, chapter 1).
//!
//! | inputs | $w\cdot x + b$ | NAND |
//! |---|---|---|
//! | 0 0 | 3 | 1 |
//! | 0 1, 1 0 | 1 | 1 |
//! | 1 1 | −1 | 0 |
//!
//! Exclusive or needs a hidden layer. [`xor`] is the network of Goodfellow, Bengio and Courville, section 6.1,
//! which computes it exactly: $f(x) = w\cdot\max(0, Wx + c) + b$ with
//! $W = \begin{pmatrix}1&1\\1&1\end{pmatrix}$, $c = (0, -1)$, $w = (1, -2)$, $b = 0$.
//!
//! **Use it** to see what a neuron can express; **not** to compute: the processor has gates.
//!
//! **Sources**: Nielsen (2015), Neural Networks and Deep Learning, ch. 1; Goodfellow, Bengio & Courville (2016),
//! Deep Learning, section 6.1; Minsky & Papert (1969), Perceptrons, for what one layer cannot do.
//!
//! ```
//! use optim::logic;
//!
//! assert_eq!(logic::half_adder().evaluate([true, true]), [false, true]); // 1 + 1 = binary 10: sum 0, carry 1
//! assert_eq!(logic::xor([1.0, 0.0]), 1.0);
//! ```
mod circuit;

pub use circuit::{Builder, Circuit, HalfSum, Wire, full_adder, half_adder, ripple_adder};

use crate::perceptron::Perceptron;

// ANCHOR: gates
/// NAND: 0 only if both inputs are 1.
pub fn nand() -> Perceptron<2> {
    Perceptron::new([-2.0, -2.0], 3.0)
}

/// AND: 1 only if both inputs are 1.
pub fn and() -> Perceptron<2> {
    Perceptron::new([2.0, 2.0], -3.0)
}

/// OR: 0 only if both inputs are 0.
pub fn or() -> Perceptron<2> {
    Perceptron::new([2.0, 2.0], -1.0)
}

/// NOT: 1 if the input is 0.
pub fn not() -> Perceptron<1> {
    Perceptron::new([-2.0], 1.0)
}
// ANCHOR_END: gates

// ANCHOR: xor
/// Exclusive or by two rectified linear units and one linear output: exact on {0, 1}², evaluated by the compiler
/// where its argument is a constant.
pub const fn xor(x: [f64; 2]) -> f64 {
    const W: [[f64; 2]; 2] = [[1.0, 1.0], [1.0, 1.0]];
    const C: [f64; 2] = [0.0, -1.0];
    const OUT: [f64; 2] = [1.0, -2.0];
    let hidden = [
        (W[0][0] * x[0] + W[0][1] * x[1] + C[0]).max(0.0),
        (W[1][0] * x[0] + W[1][1] * x[1] + C[1]).max(0.0),
    ];
    OUT[0] * hidden[0] + OUT[1] * hidden[1]
}
// ANCHOR_END: xor

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::vector;

    // Goodfellow, Bengio & Courville (2016), section 6.1: the four values, checked while compiling.
    const _: () = assert!(xor([0.0, 0.0]) == 0.0 && xor([1.0, 1.0]) == 0.0);
    const _: () = assert!(xor([0.0, 1.0]) == 1.0 && xor([1.0, 0.0]) == 1.0);

    #[test]
    fn gates_have_their_truth_tables() {
        for (a, b) in [(false, false), (false, true), (true, false), (true, true)] {
            let x = vector![f64::from(u8::from(a)), f64::from(u8::from(b))];
            assert_eq!(nand().fires(&x), !(a && b), "nand {a} {b}");
            assert_eq!(and().fires(&x), a && b, "and {a} {b}");
            assert_eq!(or().fires(&x), a || b, "or {a} {b}");
        }
        assert!(not().fires(&vector![0.0]) && !not().fires(&vector![1.0]));
    }
}
