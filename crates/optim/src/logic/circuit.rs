//! Circuits of NAND perceptrons whose wires cannot be connected wrongly.

use std::marker::PhantomData;

use nalgebra::vector;

use super::nand;
use crate::nielsen::sigmoid;

/// A wire of the circuit that is being built: an input, or the output of a gate. The lifetime ties it to its
/// [`Builder`], so that a wire of another circuit does not compile.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'id> {
    index: usize,
    circuit: PhantomData<fn(&'id ()) -> &'id ()>, // invariant: two circuits never share an 'id
}

/// Adds gates to a circuit; handed out by [`Circuit::build`].
#[derive(Debug)]
pub struct Builder<'id> {
    inputs: usize,
    gates: Vec<[usize; 2]>,
    circuit: PhantomData<fn(&'id ()) -> &'id ()>,
}

impl<'id> Builder<'id> {
    /// A NAND gate that reads `a` and `b`; returns the wire of its output.
    pub fn nand(&mut self, a: Wire<'id>, b: Wire<'id>) -> Wire<'id> {
        self.gates.push([a.index, b.index]);
        Wire { index: self.inputs + self.gates.len() - 1, circuit: PhantomData }
    }

    // ANCHOR: half_adder
    /// The sum and the carry of two bits, from five NAND gates.
    pub fn half_adder(&mut self, a: Wire<'id>, b: Wire<'id>) -> HalfSum<'id> {
        let not_both = self.nand(a, b);
        let only_a = self.nand(a, not_both);
        let only_b = self.nand(b, not_both);
        HalfSum { sum: self.nand(only_a, only_b), carry: self.nand(not_both, not_both) }
    }
    // ANCHOR_END: half_adder

    /// The sum and the carry of three bits: two half adders, and a carry if either of them carried.
    pub fn full_adder(&mut self, a: Wire<'id>, b: Wire<'id>, carry: Wire<'id>) -> HalfSum<'id> {
        let first = self.half_adder(a, b);
        let second = self.half_adder(first.sum, carry);
        let (no_first, no_second) =
            (self.nand(first.carry, first.carry), self.nand(second.carry, second.carry));
        HalfSum { sum: second.sum, carry: self.nand(no_first, no_second) }
    }
}

/// The two output wires of an adder of bits.
#[derive(Clone, Copy, Debug)]
pub struct HalfSum<'id> {
    /// The low bit of the sum.
    pub sum: Wire<'id>,
    /// The high bit of the sum.
    pub carry: Wire<'id>,
}

/// A circuit of NAND perceptrons with `I` input bits and `O` output bits.
///
/// ```
/// use optim::logic::Circuit;
///
/// let xor = Circuit::build(|c, [a, b]| [c.half_adder(a, b).sum]);
/// assert_eq!(xor.evaluate([true, false]), [true]);
/// assert_eq!(xor.num_gates(), 5);
/// ```
/// A wire of one circuit in another is refused by the compiler:
/// ```compile_fail
/// use optim::logic::Circuit;
///
/// let mut stolen = None;
/// Circuit::build(|c, [a, b]| { stolen = Some(a); [c.nand(a, b)] });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit<const I: usize, const O: usize> {
    gates: Vec<[usize; 2]>, // wires read: 0..I are the inputs, I + k is the output of gate k
    outputs: [usize; O],
}

impl<const I: usize, const O: usize> Circuit<I, O> {
    /// Builds a circuit: `wiring` gets the input wires and returns the output wires.
    pub fn build<F>(wiring: F) -> Self
    where
        F: for<'id> FnOnce(&mut Builder<'id>, [Wire<'id>; I]) -> [Wire<'id>; O],
    {
        let mut builder = Builder { inputs: I, gates: Vec::new(), circuit: PhantomData };
        let inputs = std::array::from_fn(|index| Wire { index, circuit: PhantomData });
        let outputs = wiring(&mut builder, inputs).map(|wire| wire.index);
        Self { gates: builder.gates, outputs }
    }

    /// Number of NAND perceptrons.
    pub fn num_gates(&self) -> usize {
        self.gates.len()
    }

    /// The output bits for these input bits, every gate being a perceptron that fires or not.
    pub fn evaluate(&self, inputs: [bool; I]) -> [bool; O] {
        let levels = self
            .propagate(inputs.map(|bit| f64::from(u8::from(bit))), |score| f64::from(u8::from(score > 0.0)));
        levels.map(|level| level > 0.5)
    }

    // ANCHOR: sigmoid
    /// The output levels in (0, 1) when every perceptron becomes a sigmoid neuron with its weights and bias
    /// multiplied by `c`: for large `c` the circuit of [`evaluate`](Self::evaluate), for small `c` a blur.
    pub fn evaluate_sigmoid(&self, inputs: [f64; I], c: f64) -> [f64; O] {
        self.propagate(inputs, |score| sigmoid(c * score))
    }
    // ANCHOR_END: sigmoid

