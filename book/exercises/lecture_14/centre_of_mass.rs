//! # By whole pixels
//!
//! MNIST's authors moved a digit by whole pixels: so that its centre of mass comes as close as possible to the
//! middle of the frame. Pixel $i$ covers $[i, i + 1)$, so its own middle is $i + \tfrac12$, and the middle of a
//! frame of $N$ pixels is $N/2$.
//!
//! Write the move. What leaves the frame is lost; what comes in is ground. How far from the middle can the centre of mass
//! still be afterwards, on each axis, when nothing leaves the frame?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The image moved by whole pixels, its centre of mass as near as possible to the
    /// middle; an image without ink stays as it is.
    pub fn centred<const N: usize>(image: &[[f64; N]; N]) -> [[f64; N]; N] {
        todo!("where is the centre of mass, and how many pixels from the middle?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The centre of mass is the mean of the pixels' middles with the levels as weights. The move is the distance to
    //! the middle, rounded; a rounded number errs by at most $\tfrac12$, so the centre of mass ends within half a pixel of
    //! the middle on each axis.
    //!
    //! The usual mistake is to forget the half: with $i$ in place of $i + \tfrac12$ every digit ends half a pixel too
    //! far to the right and too low, and half of all roundings go the wrong way.

    // ANCHOR: solution
    /// The image moved by whole pixels, its centre of mass as near as possible to the
    /// middle; an image without ink stays as it is.
    pub fn centred<const N: usize>(image: &[[f64; N]; N]) -> [[f64; N]; N] {
        let (mut mass, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
        for (y, row) in image.iter().enumerate() {
            for (x, level) in row.iter().enumerate() {
                mass += level;
                x_sum += level * (x as f64 + 0.5);
                y_sum += level * (y as f64 + 0.5);
            }
        }
        if mass == 0.0 {
            return *image;
        }
        let middle = N as f64 / 2.0;
        let right = (middle - x_sum / mass).round() as isize;
        let down = (middle - y_sum / mass).round() as isize;
        let from = |at: usize, shift: isize| usize::try_from(at as isize - shift).ok();
        std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                let source = from(y, down).and_then(|y| image.get(y)?.get(from(x, right)?));
                source.copied().unwrap_or(0.0)
            })
        })
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    type Image = [[f64; 28]; 28];

    /// A block of ink of odd and even sides at several places, one with a tail that pulls the centre of mass.
    fn check(centred: fn(&Image) -> Image) {
        for (left, top, width, height, tail) in
            [(0, 0, 5, 7, 0.0), (20, 18, 8, 10, 0.0), (12, 4, 4, 20, 0.3), (3, 9, 6, 3, 0.9)]
        {
            let mut image = [[0.0; 28]; 28];
            for row in &mut image[top..top + height] {
                row[left..left + width].fill(1.0);
            }
            image[top][left + width - 1] += tail;
            let moved = centred(&image);
            let mass: f64 = moved.as_flattened().iter().sum();
            assert!((mass - (width * height) as f64 - tail).abs() < 1e-9, "ink was lost: {mass}");
            let mean = |at: fn(usize) -> usize| {
                let weighted =
                    moved.as_flattened().iter().enumerate().map(|(i, v)| v * (at(i) as f64 + 0.5));
                weighted.sum::<f64>() / mass
            };
            for centre in [mean(|i| i % 28), mean(|i| i / 28)] {
                assert!((centre - 14.0).abs() <= 0.5 + 1e-9, "the centre of mass is at {centre}");
            }
        }
        assert_eq!(centred(&[[0.0; 28]; 28]), [[0.0; 28]; 28]);
    }

    #[test]
    fn solution_ends_within_half_a_pixel() {
        check(super::solution::centred);
    }

    #[test]
    #[should_panic = "where is the centre of mass"]
    fn task_is_open() {
        check(super::task::centred);
    }

    #[test]
    #[should_panic = "the centre of mass is at"]
    fn moved_by_one_is_too_far() {
        check(|image| {
            let mut moved = super::solution::centred(image);
            moved.iter_mut().for_each(|row| row.rotate_right(1));
            moved
        });
    }
}
