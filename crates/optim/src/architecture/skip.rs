//! Layers with a shortcut around each: residual networks of any depth.
//!
//! $$ \text{plain: } a^{l+1} = \varphi(W a^l + b), \qquad \text{residual: } a^{l+1} = a^l + s\,\varphi(W a^l + b) $$
//!
//! The derivative of a residual layer is $I + s J$ instead of $J$: a product of many of them does not vanish with the
//! size of $J$. A scale $s = 1/\sqrt{L}$ for $L$ layers keeps the sum of the branches from growing with the depth.
//!
//! **Paper**: He et al. (2016), arXiv 1512.03385.
//! **Deviation**: one layer in each branch, not two convolutions, so that plain and residual networks differ in nothing
//! but the shortcut.
use dfdx::nn::{Module, NonMutableModule};
use dfdx::prelude::{Dtype, Storage, Tape, TryAdd, TryMul, WithEmptyTape};
use kernels::{Device, Real};

use crate::chain::{Batch, Chain};

/// What goes around a hidden layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// The input, added to this multiple of the layer's output.
    Add(f64),
}

/// A chain whose hidden layers after the first have equal widths and a shortcut.
#[derive(Clone, Debug)]
pub struct SkipChain<E: Dtype, D: Storage<E>> {
    /// The layers; the first changes the width, the last one gives the outputs, neither has a shortcut.
    pub chain: Chain<E, D>,
    /// What goes around the others.
    pub shortcut: Shortcut,
}

impl<E: Dtype, D: Storage<E>> NonMutableModule for SkipChain<E, D> {}

impl<E: Real, D: Device<E>, T: Tape<E, D>> Module<Batch<E, D, T>> for SkipChain<E, D> {
    type Output = Batch<E, D, T>;
    type Error = D::Err;

    // ANCHOR: forward
    fn try_forward(&self, x: Batch<E, D, T>) -> Result<Self::Output, D::Err> {
        let last = self.chain.layers.len() - 1;
        let mut a = x;
        for (l, layer) in self.chain.layers.iter().enumerate() {
            let around = (0 < l && l < last).then(|| a.with_empty_tape());
            a = layer.try_forward(a)?;
            if l < last {
                a = kernels::try_activate(a, self.chain.activation)?;
            }
            if let (Some(around), Shortcut::Add(scale)) = (around, self.shortcut) {
                a = a.try_mul(E::of(scale))?.try_add(around)?;
            }
        }
        Ok(a)
    }
    // ANCHOR_END: forward
}
