//! # Layers that append
//!
//! *By hand, then in code.* A dense block starts with $c$ channels, and each of its $L$ layers, a $3 \times 3$
//! convolution without bias, appends $k$ channels made from *all* before it. How many parameters does it have? What
//! happens when $L$ doubles? A plain stack of $L$ convolutions from $c$ to $c$ channels has $9c^2L$: with $c = 64$
//! and $k = 32$, from which $L$ on is the dense block larger?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Parameters of a dense block.
    pub fn parameters(channels: usize, growth: usize, layers: usize) -> usize {
        todo!("what does layer 0, 1, ..., {layers} - 1 read?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Layer $i$ reads $c + ik$ channels: $9k\sum_{i < L}(c + ik) = 9k\bigl(cL + \frac{kL(L - 1)}2\bigr)$. Twice the
    //! layers are nearly four times the parameters once $kL$ is much larger than $c$. Against the plain stack:
    //! $64 \cdot 32 + 32^2(L - 1)/2 > 64^2$ from $L = 6$ on. That is why the paper puts narrow $1 \times 1$
    //! convolutions before the wide ones.
    //!
    //! The usual mistake is $9ckL$, as if each layer read the start of the block only.

    // ANCHOR: solution
    /// Parameters of a dense block.
    pub fn parameters(channels: usize, growth: usize, layers: usize) -> usize {
        9 * growth * (channels * layers + growth * (layers * layers - layers) / 2)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::architecture::count::{Layer, Network, Size, Window};

    /// The block as the crate describes it.
    fn counted(channels: usize, growth: usize, layers: usize) -> u64 {
        let grown = Layer::Conv { out: growth, window: Window::new(3, 1, 1), groups: 1, bias: false };
        let layers = (0..layers).map(|_| Layer::Concat(vec![vec![], vec![grown.clone()]])).collect();
        let network = Network { name: "a dense block", input: Size::Image(channels, 8, 8), layers };
        network.cost().unwrap().parameters
    }

    fn check(parameters: fn(usize, usize, usize) -> usize) {
        for (channels, growth, layers) in [(64, 32, 6), (16, 12, 12), (3, 1, 1), (64, 32, 24)] {
            let got = parameters(channels, growth, layers);
            let want = counted(channels, growth, layers);
            assert_eq!(got as u64, want, "{layers} layers of {growth} on {channels}");
        }
        let is_larger = |layers: usize| parameters(64, 32, layers) > 9 * 64 * 64 * layers;
        assert_eq!((1..20).find(|&layers| is_larger(layers)), Some(6));
    }

    #[test]
    fn solution_counts_as_the_crate_does() {
        check(super::solution::parameters);
    }

    #[test]
    #[should_panic = "6 - 1 read"]
    fn task_is_open() {
        check(super::task::parameters);
    }

    #[test]
    #[should_panic = "6 layers of 32 on 64"]
    fn a_layer_reads_all_before_it() {
        check(|channels, growth, layers| 9 * channels * growth * layers);
    }
}
