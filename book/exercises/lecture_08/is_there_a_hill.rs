//! # Is there a hill on the way?
//!
//! *In code.* The losses at equally spaced points of a straight line between two weight vectors are given. The
//! *barrier* is how far the line rises above the straight interpolation between the losses of its two ends, and 0 if
//! it never does. Write it. Then think: a network and a copy of it with two units exchanged have the same loss. What
//! do you expect in the middle between them?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The barrier; the first and the last of the losses are those of the ends.
    pub fn barrier(losses: &[f64]) -> f64 {
        todo!("what would the loss of each of {} points be without a hill?", losses.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! From the start of a training to its end the loss mostly falls all the way: next to no barrier, however
    //! high the start is. Between a network and its copy the two units are equal in the middle: the loss there is that
    //! of a network with one unit less, and there is a hill though both ends are perfect. A straight line says something
    //! about the surface only together with which of all the copies it connects.
    //!
    //! The usual mistake is the largest loss less the smaller end's. It calls the start of every training a hill.

    // ANCHOR: solution
    /// The barrier; the first and the last of the losses are those of the ends.
    pub fn barrier(losses: &[f64]) -> f64 {
        let [first, .., last] = losses else { return 0.0 };
        let steps = losses.len() as f64 - 1.0;
        let rise = |(i, loss): (usize, &f64)| loss - (first + (last - first) * i as f64 / steps);
        losses.iter().enumerate().map(rise).fold(0.0, f64::max)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    /// Mean squared error of v₁ tanh(w₁ x) + v₂ tanh(w₂ x) against that with the weights `truth`, as (w₁, w₂, v₁, v₂).
    fn loss(weights: [f64; 4], truth: [f64; 4]) -> f64 {
        let net = |[w1, w2, v1, v2]: [f64; 4], x: f64| v1 * (w1 * x).tanh() + v2 * (w2 * x).tanh();
        let errors = (-20..=20).map(|i| f64::from(i) / 10.0).map(|x| net(weights, x) - net(truth, x));
        errors.map(|e| e * e).sum::<f64>() / 41.0
    }

    fn line(from: [f64; 4], to: [f64; 4], truth: [f64; 4]) -> Vec<f64> {
        let at = |t: f64| std::array::from_fn(|i| from[i] + t * (to[i] - from[i]));
        (0..=40).map(|i| loss(at(f64::from(i) / 40.0), truth)).collect()
    }

    fn check(barrier: fn(&[f64]) -> f64) {
        let truth = [3.0, 0.5, 1.0, -2.0];
        let exchanged = [0.5, 3.0, -2.0, 1.0];
        let over = line(truth, exchanged, truth);
        assert_eq!((over[0], over[40].abs() < 1e-30), (0.0, true), "both ends are perfect");
        let highest = over.iter().copied().fold(0.0, f64::max);
        assert!(highest > 0.05 && (barrier(&over) - highest).abs() < 1e-15, "{} of {highest}", barrier(&over));
        // From smaller weights to the truth it falls all the way.
        let down = line([1.0, 0.3, 0.2, -0.3], truth, truth);
        assert!(down.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(barrier(&down) < 0.1 * down[0], "a way down is no hill of {}", barrier(&down));
        assert!(barrier(&[4.0, 2.0, 1.0, 0.5, 0.0]) == 0.0, "a way down is no hill");
        assert!((barrier(&[4.0, 3.5, 2.0, 1.0, 0.0]) - 0.5).abs() < 1e-15, "above the straight line");
    }

    #[test]
    fn solution_finds_hills_only() {
        check(super::solution::barrier);
    }

    #[test]
    #[should_panic = "without a hill?"]
    fn task_is_open() {
        check(super::task::barrier);
    }

    #[test]
    #[should_panic = "a way down is no hill of"]
    fn a_high_start_is_no_hill() {
        check(|losses| {
            let highest = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            highest - losses[0].min(losses[losses.len() - 1])
        });
    }
}
