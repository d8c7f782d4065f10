//! # Easy, but all of it
//!
//! *In code.* A curriculum shows easy examples first: those with a large margin. Sort them, so that the first $CK$
//! examples, for every $K$, hold the $K$ easiest of each of the $C$ classes. All classes have the same number of
//! examples.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The examples in their order; `margins[i]` and `labels[i]` belong to example i.
    pub fn order(margins: &[f64], labels: &[usize], classes: usize) -> Vec<usize> {
        todo!("{} examples of {classes} classes", labels.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Each class has its own order, and they take turns. What is easy differs between classes: the zeros of
    //! handwriting are easy, the eights are not.
    //!
    //! The usual mistake is to sort all by their margin. The first tenth is then zeros and ones, the network learns
    //! to answer those, and what one measures later is not the effect of easy examples but of a distribution that
    //! shifts.

    // ANCHOR: solution
    /// The examples in their order; `margins[i]` and `labels[i]` belong to example i.
    pub fn order(margins: &[f64], labels: &[usize], classes: usize) -> Vec<usize> {
        let mut sorted: Vec<usize> = (0..labels.len()).collect();
        sorted.sort_by(|&a, &b| margins[b].total_cmp(&margins[a]));
        let mut seen = vec![0; classes];
        let mut turns: Vec<(usize, usize, usize)> = Vec::with_capacity(labels.len());
        for example in sorted {
            let label = labels[example];
            turns.push((seen[label], label, example));
            seen[label] += 1;
        }
        turns.sort_unstable();
        turns.into_iter().map(|(_, _, example)| example).collect()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    fn check(order: fn(&[f64], &[usize], usize) -> Vec<usize>) {
        // Class 0 is easier than class 1, and that easier than class 2, almost everywhere.
        let labels: Vec<usize> = (0..30).map(|i| i % 3).collect();
        let margins: Vec<f64> =
            labels.iter().enumerate().map(|(i, y)| ((7 * i) % 30) as f64 - 12.0 * *y as f64).collect();
        let order = order(&margins, &labels, 3);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<_>>(), "every example once");
        for k in 1..=10 {
            for class in 0..3 {
                let mut own: Vec<f64> = (0..30).filter(|&i| labels[i] == class).map(|i| margins[i]).collect();
                own.sort_by(|a, b| b.total_cmp(a));
                let shown = order[..3 * k].iter().filter(|&&i| labels[i] == class).map(|&i| margins[i]);
                let mut shown: Vec<f64> = shown.collect();
                shown.sort_by(|a, b| b.total_cmp(a));
                assert_eq!(shown, own[..k], "class {class} among the first {}", 3 * k);
            }
        }
    }

    #[test]
    fn solution_keeps_the_balance() {
        check(super::solution::order);
    }

    #[test]
    #[should_panic = "30 examples of 3 classes"]
    fn task_is_open() {
        check(super::task::order);
    }

    #[test]
    #[should_panic = "class 0 among the first 3"]
    fn margins_alone_prefer_a_class() {
        check(|margins, labels, _| {
            let mut sorted: Vec<usize> = (0..labels.len()).collect();
            sorted.sort_by(|&a, &b| margins[b].total_cmp(&margins[a]));
            sorted
        });
    }
}
