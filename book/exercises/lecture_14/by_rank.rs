//! # By rank
//!
//! Two maps say the same if they put the pixels into the same order; how large their numbers are is a matter of taste. Spearman's
//! correlation compares ranks: the usual correlation of the places that the pixels have in the order.
//!
//! Write it. A map has many zeros, so equal values must have equal ranks: the mean of the places that they share.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Spearman's correlation of two maps of one size.
    pub fn by_rank(a: &[f64], b: &[f64]) -> f64 {
        todo!("{} and {} pixels", a.len(), b.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A value's rank is the number of smaller ones plus half of the number of *other* equal ones. That takes $n^2$ comparisons;
    //! sorting takes $n \log n$, and `convnets::explain::rank_correlation` does it.
    //!
    //! The usual mistake is to sort and take the places as ranks: pixels of the value 0 then have an order, that of the picture,
    //! and two maps that are 0 outside the thing look alike.

    // ANCHOR: solution
    /// Spearman's correlation of two maps of one size.
    pub fn by_rank(a: &[f64], b: &[f64]) -> f64 {
        let ranks = |map: &[f64]| -> Vec<f64> {
            let rank = |value: &f64| {
                let smaller = map.iter().filter(|other| *other < value).count();
                let equal = map.iter().filter(|other| *other == value).count() - 1;
                smaller as f64 + equal as f64 / 2.0 - (map.len() - 1) as f64 / 2.0 // their mean is 0
            };
            map.iter().map(rank).collect()
        };
        let (a, b) = (ranks(a), ranks(b));
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::explain::rank_correlation;
    use kernels::random::Key;

    fn check(by_rank: fn(&[f64], &[f64]) -> f64) {
        let mut maps = [[0.0; 40]; 2];
        for (i, map) in maps.iter_mut().enumerate() {
            Key::new(i as u64).fill_normal(map);
        }
        let [a, b] = maps;
        assert!((by_rank(&a, &b) - rank_correlation(&a, &b)).abs() < 1e-12);
        assert!((by_rank(&a, &a.map(f64::exp)) - 1.0).abs() < 1e-12, "only the order counts");
        // Maps with ties, as a ReLU leaves them.
        let [a, b] = maps.map(|map| map.map(|value| value.max(0.0)));
        let (ours, theirs) = (by_rank(&a, &b), rank_correlation(&a, &b));
        assert!((ours - theirs).abs() < 1e-12, "{ours} and {theirs}");
    }

    #[test]
    fn solution_shares_ranks() {
        check(super::solution::by_rank);
    }

    #[test]
    #[should_panic(expected = " and ")]
    fn equal_values_have_no_order() {
        check(|a, b| {
            let placed = |map: &[f64]| {
                let mut order: Vec<usize> = (0..map.len()).collect();
                order.sort_by(|i, j| map[*i].total_cmp(&map[*j]));
                let mut places = vec![0.0; map.len()];
                order.iter().enumerate().for_each(|(place, at)| places[*at] = place as f64);
                places
            };
            super::solution::by_rank(&placed(a), &placed(b))
        });
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::by_rank);
    }
}
