//! # Back through a stride
//!
//! A convolution with stride $s$ reads $y_j = \sum_u w_u\, x_{sj + u - p}$, with $x = 0$ outside. Its gradient by $x$ puts
//! each $g_j$ back to where $y_j$ was read from. Written as a transposed convolution it has
//! $(m - 1) s - 2p + k$ places for $m$ outputs, and the input may have had more.
//!
//! Derive how many are missing for an input of `n` places (PyTorch calls it the output padding), and write the gradient. Is
//! it 0 at the missing places?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Places of an input of `n` that the transposed convolution leaves out at the end.
    pub fn missing(n: usize, k: usize, s: usize, p: usize) -> usize {
        todo!("{n} places, {k} taps, stride {s}, padding {p}")
    }

    /// Gradient of `n` inputs for the gradients `g` of the outputs.
    pub fn back(g: &[f64], w: &[f64], n: usize, s: usize, p: usize) -> Vec<f64> {
        todo!("{} outputs, {} taps, {n} places, stride {s}, padding {p}", g.len(), w.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! With $m = \lfloor (n + 2p - k)/s \rfloor + 1$ outputs the last window starts at $s(m-1)$ of the padded input and ends
    //! $(n + 2p - k) \bmod s$ places before its end. That remainder is what is missing. Without padding no window
    //! reads these places, and their gradient is 0. With padding, what is not read is padding first: of 8 places with
    //! $k = 3$, $s = 2$, $p = 1$ the last is missing and was read all the same. For the gradient, change the order of the sums in
    //! $\sum_j g_j y_j = \sum_j \sum_u g_j w_u x_{sj+u-p}$: place $i$ gets $g_j w_u$ from every pair with $sj + u - p = i$.
    //!
    //! The usual mistake is to turn the kernel around *and* to run over $i$: the kernel turns by itself when the sum over
    //! places becomes a sum over outputs.

    // ANCHOR: solution
    /// Places of an input of `n` that the transposed convolution leaves out at the end.
    pub fn missing(n: usize, k: usize, s: usize, p: usize) -> usize {
        (n + 2 * p - k) % s
    }

    /// Gradient of `n` inputs for the gradients `g` of the outputs.
    pub fn back(g: &[f64], w: &[f64], n: usize, s: usize, p: usize) -> Vec<f64> {
        let mut gradient = vec![0.0; n];
        for (j, g) in g.iter().enumerate() {
            for (u, w) in w.iter().enumerate() {
                if (p..n + p).contains(&(s * j + u)) {
                    gradient[s * j + u - p] += g * w;
                }
            }
        }
        gradient
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::{Const, Cpu, TensorFromVec};
    use kernels::convolution::{Convolution, Steps, conv2d};

    type Missing = fn(usize, usize, usize, usize) -> usize;
    type Back = fn(&[f64], &[f64], usize, usize, usize) -> Vec<f64>;

    fn check(missing: Missing, back: Back) {
        assert_eq!((missing(8, 3, 2, 1), missing(7, 3, 2, 1), missing(11, 5, 3, 0)), (1, 0, 0));
        let dev = Cpu::default();
        let w = [0.5, -2.0, 0.25];
        let kernel = dev.tensor_from_vec(w.to_vec(), (Const::<1>, Const::<1>, Const::<1>, Const::<3>));
        for n in 4..12 {
            let x: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7).sin()).collect();
            let row = dev.tensor_from_vec(x.clone(), (Const::<1>, Const::<1>, Const::<1>, n));
            let convolution = Convolution::new(Steps::<1>, Steps::<2, 1>);
            let y = conv2d(row, &kernel, None, convolution).as_vec();
            assert_eq!((y.len() - 1) * 2 + 3 - 2 + missing(n, 3, 2, 1), n, "{n} places");
            // The convolution and its gradient are adjoint: ⟨Ax, g⟩ = ⟨x, Aᵀg⟩.
            let g: Vec<f64> = (0..y.len()).map(|j| (j as f64 + 0.3).cos()).collect();
            let gradient = back(&g, &w, n, 2, 1);
            let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((inner(&y, &g) - inner(&x, &gradient)).abs() < 1e-12, "{n} places");
        }
    }

    #[test]
    fn solution_is_the_adjoint() {
        check(super::solution::missing, super::solution::back);
    }

    #[test]
    #[should_panic(expected = "4 places")]
    fn what_is_missing_may_have_been_read() {
        check(super::solution::missing, |g, w, n, s, p| {
            let mut gradient = super::solution::back(g, w, n, s, p);
            gradient[n - super::solution::missing(n, w.len(), s, p)..].fill(0.0);
            gradient
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::missing, super::task::back);
    }
}
