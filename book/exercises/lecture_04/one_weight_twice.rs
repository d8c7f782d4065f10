//! # Prove the fourth equation, and break it
//!
//! *By hand, then in code.* In a network $z^l = W^l a^{l-1} + b^l$, $a^l = \sigma(z^l)$ with the error
//! $\delta^l_j = \partial C/\partial z^l_j$ the fourth equation of back-propagation says
//! $\partial C/\partial W^l_{jk} = \delta^l_j\, a^{l-1}_k$.
//!
//! 1. Prove it from the chain rule. Start with the sum over *all* votes $z^m_i$ that depend on $W^l_{jk}$ directly, and say
//!    which of its terms are there, and why.
//! 2. Break it: find a network for which a term is missing from it. It is one that you have met if you have read a text word by
//!    word with the same weights.
//! 3. Repair it for that network: all layers have one matrix $W$. Complete the function.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::{DMatrix, DVector};

    /// The derivative of the cost with respect to the one matrix of all layers, from
    /// `errors[l]`, that of layer l + 1, and `activations[l]`, which that layer reads.
    pub fn gradient(errors: &[DVector<f64>], activations: &[DVector<f64>]) -> DMatrix<f64> {
        todo!("in how many of the {} votes does a weight stand?", errors.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! 1. A weight changes the cost through the votes in which it stands:
    //!    $\frac{\partial C}{\partial W^l_{jk}} = \sum_{m,i} \frac{\partial C}{\partial z^m_i}\,
    //!    \frac{\partial z^m_i}{\partial W^l_{jk}}$, each time with the votes before it held fixed. $W^l_{jk}$ stands in
    //!    $z^l_j = \sum_k W^l_{jk} a^{l-1}_k + b^l_j$ and in no other vote. So one term is left, the first factor is $\delta^l_j$ by
    //!    definition, and the second is $a^{l-1}_k$: the activations of the layer *before* do not depend on $W^l$. Later
    //!    votes do change with the weight, but through $z^l_j$, and $\delta^l_j$ has counted that already.
    //! 2. "In no other vote" is an assumption. A recurrent network, or a convolution, uses one weight many times.
    //! 3. Every vote in which the weight stands adds its term: $\sum_l \delta^l (a^{l-1})^\top$. It is the sum
    //!    over edges of reverse mode, for a node with many outgoing edges.
    //!
    //! The usual mistake is to take the last term alone: then a recurrent network learns from its last step. The second is
    //! to pair $\delta^l$ with $a^l$; where all layers are equally wide no shape complains.

    // ANCHOR: solution
    use nalgebra::{DMatrix, DVector};

    /// The derivative of the cost with respect to the one matrix of all layers, from
    /// `errors[l]`, that of layer l + 1, and `activations[l]`, which that layer reads.
    pub fn gradient(errors: &[DVector<f64>], activations: &[DVector<f64>]) -> DMatrix<f64> {
        errors.iter().zip(activations).map(|(delta, a)| delta * a.transpose()).sum()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector, dmatrix, dvector};
    use optim::autodiff::gradcheck::gradcheck;

    type Gradient = fn(&[DVector<f64>], &[DVector<f64>]) -> DMatrix<f64>;

    /// Activations of as many layers with these matrices, the input first.
    fn forward(matrices: &[DMatrix<f64>]) -> Vec<DVector<f64>> {
        let mut all = vec![dvector![0.8, -0.4]];
        for w in matrices {
            all.push((w * &all[all.len() - 1]).map(f64::tanh));
        }
        all
    }

    /// The errors of the cost |a|²/2, by the first and the second equation.
    fn backward(matrices: &[DMatrix<f64>], activations: &[DVector<f64>]) -> Vec<DVector<f64>> {
        let slope = |a: &DVector<f64>| a.map(|a| 1.0 - a * a);
        let last = &activations[matrices.len()];
        let mut errors = vec![last.component_mul(&slope(last))];
        for l in (1..matrices.len()).rev() {
            errors.insert(0, matrices[l].tr_mul(&errors[0]).component_mul(&slope(&activations[l])));
        }
        errors
    }

    fn cost(matrices: &[DMatrix<f64>]) -> f64 {
        0.5 * forward(matrices)[matrices.len()].norm_squared()
    }

    fn check(gradient: Gradient) {
        let w = dmatrix![0.5, -1.2; 0.9, 0.3];
        for layers in 1..=4 {
            let matrices = vec![w.clone(); layers];
            let activations = forward(&matrices);
            let got = gradient(&backward(&matrices, &activations), &activations[..layers]);
            let shared = |w: &[f64]| cost(&vec![DMatrix::from_column_slice(2, 2, w); layers]);
            let report = gradcheck(shared, w.as_slice(), got.as_slice()).unwrap();
            assert!(report.error < 1e-8, "{layers} layers with one matrix: {report:?}");
        }
    }

    /// What the equation says is right of each matrix by itself, as long as the three are three.
    #[test]
    fn the_equation_holds_for_a_weight_in_one_place() {
        let matrices = vec![dmatrix![0.5, -1.2; 0.9, 0.3]; 3];
        let activations = forward(&matrices);
        let errors = backward(&matrices, &activations);
        for l in 0..3 {
            let alone = |w: &[f64]| {
                let mut matrices = matrices.clone();
                matrices[l] = DMatrix::from_column_slice(2, 2, w);
                cost(&matrices)
            };
            let got = &errors[l] * activations[l].transpose();
            let report = gradcheck(alone, matrices[l].as_slice(), got.as_slice()).unwrap();
            assert!(report.error < 1e-8, "layer {l}: {report:?}");
        }
    }

    #[test]
    fn solution_is_the_derivative_of_a_shared_matrix() {
        check(super::solution::gradient);
    }

    #[test]
    #[should_panic = "in how many of the 1 votes"]
    fn task_is_open() {
        check(super::task::gradient);
    }

    #[test]
    #[should_panic = "2 layers with one matrix"]
    fn the_equation_as_it_stands_breaks_where_a_weight_stands_twice() {
        check(|errors, activations| {
            let last = errors.len() - 1;
            &errors[last] * activations[last].transpose()
        });
    }

    #[test]
    #[should_panic = "1 layers with one matrix"]
    fn rows_and_columns_are_not_the_same() {
        check(|errors, activations| super::solution::gradient(errors, activations).transpose());
    }

    #[test]
    #[should_panic = "2 layers with one matrix"]
    fn an_error_belongs_to_the_activation_before() {
        check(|errors, activations| {
            // Each error with what its own layer answers, as far as that is given.
            let own = activations.iter().skip(1).chain(&activations[activations.len() - 1..]);
            errors.iter().zip(own).map(|(delta, a)| delta * a.transpose()).sum()
        });
    }
}
