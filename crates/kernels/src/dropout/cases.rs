//! Rows of the table for noise: by a fixed key, it is an affine function.
use super::{Noise, composed};
use crate::random::Key;
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{Device, Real};
use dfdx::prelude::*;

/// The method of [`NoiseDevice`].
pub const OPERATIONS: &[&str] = &["noise"];

#[derive(Clone, Copy, Debug)]
struct Noisy {
    noise: Noise,
    shape: (usize, usize, usize),
}

impl Case for Noisy {
    fn operation(self) -> &'static str {
        "noise"
    }

    fn inputs(self) -> Vec<Spec> {
        vec![Spec::new([self.shape.0, self.shape.1, self.shape.2])]
    }

    fn is_linear(self) -> bool {
        true
    }
}

impl Portable for Noisy {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let (x, key) = (x[0].taped::<_, T>(self.shape), Key::new(31).fold(4));
        flat(
            match B::IS_FUSED {
                true => D::noise(x, self.noise, key),
                false => composed::noise(x, self.noise, key),
            }
            .unwrap(),
        )
    }
}

fn kinds(span: usize) -> [Noise; 5] {
    [
        Noise::Either { rate: 0.3, kept: [1.0 / 0.7, 0.0], dropped: 0.0, span: 1 },
        Noise::Either { rate: 0.6, kept: [0.8, 0.1], dropped: -1.3, span: 1 },
        Noise::Either { rate: 0.5, kept: [2.0, 0.0], dropped: 0.0, span },
        Noise::Factor { deviation: 0.7 },
        Noise::Term { deviation: 0.2 },
    ]
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    for shape in [(1, 1, 1), (2, 3, 5), (7, 11, 13)] {
        kinds(shape.2).into_iter().for_each(|noise| visit.visit(Noisy { noise, shape }));
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    let shape = (5, 70, 171);
    kinds(shape.2).into_iter().for_each(|noise| visit.visit(Noisy { noise, shape }));
}
