//! # A patch at the border
//!
//! *In code.* CutMix pastes a square of a second picture into a first one, with $1 - \lambda$ of the pixels and its middle
//! anywhere, and mixes the labels as the pixels are mixed. At the border a part of the square falls outside. Which share
//! of the label is that of the first picture?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The share of pixels that stay in a picture of `side` by `side`, for a patch of `width` by
    /// `width` around `middle` (row, column), which begins `width / 2` (rounded down) before its
    /// middle.
    pub fn share(side: usize, width: usize, middle: (usize, usize)) -> f64 {
        todo!("how much of the patch lies inside of {side} by {side}?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Rows and columns are cut to the picture before they are multiplied. A patch half as wide as the picture loses
    //! on average an eighth of its rows and an eighth of its columns, so it covers about three quarters of
    //! what $1 - \lambda$ says.
    //!
    //! The usual mistake is to mix the labels by the $\lambda$ that was drawn. Then the labels say on average that
    //! more of the second picture is visible than there is, which is label noise in one direction.

    // ANCHOR: solution
    /// The share of pixels that stay in a picture of `side` by `side`, for a patch of `width` by
    /// `width` around `middle` (row, column), which begins `width / 2` (rounded down) before its
    /// middle.
    pub fn share(side: usize, width: usize, middle: (usize, usize)) -> f64 {
        let inside = |middle: usize| {
            let from = middle.saturating_sub(width / 2);
            (middle + width - width / 2).min(side) - from
        };
        1.0 - (inside(middle.0) * inside(middle.1)) as f64 / (side * side) as f64
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::regularize::cut_mix::Patch;
    use rand::{SeedableRng, rngs::StdRng};

    /// Pixel by pixel.
    fn counted(side: usize, width: usize, middle: (usize, usize)) -> f64 {
        let covers = |at: usize, middle: usize| {
            let offset = at as isize - middle as isize + (width / 2) as isize;
            (0..width as isize).contains(&offset)
        };
        let pixels = (0..side * side).map(|i| (i / side, i % side));
        let covered = pixels.filter(|(row, column)| covers(*row, middle.0) && covers(*column, middle.1)).count();
        1.0 - covered as f64 / (side * side) as f64
    }

    fn check(share: fn(usize, usize, (usize, usize)) -> f64) {
        for (side, width) in [(8, 4), (8, 5), (28, 14), (5, 1), (6, 6)] {
            let mut mean = 0.0;
            for middle in (0..side * side).map(|i| (i / side, i % side)) {
                let (got, want) = (share(side, width, middle), counted(side, width, middle));
                assert!((got - want).abs() < 1e-12, "{width} of {side} around {middle:?}: {got}, not {want}");
                mean += got / (side * side) as f64;
            }
            // The crate draws the middle: 2000 patches against all.
            let lambda = 1.0 - ((width as f64 + 0.01) / side as f64).powi(2);
            let mut rng = StdRng::seed_from_u64(7);
            let mut draw = || Patch::draw((side, side), lambda.max(0.0), &mut rng).unwrap().share((side, side));
            let drawn = (0..2000).map(|_| draw()).sum::<f64>() / 2000.0;
            assert!((drawn - mean).abs() < 0.02, "{width} of {side}: {mean} on average, drawn {drawn}");
        }
    }

    #[test]
    fn solution_counts_pixels() {
        check(super::solution::share);
    }

    #[test]
    #[should_panic = "inside of 8 by 8"]
    fn task_is_open() {
        check(super::task::share);
    }

    #[test]
    #[should_panic = "around (0, 0)"]
    fn what_was_drawn_is_not_what_is_seen() {
        check(|side, width, _| 1.0 - (width * width) as f64 / (side * side) as f64);
    }
}
