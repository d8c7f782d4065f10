//! # A perceptron that never writes down its weights
//!
//! The rule adds pictures, so after training $\tilde w = \sum_i n_i\,y_i\,\tilde x_i$, where $n_i$ counts the
//! mistakes on example $i$. The vote on a new picture needs nothing but inner products:
//!
//! $$ \tilde w \cdot \tilde x = \sum_i n_i\,y_i\; \tilde x_i \cdot \tilde x . $$
//!
//! Now replace the inner product by another function $K(x_i, x)$. The function
//! $K(x, x') = (1 + x \cdot x')^2 = (\tilde x \cdot \tilde x')^2$ is an inner product too, of vectors that hold all
//! products of two entries of $\tilde x$; nobody has to compute these vectors. Write the rule in terms of the counts
//! $n_i$, for any $K$. With $K(x, x') = 1 + x \cdot x'$ it must repeat the mistakes of `Perceptron::train` one by
//! one; with the square it must learn XOR.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The number of mistakes on each example, after the first pass without a mistake or after
    /// `max_epochs` passes; a vote of 0 counts as a mistake, as in `Perceptron`.
    pub fn train(
        x: &[Vec<f64>],
        labels: &[i8],
        kernel: impl Fn(&[f64], &[f64]) -> f64,
        max_epochs: usize,
    ) -> Vec<usize> {
        todo!("who votes, and with which weight?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The examples themselves vote: example $i$ with weight $n_i y_i$ and with the loudness $K(x_i, x)$. On
    //! a mistake its count goes up by one, which is the rule $\tilde w \leftarrow \tilde w + y_i \tilde x_i$
    //! in other letters. For XOR the square contains the product $x_1 x_2$, and with it as a third input one
    //! vote suffices.
    //!
    //! Two mistakes are usual. One is to count a mistake only if the vote has the wrong sign: all votes are 0
    //! at the start, and nothing ever happens. The other is to leave out the 1 in $K$: it is the pixel that
    //! is always on, hence the bias. A kernel buys a hidden layer that is fixed in advance, and pays with a
    //! vote that costs one $K$ for every example that was ever misread.

    // ANCHOR: solution
    /// The number of mistakes on each example, after the first pass without a mistake or after
    /// `max_epochs` passes; a vote of 0 counts as a mistake, as in `Perceptron`.
    pub fn train(
        x: &[Vec<f64>],
        labels: &[i8],
        kernel: impl Fn(&[f64], &[f64]) -> f64,
        max_epochs: usize,
    ) -> Vec<usize> {
        let mut counts = vec![0; x.len()];
        for _ in 0..max_epochs {
            let mut is_clean = true;
            for i in 0..x.len() {
                let weight = |j: usize| counts[j] as f64 * f64::from(labels[j]);
                let voters = (0..x.len()).filter(|&j| counts[j] > 0);
                let vote: f64 = voters.map(|j| weight(j) * kernel(&x[j], &x[i])).sum();
                if f64::from(labels[i]) * vote <= 0.0 {
                    counts[i] += 1;
                    is_clean = false;
                }
            }
            if is_clean {
                break;
            }
        }
        counts
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use datasets::digits;
    use nalgebra::SVector;
    use optim::perceptron::{MaxEpochs, Perceptron};

    type Train = fn(&[Vec<f64>], &[i8], fn(&[f64], &[f64]) -> f64, usize) -> Vec<usize>;

    fn linear(a: &[f64], b: &[f64]) -> f64 {
        1.0 + a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
    }

    fn square(a: &[f64], b: &[f64]) -> f64 {
        linear(a, b).powi(2)
    }

    fn vote(
        x: &[Vec<f64>],
        labels: &[i8],
        counts: &[usize],
        kernel: fn(&[f64], &[f64]) -> f64,
        new: &[f64],
    ) -> f64 {
        (0..x.len()).map(|j| counts[j] as f64 * f64::from(labels[j]) * kernel(&x[j], new)).sum()
    }

    fn check(train: Train) {
        // Against the perceptron that does write down its weights: 3 against 8 on real digits. Pixels are whole
        // numbers here, so that both votes are exact and no rounding can tell them apart.
        let set = digits();
        let chosen: Vec<usize> = (0..400).filter(|&i| matches!(set.label(i), 3 | 8)).collect();
        let x: Vec<Vec<f64>> =
            chosen.iter().map(|&i| set.pixels(i).iter().map(|&p| f64::from(p)).collect()).collect();
        let labels: Vec<i8> = chosen.iter().map(|&i| if set.label(i) == 3 { 1 } else { -1 }).collect();
        let vectors: Vec<SVector<f64, 64>> = x.iter().map(|x| SVector::from_column_slice(x)).collect();
        let fit = Perceptron::fit(&vectors, &labels, MaxEpochs(200)).expect("3 and 8 are separable");
        let counts = train(&x, &labels, linear, 200);
        let mut want = vec![0; x.len()];
        fit.mistakes.iter().for_each(|&i| want[i] += 1);
        assert_eq!(counts, want, "mistakes on each example");

        // XOR: no plane separates it, the square does.
        let x = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]].map(Vec::from);
        let labels = [-1, 1, 1, -1];
        let counts = train(&x, &labels, square, 100);
        for (x_i, label) in x.iter().zip(labels) {
            let vote = vote(&x, &labels, &counts, square, x_i);
            assert!(f64::from(label) * vote > 0.0, "{x_i:?} gets the vote {vote}, label {label}");
        }
        let mistakes: usize = train(&x, &labels, linear, 7).iter().sum();
        assert!(mistakes >= 7, "{mistakes} mistakes in 7 passes, but no plane makes a clean pass");
    }

    #[test]
    fn solution_repeats_the_perceptron_and_learns_xor() {
        check(|x, labels, kernel, max_epochs| super::solution::train(x, labels, kernel, max_epochs));
    }

    #[test]
    #[should_panic = "mistakes on each example"]
    fn where_a_vote_of_zero_is_right_nothing_happens() {
        check(|x, _, _, _| vec![0; x.len()]);
    }

    #[test]
    #[should_panic = "who votes"]
    fn task_is_open() {
        check(|x, labels, kernel, max_epochs| super::task::train(x, labels, kernel, max_epochs));
    }
}
