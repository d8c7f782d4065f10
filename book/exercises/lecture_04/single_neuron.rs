//! # One neuron is different
//!
//! *By hand, then in code* (after Nielsen's chapter 2). In a network of sigmoid neurons one hidden neuron $k$ of layer $l$
//! answers $f(z^l_k)$ with some other function $f$.
//!
//! 1. Which of the four equations change, and how?
//! 2. Let *all* neurons be linear, $\sigma(z) = z$. Simplify the equations. What can such a network compute?
//! 3. Complete the function: the error $\delta^l$ of a layer whose neurons have different functions.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// δ of a layer from that of the next one, the weights between them (next × this)
    /// and the slope of each neuron of this layer at its vote.
    pub fn delta(next: &DVector<f64>, weights: &DMatrix<f64>, slopes: &DVector<f64>) -> DVector<f64> {
        todo!("three factors, in which order?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! 1. Only the slope of that neuron changes: in $\delta^l_k = ((W^{l+1})^\top\delta^{l+1})_k\,\sigma'(z^l_k)$ write
    //!    $f'(z^l_k)$. The equations for weights and biases contain $\delta$ and $a$ only and stay as they are.
    //! 2. $\delta^L = \partial C/\partial a^L$ and $\delta^l = (W^{l+1})^\top\delta^{l+1}$, a product of transposed
    //!    matrices. The network computes a linear function plus a constant, whatever its depth.
    //!
    //! The usual mistake is to multiply by the slope *before* the matrix: the slope belongs to the neurons of this layer.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// δ of a layer from that of the next one, the weights between them (next × this)
    /// and the slope of each neuron of this layer at its vote.
    pub fn delta(next: &DVector<f64>, weights: &DMatrix<f64>, slopes: &DVector<f64>) -> DVector<f64> {
        weights.tr_mul(next).component_mul(slopes)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix, dvector};
    use optim::autodiff::tensor::Tape;

    type Delta = fn(&DVector<f64>, &DMatrix<f64>, &DVector<f64>) -> DVector<f64>;

    /// A layer of two neurons, tanh and sine, before two that are added up after squaring; against the tape.
    fn check(delta: Delta) {
        let (z, w) = (dvector![0.3, -1.1], dmatrix![0.5, -2.0; 1.5, 0.7]);
        let tape = Tape::new();
        let [z0, z1] = [z[0], z[1]].map(|z| tape.input(dmatrix![z]));
        let pick = |i: usize| tape.constant(DMatrix::from_fn(2, 1, |r, _| f64::from(u8::from(r == i))));
        let a = pick(0).matmul(z0.tanh()) + pick(1).matmul(z1.sin());
        let out = tape.constant(w.clone()).matmul(a);
        let gradient = tape.gradient((out * out).sum(), &[z0, z1]);
        let next = DVector::from_column_slice(out.value().scale(2.0).as_slice());
        let slopes = dvector![1.0 - z[0].tanh().powi(2), z[1].cos()];
        let got = delta(&next, &w, &slopes);
        for i in 0..2 {
            let want = gradient[i].number();
            assert!((got[i] - want).abs() < 1e-14, "neuron {i}: {}, want {want}", got[i]);
        }
    }

    #[test]
    fn solution_is_the_gradient_of_the_tape() {
        check(super::solution::delta);
    }

    #[test]
    #[should_panic = "three factors"]
    fn task_is_open() {
        check(super::task::delta);
    }

    #[test]
    #[should_panic = "neuron 0"]
    fn the_slope_belongs_behind_the_matrix() {
        check(|next, weights, slopes| weights.tr_mul(&next.component_mul(slopes)));
    }
}
