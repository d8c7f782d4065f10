//! # Where to mix
//!
//! *By hand, then in code.* Mixup mixes two inputs, manifold mixup two hidden states. For a linear layer it makes no
//! difference. For a layer of rectifiers, look at one unit with the votes $s$ and $t$ for the two inputs: for which
//! $s$, $t$ is $\mathrm{relu}(\lambda s + (1 - \lambda)t)$ the same as
//! $\lambda\,\mathrm{relu}(s) + (1 - \lambda)\,\mathrm{relu}(t)$, for all $\lambda$ between 0 and 1? Which of the two
//! is larger elsewhere?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Whether mixing before and after these rectifiers is the same for all shares; the votes of
    /// two inputs.
    pub fn is_same(first: &[f64], second: &[f64]) -> bool {
        todo!("when is the rectifier linear between the two votes of each of {} units?", first.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! On one side of 0 the rectifier is linear: votes without opposite signs mix alike. Otherwise the line between
    //! two points of a convex function lies above it, and mixed states are the larger ones. So behind one layer
    //! manifold mixup differs from mixup only in units that one input switches on and the other off, that is where the
    //! network already tells the two apart.
    //!
    //! The usual mistake is to count active units. Two inputs with as many active units can have none in common.

    // ANCHOR: solution
    /// Whether mixing before and after these rectifiers is the same for all shares; the votes of
    /// two inputs.
    pub fn is_same(first: &[f64], second: &[f64]) -> bool {
        first.iter().zip(second).all(|(s, t)| s * t >= 0.0)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use optim::regularize::manifold::mix_states;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// By how much the states mixed behind the rectifiers exceed those mixed before, unit by unit.
    fn gaps(first: &[f64; 3], second: &[f64; 3], share: f64) -> Vec<f64> {
        let votes = Cpu::default().tensor_from_vec([*first, *second].concat(), (2, 3));
        let behind = mix_states(votes.clone().relu(), &[1, 0], share).unwrap();
        let before = mix_states(votes, &[1, 0], share).unwrap().relu();
        (behind - before).as_vec()[..3].to_vec()
    }

    fn check(is_same: fn(&[f64], &[f64]) -> bool) {
        let mut rng = StdRng::seed_from_u64(2);
        let mut seen = [0, 0];
        for _ in 0..200 {
            let mut draw = || std::array::from_fn(|_| rng.gen_range(-1.0..2.0));
            let (first, second): ([f64; 3], [f64; 3]) = (draw(), draw());
            let all: Vec<f64> = [0.2, 0.5, 0.9].iter().flat_map(|s| gaps(&first, &second, *s)).collect();
            assert!(all.iter().all(|gap| *gap > -1e-12), "mixed states are never smaller");
            let want = all.iter().all(|gap| gap.abs() < 1e-12);
            seen[usize::from(want)] += 1;
            assert_eq!(is_same(&first, &second), want, "votes {first:?} and {second:?}");
        }
        assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
        assert!(is_same(&[0.0, 1.0], &[-1.0, 0.0]), "a vote of 0 is on both sides");
    }

    #[test]
    fn solution_tells_when() {
        check(super::solution::is_same);
    }

    #[test]
    #[should_panic = "each of 3 units"]
    fn task_is_open() {
        check(super::task::is_same);
    }

    #[test]
    #[should_panic = "votes ["]
    fn as_many_active_units_need_not_be_the_same() {
        check(|first, second| {
            let active = |votes: &[f64]| votes.iter().filter(|vote| **vote > 0.0).count();
            active(first) == active(second)
        });
    }
}