    fn propagate(&self, inputs: [f64; I], activation: impl Fn(f64) -> f64) -> [f64; O] {
        let gate = nand();
        let mut levels = Vec::with_capacity(I + self.gates.len());
        levels.extend(inputs);
        for &[a, b] in &self.gates {
            levels.push(activation(gate.score(&vector![levels[a], levels[b]])));
        }
        self.outputs.map(|wire| levels[wire])
    }
}

/// Adds two bits: inputs `a`, `b`; outputs sum, carry.
pub fn half_adder() -> Circuit<2, 2> {
    Circuit::build(|c, [a, b]| {
        let out = c.half_adder(a, b);
        [out.sum, out.carry]
    })
}

/// Adds three bits: inputs `a`, `b`, carry in; outputs sum, carry out.
pub fn full_adder() -> Circuit<3, 2> {
    Circuit::build(|c, [a, b, carry]| {
        let out = c.full_adder(a, b, carry);
        [out.sum, out.carry]
    })
}

// ANCHOR: ripple_adder
/// Adds two numbers of `N` bits, lowest bit first: inputs $a_0 … a_{N-1}, b_0 … b_{N-1}$, outputs the `N + 1`
/// bits of the sum. `I` must be `2 N` and `O` must be `N + 1`; anything else does not compile.
pub fn ripple_adder<const N: usize, const I: usize, const O: usize>() -> Circuit<I, O> {
    const { assert!(N > 0 && I == 2 * N && O == N + 1, "N bits need I = 2 N inputs and O = N + 1 outputs") };
    Circuit::build(|c, inputs: [Wire<'_>; I]| {
        let (a, b) = inputs.split_at(N);
        let lowest = c.half_adder(a[0], b[0]);
        let mut outputs = [lowest.sum; O];
        let mut carry = lowest.carry;
        for bit in 1..N {
            let out = c.full_adder(a[bit], b[bit], carry);
            (outputs[bit], carry) = (out.sum, out.carry);
        }
        outputs[N] = carry;
        outputs
    })
}
// ANCHOR_END: ripple_adder

#[cfg(test)]
mod tests {
    use super::*;

    fn bits<const N: usize>(number: usize) -> [bool; N] {
        std::array::from_fn(|bit| number >> bit & 1 == 1)
    }

    fn number(bits: &[bool]) -> usize {
        bits.iter().enumerate().map(|(bit, &on)| usize::from(on) << bit).sum()
    }

    #[test]
    fn adders_add_every_pair_of_numbers() {
        for i in 0..4 {
            assert_eq!(
                number(&half_adder().evaluate(bits(i))),
                (i & 1) + (i >> 1),
                "half adder, inputs {i:02b}"
            );
        }
        for i in 0..8 {
            let want = (i & 1) + (i >> 1 & 1) + (i >> 2);
            assert_eq!(number(&full_adder().evaluate(bits(i))), want, "full adder, inputs {i:03b}");
        }
        let adder = ripple_adder::<4, 8, 5>();
        for i in 0..256 {
            assert_eq!(number(&adder.evaluate(bits(i))), (i & 15) + (i >> 4), "4 bits, inputs {i:08b}");
        }
        let one = ripple_adder::<1, 2, 2>();
        assert_eq!(one, half_adder());
    }

    #[test]
    fn adder_sizes_are_what_the_wiring_says() {
        assert_eq!((half_adder().num_gates(), full_adder().num_gates()), (5, 13));
        assert_eq!(ripple_adder::<8, 16, 9>().num_gates(), 5 + 7 * 13);
    }

    /// σ(c z) differs from the step by at most e^{−c|z|}, and |z| ≥ 1 for every gate with exact inputs: with
    /// c = 40 that is 4e-18 a gate, below one unit in the last place.
    #[test]
    fn sigmoid_circuit_becomes_the_circuit_for_large_c() {
        let adder = ripple_adder::<3, 6, 4>();
        for i in 0..64 {
            let inputs = bits::<6>(i);
            let levels = adder.evaluate_sigmoid(inputs.map(|bit| f64::from(u8::from(bit))), 40.0);
            for (level, bit) in levels.into_iter().zip(adder.evaluate(inputs)) {
                let want = f64::from(u8::from(bit));
                assert!((level - want).abs() < 1e-15, "inputs {i:06b}: level {level}, bit {bit}");
            }
        }
    }

    /// With c = 1 the levels of one gate are σ(3), σ(1), σ(−1): still on the right side of ½.
    #[test]
    fn sigmoid_gate_has_the_closed_form_levels() {
        let gate = Circuit::build(|c, [a, b]| [c.nand(a, b)]);
        for (inputs, score) in [([0.0, 0.0], 3.0), ([0.0, 1.0], 1.0), ([1.0, 1.0], -1.0_f64)] {
            let want = 1.0 / (1.0 + (-score).exp());
            let [level] = gate.evaluate_sigmoid(inputs, 1.0);
            assert!((level - want).abs() < 1e-15, "inputs {inputs:?}: got {level}, want {want}");
        }
    }
}
