//! # What a dropped map takes away
//!
//! *By hand, then in code.* A filter reads four places of one feature map, $y = \sum_i w_ix_i$. Dropout keeps each
//! *place* with probability $\theta$, spatial dropout the *map*; both divide by $\theta$. Find the variance of $y$ under
//! each. By which factor is the second larger for a level map and equal weights? And which filters do not hear at all
//! that a level map is dropped?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// (variance when places are dropped, variance when the map is dropped as a whole).
    pub fn noise(w: &[f64; 4], x: &[f64; 4], keep: f64) -> (f64, f64) {
        todo!("which products share a mask?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A mask over $\theta$ has the mean 1 and the variance $\lambda = (1 - \theta)/\theta$. With a mask for each place
    //! the variances of the products add up, $\lambda\sum_i w_i^2x_i^2$. With one mask for the map it multiplies the
    //! whole sum, $\lambda\bigl(\sum_i w_ix_i\bigr)^2$. If all products are equal the second is four times the first:
    //! as many times as there are places, since neighbours that say the same fall together or not at all. For a level
    //! map $x_i = a$ it is $\lambda a^2\bigl(\sum_i w_i\bigr)^2$, and 0 for a filter whose weights add up to 0: what
    //! looks for edges has nothing to lose in a level map, while single places that are missing look like edges to it.
    //!
    //! The usual mistake is to expect that whole maps always disturb more.

    // ANCHOR: solution
    /// (variance when places are dropped, variance when the map is dropped as a whole).
    pub fn noise(w: &[f64; 4], x: &[f64; 4], keep: f64) -> (f64, f64) {
        let products = || w.iter().zip(x).map(|(w, x)| w * x);
        let lambda = (1.0 - keep) / keep;
        (lambda * products().map(|p| p * p).sum::<f64>(), lambda * products().sum::<f64>().powi(2))
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    /// Variance over all masks of so many bits: `bit(place)` says which bit of the mask is meant.
    fn enumerated(w: &[f64; 4], x: &[f64; 4], keep: f64, bits: u32, bit: fn(usize) -> usize) -> f64 {
        let (mut mean, mut second) = (0.0, 0.0);
        for mask in 0..1_u32 << bits {
            let kept = mask.count_ones() as i32;
            let chance = keep.powi(kept) * (1.0 - keep).powi(bits as i32 - kept);
            let products = w.iter().zip(x).enumerate();
            let y: f64 = products.map(|(i, (w, x))| f64::from(mask >> bit(i) & 1) * w * x / keep).sum();
            mean += chance * y;
            second += chance * y * y;
        }
        second - mean * mean
    }

    fn check(noise: fn(&[f64; 4], &[f64; 4], f64) -> (f64, f64)) {
        let is_near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        for (w, x) in [([1.0, -2.0, 0.5, 0.3], [1.0, 0.7, -1.5, 2.0]), ([0.5; 4], [3.0; 4])] {
            for keep in [0.5, 0.8] {
                let (places, map) = noise(&w, &x, keep);
                let want = enumerated(&w, &x, keep, 4, |i| i);
                assert!(is_near(places, want), "places: a variance of {places}, not {want}");
                let want = enumerated(&w, &x, keep, 1, |_| 0);
                assert!(is_near(map, want), "the map: a variance of {map}, not {want}");
            }
        }
        let (places, map) = noise(&[0.5; 4], &[3.0; 4], 0.5);
        assert!(is_near(map, 4.0 * places), "a level map, equal weights: {map} and {places}");
        let (places, map) = noise(&[1.0, -1.0, 1.0, -1.0], &[3.0; 4], 0.5);
        assert!(places > 1.0 && map == 0.0, "a level map, weights that add up to 0: {map} and {places}");
    }

    #[test]
    fn solution_is_the_mean_over_all_masks() {
        check(super::solution::noise);
    }

    #[test]
    #[should_panic = "which products share"]
    fn task_is_open() {
        check(super::task::noise);
    }

    #[test]
    #[should_panic = "the map: a variance"]
    fn a_map_falls_as_a_whole() {
        check(|w, x, keep| {
            let (places, _) = super::solution::noise(w, x, keep);
            (places, places)
        });
    }
}
