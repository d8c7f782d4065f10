//! # How deep is the deepest valley?
//!
//! *Open.* Theory says that for degree $H = 4$ and many weights no minimum of the spin glass lies below
//! $-E_0 = -1.794$ per weight. Estimate the height of the deepest minimum by simulation: draw polynomials
//! `Hamiltonian::<4>` with 12 weights, descend from many starts, and keep the lowest height of each
//! polynomial. Return the mean of these over the polynomials. Then repeat it with fewer and with more weights:
//! from which side does the mean come to $-E_0$, and why are 12 weights not many?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Mean over `polynomials` drawn polynomials of the lowest height per weight that `starts`
    /// descents find.
    pub fn deepest(spins: usize, polynomials: u64, starts: usize) -> Result<f64, optim::Error> {
        todo!("sample, descend, keep the lowest")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Twenty starts on each of twenty polynomials end somewhat above $-E_0$ for 12 weights. The lowest of a few
    //! minima is *above* the ground state when the starts miss it, and a small system's ground state lies
    //! above its limit in the mean as well; both errors shrink with more starts and more weights. Now
    //! and then a polynomial goes below $-E_0$: the theorem speaks of a limit, and the height of a ground state has
    //! fluctuations of order $1/\Lambda$.
    //!
    //! The usual mistake is to take the mean over all minima found, which estimates where the band lies and
    //! not where it ends.

    // ANCHOR: solution
    use optim::landscape::spin_glass::{DescendConfig, Hamiltonian};
    use rand::{SeedableRng, rngs::StdRng};

    /// Mean over `polynomials` drawn polynomials of the lowest height per weight that `starts`
    /// descents find.
    pub fn deepest(spins: usize, polynomials: u64, starts: usize) -> Result<f64, optim::Error> {
        let mut sum = 0.0;
        for seed in 0..polynomials {
            let mut rng = StdRng::seed_from_u64(seed);
            let glass = Hamiltonian::<4>::sample(spins, &mut rng)?;
            let mut lowest = f64::INFINITY;
            for _ in 0..starts {
                let start = glass.start(&mut rng);
                lowest = lowest.min(glass.descend(&start, DescendConfig::default())?.energy_per_spin);
            }
            sum += lowest;
        }
        Ok(sum / polynomials as f64)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::landscape::complexity::Complexity;

    fn check(deepest: fn(usize, u64, usize) -> Result<f64, optim::Error>) {
        let e_0 = Complexity::try_new(4).unwrap().e_k(0);
        let (few, many) = (deepest(8, 20, 1).unwrap(), deepest(8, 20, 20).unwrap());
        assert!(many < few - 0.05, "more starts find deeper valleys: {few:.3} and {many:.3}");
        let twelve = deepest(12, 5, 10).unwrap();
        assert!((twelve + e_0).abs() < 0.25, "{twelve:.3} is far from -{e_0:.3}");
    }

    #[test]
    fn solution_is_near_the_theory() {
        check(super::solution::deepest);
    }

    #[test]
    #[should_panic = "sample, descend"]
    fn task_is_open() {
        check(super::task::deepest);
    }
}
