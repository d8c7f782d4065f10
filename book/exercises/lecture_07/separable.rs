//! # What separable convolutions save
//!
//! By hand first: a 3 × 3 convolution from 64 to 128 channels, against a 3 × 3 convolution per channel followed by a
//! 1 × 1 convolution from 64 to 128. Which share of the multiply-adds is left? Then write it for any sizes.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Multiply-adds of the separable convolution over those of the full one.
    pub fn share(kernel: u32, inputs: u32, outputs: u32) -> f64 {
        todo!("per position")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Per position $k^2 C_\text{in} + C_\text{in} C_\text{out}$ against $k^2 C_\text{in} C_\text{out}$: the share is
    //! $1/C_\text{out} + 1/k^2$, here $1/128 + 1/9 \approx 0.119$. The number of input channels cancels.
    //!
    //! The usual mistake is to write $1/C_\text{in}$.

    // ANCHOR: solution
    /// Multiply-adds of the separable convolution over those of the full one.
    pub fn share(kernel: u32, _inputs: u32, outputs: u32) -> f64 {
        1.0 / f64::from(outputs) + 1.0 / f64::from(kernel * kernel)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::architecture::count::{Layer, Network, Size, Window};

    fn check(share: fn(u32, u32, u32) -> f64) {
        for (kernel, inputs, outputs) in [(3, 64, 128), (5, 8, 3), (1, 2, 2)] {
            let conv = |kernel: u32, out: u32, groups: u32| Layer::Conv {
                out: out as usize,
                window: Window::new(kernel as usize, 1, (kernel / 2) as usize),
                groups: groups as usize,
                bias: false,
            };
            let macs = |layers| {
                let input = Size::Image(inputs as usize, 9, 9);
                Network { name: "", input, layers }.cost().unwrap().macs as f64
            };
            let separable = macs(vec![conv(kernel, inputs, inputs), conv(1, outputs, 1)]);
            let want = separable / macs(vec![conv(kernel, outputs, 1)]);
            let got = share(kernel, inputs, outputs);
            assert!((got - want).abs() < 1e-12, "{inputs} to {outputs}: a share of {got}, not {want}");
        }
    }

    #[test]
    fn solution_agrees_with_the_count() {
        check(super::solution::share);
    }

    #[test]
    #[should_panic = "64 to 128: "]
    fn the_outputs_decide() {
        check(|kernel, inputs, _| super::solution::share(kernel, inputs, inputs));
    }

    #[test]
    #[should_panic = "per position"]
    fn task_is_open() {
        check(super::task::share);
    }
}
